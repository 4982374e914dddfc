//! The embedded store: one SQLite database in a locked data directory.
//!
//! Invariants: a batch is one SQLite transaction, synced to the disk before [`Store::commit`]
//! answers; revisions follow each other without a gap; a table that was read has the digest that
//! was written down with its revision; after an error the database is as it was and the store can
//! be used on; one thread at a time writes a snapshot, beside the commits.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use super::{
    answers::{self, Answers},
    archive::Archive,
    error::StoreError,
    lock::DirLock,
    object::{self, Edit, Kind, ObjectKey, Standing},
    schema,
    snapshot::{self, Reading, Snapshots, Unusable},
    tail::Tail,
};
use crate::route::{Counts, Digest, Revision, Table};

const DATABASE: &str = "hostler.db";

/// One accepted transaction, to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// The revision it makes: the one after the last.
    pub revision: Revision,
    /// When, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// Who pushed it.
    pub author: String,
    /// From where, if it came from somewhere.
    pub address: Option<String>,
    /// Why, if they said.
    pub reason: Option<String>,
    /// What became of each object.
    pub edits: Vec<Edit>,
    /// The digest of the table that it makes.
    pub digest: Digest,
    /// How much is in that table.
    pub counts: Counts,
}

/// The embedded store, open and locked.
#[derive(Debug)]
pub struct Store {
    // Dropped in this order: the lock is the last to go.
    snapshots: Snapshots,
    connection: Connection,
    revision: Revision,
    /// How many answers are kept.
    answers: usize,
    _lock: DirLock,
}

impl Store {
    /// Opens the store of a data directory and locks it; makes both if they are missing.
    pub fn open(dir: &Path) -> Result<Store, StoreError> {
        let lock = DirLock::take(dir)?;
        let database = dir.join(DATABASE);
        let connection = schema::open(&database)?;
        let newest = "SELECT coalesce(max(revision), 0) FROM transactions";
        let revision = connection
            .query_row(newest, [], |row| row.get::<_, i64>(0))
            .map_err(StoreError::sqlite(&database))?;
        let revision = Revision(revision.cast_unsigned());
        let answers = connection
            .query_row("SELECT count(*) FROM answers", [], |row| row.get::<_, i64>(0))
            .map_err(StoreError::sqlite(&database))?
            .cast_unsigned() as usize;
        let snapshots = Snapshots::new(dir, database);
        Ok(Store { snapshots, connection, revision, answers, _lock: lock })
    }

    /// The newest revision.
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// Makes transactions durable, all or none.
    ///
    /// # Panics
    /// If their revisions do not follow the newest one without a gap.
    pub fn commit(&mut self, batch: &[Committed]) -> Result<(), StoreError> {
        self.commit_with(batch, Answers::default())
    }

    /// Makes transactions and what they were answered durable, all or none. There may be answers
    /// of writes that changed nothing, and so made no transaction.
    ///
    /// # Panics
    /// If the revisions do not follow the newest one without a gap.
    pub fn commit_with(
        &mut self,
        batch: &[Committed],
        answers: Answers<'_>,
    ) -> Result<(), StoreError> {
        let mut last = self.revision;
        for committed in batch {
            assert_eq!(committed.revision, last.next(), "revisions follow each other");
            last = committed.revision;
        }
        self.answers = write_batch(&mut self.connection, batch, answers, self.answers)
            .map_err(StoreError::sqlite(self.snapshots.database()))?;
        self.revision = last;
        self.snapshots.write_if_due(last);
        Ok(())
    }

    /// The newest table, its hashes keyed with `seed`: from the snapshot and what changed since, or
    /// where the snapshot cannot be used from the database alone.
    pub fn load(&mut self, seed: u64) -> Result<Table, StoreError> {
        let (mut table, from) = match self.load_snapshot(seed)? {
            Ok(loaded) => loaded,
            Err(why) => {
                if self.revision > Revision(0) {
                    let path = snapshot::path(self.snapshots.dir());
                    tracing::warn!(path = %path.display(), %why,
                        "the table's snapshot is not used, the database is read instead");
                }
                (self.rows_as_of(self.revision, seed)?, Revision(0))
            }
        };
        self.snapshots.found(from);
        table.set_revision(self.revision);
        Ok(table)
    }

    /// Fails unless the digest of a table is the one that was written down with its revision.
    fn check_digest(&self, revision: Revision, table: &Table) -> Result<(), StoreError> {
        let path = self.snapshots.database();
        let known = self.archive().open()?.point(revision)?.digest;
        let found = table.digest();
        if known == found {
            return Ok(());
        }
        let reason = format!(
            "what it holds of revision {revision} has digest {found}, it should be {known}"
        );
        Err(StoreError::Damaged { path: path.to_owned(), reason })
    }

    /// The table as of a revision, its hashes keyed with `seed`.
    pub fn table_at(&self, revision: Revision, seed: u64) -> Result<Table, StoreError> {
        if revision > self.revision {
            return Err(StoreError::NoSuchRevision { asked: revision.0, newest: self.revision.0 });
        }
        self.rows_as_of(revision, seed)
    }

    /// What there was, read beside this store; see [`Archive`].
    pub fn archive(&self) -> Archive {
        Archive::of(self.snapshots.database())
    }

    /// The last revision that made, changed or removed an object; none if there never was one.
    pub fn last_change_of(&self, object: &ObjectKey) -> Result<Option<Revision>, StoreError> {
        let last = self
            .connection
            .prepare_cached(
                "SELECT max(
                     coalesce((SELECT from_rev FROM objects WHERE kind = ?1 AND key = ?2), 0),
                     coalesce((SELECT max(to_rev) FROM past WHERE kind = ?1 AND key = ?2), 0))",
            )
            .and_then(|mut query| {
                let object = params![object.kind().as_str(), object.text()];
                query.query_row(object, |row| row.get::<_, i64>(0))
            })
            .map_err(StoreError::sqlite(self.snapshots.database()))?;
        Ok((last > 0).then_some(Revision(last.cast_unsigned())))
    }

    /// Ends the use of the store: writes the snapshot of the newest table and unlocks the
    /// directory.
    pub fn close(mut self) -> Result<(), StoreError> {
        self.snapshots.write_last(self.revision)
    }

    /// The connection that writes.
    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// The database.
    pub(super) fn database(&self) -> &Path {
        self.snapshots.database()
    }

    /// The newest table by the snapshot, with the snapshot's revision; the inner error says why it
    /// cannot be used.
    fn load_snapshot(&self, seed: u64) -> Result<Result<(Table, Revision), Unusable>, StoreError> {
        let reading = match Reading::open(self.snapshots.dir()) {
            Ok(reading) => reading,
            Err(why) => return Ok(Err(why)),
        };
        let stamp = reading.stamp();
        let at_ms: Option<i64> = self
            .connection
            .query_row(
                "SELECT at_ms FROM transactions WHERE revision = ?1",
                [number(stamp.revision)],
                |row| row.get(0),
            )
            .optional()
            .map_err(StoreError::sqlite(self.snapshots.database()))?;
        if at_ms != Some(stamp.at_ms) {
            return Ok(Err(Unusable::OtherHistory(stamp.revision)));
        }
        let tail = Tail::read(&self.connection, stamp.revision)
            .map_err(StoreError::sqlite(self.snapshots.database()))?;
        let table = match tail.merge(reading, seed) {
            Ok(table) => table,
            Err(why) => return Ok(Err(why)),
        };
        match self.check_digest(self.revision, &table) {
            Ok(()) => Ok(Ok((table, stamp.revision))),
            Err(StoreError::Damaged { reason, .. }) => Ok(Err(Unusable::Damaged(reason))),
            Err(error) => Err(error),
        }
    }

    fn rows_as_of(&self, revision: Revision, seed: u64) -> Result<Table, StoreError> {
        let path = self.snapshots.database();
        let failed = StoreError::sqlite(path);
        let mut table = Table::new(seed);
        for kind in Kind::ALL {
            for sql in [
                "SELECT key, body FROM objects WHERE kind = ?1 AND +from_rev <= ?2 ORDER BY key",
                "SELECT key, body FROM past INDEXED BY past_to
                 WHERE to_rev > ?2 AND from_rev <= ?2 AND kind = ?1",
            ] {
                let mut query = self.connection.prepare_cached(sql).map_err(&failed)?;
                let mut rows =
                    query.query(params![kind.as_str(), number(revision)]).map_err(&failed)?;
                while let Some(row) = rows.next().map_err(&failed)? {
                    let text = |i| row.get_ref(i)?.as_str().map_err(rusqlite::Error::from);
                    let (key, body) = (text(0).map_err(&failed)?, text(1).map_err(&failed)?);
                    object::insert(&mut table, kind, key, body)
                        .map_err(|reason| StoreError::Damaged { path: path.to_owned(), reason })?;
                }
            }
        }
        self.check_digest(revision, &table)?;
        table.set_revision(revision);
        Ok(table)
    }

    /// Lets the database grow no further, as a full disk would.
    #[cfg(test)]
    pub(crate) fn limit_pages_to_current(&self) {
        let pages: i64 = self.connection.query_row("PRAGMA page_count", [], |r| r.get(0)).unwrap();
        self.limit_pages(pages);
    }

    /// Lets the database have this many pages.
    #[cfg(test)]
    pub(crate) fn limit_pages(&self, pages: i64) {
        let sql = format!("PRAGMA max_page_count = {pages}");
        self.connection.query_row(&sql, [], |_| Ok(())).unwrap();
    }
}

/// Answers how many answers are kept then.
fn write_batch(
    connection: &mut Connection,
    batch: &[Committed],
    new_answers: Answers<'_>,
    kept: usize,
) -> rusqlite::Result<usize> {
    // Dropped on an error, the transaction rolls itself back.
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let kept = answers::write(&transaction, new_answers, kept)?;
    {
        let mut note = transaction.prepare_cached(
            "INSERT INTO transactions
                 (revision, at_ms, author, reason, changes, digest, apps, routes, dynos, address)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        )?;
        let mut retire = transaction.prepare_cached(
            "INSERT INTO past (kind, key, from_rev, to_rev, body, app)
             SELECT kind, key, from_rev, ?3, body, app FROM objects WHERE kind = ?1 AND key = ?2",
        )?;
        let mut put = transaction.prepare_cached(
            "INSERT OR REPLACE INTO objects (kind, key, from_rev, body, app)
             VALUES (?1, ?2, ?3, ?4, ?5)",
        )?;
        let mut remove =
            transaction.prepare_cached("DELETE FROM objects WHERE kind = ?1 AND key = ?2")?;
        for committed in batch {
            let revision = number(committed.revision);
            let Counts { apps, routes, dynos } = committed.counts;
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
                committed.address
            ])?;
            for edit in &committed.edits {
                let (kind, key) = (edit.key().kind().as_str(), edit.key().text());
                retire.execute(params![kind, key, revision])?;
                match edit.stands() {
                    Some(Standing { app, body }) => {
                        put.execute(params![kind, key, revision, body, app.as_str()])?
                    }
                    None => remove.execute(params![kind, key])?,
                };
            }
        }
    }
    transaction.commit()?;
    Ok(kept)
}

/// A revision as SQLite's signed number; one beyond all of those is the last of them.
pub(super) fn number(revision: Revision) -> i64 {
    i64::try_from(revision.0).unwrap_or(i64::MAX)
}
