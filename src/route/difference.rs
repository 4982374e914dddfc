//! What leads from one table to another, as changes.
//!
//! Invariants: applied in their order to the first, or to a clone of it, every change is taken, and
//! the outcome holds what the second holds; what both hold alike is not touched; it costs one way
//! through both, and holds no more than what one app has.

use super::{
    app::{App, AppName},
    change::Change,
    table::Table,
};

/// Calls `take` with each change that leads from `before` to `wanted`. First goes what is not
/// wanted, so that a route is free when another app gets it.
pub fn changes_between(before: &Table, wanted: &Table, mut take: impl FnMut(Change)) {
    for (_, app) in before.apps().iter() {
        match wanted.app(app.name.as_str()) {
            None => take(Change::DeleteApp(app.name.clone())),
            Some(stays) => goes(before, app, wanted, stays, &mut take),
        }
    }
    for (_, app) in wanted.apps().iter() {
        comes(before, wanted, app, &mut take);
    }
}

/// What an app that stays loses.
fn goes(before: &Table, app: &App, wanted: &Table, stays: &App, take: &mut impl FnMut(Change)) {
    let name = &app.name;
    for key in before.routes_of(name.as_str()) {
        if !owns(wanted, &key, name) {
            take(Change::DeleteRoute(key, name.clone()));
        }
    }
    for dyno in &app.dynos {
        if stays.dyno(dyno.name.as_str()).is_none() {
            take(Change::DeleteDyno(name.clone(), dyno.name.as_str().to_owned()));
        }
    }
}

/// What an app gets.
fn comes(before: &Table, wanted: &Table, app: &App, take: &mut impl FnMut(Change)) {
    let name = &app.name;
    let stood = before.app(name.as_str());
    if stood.is_none_or(|stood| stood.settings != app.settings) {
        take(Change::PutApp(name.clone(), app.settings.clone()));
    }
    for dyno in &app.dynos {
        if stood.and_then(|stood| stood.dyno(dyno.name.as_str())) != Some(dyno) {
            take(Change::PutDyno(name.clone(), (**dyno).clone()));
        }
    }
    for key in wanted.routes_of(name.as_str()) {
        let settings = wanted.route_settings(&key).unwrap_or_default();
        let as_it_was =
            || owns(before, &key, name) && before.route_settings(&key) == Some(settings);
        if stood.is_none() || !as_it_was() {
            take(Change::PutRoute(key, name.clone(), settings));
        }
    }
}

fn owns(table: &Table, key: &super::RouteKey, app: &AppName) -> bool {
    table.route(key).is_some_and(|owner| owner.name == *app)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::route::{
        AppSettings, Dyno, DynoAddr, DynoName, DynoState, HostPattern, PathPrefix, RouteKey,
        RouteSettings,
    };

    fn change() -> impl Strategy<Value = Change> {
        let app = || "[abc]".prop_map(|name| AppName::parse(&name).unwrap());
        let key = (prop_oneof!["[xyz]\\.test", "\\*\\.[xy]\\.test"], prop_oneof!["/", "/[pq]"])
            .prop_map(|(host, path)| RouteKey {
                host: HostPattern::parse(&host).unwrap(),
                path: PathPrefix::parse(&path).unwrap(),
            });
        let dyno = ("web\\.[12]", 1..4u16).prop_map(|(name, port)| Dyno {
            name: DynoName::parse(&name).unwrap(),
            addr: DynoAddr::parse(&format!("10.0.0.1:{port}")).unwrap(),
            release: "v1".into(),
            weight: 100,
            state: DynoState::Up,
            ttl_s: None,
        });
        let settings = any::<bool>()
            .prop_map(|maintenance| AppSettings { maintenance, ..AppSettings::default() });
        prop_oneof![
            4 => (app(), settings).prop_map(|(app, settings)| Change::PutApp(app, settings)),
            1 => app().prop_map(Change::DeleteApp),
            8 => (key, app(), any::<bool>()).prop_map(|(key, app, protected)| {
                Change::PutRoute(key, app, RouteSettings { protected })
            }),
            4 => (app(), dyno).prop_map(|(app, dyno)| Change::PutDyno(app, dyno)),
        ]
    }

    /// A table that some of the changes made; those that it does not take are left out.
    fn table(seed: u64, changes: &[Change]) -> Table {
        let mut table = Table::new(seed);
        for change in changes {
            let _ = table.apply(change);
        }
        table
    }

    proptest! {
        #[test]
        fn the_changes_lead_there_and_nowhere_else(
            one in prop::collection::vec(change(), 0..40),
            other in prop::collection::vec(change(), 0..40),
        ) {
            let (before, wanted) = (table(1, &one), table(2, &other));
            let mut after = before.clone();
            let mut refused = Vec::new();
            let mut idle = 0;
            changes_between(&before, &wanted, |change| match after.apply(&change) {
                Ok(true) => {}
                Ok(false) => idle += 1,
                Err(conflict) => refused.push(conflict),
            });
            prop_assert_eq!(refused, []);
            prop_assert_eq!(idle, 0);
            prop_assert_eq!(after.digest(), wanted.digest());
            prop_assert_eq!(after.counts(), wanted.counts());
            let mut left = 0;
            changes_between(&after, &wanted, |_| left += 1);
            prop_assert_eq!(left, 0);
        }
    }
}
