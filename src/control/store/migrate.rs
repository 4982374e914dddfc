//! Databases of earlier releases, brought up to date when they are opened.
//!
//! Version 1 knew neither digests nor what the table held at a revision: both follow from what it
//! kept, since an object counts from the revision that made it up to the one that ended it.
//! Invariants: one SQLite transaction, so that a crash leaves the database as it was; what it costs
//! in memory is a sum for each revision, not for each object.

use std::{collections::BTreeMap, path::Path};

use rusqlite::{Connection, Transaction, TransactionBehavior, params};

use super::{
    error::StoreError,
    object::{self, Kind},
    schema,
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
        _ => unreachable!("what is newer than this release was refused"),
    };
    bring(connection, path, sql, version + 1)
}

/// Makes version 2 of a database of version 1.
fn from_1(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    let failed = StoreError::sqlite(path);
    tracing::info!(path = %path.display(), "bringing an earlier release's database up to date");
    let behavior = TransactionBehavior::Immediate;
    let transaction = connection.transaction_with_behavior(behavior).map_err(&failed)?;
    transaction.execute_batch(TO_2).map_err(&failed)?;
    let added = added(&transaction, path)?;
    note(&transaction, added).map_err(&failed)?;
    transaction.execute_batch(schema::INDEXES_OF_2).map_err(&failed)?;
    transaction.pragma_update(None, "user_version", 2).map_err(&failed)?;
    transaction.commit().map_err(&failed)
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
