//! What there was: the database read beside its writer, as of any revision.
//!
//! An object as of revision R is the one version of its key that stood then; a version moves from
//! `objects` to `past` when it ends, and never back. So whoever looks into both at once, or into
//! the former first, finds it whatever is committed meanwhile, and what is large is read page by
//! page, each in a read of its own.
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
    error::StoreError,
    files,
    object::{self, Kind, ObjectKey},
    prune,
    schema::{self, Versions},
    sqlite::number,
};
use crate::{
    api::HistoryEntry,
    route::{Change, Counts, Digest, Revision, Table, digest::DIGEST_BYTES},
};

/// How many objects that stand a page looks at.
const STANDING: i64 = 1000;
/// How many versions that ended a page looks at, but for those of its last key.
const ENDED: i64 = 4000;
/// Behind every key: they are ASCII.
const LAST_KEY: &str = "\u{10ffff}";
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
    path: PathBuf,
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

/// Which transactions to tell of.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    /// Those that changed this app, its routes or its dynos.
    pub app: Option<String>,
    /// Those of this author: the name of a token.
    pub author: Option<String>,
    /// Those from then on.
    pub since: Option<At>,
    /// Those up to then.
    pub until: Option<At>,
    /// Those before this revision.
    pub before: Option<u64>,
    /// At most so many.
    pub limit: usize,
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
    /// routes, each by its key. A page looks at so many versions, whether they stood then or not,
    /// so that the whole costs one way through the store; a page may be empty and have a next.
    pub fn objects(&self, at: Revision, after: Cursor) -> Result<Page<Change>, StoreError> {
        // Both arms come in the order of the key, so that SQLite merges them as it goes.
        const SQL: &str = "
            SELECT key, body FROM objects
                WHERE kind = ?1 AND key > ?2 AND key <= ?4 AND +from_rev <= ?3
            UNION ALL SELECT key, body FROM past INDEXED BY past_key
                WHERE kind = ?1 AND key > ?2 AND key <= ?4 AND to_rev > ?3 AND from_rev <= ?3
            ORDER BY key";
        let failed = StoreError::sqlite(&self.path);
        let Cursor { kind, key: after } = after;
        let end = self.page_end(kind, &after)?;
        let last = end.as_deref().unwrap_or(LAST_KEY);
        let (mut items, mut bytes) = (Vec::new(), 0);
        let mut query = self.connection.prepare_cached(SQL).map_err(&failed)?;
        let mut rows =
            query.query(params![kind.as_str(), after, number(at), last]).map_err(&failed)?;
        while let Some(row) = rows.next().map_err(&failed)? {
            let (key, body) = (text(row, 0).map_err(&failed)?, text(row, 1).map_err(&failed)?);
            items.push(self.decoded(kind, key, body)?);
            bytes += body.len();
            if bytes > PAGE_BYTES {
                let next = Some(Cursor { kind, key: key.into() });
                self.check_kept(at)?;
                return Ok(Page { items, next });
            }
        }
        self.check_kept(at)?;
        let next = match end {
            Some(key) => Some(Cursor { kind, key }),
            None => {
                let next = Kind::ALL.into_iter().find(|other| *other > kind);
                next.map(|kind| Cursor { kind, key: String::new() })
            }
        };
        Ok(Page { items, next })
    }

    /// The key up to which a page goes; none if that is to the end of the kind.
    fn page_end(&self, kind: Kind, after: &str) -> Result<Option<String>, StoreError> {
        const SQL: &str = "
            SELECT min(key) FROM (
                SELECT * FROM (SELECT key FROM objects WHERE kind = ?1 AND key > ?2
                    ORDER BY key LIMIT 1 OFFSET ?3)
                UNION ALL SELECT * FROM (SELECT key FROM past INDEXED BY past_key
                    WHERE kind = ?1 AND key > ?2 ORDER BY key LIMIT 1 OFFSET ?4))";
        let named = params![kind.as_str(), after, STANDING - 1, ENDED - 1];
        let end = self.connection.prepare_cached(SQL);
        end.and_then(|mut query| query.query_row(named, |row| row.get(0)))
            .map_err(StoreError::sqlite(&self.path))
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
        let of_app = |table, which| schema::of_app(table, "kind, key, body", "?1", which);
        let sql = format!(
            "{} UNION ALL {} ORDER BY kind",
            of_app(Versions::Standing, "from_rev <= ?2"),
            of_app(Versions::Past, "to_rev > ?2 AND from_rev <= ?2")
        );
        let failed = StoreError::sqlite(&self.path);
        let mut table = Table::new(0);
        let mut query = self.connection.prepare_cached(&sql).map_err(&failed)?;
        let mut rows = query.query(params![app, number(at)]).map_err(&failed)?;
        while let Some(row) = rows.next().map_err(&failed)? {
            let kind = self.kind(text(row, 0).map_err(&failed)?)?;
            let (key, body) = (text(row, 1).map_err(&failed)?, text(row, 2).map_err(&failed)?);
            object::insert(&mut table, kind, key, body).map_err(|reason| self.damaged(reason))?;
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
        for sql in [
            "SELECT body FROM objects WHERE kind = ?1 AND key = ?2 AND from_rev <= ?3",
            "SELECT body FROM past INDEXED BY past_key
             WHERE kind = ?1 AND key = ?2 AND to_rev > ?3 AND from_rev <= ?3",
        ] {
            let mut query = self.connection.prepare_cached(sql).map_err(&failed)?;
            let mut rows = query.query(params![kind.as_str(), key, number(at)]).map_err(&failed)?;
            if let Some(row) = rows.next().map_err(&failed)? {
                return Ok(Some(self.decoded(kind, key, text(row, 0).map_err(&failed)?)?));
            }
        }
        Ok(None)
    }

    /// The transactions that a filter lets through, newest first, as far back as they are kept;
    /// it is an error if none that it could mean is.
    pub fn history(&self, filter: &Filter) -> Result<Vec<HistoryEntry>, StoreError> {
        let newest = self.newest()?;
        let first = match filter.since {
            None => 0,
            Some(At::Revision(revision)) => revision,
            Some(At::Time(0)) => 0,
            Some(At::Time(time)) => match self.revision_at(At::Time(time - 1)) {
                Ok(before) => before.next().0,
                Err(StoreError::NotKept { oldest, .. }) => oldest,
                Err(error) => return Err(error),
            },
        };
        let last = match filter.until {
            None => newest.0,
            Some(At::Revision(revision)) => revision,
            Some(at) => self.revision_at(at)?.0,
        };
        let last = filter.before.map_or(last, |before| last.min(before.saturating_sub(1)));
        let is_bounded = filter.until.is_some() || filter.before.is_some();
        if is_bounded {
            self.check_kept(Revision(last))?;
        }
        let from = if filter.app.is_some() { &*changes_of_app() } else { "transactions" };
        let sql = format!(
            "SELECT revision, at_ms, author, reason, changes, digest, address, forced,
                 revision > 1 AND revision = (SELECT min(revision) FROM transactions)
             FROM {from}
             WHERE revision >= ?1 AND revision <= ?2 AND ?5 IS ?5 AND (?3 IS NULL OR author = ?3)
             ORDER BY revision DESC LIMIT ?4"
        );
        let failed = StoreError::sqlite(&self.path);
        let mut query = self.connection.prepare_cached(&sql).map_err(&failed)?;
        let limit = filter.limit.min(u32::MAX as usize) as i64;
        let (first, last) = (number(Revision(first)), number(Revision(last)));
        let rows = query.query_map(params![first, last, filter.author, limit, filter.app], |row| {
            Ok(HistoryEntry {
                revision: row.get::<_, i64>(0)?.cast_unsigned(),
                begins: row.get(8)?,
                at_ms: row.get::<_, i64>(1)?.cast_unsigned(),
                author: row.get(2)?,
                address: row.get(6)?,
                reason: row.get(3)?,
                changes: row.get::<_, i64>(4)?.cast_unsigned(),
                digest: digest_of(row, 5)?.to_string(),
                forced: row.get(7)?,
            })
        });
        rows.and_then(|rows| rows.collect()).map_err(&failed)
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

/// The transactions that changed the app ?5: its few revisions lead to them, and not the other way
/// round.
fn changes_of_app() -> String {
    let of_app = |table, column| schema::of_app(table, column, "?5", "true");
    format!(
        "(SELECT DISTINCT changed FROM ({} UNION ALL {} UNION ALL {}))
         CROSS JOIN transactions ON revision = changed",
        of_app(Versions::Standing, "from_rev AS changed"),
        of_app(Versions::Past, "from_rev"),
        of_app(Versions::Past, "to_rev")
    )
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

fn text<'a>(row: &'a Row<'_>, column: usize) -> rusqlite::Result<&'a str> {
    row.get_ref(column)?.as_str().map_err(rusqlite::Error::from)
}

fn digest_of(row: &Row<'_>, column: usize) -> rusqlite::Result<Digest> {
    row.get::<_, [u8; DIGEST_BYTES]>(column).map(|bytes| Digest::from_bytes(&bytes))
}
