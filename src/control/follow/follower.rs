//! Publishes the hub's tables: the only one who does.
//!
//! Invariants: the [`Follower`] owns the only publisher; cells go on from snapshot to snapshot; a
//! retired snapshot is freed here, once no worker looks at it any more, and never by a worker.

use std::{sync::Arc, time::Instant};

use crate::{
    live::{Publisher, Reader, Registry, Snapshot, channel},
    route::Table,
};

/// How many retired snapshots may wait to be freed before the oldest is left to its last reader.
const MAX_RETIRED: usize = 1024;

/// Publishes each table with the cells of its dynos.
#[derive(Debug)]
pub struct Follower {
    publisher: Publisher<Snapshot>,
    registry: Registry,
    /// The zero of the cells' clock.
    began: Instant,
    retired: Vec<Arc<Snapshot>>,
}

impl Follower {
    /// Publishes a first table; answers also the reader that everybody clones.
    pub fn new(first: Table, registry: Registry, began: Instant) -> (Follower, Reader<Snapshot>) {
        let (publisher, reader) = channel(Snapshot::new(first, &registry));
        (Follower { publisher, registry, began, retired: Vec::new() }, reader)
    }

    /// Replaces the table that is served.
    pub fn publish(&mut self, table: &Table) {
        self.registry.set_now(self.began.elapsed().as_millis() as u64);
        let next = self.publisher.current().advance(table.clone(), &self.registry);
        let before = self.publisher.publish(next);
        self.publisher.current().call_waiting(&before);
        self.retired.push(before);
        self.retired.retain(|snapshot| Arc::strong_count(snapshot) > 1);
        if self.retired.len() > MAX_RETIRED {
            self.retired.remove(0);
        }
        self.registry.sweep();
    }
}
