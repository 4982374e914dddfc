//! What is older than the retention is forgotten, in small steps.
//!
//! The oldest revision that is kept is the first that has a row in `transactions`; everything from
//! it on can be asked. A step first takes rows off the beginning of `transactions`, and then off
//! that of `edits`, up to the first edit of the new beginning.
//! Invariants: both are one SQLite transaction, so that whoever finds the beginning at or before a
//! revision after reading has read all of it; the newest revision is never taken; a step takes at
//! most so many rows of each.

use rusqlite::{Connection, TransactionBehavior, params};

use super::{error::StoreError, sqlite::Store};
use crate::route::Revision;

/// How many rows a step between two groups of pushes takes of each table.
const STEP: usize = 256;
/// How many rows a commit takes beyond twice the objects that it edits.
pub(super) const PRUNE: usize = 16;

/// The oldest revision that is kept: 0 where nothing was ever forgotten.
pub(super) fn oldest(connection: &Connection) -> rusqlite::Result<Revision> {
    let sql = "SELECT coalesce(min(revision), 0) FROM transactions";
    let mut query = connection.prepare_cached(sql)?;
    let first = query.query_row([], |row| row.get::<_, i64>(0))?;
    // The table before the first revision is the empty one.
    Ok(Revision(if first <= 1 { 0 } else { first.cast_unsigned() }))
}

/// Forgets what no table from `cutoff_ms` on needs, at most `room` rows of each table. Answers how
/// many rows went.
pub(super) fn step(
    connection: &Connection,
    cutoff_ms: u64,
    room: usize,
) -> rusqlite::Result<usize> {
    let cutoff_ms = i64::try_from(cutoff_ms).unwrap_or(i64::MAX);
    let mut first_rows = connection
        .prepare_cached("SELECT revision, at_ms FROM transactions ORDER BY revision LIMIT ?1")?;
    let mut rows = first_rows.query([room as i64 + 1])?;
    let mut bounds = None;
    while let Some(row) = rows.next()? {
        let (revision, at_ms) = (row.get::<_, i64>(0)?, row.get::<_, i64>(1)?);
        if at_ms > cutoff_ms {
            break;
        }
        bounds = Some((bounds.map_or(revision, |(first, _)| first), revision));
    }
    drop(rows);
    // The last of them is what the table was at that time.
    let Some((_, oldest)) = bounds else { return Ok(0) };
    let mut forget = connection.prepare_cached("DELETE FROM transactions WHERE revision < ?1")?;
    let forgotten = forget.execute([oldest])?;
    Ok(forgotten + forget_edits(connection, room)?)
}

/// Forgets edits that no revision that is kept needs, and what was gone with them.
fn forget_edits(connection: &Connection, room: usize) -> rusqlite::Result<usize> {
    let (first, beyond): (Option<i64>, i64) = connection
        .prepare_cached(&format!("SELECT (SELECT min(id) FROM edits), ({BEYOND})"))?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let Some(first) = first else { return Ok(0) };
    let last = beyond.min(first.saturating_add(room as i64 - 1));
    let mut removed = connection
        .prepare_cached("SELECT kind, key, to_rev FROM edits WHERE id <= ?1 AND removed")?;
    let mut gone = connection.prepare_cached(
        "DELETE FROM objects WHERE kind = ?1 AND key = ?2 AND from_rev = ?3 AND body IS NULL",
    )?;
    let mut removed = removed.query([last])?;
    while let Some(row) = removed.next()? {
        let (kind, key) = (row.get_ref(0)?.as_str()?, row.get_ref(1)?.as_str()?);
        gone.execute(params![kind, key, row.get::<_, i64>(2)?])?;
    }
    connection.prepare_cached("DELETE FROM edits WHERE id <= ?1")?.execute([last])
}

/// The last edit that no revision needs: what ended with the oldest belongs to its history.
const BEYOND: &str = "SELECT coalesce((SELECT last_edit - changes FROM transactions
                                       ORDER BY revision LIMIT 1), 0)";

impl Store {
    /// The oldest revision that is kept; 0 where nothing was ever forgotten.
    pub fn oldest(&self) -> Revision {
        self.oldest
    }

    /// From now on what no table from that time on needs is forgotten, a few rows with each commit
    /// and a step with each [`Store::prune`]; 0: nothing is.
    pub fn keep_since(&mut self, cutoff_ms: u64) {
        self.cutoff_ms = cutoff_ms;
    }

    /// Forgets some of what is too old. Answers whether there is more.
    pub fn prune(&mut self) -> Result<bool, StoreError> {
        let cutoff_ms = self.cutoff_ms;
        let pruned = self.write(|connection| {
            // Looked at first, so that an idle store writes nothing.
            if step_is_due(connection, cutoff_ms)? {
                let behavior = TransactionBehavior::Immediate;
                let transaction = connection.transaction_with_behavior(behavior)?;
                let pruned = step(&transaction, cutoff_ms, STEP)?;
                let oldest = oldest(&transaction)?;
                transaction.commit()?;
                return Ok(Some((pruned, oldest)));
            }
            Ok(None)
        })?;
        let Some((pruned, oldest)) = pruned else { return Ok(false) };
        self.oldest = oldest;
        self.snapshots.write_if_due(self.revision, oldest);
        Ok(pruned > 0)
    }
}

fn step_is_due(connection: &Connection, cutoff_ms: u64) -> rusqlite::Result<bool> {
    if cutoff_ms == 0 {
        return Ok(false);
    }
    let sql = "SELECT count(*) > 1 FROM
               (SELECT at_ms FROM transactions ORDER BY revision LIMIT 2) WHERE at_ms <= ?1";
    let cutoff_ms = i64::try_from(cutoff_ms).unwrap_or(i64::MAX);
    let transactions = connection.prepare_cached(sql)?.query_row([cutoff_ms], |row| row.get(0))?;
    if transactions {
        return Ok(true);
    }
    let sql = format!("SELECT EXISTS (SELECT 1 FROM edits WHERE id <= ({BEYOND}))");
    connection.prepare_cached(&sql)?.query_row([], |row| row.get(0))
}
