//! `hostler stats`: what an app and its dynos are doing, and how long it takes.
//!
//! Invariant: times are those of the last half minute to minute, unless those since the start are
//! asked for; what is not known is a dash.

use std::{collections::BTreeMap, time::Duration};

use clap::Args;

use super::{args::Api, failure::Failure, output};
use crate::api::{
    AppStats, Client, DynoStats, FiguresView, PartView, ShadowView, TimesView, TurnView,
};

/// `hostler stats`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  hostler stats blog\n  hostler stats blog --since-start")]
pub(super) struct Stats {
    /// The app
    app: String,
    /// Tell the times since the start of the router, not only the last ones
    #[arg(long)]
    since_start: bool,
    #[command(flatten)]
    pub(super) api: Api,
}

impl Stats {
    /// Does the command and answers what to print.
    pub(super) async fn run(&self, client: &Client) -> Result<String, Failure> {
        let stats = client.stats(&self.app).await?;
        Ok(if self.api.json { output::json(&stats) } else { self.told(&stats) })
    }

    fn times<'a>(&self, figures: &'a FiguresView) -> &'a TimesView {
        if self.since_start { &figures.since_start } else { &figures.recent }
    }

    /// The figures for people.
    fn told(&self, stats: &AppStats) -> String {
        let AppStats { app, in_flight, waiting, connections, .. } = stats;
        let mut text = format!(
            "App {app}: {in_flight} in flight, {waiting} waiting, {connections} connections\n"
        );
        match &stats.figures {
            Some(figures) => text += &self.told_figures(figures),
            None => text += "It has no figures: no exchange yet, or no room for them\n",
        }
        if let Some(ShadowView { exchanges, acting, shadow, even, waited }) = stats.shadow {
            text +=
                &format!("\nOf {exchanges} exchanges one found {acting:.2} others on its dyno; ");
            text += &format!("by the shadow it were {shadow:.2}, spread evenly {even:.2}; ");
            text += &format!("by the shadow {waited} had waited in line\n");
        }
        if !stats.dynos.is_empty() {
            let rows: Vec<_> = stats.dynos.iter().map(|dyno| self.row(dyno)).collect();
            let names =
                ["DYNO", "STATE", "IN FLIGHT", "ENDED", "5XX", "FAULTS", "RETRIES", "P50", "P99"];
            text.push('\n');
            text += &output::table(names, &rows);
        }
        let turns = |dyno: &DynoStats| dyno.past.iter().map(|turn| told_turn(dyno, turn)).collect();
        let turns: Vec<[String; 4]> = stats.dynos.iter().flat_map::<Vec<_>, _>(turns).collect();
        if !turns.is_empty() {
            text.push('\n');
            text += &output::table(["DYNO", "WHEN", "WHAT", "WHY"], &turns);
        }
        text.lines().map(|line| output::printable(line) + "\n").collect()
    }

    fn told_figures(&self, figures: &FiguresView) -> String {
        let (ended, retries) = (figures.exchanges, figures.retries);
        let mut text = format!(
            "Since the start {ended} exchanges ended ({}), {retries} attempts were made again\n",
            counts(&figures.statuses)
        );
        if figures.hedges > 0 {
            let (hedges, won) = (figures.hedges, figures.hedges_won);
            text += &format!("{hedges} went to a second dyno too, which served {won} of them\n");
        }
        if !figures.faults.is_empty() {
            text += &format!("Faults: {}\n", counts(&figures.faults));
        }
        let times = self.times(figures);
        text += &format!("\nOf {} exchanges in {:.0} s:\n", times.exchanges, times.window_s);
        let TimesView { total, queue, connect, dyno, client, .. } = times;
        let parts = [
            ("total", total),
            ("queue", queue),
            ("connect", connect),
            ("dyno", dyno),
            ("client", client),
        ];
        let rows = parts.map(|(name, part)| part_row(name, part.as_ref()));
        text += &output::table(["PART", "P50", "P90", "P99", "P99.9", "MEAN"], &rows);
        text
    }

    fn row(&self, dyno: &DynoStats) -> [String; 9] {
        let figures = dyno.figures.as_ref();
        let number = |value: Option<u64>| value.map_or("-".into(), |value| value.to_string());
        let total = figures.and_then(|figures| self.times(figures).total);
        let time =
            |of: fn(PartView) -> f64| total.map_or("-".into(), |total| output::millis(of(total)));
        let failed = |figures: &FiguresView| figures.statuses.get("5xx").copied().unwrap_or(0);
        [
            dyno.name.clone(),
            match (dyno.quarantine_ms, dyno.ejected_ms) {
                (0, 0) => dyno.state.clone(),
                (0, _) => "ejected".into(),
                _ => "quarantined".into(),
            },
            dyno.in_flight.to_string(),
            number(figures.map(|figures| figures.exchanges)),
            number(figures.map(failed)),
            number(figures.map(|figures| figures.faults.values().sum())),
            number(figures.map(|figures| figures.retries)),
            time(|total| total.p50_ms),
            time(|total| total.p99_ms),
        ]
    }
}

fn told_turn(dyno: &DynoStats, turn: &TurnView) -> [String; 4] {
    let until = turn.until_ms.map_or(String::new(), |until_ms| {
        format!(" for {:?}", Duration::from_millis(until_ms.saturating_sub(turn.at_ms)))
    });
    let what = format!("{}{until}", turn.what);
    [dyno.name.clone(), output::time(turn.at_ms), what, turn.why.clone()]
}

fn part_row(name: &str, part: Option<&PartView>) -> [String; 6] {
    let Some(PartView { mean_ms, p50_ms, p90_ms, p99_ms, p999_ms }) = part else {
        return [name, "-", "-", "-", "-", "-"].map(Into::into);
    };
    let [p50, p90, p99, p999, mean] =
        [p50_ms, p90_ms, p99_ms, p999_ms, mean_ms].map(|ms| output::millis(*ms));
    [name.into(), p50, p90, p99, p999, mean]
}

fn counts(of: &BTreeMap<String, u64>) -> String {
    let shown: Vec<_> = of.iter().map(|(what, count)| format!("{what} {count}")).collect();
    shown.join(", ")
}
