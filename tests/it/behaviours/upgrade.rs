//! Connections that change their protocol: the request, the 101 or its refusal, the byte tunnel.
//!
//! Invariant: behind the 101 every byte passes as it is, in both directions.

use std::thread;

use super::*;
use crate::harness::{End, pace};

/// More than the kernel holds of a tunnel.
const LARGE: usize = 6 << 20;

const ASK: &str = "GET /chat HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\n\
                   Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\r\n";
const SWITCH: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n\
                      Upgrade: websocket\r\nX-Kept: 1\r\n\r\n";
const BODY: &str = "POST / HTTP/1.1\r\nHost: a.test\r\nConnection: upgrade\r\nUpgrade: echo\r\n\
                    Content-Length: 5\r\n\r\n";

/// Asks for an upgrade and gets it; answers the dyno's end of the tunnel.
fn tunnel(x: &mut Case) -> Conn {
    let dyno = x.play(ASK, SWITCH);
    assert_eq!(x.client.take_head().status(), 101);
    dyno
}

/// Bytes go both ways.
fn is_tunnel(x: &mut Case, dyno: &mut Conn) {
    x.send("\0GET / HTTP/1.1\r\n\r\n");
    assert_eq!(dyno.take(19), b"\0GET / HTTP/1.1\r\n\r\n");
    dyno.send(b"HTTP/1.1 500 No\r\n\r\n\xff");
    assert_eq!(x.client.take(20), b"HTTP/1.1 500 No\r\n\r\n\xff");
}

behaviours! {
    fn it_reaches_the_dyno_and_its_101_the_client(x) {
        let (request, mut dyno) = x.ask(ASK);
        let connection = request.head.get("connection").unwrap().to_lowercase();
        assert_eq!(
            (connection.as_str(), request.head.get("upgrade")),
            ("upgrade", Some("websocket"))
        );
        assert_eq!(request.head.get("sec-websocket-version"), Some("13"));
        dyno.send(SWITCH);
        let head = x.client.take_head();
        assert_eq!(head.line, "HTTP/1.1 101 Switching Protocols");
        let connection = head.get("connection").unwrap().to_lowercase();
        assert_eq!((connection.as_str(), head.get("upgrade")), ("upgrade", Some("websocket")));
        assert_eq!((head.get("x-kept"), head.get("content-length")), (Some("1"), None));
        is_tunnel(x, &mut dyno);
    }

    fn any_method_and_any_protocol_may_ask(x) {
        for (method, protocol) in [("POST", "echo"), ("BREW", "coffee/1.0, tea"), ("HEAD", "x")] {
            let (request, mut dyno) = x.ask(format!(
                "{method} / HTTP/1.1\r\nHost: a.test\r\n\
                Connection: keep-alive, UPGRADE\r\nUpgrade: {protocol}\r\n\r\n"
            ));
            assert_eq!(request.head.get("upgrade"), Some(protocol));
            dyno.send(format!(
                "HTTP/1.1 101 Go\r\nConnection: upgrade\r\nUpgrade: {protocol}\r\n\r\n"
            ));
            assert_eq!(x.client.take_head().get("upgrade"), Some(protocol));
            is_tunnel(x, &mut dyno);
            x.again();
        }
    }

    fn large_blocks_go_both_ways_as_they_are(x) {
        let mut dyno = tunnel(x);
        for block in [&b"\0\xff\r\n\r\n"[..], &[7; 100_000]] {
            x.send(block);
            assert!(dyno.take(block.len()) == block);
            dyno.send(block);
            assert!(x.client.take(block.len()) == block);
        }
    }

    fn bytes_right_behind_the_101_and_the_request_are_not_lost(x) {
        let (_, mut dyno) = x.ask(format!("{ASK}eager"));
        dyno.send(format!("{SWITCH}hello"));
        assert_eq!(x.client.take_head().status(), 101);
        assert_eq!(x.client.take(5), b"hello");
        assert_eq!(dyno.take(5), b"eager");
        is_tunnel(x, &mut dyno);
    }

    fn a_101_is_read_alike_wherever_it_is_split(x) {
        let answer = format!("{SWITCH}hello");
        for border in 1..answer.len() {
            let (_, mut dyno) = x.ask(ASK);
            dyno.send(&answer[..border]);
            x.catch_up();
            dyno.send(&answer[border..]);
            assert_eq!(x.client.take_head().status(), 101);
            assert_eq!(x.client.take(5), b"hello", "split at {border}");
            x.again();
        }
    }

    fn early_hints_pass_before_a_101(x) {
        let mut dyno = x.play(ASK, format!("HTTP/1.1 103 Hints\r\nLink: </a>\r\n\r\n{SWITCH}"));
        assert_eq!(x.client.take_head().status(), 103);
        assert_eq!(x.client.take_head().status(), 101);
        is_tunnel(x, &mut dyno);
    }

    fn a_client_that_ends_its_direction_still_hears_the_dyno(x) {
        let mut dyno = tunnel(x);
        x.send("last words");
        x.client.shut_write();
        assert_eq!(dyno.take_all(), (b"last words".to_vec(), End::Closed));
        dyno.send("answer");
        assert_eq!(x.client.take(6), b"answer");
        drop(dyno);
        assert_eq!(x.client.take_end(), End::Closed);
        let line = x.router.log.wait_for("path=\"/chat\"");
        assert!(line.starts_with("at=info ") && line.contains(" status=101 bytes=6 "), "{line}");
    }

    fn a_dyno_that_ends_its_direction_still_hears_the_client(x) {
        let mut dyno = tunnel(x);
        dyno.send("last words");
        dyno.shut_write();
        assert_eq!(x.client.take_all(), (b"last words".to_vec(), End::Closed));
        x.send("still here");
        assert_eq!(dyno.take(10), b"still here");
        x.client.shut_write();
        assert_eq!(dyno.take_end(), End::Closed);
        x.router.log.wait_for(" status=101 bytes=10 ");
    }

    /// Its end waits behind bytes that the dyno has yet to take, and is no leaving.
    fn a_client_whose_dyno_has_ended_its_direction_is_heard_to_its_end(x) {
        let mut dyno = tunnel(x);
        dyno.shut_write();
        assert_eq!(x.client.take_end(), End::Closed);
        let mut client = x.client.another();
        let sending = thread::spawn(move || {
            client.send(vec![7; LARGE]);
            client.shut_write();
        });
        let mut had = 0;
        while had < LARGE {
            had += dyno.take_some(LARGE / 32);
            pace::pause(pace::STEP / 5);
        }
        sending.join().unwrap();
        assert_eq!((had, dyno.take_end()), (LARGE, End::Closed));
        let line = x.router.log.wait_for("path=\"/chat\"");
        assert!(line.starts_with("at=info ") && line.contains(" status=101 bytes=0 "), "{line}");
    }

    fn a_reset_of_the_dyno_is_one_of_the_clients_connection(x) {
        let mut dyno = tunnel(x);
        is_tunnel(x, &mut dyno);
        dyno.reset();
        assert_eq!(x.client.take_end(), End::Reset);
        x.router.log.wait_for("sock=backend at=error code=H18");
    }

    fn a_reset_of_the_client_is_one_of_the_dynos_connection(x) {
        let mut dyno = tunnel(x);
        is_tunnel(x, &mut dyno);
        std::mem::replace(&mut x.client, x.router.connect()).reset();
        assert_eq!(dyno.take_end(), End::Reset);
        x.router.log.wait_for("sock=client at=warning code=H27");
    }

    /// RFC 9110, section 7.8: it says to what the protocol changes.
    fn a_101_that_does_not_say_to_what_is_502(x) {
        let mut dyno = x.play(ASK, "HTTP/1.1 101 Switching\r\nConnection: upgrade\r\n\r\n");
        x.is_refused(502, "H17");
        dyno.take_end();
    }

    fn a_dyno_may_decline_and_both_connections_stay(x) {
        let dyno = x.play(ASK, "HTTP/1.1 426 Upgrade Required\r\nContent-Length: 2\r\n\r\nno");
        let answer = x.client.take_answer();
        assert_eq!((answer.status(), answer.text().as_str()), (426, "no"));
        x.both_go_on(dyno);
    }

    fn a_dyno_may_answer_as_if_nothing_was_asked(x) {
        let dyno = x.play(
            ASK,
            "HTTP/1.1 200 OK\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\
            Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        );
        let answer = x.client.take_answer();
        assert_eq!((answer.status(), answer.text().as_str()), (200, "ok"));
        assert_eq!(answer.head.get("upgrade"), None);
        x.both_go_on(dyno);
    }

    /// RFC 9110, section 7.8: what `Connection` does not name is not for this hop.
    fn an_upgrade_that_connection_does_not_name_is_none(x) {
        let (request, mut dyno) =
            x.ask("GET / HTTP/1.1\r\nHost: a.test\r\nUpgrade: websocket\r\n\r\n");
        assert_eq!(request.head.all("upgrade"), [""; 0]);
        assert_eq!(request.head.all("connection"), [""; 0]);
        dyno.send(SWITCH);
        x.is_refused(502, "H17");
        dyno.take_end();
    }

    /// RFC 9110, section 7.8: a server ignores it in HTTP/1.0.
    fn an_upgrade_in_http_1_0_is_none(x) {
        let (request, mut dyno) = x.ask(
            "GET / HTTP/1.0\r\nHost: a.test\r\n\
            Connection: upgrade, keep-alive\r\nUpgrade: websocket\r\n\r\n",
        );
        assert_eq!(request.head.all("upgrade"), [""; 0]);
        dyno.send(OK);
        assert_eq!(x.client.take_answer().text(), "ok");
        x.both_go_on(dyno);
    }

    /// Behind a 101 it would carry requests past every rule.
    fn http2_is_no_upgrade_wherever_it_stands_in_the_list(x) {
        for protocols in ["h2c", "websocket, h2c", "foo/1 ,H2C", "a\r\nUpgrade: b,\th2"] {
            let (request, mut dyno) = x.ask(format!(
                "GET / HTTP/1.1\r\nHost: a.test\r\n\
                Connection: Upgrade, HTTP2-Settings\r\nUpgrade: {protocols}\r\n\
                HTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n"
            ));
            for name in ["upgrade", "connection", "http2-settings"] {
                assert_eq!(request.head.all(name), [""; 0], "{name} of {protocols}");
            }
            dyno.send(OK);
            assert_eq!(x.client.take_answer().text(), "ok");
            x.both_go_on(dyno);
        }
    }

    fn a_body_is_sent_before_the_tunnel_begins(x) {
        x.send(format!("{BODY}hel"));
        let mut dyno = x.dyno();
        let head = dyno.take_head();
        assert_eq!((head.get("upgrade"), head.length()), (Some("echo"), Some(5)));
        assert_eq!(dyno.take(3), b"hel");
        x.send("lotunnel");
        assert_eq!(dyno.take(2), b"lo");
        dyno.send("HTTP/1.1 101 Go\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n");
        assert_eq!(x.client.take_head().status(), 101);
        assert_eq!(dyno.take(6), b"tunnel");
        is_tunnel(x, &mut dyno);
    }

    fn a_chunked_body_is_sent_before_the_tunnel_begins(x) {
        x.send(
            "POST / HTTP/1.1\r\nHost: a.test\r\nConnection: upgrade\r\nUpgrade: echo\r\n\
            Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\ntunnel",
        );
        let mut dyno = x.dyno();
        assert_eq!(dyno.take_request().text(), "hello");
        dyno.send("HTTP/1.1 101 Go\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n");
        assert_eq!(x.client.take_head().status(), 101);
        assert_eq!(dyno.take(6), b"tunnel");
        is_tunnel(x, &mut dyno);
    }

    fn a_101_that_overtakes_the_body_is_delivered_at_once(x) {
        x.send(format!("{BODY}hel"));
        let mut dyno = x.dyno();
        dyno.take_head();
        assert_eq!(dyno.take(3), b"hel");
        dyno.send("HTTP/1.1 101 Go\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\nhi");
        assert_eq!(x.client.take_head().status(), 101);
        x.send("lotunnel");
        assert_eq!(dyno.take(8), b"lotunnel");
        assert_eq!(x.client.take(2), b"hi");
        is_tunnel(x, &mut dyno);
    }

    fn a_decline_of_one_with_a_body_leaves_both_in_step(x) {
        let dyno = x.play(format!("{BODY}hello"), OK);
        assert_eq!(x.client.take_answer().text(), "ok");
        x.both_go_on(dyno);
    }

    fn neither_connection_carries_anything_else_behind_it(x) {
        let mut dyno = tunnel(x);
        x.client.shut_write();
        assert_eq!(dyno.take_end(), End::Closed);
        drop(dyno);
        assert_eq!(x.client.take_end(), End::Closed);
        x.again();
        x.nothing_reached_the_dyno();
    }
}
