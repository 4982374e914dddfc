//! Judges a push on a table: what it makes of it, or every reason why not.
//!
//! Invariants: pure but for the look-ups that it is handed; the table that it is given stays as it
//! is; a push with any mistake has no effect; its mistakes are told in the order of the ops, to a
//! bound ([`MAX_FOUND`]) behind which nothing is looked at, so that a refusal costs no more.

use super::{
    expiry::DynoKey,
    guard::{Shrink, Step},
    ops, permit, protect,
    push::{Mistake, Push, PushError},
    request::Terms,
    settings::Settings,
};
use crate::{
    api::FieldError,
    control::store::{Edits, ObjectKey, StoreError, belongings, edits_between},
    route::{Change, Revision, Table},
};

/// The longest reason, in bytes.
pub const MAX_REASON: usize = 1024;
/// The longest name of an author, in bytes.
pub const MAX_AUTHOR: usize = 255;

/// The most mistakes that are told of a push, each op of which may have many.
pub const MAX_FOUND: usize = 1000;

/// What a push makes of a table.
#[derive(Debug)]
pub struct Accepted {
    /// The table after it, still at the revision before.
    pub table: Table,
    /// What became of each object; empty if it changes nothing.
    pub edits: Edits,
    /// A guard would have refused it and was told to let it in.
    pub forced: bool,
    /// Dynos that were pushed, changed or not.
    pub(super) renewed: Vec<DynoKey>,
    /// What the shrink guard is to remember of it.
    pub(super) step: Step,
}

/// The last revision that changed an object.
pub type LastChange<'a> = dyn Fn(&ObjectKey) -> Result<Option<Revision>, StoreError> + 'a;

/// What every transaction is judged by.
pub(super) struct Rules<'a> {
    pub settings: &'a Settings,
    pub shrink: &'a Shrink,
    pub last_change: &'a LastChange<'a>,
    /// When it is judged, in seconds since the Unix epoch.
    pub now_s: u64,
}

/// Changes that were applied to a working table, until they are judged as a whole.
pub(super) struct Working {
    pub table: Table,
    pub changes: Vec<Change>,
    /// Dynos that were pushed, changed or not.
    pub renewed: Vec<DynoKey>,
    pub mistakes: Vec<(Option<usize>, Mistake)>,
}

/// A working table with what became of each object, until it is judged as a whole.
pub(super) struct Edited {
    pub table: Table,
    pub edits: Edits,
    /// Dynos that were pushed, changed or not.
    pub renewed: Vec<DynoKey>,
    pub mistakes: Vec<(Option<usize>, Mistake)>,
}

/// Judges a push that may do everything on a table of which nothing was lost, before any
/// certificate ended; none if it changes nothing.
pub fn judge(
    push: &Push,
    table: &Table,
    settings: &Settings,
    last_change: &LastChange<'_>,
) -> Result<Option<Accepted>, PushError> {
    let shrink = &Shrink::new(settings.shrink, table.counts());
    let rules = Rules { settings, shrink, last_change, now_s: 0 };
    let accepted = judge_under(&Terms::default(), push, table, &rules)?;
    Ok((!accepted.edits.is_empty()).then_some(accepted))
}

/// Judges a push under terms.
pub(super) fn judge_under(
    terms: &Terms,
    push: &Push,
    table: &Table,
    rules: &Rules<'_>,
) -> Result<Accepted, PushError> {
    let Rules { settings, last_change, now_s, .. } = rules;
    let mut mistakes = check_words(&push.author, push.reason.as_deref());
    mistakes.extend(check_bounds(push, table.revision()));
    let mut mistakes: Vec<_> = mistakes.into_iter().map(|mistake| (None, mistake)).collect();
    let told = |error: &FieldError| (error.op, Mistake::malformed(&error.field, &error.reason));
    mistakes.extend(push.misread.iter().filter(|error| error.op.is_none()).map(told));
    let mut misread = push.misread.iter().filter(|error| error.op.is_some()).peekable();
    let mut working = table.clone();
    let mut changes = Vec::with_capacity(push.ops.len());
    let mut renewed = Vec::new();
    for (at, op) in push.ops.iter().enumerate() {
        if mistakes.len() >= MAX_FOUND {
            break;
        }
        let before = mistakes.len();
        while let Some(error) = misread.next_if(|error| error.op == Some(at)) {
            mistakes.push(told(error));
        }
        if mistakes.len() > before {
            imagine(ops::intended_app(op), &mut working);
            continue;
        }
        if let Some(mistake) = permit::objection_to_op(op, terms.grant.scopes()) {
            mistakes.push((Some(at), mistake));
            continue;
        }
        let resolved = match ops::resolve(op, &working, settings, *now_s) {
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
        renewed.extend(renewed_by(change));
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
    conclude(terms, table, Working { table: working, changes, renewed, mistakes }, rules)
}

/// Judges that dynos leave which were not renewed.
pub(super) fn judge_expiry(
    dynos: &[DynoKey],
    table: &Table,
    rules: &Rules<'_>,
) -> Result<Accepted, PushError> {
    let (mut working, mut changes) = (table.clone(), Vec::with_capacity(dynos.len()));
    for (app, name) in dynos {
        let change = Change::DeleteDyno(app.clone(), name.to_string());
        match working.apply(&change) {
            Ok(_) => changes.push(change),
            Err(conflict) => tracing::debug!(%conflict, "a dyno was gone before it expired"),
        }
    }
    let (renewed, mistakes) = (Vec::new(), Vec::new());
    conclude(
        &Terms::default(),
        table,
        Working { table: working, changes, renewed, mistakes },
        rules,
    )
}

/// What changes that were applied to a table come to, unless there are mistakes or a guard objects:
/// what is said of every transaction, however its changes came about.
pub(super) fn conclude(
    terms: &Terms,
    before: &Table,
    working: Working,
    rules: &Rules<'_>,
) -> Result<Accepted, PushError> {
    let Working { table, changes, renewed, mistakes } = working;
    let edits = edits_between(before, &table, &changes);
    conclude_edits(terms, before, Edited { table, edits, renewed, mistakes }, rules)
}

/// The same of a table whose edits are known.
pub(super) fn conclude_edits(
    terms: &Terms,
    before: &Table,
    edited: Edited,
    rules: &Rules<'_>,
) -> Result<Accepted, PushError> {
    let Edited { table, edits, renewed, mut mistakes } = edited;
    let consent = &terms.consent;
    let scopes = terms.grant.scopes();
    mistakes.extend(permit::objection_to_force(consent.force, scopes).map(|m| (None, m)));
    if !mistakes.is_empty() {
        mistakes.truncate(MAX_FOUND);
        return Err(PushError::refusal(mistakes));
    }
    let step = step(before, &table, edits.keys());
    let objections = rules.shrink.objections(&step);
    let forced = consent.force && !objections.is_empty();
    let unconfirmed = protect::unconfirmed(before, &table, edits.keys(), &consent.confirm);
    let shrinks = objections.into_iter().filter(|_| !forced);
    let shrinks = shrinks.map(|reason| Mistake::conflict("force", reason));
    let mistakes: Vec<_> = shrinks.chain(unconfirmed).map(|mistake| (None, mistake)).collect();
    if !mistakes.is_empty() {
        return Err(PushError::refusal(mistakes));
    }
    Ok(Accepted { table, edits, forced, renewed, step })
}

/// What edits take and bring, as the shrink guard counts.
fn step(before: &Table, after: &Table, edited: &[ObjectKey]) -> Step {
    let (mut gone, mut came) = (Vec::new(), Vec::new());
    for key in edited {
        let ObjectKey::Route(key) = key else { continue };
        match (before.route(key).is_some(), after.route(key).is_some()) {
            (true, false) => gone.push(key.clone()),
            (false, true) => came.push(key.clone()),
            _ => {}
        }
    }
    Step { before: before.counts(), after: after.counts(), gone, came }
}

/// The dyno that a change renews.
fn renewed_by(change: &Change) -> Option<DynoKey> {
    match change {
        Change::PutDyno(app, dyno) if dyno.ttl_s.is_some() => {
            Some((app.clone(), dyno.name.clone()))
        }
        _ => None,
    }
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
    if push.ops.is_empty() && !push.misread.iter().any(|error| error.field == "ops") {
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
