//! Reads of what is, from the live snapshot, and of one app as it was, from the archive.
//!
//! Invariants: an answer is of one revision, which it names; a list is sorted, and a page of it is
//! at most [`MAX_PAGE`] long and says where the next begins; a query parameter that is unknown,
//! given twice or no UTF-8 is refused.

use std::sync::Arc;

use axum::{
    extract::{FromRequestParts, Path, State, rejection::PathRejection},
    response::Response,
};
use http::{StatusCode, header, request::Parts};
use percent_encoding::percent_decode_str;
use serde::Serialize;

use super::{
    conditions, drain,
    problem::{Refusal, answer},
    router::Shared,
    stream::look,
    travel::parse_at,
};
use crate::{
    api::{AppBody, AppView, DynoView, List, RevisionView, RouteView},
    control::{
        hub::{app_body, dyno_body, route_body},
        store::ObjectKey,
    },
    live::Snapshot,
    route::{App, Counts, Dyno, HostPattern, PathPrefix, RouteKey, Table},
};

/// How many items a page has unless the call says otherwise.
pub(super) const DEFAULT_PAGE: usize = 100;
/// The most items a page has.
pub(super) const MAX_PAGE: usize = 1000;
/// More parameters than any call knows.
const MAX_PARAMS: usize = 32;
const NOT_UTF8: &str = "its escapes are not UTF-8";

/// The parameters of a query, none of them twice.
#[derive(Debug)]
pub(super) struct Query(pub(super) Vec<(String, String)>);

pub(super) type Params = Result<Query, Refusal>;
pub(super) type Segments<T> = Result<Path<T>, PathRejection>;
type Answer = Result<Response, Refusal>;

/// `GET /v1/apps/{app}`.
pub(super) async fn app(
    State(shared): State<Arc<Shared>>,
    path: Segments<String>,
    params: Params,
) -> Answer {
    let Path(name) = path?;
    let (stands, params) = stands(&shared, &name, params).await?;
    no_params(params)?;
    let table = stands.table();
    let app = find_app(table, &name)?;
    let object = ObjectKey::App(app.name.clone());
    Ok(tagged(&shared, table, &object, &app_view(table, app)))
}

/// `GET /v1/apps/{app}/routes/{host}?path=`.
pub(super) async fn route(
    State(shared): State<Arc<Shared>>,
    path: Segments<(String, String)>,
    params: Params,
) -> Answer {
    let Path((name, host)) = path?;
    let (stands, params) = stands(&shared, &name, params).await?;
    let mut prefix = PathPrefix::ROOT;
    for (param, value) in params?.0 {
        match param.as_str() {
            "path" => prefix = parse_prefix(&value)?,
            other => return Err(unknown_param(other, "path")),
        }
    }
    let key = RouteKey { host: parse_host(&host)?, path: prefix };
    let table = stands.table();
    let app = find_app(table, &name)?;
    if table.route(&key).is_none_or(|owner| owner.name != app.name) {
        return Err(not_found("host", format!("app {name} has no route {key}")));
    }
    let view = route_view(table, app, &key);
    Ok(tagged(&shared, table, &ObjectKey::Route(key), &view))
}

/// `GET /v1/apps/{app}/dynos/{name}`.
pub(super) async fn dyno(
    State(shared): State<Arc<Shared>>,
    path: Segments<(String, String)>,
    params: Params,
) -> Answer {
    let Path((name, dyno)) = path?;
    let (at, wait, time) = dyno_params(params?)?;
    if let Some(time) = wait.then(|| drain::time(time.as_deref())).transpose()? {
        drain::emptied(&shared, &name, &dyno, time).await?;
    }
    let (stands, _) = stands(&shared, &name, Ok(Query(at))).await?;
    let table = stands.table();
    let app = find_app(table, &name)?;
    let missing = || not_found("dyno", format!("app {name} has no dyno {dyno}"));
    let dyno = app.dyno(&dyno).ok_or_else(missing)?;
    let object = ObjectKey::Dyno(app.name.clone(), dyno.name.clone());
    let in_flight = match &stands {
        Stands::Live(snapshot) => {
            let live = snapshot.app(&name).and_then(|live| live.dyno(dyno.name.as_str()));
            live.map(|live| live.cell.in_flight())
        }
        Stands::Past(_) => None,
    };
    let view = DynoView { in_flight, ..dyno_view(app, dyno) };
    Ok(tagged(&shared, table, &object, &view))
}

/// The parameters of a dyno's GET: `at`, whether it waits until the dyno is empty, and how long.
fn dyno_params(Query(mut params): Query) -> Result<DynoParams, Refusal> {
    let mut take = |name: &str| {
        let at = params.iter().position(|(param, _)| param == name)?;
        Some(params.remove(at).1)
    };
    let (wait, time) = (take("wait"), take("timeout"));
    if let Some((param, _)) = params.iter().find(|(param, _)| param != "at") {
        return Err(unknown_param(param, "at, wait, timeout"));
    }
    match wait.as_deref() {
        Some("empty") if params.is_empty() => Ok((params, true, time)),
        Some("empty") => Err(bad_param("at", "what was is not waited for".into())),
        Some(_) => Err(bad_param("wait", "wait=empty: until nothing is in flight".into())),
        None if time.is_some() => Err(bad_param("timeout", "it goes with wait=empty".into())),
        None => Ok((params, false, None)),
    }
}

type DynoParams = (Vec<(String, String)>, bool, Option<String>);

/// `GET /v1/revision`.
pub(super) async fn revision(State(shared): State<Arc<Shared>>, params: Params) -> Answer {
    no_params(params)?;
    let snapshot = shared.state.reader.load_full();
    let revision = snapshot.table().revision().0;
    let Counts { apps, routes, dynos, certificates: certs } = snapshot.table().counts();
    let digest = snapshot.table().digest().to_string();
    Ok(answer(revision, &RevisionView { revision, digest, apps, routes, dynos, certs }))
}

/// The table that a read looks into.
pub(super) enum Stands {
    Live(Arc<Snapshot>),
    /// One app alone, as it was.
    Past(Box<Table>),
}

impl Stands {
    pub(super) fn table(&self) -> &Table {
        match self {
            Stands::Live(snapshot) => snapshot.table(),
            Stands::Past(table) => table,
        }
    }
}

/// Where an app stands, or stood, and the parameters besides `at`.
pub(super) async fn stands(
    shared: &Arc<Shared>,
    app: &str,
    params: Params,
) -> Result<(Stands, Params), Refusal> {
    let mut params = params?.0;
    let Some(at) = params.iter().position(|(param, _)| param == "at") else {
        return Ok((Stands::Live(shared.state.reader.load_full()), Ok(Query(params))));
    };
    let at = parse_at("at", &params.remove(at).1)?;
    let app = app.to_owned();
    let past = look(shared, move |view| view.app(&app, view.revision_at(at)?)).await?;
    Ok((Stands::Past(past.into()), Ok(Query(params))))
}

/// One object, with the revision at which it last changed.
pub(super) fn tagged(
    shared: &Shared,
    table: &Table,
    object: &ObjectKey,
    view: &impl Serialize,
) -> Response {
    let revision = table.revision().0;
    let mut response = answer(revision, view);
    let tag = conditions::tag(shared, object, revision);
    response.headers_mut().extend(tag.map(|tag| (header::ETAG, tag)));
    response
}

/// Which page of a list is wanted.
pub(super) struct Page {
    pub(super) limit: usize,
    pub(super) cursor: Option<String>,
    filters: Vec<(String, String)>,
}

impl Page {
    pub(super) fn read(params: Params, cursor: &str) -> Result<Page, Refusal> {
        Page::filtered(params, cursor, &[])
    }

    /// Of a list of what matches filters.
    pub(super) fn filtered(
        params: Params,
        cursor: &str,
        filters: &[&str],
    ) -> Result<Page, Refusal> {
        let mut page = Page { limit: DEFAULT_PAGE, cursor: None, filters: Vec::new() };
        for (param, value) in params?.0 {
            if param == cursor {
                page.cursor = Some(value);
            } else if param == "limit" {
                page.limit = page_limit(&value)?;
            } else if filters.contains(&param.as_str()) {
                page.filters.push((param, value));
            } else {
                let known = [&[cursor, "limit"], filters].concat().join(", ");
                return Err(unknown_param(&param, &known));
            }
        }
        Ok(page)
    }

    pub(super) fn filter(&self, name: &str) -> Option<&str> {
        self.filters.iter().find(|(filter, _)| filter == name).map(|(_, value)| value.as_str())
    }
}

impl<S: Sync> FromRequestParts<S> for Query {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Query, Refusal> {
        let mut params = Vec::new();
        let pairs = parts.uri.query().unwrap_or_default().split('&');
        for pair in pairs.filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = unescaped(name).ok_or_else(|| bad_param("query", NOT_UTF8.into()))?;
            let value = unescaped(value).ok_or_else(|| bad_param(&name, NOT_UTF8.into()))?;
            if params.iter().any(|(before, _)| *before == name) {
                return Err(bad_param(&name, "it is given twice".into()));
            }
            // No call knows so many: the next is refused, whatever it is.
            if params.len() == MAX_PARAMS {
                return Err(bad_param(&name, format!("there are more than {MAX_PARAMS}")));
            }
            params.push((name, value));
        }
        Ok(Query(params))
    }
}

/// A part of a query as it was meant, unless that is no UTF-8.
fn unescaped(text: &str) -> Option<String> {
    let text = text.replace('+', " ");
    percent_decode_str(&text).decode_utf8().ok().map(Into::into)
}

/// Reads how long a page may be.
pub(super) fn page_limit(value: &str) -> Result<usize, Refusal> {
    let limit = value.parse().ok().filter(|limit| (1..=MAX_PAGE).contains(limit));
    limit.ok_or_else(|| bad_param("limit", format!("a whole number from 1 to {MAX_PAGE}")))
}

/// A page of at most `limit` of the items, of which there is one more if there is a next page.
pub(super) fn list<T: Serialize>(
    table: &Table,
    limit: usize,
    items: impl Iterator<Item = T>,
    cursor: impl Fn(&T) -> String,
) -> Response {
    let mut items: Vec<T> = items.collect();
    let more = items.len() > limit;
    items.truncate(limit);
    let next = items.last().filter(|_| more).map(cursor);
    let revision = table.revision().0;
    answer(revision, &List { revision, items, next })
}

pub(super) fn find_app<'t>(table: &'t Table, name: &str) -> Result<&'t App, Refusal> {
    let missing = || not_found("app", format!("there is no app {name}"));
    table.app(name).map(|app| &**app).ok_or_else(missing)
}

pub(super) fn parse_host(text: &str) -> Result<HostPattern, Refusal> {
    HostPattern::parse(text).map_err(|error| bad_param("host", error.to_string()))
}

pub(super) fn parse_prefix(text: &str) -> Result<PathPrefix, Refusal> {
    PathPrefix::parse(text).map_err(|error| bad_param("path", error.to_string()))
}

pub(super) fn bad_param(param: &str, reason: String) -> Refusal {
    Refusal::field(StatusCode::BAD_REQUEST, param, reason)
}

/// Refuses every query parameter.
pub(super) fn no_params(params: Params) -> Result<(), Refusal> {
    match params?.0.first() {
        Some((param, _)) => Err(unknown_param(param, "none")),
        None => Ok(()),
    }
}

pub(super) fn unknown_param(param: &str, known: &str) -> Refusal {
    bad_param(param, format!("no such parameter here; known: {known}"))
}

pub(super) fn not_found(field: &str, reason: String) -> Refusal {
    Refusal::field(StatusCode::NOT_FOUND, field, reason)
}

fn app_view(table: &Table, app: &App) -> AppView {
    app_view_of(table, app, app_body(&app.settings))
}

pub(super) fn app_view_of(table: &Table, app: &App, settings: AppBody) -> AppView {
    AppView {
        name: app.name.to_string(),
        settings,
        routes: table.count_routes(app.name.as_str()),
        dynos: app.dynos.len(),
    }
}

pub(super) fn route_view(table: &Table, app: &App, key: &RouteKey) -> RouteView {
    RouteView {
        app: app.name.to_string(),
        host: key.host.to_string(),
        path: key.path.as_str().into(),
        settings: route_body(table.route_settings(key).unwrap_or_default()),
    }
}

pub(super) fn dyno_view(app: &App, dyno: &Dyno) -> DynoView {
    let (app, name) = (app.name.to_string(), dyno.name.to_string());
    DynoView { app, name, dyno: dyno_body(dyno), in_flight: None }
}
