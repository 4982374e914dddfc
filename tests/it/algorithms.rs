//! How an app's dynos are chosen, as its owner sets it: seen at the dynos.
//!
//! Invariants: each algorithm is set by a push to an app that is served; what depends on chance has
//! bounds that chance meets in all but one of a million runs.

use serde_json::{Value, json};

use crate::harness::{Dyno, Named, Router, closed_port, until};

const GET: &str = "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";

fn set(router: &Router, settings: Value) {
    router.write("PATCH", "/v1/apps/one", json!({ "settings": settings }));
}

/// A router with one worker, whose next choice has settled the exchange before, and four dynos.
fn four() -> (Router, [Named; 4]) {
    let router = Router::with(&[("HOSTLER_WORKERS", "1")]);
    let dynos = ["web.1", "web.2", "web.3", "web.4"].map(Named::start);
    router.app("one", "a.test", &dynos.each_ref().map(|dyno| dyno.addr.as_str()));
    (router, dynos)
}

/// What each dyno has of so many requests.
fn counts(router: &Router, dynos: &[Named; 4], requests: usize) -> [usize; 4] {
    let before = dynos.each_ref().map(Named::requests);
    let mut client = router.connect();
    for _ in 0..requests {
        assert_eq!(client.get("a.test", "/").status(), 200);
    }
    let after = dynos.each_ref().map(Named::requests);
    std::array::from_fn(|at| after[at] - before[at])
}

/// The app's dynos, in order, are of these releases.
fn release(router: &Router, releases: &[&str]) {
    for (at, release) in (1..).zip(releases) {
        let path = format!("/v1/apps/one/dynos/web.{at}");
        router.write("PATCH", &path, json!({ "release": release }));
    }
}

/// The app on these two dynos, each a release of its own, of which only the first has a share.
fn one_with_a_share(router: &Router, dynos: &[&str; 2]) {
    router.app("one", "a.test", dynos);
    release(router, &["v1", "v2"]);
    set(router, json!({"balance.releases": "v1=100,v2=0"}));
}

/// What the router says of a request of this client.
fn explain(router: &Router) -> Value {
    let question = json!({"host": "a.test", "client": "127.0.0.1"});
    router.call("POST", "/v1/explain", Some(question)).json
}

/// The dyno that answers a request with these headers.
fn dyno_of(router: &Router, path: &str, headers: &str) -> String {
    let mut client = router.connect();
    client.send(format!("GET {path} HTTP/1.1\r\nHost: a.test\r\n{headers}\r\n"));
    let answer = client.take_answer();
    answer.head.get("x-dyno").expect("a dyno").to_owned()
}

#[test]
fn dynos_take_turns() {
    let (router, dynos) = four();
    set(&router, json!({"balance.algorithm": "round_robin"}));
    assert_eq!(counts(&router, &dynos, 40), [10; 4]);
    router.write("PATCH", "/v1/apps/one/dynos/web.2", json!({"weight": 300}));
    let [one, two, three, four] = counts(&router, &dynos, 60);
    for (count, should) in [(one, 10usize), (two, 30), (three, 10), (four, 10)] {
        assert!(count.abs_diff(should) <= 2, "{:?}", [one, two, three, four]);
    }
}

#[test]
fn any_dyno_has_a_share_and_the_heavier_the_more() {
    let (router, dynos) = four();
    set(&router, json!({"balance.algorithm": "random"}));
    router.write("PATCH", "/v1/apps/one/dynos/web.1", json!({"weight": 1000}));
    // Ten of thirteen parts, and one each.
    let counts = counts(&router, &dynos, 300);
    assert!(counts[0] > 180 && counts[1..].iter().all(|count| *count > 2), "{counts:?}");
}

#[test]
fn a_key_finds_its_dyno_again() {
    let (router, _dynos) = four();
    let algorithm = |key: &str, name: &str| {
        set(
            &router,
            json!({"balance.algorithm": "hash", "balance.key": key, "balance.key_name": name}),
        );
    };
    let headers = |n: usize, name: &str| match name {
        "Cookie" => format!("Cookie: a=b; Sid={n}\r\n"),
        _ => format!("{name}: {n}\r\n"),
    };
    for (key, name, header) in [("header", "X-User", "X-User"), ("cookie", "sid", "Cookie")] {
        algorithm(key, name);
        let once: Vec<_> = (0..24).map(|n| dyno_of(&router, "/", &headers(n, header))).collect();
        let twice: Vec<_> = (0..24).map(|n| dyno_of(&router, "/", &headers(n, header))).collect();
        assert_eq!(once, twice, "{key}");
        assert!(once.iter().any(|dyno| *dyno != once[0]), "{once:?}");
    }
    algorithm("path", "");
    let of = |query: &str| -> Vec<_> {
        (0..24).map(|n| dyno_of(&router, &format!("/{n}{query}"), "")).collect()
    };
    assert_eq!(of("?a"), of("?b"));
    algorithm("address", "");
    let dyno = dyno_of(&router, "/", "");
    assert!((0..8).all(|_| dyno_of(&router, "/x", "") == dyno));
    let told = explain(&router);
    assert_eq!(told["outcome"], json!({"verdict": "dyno", "dyno": dyno}), "{told:#}");
}

#[test]
fn a_busy_dyno_gets_no_second_request_where_each_serves_one() {
    let router = Router::with(&[("HOSTLER_WORKERS", "1")]);
    let dynos = [Dyno::new(), Dyno::new()];
    router.app("one", "a.test", &dynos.each_ref().map(|dyno| dyno.addr.as_str()));
    set(&router, json!({"balance.algorithm": "one_at_a_time"}));
    let mut clients = [router.connect(), router.connect(), router.connect()];
    clients[..2].iter_mut().for_each(|client| client.send(GET));
    let mut conns = dynos.each_ref().map(Dyno::accept);
    conns.iter_mut().for_each(|conn| drop(conn.take_request()));
    clients[2].send(GET);
    // Another request that is answered shows that the third was taken and waits.
    assert_eq!(router.get("no.test", "/").status(), 404);
    assert!(!conns[0].has_input() && !conns[1].has_input());
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    conns[1].send(answer);
    assert_eq!(conns[1].take_request().head.line, "GET / HTTP/1.1");
    conns[1].send(answer);
    assert_eq!(clients[2].take_answer().status(), 200);
    conns[0].send(answer);
    clients[..2].iter_mut().for_each(|client| assert_eq!(client.take_answer().status(), 200));
}

#[test]
fn releases_have_their_shares_and_a_session_stays_with_one() {
    let (router, dynos) = four();
    release(&router, &["v1", "v1", "v2", "v3"]);
    set(&router, json!({"balance.releases": "v2=20, v1=80"}));
    let split = counts(&router, &dynos, 300);
    assert!((20..110).contains(&split[2]) && split[3] == 0, "{split:?}");
    set(
        &router,
        json!({"balance.releases": "v1=50,v2=50", "balance.sticky": true,
               "balance.key": "cookie", "balance.key_name": "sid"}),
    );
    let of = |n: usize| dyno_of(&router, "/", &format!("Cookie: sid={n}\r\n")) == "web.3";
    let first: Vec<bool> = (0..20).map(of).collect();
    assert!(first.contains(&true) && first.contains(&false), "{first:?}");
    for _ in 0..3 {
        assert_eq!((0..20).map(of).collect::<Vec<_>>(), first);
    }
    router.set_state("one", "web.3", "draining");
    let fallen = counts(&router, &dynos, 20);
    assert_eq!(fallen[2], 0, "a release without a dyno is served by the others");
}

#[test]
fn a_request_that_is_sent_again_goes_to_no_release_without_a_share() {
    let router = Router::with(&[("HOSTLER_WORKERS", "1")]);
    let dynos = [Dyno::new(), Dyno::new()];
    one_with_a_share(&router, &dynos.each_ref().map(|dyno| dyno.addr.as_str()));
    let mut client = router.connect();
    client.send(GET);
    let mut first = dynos[0].accept();
    first.take_request();
    drop(first);
    // There is no other that may have it: the connection may have been the trouble.
    let mut second = dynos[0].accept();
    second.take_request();
    second.send("HTTP/1.1 204 No Content\r\n\r\n");
    assert_eq!(client.take_answer().status(), 204);
    assert!(dynos[1].is_idle());
}

#[test]
fn a_request_whose_dynos_cannot_be_reached_goes_to_a_release_without_a_share_at_once() {
    // Without a quarantine nothing else says that the dyno cannot be reached.
    let router = Router::with(&[("HOSTLER_WORKERS", "1"), ("HOSTLER_DYNOS_QUARANTINE", "0s")]);
    let (closed, dyno) = (closed_port(), Dyno::new());
    one_with_a_share(&router, &[&closed.addr, &dyno.addr]);
    let mut client = router.connect();
    client.send(GET);
    let mut carried = dyno.accept();
    carried.take_request();
    carried.send("HTTP/1.1 204 No Content\r\n\r\n");
    assert_eq!(client.take_answer().status(), 204);
}

#[test]
fn a_dyno_that_says_it_is_busy_gets_less_and_the_client_does_not_hear_of_it() {
    let router = Router::with(&[("HOSTLER_WORKERS", "1")]);
    let dynos = [Dyno::new(), Dyno::new()];
    router.app("one", "a.test", &dynos.each_ref().map(|dyno| dyno.addr.as_str()));
    let answer = |report: &str| {
        format!(
            "HTTP/1.1 200 OK\r\nEndpoint-Load-Metrics: {report}\r\nX-Own: 1\r\nContent-Length: \
             0\r\n\r\n"
        )
    };
    let reports = ["TEXT cpu_utilization=0.9", r#"JSON {"application_utilization": 0.1}"#];
    let settings = json!({"balance.algorithm": "round_robin", "balance.reported_load": true});
    // By turns each dyno is asked and tells; without the setting it is nobody's business.
    set(&router, json!({"balance.algorithm": "round_robin"}));
    let mut conns: Vec<_> = Vec::new();
    let mut client = router.connect();
    for (dyno, report) in dynos.iter().zip(reports) {
        client.send(GET);
        let mut conn = dyno.accept();
        conn.take_request();
        conn.send(answer(report));
        assert_eq!(client.take_answer().head.get("endpoint-load-metrics"), Some(report));
        conns.push(conn);
    }
    set(&router, settings);
    let weights = |told: &Value| -> Vec<f64> {
        let of = |dyno: &Value| dyno["chance"].as_f64().unwrap();
        told["dynos"].as_array().unwrap().iter().map(of).collect()
    };
    let mut told = [false; 2];
    for turn in 0.. {
        client.send(GET);
        let mut asked = None;
        until("a dyno is asked", || {
            asked = conns.iter().position(|conn| conn.has_input());
            asked.is_some()
        });
        let asked = asked.unwrap();
        conns[asked].take_request();
        conns[asked].send(answer(reports[asked]));
        let head = client.take_answer().head;
        assert_eq!((head.get("endpoint-load-metrics"), head.get("x-own")), (None, Some("1")));
        told[asked] = true;
        if told == [true; 2] {
            break;
        }
        assert!(turn < 100, "one is never asked");
    }
    set(&router, json!({"balance.algorithm": "random", "balance.reported_load": true}));
    let told = explain(&router);
    let chances = weights(&told);
    assert!((chances[0] - 0.1).abs() < 0.01 && (chances[1] - 0.9).abs() < 0.01, "{told:#}");
}

#[test]
fn a_change_of_algorithm_under_load_loses_nothing() {
    let router = Router::with(&[("HOSTLER_WORKERS", "1")]);
    let (slow, quick) = (Dyno::new(), Named::start("quick"));
    router.app("one", "a.test", &[&slow.addr]);
    let mut held: Vec<_> = (0..3)
        .map(|_| {
            let mut client = router.connect();
            client.send(GET);
            let mut conn = slow.accept();
            conn.take_request();
            (client, conn)
        })
        .collect();
    router.write("PUT", "/v1/apps/one/dynos/web.2", json!({"addr": quick.addr}));
    for algorithm in ["round_robin", "random", "hash", "p2c", "one_at_a_time", "least_request"] {
        set(&router, json!({"balance.algorithm": algorithm, "balance.shadow": "random"}));
        let told = explain(&router);
        assert_eq!(told["dynos"][0]["in_flight"], 3, "{algorithm}");
    }
    // What was in flight before all that still counts.
    for _ in 0..20 {
        assert_eq!(router.get("a.test", "/").head.get("x-dyno"), Some("quick"));
    }
    for (client, conn) in &mut held {
        conn.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        assert_eq!(client.take_answer().text(), "ok");
    }
    until("all is settled", || explain(&router)["app"]["in_flight"] == 0);
}

#[test]
fn a_setting_that_cannot_be_is_refused_by_name() {
    let router = Router::start();
    for (name, value) in [
        ("balance.algorithm", json!("fastest")),
        ("balance.key", json!("cookie")),
        ("balance.key_name", json!("a b")),
        ("balance.bound", json!(100_001)),
        ("balance.releases", json!("v1")),
        ("balance.releases", json!("v1=0")),
        ("balance.releases", json!("v1=1,v1=2")),
        ("balance.releases", json!("v1=1001")),
        ("balance.shadow", json!(true)),
    ] {
        let settings = json!({ "settings": { name: value } });
        let reply = router.call("PUT", "/v1/apps/one", Some(settings.clone()));
        let named: Vec<_> = reply.mistakes().into_iter().map(|(_, field)| field).collect();
        assert_eq!((reply.status(), named), (422, vec![format!("settings.{name}")]), "{settings}");
    }
}
