//! What can go wrong with the store: typed, each with the place and the remedy.
//!
//! Invariants: nobody has to match on text; no type of SQLite's is seen from outside; after any of
//! these errors the database is as it was before the call; what is only for now (no room, no
//! permission) is told from what casts doubt on the file itself.

use std::{
    fs::OpenOptions,
    io,
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use rusqlite::{ErrorCode, ffi};

/// Why the store could not be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process holds the data directory.
    #[error(
        "the data directory {} is in use by {}: stop that process, or give this one a directory \
         of its own with data_dir",
        dir.display(), holder(*pid)
    )]
    InUse {
        /// The data directory.
        dir: PathBuf,
        /// The process that holds it, if it left its number.
        pid: Option<u32>,
    },
    /// The data directory, or a file in it, cannot be made, opened, read or written.
    #[error("cannot {what} {}: {source}; data_dir says where the store is", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On which file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is a database, but of some other program.
    #[error(
        "{} is a database of another program (application id {application_id:#x}): give hostler a \
         directory of its own with data_dir",
        path.display()
    )]
    Foreign {
        /// The database.
        path: PathBuf,
        /// What its header says it is.
        application_id: i32,
    },
    /// The database was written by a later release.
    #[error(
        "{} has version {found} of the schema, this release knows up to {known}: run the release \
         that wrote it, or a later one",
        path.display()
    )]
    Newer {
        /// The database.
        path: PathBuf,
        /// Its version.
        found: i32,
        /// The latest version that this release reads.
        known: i32,
    },
    /// The file is no database, or its contents contradict themselves. It is left as it is.
    #[error(
        "{} is damaged: {reason}; nothing was overwritten: bring back a backup with `hostler store \
         restore FILE`, or start with an empty directory",
        path.display()
    )]
    Damaged {
        /// The database.
        path: PathBuf,
        /// What was found.
        reason: String,
    },
    /// No room is left.
    #[error(
        "no room is left for {}: free some space on its disk, and pushes are taken again",
        path.display()
    )]
    Full {
        /// The database.
        path: PathBuf,
    },
    /// The database may not be written.
    #[error(
        "{} is read-only: make it and its directory writable, and pushes are taken again",
        path.display()
    )]
    ReadOnly {
        /// The database.
        path: PathBuf,
    },
    /// The disk under the database fails, so that nobody knows what the file holds.
    #[error(
        "{} cannot be trusted until the next start has looked at it: {reason}; see to its disk and \
         start again", path.display()
    )]
    Doubtful {
        /// The database.
        path: PathBuf,
        /// What was found.
        reason: String,
    },
    /// There is no database: it was damaged, and the table comes from the snapshot.
    #[error(
        "{reason}; what is served is the table of revision {revision}, and no push is taken: stop \
         the router, then bring back a backup with `hostler store restore FILE`, or go on from \
         that table with `hostler store recover`"
    )]
    SetAside {
        /// What was found, and where the damaged files are.
        reason: String,
        /// The revision that is served.
        revision: u64,
    },
    /// Reading or writing failed in another way.
    #[error("{} cannot be read or written: {reason}", path.display())]
    Failed {
        /// The database.
        path: PathBuf,
        /// What SQLite said.
        reason: String,
    },
    /// The snapshot of the table could not be written; the database is whole.
    #[error("cannot write {}: {reason}; the next start reads the database instead", path.display())]
    Snapshot {
        /// The snapshot.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// A revision was asked for that nobody made.
    #[error("there is no revision {asked}: the newest is {newest}")]
    NoSuchRevision {
        /// What was asked for.
        asked: u64,
        /// The newest revision.
        newest: u64,
    },
    /// What was asked for is older than what is kept.
    #[error(
        "{asked} is no longer kept: the oldest revision that is kept is {oldest} (store.retention \
         says for how long)"
    )]
    NotKept {
        /// What was asked for.
        asked: String,
        /// The oldest revision that is kept.
        oldest: u64,
    },
}

impl StoreError {
    /// Turns what the system said of a file into an error.
    pub(super) fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StoreError {
        let path = path.to_owned();
        move |source| StoreError::Io { what, path, source }
    }

    /// Turns what SQLite said of a database into an error.
    pub(super) fn sqlite(path: &Path) -> impl Fn(rusqlite::Error) -> StoreError + '_ {
        |error| {
            let (path, reason) = (path.to_owned(), error.to_string());
            let Some(ffi::Error { code, extended_code }) = error.sqlite_error() else {
                // A value that is not what its column holds; anything else is a mistake of ours.
                return StoreError::Damaged { path, reason };
            };
            match code {
                ErrorCode::DiskFull => StoreError::Full { path },
                ErrorCode::ReadOnly | ErrorCode::PermissionDenied => StoreError::ReadOnly { path },
                ErrorCode::NotADatabase
                | ErrorCode::DatabaseCorrupt
                | ErrorCode::ConstraintViolation
                | ErrorCode::TypeMismatch => StoreError::Damaged { path, reason },
                ErrorCode::SystemIoFailure if casts_doubt(*extended_code) => {
                    StoreError::Doubtful { path, reason }
                }
                ErrorCode::SystemIoFailure | ErrorCode::CannotOpen => {
                    refused_by_disk(&path).unwrap_or(StoreError::Failed { path, reason })
                }
                _ => StoreError::Failed { path, reason },
            }
        }
    }

    /// Is the database itself not what it should be, or may it not be?
    pub fn is_damage(&self) -> bool {
        matches!(self, StoreError::Damaged { .. } | StoreError::Doubtful { .. })
    }
}

/// Does a failure of the disk leave open what the file holds? One to write or to grow it does not:
/// nothing of it was answered. After a failed sync the system may have dropped what it held.
fn casts_doubt(extended_code: i32) -> bool {
    [
        ffi::SQLITE_IOERR_READ,
        ffi::SQLITE_IOERR_SHORT_READ,
        ffi::SQLITE_IOERR_FSYNC,
        ffi::SQLITE_IOERR_DIR_FSYNC,
        ffi::SQLITE_IOERR_CORRUPTFS,
        ffi::SQLITE_IOERR_DATA,
    ]
    .contains(&extended_code)
}

/// What the disk says to a file that is as long as the database's, if it takes none: SQLite does
/// not tell these apart.
fn refused_by_disk(database: &Path) -> Option<StoreError> {
    let path = database.to_owned();
    let mut log = database.as_os_str().to_owned();
    log.push("-wal");
    let length = |path: &Path| path.metadata().map_or(0, |metadata| metadata.len());
    let length = length(database).max(length(Path::new(&log)));
    let probe = database.with_file_name(PROBE);
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let written = options.open(&probe).and_then(|file| {
        file.write_all_at(&[0; 4096], length)?;
        file.sync_all()
    });
    // What was not made need not be removed.
    let _ = std::fs::remove_file(&probe);
    match written.err()?.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            Some(StoreError::Full { path })
        }
        io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
            Some(StoreError::ReadOnly { path })
        }
        _ => None,
    }
}

/// A file that shows whether the directory takes one.
const PROBE: &str = "probe";

fn holder(pid: Option<u32>) -> String {
    pid.map_or_else(|| "another process".into(), |pid| format!("process {pid}"))
}
