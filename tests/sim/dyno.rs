//! A dyno as it really is, which no router knows: slots, a queue of its own, a pace, an illness.
//!
//! Invariant: what waits is served in the order in which it came; a slot that is free while
//! something waits is taken at once.

use std::collections::VecDeque;

/// How long a dyno that has just started is slower than usual.
pub const COLD_US: u64 = 4_000_000;
/// How many times longer it takes at first; then less, evenly, until it is warm.
const COLD: f64 = 5.0;
/// How soon a dyno that fails fast answers 500.
pub const FAILS_AFTER_US: u64 = 2_000;

/// What ails a dyno.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// Nothing.
    Sound,
    /// It answers 500 to everything, at once.
    FailsFast,
    /// It takes everything and answers nothing.
    Hangs,
}

/// A dyno.
#[derive(Debug, Clone)]
pub struct Dyno {
    /// How many requests it works on at a time.
    pub slots: usize,
    /// What its owner says that it can take beside the others.
    pub weight: u16,
    /// How many times the usual it needs for the same work.
    pub pace: f64,
    /// What ails it.
    pub health: Health,
    /// Does it take anything new?
    pub is_up: bool,
    /// When it was started; none if it was warm from the first.
    pub started_us: Option<u64>,
    busy: usize,
    waiting: VecDeque<usize>,
}

impl Dyno {
    /// A sound one of the usual pace.
    pub fn of(slots: usize) -> Dyno {
        Dyno {
            slots,
            weight: 100,
            pace: 1.0,
            health: Health::Sound,
            is_up: true,
            started_us: None,
            busy: 0,
            waiting: VecDeque::new(),
        }
    }

    /// Requests that it can work on beside a dyno of the usual pace.
    pub fn capacity(&self) -> f64 {
        if self.health == Health::Sound { self.slots as f64 / self.pace } else { 0.0 }
    }

    /// Requests that it has, by slot.
    pub fn fullness(&self) -> f64 {
        (self.busy + self.waiting.len()) as f64 / self.slots as f64
    }

    /// Has it a slot for one more?
    pub fn has_slot(&self) -> bool {
        self.busy < self.slots
    }

    /// How long this much work takes, begun now.
    pub fn takes(&self, work_us: u64, now_us: u64) -> u64 {
        (work_us as f64 * self.pace * self.coldness(now_us)).round() as u64
    }

    /// How many times longer than once it is warm.
    pub fn coldness(&self, now_us: u64) -> f64 {
        let warm = self.started_us.map_or(1.0, |started| {
            (now_us.saturating_sub(started) as f64 / COLD_US as f64).min(1.0)
        });
        COLD - (COLD - 1.0) * warm
    }

    /// Takes a request; says whether its work begins at once.
    pub fn take(&mut self, request: usize) -> bool {
        let begins = self.has_slot();
        if begins {
            self.busy += 1;
        } else {
            self.waiting.push_back(request);
        }
        begins
    }

    /// A request is done; which begins in its place?
    pub fn finish(&mut self) -> Option<usize> {
        let next = self.waiting.pop_front();
        self.busy -= usize::from(next.is_none());
        next
    }
}
