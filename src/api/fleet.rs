//! The calls that say how far the routers are, and what an app is doing.
//!
//! Invariants: an unknown field of an ack is refused; ages and lags are as of the answer.

use http::Method;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    client::{Client, escape},
    error::ClientError,
    schema,
    types::List,
};

/// One router, as `GET /v1/routers` answers it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RouterView {
    /// Its name; `local` is the one in the process that answers.
    pub id: String,
    /// Does it count as live?
    pub live: bool,
    /// The revision that all of its workers serve; null if it has not said yet.
    pub revision: Option<u64>,
    /// The digest that it has of it, if it said.
    pub digest: Option<String>,
    /// Is that the digest of the revision? Null if that is not known.
    pub digest_ok: Option<bool>,
    /// How many revisions it lacks; null if it has not said yet which it has.
    pub lag: Option<u64>,
    /// For how long it has lacked the newest, in milliseconds; 0 if it has it.
    pub behind_ms: Option<u64>,
    /// How long ago its last sign came, in milliseconds.
    pub age_ms: u64,
    /// How many workers it has, if it said.
    pub workers: Option<u64>,
    /// Which release it runs, if it said.
    pub version: Option<String>,
    /// Where it called from.
    pub address: Option<String>,
}

/// `POST /v1/routers/{id}/ack`: all workers of the router serve a revision.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Ack")]
pub struct AckBody {
    /// The revision.
    #[schemars(schema_with = "schema::whole_number")]
    pub revision: u64,
    /// The digest of its table, as the router computed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::digest_or_none")]
    pub digest: Option<String>,
    /// How many workers it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::whole_number_or_none")]
    pub workers: Option<u64>,
    /// Which release it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::router_name_or_none")]
    pub version: Option<String>,
}

/// The answer to an ack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AckView {
    /// The newest revision.
    pub revision: u64,
    /// How many revisions the router lacks.
    pub lag: u64,
    /// Does the digest fit the revision? Null if none was given, or none is known any more.
    pub digest_ok: Option<bool>,
}

impl Client {
    /// Every router that is known, and how far it is.
    pub async fn routers(&self) -> Result<List<RouterView>, ClientError> {
        self.get("/routers").await
    }

    /// Says that all workers of a router serve a revision.
    pub async fn ack(&self, router: &str, body: &AckBody) -> Result<AckView, ClientError> {
        let path = format!("/routers/{}/ack", escape(router));
        self.send(Method::POST, &path, Some(body)).await
    }
}
