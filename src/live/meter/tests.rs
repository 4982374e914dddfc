//! Counts and rates: alone, beside others, and by many threads at once.
//!
//! Invariant: the clock is the test's.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;

const SECOND: u64 = 1_000_000_000;

fn allowed(most: u32, window_ms: u64) -> Allowance {
    Allowance { most, window: Duration::from_millis(window_ms) }
}

/// A key that points where another does, and is another.
fn beside(key: u64, number: u64) -> u64 {
    key ^ (number << 40)
}

#[test]
fn there_are_never_more_than_most_and_who_leaves_makes_room() {
    let counts = Counts::new(100);
    let places: Vec<_> = (0..3).map(|_| counts.enter(7, 3).unwrap()).collect();
    assert_eq!((counts.enter(7, 3), counts.of(7)), (None, 3));
    assert!(counts.enter(beside(7, 1), 1).is_some(), "another key is another's");
    counts.leave(places[1]);
    assert_eq!(counts.of(7), 2);
    assert!(counts.enter(7, 3).is_some() && counts.enter(7, 3).is_none());
    assert_eq!(Counts::new(1).of(7), 0);
}

#[test]
fn where_no_slot_is_near_nobody_is_refused_and_nothing_is_counted() {
    let counts = Counts::new(NEAR);
    let places: Vec<_> = (0..NEAR as u64).map(|n| counts.enter(beside(0, n + 1), 1)).collect();
    assert!(places.iter().all(|place| place.is_some_and(|place| place != Place::NONE)));
    assert_eq!(counts.enter(beside(0, 99), 1), Some(Place::NONE));
    assert_eq!(counts.enter(beside(0, 99), 1), Some(Place::NONE));
    counts.leave(Place::NONE);
    counts.leave(places[5].unwrap());
    let place = counts.enter(beside(0, 99), 1).unwrap();
    assert_ne!(place, Place::NONE);
    assert_eq!(counts.enter(beside(0, 99), 1), None);
    assert_eq!(counts.enter(beside(0, 1), 1), None, "the others are still counted");
}

#[test]
fn many_threads_come_out_even() {
    let counts = Arc::new(Counts::new(64));
    let most = 3;
    let enter_and_leave = |seed: u64| {
        let counts = counts.clone();
        move || {
            let mut random = fastrand::Rng::with_seed(seed);
            for _ in 0..20_000 {
                let key = beside(0, random.u64(1..6));
                if let Some(place) = counts.enter(key, most) {
                    assert!(counts.of(key) <= most * 4, "a limit holds once in each of its slots");
                    counts.leave(place);
                }
            }
        }
    };
    let threads: Vec<_> = (0..4).map(|seed| std::thread::spawn(enter_and_leave(seed))).collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert!((1..6).all(|number| counts.of(beside(0, number)) == 0));
}

#[test]
fn an_allowance_is_there_at_once_and_comes_back_evenly() {
    let rates = Rates::new(100);
    let four = allowed(4, 1000);
    let now = 5 * SECOND;
    assert_eq!(rates.left(1, four, now), 4);
    for left in [3, 2, 1, 0] {
        assert_eq!(rates.take(1, four, now), Ok(()));
        assert_eq!(rates.left(1, four, now), left);
    }
    assert_eq!(rates.take(1, four, now), Err(Duration::from_millis(250)));
    assert_eq!(rates.take(1, four, now), Err(Duration::from_millis(250)), "a refusal uses nothing");
    assert_eq!(rates.take(2, four, now), Ok(()), "another key is another's");
    assert_eq!(rates.take(1, four, now + SECOND / 4 - 1), Err(Duration::from_nanos(1)));
    assert_eq!(rates.take(1, four, now + SECOND / 4), Ok(()));
    assert!(rates.take(1, four, now + SECOND / 4).is_err());
    assert_eq!(rates.left(1, four, now + SECOND / 4 + SECOND), 4);
}

#[test]
fn a_shorter_window_does_not_leave_anybody_waiting_for_the_longer_one() {
    let rates = Rates::new(100);
    assert_eq!(rates.take(1, allowed(1, 3_600_000), SECOND), Ok(()));
    assert_eq!(rates.take(1, allowed(1, 1000), SECOND), Err(Duration::from_secs(1)));
    assert_eq!(rates.take(1, allowed(1, 1000), 2 * SECOND), Ok(()));
}

#[test]
fn where_no_slot_is_near_the_one_that_comes_back_soonest_is_forgotten() {
    let rates = Rates::new(NEAR);
    let (one, now) = (allowed(1, 1000), 9 * SECOND);
    for number in 0..NEAR as u64 {
        assert_eq!(rates.take(beside(0, number + 1), one, now + number), Ok(()));
    }
    let later = now + 100;
    assert_eq!(rates.take(beside(0, 99), one, later), Ok(()));
    assert!(rates.take(beside(0, 99), one, later).is_err());
    assert!(rates.take(beside(0, 2), one, later).is_err(), "the others still wait");
    assert_eq!(rates.take(beside(0, 1), one, later), Ok(()), "the first was forgotten");
}

proptest! {
    /// In no stretch of time does a key use more than its allowance and what came back meanwhile,
    /// and who is refused may go on after the time that it was told.
    #[test]
    fn never_more_than_the_allowance_in_any_window(
        most in 1_u32..20,
        window_ms in 100_u64..5000,
        gaps in prop::collection::vec(0_u64..400, 1..200),
    ) {
        let rates = Rates::new(10);
        let allowed = allowed(most, window_ms);
        let mut now = SECOND;
        let mut taken = Vec::new();
        for gap in gaps {
            now += gap * 1_000_000;
            match rates.take(3, allowed, now) {
                Ok(()) => taken.push(now),
                Err(wait) => {
                    now += wait.as_nanos() as u64;
                    prop_assert_eq!(rates.take(3, allowed, now), Ok(()));
                    taken.push(now);
                }
            }
            let step = allowed.step_ns();
            for (i, from) in taken.iter().enumerate() {
                let used = (taken.len() - i) as u64;
                prop_assert!(used <= u64::from(most) + (now - from) / step + 1);
            }
        }
    }
}
