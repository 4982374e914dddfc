//! The table against a linear scan, and the rules of docs/requests.md one by one.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::{model::Model, *};
use crate::route::{
    CertName, Certificate, DynoAddr, DynoName, DynoState, PrivateKey, certificate::tests::made,
    routes::MAX_PATHS,
};

fn app(name: &str) -> AppName {
    AppName::parse(name).unwrap()
}

fn key(host: &str, path: &str) -> RouteKey {
    RouteKey { host: HostPattern::parse(host).unwrap(), path: PathPrefix::parse(path).unwrap() }
}

fn host(text: &str) -> Host {
    Host::parse(text.as_bytes()).unwrap()
}

fn dyno(name: &str, port: u16) -> Dyno {
    Dyno {
        name: DynoName::parse(name).unwrap(),
        addr: DynoAddr::parse(&format!("127.0.0.1:{port}")).unwrap(),
        release: "v1".into(),
        weight: 100,
        state: DynoState::Up,
        ttl_s: None,
    }
}

/// A table with these routes, each `host`, `path`, `app`; the apps are made as they are named.
fn table(routes: &[(&str, &str, &str)]) -> Table {
    let mut table = Table::new(1);
    for (host, path, owner) in routes {
        table.apply(&Change::PutApp(app(owner), AppSettings::default())).unwrap();
        assert_eq!(
            table.apply(&Change::PutRoute(key(host, path), app(owner), RouteSettings::default())),
            Ok(true)
        );
    }
    table
}

fn found<'a>(table: &'a Table, name: &str, path: &str) -> Option<&'a str> {
    let slot = table.find(&host(name), path.as_bytes())?;
    Some(table.apps().get(slot)?.name.as_str())
}

#[test]
fn the_most_specific_host_with_a_matching_prefix_wins() {
    let table = table(&[
        ("www.a.test", "/shop", "shop"),
        ("www.a.test", "/shop/cart", "cart"),
        ("*.a.test", "/", "all"),
        ("*.a.test", "/help", "help"),
        ("*.b.a.test", "/x", "deep"),
        ("*.test", "/", "top"),
    ]);
    let cases = [
        ("www.a.test", "/shop", Some("shop")),
        ("www.a.test", "/shopping", Some("all")),
        ("www.a.test", "/shop/cart/1", Some("cart")),
        ("www.a.test", "/shop/carts", Some("shop")),
        ("www.a.test", "/x/../shop/%63art", Some("cart")),
        ("www.a.test", "/", Some("all")),
        ("www.a.test", "*", Some("all")),
        ("www.a.test", "/help/1", Some("help")),
        ("c.b.a.test", "/x", Some("deep")),
        ("c.b.a.test", "/y", Some("all")),
        ("b.a.test", "/x", Some("all")),
        ("a.test", "/", Some("top")),
        ("x.y.z.test", "/", Some("top")),
        ("test", "/", None),
        ("aa.testx", "/", None),
        ("10.0.0.1", "/", None),
        ("[::ffff:1.2.3.4]", "/", None),
    ];
    for (name, path, expected) in cases {
        assert_eq!(found(&table, name, path), expected, "{name}{path}");
    }
}

#[test]
fn a_wildcard_does_not_take_its_own_suffix() {
    let table = table(&[("*.a.test", "/", "all")]);
    assert_eq!(found(&table, "a.test", "/"), None);
    assert_eq!(found(&table, "xa.test", "/"), None);
    assert_eq!(found(&table, "x.a.test", "/"), Some("all"));
}

#[test]
fn a_freed_slot_is_used_again_and_its_routes_are_gone() {
    let mut table =
        table(&[("a.test", "/", "one"), ("*.b.test", "/x", "one"), ("c.test", "/", "two")]);
    let slot = table.slot("one").unwrap();
    assert_eq!(table.apply(&Change::DeleteApp(app("one"))), Ok(true));
    assert_eq!(table.apply(&Change::PutApp(app("three"), AppSettings::default())), Ok(true));
    assert_eq!(table.slot("three"), Some(slot));
    assert_eq!(found(&table, "a.test", "/"), None);
    assert_eq!(found(&table, "x.b.test", "/x"), None);
    assert_eq!(table.counts(), Counts { apps: 2, routes: 1, ..Counts::default() });
}

#[test]
fn a_host_takes_so_many_prefixes_and_finds_the_longest() {
    let mut table = table(&[]);
    table.apply(&Change::PutApp(app("many"), AppSettings::default())).unwrap();
    for n in 0..MAX_PATHS {
        let put = Change::PutRoute(
            key("a.test", &format!("/p{}", "/x".repeat(n % 500) + &n.to_string())),
            app("many"),
            RouteSettings::default(),
        );
        assert_eq!(table.apply(&put), Ok(true));
    }
    let one_more = Change::PutRoute(key("a.test", "/more"), app("many"), RouteSettings::default());
    let full = Conflict::HostFull(HostPattern::parse("a.test").unwrap());
    assert_eq!(table.apply(&one_more), Err(full));
    assert_eq!(table.routes_of("many").len(), MAX_PATHS);
    assert_eq!(found(&table, "a.test", "/p0/y"), Some("many"));
    assert_eq!(found(&table, "a.test", &format!("/p{}1", "/x".repeat(400))), None);
    assert_eq!(table.apply(&Change::DeleteApp(app("many"))), Ok(true));
    assert_eq!(table.counts(), Counts::default());
}

#[test]
fn of_apps_side_by_side_those_that_changed_are_visited_and_no_others() {
    let mut before = Table::new(1);
    for n in 0..100 {
        let name = format!("app-{n}");
        before.apply(&Change::PutApp(app(&name), AppSettings::default())).unwrap();
        before.apply(&Change::PutDyno(app(&name), dyno("web.1", 80))).unwrap();
    }
    let mut now = before.clone();
    for (name, port) in [("app-3", 81), ("app-4", 80), ("app-70", 81)] {
        now.apply(&Change::PutDyno(app(name), dyno("web.1", port))).unwrap();
    }
    now.apply(&Change::DeleteApp(app("app-50"))).unwrap();
    now.apply(&Change::PutApp(app("new"), AppSettings::default())).unwrap();
    let mut visited = BTreeSet::new();
    now.apps_changed_since(&before, |_, before, now| {
        let name = |app: Option<&Arc<App>>| app.map(|app| app.name.to_string());
        visited.insert((name(before), name(now)));
    });
    let stays = |name: &str| (Some(name.to_owned()), Some(name.to_owned()));
    // The new one has the slot of the one that went.
    let replaced = (Some("app-50".to_owned()), Some("new".to_owned()));
    assert_eq!(visited, BTreeSet::from([stays("app-3"), stays("app-70"), replaced]));
    now.apps_changed_since(&now.clone(), |_, _, _| panic!("nothing changed"));
}

#[test]
fn certificates_are_the_same_until_one_of_them_changes() {
    let mut before = table(&[("a.test", "/", "one")]);
    let put = |certificate: Certificate| Change::PutCertificate(Arc::new(certificate));
    let mut table = before.clone();
    assert!(table.certificates_same_as(&before) && table.certificates_same_as(&Table::new(9)));
    assert_eq!(table.apply(&put(made("www", &["a.test"], b"1"))), Ok(true));
    assert!(!table.certificates_same_as(&before));
    before = table.clone();
    assert_eq!(table.apply(&put(made("www", &["a.test"], b"1"))), Ok(false));
    assert_eq!(table.apply(&Change::DeleteApp(app("one"))), Ok(true));
    assert!(table.certificates_same_as(&before));
    // A key that comes or goes is a change, and none of the digest.
    let bare = Certificate { key: PrivateKey::default(), ..made("www", &["a.test"], b"1") };
    let digest = table.digest();
    assert_eq!(table.apply(&put(bare)), Ok(true));
    assert!(!table.certificates_same_as(&before) && table.digest() == digest);
    assert!(!table.certificate("www").unwrap().is_usable());
    assert!(before.certificate("www").unwrap().is_usable());
    assert!(!table.emptied().certificates_same_as(&before));
    let mut other = Table::new(7);
    other.apply(&put(made("gone", &["b.test"], b"2"))).unwrap();
    other.take_certificates_of(&before);
    assert!(other.certificates_same_as(&before) && other.counts().certificates == 1);
    assert_eq!(other.digest(), Object::Certificate(before.certificate("www").unwrap()).digest());
}

const APPS: [&str; 5] = ["a", "b", "c", "d", "e"];
const HOSTS: [&str; 6] = ["a.test", "b.a.test", "c.b.a.test", "test", "x.test", "1.b.a.test"];
const PATHS: [&str; 8] = ["/", "/a", "/a/b", "/a-b", "/a/b/c", "/b", "/a//b", "/%2F"];

fn change() -> impl Strategy<Value = Change> {
    let name = || proptest::sample::select(&APPS[..]).prop_map(app);
    let route = || {
        let pattern = (proptest::sample::select(&HOSTS[..]), any::<bool>());
        (pattern, proptest::sample::select(&PATHS[..])).prop_map(|((host, wild), path)| {
            key(&format!("{}{host}", if wild { "*." } else { "" }), path)
        })
    };
    prop_oneof![
        4 => (name(), any::<bool>()).prop_map(|(name, maintenance)| {
            let settings = AppSettings { maintenance, ..Default::default() };
            Change::PutApp(name, settings)
        }),
        1 => name().prop_map(Change::DeleteApp),
        12 => (route(), name(), any::<bool>()).prop_map(|(key, name, protected)| {
            Change::PutRoute(key, name, RouteSettings { protected })
        }),
        4 => (route(), name()).prop_map(|(key, name)| Change::DeleteRoute(key, name)),
        4 => (name(), 1u16..4, 1u16..3)
            .prop_map(|(name, n, port)| Change::PutDyno(name, dyno(&format!("web.{n}"), port))),
        2 => (name(), 1u16..4)
            .prop_map(|(name, n)| Change::DeleteDyno(name, format!("web.{n}"))),
        2 => (0u8..3, any::<u8>()).prop_map(|(n, leaf)| {
            Change::PutCertificate(Arc::new(made(&format!("c{n}"), &["a.test"], &[leaf % 2])))
        }),
        1 => (0u8..3).prop_map(|n| {
            Change::DeleteCertificate(CertName::parse(&format!("c{n}")).unwrap())
        }),
    ]
}

fn requests() -> Vec<(Host, Vec<u8>)> {
    let hosts = HOSTS.iter().copied().chain(["z.c.b.a.test", "other"]);
    let paths =
        ["/", "/a", "/a/b/c/d", "/a/bb", "/a-b/x", "/b/../a/%62", "/a//b", "/%2fx", "*", ""];
    let pairs = hosts.flat_map(|name| paths.map(|path| (host(name), path.as_bytes().to_vec())));
    pairs.collect()
}

/// The same table, of its objects in pieces.
fn made_at_once(table: &Table, seed: u64) -> Table {
    let mut builder = Builder::new(seed);
    let mut piece = Piece::default();
    table.each(|object| {
        piece.push(match object {
            Object::App(name, settings) => Change::PutApp(name.clone(), settings.clone()),
            Object::Dyno(app, dyno) => Change::PutDyno(app.clone(), dyno.clone()),
            Object::Route(app, key, own) => Change::PutRoute(key.clone(), app.clone(), own),
            Object::Certificate(certificate) => Change::PutCertificate(certificate.clone().into()),
        });
        if piece.len() == 3 {
            builder.put(std::mem::take(&mut piece)).unwrap();
        }
        true
    });
    builder.put(piece).unwrap();
    builder.finish().unwrap()
}

#[test]
fn many_hosts_made_at_once_are_found_one_by_one() {
    let mut slow = table(&[]);
    for n in 0..40 {
        let name = format!("app-{n}");
        slow.apply(&Change::PutApp(app(&name), AppSettings::default())).unwrap();
        for host in 0..100 {
            let key = key(&format!("{}h{host}.{name}.test", ["", "*."][host % 2]), "/");
            slow.apply(&Change::PutRoute(key, app(&name), RouteSettings::default())).unwrap();
        }
    }
    let mut fast = made_at_once(&slow, 7);
    assert_eq!((fast.counts(), fast.digest()), (slow.counts(), slow.digest()));
    assert_eq!(found(&fast, "h2.app-7.test", "/"), Some("app-7"));
    assert_eq!(found(&fast, "x.h3.app-8.test", "/"), Some("app-8"));
    assert_eq!(found(&fast, "x.h2.app-8.test", "/"), None);
    for n in 0..40 {
        let name = format!("app-{n}");
        assert_eq!(fast.routes_of(&name), slow.routes_of(&name));
        assert_eq!(fast.apply(&Change::DeleteApp(app(&name))), Ok(true));
    }
    assert_eq!((fast.counts(), fast.digest()), Default::default());
}

#[test]
fn what_has_no_place_in_a_table_made_at_once_is_refused() {
    let put = |route: &str, path: &str, owner: &str| {
        Change::PutRoute(key(route, path), app(owner), RouteSettings::default())
    };
    let made = |changes: Vec<Change>| -> Result<Table, Conflict> {
        let mut piece = Piece::default();
        for name in ["one", "two"] {
            piece.push(Change::PutApp(app(name), AppSettings::default()));
        }
        changes.into_iter().for_each(|change| piece.push(change));
        let mut builder = Builder::new(1);
        builder.put(piece)?;
        builder.finish()
    };
    let twice = made(vec![put("a.test", "/x", "one"), put("a.test", "/x", "two")]).unwrap_err();
    assert!(matches!(twice, Conflict::RouteTaken { .. }), "{twice}");
    let nobody = made(vec![put("a.test", "/", "three")]).unwrap_err();
    assert_eq!(nobody, Conflict::NoSuchApp(app("three")));
    let full = (0..=MAX_PATHS).map(|n| put("a.test", &format!("/{n}"), "one")).collect();
    assert!(matches!(made(full).unwrap_err(), Conflict::HostFull(_)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_table_agrees_with_a_linear_scan_and_clones_keep_theirs(
        seed in any::<u64>(),
        changes in proptest::collection::vec((change(), 0u8..16), 0..160),
    ) {
        let requests = requests();
        let mut table = Table::new(seed);
        let mut model = Model::default();
        let mut kept = Vec::new();
        for (change, keep) in changes {
            if keep == 0 {
                kept.push((table.clone(), model.clone()));
            }
            prop_assert_eq!(table.apply(&change), model.apply(&change), "{:?}", change);
            if keep == 1 {
                // One that was made at once goes on like any other.
                table = made_at_once(&table, seed);
            }
        }
        kept.push((table, model));
        for pair in kept.windows(2) {
            let (before, now) = (&pair[0].0, &pair[1].0);
            for name in APPS {
                let mut keys: BTreeSet<_> = before.routes_of(name).into_iter().collect();
                let mut come = Vec::new();
                now.routes_changed_since(before, name, |key, is_now| match is_now {
                    true => come.push(key),
                    false => drop(keys.remove(&key)),
                });
                keys.extend(come);
                prop_assert_eq!(keys.into_iter().collect::<Vec<_>>(), now.routes_of(name));
            }
        }
        for (table, model) in kept {
            model.check(&table, &requests);
        }
    }

    #[test]
    fn slots_stay_below_the_most_apps_there_ever_were(
        changes in proptest::collection::vec(change(), 0..160),
    ) {
        let mut table = Table::default();
        let mut most = 0;
        for change in changes {
            let _conflict_or_not = table.apply(&change);
            most = most.max(table.counts().apps);
        }
        prop_assert!(table.apps().iter().all(|(slot, _)| (slot.0 as usize) < most));
    }
}
