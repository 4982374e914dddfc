//! From the start of a push to the first moment at which every worker serves it.
//!
//! Each probe gives a new host to an app, and asks each worker for that host, over and over, on a
//! connection that this worker accepted, from the moment of the push until it is no longer unknown.
//! Invariants: which worker has a connection is told by whose time on a core grows with its
//! requests, before there is any other traffic; a probe is never slower than one round trip more
//! than what it measures.

use std::{
    io::Error,
    sync::{
        Arc, Barrier,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use serde_json::json;

use crate::{
    failure::{During, Failure},
    http::Conn,
    plan::Plan,
    router::{Router, WORKERS},
    table::{PROBED, get, push},
};

/// Requests by which a connection's worker is known.
const ASKED: usize = 2000;
/// The most connections that are tried until each worker has one.
const TRIED: usize = 64;
/// Between two probes.
const PAUSE: Duration = Duration::from_millis(5);

/// Probes that go on.
pub struct Probe {
    is_over: Arc<AtomicBool>,
    thread: JoinHandle<std::io::Result<Vec<Duration>>>,
}

impl Probe {
    /// Begins.
    pub fn start(router: &Router, plan: &Plan) -> Result<Probe, Failure> {
        let conns = one_of_each(router)?;
        let control = Conn::new(router.control).during("connecting to the push API")?;
        let is_over = Arc::new(AtomicBool::new(false));
        let (over, probes) = (is_over.clone(), plan.probes);
        let thread = thread::spawn(move || {
            let seen = probe(control, conns, probes);
            over.store(true, Relaxed);
            seen
        });
        Ok(Probe { is_over, thread })
    }

    /// Are all done?
    pub fn is_over(&self) -> bool {
        self.is_over.load(Relaxed)
    }

    /// What they saw.
    pub fn end(self) -> Result<Vec<Duration>, Failure> {
        self.thread.join().expect("a probe does not panic").during("a probe")
    }
}

/// A connection of each worker.
fn one_of_each(router: &Router) -> Result<Vec<Conn>, Failure> {
    let mut found: Vec<Option<Conn>> = (0..WORKERS).map(|_| None).collect();
    let request = get("nobody.test");
    for _ in 0..TRIED {
        let mut conn = Conn::new(router.http).during("connecting to the router")?;
        let before = router.workers()?;
        for _ in 0..ASKED {
            conn.ask(&request).during("a request by which a worker is known")?;
        }
        let after = router.workers()?;
        let grown = |at: &usize| after[*at] - before[*at];
        let worker = (0..WORKERS).max_by_key(grown).expect("there are workers");
        found[worker] = Some(conn);
        if found.iter().all(Option::is_some) {
            return Ok(found.into_iter().flatten().collect());
        }
    }
    Err(Failure::Answer(format!("{TRIED} connections did not reach every worker")))
}

fn probe(mut control: Conn, conns: Vec<Conn>, probes: u32) -> std::io::Result<Vec<Duration>> {
    let begin = Arc::new(Barrier::new(conns.len() + 1));
    let askers: Vec<_> = conns
        .into_iter()
        .map(|conn| {
            let begin = begin.clone();
            thread::spawn(move || ask(conn, &begin, probes))
        })
        .collect();
    let mut pushed = Vec::new();
    for probe in 0..probes {
        let path = format!("/apps/{PROBED}/routes/{}", host(probe));
        let request = push("PUT", &path, json!({}));
        begin.wait();
        pushed.push(Instant::now());
        control.write(&request)?;
        thread::sleep(PAUSE);
    }
    let mut seen = Vec::new();
    for asker in askers {
        seen.push(asker.join().expect("an asker does not panic")?);
    }
    let last = |at: usize| seen.iter().map(|moments| moments[at]).max().expect("workers");
    Ok(pushed.iter().enumerate().map(|(at, pushed)| last(at) - *pushed).collect())
}

/// When each of the hosts was known for the first time on this connection.
fn ask(mut conn: Conn, begin: &Barrier, probes: u32) -> std::io::Result<Vec<Instant>> {
    let mut moments = Vec::new();
    for probe in 0..probes {
        let request = get(&host(probe));
        begin.wait();
        loop {
            match conn.ask(&request)? {
                404 => {}
                200 => break,
                status => return Err(Error::other(format!("a probe was answered with {status}"))),
            }
        }
        moments.push(Instant::now());
    }
    Ok(moments)
}

fn host(probe: u32) -> String {
    format!("probe-{probe}.test")
}
