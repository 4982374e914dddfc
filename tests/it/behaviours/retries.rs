//! What is sent twice, and what never is: the race with a dyno that closes a connection, in all its
//! variants, by method, body and how far the answer came.
//!
//! Invariants: what reaches the dynos is counted, so that a second sending cannot go unseen; a
//! request that is not sent again is answered with the fault of its one attempt.

use serde_json::json;

use super::{Case, GET, OK};
use crate::harness::{Conn, Named, closed_port, until};

/// How a dyno ends a connection on which a request came.
#[derive(Debug, Clone, Copy)]
enum Race {
    /// In order.
    Closes,
    /// By a reset.
    Resets,
}

impl Race {
    fn end(self, dyno: Conn) {
        match self {
            Race::Closes => drop(dyno),
            Race::Resets => dyno.reset(),
        }
    }
}

fn request(method: &str) -> String {
    format!("{method} /again HTTP/1.1\r\nHost: a.test\r\n\r\n")
}

/// The dyno loses the request on the connection that it came on, and gets it again on a new one.
fn is_sent_again(x: &mut Case, race: Race, request: &str) {
    let (first, dyno) = x.ask(request);
    race.end(dyno);
    let mut dyno = x.web.accept();
    let second = dyno.take_request();
    assert_eq!(first.head.line, second.head.line);
    assert_eq!(first.body, second.body);
    // It is the same request, and is known by its id.
    assert_eq!(first.head.get("x-request-id"), second.head.get("x-request-id"));
    assert_eq!(first.head.get("x-request-start"), second.head.get("x-request-start"));
    let is_head = request.starts_with("HEAD ");
    dyno.send(if is_head { OK.strip_suffix("ok").unwrap() } else { OK });
    if is_head {
        assert_eq!(x.client.take_head().status(), 200);
    } else {
        assert_eq!(x.client.take_answer().text(), "ok");
    }
    assert!(x.web.is_idle());
    until("the retry is counted", || x.router.metric("hostler_retries_total") == 1.0);
    let line = x.router.log.wait_for("path=\"/again\"");
    assert!(line.starts_with("at=info ") && line.contains(" status=200 "), "{line}");
    x.both_go_on(dyno);
}

/// The dyno loses the request, and that is that.
fn is_not_sent_again(x: &mut Case, race: Race, request: &str) {
    let (_, dyno) = x.ask(request);
    race.end(dyno);
    let fault = match race {
        Race::Closes => "H13",
        Race::Resets => "H18",
    };
    x.is_answered(503, fault);
    assert!(x.web.is_idle());
    // The client did nothing wrong: what follows is the first that the dyno hears.
    x.client_goes_on();
    assert_eq!(x.router.metric("hostler_retries_total"), 0.0);
}

behaviours! {
    fn a_get_whose_connection_closes_is_sent_again(x) {
        is_sent_again(x, Race::Closes, &request("GET"));
    }

    fn a_get_whose_connection_is_reset_is_sent_again(x) {
        is_sent_again(x, Race::Resets, &request("GET"));
    }

    fn a_head_whose_connection_closes_is_sent_again(x) {
        is_sent_again(x, Race::Closes, &request("HEAD"));
    }

    fn an_options_whose_connection_closes_is_sent_again(x) {
        is_sent_again(x, Race::Closes, &request("OPTIONS"));
    }

    fn a_delete_whose_connection_is_reset_is_sent_again(x) {
        is_sent_again(x, Race::Resets, &request("DELETE"));
    }

    fn a_put_with_a_small_body_is_sent_again_with_it(x) {
        let put = "PUT /again HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\n\r\nhello";
        is_sent_again(x, Race::Closes, put);
    }

    fn a_put_with_a_small_chunked_body_is_sent_again_with_it(x) {
        let put = "PUT /again HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n\
                   5\r\nhello\r\n0\r\nX: y\r\n\r\n";
        is_sent_again(x, Race::Resets, put);
    }

    fn a_post_whose_connection_closes_is_not_sent_again(x) {
        is_not_sent_again(x, Race::Closes, &request("POST"));
    }

    fn a_post_whose_connection_is_reset_is_not_sent_again(x) {
        is_not_sent_again(x, Race::Resets, &request("POST"));
    }

    fn a_post_with_a_body_is_not_sent_again(x) {
        let post = "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\n\r\nhello";
        is_not_sent_again(x, Race::Closes, post);
    }

    fn a_patch_is_not_sent_again(x) {
        is_not_sent_again(x, Race::Closes, &request("PATCH"));
    }

    fn an_unknown_method_is_not_sent_again(x) {
        is_not_sent_again(x, Race::Closes, &request("BREW"));
    }

    fn a_method_that_only_looks_idempotent_is_not_sent_again(x) {
        is_not_sent_again(x, Race::Closes, &request("get"));
    }

    fn a_put_whose_body_streamed_is_not_sent_again(x) {
        x.send("PUT / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 10\r\n\r\nhello");
        let mut dyno = x.dyno();
        dyno.take_until("hello");
        x.send("world");
        assert_eq!(dyno.take(5), b"world");
        drop(dyno);
        x.is_answered(503, "H13");
        assert!(x.web.is_idle());
        x.client_goes_on();
    }

    fn a_put_whose_body_is_too_large_to_be_kept_is_not_sent_again(x) {
        const SIZE: usize = 200_000;
        x.send(format!("PUT / HTTP/1.1\r\nHost: a.test\r\nContent-Length: {SIZE}\r\n\r\n"));
        let mut dyno = x.dyno();
        dyno.take_head();
        x.send([b'x'; SIZE]);
        dyno.take(SIZE);
        drop(dyno);
        x.is_answered(503, "H13");
        assert!(x.web.is_idle());
    }

    fn a_part_of_a_large_body_is_no_reason_to_send_the_rest_elsewhere(x) {
        x.send("PUT / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 300000\r\n\r\n");
        let mut dyno = x.dyno();
        dyno.take_head();
        x.send([b'x'; 100_000]);
        dyno.take(50_000);
        dyno.reset();
        let _ = x.client.try_send(&[b'x'; 200_000]);
        let answer = x.client.take_answer();
        assert_eq!(answer.status(), 503, "{answer:?}");
        assert_eq!(answer.head.get("connection"), Some("close"));
        assert!(x.web.is_idle());
    }

    fn a_get_that_is_lost_twice_is_not_sent_a_third_time(x) {
        let (_, dyno) = x.ask(GET);
        drop(dyno);
        let mut dyno = x.web.accept();
        dyno.take_request();
        drop(dyno);
        x.is_answered(503, "H13");
        assert!(x.web.is_idle());
        x.client_goes_on();
    }

    fn an_answer_that_began_is_not_asked_for_again(x) {
        drop(x.play(GET, "HTTP/1.1 "));
        x.is_answered(503, "H18");
        assert!(x.web.is_idle());
        x.client_goes_on();
    }

    fn an_interim_answer_is_the_beginning_of_one(x) {
        let dyno = x.play(GET, "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n");
        assert_eq!(x.client.take_head().status(), 103);
        drop(dyno);
        x.is_answered(503, "H18");
        assert!(x.web.is_idle());
        x.client_goes_on();
    }

    fn a_malformed_answer_is_not_asked_for_again(x) {
        let mut dyno = x.play(GET, "not http at all\r\n\r\n");
        x.is_refused(502, "H17");
        dyno.take_end();
        assert!(x.web.is_idle());
    }

    fn a_time_out_is_no_reason_to_send_again(
        x: Setup::app(json!({"timeouts.first_byte": "200ms"}))
    ) {
        let (_, mut dyno) = x.ask(GET);
        x.is_answered(503, "H12");
        dyno.take_end();
        assert!(x.web.is_idle());
        x.client_goes_on();
    }

    fn an_upgrade_whose_connection_closes_is_sent_again_as_one(x) {
        let upgrade =
            "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n";
        let (_, dyno) = x.ask(upgrade);
        drop(dyno);
        let mut dyno = x.web.accept();
        assert_eq!(dyno.take_request().head.get("upgrade"), Some("echo"));
        dyno.send(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n",
        );
        assert_eq!(x.client.take_head().status(), 101);
        x.send("ping");
        assert_eq!(dyno.take(4), b"ping");
    }

    fn it_is_sent_to_another_dyno_where_there_is_one(x) {
        let (_, dyno) = x.ask(GET);
        let other = Named::start("other");
        x.router.write("PUT", "/v1/apps/one/dynos/web.2", json!({"addr": other.addr}));
        drop(dyno);
        assert_eq!(x.client.take_answer().head.get("x-dyno"), Some("other"));
        assert!(x.web.is_idle());
        let line = x.router.log.wait_for("dyno=web.2");
        assert!(line.starts_with("at=info "), "{line}");
    }

    fn it_is_sent_to_the_same_dyno_again_where_the_others_refuse(x) {
        let (_, dyno) = x.ask(GET);
        let closed = closed_port();
        x.router.write("PUT", "/v1/apps/one/dynos/web.2", json!({"addr": closed.addr}));
        drop(dyno);
        let mut dyno = x.web.accept();
        dyno.take_request();
        dyno.send(OK);
        assert_eq!(x.client.take_answer().text(), "ok");
    }

    fn a_post_that_no_dyno_has_heard_of_is_sent_to_another(x: Setup::env(&[
        ("HOSTLER_DYNOS_QUARANTINE", "1h"),
    ])) {
        let (closed, named) = (closed_port(), Named::start("two"));
        x.second_app(&[&closed.addr, &named.addr]);
        let failures = || x.router.metric("hostler_dyno_connect_failures_total");
        let mut sent = 0;
        until("the one that refuses was tried", || {
            let answer = x
                .client
                .ask("POST / HTTP/1.1\r\nHost: b.test\r\nContent-Length: 2\r\n\r\nhi");
            sent += 1;
            assert_eq!(answer.text(), "two POST / HTTP/1.1 2\n");
            failures() == 1.0
        });
        assert_eq!(named.requests(), sent);
    }
}
