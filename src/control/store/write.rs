//! How transactions are written to the database.
//!
//! Invariants: all of a batch in one SQLite transaction, or nothing; a version that ends moves from
//! `objects` to `past` with the revision that ended it; an object that changes stays in its place,
//! so that no index is touched but those of revisions.

use rusqlite::{Connection, Transaction, TransactionBehavior, params};

use super::{
    answers::{self, Answers},
    bulk,
    edits::{Edit, Standing},
    keys,
    prune::{self, PRUNE},
    sqlite::{Committed, number},
};
use crate::{
    control::priority::Pieces,
    route::{AppName, Counts, Revision},
};

/// Answers how many answers are kept then, and the oldest revision that is.
pub(super) fn write_batch(
    connection: &mut Connection,
    batch: &[Committed],
    new_answers: Answers<'_>,
    kept: usize,
    cutoff_ms: u64,
) -> rusqlite::Result<(usize, Revision)> {
    // Dropped on an error, the transaction rolls itself back.
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let kept = answers::write(&transaction, new_answers, kept)?;
    keys::overwritten(&transaction, batch, || {
        bulk::indexed_behind(&transaction, batch, || write_edits(&transaction, batch))
    })?;
    if cutoff_ms > 0 {
        let edits: usize = batch.iter().map(|committed| committed.edits.len()).sum();
        prune::step(&transaction, cutoff_ms, 2 * edits + PRUNE)?;
    }
    let oldest = prune::oldest(&transaction)?;
    transaction.commit()?;
    Ok((kept, oldest))
}

/// Notes transactions, and what they did to each object.
fn write_edits(transaction: &Transaction<'_>, batch: &[Committed]) -> rusqlite::Result<()> {
    let mut note = transaction.prepare_cached(
        "INSERT INTO transactions
             (revision, at_ms, author, reason, changes, digest, apps, routes, dynos, address,
              forced, certs)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
    )?;
    // After an error all is rolled back: OR FAIL saves what would undo the one statement.
    let mut retire = transaction.prepare_cached(
        "INSERT OR FAIL INTO past (kind, key, from_rev, to_rev, body, app)
         SELECT kind, key, from_rev, ?3,
             CASE kind WHEN 'cert' THEN json_remove(body, '$.key', '$.sealed') ELSE body END, app
         FROM objects WHERE kind = ?1 AND key = ?2",
    )?;
    let mut change = transaction.prepare_cached(
        "UPDATE OR FAIL objects SET from_rev = ?3, body = ?4, app = ?5
         WHERE kind = ?1 AND key = ?2",
    )?;
    let mut add = transaction.prepare_cached(
        "INSERT OR FAIL INTO objects (kind, key, from_rev, body, app)
         VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    let mut remove =
        transaction.prepare_cached("DELETE FROM objects WHERE kind = ?1 AND key = ?2")?;
    let mut pieces = Pieces::begin();
    for committed in batch {
        let revision = number(committed.revision);
        let Counts { apps, routes, dynos, certificates } = committed.counts;
        note.execute(params![
            revision,
            i64::try_from(committed.at_ms).unwrap_or(i64::MAX),
            committed.author,
            committed.reason,
            committed.edits.len() as i64,
            committed.digest.to_bytes(),
            apps as i64,
            routes as i64,
            dynos as i64,
            committed.address,
            committed.forced,
            certificates as i64
        ])?;
        for Edit { key, stood, stands } in committed.edits.iter() {
            pieces.pause();
            let (kind, key) = (key.kind().as_str(), key.text());
            if stood {
                retire.execute(params![kind, key, revision])?;
            }
            match stands {
                Some(Standing { app, body }) => {
                    let put = if stood { &mut change } else { &mut add };
                    let app = app.as_ref().map_or("", AppName::as_str);
                    put.execute(params![kind, key, revision, body, app])?
                }
                None => remove.execute(params![kind, key])?,
            };
        }
    }
    Ok(())
}
