//! The table replaced by another: what differs, found beside the hub, judged by it.
//!
//! Certificates are left alone, whatever the table that came says of them.
//! Invariants: what both tables hold alike is not touched, so that its slots, cells and connections
//! live on; what was pushed while the difference was sought is replaced too, since the outcome is
//! the table that came; what the hub's thread does before it commits costs what was pushed
//! meanwhile, not what differs.

use super::{
    expiry::DynoKey,
    judge::{self, Accepted, Edited, Rules, check_words},
    permit,
    push::{Mistake, PushError},
    request::Terms,
};
use crate::{
    control::store::{Archive, Cursor, Differences, Edits, ObjectKey, StoreError, touch},
    route::{Change, Counts, Revision, Table, changes_between},
};

/// A table that is to be the live one.
#[derive(Debug, Clone)]
pub struct Replacement {
    /// Who replaces.
    pub author: String,
    /// Why, for the history.
    pub reason: Option<String>,
    /// Refused unless the table still stands at this revision.
    pub if_revision: Option<u64>,
    /// What it comes to.
    pub difference: Difference,
}

/// What leads from a table that was live to another.
#[derive(Debug, Clone)]
pub struct Difference {
    before: Table,
    after: Table,
    edits: Edits,
    /// Dynos that the table renews, changed or not.
    renewed: Vec<DynoKey>,
}

impl Difference {
    /// Seeks it: one way through both tables.
    pub fn between(live: &Table, mut wanted: Table) -> Difference {
        // Their keys are not in what was uploaded.
        wanted.take_certificates_of(live);
        let mut touched = Vec::new();
        let nothing_stands = live.counts() == Counts::default();
        let mut after = live.clone();
        changes_between(live, &wanted, |change| {
            touch(live, &change, &mut touched);
            if !nothing_stands {
                let taken = after.apply(&change);
                debug_assert_eq!(taken, Ok(true), "it leads from one table to the other");
            }
        });
        if nothing_stands {
            after = wanted;
        }
        let edits = Edits::of(live, &after, touched);
        let renewed = with_ttl(&after);
        Difference { before: live.clone(), after, edits, renewed }
    }
}

impl Difference {
    /// How many objects it edits.
    pub(super) fn size(&self) -> usize {
        self.edits.len()
    }
}

/// Judges a replacement on a table that is as the archive's newest.
pub(super) fn judge(
    terms: &Terms,
    replacement: Replacement,
    table: &Table,
    rules: &Rules<'_>,
    archive: &Archive,
) -> Result<Accepted, PushError> {
    let Replacement { author, reason, if_revision, difference } = replacement;
    let mut mistakes = check_words(&author, reason.as_deref());
    mistakes.extend(permit::objection_to_table(terms.grant.scopes()));
    mistakes.extend(if_revision.and_then(|limit| stale(limit, table.revision())));
    let mistakes = mistakes.into_iter().map(|mistake| (None, mistake)).collect();
    let Difference { before, mut after, edits, renewed } = difference;
    after.take_certificates_of(table);
    let edits = edits.from(table, touched_between(archive, before.revision(), table.revision())?);
    let edited = Edited { table: after, edits, renewed, mistakes };
    judge::conclude_edits(terms, table, edited, rules)
}

/// Every dyno that leaves unless it is renewed.
fn with_ttl(table: &Table) -> Vec<DynoKey> {
    let apps = table.apps().iter();
    let dynos = apps.flat_map(|(_, app)| app.dynos.iter().map(|dyno| (&app.name, dyno)));
    let with_ttl = dynos.filter(|(_, dyno)| dyno.ttl_s.is_some());
    with_ttl.map(|(app, dyno)| (app.clone(), dyno.name.clone())).collect()
}

fn stale(limit: u64, newest: Revision) -> Option<Mistake> {
    let newest = newest.0;
    let reason = format!("the table stands at revision {newest}, not {limit}: read it again");
    match limit.cmp(&newest) {
        std::cmp::Ordering::Equal => None,
        std::cmp::Ordering::Less => Some(Mistake::conflict("if_revision", reason)),
        std::cmp::Ordering::Greater => Some(Mistake::malformed("if_revision", reason)),
    }
}

/// The objects that two revisions have different, but for certificates.
fn touched_between(
    archive: &Archive,
    from: Revision,
    to: Revision,
) -> Result<Vec<ObjectKey>, StoreError> {
    let mut touched = Vec::new();
    if from == to {
        return Ok(touched);
    }
    let differences = Differences::between(archive.open()?, from, to, None)?;
    let mut next = Some(Cursor::start());
    while let Some(cursor) = next {
        let page = differences.page(&cursor)?;
        let one = |put: &Option<Change>| put.as_ref().and_then(ObjectKey::of);
        let keys = page.items.iter().filter_map(|d| one(&d.before).or_else(|| one(&d.after)));
        touched.extend(keys.filter(|key| !matches!(key, ObjectKey::Certificate(_))));
        next = page.next;
    }
    Ok(touched)
}
