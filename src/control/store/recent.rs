//! What was lost of late, for the guard that counts it, when a process begins.
//!
//! Invariants: what is looked at is bounded, from the newest back; nothing is told of a forced
//! transaction or of what was before it; a route that is in the table is not lost.

use std::collections::HashSet;

use rusqlite::params;

use super::{archive::View, chain::last_edit, error::StoreError, object, sqlite::number};
use crate::route::{Revision, RouteKey, Table};

/// The most transactions that are looked at, and the most routes that they removed.
const MOST: i64 = 100_000;
/// The most edits that are looked at for that.
const MOST_EDITS: i64 = 1_000_000;

/// What became of routes and dynos, in milliseconds since the Unix epoch.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Recent {
    /// Routes that were removed and are not back, each with when it was.
    pub lost: Vec<(RouteKey, u64)>,
    /// How many dynos there were, the oldest first, with when each number came; the first is what
    /// the time began with.
    pub dynos: Vec<(usize, u64)>,
}

impl View {
    /// What was lost since a time, up to the table as it stands.
    pub fn recent(&self, since_ms: u64, table: &Table) -> Result<Recent, StoreError> {
        let failed = StoreError::sqlite(self.path());
        let sql = "SELECT revision, at_ms, dynos, forced FROM transactions
                   WHERE revision <= ?1 ORDER BY revision DESC LIMIT ?2";
        let mut query = self.connection.prepare_cached(sql).map_err(&failed)?;
        let mut rows = query.query(params![number(table.revision()), MOST]).map_err(&failed)?;
        let (mut times, mut recent) = (Vec::new(), Recent::default());
        let mut begin = Revision::default();
        while let Some(row) = rows.next().map_err(&failed)? {
            let number = |i| row.get::<_, i64>(i).map(i64::cast_unsigned).map_err(&failed);
            let (revision, at_ms) = (Revision(number(0)?), number(1)?);
            recent.dynos.push((number(2)? as usize, at_ms));
            begin = revision;
            if at_ms < since_ms || number(3)? != 0 {
                break;
            }
            times.push((revision, at_ms));
        }
        if times.last().is_some_and(|(revision, _)| *revision == Revision(1)) {
            // Before the first revision there was nothing.
            recent.dynos.push((0, 0));
            begin = Revision(0);
        }
        recent.dynos.reverse();
        times.reverse();
        recent.lost = self.lost_since(begin, &times, table)?;
        Ok(recent)
    }

    fn lost_since(
        &self,
        begin: Revision,
        times: &[(Revision, u64)],
        table: &Table,
    ) -> Result<Vec<(RouteKey, u64)>, StoreError> {
        let failed = StoreError::sqlite(self.path());
        let sql = "SELECT key, to_rev FROM edits
                   WHERE id > ?1 AND id <= ?2 AND removed AND kind = 'route'
                   ORDER BY id DESC LIMIT ?3";
        let mut query = self.connection.prepare_cached(sql).map_err(&failed)?;
        let last = |revision| last_edit(&self.connection, revision).map_err(&failed);
        let newest = last(table.revision())?;
        let bounds = params![last(begin)?.max(newest - MOST_EDITS), newest, MOST];
        let mut rows = query.query(bounds).map_err(&failed)?;
        let (mut seen, mut lost) = (HashSet::new(), Vec::new());
        while let Some(row) = rows.next().map_err(&failed)? {
            let text = |i| row.get_ref(i)?.as_str().map_err(rusqlite::Error::from);
            let key = text(0).map_err(&failed)?;
            let damaged = |reason| StoreError::Damaged { path: self.path().to_owned(), reason };
            let key = object::route_key(key).map_err(damaged)?;
            let revision = Revision(row.get::<_, i64>(1).map_err(&failed)?.cast_unsigned());
            let at = times.binary_search_by_key(&revision, |(revision, _)| *revision);
            if let Ok(at) = at
                && table.route(&key).is_none()
                && seen.insert(key.clone())
            {
                lost.push((key, times[at].1));
            }
        }
        Ok(lost)
    }
}
