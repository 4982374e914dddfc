//! Publishes the hub's tables: the only one who does.
//!
//! Invariants: the [`Follower`] owns the only publisher; cells go on from snapshot to snapshot; a
//! retired snapshot is freed here, once no worker looks at it any more, and never by a worker.

use std::sync::Arc;

use crate::{
    live::{Balance, Publisher, Reader, Registry, Snapshot, channel},
    route::Table,
};

/// How many retired snapshots may wait to be freed before the oldest is left to its last reader.
const MAX_RETIRED: usize = 1024;

/// Publishes each table with the cells of its dynos.
#[derive(Debug)]
pub struct Follower {
    publisher: Publisher<Snapshot>,
    registry: Registry,
    retired: Vec<Arc<Snapshot>>,
}

impl Follower {
    /// Publishes a first table, whose apps choose their dynos so unless they say otherwise, with
    /// room for so many apps' and dynos' figures; answers also the reader that everybody clones.
    pub fn new(first: Table, balance: &Balance, figures: usize) -> (Follower, Reader<Snapshot>) {
        let registry = Registry::new(balance).with_room(figures);
        let (publisher, reader) = channel(Snapshot::new(first, &registry));
        (Follower { publisher, registry, retired: Vec::new() }, reader)
    }

    /// Replaces the table that is served.
    pub fn publish(&mut self, table: &Table) {
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
