//! One run: arrivals, routers that do not talk to each other, dynos, and what clients saw.
//!
//! Invariants: time moves from event to event and is never read from a clock; events of one moment
//! happen in the order in which they were planned; requests of the warm-up count in no figure.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
};

use fastrand::Rng;
use hostler::{route::BalanceAlgorithm as Algorithm, serve::lease::Lease};

use super::{
    chance::{Work, client, exponential},
    dyno::{Dyno, FAILS_AFTER_US, Health},
    router::{self, Ended, Router},
};

/// When a router gives up on an answer. A request that fails counts as if its client had waited as
/// long: whoever is told at once that it failed has not been served faster.
pub const TIMEOUT_US: u64 = 10_000_000;
/// Every so many arrivals it is noted how full the dynos are.
const LOOK: usize = 8;
/// The share of the requests that warms up.
const WARM_UP: f64 = 0.15;

/// Who chooses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chooser {
    /// Routers with one of our algorithms.
    Routers(Algorithm),
    /// One queue for all, whose first gets the first slot that is free, of several the fastest, and
    /// no ill dyno ever: what no router can do, since it would have to know all this at no cost.
    Oracle,
}

/// What happens to a dyno while the requests come.
#[derive(Debug, Clone, Copy)]
pub enum Change {
    /// It falls ill.
    Ails(Health),
    /// It gets nothing new from now on.
    Drains,
    /// It is started anew, and cold.
    Starts,
    /// It becomes so many times slower.
    Slows(f64),
}

/// What a run is made of.
#[derive(Debug, Clone)]
pub struct Setting {
    /// The dynos at the beginning.
    pub dynos: Vec<Dyno>,
    /// Routers, of which each request comes to a random one.
    pub routers: usize,
    /// Requests that come, as a share of those that the dynos can work on.
    pub load: f64,
    /// How much work they are.
    pub work: Work,
    /// When, as a share of the run, what happens to which dyno.
    pub changes: Vec<(f64, usize, Change)>,
}

impl Setting {
    /// One in which nothing happens but requests.
    pub fn of(dynos: Vec<Dyno>, routers: usize, load: f64, work: Work) -> Setting {
        Setting { dynos, routers, load, work, changes: Vec::new() }
    }
}

/// What clients and dynos saw.
#[derive(Debug)]
pub struct Seen {
    /// How long each request took, failed ones included, sorted.
    pub took_us: Vec<u64>,
    /// How many failed.
    pub failed: usize,
    /// The fullest dyno's requests by slot, beside the mean of all, as an arrival finds it.
    pub imbalance: f64,
    /// How many requests each dyno got.
    pub shares: Vec<usize>,
}

#[derive(Debug)]
struct Request {
    router: usize,
    /// Who asks, as a hash.
    client: u64,
    dyno: usize,
    /// What its router holds for it; none with the oracle.
    lease: Option<Lease>,
    came_us: u64,
    sent_us: u64,
    work_us: u64,
    counts: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Done(usize),
    Failed(usize, Ended),
}

struct Run {
    dynos: Vec<Dyno>,
    routers: Vec<Router>,
    /// What waits: by router until a dyno is fit there, or all for the oracle.
    queues: Vec<VecDeque<usize>>,
    requests: Vec<Request>,
    events: BinaryHeap<Reverse<(u64, usize, Event)>>,
    planned: usize,
    peaks: f64,
    looks: u32,
    seen: Seen,
}

/// Runs so many requests through a setting.
pub fn run(setting: &Setting, chooser: Chooser, requests: usize, seed: u64) -> Seen {
    let (mut arrivals, mut choices) = (Rng::with_seed(seed), Rng::with_seed(seed ^ 0x5eed));
    let router = |_| match chooser {
        Chooser::Routers(algorithm) => {
            Some(Router::new(algorithm, &setting.dynos, choices.u64(..)))
        }
        Chooser::Oracle => None,
    };
    let mut run = Run {
        dynos: setting.dynos.clone(),
        routers: (0..setting.routers).filter_map(router).collect(),
        queues: vec![VecDeque::new(); setting.routers],
        requests: Vec::with_capacity(requests),
        events: BinaryHeap::new(),
        planned: 0,
        peaks: 0.0,
        looks: 0,
        seen: Seen {
            took_us: Vec::with_capacity(requests),
            failed: 0,
            imbalance: 0.0,
            shares: vec![0; setting.dynos.len()],
        },
    };
    let capacity: f64 = setting.dynos.iter().map(Dyno::capacity).sum();
    let pause_us = setting.work.mean() / (capacity * setting.load);
    let mut changes: VecDeque<_> = setting.changes.iter().copied().collect();
    let warm = (requests as f64 * WARM_UP) as usize;
    let mut now_us = 0;
    for at in 0..requests {
        now_us += (exponential(pause_us, &mut arrivals).round() as u64).max(1);
        run.until(now_us);
        while changes.front().is_some_and(|(share, ..)| share * requests as f64 <= at as f64) {
            let (_, dyno, change) = changes.pop_front().expect("it was seen");
            run.change(dyno, change, now_us);
        }
        let work_us = setting.work.draw(&mut arrivals);
        let router = arrivals.usize(..setting.routers);
        let client = client(&mut arrivals);
        run.arrive((router, client), work_us, at >= warm, now_us);
    }
    run.until(u64::MAX);
    assert!(run.queues.iter().all(VecDeque::is_empty), "what waits is served in the end");
    run.seen.took_us.sort_unstable();
    run.seen.imbalance = run.peaks / f64::from(run.looks);
    run.seen
}

impl Run {
    /// Lets happen what happens up to a moment.
    fn until(&mut self, until_us: u64) {
        while let Some(Reverse((at_us, _, event))) = self.events.peek().copied() {
            if at_us > until_us {
                return;
            }
            self.events.pop();
            match event {
                Event::Done(request) => self.done(request, at_us),
                Event::Failed(request, ended) => self.settle(request, ended, at_us),
            }
        }
    }

    fn plan(&mut self, at_us: u64, event: Event) {
        self.events.push(Reverse((at_us, self.planned, event)));
        self.planned += 1;
    }

    fn change(&mut self, at: usize, change: Change, now_us: u64) {
        let dyno = &mut self.dynos[at];
        match change {
            Change::Ails(health) => dyno.health = health,
            Change::Slows(pace) => dyno.pace *= pace,
            Change::Drains => dyno.is_up = false,
            Change::Starts => (dyno.is_up, dyno.started_us) = (true, Some(now_us)),
        }
        // Its first release is warm, every other begins cold.
        let release = if dyno.started_us.is_some() { 2 } else { 1 };
        if matches!(change, Change::Drains | Change::Starts) {
            self.routers.iter_mut().for_each(|router| router.push(at, dyno, release, now_us));
            (0..self.queues.len()).for_each(|queue| self.serve_queue(queue, now_us));
        }
    }

    fn arrive(&mut self, (router, client): (usize, u64), work_us: u64, counts: bool, now_us: u64) {
        if self.requests.len().is_multiple_of(LOOK) {
            let fullness = || self.dynos.iter().filter(|dyno| dyno.is_up).map(Dyno::fullness);
            let mean = fullness().sum::<f64>() / fullness().count() as f64;
            self.peaks += if mean > 0.0 { fullness().fold(0.0, f64::max) / mean } else { 1.0 };
            self.looks += 1;
        }
        let at = self.requests.len();
        let (came_us, sent_us) = (now_us, now_us);
        let lease = None;
        self.requests.push(Request {
            router,
            client,
            dyno: 0,
            lease,
            came_us,
            sent_us,
            work_us,
            counts,
        });
        let queue = if self.routers.is_empty() { 0 } else { router };
        self.queues[queue].push_back(at);
        self.serve_queue(queue, now_us);
    }

    /// Sends what waits there, as far as there are dynos for it.
    fn serve_queue(&mut self, at: usize, now_us: u64) {
        while let Some(request) = self.queues[at].front().copied() {
            let chosen = match self.routers.get_mut(at) {
                Some(router) => {
                    let chosen = router.choose(self.requests[request].client, now_us);
                    chosen.map(|(dyno, lease)| (dyno, Some(lease)))
                }
                None => self.fastest_free(now_us).map(|dyno| (dyno, None)),
            };
            let Some((dyno, lease)) = chosen else { return };
            self.queues[at].pop_front();
            self.requests[request].lease = lease;
            self.send(request, dyno, now_us);
        }
    }

    /// The oracle's choice.
    fn fastest_free(&self, now_us: u64) -> Option<usize> {
        let fit = |dyno: &&Dyno| dyno.is_up && dyno.health == Health::Sound && dyno.has_slot();
        let slowness = |dyno: &Dyno| dyno.pace * dyno.coldness(now_us);
        let free = self.dynos.iter().enumerate().filter(|(_, dyno)| fit(dyno));
        let fastest = free.min_by(|a, b| slowness(a.1).total_cmp(&slowness(b.1)));
        fastest.map(|(at, _)| at)
    }

    fn send(&mut self, request: usize, to: usize, now_us: u64) {
        let sent = &mut self.requests[request];
        (sent.dyno, sent.sent_us) = (to, now_us);
        self.seen.shares[to] += usize::from(sent.counts);
        let health = self.dynos[to].health;
        match health {
            Health::FailsFast => {
                self.plan(now_us + FAILS_AFTER_US, Event::Failed(request, Ended::Failed))
            }
            Health::Hangs => {
                self.plan(now_us + TIMEOUT_US, Event::Failed(request, Ended::TimedOut))
            }
            Health::Sound if self.dynos[to].take(request) => self.begin(request, now_us),
            Health::Sound => {}
        }
    }

    fn begin(&mut self, request: usize, now_us: u64) {
        let Request { dyno, work_us, .. } = self.requests[request];
        let takes_us = self.dynos[dyno].takes(work_us, now_us);
        self.plan(now_us + takes_us, Event::Done(request));
    }

    fn done(&mut self, request: usize, now_us: u64) {
        if let Some(next) = self.dynos[self.requests[request].dyno].finish() {
            self.begin(next, now_us);
        }
        self.settle(request, Ended::Well, now_us);
    }

    fn settle(&mut self, request: usize, ended: Ended, now_us: u64) {
        let request = &mut self.requests[request];
        let queue = if self.routers.is_empty() { 0 } else { request.router };
        if let Some(lease) = request.lease.take() {
            router::settle(lease, ended, now_us - request.sent_us, now_us);
        }
        if request.counts {
            let succeeded = ended == Ended::Well;
            self.seen.failed += usize::from(!succeeded);
            self.seen.took_us.push(if succeeded { now_us - request.came_us } else { TIMEOUT_US });
        }
        self.serve_queue(queue, now_us);
    }
}
