//! How a store begins, whatever state its directory is in: with a table to serve, or not at all.
//!
//! * A sound database is opened to write.
//! * One that may not be written, or has no room to be opened, is read; pushes are refused until it
//!   can be written.
//! * One that is damaged, has a damaged log or is older than its snapshot is set aside, never
//!   written over. What is served is its newest table if that has the right digest and is no older
//!   than the snapshot, else the snapshot's; pushes are refused until an operator brings back a
//!   backup, or goes on from the snapshot. A snapshot alone is the same state, for further starts.
//! * One that the last run had doubts about is looked through whole before it is trusted again.
//! * Where nothing is left to serve the start is refused, and everything left where it is.
//!
//! Invariants: a table is served only if it has its digest, or comes from a snapshot with the right
//! checksum; a database of another program or of a later release is never touched.

use std::path::Path;

use super::{
    error::StoreError,
    files,
    lock::DirLock,
    schema,
    snapshot::{self, Reading},
    sqlite::{Access, Store},
    wal,
};
use crate::route::{Revision, Table};

impl Store {
    /// Opens the store of a data directory and locks it, as far as its state lets it; makes both
    /// if they are missing. Answers it with its newest table, its hashes keyed with `seed`.
    pub fn start(dir: &Path, seed: u64) -> Result<(Store, Table), StoreError> {
        let lock = DirLock::take(dir)?;
        if lock.is_writable() {
            files::finish_replacing(dir)?;
        }
        let mut store = Store::unopened(dir, lock);
        let table = store.begin(seed)?;
        Ok((store, table))
    }

    /// Why no push is taken for now; none if they are.
    pub fn trouble(&mut self) -> Option<StoreError> {
        match self.access {
            Access::Write => self.archive.check_trust().err(),
            Access::Read | Access::Closed(_) => self.probe().err(),
        }
    }

    /// Keeps the table that is served as the snapshot, once the database is doubted: it is what
    /// was answered.
    pub fn rescue(&self, table: &Table) -> Result<(), StoreError> {
        snapshot::write_table(self.snapshots.dir(), table, self.at_ms)
    }

    /// Fails if the snapshot is newer than the database: it is written behind what it is of, so
    /// that writes were lost.
    pub(super) fn check_snapshot(&self) -> Result<(), StoreError> {
        let Ok(reading) = Reading::open(self.snapshots.dir()) else { return Ok(()) };
        let (newest, snapshot) = (self.revision, reading.stamp().revision);
        if snapshot <= newest || reading.read(|_, _, _| Ok(())).is_err() {
            return Ok(());
        }
        let reason = format!(
            "its newest revision is {newest}, and table.snapshot is of {snapshot}: writes were lost"
        );
        Err(StoreError::Damaged { path: self.database().to_owned(), reason })
    }

    fn begin(&mut self, seed: u64) -> Result<Table, StoreError> {
        let dir = self.snapshots.dir().to_owned();
        if !self.database().exists() && snapshot::path(&dir).exists() {
            let reason = format!("{} is not there", self.database().display());
            return self.begin_with_snapshot(Some(reason), seed);
        }
        let error = match self.begin_with_database(seed) {
            Ok(table) => return Ok(table),
            Err(error) => error,
        };
        let is_another_matter = matches!(
            error,
            StoreError::Foreign { .. } | StoreError::Newer { .. } | StoreError::Io { .. }
        );
        if is_another_matter || snapshot::read_table(&dir, seed).is_err() {
            return Err(error);
        }
        self.connection = None;
        let reason = match error {
            // It is tried again, and may turn out to be sound.
            StoreError::ReadOnly { .. } | StoreError::Full { .. } => None,
            StoreError::Damaged { path, reason } if self.lock.is_writable() => {
                let aside = files::set_aside(&dir, "damaged", false)?.unwrap_or(dir.clone());
                let (path, aside) = (path.display(), aside.display());
                Some(format!("{path} is damaged: {reason}; it was set aside in {aside}"))
            }
            error => Some(error.to_string()),
        };
        self.begin_with_snapshot(reason, seed)
    }

    fn begin_with_database(&mut self, seed: u64) -> Result<Table, StoreError> {
        if let Err(error) = wal::check(self.database()) {
            self.rescue_what_is_before(seed)?;
            return Err(error);
        }
        self.connect()?;
        let table = self.load(seed)?;
        if files::is_doubted(self.snapshots.dir())
            && let Err(error) = self.look_through()
        {
            // It is what was answered last, whatever else is wrong.
            self.rescue(&table)?;
            return Err(error);
        }
        Ok(table)
    }

    /// Keeps the table that a database has up to where its log is damaged, if it has its digest and
    /// is newer than the snapshot.
    fn rescue_what_is_before(&mut self, seed: u64) -> Result<(), StoreError> {
        let opened = schema::open_alone_to_read(self.database());
        let loaded = opened.and_then(|connection| {
            self.adopt(connection)?;
            self.load(seed)
        });
        match loaded {
            Ok(table) if self.lock.is_writable() && table.revision() > Revision(0) => {
                self.rescue(&table)
            }
            _ => Ok(()),
        }
    }

    /// Opens the database: to write, else to read.
    fn connect(&mut self) -> Result<(), StoreError> {
        match self.open_to_write() {
            Err(error @ (StoreError::ReadOnly { .. } | StoreError::Full { .. })) => {
                let Ok(connection) = schema::open_alone_to_read(self.database()) else {
                    return Err(error);
                };
                tracing::error!(%error, "the store is read, and no push is taken");
                self.adopt(connection)
            }
            opened => opened,
        }
    }

    /// Looks through a database that the last run had doubts about.
    fn look_through(&mut self) -> Result<(), StoreError> {
        let path = self.database().to_owned();
        let found: String = self
            .connection()?
            .query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))
            .map_err(StoreError::sqlite(&path))?;
        if found != "ok" {
            return Err(StoreError::Damaged { path, reason: found });
        }
        tracing::info!(path = %path.display(), "the store was doubted, and is found sound");
        if self.lock.is_writable() {
            files::end_doubt(self.snapshots.dir())?;
        }
        Ok(())
    }

    /// Begins with the table of the snapshot; with a reason for it, nothing is written until the
    /// next start.
    fn begin_with_snapshot(
        &mut self,
        reason: Option<String>,
        seed: u64,
    ) -> Result<Table, StoreError> {
        let dir = self.snapshots.dir().to_owned();
        let (table, at_ms) = snapshot::read_table(&dir, seed).map_err(|why| {
            let reason = [Some(why.to_string()), reason.clone()].into_iter().flatten();
            let reason = reason.collect::<Vec<_>>().join(", and ");
            StoreError::Damaged { path: snapshot::path(&dir), reason }
        })?;
        (self.revision, self.at_ms, self.oldest) = (table.revision(), at_ms, table.revision());
        if let Some(reason) = reason {
            self.archive.close(&reason, self.revision);
            self.access = Access::Closed(reason);
        }
        Ok(table)
    }
}
