//! What can go wrong with the store: typed, each with the place and the remedy.
//!
//! Invariants: nobody has to match on text; no type of SQLite's is seen from outside; after any of
//! these errors the database is as it was before the call.

use std::{
    io,
    path::{Path, PathBuf},
};

use rusqlite::ErrorCode;

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
        "{} is damaged: {reason}; nothing was overwritten: move it away and restore a copy, or \
         start with an empty directory",
        path.display()
    )]
    Damaged {
        /// The database.
        path: PathBuf,
        /// What was found.
        reason: String,
    },
    /// No room is left.
    #[error("no room is left for {}: free some space on its disk", path.display())]
    Full {
        /// The database.
        path: PathBuf,
    },
    /// The database may not be written.
    #[error("{} is read-only: make it and its directory writable", path.display())]
    ReadOnly {
        /// The database.
        path: PathBuf,
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
            let path = path.to_owned();
            match error.sqlite_error_code() {
                Some(ErrorCode::DiskFull) => StoreError::Full { path },
                Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
                    StoreError::ReadOnly { path }
                }
                Some(
                    ErrorCode::NotADatabase
                    | ErrorCode::DatabaseCorrupt
                    | ErrorCode::ConstraintViolation
                    | ErrorCode::TypeMismatch,
                ) => StoreError::Damaged { path, reason: error.to_string() },
                _ => StoreError::Failed { path, reason: error.to_string() },
            }
        }
    }
}

fn holder(pid: Option<u32>) -> String {
    pid.map_or_else(|| "another process".into(), |pid| format!("process {pid}"))
}
