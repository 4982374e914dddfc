//! Connections that change their protocol: the byte tunnel, with WebSocket as its first use.
//!
//! Invariant: behind the 101 every byte passes as it is, in both directions.

use crate::harness::{Conn, Dyno, End, Program, Router};

const ASK: &str = "GET /chat HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\n\
                   Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
const SWITCH: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n\
                      Upgrade: websocket\r\nX-Kept: 1\r\n\r\n";

fn start(settings: &[(&str, &str)]) -> (Router, Dyno) {
    let (router, dyno) = (Router::with(settings), Dyno::new());
    router.app("one", "a.test", &[&dyno.addr]);
    (router, dyno)
}

/// A tunnel between a client and a dyno.
fn tunnel(router: &Router, dyno: &Dyno) -> (Conn, Conn) {
    let mut client = router.connect();
    client.send(ASK);
    let mut conn = dyno.accept();
    conn.take_request();
    conn.send(SWITCH);
    assert_eq!(client.take_head().status(), 101);
    (client, conn)
}

#[test]
fn an_upgrade_reaches_the_dyno_and_its_101_the_client() {
    let (router, dyno) = start(&[]);
    let mut client = router.connect();
    client.send(ASK);
    let mut conn = dyno.accept();
    let head = conn.take_request().head;
    assert_eq!(head.get("connection").map(str::to_lowercase).as_deref(), Some("upgrade"));
    assert_eq!(head.get("upgrade"), Some("websocket"));
    assert_eq!(head.get("sec-websocket-version"), Some("13"));
    conn.send(SWITCH);
    let head = client.take_head();
    assert_eq!(head.status(), 101);
    assert_eq!(head.get("connection").map(str::to_lowercase).as_deref(), Some("upgrade"));
    assert_eq!(head.get("upgrade"), Some("websocket"));
    assert_eq!(head.get("x-kept"), Some("1"));
    assert_eq!(head.get("content-length"), None);
}

#[test]
fn bytes_go_both_ways_through_the_tunnel_as_they_are() {
    let (router, dyno) = start(&[]);
    let (mut client, mut conn) = tunnel(&router, &dyno);
    for block in [&b"\0\xff\r\n\r\n"[..], b"GET / HTTP/1.1\r\n\r\n", &[7; 100_000]] {
        client.send(block);
        assert!(conn.take(block.len()) == block);
        conn.send(block);
        assert!(client.take(block.len()) == block);
    }
}

#[test]
fn bytes_right_behind_the_101_are_not_lost() {
    let (router, dyno) = start(&[]);
    let mut client = router.connect();
    // Nor those that an eager client sends right behind its request.
    client.send(format!("{ASK}eager"));
    let mut conn = dyno.accept();
    conn.take_request();
    conn.send(format!("{SWITCH}hello"));
    assert_eq!(client.take_head().status(), 101);
    assert_eq!(client.take(5), b"hello");
    assert_eq!(conn.take(5), b"eager");
}

#[test]
fn an_end_of_one_direction_leaves_the_other_open() {
    let (router, dyno) = start(&[]);
    let (mut client, mut conn) = tunnel(&router, &dyno);
    client.send("last words");
    client.shut_write();
    assert_eq!(conn.take_all(), (b"last words".to_vec(), End::Closed));
    conn.send("answer");
    assert_eq!(client.take(6), b"answer");
    drop(conn);
    assert_eq!(client.take_end(), End::Closed);
    let line = router.log.wait_for("path=\"/chat\"");
    assert!(line.starts_with("at=info ") && line.contains(" status=101 bytes=6 "), "{line}");
}

#[test]
fn a_dyno_that_ends_its_direction_still_hears_the_client() {
    let (router, dyno) = start(&[]);
    let (mut client, mut conn) = tunnel(&router, &dyno);
    conn.shut_write();
    assert_eq!(client.take_end(), End::Closed);
    client.send("still here");
    assert_eq!(conn.take(10), b"still here");
}

#[test]
fn a_reset_of_one_side_ends_the_other() {
    let (router, dyno) = start(&[]);
    let (client, mut conn) = tunnel(&router, &dyno);
    client.reset();
    conn.take_end();
    router.log.wait_for("sock=client at=warning code=H27");
    let (mut client, conn) = tunnel(&router, &dyno);
    conn.reset();
    client.take_end();
    router.log.wait_for("sock=backend at=error code=H18");
}

#[test]
fn a_silent_tunnel_is_closed_with_h15() {
    let (router, dyno) = start(&[("HOSTLER_TIMEOUTS_IDLE", "300ms")]);
    let (mut client, mut conn) = tunnel(&router, &dyno);
    client.take_end();
    conn.take_end();
    router.log.wait_for("at=error code=H15");
}

#[test]
fn a_dyno_may_decline_an_upgrade() {
    let (router, dyno) = start(&[]);
    let mut client = router.connect();
    client.send(ASK);
    let mut conn = dyno.accept();
    conn.take_request();
    conn.send("HTTP/1.1 426 Upgrade Required\r\nContent-Length: 2\r\n\r\nno");
    let answer = client.take_answer();
    assert_eq!((answer.status(), answer.text().as_str()), (426, "no"));
    client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    conn.take_request();
}

#[test]
fn an_upgrade_header_that_connection_does_not_name_is_no_upgrade() {
    let (router, dyno) = start(&[]);
    let mut client = router.connect();
    client.send("GET / HTTP/1.1\r\nHost: a.test\r\nUpgrade: websocket\r\n\r\n");
    let head = dyno.accept().take_request().head;
    assert_eq!(head.all("upgrade"), [""; 0]);
    assert_eq!(head.all("connection"), [""; 0]);
}

/// A frame of text, masked as a client must (RFC 6455, section 5.3).
fn frame(text: &str) -> Vec<u8> {
    let mask = [1, 2, 3, 4];
    let mut frame = vec![0x81, 0x80 | u8::try_from(text.len()).unwrap()];
    frame.extend(mask);
    frame.extend(text.bytes().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

#[test]
fn a_websocket_echoes_through_dynos_in_python_and_node() {
    for script in ["websocket.py", "app.mjs"] {
        let (router, dyno) = (Router::start(), Program::start(script));
        router.app("one", "a.test", &[&dyno.addr]);
        let mut client = router.connect();
        client.send(ASK);
        let head = client.take_head();
        assert_eq!(head.status(), 101, "{script}: {head:?}");
        // The accept key of RFC 6455, section 1.3: the dyno got the client's key unharmed.
        assert_eq!(head.get("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
        for text in ["hello", "", "a longer message, to and fro"] {
            client.send(frame(text));
            let header = client.take(2);
            assert_eq!(header, [0x81, u8::try_from(text.len()).unwrap()], "{script}");
            assert_eq!(client.take(text.len()), text.as_bytes(), "{script}");
        }
        // A close frame is answered with one, then the dyno ends the connection.
        client.send([0x88, 0x80, 0, 0, 0, 0]);
        assert_eq!(client.take(2), [0x88, 0], "{script}");
        client.take_end();
    }
}

#[test]
fn a_tunnel_goes_on_in_the_drain_and_is_cut_at_its_deadline() {
    let (mut router, dyno) = start(&[("HOSTLER_DRAIN_DEADLINE", "1s")]);
    let (mut client, mut conn) = tunnel(&router, &dyno);
    router.terminate();
    router.said.wait_for("draining");
    client.send("still");
    assert_eq!(conn.take(5), b"still");
    client.take_end();
    conn.take_end();
    assert!(router.wait().success());
    router.log.wait_for("at=error code=H24");
}

/// Only the first protocol of the list was looked at.
#[test]
fn http2_is_no_upgrade_wherever_it_stands_in_the_list() {
    let (router, dyno) = start(&[]);
    for protocols in ["h2c", "websocket, h2c", "foo/1 ,H2C", "a\r\nUpgrade: b,\th2"] {
        let mut client = router.connect();
        client.send(format!(
            "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: {protocols}\r\n\r\n"
        ));
        let mut conn = dyno.accept();
        let head = conn.take_head();
        assert_eq!((head.all("upgrade"), head.all("connection")), (vec![], vec![]), "{protocols}");
        conn.send("HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
        assert_eq!(client.take_answer().status(), 204);
    }
}
