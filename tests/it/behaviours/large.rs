//! Bodies far larger than all buffers on their way, in both directions and each framing.

use std::thread;

use super::*;
use crate::harness::End;

const LARGE: usize = 6 << 20;

/// Bytes in which a lost or a doubled block shows.
fn pattern() -> Vec<u8> {
    (0..LARGE).map(|i| (i % 251) as u8 ^ (i >> 16) as u8).collect()
}

fn chunks(body: &[u8], size: usize) -> Vec<u8> {
    let mut out = Vec::new();
    for chunk in body.chunks(size) {
        out.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
        out.extend_from_slice(chunk);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"0\r\n\r\n");
    out
}

/// Sends from a thread of its own while the other side takes; answers both.
fn send<T>(conn: &mut Conn, bytes: &[u8], take: impl FnOnce() -> T) -> T {
    thread::scope(|scope| {
        let sending = scope.spawn(|| conn.send(bytes));
        let taken = take();
        sending.join().unwrap();
        taken
    })
}

fn comes_down(x: &mut Case, head: &str, wire: &[u8]) {
    let mut dyno = x.play(GET, head);
    let answer = send(&mut dyno, wire, || x.client.take_answer());
    assert!(answer.body == pattern());
    x.both_go_on(dyno);
    let line = x.router.log.wait_for(&format!(" bytes={LARGE} "));
    assert!(line.contains(" status=200 "), "{line}");
}

fn goes_up(x: &mut Case, head: &str, wire: &[u8]) {
    x.send(format!("PUT / HTTP/1.1\r\nHost: a.test\r\n{head}\r\n\r\n"));
    let mut dyno = x.dyno();
    let request = send(&mut x.client, wire, || dyno.take_request());
    assert!(request.body == pattern());
    dyno.send(OK);
    assert_eq!(x.client.take_answer().text(), "ok");
    x.both_go_on(dyno);
}

behaviours! {
    fn down_by_length(x) {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {LARGE}\r\n\r\n");
        comes_down(x, &head, &pattern());
    }

    fn down_in_large_chunks(x) {
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        comes_down(x, head, &chunks(&pattern(), 700_001));
    }

    fn down_in_small_chunks(x) {
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        comes_down(x, head, &chunks(&pattern(), 1_001));
    }

    fn down_until_close(x) {
        let mut dyno = x.play(GET, "HTTP/1.1 200 OK\r\n\r\n");
        assert_eq!(x.client.take_head().get("connection"), Some("close"));
        let body = thread::scope(|scope| {
            scope.spawn(|| {
                dyno.send(pattern());
                drop(dyno);
            });
            x.client.take_all()
        });
        assert!(body == (pattern(), End::Closed));
    }

    fn up_by_length(x) {
        goes_up(x, &format!("Content-Length: {LARGE}"), &pattern());
    }

    fn up_in_large_chunks(x) {
        goes_up(x, "Transfer-Encoding: chunked", &chunks(&pattern(), 700_001));
    }

    fn up_in_small_chunks(x) {
        goes_up(x, "Transfer-Encoding: chunked", &chunks(&pattern(), 1_001));
    }

    fn both_ways_at_once(x) {
        x.send(format!("PUT / HTTP/1.1\r\nHost: a.test\r\nContent-Length: {LARGE}\r\n\r\n"));
        let mut dyno = x.dyno();
        let head = dyno.take_head();
        assert_eq!(head.length(), Some(LARGE));
        // The dyno echoes what comes, as it comes; the client reads while it sends.
        let sent = pattern();
        let mut sender = x.client.another();
        let echoed = thread::scope(|scope| {
            scope.spawn(|| sender.send(&sent));
            scope.spawn(|| {
                dyno.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {LARGE}\r\n\r\n"));
                for _ in 0..LARGE / 4096 {
                    let piece = dyno.take(4096);
                    dyno.send(piece);
                }
            });
            x.client.take_answer().body
        });
        assert!(echoed == sent);
    }
}
