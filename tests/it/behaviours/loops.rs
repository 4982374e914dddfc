//! Requests that come around: `Via` counts how often this router has had them, and a real circle of
//! routers ends by that count.
//!
//! Invariant: a request that was here too often reaches no dyno.

use serde_json::json;

use super::{Case, OK};
use crate::harness::{Dyno, Router};

/// A request with these lines of `Via` is served.
fn passes(x: &mut Case, lines: &str) {
    x.send(format!("GET / HTTP/1.1\r\nHost: a.test\r\n{lines}\r\n"));
    let mut dyno = x.dyno();
    dyno.take_request();
    dyno.send(OK);
    assert_eq!(x.client.take_answer().text(), "ok", "{lines}");
    x.both_go_on(dyno);
}

/// A request with these lines of `Via` was here too often.
fn is_a_loop(x: &mut Case, lines: &str) {
    x.send(format!("GET / HTTP/1.1\r\nHost: a.test\r\n{lines}\r\n"));
    x.is_answered(508, "loop");
    x.nothing_reached_the_dyno();
}

behaviours! {
    fn five_passes_are_served_and_six_are_a_loop(x) {
        let via = |count| format!("Via: {}\r\n", ["1.1 hostler"; 6][..count].join(", "));
        passes(x, &via(5));
        is_a_loop(x, &via(6));
    }

    fn how_many_passes_are_served_is_a_setting(x: Setup::router("http.max_passes", "1")) {
        passes(x, "");
        passes(x, "Via: 1.1 hostler\r\n");
        is_a_loop(x, "Via: 1.1 hostler, 1.1 hostler\r\n");
    }

    fn passes_are_counted_over_all_lines_and_forms(x: Setup::router("http.max_passes", "2")) {
        is_a_loop(x, "Via: 1.1 hostler\r\nvia: 1.0 hostler\r\nX: y\r\nVIA: HTTP/1.1 hostler\r\n");
        is_a_loop(x, "Via: 1.1 hostler,1.1 other,,\t1.1 hostler , 1.1   hostler\r\n");
        is_a_loop(x, "Via: 1.1 hostler (a comment), 1.1 hostler, 1.1 hostler\r\n");
    }

    fn passes_of_others_are_not_counted(x: Setup::router("http.max_passes", "1")) {
        passes(x, "Via: 1.1 hostler2, 1.1 xhostler, 1.1 hostler.a.test, 1.1 hostler:80\r\n");
        passes(x, "Via: 1.1 other (hostler), 1.1 other (1.1 hostler, 1.1 hostler)\r\n");
        passes(x, "Via: hostler, hostler, hostler\r\n");
    }

    fn the_name_of_this_router_is_what_is_counted(
        x: Setup::env(&[("HOSTLER_HTTP_VIA", "east"), ("HOSTLER_HTTP_MAX_PASSES", "1")])
    ) {
        passes(x, "Via: 1.1 hostler, 1.1 hostler, 1.1 east\r\n");
        is_a_loop(x, "Via: 1.1 east, 1.1 hostler, 1.1 east\r\n");
    }

    fn a_loop_is_told_where_the_host_is_no_apps_too(x) {
        let via = ["1.1 hostler"; 6].join(", ");
        x.send(format!("GET / HTTP/1.1\r\nHost: no.test\r\nVia: {via}\r\n\r\n"));
        x.is_answered(508, "loop");
    }
}

/// Two routers, each the other's dyno.
fn circle(settings: [&[(&str, &str)]; 2], marked: bool) -> [Router; 2] {
    let routers = settings.map(Router::with);
    let other = [&routers[1], &routers[0]].map(|router| router.http.to_string());
    for (router, other) in routers.iter().zip(&other) {
        router.app("one", "a.test", &[other]);
        router.write("PUT", "/v1/apps/one", json!({"router": marked}));
    }
    routers
}

#[test]
fn a_circle_of_routers_ends_with_508() {
    let [first, second] = circle([&[], &[]], true);
    let mut client = first.connect();
    let answer = client.get("a.test", "/");
    // They have one name, so that either counts the passes of both.
    assert_eq!(answer.verdict(), (508, "loop"));
    let line = first.log.wait_for("code=loop");
    assert!(line.contains(" dyno= connect= service= status=508 bytes= "), "{line}");
    // Seen at first, 3 and 5 hops later here, and 3 times there: then once too often.
    assert_eq!(first.log.wait_for_many("path=\"/\"", 4).len(), 4);
    assert_eq!(second.log.wait_for_many("path=\"/\"", 3).len(), 3);
    // Nobody's connection suffered.
    assert_eq!(client.get("a.test", "/").status(), 508);
}

#[test]
fn a_circle_of_routers_of_different_names_ends_too() {
    let names: [&[(&str, &str)]; 2] = [&[("HOSTLER_HTTP_VIA", "a")], &[("HOSTLER_HTTP_VIA", "b")]];
    let [first, second] = circle(names, false);
    let answer = first.get("a.test", "/");
    // The fault of the one is an answer of a dyno for the other, which takes its word out of it.
    assert_eq!(answer.verdict(), (508, ""));
    first.log.wait_for_many("path=\"/\"", 7);
    second.log.wait_for_many("path=\"/\"", 6);
}

#[test]
fn a_circle_is_ended_by_who_allows_the_fewest_passes() {
    let settings: [&[(&str, &str)]; 2] = [&[], &[("HOSTLER_HTTP_MAX_PASSES", "1")]];
    let [first, second] = circle(settings, true);
    assert_eq!(first.get("a.test", "/").verdict(), (508, "loop"));
    second.log.wait_for("code=loop");
    assert!(first.log.all().iter().all(|line| line.starts_with("at=info ")));
}

#[test]
fn a_router_is_no_dyno_of_its_own() {
    let router = Router::start();
    router.app("one", "a.test", &[]);
    let body = json!({"addr": router.http.to_string()});
    let reply = router.call("PUT", "/v1/apps/one/dynos/web.1", Some(body));
    assert_eq!(reply.status(), 422, "{reply:?}");
    let dyno = Dyno::new();
    router.write("PUT", "/v1/apps/one/dynos/web.1", json!({"addr": dyno.addr}));
}
