//! What an operator does with a store: copies, brings back, begins anew, makes smaller.
//!
//! Invariants: a backup is looked through before it has its name, and before it is brought back; a
//! database is only replaced whole, and what was there is kept beside it; whoever writes holds the
//! data directory, so that no router runs on it.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use rusqlite::{Connection, params};
use serde::Serialize;

use super::{
    error::StoreError,
    files,
    lock::DirLock,
    object, schema, snapshot,
    sqlite::{Store, number},
    verify::{self, Verdict},
    wal,
};
use crate::{
    control::clock::now_ms,
    route::{Counts, Revision, Table},
};

/// By how much the numbers go on behind those of a snapshot that a history begins with: the lost
/// database had more, and no number is to mean two things. A snapshot is written after a tenth.
const GAP: u64 = 10 * snapshot::SNAPSHOT_EVERY;

/// What took the place of what was there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Replaced {
    /// The newest revision now.
    pub revision: u64,
    /// The digest of its table.
    pub digest: String,
    /// The folder that has what was there, if there was something.
    pub kept_in: Option<PathBuf>,
}

/// What compacting came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Compacted {
    /// The size before, in bytes.
    pub bytes_before: u64,
    /// The size after.
    pub bytes_after: u64,
    /// The oldest revision that is kept; 0: all of them.
    pub oldest: u64,
}

/// Copies the database of a data directory into a file, beside whoever writes to it. A file that is
/// there is replaced only if that is asked for.
pub fn backup(dir: &Path, to: &Path, replace: bool) -> Result<Verdict, StoreError> {
    let database = dir.join(files::DATABASE);
    if to.exists() && !replace {
        let reason = "it is there already, and --replace writes over it".into();
        return Err(StoreError::Failed { path: to.to_owned(), reason });
    }
    let source = schema::open_alone_to_read(&database)?;
    wal::check(&database)?;
    let mut part = to.as_os_str().to_owned();
    part.push(format!(".part-{}", std::process::id()));
    let part = PathBuf::from(part);
    let made = copy(&source, &database, &part).and_then(|()| {
        let copied = Connection::open(&part).map_err(StoreError::sqlite(&part))?;
        let verdict = sound(verify::look_through(&copied, &part)?, &database)?;
        drop(copied);
        let parent = to.parent().filter(|parent| !parent.as_os_str().is_empty());
        File::open(&part)
            .and_then(|file| file.sync_all())
            .and_then(|()| fs::rename(&part, to))
            .and_then(|()| files::sync_dir(parent.unwrap_or(Path::new("."))))
            .map_err(StoreError::io("write", to))?;
        Ok(Verdict { database: to.display().to_string(), ..verdict })
    });
    if made.is_err() {
        files::remove_database(&part);
    }
    made
}

/// Puts a backup in the place of the database of a data directory.
pub fn restore(dir: &Path, from: &Path) -> Result<Replaced, StoreError> {
    let _lock = lock(dir)?;
    let source = schema::open_to_read(from)?;
    wal::check(from)?;
    put(dir, |fresh| {
        copy(&source, from, fresh)?;
        let copied = schema::open(fresh)?;
        let verdict = sound(verify::look_through(&copied, fresh)?, from)?;
        schema::close(copied, fresh)?;
        Ok(verdict)
    })
}

/// Begins a history with the table of the snapshot, in the place of a database that is damaged or
/// not there.
pub fn recover(dir: &Path) -> Result<Replaced, StoreError> {
    let _lock = lock(dir)?;
    let database = dir.join(files::DATABASE);
    let read = snapshot::read_table(dir, 0);
    let is_behind = |newest| read.as_ref().is_ok_and(|(table, _)| table.revision().0 > newest);
    let is_sound = |found: Verdict| found.findings.is_empty() && !is_behind(found.newest);
    if database.exists() && verify::verify(&database).is_ok_and(is_sound) {
        let reason = "it is sound, and nothing needs to be recovered".into();
        return Err(StoreError::Failed { path: database, reason });
    }
    let path = snapshot::path(dir);
    let (table, at_ms) =
        read.map_err(|why| StoreError::Damaged { path, reason: why.to_string() })?;
    put(dir, |fresh| {
        let mut connection = schema::open(fresh)?;
        begin_with(&mut connection, &table, at_ms).map_err(StoreError::sqlite(fresh))?;
        let verdict = sound(verify::look_through(&connection, fresh)?, fresh)?;
        schema::close(connection, fresh)?;
        Ok(verdict)
    })
}

/// Forgets what is older than a time (0: nothing), and gives the disk back what is not used.
pub fn compact(dir: &Path, keep_since_ms: u64) -> Result<Compacted, StoreError> {
    let database = dir.join(files::DATABASE);
    let size = || -> u64 {
        let files = std::iter::once(database.clone()).chain(files::beside(&database));
        files.map(|file| file.metadata().map_or(0, |metadata| metadata.len())).sum()
    };
    if !database.exists() {
        let source = std::io::ErrorKind::NotFound.into();
        return Err(StoreError::Io { what: "read", path: database, source });
    }
    let bytes_before = size();
    wal::check(&database)?;
    let mut store = Store::open(dir)?;
    store.check_snapshot()?;
    store.keep_since(keep_since_ms);
    while store.prune()? {}
    store.write(|connection| {
        connection.execute("VACUUM", [])?;
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
    })?;
    let oldest = store.oldest().0;
    store.close()?;
    Ok(Compacted { bytes_before, bytes_after: size(), oldest })
}

/// The data directory, to write.
fn lock(dir: &Path) -> Result<DirLock, StoreError> {
    let lock = DirLock::take(dir)?;
    if !lock.is_writable() {
        return Err(StoreError::ReadOnly { path: dir.to_owned() });
    }
    files::finish_replacing(dir)?;
    Ok(lock)
}

/// Has a database made, and puts it in the place of the one that is there.
fn put(
    dir: &Path,
    make: impl FnOnce(&Path) -> Result<Verdict, StoreError>,
) -> Result<Replaced, StoreError> {
    let fresh = files::fresh(dir)?;
    match make(&fresh) {
        Ok(verdict) => {
            let kept_in = files::replace(dir)?;
            Ok(Replaced { revision: verdict.newest, digest: verdict.digest, kept_in })
        }
        Err(error) => {
            files::remove_database(&fresh);
            Err(error)
        }
    }
}

/// Copies a database as it is at one moment.
fn copy(source: &Connection, path: &Path, to: &Path) -> Result<(), StoreError> {
    if !to.exists() {
        files::make_private(to).map_err(StoreError::io("make", to))?;
    }
    let Some(name) = to.to_str() else {
        let source = std::io::Error::other("its name is not text");
        return Err(StoreError::Io { what: "make", path: to.to_owned(), source });
    };
    match source.execute("VACUUM INTO ?1", [name]).map_err(StoreError::sqlite(path)) {
        Ok(_) => Ok(()),
        // What has no room is the copy.
        Err(StoreError::Full { .. }) => Err(StoreError::Full { path: to.to_owned() }),
        Err(error) => Err(error),
    }
}

fn sound(verdict: Verdict, path: &Path) -> Result<Verdict, StoreError> {
    match verdict.findings.first() {
        None => Ok(verdict),
        Some(first) => Err(StoreError::Damaged { path: path.to_owned(), reason: first.clone() }),
    }
}

/// Writes a table as the first revision of an empty database.
fn begin_with(connection: &mut Connection, table: &Table, at_ms: i64) -> rusqlite::Result<()> {
    let revision = number(Revision(table.revision().0 + GAP));
    let now_ms = i64::try_from(now_ms()).unwrap_or(i64::MAX).max(at_ms);
    let transaction = connection.transaction()?;
    let mut changes = 0_i64;
    {
        let mut put = transaction.prepare(
            "INSERT INTO objects (kind, key, from_rev, body, app, last, depth, leap)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, 1, 0)",
        )?;
        let mut edit = transaction.prepare(
            "INSERT INTO edits (id, kind, key, from_rev, to_rev, app, removed, before, leap)
             VALUES (?1, ?2, ?3, 0, ?4, '', 0, 0, 0)",
        )?;
        object::each_in(table, |kind, key, app, body| {
            changes += 1;
            edit.execute(params![changes, kind.as_str(), key, revision])?;
            put.execute(params![kind.as_str(), key, revision, body, app, changes]).map(drop)
        })?;
    }
    let Counts { apps, routes, dynos, certificates } = table.counts();
    let reason = format!("recovered: the table of revision {}", table.revision());
    transaction.execute(
        "INSERT INTO transactions
             (revision, at_ms, author, reason, changes, digest, apps, routes, dynos, certs,
              last_edit)
         VALUES (?1, ?2, 'hostler', ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?4)",
        params![
            revision,
            now_ms,
            reason,
            changes,
            table.digest().to_bytes(),
            apps as i64,
            routes as i64,
            dynos as i64,
            certificates as i64
        ],
    )?;
    transaction.commit()
}
