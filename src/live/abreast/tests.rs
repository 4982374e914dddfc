//! What is shown side by side, while workers count and the table changes.

use std::thread;

use proptest::prelude::*;

use super::*;
use crate::{
    live::{
        Balance, Cell, LiveApp, Registry, Snapshot,
        choice::{Asking, Caps, choose},
        sample,
    },
    route::{
        AppName, AppSettings, BalanceAlgorithm, Change, Dyno, DynoAddr, DynoName, OwnBalance,
        OwnSettings, Table,
    },
};

fn registry() -> Registry {
    Registry::new(&Balance { algorithm: BalanceAlgorithm::LeastRequest, ..Balance::default() })
}

fn asking() -> Asking<'static> {
    Asking { key: None, named: None, tried: &[], now_ms: 5_000, caps: Caps::default() }
}

/// What a seat shows.
fn shown(Seat { block, at }: &Seat) -> u64 {
    let word = block.rows[at / COLUMNS][at % COLUMNS / OF_WORD].load(Relaxed);
    word >> (at % OF_WORD * BITS) & u64::from(u16::MAX)
}

fn assert_shown(app: &LiveApp) {
    for LiveDyno { dyno, cell } in &app.dynos {
        let seat = cell.seat().expect("each has one");
        assert_eq!(shown(seat), u64::from(cell.in_flight()), "{}", dyno.name.as_str());
    }
}

#[test]
fn a_seat_comes_to_show_the_count_whatever_workers_do_at_the_same_time() {
    // Few dynos for many steps, so that they meet.
    let app = sample::app(5, &registry());
    let worker = |seed: u64| {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut held: Vec<usize> = Vec::new();
        for _ in 0..50_000 {
            if held.len() < 20 && rng.bool() {
                let at = choose(&app, &asking(), |n| rng.usize(..n)).unwrap();
                assert!(app.cell.take(&app.dynos[at].cell, true, 0, 0));
                held.push(at);
            } else if !held.is_empty() {
                let at = held.swap_remove(rng.usize(..held.len()));
                app.cell.release(&app.dynos[at].cell);
            }
        }
        held.len() as u32
    };
    let held: u32 = thread::scope(|scope| {
        let workers = [1, 2, 3, 4].map(|seed| scope.spawn(move || worker(seed)));
        workers.into_iter().map(|worker| worker.join().unwrap()).sum()
    });
    assert_eq!(app.cell.in_flight(), held);
    assert_shown(&app);
}

#[test]
fn a_count_that_is_too_large_is_shown_as_the_largest() {
    let app = sample::app(1, &registry());
    let cell = &app.dynos[0].cell;
    (0..u32::from(MOST) + 2).for_each(|_| assert!(cell.enter(0)));
    assert_eq!(shown(cell.seat().unwrap()), u64::from(MOST));
    (0..3).for_each(|_| cell.leave());
    assert_eq!(shown(cell.seat().unwrap()), u64::from(MOST) - 1);
}

#[test]
fn dynos_of_other_apps_have_no_seat() {
    let app = sample::app(3, &Registry::default());
    assert!(app.rows.is_none() && app.dynos.iter().all(|live| live.cell.seat().is_none()));
}

#[test]
fn a_cell_is_two_lines_whatever_some_apps_want_of_it() {
    assert_eq!(size_of::<Cell>(), 2 * 64);
}

/// An app that is changed step by step.
struct Served {
    table: Table,
    registry: Registry,
    snapshot: Snapshot,
}

impl Served {
    fn new(algorithm: BalanceAlgorithm) -> Served {
        let (table, registry) = (Table::new(1), Registry::default());
        let snapshot = Snapshot::new(table.clone(), &registry);
        let mut served = Served { table, registry, snapshot };
        served.set(algorithm);
        served
    }

    fn push(&mut self, change: &Change) -> Arc<LiveApp> {
        assert!(self.table.apply(change).is_ok());
        self.snapshot = self.snapshot.advance(self.table.clone(), &self.registry);
        self.snapshot.app("one").unwrap().clone()
    }

    fn set(&mut self, algorithm: BalanceAlgorithm) -> Arc<LiveApp> {
        let balance = OwnBalance { algorithm: Some(algorithm), ..OwnBalance::default() };
        let own = Some(Arc::new(OwnSettings { balance, ..OwnSettings::default() }));
        self.push(&Change::PutApp(name(), AppSettings { own, ..AppSettings::default() }))
    }

    fn put(&mut self, number: usize, state: DynoState) -> Arc<LiveApp> {
        let dyno = Dyno {
            name: DynoName::parse(&format!("web.{number}")).unwrap(),
            addr: DynoAddr::parse("127.0.0.1:5000").unwrap(),
            release: "v1".into(),
            weight: 100,
            state,
            ttl_s: None,
        };
        self.push(&Change::PutDyno(name(), dyno))
    }
}

fn name() -> AppName {
    AppName::parse("one").unwrap()
}

#[test]
fn an_app_that_comes_to_want_the_least_has_what_is_in_flight_already() {
    let mut served = Served::new(BalanceAlgorithm::P2c);
    (0..40).for_each(|number| drop(served.put(number, DynoState::Up)));
    let before = served.put(40, DynoState::Up);
    let take = |at: usize| assert!(before.cell.take(&before.dynos[at].cell, true, 0, 0));
    (0..41).for_each(|at| (0..at % 7).for_each(|_| take(at)));
    let app = served.set(BalanceAlgorithm::LeastRequest);
    assert_shown(&app);
    // Who ends it knows the app as it was.
    before.cell.release(&before.dynos[6].cell);
    assert_shown(&app);
    let app = served.set(BalanceAlgorithm::Random);
    assert!(app.rows.is_none());
}

#[test]
fn seats_of_dynos_that_are_gone_are_taken_again() {
    let mut served = Served::new(BalanceAlgorithm::LeastRequest);
    for number in 0..1000 {
        let app = served.put(number, DynoState::Up);
        if number >= 20 {
            served.push(&Change::DeleteDyno(name(), format!("web.{}", number - 20)));
        }
        // As many as ever were at once, and some of an app that is still looked at.
        assert!(app.rows.as_ref().unwrap().blocks.len() <= 2, "{number}");
    }
}

#[derive(Debug, Clone)]
enum Step {
    Begin,
    End(usize),
    Put(usize, DynoState),
    Remove(usize),
}

fn step() -> impl Strategy<Value = Step> {
    use DynoState::{Crashed, Draining, Starting, Up};
    let state =
        prop_oneof![6 => Just(Up), 1 => Just(Draining), 1 => Just(Crashed), 1 => Just(Starting)];
    prop_oneof![
        20 => Just(Step::Begin),
        15 => any::<usize>().prop_map(Step::End),
        2 => (0usize..70, state).prop_map(|(number, state)| Step::Put(number, state)),
        1 => (0usize..70).prop_map(Step::Remove),
    ]
}

proptest! {
    #[test]
    fn one_of_those_with_the_least_is_chosen_whatever_was_pushed_between(
        steps in proptest::collection::vec(step(), 1..300),
        dynos in 1usize..70,
        seed: u64,
    ) {
        let mut served = Served::new(BalanceAlgorithm::LeastRequest);
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut held: Vec<(Arc<LiveApp>, usize)> = Vec::new();
        (0..dynos).for_each(|number| drop(served.put(number, DynoState::Up)));
        for step in steps {
            let app = served.snapshot.app("one").unwrap().clone();
            match step {
                Step::Begin => {
                    let up = app.dynos.iter().filter(|live| live.dyno.state == DynoState::Up);
                    let least = up.map(|live| live.cell.in_flight()).min();
                    let chosen = choose(&app, &asking(), |n| rng.usize(..n)).ok();
                    prop_assert_eq!(chosen.map(|at| app.dynos[at].cell.in_flight()), least);
                    if let Some(at) = chosen {
                        prop_assert_eq!(app.dynos[at].dyno.state, DynoState::Up);
                        prop_assert!(app.cell.take(&app.dynos[at].cell, true, 0, 0));
                        held.push((app, at));
                    }
                }
                Step::End(at) if !held.is_empty() => {
                    let (app, at) = held.swap_remove(at % held.len());
                    app.cell.release(&app.dynos[at].cell);
                }
                Step::End(_) => {}
                Step::Put(number, state) => drop(served.put(number, state)),
                Step::Remove(number) => {
                    let name = format!("web.{number}");
                    if app.dyno(&name).is_some() {
                        served.push(&Change::DeleteDyno(self::name(), name));
                    }
                }
            }
        }
        assert_shown(served.snapshot.app("one").unwrap());
    }
}
