//! The soak: mixed traffic of every kind through one router for a long time, with pushes at a
//! steady rate, and then the books. `SOAK_SECONDS` says how long, `SOAK_SEED` repeats the choices.
//!
//! It fails if
//! * a request came to anything but what its kind names (`kinds`,
//!   `amiss`, `leave`);
//! * the log's word on a request is not its client's: status, fault's code, length of the body;
//!   clients that left count as H27, before an answer with 499, behind a head with its status;
//! * the metrics have other figures than the log, or the log lost a line;
//! * memory at the end is over that after the warm-up by more than `check::GROWTH` and
//!   `check::SLACK`, or a descriptor stays open that was not at the start, but for pipes
//!   that are kept for the next transfer;
//! * an exchange is still in flight by the router's own count;
//! * the router does not serve every app at the end, or does not exit 0 on SIGTERM.
//!
//! Invariants: load and dynos are threads of this process, nothing but loopback is contacted, on
//! ports that were free; the run ends by itself; under `cargo test` a smoke size of 5 s runs.
#![deny(unsafe_code, unused_must_use)]
#![warn(rust_2018_idioms)]

mod amiss;
mod apps;
mod check;
mod client;
mod dyno;
mod kinds;
mod leave;
mod ledger;
mod push;
mod report;
mod router;
mod wire;

use std::{
    cell::Cell,
    error::Error,
    process::ExitCode,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use client::{Client, Ground};
use ledger::Ledger;
use push::Pusher;
use report::Report;
use router::Router;

/// Clients that ask side by side.
const CLIENTS: u64 = 48;
/// The longest that a single step of a client may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a client stands still after a step that failed, so that failures stay readable.
const SULK: Duration = Duration::from_secs(1);

type Failure = Box<dyn Error>;

fn main() -> ExitCode {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>());
    let is_bench = std::env::args().any(|argument| argument == "--bench");
    let seconds = number("SOAK_SECONDS").unwrap_or(Ok(if is_bench { 600 } else { 5 }));
    let seed = number("SOAK_SEED").unwrap_or(Ok(fastrand::u64(..)));
    let (Ok(seconds @ 2..=86_400), Ok(seed)) = (seconds, seed) else {
        eprintln!("soak: SOAK_SECONDS is a number from 2 to 86400, SOAK_SEED one too");
        return ExitCode::FAILURE;
    };
    println!("soak of {seconds} s, SOAK_SEED={seed}");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let local = tokio::task::LocalSet::new();
    let ran = runtime
        .map_err(Failure::from)
        .and_then(|runtime| local.block_on(&runtime, run(Duration::from_secs(seconds), seed)));
    match ran {
        Ok(report) => {
            print!("{report}");
            if report.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(failure) => {
            eprintln!("soak: {failure}");
            ExitCode::FAILURE
        }
    }
}

async fn run(time: Duration, seed: u64) -> Result<Report, Failure> {
    let ledger = Arc::new(Ledger::default());
    let dynos = apps::Dynos::start()?;
    let mut router = Router::start(ledger.clone())?;
    let api = router.api();
    apps::push(&api, &dynos).await?;
    let ground =
        Rc::new(Ground { http: router.http, ledger: ledger.clone(), stopping: Cell::new(false) });
    // The last call of the push API has to be closed on the other side too.
    tokio::time::sleep(check::REST).await;
    let mut report = Report::new(router.descriptors()?);

    let began = Instant::now();
    let clients: Vec<_> = (0..CLIENTS)
        .map(|at| tokio::task::spawn_local(soak(Client::new(ground.clone(), seed ^ at))))
        .collect();
    let addrs = Rc::new(dynos.addrs.last().cloned().unwrap_or_default());
    let pushers: Vec<_> = (0..push::PUSHERS)
        .map(|at| Pusher { at, api: api.clone(), addrs: addrs.clone(), ground: ground.clone() })
        .map(|pusher| tokio::task::spawn_local(pusher.run()))
        .collect();
    report.watch(&router, began, time).await?;
    ground.stopping.set(true);
    dynos.stay();
    for client in clients {
        client.await?;
    }
    for pusher in pushers {
        report.pushes += pusher.await?;
    }
    report.took = began.elapsed();

    check::settle(&router, &ledger, &mut report).await?;
    check::serves(&api, ground.clone()).await?;
    check::figures(&router, &ledger, &mut report).await?;
    match router.end() {
        Ok(status) if status.code() == Some(0) => {}
        Ok(status) => ledger.fail(format!("the router ended with {status}")),
        Err(error) => ledger.fail(error.to_string()),
    }
    report.deaths = dynos.end()?;
    report.close(&ledger);
    Ok(report)
}

/// One client, until it is told to end.
async fn soak(mut client: Client) {
    let ground = client.ground.clone();
    while !ground.stopping.get() {
        let what = match tokio::time::timeout(PATIENCE, kinds::any(&mut client)).await {
            Ok(Ok(())) => continue,
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("nothing came for {PATIENCE:?}"),
        };
        ground.ledger.fail(what);
        // Whatever its connection was in the middle of.
        client.forget();
        tokio::time::sleep(SULK).await;
    }
}
