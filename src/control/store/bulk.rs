//! Commits that change a large part of the table.
//!
//! The entries of the index from an app to its routes come in no order, each into a page of its
//! own: those of 1.3 million objects take 10 s one by one and 2 s sorted, so that it is made anew
//! behind such a commit.
//! Invariant: within the transaction of the commit; whoever reads meanwhile has the index.

use rusqlite::Transaction;

use super::{schema::OBJECTS_ROUTE, sqlite::Committed};
use crate::route::Counts;

/// The fewest edits that are a large part.
const LEAST: usize = 50_000;
/// What part of what the table then holds they are at least.
const PART: usize = 4;

/// Is one of them a large part of its table?
pub fn is_bulk(batch: &[Committed]) -> bool {
    batch.iter().any(|committed| {
        let Counts { apps, routes, dynos, certificates } = committed.counts;
        committed.edits.len() >= LEAST.max((apps + routes + dynos + certificates) / PART)
    })
}

/// Writes a batch by `write`, without the index if it is large.
pub fn indexed_behind(
    transaction: &Transaction<'_>,
    batch: &[Committed],
    write: impl FnOnce() -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    let is_bulk = is_bulk(batch);
    if is_bulk {
        transaction.execute_batch("DROP INDEX objects_route")?;
    }
    write()?;
    if is_bulk {
        transaction.execute_batch(OBJECTS_ROUTE)?;
    }
    Ok(())
}
