//! The sign of life of each worker: how often it has turned.
//!
//! Invariant: a worker writes its own, in a line of the processor's cache of its own; anybody
//! reads.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What the pulse of a worker is that has ended.
const ENDED: u64 = u64::MAX;

/// How often a worker has turned.
#[repr(align(64))]
#[derive(Debug, Default)]
pub struct Pulse(AtomicU64);

impl Pulse {
    /// The worker turned once more.
    pub fn beat(&self) {
        self.0.store(self.0.load(Relaxed) + 1, Relaxed);
    }

    /// The worker has ended, and turns no more.
    pub fn end(&self) {
        self.0.store(ENDED, Relaxed);
    }

    /// How often it has turned; none if it has ended.
    pub fn beats(&self) -> Option<u64> {
        Some(self.0.load(Relaxed)).filter(|beats| *beats != ENDED)
    }
}
