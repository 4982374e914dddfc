//! What each plane knows of the process as a whole, for `/readyz` and the metrics.
//!
//! Invariant: plain flags and numbers; whoever owns a fact writes it, anybody reads it.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

/// The state of the process.
#[derive(Debug, Default)]
pub struct Status {
    /// The last table was loaded and published.
    pub table_loaded: AtomicBool,
    /// The store took the last write that it was given.
    pub store_writable: AtomicBool,
    /// How many workers there are to be.
    pub workers: AtomicUsize,
    /// How many workers accept connections.
    pub workers_serving: AtomicUsize,
}

impl Status {
    /// Why the process should get no traffic, empty if it should.
    pub fn not_ready(&self) -> Vec<&'static str> {
        let mut reasons = Vec::new();
        if !self.table_loaded.load(Relaxed) {
            reasons.push("the table is not loaded yet");
        }
        let serving = self.workers_serving.load(Relaxed);
        if serving == 0 {
            reasons.push("no worker accepts connections");
        } else if serving < self.workers.load(Relaxed) {
            reasons.push("not every worker accepts connections");
        }
        reasons
    }
}
