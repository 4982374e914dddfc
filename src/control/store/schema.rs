//! The database's schema, and how a connection to it is opened.
//!
//! `transactions` has a row for each revision, with what the table then held, its digest and the
//! number of its last edit; `objects` what stands now, sorted by kind and key as the table is
//! loaded, and a row without a body for what is gone and was not forgotten yet; `edits` what each
//! edit ended: a body with the revisions from and to which it stood, or, without one, for how long
//! there was nothing. Beside the table stand `tokens`, and `answers`, by which a write that is sent
//! again is known.
//! Invariants: an object as of revision R is in `objects` with `from_rev <= R`, else in that of its
//! edits with `from_rev <= R < to_rev`, to which `objects` leads (see `chain`); edits are appended
//! and forgotten, never changed; a revision has as many as `transactions` says it has changes, up
//! to its last; the header's `application_id` and `user_version` say whose the file is and how new;
//! a file that is not ours is not written to.

use std::path::Path;

use rusqlite::{Connection, MAIN_DB, OpenFlags, config::DbConfig};

use super::{error::StoreError, files, migrate};

/// The version of the schema that this release writes.
pub const VERSION: i32 = 8;
/// "HOST" in ASCII: the mark of our databases.
pub const APPLICATION_ID: i32 = 0x484f_5354;
/// The write-ahead log is cut back to this many bytes once it has been emptied.
const MAX_IDLE_LOG_BYTES: i64 = 64 << 20;
/// The write-ahead log is emptied into the database once it has so many pages, in which what
/// changes again and again stands many times and is written back once.
const LOG_PAGES: i64 = 4000;
/// What a connection that writes keeps of the database in memory, in KiB: what a history grows at
/// lies far apart, and each commit needs some of it.
const CACHE_KIB: i64 = 16 << 10;
/// How many prepared statements a connection keeps: more than this folder has.
const STATEMENTS: usize = 32;

const CREATE: &str = "
CREATE TABLE transactions (
    revision INTEGER PRIMARY KEY,
    at_ms    INTEGER NOT NULL,
    author   TEXT NOT NULL,
    reason   TEXT,
    changes  INTEGER NOT NULL,
    digest   BLOB NOT NULL,
    apps     INTEGER NOT NULL,
    routes   INTEGER NOT NULL,
    dynos    INTEGER NOT NULL
) STRICT;
CREATE TABLE objects (
    kind     TEXT NOT NULL,
    key      TEXT NOT NULL,
    from_rev INTEGER NOT NULL,
    body     TEXT NOT NULL,
    app      TEXT NOT NULL,
    PRIMARY KEY (kind, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX objects_from ON objects (from_rev);
CREATE TABLE past (
    kind     TEXT NOT NULL,
    key      TEXT NOT NULL,
    from_rev INTEGER NOT NULL,
    to_rev   INTEGER NOT NULL,
    body     TEXT NOT NULL,
    app      TEXT NOT NULL
) STRICT;
CREATE INDEX past_from ON past (from_rev);
CREATE INDEX past_to ON past (to_rev);
";

/// What version 2 brought: the way from a time to a revision, and to what an app had; and the
/// versions of a key told apart without a look at the rows.
pub(super) const INDEXES_OF_2: &str = "
CREATE INDEX transactions_at ON transactions (at_ms);
CREATE INDEX objects_app ON objects (app);
CREATE INDEX past_app ON past (app, to_rev, from_rev);
CREATE INDEX past_key ON past (kind, key, to_rev, from_rev);
";

/// What version 3 brought: callers. An author was `name@address`.
pub(super) const CALLERS_OF_3: &str = "
ALTER TABLE transactions ADD COLUMN address TEXT;
UPDATE transactions
SET author = substr(author, 1, instr(author, '@') - 1),
    address = substr(author, instr(author, '@') + 1)
WHERE instr(author, '@') > 1;
CREATE TABLE tokens (
    name       TEXT PRIMARY KEY,
    id         TEXT NOT NULL UNIQUE,
    hash       BLOB NOT NULL,
    scopes     TEXT NOT NULL,
    made_ms    INTEGER NOT NULL,
    made_by    TEXT NOT NULL,
    expires_ms INTEGER
) STRICT;
CREATE TABLE answers (
    caller   TEXT NOT NULL,
    key      TEXT NOT NULL,
    request  BLOB NOT NULL,
    receipt  TEXT NOT NULL,
    at_ms    INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX answers_key ON answers (caller, key);
CREATE INDEX answers_at ON answers (at_ms);
";

/// What version 4 brought: the mark of a transaction that a guard was told to let in.
pub(super) const MARK_OF_4: &str = "
ALTER TABLE transactions ADD COLUMN forced INTEGER NOT NULL DEFAULT 0;
";

/// What version 5 brought: what was done with tokens, which no revision tells of.
pub(super) const DEEDS_OF_5: &str = "
CREATE TABLE deeds (
    id      INTEGER PRIMARY KEY,
    at_ms   INTEGER NOT NULL,
    author  TEXT NOT NULL,
    address TEXT,
    reason  TEXT,
    action  TEXT NOT NULL,
    token   TEXT NOT NULL,
    scopes  TEXT NOT NULL
) STRICT;
";

/// What version 6 brought: certificates, as objects, and how many there were.
pub(super) const CERTS_OF_6: &str = "
ALTER TABLE transactions ADD COLUMN certs INTEGER NOT NULL DEFAULT 0;
";

/// What leads to the routes of an app, as a large commit makes it anew.
pub(super) const OBJECTS_ROUTE: &str =
    "CREATE INDEX objects_route ON objects (app) WHERE kind = 'route' AND body IS NOT NULL";
/// What version 7 brought: only routes need another way from their app to them than their key, so
/// that a change of a dyno touches two pages less.
pub(super) const INDEXES_OF_7: &str = "
DROP INDEX objects_app;
DROP INDEX past_app;
CREATE INDEX objects_route ON objects (app) WHERE kind = 'route';
CREATE INDEX past_route ON past (app, to_rev, from_rev) WHERE kind = 'route';
";

/// What version 8 brought: edits that lead to each other, in the place of versions that an index
/// led to. [`migrate`] fills them.
pub(super) const EDITS_OF_8: &str = "
CREATE TABLE edits (
    id       INTEGER PRIMARY KEY,
    kind     TEXT NOT NULL,
    key      TEXT NOT NULL,
    from_rev INTEGER NOT NULL,
    to_rev   INTEGER NOT NULL,
    body     TEXT,
    app      TEXT NOT NULL,
    removed  INTEGER NOT NULL,
    before   INTEGER NOT NULL,
    leap     INTEGER NOT NULL
) STRICT;
ALTER TABLE transactions ADD COLUMN last_edit INTEGER NOT NULL DEFAULT 0;
ALTER TABLE objects RENAME TO objects_of_7;
CREATE TABLE objects (
    kind     TEXT NOT NULL,
    key      TEXT NOT NULL,
    from_rev INTEGER NOT NULL,
    body     TEXT,
    app      TEXT NOT NULL,
    last     INTEGER NOT NULL,
    depth    INTEGER NOT NULL,
    leap     INTEGER NOT NULL,
    PRIMARY KEY (kind, key)
) STRICT, WITHOUT ROWID;
";

/// What completes version 8, behind what fills it.
pub(super) const END_OF_8: &str = "
DROP TABLE past;
DROP TABLE objects_of_7;
CREATE INDEX objects_route ON objects (app) WHERE kind = 'route' AND body IS NOT NULL;
CREATE INDEX edits_route ON edits (app) WHERE kind = 'route' AND body IS NOT NULL;
";

/// An app and its dynos, as they are now: by their keys, which begin with the app's name, ?1.
pub(super) const OWN: &str = "
    SELECT kind, key, from_rev, body, last FROM objects WHERE kind = 'app' AND key = ?1
    UNION ALL SELECT kind, key, from_rev, body, last FROM objects
        WHERE kind = 'dyno' AND key > ?1 || '/' AND key < ?1 || '0'";

/// The keys of the routes that the app ?1 has, or had behind the edit ?2. What is gone is found by
/// the edit that ended it, here and below: as much of it as the question is of.
pub(super) const ROUTES: &str = "
    SELECT key FROM objects INDEXED BY objects_route
        WHERE kind = 'route' AND body IS NOT NULL AND app = ?1
    UNION SELECT key FROM edits INDEXED BY edits_route
        WHERE kind = 'route' AND body IS NOT NULL AND app = ?1 AND id > ?2";

/// The routes of the app ?1 that were edited behind the revision ?2, whose last edit is ?3, and
/// were or are its own.
pub(super) const EDITED_ROUTES: &str = "
    SELECT 'route', key FROM objects INDEXED BY objects_route
        WHERE kind = 'route' AND body IS NOT NULL AND app = ?1 AND from_rev > ?2
    UNION SELECT 'route', key FROM edits INDEXED BY edits_route
        WHERE kind = 'route' AND body IS NOT NULL AND app = ?1 AND id > ?3";

/// The revisions from ?2 to ?3 that changed routes of the app ?1; ?4 is the last edit before them.
pub(super) const REVISIONS_OF_ROUTES: &str = "
    SELECT from_rev AS changed FROM objects INDEXED BY objects_route
        WHERE kind = 'route' AND body IS NOT NULL AND app = ?1 AND from_rev BETWEEN ?2 AND ?3
    UNION SELECT from_rev FROM edits INDEXED BY edits_route
        WHERE kind = 'route' AND body IS NOT NULL AND app = ?1 AND id > ?4
            AND from_rev BETWEEN ?2 AND ?3
    UNION SELECT to_rev FROM edits INDEXED BY edits_route
        WHERE kind = 'route' AND body IS NOT NULL AND app = ?1 AND id > ?4
            AND to_rev BETWEEN ?2 AND ?3";

/// Opens the database to read and write; makes it if there is none. Private keys are in it: it is
/// its owner's alone, and so is what SQLite makes beside it, to which it gives the same mode.
pub fn open(path: &Path) -> Result<Connection, StoreError> {
    let failed = StoreError::sqlite(path);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    // Where no file can be made SQLite finds so too, and tells it better.
    let _ = files::make_private(path);
    let mut connection = Connection::open_with_flags(path, flags).map_err(&failed)?;
    let found = check(&connection, path)?;
    if let Err(error) = files::keep_private(path) {
        tracing::warn!(path = %path.display(), %error, "others than its owner can read the store");
    }
    // With the last connection SQLite would empty its log into a database that is damaged.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).map_err(&failed)?;
    // SQLite opens a file that it may not write all the same, to read.
    if connection.is_readonly(MAIN_DB).map_err(&failed)? {
        return Err(StoreError::ReadOnly { path: path.to_owned() });
    }
    let mode: String = connection
        .pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))
        .map_err(&failed)?;
    if mode != "wal" {
        let reason = format!("its file system bears no write-ahead log (mode {mode})");
        return Err(StoreError::Failed { path: path.to_owned(), reason });
    }
    connection.pragma_update(None, "synchronous", "FULL").map_err(&failed)?;
    connection
        .pragma_update_and_check(None, "journal_size_limit", MAX_IDLE_LOG_BYTES, |_| Ok(()))
        .map_err(&failed)?;
    connection
        .pragma_update_and_check(None, "wal_autocheckpoint", LOG_PAGES, |_| Ok(()))
        .map_err(&failed)?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB).map_err(&failed)?;
    // Else SQLite plans a statement anew with each value that might make another plan better.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map_err(&failed)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    match found {
        Found::Nothing => create(&mut connection).map_err(&failed)?,
        Found::Version(found) => {
            for version in found..VERSION {
                migrate::from(version, &mut connection, path)?;
            }
        }
    }
    Ok(connection)
}

/// Closes a database that is sound: its log is emptied into it.
pub fn close(connection: Connection, path: &Path) -> Result<(), StoreError> {
    let failed = StoreError::sqlite(path);
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false).map_err(&failed)?;
    connection.close().map_err(|(_, error)| failed(error))
}

/// Opens a database that [`open`] opened before, to read beside it.
pub fn open_to_read(path: &Path) -> Result<Connection, StoreError> {
    Connection::open_with_flags(path, READ).map_err(StoreError::sqlite(path))
}

/// Opens a database of this release that nobody else has open, to read: in a directory that takes
/// no files too.
pub fn open_alone_to_read(path: &Path) -> Result<Connection, StoreError> {
    let looked = open_to_read(path)
        .and_then(|connection| check(&connection, path).map(|found| (connection, found)));
    let (connection, found) = match looked {
        Ok(looked) => looked,
        Err(error @ (StoreError::ReadOnly { .. } | StoreError::Full { .. })) => {
            let connection = open_unchanging(path).ok_or(error)?;
            let found = check(&connection, path)?;
            (connection, found)
        }
        Err(error) => return Err(error),
    };
    if !matches!(found, Found::Version(VERSION)) {
        let reason = "an earlier release wrote it, and a start that may write brings it up to date";
        return Err(StoreError::Failed { path: path.to_owned(), reason: reason.into() });
    }
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(connection)
}

/// SQLite makes files beside a database to read it; not if nothing can change meanwhile, and
/// nothing is left in the log.
fn open_unchanging(path: &Path) -> Option<Connection> {
    let log = files::beside(path).next()?;
    if log.metadata().is_ok_and(|log| log.len() > 0) {
        return None;
    }
    let path = path.to_str()?.replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    let uri = format!("file:{path}?immutable=1");
    Connection::open_with_flags(uri, READ | OpenFlags::SQLITE_OPEN_URI).ok()
}

const READ: OpenFlags = OpenFlags::SQLITE_OPEN_READ_ONLY.union(OpenFlags::SQLITE_OPEN_NO_MUTEX);

/// What is in a database that may be ours.
enum Found {
    /// It is yet to be made.
    Nothing,
    /// One of ours, of this version or an earlier one.
    Version(i32),
}

/// Is the database empty and to be made, or one of ours? Anything else is an error.
fn check(connection: &Connection, path: &Path) -> Result<Found, StoreError> {
    let number = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i32>(0));
    let failed = StoreError::sqlite(path);
    let application_id = number("PRAGMA application_id").map_err(&failed)?;
    let found = number("PRAGMA user_version").map_err(&failed)?;
    let tables = number("SELECT count(*) FROM sqlite_schema").map_err(&failed)?;
    let path = path.to_owned();
    match (application_id, found, tables) {
        (0, 0, 0) => Ok(Found::Nothing),
        (APPLICATION_ID, 1..=VERSION, _) => Ok(Found::Version(found)),
        (APPLICATION_ID, found, _) if found > VERSION => {
            Err(StoreError::Newer { path, found, known: VERSION })
        }
        (APPLICATION_ID, found, _) => {
            Err(StoreError::Damaged { path, reason: format!("there is no schema version {found}") })
        }
        _ => Err(StoreError::Foreign { path, application_id }),
    }
}

fn create(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    transaction.execute_batch(CREATE)?;
    transaction.execute_batch(INDEXES_OF_2)?;
    transaction.execute_batch(CALLERS_OF_3)?;
    transaction.execute_batch(MARK_OF_4)?;
    transaction.execute_batch(DEEDS_OF_5)?;
    transaction.execute_batch(CERTS_OF_6)?;
    transaction.execute_batch(INDEXES_OF_7)?;
    transaction.execute_batch(EDITS_OF_8)?;
    transaction.execute_batch(END_OF_8)?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", VERSION)?;
    transaction.commit()
}
