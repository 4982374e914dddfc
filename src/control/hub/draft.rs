//! A group's transactions until they are durable.
//!
//! Invariants: each is judged on what those before it made; one that was answered before is
//! answered so again and does nothing more; what the guard remembers of the group is only noted
//! here: who commits it says whether it is kept.

use std::time::Instant;

use super::{
    expiry::{self, DynoKey},
    guard::Shrink,
    judge::{self, Accepted, Rules},
    push::PushError,
    replace,
    request::{Asked, Done, Key, Request, Terms},
    revert,
    settings::Settings,
};
use crate::{
    api::{ChangeCounts, Receipt},
    control::{
        feed::Event,
        store::{Answered, Committed, ObjectKey, Store, Tally},
    },
    route::{Revision, Table},
};

/// The author of what the hub does by itself.
pub const AUTHOR: &str = "hostler";

/// What a group made so far.
pub struct Draft {
    /// The table after it.
    pub table: Table,
    /// Answers that are older are forgotten: milliseconds since the Unix epoch.
    pub since_ms: u64,
    /// Its transactions.
    pub batch: Vec<Committed>,
    /// What readers of the feed are told of them.
    pub events: Vec<Event>,
    /// Its answers that are to be kept.
    pub answers: Vec<Answered>,
    /// Dynos that were pushed, changed or not, or removed.
    pub pushed: Vec<DynoKey>,
    now_ms: u64,
    /// When its revisions are made.
    at_ms: u64,
}

impl Draft {
    /// Begins with a table, at a time, the newest revision made at `last_ms`: milliseconds since
    /// the Unix epoch. A clock that was set back makes no revision that is older than the one
    /// before.
    pub fn new(table: Table, now_ms: u64, last_ms: u64, settings: &Settings) -> Draft {
        let window = u64::try_from(settings.idempotency_window.as_millis());
        let since_ms = now_ms.saturating_sub(window.unwrap_or(u64::MAX));
        let (batch, events, answers, pushed) = Default::default();
        let at_ms = now_ms.max(last_ms);
        Draft { table, since_ms, batch, events, answers, pushed, now_ms, at_ms }
    }

    /// Judges a request on what the group made so far and adds it; one that was answered before is
    /// answered so again.
    pub fn take(
        &mut self,
        request: Request,
        store: &Store,
        settings: &Settings,
        shrink: &mut Shrink,
        now: Instant,
    ) -> Result<Done, PushError> {
        let Request { asked, address, terms, key } = request;
        if terms.grant.is_revoked() {
            return Err(PushError::Revoked);
        }
        if let Some(key) = &key
            && let Some(receipt) = self.told(key, store)?
        {
            return Ok(Done { receipt, is_replay: true });
        }
        let last_change = |object: &ObjectKey| match last_in(&self.batch, object) {
            Some(revision) => Ok(Some(revision)),
            None => store.last_change_of(object),
        };
        let now_s = self.now_ms / 1000;
        let rules = Rules { settings, shrink, last_change: &last_change, now_s };
        let Judged { accepted, author, reason, counts } =
            judged(asked, &terms, &self.table, &rules, store)?;
        let Accepted { mut table, edits, forced, renewed, step } = accepted;
        self.pushed.extend(renewed);
        let changed = !edits.is_empty();
        if changed {
            shrink.note(&step, forced, now);
            let revision = self.table.revision().next();
            table.set_revision(revision);
            self.pushed.extend(edits.keys().iter().filter_map(dyno_of));
            let (digest, counts, at_ms) = (table.digest(), table.counts(), self.at_ms);
            self.table = table;
            let made = Committed {
                revision,
                at_ms,
                author,
                address,
                reason,
                edits,
                digest,
                counts,
                forced,
            };
            self.events.push(Event::of(&made, &self.table));
            self.batch.push(made);
        }
        let (revision, digest) = (self.table.revision().0, self.table.digest().to_string());
        let receipt = Receipt { revision, changed, digest, counts, fleet: None };
        let answered = key.map(|key| key.answered(receipt.clone(), self.now_ms));
        self.answers.extend(answered);
        Ok(Done { receipt, is_replay: false })
    }

    /// What a request with this key was answered.
    fn told(&self, key: &Key, store: &Store) -> Result<Option<Receipt>, PushError> {
        let is_it = |a: &&Answered| a.key == key.key && a.caller == key.caller;
        let answered = match self.answers.iter().find(is_it) {
            Some(answered) => Some(answered.clone()),
            None => store.answer_to(&key.caller, &key.key, self.since_ms)?,
        };
        match answered {
            Some(answered) if answered.request != key.request => Err(PushError::other_request()),
            answered => Ok(answered.map(|answered| answered.receipt)),
        }
    }
}

/// What was judged, and what the history says of it.
struct Judged {
    accepted: Accepted,
    author: String,
    reason: Option<String>,
    /// What a whole table changes.
    counts: Option<ChangeCounts>,
}

/// Judges what is asked on a table.
fn judged(
    asked: Asked,
    terms: &Terms,
    table: &Table,
    rules: &Rules<'_>,
    store: &Store,
) -> Result<Judged, PushError> {
    let mut counts = None;
    let (accepted, author, reason) = match asked {
        Asked::Push(push) => {
            let accepted = judge::judge_under(terms, &push, table, rules)?;
            (accepted, push.author, push.reason)
        }
        Asked::Revert(revert) => {
            let accepted = revert::judge(terms, &revert, table, rules, &store.archive())?;
            (accepted, revert.author, revert.reason)
        }
        Asked::Table(replacement) => {
            let (author, reason) = (replacement.author.clone(), replacement.reason.clone());
            let accepted = replace::judge(terms, *replacement, table, rules, &store.archive())?;
            let Tally { added, changed, removed } = accepted.edits.tally();
            counts = Some(ChangeCounts { added, changed, removed });
            (accepted, author, reason)
        }
        Asked::Expire(dynos) => {
            let accepted = judge::judge_expiry(&dynos, table, rules)?;
            (accepted, AUTHOR.into(), Some(expiry::REASON.into()))
        }
    };
    Ok(Judged { accepted, author, reason, counts })
}

/// The last of these transactions that edited an object.
fn last_in(batch: &[Committed], object: &ObjectKey) -> Option<Revision> {
    let edited = |made: &&Committed| made.edits.contains(object);
    batch.iter().rev().find(edited).map(|made| made.revision)
}

fn dyno_of(object: &ObjectKey) -> Option<DynoKey> {
    match object {
        ObjectKey::Dyno(app, name) => Some((app.clone(), name.clone())),
        _ => None,
    }
}
