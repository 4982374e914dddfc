//! When an object last changed, for whoever reads it.
//!
//! Invariants: a connection of its own, beside the writer, so that no read waits for a commit; the
//! answer is as of a revision that the caller names, which is that of the table that it shows: a
//! change that is durable and not shown yet is not told either.

use std::sync::{Mutex, PoisonError};

use super::{
    archive::{Archive, View},
    chain::AsOf,
    error::StoreError,
    object::ObjectKey,
    sqlite::Store,
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
        // What a panic left behind is a connection between two queries.
        let mut kept = self.view.lock().unwrap_or_else(PoisonError::into_inner);
        let view = match kept.take() {
            Some(view) => view,
            None => self.archive.open()?,
        };
        let found = AsOf::of(&view.connection, at)
            .and_then(|mut as_of| as_of.object(object.kind(), &object.text()));
        let found = found.map_err(StoreError::sqlite(view.path()))?;
        let is_kept = at >= view.oldest()?;
        *kept = Some(view).filter(|_| self.archive.lets_views_be_kept());
        Ok(found.filter(|_| is_kept).map(|stood| stood.from))
    }
}

impl Store {
    /// Looks at when objects last changed.
    pub fn versions(&self) -> Versions {
        Versions { archive: self.archive(), view: Mutex::new(None) }
    }
}
