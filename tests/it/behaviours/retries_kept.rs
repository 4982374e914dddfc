//! Connections to dynos that are no longer to be used, so that the race with their end seldom
//! comes: closed by the dyno before a request, switched off by a push, used as often as allowed.
//!
//! Invariant: a connection that the router is done with is closed by it, whatever the dyno does.

use serde_json::json;

use super::{
    GET, OK,
    case::{Case, Kind, Setup},
};
use crate::harness::{Conn, End, kernel::end_and_arrive};

const POST: &str = "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 2\r\n\r\nhi";

/// On a connection that carried one exchange.
fn kept(setup: &Setup) -> (Case, Conn) {
    let mut x = Case::start(Kind::Fresh, setup);
    let dyno = x.play(GET, OK);
    assert_eq!(x.client.take_answer().text(), "ok");
    (x, dyno)
}

#[test]
fn not_even_a_post_notices_that_a_dyno_closed_a_connection_before() {
    let (mut x, mut dyno) = kept(&Setup::default());
    for _ in 0..3 {
        end_and_arrive(dyno, drop);
        x.send(POST);
        dyno = x.web.accept();
        assert_eq!(dyno.take_request().text(), "hi");
        dyno.send(OK);
        assert_eq!(x.client.take_answer().text(), "ok");
    }
    assert_eq!(x.router.metric("hostler_retries_total"), 0.0);
}

#[test]
fn not_even_a_post_notices_that_a_dyno_reset_a_connection_before() {
    let (mut x, mut dyno) = kept(&Setup::default());
    for _ in 0..3 {
        end_and_arrive(dyno, Conn::reset);
        x.send(POST);
        dyno = x.web.accept();
        assert_eq!(dyno.take_request().text(), "hi");
        dyno.send(OK);
        assert_eq!(x.client.take_answer().text(), "ok");
    }
}

#[test]
fn many_connections_that_a_dyno_closed_are_all_passed_over() {
    let mut x = Case::start(Kind::Fresh, &Setup::default());
    let mut clients: Vec<Conn> = (0..20).map(|_| x.router.connect()).collect();
    let mut dynos: Vec<Conn> = clients
        .iter_mut()
        .map(|client| {
            client.send(GET);
            let mut dyno = x.web.accept();
            dyno.take_request();
            dyno
        })
        .collect();
    for (client, dyno) in clients.iter_mut().zip(&mut dynos) {
        dyno.send(OK);
        assert_eq!(client.take_answer().text(), "ok");
    }
    for dyno in dynos {
        end_and_arrive(dyno, drop);
    }
    x.send(POST);
    let mut dyno = x.web.accept();
    assert_eq!(dyno.take_request().text(), "hi");
    dyno.send(OK);
    assert_eq!(x.client.take_answer().text(), "ok");
    assert!(x.web.is_idle());
}

#[test]
fn a_connection_on_which_something_came_unasked_is_not_used_again() {
    let (mut x, mut dyno) = kept(&Setup::default());
    dyno.send("HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n");
    dyno.take_end();
    x.send(POST);
    let mut dyno = x.web.accept();
    dyno.take_request();
    dyno.send(OK);
    assert_eq!(x.client.take_answer().text(), "ok");
}

#[test]
fn keep_alive_that_is_switched_off_holds_for_connections_that_were_kept_before() {
    let (mut x, old) = kept(&Setup::default());
    let app = json!({"settings": {"dynos.keep_alive": false}});
    x.router.write("PUT", "/v1/apps/one", app);
    for _ in 0..2 {
        x.send(POST);
        let mut dyno = x.web.accept();
        assert_eq!(dyno.take_request().head.get("connection"), Some("close"));
        dyno.send(OK);
        assert_eq!(x.client.take_answer().text(), "ok");
        assert_eq!(dyno.take_end(), End::Closed);
    }
    drop(old);
}

/// So many exchanges go over each connection, no more.
fn has_three_requests_a_connection(setup: &Setup) {
    let mut x = Case::start(Kind::Fresh, setup);
    for _ in 0..2 {
        let mut dyno = x.play(POST, OK);
        assert_eq!(x.client.take_answer().text(), "ok");
        for _ in 1..3 {
            x.send(POST);
            assert_eq!(dyno.take_request().text(), "hi");
            dyno.send(OK);
            let answer = x.client.take_answer();
            assert_eq!(answer.head.get("connection"), None);
        }
        assert_eq!(dyno.take_end(), End::Closed);
    }
}

#[test]
fn a_connection_carries_as_many_requests_as_allowed() {
    has_three_requests_a_connection(&Setup::env(&[("HOSTLER_DYNOS_MAX_REQUESTS", "3")]));
}

#[test]
fn a_connection_carries_as_many_requests_as_the_app_allows() {
    has_three_requests_a_connection(&Setup::app(json!({"dynos.max_requests": 3})));
}

#[test]
fn one_request_a_connection_is_a_connection_for_each() {
    let mut x = Case::start(Kind::Fresh, &Setup::app(json!({"dynos.max_requests": 1})));
    for _ in 0..3 {
        let mut dyno = x.play(POST, OK);
        assert_eq!(x.client.take_answer().text(), "ok");
        assert_eq!(dyno.take_end(), End::Closed);
    }
}
