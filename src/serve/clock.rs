//! The clock of the data plane: the one place where a worker reads the time.
//!
//! Invariant: milliseconds since the process began are the same scale in every worker, so that what
//! one writes into a cell the others can compare.

use std::{
    cell::{Cell, RefCell},
    time::{Duration, Instant, SystemTime},
};

/// A worker's clock.
#[derive(Debug)]
pub struct Clock {
    began: Instant,
    /// Unix time in milliseconds when the process began, corrected on every tick.
    unix_offset_ms: Cell<u64>,
    /// What [`Clock::now_ms`] was on the last tick.
    ticked_ms: Cell<u64>,
    /// `Date`, renewed when the second changes.
    date: RefCell<(u64, String)>,
}

impl Clock {
    /// A clock whose zero is `began`, which all workers share.
    pub fn new(began: Instant) -> Clock {
        let clock = Clock {
            began,
            unix_offset_ms: Cell::new(0),
            ticked_ms: Cell::new(0),
            date: RefCell::new((u64::MAX, String::new())),
        };
        clock.correct();
        clock
    }

    /// Milliseconds since the process began; never 0, which stands for never.
    pub fn now_ms(&self) -> u64 {
        ms(self.now_us())
    }

    /// The same in microseconds.
    pub fn now_us(&self) -> u64 {
        self.began.elapsed().as_micros() as u64 + 1000
    }

    /// [`Clock::now_ms`] as it was on the last tick: for what need not be exact, without a look at
    /// the system's clock.
    pub fn coarse_ms(&self) -> u64 {
        self.ticked_ms.get()
    }

    /// The Unix time of a moment that [`Clock::now_ms`] gave, in milliseconds.
    pub fn unix_ms(&self, now_ms: u64) -> u64 {
        self.unix_offset_ms.get() + now_ms
    }

    /// Follows the system's time; to be called on every tick.
    pub fn correct(&self) {
        let unix = SystemTime::now();
        let unix_ms =
            unix.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO).as_millis()
                as u64;
        self.ticked_ms.set(self.now_ms());
        self.unix_offset_ms.set(unix_ms.saturating_sub(self.ticked_ms.get()));
        let mut date = self.date.borrow_mut();
        if date.0 != unix_ms / 1000 {
            *date = (unix_ms / 1000, httpdate::fmt_http_date(unix));
        }
    }

    /// Gives the current `Date` (RFC 9110, section 5.6.7) to `take`.
    pub fn with_date<R>(&self, take: impl FnOnce(&[u8]) -> R) -> R {
        take(self.date.borrow().1.as_bytes())
    }
}

/// A moment of [`Clock::now_us`] as [`Clock::now_ms`] gives it.
pub fn ms(us: u64) -> u64 {
    us / 1000
}

/// What [`Clock::now_ms`] of a clock says whose zero is `began`.
pub fn since(began: Instant) -> u64 {
    began.elapsed().as_millis() as u64 + 1
}
