//! One value that one part replaces whole and many read without a lock.
//!
//! * A [`Reader`] clone loads the pointer; a load is never held across an await.
//! * A [`Publisher`] cannot be cloned: one part of the process replaces the value, by type.
//! * The value that was replaced is handed back to the publisher, so that its last owner, who pays
//!   for freeing it, is seldom a reader.

use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};

/// Makes the two ends, with a first value.
pub fn channel<T>(first: T) -> (Publisher<T>, Reader<T>) {
    let shared = Arc::new(ArcSwap::from_pointee(first));
    (Publisher { shared: shared.clone() }, Reader { shared })
}

/// Loads the current value.
#[derive(Debug)]
pub struct Reader<T> {
    shared: Arc<ArcSwap<T>>,
}

impl<T> Clone for Reader<T> {
    fn clone(&self) -> Self {
        Reader { shared: self.shared.clone() }
    }
}

impl<T> Reader<T> {
    /// The current value, for a look: not to be kept across an await.
    pub fn load(&self) -> Guard<Arc<T>> {
        self.shared.load()
    }

    /// The current value, to keep: for the control plane.
    pub fn load_full(&self) -> Arc<T> {
        self.shared.load_full()
    }
}

/// Replaces the value.
#[derive(Debug)]
pub struct Publisher<T> {
    shared: Arc<ArcSwap<T>>,
}

impl<T> Publisher<T> {
    /// The current value.
    pub fn current(&self) -> Arc<T> {
        self.shared.load_full()
    }

    /// Replaces the value and hands back the one before, to be freed by the caller.
    pub fn publish(&self, value: T) -> Arc<T> {
        self.shared.swap(Arc::new(value))
    }
}
