//! Final answers that come while the request is still being uploaded: delivered, whatever the dyno
//! does behind them, and both connections closed, since nobody knows where the request ends.

use std::time::Duration;

use super::*;

/// Far more than all buffers on the way hold.
const UPLOAD: usize = 64 << 20;
/// More than 64 KiB, up to which others would promise it.
const LARGE: usize = 300_000;

/// Begins an upload; answers the dyno's connection, which has the head and a first piece.
fn begins(x: &mut Case) -> Conn {
    x.send(format!("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: {UPLOAD}\r\n\r\nbegin"));
    let mut dyno = x.dyno();
    dyno.take_head();
    assert_eq!(dyno.take(5), b"begin");
    dyno
}

/// As `begins`, with chunks.
fn begins_chunked(x: &mut Case) -> Conn {
    x.send("POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nbegin\r\n");
    let mut dyno = x.dyno();
    assert!(dyno.take_head().is_chunked());
    dyno.take_until("begin\r\n");
    dyno
}

/// An answer with that body and framing.
fn answer(framing: &str, body: &[u8]) -> Vec<u8> {
    let head = "HTTP/1.1 413 Content Too Large\r\n";
    match framing {
        "length" => {
            let head = format!("{head}Content-Length: {}\r\n\r\n", body.len());
            [head.as_bytes(), body].concat()
        }
        "chunked" => {
            let head = format!("{head}Transfer-Encoding: chunked\r\n\r\n{:x}\r\n", body.len());
            [head.as_bytes(), body, b"\r\n0\r\n\r\n"].concat()
        }
        _ => [head.as_bytes(), b"\r\n", body].concat(),
    }
}

/// The client gets it, with a closed connection, and so does the dyno.
fn is_delivered(x: &mut Case, body: &[u8]) {
    let answer = x.client.take_answer();
    assert_eq!(answer.status(), 413, "{answer:?}");
    assert!(answer.body == body, "{} of {} bytes came", answer.body.len(), body.len());
    assert_eq!(answer.head.get("connection"), Some("close"));
}

/// The dyno answers and keeps its side open.
fn stays(x: &mut Case, begins: fn(&mut Case) -> Conn, framing: &str, body: &[u8]) {
    let mut dyno = begins(x);
    dyno.send(answer(framing, body));
    is_delivered(x, body);
    x.client_ends();
    dyno.take_all();
}

/// The dyno answers and ends its side.
fn ends(x: &mut Case, begins: fn(&mut Case) -> Conn, framing: &str, body: &[u8]) {
    let mut dyno = begins(x);
    dyno.send(answer(framing, body));
    dyno.shut_write();
    is_delivered(x, body);
    x.client_ends();
    dyno.take_all();
}

/// The client sends all the while, and more than anybody takes, until it has its answer.
fn sends_on(x: &mut Case, framing: &str, body: &[u8], resets: bool) {
    let mut dyno = begins(x);
    x.client.send_until_blocked(&[b'x'; 1 << 16], UPLOAD - 5, Duration::from_millis(100));
    // The dyno reads some of it and no more.
    dyno.take(1);
    dyno.send(answer(framing, body));
    if resets {
        // With unread bytes this is a reset, but not before the answer was taken.
        x.catch_up();
        drop(dyno);
        is_delivered(x, body);
    } else {
        dyno.shut_write();
        is_delivered(x, body);
    }
}

behaviours! {
    fn by_length(x) { stays(x, begins, "length", b"too large"); }
    fn by_length_of_a_dyno_that_ends_its_side(x) { ends(x, begins, "length", b"too large"); }
    fn chunked(x) { stays(x, begins, "chunked", b"too large"); }
    fn chunked_of_a_dyno_that_ends_its_side(x) { ends(x, begins, "chunked", b"too large"); }
    fn until_close(x) { ends(x, begins, "close", b"too large"); }

    fn to_a_chunked_upload_by_length(x) { stays(x, begins_chunked, "length", b"too large"); }
    fn to_a_chunked_upload_chunked(x) { stays(x, begins_chunked, "chunked", b"too large"); }
    fn to_a_chunked_upload_until_close(x) { ends(x, begins_chunked, "close", b"too large"); }

    fn beyond_64_kib_by_length(x) { stays(x, begins, "length", &[b'x'; LARGE]); }
    fn beyond_64_kib_chunked(x) { stays(x, begins, "chunked", &[b'x'; LARGE]); }
    fn beyond_64_kib_until_close(x) { ends(x, begins, "close", &[b'x'; LARGE]); }

    fn to_a_client_that_sends_on_by_length(x) { sends_on(x, "length", b"no", false); }
    fn to_a_client_that_sends_on_chunked(x) { sends_on(x, "chunked", b"no", false); }
    fn to_a_client_that_sends_on_until_close(x) { sends_on(x, "close", b"no", false); }
    fn of_a_dyno_that_then_resets(x) { sends_on(x, "length", b"no", true); }
    fn of_a_dyno_that_then_resets_chunked(x) { sends_on(x, "chunked", b"no", true); }

    fn without_a_body(x) {
        let mut dyno = begins(x);
        dyno.send("HTTP/1.1 204 No Content\r\n\r\n");
        let head = x.client.take_head();
        assert_eq!((head.status(), head.get("connection")), (204, Some("close")));
        x.client_ends();
        dyno.take_all();
    }

    fn to_a_client_of_http_1_0(x) {
        x.send(
            "POST / HTTP/1.0\r\nHost: a.test\r\nConnection: keep-alive\r\n\
            Content-Length: 100\r\n\r\nbegin",
        );
        let mut dyno = x.dyno();
        dyno.take_until("begin");
        dyno.send(answer("chunked", b"too large"));
        let answer = x.client.take_answer();
        assert_eq!((answer.status(), answer.text().as_str()), (413, "too large"));
    }

    fn a_stream_goes_both_ways_piece_by_piece_and_both_connections_end(x) {
        let mut dyno = begins_chunked(x);
        dyno.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        assert_eq!(x.client.take_head().status(), 200);
        for turn in 0..10 {
            x.send(format!("2\r\nu{turn}\r\n"));
            dyno.take_until(&format!("2\r\nu{turn}\r\n"));
            dyno.send(format!("2\r\nd{turn}\r\n"));
            x.client.take_until(&format!("2\r\nd{turn}\r\n"));
        }
        x.send("0\r\n\r\n");
        dyno.take_until("0\r\n\r\n");
        dyno.send("0\r\n\r\n");
        x.client.take_until("0\r\n\r\n");
    }
}
