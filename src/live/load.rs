//! How many exchanges the process carries, and whether it takes more.
//!
//! The bound is one for all workers, who take it in portions: an exchange counts in its worker's
//! own [`Share`], which asks the others only when a portion is used up. Invariants: never more
//! than the bound; a worker keeps less than a portion that it does not need, so that the bound is
//! short by little, and by nothing where it is small; every exchange that was begun ends once.

use std::{
    cell::Cell,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
};

/// The largest portion, in exchanges.
const PORTION: usize = 32;
/// How many portions a worker's part of the bound is at least.
const PORTIONS: usize = 16;

/// What the process carries.
#[derive(Debug)]
pub struct Load {
    /// Exchanges that no worker has taken of the bound.
    free: AtomicUsize,
    portion: usize,
    out_of_memory: AtomicBool,
    shed: AtomicU64,
}

impl Load {
    /// A bound for so many workers; 0: none.
    pub fn new(exchanges: usize, workers: usize) -> Load {
        let bound = if exchanges == 0 { usize::MAX } else { exchanges };
        Load {
            free: AtomicUsize::new(bound),
            portion: (bound / workers.max(1) / PORTIONS).clamp(1, PORTION),
            out_of_memory: AtomicBool::new(false),
            shed: AtomicU64::new(0),
        }
    }

    /// The process has as much memory as it may have, or has no longer: no exchange begins then.
    pub fn set_out_of_memory(&self, is_out: bool) {
        self.out_of_memory.store(is_out, Relaxed);
    }

    /// How many exchanges were turned away because of the bound.
    pub fn shed(&self) -> u64 {
        self.shed.load(Relaxed)
    }

    fn take(&self) -> Option<usize> {
        let take = |free: usize| (free > 0).then(|| free - free.min(self.portion));
        let before = self.free.fetch_update(Relaxed, Relaxed, take).ok()?;
        Some(before.min(self.portion))
    }
}

/// One worker's part in the load.
#[derive(Debug)]
pub struct Share {
    load: Arc<Load>,
    /// Exchanges that it may begin without asking.
    spare: Cell<usize>,
    open: Cell<usize>,
}

impl Share {
    /// A part in which nothing was begun.
    pub fn new(load: Arc<Load>) -> Share {
        Share { load, spare: Cell::new(0), open: Cell::new(0) }
    }

    /// Exchanges in flight.
    pub fn open(&self) -> usize {
        self.open.get()
    }

    /// Does the process have as much memory as it may have?
    pub fn is_out_of_memory(&self) -> bool {
        self.load.out_of_memory.load(Relaxed)
    }

    /// Begins an exchange, if the process takes one more.
    pub fn begin(self: &Rc<Share>) -> Option<InFlight> {
        if self.is_out_of_memory() {
            return None;
        }
        if self.spare.get() == 0 {
            let Some(portion) = self.load.take() else {
                self.load.shed.fetch_add(1, Relaxed);
                return None;
            };
            self.spare.set(portion);
        }
        self.spare.set(self.spare.get() - 1);
        self.open.set(self.open.get() + 1);
        Some(InFlight(self.clone()))
    }

    fn give_back(&self, count: usize) {
        self.spare.set(self.spare.get() - count);
        self.load.free.fetch_add(count, Relaxed);
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.give_back(self.spare.get());
    }
}

/// An exchange that counts for as long as this lasts.
#[derive(Debug)]
pub struct InFlight(Rc<Share>);

impl Drop for InFlight {
    fn drop(&mut self) {
        let share = &*self.0;
        share.open.set(share.open.get() - 1);
        share.spare.set(share.spare.get() + 1);
        let portion = share.load.portion;
        // A portion of one is given back at once, a larger one when there is another behind it.
        if portion == 1 || share.spare.get() >= 2 * portion {
            share.give_back(portion);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(bound: usize, workers: usize) -> Vec<Rc<Share>> {
        let load = Arc::new(Load::new(bound, workers));
        (0..workers).map(|_| Rc::new(Share::new(load.clone()))).collect()
    }

    /// Begins as many as there may be, on one worker after another.
    fn fill(shares: &[Rc<Share>]) -> Vec<InFlight> {
        shares.iter().flat_map(|share| std::iter::from_fn(|| share.begin())).collect()
    }

    #[test]
    fn a_small_bound_is_met_exactly_by_whichever_worker() {
        for bound in 1..40 {
            let shares = shares(bound, 2);
            for order in [&shares[..], &[shares[1].clone(), shares[0].clone()]] {
                let begun = fill(order);
                assert_eq!(begun.len(), bound);
                assert!(shares.iter().all(|share| share.begin().is_none()));
                drop(begun);
                assert_eq!(shares[0].open() + shares[1].open(), 0);
            }
        }
    }

    #[test]
    fn a_large_bound_is_never_passed_and_hardly_missed() {
        let shares = shares(10_000, 4);
        let mut random = fastrand::Rng::with_seed(7);
        let mut begun = Vec::new();
        for step in 0..200_000 {
            let grows = step % 50_000 < 30_000;
            if random.bool() || grows {
                begun.extend(shares[random.usize(..4)].begin());
            }
            if !begun.is_empty() && (random.bool() || !grows) {
                begun.swap_remove(random.usize(..begun.len()));
            }
            assert!(begun.len() <= 10_000);
        }
        begun.extend(fill(&shares));
        assert!(begun.len() > 10_000 - 4 * 2 * PORTION, "{}", begun.len());
        let shed = shares[0].load.shed();
        assert!(shed > 0);
        begun.clear();
        drop(shares);
    }

    #[test]
    fn a_worker_that_ends_gives_back_what_it_kept() {
        let load = Arc::new(Load::new(1000, 1));
        let share = Rc::new(Share::new(load.clone()));
        drop(share.begin());
        assert!(load.free.load(Relaxed) < 1000);
        drop(share);
        assert_eq!(load.free.load(Relaxed), 1000);
    }

    #[test]
    fn without_memory_nothing_begins_and_without_a_bound_everything() {
        let share = shares(0, 1).remove(0);
        assert!((0..10_000).all(|_| share.begin().is_some()));
        share.load.set_out_of_memory(true);
        assert!(share.begin().is_none());
        share.load.set_out_of_memory(false);
        assert!(share.begin().is_some());
    }
}
