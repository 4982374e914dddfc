//! Requests that come before the answer to the one before: answered one by one, in order.

use super::*;

/// The dyno takes a request and answers with its line; the client gets that answer next.
fn is_next(x: &mut Case, dyno: &mut Conn, line: &str, body: &str) {
    let request = dyno.take_request();
    assert_eq!((request.head.line.as_str(), request.text().as_str()), (line, body));
    dyno.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{line}", line.len()));
    assert_eq!(x.client.take_answer().text(), line);
}

behaviours! {
    fn requests_of_all_framings_are_answered_in_order(x) {
        x.send(
            "POST /1 HTTP/1.1\r\nHost: a.test\r\nContent-Length: 3\r\n\r\none\
             GET /2 HTTP/1.1\r\nHost: no.test\r\n\r\n\
             POST /3 HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n\
             5\r\nthree\r\n0\r\n\r\n\
             GET /4 HTTP/1.1\r\nHost: a.test\r\n\r\n",
        );
        let mut dyno = x.dyno();
        is_next(x, &mut dyno, "POST /1 HTTP/1.1", "one");
        assert_eq!(x.client.take_answer().verdict(), (404, "unknown_host"));
        is_next(x, &mut dyno, "POST /3 HTTP/1.1", "three");
        is_next(x, &mut dyno, "GET /4 HTTP/1.1", "");
        x.both_go_on(dyno);
    }

    fn the_next_one_reaches_no_dyno_before_the_answer_is_over(x) {
        x.send("GET /1 HTTP/1.1\r\nHost: a.test\r\n\r\nGET /2 HTTP/1.1\r\nHost: a.test\r\n\r\n");
        let mut dyno = x.dyno();
        dyno.take_request();
        dyno.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
        x.client.take_until("hello");
        x.catch_up();
        assert!(!dyno.has_input() && x.web.is_idle());
        dyno.send("world");
        x.client.take_until("world");
        is_next(x, &mut dyno, "GET /2 HTTP/1.1", "");
    }

    fn head_and_get_stay_in_step(x) {
        x.send("HEAD /1 HTTP/1.1\r\nHost: a.test\r\n\r\nGET /2 HTTP/1.1\r\nHost: a.test\r\n\r\n");
        let mut dyno = x.dyno();
        dyno.take_request();
        dyno.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n");
        assert_eq!(x.client.take_head().get("content-length"), Some("100"));
        is_next(x, &mut dyno, "GET /2 HTTP/1.1", "");
    }

    fn what_follows_a_close_is_not_read(x) {
        x.send(
            "GET /1 HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n\
            GET /2 HTTP/1.1\r\nHost: a.test\r\n\r\n",
        );
        let mut dyno = x.dyno();
        is_next(x, &mut dyno, "GET /1 HTTP/1.1", "");
        x.client_ends();
        x.dyno_goes_on(dyno);
    }

    fn what_follows_a_refusal_is_not_read(x) {
        x.send(
            "GET /1 HTTP/1.1\r\nHost: a.test\r\n\r\nGET /2 HTTP/1.1\r\n\r\n\
            GET /3 HTTP/1.1\r\nHost: a.test\r\n\r\n",
        );
        let mut dyno = x.dyno();
        is_next(x, &mut dyno, "GET /1 HTTP/1.1", "");
        x.is_refused(400, "bad_request");
        x.dyno_goes_on(dyno);
    }

    fn a_request_in_the_body_of_another_is_none(x) {
        let inner = "GET /smuggled HTTP/1.1\r\nHost: a.test\r\n\r\n";
        x.send(format!(
            "POST /1 HTTP/1.1\r\nHost: a.test\r\nContent-Length: {}\r\n\r\n{inner}\
            GET /2 HTTP/1.1\r\nHost: a.test\r\n\r\n",
            inner.len()
        ));
        let mut dyno = x.dyno();
        is_next(x, &mut dyno, "POST /1 HTTP/1.1", inner);
        is_next(x, &mut dyno, "GET /2 HTTP/1.1", "");
    }

    fn empty_lines_between_requests_are_passed_over(x) {
        x.send(
            "\r\nGET /1 HTTP/1.1\r\nHost: a.test\r\n\r\n\r\n\r\n\
            GET /2 HTTP/1.1\r\nHost: a.test\r\n\r\n",
        );
        let mut dyno = x.dyno();
        is_next(x, &mut dyno, "GET /1 HTTP/1.1", "");
        is_next(x, &mut dyno, "GET /2 HTTP/1.1", "");
    }

    fn a_hundred_at_once_are_answered(x) {
        let ask =
            |i| format!("GET /{i} HTTP/1.1\r\nHost: a.test\r\nX: {}\r\n\r\n", "x".repeat(900));
        x.send((0..100).map(ask).collect::<String>());
        let mut dyno = x.dyno();
        for i in 0..100 {
            is_next(x, &mut dyno, &format!("GET /{i} HTTP/1.1"), "");
        }
    }

    fn two_are_read_alike_wherever_they_are_split(x) {
        let two = b"PUT /1 HTTP/1.1\r\nHost: a.test\r\nContent-Length: 2\r\n\r\nhi\
            GET /2 HTTP/1.1\r\nHost: a.test\r\n\r\n";
        for border in 1..two.len() {
            x.send_split(two, border);
            let mut dyno = x.dyno();
            is_next(x, &mut dyno, "PUT /1 HTTP/1.1", "hi");
            is_next(x, &mut dyno, "GET /2 HTTP/1.1", "");
            x.both_go_on(dyno);
        }
    }
}
