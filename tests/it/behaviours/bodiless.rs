//! Answers without a body, whatever their headers say: to HEAD, 204, 304. The next exchange on the
//! same connections shows that nothing was waited for and nothing left over.

use super::*;

/// Sends the request, plays the answer, and takes its head; both connections go on behind it.
fn head_of(x: &mut Case, method: &str, answer: &str) -> Head {
    let dyno = x.play(format!("{method} / HTTP/1.1\r\nHost: a.test\r\n\r\n"), answer);
    let head = x.client.take_head();
    assert_eq!(head.get("connection"), None, "{head:?}");
    x.both_go_on(dyno);
    head
}

/// The headers that frame.
fn framing(head: &Head) -> (Option<&str>, Option<&str>) {
    (head.get("content-length"), head.get("transfer-encoding"))
}

behaviours! {
    fn head_with_a_length_keeps_it(x) {
        for length in ["5", "0", "100000000"] {
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
            assert_eq!(framing(&head_of(x, "HEAD", &answer)), (Some(length), None));
        }
    }

    fn head_with_chunks_waits_for_none(x) {
        let head = head_of(x, "HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        assert_eq!(head.get("content-length"), None);
    }

    fn head_without_any_framing_ends_with_its_head(x) {
        let head = head_of(x, "HEAD", "HTTP/1.1 200 OK\r\nX: y\r\n\r\n");
        assert_eq!((framing(&head), head.get("x")), ((None, None), Some("y")));
    }

    fn head_that_is_not_found_is_alike(x) {
        let head = head_of(x, "HEAD", "HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\n");
        assert_eq!((head.status(), framing(&head)), (404, (Some("9"), None)));
    }

    /// RFC 9110, section 8.6: no Content-Length in a 204.
    fn a_204_has_no_framing_left(x) {
        for line in
            ["", "Content-Length: 0\r\n", "Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n"]
        {
            let head = head_of(x, "GET", &format!("HTTP/1.1 204 No Content\r\n{line}\r\n"));
            assert_eq!((head.status(), framing(&head)), (204, (None, None)), "{line}");
        }
    }

    fn a_304_keeps_the_length_that_it_is_about(x) {
        let head = head_of(x, "GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n");
        assert_eq!((head.status(), framing(&head)), (304, (Some("99"), None)));
    }

    fn a_304_with_chunks_or_without_framing_waits_for_none(x) {
        for line in ["Transfer-Encoding: chunked\r\n", "ETag: \"x\"\r\n"] {
            let head = head_of(x, "GET", &format!("HTTP/1.1 304 Not Modified\r\n{line}\r\n"));
            assert_eq!((head.status(), head.get("content-length")), (304, None));
        }
    }

    fn a_204_and_a_304_to_head_are_alike(x) {
        assert_eq!(head_of(x, "HEAD", "HTTP/1.1 204 No Content\r\n\r\n").status(), 204);
        let head = head_of(x, "HEAD", "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n");
        assert_eq!(head.get("content-length"), Some("9"));
    }

    fn a_dyno_that_closes_behind_one_leaves_the_client_open(x) {
        for (method, status) in [("HEAD", "200 OK"), ("GET", "204 No"), ("GET", "304 Same")] {
            let mut dyno = x.play(
                format!("{method} / HTTP/1.1\r\nHost: a.test\r\n\r\n"),
                format!("HTTP/1.1 {status}\r\nConnection: close\r\n\r\n"),
            );
            assert_eq!(x.client.take_head().get("connection"), None);
            dyno.take_end();
            let dyno = x.client_goes_on();
            x.both_go_on(dyno);
            x.again();
        }
    }

    fn a_client_that_closes_is_closed_behind_one(x) {
        for (method, status) in [("HEAD", "200 OK"), ("GET", "204 No"), ("GET", "304 Same")] {
            let dyno = x.play(
                format!("{method} / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n"),
                format!("HTTP/1.1 {status}\r\n\r\n"),
            );
            assert_eq!(x.client.take_head().get("connection"), Some("close"));
            x.client_ends();
            x.dyno_goes_on(dyno);
        }
    }

    fn a_body_that_must_not_be_there_never_reaches_a_client(x) {
        for (method, answer) in [
            ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"),
            ("HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nevil\r\n0\r\n\r\n"),
            ("GET", "HTTP/1.1 204 No Content\r\nContent-Length: 4\r\n\r\nevil"),
            ("GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 4\r\n\r\nevil"),
        ] {
            let mut dyno = x.play(format!("{method} / HTTP/1.1\r\nHost: a.test\r\n\r\n"), answer);
            x.client.take_head();
            // Not the next answer either: the dyno's connection is out of step, and closed.
            let next = x.client_goes_on();
            dyno.take_end();
            x.both_go_on(next);
            x.again();
        }
    }

    fn a_refusal_answers_head_without_a_body(x) {
        for line in ["Content-Length: x", "Connection: host", "Expect: tea"] {
            x.send(format!("HEAD / HTTP/1.1\r\nHost: a.test\r\n{line}\r\n\r\n"));
            let head = x.client.take_head();
            assert!((400..500).contains(&head.status()), "{head:?}");
            // Which fails on anything before the end.
            x.client_ends();
            x.again();
        }
    }

    fn a_fault_of_a_dyno_answers_head_without_a_body(x) {
        let mut dyno = x.play("HEAD / HTTP/1.1\r\nHost: a.test\r\n\r\n", "HTTP/1.1 20 OK\r\n\r\n");
        let head = x.client.take_head();
        assert_eq!((head.status(), head.get("hostler-error")), (502, Some("H17")));
        x.client_ends();
        dyno.take_end();
    }

    fn a_fault_answers_head_without_a_body(x) {
        x.send("HEAD / HTTP/1.1\r\nHost: no.test\r\n\r\n");
        let head = x.client.take_head();
        assert_eq!((head.status(), head.get("hostler-error")), (404, Some("unknown_host")));
        let dyno = x.client_goes_on();
        x.both_go_on(dyno);
    }
}
