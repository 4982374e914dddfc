//! The files of the data directory: made, replaced and set aside so that no crash loses one.
//!
//! A database is replaced in two steps. The new one is made whole under a name of its own and then
//! renamed to `hostler.db.next`: from there on it counts. What is there is moved into a folder, and
//! the new one takes its name. A crash in between leaves `hostler.db.next`, and whoever opens the
//! directory next does the rest.
//! Invariants: nothing is written over and nothing is deleted but what was never finished; what is
//! renamed is on the disk before, and its directory behind.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use super::{error::StoreError, snapshot};
use crate::control::clock::now_ms;

/// The database.
pub const DATABASE: &str = "hostler.db";
/// A database that is to take the place of the one that is there.
const NEXT: &str = "hostler.db.next";
/// A database that is being made.
const FRESH: &str = "hostler.db.fresh";
/// Says that the database was doubted while it was in use, and why.
const DOUBT: &str = "hostler.db.doubt";
/// What SQLite keeps beside a database.
const BESIDE: [&str; 2] = ["-wal", "-shm"];
/// The most folders that one millisecond has.
const MAX_FOLDERS: u64 = 1000;

/// Makes a directory, and those above it, so that a power cut does not undo it.
pub fn make_dir(dir: &Path) -> io::Result<()> {
    let missing: Vec<_> = dir.ancestors().take_while(|above| !above.exists()).collect();
    DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    for made in missing {
        let above = made.parent().filter(|above| !above.as_os_str().is_empty());
        sync_dir(above.unwrap_or(Path::new(".")))?;
    }
    Ok(())
}

/// Puts the names of a directory on the disk.
pub fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Makes an empty file for a new database, in the place of one that was never finished.
pub fn fresh(dir: &Path) -> Result<PathBuf, StoreError> {
    let path = dir.join(FRESH);
    remove_database(&path);
    make_private(&path).map_err(StoreError::io("make", &path))?;
    Ok(path)
}

/// Makes an empty file that is its owner's alone.
pub fn make_private(path: &Path) -> io::Result<()> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map(drop)
}

/// Takes from all but its owner what they may do with a database and what SQLite keeps beside it.
pub fn keep_private(database: &Path) -> io::Result<()> {
    for file in std::iter::once(database.to_owned()).chain(beside(database)) {
        let mode = match fs::metadata(&file) {
            Ok(found) => found.permissions().mode(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        if mode & 0o077 != 0 {
            fs::set_permissions(&file, fs::Permissions::from_mode(mode & 0o700))?;
        }
    }
    Ok(())
}

/// Removes a database that was never finished, and what SQLite left beside it.
pub fn remove_database(path: &Path) {
    for file in std::iter::once(path.to_owned()).chain(beside(path)) {
        match fs::remove_file(&file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(path = %file.display(), %error, "cannot remove an unfinished file");
            }
            _ => {}
        }
    }
}

/// What SQLite keeps beside a database.
pub fn beside(database: &Path) -> impl Iterator<Item = PathBuf> {
    BESIDE.into_iter().map(|end| {
        let mut name = database.as_os_str().to_owned();
        name.push(end);
        name.into()
    })
}

/// Puts the finished database of [`fresh`] in the place of the one that is there, with the
/// snapshot. Answers where those are now, if there were any.
pub fn replace(dir: &Path) -> Result<Option<PathBuf>, StoreError> {
    let (fresh, next) = (dir.join(FRESH), dir.join(NEXT));
    let ready = File::open(&fresh).and_then(|file| file.sync_all());
    ready
        .and_then(|()| fs::rename(&fresh, &next))
        .and_then(|()| sync_dir(dir))
        .map_err(StoreError::io("place", &next))?;
    finish_replacing(dir)
}

/// Does the rest of a [`replace`] that was broken off, if there is one.
pub fn finish_replacing(dir: &Path) -> Result<Option<PathBuf>, StoreError> {
    let next = dir.join(NEXT);
    if !next.exists() {
        return Ok(None);
    }
    let aside = set_aside(dir, "replaced", true)?;
    fs::rename(&next, dir.join(DATABASE))
        .and_then(|()| sync_dir(dir))
        .map_err(StoreError::io("place", &dir.join(DATABASE)))?;
    Ok(aside)
}

/// Moves the database, and the snapshot if that is meant too, into a folder of the directory.
/// Answers the folder; none if there was nothing to move.
pub fn set_aside(dir: &Path, word: &str, snapshot: bool) -> Result<Option<PathBuf>, StoreError> {
    let database = dir.join(DATABASE);
    // The database goes first: without it nobody reads what SQLite left beside it.
    let mut files = vec![database.clone()];
    files.extend(beside(&database));
    files.push(dir.join(DOUBT));
    files.extend(snapshot.then(|| snapshot::path(dir)));
    files.retain(|file| file.exists());
    if files.is_empty() {
        return Ok(None);
    }
    let aside = make_folder(dir, word)?;
    for file in files {
        let to = aside.join(file.file_name().expect("each has a name"));
        fs::rename(&file, to).map_err(StoreError::io("set aside", &file))?;
    }
    sync_dir(&aside)
        .and_then(|()| sync_dir(dir))
        .map_err(StoreError::io("set files aside in", &aside))?;
    Ok(Some(aside))
}

fn make_folder(dir: &Path, word: &str) -> Result<PathBuf, StoreError> {
    let first = now_ms().min(u64::MAX - MAX_FOLDERS);
    let mut result = Err(io::ErrorKind::AlreadyExists.into());
    for time in first..first + MAX_FOLDERS {
        let folder = dir.join(format!("{word}-{time}"));
        result = DirBuilder::new().mode(0o700).create(&folder).map(|()| folder);
        if !matches!(&result, Err(error) if error.kind() == io::ErrorKind::AlreadyExists) {
            break;
        }
    }
    result.map_err(StoreError::io("make a folder in", dir))
}

/// Writes down that the database is doubted; what cannot be written is only logged.
pub fn note_doubt(database: &Path, reason: &str) {
    let path = database.with_file_name(DOUBT);
    if let Err(error) = fs::write(&path, format!("{reason}\n")) {
        tracing::warn!(path = %path.display(), %error, "cannot note that the store is doubted");
    }
}

/// Was the database doubted while it was in use?
pub fn is_doubted(dir: &Path) -> bool {
    dir.join(DOUBT).exists()
}

/// The database was looked at, and is sound.
pub fn end_doubt(dir: &Path) -> Result<(), StoreError> {
    let path = dir.join(DOUBT);
    fs::remove_file(&path).map_err(StoreError::io("remove", &path))
}
