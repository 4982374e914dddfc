//! The only file that names every part: it builds them, binds their sockets, starts them, and ends
//! them in order.
//!
//! Invariants: sockets are bound and the store is locked before anything is started, so that a
//! mistake ends the process before it serves; the end has a deadline; what is ended last is what
//! the others still need: the log.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    sync::{Arc, atomic::Ordering, mpsc},
    thread::JoinHandle,
    time::Instant,
};

use crate::{
    balance::affinity::Seal,
    config::Settings,
    control::{
        api::{self, ApiState, Tokens},
        follow::Follower,
        hub::{self, Hub, HubThread},
        priority,
        store::{Store, StoreError, Versions},
        wake,
    },
    live::{Clients, Inbox, Load, Mailbox, Pulse, Reader, Snapshot, Status, mailbox},
    route::AppName,
    serve::{bind, clock, worker},
    shutdown::Shutdown,
    telemetry::{self, LogGuard, LogSink, Metrics},
    tls::{AcceptFiles, Acceptor, ClientFiles, Dialer, FileError, Listener, Renewal},
};

/// Why the process cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A listener cannot be bound.
    #[error(transparent)]
    Bind(#[from] bind::BindError),
    /// The store cannot be opened or read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The tokens cannot be read or made.
    #[error(transparent)]
    Token(#[from] api::tokens::TokenError),
    /// The control listener would take tokens in the clear from other machines.
    #[error(
        "control.listen: {0} is not a loopback address, and tokens would cross the network in the \
         clear. Give control.tls_cert and control.tls_key, listen on 127.0.0.1, or set \
         control.plaintext_off_loopback = true if the network in between is yours alone"
    )]
    Plaintext(SocketAddr),
    /// The control listener's certificate cannot be used.
    #[error("the control listener's TLS: {0}")]
    Tls(#[from] FileError),
    /// The authorities of the dynos cannot be used.
    #[error("dynos.tls_ca: {0}")]
    DynosTls(FileError),
    /// The HTTPS listener's certificate cannot be used.
    #[error("the https listener's TLS: {0}")]
    HttpsTls(FileError),
    /// The HTTPS listener has no certificate.
    #[error("data_dir: no certificate can be made there for the https listener: {0}")]
    SelfSigned(io::Error),
    /// A thread, a runtime or a metric could not be made.
    #[error("cannot start {0}: {1}")]
    Start(&'static str, String),
    /// A part ended before it was told to.
    #[error("{0} ended: {1}")]
    Ended(&'static str, String),
}

/// So few client connections are hardly what anybody meant.
const FEW_CONNECTIONS: usize = 100;
/// How many threads of the push API may block beside those that send a snapshot of the feed.
const BLOCKING: usize = 512;
/// How long the log may take to write what is queued, once nothing more comes.
const LOG_TIME: std::time::Duration = std::time::Duration::from_secs(1);

/// Serves until the process is told to end: hub and router in one.
pub fn serve(settings: Settings) -> Result<(), Error> {
    telemetry::init_diagnostics(settings.log_level)
        .map_err(|error| Error::Start("diagnostics", error.to_string()))?;
    let began = Instant::now();
    bind::raise_open_files();
    refuse_plaintext(&settings)?;
    let tls = tls_files(&settings).map(Acceptor::open).transpose()?;
    let dialer = Dialer::open(settings.serve.dynos_ca.as_deref()).map_err(Error::DynosTls)?;
    let control = bind::single("control.listen", &settings.control_listen)?;
    let http = bind::shared("http.listen", &settings.http_listen, settings.workers)?;
    let https = https::bind(&settings)?;
    let (mut store, mut table) = Store::start(&settings.data_dir, random_seed()?)?;
    store.open_keys(&mut table, settings.hub.store_key.as_ref());
    let tokens = Tokens::load(settings.api.admin_token.as_deref(), &settings.data_dir)?;

    let shutdown = Shutdown::default();
    let status = Arc::new(Status::default());
    let metrics = Metrics::new(settings.metrics_max_apps)
        .map_err(|error| Error::Start("metrics", error.to_string()))?;
    let metrics = Arc::new(metrics);
    let (log, log_guard) = LogSink::start(settings.access_log, Box::new(io::stdout()), &metrics)
        .map_err(|error| Error::Start("the log", error.to_string()))?;
    let (registry, notes) = health::registry(&settings);
    let (mut follower, reader) = Follower::new(table.clone(), registry, began);
    status.table_loaded.store(true, Ordering::Relaxed);
    let https = match https {
        Some(bound) => Some((bound, https::open(&settings, reader.clone())?)),
        None => None,
    };
    let bound_https: Vec<SocketAddr> =
        https.iter().flat_map(|(bound, _)| addresses(&bound[0])).collect();
    let own = addresses(&http[0]).chain(bound_https.iter().copied()).chain(addresses(&control));
    let hub_settings = hub::Settings { own_listeners: own.collect(), ..settings.hub.clone() };
    let (https, renewal) =
        https.map(|(bound, (listener, renewal))| ((bound, listener), renewal)).unzip();
    let (mailbox, wanted) = mailbox();
    let known = Known {
        waking: (wanted, Arc::new(hub_settings.clone())),
        tokens: tokens.with(store.tokens()?),
        versions: store.versions(),
        tls,
        https: renewal,
    };
    let (hub, hub_thread) = hub::start(
        hub_settings,
        store,
        table,
        Box::new(move |table| follower.publish(table)),
        status.clone(),
    )
    .map_err(|error| Error::Start("the hub", error.to_string()))?;

    let bound: Vec<SocketAddr> = addresses(&http[0]).collect();
    let bound_control: Vec<SocketAddr> = addresses(&control).collect();
    let figures = Figures::new(&settings, mailbox);
    let seal = affinity::seal(settings.serve.affinity_key.as_ref(), &settings.data_dir)?;
    let running = Running { began, shutdown, status, metrics, log, reader, dialer, figures, seal };
    // Whoever reads the addresses may send a signal next: first it is heard.
    let health = running.start_health(&settings, notes, &hub)?;
    let control = running.start_control(&settings, control, hub, known)?;
    let workers = running.start_workers(&settings, http, https)?;
    announce(
        &[("http", &bound), ("https", &bound_https), ("control", &bound_control)],
        &running.reader,
    );
    running.end(workers, (control, health), hub_thread, log_guard)
}

/// What the push API's thread knows beside the table.
struct Known {
    waking: (Inbox<AppName>, wake::Reach),
    tokens: Tokens,
    versions: Versions,
    tls: Option<(Acceptor, Renewal)>,
    https: Option<Renewal>,
}

/// What the running parts share.
struct Running {
    began: Instant,
    shutdown: Shutdown,
    status: Arc<Status>,
    metrics: Arc<Metrics>,
    log: LogSink,
    reader: Reader<Snapshot>,
    dialer: Dialer,
    figures: Figures,
    seal: Arc<Seal>,
}

/// What all workers count together, and the sign of life of each.
struct Figures {
    clients: Arc<Clients>,
    load: Arc<Load>,
    mailbox: Mailbox<AppName>,
    pulses: Vec<Arc<Pulse>>,
}

impl Figures {
    fn new(Settings { serve, workers, .. }: &Settings, mailbox: Mailbox<AppName>) -> Figures {
        Figures {
            clients: Arc::new(Clients::new(serve.max_clients, serve.max_connections)),
            load: Arc::new(Load::new(serve.max_exchanges, *workers)),
            mailbox,
            pulses: (0..*workers).map(|_| Arc::default()).collect(),
        }
    }
}

type Thread = JoinHandle<io::Result<()>>;

impl Running {
    fn start_workers(
        &self,
        settings: &Settings,
        listeners: Vec<Vec<TcpListener>>,
        https: Option<(Vec<Vec<TcpListener>>, Listener)>,
    ) -> Result<Vec<Thread>, Error> {
        let count = listeners.len();
        self.status.workers.store(count, Ordering::Relaxed);
        let serve_settings = Arc::new(settings.serve.clone());
        if settings.serve.max_connections < FEW_CONNECTIONS {
            tracing::warn!(
                "there is room for {} client connections only: raise the limit on open files \
                 (ulimit -n) or http.max_connections",
                settings.serve.max_connections
            );
        }
        let (mut secure, tls) = https.unzip();
        let start = |(number, listeners): (usize, _)| {
            let secure = secure.as_mut().and_then(Vec::pop).zip(tls.clone());
            let parts = worker::Parts {
                settings: serve_settings.clone(),
                listeners,
                secure,
                dialer: self.dialer.clone(),
                snapshots: self.reader.clone(),
                log: self.log.access_log(),
                metrics: self.metrics.worker(),
                began: self.began,
                max_connections: settings.serve.max_connections.div_ceil(count),
                max_pipes: settings.serve.max_pipes / count,
                clients: self.figures.clients.clone(),
                seal: self.seal.clone(),
                load: self.figures.load.clone(),
                pulse: self.figures.pulses[number].clone(),
                max_handshakes: settings.serve.max_handshakes.div_ceil(count),
                shutdown: self.shutdown.clone(),
                grace: settings.drain_grace,
                status: self.status.clone(),
                mailbox: self.figures.mailbox.clone(),
            };
            thread(format!("worker-{number}"), &self.shutdown, move || worker::run(parts))
        };
        listeners.into_iter().enumerate().map(start).collect()
    }

    /// Starts the thread that answers the push API, and waits until it hears the signals.
    fn start_control(
        &self,
        settings: &Settings,
        listeners: Vec<TcpListener>,
        hub: Hub,
        Known { waking, tokens, versions, tls, https }: Known,
    ) -> Result<Thread, Error> {
        let state = ApiState {
            hub,
            versions,
            reader: self.reader.clone(),
            status: self.status.clone(),
            shutdown: self.shutdown.clone(),
            tokens,
            counts: self.metrics.feed(),
            began: self.began,
            metrics: self.exposition(settings.metrics_max_series),
            explain: explain::explainer(self, &settings.serve),
            settings: api::Settings {
                admin_token_env: None,
                data_dir: settings.data_dir.clone(),
                metrics_without_token: settings.api.metrics_without_token,
                max_body: settings.api.max_body,
                max_table: settings.api.max_table,
                rate: settings.api.rate,
                max_tokens: settings.api.max_tokens,
                max_feeds: settings.api.max_feeds,
                heartbeat: settings.api.heartbeat,
            },
        };
        let beside = beside::Beside::new(self, &settings.serve, waking);
        let shutdown = self.shutdown.clone();
        let metrics = self.metrics.clone();
        let (deadline, max_feeds) = (settings.drain_deadline, settings.api.max_feeds);
        let (heard, hears) = mpsc::sync_channel(1);
        let control = thread("control".into(), &self.shutdown, move || {
            control_runtime(max_feeds)?.block_on(async {
                let router = api::router(state);
                let mut servers = tokio::task::JoinSet::new();
                let secure = tls.map(|(acceptor, renewal)| {
                    servers.spawn(api::renew(renewal, shutdown.clone()));
                    Arc::new(api::Secure::new(acceptor, metrics))
                });
                if let Some(renewal) = https {
                    servers.spawn(api::renew(renewal, shutdown.clone()));
                }
                for listener in listeners {
                    let listener = tokio::net::TcpListener::from_std(listener)?;
                    let (router, secure) = (router.clone(), secure.clone());
                    servers.spawn(api::serve(listener, router, secure, shutdown.clone()));
                }
                beside.spawn(&mut servers, &shutdown);
                // Whoever waits for it is there until it is said.
                let hear = move || heard.send(()).unwrap_or_default();
                shutdown.on_signals(deadline, hear).await?;
                while servers.join_next().await.is_some() {}
                Ok(())
            })
        })?;
        match hears.recv() {
            Ok(()) => Ok(control),
            Err(_) => Err(join("the push API", control)
                .err()
                .unwrap_or(Error::Ended("the push API", "before it heard the signals".into()))),
        }
    }

    /// Renders the metrics, the state of the process with them.
    fn exposition(&self, max_series: usize) -> Arc<dyn Fn() -> String + Send + Sync> {
        let (metrics, status, reader) =
            (self.metrics.clone(), self.status.clone(), self.reader.clone());
        let began = self.began;
        Arc::new(move || {
            let table = reader.load();
            let counts = table.table().counts();
            let gauge = |value: usize| i64::try_from(value).unwrap_or(i64::MAX);
            metrics.table_revision.set(table.table().revision().0.cast_signed());
            metrics.table_apps.set(gauge(counts.apps));
            metrics.table_routes.set(gauge(counts.routes));
            metrics.table_dynos.set(gauge(counts.dynos));
            https::tell_certificates(&metrics, table.table());
            metrics.dynos_expired.inc_by(status.dynos_expired.swap(0, Ordering::Relaxed));
            metrics.dynos_overdue.set(gauge(status.dynos_overdue.load(Ordering::Relaxed)));
            metrics.store_writable.set(status.store_writable.load(Ordering::Relaxed).into());
            let oldest = status.store_oldest.load(Ordering::Relaxed);
            metrics.store_oldest_revision.set(oldest.cast_signed());
            metrics.workers.set(gauge(status.workers_serving.load(Ordering::Relaxed)));
            let text = metrics.render().unwrap_or_else(|error| {
                tracing::error!("the metrics cannot be rendered: {error}");
                String::new()
            });
            text + &figures::text(&table, &metrics.apps(), max_series, clock::since(began))
        })
    }

    /// Waits for the workers to end, then ends the rest in order.
    fn end(
        self,
        workers: Vec<Thread>,
        (control, (checks, notices)): (Thread, (Thread, Thread)),
        hub: HubThread,
        log: LogGuard,
    ) -> Result<(), Error> {
        let mut served = Ok(());
        for worker in workers {
            served = served.and(join("a worker", worker));
        }
        self.shutdown.stop();
        let controlled = join("the push API", control)
            .and(join("the health checks", checks))
            .and(join("the notices of health", notices));
        let kept = hub.join().map_err(Error::from);
        if !log.finish(LOG_TIME) {
            tracing::warn!("the log's last lines could not be written in {LOG_TIME:?}");
        }
        tracing::info!("ended");
        served.and(controlled).and(kept)
    }
}

/// What carries the push API, on a thread that gives way to the workers from now on.
fn control_runtime(max_feeds: usize) -> io::Result<tokio::runtime::Runtime> {
    priority::give_way();
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING + max_feeds)
        .build()
}

/// Starts a part that the process cannot do without: however it ends, the others are drained.
fn thread(
    name: String,
    shutdown: &Shutdown,
    run: impl FnOnce() -> io::Result<()> + Send + 'static,
) -> Result<Thread, Error> {
    let last_word = LastWord(shutdown.clone());
    std::thread::Builder::new()
        .name(name)
        .spawn(move || {
            // Owned by the thread, so that a panic speaks it too.
            let _last_word = last_word;
            run()
        })
        .map_err(|error| Error::Start("a thread", error.to_string()))
}

/// Begins the drain when it is dropped.
struct LastWord(Shutdown);

impl Drop for LastWord {
    fn drop(&mut self) {
        self.0.drain();
    }
}

fn join(part: &'static str, thread: Thread) -> Result<(), Error> {
    match thread.join() {
        Ok(result) => result.map_err(|error| Error::Ended(part, error.to_string())),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or(panic.downcast_ref::<&str>().copied());
            Err(Error::Ended(part, text.unwrap_or("it panicked").into()))
        }
    }
}

fn refuse_plaintext(settings: &Settings) -> Result<(), Error> {
    let open = settings.control_listen.iter().find(|addr| !addr.ip().to_canonical().is_loopback());
    match open {
        Some(addr) if !settings.api.plaintext_off_loopback && tls_files(settings).is_none() => {
            Err(Error::Plaintext(*addr))
        }
        _ => Ok(()),
    }
}

/// The files of the control listener's TLS, if it has any.
fn tls_files(settings: &Settings) -> Option<AcceptFiles> {
    let api = &settings.api;
    let required = api.tls_client_required;
    let authorities = api.tls_client_ca.clone();
    Some(AcceptFiles {
        chain: api.tls_cert.clone()?,
        key: api.tls_key.clone()?,
        clients: authorities.map(|authorities| ClientFiles { authorities, required }),
    })
}

/// The key of the table's hashes: nobody who pushes hosts may know which of them collide.
fn random_seed() -> Result<u64, Error> {
    getrandom::u64().map_err(|error| Error::Start("the table", error.to_string()))
}

fn addresses(listeners: &[TcpListener]) -> impl Iterator<Item = SocketAddr> {
    listeners.iter().filter_map(|listener| listener.local_addr().ok())
}

fn announce(listeners: &[(&str, &[SocketAddr])], reader: &Reader<Snapshot>) {
    for (name, addrs) in listeners {
        for addr in *addrs {
            tracing::info!("{name} listens on {addr}");
        }
    }
    let table = reader.load();
    let counts = table.table().counts();
    tracing::info!(
        "table at revision {}: {} apps, {} routes, {} dynos",
        table.table().revision(),
        counts.apps,
        counts.routes,
        counts.dynos
    );
}

mod affinity;
mod beside;
mod explain;
mod figures;
mod health;
mod https;
#[cfg(test)]
mod tests;
