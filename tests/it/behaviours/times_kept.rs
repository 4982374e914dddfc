//! How long connections wait for their next exchange: clients' and dynos', for the router and for
//! an app; and how far a dyno's own word on it (`Keep-Alive`) is heeded.
//!
//! Invariant: the connections here are closed by time alone, so each test begins with fresh ones.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{
    GET,
    case::{Case, Kind, Setup},
};
use crate::harness::{Conn, End, pace::pause};

/// The time-out under test.
const SHORT: Duration = Duration::from_millis(300);
/// Less than the defaults.
const SOON: Duration = Duration::from_secs(20);

/// A whole exchange on fresh connections, whose answer has these header lines.
fn exchange(setup: &Setup, lines: &str) -> (Case, Conn) {
    let mut x = Case::start(Kind::Fresh, setup);
    let answer = format!("HTTP/1.1 200 OK\r\n{lines}Content-Length: 2\r\n\r\nok");
    let dyno = x.play(GET, answer);
    let answer = x.client.take_answer();
    assert_eq!(answer.text(), "ok");
    // It is about the dyno's connection.
    assert_eq!(answer.head.get("keep-alive"), None);
    (x, dyno)
}

/// It is closed in order, after so much time and well before a default.
fn is_closed_after(mut conn: Conn, least: Duration) {
    let began = Instant::now();
    assert_eq!(conn.take_end(), End::Closed);
    let took = began.elapsed();
    assert!(took >= least && took < SOON, "closed after {took:?}");
}

#[test]
fn a_client_without_a_request_is_closed_without_a_word() {
    let setup = Setup::env(&[("HOSTLER_TIMEOUTS_KEEP_ALIVE", "300ms")]);
    let x = Case::start(Kind::Fresh, &setup);
    is_closed_after(x.router.connect(), SHORT / 2);
    assert!(x.router.log.all().is_empty());
}

#[test]
fn a_client_that_asked_before_is_closed_without_a_word() {
    let (x, _dyno) = exchange(&Setup::env(&[("HOSTLER_TIMEOUTS_KEEP_ALIVE", "300ms")]), "");
    is_closed_after(x.client, SHORT / 2);
    x.router.log.wait_for("status=200");
    assert_eq!(x.router.log.all().len(), 1);
}

#[test]
fn a_client_that_asked_an_app_before_has_the_apps_time() {
    let (x, _dyno) = exchange(&Setup::app(json!({"timeouts.keep_alive": "300ms"})), "");
    is_closed_after(x.client, SHORT / 2);
}

#[test]
fn a_dynos_connection_is_closed_when_its_time_is_over() {
    let (_x, dyno) = exchange(&Setup::env(&[("HOSTLER_TIMEOUTS_POOL_IDLE", "300ms")]), "");
    is_closed_after(dyno, SHORT / 2);
}

#[test]
fn a_dynos_connection_has_the_apps_time() {
    let (_x, dyno) = exchange(&Setup::app(json!({"timeouts.pool_idle": "300ms"})), "");
    is_closed_after(dyno, SHORT / 2);
}

#[test]
fn a_dynos_connection_is_used_again_within_its_time_and_then_has_all_of_it_again() {
    let (mut x, mut dyno) = exchange(&Setup::env(&[("HOSTLER_TIMEOUTS_POOL_IDLE", "10s")]), "");
    for _ in 0..3 {
        pause(SHORT);
        x.both_go_on(dyno);
        dyno = x.kept.take().unwrap();
    }
}

#[test]
fn a_dyno_that_keeps_alive_for_no_time_is_not_kept() {
    for lines in ["timeout=0", "timeout=0, max=100", "max=5,timeout=0", "Timeout=0", "max=0"] {
        let (mut x, mut dyno) = exchange(&Setup::default(), &format!("Keep-Alive: {lines}\r\n"));
        assert_eq!(dyno.take_end(), End::Closed, "{lines}");
        x.client_goes_on();
    }
}

/// A second, less a margin of half of it.
#[test]
fn a_dyno_that_keeps_alive_for_a_second_is_kept_for_less() {
    let (x, dyno) = exchange(&Setup::default(), "Keep-Alive: timeout=1, max=100\r\n");
    is_closed_after(dyno, Duration::from_millis(250));
    drop(x);
}

/// Two seconds, less a margin of one.
#[test]
fn a_dyno_that_keeps_alive_for_two_seconds_is_kept_for_one() {
    let (x, dyno) = exchange(&Setup::default(), "Keep-Alive: timeout=2\r\n");
    is_closed_after(dyno, Duration::from_millis(700));
    drop(x);
}

#[test]
fn a_dyno_that_keeps_alive_is_used_meanwhile() {
    let (mut x, dyno) = exchange(&Setup::default(), "Keep-Alive: timeout=30\r\n");
    x.both_go_on(dyno);
}

#[test]
fn a_dyno_cannot_lengthen_the_time_of_the_settings() {
    let setup = Setup::env(&[("HOSTLER_TIMEOUTS_POOL_IDLE", "300ms")]);
    let (_x, dyno) = exchange(&setup, "Keep-Alive: timeout=3600\r\n");
    is_closed_after(dyno, SHORT / 2);
}

/// The last word counts: that of the answer before is over with it.
#[test]
fn each_answer_has_its_own_word_on_the_time() {
    let (mut x, dyno) = exchange(&Setup::default(), "Keep-Alive: timeout=30\r\n");
    x.kept = Some(dyno);
    let mut dyno = x.play(GET, "HTTP/1.1 204 No Content\r\nKeep-Alive: timeout=0\r\n\r\n");
    assert_eq!(x.client.take_answer().status(), 204);
    assert_eq!(dyno.take_end(), End::Closed);
}

#[test]
fn a_keep_alive_that_says_nothing_is_passed_over() {
    for lines in [
        "",
        "timeout",
        "timeout=",
        "timeout=-1",
        "timeout=x",
        "timeout=0x",
        "timeout=1.5",
        "max=1",
        "xtimeout=0",
        "timeout=99999999999999999999999",
        "=0",
        ",,",
    ] {
        let (mut x, dyno) = exchange(&Setup::default(), &format!("Keep-Alive: {lines}\r\n"));
        x.both_go_on(dyno);
    }
}

#[test]
fn a_dyno_that_closes_anyway_is_not_asked_to_keep_alive() {
    let lines = "Connection: close\r\nKeep-Alive: timeout=30\r\n";
    let (mut x, mut dyno) = exchange(&Setup::default(), lines);
    assert_eq!(dyno.take_end(), End::Closed);
    x.client_goes_on();
}
