//! Much at once: large bodies, slow sides, answers that overtake their requests.
//!
//! Invariant: what the router holds of a body is bounded, however large it is and however slow the
//! side that takes it.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use serde_json::json;

use crate::harness::{Dyno, Named, Router, until};

/// A body far larger than all buffers on its way.
const LARGE: usize = 10 << 20;
/// More than the kernel's buffers of four sockets hold, so that a side that does not read is felt.
const ENDLESS: usize = 256 << 20;
/// How long no byte goes before a sender counts as held back.
const SILENCE: Duration = Duration::from_millis(500);
/// The most memory that an exchange may cost the router, whatever it carries.
const MOST_HELD: usize = 4 << 20;

fn start() -> (Router, Dyno) {
    let (router, dyno) = (Router::start(), Dyno::new());
    router.app("one", "a.test", &[&dyno.addr]);
    (router, dyno)
}

/// Bytes in which a lost or a doubled block shows.
fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i % 251) as u8 ^ (i >> 16) as u8).collect()
}

fn chunks(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for chunk in body.chunks(70_001) {
        out.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
        out.extend_from_slice(chunk);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"0\r\n\r\n");
    out
}

#[test]
fn ten_megabytes_come_down_whole_by_length_and_chunked() {
    let (router, dyno) = start();
    let body = pattern(LARGE);
    let sent = body.clone();
    let serving = thread::spawn(move || {
        let mut conn = dyno.accept();
        conn.take_request();
        conn.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {LARGE}\r\n\r\n"));
        conn.send(&sent);
        conn.take_request();
        conn.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        conn.send(chunks(&sent));
    });
    let mut client = router.connect();
    assert!(client.get("a.test", "/length").body == body);
    assert!(client.get("a.test", "/chunked").body == body);
    serving.join().unwrap();
    let lines = router.log.wait_for_many("status=200", 2);
    assert!(lines.iter().all(|line| line.contains(&format!(" bytes={LARGE} "))), "{lines:?}");
}

#[test]
fn ten_megabytes_go_up_whole_by_length_and_chunked() {
    let (router, dyno) = start();
    let body = pattern(LARGE);
    let sent = body.clone();
    let mut client = router.connect();
    let asking = thread::spawn(move || {
        client.send(format!("PUT / HTTP/1.1\r\nHost: a.test\r\nContent-Length: {LARGE}\r\n\r\n"));
        client.send(&sent);
        assert_eq!(client.take_answer().status(), 201);
        client.send("PUT / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n");
        client.send(chunks(&sent));
        assert_eq!(client.take_answer().status(), 201);
    });
    let mut conn = dyno.accept();
    for _ in 0..2 {
        assert!(conn.take_request().body == body);
        conn.send("HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n");
    }
    asking.join().unwrap();
}

#[test]
fn a_client_that_does_not_read_holds_back_its_dyno() {
    let (router, dyno) = start();
    let mut client = router.connect();
    client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    let mut conn = dyno.accept();
    conn.take_request();
    let before = router.resident();
    conn.send("HTTP/1.1 200 OK\r\n\r\n");
    let sent = conn.send_until_blocked(&[b'x'; 1 << 16], ENDLESS, SILENCE);
    assert!(sent < ENDLESS, "the router took {sent} bytes that nobody reads");
    let held = router.resident().saturating_sub(before);
    assert!(held < MOST_HELD, "{held} bytes are held");
    // What was held back comes, all of it.
    drop(conn);
    client.take_head();
    assert_eq!(client.take_all().0.len(), sent);
}

#[test]
fn a_dyno_that_does_not_read_holds_back_its_client() {
    let (router, dyno) = start();
    let mut client = router.connect();
    let head = format!("PUT / HTTP/1.1\r\nHost: a.test\r\nContent-Length: {ENDLESS}\r\n\r\n");
    client.send(head);
    let mut conn = dyno.accept();
    conn.take_head();
    let before = router.resident();
    let sent = client.send_until_blocked(&[b'x'; 1 << 16], ENDLESS, SILENCE);
    assert!(sent < ENDLESS, "the router took {sent} bytes that nobody reads");
    let held = router.resident().saturating_sub(before);
    assert!(held < MOST_HELD, "{held} bytes are held");
    conn.take(sent);
}

#[test]
fn an_answer_that_comes_during_the_upload_is_delivered() {
    let (router, dyno) = start();
    let mut client = router.connect();
    client.send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1000000\r\n\r\nbegin");
    let mut conn = dyno.accept();
    conn.take_head();
    conn.send("HTTP/1.1 413 Content Too Large\r\nContent-Length: 9\r\n\r\ntoo large");
    let answer = client.take_answer();
    assert_eq!((answer.status(), answer.text().as_str()), (413, "too large"));
    // The end of the request is not known, so nothing may follow on this connection.
    assert_eq!(answer.head.get("connection"), Some("close"));
}

#[test]
fn an_answer_of_a_dyno_that_closes_during_the_upload_is_delivered() {
    let (router, dyno) = start();
    let mut client = router.connect();
    client.send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 100000000\r\n\r\n");
    let mut conn = dyno.accept();
    conn.take_head();
    conn.send("HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno");
    conn.shut_write();
    assert_eq!(client.take_answer().status(), 401);
}

#[test]
fn a_stream_is_delivered_piece_by_piece_while_the_client_still_sends() {
    let (router, dyno) = start();
    let mut client = router.connect();
    client.send("POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n");
    let mut conn = dyno.accept();
    conn.take_head();
    conn.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert_eq!(client.take_head().status(), 200);
    for turn in 0..10 {
        client.send(format!("2\r\nu{turn}\r\n"));
        conn.take_until(&format!("2\r\nu{turn}\r\n"));
        conn.send(format!("2\r\nd{turn}\r\n"));
        client.take_until(&format!("2\r\nd{turn}\r\n"));
    }
    client.send("0\r\n\r\n");
    conn.take_until("0\r\n\r\n");
    conn.send("0\r\n\r\n");
    client.take_until("0\r\n\r\n");
}

#[test]
fn a_client_that_leaves_while_its_dyno_works_closes_the_dynos_connection() {
    let (router, dyno) = start();
    let mut client = router.connect();
    client.send("GET /slow HTTP/1.1\r\nHost: a.test\r\n\r\n");
    let mut conn = dyno.accept();
    conn.take_request();
    client.reset();
    conn.take_end();
    let line = router.log.wait_for("code=H27");
    assert!(
        line.starts_with("sock=client at=warning code=H27 desc=\"Client Request Interrupted\""),
        "{line}"
    );
    assert!(line.contains(" status=499 "), "{line}");
}

#[test]
fn a_client_that_leaves_within_an_answer_closes_the_dynos_connection() {
    let (router, dyno) = start();
    let mut client = router.connect();
    client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    let mut conn = dyno.accept();
    conn.take_request();
    conn.send("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nbegin");
    client.take_until("begin");
    client.reset();
    conn.take_end();
    router.log.wait_for("sock=client at=warning code=H27");
}

#[test]
fn a_client_that_leaves_within_its_body_closes_the_dynos_connection() {
    let (router, dyno) = start();
    let mut client = router.connect();
    client.send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 10\r\n\r\nhello");
    let mut conn = dyno.accept();
    conn.take_until("hello");
    drop(client);
    conn.take_end();
    router.log.wait_for("sock=client at=warning code=H27");
}

#[test]
fn no_exchange_is_left_in_flight_after_its_client_left() {
    let (router, dyno) = start();
    let mut client = router.connect();
    client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    let conn = dyno.accept();
    drop(client);
    drop(conn);
    until("the connection is gone", || router.metric("hostler_connections_open") == 0.0);
}

#[test]
fn no_request_is_lost_in_a_storm_of_pushes() {
    const PUSHES: usize = 300;
    let router = Router::start();
    let dynos = [Named::start("one"), Named::start("two")];
    router.app("one", "a.test", &[&dynos[0].addr]);
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let ask = || {
            let mut asked = 0;
            while !over.load(Ordering::SeqCst) {
                let mut client = router.connect();
                for _ in 0..20 {
                    let answer = client.get("a.test", "/");
                    assert_eq!(answer.status(), 200, "{answer:?}");
                    asked += 1;
                }
            }
            asked
        };
        let clients: Vec<_> = (0..3).map(|_| scope.spawn(ask)).collect();
        // The app's dyno is another one after each push, and other apps come and go beside it.
        for turn in 0..PUSHES {
            let release = format!("v{turn}");
            let addr = &dynos[turn % 2].addr;
            let reply = router.transact(&[
                ("PUT", "/apps/one/dynos/web.1", json!({"addr": addr, "release": release})),
                ("PUT", &format!("/apps/x{turn}"), json!({})),
                ("PUT", &format!("/apps/x{turn}/routes/x{turn}.a.test"), json!({})),
            ]);
            assert_eq!(reply.status(), 200, "{reply:?}");
        }
        over.store(true, Ordering::SeqCst);
        let asked: usize = clients.into_iter().map(|client| client.join().unwrap()).sum();
        assert!(asked >= 60 && dynos[0].requests() > 0 && dynos[1].requests() > 0);
    });
}

#[test]
fn an_answer_of_a_dyno_that_resets_the_rest_of_the_upload_is_delivered() {
    let (router, dyno) = start();
    for _ in 0..10 {
        let mut client = router.connect();
        client.send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 500000\r\n\r\n");
        let mut conn = dyno.accept();
        conn.take_head();
        client.send([b'x'; 100_000]);
        conn.take(1);
        conn.send("HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno");
        // With unread bytes this is a reset.
        drop(conn);
        // The client may meet it too, but not before it has its answer.
        let _ = client.try_send(&[b'x'; 400_000]);
        let answer = client.take_answer();
        assert_eq!((answer.status(), answer.text().as_str()), (413, "no"));
    }
}
