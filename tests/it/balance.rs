//! Which dyno of an app is picked, and which are passed over.
//!
//! Invariant: an address that refuses is held by its test, so that it refuses to the end.

use serde_json::json;

use crate::harness::{Dyno, Named, Router, closed_port, until};

const GET: &str = "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

#[test]
fn requests_spread_over_all_dynos() {
    let router = Router::start();
    let dynos = [Dyno::new(), Dyno::new(), Dyno::new(), Dyno::new()];
    router.app("one", "a.test", &dynos.each_ref().map(|dyno| dyno.addr.as_str()));
    // None is answered, so that what is in flight decides alone.
    let clients: Vec<_> = std::iter::repeat_with(|| router.connect())
        .take(24)
        .map(|mut client| {
            client.send(GET);
            client
        })
        .collect();
    until("each dyno is called", || dynos.iter().all(Dyno::has_caller));
    drop(clients);
}

#[test]
fn an_idle_dyno_is_preferred_to_a_busy_one() {
    // One worker: with its next choice it has settled the exchange before, though the client of
    // that has its answer a moment earlier.
    let router = Router::with(&[("HOSTLER_WORKERS", "1")]);
    let dynos = [Dyno::new(), Dyno::new()];
    router.app("one", "a.test", &[&dynos[0].addr, &dynos[1].addr]);
    // By what is in flight alone, and without a request that looks how the other does.
    let settings = json!({"balance.algorithm": "least_request"});
    router.write("PATCH", "/v1/apps/one", json!({ "settings": settings }));
    for _ in 0..10 {
        let (mut first, mut second) = (router.connect(), router.connect());
        first.send(GET);
        let busy = usize::from(chose_the_second(&dynos));
        second.send(GET);
        let mut idle = dynos[1 - busy].accept();
        idle.take_request();
        idle.send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 4\r\n\r\nidle");
        assert_eq!(second.take_answer().text(), "idle");
        let mut busy = dynos[busy].accept();
        busy.take_request();
        busy.send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 4\r\n\r\nbusy");
        assert_eq!(first.take_answer().text(), "busy");
    }
}

/// Waits until one of two dynos has a connection; is it the second?
fn chose_the_second(dynos: &[Dyno; 2]) -> bool {
    let mut chosen = None;
    until("a dyno is connected", || {
        chosen = dynos.iter().position(Dyno::has_caller);
        chosen.is_some()
    });
    chosen == Some(1)
}

#[test]
fn a_refusing_dyno_is_passed_over_and_the_request_served_by_another() {
    let router = Router::with(&[("HOSTLER_DYNOS_QUARANTINE", "1h")]);
    let (closed, named) = (closed_port(), Named::start("one"));
    router.app("one", "a.test", &[&closed.addr, &named.addr]);
    for _ in 0..40 {
        assert_eq!(router.get("a.test", "/").status(), 200);
    }
    assert_eq!(named.requests(), 40);
    // It was tried once; from then on its quarantine kept it from being tried.
    let failures = || router.metric("hostler_dyno_connect_failures_total");
    until("the failure is counted", || failures() == 1.0);
}

#[test]
fn only_dynos_that_are_up_are_picked() {
    let router = Router::start();
    let dynos = ["up", "starting", "draining", "crashed"].map(Named::start);
    router.app("one", "a.test", &dynos.each_ref().map(|dyno| dyno.addr.as_str()));
    for (i, state) in [(2, "starting"), (3, "draining"), (4, "crashed")] {
        router.set_state("one", &format!("web.{i}"), state);
    }
    for _ in 0..40 {
        assert_eq!(router.get("a.test", "/").head.get("x-dyno"), Some("up"));
    }
}

#[test]
fn a_request_waits_for_a_starting_dyno() {
    let (router, dyno) = (Router::start(), Named::start("one"));
    router.app("one", "a.test", &[&dyno.addr]);
    router.set_state("one", "web.1", "starting");
    let mut client = router.connect();
    client.send(GET);
    // A second one, answered at once, shows that the first was taken and is held.
    assert_eq!(router.get("no.test", "/").status(), 404);
    router.set_state("one", "web.1", "up");
    assert_eq!(client.take_answer().status(), 200);
}

#[test]
fn a_refused_request_waits_for_a_starting_dyno() {
    let (router, named, closed) = (Router::start(), Named::start("one"), closed_port());
    router.app("one", "a.test", &[&closed.addr, &named.addr]);
    router.set_state("one", "web.2", "starting");
    let mut client = router.connect();
    client.send(GET);
    let failures = || router.metric("hostler_dyno_connect_failures_total");
    until("it was refused", || failures() == 1.0);
    assert_eq!(router.get("no.test", "/").status(), 404);
    assert!(!client.has_input(), "it is held");
    router.set_state("one", "web.2", "up");
    assert_eq!(client.take_answer().head.get("x-dyno"), Some("one"));
}

#[test]
fn a_refused_request_waits_for_a_dyno_in_quarantine() {
    let router = Router::with(&[("HOSTLER_DYNOS_QUARANTINE", "1s")]);
    let (closed, other) = (closed_port(), closed_port());
    router.app("one", "a.test", &[&closed.addr]);
    assert_eq!(router.get("a.test", "/").verdict(), (503, "H21"));
    let dyno = closed.open();
    router.write("PUT", "/v1/apps/one/dynos/web.2", json!({"addr": other.addr}));
    let mut client = router.connect();
    client.send(GET);
    let mut conn = dyno.accept();
    conn.take_request();
    conn.send(OK);
    assert_eq!(client.take_answer().text(), "ok");
}

#[test]
fn a_refused_request_does_not_wait_where_there_is_nothing_to_wait_for() {
    let (router, closed) = (Router::start(), [closed_port(), closed_port(), closed_port()]);
    router.app("one", "a.test", &closed.each_ref().map(|port| port.addr.as_str()));
    router.set_state("one", "web.2", "draining");
    router.set_state("one", "web.3", "crashed");
    // Were it held, it would be for longer than a test waits.
    assert_eq!(router.get("a.test", "/").verdict(), (503, "H21"));
    let failures = || router.metric("hostler_dyno_connect_failures_total");
    until("it was tried once", || failures() == 1.0);
}

#[test]
fn an_exchange_on_a_draining_dyno_is_finished() {
    let (router, dyno, other) = (Router::start(), Dyno::new(), Named::start("other"));
    router.app("one", "a.test", &[&dyno.addr]);
    let mut client = router.connect();
    client.send(GET);
    let mut conn = dyno.accept();
    conn.take_request();
    router.write("PUT", "/v1/apps/one/dynos/web.2", json!({"addr": other.addr}));
    router.set_state("one", "web.1", "draining");
    assert_eq!(router.get("a.test", "/").head.get("x-dyno"), Some("other"));
    router.delete("/v1/apps/one/dynos/web.1");
    conn.send(OK);
    assert_eq!(client.take_answer().text(), "ok");
}

#[test]
fn a_dyno_of_greater_weight_gets_the_greater_share() {
    let router = Router::start();
    let (light, heavy) = (Named::start("light"), Named::start("heavy"));
    router.app("one", "a.test", &[&light.addr]);
    let body = json!({"addr": heavy.addr, "weight": 1000});
    router.write("PUT", "/v1/apps/one/dynos/web.2", body);
    router.write("PATCH", "/v1/apps/one/dynos/web.1", json!({"weight": 1}));
    for _ in 0..40 {
        assert_eq!(router.get("a.test", "/").status(), 200);
    }
    assert!(heavy.requests() > light.requests(), "{} {}", heavy.requests(), light.requests());
}
