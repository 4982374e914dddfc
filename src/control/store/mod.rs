//! The store: where revisions are kept for good.
//!
//! [`Store`] is the embedded one, a SQLite database in the data directory. It keeps every accepted
//! transaction and every version of every object, so that the table as of any revision is a
//! look-up.
//!
//! Invariants: what [`Store::commit`] accepted survives a crash; a batch is durable whole or not at
//! all; one process at a time holds a data directory; nothing of SQL is seen outside of this
//! folder.

mod error;
mod lock;
mod object;
mod schema;
mod snapshot;
mod sqlite;
mod tail;
#[cfg(test)]
mod tests;

pub use error::StoreError;
pub use object::{Edit, ObjectKey, belongings, edits_between};
pub use snapshot::SNAPSHOT_EVERY;
pub use sqlite::{Committed, Store};
