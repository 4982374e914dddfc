//! PEM files: read within a bound, and watched for a change.
//!
//! Invariants: an error names the file and what is wrong with it, never what it holds; a file
//! counts as changed when its time, its size or the file behind its name did, so that a look costs
//! no read.

use std::{
    fs::{self, File},
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use super::identity::{self, Identity, IdentityError};

/// The largest file that is read, in bytes; the authorities of a whole system have 200 KiB.
const MAX_BYTES: u64 = 4 << 20;

/// Why certificates or keys could not be had.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The file cannot be read.
    #[error("{path} cannot be read: {source}", path = path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The file holds something else.
    #[error("{path}: {reason}", path = path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: IdentityError,
    },
    /// The system has no authorities.
    #[error("no authority is known on this machine (Debian: apt-get install ca-certificates){0}")]
    NoAuthorities(String),
    /// TLS cannot be set up with them.
    #[error("TLS cannot be set up: {0}")]
    Setup(String),
}

impl FileError {
    pub(super) fn content(path: &Path) -> impl Fn(IdentityError) -> FileError {
        move |reason| FileError::Content { path: path.to_owned(), reason }
    }
}

/// Reads a file.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, FileError> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes));
    let read = read.and_then(|_| match bytes.len() as u64 > MAX_BYTES {
        true => Err(io::Error::other(format!("it has more than {MAX_BYTES} bytes"))),
        false => Ok(()),
    });
    match read {
        Ok(()) => Ok(bytes),
        Err(source) => Err(FileError::Unreadable { path: path.to_owned(), source }),
    }
}

/// Reads a chain and its key; both may stand in one file.
pub(super) fn identity(chain: &Path, key: &Path) -> Result<Identity, FileError> {
    let certificates = identity::chain(&read(chain)?).map_err(FileError::content(chain))?;
    let private = identity::key(&read(key)?).map_err(FileError::content(key))?;
    identity::identity(certificates, private).map_err(|reason| match reason {
        IdentityError::Certificate { .. } => FileError::content(chain)(reason),
        reason => FileError::content(key)(reason),
    })
}

/// By what a file is known to be as it was; none if there is no such file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp(Option<[u64; 5]>);

impl Stamp {
    /// Looks at a file, not at a link to it.
    pub(super) fn of(path: &Path) -> Stamp {
        let stamp = |found: fs::Metadata| {
            let changed = [found.mtime().cast_unsigned(), found.mtime_nsec().cast_unsigned()];
            [changed[0], changed[1], found.size(), found.ino(), found.dev()]
        };
        Stamp(fs::metadata(path).ok().map(stamp))
    }
}
