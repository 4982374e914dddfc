//! Every call of the push API: one entry a method and path, in the order of the table of paths.
//!
//! Invariant: an entry says what is the call's own; what all of a kind share (the token, the
//! headers of writes, the refusals) is added in one place, by kind.

use http::Method;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::settings::duration;
use crate::{
    api::{
        AckBody, AckView, AppBody, AppStats, AppView, AuditEntry, CertBody, CertView, DynoBody,
        DynoView, HistoryEntry, List, MadeToken, Readiness, Receipt, RevertBody, RevisionView,
        Revoked, RouteBody, RouteView, RouterView, TokenBody, TokenView, TransactionBody,
        explain::{ExplainBody, ExplainView},
        schema,
    },
    control::api::{health, read::MAX_PAGE},
};

/// How a schema is got from a wire type.
type Make = fn(&mut SchemaGenerator) -> Schema;

/// What is sent.
pub(super) enum Takes {
    Nothing,
    /// A body of JSON; may it be left out?
    Json(Make, bool),
    /// A JSON merge patch of that.
    Patch(Make),
    /// Objects in their canonical form, one a line.
    Lines,
}

/// What is answered if all goes well.
pub(super) enum Gives {
    Json(u16, Make),
    /// Text of that media type.
    Text(&'static str),
}

/// What a call shares with others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Read,
    /// A read of one object, which has a tag.
    ReadObject,
    /// A write of one object.
    WriteObject,
    /// A write of many objects.
    Write,
    /// A write of what is not in the table: a token, an ack.
    WriteOther,
}

/// A parameter in a query.
pub(super) struct Param {
    pub(super) name: &'static str,
    pub(super) doc: &'static str,
    pub(super) is_required: bool,
    pub(super) schema: fn() -> Schema,
}

/// One call.
pub(super) struct Call {
    pub(super) method: Method,
    pub(super) path: &'static str,
    pub(super) summary: &'static str,
    pub(super) kind: Kind,
    pub(super) query: Vec<Param>,
    pub(super) takes: Takes,
    pub(super) gives: Gives,
    /// Statuses of refusals beside those of its kind.
    pub(super) refusals: &'static [u16],
}

/// Every call.
pub(super) fn calls() -> Vec<Call> {
    let mut calls = of_apps();
    calls.extend(of_routes_and_dynos());
    calls.extend(of_certs());
    calls.extend(of_the_table());
    calls.extend(of_routers());
    calls.extend(of_tokens());
    calls.extend(of_machines());
    calls
}

fn of_apps() -> Vec<Call> {
    const APP: &str = "/v1/apps/{app}";
    vec![
        get("/v1/apps", "Lists apps, without their pages")
            .with(param("prefix", "Those whose names begin so.", text))
            .with(param("maintenance", "Those that are, or are not, in maintenance.", switch))
            .page("after")
            .gives::<List<AppView>>(),
        get(APP, "An app and its settings").object().at().gives::<AppView>(),
        put(APP, "Sets an app's settings whole; makes the app").takes::<AppBody>(true),
        patch(APP, "Changes some of an app's settings").patches::<AppBody>(),
        delete(APP, "Removes an app with its routes and dynos"),
    ]
}

fn of_routes_and_dynos() -> Vec<Call> {
    const ROUTE: &str = "/v1/apps/{app}/routes/{host}";
    const DYNO: &str = "/v1/apps/{app}/dynos/{name}";
    let (routes, dynos) = ("/v1/apps/{app}/routes", "/v1/apps/{app}/dynos");
    vec![
        get(routes, "Lists an app's routes")
            .with(param(
                "host",
                "Those of this host, or with `www.*` of hosts that begin so.",
                hosts,
            ))
            .page("after")
            .at()
            .gives::<List<RouteView>>(),
        get(ROUTE, "A route").object().prefix().at().gives::<RouteView>(),
        put(ROUTE, "Sets a route; makes it").prefix().takes::<RouteBody>(true),
        patch(ROUTE, "Changes a route").prefix().patches::<RouteBody>(),
        delete(ROUTE, "Removes a route").prefix(),
        get(dynos, "Lists an app's dynos")
            .with(param("state", "Those in this state.", state))
            .with(param("release", "Those that run this release.", text))
            .page("after")
            .at()
            .gives::<List<DynoView>>(),
        get(DYNO, "A dyno").object().at().emptied().gives::<DynoView>(),
        put(DYNO, "Sets a dyno whole; makes it").takes::<DynoBody>(false),
        patch(DYNO, "Changes a dyno").patches::<DynoBody>(),
        delete(DYNO, "Removes a dyno"),
        get("/v1/apps/{app}/stats", "What an app is doing in this router")
            .refuses(&[404])
            .gives::<AppStats>(),
    ]
}

fn of_certs() -> Vec<Call> {
    const CERT: &str = "/v1/certs/{name}";
    vec![
        get("/v1/certs", "Lists certificates, without their chains")
            .page("after")
            .gives::<List<CertView>>(),
        get(CERT, "A certificate, without its key").object().at().gives::<CertView>(),
        put(CERT, "Sets a certificate and its key; makes it").takes::<CertBody>(false),
        delete(CERT, "Removes a certificate"),
    ]
}

fn of_the_table() -> Vec<Call> {
    let app = || param("app", "This app alone.", app_name);
    vec![
        post("/v1/transactions", "Applies several edits, all or none")
            .takes::<TransactionBody>(false),
        get("/v1/revision", "Where the table stands").gives::<RevisionView>(),
        get("/v1/table", "The whole table, one object a line").at().lines(),
        Call {
            takes: Takes::Lines,
            kind: Kind::Write,
            ..put("/v1/table", "Replaces the whole table").with(param(
                "if_revision",
                "Only if nothing changed after it.",
                revision,
            ))
        },
        get("/v1/diff", "What two revisions have different")
            .with(required("from", "The side before.", at))
            .with(param("to", "The side after. Default: as it is.", at))
            .with(app())
            .refuses(&[404, 410, 503])
            .lines(),
        get("/v1/history", "Accepted transactions, newest first")
            .with(app())
            .with(param("author", "The name of the token that wrote.", text))
            .with(param("since", "None before.", at))
            .with(param("until", "None after.", at))
            .page("before")
            .refuses(&[404, 410, 503])
            .gives::<List<HistoryEntry>>(),
        post("/v1/revert", "Makes the table, or one app, what it was").takes::<RevertBody>(false),
    ]
}

fn of_routers() -> Vec<Call> {
    let ack = post("/v1/routers/{id}/ack", "All workers of a router serve a revision");
    vec![
        Call {
            gives: Gives::Text("text/event-stream"),
            ..get("/v1/feed", "The table, then every transaction, as server-sent events")
                .with(param("from", "The revision that is known already.", revision))
                .with(param("router", "Who follows: it counts as live.", router_name))
                .refuses(&[503])
        },
        get("/v1/routers", "How far each router is").gives::<List<RouterView>>(),
        Call {
            kind: Kind::WriteOther,
            ..post("/v1/explain", "Why a request would go where")
                .takes::<ExplainBody>(false)
                .gives::<ExplainView>()
        },
        Call { kind: Kind::WriteOther, ..ack.takes::<AckBody>(false).gives::<AckView>() },
    ]
}

fn of_tokens() -> Vec<Call> {
    let (all, one) = ("/v1/tokens", "/v1/tokens/{name}");
    vec![
        get(all, "Lists tokens, without their texts").page("after").gives::<List<TokenView>>(),
        Call {
            gives: Gives::Json(201, |g| g.subschema_for::<MadeToken>()),
            kind: Kind::WriteOther,
            ..post(all, "Makes a token and tells its text, this once").takes::<TokenBody>(false)
        },
        get("/v1/audit", "Who made and revoked tokens, newest first")
            .page("before")
            .gives::<List<AuditEntry>>(),
        get(one, "A token, without its text").refuses(&[404]).gives::<TokenView>(),
        Call {
            kind: Kind::WriteOther,
            ..delete(one, "Revokes a token").refuses(&[404]).gives::<Revoked>()
        },
    ]
}

fn of_machines() -> Vec<Call> {
    let text = |call, media| Call { gives: Gives::Text(media), ..call };
    let metrics = get(health::METRICS, "Figures in Prometheus's text format");
    vec![
        get("/v1/openapi.json", "This document")
            .gives::<serde_json::Map<String, serde_json::Value>>(),
        text(get(health::HEALTHZ, "Does the process turn?"), "text/plain"),
        get(health::READYZ, "Should the process get traffic? 503 if not").gives::<Readiness>(),
        text(metrics, "text/plain"),
    ]
}

fn call(method: Method, path: &'static str, summary: &'static str, kind: Kind) -> Call {
    let gives = Gives::Json(200, |g| g.subschema_for::<Receipt>());
    let (query, takes) = (Vec::new(), Takes::Nothing);
    Call { method, path, summary, kind, query, takes, gives, refusals: &[] }
}

fn get(path: &'static str, summary: &'static str) -> Call {
    call(Method::GET, path, summary, Kind::Read)
}

fn put(path: &'static str, summary: &'static str) -> Call {
    call(Method::PUT, path, summary, Kind::WriteObject)
}

fn patch(path: &'static str, summary: &'static str) -> Call {
    call(Method::PATCH, path, summary, Kind::WriteObject)
}

fn delete(path: &'static str, summary: &'static str) -> Call {
    call(Method::DELETE, path, summary, Kind::WriteObject)
}

fn post(path: &'static str, summary: &'static str) -> Call {
    call(Method::POST, path, summary, Kind::Write)
}

impl Call {
    fn gives<T: JsonSchema>(self) -> Call {
        Call { gives: Gives::Json(200, |g| g.subschema_for::<T>()), ..self }
    }

    fn lines(self) -> Call {
        Call { gives: Gives::Text("application/x-ndjson"), ..self }
    }

    fn takes<T: JsonSchema>(self, may_be_left_out: bool) -> Call {
        Call { takes: Takes::Json(|g| g.subschema_for::<T>(), may_be_left_out), ..self }
    }

    fn patches<T: JsonSchema>(self) -> Call {
        Call { takes: Takes::Patch(|g| g.subschema_for::<T>()), ..self }
    }

    fn object(self) -> Call {
        Call { kind: Kind::ReadObject, ..self }
    }

    fn refuses(self, refusals: &'static [u16]) -> Call {
        Call { refusals, ..self }
    }

    fn with(mut self, param: Param) -> Call {
        self.query.push(param);
        self
    }

    fn at(self) -> Call {
        self.with(param("at", "As it was at this revision or time. Default: as it is.", at))
            .refuses(&[404, 410, 503])
    }

    fn emptied(self) -> Call {
        let timeout = "How long it waits. Default: 30s.";
        self.with(param("wait", "Until it has nothing in flight; it may not be up.", empty))
            .with(param("timeout", timeout, long))
            .refuses(&[404, 409, 410, 503])
    }

    fn prefix(self) -> Call {
        self.with(param("path", "The route's path prefix. Default: `/`.", path_prefix))
    }

    /// A list, of which pages are told; the parameter names where one begins.
    fn page(self, cursor: &'static str) -> Call {
        let schema = match cursor {
            "before" => revision,
            _ if self.path.ends_with("/routes") => route,
            _ => text,
        };
        let limit = param("limit", "How many at most. Default: 100.", limit);
        self.with(limit).with(param(cursor, "The `next` of the page before.", schema))
    }
}

fn param(name: &'static str, doc: &'static str, schema: fn() -> Schema) -> Param {
    Param { name, doc, is_required: false, schema }
}

fn required(name: &'static str, doc: &'static str, schema: fn() -> Schema) -> Param {
    Param { is_required: true, ..param(name, doc, schema) }
}

fn router_name() -> Schema {
    json_schema!({ "type": "string", "pattern": schema::ROUTER_NAME })
}

/// Where a page of routes begins: host and path prefix, one behind the other.
fn route() -> Schema {
    json_schema!({ "type": "string", "minLength": 1, "format": "route" })
}

fn text() -> Schema {
    json_schema!({ "type": "string" })
}

fn switch() -> Schema {
    json_schema!({ "type": "boolean" })
}

fn state() -> Schema {
    schema::state(&mut SchemaGenerator::default())
}

fn hosts() -> Schema {
    let prefix = json_schema!({ "type": "string", "pattern": "^[a-z0-9._-]*\\*$" });
    json_schema!({ "anyOf": [schema::host(), prefix] })
}

fn limit() -> Schema {
    json_schema!({ "type": "integer", "minimum": 1, "maximum": MAX_PAGE })
}

fn revision() -> Schema {
    json_schema!({ "type": "integer", "minimum": 0, "maximum": u64::MAX })
}

fn at() -> Schema {
    json_schema!({ "type": "string", "pattern": schema::AT })
}

fn empty() -> Schema {
    json_schema!({ "const": "empty" })
}

fn long() -> Schema {
    json_schema!({ "type": "string", "pattern": duration(1, 600_000) })
}

fn app_name() -> Schema {
    json_schema!({ "type": "string", "pattern": schema::APP_NAME })
}

fn path_prefix() -> Schema {
    json_schema!({
        "type": "string", "maxLength": 1024,
        "pattern": "^/([!\"$&->@-~]|%[0-9A-Fa-f]{2})*$",
    })
}
