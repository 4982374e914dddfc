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
mod bulk;
mod certificate;
mod chain;
mod diff;
mod edits;
mod error;
mod files;
mod history;
mod keys;
mod load;
mod lock;
mod migrate;
mod object;
mod past;
mod prune;
mod recent;
mod schema;
mod seal;
mod snapshot;
mod sqlite;
mod start;
mod tail;
#[cfg(test)]
mod tests;
mod tokens;
mod upkeep;
mod verify;
mod versions;
mod wal;
mod write;

pub use answers::{Answered, Answers};
pub use archive::{Archive, At, Cursor, Page, Point, View};
pub use diff::{Difference, Differences};
pub use edits::{Edits, Tally, edits_between, touch};
pub use error::StoreError;
pub use history::Filter;
pub use object::{ObjectKey, belongings};
pub use past::Past;
pub use recent::Recent;
pub use seal::StoreKey;
pub use snapshot::SNAPSHOT_EVERY;
pub use sqlite::{Committed, Store};
pub use tokens::{Deed, Doer, TokenRow};
pub use upkeep::{Compacted, Replaced, backup, compact, recover, restore};
pub use verify::{Verdict, verify, verify_dir};
pub use versions::Versions;
