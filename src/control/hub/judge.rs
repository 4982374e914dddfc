//! Judges a push on a table: what it makes of it, or every reason why not.
//!
//! Invariants: pure but for the look-ups that it is handed; the table that it is given stays as it
//! is; a push with any mistake has no effect, and all of its mistakes are told.

use super::{
    ops, permit,
    push::{Mistake, Push, PushError},
    request::Terms,
    settings::Settings,
};
use crate::{
    control::store::{Edit, ObjectKey, StoreError, belongings, edits_between},
    route::{Change, Revision, Table},
};

/// The longest reason, in bytes.
pub const MAX_REASON: usize = 1024;
/// The longest name of an author, in bytes.
pub const MAX_AUTHOR: usize = 255;

/// What a push makes of a table.
#[derive(Debug)]
pub struct Accepted {
    /// The table after it, still at the revision before.
    pub table: Table,
    /// What became of each object; never empty.
    pub edits: Vec<Edit>,
}

/// The last revision that changed an object.
pub type LastChange<'a> = dyn Fn(&ObjectKey) -> Result<Option<Revision>, StoreError> + 'a;

/// Judges a push that may do everything; none if it changes nothing.
pub fn judge(
    push: &Push,
    table: &Table,
    settings: &Settings,
    last_change: &LastChange<'_>,
) -> Result<Option<Accepted>, PushError> {
    judge_under(&Terms::default(), push, table, settings, last_change)
}

/// Judges a push under terms; none if it changes nothing.
pub fn judge_under(
    terms: &Terms,
    push: &Push,
    table: &Table,
    settings: &Settings,
    last_change: &LastChange<'_>,
) -> Result<Option<Accepted>, PushError> {
    let mut mistakes = check_words(&push.author, push.reason.as_deref());
    mistakes.extend(check_bounds(push, table.revision()));
    let mut mistakes: Vec<_> = mistakes.into_iter().map(|mistake| (None, mistake)).collect();
    let mut working = table.clone();
    let mut changes = Vec::with_capacity(push.ops.len());
    for (at, op) in push.ops.iter().enumerate() {
        if let Some(mistake) = permit::objection_to_op(op, terms.grant.scopes()) {
            mistakes.push((Some(at), mistake));
            continue;
        }
        let resolved = match ops::resolve(op, &working, settings) {
            Ok(resolved) => resolved,
            Err(found) => {
                mistakes.extend(found.into_iter().map(|mistake| (Some(at), mistake)));
                imagine(ops::intended_app(op), &mut working);
                continue;
            }
        };
        if let Some(limit) = push.if_revision {
            let named = named_by(&resolved.object, &resolved.change, &working);
            for object in named {
                let stale = changed_after(&object, Revision(limit), last_change)?;
                mistakes.extend(stale.map(|mistake| (Some(at), mistake)));
            }
        }
        let (object, change) = (&resolved.object, &resolved.change);
        let unmet = terms.condition.unmet(object, change, &working, last_change)?;
        mistakes.extend(unmet.map(|(field, why)| (Some(at), Mistake::unmet(field, why))));
        let objection = permit::objection_to_change(change, &working, terms.grant.scopes());
        mistakes.extend(objection.map(|mistake| (Some(at), mistake)));
        let before = working.counts();
        match working.apply(change) {
            Ok(true) => {
                let beyond = permit::beyond_bounds(change, before, &working, settings);
                mistakes.extend(beyond.map(|mistake| (Some(at), mistake)));
                changes.push(resolved.change);
            }
            Ok(false) => {}
            Err(conflict) => mistakes.push((Some(at), ops::refused(&conflict))),
        }
    }
    conclude(table, working, &changes, mistakes)
}

/// What changes that were applied to a table come to, unless there are mistakes: what is said of
/// every transaction, however its changes came about.
pub(super) fn conclude(
    table: &Table,
    working: Table,
    changes: &[Change],
    mistakes: Vec<(Option<usize>, Mistake)>,
) -> Result<Option<Accepted>, PushError> {
    if !mistakes.is_empty() {
        return Err(PushError::refusal(mistakes));
    }
    let edits = edits_between(table, &working, changes);
    Ok((!edits.is_empty()).then_some(Accepted { table: working, edits }))
}

/// Puts the app of a refused op into a table that is thrown away at the end, so that the ops that
/// build on it are not blamed for it.
fn imagine(intended: Option<Change>, doomed: &mut Table) {
    if let Some(change @ Change::PutApp(..)) = intended
        && let Err(conflict) = doomed.apply(&change)
    {
        tracing::debug!(%conflict, "a refused app could not be imagined");
    }
}

/// Every mistake in what the history is to say.
pub(super) fn check_words(author: &str, reason: Option<&str>) -> Vec<Mistake> {
    let mut mistakes = Vec::new();
    let unprintable = |text: &str| text.chars().any(char::is_control);
    if reason.is_some_and(|text| text.len() > MAX_REASON || unprintable(text)) {
        let reason = format!("a reason has at most {MAX_REASON} bytes, no control characters");
        mistakes.push(Mistake::malformed("reason", reason));
    }
    if author.is_empty() || author.len() > MAX_AUTHOR || unprintable(author) {
        let reason = format!("an author has 1 to {MAX_AUTHOR} bytes, no control characters");
        mistakes.push(Mistake::malformed("author", reason));
    }
    mistakes
}

/// Every other mistake that is not in an op.
fn check_bounds(push: &Push, newest: Revision) -> Vec<Mistake> {
    let mut mistakes = Vec::new();
    if push.ops.is_empty() {
        mistakes.push(Mistake::malformed("ops", "a transaction has at least one op"));
    }
    if push.if_revision.is_some_and(|limit| limit > newest.0) {
        let reason = format!("there is no such revision yet: the newest is {newest}");
        mistakes.push(Mistake::malformed("if_revision", reason));
    }
    mistakes
}

/// The objects that an op names: one, and with a whole app that goes all that belongs to it.
fn named_by(object: &ObjectKey, change: &Change, table: &Table) -> Vec<ObjectKey> {
    let mut named = vec![object.clone()];
    if let Change::DeleteApp(app) = change {
        named.extend(belongings(table, app));
    }
    named
}

fn changed_after(
    object: &ObjectKey,
    limit: Revision,
    last_change: &LastChange<'_>,
) -> Result<Option<Mistake>, StoreError> {
    let changed = last_change(object)?.filter(|changed| *changed > limit);
    Ok(changed.map(|changed| {
        let reason = format!(
            "{object} changed at revision {changed}, after {limit}: read it and decide again"
        );
        Mistake::conflict("if_revision", reason)
    }))
}
