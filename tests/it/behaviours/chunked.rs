//! Chunked bodies in both directions, and their trailers.
//!
//! Invariant: chunks pass as they come, none waits for the next.

use super::*;

const UP: &str = "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n";
const DOWN: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

/// The chunked body goes up, with these trailers at the dyno, and the answer comes.
fn goes_up(x: &mut Case, wire: &str, text: &str, trailers: &[&str]) {
    let (request, mut dyno) = x.ask(format!("{UP}{wire}"));
    assert_eq!(request.text(), text, "{wire:?}");
    assert_eq!(request.trailers, trailers, "{wire:?}");
    dyno.send(OK);
    assert_eq!(x.client.take_answer().text(), "ok");
    x.both_go_on(dyno);
}

/// The chunked body comes down, with these trailers.
fn comes_down(x: &mut Case, wire: &str, text: &str, trailers: &[&str]) {
    let dyno = x.play(GET, format!("{DOWN}{wire}"));
    let answer = x.client.take_answer();
    assert_eq!(answer.text(), text, "{wire:?}");
    assert_eq!(answer.trailers, trailers, "{wire:?}");
    x.both_go_on(dyno);
}

fn both_ways(x: &mut Case, wire: &str, text: &str, trailers: &[&str]) {
    goes_up(x, wire, text, trailers);
    comes_down(x, wire, text, trailers);
}

/// A small body in which all that the coding has is there.
const ALL: &str = "3;x=\"a;b\"\r\nabc\r\n0A\r\n0123\r\n\r\n89\r\n0\r\nX-Sum: 1\r\nX-More:2\r\n\r\n";
const ALL_TEXT: &str = "abc0123\r\n\r\n89";
const ALL_TRAILERS: [&str; 2] = ["X-Sum: 1", "X-More: 2"];

behaviours! {
    fn a_chunk_goes_up_before_the_next_one_is_there(x) {
        x.send(UP);
        let mut dyno = x.dyno();
        assert!(dyno.take_head().is_chunked());
        for text in ["hello", " ", "world"] {
            x.send(format!("{:x}\r\n{text}\r\n", text.len()));
            dyno.take_until(text);
        }
        x.send("0\r\nX-Sum: 42\r\n\r\n");
        assert_eq!(dyno.take_until("\r\n\r\n"), b"\r\n0\r\nX-Sum: 42\r\n\r\n");
        dyno.send(OK);
        assert_eq!(x.client.take_answer().text(), "ok");
        x.both_go_on(dyno);
    }

    fn a_chunk_comes_down_before_the_next_one_is_there(x) {
        let mut dyno = x.play(GET, DOWN);
        assert!(x.client.take_head().is_chunked());
        for text in ["hello", " ", "world"] {
            dyno.send(format!("{:x}\r\n{text}\r\n", text.len()));
            x.client.take_until(&format!("{text}\r\n"));
        }
        dyno.send("0\r\nX-Sum: 42\r\n\r\n");
        assert_eq!(x.client.take_until("\r\n\r\n"), b"0\r\nX-Sum: 42\r\n\r\n");
        x.both_go_on(dyno);
    }

    fn a_part_of_a_chunk_goes_on_before_the_rest_is_there(x) {
        x.send(format!("{UP}a\r\nhello"));
        let mut dyno = x.dyno();
        dyno.take_until("hello");
        x.send("world\r\n0\r\n\r\n");
        dyno.take_until("world\r\n0\r\n\r\n");
        dyno.send(format!("{DOWN}a\r\nhello"));
        x.client.take_until("hello");
        dyno.send("world\r\n0\r\n\r\n");
        x.client.take_until("world\r\n0\r\n\r\n");
        x.both_go_on(dyno);
    }

    fn a_request_is_read_alike_wherever_it_is_split(x) {
        let wire = format!("{UP}{ALL}");
        for border in 1..wire.len() {
            x.send_split(wire.as_bytes(), border);
            let mut dyno = x.dyno();
            let request = dyno.take_request();
            assert_eq!(request.text(), ALL_TEXT, "split at {border}");
            assert_eq!(request.trailers, ALL_TRAILERS, "split at {border}");
            dyno.send(OK);
            assert_eq!(x.client.take_answer().text(), "ok");
            x.both_go_on(dyno);
        }
    }

    fn an_answer_is_read_alike_wherever_it_is_split(x) {
        let wire = format!("{DOWN}{ALL}");
        for border in 1..wire.len() {
            let (_, mut dyno) = x.ask(GET);
            dyno.send(&wire[..border]);
            x.catch_up();
            dyno.send(&wire[border..]);
            let answer = x.client.take_answer();
            assert_eq!(answer.text(), ALL_TEXT, "split at {border}");
            assert_eq!(answer.trailers, ALL_TRAILERS, "split at {border}");
            x.both_go_on(dyno);
        }
    }

    fn an_empty_body_is_one(x) {
        both_ways(x, "0\r\n\r\n", "", &[]);
        both_ways(x, "000\r\n\r\n", "", &[]);
    }

    fn sizes_have_digits_of_either_case_and_zeros_before_them(x) {
        both_ways(
            x,
            "a\r\n0123456789\r\nA\r\n0123456789\r\n0000000000000001\r\nx\r\n0\r\n\r\n",
            "01234567890123456789x",
            &[],
        );
    }

    fn data_may_look_like_framing(x) {
        both_ways(
            x,
            "10\r\n0\r\n\r\nGET / HTTP/\r\n7\r\n\r\n0\r\n\r\n\r\n0\r\n\r\n",
            "0\r\n\r\nGET / HTTP/\r\n0\r\n\r\n",
            &[],
        );
    }

    /// They are for the next hop alone, and two readers may see their end at two places.
    fn extensions_are_cut_out(x) {
        for extension in [";x", ";x=y", ";x=\"y;z\"", " ;x", ";x = y", ";\"", ";x=\"\\\"\"", "; ;;"]
        {
            let wire = format!("5{extension}\r\nhello\r\n0{extension}\r\n\r\n");
            x.send(format!("{UP}{wire}"));
            let mut dyno = x.dyno();
            dyno.take_head();
            assert_eq!(dyno.take(15), b"5\r\nhello\r\n0\r\n\r\n", "{extension}");
            dyno.send(format!("{DOWN}{wire}"));
            x.client.take_head();
            assert_eq!(x.client.take(15), b"5\r\nhello\r\n0\r\n\r\n", "{extension}");
            x.both_go_on(dyno);
        }
    }

    fn the_coding_is_known_in_any_case(x) {
        let (request, mut dyno) = x.ask(
            "POST / HTTP/1.1\r\nHost: a.test\r\n\
            tRANSFER-eNCODING:\tChunKED \r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        );
        assert_eq!(request.text(), "hi");
        dyno.send("HTTP/1.1 200 OK\r\ntransfer-encoding:CHUNKED\r\n\r\n2\r\nok\r\n0\r\n\r\n");
        assert_eq!(x.client.take_answer().text(), "ok");
        x.both_go_on(dyno);
    }

    fn trailers_pass_without_being_announced(x) {
        both_ways(
            x,
            "2\r\nhi\r\n0\r\nX-Sum: 1\r\nx-sum: 2\r\nX-Empty:\r\n\r\n",
            "hi",
            &["X-Sum: 1", "x-sum: 2", "X-Empty: "],
        );
    }

    fn trailers_pass_announced(x) {
        let (request, mut dyno) = x.ask(
            "POST / HTTP/1.1\r\nHost: a.test\r\nTrailer: X-Sum\r\n\
            Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX-Sum: 1\r\n\r\n",
        );
        assert_eq!(request.head.get("trailer"), Some("X-Sum"));
        assert_eq!(request.trailers, ["X-Sum: 1"]);
        dyno.send(
            "HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n\
            2\r\nok\r\n0\r\nX-Sum: 2\r\n\r\n",
        );
        let answer = x.client.take_answer();
        assert_eq!(answer.head.get("trailer"), Some("X-Sum"));
        assert_eq!(answer.trailers, ["X-Sum: 2"]);
        x.both_go_on(dyno);
    }

    fn trailers_pass_on_connections_that_close(x) {
        let (request, mut dyno) = x.ask(
            "POST / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\
            Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX-Sum: 1\r\n\r\n",
        );
        assert_eq!(request.trailers, ["X-Sum: 1"]);
        dyno.send(
            "HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n\
            2\r\nok\r\n0\r\nX-Sum: 2\r\n\r\n",
        );
        assert_eq!(x.client.take_answer().trailers, ["X-Sum: 2"]);
        x.client_ends();
        dyno.take_end();
    }

    /// RFC 9110, section 6.5.1.
    fn trailers_that_frame_route_or_vouch_do_not_pass(x) {
        both_ways(
            x,
            "2\r\nhi\r\n0\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\
            Host: b.test\r\nX-Kept: 1\r\nX-Forwarded-For: 6.6.6.6\r\nX_Forwarded_For: 6.6.6.6\r\n\
            Connection: close\r\nX-Request-Id: evil\r\nVia: 1.1 evil\r\nHostler-Error: H12\r\n\r\n",
            "hi",
            &["X-Kept: 1"],
        );
    }

    /// RFC 9110, section 6.5.1: what a receiver acts upon before the body is no trailer.
    fn trailers_that_would_change_what_was_read_already_do_not_pass(x) {
        for name in [
            "Authorization", "content-type", "Content-Encoding", "CACHE-CONTROL", "Location",
            "Cookie", "set-cookie", "Host", "TE", "Trailer",
        ] {
            let lines = format!("X-Checksum: 1\r\n{name}: x\r\nGrpc-Status: 0\r\n");
            let wire = format!("2\r\nhi\r\n0\r\n{lines}\r\n");
            both_ways(x, &wire, "hi", &["X-Checksum: 1", "Grpc-Status: 0"]);
        }
    }

    fn the_end_is_not_there_before_its_last_crlf(x) {
        for (begin, end) in [("2\r\nhi\r\n0\r\n", "\r\n"), ("2\r\nhi\r\n0\r\n\r", "\n")] {
            x.send(format!("{UP}{begin}"));
            let mut dyno = x.dyno();
            dyno.take_head();
            x.catch_up();
            let mut had = dyno.take_ready();
            assert!(!had.ends_with(b"0\r\n\r\n"), "{begin:?}");
            x.send(end);
            had.extend(dyno.take("2\r\nhi\r\n0\r\n\r\n".len() - had.len()));
            assert_eq!(String::from_utf8(had).unwrap(), "2\r\nhi\r\n0\r\n\r\n");
            dyno.send(format!("{DOWN}{begin}"));
            x.client.take_head();
            x.catch_up();
            let mut had = x.client.take_ready();
            assert!(!had.ends_with(b"0\r\n\r\n"), "{begin:?}");
            dyno.send(end);
            had.extend(x.client.take("2\r\nhi\r\n0\r\n\r\n".len() - had.len()));
            assert_eq!(String::from_utf8(had).unwrap(), "2\r\nhi\r\n0\r\n\r\n");
            x.both_go_on(dyno);
        }
    }

    /// The end of the body is its end: what follows is the next request, and none.
    fn a_zero_chunk_in_the_middle_ends_the_body(x) {
        const REST: &str = "2\r\nho\r\n0\r\n\r\n";
        // The rest comes with it, before the dyno answers, and after.
        for when in 0..3 {
            x.send(format!("{UP}2\r\nhi\r\n0\r\n\r\n{}", if when == 0 { REST } else { "" }));
            let mut dyno = x.dyno();
            assert_eq!(dyno.take_request().text(), "hi");
            if when == 1 {
                x.send(REST);
                x.catch_up();
            }
            dyno.send(OK);
            assert_eq!(x.client.take_answer().text(), "ok");
            if when == 2 {
                x.send(REST);
            }
            x.is_refused(400, "bad_request");
            x.dyno_goes_on(dyno);
            x.again();
        }
    }

    /// Unasked bytes: the dyno's connection is out of step.
    fn a_zero_chunk_in_the_middle_of_an_answer_ends_it_and_its_connection(x) {
        let mut dyno = x.play(GET, format!("{DOWN}2\r\nok\r\n0\r\n\r\n4\r\nevil\r\n0\r\n\r\n"));
        assert_eq!(x.client.take_answer().text(), "ok");
        let next = x.client_goes_on();
        dyno.take_end();
        x.both_go_on(next);
    }
}
