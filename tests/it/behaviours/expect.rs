//! `Expect: 100-continue`, answered by the router: the default.
//!
//! Invariant: a dyno never sees an expectation, so nothing hangs on what it makes of one.

use super::*;

/// A POST whose client waits for a 100 before it sends five bytes.
const WAITS: &str =
    "POST / HTTP/1.1\r\nHost: a.test\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n";
/// The 100 of the router, and any that passes it.
const BARE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// The dyno gets a head without an expectation, the client a bare 100.
fn is_invited(x: &mut Case, head: &str) -> Conn {
    x.send(head);
    let mut dyno = x.dyno();
    let got = dyno.take_head();
    assert_eq!(got.all("expect"), [""; 0], "{head:?}");
    assert_eq!(x.client.take(BARE.len()), BARE, "{head:?}");
    dyno
}

/// The body goes on, the answer comes, and both connections stay.
fn goes_on(x: &mut Case, mut dyno: Conn) {
    x.send("hello");
    assert_eq!(dyno.take(5), b"hello");
    dyno.send(OK);
    assert_eq!(x.client.take_answer().text(), "ok");
    x.both_go_on(dyno);
}

behaviours! {
    fn who_waits_is_invited_and_the_dyno_never_hears_of_it(x) {
        let dyno = is_invited(x, WAITS);
        goes_on(x, dyno);
    }

    fn who_waits_to_send_chunks_is_invited(x) {
        let mut dyno = is_invited(
            x,
            "POST / HTTP/1.1\r\nHost: a.test\r\nExpect: 100-continue\r\n\
            Transfer-Encoding: chunked\r\n\r\n",
        );
        x.send("5\r\nhello\r\n0\r\n\r\n");
        dyno.take_until("5\r\nhello\r\n0\r\n\r\n");
        dyno.send(OK);
        assert_eq!(x.client.take_answer().text(), "ok");
        x.both_go_on(dyno);
    }

    fn case_repetition_and_empty_elements_do_not_matter(x) {
        for value in [
            "100-Continue",
            "100-CONTINUE",
            "100-continue, 100-continue",
            ", 100-continue,",
            "100-continue\r\nExpect: 100-continue",
            "100-continue\r\nExpect:",
        ] {
            let dyno = is_invited(
                x,
                &format!(
                    "POST / HTTP/1.1\r\nHost: a.test\r\n\
                Expect: {value}\r\nContent-Length: 5\r\n\r\n"
                ),
            );
            goes_on(x, dyno);
        }
    }

    fn an_empty_expectation_is_none(x) {
        for value in ["", " ", ",", " , ,"] {
            let (request, dyno) = x.ask(format!(
                "POST / HTTP/1.1\r\nHost: a.test\r\n\
                Expect:{value}\r\nContent-Length: 5\r\n\r\nhello"
            ));
            assert_eq!(request.text(), "hello");
            let mut dyno = dyno;
            dyno.send(OK);
            // `take_answer` fails on an interim answer.
            assert_eq!(x.client.take_answer().text(), "ok");
            x.both_go_on(dyno);
        }
    }

    fn who_does_not_wait_may_be_invited_once_at_most(x) {
        let (request, mut dyno) = x.ask(format!("{WAITS}hello"));
        assert_eq!((request.head.get("expect"), request.text().as_str()), (None, "hello"));
        dyno.send(OK);
        let mut head = x.client.take_head();
        if head.status() == 100 {
            head = x.client.take_head();
        }
        assert_eq!((head.status(), x.client.take(2)), (200, b"ok".to_vec()));
        x.both_go_on(dyno);
    }

    fn who_has_no_body_is_not_invited(x) {
        for line in ["", "Content-Length: 0\r\n"] {
            let (request, mut dyno) = x.ask(format!(
                "POST / HTTP/1.1\r\nHost: a.test\r\nExpect: 100-continue\r\n{line}\r\n"
            ));
            assert_eq!(request.head.get("expect"), None);
            dyno.send(OK);
            assert_eq!(x.client.take_answer().text(), "ok");
            x.both_go_on(dyno);
        }
    }

    /// RFC 9110, section 10.1.1: a server ignores it in HTTP/1.0.
    fn a_client_of_http_1_0_is_not_invited(x) {
        let (request, mut dyno) = x.ask(
            "POST / HTTP/1.0\r\nHost: a.test\r\n\
            Expect: 100-continue\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello",
        );
        assert_eq!((request.head.get("expect"), request.text().as_str()), (None, "hello"));
        dyno.send(OK);
        assert_eq!(x.client.take_answer().text(), "ok");
        x.both_go_on(dyno);
    }

    fn a_100_of_the_dyno_after_ours_is_swallowed(x) {
        let mut dyno = is_invited(x, WAITS);
        dyno.send("HTTP/1.1 100 Continue\r\nX: y\r\n\r\n");
        x.catch_up();
        goes_on(x, dyno);
    }

    fn a_100_of_the_dyno_behind_the_body_is_swallowed(x) {
        let mut dyno = is_invited(x, WAITS);
        x.send("hello");
        dyno.take(5);
        dyno.send(format!("HTTP/1.1 100 Continue\r\n\r\n{OK}"));
        assert_eq!(x.client.take_answer().text(), "ok");
        x.both_go_on(dyno);
    }

    fn other_interim_answers_still_pass(x) {
        let mut dyno = is_invited(x, WAITS);
        dyno.send("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
        assert_eq!(x.client.take_head().get("link"), Some("</a>"));
        goes_on(x, dyno);
    }

    fn a_final_answer_before_the_body_is_delivered_and_closes(x) {
        let mut dyno = is_invited(x, WAITS);
        dyno.send("HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno");
        let answer = x.client.take_answer();
        assert_eq!((answer.status(), answer.text().as_str()), (401, "no"));
        assert_eq!(answer.head.get("connection"), Some("close"));
        x.client_ends();
        dyno.take_end();
    }

    fn who_asks_for_nobody_is_told_so_instead(x) {
        x.send(
            "POST / HTTP/1.1\r\nHost: no.test\r\nExpect: 100-continue\r\n\
            Content-Length: 5\r\n\r\n",
        );
        x.is_refused(404, "unknown_host");
    }

    fn who_asks_for_an_app_in_maintenance_is_told_so_instead(x) {
        x.router.write("PATCH", "/v1/apps/one", serde_json::json!({"maintenance": true}));
        x.send(WAITS);
        x.is_refused(503, "H80");
    }
}
