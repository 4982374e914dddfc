//! The embedded store: one SQLite database in a locked data directory.
//!
//! Invariants: a batch is one SQLite transaction, synced to the disk before [`Store::commit`]
//! answers; revisions follow each other without a gap; a table that was read has the digest that
//! was written down with its revision; after an error the database is as it was and the store can
//! be used on, unless the error casts doubt on the database: then nothing is written to it any
//! more; one thread at a time writes a snapshot, beside the commits.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use super::{
    answers::Answers,
    archive::{self, Archive},
    bulk,
    chain::AsOf,
    edits::Edits,
    error::StoreError,
    files::DATABASE,
    load::{Objects, load},
    lock::DirLock,
    object::{Kind, ObjectKey},
    prune, schema,
    snapshot::{self, Reading, Snapshots, Unusable},
    tail::Tail,
    write::write_batch,
};
use crate::route::{Counts, Digest, Revision, Table};

/// One accepted transaction, to be kept.
#[derive(Debug, Clone)]
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
    pub edits: Edits,
    /// The digest of the table that it makes.
    pub digest: Digest,
    /// How much is in that table.
    pub counts: Counts,
    /// A guard would have refused it and was told to let it in.
    pub forced: bool,
}

/// The embedded store, open and locked.
#[derive(Debug)]
pub struct Store {
    // Dropped in this order: the lock is the last to go.
    pub(super) snapshots: Snapshots,
    /// None where the database cannot even be read.
    pub(super) connection: Option<Connection>,
    pub(super) access: Access,
    pub(super) archive: Archive,
    pub(super) revision: Revision,
    /// When the newest revision was made.
    pub(super) at_ms: i64,
    /// The oldest revision that is kept.
    pub(super) oldest: Revision,
    /// What no table from then on needs is forgotten; 0: nothing is.
    pub(super) cutoff_ms: u64,
    /// How many answers are kept.
    answers: usize,
    pub(super) lock: DirLock,
}

/// What may be done with the database.
#[derive(Debug)]
pub(super) enum Access {
    /// It is read and written.
    Write,
    /// It could not be opened to write: that is tried again whenever something is to be written.
    Read,
    /// It is left alone until the next start, for this reason.
    Closed(String),
}

impl Store {
    /// Opens the store of a data directory and locks it; makes both if they are missing.
    pub fn open(dir: &Path) -> Result<Store, StoreError> {
        let mut store = Store::unopened(dir, DirLock::take(dir)?);
        store.open_to_write()?;
        Ok(store)
    }

    /// The store of a directory that is locked already; nothing of the database is known yet.
    pub(super) fn unopened(dir: &Path, lock: DirLock) -> Store {
        let archive = Archive::of(&dir.join(DATABASE));
        Store {
            snapshots: Snapshots::new(dir, archive.clone()),
            archive,
            connection: None,
            access: Access::Read,
            revision: Revision(0),
            at_ms: 0,
            oldest: Revision(0),
            cutoff_ms: 0,
            answers: 0,
            lock,
        }
    }

    /// Opens the database to write, for the first time or again.
    pub(super) fn open_to_write(&mut self) -> Result<(), StoreError> {
        let dir = self.snapshots.dir().to_owned();
        if !self.lock.take_to_write(&dir)? {
            return Err(StoreError::ReadOnly { path: self.database().to_owned() });
        }
        // SQLite shares what it knows of a file among the connections of a process, and so that it
        // could not be written: the last that knew has to go first.
        let reading = self.connection.take();
        let was_read = reading.is_some();
        drop(reading);
        let opened = schema::open(self.database()).and_then(|connection| self.adopt(connection));
        if opened.is_err() && was_read {
            self.connection = schema::open_alone_to_read(self.database()).ok();
        }
        opened?;
        self.access = Access::Write;
        self.archive.is_written();
        Ok(())
    }

    /// Takes a connection, and what the database says through it.
    pub(super) fn adopt(&mut self, connection: Connection) -> Result<(), StoreError> {
        let newest = "SELECT coalesce(max(revision), 0),
            coalesce((SELECT at_ms FROM transactions ORDER BY revision DESC LIMIT 1), 0),
            (SELECT count(*) FROM answers) FROM transactions";
        let look = || {
            let newest = connection.query_row(newest, [], |row| {
                Ok((row.get::<_, i64>(0)?, row.get(1)?, row.get::<_, i64>(2)?))
            })?;
            Ok((newest, prune::oldest(&connection)?))
        };
        let ((revision, at_ms, answers), oldest) =
            look().map_err(StoreError::sqlite(self.database()))?;
        let revision = Revision(revision.cast_unsigned());
        if self.revision > Revision(0) && self.revision != revision {
            let reason = format!(
                "its newest revision is {revision}, and revision {} is served",
                self.revision
            );
            return Err(StoreError::Doubtful { path: self.database().to_owned(), reason });
        }
        (self.revision, self.at_ms, self.oldest) = (revision, at_ms, oldest);
        self.answers = answers.cast_unsigned() as usize;
        self.connection = Some(connection);
        Ok(())
    }

    /// When the newest revision was made, in milliseconds since the Unix epoch; 0 without one.
    pub fn newest_ms(&self) -> u64 {
        self.at_ms.cast_unsigned()
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
        let (kept, cutoff_ms) = (self.answers, self.cutoff_ms);
        let (kept, oldest) =
            self.write(|connection| write_batch(connection, batch, answers, kept, cutoff_ms))?;
        (self.answers, self.oldest, self.revision) = (kept, oldest, last);
        if let Some(committed) = batch.last() {
            self.at_ms = i64::try_from(committed.at_ms).unwrap_or(i64::MAX);
        }
        if bulk::is_bulk(batch) {
            self.snapshots.note_bulk();
        }
        self.snapshots.write_if_due(last, oldest);
        Ok(())
    }

    /// Writes to the database, which is opened again if it could not be written before. An error
    /// that casts doubt on it is the last word until the next start.
    pub(super) fn write<T>(
        &mut self,
        write: impl FnOnce(&mut Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        self.archive.check_trust()?;
        match &self.access {
            Access::Write => {}
            Access::Read => self.open_to_write()?,
            Access::Closed(reason) => return Err(self.closed(reason)),
        }
        let connection = self.connection.as_mut().expect("what is written was opened");
        let written = write(connection).map_err(StoreError::sqlite(self.snapshots.database()));
        if let Err(error) = &written {
            self.archive.note(error);
            if matches!(error, StoreError::ReadOnly { .. }) {
                self.access = Access::Read;
            }
        }
        written
    }

    /// Writes next to nothing, to see whether the database takes it.
    pub fn probe(&mut self) -> Result<(), StoreError> {
        self.write(|connection| {
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            transaction.pragma_update(None, "user_version", schema::VERSION)?;
            transaction.commit()
        })
    }

    /// Why nothing is written until the next start.
    fn closed(&self, reason: &str) -> StoreError {
        StoreError::SetAside { reason: reason.into(), revision: self.revision.0 }
    }

    /// The newest table, its hashes keyed with `seed`: from the snapshot and what changed since, or
    /// where the snapshot cannot be used from the database alone.
    pub fn load(&mut self, seed: u64) -> Result<Table, StoreError> {
        self.check_snapshot()?;
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
        let known = archive::point_in(self.connection()?, revision);
        let known = known.map_err(StoreError::sqlite(path))?.unwrap_or_default().digest;
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
        self.archive.open()?.check_kept(revision)?;
        self.rows_as_of(revision, seed)
    }

    /// What there was, read beside this store; see [`Archive`].
    pub fn archive(&self) -> Archive {
        self.archive.clone()
    }

    /// The last revision that made, changed or removed an object; none if there never was one. An
    /// object of which nothing is kept may have gone with any revision up to the oldest that is:
    /// that one is told.
    pub fn last_change_of(&self, object: &ObjectKey) -> Result<Option<Revision>, StoreError> {
        let last = self
            .connection()?
            .prepare_cached(
                "SELECT coalesce((SELECT from_rev FROM objects WHERE kind = ?1 AND key = ?2), 0)",
            )
            .and_then(|mut query| {
                let object = params![object.kind().as_str(), object.text()];
                query.query_row(object, |row| row.get::<_, i64>(0))
            })
            .map_err(StoreError::sqlite(self.snapshots.database()))
            .inspect_err(|error| self.archive.note(error))?;
        let known = Some(Revision(last.cast_unsigned())).filter(|_| last > 0);
        Ok(known.or(Some(self.oldest).filter(|oldest| *oldest > Revision(0))))
    }

    /// Ends the use of the store: writes the snapshot of the newest table, unless the database
    /// cannot be written or trusted, and unlocks the directory.
    pub fn close(mut self) -> Result<(), StoreError> {
        if !matches!(self.access, Access::Write) || self.archive.check_trust().is_err() {
            return Ok(());
        }
        self.snapshots.write_last(self.revision)?;
        match self.connection.take() {
            Some(connection) => schema::close(connection, self.database()),
            None => Ok(()),
        }
    }

    /// The connection that writes.
    pub(super) fn connection(&self) -> Result<&Connection, StoreError> {
        match (&self.connection, &self.access) {
            (Some(connection), _) => Ok(connection),
            (None, Access::Closed(reason)) => Err(self.closed(reason)),
            (None, _) => Err(StoreError::ReadOnly { path: self.database().to_owned() }),
        }
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
        let connection = self.connection()?;
        let at_ms: Option<i64> = connection
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
        let tail = Tail::read(connection, stamp.revision)
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
        let damaged = |reason| StoreError::Damaged { path: path.to_owned(), reason };
        let read = |objects: &mut Objects| {
            for kind in Kind::ALL {
                self.each_row(kind, revision, |key, body| {
                    objects.take(kind, key, body).map_err(damaged)
                })?;
            }
            Ok(())
        };
        let mut table = load(seed, read, damaged)?;
        self.check_digest(revision, &table)?;
        table.set_revision(revision);
        Ok(table)
    }

    /// Hands out key and body of each object of a kind as of a revision.
    fn each_row(
        &self,
        kind: Kind,
        revision: Revision,
        mut take: impl FnMut(&str, &str) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let failed = StoreError::sqlite(self.snapshots.database());
        let connection = self.connection()?;
        let mut as_of = AsOf::of(connection, revision).map_err(&failed)?;
        let sql = "SELECT key, from_rev, body, last FROM objects WHERE kind = ?1 ORDER BY key";
        let mut query = connection.prepare_cached(sql).map_err(&failed)?;
        let mut rows = query.query([kind.as_str()]).map_err(&failed)?;
        while let Some(row) = rows.next().map_err(&failed)? {
            if let Some(body) = as_of.body(row, [1, 2, 3]).map_err(&failed)? {
                take(row.get_ref(0).and_then(|key| Ok(key.as_str()?)).map_err(&failed)?, &body)?;
            }
        }
        Ok(())
    }

    /// Lets the database grow no further, as a full disk would.
    #[cfg(test)]
    pub(crate) fn limit_pages_to_current(&self) {
        let connection = self.connection().unwrap();
        let pages: i64 = connection.query_row("PRAGMA page_count", [], |r| r.get(0)).unwrap();
        self.limit_pages(pages);
    }

    /// Lets the database have this many pages.
    #[cfg(test)]
    pub(crate) fn limit_pages(&self, pages: i64) {
        let sql = format!("PRAGMA max_page_count = {pages}");
        self.connection().unwrap().query_row(&sql, [], |_| Ok(())).unwrap();
    }
}

/// A revision as SQLite's signed number; one beyond all of those is the last of them.
pub(super) fn number(revision: Revision) -> i64 {
    i64::try_from(revision.0).unwrap_or(i64::MAX)
}
