//! Clients that are told apart, and what each of them is left.
//!
//! Invariant: the clock is the test's.

use super::*;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn networks(texts: &[&str]) -> Arc<[Network]> {
    texts.iter().map(|text| (ip(text), if text.contains(':') { 64 } else { 24 })).collect()
}

fn clients() -> Arc<Clients> {
    Arc::new(Clients::new(1000, 1000))
}

const NOW: u64 = 77_000;

#[test]
fn an_app_has_what_is_its_own_and_the_routers_beside() {
    let router = ClientLimits {
        rate: Each { app: 1, address: 2, header: 3 },
        concurrency: Each { app: 4, address: 5, header: 6 },
        deny: networks(&["10.0.0.0"]),
        header: "x-key".into(),
        ..ClientLimits::default()
    };
    assert_eq!(router.with(&OwnClientLimits::default()), router);
    let own = OwnClientLimits {
        rate_per_address: Some(0),
        concurrency: Some(9),
        deny: Some(Arc::default()),
        rate_window: Some(Duration::from_secs(60)),
        ..OwnClientLimits::default()
    };
    let both = router.with(&own);
    assert_eq!(both.rate, Each { app: 1, address: 0, header: 3 });
    assert_eq!(both.concurrency, Each { app: 9, address: 5, header: 6 });
    assert_eq!((both.window, &*both.header), (Duration::from_secs(60), "x-key"));
    assert!(both.deny.is_empty() && !both.is_none());
    assert!(ClientLimits::default().is_none());
    assert!(!ClientLimits { deny: router.deny, ..ClientLimits::default() }.is_none());
}

#[test]
fn networks_let_in_and_keep_out() {
    let limits = |allow: &[&str], deny: &[&str]| ClientLimits {
        allow: networks(allow),
        deny: networks(deny),
        ..ClientLimits::default()
    };
    for (allow, deny, client, admitted) in [
        (&[][..], &[][..], "10.0.0.1", true),
        (&["10.0.0.0"], &[], "10.0.0.1", true),
        (&["10.0.0.0"], &[], "::ffff:10.0.0.1", true),
        (&["10.0.0.0"], &[], "10.0.1.1", false),
        (&["10.0.0.0"], &[], "::1", false),
        (&[], &["2001:db8::"], "2001:db8::9", false),
        (&[], &["2001:db8::"], "2001:db8:0:1::9", true),
        (&["10.0.0.0"], &["10.0.0.0"], "10.0.0.1", false),
    ] {
        assert_eq!(limits(allow, deny).admits(ip(client)), admitted, "{allow:?} {deny:?} {client}");
    }
}

#[test]
fn clients_are_told_apart_by_app_address_and_header() {
    let clients = clients();
    let key = |whom: usize, asker: Asker| asker.0[whom];
    let of = |app, address, value: Option<&str>| {
        clients.asker(app, ip(address), value.map(str::as_bytes))
    };
    let one = of("a", "192.0.2.1", Some("x"));
    for whom in 0..3 {
        assert_eq!(key(whom, one), key(whom, of("a", "::ffff:192.0.2.1", Some("x"))));
        assert_ne!(key(whom, one), key(whom, of("b", "192.0.2.1", Some("x"))));
    }
    assert_ne!(key(0, one), key(0, of("a", "192.0.2.2", Some("x"))));
    assert_ne!(key(1, one), key(1, of("a", "192.0.2.1", Some("y"))));
    assert_ne!(key(1, of("a", "192.0.2.1", Some(""))), key(1, of("a", "192.0.2.1", None)));
    assert_eq!(key(0, of("a", "2001:db8::1", None)), key(0, of("a", "2001:db8::2:3:4:5", None)));
    assert_ne!(key(0, of("a", "2001:db8::1", None)), key(0, of("a", "2001:db8:0:1::1", None)));
    assert_ne!(key(0, of("a", "::c000:201", None)), key(0, of("a", "192.0.2.1", None)));
}

#[test]
fn who_is_refused_for_what_he_alone_did_uses_nothing_of_the_others() {
    let clients = clients();
    let limits =
        ClientLimits { rate: Each { app: 10, address: 2, header: 0 }, ..ClientLimits::default() };
    let asker = |address| clients.asker("a", ip(address), None);
    let admit = |address| clients.admit(asker(address), &limits, NOW).map(drop);
    let left = |address| -> Vec<u32> {
        clients.left(asker(address), &limits, NOW).iter().map(|left| left.left).collect()
    };
    assert_eq!((admit("192.0.2.1"), admit("192.0.2.1")), (Ok(()), Ok(())));
    for _ in 0..20 {
        assert_eq!(admit("192.0.2.1"), Err(Refused::Rate(Duration::from_millis(500))));
    }
    assert_eq!(left("192.0.2.1"), [0, 8]);
    assert_eq!(admit("192.0.2.2"), Ok(()));
}

#[test]
fn exchanges_count_until_they_end_and_a_refused_one_never() {
    let clients = clients();
    let limits = ClientLimits {
        concurrency: Each { app: 3, address: 2, header: 1 },
        header: "x-key".into(),
        ..ClientLimits::default()
    };
    let admit = |address, value: &str| {
        clients.admit(clients.asker("a", ip(address), Some(value.as_bytes())), &limits, NOW)
    };
    let first = admit("192.0.2.1", "x").unwrap();
    assert_eq!(admit("192.0.2.2", "x").unwrap_err(), Refused::Concurrency, "of the header");
    let second = admit("192.0.2.1", "y").unwrap();
    assert_eq!(admit("192.0.2.1", "z").unwrap_err(), Refused::Concurrency, "of the address");
    let third = admit("192.0.2.2", "z").unwrap();
    assert_eq!(admit("192.0.2.3", "w").unwrap_err(), Refused::Concurrency, "of the app");
    let left = clients.left(clients.asker("a", ip("192.0.2.2"), Some(b"w")), &limits, NOW);
    let left: Vec<_> = left.iter().map(|left| (left.setting, left.left)).collect();
    assert_eq!(
        left,
        [
            ("limits.concurrency_per_address", 1),
            ("limits.concurrency_per_header", 1),
            ("limits.concurrency", 0),
        ]
    );
    drop(first);
    assert!(admit("192.0.2.3", "x").is_ok());
    drop((second, third));
    assert!(admit("192.0.2.1", "x").is_ok());
}

#[test]
fn without_a_header_nothing_is_counted_by_its_value() {
    let limits =
        ClientLimits { rate: Each { header: 1, ..Each::default() }, ..ClientLimits::default() };
    let clients = clients();
    let asker = clients.asker("a", ip("192.0.2.1"), None);
    assert!((0..5).all(|_| clients.admit(asker, &limits, NOW).is_ok()));
    assert!(clients.left(asker, &limits, NOW).is_empty());
}

#[test]
fn connections_count_by_address() {
    let clients = clients();
    let first = clients.connect(ip("192.0.2.1"), 1);
    assert!(first.is_some() && clients.connect(ip("::ffff:192.0.2.1"), 1).is_none());
    assert!(clients.connect(ip("192.0.2.2"), 1).is_some());
    drop(first);
    assert!(clients.connect(ip("192.0.2.1"), 1).is_some());
    let _v6 = clients.connect(ip("2001:db8::1"), 1).unwrap();
    assert!(clients.connect(ip("2001:db8::ffff:0:1"), 1).is_none());
}
