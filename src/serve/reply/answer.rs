//! The answer to a fault as a message: status line, headers, and the page behind them.
//!
//! Invariants: the length that the head states is the page's, also where HEAD leaves the page out;
//! nothing that came from the network is repeated in an answer, but for host and path of a request
//! that was accepted, in a redirect.

use std::time::Duration;

use super::{Format, page};
use crate::{
    error::Fault,
    route::Pages,
    wire::rewrite::{Hsts, Persistence, line, number_line, status},
};

/// The methods that a router passes on, for `Allow`: any but CONNECT and TRACE, of which these are
/// the ones that RFC 9110 (section 9) and RFC 5789 define.
pub const ALLOW: &str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";

/// What an answer needs to know besides its fault.
#[derive(Debug, Clone, Copy)]
pub struct Reply<'a> {
    /// The form of the body.
    pub format: Format,
    /// The app's own pages, once the app is known.
    pub pages: Option<&'a Pages>,
    /// How the client's connection goes on.
    pub persistence: Persistence,
    /// The request was a HEAD: no body.
    pub to_head: bool,
    /// The current date.
    pub date: &'a [u8],
    /// When the client may come again, if that is known.
    pub retry_after: Option<Duration>,
    /// The router's name in `Via`.
    pub via: &'a str,
    /// Where else to ask.
    pub location: Option<&'a [u8]>,
    /// For how long browsers are to keep to TLS, in an answer that goes over it.
    pub hsts: Option<Hsts>,
}

/// Writes the answer to a fault behind what `out` holds; answers how long its body is.
pub fn fault(fault: Fault, reply: &Reply<'_>, out: &mut Vec<u8>) -> usize {
    // 499 says in the log that the client left; there is nobody to send it to.
    debug_assert!(fault.status() != 499);
    let (content_type, body) = page::of(fault, reply.format, reply.pages);
    out.extend_from_slice(b"HTTP/1.1 ");
    status(out, fault.status());
    out.push(b' ');
    out.extend_from_slice(reason(fault.status()).as_bytes());
    out.extend_from_slice(b"\r\n");
    line(out, b"Content-Type", content_type.as_bytes());
    number_line(out, b"Content-Length", body.len() as u64);
    if fault.status() >= 400 {
        line(out, b"Hostler-Error", fault.code().as_bytes());
    }
    if matches!(fault, Fault::MethodNotAllowed | Fault::LastHop) {
        // RFC 9110, sections 15.5.6 and 9.3.7.
        line(out, b"Allow", ALLOW.as_bytes());
    }
    if let Some(wait) = reply.retry_after {
        // Whole seconds, and not too early (RFC 9110, section 10.2.3).
        number_line(out, b"Retry-After", wait.as_secs_f64().ceil().max(1.0) as u64);
    }
    if let Some(location) = reply.location {
        line(out, b"Location", location);
    }
    if let Some(hsts) = reply.hsts {
        hsts.write(out);
    }
    line(out, b"Cache-Control", b"no-store");
    line(out, b"Date", reply.date);
    out.extend_from_slice(b"Via: 1.1 ");
    out.extend_from_slice(reply.via.as_bytes());
    out.extend_from_slice(match reply.persistence {
        Persistence::Implied => b"\r\n\r\n".as_slice(),
        Persistence::Stated => b"\r\nConnection: keep-alive\r\n\r\n",
        Persistence::Close => b"\r\nConnection: close\r\n\r\n",
    });
    if reply.to_head {
        return 0;
    }
    out.extend_from_slice(body.as_bytes());
    body.len()
}

/// The reason phrase of a fault's status (RFC 9110, section 15; RFC 6585; RFC 5842).
fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        414 => "URI Too Long",
        417 => "Expectation Failed",
        421 => "Misdirected Request",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        505 => "HTTP Version Not Supported",
        508 => "Loop Detected",
        // An empty reason is one too (RFC 9112, section 4).
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPLY: Reply<'static> = Reply {
        format: Format::Text,
        pages: None,
        persistence: Persistence::Implied,
        to_head: false,
        retry_after: None,
        date: b"Thu, 01 Jan 1970 00:00:00 GMT",
        via: "hostler",
        location: None,
        hsts: None,
    };

    /// The faults that somebody is there to be told of as such.
    fn answered() -> impl Iterator<Item = Fault> {
        let told = |fault: &Fault| fault.status() >= 400 && fault.status() != 499;
        Fault::ALL.iter().copied().filter(told)
    }

    /// Head and body of an answer.
    fn parts(of: Fault, reply: &Reply<'_>) -> (String, String) {
        let mut out = Vec::new();
        let len = fault(of, reply, &mut out);
        let text = String::from_utf8(out).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert_eq!(body.len(), len);
        (head.into(), body.into())
    }

    #[test]
    fn every_fault_has_a_whole_answer_in_every_format() {
        for fault in answered() {
            for format in [Format::Text, Format::Html, Format::Json] {
                let (head, body) = parts(fault, &Reply { format, ..REPLY });
                assert!(head.contains(&format!("\r\nContent-Length: {}\r\n", body.len())));
                assert!(head.contains(&format!("\r\nHostler-Error: {}\r\n", fault.code())));
                assert!(body.contains(fault.code()));
            }
        }
    }

    #[test]
    fn every_status_has_the_reason_that_is_registered_for_it() {
        for fault in answered() {
            let registered = http::StatusCode::from_u16(fault.status()).unwrap();
            assert_eq!(Some(reason(fault.status())), registered.canonical_reason(), "{fault:?}");
            let (head, _) = parts(fault, &REPLY);
            let line = format!("HTTP/1.1 {} {}\r\n", fault.status(), reason(fault.status()));
            assert!(head.starts_with(&line), "{head}");
        }
    }

    #[test]
    fn what_answers_head_is_the_same_without_its_body() {
        for fault in answered() {
            let (head, _) = parts(fault, &REPLY);
            assert_eq!(parts(fault, &Reply { to_head: true, ..REPLY }), (head, String::new()));
        }
    }

    #[test]
    fn a_method_that_is_not_passed_on_is_told_which_are() {
        for fault in answered() {
            let (head, _) = parts(fault, &REPLY);
            let told = head.contains("\r\nAllow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n");
            assert_eq!(told, fault.status() == 405, "{head}");
        }
    }

    #[test]
    fn a_request_that_ends_here_is_no_error() {
        let (head, body) = parts(Fault::LastHop, &REPLY);
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && body.is_empty(), "{head}");
        assert!(head.contains("\r\nAllow: GET, ") && !head.contains("Hostler-Error"), "{head}");
    }

    #[test]
    fn who_may_come_again_is_told_when_in_whole_seconds_and_never_too_early() {
        for (ms, told) in [(1, "1"), (999, "1"), (1000, "1"), (1001, "2"), (60_000, "60")] {
            let retry_after = Some(Duration::from_millis(ms));
            let (head, _) = parts(Fault::RateLimited, &Reply { retry_after, ..REPLY });
            assert!(head.contains(&format!("\r\nRetry-After: {told}\r\n")), "{head}");
        }
        assert!(!parts(Fault::NoDynos, &REPLY).0.contains("Retry-After"));
    }

    #[test]
    fn the_connection_goes_on_as_the_head_says() {
        for (persistence, said) in [
            (Persistence::Implied, None),
            (Persistence::Stated, Some("keep-alive")),
            (Persistence::Close, Some("close")),
        ] {
            let (head, _) = parts(Fault::NoDynos, &Reply { persistence, ..REPLY });
            assert_eq!(head.rsplit_once("\r\nConnection: ").map(|(_, said)| said), said);
        }
    }

    #[test]
    fn an_apps_page_goes_out_with_its_type_and_length() {
        let json = crate::route::Page { json: Some("{\"a\":1}".into()), ..Default::default() };
        let pages = Pages { error: json, ..Pages::default() };
        let reply = Reply { format: Format::Json, pages: Some(&pages), ..REPLY };
        let (head, body) = parts(Fault::AppCrashed, &reply);
        assert_eq!(body, "{\"a\":1}");
        assert!(head.contains("\r\nContent-Type: application/json\r\nContent-Length: 7\r\n"));
        assert!(head.contains("\r\nHostler-Error: H10\r\n"));
    }
}
