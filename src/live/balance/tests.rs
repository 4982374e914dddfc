//! What of an app's changes makes its dynos be chosen otherwise, and what a change keeps.

use std::sync::Arc;

use crate::{
    balance::{Bar, Plan, ring::mix},
    live::{
        LiveApp, Registry, Snapshot,
        choice::{Asking, Caps, choose},
        shadow::{self, ShadowPlace},
    },
    route::{
        AppName, AppSettings, BalanceAlgorithm, BalanceShadow, Change, Dyno, DynoAddr, DynoName,
        DynoState, OwnBalance, OwnSettings, Table,
    },
};

const ASKING: Asking<'_> = Asking {
    key: None,
    named: None,
    tried: &[],
    now_ms: 5_000,
    caps: Caps { dyno: 0, app: 0, adaptive: false },
};

fn dyno(number: u16, weight: u16, state: DynoState) -> Change {
    of_release("v1", number, weight, state)
}

fn of_release(release: &str, number: u16, weight: u16, state: DynoState) -> Change {
    let dyno = Dyno {
        name: DynoName::parse(&format!("web.{number}")).unwrap(),
        addr: DynoAddr::parse(&format!("127.0.0.1:{}", 5000 + number)).unwrap(),
        release: release.into(),
        weight,
        state,
        ttl_s: None,
    };
    Change::PutDyno(AppName::parse("one").unwrap(), dyno)
}

fn settings(algorithm: BalanceAlgorithm, shadow: BalanceShadow) -> Change {
    put(OwnBalance { algorithm: Some(algorithm), shadow: Some(shadow), ..OwnBalance::default() })
}

fn put(balance: OwnBalance) -> Change {
    let own = Some(Arc::new(OwnSettings { balance, ..OwnSettings::default() }));
    let settings = AppSettings { own, ..AppSettings::default() };
    Change::PutApp(AppName::parse("one").unwrap(), settings)
}

/// An app that is changed step by step.
struct Served {
    table: Table,
    registry: Registry,
    snapshot: Snapshot,
}

impl Served {
    fn new(dynos: u16) -> Served {
        let table = Table::new(1);
        let registry = Registry::default();
        let snapshot = Snapshot::new(table.clone(), &registry);
        let mut served = Served { table, registry, snapshot };
        served.push(&settings(BalanceAlgorithm::P2c, BalanceShadow::Off));
        (1..=dynos).for_each(|number| drop(served.push(&dyno(number, 100, DynoState::Up))));
        served
    }

    fn push(&mut self, change: &Change) -> Arc<LiveApp> {
        assert!(self.table.apply(change).is_ok());
        self.snapshot = self.snapshot.advance(self.table.clone(), &self.registry);
        self.snapshot.app("one").unwrap().clone()
    }
}

#[test]
fn a_plan_is_made_anew_only_for_what_it_rests_on() {
    let mut served = Served::new(5);
    let plain = served.push(&dyno(5, 100, DynoState::Draining));
    let common = served.registry.balancing(&plain.app, None);
    assert!(Arc::ptr_eq(&plain.balancing, &common), "most apps share one");
    let hashed = served.push(&settings(BalanceAlgorithm::Hash, BalanceShadow::Off));
    let drained = served.push(&dyno(4, 100, DynoState::Draining));
    assert!(Arc::ptr_eq(&hashed.balancing, &drained.balancing));
    let heavier = served.push(&dyno(4, 200, DynoState::Draining));
    assert!(!Arc::ptr_eq(&hashed.balancing, &heavier.balancing));
    assert!(Arc::ptr_eq(&hashed.dynos[3].cell, &heavier.dynos[3].cell), "what is known stays");
}

#[test]
fn the_shadow_counts_its_own_and_acts_on_nothing() {
    let mut served = Served::new(10);
    let app = served.push(&settings(BalanceAlgorithm::LeastRequest, BalanceShadow::Random));
    let mut rng = fastrand::Rng::with_seed(9);
    let mut places = Vec::new();
    for _ in 0..400 {
        let at = choose(&app, &ASKING, |n| rng.usize(..n)).unwrap();
        assert!(app.cell.take(&app.dynos[at].cell, true, 0, 0));
        places.extend(shadow::follow(&app, &ASKING, at, |n| rng.usize(..n)));
    }
    assert_eq!(places.len(), 400);
    assert!(app.dynos.iter().all(|live| live.cell.in_flight() == 40), "least is even");
    let compared = app.balancing.shadow.as_ref().unwrap().compared().unwrap();
    assert_eq!(compared.exchanges, 400);
    assert!((compared.acting - compared.even).abs() < 0.6, "{compared:?}");
    assert!(compared.shadow > compared.acting, "{compared:?}");
    assert!(app.dynos.iter().any(|live| live.cell.shadow() > 45), "chance is not");
    // A change of what is beside it keeps the figures; one of an algorithm begins them anew.
    let app = served.push(&dyno(11, 100, DynoState::Up));
    let kept = app.balancing.shadow.as_ref().unwrap().compared();
    assert_eq!(kept, Some(compared));
    let app = served.push(&settings(BalanceAlgorithm::LeastRequest, BalanceShadow::P2c));
    assert_eq!(app.balancing.shadow.as_ref().unwrap().compared(), None);
    drop(places);
    assert!(app.dynos.iter().all(|live| live.cell.shadow() == 0), "each is discounted once");
}

/// What a choice asks with in an app without bounds but its algorithm's.
fn asking(plan: &Plan) -> Asking<'static> {
    Asking { caps: Caps::default().under(plan), ..ASKING }
}

#[test]
fn a_dyno_that_serves_one_is_full_with_one() {
    let mut served = Served::new(2);
    let app = served.push(&settings(BalanceAlgorithm::OneAtATime, BalanceShadow::Off));
    let asking = asking(&app.balancing.plan);
    assert!(app.dynos[0].cell.enter(0));
    let view = app.view(&asking);
    let bars = [0, 1].map(|at: usize| view.candidate(&app.dynos[at]).bar);
    assert_eq!(bars, [Some(Bar::Full), None]);
    assert!(app.dynos[1].cell.enter(0));
    assert_eq!(choose(&app, &asking, |_| 0).unwrap_err().full, 2);
}

/// An exchange on the dyno that the acting algorithm chooses, and on the shadow's.
fn exchange(app: &Arc<LiveApp>, key: Option<u64>, rng: &mut fastrand::Rng) -> (usize, ShadowPlace) {
    let own = Asking { key, ..asking(&app.balancing.plan) };
    let at = choose(app, &own, |n| rng.usize(..n)).unwrap();
    assert!(app.cell.take(&app.dynos[at].cell, true, 0, 0));
    let beside = &app.balancing.shadow.as_ref().unwrap().plan;
    let asking = Asking { key, ..asking(beside) };
    (at, shadow::follow(app, &asking, at, |n| rng.usize(..n)).unwrap())
}

#[test]
fn what_the_shadow_has_no_place_for_waits_and_is_counted() {
    let mut served = Served::new(4);
    let app = served.push(&settings(BalanceAlgorithm::LeastRequest, BalanceShadow::OneAtATime));
    let mut rng = fastrand::Rng::with_seed(9);
    let places: Vec<_> = (0..12).map(|_| exchange(&app, None, &mut rng).1).collect();
    let counts: Vec<_> = app.dynos.iter().map(|live| live.cell.shadow()).collect();
    assert_eq!(counts, [3; 4], "one is served and two wait, on each");
    let compared = app.balancing.shadow.as_ref().unwrap().compared().unwrap();
    assert_eq!((compared.exchanges, compared.waited), (12, 8));
    // Four found nobody, four found one and four two.
    assert_eq!(compared.shadow, 1.0);
    drop(places);
    assert!(app.dynos.iter().all(|live| live.cell.shadow() == 0));
}

#[test]
fn releases_and_shadows_have_turns_of_their_own_whatever_is_pushed() {
    let mut served = Served::new(2);
    [3, 4].iter().for_each(|n| drop(served.push(&of_release("v2", *n, 100, DynoState::Up))));
    let mut app = served.push(&put(OwnBalance {
        algorithm: Some(BalanceAlgorithm::RoundRobin),
        shadow: Some(BalanceShadow::RoundRobin),
        releases: Some("v1=50,v2=50".into()),
        sticky: Some(true),
        ..OwnBalance::default()
    }));
    let mut rng = fastrand::Rng::with_seed(9);
    let mut places = Vec::new();
    let mut ask = |app: &Arc<LiveApp>, key| {
        let (at, place) = exchange(app, Some(key), &mut rng);
        places.push(place);
        at
    };
    // Two clients in step, each with a release of its own.
    let mut key_of =
        |v2: bool| (0..).find(|key| (ask(&app, mix(*key)) >= 2) == v2).map(mix).unwrap();
    let keys = [key_of(false), key_of(true)];
    let counts = |app: &LiveApp| [0, 1, 2, 3].map(|at| app.dynos[at].cell.in_flight());
    let before = counts(&app);
    for turn in 0..80 {
        ask(&app, keys[turn % 2]);
        // A push that makes another plan.
        app = served.push(&of_release("v9", 9, 1 + turn as u16, DynoState::Draining));
    }
    let after = counts(&app);
    let turns: [u32; 4] = std::array::from_fn(|at| after[at] - before[at]);
    assert_eq!(turns, [20; 4]);
    let shadow: Vec<_> = app.dynos[..4].iter().map(|live| live.cell.shadow()).collect();
    assert_eq!(shadow, after, "both take the same turns");
}
