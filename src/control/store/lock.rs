//! The lock of the data directory.
//!
//! Invariants: held for the life of the value; the kernel lets go of it when the process ends, so a
//! lock file that was left behind holds nobody up; the file names the process that holds the lock.

use std::{
    fs::{DirBuilder, File, OpenOptions, TryLockError},
    io::{Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
};

use super::error::StoreError;

const LOCK_FILE: &str = "lock";
/// The most bytes read of a lock file: a process number and a line end fit many times.
const MAX_LOCK_BYTES: u64 = 32;

/// The data directory is ours.
#[derive(Debug)]
pub struct DirLock {
    _file: File,
}

impl DirLock {
    /// Takes the directory, which is made if it is missing.
    pub fn take(dir: &Path) -> Result<DirLock, StoreError> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .map_err(StoreError::io("make the data directory", dir))?;
        let path = dir.join(LOCK_FILE);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(StoreError::io("open the lock file", &path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(StoreError::InUse { dir: dir.to_owned(), pid: read_pid(&file) });
            }
            Err(TryLockError::Error(error)) => {
                return Err(StoreError::io("lock", &path)(error));
            }
        }
        file.set_len(0)
            .and_then(|()| writeln!(file, "{}", std::process::id()))
            .map_err(StoreError::io("write the lock file", &path))?;
        Ok(DirLock { _file: file })
    }
}

/// The process that the file names; none where it cannot be read, since the number is only for the
/// message and the lock itself is what counts.
fn read_pid(file: &File) -> Option<u32> {
    let mut text = String::new();
    file.take(MAX_LOCK_BYTES).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}
