//! Faults of a dyno that took the connection.
//!
//! Invariants: the dyno's connection carries no other exchange; after an answer that breaks the
//! rules the client's is closed too, after any other fault that was answered it goes on.

use serde_json::json;

use super::{faults::faults, *};
use crate::harness::{Answer, End};

/// Not idempotent, so that it is never sent twice.
const POST: &str = "POST /x?y HTTP/1.1\r\nHost: a.test\r\nContent-Length: 2\r\n\r\nhi";
const ASKED: &str = "POST /x?y a.test";

/// The end of the line of an answered fault: its page was all that the client got.
fn with_page(answer: &Answer) -> String {
    let (status, bytes) = (answer.status(), answer.body.len());
    assert!(bytes > 0);
    format!("dyno=web.1 connect=# service=# status={status} bytes={bytes}")
}

/// The dyno answers with bytes that are refused: 502, and both connections are closed.
fn refused(x: &mut Case, answer: &str, code: &str) -> Answer {
    let mut dyno = x.play(POST, answer);
    let refused = x.is_refused(502, code);
    dyno.take_end();
    x.counts(code, 1);
    assert!(x.web.is_idle());
    refused
}

faults! {
    RequestTimeout => fn h12_no_byte_of_an_answer_in_time(
        x: Setup::app(json!({"timeouts.first_byte": "200ms"}))
    ) {
        let (_, mut dyno) = x.ask(POST);
        x.is_answered(503, "H12");
        dyno.take_end();
        let rest = "dyno=web.1 connect=# service=# status=503 bytes=0";
        x.logs("at=error code=H12 desc=\"Request timeout\"", ASKED, rest);
        x.counts("H12", 1);
        x.client_goes_on();
    }

    ClosedWithoutResponse => fn h13_closed_before_the_first_byte(x) {
        let (request, dyno) = x.ask(POST);
        assert_eq!(request.text(), "hi");
        drop(dyno);
        x.is_answered(503, "H13");
        let start = "at=error code=H13 desc=\"Connection closed without response\"";
        x.logs(start, ASKED, "dyno=web.1 connect=# service=# status=503 bytes=0");
        x.counts("H13", 1);
        assert!(x.web.is_idle());
        x.client_goes_on();
    }

    IdleConnection => fn h15_silent_within_the_head(
        x: Setup::app(json!({"timeouts.idle": "200ms"}))
    ) {
        let mut dyno = x.play(POST, "HTTP/1.1 200 OK\r\nContent-");
        let answer = x.is_answered(503, "H15");
        dyno.take_end();
        x.logs("at=error code=H15 desc=\"Idle connection\"", ASKED, &with_page(&answer));
        x.counts("H15", 1);
        x.client_goes_on();
    }

    IdleConnection => fn h15_silent_within_the_body(
        x: Setup::app(json!({"timeouts.idle": "200ms"}))
    ) {
        let mut dyno = x.play(POST, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello");
        assert_eq!(x.client.take_head().status(), 200);
        assert_eq!(x.client.take(5), b"hello");
        x.client_is_cut();
        dyno.take_end();
        let rest = "dyno=web.1 connect=# service=# status=200 bytes=5";
        x.logs("at=error code=H15 desc=\"Idle connection\"", ASKED, rest);
        x.counts("H15", 1);
    }

    BadResponse => fn h17_not_http(x) {
        refused(x, "SSH-2.0-OpenSSH_9.2\r\n\r\n", "H17");
        let rest = "dyno=web.1 connect=# service=# status=502 bytes=0";
        x.logs("at=error code=H17 desc=\"Poorly formatted HTTP response\"", ASKED, rest);
    }

    ServerInterrupted => fn h18_closed_within_the_head(x) {
        drop(x.play(POST, "HTTP/1.1 200 OK\r\nContent-"));
        let answer = x.is_answered(503, "H18");
        let start = "sock=backend at=error code=H18 desc=\"Server Request Interrupted\"";
        x.logs(start, ASKED, &with_page(&answer));
        x.counts("H18", 1);
        assert!(x.web.is_idle());
        x.client_goes_on();
    }

    ServerInterrupted => fn h18_reset_before_the_first_byte(x) {
        let (_, dyno) = x.ask(POST);
        dyno.reset();
        let answer = x.is_answered(503, "H18");
        let start = "sock=backend at=error code=H18 desc=\"Server Request Interrupted\"";
        x.logs(start, ASKED, &with_page(&answer));
        assert!(x.web.is_idle());
        x.client_goes_on();
    }

    ServerInterrupted => fn h18_closed_within_a_body_of_a_known_length(x) {
        drop(x.play(POST, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello"));
        assert_eq!(x.client.take_head().status(), 200);
        assert_eq!(x.client.take(5), b"hello");
        x.client_is_cut();
        let start = "sock=backend at=error code=H18 desc=\"Server Request Interrupted\"";
        x.logs(start, ASKED, "dyno=web.1 connect=# service=# status=200 bytes=5");
        x.counts("H18", 1);
    }

    ServerInterrupted => fn h18_closed_within_a_chunked_body(x) {
        let dyno = x.play(POST, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        assert_eq!(x.client.take_head().status(), 200);
        let mut dyno = dyno;
        dyno.send("5\r\nhello\r\n");
        assert_eq!(x.client.take_until("hello\r\n"), b"5\r\nhello\r\n");
        drop(dyno);
        // No last chunk that could pass for the end.
        x.client_is_cut();
        let start = "sock=backend at=error code=H18 desc=\"Server Request Interrupted\"";
        x.logs(start, ASKED, "dyno=web.1 connect=# service=# status=200 bytes=5");
    }

    ServerInterrupted => fn h18_reset_within_a_body_that_ends_with_the_connection(x) {
        let dyno = x.play(POST, "HTTP/1.1 200 OK\r\n\r\nhello");
        assert_eq!(x.client.take_head().status(), 200);
        assert_eq!(x.client.take(5), b"hello");
        dyno.reset();
        // An end in order would pass for the end of the answer.
        assert_eq!(x.client.take_end(), End::Reset);
        let start = "sock=backend at=error code=H18 desc=\"Server Request Interrupted\"";
        x.logs(start, ASKED, "dyno=web.1 connect=# service=# status=200 bytes=5");
    }

    OversizedHeader => fn h25_a_header_over_its_limit(
        x: Setup::app(json!({"limits.response_header": 100}))
    ) {
        let long = "x".repeat(100);
        let answer = refused(x, &format!("HTTP/1.1 200 OK\r\nX: {long}\r\n\r\n"), "H25");
        let start = "at=error code=H25 desc=\"HTTP restriction: oversized header\"";
        x.logs(start, ASKED, &with_page(&answer));
    }

    OversizedHeader => fn h25_a_head_over_its_limit(
        x: Setup::app(json!({"limits.response_head": 1000}))
    ) {
        let lines = "X: y\r\n".repeat(200);
        let answer = refused(x, &format!("HTTP/1.1 200 OK\r\n{lines}\r\n"), "H25");
        let start = "at=error code=H25 desc=\"HTTP restriction: oversized header\"";
        x.logs(start, ASKED, &with_page(&answer));
    }

    OversizedCookie => fn h25_a_cookie_over_its_limit(
        x: Setup::app(json!({"limits.set_cookie": 100}))
    ) {
        let long = "x".repeat(100);
        let answer = refused(x, &format!("HTTP/1.1 200 OK\r\nSet-Cookie: {long}\r\n\r\n"), "H25");
        let start = "at=error code=H25 desc=\"HTTP restriction: oversized cookie\"";
        x.logs(start, ASKED, &with_page(&answer));
    }

    OversizedStatusLine => fn h25_a_status_line_over_its_limit(
        x: Setup::app(json!({"limits.status_line": 100}))
    ) {
        let long = "x".repeat(100);
        let answer = refused(x, &format!("HTTP/1.1 200 {long}\r\n\r\n"), "H25");
        let start = "at=error code=H25 desc=\"HTTP restriction: oversized status line\"";
        x.logs(start, ASKED, &with_page(&answer));
    }

    InvalidContentLength => fn h25_a_length_that_cannot_be_trusted(x) {
        let two = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nhey";
        let answer = refused(x, two, "H25");
        let start = "at=error code=H25 desc=\"HTTP restriction: invalid content length\"";
        x.logs(start, ASKED, &with_page(&answer));
    }
}
