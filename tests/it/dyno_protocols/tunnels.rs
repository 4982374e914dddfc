//! WebSockets to dynos that speak HTTP/2.
//!
//! Invariant: the client speaks HTTP/1.1, so that an end and a cut look different to it.

use super::{GET, frames::Frames, with_frames, with_node};
use crate::harness::{
    End,
    frames::{END_STREAM, kind::DATA},
};

/// A setting: extended CONNECT is taken (RFC 8441, section 3).
const ENABLE_CONNECT: u16 = 8;

#[test]
fn a_websocket_reaches_an_http2_dyno_by_extended_connect() {
    let (router, _dyno) = with_node();
    let mut client = router.connect();
    client.send(
        "GET /chat HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    );
    let head = client.take_head();
    assert_eq!(head.status(), 101);
    assert_eq!(head.get("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    assert_eq!(head.get("x-protocol"), Some("websocket"));
    for text in ["hello", "there"] {
        client.send(text);
        assert_eq!(client.take(5), text.as_bytes());
    }
    client.shut_write();
    client.take_end();
}

#[test]
fn a_tunnel_that_an_http2_dyno_does_not_end_in_order_is_cut() {
    type Script = fn(Frames, u32);
    let ends: [(&str, End, Script); 4] = [
        ("at=info", End::Closed, |mut conn, stream| {
            conn.send(DATA, END_STREAM, stream, b"");
            conn.ping();
        }),
        // Not even that says that all was said.
        ("code=H18", End::Reset, |mut conn, stream| conn.break_off(stream, 0)),
        ("code=H18", End::Reset, |mut conn, stream| conn.break_off(stream, 8)),
        ("code=H18", End::Reset, |conn, _| conn.close()),
    ];
    for (said, end, script) in ends {
        let (router, dyno) = with_frames();
        let mut client = router.connect();
        let upgrade = "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: \
                       dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        client.send(GET.replace("\r\n\r\n", upgrade));
        let mut conn = Frames::accept(&dyno, &[(ENABLE_CONNECT, 1)]);
        let stream = conn.take().stream;
        conn.answer(stream, 0, &[(":status", "200")]);
        conn.send(DATA, 0, stream, b"hello");
        assert_eq!(client.take_head().status(), 101);
        assert_eq!(client.take(5), b"hello");
        // The client has ended what it says: the dyno's end is all that is left.
        client.shut_write();
        assert_eq!(conn.take().flags, END_STREAM);
        script(conn, stream);
        assert_eq!(client.take_end(), end, "{said}");
        router.log.wait_for(said);
    }
}

#[test]
fn a_websocket_is_a_plain_request_where_the_dyno_takes_no_extended_connect() {
    let (router, dyno) = with_frames();
    let mut client = router.connect();
    client.send(GET.replace("\r\n\r\n", "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"));
    let mut conn = Frames::accept(&dyno, &[]);
    let stream = conn.take_request();
    conn.answer(stream, END_STREAM, &[(":status", "426")]);
    assert_eq!(client.take_answer().status(), 426);
}
