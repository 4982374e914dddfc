//! The in-flight guard: one exchange on one dyno, from the choice to the end of the body.
//!
//! Invariants: the counts are lowered exactly once, whatever way the exchange ends, by the lease's
//! being dropped; the cell is told of an outcome at most once, and before.

use std::sync::Arc;

use crate::live::{LiveApp, LiveDyno, Outcome};

/// One exchange's place on a dyno.
#[derive(Debug)]
pub struct Lease {
    app: Arc<LiveApp>,
    at: usize,
    settled: bool,
}

impl Lease {
    /// Takes a place on the dyno at `at` among the app's, for an exchange's `first` attempt or
    /// another.
    pub fn take(app: Arc<LiveApp>, at: usize, first: bool) -> Lease {
        app.cell.enter(first);
        app.dynos[at].cell.enter();
        Lease { app, at, settled: false }
    }

    /// Tells the cell how the attempt ended, unless it was told.
    pub fn settle(&mut self, outcome: &Outcome) {
        if !std::mem::replace(&mut self.settled, true) {
            self.dyno().cell.settle(&self.app.cell, outcome);
        }
    }

    /// Its app, as it was when the dyno was chosen.
    pub fn app(&self) -> &LiveApp {
        &self.app
    }

    /// The name of its app.
    pub fn app_name(&self) -> &str {
        self.app.app.name.as_str()
    }

    /// The dyno.
    pub fn dyno(&self) -> &LiveDyno {
        &self.app.dynos[self.at]
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.dyno().cell.leave();
        self.app.cell.leave();
    }
}
