//! Faults of a client whose request has an app: it is refused, leaves, falls silent or is slow.
//!
//! Invariant: whatever the client did, the dyno's connection of its exchange is not used again.

use serde_json::json;

use super::faults::faults;
use crate::harness::until;

const ASKED: &str = "POST /x?y a.test";
const HALF_A_BODY: &str = "POST /x?y HTTP/1.1\r\nHost: a.test\r\nContent-Length: 10\r\n\r\nhello";

/// The end of the line of a request of which no dyno heard.
fn no_dyno(status: u16) -> String {
    format!("dyno= connect= service= status={status} bytes=")
}

faults! {
    BadExpect => fn h26_an_expectation_that_nobody_meets(x) {
        x.send(
            "POST /x?y HTTP/1.1\r\nHost: a.test\r\nExpect: 100-stay\r\nContent-Length: 2\r\n\r\nhi",
        );
        x.is_refused(417, "H26");
        let start =
            "at=error code=H26 desc=\"Request Error\" cause=\"unsupported expect header value\"";
        x.logs_refused(start, ASKED, &no_dyno(417));
        x.counts("H26", 1);
        x.nothing_reached_the_dyno();
    }

    BadHeader => fn h26_a_header_that_breaks_a_rule(x) {
        x.send(
            "POST /x?y HTTP/1.1\r\nHost: a.test\r\nContent-Length: 2\r\n\
             Transfer-Encoding: chunked\r\n\r\n",
        );
        x.is_refused(400, "H26");
        let start = "at=error code=H26 desc=\"Request Error\" cause=\"bad header\"";
        x.logs_refused(start, ASKED, &no_dyno(400));
        x.counts("H26", 1);
        x.nothing_reached_the_dyno();
    }

    BadChunk => fn h26_a_bad_chunk_that_comes_with_the_head(x) {
        x.send("POST /x?y HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n");
        x.is_refused(400, "H26");
        let start = "at=error code=H26 desc=\"Request Error\" cause=\"bad chunk\"";
        x.logs(start, ASKED, &no_dyno(400));
        x.counts("H26", 1);
        x.nothing_reached_the_dyno();
    }

    BadChunk => fn h26_a_bad_chunk_that_comes_when_a_part_was_sent_on(x) {
        x.send("POST /x?y HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n");
        let mut dyno = x.dyno();
        dyno.take_head();
        x.send("5\r\nhello\r\n");
        assert_eq!(dyno.take(10), b"5\r\nhello\r\n");
        x.send("x\r\n");
        let answer = x.is_refused(400, "H26");
        // No last chunk that could pass for the end.
        dyno.take_end();
        let start = "at=error code=H26 desc=\"Request Error\" cause=\"bad chunk\"";
        let bytes = answer.body.len();
        let rest = format!("dyno=web.1 connect=# service=# status=400 bytes={bytes}");
        x.logs(start, ASKED, &rest);
        x.counts("H26", 1);
    }

    BadChunk => fn h26_a_bad_chunk_that_comes_when_the_answer_has_begun(x) {
        x.send("POST /x?y HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n");
        let mut dyno = x.dyno();
        dyno.take_head();
        dyno.send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello");
        x.client.take_until("hello");
        x.send("x\r\n");
        let (rest, _) = x.client.take_all();
        assert!(rest.is_empty(), "{rest:?}");
        dyno.take_end();
        let start = "at=error code=H26 desc=\"Request Error\" cause=\"bad chunk\"";
        x.logs(start, ASKED, "dyno=web.1 connect=# service=# status=200 bytes=5");
        x.counts("H26", 1);
    }

    ClientInterrupted => fn h27_the_client_leaves_before_its_answer(x) {
        let (_, mut dyno) =
            x.ask("POST /x?y HTTP/1.1\r\nHost: a.test\r\nContent-Length: 2\r\n\r\nhi");
        x.leaves();
        dyno.take_end();
        let start = "sock=client at=warning code=H27 desc=\"Client Request Interrupted\"";
        x.logs(start, ASKED, "dyno=web.1 connect=# service=# status=499 bytes=0");
        x.counts("H27", 1);
    }

    ClientInterrupted => fn h27_the_client_leaves_within_its_answer(x) {
        let (_, mut dyno) =
            x.ask("POST /x?y HTTP/1.1\r\nHost: a.test\r\nContent-Length: 2\r\n\r\nhi");
        dyno.send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello");
        x.client.take_until("hello");
        x.leaves();
        dyno.take_end();
        let start = "sock=client at=warning code=H27 desc=\"Client Request Interrupted\"";
        x.logs(start, ASKED, "dyno=web.1 connect=# service=# status=200 bytes=5");
        x.counts("H27", 1);
    }

    ClientIdle => fn h28_the_client_falls_silent_within_its_body(
        x: Setup::app(json!({"timeouts.idle": "200ms"}))
    ) {
        x.send(HALF_A_BODY);
        let mut dyno = x.dyno();
        dyno.take_until("hello");
        x.client_is_cut();
        dyno.take_end();
        let start = "at=warning code=H28 desc=\"Client Connection Idle\"";
        x.logs(start, ASKED, "dyno=web.1 connect=# service=# status=499 bytes=0");
        x.counts("H28", 1);
    }

    ClientTooSlow => fn client_too_slow_with_its_body(
        x: Setup::app(json!({"limits.min_body_rate": "1MiB"}))
    ) {
        x.send("POST /x?y HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1000000\r\n\r\n");
        let mut dyno = x.dyno();
        dyno.take_head();
        // Never silent, for as long as the router has patience.
        until("the router has had enough", || {
            x.client.try_send(b"x").is_err() || x.client.has_input()
        });
        let answer = x.is_refused(408, "client_too_slow");
        dyno.take_all();
        let start = "at=warning code=client_too_slow desc=\"Client too slow\"";
        let bytes = answer.body.len();
        let rest = format!("dyno=web.1 connect=# service=# status=408 bytes={bytes}");
        x.logs(start, ASKED, &rest);
        x.counts("client_too_slow", 1);
    }

    SlowReader => fn slow_reader_of_an_answer_without_end(
        x: Setup::app(json!({"limits.min_body_rate": "1MiB"}))
    ) {
        let request = "GET /x?y HTTP/1.1\r\nHost: a.test\r\n\r\n";
        let line = x.is_cut_for_reading_slowly(request, 99_000_000);
        assert!(line.contains(" desc=\"Client reads too slowly\" "), "{line}");
        x.counts("slow_reader", 1);
    }
}
