//! A revert: the table, or one app of it, as it was at a revision, as one more transaction.
//!
//! Routes and settings come back. Dynos come back only when that is asked for, and as `starting`:
//! an old address may be another's by now, so that the platform has to say that one is up.
//! What differs was gathered before the hub's thread took the revert up; it adds what changed
//! since, so that the outcome is that of one moment.
//! Invariants: judged against the table as it is, so that a route which another app owns by now is
//! a conflict if one app is reverted; an app that came later goes with all that it has, unless one
//! app is reverted, which must have been there; what is as it was is not touched; a dyno with a
//! time to live never comes back.

use std::collections::BTreeMap;

use super::{
    address,
    judge::{self, Accepted, Rules, Working, check_words},
    ops, permit,
    push::{Mistake, PushError},
    request::Terms,
    settings::Settings,
};
use crate::{
    control::store::{Archive, Difference, Differences, ObjectKey},
    route::{AppName, Change, DynoState, Revision, RouteKey, Table},
};

/// What is to be as it was.
#[derive(Debug, Clone, PartialEq)]
pub struct Revert {
    /// Who reverts.
    pub author: String,
    /// Why, for the history.
    pub reason: Option<String>,
    /// The revision to go back to.
    pub to: Revision,
    /// One app alone.
    pub app: Option<AppName>,
    /// Dynos too.
    pub dynos: bool,
    /// The revision that the differences were gathered at.
    pub seen: Revision,
    /// What differed between `seen` and `to`.
    pub differences: Vec<Difference>,
}

/// What each object is to be; none if it is to go.
type Wanted = BTreeMap<ObjectKey, Option<Change>>;

/// Judges a revert on a table that is as the archive's newest.
pub(super) fn judge(
    terms: &Terms,
    revert: &Revert,
    table: &Table,
    rules: &Rules<'_>,
    archive: &Archive,
) -> Result<Accepted, PushError> {
    let scopes = terms.grant.scopes();
    let mut mistakes: Vec<_> = check_words(&revert.author, revert.reason.as_deref());
    mistakes.extend(permit::objection_to_revert(revert.app.as_ref(), scopes));
    let wanted = wanted(revert, table, archive)?;
    let mut working = table.clone();
    let mut changes = changes(revert, &wanted, table, rules.settings, &mut mistakes);
    changes.retain(|change| {
        mistakes.extend(permit::objection_to_change(change, &working, scopes));
        match working.apply(change) {
            Ok(changed) => changed,
            Err(conflict) => {
                mistakes.push(ops::refused(&conflict));
                false
            }
        }
    });
    let mistakes = mistakes.into_iter().map(|mistake| (None, mistake)).collect();
    let working = Working { table: working, changes, renewed: Vec::new(), mistakes };
    judge::conclude(terms, table, working, rules)
}

/// What differed when the revert was made, and what was touched since.
fn wanted(revert: &Revert, table: &Table, archive: &Archive) -> Result<Wanted, PushError> {
    let mut wanted = Wanted::new();
    for Difference { before, after } in &revert.differences {
        let key = before.as_ref().or(after.as_ref()).and_then(ObjectKey::of);
        wanted.extend(key.map(|key| (key, after.clone())));
    }
    if table.revision() > revert.seen {
        let app = revert.app.as_ref().map(AppName::as_str);
        let since = Differences::between(archive.open()?, revert.seen, table.revision(), app)?;
        let view = archive.open()?;
        for Difference { before, after } in since.collect()? {
            let key = before.as_ref().or(after.as_ref()).and_then(ObjectKey::of);
            if let Some(key) = key.filter(|key| !wanted.contains_key(key)) {
                let was = view.object(&key, revert.to)?;
                wanted.insert(key, was);
            }
        }
    }
    Ok(wanted)
}

/// The changes that lead there, in an order in which the table can take them.
fn changes(
    revert: &Revert,
    wanted: &Wanted,
    table: &Table,
    settings: &Settings,
    mistakes: &mut Vec<Mistake>,
) -> Vec<Change> {
    let (mut routes_go, mut dynos_go, mut apps_go) = (Vec::new(), Vec::new(), Vec::new());
    let (mut apps, mut routes, mut dynos) = (Vec::new(), Vec::new(), Vec::new());
    for (key, was) in wanted {
        match (key, was) {
            (ObjectKey::App(name), None) => {
                let stands = revert.app.is_none() && table.app(name.as_str()).is_some();
                apps_go.extend(stands.then(|| Change::DeleteApp(name.clone())));
            }
            // What is left alone.
            (ObjectKey::Certificate(_), _) => {}
            (ObjectKey::App(_), Some(was)) => apps.push(was.clone()),
            (ObjectKey::Route(key), was) => {
                let was =
                    was.as_ref().filter(|was| owner(was).is_some_and(|a| is_meant(revert, a)));
                routes_go.extend(release(revert, key, was.and_then(owner), table));
                routes.extend(was.cloned());
            }
            (ObjectKey::Dyno(..), _) if !revert.dynos => {}
            (ObjectKey::Dyno(app, name), None) => {
                let stands =
                    table.app(app.as_str()).is_some_and(|a| a.dyno(name.as_str()).is_some());
                let gone = || Change::DeleteDyno(app.clone(), name.as_str().to_owned());
                dynos_go.extend(stands.then(gone));
            }
            (ObjectKey::Dyno(..), Some(was)) => match restarted(was, table, settings) {
                Ok(change) => dynos.extend(change),
                Err(mistake) => mistakes.push(mistake),
            },
        }
    }
    [routes_go, dynos_go, apps_go, apps, routes, dynos].concat()
}

fn is_meant(revert: &Revert, app: &AppName) -> bool {
    revert.app.as_ref().is_none_or(|meant| meant == app)
}

fn owner(route: &Change) -> Option<&AppName> {
    match route {
        Change::PutRoute(_, app, _) => Some(app),
        _ => None,
    }
}

/// What takes a route from the app that has it now, if it is to be another's or nobody's.
fn release(
    revert: &Revert,
    key: &RouteKey,
    was: Option<&AppName>,
    table: &Table,
) -> Option<Change> {
    let now = &table.route(key)?.name;
    (was != Some(now) && is_meant(revert, now))
        .then(|| Change::DeleteRoute(key.clone(), now.clone()))
}

/// What puts a dyno that was: none if it runs as it did, whatever its state.
fn restarted(was: &Change, table: &Table, settings: &Settings) -> Result<Option<Change>, Mistake> {
    let Change::PutDyno(app, was) = was else {
        unreachable!("what stood under a dyno's key is a dyno");
    };
    // It may have expired since, and its address may be another's: who runs it pushes it again.
    if was.ttl_s.is_some() {
        return Ok(None);
    }
    let now = table.app(app.as_str()).and_then(|app| app.dyno(was.name.as_str()));
    let mut restarted = was.clone();
    if let Some(now) = now {
        restarted.state = now.state;
        if restarted == **now {
            return Ok(None);
        }
    }
    restarted.state = DynoState::Starting;
    match address::objection(&was.addr, settings) {
        Some(reason) => {
            Err(Mistake::malformed("addr", format!("dyno {} of app {app}: {reason}", was.name)))
        }
        None => Ok(Some(Change::PutDyno(app.clone(), restarted))),
    }
}
