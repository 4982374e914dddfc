//! What exchanges cost in memory while sides are slow, and that all of it comes back.
//!
//! The bound of one exchange is that of `docs/requests.md` ("Memory"). Invariants: heads nearly
//! fill their buffers, and bodies do, so that every page of a buffer that is held counts; so many
//! exchanges run at once that one buffer lost by each would exceed the slack; what is compared is
//! the state after a first crowd and after later ones, since pools keep what they may keep.

use std::{
    collections::BTreeMap,
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    time::Instant,
};

use rustix::fs::{Mode, OFlags};
use socket2::SockRef;

use crate::harness::{DEADLINE, Dyno, Router, pace, until};

/// How many exchanges run at once.
const CROWD: usize = 200;
/// A common buffer, and a large one (`docs/requests.md`).
const COMMON: usize = 16 << 10;
const LARGE: usize = 256 << 10;
/// An exchange with a large body in one direction: its head, that direction, the answer's head.
const MOST_OF_ONE: usize = COMMON + LARGE + COMMON;
/// With large bodies in both directions: heads, or the bodies behind them, and a pipe for each.
const MOST_OF_BOTH: usize = 2 * COMMON + 2 * PIPE;
/// What a pipe of the kernel's may hold.
const PIPE: usize = 512 << 10;
/// What the process may take besides: tasks, and pages that the allocator holds on to.
const SLACK: usize = 6 << 20;
/// What the pools of one worker may keep (`src/serve/buffers.rs`): 8 MiB of common buffers and
/// 4 MiB of large ones.
const POOLS: usize = 12 << 20;
/// Descriptors that are kept for the next exchange: pipes, two each.
const KEPT_FILES: usize = 34;
/// So many looks in a row at which nothing moved: all are held back.
const QUIET: u32 = 4;
/// No body of this length ends.
const ENDLESS: usize = 1 << 40;

fn start(settings: &[(&str, &str)]) -> (Router, Dyno) {
    // One worker, so that there is one pool of everything.
    let router = Router::with(&[&[("HOSTLER_WORKERS", "1")], settings].concat());
    let dyno = Dyno::small();
    router.app("one", "a.test", &[&dyno.addr]);
    (router, dyno)
}

/// Header lines of so many bytes.
fn padding(bytes: usize) -> String {
    let line = format!("X-Pad: {}\r\n", "x".repeat(100 - 9));
    line.repeat(bytes / 100)
}

/// A client whose kernel holds little of what it does not read.
fn connect(router: &Router) -> TcpStream {
    router.connect_small().into_tcp()
}

/// A connection to the dyno, on which the whole head of a request has come.
fn accept(dyno: &Dyno) -> TcpStream {
    let stream = dyno.accept().into_tcp();
    take_head(&stream);
    stream
}

/// Reads to the end of a head, behind which nothing comes for now, or what need not be read.
fn take_head(mut stream: &TcpStream) {
    let (mut head, mut bytes) = (Vec::new(), [0; 1 << 14]);
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let count = stream.read(&mut bytes).unwrap();
        assert!(count > 0, "the end came and not a head");
        head.extend_from_slice(&bytes[..count]);
    }
}

/// Writes to all of them, block after block, until none takes a byte any more.
fn fill(streams: &[TcpStream], block: &[u8]) {
    for stream in streams {
        SockRef::from(stream).set_send_buffer_size(1 << 16).unwrap();
        stream.set_nonblocking(true).unwrap();
    }
    let (mut quiet, began) = (0, Instant::now());
    let mut sent = vec![0; streams.len()];
    while quiet < QUIET {
        let mut moved = false;
        for (mut stream, sent) in streams.iter().zip(&mut sent) {
            // As much as goes at once, so that the body is known to come fast.
            let blocked = loop {
                match stream.write(&block[*sent % block.len()..]) {
                    Ok(count) => (moved, *sent) = (true, *sent + count),
                    Err(error) => break error,
                }
            };
            assert_eq!(blocked.kind(), ErrorKind::WouldBlock, "{blocked}");
        }
        quiet = if moved { 0 } else { quiet + 1 };
        assert!(began.elapsed() < DEADLINE, "somebody takes without an end");
        pace::pause(pace::STEP);
    }
}

fn descriptors(router: &Router) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", router.pid())).unwrap().count()
}

/// Runs crowds one after the other, each of which answers how large the process was at its height.
/// Each stays within `most`, and has what the one before held: of a buffer lost by each exchange
/// the third would grow by two crowds' of them. To the system not all comes back: the buffers that
/// a pool keeps lie among others in the allocator's pages of 4 MiB.
fn crowds(router: &Router, most: usize, crowd: impl Fn() -> usize) {
    let (fresh, open) = (router.resident(), descriptors(router));
    let is_over = || {
        assert_eq!(router.get("no.test", "/").status(), 404);
        router.metric("hostler_connections_open") == 0.0 && descriptors(router) <= open + KEPT_FILES
    };
    let mut settled = fresh + POOLS;
    for turn in 0..3 {
        let before = router.resident().min(settled);
        let held = crowd().saturating_sub(before);
        assert!(held < most + SLACK, "crowd {turn} held {held} bytes, {most} are allowed");
        until("it is over", is_over);
        if turn == 0 {
            settled = router.resident();
        }
    }
}

/// Bytes of a body whose end does not come, and the header that says how it is framed.
fn bodies() -> [(String, Vec<u8>); 2] {
    // The one goes through the kernel, the other, of many small chunks, through buffers.
    let chunk = [b"4000\r\n".as_slice(), &[b'x'; 0x4000], b"\r\n"].concat();
    [
        (format!("Content-Length: {ENDLESS}"), vec![b'x'; 1 << 16]),
        ("Transfer-Encoding: chunked".to_owned(), chunk.repeat(4)),
    ]
}

/// A crowd of answers to clients that do not read them; answers what it held.
fn slow_readers(router: &Router, dyno: &Dyno, framing: &str, body: &[u8]) -> usize {
    let (mut clients, mut dynos) = (Vec::new(), Vec::new());
    for _ in 0..CROWD {
        let mut client = connect(router);
        let head = format!("GET / HTTP/1.1\r\nHost: a.test\r\n{}\r\n", padding(12_000));
        client.write_all(head.as_bytes()).unwrap();
        let mut dyno = accept(dyno);
        let head = format!("HTTP/1.1 200 OK\r\n{framing}\r\n{}\r\n", padding(12_000));
        dyno.write_all(head.as_bytes()).unwrap();
        clients.push(client);
        dynos.push(dyno);
    }
    fill(&dynos, body);
    router.resident()
}

#[test]
fn slow_readers_cost_no_more_than_their_buffers() {
    let (router, dyno) = start(&[]);
    for (framing, body) in bodies() {
        crowds(&router, CROWD * MOST_OF_ONE, || slow_readers(&router, &dyno, &framing, &body));
    }
}

/// A crowd of uploads to dynos that do not read them; answers what it held.
fn slow_dynos(router: &Router, dyno: &Dyno, framing: &str, body: &[u8]) -> usize {
    let (mut clients, mut dynos) = (Vec::new(), Vec::new());
    for _ in 0..CROWD {
        let mut client = connect(router);
        let head =
            format!("PUT / HTTP/1.1\r\nHost: a.test\r\n{framing}\r\n{}\r\n", padding(12_000));
        client.write_all(head.as_bytes()).unwrap();
        dynos.push(accept(dyno));
        clients.push(client);
    }
    fill(&clients, body);
    router.resident()
}

#[test]
fn uploads_to_slow_dynos_cost_no_more_than_their_buffers() {
    let (router, dyno) = start(&[]);
    for (framing, body) in bodies() {
        crowds(&router, CROWD * MOST_OF_ONE, || slow_dynos(&router, &dyno, &framing, &body));
    }
}

/// What its pipes hold, its standard streams aside; none more than its bound.
fn in_pipes(router: &Router) -> usize {
    let entries = std::fs::read_dir(format!("/proc/{}/fd", router.pid())).unwrap();
    // Both ends of a pipe are shown with the same number.
    let mut pipes = BTreeMap::new();
    for path in entries.map(|entry| entry.unwrap().path()) {
        let is_standard = matches!(path.file_name().unwrap().to_str(), Some("0" | "1" | "2"));
        // It may be gone by now.
        let Ok(name) = std::fs::read_link(&path) else { continue };
        if !is_standard && name.to_string_lossy().starts_with("pipe:") {
            pipes.insert(name, path);
        }
    }
    let held = pipes.values().map(|path| {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK;
        let pipe = rustix::fs::open(path, flags, Mode::empty()).unwrap();
        usize::try_from(rustix::io::ioctl_fionread(pipe).unwrap()).unwrap()
    });
    held.inspect(|held| assert!(*held <= PIPE, "{held} bytes in a pipe")).sum()
}

/// A crowd of uploads that are answered while they come, neither side reading; answers what it held
/// in memory and in pipes.
fn slow_both_ways(router: &Router, dyno: &Dyno, framing: &str, body: &[u8]) -> usize {
    let mut all = Vec::new();
    for _ in 0..CROWD {
        let mut client = connect(router);
        let head =
            format!("PUT / HTTP/1.1\r\nHost: a.test\r\n{framing}\r\n{}\r\n", padding(12_000));
        client.write_all(head.as_bytes()).unwrap();
        let mut dyno = accept(dyno);
        let head = format!("HTTP/1.1 200 OK\r\n{framing}\r\n{}\r\n", padding(12_000));
        dyno.write_all(head.as_bytes()).unwrap();
        all.extend([client, dyno]);
    }
    fill(&all, body);
    router.resident() + in_pipes(router)
}

/// The kernel takes much for sides of large segments, so there are few of these.
const FEW: usize = 24;

/// As [`slow_both_ways`], with segments as large as they come: few of them fill a pipe.
fn slow_both_ways_in_large_segments(router: &Router, dyno: &Dyno) -> usize {
    let mut all = Vec::new();
    let head = |start: &str| format!("{start}\r\nContent-Length: {ENDLESS}\r\n\r\n");
    for _ in 0..FEW {
        let mut client = router.connect().into_tcp();
        client.write_all(head("PUT / HTTP/1.1\r\nHost: a.test").as_bytes()).unwrap();
        let mut dyno = accept(dyno);
        dyno.write_all(head("HTTP/1.1 200 OK").as_bytes()).unwrap();
        all.extend([client, dyno]);
    }
    fill(&all, &[b'x'; 1 << 16]);
    router.resident() + in_pipes(router)
}

#[test]
fn large_segments_both_ways_cost_no_more_than_two_pipes_and_two_buffers() {
    let (router, _) = start(&[]);
    let dyno = Dyno::new();
    router.app("one", "a.test", &[&dyno.addr]);
    crowds(&router, FEW * MOST_OF_BOTH, || slow_both_ways_in_large_segments(&router, &dyno));
}

#[test]
fn slow_sides_both_ways_cost_no_more_than_two_pipes_and_two_buffers() {
    let (router, dyno) = start(&[]);
    for (framing, body) in bodies() {
        crowds(&router, CROWD * MOST_OF_BOTH, || slow_both_ways(&router, &dyno, &framing, &body));
    }
}

#[test]
fn large_heads_cost_their_own_connections_alone() {
    const HEAD: usize = 60_000;
    let (router, _dyno) = start(&[]);
    crowds(&router, CROWD * 2 * (64 << 10), || {
        let mut clients = Vec::new();
        for _ in 0..CROWD {
            let mut client = connect(&router);
            // All but its end.
            let head = format!("GET / HTTP/1.1\r\nHost: a.test\r\n{}", padding(HEAD));
            client.write_all(head.as_bytes()).unwrap();
            clients.push(client);
        }
        let held = until_read(&router, CROWD * HEAD);
        for client in &mut clients {
            client.write_all(b"Host: again\r\n\r\n").unwrap();
            take_head(client);
        }
        held
    });
}

/// Waits until the router holds so many bytes more than a fresh one; answers what it holds.
fn until_read(router: &Router, bytes: usize) -> usize {
    let fresh = start(&[]).0.resident();
    until("the heads are read", || router.resident() > fresh + bytes);
    router.resident()
}

#[test]
fn connections_that_wait_hold_no_buffers() {
    const IDLE: usize = 1500;
    let (router, dyno) = start(&[]);
    let serve = |count: usize| {
        let mut clients: Vec<TcpStream> = (0..count).map(|_| connect(&router)).collect();
        let head = format!("GET / HTTP/1.1\r\nHost: a.test\r\n{}\r\n", padding(12_000));
        let mut kept: Option<TcpStream> = None;
        for client in &mut clients {
            client.write_all(head.as_bytes()).unwrap();
            let mut conn = match kept.take() {
                Some(conn) => {
                    take_head(&conn);
                    conn
                }
                None => accept(&dyno),
            };
            conn.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap();
            take_head(client);
            kept = Some(conn);
        }
        (clients, kept)
    };
    drop(serve(1));
    until("it is gone", || router.metric("hostler_connections_open") == 0.0);
    let before = router.resident();
    let idle = serve(IDLE);
    let each = router.resident().saturating_sub(before) / IDLE;
    // A fourth of the smallest buffer.
    assert!(each < COMMON / 4, "{each} bytes each");
    drop(idle);
}
