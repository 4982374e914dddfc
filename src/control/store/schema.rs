//! The database's schema, and how a connection to it is opened.
//!
//! `transactions` has a row for each revision, with what the table then held and its digest;
//! `objects` the version of each object that stands now, sorted by kind and key as the table is
//! loaded; `past` every version that no longer stands, with the revisions from and to which it did.
//! Beside the table stand `tokens`, and `answers`, by which a write that is sent again is known.
//! Invariants: an object as of revision R is in `objects` with `from_rev <= R`, or in `past` with
//! `from_rev <= R < to_rev`, never in both; the header's `application_id` and `user_version` say
//! whose the file is and how new; a file that is not ours is not written to.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use super::{error::StoreError, migrate};

/// The version of the schema that this release writes.
pub const VERSION: i32 = 3;
/// "HOST" in ASCII: the mark of our databases.
pub const APPLICATION_ID: i32 = 0x484f_5354;
/// The write-ahead log is cut back to this many bytes once it has been emptied.
const MAX_IDLE_LOG_BYTES: i64 = 64 << 20;
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

/// Opens the database to read and write; makes it if there is none.
pub fn open(path: &Path) -> Result<Connection, StoreError> {
    let failed = StoreError::sqlite(path);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags).map_err(&failed)?;
    let found = check(&connection, path)?;
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
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    match found {
        Found::Nothing => create(&mut connection).map_err(&failed)?,
        Found::Version1 => {
            migrate::from_1(&mut connection, path)?;
            migrate::from_2(&mut connection, path)?;
        }
        Found::Version2 => migrate::from_2(&mut connection, path)?,
        Found::Newest => {}
    }
    Ok(connection)
}

/// Opens a database that [`open`] opened before, to read beside it.
pub fn open_to_read(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(path, flags).map_err(StoreError::sqlite(path))
}

/// What is in a database that may be ours.
enum Found {
    /// It is yet to be made.
    Nothing,
    /// One of ours, of an earlier release.
    Version1,
    /// One of ours, of a later one that knew no callers.
    Version2,
    /// One of ours.
    Newest,
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
        (APPLICATION_ID, VERSION, _) => Ok(Found::Newest),
        (APPLICATION_ID, 1, _) => Ok(Found::Version1),
        (APPLICATION_ID, 2, _) => Ok(Found::Version2),
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
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", VERSION)?;
    transaction.commit()
}
