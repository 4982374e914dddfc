//! `GET /v1/apps/{app}/stats`: what an app and its dynos are doing, and did.
//!
//! Invariants: of one router, the one that answers; times are in milliseconds, off by a sixteenth
//! or 8 microseconds at most; figures are null before the first exchange.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    client::{Client, app_path},
    error::ClientError,
};

/// What an app is doing in the router that answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AppStats {
    /// Its name.
    pub app: String,
    /// The revision that was looked at.
    pub revision: u64,
    /// Exchanges in flight.
    pub in_flight: u32,
    /// Exchanges that wait for a dyno.
    #[serde(default)]
    pub waiting: u32,
    /// Client connections whose last request was for it.
    pub connections: u32,
    /// Exchanges begun on a dyno since the start; begins at 0 again behind 4294967295.
    pub begun: u32,
    /// How the algorithm of `balance.shadow` does beside the one that acts; null without one.
    #[serde(default)]
    pub shadow: Option<ShadowView>,
    /// What it did, its dynos that are gone among it; null if it has no figures.
    pub figures: Option<FiguresView>,
    /// Its dynos, sorted by name.
    pub dynos: Vec<DynoStats>,
}

/// What one dyno is doing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DynoStats {
    /// Its name.
    pub name: String,
    /// Where it listens.
    pub addr: String,
    /// Its release.
    pub release: String,
    /// What the platform says of it.
    pub state: String,
    /// Exchanges in flight.
    pub in_flight: u32,
    /// Connects that failed in a row.
    pub failed_connects: u32,
    /// For how long it is passed over still, in milliseconds; 0: it is not.
    pub quarantine_ms: u64,
    /// For how long it is passed over still for how it answered, in milliseconds; 0: it is not.
    #[serde(default)]
    pub ejected_ms: u64,
    /// How often it was ejected since it came to this router.
    #[serde(default)]
    pub ejections: u32,
    /// The last turns that its health took, the oldest first; at most 32.
    #[serde(default)]
    pub past: Vec<TurnView>,
    /// The most exchanges that it was found to bear; null if that is not sought.
    #[serde(default)]
    pub limit: Option<u32>,
    /// How long it takes to the first byte of an answer, as the choice remembers it, in
    /// milliseconds; null if nothing is known.
    #[serde(default)]
    pub latency_ms: Option<f64>,
    /// What it did; null if it has no figures, and what it does counts with its app.
    pub figures: Option<FiguresView>,
}

/// A turn that the health of a dyno took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TurnView {
    /// When, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// What: `quarantined` after a failed connect; `ejected` for how it answered; `spared`, though
    /// it answered so, for as many are out as may be; `failing` its checks; `well` again.
    pub what: String,
    /// Until when it is passed over because of it, in milliseconds since the Unix epoch; null if
    /// that is not known before.
    pub until_ms: Option<u64>,
    /// Why.
    pub why: String,
}

/// How two algorithms compare: how many exchanges a new one finds on its dyno, on average.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ShadowView {
    /// How many exchanges were compared.
    pub exchanges: u64,
    /// Where the acting algorithm put them.
    pub acting: f64,
    /// Where the other would have put them.
    pub shadow: f64,
    /// Were they spread evenly over the dynos.
    pub even: f64,
    /// How many the other would have let wait in line, all dynos being full.
    #[serde(default)]
    pub waited: u64,
}

/// What an app or a dyno did since the start of the router.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FiguresView {
    /// Exchanges that ended; those of a dyno are the ones that ended on it.
    pub exchanges: u64,
    /// The same by class of the status that the client was sent: `2xx`; `none` if it was sent none.
    pub statuses: BTreeMap<String, u64>,
    /// Faults by code. Those of an app are the ends of its exchanges; those of a dyno are of every
    /// attempt on it, also where another dyno then answered.
    pub faults: BTreeMap<String, u64>,
    /// Attempts that failed on a dyno and were followed by another.
    pub retries: u64,
    /// Requests that a dyno was slow to answer and that went to a second one too.
    #[serde(default)]
    pub hedges: u64,
    /// Of those the ones that the second one served.
    #[serde(default)]
    pub hedges_won: u64,
    /// How long its exchanges took.
    pub recent: TimesView,
    /// The same since the start.
    pub since_start: TimesView,
}

/// How long exchanges took, tunnels and what came to no dyno left out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TimesView {
    /// How many seconds this is about.
    pub window_s: f64,
    /// How many exchanges.
    pub exchanges: u64,
    /// From the head of the request to the end of the answer.
    pub total: Option<PartView>,
    /// Until a dyno was chosen.
    pub queue: Option<PartView>,
    /// From there until a connection to a dyno stood, attempts that failed among it.
    pub connect: Option<PartView>,
    /// From there to the first byte of the answer.
    pub dyno: Option<PartView>,
    /// From there to the end: the answer's way to the client.
    pub client: Option<PartView>,
}

/// How long a part of the exchanges took, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PartView {
    /// The mean.
    pub mean_ms: f64,
    /// So long, or shorter, took half of them.
    pub p50_ms: f64,
    /// Nine of ten.
    pub p90_ms: f64,
    /// 99 of 100.
    pub p99_ms: f64,
    /// 999 of 1,000.
    pub p999_ms: f64,
}

impl Client {
    /// What an app is doing.
    pub async fn stats(&self, app: &str) -> Result<AppStats, ClientError> {
        self.get(&format!("{}/stats", app_path(app))).await
    }
}
