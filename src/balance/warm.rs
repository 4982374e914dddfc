//! How much of its weight a dyno has that is new, or comes back: slow start.
//!
//! A dyno begins with [`FIRST`] of its weight and has all of it once `over_ms` are over, each
//! moment as much more as the last, which every algorithm sees as a smaller weight. The others must
//! not pay for it: where most of an app is new at the same time (a rolling restart of all of it),
//! the few old dynos would be given a multiple of what they are there for. [`lift`] raises the new
//! ones so far that nobody is given more than [`MOST`] of its fair share, its weight among those of
//! all.
//!
//! The ramp is Envoy's slow start with an aggression of 1; the bound is ours. Invariants: pure;
//! shares are in thousandths ([`WHOLE`]); of two dynos of one weight the one that is in for longer
//! never has the smaller share; where all are equally new, their shares are equal.

/// A whole weight.
pub const WHOLE: u32 = 1000;
/// What a dyno begins with: a tenth.
pub const FIRST: u32 = 100;
/// The most that a dyno is given because others are new, of its fair share, in percent. A quarter
/// more is what dynos that are meant to run at 70 or 80 percent can take.
pub const MOST: u64 = 125;

/// The share of its weight that a dyno has `age_ms` after it came.
pub fn share(age_ms: u64, over_ms: u64) -> u32 {
    if age_ms >= over_ms {
        return WHOLE;
    }
    let ramp = u64::from(WHOLE - FIRST) * age_ms / over_ms;
    FIRST + ramp as u32
}

/// How far each share is to be raised towards the whole, in thousandths of what it lacks, where
/// dynos of a weight of `whole` together now have `now` of it.
pub fn lift(whole: u64, now: u64) -> u32 {
    let least = (whole * 100).div_ceil(MOST);
    if now >= least {
        return 0;
    }
    // Rounded up: a thousandth too much is no more than that.
    (u64::from(WHOLE) * (least - now)).div_ceil(whole - now) as u32
}

/// A share that is raised so far.
pub fn lifted(share: u32, lift: u32) -> u32 {
    share + (WHOLE.saturating_sub(share) * lift).div_ceil(WHOLE)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The weights of dynos as the choice sees them.
    fn seen(dynos: &[(u32, u64)], over_ms: u64) -> Vec<u64> {
        let whole: u64 = dynos.iter().map(|(weight, _)| u64::from(weight * WHOLE)).sum();
        let share = |age_ms: &u64| share(*age_ms, over_ms);
        let now =
            dynos.iter().map(|(weight, age)| u64::from(*weight) * u64::from(share(age))).sum();
        let lift = lift(whole, now);
        let weight = |(weight, age): &(u32, u64)| u64::from(weight * lifted(share(age), lift));
        dynos.iter().map(weight).collect()
    }

    #[test]
    fn a_share_grows_from_a_tenth_to_the_whole() {
        assert_eq!([0, 2_500, 5_000, 9_999].map(|age| share(age, 10_000)), [100, 325, 550, 999]);
        assert_eq!([10_000, u64::MAX].map(|age| share(age, 10_000)), [1000, 1000]);
        assert_eq!(share(0, 0), WHOLE, "without slow start there is none");
    }

    #[test]
    fn one_new_dyno_among_ten_begins_with_a_tenth() {
        let mut dynos = vec![(100, u64::MAX); 9];
        dynos.push((100, 0));
        assert_eq!(seen(&dynos, 10_000)[9], 100 * 100);
    }

    #[test]
    fn one_new_dyno_of_two_is_raised_so_that_the_old_one_gets_five_eighths() {
        let weights = seen(&[(100, u64::MAX), (100, 0)], 10_000);
        assert_eq!(weights, [100_000, 60_100], "rounded up");
    }

    /// A rolling restart of all ten: each second one more is new, while what is left of the old
    /// ones would get a multiple of its share.
    #[test]
    fn a_rolling_restart_gives_no_dyno_more_than_a_quarter_more() {
        for restarted in 0..=10u64 {
            let age = |i: u64| if i < restarted { (restarted - i) * 1000 } else { u64::MAX };
            let dynos: Vec<_> = (0..10).map(|i| (100, age(i))).collect();
            let weights = seen(&dynos, 60_000);
            let (most, all) = (weights.iter().max().unwrap(), weights.iter().sum::<u64>());
            assert!(most * 10 * 100 <= all * MOST, "{restarted}: {weights:?}");
            assert!(weights.iter().all(|weight| *weight > 0));
        }
    }

    proptest! {
        #[test]
        fn no_dyno_gets_more_than_its_bound_and_none_less_than_the_ramp(
            dynos in proptest::collection::vec((1u32..=1000, 0u64..20_000), 1..60),
        ) {
            let weights = seen(&dynos, 10_000);
            let sum: u64 = weights.iter().sum();
            let whole: u64 = dynos.iter().map(|(weight, _)| u64::from(*weight)).sum();
            for ((weight, age), seen) in dynos.iter().zip(&weights) {
                prop_assert!(seen * whole * 100 <= sum * u64::from(*weight) * MOST);
                prop_assert!(*seen >= u64::from(weight * share(*age, 10_000)));
                prop_assert!(*seen <= u64::from(weight * WHOLE));
            }
        }

        #[test]
        fn who_is_in_for_longer_never_has_the_smaller_share(
            ages in proptest::collection::vec(0u64..20_000, 2..40),
        ) {
            let dynos: Vec<_> = ages.iter().map(|age| (100, *age)).collect();
            let weights = seen(&dynos, 10_000);
            for (a, age) in ages.iter().enumerate() {
                let older = ages.iter().enumerate().filter(|(_, other)| *other >= age);
                prop_assert!(older.map(|(b, _)| weights[b]).all(|other| other >= weights[a]));
            }
        }
    }
}
