//! Each rule by itself, and what holds of an app's dynos whatever happens in whatever order.

use proptest::prelude::*;

use super::*;

const RULES: Rules = Rules::STANDARD;

#[test]
fn each_failed_connect_doubles_the_quarantine_to_its_bound() {
    let (mut quarantine, mut now_ms) = (Quarantine::default(), 1_000);
    let mut lengths = Vec::new();
    for _ in 0..6 {
        quarantine.strike(now_ms, 5_000, 60_000);
        lengths.push(quarantine.until_ms - now_ms);
        assert!(quarantine.is_out(quarantine.until_ms - 1, 5_000, false));
        now_ms = quarantine.until_ms;
        assert!(!quarantine.is_out(now_ms, 5_000, false));
    }
    assert_eq!(lengths, [5_000, 10_000, 20_000, 40_000, 60_000, 60_000]);
}

#[test]
fn connects_that_fail_together_count_once() {
    let mut quarantine = Quarantine::default();
    (0..9).for_each(|late| quarantine.strike(1_000 + late, 5_000, 60_000));
    assert_eq!(quarantine, Quarantine { strikes: 1, struck_ms: 1_000, until_ms: 6_000 });
}

#[test]
fn in_panic_a_quarantine_is_as_long_as_the_first() {
    let quarantine = Quarantine { strikes: 4, struck_ms: 1_000, until_ms: 41_000 };
    assert!(quarantine.is_out(5_999, 5_000, true));
    assert!(!quarantine.is_out(6_000, 5_000, true));
    assert!(quarantine.is_out(40_999, 5_000, false));
    assert!(!quarantine.is_out(41_000, 90_000, true), "never longer than it is");
}

#[test]
fn a_quarantine_of_none_and_one_beyond_its_bound() {
    let mut none = Quarantine::default();
    none.strike(1_000, 0, 60_000);
    assert!(!none.is_out(1_000, 0, false));
    assert_eq!(back_off(90_000, 3, 60_000), 90_000, "the first is as it was set");
    assert_eq!(back_off(5_000, u32::MAX, 60_000), 60_000);
    assert_eq!(back_off(u64::MAX, 2, u64::MAX), u64::MAX - 1);
}

#[test]
fn ejections_grow_and_time_spent_in_forgives() {
    let mut ejection = Ejection::default();
    assert_eq!(ejection.eject(1_000_000, &RULES), 30_000);
    assert!(ejection.is_out(1_029_999) && !ejection.is_out(1_030_000));
    assert_eq!(ejection.eject(1_030_000, &RULES), 60_000);
    assert_eq!(ejection.eject(1_090_000, &RULES), 120_000);
    // Two first ejections' time in: two of three are forgiven.
    assert_eq!(ejection.eject(1_210_000 + 60_000, &RULES), 60_000);
    let long = ejection.until_ms + 10_000_000;
    assert_eq!(ejection.eject(long, &RULES), 30_000);
    let mut often = Ejection { times: 1000, ..Ejection::default() };
    assert_eq!(often.eject(0, &RULES), 300_000);
}

#[test]
fn a_dyno_that_is_spared_is_not_judged_for_a_while() {
    let mut ejection = Ejection::default();
    ejection.spare(5_000);
    assert!(!ejection.is_judged(5_999) && ejection.is_judged(6_000));
    assert!(!ejection.is_out(5_500));
}

#[test]
fn the_share_of_ejected_dynos_is_never_more_than_was_set() {
    assert!(!may_eject(0, 1, 50), "the only one stays");
    assert!(may_eject(0, 2, 50) && !may_eject(1, 2, 50));
    assert!(may_eject(0, 3, 50) && !may_eject(1, 3, 50));
    assert!(may_eject(0, 1, 100) && !may_eject(0, 100, 0));
    assert!(!may_eject(0, 0, 100));
}

#[test]
fn panic_begins_below_its_share() {
    assert!(!is_panic(1, 2, 50) && is_panic(0, 2, 50));
    assert!(is_panic(2, 5, 50) && !is_panic(3, 5, 50));
    assert!(!is_panic(0, 5, 0), "0 is never");
    assert!(!is_panic(0, 0, 50), "an app without dynos has nothing to open");
}

fn rates(seen: &[(u32, u32)]) -> Vec<f64> {
    let seen = seen.iter().map(|(requests, faults)| Seen { requests: *requests, faults: *faults });
    seen.filter_map(|seen| seen.rate(&RULES)).collect()
}

fn floor(rates: &[f64]) -> Option<f64> {
    rate_floor(rates.iter().copied(), &RULES)
}

#[test]
fn one_of_five_that_fails_half_is_an_outlier_and_one_in_a_thousand_is_none() {
    let half = rates(&[(200, 0), (200, 1), (200, 0), (200, 2), (200, 100)]);
    let bar = floor(&half).unwrap();
    assert!(half[4] < bar && half[..4].iter().all(|rate| *rate > bar), "{bar} {half:?}");
    let hardly = rates(&[(1000, 0), (1000, 0), (1000, 0), (1000, 0), (1000, 1)]);
    let bar = floor(&hardly).unwrap();
    assert!(hardly.iter().all(|rate| *rate > bar), "{bar}");
}

#[test]
fn where_all_fail_alike_none_is_an_outlier() {
    let all = rates(&[(200, 100), (200, 98), (200, 103), (200, 99), (200, 101)]);
    let bar = floor(&all).unwrap();
    assert!(all.iter().all(|rate| *rate > bar));
}

#[test]
fn too_few_requests_or_dynos_tell_nothing() {
    assert_eq!(Seen { requests: 99, faults: 99 }.rate(&RULES), None);
    assert_eq!(floor(&[1.0, 1.0, 1.0, 0.0]), None);
    let off = Rules { deviations: 0, ..RULES };
    assert_eq!(rate_floor([1.0; 9].into_iter(), &off), None);
    let zero = Rules { rate_requests: 0, rate_dynos: 0, ..RULES };
    assert_eq!(Seen::default().rate(&zero), None);
    assert_eq!(rate_floor(std::iter::empty(), &zero), None);
}

proptest! {
    /// Dynos fault in any order at any time: the share holds at every moment, and whoever is out
    /// is in again when its time is over.
    #[test]
    fn the_share_limit_holds_whatever_the_order(
        dynos in 1usize..30,
        max_ejected in 0u32..=100,
        faults in proptest::collection::vec((0usize..30, 0u64..20_000), 0..200),
    ) {
        let rules = Rules { max_ejected, ..RULES };
        let mut all = vec![Ejection::default(); dynos];
        let mut now_ms = 1;
        for (at, later_ms) in faults {
            now_ms += later_ms;
            let at = at % dynos;
            let out = all.iter().filter(|ejection| ejection.is_out(now_ms)).count();
            if all[at].is_judged(now_ms) {
                if may_eject(out, dynos, max_ejected) {
                    let for_ms = all[at].eject(now_ms, &rules);
                    prop_assert!((1..=300_000).contains(&for_ms));
                    prop_assert!(!all[at].is_out(now_ms + for_ms));
                } else {
                    all[at].spare(now_ms);
                }
            }
            let out = all.iter().filter(|ejection| ejection.is_out(now_ms)).count();
            prop_assert!(out * 100 <= dynos * max_ejected as usize);
        }
        let last = now_ms + 300_000;
        prop_assert!(all.iter().all(|ejection| !ejection.is_out(last)));
    }

    /// However rates lie, the floor leaves somebody in.
    #[test]
    fn not_all_are_outliers(rates in proptest::collection::vec(0.0f64..=1.0, 5..40)) {
        let bar = floor(&rates).unwrap();
        prop_assert!(rates.iter().any(|rate| *rate >= bar));
    }

    #[test]
    fn a_quarantine_ends_within_its_bound(
        strikes in proptest::collection::vec(0u64..100_000, 1..60),
        base_ms in 0u64..=60_000,
    ) {
        let (mut quarantine, mut now_ms) = (Quarantine::default(), 1);
        for later_ms in strikes {
            now_ms += later_ms;
            quarantine.strike(now_ms, base_ms, 60_000);
            prop_assert!(quarantine.until_ms <= now_ms + 60_000);
            prop_assert!(!quarantine.is_out(now_ms + 60_000, base_ms, false));
        }
    }
}
