//! The head of a request: what becomes of it, and what is refused.

use http::{Method, Request};

use super::*;

fn parts(method: Method, uri: &str, fields: &[(&str, &str)]) -> Parts {
    let mut request = Request::builder().method(method).uri(uri);
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

fn text(request: &Parts, ended: bool) -> Result<String, Refusal> {
    text_of(request, Asks::Answer, ended)
}

fn text_of(request: &Parts, asks: Asks, ended: bool) -> Result<String, Refusal> {
    let length = judge(request, asks, ended)?;
    let mut out = Vec::new();
    write(request, asks, length, &mut out);
    assert!(out.len() <= text_len(request), "{} of {}", out.len(), text_len(request));
    Ok(String::from_utf8(out).unwrap())
}

fn get(fields: &[(&str, &str)]) -> Result<String, Refusal> {
    text(&parts(Method::GET, "https://a.test/x?y", fields), true)
}

#[test]
fn the_authority_is_the_host_and_fields_keep_their_order() {
    let text = get(&[("x-b", "2"), ("x-a", "1"), ("x-b", "3")]).unwrap();
    assert_eq!(text, "GET /x?y HTTP/1.1\r\nhost: a.test\r\nx-b: 2\r\nx-b: 3\r\nx-a: 1\r\n\r\n");
}

#[test]
fn cookie_crumbs_are_one_header() {
    let text = get(&[("cookie", "a=1"), ("x", "y"), ("cookie", "b=2")]).unwrap();
    assert_eq!(text, "GET /x?y HTTP/1.1\r\nhost: a.test\r\ncookie: a=1; b=2\r\nx: y\r\n\r\n");
}

#[test]
fn a_crumb_that_is_empty_leaves_no_trace() {
    let of = |crumbs: &[&'static str]| {
        let fields: Vec<_> = crumbs.iter().map(|crumb| ("cookie", *crumb)).collect();
        get(&fields).unwrap().replace("GET /x?y HTTP/1.1\r\nhost: a.test\r\n", "")
    };
    assert_eq!(of(&["", "a=1"]), "cookie: a=1\r\n\r\n");
    assert_eq!(of(&["a=1", ""]), "cookie: a=1\r\n\r\n");
    assert_eq!(of(&["", "a=1", "", "b=2", ""]), "cookie: a=1; b=2\r\n\r\n");
    assert_eq!(of(&["", ""]), "\r\n");
}

#[test]
fn a_body_is_framed_by_what_is_known_of_its_end() {
    let post = |fields: &[_], ended| {
        let text = text(&parts(Method::POST, "http://a.test/", fields), ended)?;
        Ok::<_, Refusal>(text.split("a.test\r\n").nth(1).unwrap().to_owned())
    };
    let stated = |n: &'static str| [("content-length", n)];
    assert_eq!(post(&stated("3"), false).unwrap(), "content-length: 3\r\n\r\n");
    assert_eq!(post(&[], false).unwrap(), "transfer-encoding: chunked\r\n\r\n");
    assert_eq!(post(&[], true).unwrap(), "content-length: 0\r\n\r\n");
    assert_eq!(post(&stated("0"), true).unwrap(), "content-length: 0\r\n\r\n");
    for (lie, ended) in [("3", true), ("+3", false), ("3, 3", false), ("", false), ("-1", false)] {
        assert_eq!(post(&[("content-length", lie)], ended), Err(Refusal::Malformed), "{lie}");
    }
    let twice = [("content-length", "3"), ("content-length", "3")];
    assert_eq!(post(&twice, false), Err(Refusal::Malformed));
}

#[test]
fn fields_of_the_connection_and_loose_values_are_refused() {
    for (name, value) in [
        ("connection", "close"),
        ("transfer-encoding", "chunked"),
        ("keep-alive", "1"),
        ("upgrade", "h2c"),
        ("proxy-connection", "close"),
        ("te", "gzip"),
        ("te", "trailers, gzip"),
        ("x", " y"),
        ("x", "y "),
        ("x", "\ty"),
        ("host", "b.test"),
        ("host", "a.test:80"),
    ] {
        assert_eq!(get(&[(name, value)]), Err(Refusal::Malformed), "{name}: {value}");
    }
    assert!(get(&[("te", "trailers"), ("host", "A.test"), ("x", "")]).is_ok());
    assert_eq!(get(&[("host", "a.test"), ("host", "a.test")]), Err(Refusal::Malformed));
}

#[test]
fn what_names_no_resource_of_a_host_is_refused() {
    for uri in ["ftp://a.test/", "http://u@a.test/", "http://u:p@a.test/", "/"] {
        let request = parts(Method::GET, uri, &[]);
        assert_eq!(text(&request, true), Err(Refusal::Malformed), "{uri}");
    }
    let without_authority = parts(Method::GET, "/", &[("host", "a.test")]);
    assert_eq!(text(&without_authority, true).unwrap(), "GET / HTTP/1.1\r\nhost: a.test\r\n\r\n");
    for method in [Method::CONNECT, Method::TRACE] {
        let request = parts(method, "http://a.test/", &[]);
        assert_eq!(text(&request, true), Err(Refusal::Method));
    }
}

#[test]
fn an_extended_connect_asks_for_a_websocket() {
    let asks = Asks::Socket(*b"dGhlIHNhbXBsZSBub25jZQ==");
    let fields = [("sec-websocket-version", "13"), ("sec-websocket-key", "mine")];
    let text = text_of(&parts(Method::CONNECT, "https://a.test/x", &fields), asks, false);
    assert_eq!(
        text.unwrap(),
        "GET /x HTTP/1.1\r\nhost: a.test\r\nsec-websocket-version: 13\r\n\
         connection: Upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    let with_length = parts(Method::CONNECT, "https://a.test/x", &[("content-length", "0")]);
    assert_eq!(text_of(&with_length, asks, false), Err(Refusal::Malformed));
    let get = parts(Method::GET, "https://a.test/x", &[]);
    assert_eq!(text_of(&get, asks, false), Err(Refusal::Method));
}
