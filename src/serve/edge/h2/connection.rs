//! The life of one HTTP/2 connection of a client.
//!
//! 1. The preface and the first SETTINGS must come within the time of a request's head.
//! 2. Each stream that is accepted gets a task; this one moves the frames of all of them.
//! 3. A connection without streams is idle: it is told to go (GOAWAY) after the keep-alive time.
//! 4. So it is when the router drains; streams under way end first. It is given a while to hear it.
//! 5. A client that takes nothing of what is to be written for the idle time has left.
//!
//! Invariants: bounds of streams, windows and heads are the settings'; the connection counts as
//! open until its last exchange is settled.

use std::{
    cell::{Cell, RefCell},
    future::{Future, poll_fn},
    pin::pin,
    rc::Rc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use h2::server::{self, Builder};
use tokio::io::{AsyncRead, AsyncWrite};

use super::stream::{self, Counted};
use crate::serve::{
    edge::{
        accept::Open,
        client::Place,
        link::{Link, Protocol},
    },
    settings::Settings,
    wheel::Timer,
    worker::Worker,
};

/// How long a client that was told to go may take to hear it.
const PARTING: Duration = Duration::from_secs(2);
/// The most bytes that one stream has written and the socket has not taken.
const SEND_BUFFER: usize = 64 << 10;

/// What the tasks of one connection share.
pub struct Shared {
    /// Its place among the worker's connections.
    pub open: Open,
    /// What it is beside its bytes.
    pub link: Link,
    /// The app that it counts for.
    pub place: Rc<RefCell<Place>>,
    /// Its streams whose exchange is not settled.
    pub streams: Cell<usize>,
    waker: RefCell<Waker>,
}

impl Shared {
    /// Lets the connection's task look again.
    pub fn wake(&self) {
        self.waker.borrow().wake_by_ref();
    }
}

/// Serves a connection until one side has had enough.
pub async fn serve<T>(open: Open, io: T, link: Link)
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let worker = open.worker().clone();
    let waker = poll_fn(|cx| Poll::Ready(cx.waker().clone())).await;
    let timer = worker.wheel.timer(&waker);
    let shared = Rc::new(Shared {
        open,
        link: Link { protocol: Protocol::Http2, ..link },
        place: Rc::default(),
        streams: Cell::new(0),
        waker: RefCell::new(waker),
    });
    timer.set(worker.settings.timeouts.request_head);
    let handshake = Box::pin(greet(&worker, &timer, io));
    let Some(connection) = handshake.await else { return };
    let mut connection = Served { connection, shared, timer, mood: Mood::Begun };
    poll_fn(|cx| connection.poll(cx, &worker)).await;
}

/// Exchanges the prefaces, if they come in time.
async fn greet<T>(worker: &Worker, timer: &Timer, io: T) -> Option<server::Connection<T, Bytes>>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let mut handshake = pin!(builder(&worker.settings).handshake(io));
    poll_fn(|cx| match handshake.as_mut().poll(cx) {
        Poll::Ready(connection) => Poll::Ready(connection.ok()),
        Poll::Pending if timer.is_over() || worker.draining.get() => Poll::Ready(None),
        Poll::Pending => Poll::Pending,
    })
    .await
}

fn builder(settings: &Settings) -> Builder {
    // The settings are read within the bounds of the protocol.
    let bounded = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX);
    let bounds = &settings.http2;
    let mut builder = Builder::new();
    builder
        .max_concurrent_streams(bounds.max_streams)
        .initial_window_size(bounded(bounds.stream_window))
        .initial_connection_window_size(bounded(bounds.connection_window))
        .max_header_list_size(bounded(settings.limits.request_head))
        .max_send_buffer_size(SEND_BUFFER);
    builder
}

/// What the connection's deadline is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mood {
    /// Nothing yet.
    Begun,
    /// It has streams.
    Busy,
    /// It waits for a request.
    Idle,
    /// It was told to go, and has streams.
    Ending,
    /// It was told to go, and has none.
    Parting,
}

struct Served<T> {
    connection: server::Connection<T, Bytes>,
    shared: Rc<Shared>,
    timer: Timer,
    mood: Mood,
}

impl<T> Served<T>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    /// Ready when the connection is over.
    fn poll(&mut self, cx: &mut Context<'_>, worker: &Worker) -> Poll<()> {
        loop {
            match self.connection.poll_accept(cx) {
                Poll::Ready(Some(Ok((request, response)))) => {
                    let counted = Counted::new(self.shared.clone());
                    tokio::task::spawn_local(stream::serve(counted, request, response));
                    continue;
                }
                Poll::Ready(Some(Err(_)) | None) => return Poll::Ready(()),
                Poll::Pending => {}
            }
            let going = matches!(self.mood, Mood::Ending | Mood::Parting);
            let idle = self.mood == Mood::Idle && self.timer.is_over();
            if !going && (idle || worker.draining.get()) {
                self.connection.graceful_shutdown();
                self.become_(worker, Mood::Ending);
                // The frame is to be written.
                continue;
            }
            let streams = self.shared.streams.get() > 0;
            self.become_(
                worker,
                match (going, streams) {
                    (false, true) => Mood::Busy,
                    (false, false) => Mood::Idle,
                    (true, true) => Mood::Ending,
                    (true, false) => Mood::Parting,
                },
            );
            let over = self.mood == Mood::Parting && (self.timer.is_over() || worker.cut.get());
            return if over { Poll::Ready(()) } else { Poll::Pending };
        }
    }

    fn become_(&mut self, worker: &Worker, mood: Mood) {
        if self.mood == mood {
            return;
        }
        self.mood = mood;
        match mood {
            Mood::Idle => self.timer.set(worker.settings.timeouts.keep_alive),
            Mood::Parting => self.timer.set(PARTING),
            Mood::Begun | Mood::Busy | Mood::Ending => {}
        }
    }
}
