//! Connections of HTTP/2 that wait: what was read into goes back, and whoever wakes finds nothing
//! changed.
//!
//! Invariants: memory is the process' own, seen over so many connections that nothing else of it
//! counts; all of them are asked for an answer in the end.

use std::net::TcpStream;

use rustls::StreamOwned;

use crate::harness::{
    Named, Router, Tls,
    frames::{END_HEADERS, END_STREAM, Frames, block, frame, get, kind},
    pace::{STEP, pause},
    until,
};

/// Connections.
const MANY: usize = 320;
/// Of so many, one sends in large frames, and others stop within a frame.
const ONE_IN: usize = 4;
/// What a connection that is given back is to be less by: it has touched two pages of 4 KiB.
const GIVEN_BACK: usize = 3 << 10;
/// A kind of frame that nobody knows.
const UNKNOWN: u8 = 0x42;
const UPLOAD: [(&str, &str); 4] =
    [(":method", "POST"), (":scheme", "http"), (":authority", "a.test"), (":path", "/")];

/// Clients of one router.
struct Clients<'a> {
    router: &'a Router,
    all: Vec<Frames>,
    /// The stream of each one's next request.
    next: u32,
}

impl Clients<'_> {
    fn new(router: &Router, connect: impl Fn() -> Frames) -> Clients<'_> {
        Clients { router, all: (0..MANY).map(|_| connect()).collect(), next: 1 }
    }

    /// Each asks for something and gets it.
    fn ask(&mut self) {
        self.all.iter_mut().for_each(|client| client.ask(self.next, true, &get("a.test")));
        self.all.iter_mut().for_each(|client| answered(client, self.next));
        self.next += 2;
    }

    /// Each has the router read more than a page.
    fn touch(&mut self) {
        for client in &mut self.all {
            client.send(UNKNOWN, 0, 0, &[7; 6000]);
            client.send(kind::PING, 0, 0, b"touching");
        }
        for client in &mut self.all {
            assert_eq!(client.wait_for(kind::PING).payload, b"touching");
        }
    }

    /// Of a process that held so much, `count` have given back.
    fn wait_for(&self, count: usize, held: usize) {
        let what = format!("{count} of {MANY} have given back what they read into");
        until(&what, || self.router.resident() + count * GIVEN_BACK <= held);
    }
}

fn answered(client: &mut Frames, stream: u32) {
    assert_eq!(client.status(), 200);
    let data = client.wait_for(kind::DATA);
    assert_eq!((data.stream, data.flags & END_STREAM), (stream, END_STREAM));
}

/// Whatever a client does before it waits, and when it wakes, it is served.
fn wait_and_wake(router: &Router, connect: impl Fn() -> Frames) {
    let dyno = Named::start("one");
    router.app("one", "a.test", &[&dyno.addr]);
    let mut clients = Clients::new(router, connect);
    clients.ask();
    clients.touch();
    clients.wait_for(MANY, router.resident());
    clients.ask();

    // Again, behind frames for which what is read into has grown.
    for client in clients.all.iter_mut().step_by(ONE_IN) {
        client.ask(clients.next, false, &UPLOAD);
        for _ in 0..5 {
            client.send(kind::DATA, 0, clients.next, &[7; 16 << 10]);
        }
        client.send(kind::DATA, END_STREAM, clients.next, b"");
        answered(client, clients.next);
    }
    clients.next += 2;
    clients.touch();
    clients.wait_for(MANY, router.resident());
    clients.ask();

    // Who waits within a frame, or between the frames of a head, gets nothing in between.
    clients.touch();
    let held = router.resident();
    let ping = frame(kind::PING, 0, 0, b"parted!!");
    let fields = block(&get("a.test"));
    for (number, client) in clients.all.iter_mut().enumerate() {
        match number % ONE_IN {
            0 => assert!(client.try_send(&ping[..12])),
            1 => assert!(client.try_send(&ping[..3])),
            2 => client.send(kind::HEADERS, END_STREAM, clients.next, &fields[..5]),
            _ => {}
        }
    }
    clients.wait_for(MANY / ONE_IN, held);
    for (number, client) in clients.all.iter_mut().enumerate() {
        match number % ONE_IN {
            0 => assert!(client.try_send(&ping[12..])),
            1 => assert!(client.try_send(&ping[3..])),
            2 => client.send(kind::CONTINUATION, END_HEADERS, clients.next, &fields[5..]),
            _ => client.ask(clients.next, true, &get("a.test")),
        }
        match number % ONE_IN {
            0 | 1 => assert_eq!(client.wait_for(kind::PING).payload, b"parted!!"),
            _ => answered(client, clients.next),
        }
    }
    clients.next += 2;

    // Some wake just when they are to give back.
    for _ in 0..3 {
        for client in &mut clients.all {
            client.ask(clients.next, true, &get("a.test"));
            answered(client, clients.next);
            pause(STEP / 16);
        }
        clients.next += 2;
    }
    router.terminate();
    for client in &mut clients.all {
        let said: Vec<u8> = client.rest().iter().map(|frame| frame.kind).collect();
        assert!(said.contains(&kind::GOAWAY), "{said:?}");
    }
}

#[test]
fn what_a_waiting_connection_read_into_goes_back() {
    let router = Router::with(&[("HOSTLER_HTTP_H2C", "true")]);
    wait_and_wake(&router, || Frames::connect(router.http));
}

#[test]
fn so_it_does_over_tls() {
    let tls = Tls::start(&[]);
    wait_and_wake(&tls.router, || {
        let session = tls.session_of(rustls::DEFAULT_VERSIONS, &[b"h2"]);
        let socket = TcpStream::connect(tls.addr).unwrap();
        Frames::with(StreamOwned::new(session, socket).into(), &[])
    });
}

#[test]
fn what_trickles_in_does_not_make_a_wait_longer() {
    // Longer than until it gives back, which it does again and again.
    let settings = [("HOSTLER_HTTP_H2C", "true"), ("HOSTLER_TIMEOUTS_KEEP_ALIVE", "3s")];
    let router = Router::with(&settings);
    let mut client = Frames::connect(router.http);
    loop {
        client.send(kind::PING, 0, 0, b"trickles");
        let said = client.next().expect("it is told before the end");
        if said.kind == kind::GOAWAY {
            // Not for a flood, which it would be in the end.
            assert_eq!(said.code(), 0);
            return;
        }
        pause(STEP * 4);
    }
}
