//! Every path of the push API, what answers it, and what a token has to allow for it: one table.
//!
//! Invariants: what is not in the table is not served; every method of a path says what it needs,
//! and GET stands for HEAD too; a test walks all of it with every kind of token.

use std::{borrow::Cow, fmt, sync::Arc};

use axum::routing::{MethodRouter, get, post};
use http::{Method, Uri};
use percent_encoding::percent_decode_str;

use super::{
    certs,
    explain::explain,
    feed, health, lists, openapi, read,
    router::Shared,
    routers, stats, table, token_calls as tokens, travel,
    write::{transaction, write},
};
use crate::control::scope::Scopes;

/// What a call needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    /// No token.
    Nothing,
    /// `read`, or no token if the settings say so.
    Metrics,
    /// Any token.
    Token,
    /// To read everything.
    Read,
    /// To read everything, or the app alone that the query names.
    ReadAsked,
    /// To read the app that the path names.
    ReadApp,
    /// To write the app that the path names.
    PushApp,
    /// To write some app: each op is judged for itself.
    Ops,
    /// To write every app.
    Push,
    /// Everything.
    Admin,
}

/// One path.
pub(super) struct Row {
    pub(super) path: &'static str,
    /// The methods that it knows, and what each needs.
    pub(super) needs: &'static [(Method, Need)],
    pub(super) answers: fn() -> MethodRouter<Arc<Shared>>,
}

const OF_TABLE: &[(Method, Need)] = &[(Method::GET, Need::Read)];
const OF_ASKED: &[(Method, Need)] = &[(Method::GET, Need::ReadAsked)];
const OF_APP: &[(Method, Need)] = &[(Method::GET, Need::ReadApp)];
const FOR_ALL: &[(Method, Need)] = &[(Method::GET, Need::Nothing)];
const OBJECT: &[(Method, Need)] = &[
    (Method::GET, Need::ReadApp),
    (Method::PUT, Need::PushApp),
    (Method::PATCH, Need::PushApp),
    (Method::DELETE, Need::PushApp),
];
/// A certificate may cover the hosts of every app: no scope of one app is for it.
const CERT: &[(Method, Need)] =
    &[(Method::GET, Need::Read), (Method::PUT, Need::Push), (Method::DELETE, Need::Push)];

/// Every path.
#[rustfmt::skip]
pub(super) static PATHS: &[Row] = &[
    row("/v1/apps", OF_TABLE, || get(lists::apps)),
    row("/v1/apps/{app}", OBJECT, || object(get(read::app))),
    row("/v1/apps/{app}/routes", OF_APP, || get(lists::routes)),
    row("/v1/apps/{app}/routes/{host}", OBJECT, || object(get(read::route))),
    row("/v1/apps/{app}/dynos", OF_APP, || get(lists::dynos)),
    row("/v1/apps/{app}/dynos/{name}", OBJECT, || object(get(read::dyno))),
    row("/v1/apps/{app}/stats", OF_APP, || get(stats::stats)),
    row("/v1/certs", OF_TABLE, || get(certs::list)),
    row("/v1/certs/{name}", CERT, || get(certs::show).put(write).delete(write)),
    row("/v1/transactions", &[(Method::POST, Need::Ops)], || post(transaction)),
    row("/v1/revision", &[(Method::GET, Need::Token)], || get(read::revision)),
    row("/v1/table", &[(Method::GET, Need::Read), (Method::PUT, Need::Push)],
        || get(travel::table).put(table::put)),
    row("/v1/diff", OF_ASKED, || get(travel::diff)),
    row("/v1/history", OF_ASKED, || get(travel::history)),
    row("/v1/feed", OF_TABLE, || get(feed::feed)),
    row("/v1/routers", OF_TABLE, || get(routers::list)),
    row("/v1/routers/{id}/ack", &[(Method::POST, Need::Read)], || post(routers::ack)),
    row("/v1/explain", &[(Method::POST, Need::Read)], || post(explain)),
    row("/v1/revert", &[(Method::POST, Need::Ops)], || post(travel::revert)),
    row("/v1/tokens", &[(Method::GET, Need::Admin), (Method::POST, Need::Admin)],
        || get(tokens::list).post(tokens::make)),
    row("/v1/audit", &[(Method::GET, Need::Admin)], || get(tokens::audit)),
    row("/v1/tokens/{name}", &[(Method::GET, Need::Admin), (Method::DELETE, Need::Admin)],
        || get(tokens::show).delete(tokens::revoke)),
    row("/v1/openapi.json", &[(Method::GET, Need::Token)], || get(openapi::serve)),
    row(health::HEALTHZ, FOR_ALL, || get(health::healthz)),
    row(health::READYZ, FOR_ALL, || get(health::readyz)),
    row(health::METRICS, &[(Method::GET, Need::Metrics)], || get(health::metrics)),
];

const fn row(
    path: &'static str,
    needs: &'static [(Method, Need)],
    answers: fn() -> MethodRouter<Arc<Shared>>,
) -> Row {
    Row { path, needs, answers }
}

fn object(read: MethodRouter<Arc<Shared>>) -> MethodRouter<Arc<Shared>> {
    read.put(write).patch(write).delete(write)
}

impl Need {
    /// What a call needs whose path is one of the table, or none of it. What is nowhere needs a
    /// token: who has none is told of no path.
    pub(super) fn of(path: Option<&str>, method: &Method) -> Need {
        let method = if *method == Method::HEAD { &Method::GET } else { method };
        let row = PATHS.iter().find(|row| path == Some(row.path));
        let Some(Row { needs, .. }) = row else { return Need::Token };
        match needs.iter().find(|(known, _)| known == method) {
            Some((_, need)) => *need,
            // A path that is open says so of its methods too.
            None if needs.iter().all(|(_, need)| *need == Need::Nothing) => Need::Nothing,
            None => Need::Token,
        }
    }

    /// The least scope that does, as the document says it.
    pub(super) fn scope(self) -> &'static str {
        match self {
            Need::Nothing => "none",
            Need::Token => "any",
            Need::Metrics | Need::Read => "read",
            Need::ReadAsked => "read, or with app=APP push:APP",
            Need::ReadApp => "read or push:{app}",
            Need::PushApp => "push:{app}",
            Need::Ops => "push:APP of each op, or push",
            Need::Push => "push",
            Need::Admin => "admin",
        }
    }

    /// Is that allowed, for a call of this path and query? Else the scope that would do.
    pub(super) fn check(self, scopes: &Scopes, uri: &Uri) -> Result<(), Missing> {
        let app = || app_of(uri.path()).unwrap_or_default();
        let (is_allowed, missing) = match self {
            Need::Nothing | Need::Token => (true, Missing::Read),
            Need::Metrics | Need::Read => (scopes.may_read(), Missing::Read),
            Need::ReadAsked => {
                let mut asked = apps_asked(uri.query().unwrap_or_default()).peekable();
                let is_theirs = asked.peek().is_some() && asked.all(|app| scopes.may_push(&app));
                (scopes.may_read() || is_theirs, Missing::Read)
            }
            Need::ReadApp => (scopes.may_read_app(&app()), Missing::Read),
            Need::PushApp => (scopes.may_push(&app()), Missing::PushApp(app())),
            Need::Ops => (scopes.may_push_some(), Missing::Push),
            Need::Push => (scopes.may_push_all(), Missing::Push),
            Need::Admin => (scopes.may_all(), Missing::Admin),
        };
        if is_allowed { Ok(()) } else { Err(missing) }
    }
}

/// The least scope that a call lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Missing {
    Read,
    PushApp(String),
    Push,
    Admin,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Missing::Read => f.write_str("read"),
            Missing::PushApp(app) if crate::route::AppName::parse(app).is_ok() => {
                write!(f, "push:{app}")
            }
            Missing::PushApp(_) | Missing::Push => f.write_str("push"),
            Missing::Admin => f.write_str("admin"),
        }
    }
}

/// Every app that a query names, however its name is escaped: no app's name holds a plus.
fn apps_asked(query: &str) -> impl Iterator<Item = Cow<'_, str>> {
    let decoded = |text| percent_decode_str(text).decode_utf8_lossy();
    let pairs = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs.filter(move |(name, _)| decoded(name) == "app").map(move |(_, app)| decoded(app))
}

/// The app that a path below `/v1/apps` names.
fn app_of(path: &str) -> Option<String> {
    let app = path.strip_prefix("/v1/apps/")?.split('/').next()?;
    percent_decode_str(app).decode_utf8().ok().map(Into::into)
}
