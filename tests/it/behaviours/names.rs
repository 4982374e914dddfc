//! Headers that pass and those that end here: names, order, repetition, values, hop-by-hop.
//!
//! Invariant: a header that is looked for may be there once at most, unless a fact says otherwise.

use super::*;

/// What the dyno gets of a request with these header lines.
fn seen(x: &mut Case, lines: impl AsRef<[u8]>) -> Head {
    let request = [b"GET /path?q HTTP/1.1\r\nHost: a.test\r\n", lines.as_ref(), b"\r\n"].concat();
    let (request, mut dyno) = x.ask(request);
    dyno.send(OK);
    assert_eq!(x.client.take_answer().text(), "ok");
    x.both_go_on(dyno);
    request.head
}

/// What the client gets of an answer with these header lines.
fn got(x: &mut Case, lines: impl AsRef<[u8]>) -> Head {
    let answer = [b"HTTP/1.1 200 Fine\r\n", lines.as_ref(), b"Content-Length: 2\r\n\r\nok"];
    let dyno = x.play(GET, answer.concat());
    let answer = x.client.take_answer();
    assert_eq!(answer.text(), "ok");
    x.both_go_on(dyno);
    answer.head
}

/// Names and values as they stand.
fn lines(head: &Head, count: usize) -> Vec<String> {
    head.fields[..count].iter().map(|(name, value)| format!("{name}={value}")).collect()
}

behaviours! {
    fn order_case_and_repetition_are_kept_to_the_dyno(x) {
        let head =
            seen(x, "x-B: 1\r\nACCEPT: */*\r\nx-a: 2\r\nX-b:  3\t\r\nCookie: c\r\nCookie: d\r\n");
        assert_eq!(
            lines(&head, 7),
            ["Host=a.test", "x-B=1", "ACCEPT=*/*", "x-a=2", "X-b=3", "Cookie=c", "Cookie=d"]
        );
    }

    fn order_case_and_repetition_are_kept_to_the_client(x) {
        let head = got(x, "x-B: 1\r\nSet-Cookie: a\r\nSERVER: s\r\nSet-Cookie: b\r\nX-XSS: 0\r\n");
        assert_eq!(
            lines(&head, 5),
            ["x-B=1", "Set-Cookie=a", "SERVER=s", "Set-Cookie=b", "X-XSS=0"]
        );
    }

    fn host_stays_where_it_stood(x) {
        let (request, _dyno) = x.ask("GET / HTTP/1.1\r\nX: 1\r\nhOST: a.test\r\nY: 2\r\n\r\n");
        assert_eq!(lines(&request.head, 3), ["X=1", "hOST=a.test", "Y=2"]);
    }

    fn empty_values_pass_both_ways(x) {
        let head = seen(x, "X-Empty:\r\nX-Blank: \t \r\nAccept:\r\n");
        assert_eq!(lines(&head, 4), ["Host=a.test", "X-Empty=", "X-Blank=", "Accept="]);
        assert_eq!(lines(&got(x, "X-Empty:\r\nX-Blank: \t \r\n"), 2), ["X-Empty=", "X-Blank="]);
    }

    fn blanks_inside_a_value_pass_as_they_are(x) {
        assert_eq!(seen(x, "X:\ta  b\tc \r\n").get("x"), Some("a  b\tc"));
        assert_eq!(got(x, "X:a  b\tc\t\r\n").get("x"), Some("a  b\tc"));
    }

    fn every_token_is_a_name(x) {
        let name = "!#$%&'*+-.^`|~09AZaz";
        assert_eq!(seen(x, format!("{name}: y\r\n")).get(name), Some("y"));
        assert_eq!(got(x, format!("{name}: y\r\n")).get(name), Some("y"));
    }

    fn bytes_above_ascii_in_values_pass_both_ways(x) {
        assert_eq!(seen(x, "X-Name: b\u{fc}cher\r\n").get("x-name"), Some("b\u{fc}cher"));
        assert_eq!(got(x, "X-Name: b\u{fc}cher\r\n").get("x-name"), Some("b\u{fc}cher"));
        let (_, mut dyno) = x.ask(GET);
        dyno.send(b"HTTP/1.1 200 OK\r\nX: \xe9\xff\r\nContent-Length: 0\r\n\r\n");
        x.client.take_until("\r\n");
        assert_eq!(x.client.take_until("\r\n"), b"X: \xe9\xff\r\n");
    }

    fn quotes_commas_and_colons_in_values_are_nobodys_business(x) {
        let value = "a, \"b, c\"; d=\"\\\"\", :e: http://f/";
        assert_eq!(seen(x, format!("X: {value}\r\n")).get("x"), Some(value));
        assert_eq!(got(x, format!("X: {value}\r\n")).get("x"), Some(value));
    }

    fn hop_by_hop_headers_end_here_on_the_way_to_the_dyno(x) {
        let head = seen(
            x,
            "Connection: keep-alive\r\nKeep-Alive: 5\r\nTE: trailers\r\n\
            Proxy-Connection: keep-alive\r\nProxy-Authorization: Basic x\r\nUpgrade: foo\r\n\
            X-Kept: 3\r\n",
        );
        for name in
            ["connection", "keep-alive", "te", "proxy-connection", "proxy-authorization", "upgrade"]
        {
            assert_eq!(head.all(name), [""; 0], "{name}");
        }
        assert_eq!(head.get("x-kept"), Some("3"));
    }

    fn hop_by_hop_headers_end_here_on_the_way_to_the_client(x) {
        let head = got(
            x,
            "Connection: keep-alive\r\nKeep-Alive: timeout=500\r\nTE: x\r\n\
            Proxy-Connection: keep-alive\r\nProxy-Authorization: Basic x\r\nUpgrade: foo\r\n\
            X-Kept: 3\r\n",
        );
        for name in
            ["connection", "keep-alive", "te", "proxy-connection", "proxy-authorization", "upgrade"]
        {
            assert_eq!(head.all(name), [""; 0], "{name}");
        }
        assert_eq!(head.get("x-kept"), Some("3"));
    }

    fn what_connection_names_ends_here_both_ways(x) {
        let named = "Connection: X-Secret, ,keep-alive\r\nconnection: x-other\r\nX-Secret: 1\r\n\
            X-SECRET: 2\r\nX-OTHER: 3\r\nX-Kept: 4\r\n";
        for head in [seen(x, named), got(x, named)] {
            for name in ["connection", "x-secret", "x-other"] {
                assert_eq!(head.all(name), [""; 0], "{name}");
            }
            assert_eq!(head.get("x-kept"), Some("4"));
        }
    }

    fn end_to_end_headers_that_look_hop_by_hop_pass(x) {
        let ends = "Trailer: X-Sum\r\nProxy-Authenticate: Basic\r\nAuthorization: Basic y\r\n\
            Proxy-Authentication-Info: z\r\nUpgrade-Insecure-Requests: 1\r\n";
        for head in [seen(x, ends), got(x, ends)] {
            for name in
                ["trailer", "proxy-authenticate", "authorization", "upgrade-insecure-requests"]
            {
                assert!(head.get(name).is_some(), "{name}");
            }
        }
    }

    fn underscore_twins_of_what_the_router_sets_are_removed(x) {
        let head = seen(
            x,
            "X_Forwarded_For: 6.6.6.6\r\nX-Forwarded_Proto: https\r\nx_request-id: evil\r\n\
            Content_Length: 5\r\nTransfer_Encoding: chunked\r\nX_Mine: kept\r\n",
        );
        let names = head.fields.iter().map(|(name, _)| name.as_str());
        let with_underscore: Vec<&str> = names.filter(|name| name.contains('_')).collect();
        assert_eq!(with_underscore, ["X_Mine"]);
    }

    fn a_dynos_own_hostler_error_is_removed(x) {
        assert_eq!(
            got(x, "Hostler-Error: H12\r\nhostler-error: H13\r\n").all("hostler-error"),
            [""; 0]
        );
    }

    fn a_date_is_added_only_where_it_is_missing(x) {
        let date = "Tue, 15 Nov 1994 08:12:31 GMT";
        assert_eq!(got(x, format!("Date: {date}\r\n")).get("date"), Some(date));
        let added = got(x, "").get("date").map(httpdate::parse_http_date);
        let added = added.expect("a date").unwrap();
        let age = std::time::SystemTime::now().duration_since(added).unwrap_or_default();
        assert!(age.as_secs() < 60, "{age:?}");
    }

    fn nothing_is_said_of_a_server_that_the_dyno_does_not_say(x) {
        assert_eq!(got(x, "").all("server"), [""; 0]);
    }
}
