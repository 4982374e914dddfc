//! What goes on of a head, and what ends here.
//!
//! Invariant: each test has a whole head, and says the whole of what is written of it, or its
//! beginning.

use std::net::Ipv4Addr;

use super::*;
use crate::wire::{cookie::SetCookie, head::parse_request, response};

const ANSWER: Answer<'static> = Answer {
    persistence: Persistence::Implied,
    date: b"now",
    via: "v",
    chunked: true,
    to_head: false,
    keeps_fault: false,
    takes_load: false,
    hsts: None,
    own_cookie: None,
};

const FORWARD: Forward<'static> = Forward {
    remote: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)),
    http2: false,
    proto: "http",
    port: 80,
    trusted: false,
    expect: false,
    close: false,
    fresh_id: 1,
    start_ms: 2,
    via: "v",
    own_cookie: None,
    client_subject: None,
};

#[test]
fn a_header_that_connection_names_ends_here_whatever_it_means() {
    let head = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: accept, x-a\r\nAccept: 1\r\n\
        X-A: 2\r\nX-B: 3\r\n\r\n";
    let mut fields = Fields::default();
    let asked = parse_request(head, &mut fields).unwrap();
    let asked = Request::judge(head, &asked, &fields).unwrap();
    let mut out = Vec::new();
    request(head, &fields, &asked, &FORWARD, &mut out);
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

#[test]
fn the_routers_own_cookie_goes_to_no_dyno_and_others_go_on() {
    let head = b"GET / HTTP/1.1\r\nHost: a\r\ncookie: own=1\r\nCookie: a=1; own=2;b=2\r\n\r\n";
    let mut fields = Fields::default();
    let asked = parse_request(head, &mut fields).unwrap();
    let asked = Request::judge(head, &asked, &fields).unwrap();
    for (own_cookie, cookies) in [
        (Some("own"), "Cookie: a=1; b=2\r\n"),
        (None, "cookie: own=1\r\nCookie: a=1; own=2;b=2\r\n"),
    ] {
        let mut out = Vec::new();
        request(head, &fields, &asked, &Forward { own_cookie, ..FORWARD }, &mut out);
        let text = String::from_utf8(out).unwrap();
        let begins = format!("GET / HTTP/1.1\r\nHost: a\r\n{cookies}X-Forwarded");
        assert!(text.starts_with(&begins), "{text}");
    }
}

#[test]
fn the_routers_own_cookie_is_set_in_place_of_the_dynos() {
    let set = Some(SetCookie {
        value: b"v",
        path: "/",
        max_age_s: None,
        secure: false,
        http_only: false,
        same_site: None,
    });
    let bounds = response::Bounds { line: 100, cookie: 100, header: 100 };
    let is_set = "Set-Cookie: own=v; Path=/\r\n";
    for (status, set, before, after) in [
        ("204 X", set, "", [is_set, "Date: now\r\n"].concat()),
        ("204 X", None, "", "Date: now\r\n".into()),
        ("101 X", set, "Upgrade: x\r\nConnection: Upgrade\r\n", is_set.into()),
        ("103 X", set, "", String::new()),
    ] {
        let head = format!(
            "HTTP/1.1 {status}\r\nUpgrade: x\r\nConnection: upgrade\r\nSet-Cookie: a=1\r\n\
             set-cookie: own=2\r\n\r\n"
        );
        let mut fields = Fields::default();
        let answered = Response::read(head.as_bytes(), &mut fields, &bounds, false).unwrap();
        let answer = Answer { own_cookie: Some(OwnCookie { name: "own", set }), ..ANSWER };
        let mut out = Vec::new();
        response(head.as_bytes(), &fields, &answered, &answer, &mut out);
        let text = String::from_utf8(out).unwrap();
        let written = format!("Set-Cookie: a=1\r\n{before}Via: 1.1 v\r\n{after}");
        assert_eq!(text, format!("HTTP/1.1 {status}\r\n{written}\r\n"));
    }
}
