//! Judges a push on a table: what it makes of it, or every reason why not.
//!
//! Invariants: pure but for the look-ups that it is handed; the table that it is given stays as it
//! is; a push with any mistake has no effect, and all of its mistakes are told.

use super::{
    ops,
    push::{Mistake, Push, PushError},
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

/// Judges a push; none if it changes nothing.
pub fn judge(
    push: &Push,
    table: &Table,
    settings: &Settings,
    last_change: &LastChange<'_>,
) -> Result<Option<Accepted>, PushError> {
    let mut mistakes: Vec<_> =
        check_words(push, table.revision()).into_iter().map(|mistake| (None, mistake)).collect();
    let mut working = table.clone();
    let mut changes = Vec::with_capacity(push.ops.len());
    for (at, op) in push.ops.iter().enumerate() {
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
        match working.apply(&resolved.change) {
            Ok(true) => changes.push(resolved.change),
            Ok(false) => {}
            Err(conflict) => mistakes.push((Some(at), ops::refused(&conflict))),
        }
    }
    if !mistakes.is_empty() {
        return Err(PushError::refusal(mistakes));
    }
    let edits = edits_between(table, &working, &changes);
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

/// Every mistake that is not in an op.
fn check_words(push: &Push, newest: Revision) -> Vec<Mistake> {
    let mut mistakes = Vec::new();
    if push.ops.is_empty() {
        mistakes.push(Mistake::malformed("ops", "a transaction has at least one op"));
    }
    let unprintable = |text: &str| text.chars().any(char::is_control);
    if push.reason.as_deref().is_some_and(|text| text.len() > MAX_REASON || unprintable(text)) {
        let reason = format!("a reason has at most {MAX_REASON} bytes, no control characters");
        mistakes.push(Mistake::malformed("reason", reason));
    }
    if push.author.is_empty() || push.author.len() > MAX_AUTHOR || unprintable(&push.author) {
        let reason = format!("an author has 1 to {MAX_AUTHOR} bytes, no control characters");
        mistakes.push(Mistake::malformed("author", reason));
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
