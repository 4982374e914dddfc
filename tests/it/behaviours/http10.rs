//! Clients and dynos that speak HTTP/1.0.
//!
//! Invariant: the router speaks HTTP/1.1 to both, and to a client of 1.0 only what it understands.

use super::*;
use crate::harness::End;

/// A client of 1.0 asks, with these header lines; answers the dyno's connection.
fn ask(x: &mut Case, lines: &str) -> Conn {
    let (request, dyno) = x.ask(format!("GET / HTTP/1.0\r\nHost: a.test\r\n{lines}\r\n"));
    assert_eq!(request.head.line, "GET / HTTP/1.1");
    assert_eq!(request.head.get("via"), Some("1.0 hostler"));
    dyno
}

const STAYS: &str = "Connection: Keep-Alive\r\n";

behaviours! {
    fn a_client_is_answered_and_closed(x) {
        let mut dyno = ask(x, "");
        dyno.send(OK);
        let answer = x.client.take_answer();
        assert_eq!((answer.head.get("connection"), answer.text().as_str()), (Some("close"), "ok"));
        assert_eq!(x.client.take_end(), End::Closed);
        x.dyno_goes_on(dyno);
    }

    fn a_client_that_asks_for_keep_alive_gets_it_said(x) {
        let mut dyno = ask(x, STAYS);
        dyno.send(OK);
        let answer = x.client.take_answer();
        assert_eq!(answer.head.get("connection"), Some("keep-alive"));
        x.both_go_on(dyno);
    }

    fn close_beats_keep_alive(x) {
        let mut dyno = ask(x, "Connection: keep-alive, close\r\n");
        dyno.send(OK);
        assert_eq!(x.client.take_answer().head.get("connection"), Some("close"));
        assert_eq!(x.client.take_end(), End::Closed);
    }

    fn chunks_reach_a_client_as_their_data_and_end_its_connection(x) {
        let mut dyno = ask(x, STAYS);
        dyno.send(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n\
            5\r\nhello\r\n",
        );
        let head = x.client.take_head();
        assert_eq!(head.all("transfer-encoding"), [""; 0]);
        assert_eq!((head.length(), head.get("connection")), (None, Some("close")));
        assert_eq!(x.client.take(5), b"hello");
        dyno.send("1;x=y\r\n \r\n5\r\nworld\r\n0\r\nX-Sum: 1\r\n\r\n");
        assert_eq!(x.client.take_all(), (b" world".to_vec(), End::Closed));
        // The dyno did nothing wrong.
        x.dyno_goes_on(dyno);
    }

    fn chunks_that_break_off_end_in_a_reset(x) {
        let mut dyno = ask(x, "");
        dyno.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
        x.client.take_head();
        assert_eq!(x.client.take(5), b"hello");
        dyno.send("x\r\n");
        assert_eq!(x.client.take_end(), End::Reset);
    }

    fn chunks_are_read_alike_wherever_they_are_split(x) {
        let answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
            5;a=\"b\"\r\nhello\r\n00A\r\n0123456789\r\n0\r\nX: y\r\n\r\n";
        for border in 1..answer.len() {
            let mut dyno = ask(x, "");
            dyno.send(&answer[..border]);
            x.catch_up();
            dyno.send(&answer[border..]);
            assert_eq!(x.client.take_answer().text(), "hello0123456789", "split at {border}");
            x.dyno_goes_on(dyno);
            x.again();
        }
    }

    fn head_to_chunks_has_no_framing_and_may_stay(x) {
        let (_, mut dyno) = x.ask(format!("HEAD / HTTP/1.0\r\nHost: a.test\r\n{STAYS}\r\n"));
        dyno.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        let head = x.client.take_head();
        assert_eq!(head.all("transfer-encoding"), [""; 0]);
        if head.get("connection") == Some("keep-alive") {
            x.both_go_on(dyno);
        } else {
            x.client_ends();
        }
    }

    fn a_refusal_is_told_and_closes(x) {
        for (line, status, fault) in
            [("Content-Length: x", 400, "H26"), ("Expect: tea", 417, "H26")]
        {
            x.send(format!("GET / HTTP/1.0\r\nHost: a.test\r\n{STAYS}{line}\r\n\r\n"));
            x.is_refused(status, fault);
            x.again();
        }
    }

    fn a_body_of_a_client_arrives(x) {
        let (request, mut dyno) = x.ask(format!(
            "POST / HTTP/1.0\r\nHost: a.test\r\n{STAYS}Content-Length: 5\r\n\r\nhello"
        ));
        assert_eq!(request.text(), "hello");
        dyno.send(OK);
        assert_eq!(x.client.take_answer().text(), "ok");
        x.both_go_on(dyno);
    }

    fn a_dyno_is_closed_behind_its_answer(x) {
        let mut dyno = x.play(GET, "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok");
        let answer = x.client.take_answer();
        assert_eq!(
            (answer.head.get("via"), answer.head.get("connection")),
            (Some("1.0 hostler"), None)
        );
        assert_eq!(answer.text(), "ok");
        dyno.take_end();
        let dyno = x.client_goes_on();
        x.both_go_on(dyno);
    }

    fn a_dyno_that_says_keep_alive_is_kept(x) {
        let dyno =
            x.play(GET, "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok");
        assert_eq!(x.client.take_answer().text(), "ok");
        x.both_go_on(dyno);
    }

    fn a_dyno_that_answers_until_close_is_relayed(x) {
        let dyno = x.play(GET, "HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nhello");
        drop(dyno);
        let answer = x.client.take_answer();
        assert_eq!(
            (answer.text().as_str(), answer.head.get("connection")),
            ("hello", Some("close"))
        );
    }
}
