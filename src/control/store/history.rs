//! Which transactions there were.
//!
//! Those of one app are found by the edits of what it has and had, each of which leads to the one
//! before it: the newest of them is looked at first, and only as many as are told.
//! Invariants: newest first, each once; as far back as they are kept.

use std::collections::BinaryHeap;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{
    archive::{At, View, digest_of},
    chain::last_edit,
    error::StoreError,
    schema::{OWN, REVISIONS_OF_ROUTES},
    sqlite::number,
};
use crate::{api::HistoryEntry, route::Revision};

/// Which transactions to tell of.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    /// Those that changed this app, its routes or its dynos.
    pub app: Option<String>,
    /// Those of this author: the name of a token.
    pub author: Option<String>,
    /// Those from then on.
    pub since: Option<At>,
    /// Those up to then.
    pub until: Option<At>,
    /// Those before this revision.
    pub before: Option<u64>,
    /// At most so many.
    pub limit: usize,
}

/// What is told of transactions, for [`entry_of`].
const EVERY: &str = "
    SELECT revision, at_ms, author, reason, changes, digest, address, forced,
        revision > 1 AND revision = (SELECT min(revision) FROM transactions)
    FROM transactions";

impl View {
    /// The transactions that a filter lets through, newest first, as far back as they are kept;
    /// it is an error if none that it could mean is.
    pub fn history(&self, filter: &Filter) -> Result<Vec<HistoryEntry>, StoreError> {
        let newest = self.newest()?;
        let first = match filter.since {
            None => 0,
            Some(At::Revision(revision)) => revision,
            Some(At::Time(0)) => 0,
            Some(At::Time(time)) => match self.revision_at(At::Time(time - 1)) {
                Ok(before) => before.next().0,
                Err(StoreError::NotKept { oldest, .. }) => oldest,
                Err(error) => return Err(error),
            },
        };
        let last = match filter.until {
            None => newest.0,
            Some(At::Revision(revision)) => revision,
            Some(at) => self.revision_at(at)?.0,
        };
        let last = filter.before.map_or(last, |before| last.min(before.saturating_sub(1)));
        let is_bounded = filter.until.is_some() || filter.before.is_some();
        if is_bounded {
            self.check_kept(Revision(last))?;
        }
        let (first, last) = (Revision(first), Revision(last.min(newest.0)));
        let told = match &filter.app {
            None => self.all_between(first, last, filter),
            Some(app) => self.of_app_between(app, first, last, filter),
        };
        told.map_err(StoreError::sqlite(&self.path))
    }

    fn all_between(
        &self,
        first: Revision,
        last: Revision,
        filter: &Filter,
    ) -> rusqlite::Result<Vec<HistoryEntry>> {
        let sql = format!(
            "{EVERY} WHERE revision >= ?1 AND revision <= ?2 AND (?3 IS NULL OR author = ?3)
             ORDER BY revision DESC LIMIT ?4"
        );
        let mut query = self.connection.prepare_cached(&sql)?;
        let limit = filter.limit.min(u32::MAX as usize) as i64;
        let bounds = params![number(first), number(last), filter.author, limit];
        query.query_map(bounds, entry_of)?.collect()
    }

    fn of_app_between(
        &self,
        app: &str,
        first: Revision,
        last: Revision,
        filter: &Filter,
    ) -> rusqlite::Result<Vec<HistoryEntry>> {
        let sql = format!("{EVERY} WHERE revision = ?1 AND (?2 IS NULL OR author = ?2)");
        let mut query = self.connection.prepare_cached(&sql)?;
        let mut changes = Changes::of(&self.connection, app, first, last)?;
        let mut entries = Vec::new();
        while entries.len() < filter.limit
            && let Some(revision) = changes.next()?
        {
            entries.extend(query.query_row(params![revision, filter.author], entry_of).optional()?);
        }
        Ok(entries)
    }
}

fn entry_of(row: &Row<'_>) -> rusqlite::Result<HistoryEntry> {
    Ok(HistoryEntry {
        revision: row.get::<_, i64>(0)?.cast_unsigned(),
        begins: row.get(8)?,
        at_ms: row.get::<_, i64>(1)?.cast_unsigned(),
        author: row.get(2)?,
        address: row.get(6)?,
        reason: row.get(3)?,
        changes: row.get::<_, i64>(4)?.cast_unsigned(),
        digest: digest_of(row, 5)?.to_string(),
        forced: row.get(7)?,
    })
}

/// The revisions that changed an app, its dynos or its routes, newest first.
struct Changes<'a> {
    connection: &'a Connection,
    first: i64,
    /// The newest that is not told yet of each object, with the edit before it; 0: none.
    heads: BinaryHeap<(i64, i64)>,
    told: i64,
}

impl<'a> Changes<'a> {
    /// Those from one revision to another.
    fn of(
        connection: &'a Connection,
        app: &str,
        first: Revision,
        last: Revision,
    ) -> rusqlite::Result<Changes<'a>> {
        let told = number(last).saturating_add(1);
        let mut changes =
            Changes { connection, first: number(first), heads: BinaryHeap::new(), told };
        let bound = last_edit(connection, last)?;
        let mut own = connection.prepare_cached(OWN)?;
        let mut own = own.query([app])?;
        while let Some(row) = own.next()? {
            changes.put(row.get(4)?, bound)?;
        }
        // Routes come and go with other apps: what says whose they were is looked at instead.
        let mut routes = connection.prepare_cached(REVISIONS_OF_ROUTES)?;
        let before = last_edit(connection, Revision(first.0.saturating_sub(1)))?;
        let mut routes = routes.query(params![app, changes.first, number(last), before])?;
        while let Some(row) = routes.next()? {
            changes.heads.push((row.get(0)?, 0));
        }
        Ok(changes)
    }

    /// Takes an object by one of its edits, from the newest up to `bound` on.
    fn put(&mut self, mut id: i64, bound: i64) -> rusqlite::Result<()> {
        let sql = "SELECT to_rev, before, leap FROM edits WHERE id = ?1";
        let mut edit = self.connection.prepare_cached(sql)?;
        while id > 0 {
            let found = edit.query_row([id], |row| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?))
            });
            let Some((revision, before, leap)) = found.optional()? else { break };
            if id <= bound {
                if revision >= self.first {
                    self.heads.push((revision, before));
                }
                break;
            }
            let next = if leap >= bound { leap } else { before };
            id = if next < id { next } else { 0 };
        }
        Ok(())
    }

    fn next(&mut self) -> rusqlite::Result<Option<i64>> {
        while let Some((revision, before)) = self.heads.pop() {
            self.put(before, i64::MAX)?;
            if revision < self.told {
                self.told = revision;
                return Ok(Some(revision));
            }
        }
        Ok(None)
    }
}
