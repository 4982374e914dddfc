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
    let key = |whom: usize, asker: Asker| asker.keys[whom];
    let cell = Arc::default();
    let of = |app, address, value: Option<&str>| {
        clients.asker(app, &cell, ip(address), value.map(str::as_bytes))
    };
    let one = of("a", "192.0.2.1", Some("x"));
    for whom in 0..2 {
        assert_eq!(key(whom, one.clone()), key(whom, of("a", "::ffff:192.0.2.1", Some("x"))));
        assert_ne!(key(whom, one.clone()), key(whom, of("b", "192.0.2.1", Some("x"))));
    }
    assert_ne!(key(0, one.clone()), key(0, of("a", "192.0.2.2", Some("x"))));
    assert_ne!(key(1, one.clone()), key(1, of("a", "192.0.2.1", Some("y"))));
    assert_ne!(key(1, of("a", "192.0.2.1", Some(""))), key(1, of("a", "192.0.2.1", None)));
    assert_eq!(key(0, of("a", "2001:db8::1", None)), key(0, of("a", "2001:db8::2:3:4:5", None)));
    assert_ne!(key(0, of("a", "2001:db8::1", None)), key(0, of("a", "2001:db8:0:1::1", None)));
    assert_ne!(key(0, of("a", "::c000:201", None)), key(0, of("a", "192.0.2.1", None)));
}

#[test]
fn who_is_refused_uses_nothing_and_is_told_the_longest_wait() {
    let (clients, cell) = (clients(), Arc::default());
    let limits = ClientLimits {
        rate: Each { app: 10, address: 2, header: 4 },
        concurrency: Each { app: 0, address: 3, header: 0 },
        header: "x-key".into(),
        ..ClientLimits::default()
    };
    let asker =
        |address: &str, value: &str| clients.asker("a", &cell, ip(address), Some(value.as_bytes()));
    let admit = |address: &str, value: &str| clients.admit(&asker(address, value), &limits, NOW);
    let left = |address, value| -> Vec<u32> {
        let left = clients.left(&asker(address, value), &limits, NOW);
        left.iter().map(|left| left.left).collect()
    };
    let rate = |ms| Refused { fault: Fault::RateLimited, wait: Duration::from_millis(ms) };
    let after = |admitted: Result<Admitted, Refused>| admitted.map(drop);
    // Its address has none left.
    assert_eq!((after(admit("192.0.2.1", "x")), after(admit("192.0.2.1", "x"))), (Ok(()), Ok(())));
    assert!((0..20).all(|_| after(admit("192.0.2.1", "x")) == Err(rate(500))));
    assert_eq!(left("192.0.2.1", "x"), [3, 0, 2, 8]);
    // The header has none left, which is seen last of the two: the address keeps what it has.
    assert_eq!((after(admit("192.0.2.2", "x")), after(admit("192.0.2.3", "x"))), (Ok(()), Ok(())));
    assert!((0..20).all(|_| after(admit("192.0.2.4", "x")) == Err(rate(250))));
    assert_eq!(left("192.0.2.4", "x"), [3, 2, 0, 6]);
    assert_eq!(after(admit("192.0.2.1", "x")), Err(rate(500)), "the longer of both");
    // The app has none left.
    for other in ["5", "6", "7", "8", "9", "10"] {
        assert_eq!(after(admit(&format!("192.0.2.{other}"), other)), Ok(()));
    }
    assert!((0..20).all(|_| after(admit("192.0.2.4", "y")) == Err(rate(100))));
    assert_eq!(left("192.0.2.4", "y"), [3, 2, 4, 0]);
}

#[test]
fn of_too_many_at_a_time_and_in_a_window_the_longer_wait_is_told() {
    let (clients, cell) = (clients(), Arc::default());
    let asker = clients.asker("a", &cell, ip("192.0.2.1"), None);
    for (window_s, wait_s) in [(1, 1), (60, 60)] {
        let limits = ClientLimits {
            rate: Each { app: 1, ..Each::default() },
            concurrency: Each { app: 1, ..Each::default() },
            window: Duration::from_secs(window_s),
            ..ClientLimits::default()
        };
        let now = NOW + window_s * 100_000;
        let _held = clients.admit(&asker, &limits, now).unwrap();
        let wait = Duration::from_secs(wait_s);
        let refused = clients.admit(&asker, &limits, now).unwrap_err();
        assert_eq!(refused, Refused { fault: Fault::TooManyConcurrent, wait });
    }
}

#[test]
fn however_many_clients_there_are_an_app_as_a_whole_is_counted() {
    let (clients, cell) = (Arc::new(Clients::new(1, 1)), Arc::default());
    let limits = ClientLimits {
        rate: Each { app: 500, address: 1, header: 0 },
        concurrency: Each { app: 400, address: 1, header: 0 },
        window: Duration::from_secs(3600),
        ..ClientLimits::default()
    };
    let admit = |n: u32| {
        let asker = clients.asker("a", &cell, IpAddr::V4(n.into()), None);
        clients.admit(&asker, &limits, NOW)
    };
    let held: Vec<_> = (0..400).map(|n| admit(n).unwrap()).collect();
    assert_eq!(admit(9999).unwrap_err().fault, Fault::TooManyConcurrent);
    drop(held);
    assert!((400..500).all(|n| admit(n).is_ok()));
    assert_eq!(admit(9999).unwrap_err().fault, Fault::RateLimited);
    let [(_, rates), (_, exchanges), (_, connections)] = clients.take_uncounted();
    assert!(rates >= 400 && exchanges >= 300 && connections == 0, "{rates} {exchanges}");
    assert_eq!(clients.take_uncounted().map(|(_, count)| count), [0; 3]);
}

#[test]
fn exchanges_count_until_they_end_and_a_refused_one_never() {
    let (clients, cell) = (clients(), Arc::default());
    let limits = ClientLimits {
        concurrency: Each { app: 3, address: 2, header: 1 },
        header: "x-key".into(),
        ..ClientLimits::default()
    };
    let admit = |address, value: &str| {
        clients.admit(&clients.asker("a", &cell, ip(address), Some(value.as_bytes())), &limits, NOW)
    };
    let first = admit("192.0.2.1", "x").unwrap();
    assert_eq!(
        admit("192.0.2.2", "x").unwrap_err().fault,
        Fault::TooManyConcurrent,
        "of the header"
    );
    let second = admit("192.0.2.1", "y").unwrap();
    assert_eq!(
        admit("192.0.2.1", "z").unwrap_err().fault,
        Fault::TooManyConcurrent,
        "of the address"
    );
    let third = admit("192.0.2.2", "z").unwrap();
    assert_eq!(admit("192.0.2.3", "w").unwrap_err().fault, Fault::TooManyConcurrent, "of the app");
    let left = clients.left(&clients.asker("a", &cell, ip("192.0.2.2"), Some(b"w")), &limits, NOW);
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
    let asker = clients.asker("a", &Arc::default(), ip("192.0.2.1"), None);
    assert!((0..5).all(|_| clients.admit(&asker, &limits, NOW).is_ok()));
    assert!(clients.left(&asker, &limits, NOW).is_empty());
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
