//! The retry budget: an app whose dynos lose one request after the other is not sent all of them
//! twice, and gets its retries back with time.
//!
//! Invariant: connects that fail send nothing, and are no part of it.

use serde_json::json;

use super::{
    GET, OK,
    case::{Case, Kind, Setup},
};
use crate::harness::{Conn, Named, closed_port, until};

/// The dyno loses a GET; if it is sent again, it answers: was it?
fn is_sent_again(x: &mut Case) -> bool {
    x.send(GET);
    let mut dyno = x.web.accept();
    dyno.take_request();
    drop(dyno);
    until("it is sent again or answered", || x.web.has_caller() || x.client.has_input());
    if x.client.has_input() {
        assert_eq!(x.client.take_answer().verdict(), (503, "H13"));
        return false;
    }
    let mut dyno: Conn = x.web.accept();
    dyno.take_request();
    dyno.send("HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
    assert_eq!(x.client.take_answer().status(), 204);
    true
}

#[test]
fn a_budget_is_used_up_and_fills_again() {
    let mut x = Case::start(Kind::Fresh, &Setup::app(json!({"dynos.retry_budget": 1})));
    // 10 a second over 10 s, and one for each hundred requests.
    let mut again = 0;
    while is_sent_again(&mut x) {
        again += 1;
        assert!(again < 1000, "nothing bounds the retries");
    }
    assert!(again >= 90, "{again} only");
    x.counts("H13", 1);
    until("the budget has filled", || is_sent_again(&mut x));
}

#[test]
fn without_a_budget_nothing_is_sent_again() {
    let mut x = Case::start(Kind::Fresh, &Setup::env(&[("HOSTLER_DYNOS_RETRY_BUDGET", "0")]));
    assert!(!is_sent_again(&mut x));
    assert!(x.web.is_idle());
}

#[test]
fn an_app_without_a_budget_is_sent_nothing_again() {
    let mut x = Case::start(Kind::Fresh, &Setup::app(json!({"dynos.retry_budget": 0})));
    assert!(!is_sent_again(&mut x));
    x.client_goes_on();
}

#[test]
fn the_budget_of_one_app_is_not_anothers() {
    let mut x = Case::start(Kind::Fresh, &Setup::app(json!({"dynos.retry_budget": 0})));
    let other = crate::harness::Dyno::new();
    x.second_app(&[&other.addr]);
    assert!(!is_sent_again(&mut x));
    x.send("GET / HTTP/1.1\r\nHost: b.test\r\n\r\n");
    let mut dyno = other.accept();
    dyno.take_request();
    drop(dyno);
    let mut dyno = other.accept();
    dyno.take_request();
    dyno.send(OK);
    assert_eq!(x.client.take_answer().text(), "ok");
}

#[test]
fn a_connect_that_fails_needs_no_budget() {
    let mut x = Case::start(Kind::Fresh, &Setup::app(json!({"dynos.retry_budget": 0})));
    let (closed, named) = (closed_port(), Named::start("named"));
    let body = json!({"addr": closed.addr});
    x.router.write("PUT", "/v1/apps/one/dynos/web.1", body);
    x.router.write("PUT", "/v1/apps/one/dynos/web.2", json!({"addr": named.addr}));
    let failures = || x.router.metric("hostler_dyno_connect_failures_total");
    until("the one that refuses was tried", || {
        assert_eq!(x.client.get("a.test", "/").head.get("x-dyno"), Some("named"));
        failures() >= 1.0
    });
}

#[test]
fn no_more_dynos_are_tried_than_allowed() {
    for setup in [
        Setup::env(&[("HOSTLER_DYNOS_MAX_ATTEMPTS", "2")]),
        Setup::app(json!({"dynos.max_attempts": 2})),
    ] {
        let mut x = Case::start(Kind::Fresh, &setup);
        let closed = [(); 5].map(|()| closed_port());
        for (i, port) in closed.iter().enumerate() {
            let path = format!("/v1/apps/one/dynos/web.{}", i + 1);
            x.router.write("PUT", &path, json!({"addr": port.addr}));
        }
        x.send(GET);
        x.is_answered(503, "H21");
        x.counts("H21", 1);
        assert_eq!(x.router.metric("hostler_dyno_connect_failures_total"), 2.0);
    }
}

/// The time is the app's as well.
#[test]
fn a_dyno_that_refused_is_used_again_when_its_quarantine_is_over() {
    for setup in [
        Setup::env(&[("HOSTLER_DYNOS_QUARANTINE", "200ms")]),
        Setup::app(json!({"dynos.quarantine": "200ms"})),
    ] {
        let mut x = Case::start(Kind::Fresh, &setup);
        let closed = closed_port();
        x.router.write("PUT", "/v1/apps/one/dynos/web.1", json!({"addr": closed.addr}));
        x.send(GET);
        x.is_answered(503, "H21");
        x.web = closed.open();
        // The request waits for the end of the quarantine instead of failing.
        let dyno = x.play(GET, OK);
        assert_eq!(x.client.take_answer().text(), "ok");
        x.both_go_on(dyno);
    }
}
