//! When an object last changed, for whoever reads it.
//!
//! Invariants: a connection of its own, beside the writer, so that no read waits for a commit; the
//! answer is as of a revision that the caller names, which is that of the table that it shows: a
//! change that is durable and not shown yet is not told either.

use std::sync::{Mutex, PoisonError};

use rusqlite::{OptionalExtension, params};

use super::{
    archive::{Archive, View},
    error::StoreError,
    object::ObjectKey,
    sqlite::{Store, number},
};
use crate::route::Revision;

/// Tells when objects last changed.
#[derive(Debug)]
pub struct Versions {
    archive: Archive,
    /// Opened when it is first needed, and anew after an error.
    view: Mutex<Option<View>>,
}

impl Versions {
    /// The revision that made an object what it was at the revision `at`; none if it was not there,
    /// or that is no longer kept.
    pub fn of(&self, object: &ObjectKey, at: Revision) -> Result<Option<Revision>, StoreError> {
        let sql = "SELECT from_rev FROM objects WHERE kind = ?1 AND key = ?2 AND from_rev <= ?3
                   UNION ALL
                   SELECT from_rev FROM past
                   WHERE kind = ?1 AND key = ?2 AND to_rev > ?3 AND from_rev <= ?3";
        // What a panic left behind is a connection between two queries.
        let mut kept = self.view.lock().unwrap_or_else(PoisonError::into_inner);
        let view = match kept.take() {
            Some(view) => view,
            None => self.archive.open()?,
        };
        let found = view.connection.prepare_cached(sql).and_then(|mut query| {
            let object = params![object.kind().as_str(), object.text(), number(at)];
            query.query_row(object, |row| row.get::<_, i64>(0)).optional()
        });
        let found = found.map_err(StoreError::sqlite(view.path()))?;
        *kept = Some(view).filter(|_| self.archive.lets_views_be_kept());
        Ok(found.map(|revision| Revision(revision.cast_unsigned())))
    }
}

impl Store {
    /// Looks at when objects last changed.
    pub fn versions(&self) -> Versions {
        Versions { archive: self.archive(), view: Mutex::new(None) }
    }
}
