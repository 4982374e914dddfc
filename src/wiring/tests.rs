//! What two parts that cannot see each other must have in common.
//!
//! Invariant: only declarations are compared here; what they do is tested where they stand.

use crate::{
    config::keys::{self, KEYS},
    control::own,
};

#[test]
fn an_apps_own_settings_are_the_routers_with_the_same_bounds() {
    let mut before = 0;
    for setting in own::SETTINGS {
        let name = setting.name;
        let at = KEYS.iter().position(|key| key.name == name);
        let at = at.unwrap_or_else(|| panic!("the router has no {name}"));
        let key = &KEYS[at];
        match (&key.read, &setting.read) {
            (keys::Read::Switch(_), own::Read::Switch(_)) => {}
            (keys::Read::Count(of, _), own::Read::Count(own, _)) => assert_eq!(of, own, "{name}"),
            (keys::Read::Count32(of, _), own::Read::Count32(own, _)) => {
                assert_eq!(of, own, "{name}");
            }
            (keys::Read::Size(of, _), own::Read::Size(own, _)) => assert_eq!(of, own, "{name}"),
            (keys::Read::Duration(of, _), own::Read::Duration(own, _)) => {
                assert_eq!(of, own, "{name}");
            }
            // Both read by the same function of `units`, or of one declaration.
            (keys::Read::Text(_), own::Read::Word(..) | own::Read::Text(..))
            | (keys::Read::List(_), own::Read::Networks(_)) => {}
            _ => panic!("{name} is read in two ways"),
        }
        assert_eq!(key.doc, setting.doc, "{name}");
        assert!(at >= before, "{name} stands elsewhere in the settings file");
        before = at;
    }
}

#[test]
fn of_the_groups_that_apps_have_every_setting_is_theirs_or_the_routers() {
    let is_own = |name: &str| own::SETTINGS.iter().any(|setting| setting.name == name);
    let is_shared = |name: &str| {
        let group = name.split_once('.').map(|(group, _)| format!("{group}."));
        group.is_some_and(|group| own::SETTINGS.iter().any(|own| own.name.starts_with(&group)))
    };
    let names = KEYS.iter().map(|key| key.name);
    let rest: Vec<_> = names.filter(|name| is_shared(name) && !is_own(name)).collect();
    assert_eq!(rest, own::OF_THE_ROUTER);
}
