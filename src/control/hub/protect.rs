//! Protected apps and routes: what no write does to them unless it names them.
//!
//! Without its name among what is confirmed a protected app is not removed, does not lose its last
//! route or its last dyno, and stays protected; a protected route is not removed, not given to
//! another app, and stays protected. An app is confirmed by its name, a route by its host, with its
//! path behind it if it has one, and a slash if it could be the name of an app.
//! Invariants: pure; judged by how the table was before, at the cost of what changed; every name
//! that is missing is told, to a bound, each once.

use std::collections::BTreeMap;

use super::push::Mistake;
use crate::{
    control::store::ObjectKey,
    route::{App, RouteKey, Table},
};

/// The most names that are told at a time.
const MAX_TOLD: usize = 1000;

/// A mistake for everything protected that edits would harm and nobody confirmed.
pub fn unconfirmed(
    before: &Table,
    after: &Table,
    edited: &[ObjectKey],
    confirmed: &[String],
) -> Vec<Mistake> {
    let mut harmed = BTreeMap::new();
    for key in edited {
        let harm = match key {
            ObjectKey::App(name) => {
                let app = before.app(name.as_str()).filter(|app| app.settings.protected);
                app.and_then(|app| harm_to_app(app, after))
            }
            ObjectKey::Certificate(_) => None,
            ObjectKey::Dyno(app, _) => {
                let app = before.app(app.as_str()).filter(|app| app.settings.protected);
                app.and_then(|app| harm_by_dyno(app, after))
            }
            ObjectKey::Route(key) => {
                let harm = harm_by_route(key, before, after);
                harmed.extend(harm_to_route(key, before, after));
                harm
            }
        };
        if let Some((name, harm)) = harm {
            harmed.entry(name).or_insert(harm);
        }
    }
    let told = harmed.into_iter().filter(|(name, _)| !confirmed.contains(name));
    told.take(MAX_TOLD).map(|(name, harm)| mistake(&name, &harm)).collect()
}

fn mistake(name: &str, harm: &str) -> Mistake {
    let reason = format!("{harm}: if that is meant, send it with confirm={name}");
    Mistake::conflict("confirm", reason)
}

type Harm = (String, String);

fn harm_to_app(app: &App, after: &Table) -> Option<Harm> {
    let name = &app.name;
    let harm = match after.app(name.as_str()) {
        None => format!("app {name} is protected and would be removed"),
        Some(app) if !app.settings.protected => format!("app {name} would lose its protection"),
        Some(_) => return None,
    };
    Some((name.to_string(), harm))
}

fn harm_by_dyno(app: &App, after: &Table) -> Option<Harm> {
    let left = after.app(app.name.as_str())?;
    let name = &app.name;
    let harm = || format!("app {name} is protected and would lose its last dyno");
    (!app.dynos.is_empty() && left.dynos.is_empty()).then(|| (name.to_string(), harm()))
}

/// What the app of a route suffers.
fn harm_by_route(key: &RouteKey, before: &Table, after: &Table) -> Option<Harm> {
    let app = before.route(key).filter(|app| app.settings.protected)?;
    let name = &app.name;
    after.app(name.as_str())?;
    let harm = || format!("app {name} is protected and would lose its last route");
    (after.count_routes(name.as_str()) == 0).then(|| (name.to_string(), harm()))
}

fn harm_to_route(key: &RouteKey, before: &Table, after: &Table) -> Option<Harm> {
    before.route_settings(key).filter(|settings| settings.protected)?;
    let owner = &before.route(key)?.name;
    let harm = match (after.route(key), after.route_settings(key)) {
        (Some(app), _) if app.name != *owner => {
            format!("route {key} is protected and would go from app {owner} to app {}", app.name)
        }
        (Some(_), Some(settings)) if settings.protected => return None,
        (Some(_), _) => format!("route {key} would lose its protection"),
        (None, _) => format!("route {key} is protected and would be removed"),
    };
    Some((named(key), harm))
}

/// A route's name, which is no app's: that holds neither a dot nor a slash.
fn named(key: &RouteKey) -> String {
    let name = key.to_string();
    if name.contains(['.', '/']) { name } else { name + "/" }
}
