//! What the push API says and hears, as JSON.
//!
//! Invariants: unknown fields of a request are refused; a field that is absent has the default that
//! its comment states; objects are written back whole, defaults included.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::schema;

/// `/v1/apps/{app}`: an app's settings.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "App")]
pub struct AppBody {
    /// Every request is answered with the maintenance page. Default: false.
    pub maintenance: bool,
    /// Nothing was ever deployed: every request is answered with H81. Default: false.
    pub blank: bool,
    /// The dynos are routers: their `Hostler-Error` reaches the client. Default: false.
    pub router: bool,
    /// Without `confirm` naming the app no write removes it, its last route or dyno, or this.
    /// Default: false.
    pub protected: bool,
    /// Settings of the router that are others for this app, by name, written as in the settings
    /// file: `"timeouts.first_byte": "60s"`. Default: none.
    #[schemars(schema_with = "schema::settings")]
    pub settings: Map<String, Value>,
    /// Pages of the app's own. Default: none. A list of apps leaves them out, so that what came
    /// from one is not to be put back whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "PagesBody")]
    pub pages: Option<PagesBody>,
}

/// Pages of an app's own.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Pages")]
pub struct PagesBody {
    /// For every fault of the app, its dynos or the router.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "PageBody")]
    pub error: Option<PageBody>,
    /// For the maintenance mode.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "PageBody")]
    pub maintenance: Option<PageBody>,
}

/// One page; a form that is absent is the router's own. A form has at most 64 KiB.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Page")]
pub struct PageBody {
    /// `text/html; charset=utf-8`
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::page")]
    pub html: Option<String>,
    /// `application/json`: the text of a JSON document.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::json_page")]
    pub json: Option<String>,
    /// `text/plain; charset=utf-8`
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::page")]
    pub text: Option<String>,
}

/// `/v1/apps/{app}/routes/{host}?path=`: what a route is set to.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Route")]
pub struct RouteBody {
    /// Without `confirm` naming the route no write removes it, gives it to another app, or removes
    /// this. Default: false.
    pub protected: bool,
}

/// `/v1/apps/{app}/dynos/{name}`: where a dyno listens and what the platform says of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Dyno")]
pub struct DynoBody {
    /// `IP:port` or `unix:/path`.
    #[schemars(schema_with = "schema::dyno_addr")]
    pub addr: String,
    /// The release it runs. Default: empty.
    #[serde(default)]
    #[schemars(schema_with = "schema::release")]
    pub release: String,
    /// Its share beside the app's other dynos, 1 to 1000. Default: 100.
    #[serde(default = "default_weight")]
    #[schemars(range(min = 1, max = 1000))]
    pub weight: u16,
    /// `starting`, `up`, `draining` or `crashed`. Default: `up`.
    #[serde(default = "default_state")]
    #[schemars(schema_with = "schema::state")]
    pub state: String,
    /// Seconds until the dyno leaves the table unless it is pushed again, 1 to 2592000. Default:
    /// null, never.
    #[serde(default)]
    #[schemars(range(min = 1, max = 2_592_000))]
    pub ttl_s: Option<u32>,
}

fn default_weight() -> u16 {
    100
}

fn default_state() -> String {
    "up".into()
}

/// An app as GET answers it: its name beside its settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AppView {
    /// Its name.
    pub name: String,
    /// Its settings.
    #[serde(flatten)]
    pub settings: AppBody,
    /// How many routes it has.
    pub routes: usize,
    /// How many dynos it has.
    pub dynos: usize,
}

/// A route as GET answers it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RouteView {
    /// The app that owns it.
    pub app: String,
    /// Its host, normalised; `*.` before it for a wildcard.
    pub host: String,
    /// Its path prefix; `/` where it has none.
    pub path: String,
    /// Its settings.
    #[serde(flatten)]
    pub settings: RouteBody,
}

/// A dyno as GET answers it: its name beside what was pushed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DynoView {
    /// The app it belongs to.
    pub app: String,
    /// Its name.
    pub name: String,
    /// What was pushed.
    #[serde(flatten)]
    pub dyno: DynoBody,
    /// How many exchanges it is serving in this router; only of one dyno as it is now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u32")]
    pub in_flight: Option<u32>,
}

/// A list, with the revision it was read at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "{T}s")]
pub struct List<T> {
    /// The revision of the table that was read.
    pub revision: u64,
    /// What it holds, sorted by name.
    pub items: Vec<T>,
    /// Where the next page begins: the value of `after` (of `before`, in the history) to ask with.
    /// Absent on the last page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// `GET /v1/revision`: where the table stands and how much is in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Revision")]
pub struct RevisionView {
    /// The revision that this router serves.
    pub revision: u64,
    /// The digest of its table, in hexadecimal.
    #[schemars(schema_with = "schema::digest")]
    #[serde(default)]
    pub digest: String,
    /// Apps.
    pub apps: usize,
    /// Routes.
    pub routes: usize,
    /// Dynos.
    pub dynos: usize,
    /// Certificates.
    #[serde(default)]
    pub certs: usize,
}

/// `GET /readyz`: should the process get traffic?
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Readiness {
    /// Should it?
    pub ready: bool,
    /// Why not; empty if it should.
    pub reasons: Vec<String>,
    /// What is wrong and keeps no traffic away: that the store takes no pushes, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// `POST /v1/transactions`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Transaction")]
pub struct TransactionBody {
    /// Refused when an object that the ops name changed after this revision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::whole_number_or_none")]
    pub if_revision: Option<u64>,
    /// Why, for the history.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::reason")]
    pub reason: Option<String>,
    /// Do it though the shrink guard would refuse it; needs scope push. Default: false.
    #[serde(default, skip_serializing_if = "is_off")]
    pub force: bool,
    /// The protected apps and routes that it may remove or empty. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub confirm: Vec<String>,
    /// The edits, in order.
    #[schemars(schema_with = "schema::ops")]
    pub ops: Vec<Op>,
}

fn is_off(switch: &bool) -> bool {
    !switch
}

/// One edit: the method, path below `/v1` and body of the single call that it stands for.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Op {
    /// `PUT`, `PATCH` or `DELETE`.
    pub method: String,
    /// Below `/v1`: `/apps/blog/dynos/web.1`.
    pub path: String,
    /// The body of the call; absent for DELETE.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
}

/// The answer to every write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Receipt {
    /// The revision that the write made; the current one if it changed nothing.
    pub revision: u64,
    /// Did it change anything?
    pub changed: bool,
    /// The digest of the table at that revision, in hexadecimal.
    #[schemars(schema_with = "schema::digest")]
    #[serde(default)]
    pub digest: String,
    /// How many objects a whole table changed; absent on any other write.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counts: Option<ChangeCounts>,
    /// Which routers serve it; absent unless the write was to wait for them (`wait=fleet`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fleet: Option<FleetView>,
}

/// How many objects were changed, those that went with an app among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct ChangeCounts {
    /// They were not there before.
    pub added: usize,
    /// They are others than before.
    pub changed: usize,
    /// They are gone.
    pub removed: usize,
}

/// Which live routers serve a revision, by their ids.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FleetView {
    /// These do.
    pub serving: Vec<String>,
    /// These did not when the time was over.
    pub behind: Vec<String>,
}

/// One accepted transaction, as `GET /v1/history` answers it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HistoryEntry {
    /// The revision it made.
    pub revision: u64,
    /// When, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// Who: the name of a token.
    pub author: String,
    /// From which address, if it came over the network.
    #[serde(default)]
    pub address: Option<String>,
    /// Why, if they said.
    pub reason: Option<String>,
    /// How many objects it changed.
    pub changes: u64,
    /// The digest of the table that it made, in hexadecimal.
    #[schemars(schema_with = "schema::digest")]
    #[serde(default)]
    pub digest: String,
    /// The history begins here: what was before is no longer kept.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub begins: bool,
    /// The shrink guard would have refused it and was told to let it in.
    #[serde(default)]
    pub forced: bool,
}

/// The first line of `GET /v1/table`; each of the others is an object in its canonical form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TableHeader {
    /// The version of the canonical form.
    pub v: u32,
    /// `table`
    #[schemars(extend("const" = "table"))]
    pub kind: String,
    /// The revision that the table stood at.
    pub revision: u64,
    /// When that was made, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// The digest of its objects, in hexadecimal: the sum modulo 2^256 of the SHA-256 of each line
    /// but this one, its line end left out.
    #[schemars(schema_with = "schema::digest")]
    pub digest: String,
    /// How many apps follow.
    pub apps: usize,
    /// How many routes follow.
    pub routes: usize,
    /// How many dynos follow.
    pub dynos: usize,
    /// How many certificates follow.
    #[serde(default)]
    pub certs: usize,
}

/// The first line of `GET /v1/diff`; each of the others is a [`DiffLine`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DiffHeader {
    /// The version of the canonical form.
    pub v: u32,
    /// `diff`
    #[schemars(extend("const" = "diff"))]
    pub kind: String,
    /// The side before.
    pub from: Standing,
    /// The side after.
    pub to: Standing,
}

/// Where a table stood.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Standing {
    /// The revision.
    pub revision: u64,
    /// When it was made, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// The digest of the table, in hexadecimal.
    #[schemars(schema_with = "schema::digest")]
    pub digest: String,
}

/// One object that two revisions have different.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DiffLine {
    /// `added`, `removed` or `changed`.
    #[schemars(extend("enum" = ["added", "removed", "changed"]))]
    pub change: String,
    /// The object before, in its canonical form; absent if it was added.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// The object after, in its canonical form; absent if it was removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
}

/// `POST /v1/revert`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Revert")]
pub struct RevertBody {
    /// The revision to go back to, as a number; or a time: a number of milliseconds since the Unix
    /// epoch, or an RFC 3339 text.
    #[schemars(schema_with = "schema::at")]
    pub to: Value,
    /// One app alone. Default: the whole table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::app_or_none")]
    pub app: Option<String>,
    /// Bring dynos back too, as `starting`. Default: false.
    #[serde(default)]
    pub dynos: bool,
    /// Do it though the shrink guard would refuse it; needs scope push. Default: false.
    #[serde(default, skip_serializing_if = "is_off")]
    pub force: bool,
    /// The protected apps and routes that it may remove or empty. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub confirm: Vec<String>,
    /// Why, for the history.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::reason")]
    pub reason: Option<String>,
}

/// `application/problem+json` (RFC 9457).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// `about:blank`: the status says what kind of problem it is.
    #[serde(rename = "type")]
    #[schemars(extend("const" = "about:blank"))]
    pub kind: String,
    /// The status in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What is wrong and what to do.
    pub detail: String,
    /// Every mistake found, if there are several or if they belong to a field.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
}

/// One mistake in a request.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct FieldError {
    /// Which op of the transaction, from 0; absent outside of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub op: Option<usize>,
    /// Which line of the table, from 1; absent outside of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// The field (`addr`, `settings.timeouts.first_byte`, `pages.error.html`), the part of the path
    /// (`app`, `host`, `path`, `dyno`), or `method`, `body`.
    pub field: String,
    /// What is wrong with it and what it should be.
    pub reason: String,
}
