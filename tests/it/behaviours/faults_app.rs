//! Faults of an app that is in no state to serve: no connection to a dyno stands.
//!
//! Invariant: the request is another app's, so that the connections of the case stay as they are.

use serde_json::json;

use super::{case::Kind, faults::faults, *};
use crate::harness::{Conn, closed_port, until};

/// To the app that is in a bad way.
const GET_B: &str = "GET /b?c HTTP/1.1\r\nHost: b.test\r\n\r\n";
const ASKED: &str = "GET /b?c b.test";
/// The end of the line where no dyno was tried.
const NO_DYNO: &str = "dyno= connect= service= status=503 bytes=";

const SHORT: [(&str, &str); 2] =
    [("HOSTLER_TIMEOUTS_CONNECT", "200ms"), ("HOSTLER_TIMEOUTS_CONNECT_TOTAL", "200ms")];

faults! {
    AppCrashed => fn h10_all_dynos_crashed(x) {
        x.second_app(&["127.0.0.1:9", "127.0.0.1:9"]);
        x.router.set_state("two", "web.1", "crashed");
        x.router.set_state("two", "web.2", "crashed");
        x.send(GET_B);
        x.is_answered(503, "H10");
        x.logs("at=error code=H10 desc=\"App crashed\"", ASKED, NO_DYNO);
        x.counts("H10", 1);
        x.client_goes_on();
    }

    BacklogTooDeep => fn h11_as_many_exchanges_in_flight_as_allowed(
        x: bounded()
    ) {
        let mut other = x.router.connect();
        other.send("GET /slow HTTP/1.1\r\nHost: a.test\r\n\r\n");
        let mut dyno = x.dyno();
        assert_eq!(dyno.take_request().head.line, "GET /slow HTTP/1.1");
        x.send(GET);
        x.is_answered(503, "H11");
        x.logs("at=error code=H11 desc=\"Backlog too deep\"", "GET / a.test", NO_DYNO);
        x.counts("H11", 1);
        assert!(x.web.is_idle());
        dyno.send(OK);
        assert_eq!(other.take_answer().text(), "ok");
        x.both_go_on(dyno);
    }

    BacklogTimeout => fn h11_it_waited_for_a_place_as_long_as_it_may(x) {
        x.second_app(&[&x.web.addr]);
        let bounds = json!({"dynos.max_in_flight": 1, "queue.timeout": "100ms"});
        x.router.write("PATCH", "/v1/apps/two", json!({ "settings": bounds }));
        let mut other = x.router.connect();
        other.send("GET /slow HTTP/1.1\r\nHost: b.test\r\n\r\n");
        let mut dyno = x.web.accept();
        dyno.take_request();
        x.send(GET_B);
        x.is_answered(503, "H11");
        let start = "at=error code=H11 desc=\"Backlog too deep\" cause=\"queue timeout\"";
        x.logs(start, ASKED, NO_DYNO);
        x.counts("H11", 1);
        dyno.send(OK);
        assert_eq!(other.take_answer().text(), "ok");
        x.client_goes_on();
    }

    Paused => fn h83_the_owner_paused_the_app_for_too_long(x) {
        x.second_app(&["127.0.0.1:9"]);
        let paused = json!({"queue.paused": true, "queue.timeout": "100ms"});
        x.router.write("PATCH", "/v1/apps/two", json!({ "settings": paused }));
        x.send(GET_B);
        x.is_answered(503, "H83");
        x.logs("at=info code=H83 desc=\"Planned Service Degradation\"", ASKED, NO_DYNO);
        x.counts("H83", 1);
        x.client_goes_on();
    }

    NoDynos => fn h14_no_dynos_or_all_are_draining(x) {
        x.second_app(&[]);
        x.send(GET_B);
        x.is_answered(503, "H14");
        x.logs("at=error code=H14 desc=\"No web processes running\"", ASKED, NO_DYNO);
        x.second_app(&["127.0.0.1:9"]);
        x.router.set_state("two", "web.1", "draining");
        x.send(GET_B);
        x.is_answered(503, "H14");
        x.counts("H14", 2);
        x.client_goes_on();
    }

    ConnectionLimit => fn h22_as_many_client_connections_as_allowed(
        x: Setup::app(json!({"limits.app_connections": 1}))
    ) {
        let dyno = x.play(GET, OK);
        assert_eq!(x.client.take_answer().text(), "ok");
        // The first stays, whatever comes after it.
        let mut first = std::mem::replace(&mut x.client, x.router.connect());
        x.send("GET /b?c HTTP/1.1\r\nHost: a.test\r\n\r\n");
        x.is_refused(503, "H22");
        let start = "at=error code=H22 desc=\"Connection limit reached\"";
        x.logs(start, "GET /b?c a.test", NO_DYNO);
        x.counts("H22", 1);
        std::mem::swap(&mut x.client, &mut first);
        x.both_go_on(dyno);
        // Its place is free once it is gone.
        x.client = x.router.connect();
        until("there is room again", || {
            let mut next = x.router.connect();
            next.send(GET);
            until("somebody answers", || next.has_input() || x.dyno_hears());
            if x.dyno_hears() {
                x.client = next;
                return true;
            }
            assert_eq!(next.take_answer().verdict(), (503, "H22"));
            false
        });
        let mut dyno = x.dyno();
        dyno.take_request();
        dyno.send(OK);
        assert_eq!(x.client.take_answer().text(), "ok");
    }

    ConnectTimeout => fn h19_no_dyno_takes_the_connection(
        x: Setup::env(&[("HOSTLER_TIMEOUTS_CONNECT", "200ms")])
    ) {
        let hung = closed_port();
        let _filling = hung.hang();
        x.second_app(&[&hung.addr]);
        x.send(GET_B);
        x.is_answered(503, "H19");
        let rest = "dyno=web.1 connect=# service= status=503 bytes=";
        x.logs("at=error code=H19 desc=\"Backend connection timeout\"", ASKED, rest);
        x.counts("H19", 1);
        x.client_goes_on();
    }

    BootTimeout => fn h20_dynos_start_for_too_long(x: Setup::env(&SHORT)) {
        x.second_app(&["127.0.0.1:9"]);
        x.router.set_state("two", "web.1", "starting");
        x.send(GET_B);
        x.is_answered(503, "H20");
        x.logs("at=error code=H20 desc=\"App boot timeout\"", ASKED, NO_DYNO);
        x.counts("H20", 1);
        x.client_goes_on();
    }

    ConnectRefused => fn h21_every_dyno_that_was_tried_refused(x) {
        let closed = [closed_port(), closed_port(), closed_port()];
        x.second_app(&closed.each_ref().map(|port| port.addr.as_str()));
        x.send(GET_B);
        x.is_answered(503, "H21");
        let rest = "dyno=web.* connect=# service= status=503 bytes=";
        x.logs("at=error code=H21 desc=\"Backend connection refused\"", ASKED, rest);
        x.counts("H21", 1);
        let failures = || x.router.metric("hostler_dyno_connect_failures_total");
        until("each was tried once", || failures() == 3.0);
        x.client_goes_on();
    }

    AllQuarantined => fn h34_all_dynos_are_in_quarantine(
        x: Setup::env(&[SHORT[0], SHORT[1], ("HOSTLER_DYNOS_QUARANTINE", "1h")])
    ) {
        let closed = closed_port();
        x.second_app(&[&closed.addr]);
        let mut other = x.router.connect();
        assert_eq!(other.get("b.test", "/first").verdict(), (503, "H21"));
        x.send(GET_B);
        x.is_answered(503, "H34");
        let start = "at=error code=H34 desc=\"All up dynos are quarantined\"";
        x.logs_of("code=H34", start, ASKED, NO_DYNO);
        x.counts("H34", 1);
        x.client_goes_on();
    }

    Maintenance => fn h80_the_owner_asked_for_maintenance(x) {
        x.second_app(&["127.0.0.1:9"]);
        x.router.write("PATCH", "/v1/apps/two", json!({"maintenance": true}));
        x.send(GET_B);
        x.is_answered(503, "H80");
        x.logs("at=info code=H80 desc=\"Maintenance mode\"", ASKED, NO_DYNO);
        x.counts("H80", 1);
        x.client_goes_on();
    }

    BlankApp => fn h81_nothing_was_ever_deployed(x) {
        x.second_app(&[]);
        x.router.write("PATCH", "/v1/apps/two", json!({"blank": true}));
        x.send(GET_B);
        x.is_answered(502, "H81");
        let rest = "dyno= connect= service= status=502 bytes=";
        x.logs("at=info code=H81 desc=\"Blank app\"", ASKED, rest);
        x.counts("H81", 1);
        x.client_goes_on();
    }
}

/// Those that were held are let in one by one, by the same bound as those that were not.
#[test]
fn requests_that_were_held_are_bounded_in_flight() {
    let app = Setup::app(json!({"dynos.max_in_flight": 1}));
    let mut x = Case::start(Kind::Fresh, &app);
    x.kept = None;
    x.router.set_state("one", "web.1", "starting");
    let mut clients: Vec<_> = (0..6).map(|_| x.router.connect()).collect();
    clients.iter_mut().for_each(|client| client.send(GET));
    x.catch_up();
    assert!(!clients.iter().any(Conn::has_input) && x.web.is_idle(), "they are held");
    x.router.set_state("one", "web.1", "up");
    for _ in 0..6 {
        let mut dyno = x.web.accept();
        dyno.take_request();
        assert!(x.web.is_idle(), "a second one is on the dyno");
        dyno.send("HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
        dyno.take_end();
    }
    for client in &mut clients {
        assert_eq!(client.take_answer().status(), 204);
    }
    x.client_goes_on();
}

/// A client whose request the dyno has and has not answered.
fn occupies(x: &Case) -> (Conn, Conn) {
    let mut client = x.router.connect();
    client.send(GET);
    let mut dyno = x.web.accept();
    dyno.take_request();
    (client, dyno)
}

/// Asks for the app of the case, whose dynos are all at the address of the one.
fn is_too_deep(x: &Case) -> bool {
    let mut client = x.router.connect();
    client.send(GET);
    until("it is refused or not", || client.has_input() || x.web.has_caller());
    if client.has_input() {
        assert_eq!(client.take_answer().verdict(), (503, "H11"));
        return true;
    }
    let mut dyno = x.web.accept();
    dyno.take_request();
    dyno.send("HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
    assert_eq!(client.take_answer().status(), 204);
    false
}

/// One exchange for each dyno, and none waits for it.
fn bounded() -> Setup {
    Setup::app(json!({"dynos.max_in_flight": 1, "queue.max": 0}))
}

behaviours! {
    fn the_bound_in_flight_is_for_each_dyno_that_is_up(
        x: Setup::app(json!({"dynos.max_in_flight": 2, "queue.max": 0}))
    ) {
        x.kept = None;
        let addr = json!({"addr": x.web.addr});
        x.router.write("PUT", "/v1/apps/one/dynos/web.2", addr.clone());
        x.router.write("PUT", "/v1/apps/one/dynos/web.3", addr);
        x.router.set_state("one", "web.3", "starting");
        let mut clients: Vec<_> = (0..4).map(|_| occupies(x)).collect();
        assert!(is_too_deep(x));
        // A place is free once an exchange is over, however it ends.
        let (mut client, mut dyno) = clients.pop().unwrap();
        dyno.send("HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
        assert_eq!(client.take_answer().status(), 204);
        assert!(!is_too_deep(x));
        let (client, mut dyno) = clients.pop().unwrap();
        client.reset();
        dyno.take_end();
        until("its place is free", || !is_too_deep(x));
        let (mut client, dyno) = clients.pop().unwrap();
        drop(dyno);
        // It may be sent again, since it is a GET.
        let mut dyno = x.web.accept();
        dyno.take_request();
        drop(dyno);
        assert_eq!(client.take_answer().verdict(), (503, "H13"));
        assert!(!is_too_deep(x));
    }

    fn a_tunnel_is_in_flight(x: bounded()) {
        let dyno = x.play(
            "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n",
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n",
        );
        assert_eq!(x.client.take_head().status(), 101);
        assert!(is_too_deep(x));
        drop(dyno);
        x.client.shut_write();
        x.client_is_cut();
        until("its place is free", || !is_too_deep(x));
    }

    fn the_bound_of_one_app_is_not_anothers(x: bounded()) {
        x.kept = None;
        let _first = occupies(x);
        assert!(is_too_deep(x));
        x.second_app(&[]);
        x.send(GET_B);
        x.is_answered(503, "H14");
    }

    fn an_app_that_is_in_maintenance_and_blank_is_in_maintenance(x) {
        x.second_app(&[]);
        x.router.write("PATCH", "/v1/apps/two", json!({"maintenance": true, "blank": true}));
        x.send(GET_B);
        x.is_answered(503, "H80");
        x.router.write("PATCH", "/v1/apps/two", json!({"maintenance": false, "blank": false}));
        x.send(GET_B);
        x.is_answered(503, "H14");
    }

    fn a_body_of_a_request_that_no_dyno_gets_is_read_where_it_came_with_the_head(x) {
        x.second_app(&[]);
        x.send("POST /b?c HTTP/1.1\r\nHost: b.test\r\nContent-Length: 5\r\n\r\nhello");
        x.is_answered(503, "H14");
        x.client_goes_on();
    }

    fn a_body_of_a_request_that_no_dyno_gets_and_that_is_still_to_come_ends_the_connection(x) {
        x.second_app(&[]);
        x.send("POST /b?c HTTP/1.1\r\nHost: b.test\r\nContent-Length: 500000\r\n\r\nhello");
        x.is_refused(503, "H14");
    }
}
