//! What clients of HTTP/2 do in earnest and looks like a flood: small messages that nobody reads
//! yet, every frame acknowledged at once, deadlines that pass.
//!
//! Invariant: none of it ends the connection, and all of what was said arrives.

use std::{
    thread,
    time::{Duration, Instant},
};

use crate::harness::{
    Dyno, Named, Router,
    frames::{END_STREAM, Frames, frame, get, kind},
};

const POST: [(&str, &str); 4] =
    [(":method", "POST"), (":scheme", "http"), (":authority", "a.test"), (":path", "/")];

fn start() -> Router {
    Router::with(&[("HOSTLER_HTTP_H2C", "true")])
}

#[test]
fn small_messages_wait_for_a_dyno_that_pauses() {
    const STREAMS: usize = 10;
    const MESSAGES: usize = 8000;
    let (router, dyno, other) = (start(), Dyno::small(), Named::start("other"));
    router.app("one", "a.test", &[&dyno.addr]);
    router.app("two", "b.test", &[&other.addr]);
    let mut client = Frames::connect(router.http);
    let mut served = Vec::new();
    for number in 0..STREAMS {
        let stream = (number * 2 + 1) as u32;
        client.ask(stream, false, &POST);
        let mut conn = dyno.accept();
        conn.take_head();
        served.push(conn);
        // Within the windows, all at once.
        let messages = frame(kind::DATA, 0, stream, b"0123456789").repeat(MESSAGES);
        assert!(client.try_send(&messages));
        client.send(kind::DATA, END_STREAM, stream, b"");
    }
    // All of that was read, and nothing was cut.
    client.ask(101, true, &get("b.test"));
    assert_eq!(client.status(), 200);
    for mut conn in served {
        let mut body = Vec::new();
        loop {
            let size = usize::from_str_radix(&conn.take_line(), 16).unwrap();
            body.extend(conn.take(size));
            assert_eq!(conn.take(2), b"\r\n");
            if size == 0 {
                break;
            }
        }
        assert!(body == b"0123456789".repeat(MESSAGES));
        conn.send("HTTP/1.1 204 No Content\r\n\r\n");
        assert_eq!(client.status(), 204);
    }
}

#[test]
fn whoever_acknowledges_every_frame_downloads_all() {
    const LENGTH: usize = 32 << 20;
    let (router, dyno) = (start(), Dyno::new());
    router.app("one", "a.test", &[&dyno.addr]);
    let mut client = Frames::connect(router.http);
    client.ask(1, true, &get("a.test"));
    let mut served = dyno.accept();
    served.take_request();
    let sender = thread::spawn(move || {
        served.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {LENGTH}\r\n\r\n"));
        served.send(vec![b'd'; LENGTH]);
    });
    let mut got = 0;
    while got < LENGTH {
        let data = client.next().expect("more of the answer");
        assert_ne!(data.kind, kind::GOAWAY, "after {got} bytes");
        if data.kind != kind::DATA {
            continue;
        }
        got += data.payload.len();
        let credit = (data.payload.len() as u32).to_be_bytes();
        let said = [
            frame(kind::WINDOW_UPDATE, 0, 0, &credit),
            frame(kind::WINDOW_UPDATE, 0, 1, &credit),
            frame(kind::PING, 0, 0, b"distance"),
        ];
        assert!(client.try_send(&said.concat()));
    }
    sender.join().unwrap();
}

#[test]
fn deadlines_that_pass_are_no_rapid_reset() {
    let (router, dyno, other) = (start(), Dyno::new(), Named::start("other"));
    router.app("one", "a.test", &[&dyno.addr]);
    router.app("two", "b.test", &[&other.addr]);
    let mut client = Frames::connect(router.http);
    let mut stream = 1;
    for round in 1..=6 {
        let began = Instant::now();
        for number in 0..90 {
            client.ask(stream + number * 2, true, &get("a.test"));
        }
        let served: Vec<_> = (0..90).map(|_| dyno.accept()).collect();
        // The time of a deadline is what this is about.
        thread::sleep(Duration::from_millis(300).saturating_sub(began.elapsed()));
        for number in 0..90 {
            client.send(kind::RST_STREAM, 0, stream + number * 2, &[0, 0, 0, 8]);
        }
        router.log.wait_for_many("code=H27", round * 90);
        drop(served);
        stream += 180;
    }
    client.ask(stream, true, &get("b.test"));
    assert_eq!(client.status(), 200);
}

#[test]
fn no_level_of_diagnostics_tells_of_each_frame() {
    let settings = [("HOSTLER_HTTP_H2C", "true"), ("HOSTLER_LOG_LEVEL", "trace")];
    let (router, dyno) = (Router::with(&settings), Named::start("one"));
    router.app("one", "a.test", &[&dyno.addr]);
    let mut client = Frames::connect(router.http);
    client.ask(1, true, &get("a.test"));
    assert_eq!(client.status(), 200);
    let told = router.said.all();
    assert!(told.iter().any(|line| line.contains("http listens on")));
    let of_frames = told.iter().find(|line| line.contains(" h2::"));
    assert_eq!(of_frames, None);
}
