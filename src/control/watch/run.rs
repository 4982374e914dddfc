//! Looks at the process, to the end of it.
//!
//! Invariants: reads files of the kernel's alone, which do not wait for a disk; whatever they say,
//! the looks go on.

use std::{
    fs,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use tokio::time::{self, MissedTickBehavior, interval, interval_at};

use super::{
    huge,
    judge::{Bounds, Change, Judge, LOOK, Look},
};
use crate::{
    live::{Clients, Load, Pulse, Status},
    shutdown::Shutdown,
    telemetry::Metrics,
};

/// How long something that goes on is not said again.
const SAID_EVERY: Duration = Duration::from_secs(10);
/// When dense memory is joined first: the table was loaded, and what that took is given back.
const JOIN_AFTER: Duration = Duration::from_secs(2);
/// How often it is joined from then on.
const JOIN_EVERY: Duration = Duration::from_secs(60);

/// What is looked at, and who is told.
#[derive(Debug, Clone)]
pub struct Watched {
    /// The exchanges of the process.
    pub load: Arc<Load>,
    /// What clients have done.
    pub clients: Arc<Clients>,
    /// Each worker's sign of life.
    pub pulses: Vec<Arc<Pulse>>,
    /// Whom `/readyz` asks.
    pub status: Arc<Status>,
    /// Where it is counted.
    pub metrics: Arc<Metrics>,
}

/// Looks every quarter of a second until the process ends.
pub async fn run(watched: Watched, bounds: Bounds, shutdown: Shutdown) {
    let mut judge = Judge::new(bounds);
    let mut said = None;
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut joins = interval_at(time::Instant::now() + JOIN_AFTER, JOIN_EVERY);
    joins.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = looks.tick() => {
                watched.look(&mut judge);
                watched.look_at_clients(&mut said);
            }
            _ = joins.tick() => {
                tokio::task::spawn_blocking(|| match huge::join() {
                    Ok(bytes) => tracing::debug!(bytes, "dense memory is in huge pages"),
                    Err(error) => tracing::debug!(%error, "no huge pages"),
                });
            }
            () = shutdown.stopped() => return,
        }
    }
}

impl Watched {
    /// Counts what there was no room to count, and says so now and then.
    fn look_at_clients(&self, said: &mut Option<Instant>) {
        let uncounted = self.clients.take_uncounted();
        for (what, count) in uncounted.into_iter().filter(|(_, count)| *count > 0) {
            self.metrics.clients_uncounted.with_label_values(&[what]).inc_by(count);
        }
        let is_any = uncounted.iter().any(|(_, count)| *count > 0);
        if is_any && said.is_none_or(|said| said.elapsed() >= SAID_EVERY) {
            *said = Some(Instant::now());
            tracing::warn!(
                "limits per client are not exact: more clients than limits.clients have to be \
                 counted at a time (said now and then)"
            );
        }
    }

    fn look(&self, judge: &mut Judge) {
        let memory = resident();
        let beats = self.pulses.iter().map(|pulse| pulse.beats()).collect();
        let changes = judge.take(&Look { beats, memory, shed: self.load.shed() });
        self.load.set_out_of_memory(judge.is_out_of_memory());
        if judge.is_out_of_memory() {
            give_back();
        }
        let gauge = |cause: &str, is_so: bool| {
            self.metrics.overloaded.with_label_values(&[cause]).set(is_so.into());
        };
        gauge("memory", judge.is_out_of_memory());
        gauge("exchanges", judge.is_shedding());
        self.metrics.resident_memory.set(memory.unwrap_or(0) as i64);
        self.metrics.workers_stalled.set(judge.stalled() as i64);
        if !changes.is_empty() {
            self.status.set_strain(judge.strain());
        }
        for Change { begins, what } in changes {
            if begins { tracing::error!("{what}") } else { tracing::info!("over: {what}") }
        }
    }
}

/// Has the allocator give back to the kernel what was freed a second ago or earlier. By itself it
/// does so with every 10,000th slow allocation of a thread, which may never come while requests are
/// turned away; but also whenever a thread ends. (Its `mi_collect` could not be called without
/// `unsafe`.)
fn give_back() {
    // If there is no thread to be had, there may be at the next look.
    let _ = thread::Builder::new().name("give-back".into()).spawn(|| ());
}

/// Memory of this process that is resident, in bytes (proc(5)).
fn resident() -> Option<usize> {
    let pages = fs::read_to_string("/proc/self/statm").ok()?;
    let pages: usize = pages.split(' ').nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size())
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    const DEADLINE: Duration = Duration::from_secs(30);

    #[test]
    fn the_process_has_some_memory() {
        assert!(resident().is_some_and(|bytes| bytes > 1 << 20));
    }

    /// A thread beats as a worker does, stands still, and goes on.
    #[test]
    fn a_thread_that_stands_still_is_seen_and_seen_to_go_on() {
        let pulse = Arc::new(Pulse::default());
        let (stop, stops) = mpsc::sync_channel::<()>(1);
        let (resume, resumes) = mpsc::sync_channel::<()>(1);
        let beating = pulse.clone();
        let worker = thread::spawn(move || {
            while stops.try_recv().is_err() {
                beating.beat();
                thread::park_timeout(Duration::from_millis(1));
            }
            resumes.recv().unwrap();
            beating.beat();
            beating.end();
        });
        let watched = Watched {
            load: Arc::new(Load::new(0, 1)),
            clients: Arc::new(Clients::new(1, 1)),
            pulses: vec![pulse.clone()],
            status: Arc::default(),
            metrics: Arc::new(Metrics::new(1).unwrap()),
        };
        let bounds = Bounds { memory: 0, stall: Duration::from_millis(500), exchanges: 0 };
        let mut judge = Judge::new(bounds);
        let stalled = |watched: &Watched| watched.metrics.workers_stalled.get();
        let until = |what: &str, judge: &mut Judge, is_so: &dyn Fn() -> bool| {
            let began = Instant::now();
            while !is_so() {
                assert!(began.elapsed() < DEADLINE, "waited until {what}");
                watched.look(judge);
                thread::park_timeout(Duration::from_millis(20));
            }
        };
        let beats = || pulse.beats().unwrap();
        until("it beats", &mut judge, &|| beats() > 3);
        stop.send(()).unwrap();
        until("it is seen to stand", &mut judge, &|| stalled(&watched) == 1);
        let told = watched.status.not_ready();
        assert!(told.iter().any(|reason| reason.contains("worker-0 has stood still")), "{told:?}");
        resume.send(()).unwrap();
        until("it is seen to go on", &mut judge, &|| stalled(&watched) == 0);
        let told = watched.status.not_ready();
        assert!(!told.iter().any(|reason| reason.contains("worker-0")), "{told:?}");
        worker.join().unwrap();
    }
}
