//! Lists of what stands in the table: apps, an app's routes, its dynos.
//!
//! Invariants: a list is sorted, and a page of it says where the next begins; a page looks at
//! [`MAX_LOOK`] objects at most, and so may be short, or empty, with another behind it: only one
//! without a `next` is the last. What a page costs does not grow with the list.

use std::{
    collections::BTreeSet,
    ops::Bound::{Excluded, Included, Unbounded},
    sync::Arc,
};

use axum::{
    extract::{Path, State},
    response::Response,
};

use super::{
    problem::{Refusal, answer},
    read::{
        Page, Params, Segments, Stands, app_view_of, bad_param, dyno_view, find_app, parse_host,
        parse_prefix, route_view, stands,
    },
    router::Shared,
};
use crate::{
    api::{AppView, List, RouteView},
    control::hub::app_body,
    route::{App, AppName, AppSettings, Dyno, DynoState, PathPrefix, RouteKey, Table},
};

/// How many objects a page looks at.
const MAX_LOOK: usize = 10_000;

type Answer = Result<Response, Refusal>;

/// `GET /v1/apps`.
pub(super) async fn apps(State(shared): State<Arc<Shared>>, params: Params) -> Answer {
    let page = Page::filtered(params, "after", &["prefix", "maintenance"])?;
    let prefix = page.filter("prefix").unwrap_or_default().to_owned();
    let maintenance = page.filter("maintenance").map(|value| switch("maintenance", value));
    let maintenance = maintenance.transpose()?;
    let table = shared.state.reader.load_full().table().clone();
    let live = table.clone();
    let take = move |names: &BTreeSet<AppName>| {
        let after = page.cursor.as_deref().unwrap_or_default();
        let from = if after < &*prefix { Included(&*prefix) } else { Excluded(after) };
        let rest = names.range::<str, _>((from, Unbounded));
        let named = rest.take_while(|name| name.as_str().starts_with(&prefix));
        let apps = named.filter_map(|name| live.app(name.as_str()));
        let matches = |app: &Arc<App>| maintenance.is_none_or(|on| app.settings.maintenance == on);
        let (found, last) = page_of(apps, page.limit, matches);
        let items: Vec<AppView> = found.into_iter().map(|app| listed_app(&live, app)).collect();
        (items, last.map(|app| app.name.to_string()))
    };
    let (items, next) = shared.apps.with("", table.clone(), take).await?;
    Ok(listed(&table, items, next))
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
    let table = stands.table().clone();
    let app = find_app(&table, &name)?.clone();
    let (exact, prefix) = match page.filter("host") {
        None => (None, String::new()),
        Some(host) => match host.strip_suffix('*') {
            Some(prefix) => (None, prefix.to_ascii_lowercase()),
            None => (Some(parse_host(host)?), String::new()),
        },
    };
    let of = table.clone();
    let take = move |keys: &BTreeSet<RouteKey>| {
        let first = exact.clone().map(|host| RouteKey { host, path: PathPrefix::ROOT });
        let from = match (after, first) {
            (None, None) => Unbounded,
            (Some(after), Some(first)) if after < first => Included(first),
            (None, Some(first)) => Included(first),
            (Some(after), _) => Excluded(after),
        };
        let rest = keys.range((from, Unbounded));
        let of_host = rest.take_while(|key| exact.as_ref().is_none_or(|host| key.host == *host));
        let matches =
            |key: &RouteKey| prefix.is_empty() || key.host.to_string().starts_with(&prefix);
        let (found, last) = page_of(of_host, page.limit, matches);
        let items: Vec<RouteView> =
            found.into_iter().map(|key| route_view(&of, &app, key)).collect();
        (items, last.map(|key| format!("{}{}", key.host, key.path.as_str())))
    };
    let (items, next) = match stands {
        Stands::Live(_) => shared.routes.with(&name, table.clone(), take).await?,
        // It holds this app alone, and was made for this page.
        Stands::Past(_) => take(&table.routes_of(&name).into_iter().collect()),
    };
    Ok(listed(&table, items, next))
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
fn page_of<'a, T>(
    rest: impl IntoIterator<Item = &'a T>,
    limit: usize,
    matches: impl Fn(&T) -> bool,
) -> (Vec<&'a T>, Option<&'a T>) {
    let mut found = Vec::new();
    let mut last = None;
    for (i, item) in rest.into_iter().enumerate() {
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
