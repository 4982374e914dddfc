//! One transaction of the past, with what it did to each object.
//!
//! Invariants: an object that it put is there as it left it, one that it removed by its name; a
//! transaction of which something is no longer kept is none.

use std::collections::HashSet;

use rusqlite::params;

use super::{archive::View, error::StoreError, object::ObjectKey, sqlite::number};
use crate::{
    api::HistoryEntry,
    route::{Change, Revision},
};

/// One transaction of the past.
#[derive(Debug, Clone)]
pub struct Past {
    /// What the history tells of it.
    pub entry: HistoryEntry,
    /// The objects that went, sorted.
    pub removed: Vec<ObjectKey>,
    /// What puts those that came or changed: apps, dynos, routes, sorted.
    pub put: Vec<Change>,
}

impl View {
    /// What a transaction of the history did; none if not all of it is kept.
    pub fn transaction(&self, entry: HistoryEntry) -> Result<Option<Past>, StoreError> {
        const PUT: &str = "
            SELECT kind, key, body FROM objects INDEXED BY objects_from WHERE from_rev = ?1
            UNION ALL SELECT kind, key, body FROM past INDEXED BY past_from WHERE from_rev = ?1";
        const ENDED: &str = "
            SELECT kind, key, body FROM past INDEXED BY past_to WHERE to_rev = ?1";
        let mut put = self.versions(PUT, entry.revision)?;
        let ended = self.versions(ENDED, entry.revision)?;
        let put_keys: HashSet<_> = put.iter().filter_map(ObjectKey::of).collect();
        let mut removed: Vec<_> = ended.iter().filter_map(ObjectKey::of).collect();
        removed.retain(|key| !put_keys.contains(key));
        removed.sort_unstable();
        put.sort_by_cached_key(ObjectKey::of);
        let is_whole = entry.changes == (put.len() + removed.len()) as u64;
        Ok(is_whole.then_some(Past { entry, removed, put }))
    }

    fn versions(&self, sql: &str, revision: u64) -> Result<Vec<Change>, StoreError> {
        let failed = StoreError::sqlite(self.path());
        let mut query = self.connection.prepare_cached(sql).map_err(&failed)?;
        let mut rows = query.query(params![number(Revision(revision))]).map_err(&failed)?;
        let mut versions = Vec::new();
        while let Some(row) = rows.next().map_err(&failed)? {
            let text = |i| row.get_ref(i)?.as_str().map_err(rusqlite::Error::from);
            let kind = self.kind(text(0).map_err(&failed)?)?;
            let (key, body) = (text(1).map_err(&failed)?, text(2).map_err(&failed)?);
            versions.push(self.decoded(kind, key, body)?);
        }
        Ok(versions)
    }
}
