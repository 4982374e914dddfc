//! The latency of a dyno, and of an app's dynos on the whole, as atomics.
//!
//! Invariants: one word each, so that no reader sees half of one; two workers that write at once
//! may lose one answer of the two, which a figure that others follow can bear.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::outcome::Outcome;
use crate::{balance::Latency, error::Whose};

/// A failure counts as an answer that took so many times what the app's dynos take.
pub const FAILURE: u32 = 30;
/// The most that a dyno's word (`Retry-After`) is charged with, as many times.
pub const MOST: u32 = 100;
/// What a failure is charged with where nothing is known of the app, in microseconds.
const UNKNOWN_US: u32 = 100_000;

/// The figure.
#[derive(Debug, Default)]
pub struct LatencyCell(AtomicU64);

impl LatencyCell {
    /// The figure as it was left.
    pub fn get(&self) -> Latency {
        Latency::from_word(self.0.load(Relaxed))
    }

    fn set(&self, latency: Latency) {
        self.0.store(latency.to_word(), Relaxed);
    }

    /// Takes in how an attempt on the dyno ended; `app` is the figure of its app.
    pub fn settle(&self, app: &LatencyCell, outcome: &Outcome) {
        let before = self.get();
        if before.is_settled(outcome.now_ms) && !outcome.is_failure() {
            return;
        }
        let Some(us) = charge(outcome, before.us, app.get().us) else { return };
        if outcome.is_failure() {
            return self.set(before.after_failure(us, outcome.now_ms));
        }
        let now = before.after(us, outcome.now_ms);
        self.set(now);
        app.set(app.get().after_one(now.us, outcome.now_ms));
    }
}

/// What the attempt counts for, in microseconds, where the dyno stood at `own_us` and the app at
/// `neutral_us`; nothing if it says nothing of the dyno.
fn charge(outcome: &Outcome, own_us: u32, neutral_us: u32) -> Option<u32> {
    let took_us = outcome.latency_us;
    if outcome.is_failure() {
        let times = |times: u32| match neutral_us {
            0 => UNKNOWN_US,
            _ => neutral_us.saturating_mul(times),
        };
        let asked_s = outcome.said.retry_after_s.filter(|_| outcome.status == 503).unwrap_or(0);
        let asked_us = asked_s.saturating_mul(1_000_000).min(times(MOST));
        return Some(took_us.max(times(FAILURE)).max(asked_us));
    }
    let is_over = outcome.is_answered() && !outcome.is_tunnel();
    // Who leaves before the answer has seen that it takes so long at least.
    let has_left = outcome.fault.is_some_and(|fault| fault.whose() == Whose::Client);
    let is_given_up = outcome.given_up || has_left;
    let counts = is_over || (!outcome.is_answered() && is_given_up && took_us > own_us);
    (counts && took_us > 0).then_some(took_us)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{error::Fault, live::outcome::Said};

    const NOW_MS: u64 = 50_000;

    /// A dyno at 1 ms, and what it is at after an outcome 10 s later.
    fn after(outcome: Outcome) -> (u32, u32) {
        let (cell, app) = (LatencyCell::default(), LatencyCell::default());
        let quick = Outcome { status: 200, latency_us: 1_000, ..Outcome::default() };
        cell.settle(&app, &Outcome { now_ms: NOW_MS - 10_000, ..quick });
        cell.settle(&app, &Outcome { now_ms: NOW_MS, ..outcome });
        (cell.get().us, app.get().us)
    }

    fn answer(status: u16, latency_us: u32) -> Outcome {
        Outcome { status, latency_us, ..Outcome::default() }
    }

    #[test]
    fn a_failure_counts_as_many_times_the_apps_time_whoever_says_so() {
        let refused = Outcome { fault: Some(Fault::ConnectRefused), ..answer(0, 300) };
        let broken = Outcome { fault: Some(Fault::ServerInterrupted), ..answer(200, 300) };
        for outcome in [refused, broken, answer(500, 300), answer(503, 300)] {
            assert_eq!(after(outcome), (1_000 * FAILURE, 1_000), "{outcome:?}");
        }
        let late = Outcome { fault: Some(Fault::RequestTimeout), ..answer(0, 900_000) };
        assert_eq!(after(late).0, 900_000, "what it took is more");
        assert_eq!(after(answer(404, 1_000)).0, 1_000);
        assert_eq!(after(answer(501, 1_000)).0, 1_000, "it says what it does not do");
    }

    #[test]
    fn the_dynos_own_word_counts_to_a_bound() {
        let asks = |retry_after_s, status| {
            let said = Said { retry_after_s: Some(retry_after_s), load: None };
            after(Outcome { said, ..answer(status, 300) }).0
        };
        assert_eq!(asks(1, 503), 1_000 * MOST);
        assert_eq!(asks(0, 503), 1_000 * FAILURE);
        assert_eq!(asks(u32::MAX, 503), 1_000 * MOST);
        assert!(asks(9, 429) < 1_000, "what one client asks too often is not the dyno's load");
    }

    #[test]
    fn tunnels_and_those_who_left_early_say_nothing() {
        assert_eq!(after(answer(101, 900_000)).0, 1_000);
        let left =
            |latency_us| Outcome { fault: Some(Fault::ClientInterrupted), ..answer(0, latency_us) };
        assert_eq!(after(left(400)).0, 1_000);
        assert!(after(left(900_000)).0 > 500_000, "it has taken so long at least");
        let given_up = |latency_us| Outcome { given_up: true, ..answer(0, latency_us) };
        assert_eq!(after(given_up(400)).0, 1_000, "it lost, and is no quicker for it");
        assert!(after(given_up(900_000)).0 > 500_000);
        assert_eq!(after(answer(200, 0)).0, 1_000, "the answer overtook its request");
    }

    #[test]
    fn a_failure_where_nothing_is_known_counts_too() {
        let (cell, app) = (LatencyCell::default(), LatencyCell::default());
        cell.settle(&app, &Outcome { now_ms: NOW_MS, ..answer(500, 300) });
        assert_eq!((cell.get().us, app.get().us), (UNKNOWN_US, 0));
    }
}
