//! Much at once: slow sides, and a storm of pushes.
//!
//! Invariant: what the router holds of a body is bounded, however large it is and however slow the
//! side that takes it.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use serde_json::json;

use crate::harness::{Dyno, Named, Router};

/// More than the kernel's buffers of four sockets hold, so that a side that does not read is felt.
const ENDLESS: usize = 256 << 20;
/// How long no byte goes before a sender counts as held back.
const SILENCE: Duration = Duration::from_millis(500);
/// The most memory that an exchange may cost the router, whatever it carries.
const MOST_HELD: usize = 4 << 20;

fn start() -> (Router, Dyno) {
    let (router, dyno) = (Router::start(), Dyno::new());
    router.app("one", "a.test", &[&dyno.addr]);
    (router, dyno)
}

#[test]
fn a_client_that_does_not_read_holds_back_its_dyno() {
    let (router, dyno) = start();
    let mut client = router.connect();
    client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    let mut conn = dyno.accept();
    conn.take_request();
    let before = router.resident();
    conn.send("HTTP/1.1 200 OK\r\n\r\n");
    let sent = conn.send_until_blocked(&[b'x'; 1 << 16], ENDLESS, SILENCE);
    assert!(sent < ENDLESS, "the router took {sent} bytes that nobody reads");
    let held = router.resident().saturating_sub(before);
    assert!(held < MOST_HELD, "{held} bytes are held");
    // What was held back comes, all of it.
    drop(conn);
    client.take_head();
    assert_eq!(client.take_all().0.len(), sent);
}

#[test]
fn a_dyno_that_does_not_read_holds_back_its_client() {
    let (router, dyno) = start();
    let mut client = router.connect();
    let head = format!("PUT / HTTP/1.1\r\nHost: a.test\r\nContent-Length: {ENDLESS}\r\n\r\n");
    client.send(head);
    let mut conn = dyno.accept();
    conn.take_head();
    let before = router.resident();
    let sent = client.send_until_blocked(&[b'x'; 1 << 16], ENDLESS, SILENCE);
    assert!(sent < ENDLESS, "the router took {sent} bytes that nobody reads");
    let held = router.resident().saturating_sub(before);
    assert!(held < MOST_HELD, "{held} bytes are held");
    conn.take(sent);
}

#[test]
fn no_request_is_lost_in_a_storm_of_pushes() {
    const PUSHES: usize = 300;
    let router = Router::start();
    let dynos = [Named::start("one"), Named::start("two")];
    router.app("one", "a.test", &[&dynos[0].addr]);
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let ask = || {
            let mut asked = 0;
            while !over.load(Ordering::SeqCst) {
                let mut client = router.connect();
                for _ in 0..20 {
                    let answer = client.get("a.test", "/");
                    assert_eq!(answer.status(), 200, "{answer:?}");
                    asked += 1;
                }
            }
            asked
        };
        let clients: Vec<_> = (0..3).map(|_| scope.spawn(ask)).collect();
        // The app's dyno is another one after each push, and other apps come and go beside it.
        for turn in 0..PUSHES {
            let release = format!("v{turn}");
            let addr = &dynos[turn % 2].addr;
            let reply = router.transact(&[
                ("PUT", "/apps/one/dynos/web.1", json!({"addr": addr, "release": release})),
                ("PUT", &format!("/apps/x{turn}"), json!({})),
                ("PUT", &format!("/apps/x{turn}/routes/x{turn}.a.test"), json!({})),
            ]);
            assert_eq!(reply.status(), 200, "{reply:?}");
        }
        over.store(true, Ordering::SeqCst);
        let asked: usize = clients.into_iter().map(|client| client.join().unwrap()).sum();
        assert!(asked >= 60 && dynos[0].requests() > 0 && dynos[1].requests() > 0);
    });
}
