//! Status lines of answers: any number of three digits from 100 on, any phrase, or none.

use super::*;

/// Plays an answer with that status line; answers the line that the client gets.
fn relayed(x: &mut Case, line: &[u8]) -> String {
    let (_, mut dyno) = x.ask(GET);
    dyno.send([line, b"\r\nContent-Length: 2\r\n\r\nok"].concat());
    let answer = x.client.take_answer();
    assert_eq!(answer.text(), "ok");
    x.both_go_on(dyno);
    answer.head.line
}

behaviours! {
    fn odd_codes_and_phrases_pass_as_they_are(x) {
        for line in [
            "HTTP/1.1 299 Odd but fine",
            "HTTP/1.1 666 ?",
            "HTTP/1.1 999 Beyond",
            "HTTP/1.1 600 Six hundred",
            "HTTP/1.1 200 All's (well); ends=\"well\"",
            "HTTP/1.1 200 two  blanks\tand a tab",
            "HTTP/1.1 200 200",
            "HTTP/1.1 418 I'm a teapot",
        ] {
            assert_eq!(relayed(x, line.as_bytes()), line);
        }
    }

    /// RFC 9112, section 4: the blank before the phrase stays where the phrase is missing.
    fn a_missing_and_a_blank_phrase_pass(x) {
        assert_eq!(relayed(x, b"HTTP/1.1 200"), "HTTP/1.1 200 ");
        assert_eq!(relayed(x, b"HTTP/1.1 200 "), "HTTP/1.1 200 ");
        assert!(relayed(x, b"HTTP/1.1 200   ").starts_with("HTTP/1.1 200 "));
    }

    fn bytes_above_ascii_in_a_phrase_pass(x) {
        assert_eq!(relayed(x, "HTTP/1.1 200 sch\u{f6}n".as_bytes()), "HTTP/1.1 200 sch\u{f6}n");
        let (_, mut dyno) = x.ask(GET);
        dyno.send(b"HTTP/1.1 200 \xe9t\xe9\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(x.client.take_until("\r\n"), b"HTTP/1.1 200 \xe9t\xe9\r\n");
    }

    fn the_version_is_the_routers_own(x) {
        let mut dyno = x.play(GET, "HTTP/1.0 200 Old\r\nContent-Length: 2\r\n\r\nok");
        assert_eq!(x.client.take_answer().head.line, "HTTP/1.1 200 Old");
        dyno.take_end();
    }

    fn a_redirect_is_the_clients_to_follow(x) {
        let dyno = x.play(
            GET,
            "HTTP/1.1 302 Found\r\nLocation: http://b.test/x?y#z\r\n\
            Content-Length: 0\r\n\r\n",
        );
        let answer = x.client.take_answer();
        assert_eq!(answer.head.get("location"), Some("http://b.test/x?y#z"));
        x.both_go_on(dyno);
    }

    fn a_5xx_of_a_dyno_is_an_answer_like_any(x) {
        for status in [500, 502, 503, 504] {
            let dyno =
                x.play(GET, format!("HTTP/1.1 {status} Mine\r\nContent-Length: 4\r\n\r\noops"));
            let answer = x.client.take_answer();
            assert_eq!((answer.verdict(), answer.text().as_str()), ((status, ""), "oops"));
            x.both_go_on(dyno);
        }
    }
}
