//! `Expect: 100-continue` end to end, as a setting of the router and of an app: every order of 100,
//! final status and body.
//!
//! Invariants: the router sends no 100 of its own, and waits for none before it passes the body.

use super::*;

const WAITS: &str =
    "POST / HTTP/1.1\r\nHost: a.test\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n";
const BARE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
const GO_ON: &str = "HTTP/1.1 100 Go On\r\nX: y\r\n\r\n";
const UPGRADES: &str = "POST / HTTP/1.1\r\nHost: a.test\r\nExpect: 100-continue\r\n\
    Connection: upgrade\r\nUpgrade: echo\r\nContent-Length: 5\r\n\r\n";
const SWITCH: &str = "HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n";

fn on() -> Setup {
    Setup::router("http.end_to_end_continue", "true")
}

/// The dyno gets the head with the expectation; the client gets nothing yet.
fn expects(x: &mut Case, head: &str) -> Conn {
    x.send(head);
    let mut dyno = x.dyno();
    assert_eq!(dyno.take_head().get("expect"), Some("100-continue"));
    x.catch_up();
    assert!(!x.client.has_input(), "the router answers by itself");
    dyno
}

/// The dyno's 100 reaches the client, bare.
fn is_invited(x: &mut Case, dyno: &mut Conn) {
    dyno.send(GO_ON);
    assert_eq!(x.client.take(BARE.len()), BARE);
}

/// A final answer without a 100 is delivered, and both connections are closed.
fn is_final(x: &mut Case, mut dyno: Conn) {
    dyno.send("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno");
    let answer = x.client.take_answer();
    assert_eq!((answer.status(), answer.text().as_str()), (403, "no"));
    assert_eq!(answer.head.get("connection"), Some("close"));
    x.client_ends();
    dyno.take_end();
}

/// The whole of it, in its usual order.
fn is_end_to_end(x: &mut Case) {
    let mut dyno = expects(x, WAITS);
    is_invited(x, &mut dyno);
    x.send("hello");
    assert_eq!(dyno.take(5), b"hello");
    dyno.send(OK);
    assert_eq!(x.client.take_answer().text(), "ok");
    x.both_go_on(dyno);
}

fn tunnels(x: &mut Case, mut dyno: Conn) {
    x.send("ping");
    assert_eq!(dyno.take(4), b"ping");
    dyno.send("pong");
    assert_eq!(x.client.take(4), b"pong");
}

behaviours! {
    fn a_100_of_the_dyno_invites_the_body_and_both_stay(x: on()) {
        is_end_to_end(x);
    }

    fn an_app_may_have_it_where_the_router_does_not(
        x: Setup::app(json!({"http.end_to_end_continue": true}))
    ) {
        is_end_to_end(x);
    }

    fn an_app_may_not_have_it_where_the_router_does(
        x: Setup { app: Some(json!({"settings": {"http.end_to_end_continue": false}})), ..on() }
    ) {
        x.send(WAITS);
        let mut dyno = x.dyno();
        assert_eq!(dyno.take_head().get("expect"), None);
        assert_eq!(x.client.take(BARE.len()), BARE);
        x.send("hello");
        dyno.take(5);
        dyno.send(OK);
        assert_eq!(x.client.take_answer().text(), "ok");
        x.both_go_on(dyno);
    }

    fn a_body_that_does_not_wait_is_passed_before_any_100(x: on()) {
        let mut dyno = expects(x, WAITS);
        x.send("hello");
        assert_eq!(dyno.take(5), b"hello");
        is_invited(x, &mut dyno);
        dyno.send(OK);
        assert_eq!(x.client.take_answer().text(), "ok");
        x.both_go_on(dyno);
    }

    fn a_100_and_the_final_answer_in_one_breath_behind_the_body(x: on()) {
        let mut dyno = expects(x, WAITS);
        x.send("hello");
        dyno.take(5);
        dyno.send(format!("{GO_ON}{OK}"));
        assert_eq!(x.client.take(BARE.len()), BARE);
        assert_eq!(x.client.take_answer().text(), "ok");
        x.both_go_on(dyno);
    }

    fn a_100_and_the_final_answer_before_the_body_close(x: on()) {
        let mut dyno = expects(x, WAITS);
        is_invited(x, &mut dyno);
        dyno.send("HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno");
        let answer = x.client.take_answer();
        assert_eq!((answer.status(), answer.head.get("connection")), (413, Some("close")));
        x.client_ends();
        dyno.take_end();
    }

    fn chunks_are_invited_alike(x: on()) {
        let mut dyno = expects(
            x,
            "POST / HTTP/1.1\r\nHost: a.test\r\nExpect: 100-continue\r\n\
            Transfer-Encoding: chunked\r\n\r\n",
        );
        is_invited(x, &mut dyno);
        x.send("5\r\nhello\r\n0\r\n\r\n");
        dyno.take_until("5\r\nhello\r\n0\r\n\r\n");
        dyno.send(OK);
        assert_eq!(x.client.take_answer().text(), "ok");
        x.both_go_on(dyno);
    }

    fn early_hints_pass_before_and_behind_the_100(x: on()) {
        const HINTS: &str = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
        let mut dyno = expects(x, WAITS);
        dyno.send(HINTS);
        assert_eq!(x.client.take_head().get("link"), Some("</a>"));
        is_invited(x, &mut dyno);
        dyno.send(HINTS);
        assert_eq!(x.client.take_head().get("link"), Some("</a>"));
        x.send("hello");
        dyno.take(5);
        dyno.send(OK);
        assert_eq!(x.client.take_answer().text(), "ok");
        x.both_go_on(dyno);
    }

    fn a_second_100_is_502_and_closes_both(x: on()) {
        let mut dyno = expects(x, WAITS);
        is_invited(x, &mut dyno);
        dyno.send(GO_ON);
        x.is_refused(502, "H17");
        dyno.take_end();
    }

    fn a_second_100_behind_the_body_is_502_and_closes_both(x: on()) {
        let mut dyno = expects(x, WAITS);
        is_invited(x, &mut dyno);
        x.send("hello");
        dyno.take(5);
        dyno.send(format!("{GO_ON}{OK}"));
        x.is_refused(502, "H17");
        dyno.take_end();
    }

    fn a_final_answer_without_a_100_before_the_body_closes_both(x: on()) {
        let dyno = expects(x, WAITS);
        is_final(x, dyno);
    }

    fn a_final_answer_without_a_100_behind_the_body_closes_both(x: on()) {
        let mut dyno = expects(x, WAITS);
        x.send("hello");
        dyno.take(5);
        is_final(x, dyno);
    }

    fn a_100_then_a_101_become_a_tunnel(x: on()) {
        let mut dyno = expects(x, UPGRADES);
        is_invited(x, &mut dyno);
        x.send("hello");
        assert_eq!(dyno.take(5), b"hello");
        dyno.send(SWITCH);
        assert_eq!(x.client.take_head().status(), 101);
        tunnels(x, dyno);
    }

    fn a_101_without_a_100_becomes_a_tunnel(x: on()) {
        let mut dyno = expects(x, UPGRADES);
        x.send("hello");
        assert_eq!(dyno.take(5), b"hello");
        dyno.send(SWITCH);
        assert_eq!(x.client.take_head().status(), 101);
        tunnels(x, dyno);
    }

    fn an_upgrade_that_is_declined_without_a_100_closes_both(x: on()) {
        let dyno = expects(x, UPGRADES);
        is_final(x, dyno);
    }

    fn a_client_of_http_1_0_expects_nothing(x: on()) {
        let (request, mut dyno) = x.ask(
            "POST / HTTP/1.0\r\nHost: a.test\r\n\
            Expect: 100-continue\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello",
        );
        assert_eq!((request.head.get("expect"), request.text().as_str()), (None, "hello"));
        dyno.send(format!("{GO_ON}{OK}"));
        assert_eq!(x.client.take_answer().text(), "ok");
        x.both_go_on(dyno);
    }

    fn an_unsolicited_100_passes_bare(x: on()) {
        let mut dyno = x.play(GET, GO_ON);
        assert_eq!(x.client.take(BARE.len()), BARE);
        dyno.send(OK);
        assert_eq!(x.client.take_answer().text(), "ok");
        x.both_go_on(dyno);
    }

    fn other_expectations_are_refused_all_the_same(x: on()) {
        x.send("POST / HTTP/1.1\r\nHost: a.test\r\nExpect: tea\r\nContent-Length: 5\r\n\r\n");
        x.is_refused(417, "H26");
        x.nothing_reached_the_dyno();
    }
}
