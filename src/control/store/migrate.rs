//! Databases of earlier releases, brought up to date when they are opened.
//!
//! Version 1 knew neither digests nor what the table held at a revision: both follow from what it
//! kept, since an object counts from the revision that made it up to the one that ended it.
//! Version 7 knew versions that ended, and an index to find them by: edits are what ended them,
//! and what came where there was nothing.
//! Invariants: one SQLite transaction, so that a crash leaves the database as it was; what it costs
//! in memory is a sum for each revision, or the edits of one object, not all objects.

use std::{collections::BTreeMap, path::Path};

use rusqlite::{Connection, Transaction, TransactionBehavior, params};

use super::{
    chain::reach,
    error::StoreError,
    keys,
    object::{self, Kind},
    prune, schema,
    sqlite::number,
};
use crate::route::{Digest, Object};

const TO_2: &str = "
ALTER TABLE transactions ADD COLUMN digest BLOB NOT NULL DEFAULT x'';
ALTER TABLE transactions ADD COLUMN apps INTEGER NOT NULL DEFAULT 0;
ALTER TABLE transactions ADD COLUMN routes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE transactions ADD COLUMN dynos INTEGER NOT NULL DEFAULT 0;
ALTER TABLE objects ADD COLUMN app TEXT NOT NULL DEFAULT '';
ALTER TABLE past ADD COLUMN app TEXT NOT NULL DEFAULT '';
UPDATE objects SET app = CASE kind WHEN 'app' THEN key
    WHEN 'dyno' THEN substr(key, 1, instr(key, '/') - 1) ELSE json_extract(body, '$.app') END;
UPDATE past SET app = CASE kind WHEN 'app' THEN key
    WHEN 'dyno' THEN substr(key, 1, instr(key, '/') - 1) ELSE json_extract(body, '$.app') END;
DROP INDEX past_key;
";

/// What a revision added to the table, or what the table held after it.
#[derive(Default)]
struct Sum {
    digest: Digest,
    objects: [i64; Kind::ALL.len()],
}

/// Makes the next version of a database of a version.
pub fn from(version: i32, connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    let sql = match version {
        1 => return from_1(connection, path),
        2 => schema::CALLERS_OF_3,
        3 => schema::MARK_OF_4,
        4 => schema::DEEDS_OF_5,
        5 => schema::CERTS_OF_6,
        6 => schema::INDEXES_OF_7,
        7 => return from_7(connection, path).map_err(StoreError::sqlite(path)),
        _ => unreachable!("what is newer than this release was refused"),
    };
    bring(connection, path, sql, version + 1)
}

/// Makes version 2 of a database of version 1.
fn from_1(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    let failed = StoreError::sqlite(path);
    tell(path);
    let behavior = TransactionBehavior::Immediate;
    let transaction = connection.transaction_with_behavior(behavior).map_err(&failed)?;
    transaction.execute_batch(TO_2).map_err(&failed)?;
    let added = added(&transaction, path)?;
    note(&transaction, added).map_err(&failed)?;
    transaction.execute_batch(schema::INDEXES_OF_2).map_err(&failed)?;
    transaction.pragma_update(None, "user_version", 2).map_err(&failed)?;
    transaction.commit().map_err(&failed)
}

/// Says what a start then waits for.
fn tell(path: &Path) {
    tracing::info!(path = %path.display(), "bringing an earlier release's database up to date");
}

/// Does what is plain SQL.
fn bring(
    connection: &mut Connection,
    path: &Path,
    sql: &str,
    version: i32,
) -> Result<(), StoreError> {
    let write = |connection: &mut Connection| {
        let behavior = TransactionBehavior::Immediate;
        let transaction = connection.transaction_with_behavior(behavior)?;
        transaction.execute_batch(sql)?;
        transaction.pragma_update(None, "user_version", version)?;
        transaction.commit()
    };
    write(connection).map_err(StoreError::sqlite(path))
}

/// What each revision added, and took away, of all objects that there ever were.
fn added(transaction: &Transaction<'_>, path: &Path) -> Result<BTreeMap<i64, Sum>, StoreError> {
    let failed = StoreError::sqlite(path);
    let mut added = BTreeMap::<i64, Sum>::new();
    let sql = "SELECT kind, key, body, from_rev, NULL FROM objects
               UNION ALL SELECT kind, key, body, from_rev, to_rev FROM past";
    let mut query = transaction.prepare(sql).map_err(&failed)?;
    let mut rows = query.query([]).map_err(&failed)?;
    while let Some(row) = rows.next().map_err(&failed)? {
        let text = |i| row.get_ref(i)?.as_str().map_err(rusqlite::Error::from);
        let (kind, key) = (text(0).map_err(&failed)?, text(1).map_err(&failed)?);
        let body = text(2).map_err(&failed)?;
        let damaged = |reason| StoreError::Damaged { path: path.to_owned(), reason };
        let kind = Kind::parse(kind).ok_or_else(|| damaged(format!("a {kind:?} is no object")))?;
        let change = object::decode(None, kind, key, body).map_err(damaged)?;
        let digest = Object::put_by(&change).expect("a kept object is put").digest();
        let from: i64 = row.get(3).map_err(&failed)?;
        let to: Option<i64> = row.get(4).map_err(&failed)?;
        let came = added.entry(from).or_default();
        came.digest.add(digest);
        came.objects[kind as usize] += 1;
        if let Some(to) = to {
            let went = added.entry(to).or_default();
            went.digest.subtract(digest);
            went.objects[kind as usize] -= 1;
        }
    }
    Ok(added)
}

/// Writes down what the table held at each revision.
fn note(transaction: &Transaction<'_>, added: BTreeMap<i64, Sum>) -> rusqlite::Result<()> {
    let mut stands = Sum::default();
    let mut from = 0;
    let mut put = transaction.prepare(
        "UPDATE transactions SET digest = ?3, apps = ?4, dynos = ?5, routes = ?6
         WHERE revision >= ?1 AND revision < ?2",
    )?;
    let end = (i64::MAX, Sum::default());
    for (revision, sum) in added.into_iter().chain([end]) {
        let [apps, _, dynos, routes] = stands.objects;
        put.execute(params![from, revision, stands.digest.to_bytes(), apps, dynos, routes])?;
        stands.digest.add(sum.digest);
        for (count, more) in stands.objects.iter_mut().zip(sum.objects) {
            *count += more;
        }
        from = revision;
    }
    Ok(())
}

/// The edits that the versions of version 7 tell of, from the revision ?1 on: what had ended before
/// and was not forgotten yet is now, since of what came where it had ended nothing is known.
const EDITS: &str = "
    INSERT INTO edits (kind, key, from_rev, to_rev, body, app, removed, before, leap)
    WITH versions AS (
        SELECT kind, key, from_rev, NULL AS to_rev, NULL AS body, app FROM objects_of_7
        UNION ALL SELECT kind, key, from_rev, to_rev, body, app FROM past WHERE to_rev >= ?1
    ), beside AS (
        SELECT *, lag(to_rev, 1, 0) OVER of_key AS ended, lead(from_rev) OVER of_key AS next
        FROM versions WINDOW of_key AS (PARTITION BY kind, key ORDER BY from_rev)
    )
    SELECT kind, key, from_rev, to_rev, body, app, next IS NOT to_rev, 0, 0
        FROM beside WHERE to_rev IS NOT NULL
    UNION ALL SELECT kind, key, ended, from_rev, NULL, '', 0, 0, 0
        FROM beside WHERE ended <> from_rev AND from_rev >= ?1
    ORDER BY 4, 1, 2";

const OBJECTS: &str = "
    INSERT INTO objects (kind, key, from_rev, body, app, last, depth, leap)
    SELECT kind, key, from_rev, body, app, 0, 0, 0 FROM objects_of_7 ORDER BY kind, key";

const LAST_EDITS: &str = "
    CREATE TEMP TABLE ends (revision INTEGER PRIMARY KEY, last INTEGER NOT NULL);
    INSERT INTO temp.ends SELECT to_rev, max(id) FROM edits GROUP BY to_rev ORDER BY to_rev;
    UPDATE transactions SET last_edit = coalesce((SELECT last FROM temp.ends
        WHERE ends.revision <= transactions.revision ORDER BY ends.revision DESC LIMIT 1), 0);
    DROP TABLE temp.ends;";

const CERTIFICATES_OF_7: &str = "DELETE FROM objects_of_7 WHERE kind = 'cert'";

/// Makes version 8 of a database of version 7.
fn from_7(connection: &mut Connection, path: &Path) -> rusqlite::Result<()> {
    tell(path);
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute_batch(schema::EDITS_OF_8)?;
    transaction.execute(EDITS, [number(prune::oldest(&transaction)?)])?;
    transaction.execute(OBJECTS, [])?;
    chain(&transaction)?;
    transaction.execute_batch(LAST_EDITS)?;
    // A table that is dropped leaves its pages as they are: no private key is to be in one.
    keys::overwriting(&transaction, || transaction.execute(CERTIFICATES_OF_7, []))?;
    transaction.execute_batch(schema::END_OF_8)?;
    transaction.pragma_update(None, "user_version", 8)?;
    transaction.commit()
}

/// Has each edit lead to those before it, and each object to its last.
fn chain(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    let mut edits =
        transaction.prepare("SELECT id, kind, key FROM edits ORDER BY kind, key, to_rev")?;
    let mut lead = transaction.prepare("UPDATE edits SET before = ?2, leap = ?3 WHERE id = ?1")?;
    let mut edits = edits.query([])?;
    let mut object = (String::new(), String::new());
    // Its edits so far; the first is none.
    let (mut ids, mut leap) = (vec![0_i64], 0);
    while let Some(row) = edits.next()? {
        let next = (row.get(1)?, row.get(2)?);
        if next != object {
            head(transaction, &object, &ids, leap)?;
            (object, ids) = (next, vec![0]);
        }
        let depth = ids.len();
        leap = ids[depth - reach(depth as i64) as usize];
        let (id, before) = (row.get(0)?, ids[depth - 1]);
        lead.execute([id, before, leap])?;
        ids.push(id);
    }
    head(transaction, &object, &ids, leap)
}

/// Has an object lead to its last edit; one that is gone is put for that.
fn head(
    transaction: &Transaction<'_>,
    (kind, key): &(String, String),
    ids: &[i64],
    leap: i64,
) -> rusqlite::Result<()> {
    let (last, depth) = (ids[ids.len() - 1], ids.len() as i64 - 1);
    if last == 0 {
        return Ok(());
    }
    let mut stands = transaction.prepare_cached(
        "UPDATE objects SET last = ?3, depth = ?4, leap = ?5 WHERE kind = ?1 AND key = ?2",
    )?;
    if stands.execute(params![kind, key, last, depth, leap])? == 0 {
        let mut gone = transaction.prepare_cached(
            "INSERT INTO objects (kind, key, from_rev, body, app, last, depth, leap)
             SELECT kind, key, to_rev, NULL, app, id, ?2, ?3 FROM edits WHERE id = ?1",
        )?;
        gone.execute([last, depth, leap])?;
    }
    Ok(())
}
