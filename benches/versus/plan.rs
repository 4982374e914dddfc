//! What is to be measured: read from the command line, or the smoke size, which only proves that
//! everything still works.
//!
//! Invariants: without `--bench`, which `cargo bench` passes and `cargo test` does not, the smoke
//! size runs and nothing else is read from the command line.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use serde::Serialize;

use crate::rival::Rival;
use crate::scenario::Scenario;

/// Measures Hostler against the proxies that are installed here.
#[derive(Debug, Clone, Parser, Serialize)]
#[command(name = "cargo bench --bench versus --", bin_name = "cargo bench --bench versus --")]
pub struct Plan {
    /// Rounds of each scenario; every rival has a turn in every round
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub rounds: u16,
    /// Seconds that a rival is under load in a round
    #[arg(long, default_value_t = 2.0, value_parser = seconds)]
    pub seconds: f64,
    /// Seconds of load before each measurement
    #[arg(long, default_value_t = 0.3, value_parser = seconds)]
    pub warm_up: f64,
    /// Scenarios, comma-separated
    #[arg(long, value_delimiter = ',', default_values_t = every::<Scenario>())]
    pub only: Vec<Scenario>,
    /// Who takes part, comma-separated; ratios need the relay
    #[arg(long, value_delimiter = ',', default_values_t = every::<Rival>())]
    pub rivals: Vec<Rival>,
    /// Connections of the scenarios with small answers
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub connections: u32,
    /// Connections of the scenarios with HTTP/2
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub h2_connections: u32,
    /// Streams of each of them at a time
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub streams: u32,
    /// Connections of the scenario with a slow dyno, over which its requests are spread
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub uneven_connections: u32,
    /// Connections of the scenarios with 10 MB bodies
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub big_connections: u32,
    /// Idle connections with TLS or HTTP/2
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u32).range(1..=60_000))]
    pub idle_tls: u32,
    /// Idle connections of plain HTTP/1.1; no more than the limit on open files allows
    #[arg(long, default_value_t = 8000, value_parser = clap::value_parser!(u32).range(1..=60_000))]
    pub idle: u32,
    /// Seconds that idle connections wait before memory is looked at
    #[arg(long, default_value_t = 3.0, value_parser = seconds)]
    pub wait: f64,
    /// Writes every round's figures to this file
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Another Hostler binary than the one that cargo just built
    #[arg(long, value_name = "FILE", default_value = env!("CARGO_BIN_EXE_hostler"))]
    pub hostler: PathBuf,
    /// Passed by cargo
    #[arg(long, hide = true)]
    bench: bool,
}

fn every<T: ValueEnum>() -> Vec<T> {
    T::value_variants().to_vec()
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.01..=600.0).contains(&seconds) => Ok(seconds),
        _ => Err("seconds are a number from 0.01 to 600".to_owned()),
    }
}

impl Plan {
    /// What the command line asks for.
    pub fn read() -> Plan {
        if std::env::args().any(|argument| argument == "--bench") {
            return Plan::parse();
        }
        println!("smoke size: the figures mean nothing; `cargo bench --bench versus` measures");
        let mut plan = Plan::parse_from(["versus"]);
        (plan.rounds, plan.seconds, plan.warm_up, plan.wait) = (1, 0.05, 0.02, 0.02);
        (plan.connections, plan.big_connections, plan.h2_connections) = (8, 2, 2);
        (plan.idle, plan.idle_tls, plan.uneven_connections) = (50, 20, 32);
        // Each of these starts every rival anew; the two others go through the same code.
        plan.only.retain(|scenario| !matches!(scenario, Scenario::TlsIdle | Scenario::H2Idle));
        plan
    }
}
