//! Reads of what is, from the live snapshot, and of one app as it was, from the archive.
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
use http::{StatusCode, header};
use serde::Serialize;

use super::{
    conditions,
    problem::{Refusal, answer},
    router::Shared,
    stream::look,
    travel::parse_at,
};
use crate::{
    api::{AppBody, AppView, DynoView, List, RevisionView, RouteView},
    control::{
        hub::{app_body, dyno_body},
        store::ObjectKey,
    },
    live::Snapshot,
    route::{App, AppSettings, Counts, Dyno, HostPattern, PathPrefix, RouteKey, Table},
};

/// How many items a page has unless the call says otherwise.
pub(super) const DEFAULT_PAGE: usize = 100;
/// The most items a page has.
const MAX_PAGE: usize = 1000;

pub(super) type Params = Result<Query<Vec<(String, String)>>, QueryRejection>;
pub(super) type Segments<T> = Result<Path<T>, PathRejection>;
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
    let (stands, params) = stands(&shared, &name, params).await?;
    no_params(params)?;
    let table = stands.table();
    let app = find_app(table, &name)?;
    let object = ObjectKey::App(app.name.clone());
    Ok(tagged(&shared, table, &object, &app_view(table, app)))
}

/// `GET /v1/apps/{app}/routes`.
pub(super) async fn routes(
    State(shared): State<Arc<Shared>>,
    path: Segments<String>,
    params: Params,
) -> Answer {
    let Path(name) = path?;
    let (stands, params) = stands(&shared, &name, params).await?;
    let page = Page::read(params, "after")?;
    let after = page.cursor.as_deref().map(parse_cursor).transpose()?;
    let table = stands.table();
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
    let view = route_view(app, &key);
    Ok(tagged(&shared, table, &ObjectKey::Route(key), &view))
}

/// `GET /v1/apps/{app}/dynos`.
pub(super) async fn dynos(
    State(shared): State<Arc<Shared>>,
    path: Segments<String>,
    params: Params,
) -> Answer {
    let Path(name) = path?;
    let (stands, params) = stands(&shared, &name, params).await?;
    let page = Page::read(params, "after")?;
    let after = page.cursor.as_deref().unwrap_or_default();
    let table = stands.table();
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
    let (stands, params) = stands(&shared, &name, params).await?;
    no_params(params)?;
    let table = stands.table();
    let app = find_app(table, &name)?;
    let missing = || not_found("dyno", format!("app {name} has no dyno {dyno}"));
    let dyno = app.dyno(&dyno).ok_or_else(missing)?;
    let object = ObjectKey::Dyno(app.name.clone(), dyno.name.clone());
    Ok(tagged(&shared, table, &object, &dyno_view(app, dyno)))
}

/// `GET /v1/revision`.
pub(super) async fn revision(State(shared): State<Arc<Shared>>, params: Params) -> Answer {
    no_params(params)?;
    let snapshot = shared.state.reader.load_full();
    let revision = snapshot.table().revision().0;
    let Counts { apps, routes, dynos } = snapshot.table().counts();
    let digest = snapshot.table().digest().to_string();
    Ok(answer(revision, &RevisionView { revision, digest, apps, routes, dynos }))
}

/// The table that a read looks into.
enum Stands {
    Live(Arc<Snapshot>),
    /// One app alone, as it was.
    Past(Box<Table>),
}

impl Stands {
    fn table(&self) -> &Table {
        match self {
            Stands::Live(snapshot) => snapshot.table(),
            Stands::Past(table) => table,
        }
    }
}

/// Where an app stands, or stood, and the parameters besides `at`.
async fn stands(
    shared: &Arc<Shared>,
    app: &str,
    params: Params,
) -> Result<(Stands, Params), Refusal> {
    let Query(mut params) = params?;
    let Some(at) = params.iter().position(|(param, _)| param == "at") else {
        return Ok((Stands::Live(shared.state.reader.load_full()), Ok(Query(params))));
    };
    let at = parse_at("at", &params.remove(at).1)?;
    let app = app.to_owned();
    let past = look(shared, move |view| view.app(&app, view.revision_at(at)?)).await?;
    Ok((Stands::Past(past.into()), Ok(Query(params))))
}

/// One object, with the revision at which it last changed.
fn tagged(shared: &Shared, table: &Table, object: &ObjectKey, view: &impl Serialize) -> Response {
    let revision = table.revision().0;
    let mut response = answer(revision, view);
    let tag = conditions::tag(shared, object, revision);
    response.headers_mut().extend(tag.map(|tag| (header::ETAG, tag)));
    response
}

pub(super) struct Page {
    pub(super) limit: usize,
    pub(super) cursor: Option<String>,
}

impl Page {
    pub(super) fn read(params: Params, cursor_name: &str) -> Result<Page, Refusal> {
        let mut page = Page { limit: DEFAULT_PAGE, cursor: None };
        for (param, value) in params?.0 {
            if param == cursor_name {
                page.cursor = Some(value);
            } else if param == "limit" {
                page.limit = page_limit(&value)?;
            } else {
                return Err(unknown_param(&param, &format!("limit, {cursor_name}")));
            }
        }
        Ok(page)
    }
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
        routes: table.count_routes(app.name.as_str()),
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
