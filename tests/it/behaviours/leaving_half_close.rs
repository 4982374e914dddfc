//! With `http.half_close` an end of what the client sends is not leaving: it waits for its answer.
//!
//! Invariants: the answer is delivered whole and then the connection closed; a reset is still
//! leaving, and so is an end within the request.

use serde_json::json;

use super::{
    Case, GET, OK,
    case::Setup,
    leaving::{Way, one_in_flight},
};
use crate::harness::{End, closed_port};

fn half_close() -> Setup {
    Setup::app(json!({"http.half_close": true, "dynos.max_in_flight": 1}))
}

/// The client gets its answer, and then the end.
fn is_answered(x: &mut Case) {
    assert_eq!(x.client.take_answer().text(), "ok");
    assert_eq!(x.client.take_end(), End::Closed);
    let line = x.router.log.wait_for("path=\"/\" host=a.test");
    assert!(line.starts_with("at=info ") && line.contains(" status=200 bytes=2 "), "{line}");
}

behaviours! {
    fn an_end_behind_the_request_is_answered_and_then_closed(x: half_close()) {
        let (_, mut dyno) = x.ask(GET);
        x.client.shut_write();
        x.catch_up();
        assert!(!dyno.has_input(), "the dyno's connection was ended");
        dyno.send(OK);
        is_answered(x);
        x.dyno_goes_on(dyno);
    }

    fn an_end_that_comes_with_the_request_is_answered(x: half_close()) {
        x.send(GET);
        x.client.shut_write();
        let mut dyno = x.dyno();
        dyno.take_request();
        dyno.send(OK);
        is_answered(x);
        x.dyno_goes_on(dyno);
    }

    fn an_end_behind_a_body_is_answered(x: half_close()) {
        x.send("PUT / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n");
        let mut dyno = x.dyno();
        dyno.take_head();
        x.send("5\r\nhello\r\n0\r\n\r\n");
        x.client.shut_write();
        dyno.take_until("0\r\n\r\n");
        x.catch_up();
        dyno.send(OK);
        is_answered(x);
    }

    fn the_setting_of_the_router_does_the_same(
        x: Setup::env(&[("HOSTLER_HTTP_HALF_CLOSE", "true")])
    ) {
        let (_, mut dyno) = x.ask(GET);
        x.client.shut_write();
        x.catch_up();
        dyno.send(OK);
        is_answered(x);
    }

    fn an_end_within_the_answer_does_not_cut_it(x: half_close()) {
        let mut dyno = x.play(GET, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
        x.client.take_until("hello");
        x.client.shut_write();
        x.catch_up();
        dyno.send("world");
        assert_eq!(x.client.take(5), b"world");
        assert_eq!(x.client.take_end(), End::Closed);
    }

    fn requests_that_were_sent_before_the_end_are_all_answered(x: half_close()) {
        x.send(format!("{GET}{GET}"));
        x.client.shut_write();
        let mut dyno = x.dyno();
        for _ in 0..2 {
            dyno.take_request();
            dyno.send(OK);
            assert_eq!(x.client.take_answer().text(), "ok");
        }
        assert_eq!(x.client.take_end(), End::Closed);
    }

    fn an_end_while_a_dyno_is_sought_is_waited_for(x: half_close()) {
        x.router.set_state("one", "web.1", "starting");
        x.send(GET);
        x.client.shut_write();
        x.catch_up();
        assert!(!x.client.has_input());
        x.router.set_state("one", "web.1", "up");
        let mut dyno = x.dyno();
        dyno.take_request();
        dyno.send(OK);
        is_answered(x);
    }

    fn a_fault_is_told_too(x: half_close()) {
        let (_, dyno) = x.ask("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 2\r\n\r\nhi");
        x.client.shut_write();
        x.catch_up();
        drop(dyno);
        x.is_answered(503, "H13");
        assert_eq!(x.client.take_end(), End::Closed);
    }

    fn a_reset_after_the_end_is_leaving(x: half_close()) {
        let (_, mut dyno) = x.ask(GET);
        x.client.shut_write();
        x.catch_up();
        x.leaves_by(Way::Reset);
        dyno.take_end();
        x.has_left(1, "dyno=web.1 connect=# service=# status=499 bytes=0");
        x.none_is_in_flight();
    }

    fn a_reset_without_an_end_is_leaving(x: half_close()) {
        let (_, mut dyno) = x.ask(GET);
        x.leaves_by(Way::Reset);
        dyno.take_end();
        x.has_left(1, "dyno=web.1 connect=# service=# status=499 bytes=0");
        x.none_is_in_flight();
    }

    fn a_reset_while_a_dyno_is_dialled_is_leaving(x) {
        let hung = closed_port();
        let _filling = hung.hang();
        x.second_app(&[&hung.addr]);
        let settings = json!({"settings": {"http.half_close": true}});
        x.router.write("PATCH", "/v1/apps/two", settings);
        x.send("GET / HTTP/1.1\r\nHost: b.test\r\n\r\n");
        x.client.shut_write();
        x.catch_up();
        x.leaves_by(Way::Reset);
        x.has_left(1, "dyno=web.1 connect=# service= status=499 bytes=");
    }

    fn an_end_within_a_body_of_a_known_length_is_leaving(x: half_close()) {
        x.send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 10\r\n\r\nhello");
        let mut dyno = x.dyno();
        dyno.take_until("hello");
        x.leaves_and_hears_nothing(Way::End);
        dyno.take_end();
        x.has_left(1, "dyno=web.1 connect=# service=# status=499 bytes=0");
        x.none_is_in_flight();
    }

    fn an_end_within_a_chunked_body_is_leaving(x: half_close()) {
        x.send("POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n");
        let mut dyno = x.dyno();
        dyno.take_head();
        x.send("5\r\nhello\r\n0\r\n");
        assert_eq!(dyno.take(10), b"5\r\nhello\r\n");
        x.leaves_and_hears_nothing(Way::End);
        let (rest, _) = dyno.take_all();
        assert!(!rest.ends_with(b"\r\n\r\n"), "a cut passes for the end");
        x.has_left(1, "dyno=web.1 connect=# service=# status=499 bytes=0");
        x.none_is_in_flight();
    }

    fn without_the_setting_an_end_behind_two_requests_leaves_both(x: one_in_flight()) {
        x.send(format!("{GET}{GET}"));
        x.leaves_and_hears_nothing(Way::End);
        let mut dyno = x.dyno();
        dyno.take_all();
        x.router.log.wait_for("code=H27");
        x.none_is_in_flight();
    }
}
