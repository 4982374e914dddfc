//! Lists of what stands in the table: apps, an app's routes, its dynos.
//!
//! Invariants: a list is sorted, and a page of it says where the next begins; a page looks at
//! [`MAX_LOOK`] routes or dynos at most, and so may be short, or empty, with another behind it:
//! only one without a `next` is the last. A page of apps looks at the name of each.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    extract::{Path, State},
    response::Response,
};

use super::{
    problem::{Refusal, answer},
    read::{
        Page, Params, Segments, app_view_of, bad_param, dyno_view, find_app, list, parse_host,
        parse_prefix, route_view, stands,
    },
    router::Shared,
};
use crate::{
    api::{AppView, List},
    control::hub::app_body,
    route::{App, AppSettings, Dyno, DynoState, HostPattern, PathPrefix, RouteKey, Table},
};

/// How many routes or dynos a page looks at.
const MAX_LOOK: usize = 10_000;

type Answer = Result<Response, Refusal>;

/// `GET /v1/apps`.
pub(super) async fn apps(State(shared): State<Arc<Shared>>, params: Params) -> Answer {
    let page = Page::filtered(params, "after", &["prefix", "maintenance"])?;
    let prefix = page.filter("prefix").unwrap_or_default();
    let maintenance = page.filter("maintenance").map(|value| switch("maintenance", value));
    let maintenance = maintenance.transpose()?;
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
        let is_wanted =
            name.starts_with(prefix) && maintenance.is_none_or(|on| app.settings.maintenance == on);
        if !is_wanted || name <= after || full && beyond() {
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

/// `GET /v1/apps/{app}/routes`.
pub(super) async fn routes(
    State(shared): State<Arc<Shared>>,
    path: Segments<String>,
    params: Params,
) -> Answer {
    let Path(name) = path?;
    let (stands, params) = stands(&shared, &name, params).await?;
    let page = Page::filtered(params, "after", &["host"])?;
    let after = page.cursor.as_deref().map(parse_cursor).transpose()?;
    let table = stands.table();
    let app = find_app(table, &name)?;
    let (exact, prefix) = match page.filter("host") {
        None => (None, ""),
        Some(host) => match host.strip_suffix('*') {
            Some(prefix) => (None, prefix),
            None => (Some(parse_host(host)?), ""),
        },
    };
    let mut keys = table.routes_of(&name);
    if let Some(host) = exact {
        keys = of_host(&keys, &host).to_vec();
    }
    let from = keys.partition_point(|key| after.as_ref().is_some_and(|after| key <= after));
    let matches = |key: &RouteKey| {
        prefix.is_empty() || key.host.to_string().starts_with(&prefix.to_ascii_lowercase())
    };
    let (found, last) = page_of(&keys[from..], page.limit, matches);
    let next = last.map(|key| format!("{}{}", key.host, key.path.as_str()));
    let items = found.into_iter().map(|key| route_view(table, app, key)).collect();
    Ok(listed(table, items, next))
}

/// `GET /v1/apps/{app}/dynos`.
pub(super) async fn dynos(
    State(shared): State<Arc<Shared>>,
    path: Segments<String>,
    params: Params,
) -> Answer {
    let Path(name) = path?;
    let (stands, params) = stands(&shared, &name, params).await?;
    let page = Page::filtered(params, "after", &["state", "release"])?;
    let after = page.cursor.as_deref().unwrap_or_default();
    let table = stands.table();
    let app = find_app(table, &name)?;
    let state = page.filter("state").map(parse_state).transpose()?;
    let release = page.filter("release");
    let matches = |dyno: &Arc<Dyno>| {
        state.is_none_or(|state| dyno.state == state)
            && release.is_none_or(|release| *dyno.release == *release)
    };
    let from = app.dynos.partition_point(|dyno| dyno.name.as_str() <= after);
    let (found, last) = page_of(&app.dynos[from..], page.limit, matches);
    let next = last.map(|dyno| dyno.name.to_string());
    let items = found.into_iter().map(|dyno| dyno_view(app, dyno)).collect();
    Ok(listed(table, items, next))
}

/// The route that a page ends with: its host and path, one behind the other.
fn parse_cursor(text: &str) -> Result<RouteKey, Refusal> {
    let (host, path) = text.split_at(text.find('/').unwrap_or(text.len()));
    let path = if path.is_empty() { PathPrefix::ROOT } else { parse_prefix(path)? };
    Ok(RouteKey { host: parse_host(host)?, path })
}

/// An app without its pages: each has up to 64 KiB in each of its forms, and a list may have a
/// thousand apps.
fn listed_app(table: &Table, app: &App) -> AppView {
    let mut settings = app_body(&AppSettings { pages: None, ..app.settings.clone() });
    settings.pages = None;
    app_view_of(table, app, settings)
}

/// The first `limit` that match, among [`MAX_LOOK`]; and the last that was looked at, if there are
/// others behind it.
fn page_of<T>(rest: &[T], limit: usize, matches: impl Fn(&T) -> bool) -> (Vec<&T>, Option<&T>) {
    let mut found = Vec::new();
    let mut last = None;
    for (i, item) in rest.iter().enumerate() {
        if found.len() == limit || i == MAX_LOOK {
            return (found, last);
        }
        if matches(item) {
            found.push(item);
        }
        last = Some(item);
    }
    (found, None)
}

fn listed<T: serde::Serialize>(table: &Table, items: Vec<T>, next: Option<String>) -> Response {
    let revision = table.revision().0;
    answer(revision, &List { revision, items, next })
}

/// Those of one host among routes that are sorted.
fn of_host<'a>(keys: &'a [RouteKey], host: &HostPattern) -> &'a [RouteKey] {
    let from = keys.partition_point(|key| key.host < *host);
    let count = keys[from..].partition_point(|key| key.host == *host);
    &keys[from..from + count]
}

fn switch(param: &str, value: &str) -> Result<bool, Refusal> {
    value.parse().map_err(|_| bad_param(param, "true or false".into()))
}

fn parse_state(value: &str) -> Result<DynoState, Refusal> {
    let wrong = || bad_param("state", "starting, up, draining or crashed".into());
    DynoState::parse(value).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_short_rather_than_long_to_wait_for() {
        let all: Vec<usize> = (0..3 * MAX_LOOK).collect();
        let few = |n: &usize| n.is_multiple_of(MAX_LOOK);
        assert_eq!(page_of(&all, 100, few), (vec![&0], Some(&(MAX_LOOK - 1))));
        assert_eq!(page_of(&all[2 * MAX_LOOK..], 100, few), (vec![&(2 * MAX_LOOK)], None));
        assert_eq!(page_of(&all, 2, |_| true), (vec![&0, &1], Some(&1)));
        assert_eq!(page_of(&all[..2], 2, |_| true), (vec![&0, &1], None));
        assert_eq!(page_of(&all[..0], 2, |_| true), (vec![], None));
    }
}
