//! What logging and counting cost an exchange, in nanoseconds on one core.
//!
//! `cargo bench --bench telemetry`; without `--bench`, as in the test command, each part runs a few
//! times only. The lines go through the queue to a writer that throws them away. Seen on a shared
//! two-core machine: a line 71 (logfmt) or 84 (JSON); a line with its way to the writer 108; an
//! exchange counted 13 with 1,000 apps in turn, 9 with one; a flush 48. The figures of app and
//! dyno, seen while others used the cores too: 30 to 55, beside a second worker on the same dynos
//! 25 to 100.

use std::{hint::black_box, io, sync::Arc, time::Instant};

use hostler::{
    live::{
        Times,
        stats::{AppPlace, DynoPlace, Ended, Room},
    },
    telemetry::{LogFormat, LogSink, Metrics, Record, line},
};

const APPS: usize = 1000;

fn main() {
    let smoke = !std::env::args().any(|arg| arg == "--bench");
    let rounds = if smoke { 1_000 } else { 5_000_000 };
    let names: Vec<String> = (0..APPS).map(|i| format!("app-{i}")).collect();
    let record = |i: usize| Record {
        fault: None,
        app: &names[i % APPS],
        method: b"GET",
        path: b"/articles/2024/how-to-route?utm_source=feed",
        host: b"www.example.test",
        request_id: b"0f8d1c3e-5a51-4c9e-9a39-6f8f0b1d2e3f",
        fwd: b"203.0.113.9",
        dyno: "web.1",
        hedge: None,
        queue_ms: Some(0),
        connect_ms: Some(0),
        service_ms: Some(27),
        status: 200,
        bytes: Some(1234),
        protocol: "http1.1",
        tls: false,
        tls_version: None,
        agent: b"",
    };
    for (name, format) in [("logfmt line", LogFormat::Logfmt), ("json line", LogFormat::Json)] {
        let mut out = Vec::new();
        measure(name, rounds, |i| {
            out.clear();
            line::write(&mut out, format, &record(i));
            black_box(&out);
        });
    }
    let metrics = Metrics::new(APPS).expect("the metrics are declared once each");
    let (sink, guard) = LogSink::start(LogFormat::Logfmt, Box::new(io::sink()), &metrics)
        .expect("a thread can be started");
    let mut log = sink.access_log();
    measure("logfmt line, to the writer", rounds, |i| log.write(&record(i)));
    drop(log);
    assert!(guard.finish(std::time::Duration::from_secs(60)), "all lines are written");
    println!("  lines dropped: {}", metrics.log_dropped_lines.get());
    let mut worker = metrics.worker();
    measure("counted, 1,000 apps in turn", rounds, |i| worker.exchange(&record(i)));
    figures(rounds);
    let one = record(1);
    measure("counted, one app", rounds, |_| worker.exchange(black_box(&one)));
    measure("flush after one exchange", rounds / 10, |_| {
        worker.exchange(&one);
        worker.flush();
    });
}

/// What an exchange adds to the figures of its app and dyno, by one worker and beside another.
fn figures(rounds: usize) {
    let app = AppPlace::new(Arc::new(Room::new(100)));
    let dynos: [DynoPlace; 4] = Default::default();
    let ended = |i: usize| {
        let dyno_us = 500 + (i * 7919 % 50_000) as u32;
        let times = Times { dyno_us, client_us: 5, ..Times::default() };
        Ended { status: 200, fault: None, times: Some(times) }
    };
    let count = |i: usize| app.count(Some(&dynos[i % 4]), &ended(i), 1 + i as u64 / 1000);
    measure("figures of app and dyno", rounds, count);
    std::thread::scope(|scope| {
        scope.spawn(|| (0..rounds).for_each(count));
        measure("the same, beside another worker", rounds, count);
    });
    black_box(app.get().map(|figures| figures.seen(1).exchanges()));
}

fn measure(name: &str, rounds: usize, mut run: impl FnMut(usize)) {
    (0..rounds / 10).for_each(&mut run);
    let began = Instant::now();
    (0..rounds).for_each(&mut run);
    let nanos = began.elapsed().as_nanos() as f64 / rounds as f64;
    println!("{name}: {nanos:.1} ns");
}
