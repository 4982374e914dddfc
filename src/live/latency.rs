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
    let is_given_up = outcome.fault.is_some_and(|fault| fault.whose() == Whose::Client);
    let counts = is_over || (!outcome.is_answered() && is_given_up && took_us > own_us);
    (counts && took_us > 0).then_some(took_us)
}
