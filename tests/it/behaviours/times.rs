//! Time-outs before an answer begins: connecting, the head of a request, the first byte. Each is
//! set for the router and, once the app is known, for an app.
//!
//! Invariants: the settings are short here; nothing is asserted about how long a wait took, but
//! that it was not cut short, and that it was not the default's.

use std::{
    thread,
    time::{Duration, Instant},
};

use serde_json::json;

use super::{
    GET, OK,
    case::{Case, Kind, Setup},
};
use crate::harness::{
    Conn, Named, closed_port,
    kernel::unread_by_the_other,
    lines::millis,
    pace::{pause, slowly},
    until,
};

/// The time-out under test, where one runs out.
const SHORT: Duration = Duration::from_millis(200);
/// Far more than the time-outs that must not run out.
const LONG: Duration = Duration::from_millis(1500);
/// Less than any default that could be taken for the setting.
const SOON: Duration = Duration::from_secs(4);

/// A dyno that never takes a connection, as the app `two`: the time until the client heard of it.
fn hung_for(x: &mut Case, app: serde_json::Value) -> Duration {
    let hung = closed_port();
    let _filling = hung.hang();
    x.second_app(&[&hung.addr]);
    x.router.write("PATCH", "/v1/apps/two", json!({"settings": app}));
    let began = Instant::now();
    x.send("GET / HTTP/1.1\r\nHost: b.test\r\n\r\n");
    x.is_answered(503, "H19");
    began.elapsed()
}

/// No first byte comes: H12, not before its time.
fn waits_for_a_first_byte(x: &mut Case) {
    let (_, mut dyno) = x.ask(GET);
    let began = Instant::now();
    x.is_answered(503, "H12");
    // A tick of the router's clock is what it may be off.
    assert!(began.elapsed() > SHORT / 2, "{:?}", began.elapsed());
    dyno.take_end();
    // A time-out is not tried again: the dyno may have done what it was asked.
    assert!(x.web.is_idle());
    let line = x.router.log.wait_for("code=H12");
    assert!(millis(&line, "service").unwrap() >= SHORT.as_millis() as u64 / 2, "{line}");
}

/// A request that the router has whole and the dyno takes in steps, for longer than the time for a
/// first byte.
fn taken_slowly(x: &mut Case) -> Conn {
    const SIZE: usize = 1 << 20;
    let mut client = x.client.another();
    let sending = thread::spawn(move || {
        client.send(format!("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: {SIZE}\r\n\r\n"));
        client.send(vec![b'x'; SIZE]);
    });
    let mut dyno = x.dyno();
    // So that it is the router's kernel that waits, and sees each step.
    dyno.socket().set_recv_buffer_size(1 << 16).unwrap();
    sending.join().unwrap();
    until("the router has it all", || unread_by_the_other(&x.client) == 0);
    let head = dyno.take_until("\r\n\r\n");
    assert!(head.starts_with(b"POST "));
    let mut had = 0;
    slowly(LONG, || had += dyno.take_some((1 << 14).min(SIZE / 2 - had)));
    assert!(!x.client.has_input(), "the dyno was given no time to take the request");
    dyno.take(SIZE - had);
    dyno
}

behaviours! {
    fn a_connect_has_its_time(x: Setup::env(&[("HOSTLER_TIMEOUTS_CONNECT", "200ms")])) {
        let took = hung_for(x, json!({}));
        assert!(took > SHORT / 2 && took < SOON, "{took:?}");
    }

    fn a_connect_of_an_app_has_the_apps_time(x) {
        let took = hung_for(x, json!({"timeouts.connect": "200ms"}));
        assert!(took > SHORT / 2 && took < SOON, "{took:?}");
    }

    fn the_time_for_all_connects_bounds_how_many_are_made(
        x: Setup::env(&[
            ("HOSTLER_TIMEOUTS_CONNECT", "150ms"),
            ("HOSTLER_TIMEOUTS_CONNECT_TOTAL", "400ms"),
        ])
    ) {
        let hung = [(); 6].map(|()| closed_port());
        let _filling = hung.each_ref().map(|port| port.hang());
        x.second_app(&hung.each_ref().map(|port| port.addr.as_str()));
        x.send("GET / HTTP/1.1\r\nHost: b.test\r\n\r\n");
        x.is_answered(503, "H19");
        let line = x.router.log.wait_for("code=H19");
        assert!(millis(&line, "connect").unwrap() >= 350, "{line}");
        // 150, 300, and 400 ms after it began.
        x.counts("H19", 1);
        let failures = x.router.metric("hostler_dyno_connect_failures_total");
        assert!(failures <= 3.0, "{failures} connects were made");
    }

    fn a_connect_that_times_out_is_followed_by_one_to_another_dyno(
        x: Setup::env(&[("HOSTLER_TIMEOUTS_CONNECT", "200ms"), ("HOSTLER_DYNOS_QUARANTINE", "1h")])
    ) {
        let (hung, named) = (closed_port(), Named::start("two"));
        let _filling = hung.hang();
        x.second_app(&[&hung.addr, &named.addr]);
        let failures = || x.router.metric("hostler_dyno_connect_failures_total");
        let mut most = 0;
        until("the hung one was tried", || {
            assert_eq!(x.client.get("b.test", "/").head.get("x-dyno"), Some("two"));
            failures() == 1.0
        });
        for line in x.router.log.wait_for_many("host=b.test", named.requests()) {
            assert!(line.starts_with("at=info ") && line.contains(" dyno=web.2 "), "{line}");
            most = most.max(millis(&line, "connect").unwrap());
        }
        // The wait for the first is a part of the connect.
        assert!(most >= SHORT.as_millis() as u64 / 2, "{most} ms");
    }

    fn a_first_byte_has_its_time(x: Setup::env(&[("HOSTLER_TIMEOUTS_FIRST_BYTE", "200ms")])) {
        waits_for_a_first_byte(x);
    }

    fn a_first_byte_of_an_app_has_the_apps_time(
        x: Setup::app(json!({"timeouts.first_byte": "200ms"}))
    ) {
        waits_for_a_first_byte(x);
    }

    fn the_time_for_a_first_byte_begins_when_the_whole_request_is_sent(
        x: Setup::env(&[("HOSTLER_TIMEOUTS_FIRST_BYTE", "600ms")])
    ) {
        x.send("POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n");
        let mut dyno = x.dyno();
        dyno.take_head();
        slowly(LONG, || {
            x.client.send("1\r\nx\r\n");
            assert_eq!(dyno.take(6), b"1\r\nx\r\n");
        });
        assert!(!x.client.has_input(), "the upload took from the time for the first byte");
        x.send("0\r\n\r\n");
        assert_eq!(dyno.take(5), b"0\r\n\r\n");
        x.is_answered(503, "H12");
        dyno.take_end();
    }

    fn a_body_that_is_sent_slowly_is_answered(
        x: Setup::env(&[("HOSTLER_TIMEOUTS_FIRST_BYTE", "600ms")])
    ) {
        x.send("POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n");
        let mut dyno = x.dyno();
        dyno.take_head();
        slowly(LONG, || {
            x.client.send("1\r\nx\r\n");
            assert_eq!(dyno.take(6), b"1\r\nx\r\n");
        });
        x.send("0\r\n\r\n");
        assert_eq!(dyno.take(5), b"0\r\n\r\n");
        dyno.send(OK);
        assert_eq!(x.client.take_answer().text(), "ok");
        x.both_go_on(dyno);
    }

    fn a_dyno_that_takes_a_large_request_slowly_has_its_time_afterwards(
        x: Setup::env(&[("HOSTLER_TIMEOUTS_FIRST_BYTE", "600ms")])
    ) {
        let mut dyno = taken_slowly(x);
        dyno.send(OK);
        assert_eq!(x.client.take_answer().text(), "ok");
        x.both_go_on(dyno);
    }

    fn a_dyno_that_is_silent_after_it_took_a_large_request_slowly_is_h12(
        x: Setup::env(&[("HOSTLER_TIMEOUTS_FIRST_BYTE", "600ms")])
    ) {
        let mut dyno = taken_slowly(x);
        x.is_answered(503, "H12");
        dyno.take_end();
    }

    fn a_request_is_held_no_longer_than_the_time_for_all_connects(
        x: Setup::env(&[
            ("HOSTLER_TIMEOUTS_CONNECT", "200ms"),
            ("HOSTLER_TIMEOUTS_CONNECT_TOTAL", "500ms"),
        ])
    ) {
        x.second_app(&["127.0.0.1:9"]);
        x.router.set_state("two", "web.1", "starting");
        let began = Instant::now();
        x.send("GET / HTTP/1.1\r\nHost: b.test\r\n\r\n");
        x.is_answered(503, "H20");
        let took = began.elapsed();
        let (least, most) = (Duration::from_millis(400), Duration::from_millis(1200));
        assert!(took > least && took < most, "{took:?}");
    }

    fn an_interim_answer_is_a_first_byte(
        x: Setup::env(&[("HOSTLER_TIMEOUTS_FIRST_BYTE", "600ms")])
    ) {
        let mut dyno = x.play(GET, "HTTP/1.1 102 Processing\r\n\r\n");
        assert_eq!(x.client.take_head().status(), 102);
        pause(LONG);
        dyno.send(OK);
        assert_eq!(x.client.take_answer().text(), "ok");
        x.both_go_on(dyno);
    }

    fn a_head_that_does_not_end_in_time_is_408(
        x: Setup::env(&[("HOSTLER_TIMEOUTS_REQUEST_HEAD", "200ms")])
    ) {
        x.send("GET / HTTP/1.1\r\nHost: a.test\r\nX: y");
        x.is_refused(408, "head_timeout");
        x.nothing_reached_the_dyno();
    }

    fn a_head_that_trickles_is_408_all_the_same(
        x: Setup::env(&[("HOSTLER_TIMEOUTS_REQUEST_HEAD", "200ms")])
    ) {
        x.send("GET / HTTP/1.1\r\nHost: a.test\r\n");
        // Header by header, for as long as the router takes them.
        until("the router has had enough", || {
            x.client.try_send(b"X: y\r\n").is_err() || x.client.has_input()
        });
        x.is_refused(408, "head_timeout");
        x.nothing_reached_the_dyno();
    }

    fn the_time_for_a_head_begins_with_its_first_byte(
        x: Setup::env(&[("HOSTLER_TIMEOUTS_REQUEST_HEAD", "600ms")])
    ) {
        pause(LONG);
        let dyno = x.play(GET, OK);
        assert_eq!(x.client.take_answer().text(), "ok");
        x.both_go_on(dyno);
    }
}

/// The first takes 2 s; were the second to have as much again, it would be 4.
#[test]
fn a_connect_has_no_more_than_is_left_for_all_of_them() {
    let app = json!({"timeouts.connect": "2s", "timeouts.connect_total": "2100ms"});
    let mut x = Case::start(Kind::Fresh, &Setup::app(app));
    let hung = [closed_port(), closed_port()];
    let _filling = hung.each_ref().map(|port| port.hang());
    for (name, port) in ["web.1", "web.2"].iter().zip(&hung) {
        let path = format!("/v1/apps/one/dynos/{name}");
        x.router.write("PUT", &path, json!({"addr": port.addr}));
    }
    let began = Instant::now();
    x.send(GET);
    x.is_answered(503, "H19");
    let took = began.elapsed();
    assert!(took > Duration::from_secs(2) && took < Duration::from_millis(3700), "{took:?}");
}
