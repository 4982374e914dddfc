//! What must hold once the traffic is over.
//!
//! Invariant: what comes by itself is waited for, with a deadline; what then does not hold is a
//! failure in the ledger, never a panic, so that all of them are told at once.

use std::{
    io::Result,
    rc::Rc,
    time::{Duration, Instant},
};

use hostler::{
    api::{Client as Api, ClientError},
    error::Fault,
};
use serde_json::json;

use crate::{
    apps::{APPS, COMING, app_of},
    client::{Client, Ground},
    ledger::Ledger,
    report::Report,
    router::{Metrics, Router},
};

/// The part of the memory after the warm-up that may come on top of it.
const GROWTH: f64 = 0.1;
/// Memory that may come on top of that, in bytes: buffers that not every mix of requests takes.
const SLACK: u64 = 12 << 20;
/// How long what comes by itself may take.
const DEADLINE: Duration = Duration::from_secs(15);
/// Longer than a dyno is dead, and than the quarantine of the run.
pub const REST: Duration = Duration::from_millis(500);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(50);

/// Waits until both books are even, and nothing of the traffic is open.
pub async fn settle(router: &Router, ledger: &Ledger, report: &mut Report) -> Result<()> {
    let began = Instant::now();
    let (mut quiet, mut open) = (false, 0.0);
    while !quiet && began.elapsed() < DEADLINE {
        tokio::time::sleep(LOOK).await;
        open = router.metrics().await?.sum("hostler_connections_open ");
        report.descriptors[1] = router.descriptors()?;
        let back = report.descriptors[1].are_back(&report.descriptors[0]);
        quiet = open == 0.0 && back && ledger.is_even();
    }
    if open != 0.0 {
        ledger.fail(format!("{open} connections of clients are open, and there are no clients"));
    }
    let [before, after] = report.descriptors;
    if !after.are_back(&before) {
        ledger.fail(format!("{before} before, {after} after: some leaked"));
    }
    let [warm, _, end] = report.resident;
    let most = warm + (warm as f64 * GROWTH) as u64 + SLACK;
    if end > most {
        ledger.fail(format!("memory grew from {warm} to {end} bytes, over {most}"));
    }
    Ok(())
}

/// Every app is served, by a router that counts nothing as in flight: each app is left one dyno and
/// may have one exchange, so that a single one that was never settled is H11.
pub async fn serves(api: &Api, ground: Rc<Ground>) -> std::result::Result<(), ClientError> {
    // The last dyno that died is back by then, and out of quarantine.
    tokio::time::sleep(REST).await;
    let mut client = Client::new(ground.clone(), 0);
    for (host, count) in APPS {
        let app = app_of(host);
        let all = api.dynos(app).await?;
        debug_assert!(all.len() <= count + COMING);
        for dyno in all.iter().filter(|dyno| dyno.name != "web.0") {
            api.delete_dyno(app, &dyno.name).await?;
        }
        let body = json!({"maintenance": false, "settings": {"dynos.max_in_flight": 1}});
        api.patch_app(app, &body).await?;
        if let Err(error) = client.good("get", host, "GET", "", None).await {
            ground.ledger.fail(format!("once all was quiet: {error}"));
            client.forget();
        }
    }
    Ok(())
}

/// The metrics have the log's figures.
pub async fn figures(router: &Router, ledger: &Ledger, report: &mut Report) -> Result<()> {
    let began = Instant::now();
    let mut metrics = router.metrics().await?;
    let is_even = |metrics: &Metrics| ledger.is_even() && differences(metrics, ledger).is_empty();
    while !is_even(&metrics) && began.elapsed() < DEADLINE {
        tokio::time::sleep(LOOK).await;
        metrics = router.metrics().await?;
    }
    for difference in differences(&metrics, ledger) {
        ledger.fail(difference);
    }
    let dropped = metrics.sum("hostler_log_dropped_lines_total ");
    if dropped != 0.0 {
        ledger.fail(format!("{dropped} lines of the log were lost: the books cannot be even"));
    }
    report.metrics = counts(&metrics).collect();
    report.connections = [
        "hostler_connections_accepted_total ",
        "hostler_dyno_connects_total ",
        "hostler_dyno_reuses_total ",
        "hostler_retries_total ",
    ]
    .map(|name| metrics.sum(name) as u64);
    Ok(())
}

/// How often each code is in the metrics; what has none is the rest of all exchanges.
fn counts(metrics: &Metrics) -> impl Iterator<Item = (&'static str, u64)> {
    let of = |code: &str| metrics.sum(&format!("hostler_faults_total{{code=\"{code}\"}}")) as u64;
    let mut codes: Vec<_> = Fault::ALL.iter().map(|fault| fault.code()).collect();
    codes.sort_unstable();
    codes.dedup();
    let faults: Vec<_> = codes.into_iter().map(|code| (code, of(code))).collect();
    let all = metrics.sum("hostler_exchanges_total{") as u64;
    let amiss: u64 = faults.iter().map(|(_, count)| count).sum();
    faults.into_iter().chain([("", all.saturating_sub(amiss))])
}

fn differences(metrics: &Metrics, ledger: &Ledger) -> Vec<String> {
    let codes = ledger.codes();
    let logged = |code: &str| codes.get(code).map_or(0, |count| count.logged);
    counts(metrics)
        .filter(|(code, count)| logged(code) != *count)
        .map(|(code, n)| format!("{code:?}: {n} in the metrics, {} in the log", logged(code)))
        .collect()
}
