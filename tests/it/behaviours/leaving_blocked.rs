//! Clients that leave while nothing moves: the dyno does not read the body, or the client itself
//! does not read its answer, so that neither a read nor a write would tell of the end.
//!
//! Invariants: those of `leaving`; buffers of the kernel are kept small, so that a side is blocked
//! by little.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{
    Case, GET,
    leaving::{Way, one_in_flight},
};
use crate::harness::{Conn, Dyno, kernel::unread_by_the_other, pace::pause};

/// No byte goes for so long: the sender is held back.
const SILENCE: Duration = Duration::from_millis(300);
/// More than all buffers on the way hold.
const ENDLESS: usize = 1 << 30;
const PUT: &str = "PUT / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1073741824\r\n\r\n";
const UPGRADE: &str =
    "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n";
const SWITCH: &str =
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n";

/// Sends until nobody takes more; answers how much that was.
fn block(conn: &mut Conn) -> usize {
    let sent = conn.send_until_blocked(&[b'x'; 1 << 12], ENDLESS, SILENCE);
    assert!(sent < ENDLESS, "all of it was taken");
    sent
}

/// The dyno is one that takes next to nothing that it does not read.
fn with_a_small_dyno(x: &mut Case) {
    (x.web, x.kept) = (Dyno::small(), None);
    x.router.write("PUT", "/v1/apps/one/dynos/web.1", json!({"addr": x.web.addr}));
}

/// Does the router leave unread what the client sent?
fn is_left_unread(client: &Conn) -> bool {
    let began = Instant::now();
    while unread_by_the_other(client) > 0 {
        if began.elapsed() > SILENCE {
            return true;
        }
        pause(Duration::from_millis(1));
    }
    false
}

behaviours! {
    fn by_a_reset_while_the_dyno_does_not_read_the_body(x: one_in_flight()) {
        with_a_small_dyno(x);
        x.send(PUT);
        let mut dyno = x.dyno();
        dyno.take_head();
        block(&mut x.client);
        x.leaves_by(Way::Reset);
        x.has_left(1, "dyno=web.1 connect=# service=# status=499 bytes=0");
        // What was sent on is there, and then the end, of whatever kind.
        dyno.take_all();
        x.none_is_in_flight();
    }

    fn by_an_end_while_the_dyno_does_not_read_the_body(x: one_in_flight()) {
        with_a_small_dyno(x);
        x.send(PUT);
        let mut dyno = x.dyno();
        dyno.take_head();
        // An end can only be heard of if all before it has come: just so much that the router has
        // stopped to read.
        while !is_left_unread(&x.client) {
            x.send([b'x'; 1 << 14]);
        }
        x.leaves_by(Way::End);
        x.has_left(1, "dyno=web.1 connect=# service=# status=499 bytes=0");
        dyno.take_all();
        x.none_is_in_flight();
    }

    fn by_a_reset_while_it_does_not_read_its_answer(x: one_in_flight()) {
        x.client = x.router.connect_small();
        let mut dyno = x.play(GET, "HTTP/1.1 200 OK\r\n\r\n");
        block(&mut dyno);
        x.leaves_by(Way::Reset);
        x.has_left_with_status(200);
        assert!(dyno.try_send(&[b'x'; 1 << 20]).is_err(), "the router takes more");
        x.none_is_in_flight();
    }

    fn by_an_end_while_it_does_not_read_its_answer(x: one_in_flight()) {
        x.client = x.router.connect_small();
        let mut dyno = x.play(GET, "HTTP/1.1 200 OK\r\n\r\n");
        block(&mut dyno);
        let client = x.leaves_by(Way::End);
        x.has_left_with_status(200);
        assert!(dyno.try_send(&[b'x'; 1 << 20]).is_err(), "the router takes more");
        x.none_is_in_flight();
        drop(client);
    }

    fn by_a_close_with_its_answer_unread(x: one_in_flight()) {
        x.client = x.router.connect_small();
        let mut dyno = x.play(GET, "HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n");
        block(&mut dyno);
        drop(std::mem::replace(&mut x.client, x.router.connect()));
        x.has_left_with_status(200);
        assert!(dyno.try_send(&[b'x'; 1 << 20]).is_err(), "the router takes more");
        x.none_is_in_flight();
    }

    fn by_a_reset_of_a_tunnel_whose_dyno_does_not_read(x: one_in_flight()) {
        with_a_small_dyno(x);
        let mut dyno = x.play(UPGRADE, SWITCH);
        assert_eq!(x.client.take_head().status(), 101);
        block(&mut x.client);
        x.leaves_by(Way::Reset);
        x.has_left_with_status(101);
        dyno.take_all();
        x.none_is_in_flight();
    }

    fn by_a_reset_of_a_tunnel_that_it_does_not_read(x: one_in_flight()) {
        x.client = x.router.connect_small();
        let mut dyno = x.play(UPGRADE, SWITCH);
        x.client.take_head();
        block(&mut dyno);
        x.leaves_by(Way::Reset);
        x.has_left_with_status(101);
        x.none_is_in_flight();
    }
}

impl Case {
    /// One exchange is logged as H27, after a part of its answer.
    fn has_left_with_status(&self, status: u16) {
        let line = self.router.log.wait_for("sock=client at=warning code=H27");
        assert!(line.contains(" dyno=web.1 "), "{line}");
        assert!(line.contains(&format!(" status={status} ")), "{line}");
    }
}
