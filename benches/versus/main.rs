//! Hostler end to end against its rivals: same dyno, same load, equal features, interleaved rounds.
//! `README.md` beside this file says what is measured and how to read it.
//!
//! Invariants: nothing but loopback is contacted, on ports that were free; every process that is
//! started ends with the run, however that ends; without `--bench` a smoke size runs, which also
//! passes where no rival is installed.
#![deny(unsafe_code, unused_must_use)]
#![warn(missing_docs, rust_2018_idioms)]

mod answer;
mod ask;
mod check;
mod child;
mod client;
mod dyno;
mod failure;
mod frames;
mod goals;
mod hostler;
mod load;
mod measure;
mod open;
mod plan;
mod proxies;
mod relay;
mod report;
mod rival;
mod rounds;
mod scenario;
mod secure;
mod setups;
mod uneven;
mod wire;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::atomic::Ordering;

use child::{Child, Place};
use failure::{During, Failure};
use plan::Plan;
use proxies::{Ground, Proxy};
use report::Report;
use rival::Rival;
use scenario::Work;
use secure::Certificate;

/// Descriptors that the load needs besides its connections.
const SPARE_FILES: u64 = 200;

fn main() -> ExitCode {
    let result = match child::play_role() {
        Some(failure) => Err(failure),
        None => run(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("versus: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Failure> {
    let mut plan = Plan::read();
    stop_on_ctrl_c()?;
    let open_files = measure::raise_open_files()?;
    // The relay needs two descriptors for a connection, the most of all.
    let most = u32::try_from(open_files.saturating_sub(SPARE_FILES) / 2).unwrap_or(u32::MAX);
    if plan.idle > most {
        println!("idle connections: {most}, not {}: open files are limited", plan.idle);
        plan.idle = most;
    }
    let cores = measure::cores()?;
    let dir = tempfile::Builder::new().prefix("hostler-versus-").tempdir();
    let dir = dir.during("making a directory for the run")?;
    let place = Place { core: cores.dyno, dir: dir.path() };
    let (dyno, dynos) = Child::role("dyno", &place, &[])?;
    let (slow_dyno, uneven) = Child::role("uneven", &place, &[])?;
    let certificate = Certificate::make(dir.path())?;
    let hostler = plan.hostler.clone();
    let ground = Ground {
        dynos_of_all: [dyno, slow_dyno],
        cores,
        certificate,
        dir,
        dynos,
        uneven,
        open_files,
        hostler,
    };
    let versions = present(&mut plan, &ground)?;
    describe(&ground, &versions);
    if let Some(core) = cores.load {
        measure::bind_to(core)?;
    }

    let mut report = Report::default();
    compare(&plan, &ground, &mut report)?;
    if let Some(path) = &plan.json {
        let text = format!("{:#}\n", report.json(&plan, &versions));
        std::fs::write(path, text).during(&path.display().to_string())?;
    }
    Ok(())
}

/// Lets Ctrl-C end the run in order: processes stopped, files removed.
fn stop_on_ctrl_c() -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.during("the runtime that waits for Ctrl-C")?;
    std::thread::spawn(move || match runtime.block_on(tokio::signal::ctrl_c()) {
        Ok(()) => load::INTERRUPTED.store(true, Ordering::Relaxed),
        Err(error) => eprintln!("Ctrl-C will not clean up: {error}"),
    });
    Ok(())
}

/// Leaves out who is not installed, and says what to install; the versions of the others.
fn present(plan: &mut Plan, ground: &Ground) -> Result<BTreeMap<&'static str, String>, Failure> {
    let mut versions = BTreeMap::new();
    let mut rivals = Vec::new();
    for rival in std::mem::take(&mut plan.rivals) {
        match rival.find(&ground.hostler) {
            Ok(program) => {
                versions.insert(rival.name(), rival.version(&program)?);
                rivals.push(rival);
            }
            Err(why) => println!("{} is left out: {why}", rival.name()),
        }
    }
    plan.rivals = rivals;
    Ok(versions)
}

fn describe(ground: &Ground, versions: &BTreeMap<&'static str, String>) {
    match ground.cores {
        measure::Cores { proxy: Some(proxy), load: Some(load), dyno: Some(dyno) } => {
            println!("proxy on core {proxy}, load on core {load}, dyno on core {dyno}");
        }
        _ => println!("a single core for all: times include waiting for each other"),
    }
    versions.iter().for_each(|(name, version)| println!("{name}: {version}"));
}

/// Runs every scenario: each round gives every rival a turn, beginning with another one each time.
fn compare(plan: &Plan, ground: &Ground, report: &mut Report) -> Result<(), Failure> {
    let mut running: BTreeMap<Rival, Proxy> = BTreeMap::new();
    if plan.only.iter().any(|scenario| scenario.work() != Work::Idle) {
        for rival in &plan.rivals {
            running.insert(*rival, proxies::start(*rival, ground)?);
        }
    }
    for scenario in &plan.only {
        for round in 0..usize::from(plan.rounds) {
            let rivals = plan.rivals.iter().filter(|rival| rival.takes_part(*scenario));
            let mut rivals: Vec<Rival> = rivals.copied().collect();
            let shift = round % rivals.len().max(1);
            rivals.rotate_left(shift);
            for rival in &rivals {
                let sample = match running.get(rival) {
                    Some(proxy) if scenario.work() != Work::Idle => {
                        rounds::under_load(proxy, *scenario, ground, plan)
                    }
                    _ => rounds::idle(*rival, *scenario, ground, plan),
                };
                let sample = sample.inspect_err(|_| {
                    eprintln!("in round {} of {}, {}:", round + 1, scenario, rival.name());
                })?;
                report.add(*scenario, *rival, sample);
            }
        }
        println!("{}", report.table(*scenario, plan).trim_end());
    }
    Ok(())
}
