//! Bodies whose end the head states, in both directions, and answers that end with the connection.

use super::*;
use crate::harness::End;

behaviours! {
    fn a_request_body_arrives_with_its_length_in_plain_digits(x) {
        let (request, _dyno) =
            x.ask("POST / HTTP/1.1\r\nHost: a.test\r\ncontent-length: 0011\r\n\r\nhello world");
        assert_eq!(request.head.get("content-length"), Some("11"));
        assert_eq!(request.head.get("transfer-encoding"), None);
        assert_eq!(request.text(), "hello world");
    }

    fn blanks_around_a_length_are_no_part_of_it(x) {
        let (request, mut dyno) =
            x.ask("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: \t 5 \t\r\n\r\nhello");
        assert_eq!(request.text(), "hello");
        dyno.send("HTTP/1.1 200 OK\r\nContent-Length:\t2 \r\n\r\nok");
        assert_eq!(x.client.take_answer().text(), "ok");
        x.both_go_on(dyno);
    }

    fn a_request_without_a_body_gets_no_framing(x) {
        let (request, _dyno) = x.ask("DELETE / HTTP/1.1\r\nHost: a.test\r\n\r\n");
        assert_eq!(request.head.all("content-length"), [""; 0]);
        assert_eq!(request.head.all("transfer-encoding"), [""; 0]);
    }

    fn a_post_with_an_empty_body_says_so_to_the_dyno(x) {
        let (request, dyno) = x.ask("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(request.head.get("content-length"), Some("0"));
        let mut dyno = dyno;
        dyno.send(OK);
        assert_eq!(x.client.take_answer().text(), "ok");
        x.both_go_on(dyno);
    }

    fn a_get_may_have_a_body(x) {
        let (request, mut dyno) =
            x.ask("GET / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\n\r\nhello");
        assert_eq!(request.text(), "hello");
        dyno.send(OK);
        assert_eq!(x.client.take_answer().text(), "ok");
        x.both_go_on(dyno);
    }

    fn the_largest_length_there_is_reaches_the_dyno(x) {
        x.send("PUT / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 9223372036854775807\r\n\r\n");
        let head = x.dyno().take_head();
        assert_eq!(head.get("content-length"), Some("9223372036854775807"));
    }

    fn a_request_is_served_in_single_bytes(x) {
        for byte in b"POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\n\r\nhello" {
            x.send([*byte]);
            x.catch_up();
        }
        let mut dyno = x.dyno();
        assert_eq!(dyno.take_request().text(), "hello");
        dyno.send(OK);
        assert_eq!(x.client.take_answer().text(), "ok");
        x.both_go_on(dyno);
    }

    fn an_answer_is_relayed_in_single_bytes(x) {
        let (_, mut dyno) = x.ask(GET);
        for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello" {
            dyno.send([*byte]);
            x.catch_up();
        }
        assert_eq!(x.client.take_answer().text(), "hello");
        x.both_go_on(dyno);
    }

    fn a_request_is_read_alike_wherever_it_is_split(x) {
        let request = b"PUT /x HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\n\r\nhello";
        for border in 1..request.len() {
            x.send_split(request, border);
            let mut dyno = x.dyno();
            let request = dyno.take_request();
            assert_eq!(request.head.line, "PUT /x HTTP/1.1");
            assert_eq!(
                (request.head.get("content-length"), request.text().as_str()),
                (Some("5"), "hello"),
                "split at {border}"
            );
            dyno.send(OK);
            assert_eq!(x.client.take_answer().text(), "ok");
            x.both_go_on(dyno);
        }
    }

    fn an_answer_is_read_alike_wherever_it_is_split(x) {
        let answer = b"HTTP/1.1 201 Made\r\nX: y\r\nContent-Length: 5\r\n\r\nhello";
        for border in 1..answer.len() {
            let (_, mut dyno) = x.ask(GET);
            dyno.send(&answer[..border]);
            x.catch_up();
            dyno.send(&answer[border..]);
            let got = x.client.take_answer();
            assert_eq!(got.head.line, "HTTP/1.1 201 Made");
            assert_eq!((got.head.get("x"), got.text().as_str()), (Some("y"), "hello"));
            x.both_go_on(dyno);
        }
    }

    fn an_answer_by_length_is_framed_in_plain_digits(x) {
        let dyno = x.play(GET, "HTTP/1.1 200 OK\r\ncontent-length: 0005\r\n\r\nhello");
        let answer = x.client.take_answer();
        assert_eq!(answer.head.get("content-length"), Some("5"));
        assert_eq!(answer.text(), "hello");
        x.both_go_on(dyno);
    }

    fn an_empty_answer_is_whole_at_once(x) {
        let dyno = x.play(GET, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(x.client.take_answer().head.get("content-length"), Some("0"));
        x.both_go_on(dyno);
    }

    fn bytes_behind_an_answer_never_reach_another_client(x) {
        let mut first = x
            .play(GET, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n\r\nevil");
        assert_eq!(x.client.take_answer().text(), "ok");
        x.send(GET);
        let mut second = x.web.accept();
        second.take_request();
        second.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood");
        assert_eq!(x.client.take_answer().text(), "good");
        first.take_end();
    }

    fn an_answer_until_close_ends_the_clients_connection(x) {
        let mut dyno = x.play(GET, "HTTP/1.1 200 OK\r\n\r\nhello");
        let head = x.client.take_head();
        assert_eq!(head.get("connection"), Some("close"));
        assert_eq!(head.length(), None);
        assert!(!head.is_chunked());
        assert_eq!(x.client.take(5), b"hello");
        dyno.send(" world");
        drop(dyno);
        assert_eq!(x.client.take_all(), (b" world".to_vec(), End::Closed));
    }

    fn an_empty_answer_until_close_is_whole(x) {
        let dyno = x.play(GET, "HTTP/1.1 200 OK\r\n\r\n");
        assert_eq!(x.client.take_head().get("connection"), Some("close"));
        drop(dyno);
        assert_eq!(x.client.take_end(), End::Closed);
    }

    /// An end in order would say that the answer is whole.
    fn an_answer_until_close_that_breaks_off_is_a_reset(x) {
        let dyno = x.play(GET, "HTTP/1.1 200 OK\r\n\r\nhello");
        x.client.take_head();
        assert_eq!(x.client.take(5), b"hello");
        dyno.reset();
        assert_eq!(x.client.take_end(), End::Reset);
    }

    fn a_body_that_breaks_off_is_not_ended_in_order(x) {
        for head in ["Content-Length: 10\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n5\r\n"] {
            let dyno = x.play(GET, format!("HTTP/1.1 200 OK\r\n{head}hello"));
            assert_eq!(x.client.take_head().status(), 200);
            x.client.take_until("hello");
            drop(dyno);
            // Neither a last chunk nor anything else that could pass for a whole answer.
            x.client.take_end();
            x.again();
        }
        for line in x.router.log.wait_for_many("sock=backend at=error code=H18", 2) {
            assert!(line.contains(" status=200 bytes=5 "), "{line}");
        }
    }
}
