//! Tokens as the store keeps them, beside the table, in no revision of it; and what was done with
//! them.
//!
//! Invariants: of a token's text only its hash is kept; each call is durable when it answers, and
//! what it did is written down with it; a name is one token's at a time; of the deeds the last
//! [`KEPT_DEEDS`] are kept.

use rusqlite::{Connection, OptionalExtension, Row, Transaction, TransactionBehavior, params};

use super::{archive::View, error::StoreError, sqlite::Store};

/// How many deeds are kept.
pub const KEPT_DEEDS: i64 = 100_000;

/// A token that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRow {
    /// Its name.
    pub name: String,
    /// The part of its text that is no secret.
    pub id: String,
    /// The SHA-256 of its text.
    pub hash: [u8; 32],
    /// What it allows, as words between blanks.
    pub scopes: String,
    /// When it was made, in milliseconds since the Unix epoch.
    pub made_ms: u64,
    /// Who made it.
    pub made_by: String,
    /// When it ends; none: never.
    pub expires_ms: Option<u64>,
}

/// Who does something with a token, when, from where and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doer {
    /// When, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// The name of their token.
    pub author: String,
    /// From where, if that is known.
    pub address: Option<String>,
    /// Why, if they said.
    pub reason: Option<String>,
}

/// What was done with a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// It was made.
    Made,
    /// It was revoked.
    Revoked,
}

impl Action {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Action::Made => "made",
            Action::Revoked => "revoked",
        }
    }
}

/// What was done with a token, and by whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deed {
    /// Its number: those of later deeds are larger.
    pub id: u64,
    /// Who, when, from where and why.
    pub doer: Doer,
    /// What: the word for it.
    pub action: String,
    /// The name of the token.
    pub token: String,
    /// What it allows, as words between blanks.
    pub scopes: String,
}

/// Every token, for [`token_of`].
pub(super) const EVERY: &str =
    "SELECT name, id, hash, scopes, made_ms, made_by, expires_ms FROM tokens ORDER BY name";

impl Store {
    /// Every token that can be read, sorted by name; none where there is no database.
    pub fn tokens(&self) -> Result<Vec<TokenRow>, StoreError> {
        let Ok(connection) = self.connection() else { return Ok(Vec::new()) };
        let failed = StoreError::sqlite(self.database());
        let mut query = connection.prepare(EVERY).map_err(&failed)?;
        let mut rows = query.query([]).map_err(&failed)?;
        let mut tokens = Vec::new();
        while let Some(row) = rows.next().map_err(&failed)? {
            match token_of(row) {
                Ok(token) => tokens.push(token),
                Err(error) => {
                    let name = row.get_ref(0).ok().and_then(|name| name.as_str().ok());
                    tracing::error!(token = name.unwrap_or("?"), %error,
                        "a token cannot be read and opens nothing: make another in its place");
                }
            }
        }
        Ok(tokens)
    }

    /// Keeps a token. Answers false, and keeps nothing, if there is one of that name.
    pub fn add_token(&mut self, token: &TokenRow, doer: &Doer) -> Result<bool, StoreError> {
        self.write(|connection| {
            let transaction = begin(connection)?;
            if scopes_of(&transaction, &token.name)?.is_some() {
                return Ok(false);
            }
            let sql = "INSERT INTO tokens (name, id, hash, scopes, made_ms, made_by, expires_ms)
                       VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
            let row = params![
                token.name,
                token.id,
                token.hash,
                token.scopes,
                token.made_ms.cast_signed(),
                token.made_by,
                token.expires_ms.map(u64::cast_signed)
            ];
            transaction.execute(sql, row)?;
            note(&transaction, doer, Action::Made, (&token.name, &token.scopes))?;
            transaction.commit().map(|()| true)
        })
    }

    /// Removes a token. Answers whether there was one.
    pub fn remove_token(&mut self, name: &str, doer: &Doer) -> Result<bool, StoreError> {
        self.write(|connection| {
            let transaction = begin(connection)?;
            let Some(scopes) = scopes_of(&transaction, name)? else { return Ok(false) };
            transaction.execute("DELETE FROM tokens WHERE name = ?1", [name])?;
            note(&transaction, doer, Action::Revoked, (name, &scopes))?;
            transaction.commit().map(|()| true)
        })
    }
}

impl View {
    /// What was done with tokens, the last first, before a deed if one is named; at most `limit`.
    pub fn deeds(&self, before: Option<u64>, limit: usize) -> Result<Vec<Deed>, StoreError> {
        let sql = "SELECT id, at_ms, author, address, reason, action, token, scopes FROM deeds
                   WHERE id < ?1 ORDER BY id DESC LIMIT ?2";
        let before = before.map_or(i64::MAX, |before| i64::try_from(before).unwrap_or(i64::MAX));
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let read = |row: &Row<'_>| {
            Ok(Deed {
                id: row.get::<_, i64>(0)?.cast_unsigned(),
                doer: Doer {
                    at_ms: row.get::<_, i64>(1)?.cast_unsigned(),
                    author: row.get(2)?,
                    address: row.get(3)?,
                    reason: row.get(4)?,
                },
                action: row.get(5)?,
                token: row.get(6)?,
                scopes: row.get(7)?,
            })
        };
        let found = self.connection.prepare_cached(sql).and_then(|mut query| {
            query.query_map(params![before, limit], read)?.collect::<rusqlite::Result<_>>()
        });
        found.map_err(StoreError::sqlite(self.path()))
    }
}

fn begin(connection: &mut Connection) -> rusqlite::Result<Transaction<'_>> {
    // Dropped on an error, or without a word, it rolls itself back.
    connection.transaction_with_behavior(TransactionBehavior::Immediate)
}

/// What the token of that name allows, if there is one.
fn scopes_of(connection: &Connection, name: &str) -> rusqlite::Result<Option<String>> {
    let sql = "SELECT scopes FROM tokens WHERE name = ?1";
    connection.query_row(sql, [name], |row| row.get(0)).optional()
}

fn note(
    connection: &Connection,
    doer: &Doer,
    action: Action,
    (token, scopes): (&str, &str),
) -> rusqlite::Result<()> {
    let sql = "INSERT INTO deeds (at_ms, author, address, reason, action, token, scopes)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    let Doer { at_ms, author, address, reason } = doer;
    let at_ms = at_ms.cast_signed();
    connection
        .execute(sql, params![at_ms, author, address, reason, action.as_str(), token, scopes])?;
    let oldest = connection.last_insert_rowid() - KEPT_DEEDS;
    connection.execute("DELETE FROM deeds WHERE id <= ?1", [oldest]).map(drop)
}

pub(super) fn token_of(row: &Row<'_>) -> rusqlite::Result<TokenRow> {
    Ok(TokenRow {
        name: row.get(0)?,
        id: row.get(1)?,
        hash: row.get(2)?,
        scopes: row.get(3)?,
        made_ms: row.get::<_, i64>(4)?.cast_unsigned(),
        made_by: row.get(5)?,
        expires_ms: row.get::<_, Option<i64>>(6)?.map(i64::cast_unsigned),
    })
}
