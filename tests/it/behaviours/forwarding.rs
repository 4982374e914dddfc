//! What the router tells of a request and an answer: who asked and how, an id, when, and `Via`.

use super::*;

/// What the dyno gets of a request with these header lines.
fn seen(x: &mut Case, lines: &str) -> Head {
    let (request, mut dyno) = x.ask(format!("GET / HTTP/1.1\r\nHost: a.test\r\n{lines}\r\n"));
    dyno.send(OK);
    assert_eq!(x.client.take_answer().text(), "ok");
    x.both_go_on(dyno);
    request.head
}

/// The `Via` that the client gets of an answer with these header lines.
fn via(x: &mut Case, lines: &str) -> Option<String> {
    let dyno = x.play(GET, format!("HTTP/1.1 200 OK\r\n{lines}Content-Length: 0\r\n\r\n"));
    let answer = x.client.take_answer();
    x.both_go_on(dyno);
    answer.head.get("via").map(str::to_owned)
}

fn trusting() -> Setup {
    Setup::router("http.trusted_networks", "127.0.0.0/8")
}

/// A UUID, version 4, in lower case.
fn is_uuid(id: &str) -> bool {
    id.len() == 36
        && id.bytes().enumerate().all(|(i, b)| match i {
            8 | 13 | 18 | 23 => b == b'-',
            14 => b == b'4',
            _ => b.is_ascii_hexdigit() && !b.is_ascii_uppercase(),
        })
}

behaviours! {
    fn the_dyno_is_told_who_asked_and_how(x) {
        let head = seen(x, "");
        let port = x.router.http.port().to_string();
        assert_eq!(head.get("x-forwarded-for"), Some("127.0.0.1"));
        assert_eq!(head.get("x-forwarded-proto"), Some("http"));
        assert_eq!(head.get("x-forwarded-port"), Some(port.as_str()));
        assert_eq!(head.get("via"), Some("1.1 hostler"));
    }

    fn the_dyno_is_told_when_in_milliseconds(x) {
        let start: i64 = seen(x, "").get("x-request-start").unwrap().parse().unwrap();
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let age = now.as_millis() as i64 - start;
        assert!((-5_000..60_000).contains(&age), "the request is {age} ms old");
    }

    fn a_forwarded_for_of_the_client_is_kept_and_appended_to(x) {
        for lines in [
            "X-Forwarded-For: 10.1.1.1, 10.2.2.2\r\n",
            "X-Forwarded-For: 10.1.1.1\r\nx-forwarded-for: 10.2.2.2\r\n",
        ] {
            let head = seen(x, lines);
            assert_eq!(head.get("x-forwarded-for"), Some("10.1.1.1, 10.2.2.2, 127.0.0.1"));
        }
        assert_eq!(seen(x, "X-Forwarded-For:\r\n").get("x-forwarded-for"), Some("127.0.0.1"));
        x.router.log.wait_for(" fwd=\"10.1.1.1, 10.2.2.2, 127.0.0.1\" ");
    }

    fn proto_port_and_start_of_an_untrusted_client_are_replaced(x) {
        let head = seen(
            x,
            "X-Forwarded-Proto: https\r\nX-Forwarded-Port: 443\r\n\
            X-Request-Start: 1\r\n",
        );
        let port = x.router.http.port().to_string();
        assert_eq!(head.get("x-forwarded-proto"), Some("http"));
        assert_eq!(head.get("x-forwarded-port"), Some(port.as_str()));
        assert_ne!(head.get("x-request-start"), Some("1"));
    }

    fn proto_port_and_start_of_a_trusted_client_are_kept(x: trusting()) {
        let head = seen(
            x,
            "X-Forwarded-Proto: https\r\nX-Forwarded-Port: 443\r\n\
            X-Request-Start: 1700000000000\r\n",
        );
        assert_eq!(head.get("x-forwarded-proto"), Some("https"));
        assert_eq!(head.get("x-forwarded-port"), Some("443"));
        assert_eq!(head.get("x-request-start"), Some("1700000000000"));
    }

    fn what_a_trusted_client_does_not_say_is_said_for_it(x: trusting()) {
        let head = seen(x, "");
        assert_eq!(head.get("x-forwarded-proto"), Some("http"));
        assert_ne!(head.get("x-request-start"), None);
    }

    fn other_forwarding_headers_pass_as_they_are(x) {
        let head = seen(x, "X-Forwarded-Host: b.test\r\nX-Forwarded-By: y\r\nForwarded: for=z\r\n");
        assert_eq!(head.get("x-forwarded-host"), Some("b.test"));
        assert_eq!(head.get("x-forwarded-by"), Some("y"));
        assert_eq!(head.get("forwarded"), Some("for=z"));
    }

    fn a_request_id_that_will_do_is_kept_and_logged(x) {
        for id in ["0123456789abcdefghij+/=-", &"x".repeat(20), &"A".repeat(200)] {
            assert_eq!(seen(x, &format!("X-Request-ID: {id}\r\n")).get("x-request-id"), Some(id));
        }
        // With its quotes, because of the equals sign.
        x.router.log.wait_for(" request_id=\"0123456789abcdefghij+/=-\" ");
    }

    fn any_other_request_id_is_replaced_by_a_uuid_and_logged(x) {
        let mut ids = Vec::new();
        for lines in [
            "",
            "X-Request-Id:\r\n",
            &format!("X-Request-Id: {}\r\n", "x".repeat(19)),
            &format!("X-Request-Id: {}\r\n", "x".repeat(201)),
            "X-Request-Id: with spaces in it, twenty\r\n",
            "X-Request-Id: 0123456789abcdefghij_\r\n",
            "X-Request-Id: 0123456789abcdefghij\r\nX-Request-Id: 0123456789abcdefghik\r\n",
        ] {
            let head = seen(x, lines);
            let id = head.get("x-request-id").unwrap().to_owned();
            assert!(is_uuid(&id), "{lines:?} became {id:?}");
            x.router.log.wait_for(&format!(" request_id={id} "));
            assert!(!ids.contains(&id));
            ids.push(id);
        }
    }

    fn via_is_appended_on_the_way_to_the_dyno(x) {
        assert_eq!(
            seen(x, "Via: 1.0 proxy.test\r\n").get("via"),
            Some("1.0 proxy.test, 1.1 hostler")
        );
        assert_eq!(
            seen(x, "Via: a b\r\nVIA: c d (e, f)\r\n").get("via"),
            Some("a b, c d (e, f), 1.1 hostler")
        );
    }

    fn via_is_appended_on_the_way_to_the_client(x) {
        assert_eq!(via(x, "").unwrap(), "1.1 hostler");
        assert_eq!(via(x, "Via: 1.1 cache.test\r\n").unwrap(), "1.1 cache.test, 1.1 hostler");
        assert_eq!(via(x, "Via: a b\r\nVia: c d\r\n").unwrap(), "a b, c d, 1.1 hostler");
    }

    fn via_bears_the_name_of_the_settings(x: Setup::router("http.via", "edge-1")) {
        assert_eq!(seen(x, "").get("via"), Some("1.1 edge-1"));
        assert_eq!(via(x, "").unwrap(), "1.1 edge-1");
    }

    fn a_fault_bears_via_too(x) {
        x.send("GET / HTTP/1.1\r\nHost: no.test\r\n\r\n");
        let answer = x.is_answered(404, "unknown_host");
        assert_eq!(answer.head.get("via"), Some("1.1 hostler"));
        x.send("GET / HTTP/1.1\r\n\r\n");
        assert_eq!(x.is_refused(400, "bad_request").head.get("via"), Some("1.1 hostler"));
    }
}
