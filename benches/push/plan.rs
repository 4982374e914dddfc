//! How much is measured: the real size, or the smoke size, which only proves that all still works.
//!
//! Invariants: without `--bench`, which `cargo bench` passes and `cargo test` does not, the smoke
//! size runs and nothing else is read from the command line.

use std::{path::PathBuf, time::Duration};

use clap::Parser;

/// Measures pushes against a running router with traffic on.
#[derive(Debug, Clone, Parser)]
#[command(name = "cargo bench --bench push --", bin_name = "cargo bench --bench push --")]
pub struct Plan {
    /// Apps of the table, each with ten hosts and two dynos
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub apps: u32,
    /// Seconds of each measurement
    #[arg(long, default_value = "3", value_parser = seconds)]
    pub seconds: Duration,
    /// Seconds of traffic before each measurement
    #[arg(long, default_value = "0.5", value_parser = seconds)]
    pub warm_up: Duration,
    /// Pairs with and without each storm
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub pairs: u32,
    /// Pushes whose way to every worker is timed
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    pub probes: u32,
    /// Connections that push side by side
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=500))]
    pub pushers: u32,
    /// The directory below which the store is; by default that of the system for temporary files
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// Another Hostler binary than the one that cargo just built
    #[arg(long, value_name = "FILE", default_value = env!("CARGO_BIN_EXE_hostler"))]
    pub hostler: PathBuf,
    /// Passed by cargo
    #[arg(long, hide = true)]
    bench: bool,
}

fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(seconds) if (0.01..=600.0).contains(&seconds) => Ok(Duration::from_secs_f64(seconds)),
        _ => Err("seconds are a number from 0.01 to 600".to_owned()),
    }
}

impl Plan {
    /// What the command line asks for.
    pub fn read() -> Plan {
        if std::env::args().any(|argument| argument == "--bench") {
            return Plan::parse();
        }
        println!("smoke size: the figures mean nothing; `cargo bench --bench push` measures");
        let mut plan = Plan::parse_from(["push"]);
        (plan.apps, plan.pairs, plan.probes, plan.pushers) = (20, 1, 5, 4);
        (plan.seconds, plan.warm_up) = (Duration::from_millis(100), Duration::from_millis(20));
        plan
    }
}
