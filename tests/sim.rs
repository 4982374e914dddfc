//! The choice in a simulation: routers that do not talk to each other, dynos that are slow, ill,
//! cold or of different sizes, requests of which a few take long.
//!
//! `make sim` runs it at a size whose last digits mean something. In the test command it makes the
//! tables of README.md and docs/balance.md, and fails where another stands there;
//! `UPDATE_SIMULATION=1 cargo test --test sim` writes them anew, `-- --nocapture` prints them.
//! `SIM_SEED` and `SIM_REQUESTS` ask for others, which are compared with nothing that is written
//! down. Invariant: a run follows from its seed, which is printed, so that every claim here either
//! holds or does not.

#[path = "sim/chance.rs"]
mod chance;
#[path = "sim/dyno.rs"]
mod dyno;
#[path = "sim/engine.rs"]
mod engine;
#[path = "sim/figures.rs"]
mod figures;
#[path = "sim/router.rs"]
mod router;
#[path = "sim/scenarios.rs"]
mod scenarios;

use std::{fs, path::Path, sync::OnceLock, thread};

use hostler::route::BalanceAlgorithm as Algorithm;

use figures::{DEFAULT, Row, short, single, whole};
use scenarios::Scenario;

/// Requests of a run in the test command.
const REQUESTS: usize = 20_000;
const SEED: u64 = 6;

/// The seed, and requests of a run.
fn size() -> (u64, usize) {
    let wish = |name| Some(std::env::var(name).ok()?.parse::<u64>().expect("a number"));
    let requests = wish("SIM_REQUESTS").map_or(REQUESTS, |requests| requests as usize);
    (wish("SIM_SEED").unwrap_or(SEED), requests)
}

/// Every situation with every algorithm, run once for all tests.
fn rows() -> &'static [(Scenario, Row)] {
    static ROWS: OnceLock<Vec<(Scenario, Row)>> = OnceLock::new();
    ROWS.get_or_init(|| {
        let (seed, requests) = size();
        println!("seed {seed}, {requests} requests each");
        let run = |scenario: Scenario| {
            move || {
                let row = Row::of(&scenario, requests, seed);
                (scenario, row)
            }
        };
        thread::scope(|scope| {
            let begin = |scenario| scope.spawn(run(scenario));
            let running: Vec<_> = scenarios::all().into_iter().map(begin).collect();
            running.into_iter().map(|row| row.join().expect("it runs")).collect()
        })
    })
}

fn each(is_so: impl Fn(&Scenario, &Row) -> bool, claim: &str) {
    for (scenario, row) in rows() {
        assert!(is_so(scenario, row), "{claim}: not so in {:?}: {row:#?}", scenario.name);
    }
}

#[test]
fn the_default_has_a_lower_p99_than_random_everywhere() {
    let claim = "p2c is better than random";
    each(|_, row| row.p99(DEFAULT) < row.p99(Algorithm::Random), claim);
}

#[test]
fn the_default_has_a_lower_p99_than_round_robin_where_dynos_or_requests_differ() {
    let is_so = |scenario: &Scenario, row: &Row| {
        !scenario.differs || row.p99(DEFAULT) < row.p99(Algorithm::RoundRobin)
    };
    each(is_so, "p2c is better than round_robin");
}

#[test]
fn the_default_is_near_one_queue_for_all() {
    const MOST: f64 = 1.5;
    let is_so = |scenario: &Scenario, row: &Row| {
        let setting = &scenario.setting;
        let is_promised = setting.dynos.iter().all(|dyno| dyno.slots >= 5) && setting.load <= 0.7;
        !is_promised || row.of_oracle(DEFAULT) <= MOST
    };
    each(is_so, "p2c is at most 1.5 of one queue for all");
}

#[test]
fn the_tables_are_those_that_are_written_down() {
    let (seed, requests) = size();
    let single = thread::spawn(move || single(requests / 2, seed));
    let rows: Vec<Row> = rows().iter().map(|(_, row)| *row).collect();
    let tables = [short(&rows), whole(&rows), single.join().expect("it runs")];
    tables.iter().for_each(|table| println!("{table}"));
    if (seed, requests) != (SEED, REQUESTS) {
        return;
    }
    let [short, whole, single] = &tables;
    written("README.md", &[("simulation", short), ("single slots", single)]);
    written("docs/balance.md", &[("simulation", whole), ("single slots", single)]);
}

/// Compares what stands between two marks of a file with what is to stand there, or writes it.
fn written(file: &str, tables: &[(&str, &String)]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    let there = fs::read_to_string(&path).unwrap();
    let mut text = there.clone();
    for (mark, table) in tables {
        let (begin, end) = (format!("<!-- {mark} -->\n"), format!("<!-- end of {mark} -->\n"));
        let (before, rest) = text.split_once(&begin).expect("a table has a mark before it");
        let (_, after) = rest.split_once(&end).expect("a table has a mark behind it");
        text = [before, &begin, table, &end, after].concat();
    }
    if std::env::var_os("UPDATE_SIMULATION").is_some() {
        fs::write(&path, text).unwrap();
        return;
    }
    assert!(
        there == text,
        "{file} has other tables than those above: UPDATE_SIMULATION=1 cargo test --test sim \
         writes them anew"
    );
}
