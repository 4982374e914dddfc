//! The counters that a worker keeps to itself and adds to the process's metrics on its tick.
//!
//! Invariants: counting takes no lock and touches no memory of another worker, but for the first
//! exchange of an app; what was counted shows in the metrics after the next flush (dropping flushes
//! too); an app's counters here are bounded as its series are.

use std::{collections::HashMap, sync::Arc};

use foldhash::fast::RandomState;
use prometheus::{
    IntCounter, IntCounterVec, IntGauge,
    local::{LocalHistogram, LocalIntCounter},
};

use super::{
    flood::Http2Abuse,
    handshake::{Handshake, HandshakeFailure},
    metrics::{Apps, Metrics, NO_APP, OTHER_APPS},
    record::Record,
    turned_away::{Pause, TurnedAway},
};
use crate::error::Fault;

/// The classes of a status by its first digit; the first is for exchanges without a status.
const CLASSES: [&str; 6] = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"];

/// Where [`NO_APP`] and [`OTHER_APPS`] stand among the apps of a worker.
const NO_APP_AT: usize = 0;
const OTHER_AT: usize = 1;

/// One app's exchanges by class.
#[derive(Debug)]
struct AppCounts {
    name: Box<str>,
    counts: [u64; CLASSES.len()],
    series: [Option<IntCounter>; CLASSES.len()],
    dirty: bool,
}

impl AppCounts {
    fn new(name: &str) -> AppCounts {
        let (counts, series) = Default::default();
        AppCounts { name: name.into(), counts, series, dirty: false }
    }

    fn flush(&mut self, exchanges: &IntCounterVec) {
        for (class, count) in self.counts.iter_mut().enumerate().filter(|(_, n)| **n > 0) {
            let series = self.series[class]
                .get_or_insert_with(|| exchanges.with_label_values(&[&*self.name, CLASSES[class]]));
            series.inc_by(std::mem::take(count));
        }
        self.dirty = false;
    }
}

/// A worker's part of a gauge of the process, as it was told last.
#[derive(Debug)]
struct Level(i64, IntGauge);

impl Level {
    fn tell(&mut self, now: usize) {
        let now = now as i64;
        self.1.add(now - std::mem::replace(&mut self.0, now));
    }
}

/// What one worker counts.
#[derive(Debug)]
pub struct WorkerMetrics {
    admitted: Arc<Apps>,
    places: HashMap<Box<str>, usize, RandomState>,
    apps: Vec<AppCounts>,
    dirty: Vec<usize>,
    faults: [u64; Fault::ALL.len()],
    any_fault: bool,
    handshakes: [LocalIntCounter; Handshake::ALL.len()],
    handshakes_failed: [LocalIntCounter; HandshakeFailure::ALL.len()],
    http2_abuse: [LocalIntCounter; Http2Abuse::ALL.len()],
    open_change: i64,
    exchanges_open: Level,
    exchanges_waiting: Level,
    turned_away: [IntCounter; TurnedAway::ALL.len()],
    pauses: [IntCounter; Pause::ALL.len()],
    exchanges: IntCounterVec,
    fault_series: IntCounterVec,
    connections_open: IntGauge,
    service_seconds: LocalHistogram,
    queue_seconds: LocalHistogram,
    bytes_in: LocalIntCounter,
    bytes_out: LocalIntCounter,
    connections_accepted: LocalIntCounter,
    pipes_short: IntCounter,
    dyno_connects: LocalIntCounter,
    dyno_connect_failures: LocalIntCounter,
    dyno_unproven: LocalIntCounter,
    dyno_reuses: LocalIntCounter,
    retries: LocalIntCounter,
    hedges: LocalIntCounter,
    hedges_won: LocalIntCounter,
}

impl WorkerMetrics {
    pub(super) fn new(metrics: &Metrics, admitted: Arc<Apps>) -> WorkerMetrics {
        WorkerMetrics {
            admitted,
            places: HashMap::default(),
            apps: vec![AppCounts::new(NO_APP), AppCounts::new(OTHER_APPS)],
            dirty: Vec::new(),
            faults: [0; Fault::ALL.len()],
            any_fault: false,
            handshakes: Handshake::ALL
                .map(|(_, label)| metrics.handshakes.with_label_values(&[label]).local()),
            handshakes_failed: HandshakeFailure::ALL
                .map(|(_, label)| metrics.handshakes_failed.with_label_values(&[label]).local()),
            http2_abuse: Http2Abuse::ALL
                .map(|(_, label)| metrics.http2_abuse.with_label_values(&[label]).local()),
            open_change: 0,
            exchanges_open: Level(0, metrics.exchanges_open.clone()),
            exchanges_waiting: Level(0, metrics.exchanges_waiting.clone()),
            turned_away: TurnedAway::ALL
                .map(|why| metrics.connections_turned_away.with_label_values(&[why.as_str()])),
            pauses: Pause::ALL.map(|why| metrics.accept_pauses.with_label_values(&[why.as_str()])),
            exchanges: metrics.exchanges.clone(),
            fault_series: metrics.faults.clone(),
            connections_open: metrics.connections_open.clone(),
            service_seconds: metrics.service_seconds.local(),
            queue_seconds: metrics.queue_seconds.local(),
            bytes_in: metrics.bytes_in.local(),
            bytes_out: metrics.bytes_out.local(),
            connections_accepted: metrics.connections_accepted.local(),
            pipes_short: metrics.pipes_short.clone(),
            dyno_connects: metrics.dyno_connects.local(),
            dyno_connect_failures: metrics.dyno_connect_failures.local(),
            dyno_unproven: metrics.dyno_unproven.local(),
            dyno_reuses: metrics.dyno_reuses.local(),
            retries: metrics.retries.local(),
            hedges: metrics.hedges.local(),
            hedges_won: metrics.hedges_won.local(),
        }
    }

    /// Counts an exchange that ended.
    #[inline]
    pub fn exchange(&mut self, record: &Record<'_>) {
        let place = match self.places.get(record.app) {
            Some(place) => *place,
            None => self.place(record.app),
        };
        let app = &mut self.apps[place];
        let class = usize::from(record.status / 100);
        // A status that no class has (0, 600 and more) is counted as none.
        app.counts[if class < CLASSES.len() { class } else { 0 }] += 1;
        if !app.dirty {
            app.dirty = true;
            self.dirty.push(place);
        }
        if let Some(fault) = record.fault {
            self.faults[fault as usize] += 1;
            self.any_fault = true;
        }
        if let Some(millis) = record.service_ms {
            self.service_seconds.observe(f64::from(millis) / 1000.0);
        }
        if let Some(millis) = record.queue_ms {
            self.queue_seconds.observe(f64::from(millis) / 1000.0);
        }
        self.bytes_out.inc_by(record.bytes.unwrap_or(0));
    }

    #[cold]
    fn place(&mut self, app: &str) -> usize {
        if app.is_empty() {
            return NO_APP_AT;
        }
        if !self.admitted.admit(app) {
            return OTHER_AT;
        }
        let place = self.apps.len();
        self.apps.push(AppCounts::new(app));
        self.places.insert(app.into(), place);
        place
    }

    /// Counts a client connection that was accepted.
    pub fn connection_opened(&mut self) {
        self.connections_accepted.inc();
        self.open_change += 1;
    }

    /// Counts a client connection that ended.
    pub fn connection_closed(&mut self) {
        self.open_change -= 1;
    }

    /// Counts a client connection that was closed before its first request.
    pub fn turned_away(&self, why: TurnedAway) {
        self.turned_away[why as usize].inc();
    }

    /// Counts a pause in accepting.
    pub fn accept_paused(&self, why: Pause) {
        self.pauses[why as usize].inc();
    }

    /// So many exchanges are in flight now.
    pub fn exchanges_open(&mut self, open: usize) {
        self.exchanges_open.tell(open);
    }

    /// So many exchanges wait for a dyno now.
    pub fn exchanges_waiting(&mut self, waiting: usize) {
        self.exchanges_waiting.tell(waiting);
    }

    /// Counts how often a pipe was missing.
    pub fn pipes_short(&self, count: u64) {
        if count > 0 {
            self.pipes_short.inc_by(count);
        }
    }

    /// Counts a handshake that came about.
    pub fn handshake(&mut self, kind: Handshake) {
        self.handshakes[kind as usize].inc();
    }

    /// Counts one that did not.
    pub fn handshake_failed(&mut self, failure: HandshakeFailure) {
        self.handshakes_failed[failure as usize].inc();
    }

    /// Counts a connection of HTTP/2 that was ended because of what its client did.
    pub fn http2_abuse(&mut self, kind: Http2Abuse) {
        self.http2_abuse[kind as usize].inc();
    }

    /// Counts a connect to a dyno, and whether it succeeded.
    pub fn dyno_connect(&mut self, ok: bool) {
        if ok { self.dyno_connects.inc() } else { self.dyno_connect_failures.inc() }
    }

    /// Counts a failed connect whose dyno did not prove its name.
    pub fn dyno_unproven(&mut self) {
        self.dyno_unproven.inc();
    }

    /// Counts an attempt that took a kept connection to its dyno.
    pub fn dyno_reused(&mut self) {
        self.dyno_reuses.inc();
    }

    /// Counts an attempt after the first of its exchange.
    pub fn retry(&mut self) {
        self.retries.inc();
    }

    /// Counts a request that a second dyno had too, when it is sent there, and when that one
    /// `won`.
    pub fn hedge(&mut self, won: bool) {
        if won { self.hedges_won.inc() } else { self.hedges.inc() }
    }

    /// Counts bytes of a request's body.
    pub fn request_bytes(&mut self, bytes: u64) {
        self.bytes_in.inc_by(bytes);
    }

    /// Adds what was counted to the metrics of the process.
    pub fn flush(&mut self) {
        for place in self.dirty.drain(..) {
            self.apps[place].flush(&self.exchanges);
        }
        if std::mem::take(&mut self.any_fault) {
            for (fault, count) in Fault::ALL.iter().zip(&mut self.faults).filter(|(_, n)| **n > 0) {
                let series = self.fault_series.with_label_values(&[fault.code()]);
                series.inc_by(std::mem::take(count));
            }
        }
        self.connections_open.add(std::mem::take(&mut self.open_change));
        self.service_seconds.flush();
        self.queue_seconds.flush();
        for counter in
            self.handshakes.iter().chain(&self.handshakes_failed).chain(&self.http2_abuse)
        {
            counter.flush();
        }
        for counter in [
            &self.bytes_in,
            &self.bytes_out,
            &self.connections_accepted,
            &self.dyno_connects,
            &self.dyno_connect_failures,
            &self.dyno_unproven,
            &self.dyno_reuses,
            &self.retries,
            &self.hedges,
            &self.hedges_won,
        ] {
            counter.flush();
        }
    }
}

impl Drop for WorkerMetrics {
    fn drop(&mut self) {
        self.flush();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::record::sample;

    fn text_after(max_apps: usize, count: impl FnOnce(&mut WorkerMetrics)) -> String {
        let metrics = Metrics::new(max_apps).unwrap();
        let mut worker = metrics.worker();
        count(&mut worker);
        worker.flush();
        metrics.render().unwrap()
    }

    #[track_caller]
    fn assert_has(text: &str, line: &str) {
        assert!(text.lines().any(|l| l == line), "no line `{line}` in:\n{text}");
    }

    #[test]
    fn exchanges_are_counted_by_app_and_class() {
        let text = text_after(10, |worker| {
            for (app, status) in [("a", 200), ("a", 204), ("a", 503), ("b", 101), ("", 404)] {
                worker.exchange(&Record { app, status, ..sample::record() });
            }
            worker.exchange(&Record { app: "b", status: 0, ..sample::record() });
            worker.exchange(&Record { app: "b", status: 999, ..sample::record() });
        });
        assert_has(&text, "hostler_exchanges_total{app=\"a\",status=\"2xx\"} 2");
        assert_has(&text, "hostler_exchanges_total{app=\"a\",status=\"5xx\"} 1");
        assert_has(&text, "hostler_exchanges_total{app=\"b\",status=\"1xx\"} 1");
        assert_has(&text, "hostler_exchanges_total{app=\"b\",status=\"none\"} 2");
        assert_has(&text, "hostler_exchanges_total{app=\"_none\",status=\"4xx\"} 1");
        assert_has(&text, "hostler_response_body_bytes_total 8638");
        assert_has(&text, "hostler_service_seconds_count 7");
    }

    #[test]
    fn apps_beyond_the_bound_share_one_series() {
        let text = text_after(1, |worker| {
            for app in ["a", "b", "c", "a"] {
                worker.exchange(&Record { app, ..sample::record() });
            }
            assert_eq!(worker.apps.len(), 3);
        });
        assert_has(&text, "hostler_exchanges_total{app=\"a\",status=\"2xx\"} 2");
        assert_has(&text, "hostler_exchanges_total{app=\"_other\",status=\"2xx\"} 2");
    }

    #[test]
    fn every_worker_counts_an_admitted_app_under_its_name() {
        let metrics = Metrics::new(1).unwrap();
        for app in ["a", "b", "a"] {
            metrics.worker().exchange(&Record { app, ..sample::record() });
        }
        let text = metrics.render().unwrap();
        assert_has(&text, "hostler_exchanges_total{app=\"a\",status=\"2xx\"} 2");
        assert_has(&text, "hostler_exchanges_total{app=\"_other\",status=\"2xx\"} 1");
    }

    #[test]
    fn faults_are_counted_by_code_and_causes_of_one_code_together() {
        let text = text_after(10, |worker| {
            for fault in [Fault::OversizedCookie, Fault::OversizedHeader, Fault::NoDynos] {
                worker.exchange(&Record { fault: Some(fault), ..sample::record() });
            }
        });
        assert_has(&text, "hostler_faults_total{code=\"H25\"} 2");
        assert_has(&text, "hostler_faults_total{code=\"H14\"} 1");
    }

    #[test]
    fn a_fault_counts_at_its_own_place() {
        for (place, fault) in Fault::ALL.iter().enumerate() {
            assert_eq!(*fault as usize, place);
        }
    }

    #[test]
    fn connections_and_attempts_are_counted() {
        let text = text_after(10, |worker| {
            worker.connection_opened();
            worker.connection_opened();
            worker.connection_closed();
            worker.dyno_connect(true);
            worker.dyno_connect(false);
            worker.dyno_reused();
            worker.retry();
            worker.hedge(false);
            worker.hedge(false);
            worker.hedge(true);
            worker.request_bytes(5);
        });
        for line in [
            "hostler_connections_accepted_total 2",
            "hostler_connections_open 1",
            "hostler_dyno_connects_total 1",
            "hostler_dyno_connect_failures_total 1",
            "hostler_dyno_reuses_total 1",
            "hostler_retries_total 1",
            "hostler_hedges_total 2",
            "hostler_hedges_won_total 1",
            "hostler_request_body_bytes_total 5",
        ] {
            assert_has(&text, line);
        }
    }

    #[test]
    fn what_is_turned_away_is_counted_by_reason_from_the_start() {
        let metrics = Metrics::new(1).unwrap();
        let mut worker = metrics.worker();
        for (place, why) in TurnedAway::ALL.into_iter().enumerate() {
            assert_eq!(why as usize, place);
            worker.turned_away(why);
        }
        worker.accept_paused(Pause::Descriptors);
        for open in [3, 2, 2] {
            worker.exchanges_open(open);
        }
        let text = metrics.render().unwrap();
        assert_has(&text, "hostler_connections_turned_away_total{reason=\"proxy_missing\"} 1");
        assert_has(&text, "hostler_accept_pauses_total{reason=\"descriptors\"} 1");
        assert_has(&text, "hostler_accept_pauses_total{reason=\"connections\"} 0");
        assert_has(&text, "hostler_exchanges_open 2");
    }

    #[test]
    fn nothing_is_counted_twice_by_a_second_flush() {
        let text = text_after(10, |worker| {
            worker.exchange(&Record { fault: Some(Fault::Maintenance), ..sample::record() });
            worker.connection_opened();
            worker.flush();
        });
        assert_has(&text, "hostler_exchanges_total{app=\"blog\",status=\"2xx\"} 1");
        assert_has(&text, "hostler_faults_total{code=\"H80\"} 1");
        assert_has(&text, "hostler_connections_open 1");
    }
}
