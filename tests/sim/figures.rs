//! What a run comes to, and the tables that people read.
//!
//! Invariants: a figure is rounded before it is compared with one that is written down; the tables
//! of README and docs are made by the functions that print them.

use hostler::route::BalanceAlgorithm as Algorithm;

use super::{
    dyno::Dyno,
    engine::{Chooser, Seen, Setting, run},
    scenarios::{Scenario, WEB},
};

/// Dynos of one slot, their load, and the most that are tried in their place.
const FEW: usize = 80;
const FEW_LOAD: f64 = 0.7;
const MOST: usize = 50 * FEW;
/// Whose p99 is no more than so many times another's is as quick.
const AS_QUICK: f64 = 1.05;

/// The default, with which all others are compared.
pub const DEFAULT: Algorithm = Algorithm::P2c;
/// Those of the tables, the default last.
pub const ALGORITHMS: [Algorithm; 5] =
    [Algorithm::Random, Algorithm::RoundRobin, Algorithm::Hash, Algorithm::LeastRequest, DEFAULT];

/// What one algorithm, or the oracle, made of a situation; times in milliseconds.
#[derive(Debug, Clone, Copy)]
pub struct Figures {
    /// Half of the requests took less.
    pub p50: f64,
    /// One in a hundred took more.
    pub p99: f64,
    /// One in a thousand took more.
    pub p999: f64,
    /// In a hundred.
    pub failed: f64,
    /// The fullest dyno beside the mean.
    pub imbalance: f64,
}

impl Figures {
    /// Of a run.
    pub fn of(setting: &Setting, chooser: Chooser, requests: usize, seed: u64) -> Figures {
        let Seen { took_us, failed, imbalance, .. } = run(setting, chooser, requests, seed);
        let rank = |share: f64| (took_us.len() as f64 * share).ceil() as usize;
        let at = |share| took_us[rank(share).clamp(1, took_us.len()) - 1] as f64 / 1000.0;
        let failed = 100.0 * failed as f64 / took_us.len() as f64;
        Figures { p50: at(0.5), p99: at(0.99), p999: at(0.999), failed, imbalance }
    }
}

/// What all of them made of a situation.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// The situation's name.
    pub name: &'static str,
    /// Of one queue for all.
    pub oracle: Figures,
    /// Of each of [`ALGORITHMS`].
    pub figures: [Figures; ALGORITHMS.len()],
}

impl Row {
    /// Runs them all.
    pub fn of(scenario: &Scenario, requests: usize, seed: u64) -> Row {
        let of = |chooser| Figures::of(&scenario.setting, chooser, requests, seed);
        Row {
            name: scenario.name,
            oracle: of(Chooser::Oracle),
            figures: ALGORITHMS.map(|algorithm| of(Chooser::Routers(algorithm))),
        }
    }

    /// The p99 of an algorithm.
    pub fn p99(&self, algorithm: Algorithm) -> f64 {
        let at = ALGORITHMS.iter().position(|known| *known == algorithm);
        self.figures[at.expect("it is in the tables")].p99
    }

    /// The p99 of an algorithm beside that of one queue for all.
    pub fn of_oracle(&self, algorithm: Algorithm) -> f64 {
        self.p99(algorithm) / self.oracle.p99
    }
}

/// The short table: what an algorithm's p99 is beside that of one queue for all.
pub fn short(rows: &[Row]) -> String {
    let mut text = "| p99 beside one queue for all |".to_owned();
    for algorithm in ALGORITHMS {
        text += &format!(" {} |", shown(algorithm));
    }
    text += &format!("\n|{}\n", " --- |".repeat(1 + ALGORITHMS.len()));
    for row in rows {
        let ratios = ALGORITHMS.map(|algorithm| ratio(row.of_oracle(algorithm)));
        text += &format!("| {} | {} |\n", row.name, ratios.join(" | "));
    }
    text
}

/// The whole table.
pub fn whole(rows: &[Row]) -> String {
    let mut text = "| situation | algorithm | p50 ms | p99 ms | p99.9 ms | failed % | imbalance | \
                    p99 of one queue's | p99 of least_request's |\n"
        .to_owned();
    text += &format!("|{}\n", " --- |".repeat(9));
    for row in rows {
        let least = row.p99(Algorithm::LeastRequest);
        let of = |name: &str, algorithm: &str, figures: &Figures| {
            let Figures { p50, p99, p999, failed, imbalance } = figures;
            let (one, least) = (ratio(p99 / row.oracle.p99), ratio(p99 / least));
            format!(
                "| {name} | {algorithm} | {p50:.0} | {p99:.0} | {p999:.0} | {failed:.2} | \
                 {imbalance:.2} | {one} | {least} |\n"
            )
        };
        text += &of(row.name, "one queue", &row.oracle);
        for (algorithm, figures) in ALGORITHMS.iter().zip(&row.figures) {
            text += &of("", shown(*algorithm), figures);
        }
    }
    text
}

/// How many dynos of one slot `random` needs to be as quick as others are with [`FEW`].
pub fn single(requests: usize, seed: u64) -> String {
    let p99 = |dynos: usize, routers: usize, chooser| {
        let load = FEW_LOAD * FEW as f64 / dynos as f64;
        let setting = Setting::of(vec![Dyno::of(1); dynos], routers, load, WEB);
        Figures::of(&setting, chooser, requests, seed).p99
    };
    let mut text =
        format!("| {FEW} dynos of one slot | routers | p99 ms | `random` needs dynos |\n");
    text += &format!("|{}\n", " --- |".repeat(4));
    for (algorithm, routers) in
        [(Algorithm::OneAtATime, 1), (Algorithm::OneAtATime, 4), (DEFAULT, 4)]
    {
        let there = p99(FEW, routers, Chooser::Routers(algorithm));
        // To `random` it is all the same how many routers there are.
        let random = |dynos| p99(dynos, 1, Chooser::Routers(Algorithm::Random));
        let mut enough = FEW;
        while enough < MOST && random(enough) > there * AS_QUICK {
            enough = enough * 5 / 4;
        }
        let enough = if enough < MOST { format!("{enough}") } else { format!("over {MOST}") };
        text += &format!("| {} | {routers} | {there:.0} | {enough} |\n", shown(algorithm));
    }
    text
}

/// An algorithm's name, the default marked.
fn shown(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::P2c => "**p2c**",
        other => other.as_str(),
    }
}

/// A ratio, as exactly as it matters.
fn ratio(ratio: f64) -> String {
    if ratio < 9.995 { format!("{ratio:.2}") } else { format!("{ratio:.0}") }
}
