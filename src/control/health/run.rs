//! Asks the dynos of all apps that want it, to the end of the process.
//!
//! Invariants: no more than `health.max_probes` are asked at a time, of one app no more than there
//! are slots free, and of those that hung the last time half as many; who is asked follows the
//! table; what an answer came to is written into the dyno's cell alone, which workers read; a check
//! that begins late is counted, and said.

use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    sync::watch,
    task::{Id, JoinError, JoinSet},
    time::sleep_until,
};

use super::{
    asked::All,
    probe::{self, Answer, ReadLoad},
    schedule::pause,
    settings::Checks,
};
use crate::{
    control::priority,
    live::{Reader, Snapshot, health::Proof, reported::BELIEVED_MS},
    route::{AppName, DynoName, Revision},
    shutdown::Shutdown,
    telemetry::Metrics,
};

/// A check that begins so long after its time is late.
const LATE: Duration = Duration::from_secs(1);
/// That some are is said no more often than so.
const SAID_EVERY: Duration = Duration::from_secs(60);

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
    /// How it is read what dynos say of their load.
    pub read_load: ReadLoad,
    /// Where answers are counted.
    pub metrics: Arc<Metrics>,
    /// The zero of the cells' clock.
    pub began: Instant,
    /// The end of the process.
    pub shutdown: Shutdown,
}

/// Asks on this thread until the process ends.
///
/// # Errors
/// If the runtime cannot be made.
pub fn run(prober: Prober) -> io::Result<()> {
    priority::give_way();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(prober.serve());
    Ok(())
}

impl Prober {
    async fn serve(mut self) {
        let (mut all, mut probes) = (All::new(self.max_probes), JoinSet::new());
        let (shared, mut late) = (self.checks.clone(), Late::default());
        all.follow(&self.reader.load_full(), &shared, self.now_ms());
        loop {
            let now_ms = self.now_ms();
            while let Some((app, dyno, due_ms)) = all.schedule.take(now_ms) {
                if late.note(now_ms, due_ms, &app, &dyno) {
                    self.metrics.probes_late.inc();
                }
                self.begin(&mut all, app, dyno, &mut probes);
            }
            let due = all.schedule.next_ms();
            let due = due.map(|due_ms| (self.began + Duration::from_millis(due_ms)).into());
            tokio::select! {
                () = self.shutdown.stopped() => return,
                Some(done) = probes.join_next_with_id() => self.end(&mut all, done),
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

    fn begin(&self, all: &mut All, app: AppName, dyno: DynoName, probes: &mut JoinSet<Answer>) {
        let Some(asked) = all.get_mut(&app, &dyno) else { return };
        let (addr, checks) = (asked.addr.clone(), asked.checks.clone());
        let (dialer, name, read_load) = (self.dialer.clone(), app.clone(), self.read_load);
        let task = probes.spawn(async move {
            probe::ask(&dialer, name.as_str(), &addr, &checks, read_load).await
        });
        all.begin(app, dyno, task);
    }

    fn end(&self, all: &mut All, done: Result<(Id, Answer), JoinError>) {
        let (task, Answer { verdict, load, hung }) = match done {
            Ok(done) => done,
            // It was aborted, or panicked: a fault of ours.
            Err(error) => {
                let verdict = Err("the router failed to ask".into());
                (error.id(), Answer { verdict, load: None, hung: false })
            }
        };
        let Some((app, dyno)) = all.end(task) else { return };
        let result = if verdict.is_ok() { "good" } else { "bad" };
        self.metrics.probes.with_label_values(&[result]).inc();
        let Some(asked) = all.get_mut(&app, &dyno) else { return };
        let (now_ms, cell) = (self.now_ms(), asked.cell.clone());
        let before = cell.health.proof();
        let snapshot = self.reader.load();
        let live = snapshot.app(app.as_str());
        let must = live.is_some_and(|live| live.health.proven_first);
        if let Some(load) = load.filter(|_| live.is_some_and(|live| live.balancing.reported_load)) {
            // One check may be missed.
            let for_ms = 2 * asked.checks.interval.as_millis() as u64;
            cell.reported.set(load, now_ms + for_ms.max(BELIEVED_MS));
        }
        let proof = asked.judge.take(verdict.is_ok(), before, must, &asked.checks);
        let again = pause(&asked.checks, proof != Proof::New, fastrand::f64());
        let why = verdict.as_ref().err().map_or("its checks are good", String::as_str);
        if cell.health.prove(proof, must, now_ms, why) {
            // Who waits for a dyno may have one now.
            live.inspect(|live| live.cell.queue.call());
            let (app, dyno) = (app.as_str(), dyno.as_str());
            match proof {
                Proof::Failing => tracing::warn!(app, dyno, "its checks fail: {why}"),
                Proof::Well if before == Proof::Failing => {
                    tracing::info!(app, dyno, "its checks are good again");
                }
                _ => {}
            }
        }
        all.schedule.put_back(&app, dyno, now_ms + again.as_millis() as u64, hung);
    }
}

/// Checks that began late since that was last said.
#[derive(Default)]
struct Late {
    count: u64,
    said_ms: Option<u64>,
}

impl Late {
    /// Says so if one is late that begins at `now_ms` and was due at `due_ms`; answers whether.
    fn note(&mut self, now_ms: u64, due_ms: u64, app: &AppName, dyno: &DynoName) -> bool {
        let late_ms = now_ms.saturating_sub(due_ms);
        if late_ms <= LATE.as_millis() as u64 {
            return false;
        }
        self.count += 1;
        let is_said = |said_ms: u64| now_ms - said_ms < SAID_EVERY.as_millis() as u64;
        if self.said_ms.is_some_and(is_said) {
            return true;
        }
        let late_s = late_ms as f64 / 1000.0;
        let (app, dyno, count) = (app.as_str(), dyno.as_str(), self.count);
        tracing::warn!(
            app,
            dyno,
            late_s,
            count,
            "checks of dynos are late: there are too few slots (health.max_probes), or too many \
             dynos of the app do not answer"
        );
        *self = Late { count: 0, said_ms: Some(now_ms) };
        true
    }
}

/// Waits until then; without a time, for ever.
async fn until(due: Option<tokio::time::Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}
