//! How many calls a second a token may make: a bucket that fills at that rate.
//!
//! Invariants: no more than a second's worth of calls at once, and over any longer time no more
//! than the rate allows; who is refused is told when there is room again; time is an argument.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// What is left of a second's worth of calls.
#[derive(Debug, Default)]
pub(super) struct Bucket(Mutex<Option<Level>>);

#[derive(Debug, Clone, Copy)]
struct Level {
    calls: f64,
    at: Instant,
}

impl Bucket {
    /// Takes a call; else says how long it is until there is one. A rate of 0 is no bound.
    pub(super) fn take(&self, rate: u32, now: Instant) -> Result<(), Duration> {
        if rate == 0 {
            return Ok(());
        }
        let rate = f64::from(rate);
        let mut level = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = level.unwrap_or(Level { calls: rate, at: now });
        let since = now.saturating_duration_since(before.at).as_secs_f64();
        let calls = (before.calls + since * rate).min(rate);
        let taken = if calls >= 1.0 { calls - 1.0 } else { calls };
        *level = Some(Level { calls: taken, at: now });
        if calls >= 1.0 { Ok(()) } else { Err(Duration::from_secs_f64((1.0 - calls) / rate)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seconds_worth_passes_at_once_and_then_the_rate() {
        let (bucket, began) = (Bucket::default(), Instant::now());
        let at = |ms| began + Duration::from_millis(ms);
        let taken = |ms, tries: u32| (0..tries).filter(|_| bucket.take(10, at(ms)).is_ok()).count();
        assert_eq!(taken(0, 20), 10);
        assert_eq!(taken(99, 5), 0);
        assert_eq!(taken(150, 5), 1);
        assert_eq!(taken(60_000, 20), 10, "what was not used is not saved up");
    }

    #[test]
    fn the_wait_that_is_told_is_long_enough() {
        let (bucket, mut now) = (Bucket::default(), Instant::now());
        for _ in 0..100 {
            if let Err(wait) = bucket.take(3, now) {
                assert!(wait > Duration::ZERO && wait <= Duration::from_millis(334), "{wait:?}");
                now += wait + Duration::from_micros(1);
                assert_eq!(bucket.take(3, now), Ok(()));
            }
        }
        assert!((0..1000).all(|_| bucket.take(0, now).is_ok()), "0 is no bound");
    }
}
