//! Every metric of the process, declared once: name, labels, and a comment that is its help text.
//!
//! Workers count for themselves (`worker`) and add to these on their tick; gauges are set by who
//! owns the fact. Invariants: the first `max_apps` apps that have an exchange get series of their
//! own, all others share [`OTHER_APPS`]; requests without an app are under [`NO_APP`]; label values
//! never come from the network.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use prometheus::{
    Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder,
};

use super::worker::WorkerMetrics;

/// The label of the apps that came when all series were taken.
pub const OTHER_APPS: &str = "_other";
/// The label of requests whose host is no route's.
pub const NO_APP: &str = "_none";

/// Upper bounds of the service time's buckets, in seconds: the time-outs for a first byte (30) and
/// for silence (55) are among them, so that what hit one can be told from what did not.
const SERVICE_SECONDS: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 55.0];

/// A metric could not be registered: two declarations have one name.
#[derive(Debug, thiserror::Error)]
#[error(
    "the metrics cannot be registered: {0}; each name is declared once, in telemetry/metrics.rs"
)]
pub struct MetricsError(#[from] prometheus::Error);

macro_rules! make {
    (Histogram, $name:literal, $help:literal, $labels:tt) => {
        Histogram::with_opts(
            HistogramOpts::new($name, $help.trim()).buckets(SERVICE_SECONDS.to_vec()),
        )
    };
    ($kind:ident, $name:literal, $help:literal, []) => {
        $kind::with_opts(Opts::new($name, $help.trim()))
    };
    ($kind:ident, $name:literal, $help:literal, $labels:tt) => {
        $kind::new(Opts::new($name, $help.trim()), &$labels)
    };
}

macro_rules! metrics {
    ($(#[doc = $help:literal] $field:ident: $kind:ident = $name:literal $labels:tt;)*) => {
        /// Every metric of the process.
        #[derive(Debug)]
        pub struct Metrics {
            registry: Registry,
            apps: Arc<Apps>,
            $(#[doc = $help] pub $field: $kind,)*
        }

        impl Metrics {
            /// Makes and registers every metric; `max_apps` apps get series of their own.
            ///
            /// # Errors
            /// If two metrics have one name.
            pub fn new(max_apps: usize) -> Result<Metrics, MetricsError> {
                let metrics = Metrics {
                    registry: Registry::new(),
                    apps: Arc::new(Apps::new(max_apps)),
                    $($field: make!($kind, $name, $help, $labels)?,)*
                };
                $(metrics.registry.register(Box::new(metrics.$field.clone()))?;)*
                metrics.build_info.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
                Ok(metrics)
            }
        }
    };
}

metrics! {
    /// Exchanges that ended, by app and by class of the status that the client was sent.
    exchanges: IntCounterVec = "hostler_exchanges_total" ["app", "status"];
    /// Exchanges that ended with a fault, by code.
    faults: IntCounterVec = "hostler_faults_total" ["code"];
    /// Seconds from the dyno's connection to the end of the exchange.
    service_seconds: Histogram = "hostler_service_seconds" [];
    /// Seconds that an exchange waited for a dyno, of those that came to one or waited.
    queue_seconds: Histogram = "hostler_queue_seconds" [];
    /// Bytes of request bodies that clients sent.
    bytes_in: IntCounter = "hostler_request_body_bytes_total" [];
    /// Bytes of bodies that clients were sent.
    bytes_out: IntCounter = "hostler_response_body_bytes_total" [];
    /// Client connections that were accepted.
    connections_accepted: IntCounter = "hostler_connections_accepted_total" [];
    /// Client connections that are open.
    connections_open: IntGauge = "hostler_connections_open" [];
    /// Client connections that were closed before their first request, by reason.
    connections_turned_away: IntCounterVec = "hostler_connections_turned_away_total" ["reason"];
    /// How often accepting paused, by what was missing.
    accept_pauses: IntCounterVec = "hostler_accept_pauses_total" ["reason"];
    /// How often a part of a body was copied because all pipes were in use.
    pipes_short: IntCounter = "hostler_pipes_short_total" [];
    /// What limits per client have no room to count, for limits.clients are too few, by what it is.
    clients_uncounted: IntCounterVec = "hostler_clients_uncounted_total" ["what"];
    /// Exchanges that are in flight.
    exchanges_open: IntGauge = "hostler_exchanges_open" [];
    /// Exchanges that wait for a dyno.
    exchanges_waiting: IntGauge = "hostler_exchanges_waiting" [];
    /// 1 while the router turns exchanges away for having too many, or too little memory, else 0.
    overloaded: IntGaugeVec = "hostler_overloaded" ["cause"];
    /// Memory of the process that is resident, in bytes.
    resident_memory: IntGauge = "hostler_resident_memory_bytes" [];
    /// Workers that stand still.
    workers_stalled: IntGauge = "hostler_workers_stalled" [];
    /// Connects to dynos that succeeded.
    dyno_connects: IntCounter = "hostler_dyno_connects_total" [];
    /// Connects to dynos that failed.
    dyno_connect_failures: IntCounter = "hostler_dyno_connect_failures_total" [];
    /// Connects to dynos that failed because the dyno did not prove its name by TLS.
    dyno_unproven: IntCounter = "hostler_dyno_certificate_failures_total" [];
    /// Dynos that were ejected for how their exchanges ended.
    dyno_ejections: IntCounter = "hostler_dyno_ejections_total" [];
    /// Apps of which so few dynos are fit that ill ones are picked too.
    apps_in_panic: IntGauge = "hostler_apps_in_panic" [];
    /// How often an app came to be so.
    panics: IntCounter = "hostler_panics_total" [];
    /// Health checks of dynos, by how they were answered: good or bad.
    probes: IntCounterVec = "hostler_probes_total" ["answer"];
    /// Health checks that began more than a second behind their time.
    probes_late: IntCounter = "hostler_probes_late_total" [];
    /// Attempts that took a kept connection to their dyno.
    dyno_reuses: IntCounter = "hostler_dyno_reuses_total" [];
    /// Attempts after the first of their exchange.
    retries: IntCounter = "hostler_retries_total" [];
    /// Requests that were slow and were sent to a second dyno too.
    hedges: IntCounter = "hostler_hedges_total" [];
    /// Of those the ones that the second dyno served.
    hedges_won: IntCounter = "hostler_hedges_won_total" [];
    /// Calls of webhooks that wake apps, by what came of them: ok or failed.
    wake_calls: IntCounterVec = "hostler_wake_calls_total" ["result"];
    /// Lines of the exchange log that were lost: the queue was full or the output failed.
    log_dropped_lines: IntCounter = "hostler_log_dropped_lines_total" [];
    /// Revision of the table that is served.
    table_revision: IntGauge = "hostler_table_revision" [];
    /// Apps in the table.
    table_apps: IntGauge = "hostler_table_apps" [];
    /// Routes in the table.
    table_routes: IntGauge = "hostler_table_routes" [];
    /// Dynos in the table.
    table_dynos: IntGauge = "hostler_table_dynos" [];
    /// Certificates in the table.
    table_certs: IntGauge = "hostler_table_certs" [];
    /// Certificates whose key cannot be opened, so that they are not served.
    certs_closed: IntGauge = "hostler_certs_closed" [];
    /// When the first of the certificates ends, in seconds since the Unix epoch; 0 without any.
    certs_first_end_seconds: IntGauge = "hostler_certs_first_end_seconds" [];
    /// Dynos that left the table because nobody renewed them.
    dynos_expired: IntCounter = "hostler_dynos_expired_total" [];
    /// Dynos that nobody renewed and that stay: a guard keeps them, or the store takes nothing.
    dynos_overdue: IntGauge = "hostler_dynos_overdue" [];
    /// 1 if the store took the last write that it was given, else 0.
    store_writable: IntGauge = "hostler_store_writable" [];
    /// The oldest revision that the store keeps; 0: all of them.
    store_oldest_revision: IntGauge = "hostler_store_oldest_revision" [];
    /// Readers of the feed.
    feed_readers: IntGauge = "hostler_feed_readers" [];
    /// Snapshots of the table that readers of the feed were sent.
    feed_snapshots: IntCounter = "hostler_feed_snapshots_total" [];
    /// Readers of the feed that could not go on from where they were, and were sent a snapshot.
    feed_moved: IntCounter = "hostler_feed_moved_total" [];
    /// Handshakes of TLS with clients that came about, in full or resumed.
    handshakes: IntCounterVec = "hostler_tls_handshakes_total" ["kind"];
    /// Handshakes of TLS with clients that did not come about, by reason.
    handshakes_failed: IntCounterVec = "hostler_tls_handshakes_failed_total" ["reason"];
    /// Connections of HTTP/2 that were ended because of what their client did, by what that was.
    http2_abuse: IntCounterVec = "hostler_http2_abuse_total" ["kind"];
    /// Connections to the control listener on which TLS did not come about.
    control_handshakes_failed: IntCounter = "hostler_control_handshakes_failed_total" [];
    /// Workers that accept connections.
    workers: IntGauge = "hostler_workers" [];
    /// The version that runs; always 1.
    build_info: IntGaugeVec = "hostler_build_info" ["version"];
}

impl Metrics {
    /// The counters of one worker.
    pub fn worker(&self) -> WorkerMetrics {
        WorkerMetrics::new(self, self.apps.clone())
    }

    /// The counters of the feed.
    pub fn feed(&self) -> FeedMetrics {
        FeedMetrics {
            readers: self.feed_readers.clone(),
            snapshots: self.feed_snapshots.clone(),
            moved: self.feed_moved.clone(),
        }
    }

    /// The apps that have series of their own, in the order in which they had their first exchange.
    pub fn apps(&self) -> Vec<Box<str>> {
        self.apps.order.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// All metrics in Prometheus' text format.
    ///
    /// # Errors
    /// If the encoder finds a metric without a name or a value: a mistake of ours.
    pub fn render(&self) -> Result<String, MetricsError> {
        Ok(TextEncoder::new().encode_to_string(&self.registry.gather())?)
    }
}

/// Counts the readers of the feed.
#[derive(Debug, Clone)]
pub struct FeedMetrics {
    readers: IntGauge,
    /// Snapshots that were begun.
    pub snapshots: IntCounter,
    /// Readers that could not go on from where they were.
    pub moved: IntCounter,
}

/// A reader that is counted for as long as this lasts.
#[derive(Debug)]
pub struct CountedReader(IntGauge);

impl FeedMetrics {
    /// Counts a reader.
    pub fn count_reader(&self) -> CountedReader {
        self.readers.inc();
        CountedReader(self.readers.clone())
    }
}

impl Drop for CountedReader {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Which apps have series of their own; shared by the workers.
#[derive(Debug)]
pub(super) struct Apps {
    max: usize,
    names: Mutex<HashSet<Box<str>>>,
    // The same in the order in which they came.
    order: Mutex<Vec<Box<str>>>,
    // The names once there are `max`: from then on no worker takes the lock.
    full: OnceLock<HashSet<Box<str>>>,
}

impl Apps {
    fn new(max: usize) -> Apps {
        let full = if max == 0 { OnceLock::from(HashSet::new()) } else { OnceLock::new() };
        Apps { max, names: Mutex::default(), order: Mutex::default(), full }
    }

    /// Does the app have series of its own? It gets them if there is room.
    pub(super) fn admit(&self, app: &str) -> bool {
        if let Some(names) = self.full.get() {
            return names.contains(app);
        }
        // The set is whole even if a holder of the lock panicked: an insert is one step.
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        if names.len() < self.max && names.insert(app.into()) {
            self.order.lock().unwrap_or_else(PoisonError::into_inner).push(app.into());
        }
        let admitted = names.contains(app);
        if names.len() == self.max {
            self.full.get_or_init(|| names.clone());
        }
        admitted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_has_every_plain_metric_from_the_start() {
        let text = Metrics::new(10).unwrap().render().unwrap();
        for name in ["hostler_table_revision 0", "hostler_log_dropped_lines_total 0"] {
            assert!(text.contains(name), "{text}");
        }
        assert!(text.contains("hostler_build_info{version="), "{text}");
        assert!(text.contains("# HELP hostler_retries_total Attempts after the first"), "{text}");
    }

    #[test]
    fn the_first_apps_keep_their_series_when_all_are_taken() {
        let apps = Apps::new(2);
        assert_eq!(["a", "b", "c", "a", "b"].map(|app| apps.admit(app)), {
            [true, true, false, true, true]
        });
        assert!(!Apps::new(0).admit("a"));
    }
}
