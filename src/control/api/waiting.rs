//! Connections of the control listener that wait for their clients: for a handshake or a head.
//!
//! Invariants: a connection waits from its start to its first call, and from the end of each answer
//! to the next call, so that one that is being answered is never cut for another; who is cut is the
//! one that has waited longest, whatever it has sent of a hello or a head; a connection that has
//! ended does not wait.

use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use axum::body::Body;
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use tokio::sync::Notify;

use super::server::Cut;

/// The connections that wait.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    queue: Mutex<Queue>,
    begun: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    next: u64,
    /// Those that have waited longest come first.
    waiting: BTreeMap<u64, Cut>,
}

impl Waiting {
    /// Cuts the connection that has waited longest; answers whether there is one.
    pub(super) fn cut_longest(&self) -> bool {
        let longest = self.with(|queue| queue.waiting.pop_first());
        longest.map(|(_, cut)| cut.cut()).is_some()
    }

    /// Returns once another has begun to wait since it was last asked.
    pub(super) async fn begun(&self) {
        self.begun.notified().await;
    }

    /// A connection that waits from now on.
    pub(super) fn connection(self: &Arc<Self>) -> Arc<Place> {
        let (cut, turn) = Default::default();
        let place = Place { waiting: self.clone(), cut, turn };
        place.wait();
        Arc::new(place)
    }

    fn with<T>(&self, look: impl FnOnce(&mut Queue) -> T) -> T {
        look(&mut self.queue.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A connection's place among them.
#[derive(Debug)]
pub(super) struct Place {
    waiting: Arc<Waiting>,
    cut: Cut,
    turn: Mutex<Option<u64>>,
}

impl Place {
    /// What ends the connection.
    pub(super) fn cut(&self) -> &Cut {
        &self.cut
    }

    /// Does not wait until what is returned is dropped.
    pub(super) fn busy(self: &Arc<Self>) -> Busy {
        self.rest();
        Busy(self.clone())
    }

    fn wait(&self) {
        let turn = self.waiting.with(|queue| {
            queue.next += 1;
            queue.waiting.insert(queue.next, self.cut.clone());
            queue.next
        });
        self.put(Some(turn));
        self.waiting.begun.notify_one();
    }

    fn rest(&self) {
        if let Some(turn) = self.put(None) {
            self.waiting.with(|queue| queue.waiting.remove(&turn));
        }
    }

    fn put(&self, turn: Option<u64>) -> Option<u64> {
        std::mem::replace(&mut *self.turn.lock().unwrap_or_else(PoisonError::into_inner), turn)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.rest();
    }
}

/// A call that is being answered.
#[derive(Debug)]
pub(super) struct Busy(Arc<Place>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.wait();
    }
}

/// The body of an answer, which lasts until all of it is passed on.
#[derive(Debug)]
pub(super) struct Answer {
    body: Body,
    _busy: Busy,
}

impl Answer {
    pub(super) fn new(body: Body, busy: Busy) -> Answer {
        Answer { body, _busy: busy }
    }
}

impl hyper::body::Body for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
