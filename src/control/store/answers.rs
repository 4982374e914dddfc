//! What writes with a key of the caller's own were answered, so that a second try is answered so
//! too.
//!
//! Invariants: an answer is durable together with the write that it tells of; it is told for as
//! long as it is kept and then forgotten; there are never more than a stated number, the oldest
//! going first; forgetting costs a commit no more than a few times what the commit itself adds.

use rusqlite::{OptionalExtension, Row, Transaction, params, types::Type};

use super::{error::StoreError, sqlite::Store};
use crate::api::Receipt;

/// What a write with a key was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// Whose key it is: a token.
    pub caller: String,
    /// The key that the caller chose.
    pub key: String,
    /// A digest of the request.
    pub request: [u8; 32],
    /// The answer.
    pub receipt: Receipt,
    /// When it was given, in milliseconds since the Unix epoch.
    pub at_ms: u64,
}

/// Answers to be kept, and for how long, and how many of them.
#[derive(Debug, Clone, Copy, Default)]
pub struct Answers<'a> {
    /// The new ones; no two under one key of one caller.
    pub new: &'a [Answered],
    /// Those given before are forgotten.
    pub since_ms: u64,
    /// The most that are kept.
    pub most: usize,
}

/// How many answers one commit forgets beyond twice those that it adds.
const FORGET: usize = 16;

impl Store {
    /// What a caller's write with that key was answered, not before `since_ms`.
    pub fn answer_to(
        &self,
        caller: &str,
        key: &str,
        since_ms: u64,
    ) -> Result<Option<Answered>, StoreError> {
        let sql = format!("{EVERY} WHERE caller = ?1 AND key = ?2 AND at_ms >= ?3");
        let connection = self.connection()?;
        let read = connection.prepare_cached(&sql).and_then(|mut query| {
            query.query_row(params![caller, key, millis(since_ms)], answered_of).optional()
        });
        let read = read.map_err(StoreError::sqlite(self.database()));
        read.inspect_err(|error| self.archive.note(error))
    }
}

/// Every answer, for [`answered_of`].
pub(super) const EVERY: &str = "SELECT caller, key, request, receipt, at_ms FROM answers";

pub(super) fn answered_of(row: &Row<'_>) -> rusqlite::Result<Answered> {
    let receipt = row.get_ref(3)?.as_str()?;
    let unreadable =
        |error| rusqlite::Error::FromSqlConversionFailure(3, Type::Text, Box::new(error));
    Ok(Answered {
        caller: row.get(0)?,
        key: row.get(1)?,
        request: row.get(2)?,
        receipt: serde_json::from_str::<Receipt>(receipt).map_err(unreadable)?,
        at_ms: row.get::<_, i64>(4)?.cast_unsigned(),
    })
}

/// Writes answers in a transaction, where `kept` are kept already; says how many are then.
pub(super) fn write(
    transaction: &Transaction<'_>,
    answers: Answers<'_>,
    mut kept: usize,
) -> rusqlite::Result<usize> {
    if answers.new.is_empty() {
        return Ok(kept);
    }
    let mut forget =
        transaction.prepare_cached("DELETE FROM answers WHERE caller = ?1 AND key = ?2")?;
    let mut add = transaction.prepare_cached(
        "INSERT INTO answers (caller, key, request, receipt, at_ms) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    for answered in answers.new {
        let Answered { caller, key, request, receipt, at_ms } = answered;
        // One that is too old to be told may still be there.
        kept = kept.saturating_sub(forget.execute(params![caller, key])?);
        let receipt = serde_json::to_string(receipt).expect("plain fields have a JSON form");
        kept += add.execute(params![caller, key, request, receipt, millis(*at_ms)])?;
    }
    let mut sweep = transaction.prepare_cached(
        "DELETE FROM answers WHERE rowid IN
         (SELECT rowid FROM answers WHERE at_ms < ?1 ORDER BY at_ms LIMIT ?2)",
    )?;
    let room = 2 * answers.new.len() + FORGET;
    kept = kept.saturating_sub(sweep.execute(params![millis(answers.since_ms), room as i64])?);
    let beyond = kept.saturating_sub(answers.most).min(room);
    if beyond > 0 {
        kept = kept.saturating_sub(sweep.execute(params![i64::MAX, beyond as i64])?);
    }
    Ok(kept)
}

fn millis(at_ms: u64) -> i64 {
    i64::try_from(at_ms).unwrap_or(i64::MAX)
}
