//! Silence in the middle: a time-out that rolls on with every byte of either side, and that tells
//! whose silence it was.
//!
//! Invariants: who is slow here moves something many times within the time-out; who is silent is
//! silent for good.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{Case, GET, OK};
use crate::harness::{Conn, Dyno, End, Router, pace::slowly};

/// Several times the time-out.
const LONG: Duration = Duration::from_millis(2500);
const IDLE: (&str, &str) = ("HOSTLER_TIMEOUTS_IDLE", "600ms");
const POST: &str = "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n";
const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
const UPGRADE: &str =
    "GET /chat HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n";
const SWITCH: &str =
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n";

/// An upload that the dyno takes, with an answer that has begun.
fn both_ways(x: &mut Case) -> Conn {
    x.send(POST);
    let mut dyno = x.dyno();
    dyno.take_head();
    dyno.send(CHUNKED);
    assert_eq!(x.client.take_head().status(), 200);
    dyno
}

fn tunnel(x: &mut Case) -> Conn {
    let dyno = x.play(UPGRADE, SWITCH);
    assert_eq!(x.client.take_head().status(), 101);
    dyno
}

behaviours! {
    fn a_dyno_that_sends_now_and_then_is_not_silent(x: Setup::env(&[IDLE])) {
        let mut dyno = x.play(GET, CHUNKED);
        assert_eq!(x.client.take_head().status(), 200);
        slowly(LONG, || {
            dyno.send("1\r\nx\r\n");
            assert_eq!(x.client.take(6), b"1\r\nx\r\n");
        });
        dyno.send("0\r\n\r\n");
        assert_eq!(x.client.take(5), b"0\r\n\r\n");
        x.both_go_on(dyno);
    }

    fn a_dyno_that_sends_its_head_byte_by_byte_is_not_silent(x: Setup::env(&[IDLE])) {
        let (_, mut dyno) = x.ask(GET);
        let mut bytes = OK.bytes();
        let mut send = || bytes.next().map(|byte| dyno.send([byte]));
        slowly(LONG, || {
            send();
        });
        while send().is_some() {}
        assert_eq!(x.client.take_answer().text(), "ok");
        x.both_go_on(dyno);
    }

    fn a_client_that_sends_now_and_then_is_not_silent(x: Setup::env(&[IDLE])) {
        x.send(POST);
        let mut dyno = x.dyno();
        dyno.take_head();
        slowly(LONG, || {
            x.client.send("1\r\nx\r\n");
            assert_eq!(dyno.take(6), b"1\r\nx\r\n");
        });
        x.send("0\r\n\r\n");
        assert_eq!(dyno.take(5), b"0\r\n\r\n");
        dyno.send(OK);
        assert_eq!(x.client.take_answer().text(), "ok");
        x.both_go_on(dyno);
    }

    fn bytes_of_the_dyno_give_a_silent_client_time(x: Setup::env(&[IDLE])) {
        let mut dyno = both_ways(x);
        slowly(LONG, || {
            dyno.send("1\r\nx\r\n");
            assert_eq!(x.client.take(6), b"1\r\nx\r\n");
        });
        x.send("0\r\n\r\n");
        assert_eq!(dyno.take(5), b"0\r\n\r\n");
        dyno.send("0\r\n\r\n");
        assert_eq!(x.client.take(5), b"0\r\n\r\n");
    }

    fn bytes_of_the_client_give_a_silent_dyno_time(x: Setup::env(&[IDLE])) {
        let mut dyno = both_ways(x);
        slowly(LONG, || {
            x.client.send("1\r\nx\r\n");
            assert_eq!(dyno.take(6), b"1\r\nx\r\n");
        });
        dyno.send("0\r\n\r\n");
        assert_eq!(x.client.take(5), b"0\r\n\r\n");
    }

    fn bytes_of_one_side_keep_a_tunnel_open(x: Setup::env(&[IDLE])) {
        let mut dyno = tunnel(x);
        slowly(LONG, || {
            dyno.send("ping");
            assert_eq!(x.client.take(4), b"ping");
        });
        slowly(LONG, || {
            x.client.send("pong");
            assert_eq!(dyno.take(4), b"pong");
        });
        drop(dyno);
        x.client_is_cut();
    }

    fn a_tunnel_in_which_both_are_silent_is_closed_with_h15(x: Setup::env(&[IDLE])) {
        let mut dyno = tunnel(x);
        let began = Instant::now();
        x.client_is_cut();
        assert!(began.elapsed() > Duration::from_millis(500), "{:?}", began.elapsed());
        dyno.take_end();
        let rest = "dyno=web.1 connect=# service=# status=101 bytes=0";
        x.logs("at=error code=H15 desc=\"Idle connection\"", "GET /chat a.test", rest);
    }

    fn a_tunnel_of_an_app_has_the_apps_time(x: Setup::app(json!({"timeouts.idle": "200ms"}))) {
        let mut dyno = tunnel(x);
        x.client_is_cut();
        dyno.take_end();
        x.router.log.wait_for("code=H15");
    }

    fn a_dyno_that_is_silent_within_its_answer_is_told_apart_from_its_client(
        x: Setup::app(json!({"timeouts.idle": "200ms"}))
    ) {
        // The client is silent too, but it is the dyno's turn.
        for framing in ["Content-Length: 9\r\n", "Transfer-Encoding: chunked\r\n", ""] {
            let mut dyno = x.play(GET, format!("HTTP/1.1 200 OK\r\n{framing}\r\n5\r\nhello"));
            x.client.take_until("hello");
            let end = x.client.take_end();
            // Where the end of the connection is the end of the answer, it must not look like it.
            assert!(end == End::Reset || !framing.is_empty(), "{framing:?} ended {end:?}");
            dyno.take_end();
            x.again();
        }
        x.counts("H15", 3);
        x.counts("H28", 0);
    }

    fn a_client_that_is_silent_within_its_body_is_told_apart_from_its_dyno(
        x: Setup::app(json!({"timeouts.idle": "200ms"}))
    ) {
        // The dyno has not said anything either, but it is the client's turn.
        x.send(POST);
        let mut dyno = x.dyno();
        dyno.take_head();
        x.client_is_cut();
        dyno.take_end();
        x.router.log.wait_for("at=warning code=H28");
        x.counts("H12", 0);
    }

    fn a_client_that_is_silent_within_its_body_when_the_answer_has_begun_is_h28_or_h15(
        x: Setup::app(json!({"timeouts.idle": "200ms"}))
    ) {
        // Both have something to send and neither does.
        let mut dyno = both_ways(x);
        x.client_is_cut();
        dyno.take_end();
        let line = x.router.log.wait_for(" code=H");
        assert!(line.contains("code=H28") || line.contains("code=H15"), "{line}");
    }

    fn a_dyno_that_takes_nothing_of_a_body_is_the_silent_one(
        x: Setup::app(json!({"timeouts.idle": "300ms"}))
    ) {
        const ENDLESS: usize = 1 << 30;
        (x.web, x.kept) = (Dyno::small(), None);
        x.router.write("PUT", "/v1/apps/one/dynos/web.1", json!({"addr": x.web.addr}));
        x.send(format!("PUT / HTTP/1.1\r\nHost: a.test\r\nContent-Length: {ENDLESS}\r\n\r\n"));
        let mut dyno = x.dyno();
        dyno.take_head();
        let silence = Duration::from_millis(100);
        let sent = x.client.send_until_blocked(&[b'x'; 1 << 16], ENDLESS, silence);
        assert!(sent < ENDLESS);
        x.is_answered(503, "H12");
        x.counts("H28", 0);
        drop(dyno);
    }
}

/// A large answer to a client that reads a little at a time; the idle time-out is short.
fn slow_reader(size: usize) -> (Router, Conn, Conn, Dyno) {
    let (router, web) = (Router::with(&[IDLE, ("HOSTLER_WORKERS", "1")]), Dyno::new());
    router.app("one", "a.test", &[&web.addr]);
    let mut client = router.connect_small();
    client.send(GET);
    let mut dyno = web.accept();
    dyno.take_request();
    dyno.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n"));
    (router, client, dyno, web)
}

/// What the client takes goes out of the router's send queue, which is not yet to be written to:
/// the only sign of life that there is.
#[test]
fn a_client_that_reads_a_little_now_and_then_is_not_silent() {
    const SIZE: usize = 2 << 20;
    let (router, mut client, mut dyno, _web) = slow_reader(SIZE);
    std::thread::spawn(move || {
        dyno.send(vec![b'x'; SIZE]);
        dyno
    });
    client.take_head();
    let mut read = 0;
    slowly(LONG, || read += client.take_some(600));
    // Far less than what waits for it.
    assert!(read < SIZE / 4, "{read}");
    client.take(SIZE - read);
    let line = router.log.wait_for("status=200");
    assert!(line.starts_with("at=info ") && line.contains(&format!(" bytes={SIZE} ")), "{line}");
}

#[test]
fn a_client_that_reads_nothing_is_h28() {
    const ENDLESS: usize = 1 << 30;
    let (router, mut client, mut dyno, _web) = slow_reader(ENDLESS);
    let block = [b'x'; 1 << 16];
    let mut sent = 0;
    // The router ends it, so that the rest is not taken.
    while dyno.try_send(&block).is_ok() {
        sent += block.len();
        assert!(sent < ENDLESS / 2, "the router takes all of it");
    }
    let line = router.log.wait_for("at=warning code=H28");
    assert!(line.contains(" status=200 "), "{line}");
    client.take_all();
}

#[test]
fn a_client_that_reads_for_a_while_and_then_nothing_is_h28() {
    const ENDLESS: usize = 1 << 30;
    let (router, mut client, mut dyno, _web) = slow_reader(ENDLESS);
    let sending = std::thread::spawn(move || while dyno.try_send(&[b'x'; 1 << 16]).is_ok() {});
    client.take_head();
    slowly(LONG, || {
        client.take_some(600);
    });
    assert!(router.log.all().is_empty(), "{:?}", router.log.all());
    router.log.wait_for("at=warning code=H28");
    sending.join().unwrap();
}
