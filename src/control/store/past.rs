//! One transaction of the past, with what it did to each object.
//!
//! Invariants: an object that it put is there as it left it, one that it removed by its name; a
//! transaction of which something is no longer kept is none.

use rusqlite::params;

use super::{
    archive::View,
    chain::{AsOf, last_edit},
    error::StoreError,
    object::ObjectKey,
};
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
        let at = Revision(entry.revision);
        let failed = StoreError::sqlite(self.path());
        let mut as_of = AsOf::of(&self.connection, at).map_err(&failed)?;
        let last = last_edit(&self.connection, at).map_err(&failed)?;
        let first = last.saturating_sub(i64::try_from(entry.changes).unwrap_or(i64::MAX));
        let sql = "SELECT kind, key, removed, body FROM edits WHERE id > ?1 AND id <= ?2";
        let mut query = self.connection.prepare_cached(sql).map_err(&failed)?;
        let mut rows = query.query(params![first, last]).map_err(&failed)?;
        let (mut put, mut removed) = (Vec::new(), Vec::new());
        while let Some(row) = rows.next().map_err(&failed)? {
            let text = |i| row.get_ref(i)?.as_str().map_err(rusqlite::Error::from);
            let kind = self.kind(text(0).map_err(&failed)?)?;
            let key = text(1).map_err(&failed)?;
            if row.get(2).map_err(&failed)? {
                let ended = self.decoded(kind, key, text(3).map_err(&failed)?)?;
                removed.extend(ObjectKey::of(&ended));
            } else if let Some(stood) = as_of.object(kind, key).map_err(&failed)? {
                put.push(self.decoded(kind, key, &stood.body)?);
            }
        }
        removed.sort_unstable();
        put.sort_by_cached_key(ObjectKey::of);
        let is_whole = entry.changes == (put.len() + removed.len()) as u64;
        Ok(is_whole.then_some(Past { entry, removed, put }))
    }
}
