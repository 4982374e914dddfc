//! Asks the dynos of all apps that want it, to the end of the process.
//!
//! Invariants: a dyno is asked by one task at a time, and no more than `health.max_probes` at all;
//! who is asked follows the table; what an answer came to is written into the dyno's cell alone,
//! which workers read; a dyno of an app without checks is as one that never was asked.

use std::{
    collections::{BTreeSet, HashMap},
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{sync::watch, task::JoinSet, time::sleep_until};

use super::{
    judge::Judge,
    notices::Notices,
    probe,
    schedule::{Schedule, pause},
    settings::Checks,
};
use crate::{
    live::{Cell, LiveApp, LiveDyno, Reader, Snapshot, health::Proof},
    route::{AppName, Check, DynoAddr, DynoName, DynoState, Revision, Table},
    shutdown::Shutdown,
    telemetry::Metrics,
};

/// A dyno by its names.
type Key = (AppName, DynoName);

/// What the prober works with.
pub struct Prober {
    /// How dynos are asked whose app says nothing else.
    pub checks: Arc<Checks>,
    /// The most that are asked at a time.
    pub max_probes: usize,
    /// What is served.
    pub reader: Reader<Snapshot>,
    /// Hears of every newer revision.
    pub revisions: watch::Receiver<Revision>,
    /// How sessions with dynos begin.
    pub dialer: crate::tls::Dialer,
    /// Where answers are counted.
    pub metrics: Arc<Metrics>,
    /// The zero of the cells' clock.
    pub began: Instant,
    /// The end of the process.
    pub shutdown: Shutdown,
}

/// A dyno that is asked.
struct Asked {
    cell: Arc<Cell>,
    addr: DynoAddr,
    checks: Arc<Checks>,
    judge: Judge,
}

/// What came of a question.
type Answer = (Key, Arc<Cell>, Result<(), String>);

/// Everybody who is asked.
#[derive(Default)]
struct All {
    table: Table,
    asked: HashMap<AppName, HashMap<DynoName, Asked>>,
    schedule: Schedule<Key>,
}

/// Asks, and tells, on this thread until the process ends.
///
/// # Errors
/// If the runtime cannot be made.
pub fn run(prober: Prober, notices: Notices) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let shutdown = prober.shutdown.clone();
    runtime.block_on(async { tokio::join!(prober.serve(), notices.run(shutdown)) });
    Ok(())
}

impl Prober {
    async fn serve(mut self) {
        let (mut all, mut probes) = (All::default(), JoinSet::new());
        let shared = self.checks.clone();
        all.follow(&self.reader.load_full(), &shared, self.now_ms());
        loop {
            let now_ms = self.now_ms();
            while probes.len() < self.max_probes {
                let Some(key) = all.schedule.take(now_ms) else { break };
                self.begin(&all, key, &mut probes);
            }
            let has_room = probes.len() < self.max_probes;
            let due = all.schedule.next_ms().filter(|_| has_room);
            let due = due.map(|due_ms| (self.began + Duration::from_millis(due_ms)).into());
            tokio::select! {
                () = self.shutdown.stopped() => return,
                Some(done) = probes.join_next() => {
                    // One that panicked is a fault of ours; its dyno is found again below.
                    if let Ok(answer) = done {
                        self.end(&mut all, answer);
                    }
                }
                changed = self.revisions.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    all.follow(&self.reader.load_full(), &shared, self.now_ms());
                }
                () = until(due) => {}
            }
        }
    }

    fn now_ms(&self) -> u64 {
        self.began.elapsed().as_millis() as u64
    }

    fn begin(&self, all: &All, key: Key, probes: &mut JoinSet<Answer>) {
        let asked = all.asked.get(&key.0).and_then(|asked| asked.get(&key.1));
        let Some(asked) = asked else { return };
        let (cell, addr, checks) = (asked.cell.clone(), asked.addr.clone(), asked.checks.clone());
        let dialer = self.dialer.clone();
        probes.spawn(async move {
            let answer = probe::ask(&dialer, key.0.as_str(), &addr, &checks).await;
            (key, cell, answer)
        });
    }

    fn end(&self, all: &mut All, (key, cell, answer): Answer) {
        let result = if answer.is_ok() { "good" } else { "bad" };
        self.metrics.probes.with_label_values(&[result]).inc();
        let now_ms = self.now_ms();
        // Another may have come in its place while it was asked.
        let asked = all.asked.get_mut(&key.0).and_then(|asked| asked.get_mut(&key.1));
        let is_same = |asked: &&mut Asked| Arc::ptr_eq(&asked.cell, &cell);
        let Some(asked) = asked.filter(is_same) else { return };
        let before = cell.health.proof();
        let snapshot = self.reader.load();
        let app = snapshot.app(key.0.as_str());
        let must = app.is_some_and(|app| app.health.proven_first);
        let proof = asked.judge.take(answer.is_ok(), before, must, &asked.checks);
        let why = answer.as_ref().err().map_or("its checks are good", String::as_str);
        if cell.health.prove(proof, now_ms, why) {
            // Who waits for a dyno may have one now.
            app.inspect(|app| app.cell.queue.call());
            let (app, dyno) = (key.0.as_str(), key.1.as_str());
            match proof {
                Proof::Failing => tracing::warn!(app, dyno, "its checks fail: {why}"),
                Proof::Well if before == Proof::Failing => {
                    tracing::info!(app, dyno, "its checks are good again");
                }
                _ => {}
            }
        }
        let again = pause(&asked.checks, proof != Proof::New, fastrand::f64());
        all.schedule.put_back(key, now_ms + again.as_millis() as u64);
    }
}

/// Waits until then; without a time, for ever.
async fn until(due: Option<tokio::time::Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}

impl All {
    /// Follows the table: asks who came, and no more who left or wants it no more.
    fn follow(&mut self, snapshot: &Snapshot, shared: &Arc<Checks>, now_ms: u64) {
        let before = std::mem::replace(&mut self.table, snapshot.table().clone());
        let mut changed = BTreeSet::new();
        snapshot.table().apps().changed_since(before.apps(), |_, before, now| {
            changed.extend([before, now].into_iter().flatten().map(|app| app.name.clone()));
        });
        for name in changed {
            let app = snapshot.app(name.as_str());
            let own = app.and_then(|app| app.app.settings.own.as_deref());
            let checks = own.map_or_else(|| shared.clone(), |own| Arc::new(shared.with(own)));
            if checks.check != Check::Off || self.asked.contains_key(&name) {
                self.follow_app(&name, app.map(|app| &**app), &checks, now_ms);
            }
        }
    }

    fn follow_app(
        &mut self,
        name: &AppName,
        app: Option<&LiveApp>,
        checks: &Arc<Checks>,
        now_ms: u64,
    ) {
        let mut before = self.asked.remove(name).unwrap_or_default();
        let mut asked = HashMap::new();
        let is_asked =
            |live: &&LiveDyno| checks.check != Check::Off && live.dyno.state == DynoState::Up;
        for live in app.iter().flat_map(|app| app.dynos.iter().filter(is_asked)) {
            let LiveDyno { dyno, cell } = live.clone();
            let key = (name.clone(), dyno.name.clone());
            let judge = match before.remove(&dyno.name) {
                Some(old) if Arc::ptr_eq(&old.cell, &cell) => old.judge,
                _ => {
                    let interval_ms = checks.interval.as_millis() as u64;
                    let wait_ms = match cell.health.proof() {
                        Proof::New => 0,
                        _ => fastrand::u64(0..=interval_ms),
                    };
                    self.schedule.remove(&key);
                    self.schedule.add(key, now_ms + wait_ms);
                    Judge::default()
                }
            };
            let (addr, checks) = (dyno.addr.clone(), checks.clone());
            asked.insert(dyno.name.clone(), Asked { cell, addr, checks, judge });
        }
        for (dyno, old) in before {
            self.schedule.remove(&(name.clone(), dyno));
            // One that drains may come back: what was said of it holds.
            if checks.check == Check::Off {
                old.cell.health.unask(now_ms);
            }
        }
        if !asked.is_empty() {
            self.asked.insert(name.clone(), asked);
        }
    }
}
