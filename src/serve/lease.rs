//! The in-flight guard: one exchange on one dyno, from the choice to the end of the body.
//!
//! Invariant: every lease is settled exactly once, whatever way the exchange ends, by being
//! dropped.

use std::sync::Arc;

use crate::live::{LiveApp, LiveDyno};

/// One exchange's place on a dyno.
#[derive(Debug)]
pub struct Lease {
    app: Arc<LiveApp>,
    at: usize,
}

impl Lease {
    /// Takes a place on the dyno at `at` among the app's, for an exchange's `first` attempt or
    /// another.
    pub fn take(app: Arc<LiveApp>, at: usize, first: bool) -> Lease {
        app.cell.enter(first);
        app.dynos[at].cell.enter();
        Lease { app, at }
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
