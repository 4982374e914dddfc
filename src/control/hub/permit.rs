//! What a caller may not do, and how much there may be of everything.
//!
//! * An op on an app is for who may write that app.
//! * A path under a host, or a name under a wildcard, that another app owns is for who may write
//!   every app: else one app could take another's visitors. An app that the caller may write too is
//!   not another.
//! * A certificate covers whatever hosts it names, whoever owns them: it is for who may write every
//!   app.
//! * The numbers of apps, and of routes and dynos of each, have bounds; what only changes or goes
//!   is never held up by one.
//!
//! Invariant: pure, the table that is judged on is an argument.

use super::{path, push::Mistake, settings::Settings};
use crate::{
    api::Op,
    control::scope::Scopes,
    route::{AppName, Change, Counts, Table},
};

/// Says why a caller may not do an op, whatever is in the table.
pub fn objection_to_op(op: &Op, scopes: &Scopes) -> Option<Mistake> {
    if scopes.may_push_all() {
        return None;
    }
    // An op without an app that can be read is malformed, and refused as such.
    let named = path::parse(&op.path).ok()?;
    let Some(app) = &named.app else {
        // It may cover the hosts of every app.
        let reason = "this token may not write certificates: that needs scope push";
        return Some(Mistake::forbidden("scope", reason));
    };
    let reason = || format!("this token may not write app {app}: it needs push:{app}, or push");
    (!scopes.may_push(app.as_str())).then(|| Mistake::forbidden("scope", reason()))
}

/// Says why a caller may not force what a guard refuses.
pub fn objection_to_force(force: bool, scopes: &Scopes) -> Option<Mistake> {
    let reason = "this token may not force a write: that needs scope push";
    (force && !scopes.may_push_all()).then(|| Mistake::forbidden("force", reason))
}

/// Says why a caller may not turn an app, or the whole table, back to what it was.
pub fn objection_to_revert(app: Option<&AppName>, scopes: &Scopes) -> Option<Mistake> {
    let Some(app) = app else {
        let reason = "a revert of the whole table needs scope push: name an app that is yours";
        return (!scopes.may_push_all()).then(|| Mistake::forbidden("scope", reason));
    };
    let reason = || format!("this token may not write app {app}: it needs push:{app}, or push");
    (!scopes.may_push(app.as_str())).then(|| Mistake::forbidden("scope", reason()))
}

/// Says why a caller may not replace the whole table.
pub fn objection_to_table(scopes: &Scopes) -> Option<Mistake> {
    let reason = "the whole table needs scope push";
    (!scopes.may_push_all()).then(|| Mistake::forbidden("scope", reason))
}

/// Says why a caller may not do a change to a table.
pub fn objection_to_change(change: &Change, table: &Table, scopes: &Scopes) -> Option<Mistake> {
    let Change::PutRoute(key, ..) = change else { return None };
    // A route that is there stays as it is, or is refused because it is another's.
    if scopes.may_push_all() || table.route(key).is_some() {
        return None;
    }
    let around = table.owners_around(&key.host);
    let (host, owner) = around.iter().find(|(_, app)| !scopes.may_push(app.name.as_str()))?;
    let owner = &owner.name;
    let reason = if *host == key.host {
        format!("{host} belongs in part to app {owner}: a path under it needs scope push")
    } else {
        format!("{} is under {host} of app {owner}: a name there needs scope push", key.host)
    };
    Some(Mistake::forbidden("scope", reason))
}

/// Says which bound a change went over that made `table` of a table with so much in it.
pub fn beyond_bounds(
    change: &Change,
    before: Counts,
    table: &Table,
    settings: &Settings,
) -> Option<Mistake> {
    let after = table.counts();
    let (field, setting, what, count, most) = match change {
        Change::PutApp(..) if after.apps > before.apps => {
            ("app", "push.max_apps", "the table".into(), after.apps, settings.max_apps)
        }
        Change::PutCertificate(_) if after.certificates > before.certificates => {
            let (count, most) = (after.certificates, settings.max_certs);
            ("cert", "push.max_certs", "the table".into(), count, most)
        }
        Change::PutRoute(_, app, _) if after.routes > before.routes => {
            let count = table.count_routes(app.as_str());
            ("host", "push.app_routes", format!("app {app}"), count, settings.app_routes)
        }
        Change::PutDyno(app, _) if after.dynos > before.dynos => {
            let count = table.app(app.as_str()).map_or(0, |app| app.dynos.len());
            ("dyno", "push.app_dynos", format!("app {app}"), count, settings.app_dynos)
        }
        _ => return None,
    };
    let kind = match field {
        "host" => "routes",
        "dyno" => "dynos",
        "cert" => "certificates",
        _ => "apps",
    };
    let reason = || format!("{what} has {most} {kind}, the most that {setting} allows");
    (count > most).then(|| Mistake::conflict(field, reason()))
}
