//! The hub's thread, and the handle that everybody else has of it.
//!
//! Around it goes: take a push and what else waits, judge each in order on a working table, commit
//! what was accepted at once, publish the last table, answer each.
//! Invariants: the live table is replaced only after its revisions are durable; an answer follows
//! the publication; when the store fails every push of the group is answered so and the table
//! stays.

use std::{
    collections::HashMap,
    io,
    sync::{Arc, atomic::Ordering::Relaxed},
    thread::JoinHandle,
    time::{SystemTime, UNIX_EPOCH},
};

use tokio::{
    runtime::Runtime,
    sync::{mpsc, oneshot},
};

use super::{
    judge::{self, Accepted},
    push::{Push, PushError},
    request::{Asked, Done, Key, Request},
    revert::{self, Revert},
    settings::Settings,
};
use crate::{
    api::Receipt,
    control::store::{Answered, Answers, Archive, Committed, ObjectKey, Store, StoreError},
    live::Status,
    route::{Revision, Table},
};

/// How many calls may wait for the hub; more are refused as busy.
pub const QUEUE: usize = 512;
/// The most pushes that are committed and published at once.
pub const MAX_GROUP: usize = 256;

/// Replaces the live table by the one that is given.
pub type Publish = Box<dyn FnMut(&Table) + Send>;

type Answer = oneshot::Sender<Result<Done, PushError>>;
type Question = Box<dyn FnOnce(&mut Store) + Send>;

enum Call {
    Write(Box<Request>, Answer),
    Ask(Question),
}

/// Speaks to the hub; clones speak to the same.
#[derive(Debug, Clone)]
pub struct Hub {
    calls: mpsc::Sender<Call>,
    archive: Archive,
    max_ops: usize,
}

impl Hub {
    /// Applies a push whole, or not at all, as [`Hub::submit`] does.
    pub async fn push(&self, push: Push) -> Result<Receipt, PushError> {
        self.submit(push.into()).await.map(|done| done.receipt)
    }

    /// Makes the table, or one app of it, what it was: as [`Hub::push`], but for the bound on ops.
    pub async fn revert(&self, revert: Revert) -> Result<Receipt, PushError> {
        self.submit(Asked::Revert(revert).into()).await.map(|done| done.receipt)
    }

    /// What there was; it is read beside the hub.
    pub fn archive(&self) -> &Archive {
        &self.archive
    }

    /// Does what is asked whole, or not at all. Answers once the table is durable and published.
    /// What was handed over is carried out even if nobody waits for the answer any more.
    pub async fn submit(&self, request: Request) -> Result<Done, PushError> {
        if let Asked::Push(push) = &request.asked
            && push.ops.len() > self.max_ops
        {
            return Err(PushError::TooManyOps { given: push.ops.len(), bound: self.max_ops });
        }
        let (answer, answered) = oneshot::channel();
        self.call(Call::Write(Box::new(request), answer))?;
        answered.await.map_err(|_| PushError::Stopping)?
    }

    /// Does something with the store that is no change of the table, between two groups of pushes:
    /// all that is answered before is durable, nothing is judged meanwhile. It is done even if
    /// nobody waits for the answer any more.
    pub async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, PushError> {
        let (answer, answered) = oneshot::channel();
        self.call(Call::Ask(Box::new(move |store| reply(answer, question(store)))))?;
        let answer = answered.await.map_err(|_| PushError::Stopping)?;
        answer.map_err(PushError::from)
    }

    fn call(&self, call: Call) -> Result<(), PushError> {
        self.calls.try_send(call).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => PushError::Busy,
            mpsc::error::TrySendError::Closed(_) => PushError::Stopping,
        })
    }
}

/// The hub's thread. Dropped without [`HubThread::join`] it stops too, but nobody waits for it.
#[derive(Debug)]
pub struct HubThread {
    stop: oneshot::Sender<()>,
    thread: JoinHandle<Result<(), StoreError>>,
}

impl HubThread {
    /// Stops the hub: no further calls are taken, those taken are finished, the snapshot is
    /// written, the data directory unlocked. Blocks until then.
    pub fn join(self) -> Result<(), StoreError> {
        drop(self.stop);
        self.thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

/// Starts the hub on a store and the newest table that it holds.
pub fn start(
    settings: Settings,
    store: Store,
    table: Table,
    publish: Publish,
    status: Arc<Status>,
) -> io::Result<(Hub, HubThread)> {
    assert_eq!(table.revision(), store.revision(), "the hub begins with the store's newest table");
    let (calls, waiting) = mpsc::channel(QUEUE);
    let (stop, stopped) = oneshot::channel();
    let hub = Hub { calls, archive: store.archive(), max_ops: settings.max_ops };
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    status.store_writable.store(true, Relaxed);
    let around = Around { settings, store, table, publish, status };
    let inbox = Inbox { waiting, stopped, stopping: false };
    let run = move || around.run(inbox, runtime);
    let thread = std::thread::Builder::new().name("hub".into()).spawn(run)?;
    Ok((hub, HubThread { stop, thread }))
}

/// What waits for the hub.
struct Inbox {
    waiting: mpsc::Receiver<Call>,
    stopped: oneshot::Receiver<()>,
    stopping: bool,
}

impl Inbox {
    /// The next call; none once the hub is to end and all that was taken is done.
    async fn next(&mut self) -> Option<Call> {
        if !self.stopping {
            tokio::select! {
                call = self.waiting.recv() => return call,
                _ = &mut self.stopped => {}
            }
            self.stopping = true;
            self.waiting.close();
        }
        self.waiting.recv().await
    }
}

/// What the hub's thread owns.
struct Around {
    settings: Settings,
    store: Store,
    table: Table,
    publish: Publish,
    status: Arc<Status>,
}

impl Around {
    fn run(mut self, mut inbox: Inbox, runtime: Runtime) -> Result<(), StoreError> {
        let mut held = None;
        while let Some(first) = held.take().or_else(|| runtime.block_on(inbox.next())) {
            let group;
            (group, held) = self.gather(first, &mut inbox.waiting);
            self.settle(group);
        }
        self.store.close()
    }

    /// Takes what waits already, and waits for nothing more: while a group is being committed the
    /// next one gathers by itself, and a push that comes alone is not held up. Questions are
    /// answered on the way. A revert goes by what the store holds, so that it begins a group:
    /// one that comes later is answered second.
    fn gather(
        &mut self,
        first: Call,
        waiting: &mut mpsc::Receiver<Call>,
    ) -> (Vec<(Request, Answer)>, Option<Call>) {
        let mut group = Vec::new();
        let (mut taken, mut size) = (0, 0);
        let mut next = Some(first);
        while let Some(call) = next {
            taken += 1;
            match call {
                Call::Ask(question) => question(&mut self.store),
                Call::Write(request, answer) => {
                    if matches!(request.asked, Asked::Revert(_)) && !group.is_empty() {
                        return (group, Some(Call::Write(request, answer)));
                    }
                    size += request.asked.size();
                    group.push((*request, answer));
                }
            }
            let room = taken < MAX_GROUP && size < self.settings.max_ops;
            next = if room { waiting.try_recv().ok() } else { None };
        }
        (group, None)
    }

    /// Judges, commits, publishes and answers a group.
    fn settle(&mut self, group: Vec<(Request, Answer)>) {
        let now_ms = now_ms();
        let window = u64::try_from(self.settings.idempotency_window.as_millis());
        let since_ms = now_ms.saturating_sub(window.unwrap_or(u64::MAX));
        let mut draft = Draft { table: self.table.clone(), now_ms, since_ms, ..Draft::default() };
        let mut answers = Vec::with_capacity(group.len());
        for (request, answer) in group {
            let done = draft.take(request, &self.store, &self.settings);
            answers.push((answer, done));
        }
        if !draft.batch.is_empty() || !draft.answers.is_empty() {
            let most = self.settings.idempotency_keys;
            let given = Answers { new: &draft.answers, since_ms, most };
            let committed = self.store.commit_with(&draft.batch, given);
            self.status.store_writable.store(committed.is_ok(), Relaxed);
            match committed {
                Ok(()) if draft.batch.is_empty() => {}
                Ok(()) => {
                    self.table = draft.table;
                    (self.publish)(&self.table);
                }
                Err(error) => {
                    tracing::error!(%error, pushes = answers.len(),
                        "the store took no transactions, their pushes are refused");
                    let refusal = PushError::from(error);
                    for (_, done) in &mut answers {
                        *done = Err(refusal.clone());
                    }
                }
            }
        }
        for (answer, done) in answers {
            reply(answer, done);
        }
    }
}

/// A group's transactions until they are durable.
#[derive(Default)]
struct Draft {
    table: Table,
    now_ms: u64,
    /// Answers that are older are forgotten.
    since_ms: u64,
    batch: Vec<Committed>,
    changed: HashMap<ObjectKey, Revision>,
    answers: Vec<Answered>,
}

impl Draft {
    /// Judges a push on what the group made so far and adds it; one that was answered before is
    /// answered so again.
    fn take(
        &mut self,
        request: Request,
        store: &Store,
        settings: &Settings,
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
        let last_change = |object: &ObjectKey| match self.changed.get(object) {
            Some(revision) => Ok(Some(*revision)),
            None => store.last_change_of(object),
        };
        let (accepted, author, reason) = match asked {
            Asked::Push(push) => {
                let accepted =
                    judge::judge_under(&terms, &push, &self.table, settings, &last_change)?;
                (accepted, push.author, push.reason)
            }
            Asked::Revert(revert) => {
                let (scopes, archive) = (terms.grant.scopes(), store.archive());
                let accepted = revert::judge(&revert, &self.table, settings, scopes, &archive)?;
                (accepted, revert.author, revert.reason)
            }
        };
        let changed = accepted.is_some();
        if let Some(Accepted { mut table, edits }) = accepted {
            let revision = self.table.revision().next();
            table.set_revision(revision);
            let (digest, counts, at_ms) = (table.digest(), table.counts(), self.now_ms);
            self.table = table;
            self.changed.extend(edits.iter().map(|edit| (edit.key().clone(), revision)));
            let made =
                Committed { revision, at_ms, author, address, reason, edits, digest, counts };
            self.batch.push(made);
        }
        let (revision, digest) = (self.table.revision().0, self.table.digest().to_string());
        let receipt = Receipt { revision, changed, digest };
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

/// Milliseconds since the Unix epoch; 0 on a clock that stands before it.
fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn reply<T>(answer: oneshot::Sender<T>, with: T) {
    if answer.send(with).is_err() {
        tracing::debug!("who called the hub did not wait for the answer");
    }
}
