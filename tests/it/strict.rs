//! Requests that two readers could read differently: refused, closed, and never seen by a dyno.
//!
//! Invariant: a verdict does not depend on how the bytes were split on their way; each case is sent
//! in two pieces at every border, on connections of their own.

use crate::harness::{Conn, Dyno, Named, Router};

/// Heads (with what follows them) that are refused with 400.
const BAD: &[&str] = &[
    // Content-Length beside Transfer-Encoding.
    "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n",
    // More than one Content-Length, or a list.
    "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
    "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
    "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 3, 3\r\n\r\nabc",
    // A Content-Length that is no number.
    "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: +3\r\n\r\nabc",
    "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: -1\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 0x3\r\n\r\nabc",
    "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1 1\r\n\r\nabc",
    "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length:\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 18446744073709551617\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 9223372036854775808\r\n\r\n",
    // Any Transfer-Encoding but a single final chunked.
    "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: gzip\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: identity\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked;x\r\n\r\n0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding:\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\
     Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    // Transfer-Encoding in HTTP/1.0.
    "POST / HTTP/1.0\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    // Bare LF and CR as line ends.
    "GET / HTTP/1.1\nHost: a.test\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a.test\n\r\n",
    "GET / HTTP/1.1\r\nHost: a.test\r\n\n",
    "GET / HTTP/1.1\nHost: a.test\n\n",
    "GET / HTTP/1.1\r\nHost: a.test\rX: y\r\n\r\n",
    "GET / HTTP/1.1\rHost: a.test\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a.test\r\r\n\r\n",
    // White space before a colon or at the start of a line.
    "GET / HTTP/1.1\r\nHost : a.test\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length : 3\r\n\r\nabc",
    "GET / HTTP/1.1\r\nHost: a.test\r\nX\t: y\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a.test\r\nX: y\r\n z\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a.test\r\nX: y\r\n\tz\r\n\r\n",
    "GET / HTTP/1.1\r\n Host: a.test\r\n\r\n",
    // Bytes that names and values may not have.
    "GET / HTTP/1.1\r\nHost: a.test\r\nX: a\0b\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a.test\r\nX: a\x01b\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a.test\r\nX: a\x7fb\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a.test\r\nX y: z\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a.test\r\nX(y): z\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a.test\r\nX\u{e9}: z\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a.test\r\n: z\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a.test\r\nno colon\r\n\r\n",
    // Host: one, valid, and the target's.
    "GET / HTTP/1.1\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a.test\r\nHost: a.test\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a.test\r\nHost: b.test\r\n\r\n",
    "GET / HTTP/1.1\r\nHost:\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a test\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a.test, b.test\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a.test/x\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: u@a.test\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a.test:http\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a.test:80:80\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: .a.test\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: *.a.test\r\n\r\n",
    "GET http://b.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n",
    "GET http://a.test:81/ HTTP/1.1\r\nHost: a.test\r\n\r\n",
    "GET http://u@a.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n",
    // Request lines.
    "GET /\r\nHost: a.test\r\n\r\n",
    "GET  / HTTP/1.1\r\nHost: a.test\r\n\r\n",
    "GET\t/\tHTTP/1.1\r\nHost: a.test\r\n\r\n",
    "GET / x HTTP/1.1\r\nHost: a.test\r\n\r\n",
    "GET / HTTP/1.1 \r\nHost: a.test\r\n\r\n",
    "G@T / HTTP/1.1\r\nHost: a.test\r\n\r\n",
    "GET x HTTP/1.1\r\nHost: a.test\r\n\r\n",
    "GET * HTTP/1.1\r\nHost: a.test\r\n\r\n",
    "GET ftp://a.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n",
    // A Connection that names what must stay.
    "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: host\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a.test\r\nConnection: Content-Length\r\nContent-Length: 3\r\n\r\nabc",
    "POST / HTTP/1.1\r\nHost: a.test\r\nConnection: transfer-encoding\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close, X-Forwarded-For\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: x-request-id\r\n\r\n",
];

fn start() -> (Router, Dyno) {
    let (router, dyno) = (Router::start(), Dyno::new());
    router.app("one", "a.test", &[&dyno.addr]);
    (router, dyno)
}

/// Sends in two pieces and takes the refusal and the end.
fn is_refused(mut client: Conn, case: &[u8], border: usize) {
    let shown = || format!("{:?} split at {border}", String::from_utf8_lossy(case));
    client.send(&case[..border]);
    // What comes after the refusal may meet a closed connection.
    let _ = client.try_send(&case[border..]);
    let answer = client.take_answer();
    assert_eq!(answer.verdict(), (400, "bad_request"), "{}", shown());
    assert_eq!(answer.head.get("connection"), Some("close"), "{}", shown());
    // The rest of a client that was refused early is read, so that it sees the answer.
    client.shut_write();
    client.take_end();
}

/// The first request that the dyno gets is this one: none of those before reached it.
fn nothing_came_before(router: &Router, dyno: &Dyno) {
    assert!(dyno.is_idle());
    let mut client = router.connect();
    client.send("GET /first HTTP/1.1\r\nHost: a.test\r\n\r\n");
    assert_eq!(dyno.accept().take_request().head.line, "GET /first HTTP/1.1");
}

#[test]
fn a_request_with_ambiguous_framing_is_400_and_no_dyno_sees_it() {
    let (router, dyno) = start();
    for case in BAD {
        is_refused(router.connect(), case.as_bytes(), case.len());
    }
    nothing_came_before(&router, &dyno);
}

#[test]
fn a_refusal_does_not_depend_on_where_the_bytes_were_split() {
    let (router, dyno) = start();
    for case in BAD {
        for border in 1..case.len() {
            is_refused(router.connect(), case.as_bytes(), border);
        }
    }
    nothing_came_before(&router, &dyno);
}

#[test]
fn a_good_request_is_served_wherever_it_is_split() {
    let (router, dyno) = (Router::start(), Named::start("one"));
    router.app("one", "a.test", &[&dyno.addr]);
    let request = "\r\nPOST /x HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: Chunked\r\n\r\n\
                   3;x=\"y\"\r\nabc\r\n0A\r\n0123456789\r\n0\r\nX-Sum: 1\r\n\r\n";
    let mut client = router.connect();
    for border in 1..request.len() {
        client.send(&request[..border]);
        client.send(&request[border..]);
        let answer = client.take_answer();
        assert_eq!(answer.text(), "one POST /x HTTP/1.1 13\n", "split at {border}");
    }
    assert_eq!(dyno.requests(), request.len() - 1);
}

#[test]
fn a_request_in_single_bytes_is_served() {
    let (router, dyno) = (Router::start(), Named::start("one"));
    router.app("one", "a.test", &[&dyno.addr]);
    let mut client = router.connect();
    for byte in b"POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\n\r\nhello" {
        client.send([*byte]);
    }
    assert_eq!(client.take_answer().text(), "one POST / HTTP/1.1 5\n");
}

#[test]
fn what_stands_behind_a_refused_request_is_not_read_as_another() {
    let (router, dyno) = start();
    let mut client = router.connect();
    client.send(
        "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n\
         0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a.test\r\n\r\n",
    );
    assert_eq!(client.take_answer().status(), 400);
    client.shut_write();
    client.take_end();
    nothing_came_before(&router, &dyno);
}

#[test]
fn other_refusals_have_a_status_of_their_own() {
    let (router, dyno) = start();
    let line = format!("GET /{} HTTP/1.1\r\nHost: a.test\r\n\r\n", "x".repeat(9000));
    let value = format!("GET / HTTP/1.1\r\nHost: a.test\r\nX: {}\r\n\r\n", "x".repeat(8193));
    let name = format!("GET / HTTP/1.1\r\nHost: a.test\r\n{}: x\r\n\r\n", "x".repeat(1001));
    let many = format!("GET / HTTP/1.1\r\nHost: a.test\r\n{}\r\n", "X: y\r\n".repeat(1000));
    let endless = "GET / HTTP/1.1\r\nHost: a.test\r\nX: ".to_owned() + &"x".repeat(70_000);
    let headers = "X: ".to_owned() + &"x".repeat(8000) + "\r\n";
    let large = format!("GET / HTTP/1.1\r\nHost: a.test\r\n{}\r\n", headers.repeat(9));
    for (request, status, code) in [
        (line.as_str(), 414, "request_line_too_long"),
        (&value, 431, "headers_too_large"),
        (&name, 431, "headers_too_large"),
        (&many, 431, "headers_too_large"),
        (&endless, 431, "headers_too_large"),
        (&large, 431, "headers_too_large"),
        ("GET / HTTP/2.0\r\nHost: a.test\r\n\r\n", 505, "version_not_supported"),
        ("GET / HTTP/1.2\r\nHost: a.test\r\n\r\n", 505, "version_not_supported"),
        ("GET / HTTP/0.9\r\nHost: a.test\r\n\r\n", 505, "version_not_supported"),
        ("CONNECT a.test:443 HTTP/1.1\r\nHost: a.test\r\n\r\n", 405, "method_not_allowed"),
        ("TRACE / HTTP/1.1\r\nHost: a.test\r\n\r\n", 405, "method_not_allowed"),
        ("GET / HTTP/1.1\r\nHost: a.test\r\nExpect: tea\r\n\r\n", 417, "H26"),
    ] {
        let mut client = router.connect();
        let shown = &request[..request.len().min(60)];
        // The refusal may come before all was sent.
        let _ = client.try_send(request.as_bytes());
        let answer = client.take_answer();
        assert_eq!(answer.verdict(), (status, code), "{shown}");
        assert_eq!(answer.head.get("connection"), Some("close"), "{shown}");
    }
    nothing_came_before(&router, &dyno);
}

#[test]
fn a_head_at_its_bounds_is_served() {
    let (router, dyno) = (Router::start(), Named::start("one"));
    router.app("one", "a.test", &[&dyno.addr]);
    let path = "/".to_owned() + &"x".repeat(8000);
    assert_eq!(router.get("a.test", &path).status(), 200);
    let value = format!("GET / HTTP/1.1\r\nHost: a.test\r\nX: {}\r\n\r\n", "x".repeat(8192));
    assert_eq!(router.connect().ask(value).status(), 200);
    let many = format!("GET / HTTP/1.1\r\nHost: a.test\r\n{}\r\n", "X: y\r\n".repeat(999));
    assert_eq!(router.connect().ask(many).status(), 200);
    let headers = "X: ".to_owned() + &"x".repeat(8000) + "\r\n";
    let large = format!("GET / HTTP/1.1\r\nHost: a.test\r\n{}\r\n", headers.repeat(8));
    assert_eq!(router.connect().ask(large).status(), 200);
}
