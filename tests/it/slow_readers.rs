//! What readers cost that do not read, where the kernel does not hold it for the router: inside
//! TLS, and on streams of HTTP/2; and what a connection of HTTP/2 costs that waits.
//!
//! Invariant: the bounds are those of the documents (`docs/tls.md`, `docs/http2.md`); answers are
//! so long, and sockets so small, that every buffer on the way is full.

use std::{
    io::Write,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Instant,
};

use crate::harness::{
    Conn, DEADLINE, Dyno, Router, Tls,
    frames::{Frames, get},
    pace,
    router::small,
};

/// How many answers are not read.
const CROWD: usize = 200;
/// How many of them are streams of one connection.
const STREAMS: usize = 10;
/// The most that one costs inside TLS, in bytes: the head, a large read buffer, what was encrypted
/// at once, and what a connection costs anyway. It is less where the dyno's bytes come slowly.
const INSIDE_TLS: usize = 420 << 10;
/// The most that one costs on a stream.
const ON_A_STREAM: usize = 120 << 10;
/// How many connections wait.
const WAITERS: usize = 500;
/// The most that one costs, in bytes: less than the library's buffers, which it hardly touches. A
/// build that is not optimised has larger futures.
const WAITING: usize = 28 << 10;
/// Longer than every buffer.
const LENGTH: usize = 64 << 20;
/// So many looks in a row at which nothing moved.
const QUIET: u32 = 6;

/// A dyno that answers each connection at length; answers how much was taken of that.
fn answers(dyno: Dyno) -> Arc<AtomicUsize> {
    let taken = Arc::new(AtomicUsize::new(0));
    let count = taken.clone();
    let answer = move |mut conn: Conn, count: Arc<AtomicUsize>| {
        conn.take_request();
        conn.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {LENGTH}\r\n\r\n"));
        let block = [b'x'; 1 << 14];
        while conn.try_send(&block).is_ok() {
            count.fetch_add(block.len(), Ordering::SeqCst);
        }
    };
    thread::spawn(move || {
        for _ in 0..CROWD {
            let (conn, count) = (dyno.accept(), count.clone());
            thread::spawn(move || answer(conn, count));
        }
    });
    taken
}

/// What the router holds more once nothing moves any more.
fn held(router: &Router, before: usize, taken: &AtomicUsize) -> usize {
    let (began, mut last, mut quiet) = (Instant::now(), 0, 0);
    while quiet < QUIET {
        pace::pause(pace::STEP);
        let now = taken.load(Ordering::SeqCst);
        quiet = if now == last && router.metric("hostler_exchanges_open") == CROWD as f64 {
            quiet + 1
        } else {
            0
        };
        last = now;
        assert!(began.elapsed() < DEADLINE, "somebody takes without an end: {now}");
    }
    router.resident().saturating_sub(before)
}

fn start() -> (Tls, Arc<AtomicUsize>) {
    let (tls, dyno) = (Tls::start(&[("HOSTLER_WORKERS", "1")]), Dyno::small());
    tls.router.app("one", "a.test", &[&dyno.addr]);
    (tls, answers(dyno))
}

#[test]
fn a_reader_inside_tls_costs_no_more_than_its_buffers() {
    let (tls, taken) = start();
    let before = tls.router.resident();
    let clients: Vec<_> = (0..CROWD)
        .map(|_| {
            let mut client = tls.inside(small(tls.addr).into_tcp());
            client.write_all(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").unwrap();
            client
        })
        .collect();
    let held = held(&tls.router, before, &taken) / CROWD;
    assert!(held < INSIDE_TLS, "{held} bytes each");
    drop(clients);
}

#[test]
fn a_stream_that_is_not_read_costs_little() {
    let (tls, taken) = start();
    let before = tls.router.resident();
    let clients: Vec<_> = (0..CROWD / STREAMS)
        .map(|_| {
            // Windows that never end: it is the socket that does not take it.
            let window = 1 << 30;
            let mut client = Frames::with(small(tls.router.http), &[(4, window)]);
            client.send(8, 0, 0, &window.to_be_bytes());
            (0..STREAMS).for_each(|at| client.ask(at as u32 * 2 + 1, true, &get("a.test")));
            client
        })
        .collect();
    let held = held(&tls.router, before, &taken) / CROWD;
    assert!(held < ON_A_STREAM, "{held} bytes each");
    drop(clients);
}

#[test]
fn a_connection_of_http2_that_waits_costs_what_it_touched() {
    let huge = std::fs::read_to_string("/sys/kernel/mm/transparent_hugepage/enabled");
    if huge.is_ok_and(|setting| setting.contains("[always]")) {
        // The kernel gives more than was asked for.
        return;
    }
    let router = Router::with(&[("HOSTLER_HTTP_H2C", "true"), ("HOSTLER_WORKERS", "1")]);
    let wait = |count: usize| -> Vec<Frames> {
        let connect = |_| {
            let mut client = Frames::connect(router.http);
            client.ask(1, true, &get("unknown.test"));
            assert_eq!(client.status(), 404);
            client
        };
        (0..count).map(connect).collect()
    };
    drop(wait(WAITERS / 10));
    let before = router.resident();
    let clients = wait(WAITERS);
    let held = router.resident().saturating_sub(before) / WAITERS;
    assert!(held < WAITING, "{held} bytes each");
    drop(clients);
}
