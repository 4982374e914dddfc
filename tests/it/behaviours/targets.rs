//! Targets of requests, in each of their forms, and hosts.

use super::*;

/// What the dyno gets of a request with this first line and host.
fn seen(x: &mut Case, line: &str, host: &str) -> Head {
    let (request, mut dyno) = x.ask(format!("{line} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
    dyno.send(OK);
    assert_eq!(x.client.take_answer().text(), "ok");
    x.both_go_on(dyno);
    request.head
}

behaviours! {
    fn a_path_and_its_query_go_on_as_they_came(x) {
        for path in [
            "/",
            "/?",
            "/??",
            "//a.test/x",
            "/a//b/../c?x=%41&y=%2f",
            "/%00%0d%0a",
            "/\"quoted\"<>{}|^`\\",
            "/;a=b:@!$&'()*+,=",
            "/[x]",
            "/http://b.test/",
            "/x?http://b",
        ] {
            assert_eq!(
                seen(x, &format!("GET {path}"), "a.test").line,
                format!("GET {path} HTTP/1.1")
            );
        }
    }

    fn bytes_above_ascii_in_a_path_go_on(x) {
        assert_eq!(seen(x, "GET /\u{e9}?\u{20ac}", "a.test").line, "GET /\u{e9}?\u{20ac} HTTP/1.1");
    }

    /// RFC 9112, section 3.2: it is no part of any form.
    fn a_fragment_is_dropped(x) {
        for (sent, went_on) in [
            ("/x#y", "/x"),
            ("/x?q#y?z", "/x?q"),
            ("/#", "/"),
            ("/x##", "/x"),
            ("http://a.test/x#y", "/x"),
            ("http://a.test#y", "/"),
        ] {
            assert_eq!(
                seen(x, &format!("GET {sent}"), "a.test").line,
                format!("GET {went_on} HTTP/1.1")
            );
        }
    }

    fn an_absolute_form_goes_on_in_origin_form(x) {
        for (sent, went_on) in [
            ("GET http://a.test/x?y", "GET /x?y"),
            ("GET http://a.test", "GET /"),
            ("GET http://a.test?q", "GET /?q"),
            ("GET HTTP://A.TEST/X", "GET /X"),
            ("GET http://a.test:80/", "GET /"),
            ("GET http://a.test:/", "GET /"),
            ("GET http://a.test//b", "GET //b"),
            ("OPTIONS http://a.test", "OPTIONS *"),
            ("OPTIONS http://a.test/", "OPTIONS /"),
            ("OPTIONS http://a.test?q", "OPTIONS /?q"),
        ] {
            let head = seen(x, sent, "a.test");
            assert_eq!(
                (head.line, head.fields[0].1.as_str()),
                (format!("{went_on} HTTP/1.1"), "a.test"),
                "{sent}"
            );
        }
    }

    fn an_absolute_form_agrees_with_a_host_that_means_the_same(x) {
        for (sent, host) in [
            ("http://a.test/", "A.Test"),
            ("http://a.test:80/", "a.test"),
            ("http://a.test/", "a.test:80"),
            ("http://a.test:8080/", "A.TEST:8080"),
        ] {
            assert_eq!(seen(x, &format!("GET {sent}"), host).line, "GET / HTTP/1.1");
        }
    }

    fn an_asterisk_is_for_options(x) {
        assert_eq!(seen(x, "OPTIONS *", "a.test").line, "OPTIONS * HTTP/1.1");
    }

    fn a_host_goes_on_as_it_came(x) {
        for host in ["a.test", "A.Test", "a.test:8080", "a.test.", "A.TEST.:80"] {
            assert_eq!(seen(x, "GET /", host).get("host"), Some(host));
        }
    }

    fn the_path_is_logged_as_it_came_with_what_would_break_the_line_escaped(x) {
        seen(x, "GET /a\"b%20c?d", "A.Test:1");
        x.router.log.wait_for(" method=GET path=\"/a\\\"b%20c?d\" host=A.Test:1 ");
    }

    fn a_host_that_no_app_has_is_404_and_the_connection_stays(x) {
        for host in ["no.test", "test", "x.a.test", "a.test.x", "127.0.0.1", "[::1]:80"] {
            x.send(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"));
            let answer = x.is_answered(404, "unknown_host");
            assert_eq!(answer.head.get("connection"), None, "{host}");
        }
        let dyno = x.client_goes_on();
        x.both_go_on(dyno);
    }
}
