//! Reads, from the live snapshot alone.
//!
//! Invariants: an answer is of one revision, which it names; a list is sorted, and a page of it is
//! at most [`MAX_PAGE`] long and says where the next begins; an unknown query parameter is refused.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    extract::{
        Path, Query, State,
        rejection::{PathRejection, QueryRejection},
    },
    response::Response,
};
use http::StatusCode;
use serde::Serialize;

use super::{
    problem::{Refusal, answer},
    router::Shared,
};
use crate::{
    api::{AppBody, AppView, DynoView, List, RevisionView, RouteView},
    control::hub::{app_body, dyno_body},
    route::{App, AppSettings, Counts, Dyno, HostPattern, PathPrefix, RouteKey, Table},
};

/// How many items a page has unless the call says otherwise.
const DEFAULT_PAGE: usize = 100;
/// The most items a page has.
const MAX_PAGE: usize = 1000;

pub(super) type Params = Result<Query<Vec<(String, String)>>, QueryRejection>;
type Segments<T> = Result<Path<T>, PathRejection>;
type Answer = Result<Response, Refusal>;

/// `GET /v1/apps`.
pub(super) async fn apps(State(shared): State<Arc<Shared>>, params: Params) -> Answer {
    let page = Page::read(params, "after")?;
    let snapshot = shared.state.reader.load_full();
    let table = snapshot.table();
    let after = page.cursor.as_deref().unwrap_or_default();
    // The table has no order of names: one walk that keeps the first `limit` behind `after`, and
    // one more, to know whether there is a next page.
    let mut first: BTreeMap<&str, &App> = BTreeMap::new();
    for (_, app) in table.apps().iter() {
        let name = app.name.as_str();
        let full = first.len() > page.limit;
        let beyond = || first.last_key_value().is_some_and(|(last, _)| name > *last);
        if name <= after || full && beyond() {
            continue;
        }
        first.insert(name, app);
        if full {
            first.pop_last();
        }
    }
    let views = first.into_values().map(|app| listed_app(table, app));
    Ok(list(table, page.limit, views, |app| app.name.clone()))
}

/// `GET /v1/apps/{app}`.
pub(super) async fn app(
    State(shared): State<Arc<Shared>>,
    path: Segments<String>,
    params: Params,
) -> Answer {
    let Path(name) = path?;
    no_params(params)?;
    let snapshot = shared.state.reader.load_full();
    let table = snapshot.table();
    Ok(answer(table.revision().0, &app_view(table, find_app(table, &name)?)))
}

/// `GET /v1/apps/{app}/routes`.
pub(super) async fn routes(
    State(shared): State<Arc<Shared>>,
    path: Segments<String>,
    params: Params,
) -> Answer {
    let Path(name) = path?;
    let page = Page::read(params, "after")?;
    let after = page.cursor.as_deref().map(parse_cursor).transpose()?;
    let snapshot = shared.state.reader.load_full();
    let table = snapshot.table();
    let app = find_app(table, &name)?;
    let routes = table.routes_of(&name).into_iter();
    let rest = routes.filter(|key| after.as_ref().is_none_or(|after| key > after));
    let views = rest.take(page.limit + 1).map(|key| route_view(app, &key));
    Ok(list(table, page.limit, views, |route| format!("{}{}", route.host, route.path)))
}

/// `GET /v1/apps/{app}/routes/{host}?path=`.
pub(super) async fn route(
    State(shared): State<Arc<Shared>>,
    path: Segments<(String, String)>,
    params: Params,
) -> Answer {
    let Path((name, host)) = path?;
    let mut prefix = PathPrefix::ROOT;
    for (param, value) in params?.0 {
        match param.as_str() {
            "path" => prefix = parse_prefix(&value)?,
            other => return Err(unknown_param(other, "path")),
        }
    }
    let key = RouteKey { host: parse_host(&host)?, path: prefix };
    let snapshot = shared.state.reader.load_full();
    let table = snapshot.table();
    let app = find_app(table, &name)?;
    if table.route(&key).is_none_or(|owner| owner.name != app.name) {
        return Err(not_found("host", format!("app {name} has no route {key}")));
    }
    Ok(answer(table.revision().0, &route_view(app, &key)))
}

/// `GET /v1/apps/{app}/dynos`.
pub(super) async fn dynos(
    State(shared): State<Arc<Shared>>,
    path: Segments<String>,
    params: Params,
) -> Answer {
    let Path(name) = path?;
    let page = Page::read(params, "after")?;
    let after = page.cursor.as_deref().unwrap_or_default();
    let snapshot = shared.state.reader.load_full();
    let table = snapshot.table();
    let app = find_app(table, &name)?;
    let rest = app.dynos.iter().filter(|dyno| dyno.name.as_str() > after);
    let views = rest.take(page.limit + 1).map(|dyno| dyno_view(app, dyno));
    Ok(list(table, page.limit, views, |dyno| dyno.name.clone()))
}

/// `GET /v1/apps/{app}/dynos/{name}`.
pub(super) async fn dyno(
    State(shared): State<Arc<Shared>>,
    path: Segments<(String, String)>,
    params: Params,
) -> Answer {
    let Path((name, dyno)) = path?;
    no_params(params)?;
    let snapshot = shared.state.reader.load_full();
    let table = snapshot.table();
    let app = find_app(table, &name)?;
    let missing = || not_found("dyno", format!("app {name} has no dyno {dyno}"));
    let dyno = app.dyno(&dyno).ok_or_else(missing)?;
    Ok(answer(table.revision().0, &dyno_view(app, dyno)))
}

/// `GET /v1/revision`.
pub(super) async fn revision(State(shared): State<Arc<Shared>>, params: Params) -> Answer {
    no_params(params)?;
    let snapshot = shared.state.reader.load_full();
    let revision = snapshot.table().revision().0;
    let Counts { apps, routes, dynos } = snapshot.table().counts();
    Ok(answer(revision, &RevisionView { revision, apps, routes, dynos }))
}

/// `GET /v1/history`.
pub(super) async fn history(State(shared): State<Arc<Shared>>, params: Params) -> Answer {
    let page = Page::read(params, "before")?;
    let before = page.cursor.map(|text| text.parse()).transpose();
    let bad = |_| bad_param("before", "a revision is a whole number".into());
    let items = shared.state.hub.history(before.map_err(bad)?, page.limit).await?;
    // Revisions are counted from 1, and a page that is not full is the last.
    let more = items.last().filter(|last| items.len() >= page.limit && last.revision > 1);
    let next = more.map(|last| last.revision.to_string());
    let revision = shared.state.reader.load().table().revision().0;
    Ok(answer(revision, &List { revision, items, next }))
}

struct Page {
    limit: usize,
    cursor: Option<String>,
}

impl Page {
    fn read(params: Params, cursor_name: &str) -> Result<Page, Refusal> {
        let mut page = Page { limit: DEFAULT_PAGE, cursor: None };
        for (param, value) in params?.0 {
            if param == cursor_name {
                page.cursor = Some(value);
            } else if param == "limit" {
                let limit = value.parse().ok().filter(|limit| (1..=MAX_PAGE).contains(limit));
                let bad = || bad_param("limit", format!("a whole number from 1 to {MAX_PAGE}"));
                page.limit = limit.ok_or_else(bad)?;
            } else {
                return Err(unknown_param(&param, &format!("limit, {cursor_name}")));
            }
        }
        Ok(page)
    }
}

/// A page of at most `limit` of the items, of which there is one more if there is a next page.
fn list<T: Serialize>(
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

fn find_app<'t>(table: &'t Table, name: &str) -> Result<&'t App, Refusal> {
    let missing = || not_found("app", format!("there is no app {name}"));
    table.app(name).map(|app| &**app).ok_or_else(missing)
}

fn parse_host(text: &str) -> Result<HostPattern, Refusal> {
    HostPattern::parse(text).map_err(|error| bad_param("host", error.to_string()))
}

fn parse_prefix(text: &str) -> Result<PathPrefix, Refusal> {
    PathPrefix::parse(text).map_err(|error| bad_param("path", error.to_string()))
}

/// The route that a page ends with: its host and path, one behind the other.
fn parse_cursor(text: &str) -> Result<RouteKey, Refusal> {
    let (host, path) = text.split_at(text.find('/').unwrap_or(text.len()));
    let path = if path.is_empty() { PathPrefix::ROOT } else { parse_prefix(path)? };
    Ok(RouteKey { host: parse_host(host)?, path })
}

fn bad_param(param: &str, reason: String) -> Refusal {
    Refusal::field(StatusCode::BAD_REQUEST, param, reason)
}

/// Refuses every query parameter.
pub(super) fn no_params(params: Params) -> Result<(), Refusal> {
    match params?.0.first() {
        Some((param, _)) => Err(unknown_param(param, "none")),
        None => Ok(()),
    }
}

fn unknown_param(param: &str, known: &str) -> Refusal {
    bad_param(param, format!("no such parameter here; known: {known}"))
}

fn not_found(field: &str, reason: String) -> Refusal {
    Refusal::field(StatusCode::NOT_FOUND, field, reason)
}

/// An app without its pages: each has up to 64 KiB in each of its forms, and a list may have a
/// thousand apps.
fn listed_app(table: &Table, app: &App) -> AppView {
    let mut settings = app_body(&AppSettings { pages: None, ..app.settings.clone() });
    settings.pages = None;
    app_view_of(table, app, settings)
}

fn app_view(table: &Table, app: &App) -> AppView {
    app_view_of(table, app, app_body(&app.settings))
}

fn app_view_of(table: &Table, app: &App, settings: AppBody) -> AppView {
    AppView {
        name: app.name.to_string(),
        settings,
        routes: table.routes_of(app.name.as_str()).len(),
        dynos: app.dynos.len(),
    }
}

fn route_view(app: &App, key: &RouteKey) -> RouteView {
    RouteView {
        app: app.name.to_string(),
        host: key.host.to_string(),
        path: key.path.as_str().into(),
    }
}

fn dyno_view(app: &App, dyno: &Dyno) -> DynoView {
    DynoView { app: app.name.to_string(), name: dyno.name.to_string(), dyno: dyno_body(dyno) }
}
