//! One client's connection, as its exchanges see it.
//!
//! Invariants: there is one deadline, that of whatever the connection's task waits for; what is in
//! the input between two exchanges belongs to the next request.

use std::{
    cell::RefCell,
    future::poll_fn,
    rc::Rc,
    sync::Arc,
    task::{Poll, ready},
    time::Duration,
};

use super::link::Link;
use crate::{
    live::AppCell,
    serve::{
        stream::{Heard, Stream},
        wheel::Timer,
        worker::Worker,
    },
};

/// A client's connection.
#[derive(Debug)]
pub struct Client {
    /// Its bytes; what is in the input between two exchanges belongs to the next request.
    pub stream: Stream,
    /// The deadline of whatever the connection's task waits for.
    pub timer: Timer,
    /// What the connection is beside them.
    pub link: Link,
    /// The app that its last request was for.
    pub visit: Visit,
}

/// A connection's place among those of the app that its last request was for.
#[derive(Debug)]
pub enum Visit {
    /// Of a connection whose requests come one after the other.
    Own(Place),
    /// Of one that has several at once, and counts once.
    Shared(Rc<RefCell<Place>>),
}

impl Default for Visit {
    fn default() -> Visit {
        Visit::Own(Place::default())
    }
}

impl Visit {
    /// Comes to an app, which may have `most` connections (0: any number); answers whether there
    /// was room.
    pub fn come(&mut self, app: &Arc<AppCell>, most: u32) -> bool {
        match self {
            Visit::Own(place) => place.come(app, most),
            Visit::Shared(place) => place.borrow_mut().come(app, most),
        }
    }
}

/// A place among an app's connections, if there is an app.
#[derive(Debug, Default)]
pub struct Place(Option<Arc<AppCell>>);

impl Place {
    fn come(&mut self, app: &Arc<AppCell>, most: u32) -> bool {
        if self.0.as_ref().is_some_and(|before| Arc::ptr_eq(before, app)) {
            return true;
        }
        self.leave();
        let admitted = app.connect(most);
        self.0 = admitted.then(|| app.clone());
        admitted
    }

    fn leave(&mut self) {
        if let Some(app) = self.0.take() {
            app.disconnect();
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.leave();
    }
}

/// The most bytes that are read and thrown away from a client that was answered early.
const LINGER_BYTES: usize = 1 << 20;
/// How long a client that was answered early may go on sending.
const LINGER_TIME: Duration = Duration::from_secs(2);

impl Client {
    /// Writes all of `bytes`, waiting at most `timeout` from one progress to the next. Answers
    /// whether the client took them.
    pub async fn send(&mut self, mut bytes: &[u8], timeout: Duration) -> bool {
        self.timer.set(timeout);
        poll_fn(|cx| {
            while !bytes.is_empty() {
                match self.stream.io.poll_write(cx, bytes) {
                    Poll::Ready(Ok(count)) => {
                        bytes = &bytes[count..];
                        self.timer.set(timeout);
                    }
                    Poll::Ready(Err(_)) => return Poll::Ready(false),
                    Poll::Pending if self.timer.is_over() => return Poll::Ready(false),
                    Poll::Pending => return Poll::Pending,
                }
            }
            Poll::Ready(true)
        })
        .await
    }

    /// Ends the answer, then reads on for a while: a close with unread input would reset the
    /// connection and could take the answer with it (RFC 9112, section 9.6).
    pub async fn linger(&mut self, worker: &Worker) {
        self.timer.set(LINGER_TIME);
        let mut read = 0;
        poll_fn(|cx| {
            if ready!(self.stream.io.poll_shutdown(cx)).is_err() {
                return Poll::Ready(());
            }
            loop {
                read += self.stream.pending().len();
                self.stream.discard();
                if read > LINGER_BYTES || self.timer.is_over() || worker.cut.get() {
                    return Poll::Ready(());
                }
                if ready!(self.stream.poll_hear(cx, &worker.buffers)) != Heard::Bytes {
                    return Poll::Ready(());
                }
            }
        })
        .await;
    }
}
