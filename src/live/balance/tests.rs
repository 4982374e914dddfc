//! What of an app's changes makes its dynos be chosen otherwise, and what a change keeps.

use std::sync::Arc;

use crate::{
    balance::Bar,
    live::{
        LiveApp, Registry, Snapshot,
        choice::{Asking, Caps, choose},
        shadow,
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
    let dyno = Dyno {
        name: DynoName::parse(&format!("web.{number}")).unwrap(),
        addr: DynoAddr::parse(&format!("127.0.0.1:{}", 5000 + number)).unwrap(),
        release: "v1".into(),
        weight,
        state,
        ttl_s: None,
    };
    Change::PutDyno(AppName::parse("one").unwrap(), dyno)
}

fn settings(algorithm: BalanceAlgorithm, shadow: BalanceShadow) -> Change {
    let balance =
        OwnBalance { algorithm: Some(algorithm), shadow: Some(shadow), ..OwnBalance::default() };
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
    assert!(compared.shadow > compared.even, "{compared:?}");
    // A change of what is beside it keeps the figures; one of an algorithm begins them anew.
    let app = served.push(&dyno(11, 100, DynoState::Up));
    let kept = app.balancing.shadow.as_ref().unwrap().compared();
    assert_eq!(kept, Some(compared));
    let app = served.push(&settings(BalanceAlgorithm::LeastRequest, BalanceShadow::P2c));
    assert_eq!(app.balancing.shadow.as_ref().unwrap().compared(), None);
    drop(places);
    assert!(app.dynos.iter().all(|live| live.cell.shadow() == 0), "each is discounted once");
}

#[test]
fn a_dyno_that_serves_one_is_full_with_one() {
    let mut served = Served::new(2);
    let app = served.push(&settings(BalanceAlgorithm::OneAtATime, BalanceShadow::Off));
    assert!(app.dynos[0].cell.enter(0));
    let view = app.view(&ASKING);
    let bars = [0, 1].map(|at: usize| view.candidate(&app.dynos[at]).bar);
    assert_eq!(bars, [Some(Bar::Full), None]);
    assert!(app.dynos[1].cell.enter(0));
    assert_eq!(choose(&app, &ASKING, |_| 0).unwrap_err().full, 2);
    assert_eq!(app.balancing.plan.most_in_flight(), 1);
}
