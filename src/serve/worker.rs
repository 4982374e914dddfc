//! One worker: a core's runtime, its listeners, its buffers, its connections to dynos, its clock.
//!
//! Invariants: everything here belongs to one thread; what it shares with the other workers are the
//! snapshot (one atomic pointer), the cells (atomics) and the queues of the telemetry; an exchange
//! that need not wait takes no lock, channel or task hop.

use std::{
    cell::{Cell, RefCell},
    io,
    rc::Rc,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use tokio::{net::TcpListener, runtime::LocalRuntime, sync::Notify};

use super::{
    buffers::Buffers,
    clock::Clock,
    dyno::{Pool, channels::Channels},
    edge::{accept, handshake::Handshakes},
    notices::Notices,
    settings::Settings,
    splice::Pipes,
    terms::Terms,
    wheel::{TICK, Wheel},
};
use crate::{
    balance::affinity::Seal,
    live::{Clients, Load, Pulse, Reader, Share, Snapshot, Status, mailbox::Mailbox},
    route::AppName,
    shutdown::Shutdown,
    telemetry::{AccessLog, WorkerMetrics},
    tls,
    wire::head::Fields,
};

/// How many ticks lie between two flushes of log and metrics: 250 ms.
const TICKS_A_FLUSH: u64 = 5;
/// How many ticks lie between two sweeps of the idle connections: 1 s.
const TICKS_A_SWEEP: u64 = 20;

/// What a worker is made of.
#[derive(Debug)]
pub struct Parts {
    /// The data plane's settings.
    pub settings: Arc<Settings>,
    /// This worker's own listeners, bound with SO_REUSEPORT.
    pub listeners: Vec<std::net::TcpListener>,
    /// The same for TLS, and how it is spoken there.
    pub secure: Option<(Vec<std::net::TcpListener>, tls::Listener)>,
    /// How sessions with dynos begin.
    pub dialer: tls::Dialer,
    /// The snapshot that all workers follow.
    pub snapshots: Reader<Snapshot>,
    /// Its access log.
    pub log: AccessLog,
    /// Its counters.
    pub metrics: WorkerMetrics,
    /// The zero of the process's clock.
    pub began: Instant,
    /// The most connections of this worker.
    pub max_connections: usize,
    /// The most pipes of this worker for bodies that the kernel moves.
    pub max_pipes: usize,
    /// What clients of all workers have done.
    pub clients: Arc<Clients>,
    /// What cookies of affinity are signed with.
    pub seal: Arc<Seal>,
    /// Its part in the exchanges of the process.
    pub load: Arc<Load>,
    /// Where it says that it turns.
    pub pulse: Arc<Pulse>,
    /// The most handshakes of TLS of this worker at a time.
    pub max_handshakes: usize,
    /// The end of the process.
    pub shutdown: Shutdown,
    /// How long accepting goes on once the drain has begun.
    pub grace: Duration,
    /// Where it says that it serves.
    pub status: Arc<Status>,
    /// Where the control plane is told.
    pub mailbox: Mailbox<AppName>,
}

/// One core's part of the data plane.
#[derive(Debug)]
pub struct Worker {
    pub(super) settings: Arc<Settings>,
    /// The terms of every exchange whose app has no settings of its own.
    pub(super) terms: Rc<Terms>,
    pub(super) snapshots: Reader<Snapshot>,
    pub(super) buffers: Rc<Buffers>,
    pub(super) pipes: Pipes,
    pub(super) dialer: tls::Dialer,
    pub(super) dynos: Pool,
    pub(super) channels: Channels,
    pub(super) wheel: Rc<Wheel>,
    pub(super) clock: Clock,
    pub(super) random: RefCell<fastrand::Rng>,
    /// Filled and read within one step of one exchange, never across an await.
    pub(super) fields: RefCell<Fields>,
    pub(super) log: RefCell<AccessLog>,
    pub(super) metrics: RefCell<WorkerMetrics>,
    pub(super) clients: Arc<Clients>,
    pub(super) seal: Arc<Seal>,
    pub(super) share: Rc<Share>,
    pub(super) notices: Notices,
    pub(super) open: Cell<usize>,
    /// Exchanges that wait for a dyno.
    waiting: Cell<usize>,
    pub(super) mailbox: Mailbox<AppName>,
    pub(super) max_connections: usize,
    pub(super) handshakes: Handshakes,
    /// A connection closed: there may be room for one more, or none is left to wait for.
    pub(super) closed: Notify,
    /// Connections that wait for a request close, others after their answer.
    pub(super) draining: Cell<bool>,
    /// Exchanges are cut.
    pub(super) cut: Cell<bool>,
}

/// Runs a worker on this thread until the process is told to end and the drain is over.
///
/// # Errors
/// If the runtime cannot be made, or a listener not be given to it.
pub fn run(parts: Parts) -> io::Result<()> {
    let runtime = LocalRuntime::new()?;
    runtime.block_on(serve(parts))
}

async fn serve(parts: Parts) -> io::Result<()> {
    let (secure, tls) = parts.secure.map(|(secure, tls)| (secure, Rc::new(tls))).unzip();
    let plain = parts.listeners.into_iter().map(|listener| (listener, None));
    let secure = secure.into_iter().flatten().map(|listener| (listener, tls.clone()));
    let into_tokio = |(listener, tls)| Ok((TcpListener::from_std(listener)?, tls));
    let listeners = plain.chain(secure).map(into_tokio).collect::<io::Result<Vec<_>>>()?;
    let worker = Rc::new(Worker {
        terms: Rc::new(Terms::of(&parts.settings)),
        settings: parts.settings,
        snapshots: parts.snapshots,
        buffers: Rc::default(),
        pipes: Pipes::new(parts.max_pipes),
        dialer: parts.dialer,
        dynos: Pool::default(),
        channels: Channels::default(),
        wheel: Rc::default(),
        clock: Clock::new(parts.began),
        random: RefCell::new(fastrand::Rng::new()),
        fields: RefCell::default(),
        log: RefCell::new(parts.log),
        metrics: RefCell::new(parts.metrics),
        clients: parts.clients,
        seal: parts.seal,
        share: Rc::new(Share::new(parts.load)),
        notices: Notices::default(),
        open: Cell::new(0),
        waiting: Cell::new(0),
        mailbox: parts.mailbox,
        max_connections: parts.max_connections,
        handshakes: Handshakes::new(parts.max_handshakes),
        closed: Notify::new(),
        draining: Cell::new(false),
        cut: Cell::new(false),
    });
    let acceptors: Vec<_> = listeners
        .into_iter()
        .map(|(listener, tls)| tokio::task::spawn_local(accept::run(worker.clone(), listener, tls)))
        .collect();
    let ticker = tokio::task::spawn_local(tick(worker.clone(), parts.pulse.clone()));
    parts.status.workers_serving.fetch_add(1, Ordering::Relaxed);

    parts.shutdown.draining().await;
    // Whoever sends traffic here sees `/readyz` fail first, and needs the time to look.
    tokio::select! {
        () = tokio::time::sleep(parts.grace) => {}
        () = parts.shutdown.stopped() => {}
    }
    for acceptor in acceptors {
        acceptor.abort();
        // The task hands back its listener with what waits in the accept queue.
        let _ = acceptor.await;
    }
    parts.status.workers_serving.fetch_sub(1, Ordering::Relaxed);
    worker.drain(&parts.shutdown).await;
    ticker.abort();
    parts.pulse.end();
    worker.log.borrow_mut().flush();
    worker.metrics.borrow_mut().flush();
    Ok(())
}

/// How long a cut exchange has to settle.
const CUT_TIME: Duration = Duration::from_millis(500);

/// An exchange that is counted as waiting for as long as this lasts.
pub(super) struct CountedWait<'a>(&'a Cell<usize>);

impl Drop for CountedWait<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

impl Worker {
    /// Counts an exchange that waits for a dyno.
    pub(super) fn count_waiting(&self) -> CountedWait<'_> {
        self.waiting.set(self.waiting.get() + 1);
        CountedWait(&self.waiting)
    }

    /// Lets the exchanges end, then cuts those that are left.
    async fn drain(&self, shutdown: &Shutdown) {
        self.draining.set(true);
        self.wheel.wake_all();
        tokio::select! {
            () = self.emptied() => return,
            () = shutdown.stopped() => {}
        }
        self.cut.set(true);
        self.wheel.wake_all();
        // An exchange settles in the poll that sees the cut; a client that takes no answer does
        // not hold up the end of the process.
        let _ = tokio::time::timeout(CUT_TIME, self.emptied()).await;
    }

    async fn emptied(&self) {
        while self.open.get() > 0 {
            self.closed.notified().await;
        }
    }
}

async fn tick(worker: Rc<Worker>, pulse: Arc<Pulse>) {
    let began = tokio::time::Instant::now();
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    let mut count = 0u64;
    loop {
        ticks.tick().await;
        pulse.beat();
        worker.clock.correct();
        worker.wheel.turn((began.elapsed().as_millis() / TICK.as_millis()) as u64);
        count += 1;
        if count.is_multiple_of(TICKS_A_FLUSH) {
            worker.log.borrow_mut().flush();
            worker.metrics.borrow_mut().exchanges_open(worker.share.open());
            worker.metrics.borrow_mut().exchanges_waiting(worker.waiting.get());
            worker.metrics.borrow_mut().pipes_short(worker.pipes.take_short());
            worker.metrics.borrow_mut().flush();
        }
        if count.is_multiple_of(TICKS_A_SWEEP) {
            worker.dynos.sweep(worker.clock.now_ms());
            worker.channels.sweep(worker.clock.now_ms());
        }
    }
}
