//! How many exchanges a dyno may have, where that is found out (`dynos.adaptive`).
//!
//! Invariants: made when it is first asked for, so that dynos of other apps have none; nobody waits
//! for the lock: an answer that finds it taken is one among many and not counted.

use std::sync::{
    Mutex, OnceLock,
    atomic::{AtomicU32, Ordering::Relaxed},
};

use super::Outcome;
use crate::{
    balance::limit::{self, Limit},
    error::Fault,
};

/// The limit of a dyno, if there is one.
#[derive(Debug, Default)]
pub struct LimitCell(OnceLock<Box<Known>>);

#[derive(Debug)]
struct Known {
    most: AtomicU32,
    limit: Mutex<Limit>,
}

impl LimitCell {
    /// The most exchanges; from now on it is being found out.
    pub fn most(&self) -> u32 {
        let start = || {
            let limit = Mutex::default();
            Box::new(Known { most: AtomicU32::new(limit::START), limit })
        };
        self.0.get_or_init(start).most.load(Relaxed)
    }

    /// The most exchanges, if that was ever asked for.
    pub fn known(&self) -> Option<u32> {
        self.0.get().map(|known| known.most.load(Relaxed))
    }

    /// Takes in how an attempt ended, with so many in flight; answers whether there is a place
    /// more.
    pub fn settle(&self, outcome: &Outcome, in_flight: u32) -> bool {
        let Some(known) = self.0.get().filter(|_| says_how_long(outcome)) else { return false };
        let Ok(mut limit) = known.limit.try_lock() else { return false };
        limit.take(outcome.latency_us, in_flight, outcome.now_ms);
        let most = limit.get();
        known.most.swap(most, Relaxed) < most
    }
}

/// Is the outcome's latency that of an answer, or of one that did not come? A fault that is quick
/// says nothing.
fn says_how_long(outcome: &Outcome) -> bool {
    let is_late = outcome.fault == Some(Fault::RequestTimeout);
    let is_answer = outcome.is_answered() && !outcome.is_failure() && !outcome.is_tunnel();
    outcome.latency_us > 0 && (is_late || is_answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_where_it_was_asked_for_is_anything_found_out_and_faults_say_nothing() {
        let good = Outcome { status: 200, latency_us: 1000, ..Outcome::default() };
        let late = Outcome { latency_us: 30_000_000, fault: Some(Fault::RequestTimeout), ..good };
        let bad = Outcome { status: 500, ..good };
        let none = LimitCell::default();
        let feed = |cell: &LimitCell, outcome: Outcome| {
            let grows = |now_ms: u64| cell.settle(&Outcome { now_ms, ..outcome }, 1000);
            (1..200).filter(|tick| grows(tick * 50)).count()
        };
        assert_eq!((feed(&none, good), none.known()), (0, None));
        let cell = LimitCell::default();
        assert_eq!(cell.most(), limit::START);
        assert_eq!((feed(&cell, bad), cell.known()), (0, Some(limit::START)));
        assert!(feed(&cell, good) > 0 && cell.most() > limit::START);
        let most = cell.most();
        feed(&cell, late);
        assert!(cell.most() < most);
    }
}
