//! The snapshot: a flat copy of the table as of one revision, read at start in place of the rows.
//!
//! The file is a head (mark, version, revision, time of that revision), a record for each object
//! sorted by kind, an end mark with the count, and a CRC-32 of all before it; numbers are
//! little-endian. It only saves time: whatever is wrong with it, the database has everything.
//! Invariants: replaced by a rename, never written in place; written from one read transaction of
//! the database, beside the writer; revision and time together tell a snapshot of another history.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufReader, BufWriter, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    thread::{self, JoinHandle},
};

use super::{
    archive::Archive,
    error::StoreError,
    files,
    load::{Objects, load},
    object::{self, Kind},
    schema,
};
use crate::route::{Revision, Table};

/// A snapshot is written after this many revisions: a start after a crash reads the objects that
/// changed in about as many besides.
pub const SNAPSHOT_EVERY: u64 = 100_000;

const FILE: &str = "table.snapshot";
const NEW_FILE: &str = "table.snapshot.new";
const MARK: [u8; 8] = *b"hostlert";
/// Version 1 knew neither protection nor a time to live; what it holds is read as without them.
const VERSION: u32 = 2;
const READ: std::ops::RangeInclusive<u32> = 1..=VERSION;
/// The kind byte behind the last record.
const END: u8 = 0;
/// Bytes read or written at once.
const BUFFER: usize = 256 << 10;
/// The longest key or body that is believed, in bytes; a larger one means a damaged file.
const MAX_TEXT: usize = 16 << 20;

/// Keeps the snapshot of a directory new enough, beside the commits.
#[derive(Debug)]
pub struct Snapshots {
    dir: PathBuf,
    archive: Archive,
    /// The revision that stands in the file; 0 if none that can be used.
    standing: Revision,
    /// The newest revision when the last try to write one began.
    attempted: Revision,
    /// So much changed at once that a start would sooner read a new one.
    is_overdue: bool,
    writer: Option<JoinHandle<Result<Revision, StoreError>>>,
}

impl Snapshots {
    /// For a directory and the archive of the database in it; nothing is known of the file yet.
    pub fn new(dir: &Path, archive: Archive) -> Snapshots {
        let (standing, attempted) = (Revision(0), Revision(0));
        Snapshots {
            dir: dir.to_owned(),
            archive,
            standing,
            attempted,
            is_overdue: false,
            writer: None,
        }
    }

    /// The data directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The database.
    pub fn database(&self) -> &Path {
        self.archive.database()
    }

    /// Notes the revision of the file that was found at start.
    pub fn found(&mut self, standing: Revision) {
        (self.standing, self.attempted) = (standing, standing);
    }

    /// Notes that a large part of the table changed at once.
    pub fn note_bulk(&mut self) {
        self.is_overdue = true;
    }

    /// Begins to write a snapshot on a thread of its own if one is due and none is being written:
    /// if the last is old, or older than what is kept, so that nobody knows what changed since.
    pub fn write_if_due(&mut self, newest: Revision, oldest: Revision) {
        if self.writer.as_ref().is_some_and(|writer| !writer.is_finished()) {
            return;
        }
        self.reap();
        if newest.0 - self.attempted.0 < SNAPSHOT_EVERY
            && self.attempted >= oldest
            && !self.is_overdue
        {
            return;
        }
        (self.attempted, self.is_overdue) = (newest, false);
        let (dir, archive) = (self.dir.clone(), self.archive.clone());
        let spawned =
            thread::Builder::new().name("snapshot".into()).spawn(move || write(&dir, &archive));
        match spawned {
            Ok(writer) => self.writer = Some(writer),
            Err(error) => tracing::warn!(%error, "cannot start the thread that writes snapshots"),
        }
    }

    /// Waits for the writer and writes the newest revision itself unless that stands already.
    pub fn write_last(&mut self, newest: Revision) -> Result<(), StoreError> {
        self.reap();
        if self.standing != newest {
            self.standing = write(&self.dir, &self.archive)?;
        }
        Ok(())
    }

    /// Waits for the writer and writes the newest revision in the place of whatever stands.
    pub fn write_again(&mut self) -> Result<(), StoreError> {
        self.reap();
        self.standing = write(&self.dir, &self.archive)?;
        Ok(())
    }

    /// Waits for the writer, if there is one, and notes what it wrote.
    fn reap(&mut self) {
        match self.writer.take().map(JoinHandle::join) {
            None => {}
            Some(Ok(Ok(revision))) => self.standing = revision,
            Some(Ok(Err(error))) => tracing::warn!(%error, "no snapshot was written"),
            Some(Err(_)) => tracing::error!("the thread that writes snapshots panicked"),
        }
    }
}

impl Drop for Snapshots {
    fn drop(&mut self) {
        // A writer that outlived the lock could meet the next process's in one file.
        self.reap();
    }
}

/// What a snapshot is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// The revision.
    pub revision: Revision,
    /// When that revision was made, milliseconds since the Unix epoch.
    pub at_ms: i64,
}

/// Why a snapshot cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// There is none.
    #[error("there is none")]
    Missing,
    /// It cannot be read to its end.
    #[error("it cannot be read: {0}")]
    Io(#[from] io::Error),
    /// Its mark or version is another.
    #[error("it is not a snapshot that this release reads")]
    Unknown,
    /// The checksum or the count is wrong, or a record is not what it should be.
    #[error("it is damaged: {0}")]
    Damaged(String),
    /// The database has no such revision.
    #[error("it is of revision {0}, which the database has not, or has from another history")]
    OtherHistory(Revision),
}

/// Where the snapshot of a data directory is.
pub fn path(dir: &Path) -> PathBuf {
    dir.join(FILE)
}

/// A snapshot whose head was read.
pub struct Reading {
    input: Summed<BufReader<File>>,
    stamp: Stamp,
}

impl Reading {
    /// Opens the snapshot of a data directory and reads its head.
    pub fn open(dir: &Path) -> Result<Reading, Unusable> {
        let file = File::open(path(dir)).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Unusable::Missing,
            _ => Unusable::Io(error),
        })?;
        let mut input = Summed::new(BufReader::with_capacity(BUFFER, file));
        if input.array::<8>()? != MARK || !READ.contains(&u32::from_le_bytes(input.array()?)) {
            return Err(Unusable::Unknown);
        }
        let revision = Revision(u64::from_le_bytes(input.array()?));
        let at_ms = i64::from_le_bytes(input.array()?);
        Ok(Reading { input, stamp: Stamp { revision, at_ms } })
    }

    /// What it is of.
    pub fn stamp(&self) -> Stamp {
        self.stamp
    }

    /// Reads every record in order. What `take` was given counts only once this has answered `Ok`:
    /// the checksum stands at the end.
    pub fn read(
        mut self,
        mut take: impl FnMut(Kind, &str, &str) -> Result<(), String>,
    ) -> Result<(), Unusable> {
        let mut text = Vec::new();
        let mut count = 0_u64;
        loop {
            let [kind] = self.input.array()?;
            if kind == END {
                break;
            }
            let kind = kind_of(kind).ok_or_else(|| damaged("a record of no known kind"))?;
            let key_len = u32::from_le_bytes(self.input.array()?) as usize;
            let body_len = u32::from_le_bytes(self.input.array()?) as usize;
            if key_len.max(body_len) > MAX_TEXT {
                return Err(damaged("a record of an impossible length"));
            }
            text.resize(key_len + body_len, 0);
            self.input.fill(&mut text)?;
            let both = std::str::from_utf8(&text).map_err(|_| damaged("a record is not text"))?;
            let (key, body) = both
                .split_at_checked(key_len)
                .ok_or_else(|| damaged("a key ends inside of a character"))?;
            take(kind, key, body).map_err(Unusable::Damaged)?;
            count += 1;
        }
        if u64::from_le_bytes(self.input.array()?) != count {
            return Err(damaged("the count of its records is wrong"));
        }
        let sum = self.input.sum.clone().finalize();
        if u32::from_le_bytes(self.input.array()?) != sum {
            return Err(damaged("its checksum is wrong"));
        }
        Ok(())
    }
}

/// Writes the newest table of a database as the snapshot of the directory; answers its revision.
fn write(dir: &Path, archive: &Archive) -> Result<Revision, StoreError> {
    archive.check_trust()?;
    place(dir, |fresh| copy(fresh, archive.database())).inspect_err(|error| archive.note(error))
}

/// Writes a table as the snapshot of the directory, without a look at the database.
pub fn write_table(dir: &Path, table: &Table, at_ms: i64) -> Result<(), StoreError> {
    let stamp = Stamp { revision: table.revision(), at_ms };
    let written = place(dir, |fresh| {
        let write = || {
            let mut output = Writing::create(fresh, stamp)?;
            object::each_in(table, |kind, key, _, body| output.record(kind, key, body))?;
            output.finish()
        };
        Ok(write().map(|()| stamp))
    });
    written.map(drop)
}

/// The table of the snapshot of a directory, with the time of its revision.
pub fn read_table(dir: &Path, seed: u64) -> Result<(Table, i64), Unusable> {
    let reading = Reading::open(dir)?;
    let stamp = reading.stamp();
    let read =
        |objects: &mut Objects| reading.read(|kind, key, body| objects.take(kind, key, body));
    let mut table = load(seed, read, Unusable::Damaged)?;
    table.set_revision(stamp.revision);
    Ok((table, stamp.at_ms))
}

/// Puts a snapshot in the place of the one that is there, once it is written and on the disk.
fn place(
    dir: &Path,
    write: impl FnOnce(&Path) -> Result<io::Result<Stamp>, StoreError>,
) -> Result<Revision, StoreError> {
    let failed = |reason: String| StoreError::Snapshot { path: path(dir), reason };
    let fresh = dir.join(NEW_FILE);
    let written = write(&fresh)?.map_err(|error| failed(error.to_string()));
    let placed = written.and_then(|stamp| {
        fs::rename(&fresh, path(dir))
            .and_then(|()| files::sync_dir(dir))
            .map_err(|error| failed(error.to_string()))?;
        Ok(stamp.revision)
    });
    if placed.is_err()
        && let Err(error) = fs::remove_file(&fresh)
    {
        tracing::warn!(path = %fresh.display(), %error, "cannot remove an unfinished snapshot");
    }
    placed
}

/// Copies the objects that stand in the database into a new file, down to the disk. The outer error
/// is the database's, the inner the file's.
fn copy(fresh: &Path, database: &Path) -> Result<io::Result<Stamp>, StoreError> {
    let failed = StoreError::sqlite(database);
    let mut connection = schema::open_to_read(database)?;
    // One read transaction, so that the revision and the objects belong together.
    let view = connection.transaction().map_err(&failed)?;
    let newest = "SELECT revision, at_ms FROM transactions ORDER BY revision DESC LIMIT 1";
    let (revision, at_ms) = view
        .query_row(newest, [], |row| Ok((row.get::<_, i64>(0)?, row.get(1)?)))
        .map_err(&failed)?;
    let stamp = Stamp { revision: Revision(revision.cast_unsigned()), at_ms };
    let mut output = match Writing::create(fresh, stamp) {
        Ok(output) => output,
        Err(error) => return Ok(Err(error)),
    };
    let mut objects = view
        .prepare("SELECT key, body FROM objects WHERE kind = ?1 AND body IS NOT NULL ORDER BY key")
        .map_err(&failed)?;
    for kind in Kind::ALL {
        let mut rows = objects.query([kind.as_str()]).map_err(&failed)?;
        while let Some(row) = rows.next().map_err(&failed)? {
            let text = |i| row.get_ref(i)?.as_str().map_err(rusqlite::Error::from);
            let (key, body) = (text(0).map_err(&failed)?, text(1).map_err(&failed)?);
            if let Err(error) = output.record(kind, key, body) {
                return Ok(Err(error));
            }
        }
    }
    Ok(output.finish().map(|()| stamp))
}

/// A snapshot that is being written.
struct Writing {
    output: BufWriter<File>,
    sum: crc32fast::Hasher,
    count: u64,
}

impl Writing {
    fn create(path: &Path, stamp: Stamp) -> io::Result<Writing> {
        let file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
        let output = BufWriter::with_capacity(BUFFER, file);
        let mut writing = Writing { output, sum: crc32fast::Hasher::new(), count: 0 };
        writing.put(&MARK)?;
        writing.put(&VERSION.to_le_bytes())?;
        writing.put(&stamp.revision.0.to_le_bytes())?;
        writing.put(&stamp.at_ms.to_le_bytes())?;
        Ok(writing)
    }

    fn record(&mut self, kind: Kind, key: &str, body: &str) -> io::Result<()> {
        let length = |text: &str| {
            let fits = u32::try_from(text.len()).ok().filter(|_| text.len() <= MAX_TEXT);
            fits.ok_or_else(|| io::Error::other("an object is too large for a snapshot"))
        };
        self.put(&[byte_of(kind)])?;
        self.put(&length(key)?.to_le_bytes())?;
        self.put(&length(body)?.to_le_bytes())?;
        self.put(key.as_bytes())?;
        self.put(body.as_bytes())?;
        self.count += 1;
        Ok(())
    }

    fn finish(mut self) -> io::Result<()> {
        self.put(&[END])?;
        self.put(&self.count.to_le_bytes())?;
        let sum = self.sum.clone().finalize();
        self.put(&sum.to_le_bytes())?;
        self.output.flush()?;
        self.output.get_ref().sync_all()
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.sum.update(bytes);
        self.output.write_all(bytes)
    }
}

/// A reader that sums up what it hands out.
struct Summed<R> {
    input: R,
    sum: crc32fast::Hasher,
}

impl<R: Read> Summed<R> {
    fn new(input: R) -> Summed<R> {
        Summed { input, sum: crc32fast::Hasher::new() }
    }

    fn fill(&mut self, bytes: &mut [u8]) -> io::Result<()> {
        self.input.read_exact(bytes)?;
        self.sum.update(bytes);
        Ok(())
    }

    fn array<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }
}

fn byte_of(kind: Kind) -> u8 {
    match kind {
        Kind::App => 1,
        Kind::Dyno => 2,
        Kind::Route => 3,
        Kind::Certificate => 4,
    }
}

fn kind_of(byte: u8) -> Option<Kind> {
    Kind::ALL.into_iter().find(|kind| byte_of(*kind) == byte)
}

fn damaged(what: &str) -> Unusable {
    Unusable::Damaged(what.into())
}
