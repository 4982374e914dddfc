//! The lock of the data directory.
//!
//! Invariants: held for the life of the value; the kernel lets go of it when the process ends, so a
//! lock file that was left behind holds nobody up; the file names the process that holds the lock.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use super::{error::StoreError, files};

const LOCK_FILE: &str = "lock";
/// The most bytes read of a lock file: a process number and a line end fit many times.
const MAX_LOCK_BYTES: u64 = 32;

/// The data directory is ours.
#[derive(Debug)]
pub struct DirLock {
    /// None in a directory that takes no files and has no lock.
    file: Option<File>,
    is_writable: bool,
}

impl DirLock {
    /// Takes the directory, which is made if it is missing. One that may not be written is taken
    /// to read.
    pub fn take(dir: &Path) -> Result<DirLock, StoreError> {
        files::make_dir(dir).map_err(StoreError::io("make the data directory", dir))?;
        let path = dir.join(LOCK_FILE);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let (file, is_writable) = match options.open(&path) {
            Ok(file) => (Some(file), true),
            Err(error) if is_read_only(&error) => match File::open(&path) {
                Ok(file) => (Some(file), false),
                Err(error) if error.kind() == io::ErrorKind::NotFound => (None, false),
                Err(error) => return Err(StoreError::io("open the lock file", &path)(error)),
            },
            Err(error) => return Err(StoreError::io("open the lock file", &path)(error)),
        };
        if let Some(file) = &file {
            lock(file, dir, &path)?;
            if is_writable {
                sign(file, &path);
            }
        }
        Ok(DirLock { file, is_writable })
    }

    /// May the directory be written?
    pub fn is_writable(&self) -> bool {
        self.is_writable
    }

    /// Takes the directory to write if it was taken to read, and says whether that may be.
    pub fn take_to_write(&mut self, dir: &Path) -> Result<bool, StoreError> {
        if !self.is_writable {
            // Two locks of one process stand in each other's way.
            self.file = None;
            *self = DirLock::take(dir)?;
        }
        Ok(self.is_writable)
    }
}

fn is_read_only(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied)
}

fn lock(file: &File, dir: &Path, path: &Path) -> Result<(), StoreError> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => {
            Err(StoreError::InUse { dir: dir.to_owned(), pid: read_pid(file) })
        }
        Err(TryLockError::Error(error)) => Err(StoreError::io("lock", path)(error)),
    }
}

/// Writes our number into the file: it is only for the message, and a full disk may not take it.
fn sign(mut file: &File, path: &Path) {
    let signed = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
    if let Err(error) = signed {
        tracing::warn!(path = %path.display(), %error, "the lock file does not name its process");
    }
}

/// The process that the file names; none where it cannot be read, since the number is only for the
/// message and the lock itself is what counts.
fn read_pid(file: &File) -> Option<u32> {
    let mut text = String::new();
    file.take(MAX_LOCK_BYTES).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}
