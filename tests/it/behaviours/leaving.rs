//! Clients that leave: by a reset, or by the end of what they send. Noticed at once in every stage
//! of an exchange, and whatever waits unread.
//!
//! Invariants: the dyno's connection is closed and carries no other exchange; the exchange is
//! logged as H27, by which "at once" is known, since no time-out has such a code; it no longer
//! counts as in flight.

use serde_json::json;

use super::{Case, GET, OK};
use crate::harness::{Conn, End, closed_port, until};

/// How a client leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// It sends no more, but would still read.
    End,
    /// It is gone.
    Reset,
}

const BOTH: [Way; 2] = [Way::End, Way::Reset];

impl Case {
    /// The client is gone; the case goes on with another.
    pub fn leaves(&mut self) {
        self.leaves_by(Way::Reset);
    }

    /// The client leaves, the case goes on with another. Answers what is left of the client.
    pub fn leaves_by(&mut self, way: Way) -> Option<Conn> {
        let client = std::mem::replace(&mut self.client, self.router.connect());
        match way {
            Way::End => {
                client.shut_write();
                Some(client)
            }
            Way::Reset => {
                client.reset();
                None
            }
        }
    }

    /// The client leaves, and that is all that is said to it: the end.
    pub fn leaves_and_hears_nothing(&mut self, way: Way) {
        if let Some(mut client) = self.leaves_by(way) {
            client.take_end();
        }
    }

    /// So many exchanges are logged as H27, the last with this end of its line.
    pub fn has_left(&self, count: usize, rest: &str) {
        let lines = self.router.log.wait_for_many("code=H27", count);
        let start = "sock=client at=warning code=H27 desc=\"Client Request Interrupted\" ";
        for line in &lines {
            assert!(line.starts_with(start), "{line}");
        }
        let last = crate::harness::lines::steady(&lines[count - 1]);
        assert!(last.contains(&format!(" {rest} protocol=")), "{rest} is not in\n{last}");
    }

    /// Of the one exchange that the app may have in flight none is: the next is served, on a
    /// connection of its own.
    pub fn none_is_in_flight(&mut self) {
        until("the next is served", || {
            let mut next = self.router.connect();
            next.send("GET /next HTTP/1.1\r\nHost: a.test\r\n\r\n");
            until("somebody answers", || next.has_input() || self.web.has_caller());
            if self.web.has_caller() {
                let mut dyno = self.web.accept();
                assert_eq!(dyno.take_request().head.line, "GET /next HTTP/1.1");
                // Not kept, so that it is not in the way of what follows.
                dyno.send("HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
                assert_eq!(next.take_answer().status(), 204);
                return true;
            }
            assert_eq!(next.take_answer().verdict(), (503, "H11"));
            false
        });
    }
}

/// One exchange in flight at most, so that one that was not given back would show.
pub fn one_in_flight() -> super::case::Setup {
    super::case::Setup::app(json!({"dynos.max_in_flight": 1}))
}

/// The end of the line where the dyno had the connection and nothing was answered.
const UNANSWERED: &str = "dyno=web.1 connect=# service=# status=499 bytes=0";

behaviours! {
    fn while_the_dyno_works(x: one_in_flight()) {
        for (i, way) in BOTH.into_iter().enumerate() {
            let (_, mut dyno) = x.ask(GET);
            x.leaves_and_hears_nothing(way);
            dyno.take_end();
            x.has_left(i + 1, UNANSWERED);
            x.none_is_in_flight();
        }
    }

    fn while_the_dyno_works_on_a_body_that_it_has(x: one_in_flight()) {
        for (i, way) in BOTH.into_iter().enumerate() {
            let (_, mut dyno) =
                x.ask("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\n\r\nhello");
            x.leaves_and_hears_nothing(way);
            dyno.take_end();
            x.has_left(i + 1, UNANSWERED);
            x.none_is_in_flight();
        }
    }

    fn while_a_dyno_is_sought(x: one_in_flight()) {
        x.kept = None;
        for (i, way) in BOTH.into_iter().enumerate() {
            x.router.set_state("one", "web.1", "starting");
            x.send(GET);
            x.catch_up();
            x.leaves_and_hears_nothing(way);
            x.has_left(i + 1, "dyno= connect= service= status=499 bytes=");
            x.router.set_state("one", "web.1", "up");
            // The dyno never hears of it.
            x.none_is_in_flight();
        }
    }

    fn while_a_dyno_is_dialled(x) {
        let hung = closed_port();
        let _filling = hung.hang();
        x.second_app(&[&hung.addr]);
        for (i, way) in BOTH.into_iter().enumerate() {
            x.send("GET / HTTP/1.1\r\nHost: b.test\r\n\r\n");
            x.catch_up();
            x.leaves_and_hears_nothing(way);
            x.has_left(i + 1, "dyno=web.1 connect=# service= status=499 bytes=");
        }
        // It is not the dyno's fault.
        assert_eq!(x.router.metric("hostler_dyno_connect_failures_total"), 0.0);
    }

    fn while_a_dyno_is_dialled_with_a_body_that_waits(x) {
        let hung = closed_port();
        let _filling = hung.hang();
        x.second_app(&[&hung.addr]);
        for (i, way) in BOTH.into_iter().enumerate() {
            // More than a buffer holds, so that not all of it was read.
            x.send("PUT / HTTP/1.1\r\nHost: b.test\r\nContent-Length: 1000000\r\n\r\n");
            x.send([b'x'; 50_000]);
            x.catch_up();
            x.leaves_and_hears_nothing(way);
            x.has_left(i + 1, "dyno=web.1 connect=# service= status=499 bytes=");
        }
    }

    fn within_the_body(x: one_in_flight()) {
        for (i, way) in BOTH.into_iter().enumerate() {
            x.send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 10\r\n\r\nhello");
            let mut dyno = x.dyno();
            dyno.take_until("hello");
            x.leaves_and_hears_nothing(way);
            dyno.take_end();
            x.has_left(i + 1, UNANSWERED);
            x.none_is_in_flight();
        }
    }

    fn within_a_chunked_body(x: one_in_flight()) {
        for (i, way) in BOTH.into_iter().enumerate() {
            x.send("POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n");
            let mut dyno = x.dyno();
            dyno.take_head();
            x.send("5\r\nhello\r\n");
            assert_eq!(dyno.take(10), b"5\r\nhello\r\n");
            x.leaves_and_hears_nothing(way);
            // No last chunk that could pass for the end.
            dyno.take_end();
            x.has_left(i + 1, UNANSWERED);
            x.none_is_in_flight();
        }
    }

    fn before_the_body_that_it_was_asked_for(x: one_in_flight()) {
        for (i, way) in BOTH.into_iter().enumerate() {
            x.send(
                "POST / HTTP/1.1\r\nHost: a.test\r\nExpect: 100-continue\r\n\
                 Content-Length: 5\r\n\r\n",
            );
            let mut dyno = x.dyno();
            dyno.take_head();
            assert_eq!(x.client.take_head().status(), 100);
            x.leaves_and_hears_nothing(way);
            dyno.take_end();
            x.has_left(i + 1, UNANSWERED);
            x.none_is_in_flight();
        }
    }

    fn with_the_next_request_sent_already(x: one_in_flight()) {
        for (i, way) in BOTH.into_iter().enumerate() {
            x.send(format!("{GET}{GET}"));
            let mut dyno = x.dyno();
            dyno.take_request();
            x.leaves_and_hears_nothing(way);
            dyno.take_end();
            x.has_left(i + 1, UNANSWERED);
            // The second request is not begun.
            x.none_is_in_flight();
        }
    }

    fn with_more_sent_already_than_any_buffer_holds(x: one_in_flight()) {
        for (i, way) in BOTH.into_iter().enumerate() {
            x.send(GET);
            let mut dyno = x.dyno();
            dyno.take_request();
            // The end is behind what nobody reads before this answer is over.
            x.send([b'x'; 50_000]);
            x.catch_up();
            x.leaves_and_hears_nothing(way);
            dyno.take_end();
            x.has_left(i + 1, UNANSWERED);
            x.none_is_in_flight();
        }
    }

    fn within_the_answer(x: one_in_flight()) {
        for (i, way) in BOTH.into_iter().enumerate() {
            let mut dyno = x.play(GET, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello");
            x.client.take_until("hello");
            x.leaves_and_hears_nothing(way);
            dyno.take_end();
            x.has_left(i + 1, "dyno=web.1 connect=# service=# status=200 bytes=5");
            x.none_is_in_flight();
        }
    }

    fn behind_an_interim_answer(x: one_in_flight()) {
        for (i, way) in BOTH.into_iter().enumerate() {
            let mut dyno = x.play(GET, "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n");
            assert_eq!(x.client.take_head().status(), 103);
            x.leaves_and_hears_nothing(way);
            dyno.take_end();
            x.has_left(i + 1, UNANSWERED);
            x.none_is_in_flight();
        }
    }

    fn both_ways_at_once(x: one_in_flight()) {
        for (i, way) in BOTH.into_iter().enumerate() {
            x.send("POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n");
            let mut dyno = x.dyno();
            dyno.take_head();
            dyno.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
            x.client.take_until("hello\r\n");
            x.leaves_and_hears_nothing(way);
            dyno.take_end();
            x.has_left(i + 1, "dyno=web.1 connect=# service=# status=200 bytes=5");
            x.none_is_in_flight();
        }
    }

    fn a_request_that_asked_to_close_is_no_exception(x: one_in_flight()) {
        let (_, mut dyno) = x.ask("GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n");
        x.leaves_and_hears_nothing(Way::End);
        dyno.take_end();
        x.has_left(1, UNANSWERED);
        x.none_is_in_flight();
    }

    fn a_client_that_speaks_1_0_is_no_exception(x: one_in_flight()) {
        let (_, mut dyno) = x.ask("GET / HTTP/1.0\r\nHost: a.test\r\n\r\n");
        x.leaves_and_hears_nothing(Way::End);
        dyno.take_end();
        x.has_left(1, UNANSWERED);
        x.none_is_in_flight();
    }

    fn a_reset_of_a_tunnel(x: one_in_flight()) {
        let mut dyno = x.play(
            "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n",
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n",
        );
        assert_eq!(x.client.take_head().status(), 101);
        dyno.send("hello");
        assert_eq!(x.client.take(5), b"hello");
        x.leaves();
        dyno.take_end();
        x.has_left(1, "dyno=web.1 connect=# service=# status=101 bytes=5");
        x.none_is_in_flight();
    }

    fn between_two_requests_it_leaves_nothing_to_tell(x) {
        for way in BOTH {
            let dyno = x.play(GET, OK);
            assert_eq!(x.client.take_answer().text(), "ok");
            if let Some(mut client) = x.leaves_by(way) {
                assert_eq!(client.take_end(), End::Closed);
            }
            x.both_go_on(dyno);
            x.again();
        }
        assert!(x.router.log.all().iter().all(|line| line.starts_with("at=info ")));
    }

    fn within_a_head_no_dyno_hears_of_it(x) {
        for (i, way) in BOTH.into_iter().enumerate() {
            x.send("GET / HTTP/1.1\r\nHost: a.te");
            x.catch_up();
            x.leaves_and_hears_nothing(way);
            x.has_left(i + 1, "dyno= connect= service= status=499 bytes=");
        }
        x.nothing_reached_the_dyno();
    }
}
