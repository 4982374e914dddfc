//! What the router adds to heads, what it takes out, and what it leaves as it is.
//!
//! Invariant: a header that is looked for may be there once at most, unless a test says otherwise.

use crate::harness::{Answer, Dyno, Head, Router};

fn start() -> (Router, Dyno) {
    let (router, dyno) = (Router::start(), Dyno::new());
    router.app("one", "a.test", &[&dyno.addr]);
    (router, dyno)
}

/// What the dyno sees of a request with these header lines.
fn seen(router: &Router, dyno: &Dyno, lines: &str) -> Head {
    let mut client = router.connect();
    client.send(format!("GET /path?q HTTP/1.1\r\nHost: a.test\r\n{lines}\r\n"));
    let mut conn = dyno.accept();
    let head = conn.take_request().head;
    // Not kept, so that the next request comes on a connection of its own.
    conn.send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    client.take_answer();
    head
}

/// What the client gets of an answer with these header lines.
fn got(router: &Router, dyno: &Dyno, lines: &str) -> Answer {
    let mut client = router.connect();
    client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    let mut conn = dyno.accept();
    conn.take_request();
    conn.send(format!(
        "HTTP/1.1 200 Fine\r\n{lines}Connection: close\r\nContent-Length: 2\r\n\r\nok"
    ));
    client.take_answer()
}

#[test]
fn forwarding_headers_tell_the_dyno_who_asked_and_how() {
    let (router, dyno) = start();
    let head = seen(&router, &dyno, "");
    assert_eq!(head.line, "GET /path?q HTTP/1.1");
    assert_eq!(head.get("host"), Some("a.test"));
    assert_eq!(head.get("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(head.get("x-forwarded-proto"), Some("http"));
    assert_eq!(head.get("x-forwarded-port"), Some(router.http.port().to_string().as_str()));
    assert_eq!(head.get("via"), Some("1.1 hostler"));
    let start: u64 = head.get("x-request-start").unwrap().parse().unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let age = now.as_millis() as i64 - start as i64;
    assert!((-5_000..60_000).contains(&age), "the request is {age} ms old");
}

#[test]
fn a_forwarded_for_of_the_client_is_kept_and_appended_to() {
    let (router, dyno) = start();
    let head = seen(&router, &dyno, "X-Forwarded-For: 10.1.1.1, 10.2.2.2\r\n");
    assert_eq!(head.get("x-forwarded-for"), Some("10.1.1.1, 10.2.2.2, 127.0.0.1"));
    let head = seen(&router, &dyno, "X-Forwarded-For: 10.1.1.1\r\nX-Forwarded-For: 10.2.2.2\r\n");
    assert_eq!(head.get("x-forwarded-for"), Some("10.1.1.1, 10.2.2.2, 127.0.0.1"));
}

#[test]
fn proto_port_and_start_of_an_untrusted_client_are_replaced() {
    let (router, dyno) = start();
    let lines = "X-Forwarded-Proto: https\r\nX-Forwarded-Port: 443\r\nX-Request-Start: 1\r\n";
    let head = seen(&router, &dyno, lines);
    assert_eq!(head.get("x-forwarded-proto"), Some("http"));
    assert_eq!(head.get("x-forwarded-port"), Some(router.http.port().to_string().as_str()));
    assert_ne!(head.get("x-request-start"), Some("1"));
}

#[test]
fn proto_and_port_of_a_trusted_network_are_kept() {
    let router = Router::with(&[("HOSTLER_HTTP_TRUSTED_NETWORKS", "127.0.0.0/8")]);
    let dyno = Dyno::new();
    router.app("one", "a.test", &[&dyno.addr]);
    let head = seen(&router, &dyno, "X-Forwarded-Proto: https\r\nX-Forwarded-Port: 443\r\n");
    assert_eq!(head.get("x-forwarded-proto"), Some("https"));
    assert_eq!(head.get("x-forwarded-port"), Some("443"));
    assert_eq!(seen(&router, &dyno, "").get("x-forwarded-proto"), Some("http"));
}

#[test]
fn a_request_id_that_will_do_is_kept_and_logged() {
    let (router, dyno) = start();
    let id = "0123456789abcdefghij+/=-";
    let head = seen(&router, &dyno, &format!("X-Request-ID: {id}\r\n"));
    assert_eq!(head.get("x-request-id"), Some(id));
    // With its quotes, because of the equals sign.
    router.log.wait_for(&format!(" request_id=\"{id}\" "));
}

#[test]
fn any_other_request_id_is_replaced_by_a_uuid() {
    let (router, dyno) = start();
    let mut ids = Vec::new();
    for lines in [
        "",
        "X-Request-Id: short\r\n",
        "X-Request-Id: with spaces in it, twenty\r\n",
        "X-Request-Id: 0123456789abcdefghij\r\nX-Request-Id: 0123456789abcdefghik\r\n",
        &format!("X-Request-Id: {}\r\n", "x".repeat(201)),
    ] {
        let head = seen(&router, &dyno, lines);
        let id = head.get("x-request-id").unwrap().to_owned();
        let is_uuid = id.len() == 36
            && id.bytes().enumerate().all(|(i, b)| match i {
                8 | 13 | 18 | 23 => b == b'-',
                14 => b == b'4',
                _ => b.is_ascii_hexdigit() && !b.is_ascii_uppercase(),
            });
        assert!(is_uuid, "{lines:?} became {id:?}");
        router.log.wait_for(&format!(" request_id={id} "));
        assert!(!ids.contains(&id));
        ids.push(id);
    }
}

#[test]
fn via_is_appended_in_both_directions() {
    let (router, dyno) = start();
    let head = seen(&router, &dyno, "Via: 1.0 proxy.test\r\n");
    assert_eq!(head.get("via"), Some("1.0 proxy.test, 1.1 hostler"));
    let answer = got(&router, &dyno, "Via: 1.1 cache.test\r\n");
    assert_eq!(answer.head.get("via"), Some("1.1 cache.test, 1.1 hostler"));
    assert_eq!(got(&router, &dyno, "").head.get("via"), Some("1.1 hostler"));
}

#[test]
fn via_bears_the_name_of_the_settings() {
    let router = Router::with(&[("HOSTLER_HTTP_VIA", "edge-1")]);
    let dyno = Dyno::new();
    router.app("one", "a.test", &[&dyno.addr]);
    assert_eq!(seen(&router, &dyno, "").get("via"), Some("1.1 edge-1"));
}

#[test]
fn a_request_that_came_around_too_often_is_508() {
    let (router, dyno) = start();
    let via = ["1.1 hostler"; 5].join(", ");
    assert_eq!(seen(&router, &dyno, &format!("Via: {via}\r\n")).all("via").len(), 1);
    let mut client = router.connect();
    let request =
        format!("GET / HTTP/1.1\r\nHost: a.test\r\nVia: {via}\r\nVia: 1.1 hostler\r\n\r\n");
    assert_eq!(client.ask(request).verdict(), (508, "loop"));
    assert!(dyno.is_idle());
}

#[test]
fn hop_by_hop_headers_and_those_that_connection_names_end_here() {
    let (router, dyno) = start();
    let lines = "Connection: keep-alive, X-Secret\r\nconnection: x-other\r\nKeep-Alive: 5\r\n\
                 Proxy-Connection: keep-alive\r\nTE: trailers\r\nX-Secret: 1\r\nX-OTHER: 2\r\n\
                 Proxy-Authorization: Basic x\r\nUpgrade: h2c\r\nX-Kept: 3\r\n";
    let head = seen(&router, &dyno, lines);
    for name in
        ["connection", "keep-alive", "proxy-connection", "te", "x-secret", "x-other", "upgrade"]
    {
        assert_eq!(head.all(name), [""; 0], "{name}");
    }
    assert_eq!(head.get("x-kept"), Some("3"));
    let answer = got(
        &router,
        &dyno,
        "Connection: X-Secret\r\nKeep-Alive: timeout=5\r\nX-Secret: 1\r\nUpgrade: h2c\r\n\
         X-Kept: 3\r\n",
    );
    for name in ["connection", "keep-alive", "x-secret", "upgrade"] {
        assert_eq!(answer.head.all(name), [""; 0], "{name}");
    }
    assert_eq!(answer.head.get("x-kept"), Some("3"));
}

#[test]
fn underscore_twins_of_what_the_router_sets_are_removed() {
    let (router, dyno) = start();
    let lines = "X_Forwarded_For: 6.6.6.6\r\nX-Forwarded_Proto: https\r\nx_request-id: evil\r\n\
                 Content_Length: 5\r\nTransfer_Encoding: chunked\r\nX_Mine: kept\r\n";
    let head = seen(&router, &dyno, lines);
    let with_underscore: Vec<&str> = head
        .fields
        .iter()
        .map(|(name, _)| name.as_str())
        .filter(|name| name.contains('_'))
        .collect();
    assert_eq!(with_underscore, ["X_Mine"]);
}

#[test]
fn order_and_case_of_headers_are_kept_both_ways() {
    let (router, dyno) = start();
    let head =
        seen(&router, &dyno, "x-B: 1\r\nACCEPT: */*\r\nx-a: 2\r\nX-b:  3\t\r\nCookie: c\r\n");
    let names: Vec<String> = head.fields.iter().map(|(n, v)| format!("{n}={v}")).collect();
    assert_eq!(names[..6], ["Host=a.test", "x-B=1", "ACCEPT=*/*", "x-a=2", "X-b=3", "Cookie=c"]);
    let answer = got(&router, &dyno, "x-B: 1\r\nSet-Cookie: a\r\nSERVER: s\r\nSet-Cookie: b\r\n");
    let names: Vec<String> = answer.head.fields.iter().map(|(n, v)| format!("{n}={v}")).collect();
    assert_eq!(names[..4], ["x-B=1", "Set-Cookie=a", "SERVER=s", "Set-Cookie=b"]);
    assert_eq!(answer.head.line, "HTTP/1.1 200 Fine");
}

#[test]
fn bytes_above_ascii_in_values_pass() {
    let (router, dyno) = start();
    let head = seen(&router, &dyno, "X-Name: b\u{fc}cher\r\n");
    assert_eq!(head.get("x-name"), Some("b\u{fc}cher"));
}

#[test]
fn a_dynos_own_hostler_error_is_removed() {
    let (router, dyno) = start();
    assert_eq!(got(&router, &dyno, "Hostler-Error: H12\r\n").fault(), "");
}

#[test]
fn a_date_is_added_only_where_it_is_missing() {
    let (router, dyno) = start();
    let date = "Tue, 15 Nov 1994 08:12:31 GMT";
    let answer = got(&router, &dyno, &format!("Date: {date}\r\n"));
    assert_eq!(answer.head.get("date"), Some(date));
    let answer = got(&router, &dyno, "");
    let added = answer.head.get("date").expect("a date");
    let added = httpdate::parse_http_date(added).unwrap();
    let age = std::time::SystemTime::now().duration_since(added).unwrap_or_default();
    assert!(age.as_secs() < 60, "{answer:?}");
}

#[test]
fn a_status_without_a_reason_and_one_of_its_own_pass() {
    let (router, dyno) = start();
    for (line, passed) in [
        ("HTTP/1.1 200", "HTTP/1.1 200 "),
        ("HTTP/1.1 299 Odd but fine", "HTTP/1.1 299 Odd but fine"),
        ("HTTP/1.1 999 Beyond", "HTTP/1.1 999 Beyond"),
    ] {
        let mut client = router.connect();
        client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
        let mut conn = dyno.accept();
        conn.take_request();
        conn.send(format!("{line}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"));
        assert_eq!(client.take_answer().head.line, passed);
    }
}

#[test]
fn the_target_and_the_host_go_on_as_they_came() {
    let (router, dyno) = start();
    for target in ["/a//b/../c?x=%41&y=%2f#z", "/%00%0d%0a", "/?", "//a.test/x", "/\u{e9}"] {
        let mut client = router.connect();
        client.send(format!("GET {target} HTTP/1.1\r\nHost: A.Test:8080\r\n\r\n"));
        let mut conn = dyno.accept();
        let head = conn.take_request().head;
        // A fragment is no part of a request.
        let went_on = target.split('#').next().unwrap();
        assert_eq!(head.line, format!("GET {went_on} HTTP/1.1"));
        assert_eq!(head.get("host"), Some("A.Test:8080"));
        conn.send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
        client.take_answer();
    }
}
