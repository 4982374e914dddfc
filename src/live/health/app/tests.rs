//! An app's dynos together: who may be ejected, what a look says of all, and what never happens.

use std::{sync::Arc, time::Duration};

use proptest::prelude::*;

use super::*;
use crate::{
    balance::{Bar, Candidate, warm::WHOLE},
    live::{
        HealthRules, Registry, choice,
        choice::{Asking, Caps},
        sample,
    },
};

/// An app of so many dynos that are up, with these rules.
fn app(dynos: usize, rules: HealthRules) -> Arc<LiveApp> {
    sample::app(dynos, &Registry::default().with_health(rules, Arc::default()))
}

fn faulty(now_ms: u64) -> Outcome {
    Outcome { now_ms, fault: Some(Fault::ClosedWithoutResponse), ..Outcome::default() }
}

fn good(now_ms: u64) -> Outcome {
    Outcome { now_ms, status: 200, ..Outcome::default() }
}

const ASKING: Asking<'_> = Asking {
    key: None,
    named: None,
    tried: &[],
    now_ms: 1_000,
    caps: Caps { dyno: 0, app: 0, adaptive: false },
};

fn ejected(app: &LiveApp, now_ms: u64) -> usize {
    app.dynos.iter().filter(|live| live.cell.health.is_ejected(now_ms)).count()
}

/// Who is picked of a thousand draws, by place.
fn picked(app: &LiveApp, now_ms: u64) -> Vec<usize> {
    let mut random = fastrand::Rng::with_seed(7);
    let asking = Asking { now_ms, ..ASKING };
    let mut hits = vec![0; app.dynos.len()];
    for _ in 0..1000 {
        let at = choice::choose(app, &asking, |n| random.usize(..n)).unwrap();
        hits[at] += 1;
    }
    hits
}

#[test]
fn so_many_faults_in_a_row_eject_and_an_answer_between_does_not() {
    let app = app(4, HealthRules::STANDARD);
    (0..4).for_each(|_| app.judge(0, &faulty(1_000)));
    app.judge(0, &good(1_000));
    (0..4).for_each(|_| app.judge(0, &faulty(1_000)));
    assert_eq!(ejected(&app, 1_000), 0);
    app.judge(0, &faulty(1_000));
    assert_eq!((ejected(&app, 30_999), ejected(&app, 31_000)), (1, 0));
    assert_eq!(picked(&app, 1_000)[0], 0);
    let [turn] = &app.dynos[0].cell.health.past()[..] else { panic!() };
    assert_eq!(&*turn.why, "faults in a row: 5, the last H13");
}

#[test]
fn the_only_dyno_is_spared_and_of_three_one_is_ejected() {
    for (dynos, most) in [(1, 0), (2, 1), (3, 1), (4, 2), (10, 5)] {
        let app = app(dynos, HealthRules::STANDARD);
        for at in 0..dynos {
            (0..9).for_each(|_| app.judge(at, &faulty(1_000)));
        }
        assert_eq!(ejected(&app, 1_000), most, "of {dynos}");
    }
}

#[test]
fn who_succeeds_far_less_than_the_others_is_ejected() {
    let app = app(6, HealthRules::STANDARD);
    let exchange = |at: usize, outcome: &Outcome| {
        assert!(app.dynos[at].cell.enter(0));
        app.dynos[at].cell.leave();
        app.judge(at, outcome);
    };
    // The first fault begins a window; half of the third dyno's exchanges fail, by turns.
    exchange(3, &faulty(100_000));
    for round in 0..200u64 {
        let now_ms = 100_001 + round * 49;
        (0..6).filter(|at| *at != 3).for_each(|at| exchange(at, &good(now_ms)));
        exchange(3, &good(now_ms));
        exchange(3, &faulty(now_ms));
    }
    assert_eq!(ejected(&app, 109_999), 0);
    exchange(3, &faulty(110_000));
    assert!(app.dynos[3].cell.health.is_ejected(110_000) && ejected(&app, 110_000) == 1);
    let why = app.dynos[3].cell.health.past().pop().unwrap().why;
    assert!(why.starts_with("49.9 % of its requests went well, less than "), "{why}");
}

#[test]
fn where_too_few_are_fit_the_ill_are_picked_too_but_the_well_ones_first() {
    let rules = HealthRules {
        eject: eject::Rules { max_ejected: 100, ..HealthRules::STANDARD.eject },
        ..HealthRules::STANDARD
    };
    let app = app(4, rules);
    let eject = |at: usize| (0..5).for_each(|_| app.judge(at, &faulty(1_000)));
    (0..2).for_each(eject);
    assert!(!app.sight(1_000).is_panic);
    assert_eq!(picked(&app, 1_000)[..2], [0, 0]);
    eject(2);
    assert!(app.sight(1_000).is_panic, "the look before does not hold on");
    let hits = picked(&app, 1_000);
    assert!(hits[..3].iter().all(|hits| *hits > 0) && hits[3] > hits[0], "{hits:?}");
    // All are back, and none is preferred.
    let back_ms = 31_000 + 10_000;
    assert!(!app.sight(back_ms).is_panic);
    assert!(picked(&app, back_ms).iter().all(|hits| (150..350).contains(hits)));
}

#[test]
fn an_ill_dyno_is_better_than_none_at_all() {
    let rules = HealthRules {
        eject: eject::Rules { max_ejected: 100, ..HealthRules::STANDARD.eject },
        panic_share: 0,
        ..HealthRules::STANDARD
    };
    let app = app(2, rules);
    (0..5).for_each(|_| app.judge(0, &faulty(1_000)));
    assert_eq!(picked(&app, 1_000), [0, 1000]);
    (0..5).for_each(|_| app.judge(1, &faulty(1_000)));
    assert!(picked(&app, 1_000).iter().all(|hits| *hits > 0));
    let asking = ASKING;
    let is_open = |candidate: &Candidate| candidate.bar.is_none();
    assert!(choice::candidates(&app, &asking).iter().all(is_open), "as explain tells it");
    // And for an exchange that has tried the only fit one.
    let tried = [Arc::as_ptr(&app.dynos[1].cell) as usize];
    let asking = Asking { tried: &tried, ..ASKING };
    assert_eq!(choice::choose(&app, &asking, |_| 0), Ok(0));
}

#[test]
fn while_a_dyno_is_in_quarantine_panic_does_not_let_it_in() {
    let app = app(2, HealthRules::STANDARD);
    (0..2).for_each(|at| app.strike(at, 1_000, Fault::ConnectRefused));
    let asking = ASKING;
    assert_eq!(choice::choose(&app, &asking, |_| 0).unwrap_err().quarantined, 2);
}

#[test]
fn failed_connects_in_a_row_eject_too() {
    let app = app(2, HealthRules::STANDARD);
    let mut now_ms = 1_000;
    for _ in 0..5 {
        app.strike(0, now_ms, Fault::ConnectTimeout);
        now_ms = app.dynos[0].cell.health.quarantined_until_ms();
    }
    assert_eq!(ejected(&app, now_ms - 60_000), 1);
}

#[test]
fn a_sight_is_one_word() {
    for (is_panic, lift) in [(false, 0), (true, 1000), (true, 0), (false, 7)] {
        let sight = Sight { is_panic, lift };
        assert_eq!(Sight::of_word(sight.to_word(123_456_789)), (123_456_789, sight));
    }
}

#[test]
fn a_new_dyno_of_two_gets_three_eighths() {
    let rules = HealthRules { slow_start: Duration::from_secs(10), ..HealthRules::STANDARD };
    let app = app(2, rules);
    app.dynos[1].cell.health.arrive(1_000, &app.health);
    let share = app.standing(&app.dynos[1].cell, 1_000, false).share;
    assert_eq!((share, app.standing(&app.dynos[0].cell, 1_000, false).share), (601, WHOLE));
}

proptest! {
    /// Whatever happens in whatever order: of the app's dynos no more than the share are ejected;
    /// while a fit one is there, none that is ejected is picked unless the app is in panic; and in
    /// the end all are back.
    #[test]
    fn the_share_holds_and_a_fit_dyno_is_preferred(
        dynos in 1usize..12,
        max_ejected in 0u32..=100,
        panic_share in 0u32..=100,
        turns in proptest::collection::vec((0usize..12, 0u8..3, 0u64..5_000), 1..300),
    ) {
        let rules = HealthRules {
            eject: eject::Rules { max_ejected, ..HealthRules::STANDARD.eject },
            panic_share,
            ..HealthRules::STANDARD
        };
        let app = app(dynos, rules);
        let (mut now_ms, mut random) = (1_000, fastrand::Rng::with_seed(3));
        for (at, what, later_ms) in turns {
            now_ms += later_ms;
            let at = at % dynos;
            match what {
                0 => app.judge(at, &good(now_ms)),
                _ => app.judge(at, &faulty(now_ms)),
            }
            let out = ejected(&app, now_ms);
            prop_assert!(out * 100 <= dynos * max_ejected as usize);
            let asking = Asking { now_ms, ..ASKING };
            let picked = choice::choose(&app, &asking, |n| random.usize(..n)).unwrap();
            let is_ejected = app.dynos[picked].cell.health.is_ejected(now_ms);
            prop_assert!(!is_ejected || out == dynos || app.sight(now_ms).is_panic);
        }
        let last = now_ms + 300_000;
        prop_assert_eq!(ejected(&app, last), 0);
    }
}

#[test]
fn bars_are_lifted_in_panic_for_verdicts_alone() {
    let app = app(2, HealthRules { panic_share: 100, ..HealthRules::STANDARD });
    app.strike(0, 1_000, Fault::ConnectRefused);
    assert_eq!(app.standing(&app.dynos[0].cell, 1_001, true).bar, Some(Bar::Quarantined));
}
