//! Faults of a request's head: refused before any dyno hears of it.
//!
//! Invariants: the client's connection is closed, unless all that is wrong is that no app has the
//! host; the log has method, path and host wherever they could be read.

use serde_json::json;

use super::faults::faults;

/// The end of the line.
fn no_dyno(status: u16) -> String {
    format!("dyno= connect= service= status={status} bytes=")
}

/// Nothing could be read of the head.
const NOTHING: &str = "* * *";

faults! {
    BadRequest => fn bad_request_no_host(x) {
        x.send("GET /x?y HTTP/1.1\r\n\r\n");
        x.is_refused(400, "bad_request");
        let start = "at=error code=bad_request desc=\"Bad request\"";
        x.logs_refused(start, "GET /x?y ", &no_dyno(400));
        x.counts("bad_request", 1);
        x.nothing_reached_the_dyno();
    }

    BadRequest => fn bad_request_not_http(x) {
        x.send("\x16\x03\x01\x02\x00\x01\x00\x01\r\n\r\n");
        x.is_refused(400, "bad_request");
        let start = "at=error code=bad_request desc=\"Bad request\"";
        x.logs_refused(start, NOTHING, &no_dyno(400));
        x.counts("bad_request", 1);
        x.nothing_reached_the_dyno();
    }

    BadRequest => fn bad_request_breaks_a_rule_and_has_no_app(x) {
        x.send(
            "POST /x?y HTTP/1.1\r\nHost: no.test\r\nContent-Length: 2\r\n\
             Transfer-Encoding: chunked\r\n\r\n",
        );
        x.is_refused(400, "bad_request");
        let start = "at=error code=bad_request desc=\"Bad request\"";
        x.logs_refused(start, "POST /x?y no.test", &no_dyno(400));
        x.counts("bad_request", 1);
    }

    UnknownHost => fn unknown_host(x) {
        x.send("GET /x?y HTTP/1.1\r\nHost: no.test\r\n\r\n");
        x.is_answered(404, "unknown_host");
        let start = "at=error code=unknown_host desc=\"No such app\"";
        x.logs(start, "GET /x?y no.test", &no_dyno(404));
        x.counts("unknown_host", 1);
        x.client_goes_on();
    }

    MethodNotAllowed => fn method_not_allowed_trace(x) {
        x.send("TRACE /x?y HTTP/1.1\r\nHost: a.test\r\n\r\n");
        let answer = x.is_refused(405, "method_not_allowed");
        let allowed = answer.head.get("allow").expect("a 405 has an Allow (RFC 9110, 15.5.6)");
        let allowed: Vec<&str> = allowed.split(", ").collect();
        assert!(allowed.contains(&"GET") && allowed.contains(&"HEAD"), "{allowed:?}");
        assert!(!allowed.contains(&"TRACE") && !allowed.contains(&"CONNECT"), "{allowed:?}");
        let start = "at=error code=method_not_allowed desc=\"Method not allowed\"";
        x.logs_refused(start, "TRACE /x?y a.test", &no_dyno(405));
        x.counts("method_not_allowed", 1);
        x.nothing_reached_the_dyno();
    }

    MethodNotAllowed => fn method_not_allowed_connect(x) {
        x.send("CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\n");
        x.is_refused(405, "method_not_allowed");
        let start = "at=error code=method_not_allowed desc=\"Method not allowed\"";
        x.logs_refused(start, "CONNECT * a.test*", &no_dyno(405));
        x.counts("method_not_allowed", 1);
        x.nothing_reached_the_dyno();
    }

    MethodTooLong => fn method_too_long(x: Setup::app(json!({"limits.method": 64}))) {
        let method = "X".repeat(65);
        x.send(format!("{method} /x?y HTTP/1.1\r\nHost: a.test\r\n\r\n"));
        x.is_refused(501, "method_too_long");
        let start = "at=error code=method_too_long desc=\"Method too long\"";
        x.logs_refused(start, &format!("{method} /x?y a.test"), &no_dyno(501));
        x.counts("method_too_long", 1);
        x.nothing_reached_the_dyno();
    }

    HeadTimeout => fn head_timeout(x: Setup::env(&[("HOSTLER_TIMEOUTS_REQUEST_HEAD", "200ms")])) {
        x.send("GET /x?y HTTP/1.1\r\nHost: a.te");
        x.is_refused(408, "head_timeout");
        let start = "at=warning code=head_timeout desc=\"Request head timeout\"";
        x.logs_refused(start, NOTHING, &no_dyno(408));
        x.counts("head_timeout", 1);
        x.nothing_reached_the_dyno();
    }

    RequestLineTooLong => fn request_line_too_long(
        x: Setup::app(json!({"limits.request_line": 100}))
    ) {
        let path = format!("/{}", "x".repeat(100));
        x.send(format!("GET {path} HTTP/1.1\r\nHost: a.test\r\n\r\n"));
        x.is_refused(414, "request_line_too_long");
        let start = "at=error code=request_line_too_long desc=\"Request line too long\"";
        x.logs_refused(start, &format!("GET {path} a.test"), &no_dyno(414));
        x.counts("request_line_too_long", 1);
        x.nothing_reached_the_dyno();
    }

    RequestLineTooLong => fn request_line_that_does_not_end(x) {
        x.send(format!("GET /{}", "x".repeat(80_000)));
        x.is_refused(414, "request_line_too_long");
        let start = "at=error code=request_line_too_long desc=\"Request line too long\"";
        x.logs_refused(start, NOTHING, &no_dyno(414));
        x.counts("request_line_too_long", 1);
        x.nothing_reached_the_dyno();
    }

    HeadersTooLarge => fn headers_too_large(x: Setup::app(json!({"limits.header_value": 100}))) {
        let value = "x".repeat(101);
        x.send(format!("GET /x?y HTTP/1.1\r\nHost: a.test\r\nX: {value}\r\n\r\n"));
        x.is_refused(431, "headers_too_large");
        let start = "at=error code=headers_too_large desc=\"Request header fields too large\"";
        x.logs_refused(start, "GET /x?y a.test", &no_dyno(431));
        x.counts("headers_too_large", 1);
        x.nothing_reached_the_dyno();
    }

    VersionNotSupported => fn version_not_supported(x) {
        x.send("GET /x?y HTTP/2.0\r\nHost: a.test\r\n\r\n");
        x.is_refused(505, "version_not_supported");
        let start = "at=error code=version_not_supported desc=\"HTTP version not supported\"";
        x.logs_refused(start, NOTHING, &no_dyno(505));
        x.counts("version_not_supported", 1);
        x.nothing_reached_the_dyno();
    }
}
