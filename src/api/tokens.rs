//! Tokens on the wire, and the calls that make, list and revoke them.
//!
//! Invariants: unknown fields of a request are refused; the text of a token is in one answer, that
//! of the call that made it, and never again.

use std::fmt;

use http::Method;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    client::{Client, escape},
    error::ClientError,
    schema,
    types::List,
};

/// `POST /v1/tokens`: a token that is to be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Token")]
pub struct TokenBody {
    /// Its name, for the history: 1 to 63 letters, digits, `.`, `_` and `-`.
    #[schemars(schema_with = "schema::token_name")]
    pub name: String,
    /// What it allows: `read`, `push:APP`, `push`, `admin`.
    #[schemars(schema_with = "schema::scopes")]
    pub scopes: Vec<String>,
    /// Seconds after which it ends. Default: null, never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 3_162_240_000_u64))]
    pub expires_in_s: Option<u64>,
}

/// A token as GET answers it, without its text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TokenView {
    /// Its name.
    pub name: String,
    /// The part of its text that is no secret: `hostler_ID_…`.
    pub id: String,
    /// What it allows.
    pub scopes: Vec<String>,
    /// When it was made, in milliseconds since the Unix epoch.
    pub made_at_ms: u64,
    /// Who made it.
    pub made_by: String,
    /// When it ends; null: never.
    pub expires_at_ms: Option<u64>,
    /// When it was last used since the router's start; null: not since then.
    pub last_used_at_ms: Option<u64>,
}

/// A token that was just made.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MadeToken {
    /// Its text, told this once: what to send as `Authorization: Bearer`.
    pub token: String,
    /// What else there is to say of it.
    #[serde(flatten)]
    pub view: TokenView,
}

impl fmt::Debug for MadeToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MadeToken").field("view", &self.view).finish_non_exhaustive()
    }
}

/// What was done with a token, as `GET /v1/audit` answers it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AuditEntry {
    /// Its number: those of later entries are larger.
    pub id: u64,
    /// When, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// Who: the name of their token.
    pub author: String,
    /// From where.
    pub address: Option<String>,
    /// Why, if they said.
    pub reason: Option<String>,
    /// What: `made` or `revoked`.
    pub action: String,
    /// The name of the token.
    pub token: String,
    /// What it allows.
    pub scopes: Vec<String>,
}

/// The answer to what is no change of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Revoked {
    /// Nobody can use it any more.
    pub revoked: bool,
}

impl Client {
    /// Every token that was made, sorted by name.
    pub async fn tokens(&self) -> Result<Vec<TokenView>, ClientError> {
        self.all("/tokens").await
    }

    /// One token.
    pub async fn token(&self, name: &str) -> Result<TokenView, ClientError> {
        self.get(&token_path(name)).await
    }

    /// What was done with tokens, the last first, at most `limit`.
    pub async fn audit(&self, limit: usize) -> Result<List<AuditEntry>, ClientError> {
        self.get(&format!("/audit?limit={limit}")).await
    }

    /// Makes a token. Its text is in the answer, and nowhere else.
    pub async fn make_token(&self, body: &TokenBody) -> Result<MadeToken, ClientError> {
        self.send(Method::POST, "/tokens", Some(body)).await
    }

    /// Revokes a token: it opens nothing from the answer on.
    pub async fn revoke_token(&self, name: &str) -> Result<Revoked, ClientError> {
        self.send(Method::DELETE, &token_path(name), None::<&()>).await
    }
}

fn token_path(name: &str) -> String {
    format!("/tokens/{}", escape(name))
}
