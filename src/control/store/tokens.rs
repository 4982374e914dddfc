//! Tokens as the store keeps them: beside the table, in no revision of it.
//!
//! Invariants: of a token's text only its hash is kept; each call is durable when it answers; a
//! name is one token's at a time.

use rusqlite::{OptionalExtension, params};

use super::{error::StoreError, sqlite::Store};

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

impl Store {
    /// Every token, sorted by name.
    pub fn tokens(&self) -> Result<Vec<TokenRow>, StoreError> {
        let sql = "SELECT name, id, hash, scopes, made_ms, made_by, expires_ms
                   FROM tokens ORDER BY name";
        let read = || {
            let mut query = self.connection().prepare(sql)?;
            let rows = query.query_map([], |row| {
                Ok(TokenRow {
                    name: row.get(0)?,
                    id: row.get(1)?,
                    hash: row.get(2)?,
                    scopes: row.get(3)?,
                    made_ms: row.get::<_, i64>(4)?.cast_unsigned(),
                    made_by: row.get(5)?,
                    expires_ms: row.get::<_, Option<i64>>(6)?.map(i64::cast_unsigned),
                })
            });
            rows.and_then(|rows| rows.collect())
        };
        read().map_err(StoreError::sqlite(self.database()))
    }

    /// Keeps a token. Answers false, and keeps nothing, if there is one of that name.
    pub fn add_token(&mut self, token: &TokenRow) -> Result<bool, StoreError> {
        let add = || {
            let named = "SELECT 1 FROM tokens WHERE name = ?1";
            let taken: Option<i64> =
                self.connection().query_row(named, [&token.name], |row| row.get(0)).optional()?;
            if taken.is_some() {
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
            self.connection().execute(sql, row)?;
            Ok(true)
        };
        add().map_err(StoreError::sqlite(self.database()))
    }

    /// Removes a token. Answers whether there was one.
    pub fn remove_token(&mut self, name: &str) -> Result<bool, StoreError> {
        let removed = self.connection().execute("DELETE FROM tokens WHERE name = ?1", [name]);
        removed.map(|count| count > 0).map_err(StoreError::sqlite(self.database()))
    }
}
