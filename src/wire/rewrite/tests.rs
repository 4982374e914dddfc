//! What goes on of a head, and what ends here.
//!
//! Invariant: each test has a whole head, and says the whole of what is written of it, or its
//! beginning.

use super::*;
use crate::wire::{head::parse_request, response};

const ANSWER: Answer<'static> = Answer {
    persistence: Persistence::Implied,
    date: b"now",
    via: "v",
    chunked: true,
    to_head: false,
    keeps_fault: false,
    takes_load: false,
    hsts: None,
};

#[test]
fn a_header_that_connection_names_ends_here_whatever_it_means() {
    let head = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: accept, x-a\r\nAccept: 1\r\n\
        X-A: 2\r\nX-B: 3\r\n\r\n";
    let mut fields = Fields::default();
    let asked = parse_request(head, &mut fields).unwrap();
    let asked = Request::judge(head, &asked, &fields).unwrap();
    let forward = Forward {
        remote: [192, 0, 2, 7].into(),
        http2: false,
        proto: "http",
        port: 80,
        trusted: false,
        expect: false,
        close: false,
        fresh_id: 1,
        start_ms: 2,
        via: "v",
        client_subject: None,
    };
    let mut out = Vec::new();
    request(head, &fields, &asked, &forward, &mut out);
    let text = String::from_utf8(out).unwrap();
    assert!(text.starts_with("GET / HTTP/1.1\r\nHost: a\r\nX-B: 3\r\nX-Forwarded"), "{text}");
}

#[test]
fn no_length_goes_with_a_204_not_even_to_head() {
    let head = b"HTTP/1.1 204 X\r\nContent-Length: 0\r\n\r\n";
    let bounds = response::Bounds { line: 100, cookie: 100, header: 100 };
    for to_head in [false, true] {
        let mut fields = Fields::default();
        let answered = Response::read(head, &mut fields, &bounds, to_head).unwrap();
        let answer = Answer { to_head, ..ANSWER };
        let mut out = Vec::new();
        response(head, &fields, &answered, &answer, &mut out);
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text, "HTTP/1.1 204 X\r\nVia: 1.1 v\r\nDate: now\r\n\r\n");
    }
}

#[test]
fn a_cookie_and_a_date_that_connection_names_end_here() {
    let head = b"HTTP/1.1 204 X\r\nConnection: set-cookie, date\r\nSet-Cookie: a\r\n\
        Date: then\r\nX-B: 3\r\n\r\n";
    let bounds = response::Bounds { line: 100, cookie: 100, header: 100 };
    let mut fields = Fields::default();
    let answered = Response::read(head, &mut fields, &bounds, false).unwrap();
    let mut out = Vec::new();
    response(head, &fields, &answered, &ANSWER, &mut out);
    let text = String::from_utf8(out).unwrap();
    assert_eq!(text, "HTTP/1.1 204 X\r\nX-B: 3\r\nVia: 1.1 v\r\nDate: now\r\n\r\n");
}
