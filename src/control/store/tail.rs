//! What changed between a snapshot and the newest revision, and how both make the newest table.
//!
//! Invariants: an object that changed is taken from the tail alone, one that did not from the
//! snapshot alone; apps are put before what belongs to them.

use std::collections::HashMap;

use rusqlite::{Connection, params};

use super::{
    object::{self, Kind},
    snapshot::{Reading, Unusable},
    sqlite::number,
};
use crate::route::{Revision, Table};

/// What changed since a snapshot: by kind, what each object is now, none if it is gone.
pub struct Tail([HashMap<String, Option<String>>; Kind::ALL.len()]);

impl Tail {
    /// Reads what changed after a revision.
    pub fn read(connection: &Connection, since: Revision) -> rusqlite::Result<Tail> {
        let mut tail = Tail(Default::default());
        for kind in Kind::ALL {
            // What stands now comes second, over what ended.
            for sql in [
                "SELECT key, NULL FROM past INDEXED BY past_to WHERE to_rev > ?2 AND kind = ?1",
                "SELECT key, body FROM objects INDEXED BY objects_from
                 WHERE from_rev > ?2 AND kind = ?1",
            ] {
                let mut query = connection.prepare(sql)?;
                let mut rows = query.query(params![kind.as_str(), number(since)])?;
                while let Some(row) = rows.next()? {
                    tail.0[kind as usize].insert(row.get(0)?, row.get(1)?);
                }
            }
        }
        Ok(tail)
    }

    /// The snapshot's table with these changes. Objects that changed are taken from here alone, so
    /// that everything is put once and nothing has to be removed again.
    pub fn merge(&self, reading: Reading, seed: u64) -> Result<Table, Unusable> {
        let mut table = Table::new(seed);
        self.put(Kind::App, &mut table)?;
        reading.read(|kind, key, body| {
            if self.0[kind as usize].contains_key(key) {
                return Ok(());
            }
            object::insert(&mut table, kind, key, body)
        })?;
        self.put(Kind::Certificate, &mut table)?;
        self.put(Kind::Dyno, &mut table)?;
        self.put(Kind::Route, &mut table)?;
        Ok(table)
    }

    fn put(&self, kind: Kind, table: &mut Table) -> Result<(), Unusable> {
        for (key, body) in &self.0[kind as usize] {
            if let Some(body) = body {
                object::insert(table, kind, key, body).map_err(Unusable::Damaged)?;
            }
        }
        Ok(())
    }
}
