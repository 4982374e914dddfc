//! What a transaction does to each object that it changes.
//!
//! Kept are the names of the objects and the tables before and after, which share what they can:
//! a transaction of a million edits holds none of their texts.
//! Invariants: an object is edited at most once, and only if it differs; every object that goes
//! with a removed app is an edit of its own; they come in the order of the database, so that a
//! large transaction fills it from one end to the other.

use std::collections::BTreeSet;

use super::object::{ObjectKey, Value, belongings};
use crate::route::{AppName, Change, Table};

/// What became of the objects of one transaction.
#[derive(Debug, Clone, Default)]
pub struct Edits {
    keys: Vec<ObjectKey>,
    tally: Tally,
    before: Table,
    after: Table,
}

/// What became of one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Edit<'a> {
    pub key: &'a ObjectKey,
    /// What it is now; none once it is removed.
    pub stands: Option<Standing>,
}

/// An object as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Standing {
    /// The app that it is, or belongs to, if it does.
    pub app: Option<AppName>,
    /// Its fields.
    pub body: String,
}

/// How many objects came, changed and went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// They were not there before.
    pub added: usize,
    /// They are others than before.
    pub changed: usize,
    /// They are gone.
    pub removed: usize,
}

/// What changes that led from one table to another came to, object by object: what a removed app
/// took with it is named, what was made and removed on the way is not.
pub fn edits_between(before: &Table, after: &Table, changes: &[Change]) -> Edits {
    let mut keys = Vec::with_capacity(changes.len());
    changes.iter().for_each(|change| touch(before, change, &mut keys));
    Edits::of(before, after, keys)
}

/// Adds the objects that a change may have altered, seen from the table before the transaction.
pub fn touch(before: &Table, change: &Change, touched: &mut Vec<ObjectKey>) {
    touched.extend(ObjectKey::of(change));
    if let Change::DeleteApp(name) = change {
        touched.extend(belongings(before, name));
    }
}

/// What became of an object, if anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Added,
    Changed,
    Removed,
}

impl Outcome {
    fn of(before: &Table, after: &Table, key: &ObjectKey) -> Option<Outcome> {
        match (Value::of(before, key), Value::of(after, key)) {
            (None, None) => None,
            (None, Some(_)) => Some(Outcome::Added),
            (Some(_), None) => Some(Outcome::Removed),
            (Some(before), Some(after)) => (before != after).then_some(Outcome::Changed),
        }
    }
}

impl Tally {
    fn place(&mut self, outcome: Outcome) -> &mut usize {
        match outcome {
            Outcome::Added => &mut self.added,
            Outcome::Changed => &mut self.changed,
            Outcome::Removed => &mut self.removed,
        }
    }
}

impl Edits {
    /// What became of the objects that differ, of those that may.
    pub fn of(before: &Table, after: &Table, mut keys: Vec<ObjectKey>) -> Edits {
        keys.sort_unstable();
        keys.dedup();
        let mut tally = Tally::default();
        keys.retain(|key| {
            let outcome = Outcome::of(before, after, key);
            outcome.map(|outcome| *tally.place(outcome) += 1).is_some()
        });
        Edits { keys, tally, before: before.clone(), after: after.clone() }
    }

    /// The same from another table before: these objects of it differ from the former one's. Costs
    /// a look at each of them.
    pub fn from(self, before: &Table, differing: Vec<ObjectKey>) -> Edits {
        let Edits { mut keys, mut tally, before: former, after } = self;
        let (mut come, mut gone) = (Vec::new(), BTreeSet::new());
        for key in differing {
            let was = Outcome::of(&former, &after, &key);
            let is = Outcome::of(before, &after, &key);
            if let Some(was) = was {
                *tally.place(was) -= 1;
            }
            if let Some(is) = is {
                *tally.place(is) += 1;
            }
            match (was, is) {
                (None, Some(_)) => come.push(key),
                (Some(_), None) => drop(gone.insert(key)),
                _ => {}
            }
        }
        if !gone.is_empty() {
            keys.retain(|key| !gone.contains(key));
        }
        if !come.is_empty() {
            keys.extend(come);
            // Two sorted runs, all but: a stable sort merges them.
            keys.sort();
        }
        Edits { keys, tally, before: before.clone(), after }
    }

    /// How many objects were edited.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Was none?
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The objects.
    pub fn keys(&self) -> &[ObjectKey] {
        &self.keys
    }

    /// Was this one of them?
    pub fn contains(&self, key: &ObjectKey) -> bool {
        self.keys.binary_search(key).is_ok()
    }

    /// How many of them came, changed and went.
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// What became of each.
    pub(super) fn iter(&self) -> impl Iterator<Item = Edit<'_>> {
        self.keys.iter().map(|key| {
            let standing =
                |value: Value<'_>| Standing { app: value.app(key), body: value.encode() };
            Edit { key, stands: Value::of(&self.after, key).map(standing) }
        })
    }
}
