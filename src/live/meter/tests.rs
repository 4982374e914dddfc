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

fn take(rates: &Rates, key: u64, allowed: Allowance, now: u64) -> Result<(), Duration> {
    rates.of(key, allowed, now).map_or(Ok(()), |used| used.take(allowed, now))
}

fn left(rates: &Rates, key: u64, allowed: Allowance, now: u64) -> u32 {
    rates.known(key).map_or(allowed.most, |used| used.left(allowed, now))
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
    assert_eq!((counts.take_uncounted(), counts.take_uncounted()), (2, 0));
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
    assert_eq!(left(&rates, 1, four, now), 4);
    for rest in [3, 2, 1, 0] {
        assert_eq!(take(&rates, 1, four, now), Ok(()));
        assert_eq!(left(&rates, 1, four, now), rest);
    }
    assert_eq!(take(&rates, 1, four, now), Err(Duration::from_millis(250)));
    assert_eq!(
        take(&rates, 1, four, now),
        Err(Duration::from_millis(250)),
        "a refusal uses nothing"
    );
    assert_eq!(take(&rates, beside(1, 1), four, now), Ok(()), "another key is another's");
    assert_eq!(take(&rates, 1, four, now + SECOND / 4 - 1), Err(Duration::from_nanos(1)));
    assert_eq!(take(&rates, 1, four, now + SECOND / 4), Ok(()));
    assert!(take(&rates, 1, four, now + SECOND / 4).is_err());
    assert_eq!(left(&rates, 1, four, now + SECOND / 4 + SECOND), 4);
}

#[test]
fn a_shorter_window_does_not_leave_anybody_waiting_for_the_longer_one() {
    let rates = Rates::new(100);
    assert_eq!(take(&rates, 1, allowed(1, 3_600_000), SECOND), Ok(()));
    assert_eq!(take(&rates, 1, allowed(1, 1000), SECOND), Err(Duration::from_secs(1)));
    assert_eq!(take(&rates, 1, allowed(1, 1000), 2 * SECOND), Ok(()));
}

#[test]
fn where_no_slot_is_near_who_used_the_least_share_is_forgotten() {
    let rates = Rates::new(1);
    let (now, hour) = (9 * SECOND, allowed(1000, 3_600_000));
    // All have used up a short window, but for one that used little of a long one, which will be
    // whole again much later.
    let short = allowed(1, 1000);
    assert_eq!(take(&rates, beside(0, 1), hour, now), Ok(()));
    for number in 2..=NEAR as u64 {
        assert_eq!(take(&rates, beside(0, number), short, now), Ok(()));
    }
    assert_eq!(rates.take_forgotten(), 0);
    assert_eq!(take(&rates, beside(0, 99), short, now), Ok(()));
    assert_eq!((rates.take_forgotten(), rates.take_forgotten()), (1, 0));
    assert_eq!(left(&rates, beside(0, 1), hour, now), 1000, "it was forgotten");
    let waits = |number: u64| take(&rates, beside(0, number), short, now).is_err();
    assert!((2..=NEAR as u64).chain([99]).all(waits), "the others still wait");
    // Where all have used all, somebody is forgotten who waits.
    assert_eq!(take(&rates, beside(0, 100), short, now), Ok(()));
    assert_eq!(rates.take_forgotten(), 1);
    // What is unused is nobody's.
    assert_eq!(take(&rates, beside(0, 101), short, now + SECOND), Ok(()));
    assert_eq!(rates.take_forgotten(), 0);
}

#[test]
fn who_gets_the_place_of_another_has_used_nothing() {
    let rates = Rates::new(1);
    let (now, most) = (9 * SECOND, allowed(2, 1000));
    for number in 1..100 {
        assert_eq!(take(&rates, beside(0, number), most, now + number), Ok(()));
        assert_eq!(left(&rates, beside(0, number), most, now + number), 1);
    }
}

#[test]
fn another_window_is_of_the_same_client() {
    let rates = Rates::new(100);
    let (now, long) = (9 * SECOND, allowed(2, 3_600_000));
    assert_eq!(take(&rates, 1, long, now), Ok(()));
    assert!(take(&rates, 1, allowed(1, 1000), now).is_err());
    assert!(rates.slots.near(1).iter().filter(|slot| slot.is_of(1)).count() > 0);
    assert_eq!(left(&rates, 1, allowed(1, 1000), now + SECOND), 1);
}

#[test]
fn what_was_used_for_nothing_is_given_back() {
    let (used, three, now) = (Used::default(), allowed(3, 3000), 9 * SECOND);
    assert_eq!((used.take(three, now), used.take(three, now)), (Ok(()), Ok(())));
    used.give_back(three);
    assert_eq!((used.left(three, now), used.wait(three, now)), (2, None));
    assert_eq!((used.take(three, now), used.take(three, now)), (Ok(()), Ok(())));
    assert_eq!(used.wait(three, now), Some(Duration::from_secs(1)));
    assert_eq!(used.take(three, now), Err(Duration::from_secs(1)));
}

#[test]
fn an_app_as_a_whole_counts_for_itself() {
    let app = AppMeter::default();
    assert!(app.enter(2) && app.enter(2) && !app.enter(2));
    app.leave();
    assert_eq!(app.exchanges(), 1);
    assert!(app.enter(2));
}

#[test]
fn memory_is_made_by_and_by_and_bounded() {
    let counts = Counts::new(1 << 20);
    let made = |counts: &Counts| counts.slots.blocks.iter().filter(|b| b.get().is_some()).count();
    assert_eq!((counts.of(5), made(&counts), counts.slots.blocks.len()), (0, 0, (2 << 20) / BLOCK));
    counts.enter(5, 1).unwrap();
    assert_eq!(made(&counts), 1);
    for keys in [1, 33, 65_536, 65_537, 100_000] {
        let bytes = |slots: usize| slots * (size_of::<Rate>() + size_of::<AtomicU64>());
        let most = CLIENT_BYTES * keys.max(NEAR);
        assert!(bytes(Rates::new(keys).slots.mask + 1) <= most, "{keys}");
    }
    assert_eq!(CLIENT_BYTES, 96);
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
            match take(&rates, 3, allowed, now) {
                Ok(()) => taken.push(now),
                Err(wait) => {
                    now += wait.as_nanos() as u64;
                    prop_assert_eq!(take(&rates, 3, allowed, now), Ok(()));
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
