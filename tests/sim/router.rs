//! A router as the simulation needs it: the table, cells and choice of the real one, around which
//! there is no socket and no clock.
//!
//! Invariants: routers share nothing, as in a fleet; what is pushed reaches all at once; a lease is
//! settled on the cell that it was taken on, though its dyno may have been started anew.

use std::{sync::Arc, time::Duration};

use fastrand::Rng;
use hostler::{
    error::Fault,
    live::{
        LiveApp, Outcome, Registry, Snapshot,
        choice::{Asking, Caps, choose},
    },
    route::{
        AppName, AppSettings, BalanceAlgorithm, Change, Dyno, DynoAddr, DynoName, DynoState,
        OwnBalance, OwnHealth, OwnSettings, Table,
    },
    serve::lease::Lease,
};

use super::dyno;

const APP: &str = "app";
/// The first dyno's number: names are sorted as texts, and all of one length stay in order.
const FIRST: usize = 10_000;

/// How long a new dyno gets less than its share, as the app sets it.
const SLOW_START: Duration = Duration::from_secs(5);

/// How an exchange with a dyno ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ended {
    /// With an answer.
    Well,
    /// With a 500.
    Failed,
    /// With none in time.
    TimedOut,
}

/// One router.
pub struct Router {
    table: Table,
    registry: Registry,
    snapshot: Snapshot,
    rng: Rng,
}

impl Router {
    /// One that chooses by an algorithm among dynos that have been up for long.
    pub fn new(algorithm: BalanceAlgorithm, dynos: &[dyno::Dyno], seed: u64) -> Router {
        let registry = Registry::default();
        let mut table = Table::new(seed);
        apply(&mut table, Change::PutApp(name(), settings(algorithm)));
        for (at, dyno) in dynos.iter().enumerate() {
            apply(&mut table, Change::PutDyno(name(), pushed(at, dyno, 1)));
        }
        let snapshot = Snapshot::new(table.clone(), &registry);
        Router { table, registry, snapshot, rng: Rng::with_seed(seed) }
    }

    /// Takes a push: a dyno as it is now, and of which release.
    pub fn push(&mut self, at: usize, dyno: &dyno::Dyno, release: usize, now_us: u64) {
        self.registry.set_now(ms(now_us));
        apply(&mut self.table, Change::PutDyno(name(), pushed(at, dyno, release)));
        self.snapshot = self.snapshot.advance(self.table.clone(), &self.registry);
    }

    /// Chooses a dyno for a request, if one is fit, and takes a place there.
    pub fn choose(&mut self, client: u64, now_us: u64) -> Option<(usize, Lease)> {
        let app = self.app();
        let caps = Caps::default().under(&app.balancing.plan);
        let asking =
            Asking { key: Some(client), named: None, tried: &[], now_ms: ms(now_us), caps };
        let at = choose(&app, &asking, |n| self.rng.usize(..n)).ok()?;
        let lease = Lease::take(&app, at, true, (0, 0))?;
        Some((at, lease))
    }

    fn app(&self) -> Arc<LiveApp> {
        self.snapshot.app(APP).expect("the router knows it").clone()
    }
}

/// Settles an exchange that began `took_us` ago.
pub fn settle(mut lease: Lease, ended: Ended, took_us: u64, now_us: u64) {
    let (fault, status) = match ended {
        Ended::Well => (None, 200),
        Ended::Failed => (None, 500),
        Ended::TimedOut => (Some(Fault::RequestTimeout), 0),
    };
    let latency_us = took_us.clamp(1, u64::from(u32::MAX)) as u32;
    let now_ms = ms(now_us);
    lease.settle(&Outcome { now_ms, fault, status, latency_us, ..Outcome::default() });
}

/// As the workers' clocks give it; 0 stands for never.
fn ms(us: u64) -> u64 {
    us / 1000 + 1
}

fn name() -> AppName {
    AppName::parse(APP).expect("a name")
}

fn settings(algorithm: BalanceAlgorithm) -> AppSettings {
    let balance = OwnBalance { algorithm: Some(algorithm), ..OwnBalance::default() };
    let health = OwnHealth { slow_start: Some(SLOW_START), ..OwnHealth::default() };
    let own = Some(Arc::new(OwnSettings { balance, health, ..OwnSettings::default() }));
    AppSettings { own, ..AppSettings::default() }
}

fn pushed(at: usize, dyno: &dyno::Dyno, release: usize) -> Dyno {
    Dyno {
        name: DynoName::parse(&format!("web.{}", FIRST + at)).expect("a name"),
        addr: DynoAddr::parse("127.0.0.1:5000").expect("an address"),
        release: format!("v{release}").into(),
        weight: dyno.weight,
        state: if dyno.is_up { DynoState::Up } else { DynoState::Draining },
        ttl_s: None,
    }
}

fn apply(table: &mut Table, change: Change) {
    table.apply(&change).expect("the simulation asks for what is possible");
}
