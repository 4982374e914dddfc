//! The store: where revisions are kept for good.
//!
//! [`Store`] is the embedded one, a SQLite database in the data directory. It keeps every accepted
//! transaction and every version of every object, so that the table as of any revision is a
//! look-up; and beside the table the tokens, and what writes with a key were answered.
//!
//! Invariants: what [`Store::commit`] accepted survives a crash; a batch is durable whole or not at
//! all; one process at a time holds a data directory; nothing of SQL is seen outside of this
//! folder.

mod answers;
mod archive;
mod diff;
mod error;
mod lock;
mod migrate;
mod object;
mod schema;
mod snapshot;
mod sqlite;
mod tail;
#[cfg(test)]
mod tests;
mod tokens;
mod versions;

pub use answers::{Answered, Answers};
pub use archive::{Archive, At, Cursor, Filter, Page, Point, View};
pub use diff::{Difference, Differences};
pub use error::StoreError;
pub use object::{Edit, ObjectKey, belongings, edits_between};
pub use snapshot::SNAPSHOT_EVERY;
pub use sqlite::{Committed, Store};
pub use tokens::TokenRow;
pub use versions::Versions;
