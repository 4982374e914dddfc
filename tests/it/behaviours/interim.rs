//! Interim answers: passed on to clients of HTTP/1.1, withheld from those of HTTP/1.0.

use super::*;

const HINTS: &str = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n";
const GET_1_0: &str = "GET / HTTP/1.0\r\nHost: a.test\r\nConnection: keep-alive\r\n\r\n";

behaviours! {
    fn early_hints_pass_with_their_headers_before_the_answer(x) {
        let mut dyno = x.play(GET, HINTS);
        let hints = x.client.take_head();
        assert_eq!(hints.status(), 103);
        assert_eq!(hints.get("link"), Some("</a.css>; rel=preload"));
        assert_eq!((hints.get("content-length"), hints.get("connection")), (None, None));
        dyno.send(OK);
        assert_eq!(x.client.take_answer().text(), "ok");
        x.both_go_on(dyno);
    }

    fn one_after_the_other_passes(x) {
        let mut dyno = x.play(GET, "HTTP/1.1 102 Processing\r\n\r\n");
        assert_eq!(x.client.take_head().line, "HTTP/1.1 102 Processing");
        dyno.send(HINTS);
        assert_eq!(x.client.take_head().status(), 103);
        dyno.send("HTTP/1.1 199 Odd\r\n\r\n");
        assert_eq!(x.client.take_head().line, "HTTP/1.1 199 Odd");
        dyno.send(OK);
        assert_eq!(x.client.take_answer().text(), "ok");
        x.both_go_on(dyno);
    }

    fn those_that_come_in_one_breath_with_the_answer_pass(x) {
        let dyno = x.play(GET, format!("{HINTS}{HINTS}{OK}"));
        assert_eq!(x.client.take_head().status(), 103);
        assert_eq!(x.client.take_head().status(), 103);
        assert_eq!(x.client.take_answer().text(), "ok");
        x.both_go_on(dyno);
    }

    fn they_are_read_alike_wherever_they_are_split(x) {
        let answer = format!("HTTP/1.1 103 Hints\r\nLink: </a>\r\n\r\n{OK}");
        for border in 1..answer.len() {
            let (_, mut dyno) = x.ask(GET);
            dyno.send(&answer[..border]);
            x.catch_up();
            dyno.send(&answer[border..]);
            assert_eq!(x.client.take_head().get("link"), Some("</a>"));
            assert_eq!(x.client.take_answer().text(), "ok");
            x.both_go_on(dyno);
        }
    }

    /// RFC 9110, section 8.6, and RFC 9112, section 6.1.
    fn framing_in_one_means_nothing_and_does_not_pass(x) {
        for line in ["Content-Length: 5", "Transfer-Encoding: chunked", "Connection: close"] {
            let dyno = x.play(GET, format!("HTTP/1.1 103 Hints\r\n{line}\r\n\r\n{OK}"));
            let hints = x.client.take_head();
            let name = line.split(':').next().unwrap();
            assert_eq!((hints.status(), hints.get(name)), (103, None), "{line}");
            assert_eq!(x.client.take_answer().text(), "ok");
            x.both_go_on(dyno);
        }
    }

    fn they_are_withheld_from_a_client_of_http_1_0(x) {
        let dyno = x.play(GET_1_0, format!("{HINTS}HTTP/1.1 100 Continue\r\n\r\n{OK}"));
        let answer = x.client.take_answer();
        assert_eq!((answer.status(), answer.text().as_str()), (200, "ok"));
        x.both_go_on(dyno);
    }

    fn they_may_answer_head(x) {
        let dyno = x.play(
            "HEAD / HTTP/1.1\r\nHost: a.test\r\n\r\n",
            format!("{HINTS}HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"),
        );
        assert_eq!(x.client.take_head().status(), 103);
        assert_eq!(x.client.take_head().get("content-length"), Some("9"));
        x.both_go_on(dyno);
    }

    fn an_unsolicited_100_passes_bare(x) {
        let mut dyno = x.play(GET, "HTTP/1.1 100 Go On\r\nX: y\r\nServer: z\r\n\r\n");
        let expected = b"HTTP/1.1 100 Continue\r\n\r\n";
        assert_eq!(x.client.take(expected.len()), expected);
        dyno.send(OK);
        assert_eq!(x.client.take_answer().text(), "ok");
        x.both_go_on(dyno);
    }

    fn a_fault_behind_one_is_answered(x) {
        let mut dyno = x.play(GET, HINTS);
        assert_eq!(x.client.take_head().status(), 103);
        dyno.send("HTTP/1.1 20 OK\r\n\r\n");
        x.is_refused(502, "H17");
        dyno.take_end();
    }

    fn a_malformed_one_is_502(x) {
        let mut dyno = x.play(GET, "HTTP/1.1 103 Hints\r\nno colon\r\n\r\n");
        x.is_refused(502, "H17");
        dyno.take_end();
    }

    fn thirty_two_are_many_enough(x) {
        let mut dyno = x.play(GET, "HTTP/1.1 102 Processing\r\n\r\n".repeat(32));
        for _ in 0..32 {
            assert_eq!(x.client.take_head().status(), 102);
        }
        dyno.send("HTTP/1.1 102 Processing\r\n\r\n");
        x.is_refused(502, "H17");
        dyno.take_end();
    }
}
