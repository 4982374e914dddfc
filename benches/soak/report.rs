//! The figures of a run, and the short table at its end.
//!
//! Invariant: a report is good if there was no failure at all.

use std::{
    collections::BTreeMap,
    fmt,
    io::Result,
    time::{Duration, Instant},
};

use crate::{
    ledger::{Count, Ledger},
    router::{Descriptors, Router},
};

/// Between two looks at memory.
const LOOK: Duration = Duration::from_millis(500);
/// The longest warm-up: memory is measured against what it is then.
const WARM_UP: Duration = Duration::from_secs(60);

/// What a run came to.
#[derive(Default)]
pub struct Report {
    /// How long there was traffic.
    pub took: Duration,
    /// Pushes made.
    pub pushes: u64,
    /// How often a dyno died.
    pub deaths: u64,
    /// Resident memory after the warm-up, at most, and at the end of the traffic, in bytes.
    pub resident: [u64; 3],
    /// Open descriptors at the start, and once all was quiet again.
    pub descriptors: [Descriptors; 2],
    /// Connections of clients, connects to dynos, attempts on kept ones, attempts after the first.
    pub connections: [u64; 4],
    /// How often each code is in the metrics.
    pub metrics: BTreeMap<&'static str, u64>,
    codes: BTreeMap<&'static str, Count>,
    kinds: BTreeMap<&'static str, u64>,
    failed: u64,
    failures: Vec<String>,
}

impl Report {
    /// Of a run that begins with those descriptors open.
    pub fn new(descriptors: Descriptors) -> Report {
        Report { descriptors: [descriptors; 2], ..Report::default() }
    }

    /// Watches memory until the time is over.
    pub async fn watch(&mut self, router: &Router, began: Instant, time: Duration) -> Result<()> {
        let warm = (time / 4).min(WARM_UP);
        while began.elapsed() < time {
            tokio::time::sleep(LOOK.min(time.saturating_sub(began.elapsed()))).await;
            let resident = router.resident()?;
            if began.elapsed() <= warm || self.resident[0] == 0 {
                self.resident[0] = resident;
            }
            self.resident[1] = self.resident[1].max(resident);
            self.resident[2] = resident;
        }
        Ok(())
    }

    /// Takes what the ledger has, which is finished by this.
    pub fn close(&mut self, ledger: &Ledger) {
        ledger.finish();
        self.codes = ledger.codes();
        self.kinds = ledger.kinds();
        (self.failed, self.failures) = ledger.failures();
    }

    /// Was all as it should be?
    pub fn is_good(&self) -> bool {
        self.failed == 0
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n{:<16}{:>12}{:>12}{:>12}", "code", "clients", "log", "metrics")?;
        for (code, count) in &self.codes {
            let metric = self.metrics.get(code).copied().unwrap_or(0);
            let name = if code.is_empty() { "none" } else { code };
            writeln!(f, "{name:<16}{:>12}{:>12}{metric:>12}", count.seen, count.logged)?;
        }
        let requests: u64 = self.codes.values().map(|count| count.logged).sum();
        let seconds = self.took.as_secs_f64().max(0.001);
        let [accepted, connects, reuses, retries] = self.connections;
        let [warm, peak, end] = self.resident.map(|bytes| bytes as f64 / f64::from(1 << 20));
        let [before, after] = self.descriptors;
        let rate = |count: u64| count as f64 / seconds;
        writeln!(f)?;
        writeln!(f, "requests    {requests} in {seconds:.0} s, {:.0} a second", rate(requests))?;
        writeln!(f, "pushes      {}, {:.0} a second", self.pushes, rate(self.pushes))?;
        writeln!(f, "clients     {accepted} connections")?;
        writeln!(f, "dynos       {connects} connects, {reuses} reuses, {retries} attempts again")?;
        writeln!(f, "deaths      {} of dynos", self.deaths)?;
        writeln!(f, "memory      {warm:.1} MiB warm, {peak:.1} at most, {end:.1} at the end")?;
        writeln!(f, "descriptors {before} before; {after} after")?;
        let kinds: Vec<_> = self.kinds.iter().map(|(kind, n)| format!("{kind} {n}")).collect();
        writeln!(f, "kinds       {}", kinds.join(", "))?;
        writeln!(f, "failures    {}", self.failed)?;
        self.failures.iter().try_for_each(|failure| writeln!(f, "  {failure}"))
    }
}
