//! What changed between a snapshot and the newest revision, and how both make the newest table.
//!
//! Invariants: an object that changed is taken from the tail alone, one that did not from the
//! snapshot alone; apps are put before what belongs to them.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension};

use super::{
    chain::last_edit,
    load::{Objects, load},
    object::Kind,
    snapshot::{Reading, Unusable},
    sqlite::number,
};
use crate::route::{Revision, Table};

/// What was edited behind the edit ?1, as it is now.
const EDITED: &str = "
    SELECT kind, key, body FROM objects
    JOIN (SELECT DISTINCT kind, key FROM edits WHERE id > ?1) USING (kind, key)";
/// What was edited behind the revision ?1, by a look at all that there is.
const ALL: &str = "SELECT kind, key, body FROM objects WHERE from_rev > ?1";
/// Is so much edited behind the edit ?1 that a look at everything is the shorter way?
const IS_LARGE: &str = "
    SELECT 8 * (last_edit - ?1) > apps + routes + dynos + certs FROM transactions
    ORDER BY revision DESC LIMIT 1";

/// What changed since a snapshot: by kind, what each object is now, none if it is gone.
pub struct Tail([HashMap<String, Option<String>>; Kind::ALL.len()]);

impl Tail {
    /// Reads what changed after a revision.
    pub fn read(connection: &Connection, since: Revision) -> rusqlite::Result<Tail> {
        let mut tail = Tail(Default::default());
        let last = last_edit(connection, since)?;
        let is_large = connection.query_row(IS_LARGE, [last], |row| row.get(0)).optional()?;
        let is_large = is_large.unwrap_or(false);
        let mut query = connection.prepare(if is_large { ALL } else { EDITED })?;
        let mut rows = query.query([if is_large { number(since) } else { last }])?;
        while let Some(row) = rows.next()? {
            if let Some(kind) = Kind::parse(row.get_ref(0)?.as_str()?) {
                tail.0[kind as usize].insert(row.get(1)?, row.get(2)?);
            }
        }
        Ok(tail)
    }

    /// The snapshot's table with these changes. Objects that changed are taken from here alone, so
    /// that everything is put once and nothing has to be removed again.
    pub fn merge(&self, reading: Reading, seed: u64) -> Result<Table, Unusable> {
        let read = |objects: &mut Objects| {
            self.put(Kind::App, objects)?;
            reading.read(|kind, key, body| match self.0[kind as usize].contains_key(key) {
                true => Ok(()),
                false => objects.take(kind, key, body),
            })?;
            self.put(Kind::Certificate, objects)?;
            self.put(Kind::Dyno, objects)?;
            self.put(Kind::Route, objects)
        };
        load(seed, read, Unusable::Damaged)
    }

    fn put(&self, kind: Kind, objects: &mut Objects) -> Result<(), Unusable> {
        for (key, body) in &self.0[kind as usize] {
            if let Some(body) = body {
                objects.take(kind, key, body).map_err(Unusable::Damaged)?;
            }
        }
        Ok(())
    }
}
