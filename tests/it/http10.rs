//! Clients and dynos that speak HTTP/1.0.
//!
//! Invariant: the router speaks HTTP/1.1 to both, and to a client of 1.0 only what it understands.

use crate::harness::{Conn, Dyno, End, Router};

fn start() -> (Router, Dyno) {
    let (router, dyno) = (Router::start(), Dyno::new());
    router.app("one", "a.test", &[&dyno.addr]);
    (router, dyno)
}

fn ask(router: &Router, dyno: &Dyno, lines: &str) -> (Conn, Conn) {
    let mut client = router.connect();
    client.send(format!("GET / HTTP/1.0\r\nHost: a.test\r\n{lines}\r\n"));
    let mut conn = dyno.accept();
    let head = conn.take_request().head;
    assert_eq!(head.line, "GET / HTTP/1.1");
    assert_eq!(head.get("via"), Some("1.0 hostler"));
    (client, conn)
}

#[test]
fn a_client_of_1_0_is_answered_and_closed() {
    let (router, dyno) = start();
    let (mut client, mut conn) = ask(&router, &dyno, "");
    conn.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let answer = client.take_answer();
    assert_eq!(answer.head.get("connection"), Some("close"));
    assert_eq!(answer.text(), "ok");
    assert_eq!(client.take_end(), End::Closed);
}

#[test]
fn a_client_of_1_0_that_asks_for_keep_alive_gets_it_said() {
    let (router, dyno) = start();
    let (mut client, mut conn) = ask(&router, &dyno, "Connection: Keep-Alive\r\n");
    for _ in 0..2 {
        conn.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        let answer = client.take_answer();
        assert_eq!(answer.head.get("connection"), Some("keep-alive"));
        client.send("GET / HTTP/1.0\r\nHost: a.test\r\nConnection: keep-alive\r\n\r\n");
        conn.take_request();
    }
}

#[test]
fn a_chunked_answer_reaches_a_client_of_1_0_without_its_chunks() {
    let (router, dyno) = start();
    let (mut client, mut conn) = ask(&router, &dyno, "Connection: keep-alive\r\n");
    conn.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
    let head = client.take_head();
    assert_eq!(head.all("transfer-encoding"), [""; 0]);
    assert_eq!(head.get("connection"), Some("close"));
    assert_eq!(client.take(5), b"hello");
    conn.send("1;x=y\r\n \r\n5\r\nworld\r\n0\r\nX-Sum: 1\r\n\r\n");
    assert_eq!(client.take_all(), (b" world".to_vec(), End::Closed));
}

#[test]
fn interim_answers_are_withheld_from_a_client_of_1_0() {
    let (router, dyno) = start();
    let (mut client, mut conn) = ask(&router, &dyno, "");
    conn.send("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
    conn.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    assert_eq!(client.take_answer().text(), "ok");
}

#[test]
fn an_expectation_of_a_client_of_1_0_is_ignored() {
    let (router, dyno) = start();
    let mut client = router.connect();
    client.send(
        "POST / HTTP/1.0\r\nHost: a.test\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nhi",
    );
    let mut conn = dyno.accept();
    assert_eq!(conn.take_request().text(), "hi");
    conn.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    assert_eq!(client.take_answer().text(), "ok");
}

#[test]
fn a_dyno_of_1_0_is_closed_behind_its_answer() {
    let (router, dyno) = start();
    let mut client = router.connect();
    for round in 0..2 {
        client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
        let mut conn = dyno.accept();
        conn.take_request();
        conn.send("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok");
        let answer = client.take_answer();
        assert_eq!(answer.head.get("via"), Some("1.0 hostler"), "round {round}");
        assert_eq!(answer.text(), "ok");
        conn.take_end();
    }
}

#[test]
fn a_dyno_of_1_0_that_keeps_its_connection_is_used_again() {
    let (router, dyno) = start();
    let mut client = router.connect();
    client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    let mut conn = dyno.accept();
    for _ in 0..2 {
        conn.take_request();
        conn.send("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok");
        assert_eq!(client.take_answer().text(), "ok");
        client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    }
}
