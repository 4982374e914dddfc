//! What each plane knows of the process as a whole, for `/readyz` and the metrics.
//!
//! Invariant: plain flags and numbers; whoever owns a fact writes it, anybody reads it.

use std::sync::{
    Arc, PoisonError, RwLock,
    atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
};

/// The state of the process.
#[derive(Debug, Default)]
pub struct Status {
    /// The last table was loaded and published.
    pub table_loaded: AtomicBool,
    /// The store took the last write that it was given.
    pub store_writable: AtomicBool,
    /// Why not.
    store_trouble: RwLock<Option<Arc<str>>>,
    /// The oldest revision that the store keeps.
    pub store_oldest: AtomicU64,
    /// How many dynos left because nobody renewed them, since the metrics were told last.
    pub dynos_expired: AtomicU64,
    /// How many dynos were not renewed in time and stay, since a guard keeps them or the store
    /// takes nothing.
    pub dynos_overdue: AtomicUsize,
    /// How many workers there are to be.
    pub workers: AtomicUsize,
    /// How many workers accept connections.
    pub workers_serving: AtomicUsize,
    /// Under what strain the process is, empty if under none.
    strain: RwLock<Vec<String>>,
}

impl Status {
    /// The store takes writes, or does not, for a reason.
    pub fn set_store(&self, trouble: Option<String>) {
        self.store_writable.store(trouble.is_none(), Relaxed);
        // A text is there whole or not at all, whoever panicked.
        let mut kept = self.store_trouble.write().unwrap_or_else(PoisonError::into_inner);
        *kept = trouble.map(Arc::from);
    }

    /// Why the store takes no writes; none if it does.
    pub fn store_trouble(&self) -> Option<Arc<str>> {
        self.store_trouble.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The process is under that strain, or under none.
    pub fn set_strain(&self, strain: Vec<String>) {
        *self.strain.write().unwrap_or_else(PoisonError::into_inner) = strain;
    }

    /// Why the process should get no traffic, empty if it should.
    pub fn not_ready(&self) -> Vec<String> {
        let mut reasons = self.strain.read().unwrap_or_else(PoisonError::into_inner).clone();
        if !self.table_loaded.load(Relaxed) {
            reasons.push("the table is not loaded yet".into());
        }
        let serving = self.workers_serving.load(Relaxed);
        if serving == 0 {
            reasons.push("no worker accepts connections".into());
        } else if serving < self.workers.load(Relaxed) {
            reasons.push("not every worker accepts connections".into());
        }
        reasons
    }
}
