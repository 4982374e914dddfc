//! The situations that every algorithm is put into.
//!
//! Invariants: loads are shares of what the dynos can work on as they stand at the beginning, slow
//! ones counted as slow; what happens, happens at a stated share of the run.

use super::{
    chance::Work,
    dyno::{Dyno, Health},
    engine::{Change, Setting},
};

/// A situation.
pub struct Scenario {
    /// What it is called in the table.
    pub name: &'static str,
    /// What it is made of.
    pub setting: Setting,
    /// Do dynos differ, or do requests take times that differ more than web apps' do?
    pub differs: bool,
}

/// Requests as web apps have them: half take less than 60 ms, one in a hundred 600 ms or more.
pub const WEB: Work = Work::Lognormal(60_000.0, 1.0);
/// Between 10 ms and 10 s, with a tail that hardly thins out.
const HEAVY: Work = Work::Pareto(10_000.0, 10_000_000.0, 1.2);

/// Dynos with five slots.
fn fives(count: usize) -> Vec<Dyno> {
    vec![Dyno::of(5); count]
}

/// The same, the first of them slow.
fn first_slow(count: usize, pace: f64) -> Vec<Dyno> {
    let mut dynos = fives(count);
    dynos[0].pace = pace;
    dynos
}

/// Small and large ones, with weights that say so.
fn sizes() -> Vec<Dyno> {
    let of = |slots, weight| {
        let mut dyno = Dyno::of(slots);
        dyno.weight = weight;
        dyno
    };
    [vec![of(2, 100); 6], vec![of(8, 400); 3]].concat()
}

/// Dynos of which one changes after a fifth of the run.
fn changing(change: Change) -> Setting {
    Setting { changes: vec![(0.2, 0, change)], ..Setting::of(fives(8), 4, 0.6, WEB) }
}

/// All dynos are started anew, one after the other, each away for half of its turn and then cold.
fn restart() -> Setting {
    const DYNOS: usize = 10;
    let turn = 0.7 / DYNOS as f64;
    let changes = (0..DYNOS).flat_map(|at| {
        let begin = 0.2 + at as f64 * turn;
        [(begin, at, Change::Drains), (begin + turn / 2.0, at, Change::Starts)]
    });
    Setting { changes: changes.collect(), ..Setting::of(fives(DYNOS), 4, 0.6, WEB) }
}

/// All of them.
pub fn all() -> Vec<Scenario> {
    let with = |name, setting| Scenario { name, setting, differs: true };
    let alike = |name, setting| Scenario { name, setting, differs: false };
    let of = Setting::of;
    vec![
        alike("10 equal dynos", of(fives(10), 4, 0.7, WEB)),
        with("… heavy tail", of(fives(10), 4, 0.7, HEAVY)),
        with("… one slow, ×3", of(first_slow(10, 3.0), 4, 0.7, WEB)),
        with("… one slow, ×10", of(first_slow(10, 10.0), 4, 0.7, WEB)),
        with("… one slow, ×5, heavy tail", of(first_slow(10, 5.0), 4, 0.7, HEAVY)),
        with("4 dynos, one slow, ×5", of(first_slow(4, 5.0), 4, 0.7, WEB)),
        with("9 dynos of 2 and 8 slots, weighted", of(sizes(), 4, 0.7, WEB)),
        with("8 dynos, one becomes slow, ×5", changing(Change::Slows(5.0))),
        with("… one fails, at once", changing(Change::Ails(Health::FailsFast))),
        with("… one hangs", changing(Change::Ails(Health::Hangs))),
        with("10 dynos restart in turn", restart()),
        alike("80 dynos of one slot", of(vec![Dyno::of(1); 80], 4, 0.7, WEB)),
        alike("16 routers, 5 dynos", of(fives(5), 16, 0.7, WEB)),
        with("… one slow, ×5", of(first_slow(5, 5.0), 16, 0.7, WEB)),
        with("64 routers, 5 dynos, heavy tail", of(fives(5), 64, 0.7, HEAVY)),
    ]
}
