//! Every limit of a head, at its edge and one past it: as it is by default, as the router has it
//! set, and as an app has it set, lower and higher than the router.
//!
//! Invariant: it does not matter whether what is measured comes in one piece.

use super::*;

/// Rows: name, setting, default, a lower and a higher value, what measures so much, the fault.
macro_rules! limits {
    ($of:ident; $($name:ident $setting:literal $default:literal $lower:literal $higher:literal
        $measured:ident $past:expr;)*) => {$(
        mod $name {
            use super::*;
            behaviours! {
                fn by_default(x) { $of(x, $measured, $default, $past); }
                fn of_the_router(x: Setup::router($setting, stringify!($lower))) {
                    $of(x, $measured, $lower, $past);
                }
                fn of_an_app_that_has_less(x: Setup::app(json!({$setting: $lower}))) {
                    $of(x, $measured, $lower, $past);
                }
                fn of_an_app_that_has_more(x: Setup::app(json!({$setting: $higher}))) {
                    $of(x, $measured, $higher, $past);
                }
            }
        }
    )*};
}

const TOO_LARGE: (u16, &str) = (431, "headers_too_large");

limits! { requests;
    method "limits.method" 127 9 300 with_method (501, "method_too_long");
    request_line "limits.request_line" 8192 100 20000 with_line (414, "request_line_too_long");
    header_name "limits.header_name" 1000 70 5000 with_name TOO_LARGE;
    header_value "limits.header_value" 8192 100 20000 with_value TOO_LARGE;
    header_count "limits.header_count" 1000 3 1000 with_count TOO_LARGE;
}

limits! { answers;
    status_line "limits.status_line" 8192 80 20000 with_status "status line";
    set_cookie "limits.set_cookie" 8192 100 20000 with_cookie "cookie";
    response_header "limits.response_header" 524288 100 700000 with_header "header";
    response_head "limits.response_head" 1048576 600000 2000000 with_answers_head "header";
}

/// So much is served, one more is refused before a dyno hears of it.
fn requests(x: &mut Case, measured: fn(usize) -> String, limit: usize, past: (u16, &str)) {
    let (within, past_it) = (measured(limit), measured(limit + 1));
    for border in [within.len(), within.len() / 2, within.len() - 3] {
        x.send_split(within.as_bytes(), border);
        let mut dyno = x.dyno();
        dyno.take_request();
        dyno.send(OK);
        assert_eq!(x.client.take_answer().verdict(), (200, ""), "{limit} split at {border}");
        x.both_go_on(dyno);
    }
    for border in [past_it.len(), past_it.len() / 2, past_it.len() - 3] {
        x.send_split(past_it.as_bytes(), border);
        x.is_refused(past.0, past.1);
        x.again();
    }
    x.nothing_reached_the_dyno();
    let line = x.router.log.wait_for(&format!("at=error code={} ", past.1));
    assert!(
        line.contains(&format!(" dyno= connect= service= status={} bytes= ", past.0)),
        "{line}"
    );
}

/// So much is relayed, for one more the client gets a fault.
fn answers(x: &mut Case, measured: fn(usize) -> String, limit: usize, what: &str) {
    let (within, past_it) = (measured(limit), measured(limit + 1));
    for border in [within.len(), within.len() / 2, within.len() - 3] {
        let (_, mut dyno) = x.ask(GET);
        dyno.send(&within[..border]);
        x.catch_up();
        dyno.send(&within[border..]);
        assert_eq!(x.client.take_answer().text(), "ok", "{limit} split at {border}");
        x.both_go_on(dyno);
    }
    for border in [past_it.len(), past_it.len() / 2, past_it.len() - 3] {
        let (_, mut dyno) = x.ask(GET);
        dyno.send(&past_it[..border]);
        x.catch_up();
        // The router may have had enough.
        let _ = dyno.try_send(&past_it.as_bytes()[border..]);
        x.is_refused(502, "H25");
        dyno.take_end();
        x.again();
    }
    let desc = format!("at=error code=H25 desc=\"HTTP restriction: oversized {what}\" ");
    for line in x.router.log.wait_for_many(&desc, 3) {
        assert!(line.contains(" dyno=web.1 ") && line.contains(" status=502 "), "{line}");
    }
}

fn with_method(len: usize) -> String {
    format!("{} / HTTP/1.1\r\nHost: a.test\r\n\r\n", "M".repeat(len))
}

fn with_line(len: usize) -> String {
    let path = "x".repeat(len - "GET / HTTP/1.1".len());
    format!("GET /{path} HTTP/1.1\r\nHost: a.test\r\n\r\n")
}

fn with_name(len: usize) -> String {
    format!("GET / HTTP/1.1\r\nHost: a.test\r\n{}: y\r\n\r\n", "X".repeat(len))
}

fn with_value(len: usize) -> String {
    format!("GET / HTTP/1.1\r\nHost: a.test\r\nX: {}\r\n\r\n", "y".repeat(len))
}

fn with_count(count: usize) -> String {
    format!("GET / HTTP/1.1\r\nHost: a.test\r\n{}\r\n", "X: y\r\n".repeat(count - 1))
}

/// Each of its headers is small.
fn with_head(len: usize) -> String {
    let begin = "GET / HTTP/1.1\r\nHost: a.test\r\n";
    format!("{begin}{}\r\n", filled(len - begin.len() - 2, 4000))
}

/// Header lines of so many bytes, each of about `each`.
fn filled(mut len: usize, each: usize) -> String {
    let mut lines = String::new();
    while len > 0 {
        // None is left that would be too short for a line.
        let line = if len < 2 * each { len } else { each };
        lines += &format!("X: {}\r\n", "y".repeat(line - 5));
        len -= line;
    }
    lines
}

fn with_status(len: usize) -> String {
    let phrase = "x".repeat(len - "HTTP/1.1 200 ".len());
    format!("HTTP/1.1 200 {phrase}\r\nContent-Length: 2\r\n\r\nok")
}

fn with_cookie(len: usize) -> String {
    let value = "x".repeat(len - "Set-Cookie: ".len());
    format!("HTTP/1.1 200 OK\r\nSet-Cookie: {value}\r\nContent-Length: 2\r\n\r\nok")
}

fn with_header(len: usize) -> String {
    format!("HTTP/1.1 200 OK\r\nX: {}\r\nContent-Length: 2\r\n\r\nok", "y".repeat(len - 3))
}

fn with_answers_head(len: usize) -> String {
    let (begin, end) = ("HTTP/1.1 200 OK\r\n", "Content-Length: 2\r\n\r\n");
    format!("{begin}{}{end}ok", filled(len - begin.len() - end.len(), 9000))
}

/// Before the host is known no app can have its own.
mod request_head {
    use super::*;

    behaviours! {
        fn by_default(x) { requests(x, with_head, 65536, TOO_LARGE); }
        fn of_the_router_that_has_less(x: Setup::router("limits.request_head", "20000")) {
            requests(x, with_head, 20000, TOO_LARGE);
        }
        fn of_the_router_that_has_more(x: Setup::router("limits.request_head", "100KiB")) {
            requests(x, with_head, 102400, TOO_LARGE);
        }

        fn a_head_without_an_end_is_refused_as_soon_as_it_is_too_large(x) {
            x.send(format!("GET / HTTP/1.1\r\nHost: a.test\r\n{}X", filled(65536 - 31, 4000)));
            x.is_refused(431, "headers_too_large");
            x.nothing_reached_the_dyno();
        }

        fn a_request_line_that_does_not_end_within_it_is_414(x) {
            let _ = x.client.try_send(format!("GET /{}", "x".repeat(70_000)).as_bytes());
            x.is_refused(414, "request_line_too_long");
            x.nothing_reached_the_dyno();
        }

        fn a_request_line_that_an_app_would_take_is_414_beyond_it(
            x: Setup::app(json!({"limits.request_line": 100000}))
        ) {
            let _ = x.client.try_send(with_line(80_000).as_bytes());
            x.is_refused(414, "request_line_too_long");
        }
    }
}

behaviours! {
    fn five_empty_lines_before_a_request_are_passed_over(x) {
        let (request, _dyno) = x.ask(format!("\r\n\r\n\r\n\r\n\r\n{GET}"));
        assert_eq!(request.head.line, "GET / HTTP/1.1");
    }

    fn an_answer_has_at_most_a_thousand_headers(x) {
        let with = |count: usize| {
            format!(
                "HTTP/1.1 200 OK\r\n{}Content-Length: 2\r\n\r\nok",
                "X: y\r\n".repeat(count - 1)
            )
        };
        let dyno = x.play(GET, with(1000));
        assert_eq!(x.client.take_answer().head.all("x").len(), 999);
        x.both_go_on(dyno);
        let mut dyno = x.play(GET, with(1001));
        x.is_refused(502, "H25");
        dyno.take_end();
    }

    fn the_limits_of_an_app_are_not_another_apps(
        x: Setup::app(json!({"limits.header_value": 64}))
    ) {
        let large = with_value(100);
        x.router.app("two", "b.test", &[&x.web.addr]);
        x.send(large.replace("a.test", "b.test"));
        let mut dyno = x.web.accept();
        dyno.take_request();
        dyno.send(OK);
        assert_eq!(x.client.take_answer().text(), "ok");
        x.send(large);
        x.is_refused(431, "headers_too_large");
    }

    fn a_limit_that_is_pushed_holds_from_the_next_request_on(x) {
        let large = with_value(100);
        for (limit, status) in [(json!(64), 431), (json!(null), 200), (json!("64"), 431)] {
            let body = json!({"settings": {"limits.header_value": limit}});
            x.router.write("PATCH", "/v1/apps/one", body);
            x.send(&large);
            if status == 200 {
                let mut dyno = x.dyno();
                dyno.take_request();
                dyno.send(OK);
                assert_eq!(x.client.take_answer().text(), "ok");
                x.both_go_on(dyno);
            } else {
                x.is_refused(431, "headers_too_large");
                x.again();
            }
        }
    }

    fn a_header_that_would_end_here_counts_too(x) {
        let lines = format!("Keep-Alive: {}\r\n", "y".repeat(9000));
        x.send(format!("GET / HTTP/1.1\r\nHost: a.test\r\n{lines}\r\n"));
        x.is_refused(431, "headers_too_large");
    }
}
