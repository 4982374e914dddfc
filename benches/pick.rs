//! One choice of a dyno: every algorithm, of 100 dynos, in nanoseconds on one core.
//!
//! `cargo bench --bench pick`; without `--bench`, as in the test command, each part runs a few
//! times only. The choice is `live::choice::choose`, as an exchange makes it, with cells where the
//! snapshot has them. `one app` asks the same app again and again; `1,000 apps` go in turn, so that
//! every cell has long left the nearer caches. All dynos weigh the same, or each another weight.
//!
//! The goal is 60 ns for one app. Seen 2026-11-23 with nothing else running, in thread time, of
//! one app (alike, differ): `random` 14 and 16, `round_robin` 17 and 32, `one_at_a_time` with half
//! of the dynos busy 36 and 42, `p2c` 38 and 42, of 1,000 apps in turn 113 to 140 and 156 to 230,
//! which is what the misses of two cells cost there. Nor do `least_request` and `hash` look at all
//! dynos here: the one looks at their counts, which stand side by side, and then at one dyno or
//! two, unless it draws one without an exchange, the other at the owner of the key and, if that has
//! more than its bound, as here a third of the time, at one or two more. Where they do look at all
//! is said in `docs/balance.md`.

use std::{hint::black_box, sync::Arc};

use hostler::{
    live::{LiveApp, Outcome, Registry, Snapshot, choice},
    route::{
        AppName, AppSettings, BalanceAlgorithm, Change, Dyno, DynoAddr, DynoName, DynoState,
        OwnBalance, OwnSettings, Table,
    },
};
use nix::{
    sys::time::TimeValLike,
    time::{ClockId, clock_gettime},
};

/// The allocator of the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const DYNOS: usize = 100;
/// What a choice among so many may cost at most.
const GOAL_NS: f64 = 60.0;
const SEED: u64 = 20;
/// The time of every choice.
const NOW_MS: u64 = 60_000;

fn main() {
    let smoke = !std::env::args().any(|arg| arg == "--bench");
    let (picks, apps) = if smoke { (1_000, 3) } else { (1 << 18, 1_000) };
    println!(
        "{:>14} {:>8} {:>10} {:>12} {:>12} {:>10}",
        "algorithm", "weights", "one app", "of the goal", "many apps", "sum"
    );
    for (word, algorithm) in BalanceAlgorithm::ALL {
        for weighted in [false, true] {
            let apps = make(*algorithm, apps, weighted);
            let (near, first) = measure(&apps[..1], picks);
            let (far, second) = measure(&apps, picks);
            let weights = if weighted { "differ" } else { "alike" };
            let (goal, sum) = (near / GOAL_NS, first + second);
            println!("{word:>14} {weights:>8} {near:>7.1} ns {goal:>12.2} {far:>9.1} ns {sum:>10}");
        }
    }
}

/// Apps whose dynos have something in flight, and answered before.
fn make(algorithm: BalanceAlgorithm, count: usize, weighted: bool) -> Vec<Arc<LiveApp>> {
    let mut rng = fastrand::Rng::with_seed(SEED);
    let mut table = Table::new(SEED);
    let mut put = |change: Change| assert!(table.apply(&change).is_ok());
    let names: Vec<AppName> =
        (0..count).map(|n| AppName::parse(&format!("app-{n}")).unwrap()).collect();
    for app in &names {
        let balance = OwnBalance { algorithm: Some(algorithm), ..OwnBalance::default() };
        let own = Some(Arc::new(OwnSettings { balance, ..OwnSettings::default() }));
        put(Change::PutApp(app.clone(), AppSettings { own, ..AppSettings::default() }));
        for n in 0..DYNOS {
            let dyno = Dyno {
                name: DynoName::parse(&format!("web.{n}")).unwrap(),
                addr: DynoAddr::parse(&format!("10.0.0.{n}:5000")).unwrap(),
                release: "v1".into(),
                weight: if weighted { rng.u16(50..=200) } else { 100 },
                state: DynoState::Up,
                ttl_s: None,
            };
            put(Change::PutDyno(app.clone(), dyno));
        }
    }
    let snapshot = Snapshot::new(table, &Registry::default());
    let live = |app: &AppName| snapshot.app(app.as_str()).unwrap().clone();
    let apps: Vec<_> = names.iter().map(live).collect();
    let busy = if algorithm == BalanceAlgorithm::OneAtATime { 1 } else { 5 };
    for app in &apps {
        for live in &app.dynos {
            (0..rng.u32(0..=busy)).for_each(|_| assert!(app.cell.take(&live.cell, true, 0, 0)));
            let outcome = Outcome {
                now_ms: NOW_MS - rng.u64(0..5_000),
                status: 200,
                latency_us: rng.u32(500..50_000),
                ..Outcome::default()
            };
            live.cell.settle(&app.cell, &outcome);
        }
    }
    apps
}

/// Nanoseconds of a choice, the best of seven rounds, and what keeps it from being left out.
fn measure(apps: &[Arc<LiveApp>], picks: u64) -> (f64, usize) {
    let mut rng = fastrand::Rng::with_seed(SEED);
    let mut sum = 0;
    let mut best = f64::INFINITY;
    for _ in 0..7 {
        let began = thread_ns();
        for turn in 0..picks {
            let key = Some(turn.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            let app = &apps[turn as usize % apps.len()];
            let caps = choice::Caps::default().under(&app.balancing.plan);
            let asking = choice::Asking { key, named: None, tried: &[], now_ms: NOW_MS, caps };
            let at = choice::choose(app, &asking, |n| rng.usize(..n)).unwrap_or(DYNOS);
            sum += black_box(at);
        }
        best = best.min((thread_ns() - began) as f64 / picks as f64);
    }
    (best, sum)
}

/// What this thread has run, in nanoseconds: others on the machine are no part of it.
fn thread_ns() -> i64 {
    let now = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("a clock");
    now.num_nanoseconds()
}
