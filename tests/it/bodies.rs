//! Bodies in both directions: by length, chunked, until close; what has none; trailers.
//!
//! Invariant: a body arrives whole and framed as the head before it says, or not as a whole at all.

use crate::harness::{Conn, Dyno, End, Router};

fn start() -> (Router, Dyno) {
    let (router, dyno) = (Router::start(), Dyno::new());
    router.app("one", "a.test", &[&dyno.addr]);
    (router, dyno)
}

/// Sends a request; answers both ends, the request taken by the dyno.
fn exchange(router: &Router, dyno: &Dyno, request: &str) -> (Conn, Conn) {
    let mut client = router.connect();
    client.send(request);
    let mut conn = dyno.accept();
    conn.take_request();
    (client, conn)
}

const GET: &str = "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";

#[test]
fn a_request_body_by_length_arrives_with_its_length() {
    let (router, dyno) = start();
    let mut client = router.connect();
    client.send("POST / HTTP/1.1\r\nHost: a.test\r\ncontent-length: 0011\r\n\r\nhello world");
    let mut conn = dyno.accept();
    let request = conn.take_request();
    assert_eq!(request.head.get("content-length"), Some("11"));
    assert_eq!(request.head.get("transfer-encoding"), None);
    assert_eq!(request.text(), "hello world");
    conn.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(client.take_answer().status(), 200);
}

#[test]
fn a_request_without_a_body_gets_no_framing() {
    let (router, dyno) = start();
    let mut client = router.connect();
    client.send("DELETE / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    let head = dyno.accept().take_head();
    assert_eq!(head.all("content-length"), [""; 0]);
    assert_eq!(head.all("transfer-encoding"), [""; 0]);
}

#[test]
fn a_post_with_an_empty_body_says_so_to_the_dyno() {
    let (router, dyno) = start();
    let mut client = router.connect();
    client.send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(dyno.accept().take_head().get("content-length"), Some("0"));
}

#[test]
fn a_chunked_request_arrives_chunked_with_its_trailers() {
    let (router, dyno) = start();
    let mut client = router.connect();
    client.send("POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n");
    let mut conn = dyno.accept();
    let head = conn.take_head();
    assert!(head.is_chunked(), "{head:?}");
    // Each chunk goes on before the next one is there.
    for text in ["hello", " ", "world"] {
        client.send(format!("{:x}\r\n{text}\r\n", text.len()));
        conn.take_until(text);
    }
    client.send("0\r\nX-Sum: 42\r\n\r\n");
    let end = String::from_utf8(conn.take_until("\r\n\r\n")).unwrap();
    assert_eq!(end, "\r\n0\r\nX-Sum: 42\r\n\r\n");
    conn.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    assert_eq!(client.take_answer().text(), "ok");
}

#[test]
fn a_malformed_chunk_of_a_client_is_400_and_the_dyno_does_not_take_it_for_the_end() {
    let (router, dyno) = start();
    for chunk in ["x\r\n", "5 \r\nhello\r\n", "5\nhello\r\n", "2\r\nabc\r\n", "-1\r\n", "\r\n"] {
        let mut client = router.connect();
        client.send("POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n");
        let mut conn = dyno.accept();
        conn.take_head();
        client.send("2\r\nok\r\n");
        conn.take_until("2\r\nok\r\n");
        client.send(chunk);
        let answer = client.take_answer();
        assert_eq!(answer.verdict(), (400, "H26"), "{chunk:?}");
        assert_eq!(answer.head.get("connection"), Some("close"), "{chunk:?}");
        let (rest, _) = conn.take_all();
        let rest = String::from_utf8_lossy(&rest);
        assert!(!rest.contains("0\r\n\r\n"), "{chunk:?} became {rest:?}");
    }
    router.log.wait_for("code=H26 desc=\"Request Error\" cause=\"bad chunk\" method=POST");
}

#[test]
fn a_chunked_answer_passes_chunk_by_chunk_with_its_trailers() {
    let (router, dyno) = start();
    let (mut client, mut conn) = exchange(&router, &dyno, GET);
    conn.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n");
    let head = client.take_head();
    assert!(head.is_chunked(), "{head:?}");
    for text in ["hello", " ", "world"] {
        conn.send(format!("{:x}\r\n{text}\r\n", text.len()));
        client.take_until(&format!("{text}\r\n"));
    }
    conn.send("0\r\nX-Sum: 42\r\n\r\n");
    assert_eq!(client.take_line(), "0");
    assert_eq!(client.take_line(), "X-Sum: 42");
    assert_eq!(client.take_line(), "");
    // The end was understood: both connections carry the next exchange.
    client.send(GET);
    conn.take_request();
}

#[test]
fn trailers_pass_both_ways() {
    let (router, dyno) = start();
    let mut client = router.connect();
    client.send(
        "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n\
         2\r\nhi\r\n0\r\nX-Sum: 1\r\nX-More: 2\r\n\r\n",
    );
    let mut conn = dyno.accept();
    let request = conn.take_request();
    assert_eq!(request.trailers, ["X-Sum: 1", "X-More: 2"]);
    conn.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-Sum: 3\r\n\r\n");
    assert_eq!(client.take_answer().trailers, ["X-Sum: 3"]);
}

#[test]
fn an_answer_until_close_ends_the_clients_connection() {
    let (router, dyno) = start();
    let (mut client, mut conn) = exchange(&router, &dyno, GET);
    conn.send("HTTP/1.1 200 OK\r\n\r\nhello");
    let head = client.take_head();
    assert_eq!(head.get("connection"), Some("close"));
    assert_eq!(head.length(), None);
    assert!(!head.is_chunked());
    assert_eq!(client.take(5), b"hello");
    conn.send(" world");
    drop(conn);
    assert_eq!(client.take_all(), (b" world".to_vec(), End::Closed));
}

#[test]
fn an_answer_until_close_that_breaks_off_is_a_reset() {
    let (router, dyno) = start();
    let (mut client, mut conn) = exchange(&router, &dyno, GET);
    conn.send("HTTP/1.1 200 OK\r\n\r\nhello");
    client.take_head();
    assert_eq!(client.take(5), b"hello");
    conn.reset();
    // An end in order would say that the answer is whole.
    assert_eq!(client.take_end(), End::Reset);
}

#[test]
fn answers_without_a_body_leave_the_connection_in_step() {
    let (router, dyno) = start();
    let mut client = router.connect();
    client.send("HEAD /1 HTTP/1.1\r\nHost: a.test\r\n\r\n");
    let mut conn = dyno.accept();
    conn.take_request();
    conn.send("HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n");
    let head = client.take_head();
    assert_eq!(head.get("content-length"), Some("1234"));
    client.send("HEAD /2 HTTP/1.1\r\nHost: a.test\r\n\r\n");
    conn.take_request();
    conn.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert_eq!(client.take_head().status(), 200);
    client.send(GET);
    conn.take_request();
    conn.send("HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\nETag: \"x\"\r\n\r\n");
    let head = client.take_head();
    assert_eq!((head.status(), head.get("content-length")), (304, Some("99")));
    client.send(GET);
    conn.take_request();
    conn.send("HTTP/1.1 204 No Content\r\n\r\n");
    let head = client.take_head();
    assert_eq!((head.status(), head.get("content-length")), (204, None));
    client.send(GET);
    conn.take_request();
    conn.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlast");
    assert_eq!(client.take_answer().text(), "last");
}

#[test]
fn a_fault_answers_head_without_a_body() {
    let router = Router::start();
    let mut client = router.connect();
    client.send("HEAD / HTTP/1.1\r\nHost: no.test\r\n\r\n");
    assert_eq!(client.take_head().status(), 404);
    assert_eq!(client.get("no.test", "/").status(), 404);
}

#[test]
fn who_expects_100_is_invited_to_send_and_the_dyno_never_hears_of_it() {
    let (router, dyno) = start();
    let mut client = router.connect();
    client.send(
        "POST / HTTP/1.1\r\nHost: a.test\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n",
    );
    let mut conn = dyno.accept();
    let head = conn.take_head();
    assert_eq!(head.get("expect"), None);
    let interim = client.take_head();
    assert_eq!((interim.status(), interim.fields.len()), (100, 0));
    client.send("hello");
    assert_eq!(conn.take(5), b"hello");
    conn.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    assert_eq!(client.take_answer().text(), "ok");
}

#[test]
fn who_expects_100_from_nobody_is_told_so_instead() {
    let router = Router::start();
    let mut client = router.connect();
    client.send(
        "POST / HTTP/1.1\r\nHost: no.test\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n",
    );
    let answer = client.take_answer();
    assert_eq!(answer.verdict(), (404, "unknown_host"));
    assert_eq!(answer.head.get("connection"), Some("close"));
}

#[test]
fn early_hints_pass_before_the_answer() {
    let (router, dyno) = start();
    let (mut client, mut conn) = exchange(&router, &dyno, GET);
    conn.send("HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n");
    let hints = client.take_head();
    assert_eq!(hints.status(), 103);
    assert_eq!(hints.get("link"), Some("</a.css>; rel=preload"));
    assert_eq!(hints.get("content-length"), None);
    conn.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    assert_eq!(client.take_answer().text(), "ok");
}

#[test]
fn endless_interim_answers_are_502() {
    let (router, dyno) = start();
    let (mut client, mut conn) = exchange(&router, &dyno, GET);
    conn.send("HTTP/1.1 102 Processing\r\n\r\n".repeat(1000));
    let last = std::iter::repeat_with(|| client.take_head()).find(|head| head.status() >= 200);
    assert_eq!(last.unwrap().status(), 502);
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let (router, dyno) = start();
    let mut client = router.connect();
    client.send(
        "POST /1 HTTP/1.1\r\nHost: a.test\r\nContent-Length: 3\r\n\r\none\
         GET /2 HTTP/1.1\r\nHost: no.test\r\n\r\n\
         POST /3 HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n\
         5\r\nthree\r\n0\r\n\r\n\
         GET /4 HTTP/1.1\r\nHost: a.test\r\n\r\n",
    );
    let mut conn = dyno.accept();
    for (line, body) in [("POST /1", "one"), ("POST /3", "three"), ("GET /4", "")] {
        let request = conn.take_request();
        assert_eq!(request.head.line, format!("{line} HTTP/1.1"));
        assert_eq!(request.text(), body);
        conn.send(format!("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n{line:7}"));
        assert_eq!(client.take_answer().text(), format!("{line:7}"));
        if line == "POST /1" {
            assert_eq!(client.take_answer().verdict(), (404, "unknown_host"));
        }
    }
}

#[test]
fn a_dyno_on_a_socket_serves_like_one_on_a_port() {
    let sockets = tempfile::tempdir().unwrap();
    let router = Router::with(&[("HOSTLER_DYNOS_SOCKET_DIRS", sockets.path().to_str().unwrap())]);
    let dyno = Dyno::unix(&sockets.path().join("web.1"));
    router.app("one", "a.test", &[&dyno.addr]);
    let mut client = router.connect();
    client.send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\n\r\nhello");
    let mut conn = dyno.accept();
    assert_eq!(conn.take_request().text(), "hello");
    conn.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    assert_eq!(client.take_answer().text(), "ok");
    client.send(GET);
    assert_eq!(conn.take_request().head.line, "GET / HTTP/1.1");
}
