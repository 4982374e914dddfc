//! A dyno's part by itself: what each turn leaves, and for how long.

use std::time::Duration;

use super::*;

const RULES: HealthRules = HealthRules {
    quarantine: Duration::from_secs(5),
    max_quarantine: Duration::from_secs(60),
    slow_start: Duration::from_secs(10),
    is_checked: true,
    proven_first: true,
    ..HealthRules::STANDARD
};

fn calm() -> Sight {
    Sight::default()
}

fn panic() -> Sight {
    Sight { is_panic: true, lift: 0 }
}

fn bar(health: &Health, now_ms: u64) -> Option<Bar> {
    health.standing(now_ms, &RULES, calm()).bar
}

#[test]
fn a_dyno_with_nothing_to_say_is_never_odd_and_keeps_nothing() {
    let health = Health::default();
    health.well();
    health.connected();
    health.unask(5);
    health.arrive(5, &HealthRules::STANDARD);
    assert!(!health.is_odd(0) && health.odd.get().is_none());
    assert_eq!(health.standing(9, &RULES, panic()), Standing::PLAIN);
    assert!(std::mem::size_of::<Health>() <= 32);
}

#[test]
fn a_failed_connect_is_a_quarantine_until_a_connect_stands() {
    let health = Health::default();
    assert_eq!(health.struck(1_000, &RULES, "H21"), Some(1));
    assert_eq!(health.struck(1_001, &RULES, "H21"), None, "it was dialled before");
    assert_eq!(bar(&health, 5_999), Some(Bar::Quarantined));
    assert_eq!((bar(&health, 6_000), health.is_odd(6_000)), (None, false));
    assert_eq!(health.struck(6_000, &RULES, "H21"), Some(2));
    assert_eq!(health.quarantined_until_ms(), 16_000);
    assert_eq!(health.standing(11_000, &RULES, panic()).bar, None, "as long as the first");
    health.connected();
    assert_eq!((health.strikes(), bar(&health, 6_001)), (0, None));
    let past: Vec<_> = health.past().into_iter().map(|turn| (turn.what, turn.why)).collect();
    let quarantined = |why: &str| (What::Quarantined, why.into());
    assert_eq!(past, [quarantined("H21, 1 in a row"), quarantined("H21, 2 in a row")]);
}

#[test]
fn an_answer_ends_the_row_of_faults_and_the_strikes() {
    let health = Health::default();
    assert_eq!((health.fault(), health.fault()), (1, 2));
    health.struck(1_000, &RULES, "H21");
    health.well();
    assert_eq!((health.fault(), health.strikes()), (1, 0));
}

#[test]
fn an_ejected_dyno_comes_back_by_time_alone_and_gradually() {
    let health = Health::default();
    let happened = health.eject(1_000, &RULES, "why");
    assert_eq!(happened.until_ms, 31_000);
    health.well();
    assert_eq!(bar(&health, 30_999), Some(Bar::Ejected));
    let share = |now_ms| health.standing(now_ms, &RULES, calm()).share;
    assert_eq!([31_000, 36_000, 41_000].map(share), [100, 550, WHOLE]);
    assert!(health.is_odd(40_999) && !health.is_odd(41_000));
}

#[test]
fn after_an_ejection_one_more_fault_is_enough() {
    let health = Health::default();
    health.eject(1_000, &RULES, "why");
    assert_eq!(health.fault(), RULES.eject.faults);
}

#[test]
fn in_panic_the_ill_are_let_in_with_half_their_weight_and_no_others() {
    let ejected = Health::default();
    ejected.eject(1_000, &RULES, "why");
    let failing = Health::default();
    failing.prove(Proof::Failing, true, 1_000, "why");
    assert_eq!(bar(&failing, 1_000), Some(Bar::Failing));
    for ill in [&ejected, &failing] {
        let let_in = Standing { bar: None, share: IN_PANIC };
        assert_eq!(ill.standing(2_000, &RULES, panic()), let_in);
    }
    let new = Health::default();
    new.arrive(1_000, &RULES);
    assert_eq!(new.standing(2_000, &RULES, panic()).bar, Some(Bar::Unproven));
}

#[test]
fn a_new_dyno_waits_until_it_is_proven_and_begins_slowly_then() {
    let health = Health::default();
    health.arrive(1_000, &RULES);
    assert_eq!(bar(&health, 1_000_000), Some(Bar::Unproven));
    health.prove(Proof::Well, true, 1_000_000, "good");
    let share = |now_ms| health.standing(now_ms, &RULES, calm()).share;
    assert_eq!([1_000_000, 1_005_000, 1_010_000].map(share), [100, 550, WHOLE]);
    let lifted = health.standing(1_000_000, &RULES, Sight { lift: 500, is_panic: false });
    assert_eq!(lifted.share, 550, "half of what it lacks");
}

#[test]
fn a_new_dyno_that_need_not_prove_itself_does_not_begin_again_with_its_first_good_answer() {
    let health = Health::default();
    health.arrive(1_000, &RULES);
    health.prove(Proof::Well, false, 9_000, "good");
    assert_eq!(health.standing(11_000, &RULES, calm()).share, WHOLE);
}

#[test]
fn who_never_answered_is_as_new_when_it_is_asked_again() {
    let unchecked = HealthRules { is_checked: false, ..RULES };
    let health = Health::default();
    health.arrive(1_000, &RULES);
    health.unask(2_000);
    assert_eq!(health.standing(20_000, &unchecked, calm()), Standing::PLAIN);
    assert_eq!(bar(&health, 20_000), Some(Bar::Unproven));
    health.prove(Proof::Well, true, 30_000, "good");
    health.unask(31_000);
    assert_eq!(bar(&health, 32_000), None, "it was proven");
}

#[test]
fn who_was_up_when_the_router_started_is_proven_until_it_fails() {
    let health = Health::default();
    assert_eq!(bar(&health, 5), None);
    health.prove(Proof::Failing, true, 5, "no answer");
    assert_eq!(bar(&health, 5), Some(Bar::Failing));
    assert_eq!(health.standing(5, &HealthRules::STANDARD, calm()).bar, None, "no checks, no word");
    health.unask(6);
    assert_eq!((bar(&health, 6), health.is_odd(6)), (None, false));
    let past: Vec<_> = health.past().into_iter().map(|turn| turn.what).collect();
    assert_eq!(past, [What::Failing, What::Well]);
}

#[test]
fn that_a_dyno_is_spared_is_told_once_while_it_goes_on() {
    let health = Health::default();
    (0..20).for_each(|late| health.spare(10_000 + late * 1_000, "why"));
    assert_eq!(health.past().len(), 1);
    health.spare(60_000, "why");
    assert_eq!(health.past().len(), 2);
}

#[test]
fn a_window_counts_what_came_since_the_last_though_counts_wrap() {
    let health = Health::default();
    health.turn_window(u32::MAX - 9);
    health.fault();
    assert_eq!(health.turn_window(90), Seen { requests: 100, faults: 1 });
    assert_eq!(health.turn_window(90), Seen::default());
}
