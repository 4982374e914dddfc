//! Silence: who is waited for, for how long, and how it ends.
//!
//! Invariant: the settings are short here, and nothing is asserted about how long a wait took.

use crate::harness::{Dyno, End, Router};

const GET: &str = "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";
const SHORT: &str = "300ms";

fn start(setting: &str) -> (Router, Dyno) {
    // One worker, so that a connection that is kept is the one that the next exchange would take.
    let router = Router::with(&[(setting, SHORT), ("HOSTLER_WORKERS", "1")]);
    let dyno = Dyno::new();
    router.app("one", "a.test", &[&dyno.addr]);
    (router, dyno)
}

#[test]
fn a_dyno_without_a_first_byte_is_h12_and_its_connection_closed() {
    let (router, dyno) = start("HOSTLER_TIMEOUTS_FIRST_BYTE");
    let mut client = router.connect();
    client.send(GET);
    let mut conn = dyno.accept();
    conn.take_request();
    assert_eq!(client.take_answer().verdict(), (503, "H12"));
    conn.take_end();
    // A time-out is not tried again: the dyno may have done what it was asked.
    assert!(dyno.is_idle());
    router.log.wait_for("at=error code=H12 desc=\"Request timeout\" method=GET path=\"/\"");
}

#[test]
fn interim_answers_count_as_a_first_byte() {
    let (router, dyno) = start("HOSTLER_TIMEOUTS_FIRST_BYTE");
    let mut client = router.connect();
    client.send(GET);
    let mut conn = dyno.accept();
    conn.take_request();
    conn.send("HTTP/1.1 102 Processing\r\n\r\n");
    assert_eq!(client.take_head().status(), 102);
    // Longer than the first byte may take: another connection times out meanwhile.
    let mut other = router.connect();
    other.send(GET);
    assert_eq!(other.take_answer().verdict(), (503, "H12"));
    conn.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    assert_eq!(client.take_answer().text(), "ok");
}

#[test]
fn a_head_that_does_not_end_is_408() {
    let (router, dyno) = start("HOSTLER_TIMEOUTS_REQUEST_HEAD");
    let mut client = router.connect();
    client.send("GET / HTTP/1.1\r\nHost: a.te");
    let answer = client.take_answer();
    assert_eq!(answer.verdict(), (408, "head_timeout"));
    assert_eq!(answer.head.get("connection"), Some("close"));
    assert!(dyno.is_idle());
}

#[test]
fn a_head_that_trickles_is_408_all_the_same() {
    let (router, _dyno) = start("HOSTLER_TIMEOUTS_REQUEST_HEAD");
    let mut client = router.connect();
    client.send("GET / HTTP/1.1\r\nHost: a.test\r\n");
    client.socket().set_nonblocking(true).unwrap();
    // Header by header, for as long as the router takes them.
    crate::harness::until("the router has had enough", || {
        client.try_send(b"X: y\r\n").is_err() || client.has_input()
    });
    client.socket().set_nonblocking(false).unwrap();
    assert_eq!(client.take_answer().verdict(), (408, "head_timeout"));
}

#[test]
fn an_idle_client_is_closed_without_a_word() {
    let (router, dyno) = start("HOSTLER_TIMEOUTS_KEEP_ALIVE");
    // Before its first request, and after one.
    assert_eq!(router.connect().take_end(), End::Closed);
    let mut client = router.connect();
    client.send(GET);
    let mut conn = dyno.accept();
    conn.take_request();
    conn.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    assert_eq!(client.take_answer().text(), "ok");
    assert_eq!(client.take_end(), End::Closed);
    router.log.wait_for("status=200");
    assert_eq!(router.log.all().len(), 1);
}

#[test]
fn a_dyno_that_falls_silent_within_its_answer_is_h15_and_the_answer_cut() {
    let (router, dyno) = start("HOSTLER_TIMEOUTS_IDLE");
    for head in ["Content-Length: 10\r\n", "Transfer-Encoding: chunked\r\n", ""] {
        let mut client = router.connect();
        client.send(GET);
        let mut conn = dyno.accept();
        conn.take_request();
        conn.send(format!("HTTP/1.1 200 OK\r\n{head}\r\n5\r\nhello"));
        client.take_until("hello");
        let end = client.take_end();
        // Where the end of the connection is the end of the answer, it must not look like it.
        assert!(end == End::Reset || !head.is_empty(), "{head:?} ended {end:?}");
        conn.take_end();
    }
    let lines = router.log.wait_for_many("code=H15", 3);
    assert!(lines.iter().all(|line| line.contains(" status=200 ")), "{lines:?}");
}

#[test]
fn a_dyno_that_falls_silent_within_its_head_is_answered_for() {
    let (router, dyno) = start("HOSTLER_TIMEOUTS_IDLE");
    let mut client = router.connect();
    client.send(GET);
    let mut conn = dyno.accept();
    conn.take_request();
    conn.send("HTTP/1.1 200 OK\r\nContent-");
    assert_eq!(client.take_answer().verdict(), (503, "H15"));
    conn.take_end();
}

#[test]
fn a_client_that_falls_silent_within_its_body_is_h28() {
    let (router, dyno) = start("HOSTLER_TIMEOUTS_IDLE");
    let mut client = router.connect();
    client.send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 10\r\n\r\nhello");
    let mut conn = dyno.accept();
    conn.take_until("hello");
    client.take_end();
    conn.take_end();
    let line = router.log.wait_for("at=warning code=H28 desc=\"Client Connection Idle\"");
    assert!(line.contains(" status=499 "), "{line}");
}

#[test]
fn a_client_that_reads_nothing_of_its_answer_is_h28() {
    let (router, dyno) = start("HOSTLER_TIMEOUTS_IDLE");
    let mut client = router.connect();
    client.send(GET);
    let mut conn = dyno.accept();
    conn.take_request();
    conn.send("HTTP/1.1 200 OK\r\n\r\n");
    // More than the sockets hold; the router ends it, so that the rest is not taken.
    let block = [b'x'; 1 << 16];
    let mut sent = 0;
    while conn.try_send(&block).is_ok() {
        sent += block.len();
        assert!(sent < 1 << 30, "the router takes all of it");
    }
    router.log.wait_for("at=warning code=H28");
    let (_, end) = client.take_all();
    assert_eq!(end, End::Reset);
}

#[test]
fn a_kept_connection_to_a_dyno_is_closed_when_its_time_is_over() {
    let (router, dyno) = start("HOSTLER_TIMEOUTS_POOL_IDLE");
    let mut client = router.connect();
    client.send(GET);
    let mut conn = dyno.accept();
    conn.take_request();
    conn.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    assert_eq!(client.take_answer().text(), "ok");
    assert_eq!(conn.take_end(), End::Closed);
}
