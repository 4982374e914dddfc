//! Dynos that are processes and ill: killed, stopped, slow, hung, failing. What their clients see
//! of it, and how little the ill one gets once that is known.
//!
//! Invariants: an ill dyno is one of four, so that a router that does not care gives it a quarter;
//! what a dyno got is read from the log; clients ask on a connection each, several at a time.

use std::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    thread,
};

use rustix::process::Signal;

use crate::harness::{
    Program, Router,
    program::{python, scripts},
    until,
};

/// Clients that ask at a time.
const CLIENTS: usize = 8;
/// Requests in which a router is to learn that a dyno is ill.
const LEARNT_IN: usize = 240;
/// Requests after that.
const MEASURED: usize = 400;
/// The most of those that an ill dyno gets, to be seen again. The default gives each of four one in
/// 256 whatever it costs: more than this has a chance of 10^-7.
const PROBES: usize = 12;

/// A dyno that is a process, ill in this way.
pub fn dyno(ill: &str) -> Program {
    let mut command = python();
    command.arg(scripts().join("dynos/ill.py")).arg(ill);
    Program::start(command)
}

/// Who does not answer at all is not waited for any longer. Others have all the time that a busy
/// machine takes.
const BRIEFLY: &[(&str, &str)] = &[("HOSTLER_TIMEOUTS_FIRST_BYTE", "300ms")];

/// A router with these settings and four dynos, of which `web.1` is ill in this way.
fn one_of_four(ill: &str, settings: &[(&str, &str)]) -> (Router, Vec<Program>) {
    let router = Router::with(settings);
    let dynos: Vec<Program> = [ill, "sound", "sound", "sound"].map(dyno).into();
    serve(&router, &dynos);
    (router, dynos)
}

fn serve(router: &Router, dynos: &[Program]) {
    let addresses: Vec<&str> = dynos.iter().map(|dyno| dyno.addr.as_str()).collect();
    router.app("one", "a.test", &addresses);
}

/// Asks so often; the statuses that came.
fn ask(router: &Router, method: &str, requests: usize) -> Vec<u16> {
    let request = format!("{method} / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n");
    let one = || router.connect().ask(&request).status();
    let several = || (0..requests / CLIENTS).map(|_| one()).collect::<Vec<u16>>();
    thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(several)).collect();
        clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
    })
}

/// How many of the requests that are asked now, after the router had time to learn, come to the ill
/// dyno; and the statuses of all.
fn share(router: &Router, method: &str) -> (usize, Vec<u16>) {
    let mut statuses = ask(router, method, LEARNT_IN);
    router.log.wait_for_many("at=", LEARNT_IN);
    statuses.extend(ask(router, method, MEASURED));
    let lines = router.log.wait_for_many("at=", LEARNT_IN + MEASURED);
    let is_its = |line: &&String| line.contains(" dyno=web.1 ");
    (lines[LEARNT_IN..].iter().filter(is_its).count(), statuses)
}

fn failed(statuses: &[u16]) -> usize {
    statuses.iter().filter(|status| **status != 200).count()
}

#[test]
fn a_slow_dynos_share_falls() {
    let (router, _dynos) = one_of_four("slow:100", &[]);
    let (share, statuses) = share(&router, "GET");
    assert!(share <= MEASURED / 20, "{share} of {MEASURED}");
    assert_eq!(failed(&statuses), 0);
}

#[test]
fn a_hung_dynos_share_falls_to_probes() {
    let (router, _dynos) = one_of_four("hangs", BRIEFLY);
    let (share, statuses) = share(&router, "GET");
    assert!(share <= PROBES, "{share} of {MEASURED}");
    // It was found out at the cost of a few: as many as may have been in flight, and their probes.
    assert!(failed(&statuses) <= LEARNT_IN / 10, "{} failed", failed(&statuses));
}

#[test]
fn a_stopped_dynos_share_falls_to_probes() {
    let (router, dynos) = one_of_four("sound", BRIEFLY);
    // The kernel goes on to take connections and requests in its name.
    dynos[0].signal(Signal::STOP);
    let (share, _) = share(&router, "GET");
    assert!(share <= PROBES, "{share} of {MEASURED}");
}

#[test]
fn a_dyno_that_was_stopped_and_goes_on_comes_back() {
    let router = Router::with(&[
        ("HOSTLER_TIMEOUTS_FIRST_BYTE", "100ms"),
        ("HOSTLER_HEALTH_EJECT_TIME", "200ms"),
        ("HOSTLER_HEALTH_MAX_EJECT_TIME", "200ms"),
        ("HOSTLER_HEALTH_RETURN_OVER", "0s"),
    ]);
    let dynos = ["sound"; 2].map(dyno);
    serve(&router, &dynos);
    dynos[0].signal(Signal::STOP);
    until("it is ejected", || {
        ask(&router, "GET", CLIENTS);
        router.said.all().iter().any(|line| line.contains("a dyno is ejected"))
    });
    dynos[0].signal(Signal::CONT);
    let is_its = |line: &&String| line.contains(" dyno=web.1 ") && line.contains(" status=200 ");
    let served = || router.log.all().iter().filter(is_its).count();
    let before = served();
    until("it serves again", || {
        ask(&router, "GET", 5 * CLIENTS);
        served() > before + 20
    });
}

#[test]
fn a_dyno_that_answers_500_at_once_does_not_draw_traffic() {
    let (router, _dynos) = one_of_four("fails", &[]);
    let (share, _) = share(&router, "POST");
    assert!(share <= PROBES, "{share} of {MEASURED}");
}

#[test]
fn a_dyno_that_resets_costs_no_idempotent_request() {
    let (router, _dynos) = one_of_four("resets", &[]);
    let (share, statuses) = share(&router, "GET");
    assert!(share <= PROBES, "{share} of {MEASURED}");
    assert_eq!(failed(&statuses), 0);
}

#[test]
fn no_idempotent_request_fails_when_two_of_five_dynos_are_killed() {
    let router = Router::start();
    let mut dynos: Vec<Program> = ["sound"; 5].map(dyno).into();
    serve(&router, &dynos);
    let (answered, is_over) = (AtomicUsize::new(0), AtomicBool::new(false));
    let ask = || {
        let mut client = router.connect();
        while !is_over.load(SeqCst) {
            let answer = client.get("a.test", "/slow:5");
            assert_eq!((answer.status(), answer.text()), (200, "ok".to_owned()), "{answer:?}");
            answered.fetch_add(1, SeqCst);
        }
    };
    thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(ask)).collect();
        let more = |count: usize| {
            let before = answered.load(SeqCst);
            let is_there = || answered.load(SeqCst) >= before + count;
            let has_ended = || clients.iter().any(|client| client.is_finished());
            until("they are answered", || is_there() || has_ended());
        };
        more(200);
        dynos[1].signal(Signal::KILL);
        dynos[3].signal(Signal::KILL);
        more(400);
        is_over.store(true, SeqCst);
    });
    // Both were at work when they died.
    assert!(router.metric("hostler_retries_total") >= 1.0);
    dynos.truncate(1);
}
