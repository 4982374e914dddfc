//! What there was: the database read beside its writer, as of any revision.
//!
//! An object as of revision R is what stands if that is no newer, else what the first edit behind R
//! ended. Edits are never changed and lead to nothing newer, so that whoever looks at what stands
//! and then at its edits finds it whatever is committed meanwhile, and what is large is read page
//! by page, each in a read of its own.
//! Invariants: no call writes; none holds a read transaction when it has returned, so that a slow
//! reader never keeps the write-ahead log from being emptied; pages are bounded in what they look
//! at and in bytes; whether a revision is still kept is looked at after it was read, since it is
//! forgotten before anything of it is.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{
    chain::AsOf,
    error::StoreError,
    files,
    object::{self, Kind, ObjectKey},
    prune,
    schema::{self, OWN, ROUTES},
    sqlite::number,
};
use crate::route::{Change, Counts, Digest, Revision, Table, digest::DIGEST_BYTES};

/// How many objects a page looks at.
const PAGE: usize = 1000;
/// A page ends behind the object that makes it longer than this, in bytes.
const PAGE_BYTES: usize = 256 << 10;

/// Opens views of a store; clones open views of the same.
#[derive(Debug, Clone)]
pub struct Archive {
    database: PathBuf,
    trust: Arc<Trust>,
}

/// What the readers and the writer of a database tell each other: whatever is said first stands.
#[derive(Debug, Default)]
struct Trust {
    /// Why the database cannot be trusted any more.
    doubt: OnceLock<String>,
    /// Why there is none, and the revision that is served.
    closed: OnceLock<(String, Revision)>,
    /// It was opened to write.
    written: AtomicBool,
}

/// A connection of its own to the store, to read.
#[derive(Debug)]
pub struct View {
    pub(super) connection: Connection,
    pub(super) path: PathBuf,
}

/// A revision, or a time and thus the newest revision that it had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// The revision.
    Revision(u64),
    /// Milliseconds since the Unix epoch.
    Time(u64),
}

/// Where the table stood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Point {
    /// The revision.
    pub revision: Revision,
    /// When it was made, in milliseconds since the Unix epoch; 0 for revision 0.
    pub at_ms: u64,
    /// The digest of its table.
    pub digest: Digest,
    /// How much was in it.
    pub counts: Counts,
}

/// What a page ends with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    pub(super) kind: Kind,
    pub(super) key: String,
}

impl Cursor {
    /// Before everything.
    pub fn start() -> Cursor {
        Cursor { kind: Kind::App, key: String::new() }
    }
}

/// Some of what there was, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// What there was.
    pub items: Vec<T>,
    /// Where the next page begins; none behind the last.
    pub next: Option<Cursor>,
}

impl Archive {
    /// The archive of a database.
    pub(super) fn of(database: &Path) -> Archive {
        Archive { database: database.to_owned(), trust: Arc::default() }
    }

    /// The database.
    pub(super) fn database(&self) -> &Path {
        &self.database
    }

    /// Opens a view.
    pub fn open(&self) -> Result<View, StoreError> {
        if let Some((reason, revision)) = self.trust.closed.get() {
            return Err(StoreError::SetAside { reason: reason.clone(), revision: revision.0 });
        }
        let connection = schema::open_to_read(&self.database)?;
        Ok(View { connection, path: self.database.clone() })
    }

    /// Takes note of an error: one that casts doubt on the database ends all writing to it, and is
    /// written down for the next start.
    pub fn note(&self, error: &StoreError) {
        let (StoreError::Damaged { reason, .. } | StoreError::Doubtful { reason, .. }) = error
        else {
            return;
        };
        self.doubt(reason);
    }

    /// The database cannot be trusted, for this reason.
    pub fn doubt(&self, reason: &str) {
        if self.trust.doubt.set(reason.into()).is_ok() {
            tracing::error!(database = %self.database.display(), %reason,
                "the database cannot be trusted: nothing more is written to it");
            files::note_doubt(&self.database, reason);
        }
    }

    /// The database is open to write.
    pub(super) fn is_written(&self) {
        self.trust.written.store(true, Relaxed);
    }

    /// May a view be kept for later? Not while the database waits to be opened to write.
    pub(super) fn lets_views_be_kept(&self) -> bool {
        self.trust.written.load(Relaxed)
    }

    /// Fails if the database is doubted.
    pub fn check_trust(&self) -> Result<(), StoreError> {
        match self.trust.doubt.get() {
            Some(reason) => {
                Err(StoreError::Doubtful { path: self.database.clone(), reason: reason.clone() })
            }
            None => Ok(()),
        }
    }

    /// There is no database to look into, for this reason.
    pub(super) fn close(&self, reason: &str, revision: Revision) {
        self.trust.closed.get_or_init(|| (reason.into(), revision));
    }
}

impl View {
    /// The newest revision.
    pub fn newest(&self) -> Result<Revision, StoreError> {
        let sql = "SELECT coalesce(max(revision), 0) FROM transactions";
        let newest = self.connection.query_row(sql, [], |row| row.get::<_, i64>(0));
        Ok(Revision(newest.map_err(StoreError::sqlite(&self.path))?.cast_unsigned()))
    }

    /// The revision that is meant: at a time before the first, 0.
    pub fn revision_at(&self, at: At) -> Result<Revision, StoreError> {
        let time = match at {
            At::Time(time) => i64::try_from(time).unwrap_or(i64::MAX),
            At::Revision(asked) => {
                let newest = self.newest()?.0;
                if asked > newest {
                    return Err(StoreError::NoSuchRevision { asked, newest });
                }
                self.check_kept(Revision(asked))?;
                return Ok(Revision(asked));
            }
        };
        let sql = "SELECT revision FROM transactions WHERE at_ms <= ?1
                   ORDER BY at_ms DESC, revision DESC LIMIT 1";
        let found = self.connection.query_row(sql, [time], |row| row.get::<_, i64>(0)).optional();
        match found.map_err(StoreError::sqlite(&self.path))? {
            Some(found) => Ok(Revision(found.cast_unsigned())),
            None => match self.oldest()? {
                Revision(0) => Ok(Revision(0)),
                oldest => {
                    Err(StoreError::NotKept { asked: "what was then".into(), oldest: oldest.0 })
                }
            },
        }
    }

    /// The oldest revision that is kept; 0 where nothing was ever forgotten.
    pub fn oldest(&self) -> Result<Revision, StoreError> {
        prune::oldest(&self.connection).map_err(StoreError::sqlite(&self.path))
    }

    /// Fails if a revision is no longer kept. After a read this says whether all was there.
    pub(super) fn check_kept(&self, revision: Revision) -> Result<(), StoreError> {
        let oldest = self.oldest()?;
        if revision >= oldest {
            return Ok(());
        }
        Err(StoreError::NotKept { asked: format!("revision {revision}"), oldest: oldest.0 })
    }

    /// Where the table stood at a revision.
    pub fn point(&self, revision: Revision) -> Result<Point, StoreError> {
        self.check_kept(revision)?;
        match point_in(&self.connection, revision).map_err(StoreError::sqlite(&self.path))? {
            Some(point) => Ok(point),
            None => Err(StoreError::NoSuchRevision { asked: revision.0, newest: self.newest()?.0 }),
        }
    }

    /// The objects of the table as of a revision, from behind a cursor on: apps, then dynos, then
    /// routes, each by its key. A page looks at so many objects, whether they were there then or
    /// not, so that the whole costs one way through the store; a page may be empty and have a next.
    pub fn objects(&self, at: Revision, after: Cursor) -> Result<Page<Change>, StoreError> {
        let page = self.page(at, &after);
        // What is half forgotten may well look damaged.
        self.check_kept(at)?;
        page
    }

    fn page(&self, at: Revision, after: &Cursor) -> Result<Page<Change>, StoreError> {
        const SQL: &str = "SELECT key, from_rev, body, last FROM objects
                           WHERE kind = ?1 AND key > ?2 ORDER BY key LIMIT ?3";
        let failed = StoreError::sqlite(&self.path);
        let mut as_of = AsOf::of(&self.connection, at).map_err(&failed)?;
        let kind = after.kind;
        let (mut items, mut bytes, mut seen) = (Vec::new(), 0, 0);
        let mut query = self.connection.prepare_cached(SQL).map_err(&failed)?;
        let named = params![kind.as_str(), after.key, PAGE as i64];
        let mut rows = query.query(named).map_err(&failed)?;
        while let Some(row) = rows.next().map_err(&failed)? {
            let key = text(row, 0).map_err(&failed)?;
            if let Some(body) = as_of.body(row, [1, 2, 3]).map_err(&failed)? {
                items.push(self.decoded(kind, key, &body)?);
                bytes += body.len();
            }
            seen += 1;
            if seen == PAGE || bytes > PAGE_BYTES {
                let next = Some(Cursor { kind, key: key.into() });
                return Ok(Page { items, next });
            }
        }
        let next = Kind::ALL.into_iter().find(|other| *other > kind);
        Ok(Page { items, next: next.map(|kind| Cursor { kind, key: String::new() }) })
    }

    /// One app with its routes and dynos as of a revision, in a table of its own; empty if there
    /// was no such app.
    pub fn app(&self, app: &str, at: Revision) -> Result<Table, StoreError> {
        let read = self.app_as_far_as_kept(app, at);
        // What is half forgotten may well look damaged.
        self.check_kept(at)?;
        read
    }

    fn app_as_far_as_kept(&self, app: &str, at: Revision) -> Result<Table, StoreError> {
        let failed = StoreError::sqlite(&self.path);
        let mut as_of = AsOf::of(&self.connection, at).map_err(&failed)?;
        let mut table = Table::new(0);
        let mut put = |kind, key: &str, body: &str| {
            object::insert(&mut table, kind, key, body).map_err(|reason| self.damaged(reason))
        };
        let sql = format!("{OWN} ORDER BY kind");
        let mut query = self.connection.prepare_cached(&sql).map_err(&failed)?;
        let mut rows = query.query([app]).map_err(&failed)?;
        while let Some(row) = rows.next().map_err(&failed)? {
            if let Some(body) = as_of.body(row, [2, 3, 4]).map_err(&failed)? {
                let kind = self.kind(text(row, 0).map_err(&failed)?)?;
                put(kind, text(row, 1).map_err(&failed)?, &body)?;
            }
        }
        // A route may be another app's by now, or have been.
        let mut query = self.connection.prepare_cached(ROUTES).map_err(&failed)?;
        let mut rows = query.query(params![app, as_of.bound()]).map_err(&failed)?;
        while let Some(row) = rows.next().map_err(&failed)? {
            let key = text(row, 0).map_err(&failed)?;
            let stood = as_of.object(Kind::Route, key).map_err(&failed)?;
            if let Some(stood) = stood.filter(|stood| stood.app == app) {
                put(Kind::Route, key, &stood.body)?;
            }
        }
        table.set_revision(at);
        Ok(table)
    }

    /// Was there an app of that name?
    pub fn had_app(&self, app: &str, at: Revision) -> Result<bool, StoreError> {
        let had = self.version(Kind::App, app, at)?.is_some();
        self.check_kept(at)?;
        Ok(had)
    }

    /// What puts an object as it was at a revision; none if it was not there.
    pub fn object(&self, key: &ObjectKey, at: Revision) -> Result<Option<Change>, StoreError> {
        let found = self.version(key.kind(), &key.text(), at)?;
        self.check_kept(at)?;
        Ok(found)
    }

    /// The version of an object that stood at a revision, if that is kept: the caller looks.
    pub(super) fn version(
        &self,
        kind: Kind,
        key: &str,
        at: Revision,
    ) -> Result<Option<Change>, StoreError> {
        let failed = StoreError::sqlite(&self.path);
        let stood = AsOf::of(&self.connection, at).and_then(|mut as_of| as_of.object(kind, key));
        let stood = stood.map_err(failed)?;
        stood.map(|stood| self.decoded(kind, key, &stood.body)).transpose()
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn kind(&self, word: &str) -> Result<Kind, StoreError> {
        Kind::parse(word).ok_or_else(|| self.damaged(format!("a {word:?} is no object")))
    }

    pub(super) fn decoded(&self, kind: Kind, key: &str, body: &str) -> Result<Change, StoreError> {
        let read = object::decode(None, kind, key, body);
        read.map(object::public).map_err(|reason| self.damaged(reason))
    }

    fn damaged(&self, reason: String) -> StoreError {
        StoreError::Damaged { path: self.path.clone(), reason }
    }
}

/// Where the table stood at a revision; none if there is no such revision.
pub(super) fn point_in(
    connection: &Connection,
    revision: Revision,
) -> rusqlite::Result<Option<Point>> {
    if revision == Revision(0) {
        let (digest, counts) = Default::default();
        return Ok(Some(Point { revision, at_ms: 0, digest, counts }));
    }
    let sql =
        "SELECT at_ms, digest, apps, routes, dynos, certs FROM transactions WHERE revision = ?1";
    let point = connection.query_row(sql, [number(revision)], |row| {
        let count = |i| row.get::<_, i64>(i).map(|count| count.cast_unsigned() as usize);
        Ok(Point {
            revision,
            at_ms: row.get::<_, i64>(0)?.cast_unsigned(),
            digest: digest_of(row, 1)?,
            counts: Counts {
                apps: count(2)?,
                routes: count(3)?,
                dynos: count(4)?,
                certificates: count(5)?,
            },
        })
    });
    point.optional()
}

pub(super) fn text<'a>(row: &'a Row<'_>, column: usize) -> rusqlite::Result<&'a str> {
    row.get_ref(column)?.as_str().map_err(rusqlite::Error::from)
}

pub(super) fn digest_of(row: &Row<'_>, column: usize) -> rusqlite::Result<Digest> {
    row.get::<_, [u8; DIGEST_BYTES]>(column).map(|bytes| Digest::from_bytes(&bytes))
}
