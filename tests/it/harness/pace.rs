//! Pauses that are what a test is about: a side that is slow, but never silent for long.
//!
//! Invariant: nothing waits for a condition here; that is what `until` is for.

use std::time::{Duration, Instant};

/// How long a slow side pauses between two steps: far below the time-outs of the tests.
pub const STEP: Duration = Duration::from_millis(50);

/// Pauses.
pub fn pause(time: Duration) {
    let until = Instant::now() + time;
    while let Some(left) = until.checked_duration_since(Instant::now()).filter(|l| !l.is_zero()) {
        std::thread::park_timeout(left);
    }
}

/// Does a step, and another after each [`STEP`], for `time`.
pub fn slowly(time: Duration, mut step: impl FnMut()) {
    let began = Instant::now();
    while began.elapsed() < time {
        step();
        pause(STEP);
    }
}
