//! Corners where two things meet at once; each test says how it once went wrong.
//!
//! Invariant: both sides are the test's, so that the moment is certain and not a matter of luck.

use rustix::process::{Pid, Signal, kill_process};

use crate::harness::{Dyno, Router, until};

fn start() -> (Router, Dyno) {
    let (router, dyno) = (Router::start(), Dyno::new());
    router.app("one", "a.test", &[&dyno.addr]);
    (router, dyno)
}

fn pid(router: &Router) -> Pid {
    Pid::from_raw(router.pid().cast_signed()).unwrap()
}

/// What came while a dyno was sought was read, to notice a client that leaves, and then forgotten
/// until more came: nothing did, and the upload stood still.
#[test]
fn a_body_that_comes_while_its_request_is_held_is_sent_on() {
    let (router, dyno) = start();
    for (head, body) in
        [("Content-Length: 5", "hello"), ("Transfer-Encoding: chunked", "5\r\nhello\r\n0\r\n\r\n")]
    {
        router.set_state("one", "web.1", "starting");
        let mut client = router.connect();
        client
            .send(format!("PUT / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n{head}\r\n\r\n"));
        // Answered at once, they show that what was sent before them was read.
        assert_eq!(router.get("no.test", "/").status(), 404);
        client.send(body);
        assert_eq!(router.get("no.test", "/").status(), 404);
        router.set_state("one", "web.1", "up");
        let mut conn = dyno.accept();
        assert_eq!(conn.take_request().body, b"hello");
        conn.send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok");
        assert_eq!(client.take_answer().text(), "ok");
    }
}

/// Nobody counted them.
#[test]
fn the_bytes_of_request_bodies_are_counted() {
    let (router, dyno) = start();
    let mut client = router.connect();
    client.send("POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n");
    let mut conn = dyno.accept();
    conn.take_until("he\r\n");
    client.send("3\r\nllo\r\n0\r\n\r\n");
    conn.take_until("0\r\n\r\n");
    conn.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    assert_eq!(client.take_answer().text(), "ok");
    until("they are counted", || router.metric("hostler_request_body_bytes_total") == 5.0);
}

/// The signals were heard a moment later than the listeners were announced.
#[test]
fn who_ends_the_router_as_soon_as_it_listens_sees_it_end_in_order() {
    for _ in 0..10 {
        let mut router = Router::start();
        router.terminate();
        assert_eq!(router.wait().code(), Some(0));
    }
}

/// Stopped meanwhile, the router finds connections, requests and the signal all at once.
#[test]
fn who_is_in_the_accept_queue_when_the_drain_begins_is_served() {
    let mut router = Router::start();
    kill_process(pid(&router), Signal::STOP).unwrap();
    let mut clients: Vec<_> = (0..20).map(|_| router.connect()).collect();
    for client in &mut clients {
        client.send("GET / HTTP/1.1\r\nHost: no.test\r\n\r\n");
    }
    router.terminate();
    kill_process(pid(&router), Signal::CONT).unwrap();
    for client in &mut clients {
        assert_eq!(client.take_answer().status(), 404);
    }
    assert_eq!(router.wait().code(), Some(0));
}
