//! The figures of apps and dynos in the metrics.
//!
//! Invariants: an app shows in the order in which apps had their first exchange, so that one that
//! shows goes on to; so many apps, and so many dynos, at most.

use crate::{
    live::{
        Snapshot,
        histogram::Distribution,
        stats::{CLASSES, PARTS},
    },
    telemetry::{Families, SECONDS, Took},
};

/// The series of the first `most` of these apps that have figures, and of as many of their dynos.
pub(super) fn text(snapshot: &Snapshot, apps: &[Box<str>], most: usize, now_ms: u64) -> String {
    let mut families = Families::default();
    let with_figures = apps.iter().filter_map(|name| {
        let app = snapshot.app(name)?;
        Some((app, app.cell.figures.get()?.seen(now_ms)))
    });
    let mut dynos = most;
    for (app, seen) in with_figures.take(most) {
        let name = app.app.name.as_str();
        let parts = PARTS.into_iter().zip(&seen.ever).map(|(part, of)| (part, took(of)));
        families.app(name, app.cell.in_flight(), (seen.retries, seen.hedges), seen.faults(), parts);
        let shown = app.dynos.iter().filter_map(|live| Some((live, live.cell.figures.get()?)));
        for (live, figures) in shown.take(dynos) {
            dynos -= 1;
            let (seen, name) = (figures.seen(now_ms), (name, live.dyno.name.as_str()));
            let statuses = CLASSES.into_iter().zip(seen.statuses);
            let total = took(&seen.ever[0]);
            families.dyno(name, live.cell.in_flight(), statuses, seen.faults(), total);
        }
    }
    families.text()
}

fn took(of: &Distribution) -> Took {
    let within = SECONDS.map(|bound| of.within((bound * 1e6) as u64));
    Took { within, count: of.count(), sum_s: of.sum_us() as f64 / 1e6 }
}
