//! The in-flight guard: one exchange on one dyno, from the choice to the end of the answer as it
//! comes from there; a tunnel's to its end.
//!
//! Invariants: the counts are lowered exactly once, whatever way the exchange ends, by the lease's
//! being vacated or dropped, or the place goes to who waits for one; the cell is told of an outcome
//! at most once, and before.

use std::sync::Arc;

use crate::live::{Cell, LiveApp, LiveDyno, Outcome, queue::Handed};

/// One exchange's place on a dyno.
#[derive(Debug)]
pub struct Lease {
    app: Arc<LiveApp>,
    at: usize,
    settled: bool,
    counted: bool,
}

impl Lease {
    /// Takes a place on the dyno at `at` among the app's, for an exchange's `first` attempt or
    /// another, within `most` on the dyno and `most_of_app` (0: any number), if there is one, and
    /// the dyno did not begin to drain since it was chosen.
    pub fn take(
        app: &Arc<LiveApp>,
        at: usize,
        first: bool,
        (most, most_of_app): (u32, u32),
    ) -> Option<Lease> {
        let taken = app.cell.take(&app.dynos[at].cell, first, most, most_of_app);
        taken.then(|| Lease { app: app.clone(), at, settled: false, counted: true })
    }

    /// Keeps a place that was handed on, which is on the dyno at `at` among the app's.
    pub fn keep(handed: Handed, app: Arc<LiveApp>, at: usize) -> Lease {
        handed.keep();
        Lease { app, at, settled: false, counted: true }
    }

    /// Gives the place away as it is, counted: it is on this dyno.
    pub fn give(mut self) -> (usize, Arc<Cell>) {
        self.counted = false;
        (self.at, self.dyno().cell.clone())
    }

    /// Moves to another of the app's dynos that has no bound, if that takes it: it counts on one of
    /// the two all the time.
    pub fn move_to(&mut self, choose: impl FnOnce(&Arc<LiveApp>) -> Option<usize>) {
        let to = choose(&self.app).filter(|to| *to != self.at);
        if let Some(to) = to.filter(|to| self.app.dynos[*to].cell.enter(0)) {
            self.dyno().cell.leave();
            self.at = to;
        }
    }

    /// Tells the cell how the attempt ended, unless it was told.
    pub fn settle(&mut self, outcome: &Outcome) {
        if !std::mem::replace(&mut self.settled, true) {
            self.dyno().cell.settle(&self.app.cell, outcome);
            self.app.judge(self.at, outcome);
        }
    }

    /// Gives up the place, and is from now on only the name of where it was.
    pub fn vacate(&mut self) {
        if std::mem::take(&mut self.counted) {
            self.app.cell.release(&self.dyno().cell);
        }
    }

    /// Its app, as it was when the dyno was chosen.
    pub fn app(&self) -> &Arc<LiveApp> {
        &self.app
    }

    /// Its app, and where among the app's dynos it is.
    pub fn place(&self) -> (&Arc<LiveApp>, usize) {
        (&self.app, self.at)
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
        self.vacate();
    }
}

#[cfg(test)]
mod tests;
