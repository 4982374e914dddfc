//! A least rate at which clients send their bodies and take their answers: off by default.
//!
//! Invariants: who is too slow here is never silent; who is slow because the other side is, is not
//! blamed.

use std::time::Duration;

use serde_json::json;

use super::{
    GET, OK,
    case::{Case, Kind, Setup},
};
use crate::harness::{pace::slowly, until};

/// Longer than the time over which a rate is measured (`docs/requests.md`, "Time").
const LONG: Duration = Duration::from_millis(5500);
const CHUNKED: &str = "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n";

#[test]
fn a_body_below_the_rate_is_408_if_nothing_was_answered() {
    let mut x =
        Case::start(Kind::Fresh, &Setup::env(&[("HOSTLER_LIMITS_MIN_BODY_RATE", "100KiB")]));
    x.send(CHUNKED);
    let mut dyno = x.dyno();
    dyno.take_head();
    until("the router has had enough", || {
        x.client.try_send(b"1\r\nx\r\n").is_err() || x.client.has_input()
    });
    x.is_refused(408, "client_too_slow");
    let (got, _) = dyno.take_all();
    assert!(!got.ends_with(b"0\r\n\r\n"), "a cut passes for the end");
    x.counts("client_too_slow", 1);
}

#[test]
fn a_body_below_the_rate_is_cut_if_the_answer_has_begun() {
    let mut x = Case::start(Kind::Fresh, &Setup::app(json!({"limits.min_body_rate": 100_000})));
    x.send(CHUNKED);
    let mut dyno = x.dyno();
    dyno.take_head();
    dyno.send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello");
    x.client.take_until("hello");
    until("the router has had enough", || {
        x.client.try_send(b"1\r\nx\r\n").is_err() || x.client.has_input()
    });
    let (rest, _) = x.client.take_all();
    assert!(rest.is_empty(), "{:?}", String::from_utf8_lossy(&rest));
    dyno.take_all();
    let line = x.router.log.wait_for("at=warning code=client_too_slow");
    assert!(line.contains(" status=200 bytes=5 "), "{line}");
}

#[test]
fn a_body_above_the_rate_passes() {
    let mut x = Case::start(Kind::Fresh, &Setup::app(json!({"limits.min_body_rate": 100})));
    x.send(CHUNKED);
    let mut dyno = x.dyno();
    dyno.take_head();
    // Some 2,000 bytes a second.
    let chunk = format!("64\r\n{}\r\n", "x".repeat(100));
    slowly(LONG, || {
        x.client.send(&chunk);
        dyno.take(chunk.len());
    });
    x.send("0\r\n\r\n");
    assert_eq!(dyno.take(5), b"0\r\n\r\n");
    dyno.send(OK);
    assert_eq!(x.client.take_answer().text(), "ok");
    x.both_go_on(dyno);
}

#[test]
fn a_slow_body_passes_by_default() {
    let mut x = Case::start(Kind::Fresh, &Setup::default());
    x.send(CHUNKED);
    let mut dyno = x.dyno();
    dyno.take_head();
    slowly(LONG, || {
        x.client.send("1\r\nx\r\n");
        dyno.take(6);
    });
    x.send("0\r\n\r\n");
    assert_eq!(dyno.take(5), b"0\r\n\r\n");
    dyno.send(OK);
    assert_eq!(x.client.take_answer().text(), "ok");
    x.both_go_on(dyno);
}

#[test]
fn a_dyno_that_answers_slowly_is_not_its_clients_fault() {
    let mut x = Case::start(Kind::Fresh, &Setup::app(json!({"limits.min_body_rate": 100_000})));
    let mut dyno = x.play(GET, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert_eq!(x.client.take_head().status(), 200);
    slowly(LONG, || {
        dyno.send("1\r\nx\r\n");
        assert_eq!(x.client.take(6), b"1\r\nx\r\n");
    });
    dyno.send("0\r\n\r\n");
    assert_eq!(x.client.take(5), b"0\r\n\r\n");
    x.both_go_on(dyno);
}

#[test]
fn a_dyno_that_begins_late_is_not_its_clients_fault() {
    let mut x = Case::start(Kind::Fresh, &Setup::app(json!({"limits.min_body_rate": 100_000})));
    let (_, mut dyno) = x.ask(GET);
    crate::harness::pace::pause(LONG);
    dyno.send(OK);
    assert_eq!(x.client.take_answer().text(), "ok");
    x.both_go_on(dyno);
}

#[test]
fn a_dyno_that_takes_a_body_slowly_is_not_its_clients_fault() {
    let mut x = Case::start(Kind::Fresh, &Setup::app(json!({"limits.min_body_rate": 1_000_000})));
    const SIZE: usize = 32 << 20;
    x.send(format!("PUT / HTTP/1.1\r\nHost: a.test\r\nContent-Length: {SIZE}\r\n\r\n"));
    let mut dyno = x.dyno();
    dyno.take_head();
    let silence = Duration::from_millis(200);
    let sent = x.client.send_until_blocked(&[b'x'; 1 << 16], SIZE, silence);
    assert!(sent < SIZE, "the dyno's slowness is not felt");
    let mut read = 0;
    slowly(LONG, || read += dyno.take_some(2000));
    assert!(x.router.log.all().iter().all(|line| line.starts_with("at=info")));
    let client = &mut x.client;
    std::thread::scope(|scope| {
        scope.spawn(|| client.send(vec![b'x'; SIZE - sent]));
        dyno.take(SIZE - read);
    });
    dyno.send(OK);
    assert_eq!(x.client.take_answer().text(), "ok");
    x.both_go_on(dyno);
}

#[test]
fn an_answer_taken_below_the_rate_is_cut() {
    let mut x = Case::start(Kind::Fresh, &Setup::app(json!({"limits.min_body_rate": 1_000_000})));
    let line = x.is_cut_for_reading_slowly(GET, 64 << 20);
    assert!(line.contains(" status=200 "), "{line}");
}

#[test]
fn an_answer_taken_slowly_passes_by_default() {
    let mut x = Case::start(Kind::Fresh, &Setup::default());
    const SIZE: usize = 1 << 20;
    x.client = x.router.connect_small();
    let mut dyno = x.play(GET, format!("HTTP/1.1 200 OK\r\nContent-Length: {SIZE}\r\n\r\n"));
    let sending = std::thread::spawn(move || dyno.send(vec![b'x'; SIZE]));
    x.client.take_head();
    let mut read = 0;
    slowly(LONG, || read += x.client.take_some(600));
    x.client.take(SIZE - read);
    sending.join().unwrap();
}

#[test]
fn a_tunnel_has_no_rate() {
    let mut x = Case::start(Kind::Fresh, &Setup::app(json!({"limits.min_body_rate": 1_000_000})));
    let mut dyno = x.play(
        "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n",
    );
    assert_eq!(x.client.take_head().status(), 101);
    slowly(LONG, || {
        x.client.send("ping");
        assert_eq!(dyno.take(4), b"ping");
    });
    drop(dyno);
    x.client_is_cut();
}
