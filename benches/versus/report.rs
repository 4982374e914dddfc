//! From the rounds' samples to tables and JSON: medians, spread, ratios within the same round.
//!
//! Invariants: a ratio is taken round by round between two rivals that ran within seconds of each
//! other, and only then is the median taken, so that a noisy minute cancels out; the first figure
//! of a scenario is the one that ratios are about.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::goals::{IDLE_TLS, goal};
use crate::plan::Plan;
use crate::rival::Rival;
use crate::scenario::{Scenario, Work};

/// A column of a scenario's table.
pub struct Figure {
    /// Its name in JSON, with the unit.
    pub key: &'static str,
    /// Its heading.
    pub heading: &'static str,
    /// Digits after the point.
    digits: usize,
}

const fn figure(key: &'static str, heading: &'static str, digits: usize) -> Figure {
    Figure { key, heading, digits }
}

/// CPU that processes outside the comparison took, in hundredths of a core.
const OTHERS: &str = "others_busy_percent";

/// More than this, in hundredths of a core, and the rivals did not run under the same conditions.
const QUIET: f64 = 10.0;

/// What all scenarios under load have in common.
const fn under_load(first: Figure, second: Figure) -> [Figure; 8] {
    [
        first,
        second,
        figure("p50_us", "p50 us", 0),
        figure("p99_us", "p99 us", 0),
        figure("proxy_busy_percent", "proxy busy %", 0),
        figure("load_busy_percent", "load busy %", 0),
        figure(OTHERS, "others busy %", 0),
        figure("log_lines_per_request", "log lines/request", 3),
    ]
}

const REQUESTS: &[Figure] = &under_load(
    figure("cpu_us_per_request", "CPU us/request", 1),
    figure("requests_per_s", "requests/s", 0),
);

const HANDSHAKES: &[Figure] = &under_load(
    figure("connections_per_cpu_s", "connections/CPU s", 0),
    figure("connections_per_s", "connections/s", 0),
);

const BODIES: &[Figure] =
    &under_load(figure("gb_per_cpu_s", "GB/CPU s", 2), figure("gb_per_s", "GB/s", 2));

const UNEVEN: &[Figure] = &[
    figure("p99_us", "p99 us", 0),
    figure("p50_us", "p50 us", 0),
    figure("p999_us", "p99.9 us", 0),
    figure("requests_per_s", "requests/s", 0),
    figure("cpu_us_per_request", "CPU us/request", 1),
    figure("proxy_busy_percent", "proxy busy %", 0),
    figure("load_busy_percent", "load busy %", 0),
    figure(OTHERS, "others busy %", 0),
    figure("log_lines_per_request", "log lines/request", 3),
];

const IDLE: &[Figure] = &[
    figure("bytes_per_connection", "bytes/connection", 0),
    figure("mib_before", "MiB before", 1),
    figure("mib_after", "MiB after", 1),
];

/// The figures of a scenario, in the order in which its samples hold them.
pub fn figures(scenario: Scenario) -> &'static [Figure] {
    match scenario.work() {
        Work::Fresh | Work::Resumed if scenario.way().is_tls() => HANDSHAKES,
        Work::Kept | Work::Fresh | Work::Resumed => REQUESTS,
        Work::Big | Work::Upload => BODIES,
        Work::Uneven => UNEVEN,
        Work::Idle => IDLE,
    }
}

/// Printed under a table whose rows do not compare; `README.md` has the experiment behind it.
const SHARED: &str = "\
NOT COMPARABLE: other processes used the machine. The scheduler then treats rivals unlike: one with
two busy threads on its core keeps it, one with a single thread shares it, and who shares pays for
cold caches. No column compares, not even CPU per request. Repeat this on a quiet machine.
";

/// One rival's figures of one round; `None` where it has no such figure.
pub type Sample = Vec<Option<f64>>;

/// Every sample of the run, a rival's in the order of the rounds.
#[derive(Default)]
pub struct Report {
    samples: BTreeMap<(Scenario, Rival), Vec<Sample>>,
}

/// A median and what it lies between.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Spread {
    median: f64,
    min: f64,
    max: f64,
}

fn spread(mut values: Vec<f64>) -> Option<Spread> {
    values.sort_by(f64::total_cmp);
    let (min, max) = (*values.first()?, *values.last()?);
    let middle = values.len() / 2;
    let median = match values.len() % 2 {
        0 => (values[middle - 1] + values[middle]) / 2.0,
        _ => values[middle],
    };
    Some(Spread { median, min, max })
}

impl Report {
    /// Takes a rival's figures of the next round.
    pub fn add(&mut self, scenario: Scenario, rival: Rival, sample: Sample) {
        self.samples.entry((scenario, rival)).or_default().push(sample);
    }

    fn column(&self, scenario: Scenario, rival: Rival, index: usize) -> Option<Spread> {
        let samples = self.samples.get(&(scenario, rival))?;
        spread(samples.iter().filter_map(|sample| sample[index]).collect())
    }

    /// The first figure of one rival over that of another, round by round.
    fn ratio(&self, scenario: Scenario, rival: Rival, over: Rival) -> Option<Spread> {
        let mine = self.samples.get(&(scenario, rival))?;
        let theirs = self.samples.get(&(scenario, over))?;
        let pairs = mine.iter().zip(theirs);
        spread(pairs.filter_map(|(mine, theirs)| Some(mine[0]? / theirs[0]?)).collect())
    }

    /// A table of the scenario: a row a rival, `median [min..max]` in each column.
    pub fn table(&self, scenario: Scenario, plan: &Plan) -> String {
        let figures = figures(scenario);
        let mut rows = vec![vec!["rival".to_owned(), figures[0].heading.to_owned()]];
        let has_relay = self.samples.contains_key(&(scenario, Rival::Relay));
        rows[0].extend(has_relay.then(|| "of the relay".to_owned()));
        rows[0].extend(figures[1..].iter().map(|figure| figure.heading.to_owned()));
        for rival in self.rivals(scenario) {
            let mut row = vec![rival.name().to_owned()];
            for (index, figure) in figures.iter().enumerate() {
                row.push(show(self.column(scenario, rival, index), figure.digits));
                if index == 0 && has_relay {
                    row.push(show(self.ratio(scenario, rival, Rival::Relay), 2));
                }
            }
            rows.push(row);
        }
        let mut text = format!("\n{}\n{}", scenario.title(plan), align(&rows));
        for over in self.rivals(scenario).filter(|rival| *rival != Rival::Hostler) {
            if let Some(ratio) = self.ratio(scenario, Rival::Hostler, over) {
                let heading = figures[0].heading;
                let Spread { median, min, max } = ratio;
                let goal = goal(scenario, over).map(|goal| goal.verdict([min, median, max]));
                let goal = goal.map(|goal| format!(" ({goal})")).unwrap_or_default();
                let ratio = show(Some(ratio), 2);
                text += &format!("{heading}, hostler over {}: {ratio}{goal}\n", over.name());
            }
        }
        let idle = self.column(scenario, Rival::Hostler, 0);
        if let (Scenario::TlsIdle, Some(idle)) = (scenario, idle) {
            let word = if idle.median <= IDLE_TLS { "reached" } else { "MISSED" };
            text += &format!("bytes/connection, hostler (goal at most {IDLE_TLS}: {word})\n");
        }
        if self.is_shared(scenario) {
            text += SHARED;
        }
        text
    }

    /// Did others use the machine while some rival was measured?
    fn is_shared(&self, scenario: Scenario) -> bool {
        let figures = figures(scenario);
        let Some(index) = figures.iter().position(|figure| figure.key == OTHERS) else {
            return false;
        };
        let others = |rival| self.column(scenario, rival, index);
        self.rivals(scenario).filter_map(others).any(|spread| spread.median > QUIET)
    }

    fn rivals(&self, scenario: Scenario) -> impl Iterator<Item = Rival> {
        let keys = self.samples.keys().copied();
        keys.filter(move |key| key.0 == scenario).map(|(_, rival)| rival)
    }

    /// Everything, for machines.
    pub fn json(&self, plan: &Plan, versions: &BTreeMap<&str, String>) -> Value {
        let mut scenarios = serde_json::Map::new();
        for scenario in &plan.only {
            let mut rivals = serde_json::Map::new();
            for rival in self.rivals(*scenario) {
                let mut entries = serde_json::Map::new();
                for (index, figure) in figures(*scenario).iter().enumerate() {
                    let all = &self.samples[&(*scenario, rival)];
                    let rounds: Vec<_> = all.iter().map(|sample| sample[index]).collect();
                    let spread = self.column(*scenario, rival, index);
                    entries.insert(figure.key.to_owned(), entry(spread, Some(rounds)));
                }
                let ratio = self.ratio(*scenario, rival, Rival::Relay);
                entries.insert("of_the_relay".to_owned(), entry(ratio, None));
                rivals.insert(rival.name().to_owned(), Value::Object(entries));
            }
            rivals.insert("shared".to_owned(), Value::Bool(self.is_shared(*scenario)));
            rivals.insert("title".to_owned(), Value::String(scenario.title(plan)));
            scenarios.insert(scenario.to_string(), Value::Object(rivals));
        }
        json!({ "plan": plan, "versions": versions, "scenarios": scenarios })
    }
}

fn entry(spread: Option<Spread>, rounds: Option<Vec<Option<f64>>>) -> Value {
    let Some(Spread { median, min, max }) = spread else { return Value::Null };
    match rounds {
        Some(rounds) => json!({ "median": median, "min": min, "max": max, "rounds": rounds }),
        None => json!({ "median": median, "min": min, "max": max }),
    }
}

fn show(spread: Option<Spread>, digits: usize) -> String {
    match spread {
        Some(Spread { median, min, max }) => {
            format!("{median:.digits$} [{min:.digits$}..{max:.digits$}]")
        }
        None => "-".to_owned(),
    }
}

fn align(rows: &[Vec<String>]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..rows[0].len()).map(width).collect();
    let mut text = String::new();
    for row in rows {
        for (cell, width) in row.iter().zip(&widths) {
            text += &format!("{cell:<width$}  ");
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
    }
    text
}
