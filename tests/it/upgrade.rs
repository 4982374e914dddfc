//! Tunnels in use: WebSocket with real dynos, and what the drain makes of one.

use crate::harness::{
    Conn, Dyno, Program, Router,
    program::{node, python, scripts},
};

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
    let dynos = [("websocket.py", python()), ("node.mjs", node())];
    for (script, mut command) in dynos {
        command.arg(scripts().join("dynos").join(script));
        let (router, dyno) = (Router::start(), Program::start(command));
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
