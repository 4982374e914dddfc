//! Storms of pushes against the running router with traffic on, each figure beside its budget.
//!
//! The router is the built binary with two workers; load, dynos and pushers are threads of this
//! process on the same machine, and traffic flows at half of saturation: at the rate at which all
//! of them together, without a push, keep the cores half busy.
//! Measured: single pushes and changes in batches, as many as go (each durable before its answer);
//! from the start of a push to the first moment at which every worker serves it; and what each
//! storm, at the rate of its budget, does to the p99 of the traffic, in interleaved pairs.
//!
//! Invariants: nothing but loopback is contacted, on ports that were free; the run ends by itself;
//! an answer other than the expected one ends it; without `--bench` a smoke size runs, whose
//! figures mean nothing. `--dir DIR` puts the store on the disk that is meant.
#![deny(unsafe_code, unused_must_use)]
#![warn(rust_2018_idioms)]

#[allow(dead_code, reason = "the dyno's part of it is used here")]
#[path = "../versus/answer.rs"]
mod answer;
#[allow(dead_code, reason = "here it runs in this process")]
#[path = "../versus/dyno.rs"]
mod dyno;
mod effect;
#[allow(dead_code, reason = "it tells of more than can fail here")]
#[path = "../versus/failure.rs"]
mod failure;
mod http;
#[allow(dead_code, reason = "the clocks of it are used here")]
#[path = "../versus/measure.rs"]
mod measure;
mod plan;
mod report;
mod router;
mod storm;
mod table;
mod traffic;

use std::{
    net::TcpListener,
    process::ExitCode,
    thread,
    time::{Duration, Instant},
};

use failure::{During, Failure};
use plan::Plan;
use report::{Budget, quantile};
use router::Router;
use storm::{Kind, Storm};
use traffic::Traffic;

/// Steps in which the rate of the traffic is found.
const STEPS: usize = 3;

fn main() -> ExitCode {
    match run(&Plan::read()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("push: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(plan: &Plan) -> Result<(), Failure> {
    let dynos = dyno::listen(dyno::LISTENERS).during("the listeners of the dynos")?;
    let address = |listener: &TcpListener| listener.local_addr().during("a dyno's address");
    let addresses = dynos.iter().map(address).collect::<Result<Vec<_>, _>>()?;
    thread::spawn(move || match dyno::serve(dynos) {
        Ok(()) => {}
        Err(error) => eprintln!("push: the dynos ended: {error}"),
    });
    let router = Router::start(plan)?;
    table::fill(&router, plan, &addresses)?;
    println!("a write of 4 KiB made durable: {:.2?}", router.durable_write()?);

    let mut traffic = Traffic::new(router.http, plan)?;
    let rate = half_of_saturation(plan, &router, &mut traffic)?;

    throughput(plan, &router, &mut traffic, rate)?;
    effect(plan, &router, &mut traffic, rate)?;
    for kind in [Kind::Single, Kind::Batch] {
        pairs(plan, &router, &mut traffic, rate, kind)?;
    }
    router.end()
}

/// The rate at which the cores are half busy: what a request costs depends on the rate, so that it
/// is found in steps.
fn half_of_saturation(plan: &Plan, router: &Router, traffic: &mut Traffic) -> Result<f64, Failure> {
    traffic.saturate(plan.warm_up)?;
    let most = traffic.saturate(plan.warm_up)?;
    let cores = thread::available_parallelism().during("the number of cores")?.get() as f64;
    let ours = [std::process::id(), router.pid()];
    let mut rate = most / 4.0;
    for _ in 0..STEPS {
        let (began, before) = (Instant::now(), measure::cpu_time(&ours)?);
        traffic.flow(rate, plan.warm_up)?;
        let busy = (measure::cpu_time(&ours)? - before).as_secs_f64();
        rate *= 0.5 * cores * began.elapsed().as_secs_f64() / busy;
        rate = rate.min(most);
    }
    println!("traffic: {most:.0} requests/s at most in a closed loop, {rate:.0} from here on");
    Ok(rate)
}

/// As many pushes as go, while traffic flows.
fn throughput(
    plan: &Plan,
    router: &Router,
    traffic: &mut Traffic,
    rate: f64,
) -> Result<(), Failure> {
    for (kind, what, budget) in [
        (Kind::Single, "single pushes a second", 2_000.0),
        (Kind::Batch, "changes a second in batches", 10_000.0),
    ] {
        let storm = Storm::start(router, plan, kind, None)?;
        traffic.flow(rate, plan.warm_up + plan.seconds)?;
        let seen = storm.end()?;
        report::figure(what, seen.rate(), 0, Budget::AtLeast(budget));
        let (p50, p99) = (quantile(&seen.latency, 0.5), quantile(&seen.latency, 0.99));
        println!("  each answered in {p50:.2?} at the median, {p99:.2?} at p99");
    }
    Ok(())
}

/// From a push to its effect on every worker, while traffic flows.
fn effect(plan: &Plan, router: &Router, traffic: &mut Traffic, rate: f64) -> Result<(), Failure> {
    let probe = effect::Probe::start(router, plan)?;
    while !probe.is_over() {
        traffic.flow(rate, Duration::from_millis(100))?;
    }
    let seen = probe.end()?;
    let ms = |share| quantile(&seen, share).as_secs_f64() * 1e3;
    report::figure("ms from push to effect on every worker, p50", ms(0.5), 2, Budget::None);
    report::figure(
        "ms from push to effect on every worker, p99",
        ms(0.99),
        2,
        Budget::AtMost(10.0),
    );
    Ok(())
}

/// The p99 of the traffic with a storm over that without, in pairs.
fn pairs(
    plan: &Plan,
    router: &Router,
    traffic: &mut Traffic,
    rate: f64,
    kind: Kind,
) -> Result<(), Failure> {
    let (mut ratios, mut rates) = (Vec::new(), Vec::new());
    let mut legs = [Vec::new(), Vec::new()];
    for pair in 0..plan.pairs as usize {
        let mut p99 = [0.0; 2];
        // Each goes first as often as second.
        for turn in [pair % 2, (pair + 1) % 2] {
            let storm = match turn {
                0 => None,
                _ => Some(Storm::start(router, plan, kind, Some(kind.rate()))?),
            };
            traffic.flow(rate, plan.warm_up)?;
            let seen = traffic.flow(rate, plan.seconds)?;
            if let Some(storm) = storm {
                rates.push(storm.end()?.rate());
            }
            p99[turn] = seen.value_at_quantile(0.99) as f64 / 1e3;
            legs[turn].push(p99[turn]);
        }
        ratios.push(p99[1] / p99[0]);
    }
    report::pairs(kind.title(), &mut ratios, &mut legs);
    report::figure(
        "  changes a second of the storms",
        report::median(&mut rates).0,
        0,
        kind.budget(),
    );
    Ok(())
}
