//! When somebody was last asked to start dynos of an app that has none.
//!
//! Invariant: of all who find the app without dynos, one asks; nobody again before the time is
//! over, unless the app had dynos in between.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// When it was asked, in milliseconds since the process began; 0: not since it had dynos.
#[derive(Debug, Default)]
pub struct Asked(AtomicU64);

impl Asked {
    /// Is it the caller's to ask at `now_ms`, if nobody did within `again_after_ms`?
    pub fn claim(&self, now_ms: u64, again_after_ms: u64) -> bool {
        let claim = |asked_ms: u64| {
            let is_due = asked_ms == 0 || now_ms.saturating_sub(asked_ms) >= again_after_ms;
            is_due.then_some(now_ms.max(1))
        };
        self.0.fetch_update(Relaxed, Relaxed, claim).is_ok()
    }

    /// The next one is to ask: the app had dynos, or the one before was not heard.
    pub fn forget(&self) {
        self.0.store(0, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_asks_and_nobody_again_before_the_time_is_over() {
        let asked = Asked::default();
        let claimed = |now_ms| asked.claim(now_ms, 100);
        assert_eq!([50, 50, 149, 150, 151].map(claimed), [true, false, false, true, false]);
        asked.forget();
        assert_eq!([152, 153].map(claimed), [true, false]);
        asked.forget();
        assert_eq!([0, 1].map(claimed), [true, false], "0 is a time, too");
    }
}
