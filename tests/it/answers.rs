//! Answers of dynos that cannot be trusted: 502 or 503 with the code that says why.
//!
//! Invariant: a dyno's connection that sent something wrong carries no other exchange.

use crate::harness::{Conn, Dyno, Router};

fn start() -> (Router, Dyno) {
    let (router, dyno) = (Router::start(), Dyno::new());
    router.app("one", "a.test", &[&dyno.addr]);
    (router, dyno)
}

fn request(router: &Router, dyno: &Dyno) -> (Conn, Conn) {
    let mut client = router.connect();
    client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    let mut dyno = dyno.accept();
    dyno.take_request();
    (client, dyno)
}

#[test]
fn a_malformed_answer_is_502_and_its_connection_is_closed() {
    let (router, dyno) = start();
    for (answer, code) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n", "H17"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok", "H25"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok", "H25"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok", "H25"),
        ("HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\nok", "H25"),
        ("HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok", "H25"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", "H17"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "H17"),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
            "H17",
        ),
        ("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "H17"),
        ("HTTP/1.1 200 OK\nContent-Length: 2\r\n\r\nok", "H17"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\n\r\nok", "H17"),
        ("HTTP/1.1 200 OK\r\nX: a\rb\r\nContent-Length: 2\r\n\r\nok", "H17"),
        ("HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nok", "H17"),
        ("HTTP/1.1 200 OK\r\nX: y\r\n z\r\nContent-Length: 2\r\n\r\nok", "H17"),
        ("HTTP/1.1 200 OK\r\n X: y\r\nContent-Length: 2\r\n\r\nok", "H17"),
        ("HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 2\r\n\r\nok", "H17"),
        ("HTTP/1.1 200 OK\r\nX y: z\r\nContent-Length: 2\r\n\r\nok", "H17"),
        ("HTTP/1.1 200 OK\r\nConnection: content-length\r\nContent-Length: 2\r\n\r\nok", "H17"),
        ("HTTP/1.1 20 OK\r\n\r\n", "H17"),
        ("HTTP/1.1 099 Low\r\n\r\n", "H17"),
        ("HTTP/1.1 2000 OK\r\n\r\n", "H17"),
        ("HTTP/2 200 OK\r\n\r\n", "H17"),
        ("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", "H17"),
        ("SSH-2.0-OpenSSH_9.2\r\n\r\n", "H17"),
        ("220 mail.test ESMTP\r\n\r\n", "H17"),
    ] {
        let (mut client, mut dyno) = request(&router, &dyno);
        dyno.send(answer);
        let got = client.take_answer();
        assert_eq!(got.verdict(), (502, code), "{answer:?}");
        dyno.take_end();
        // The client did nothing wrong: its connection goes on.
        assert_eq!(got.head.get("connection"), None, "{answer:?}");
    }
}

#[test]
fn an_answer_over_its_bounds_is_h25() {
    let (router, dyno) = start();
    let line = format!("HTTP/1.1 200 {}\r\n\r\n", "x".repeat(9000));
    let cookie = format!("HTTP/1.1 200 OK\r\nSet-Cookie: {}\r\n\r\n", "x".repeat(8300));
    let header = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(530_000));
    let endless = format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(1_100_000));
    for (answer, desc) in
        [(line, "status line"), (cookie, "cookie"), (header, "header"), (endless, "header")]
    {
        let (mut client, mut dyno) = request(&router, &dyno);
        // The router may have had enough before all of it is sent.
        let _ = dyno.try_send(answer.as_bytes());
        assert_eq!(client.take_answer().verdict(), (502, "H25"), "{desc}");
        router.log.wait_for(&format!("code=H25 desc=\"HTTP restriction: oversized {desc}\""));
    }
}

#[test]
fn a_large_answer_head_within_its_bounds_passes() {
    let (router, dyno) = start();
    let (mut client, mut dyno) = request(&router, &dyno);
    let value = "x".repeat(400_000);
    dyno.send(format!("HTTP/1.1 200 OK\r\nX: {value}\r\nContent-Length: 2\r\n\r\nok"));
    let answer = client.take_answer();
    assert_eq!(answer.head.get("x"), Some(value.as_str()));
    assert_eq!(answer.text(), "ok");
}

#[test]
fn a_dyno_that_closes_before_its_answer_is_h13() {
    let (router, dyno) = start();
    let mut client = router.connect();
    client.send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 2\r\n\r\nhi");
    let mut conn = dyno.accept();
    conn.take_request();
    drop(conn);
    assert_eq!(client.take_answer().verdict(), (503, "H13"));
    router.log.wait_for("code=H13 desc=\"Connection closed without response\" method=POST");
}

#[test]
fn a_dyno_that_closes_within_its_head_is_h18() {
    let (router, dyno) = start();
    let (mut client, mut dyno) = request(&router, &dyno);
    dyno.send("HTTP/1.1 200 OK\r\nContent-");
    drop(dyno);
    assert_eq!(client.take_answer().verdict(), (503, "H18"));
    router.log.wait_for("sock=backend at=error code=H18");
}

#[test]
fn a_body_that_breaks_off_is_not_ended_in_order() {
    let (router, dyno) = start();
    for head in ["Content-Length: 10\r\n\r\nhello", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello"]
    {
        let (mut client, mut dyno) = request(&router, &dyno);
        dyno.send(format!("HTTP/1.1 200 OK\r\n{head}"));
        assert_eq!(client.take_head().status(), 200);
        client.take_until("hello");
        drop(dyno);
        // Neither a last chunk nor anything else that could pass for a whole answer.
        client.take_end();
    }
    router.log.wait_for_many("code=H18", 2);
}

#[test]
fn a_malformed_chunk_of_a_dyno_cuts_the_answer() {
    let (router, dyno) = start();
    for chunk in ["x\r\n", "5 \r\nhello\r\n", "5\nhello\r\n", "2\r\nabc\r\n", "\r\n"] {
        let (mut client, mut dyno) = request(&router, &dyno);
        dyno.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n");
        assert_eq!(client.take_head().status(), 200);
        client.take_until("2\r\nok\r\n");
        dyno.send(chunk);
        let (rest, _) = client.take_all();
        let rest = String::from_utf8_lossy(&rest);
        assert!(!rest.contains("0\r\n\r\n"), "{chunk:?} became {rest:?}");
        dyno.take_all();
    }
}

#[test]
fn bytes_behind_an_answer_never_reach_another_client() {
    let (router, dyno) = start();
    let mut client = router.connect();
    client.send("GET /1 HTTP/1.1\r\nHost: a.test\r\n\r\n");
    let mut first = dyno.accept();
    first.take_request();
    first.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n\r\nevil");
    assert_eq!(client.take_answer().text(), "ok");
    client.send("GET /2 HTTP/1.1\r\nHost: a.test\r\n\r\n");
    let mut second = dyno.accept();
    assert_eq!(second.take_request().head.line, "GET /2 HTTP/1.1");
    second.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood");
    assert_eq!(client.take_answer().text(), "good");
    first.take_end();
}

#[test]
fn an_answer_before_any_request_is_not_used() {
    let (router, dyno) = start();
    let (mut client, mut first) = request(&router, &dyno);
    first.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    assert_eq!(client.take_answer().text(), "ok");
    // On a kept connection, unasked.
    first.send("HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n");
    first.take_end();
    client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    let mut second = dyno.accept();
    second.take_request();
    second.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood");
    assert_eq!(client.take_answer().text(), "good");
}
