//! How transactions are written to the database.
//!
//! An edit is appended to `edits`, with what it ended, and the object is written over where it
//! stands: a page each, and no index but for routes. What would find an object's history by its key
//! came to three quarters of a commit.
//! Invariants: all of a batch in one SQLite transaction, or nothing; edits are numbered in the
//! order of revisions, and those of one revision follow each other.

use rusqlite::{
    CachedStatement, Connection, Transaction, TransactionBehavior, params,
    types::{ToSqlOutput, ValueRef},
};

use super::{
    answers::{self, Answers},
    bulk,
    chain::Head,
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
              forced, certs, last_edit)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
    )?;
    let mut writer = Writer::of(transaction)?;
    let mut pieces = Pieces::begin();
    for committed in batch {
        let revision = number(committed.revision);
        for edit in committed.edits.iter() {
            pieces.pause();
            writer.write(revision, edit)?;
        }
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
            certificates as i64,
            writer.last_edit
        ])?;
    }
    Ok(())
}

/// Writes edits, one behind the other.
struct Writer<'a> {
    connection: &'a Connection,
    find: CachedStatement<'a>,
    append: CachedStatement<'a>,
    change: CachedStatement<'a>,
    add: CachedStatement<'a>,
    /// The number of the last edit that there ever was.
    last_edit: i64,
}

impl<'a> Writer<'a> {
    fn of(connection: &'a Connection) -> rusqlite::Result<Writer<'a>> {
        let last = "SELECT coalesce((SELECT last_edit FROM transactions
                                     ORDER BY revision DESC LIMIT 1), 0)";
        let find = "SELECT from_rev, body, app, last, depth, leap FROM objects
                    WHERE kind = ?1 AND key = ?2";
        // After an error all is rolled back: OR FAIL saves what would undo the one statement.
        let append = "INSERT OR FAIL INTO edits
                (id, kind, key, from_rev, to_rev, body, app, removed, before, leap)
            VALUES (?1, ?2, ?3, ?4, ?5,
                CASE ?2 WHEN 'cert' THEN json_remove(?6, '$.key', '$.sealed') ELSE ?6 END,
                ?7, ?8, ?9, ?10)";
        let change = "UPDATE OR FAIL objects
            SET from_rev = ?3, body = ?4, app = ?5, last = ?6, depth = ?7, leap = ?8
            WHERE kind = ?1 AND key = ?2";
        let add = "INSERT OR FAIL INTO objects
                (kind, key, from_rev, body, app, last, depth, leap)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
        Ok(Writer {
            connection,
            find: connection.prepare_cached(find)?,
            append: connection.prepare_cached(append)?,
            change: connection.prepare_cached(change)?,
            add: connection.prepare_cached(add)?,
            last_edit: connection.prepare_cached(last)?.query_row([], |row| row.get(0))?,
        })
    }

    fn write(&mut self, revision: i64, Edit { key, stands }: Edit<'_>) -> rusqlite::Result<()> {
        let (kind, key) = (key.kind().as_str(), key.text());
        let mut found = self.find.query(params![kind, key])?;
        let found = found.next()?;
        let (head, put) = match found {
            None => (Head::default(), &mut self.add),
            Some(row) => {
                let head = Head { last: row.get(3)?, depth: row.get(4)?, leap: row.get(5)? };
                (head, &mut self.change)
            }
        };
        let (from, body, app) = match found {
            None => (0, ValueRef::Null, ValueRef::Text(b"")),
            Some(row) => (row.get(0)?, row.get_ref(1)?, row.get_ref(2)?),
        };
        let (body, app) = (ToSqlOutput::Borrowed(body), ToSqlOutput::Borrowed(app));
        self.last_edit += 1;
        let Head { last, depth, leap } = head.after(self.last_edit, self.connection)?;
        let is_removed = stands.is_none();
        let ended =
            params![last, kind, key, from, revision, body, app, is_removed, head.last, leap];
        self.append.execute(ended)?;
        // What is gone leads to its edits too, under the app that it was of.
        let (body, app) = match &stands {
            Some(Standing { app, body }) => {
                (Some(body), ToSqlOutput::from(app.as_ref().map_or("", AppName::as_str)))
            }
            None => (None, app),
        };
        put.execute(params![kind, key, revision, body, app, last, depth, leap])?;
        Ok(())
    }
}
