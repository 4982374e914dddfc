//! The idle connections to dynos, kept by one worker for its next exchanges.
//!
//! Invariants: a connection belongs to one cell, hence to one app, name, address and release, and
//! to the name that its dyno has proven, and is never used for another; one on which anything has
//! come, the end included, is not used again; the youngest is used first, so that the others can
//! age; what is kept is bounded per dyno and in all.

use std::{
    cell::{Cell, RefCell},
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use crate::{
    live,
    serve::{io::Io, stream::Stream},
};

/// The most idle connections that one worker keeps to one dyno.
const MAX_PER_DYNO: usize = 256;
/// The most idle connections that one worker keeps in all.
const MAX_IDLE: usize = 4096;

/// A connection to a dyno, in use by one exchange.
#[derive(Debug)]
pub struct Connection {
    /// Its bytes.
    pub stream: Stream,
    /// How many exchanges it carried before: if any, the dyno may be closing it at this moment.
    pub exchanges: u32,
    /// The name that its dyno has proven, if it is inside TLS.
    pub name: Option<Arc<str>>,
}

#[derive(Debug)]
struct Idle {
    io: Io,
    name: Option<Arc<str>>,
    exchanges: u32,
    until_ms: u64,
}

#[derive(Debug)]
struct Bucket {
    /// Keeps the address that is the bucket's key from being another cell's.
    cell: Arc<live::Cell>,
    idle: VecDeque<Idle>,
}

/// One worker's idle connections, by the address of their dyno's cell.
#[derive(Debug, Default)]
pub struct Pool {
    buckets: RefCell<HashMap<usize, Bucket, foldhash::fast::RandomState>>,
    kept: Cell<usize>,
}

impl Pool {
    /// A kept connection to this dyno by this name, if one is as it was left and its time is not
    /// over. One by another name is let go of: the app's settings have changed.
    pub fn take(
        &self,
        cell: &Arc<live::Cell>,
        name: Option<&str>,
        now_ms: u64,
    ) -> Option<Connection> {
        let mut buckets = self.buckets.borrow_mut();
        let bucket = buckets.get_mut(&(Arc::as_ptr(cell) as usize))?;
        while let Some(idle) = bucket.idle.pop_back() {
            self.kept.set(self.kept.get() - 1);
            if idle.until_ms > now_ms && idle.name.as_deref() == name && idle.io.is_quiet() {
                let Idle { io, name, exchanges, .. } = idle;
                let stream = Stream::new(io);
                return Some(Connection { stream, exchanges: exchanges + 1, name });
            }
        }
        None
    }

    /// Keeps a connection whose exchange is over, and whose dyno keeps it too until `until_ms`.
    pub fn keep(&self, cell: &Arc<live::Cell>, connection: Connection, until_ms: u64) {
        if self.kept.get() >= MAX_IDLE || cell.is_retired() {
            return;
        }
        let mut buckets = self.buckets.borrow_mut();
        let bucket = buckets
            .entry(Arc::as_ptr(cell) as usize)
            .or_insert_with(|| Bucket { cell: cell.clone(), idle: VecDeque::new() });
        if bucket.idle.len() < MAX_PER_DYNO {
            let Connection { stream, exchanges, name } = connection;
            bucket.idle.push_back(Idle { io: stream.io, name, exchanges, until_ms });
            self.kept.set(self.kept.get() + 1);
        }
    }

    /// Closes the connections whose time is over, that their dyno closed, or whose dyno left the
    /// table.
    pub fn sweep(&self, now_ms: u64) {
        let mut kept = 0;
        self.buckets.borrow_mut().retain(|_, bucket| {
            if bucket.cell.is_retired() {
                return false;
            }
            bucket.idle.retain(|idle| idle.until_ms > now_ms && idle.io.is_quiet());
            kept += bucket.idle.len();
            !bucket.idle.is_empty()
        });
        self.kept.set(kept);
    }
}
