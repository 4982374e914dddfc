//! A table that is made at once of all its objects, as at a start.
//!
//! Objects come in pieces, which are digested where they are read; who builds may be another
//! thread. Routes, of which there are the most, are gathered and put at the end: one by one each
//! would copy the leaf in which it comes to stand.
//! Invariants: the outcome is what [`Table::apply`] makes of the same objects, each of which comes
//! once; the app of a dyno or a route comes before it.

use std::collections::HashMap;

use foldhash::fast::FixedState;

use super::{Conflict, Digest, Object, Owned, Slot, Table, Trie};
use crate::route::{
    AppName, Change,
    routes::gather::{Gathered, Refused},
};

/// Some objects of a table, in order.
#[derive(Debug, Default)]
pub struct Piece {
    changes: Vec<Change>,
    /// What the routes among them add to the digest of the table.
    routes: Digest,
}

/// A table that is being made.
pub struct Builder {
    table: Table,
    slots: HashMap<AppName, Slot, FixedState>,
    gathered: Gathered,
}

impl Piece {
    /// Adds the object that a change puts.
    pub fn push(&mut self, change: Change) {
        if let (Change::PutRoute(..), Some(route)) = (&change, Object::put_by(&change)) {
            self.routes.add(route.digest());
        }
        self.changes.push(change);
    }

    /// How many objects it has.
    pub fn len(&self) -> usize {
        self.changes.len()
    }

    /// Has it none?
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }
}

impl Builder {
    /// Begins a table whose hashes are keyed with `seed`, which nobody outside may know.
    pub fn new(seed: u64) -> Builder {
        let slots = HashMap::with_hasher(FixedState::with_seed(seed));
        Builder { table: Table::new(seed), slots, gathered: Gathered::default() }
    }

    /// Adds objects.
    pub fn put(&mut self, piece: Piece) -> Result<(), Conflict> {
        self.table.digest.add(piece.routes);
        for change in piece.changes {
            match change {
                Change::PutRoute(key, app, settings) => {
                    let Some(slot) = self.slots.get(app.as_str()) else {
                        return Err(Conflict::NoSuchApp(app));
                    };
                    self.gathered.add(&self.table.routes, key, *slot, settings);
                }
                change => {
                    self.table.apply(&change)?;
                    if let Change::PutApp(name, _) = change {
                        let slot = self.table.existing(&name)?;
                        self.slots.insert(name, slot);
                    }
                }
            }
        }
        Ok(())
    }

    /// The table of all that came.
    pub fn finish(self) -> Result<Table, Conflict> {
        let Builder { mut table, gathered, slots } = self;
        drop(slots);
        let mut owned = Vec::with_capacity(gathered.len());
        let filled = table.routes.fill(gathered, |slot, hash| owned.push((slot, hash)));
        filled.map_err(|refused| match refused {
            Refused::HostFull(host) => Conflict::HostFull(host),
            Refused::Twice(key, slot) => {
                Conflict::RouteTaken { key, owner: table.at(slot).name.clone() }
            }
        })?;
        table.counts.routes = owned.len();
        owned.sort_unstable();
        let mut hosts = Vec::new();
        for of_app in owned.chunk_by(|one, other| one.0 == other.0) {
            let (slot, routes) = (of_app[0].0, of_app.len());
            hosts.clear();
            hosts.extend(of_app.iter().map(|(_, hash)| *hash));
            hosts.dedup();
            table.owned.set(slot, Some(Owned { hosts: Trie::of_sorted(&hosts), routes }));
        }
        Ok(table)
    }
}
