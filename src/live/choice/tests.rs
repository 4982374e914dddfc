//! Who is chosen of dynos in every state, by every algorithm with everything that goes with it:
//! releases, cookies, a shadow, load that is reported, bounds, panic.
//!
//! Invariant: what is fit is judged here anew, of what was pushed and of what the cells say one by
//! one, and not by what the choice makes of them.

use proptest::{collection, prelude::*, sample};

use super::*;
use crate::{
    balance::{affinity::SealKey, eject},
    live::{
        HealthRules, Outcome, Registry, Snapshot,
        cell::Drained,
        health::{Note, Proof},
        shadow,
    },
    route::{
        AppName, AppSettings, BalanceAlgorithm, BalanceShadow, Change, Dyno, DynoAddr, DynoName,
        OwnBalance, OwnSettings, Table,
    },
};

const NOW_MS: u64 = 5_000;

/// A dyno, and what became of it.
#[derive(Debug, Clone)]
struct Given {
    state: DynoState,
    release: usize,
    weight: u16,
    fate: Fate,
    /// The exchange has tried it.
    tried: bool,
    in_flight: u32,
    /// What it has in the shadow.
    beside: u32,
    load: Option<u16>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Fate {
    Well,
    Ejected,
    Failing,
    Quarantined,
    Unproven,
    /// Newer than its pushed state.
    Drains,
}

/// An app's settings, as far as they bear on the choice.
#[derive(Debug, Clone)]
struct Wanted {
    algorithm: BalanceAlgorithm,
    shadow: BalanceShadow,
    releases: &'static str,
    flags: [bool; 3],
    panic_share: u32,
    caps: Caps,
    key: Option<u64>,
    /// The dyno that the client is to come back to.
    named: Option<sample::Index>,
}

fn given() -> impl Strategy<Value = Given> {
    use DynoState::{Crashed, Draining, Starting, Up};
    let state =
        prop_oneof![12 => Just(Up), 1 => Just(Starting), 1 => Just(Draining), 1 => Just(Crashed)];
    let fate = prop_oneof![
        10 => Just(Fate::Well), 3 => Just(Fate::Ejected), 3 => Just(Fate::Failing),
        1 => Just(Fate::Quarantined), 1 => Just(Fate::Unproven), 1 => Just(Fate::Drains),
    ];
    let tried = proptest::bool::weighted(0.1);
    let load = proptest::option::of(0u16..=1000);
    (state, 0usize..3, 1u16..=1000, fate, tried, 0u32..3, 0u32..3, load).prop_map(
        |(state, release, weight, fate, tried, in_flight, beside, load)| Given {
            state,
            release,
            weight,
            fate,
            tried,
            in_flight,
            beside,
            load,
        },
    )
}

fn wanted() -> impl Strategy<Value = Wanted> {
    let all = |all: &'static [(&'static str, BalanceAlgorithm)]| sample::select(all.to_vec());
    let releases = ["", "v0=50,v1=50", "v0=100,v1=0", "v2=10", "v0=0,v1=1,v2=999"];
    let caps = prop_oneof![
        Just(Caps::default()),
        Just(Caps { dyno: 2, ..Caps::default() }),
        Just(Caps { adaptive: true, ..Caps::default() }),
    ];
    (
        all(BalanceAlgorithm::ALL),
        sample::select(BalanceShadow::ALL.to_vec()),
        sample::select(releases.to_vec()),
        any::<[bool; 3]>(),
        sample::select(vec![0u32, 50, 100]),
        caps,
        any::<Option<u64>>(),
        any::<Option<sample::Index>>(),
    )
        .prop_map(
            |((_, algorithm), (_, shadow), releases, flags, panic_share, caps, key, named)| {
                Wanted { algorithm, shadow, releases, flags, panic_share, caps, key, named }
            },
        )
}

fn app(dynos: &[Given], wanted: &Wanted) -> Arc<LiveApp> {
    let name = AppName::parse("one").unwrap();
    let [sticky, reported_load, proven_first] = wanted.flags;
    let balance = OwnBalance {
        algorithm: Some(wanted.algorithm),
        shadow: Some(wanted.shadow),
        releases: Some(wanted.releases.into()),
        sticky: Some(sticky),
        reported_load: Some(reported_load),
        ..OwnBalance::default()
    };
    let own = Some(Arc::new(OwnSettings { balance, ..OwnSettings::default() }));
    let mut table = Table::new(1);
    let mut put = |change: Change| assert!(table.apply(&change).is_ok());
    put(Change::PutApp(name.clone(), AppSettings { own, ..AppSettings::default() }));
    for (at, of) in dynos.iter().enumerate() {
        let dyno = Dyno {
            name: DynoName::parse(&format!("web.{at}")).unwrap(),
            addr: DynoAddr::parse("127.0.0.1:5000").unwrap(),
            release: format!("v{}", of.release).into(),
            weight: of.weight,
            state: of.state,
            ttl_s: None,
        };
        put(Change::PutDyno(name.clone(), dyno));
    }
    let eject = eject::Rules { faults: 1, max_ejected: 100, ..HealthRules::STANDARD.eject };
    let rules = HealthRules {
        eject,
        panic_share: wanted.panic_share,
        is_checked: true,
        proven_first,
        ..HealthRules::STANDARD
    };
    let snapshot = Snapshot::new(table, &Registry::default().with_health(rules, Arc::default()));
    let app = snapshot.app("one").unwrap().clone();
    dynos.iter().enumerate().for_each(|(at, of)| befall(&app, at, of));
    app
}

/// Has the dyno's cell come to be what it is to be.
fn befall(app: &LiveApp, at: usize, of: &Given) {
    let LiveDyno { dyno, cell } = &app.dynos[at];
    (0..of.in_flight).for_each(|_| _ = app.cell.take(cell, true, 0, 0));
    cell.shadow.fetch_add(of.beside, std::sync::atomic::Ordering::Relaxed);
    of.load.inspect(|load| cell.reported.set(*load, NOW_MS));
    let fault = Some(Fault::ClosedWithoutResponse);
    match of.fate {
        Fate::Ejected => app.judge(at, &Outcome { now_ms: NOW_MS, fault, ..Outcome::default() }),
        Fate::Failing => _ = cell.health.prove(Proof::Failing, true, NOW_MS, ""),
        Fate::Unproven => _ = cell.health.prove(Proof::New, true, NOW_MS, ""),
        Fate::Quarantined => app.strike(at, NOW_MS, Fault::ConnectRefused),
        Fate::Drains => cell.set_draining(Some(Drained {
            notes: app.notes.clone(),
            note: Note::Emptied(app.app.name.clone(), dyno.name.clone()),
        })),
        Fate::Well => {}
    }
}

/// What may be chosen, judged by itself: none of them if nobody is to be.
fn fit(
    app: &LiveApp,
    dynos: &[Given],
    wanted: &Wanted,
    full: impl Fn(usize) -> bool,
) -> Vec<usize> {
    let is_panic = app.sight(NOW_MS).is_panic;
    let is_out = |at: usize| {
        let (of, health) = (&dynos[at], &app.dynos[at].cell.health);
        of.state != DynoState::Up
            || of.fate == Fate::Drains
            || health.quarantined_until_ms() > NOW_MS
            || (wanted.flags[2] && health.proof() == Proof::New)
    };
    let is_ill = |at: usize| {
        let health = &app.dynos[at].cell.health;
        health.is_ejected(NOW_MS) || health.proof() == Proof::Failing
    };
    let share = |at: usize| {
        let name = format!("v{}=", dynos[at].release);
        let part = wanted.releases.split(',').find_map(|part| part.strip_prefix(&*name));
        wanted.releases.is_empty() || part.is_some_and(|part| part != "0")
    };
    let of = |with_ill: bool| -> Vec<usize> {
        let is_in = |at: &usize| !is_out(*at) && (with_ill || !is_ill(*at));
        let all: Vec<usize> = (0..dynos.len()).filter(is_in).collect();
        let shared: Vec<usize> = all.iter().copied().filter(|at| share(*at)).collect();
        // One that the exchange has tried serves others.
        let those = if shared.is_empty() { all } else { shared };
        those.into_iter().filter(|at| !dynos[*at].tried).collect()
    };
    // The ill only where nobody else is left, not even to be waited for.
    let well = of(is_panic);
    let those = if well.is_empty() { of(true) } else { well };
    those.into_iter().filter(|at| !full(*at)).collect()
}

fn seal() -> Seal {
    Seal::new(&SealKey::new([1; 32]))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn nobody_is_chosen_who_is_ejected_full_or_drains_while_another_is_fit(
        dynos in collection::vec(given(), 1..7),
        wanted in wanted(),
        seed: u64,
    ) {
        let app = app(&dynos, &wanted);
        let tried = |(live, of): (&LiveDyno, &Given)| {
            of.tried.then_some(Arc::as_ptr(&live.cell) as usize)
        };
        let tried: Vec<usize> = app.dynos.iter().zip(&dynos).filter_map(tried).collect();
        let seal = seal();
        let home = wanted.named.map(|named| named.index(dynos.len()));
        let named = home.map(|at| (&seal, app.dynos[at].tag(&seal, "one")));
        let caps = wanted.caps.under(&app.balancing.plan);
        let asking = Asking { key: wanted.key, named, tried: &tried, now_ms: NOW_MS, caps };
        let is_full = |count: u32| caps.dyno > 0 && count >= caps.dyno;
        let should = fit(&app, &dynos, &wanted, |at| is_full(dynos[at].in_flight));
        let mut rng = fastrand::Rng::with_seed(seed);
        for _ in 0..4 {
            match choose(&app, &asking, |n| rng.usize(..n)) {
                Ok(at) => {
                    prop_assert!(should.contains(&at), "{} of {:?}", at, should);
                    prop_assert!(home.is_none_or(|home| home == at || !should.contains(&home)));
                }
                Err(unfit) => prop_assert!(should.is_empty(), "{:?}: {:?}", unfit, should),
            }
        }
        let Some(beside) = &app.balancing.shadow else { return Ok(()) };
        let caps = wanted.caps.under(&beside.plan);
        let is_full = |count: u32| caps.dyno > 0 && count >= caps.dyno;
        let should = fit(&app, &dynos, &wanted, |at| is_full(dynos[at].beside));
        let asking = Asking { named: None, caps, ..asking };
        let place = shadow::follow(&app, &asking, 0, |n| rng.usize(..n));
        prop_assert!(place.is_some(), "each is counted");
        let given = |at: &usize| app.dynos[*at].cell.shadow() > dynos[*at].beside;
        let at = (0..dynos.len()).find(given).expect("it has a place");
        let compared = beside.compared().expect("it was counted");
        prop_assert!(should.contains(&at) || should.is_empty(), "{} of {:?}", at, should);
        prop_assert!(compared.waited == 0 || should.is_empty());
        drop(place);
        prop_assert!((0..dynos.len()).all(|at| app.dynos[at].cell.shadow() == dynos[at].beside));
    }
}
