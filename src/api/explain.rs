//! `POST /v1/explain`: the request that is asked about, and why it would go where.
//!
//! Invariants: unknown fields of a question are refused; an answer is of one revision and one
//! moment; a list that was cut says how many it leaves out.

use std::collections::BTreeMap;

use http::Method;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{client::Client, error::ClientError, schema};

/// A request that nobody made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Explain", extend("required" = ["host"]))]
pub struct ExplainBody {
    /// The host, with a port or without.
    #[schemars(schema_with = "schema::exact_host")]
    pub host: String,
    /// The path, as a request line has it; `/` if it is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::asked_path")]
    pub path: Option<String>,
    /// The method; GET if it is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::asked_method")]
    pub method: Option<String>,
    /// Headers by name: the client header of the app's limits is looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::asked_headers")]
    pub headers: Option<BTreeMap<String, String>>,
    /// The client's IP address; without it limits per client are not looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::asked_client")]
    pub client: Option<String>,
}

/// Why a request would go where.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ExplainView {
    /// The revision that was looked at.
    pub revision: u64,
    /// The method.
    pub method: String,
    /// The host, normalised.
    pub host: String,
    /// The path, normalised and without its query: what prefixes are compared with.
    pub path: String,
    /// The rules that were tried, in order; the last one took the request, if any did.
    pub rules: Vec<RuleView>,
    /// How many more were tried before the last.
    pub rules_omitted: usize,
    /// The app that owns the rule that took it.
    pub app: Option<ExplainedApp>,
    /// The app's dynos by name.
    pub dynos: Vec<ConsideredView>,
    /// How many more the app has.
    pub dynos_omitted: usize,
    /// The hash of what `balance.key` names in the request: requests of one key go to one dyno, or
    /// to one release; null if nothing of the app is decided by it, or the request has none.
    #[serde(default)]
    pub key: Option<String>,
    /// What the client's cookie does; null if the app has no affinity.
    pub affinity: Option<AffinityView>,
    /// What the app's limits per client leave for this one, in the order in which it would be
    /// counted; empty if there are none, or no client is said.
    pub limits: Vec<LimitView>,
    /// How one of the candidates is chosen.
    pub choice: String,
    /// What the request comes to.
    pub outcome: OutcomeView,
}

/// What the cookie of a client does in an app with affinity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AffinityView {
    /// The name of the cookie.
    pub cookie: String,
    /// `none`: the client has no cookie that counts, and gets one. `returns`: it goes to its dyno.
    /// `spared`: its dyno is full, and only this request goes to another. `unfit`: its dyno is
    /// passed over, and it gets another for good. `gone`: so it does, for the dyno is no more.
    #[schemars(extend("enum" = ["none", "returns", "spared", "unfit", "gone"]))]
    pub verdict: String,
    /// Its dyno.
    pub dyno: Option<String>,
    /// Why that dyno is passed over.
    pub passed_over: Option<String>,
}

/// A limit per client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LimitView {
    /// The setting that limits, as `limits.rate_per_address`.
    pub setting: String,
    /// What it allows.
    pub most: u32,
    /// In how long, in milliseconds; null: at a time.
    pub window_ms: Option<u64>,
    /// How much of it is left; at 0 the request is refused.
    pub left: u32,
}

/// A rule that was tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RuleView {
    /// The host, or a wildcard that takes it in.
    pub host: String,
    /// The path prefix; null if the host has no route.
    pub path: Option<String>,
    /// The app that owns the route.
    pub app: Option<String>,
    /// Does it take the request?
    pub matched: bool,
}

/// The app that owns the rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ExplainedApp {
    /// Its name.
    pub name: String,
    /// Every request is answered with the maintenance page.
    pub maintenance: bool,
    /// Nothing was ever deployed to it.
    pub blank: bool,
    /// Its dynos are routers themselves.
    pub router: bool,
    /// Settings of its own.
    pub settings: Map<String, Value>,
    /// Exchanges that its dynos are serving.
    pub in_flight: u32,
    /// Clients' connections whose last request was for it.
    pub connections: u32,
    /// How many of its dynos can be chosen, and how many are passed over for what.
    pub dynos: DynoCounts,
}

/// An app's dynos, counted by what the choice makes of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DynoCounts {
    /// Those that can be chosen.
    pub candidates: usize,
    /// Those that boot.
    pub starting: usize,
    /// Those that get nothing new.
    pub draining: usize,
    /// Those that do not run.
    pub crashed: usize,
    /// Those that are passed over after a failed connect.
    pub quarantined: usize,
    /// Those that are passed over for how they answered.
    #[serde(default)]
    pub ejected: usize,
    /// Those whose checks fail.
    #[serde(default)]
    pub failing: usize,
    /// Those that are new, and of which no check has said yet that they are well.
    #[serde(default)]
    pub unproven: usize,
    /// Those whose release has no share of the requests, while one that has a share can serve.
    #[serde(default)]
    pub shareless: usize,
    /// Those that have as many exchanges as they may.
    #[serde(default)]
    pub full: usize,
}

/// A dyno, with its live state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ConsideredView {
    /// Its name.
    pub name: String,
    /// Where it listens.
    pub addr: String,
    /// The release that it runs.
    pub release: String,
    /// Its share beside the others.
    pub weight: u16,
    /// The state that was pushed.
    pub state: String,
    /// Its weight as the choice sees it: less while it warms up.
    #[serde(default)]
    pub effective_weight: f64,
    /// How long it takes to the first byte of an answer, as the choice sees it, in milliseconds;
    /// null if nothing is known.
    pub latency_ms: Option<f64>,
    /// How busy it says it is, 1 being all that it has; null if it does not.
    pub load: Option<f64>,
    /// Exchanges that it is serving.
    pub in_flight: u32,
    /// Failed connects in a row.
    pub failed_connects: u32,
    /// How long it is still passed over after the last of them, in milliseconds.
    pub quarantined_for_ms: u64,
    /// Why it cannot be chosen: `starting`, `draining`, `crashed`, `quarantined`, `ejected`,
    /// `failing`, `unproven`, `shareless` or `full`; null if it is a candidate.
    pub passed_over: Option<String>,
    /// The chance that it gets the request, 0 to 1; null if no dyno does.
    pub chance: Option<f64>,
}

/// What a request comes to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "verdict", rename_all = "lowercase")]
pub enum OutcomeView {
    /// A dyno gets it.
    Dyno {
        /// Which, if no draw can change that.
        dyno: Option<String>,
    },
    /// It waits for a dyno.
    Hold {
        /// For so long at most, in milliseconds.
        at_most_ms: u64,
        /// What it is answered with then.
        then: FaultView,
    },
    /// It is answered with a fault at once.
    Fault(FaultView),
}

/// A fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FaultView {
    /// Its code: `H14`, or a lower-case name.
    pub code: String,
    /// The status of the answer.
    pub status: u16,
    /// What it means.
    pub description: String,
}

impl Client {
    /// Why a request would go where.
    pub async fn explain(&self, request: &ExplainBody) -> Result<ExplainView, ClientError> {
        self.send(Method::POST, "/explain", Some(request)).await
    }
}
