//! The hub looks after its store: between two groups, for a moment at a time.
//!
//! * A store that takes nothing is tried again, so that pushes are taken once there is room, with
//!   nobody having to push first.
//! * A little of what is older than the retention is forgotten.
//! * What the store is like is told to whoever asks for the state of the process, and said in the
//!   log whenever it changes.
//! * The table outlives a database that is doubted: it is kept beside it, once.
//!
//! Invariant: a look costs one small transaction at most, and looks are [`APART`] apart, or
//! [`SOON`] where there is more to forget.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

use crate::{
    control::store::{Store, StoreError},
    live::Status,
    route::Table,
};

/// How long lies between two looks.
const APART: Duration = Duration::from_secs(1);
/// How long, where there is more to forget: pushes come in between.
const SOON: Duration = Duration::from_millis(20);

/// What the hub knows of its store's state.
pub(super) struct Upkeep {
    next: Instant,
    retention: Duration,
    /// The table was kept beside a database that is doubted.
    is_rescued: bool,
    status: Arc<Status>,
}

impl Upkeep {
    /// Begins with a look at the store.
    pub fn begin(
        retention: Duration,
        status: Arc<Status>,
        store: &mut Store,
        table: &Table,
    ) -> Upkeep {
        let next = Instant::now() + APART;
        let mut upkeep = Upkeep { next, retention, is_rescued: false, status };
        let trouble = store.trouble();
        upkeep.tell(store, table, trouble.as_ref());
        upkeep
    }

    /// When the next look is due.
    pub fn next(&self) -> Instant {
        self.next
    }

    /// Looks after the store if that is due.
    pub fn look(&mut self, store: &mut Store, table: &Table, now: Instant, now_ms: u64) {
        if self.next > now {
            return;
        }
        self.next = now + APART;
        if self.status.store_trouble().is_some() {
            let trouble = store.trouble();
            return self.tell(store, table, trouble.as_ref());
        }
        self.forget_old(store, now_ms);
        match store.prune() {
            Ok(more) => {
                self.status.store_oldest.store(store.oldest().0, Relaxed);
                if more {
                    self.next = now + SOON;
                }
            }
            Err(error) => self.tell(store, table, Some(&error)),
        }
    }

    /// From now on what is too old may be forgotten with each commit.
    pub fn forget_old(&self, store: &mut Store, now_ms: u64) {
        let millis = u64::try_from(self.retention.as_millis()).unwrap_or(u64::MAX);
        let is_bounded = !self.retention.is_zero();
        store.keep_since(if is_bounded { now_ms.saturating_sub(millis) } else { 0 });
    }

    /// Says what the store is like.
    pub fn tell(&mut self, store: &Store, table: &Table, trouble: Option<&StoreError>) {
        match (self.status.store_trouble(), trouble) {
            (None, Some(error)) => {
                tracing::error!(%error, "the store takes no pushes, traffic is served on");
            }
            (Some(_), None) => tracing::info!("the store takes pushes again"),
            _ => {}
        }
        self.status.set_store(trouble.map(ToString::to_string));
        self.status.store_oldest.store(store.oldest().0, Relaxed);
        if trouble.is_some_and(StoreError::is_damage) && !self.is_rescued {
            self.is_rescued = true;
            if let Err(error) = store.rescue(table) {
                tracing::error!(%error, "the table could not be kept beside a doubted database");
            }
        }
    }
}
