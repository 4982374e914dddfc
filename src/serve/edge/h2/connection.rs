//! The life of one HTTP/2 connection of a client.
//!
//! 1. The preface must come within the time of a request's head, and so must the rest of each head
//!    that has begun.
//! 2. Each stream that is accepted gets a task; this one moves the frames of all of them.
//! 3. A connection without streams is idle: it soon gives back the memory that it read into
//!    ([`super::spare`]), and is told to go (GOAWAY) after the keep-alive time.
//! 4. So it is when the router drains; streams under way end first. It is given a while to hear it:
//!    what it asks after that is nobody's.
//! 5. A client that takes nothing of what is to be written for the idle time has left.
//! 6. One that floods is told so (GOAWAY, ENHANCE_YOUR_CALM), and nothing of it is read any more.
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
use h2::{
    Reason,
    server::{self, Builder},
};
use tokio::io::{AsyncRead, AsyncWrite};

use super::{
    stream::{self, Counted},
    watched::{Tally, Watched},
};
use crate::{
    serve::{
        edge::{
            accept::Open,
            client::Place,
            link::{Link, Protocol},
        },
        settings::Settings,
        wheel::Timer,
        worker::Worker,
    },
    telemetry::Http2Abuse,
    wire::h2::flood::{Flood, RESETS},
};

/// How long a client that was told to go may take to hear it.
const PARTING: Duration = Duration::from_secs(2);
/// How long a client has asked for nothing, and nothing came, when what was read into goes back.
const REST: Duration = Duration::from_secs(1);
/// The most bytes that one stream has written and the socket has not taken: what a reader that is
/// slow costs. Twice as much moved large answers no faster.
const SEND_BUFFER: usize = 32 << 10;
/// What DATA frames of less than 256 bytes may cost, each 256 less its length, before the tasks of
/// their streams take them: many times what is read in one turn.
const SMALL_FRAMES: usize = 4 << 20;
/// The most requests that were taken back before they were looked at: the flood is told first.
const TAKEN_BACK: usize = 2 * RESETS as usize;
/// The most requests of a connection that are malformed as HTTP/2.
const MALFORMED: usize = 128;

/// What the tasks of one connection share.
pub struct Shared {
    /// Its place among the worker's connections.
    pub open: Open,
    /// What it is beside its bytes.
    pub link: Link,
    /// The app that it counts for.
    pub place: Rc<RefCell<Place>>,
    /// What is known of its bytes.
    pub tally: Rc<Tally>,
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
pub fn serve<T>(open: Open, io: T, link: Link) -> impl Future<Output = ()>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    // What the beginning needs is gone once there is a connection, which is all that is held.
    let begun = Box::pin(begin(open, io, link));
    async move {
        let Some(mut connection) = begun.await else { return };
        let worker = connection.shared.open.worker().clone();
        poll_fn(|cx| connection.poll(cx, &worker)).await;
    }
}

async fn begin<T>(open: Open, io: T, link: Link) -> Option<Served<T>>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let worker = open.worker().clone();
    let waker = poll_fn(|cx| Poll::Ready(cx.waker().clone())).await;
    let timer = worker.wheel.timer(&waker);
    let tally = Rc::new(Tally::new(&worker));
    let io = Watched { io, tally: tally.clone(), worker: worker.clone() };
    let shared = Rc::new(Shared {
        open,
        tally,
        link: Link { protocol: Protocol::Http2, ..link },
        place: Rc::default(),
        streams: Cell::new(0),
        waker: RefCell::new(waker),
    });
    timer.set(worker.settings.timeouts.request_head);
    let connection = greet(&worker, &timer, io).await?;
    Some(Served {
        connection,
        shared,
        timer,
        mood: Mood::Busy,
        idle_ms: 0,
        going: false,
        told: false,
        head: None,
        said: false,
        written: 0,
    })
}

/// Exchanges the prefaces, if they come in time.
async fn greet<T>(worker: &Worker, timer: &Timer, io: T) -> Option<server::Connection<T, Bytes>>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let mut handshake = pin!(builder(&worker.settings).handshake(io));
    poll_fn(|cx| match handshake.as_mut().poll(cx) {
        Poll::Ready(connection) => Poll::Ready(connection.ok()),
        Poll::Pending if timer.is_over() || worker.cut.get() => Poll::Ready(None),
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
        .enable_connect_protocol()
        .data_frame_budget(SMALL_FRAMES)
        .max_pending_accept_reset_streams(TAKEN_BACK)
        .max_local_error_reset_streams(Some(MALFORMED))
        .max_send_buffer_size(SEND_BUFFER);
    builder
}

/// What the connection's deadline is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mood {
    /// Nothing: it begins, or has streams.
    Busy,
    /// It waits for a request.
    Idle,
    /// It has waited for [`REST`], and nothing came since.
    Resting,
    /// It has streams, was told to go, and is given a while to say that it heard it.
    Going,
    /// It was told to go, and has no streams.
    Parting,
    /// What is to be written is not taken.
    Stuck,
    /// It was told to go at once, and is given the time to read that.
    Cut,
}

impl Mood {
    /// Does it wait for a request?
    fn is_idle(self) -> bool {
        matches!(self, Mood::Idle | Mood::Resting)
    }
}

struct Served<T> {
    connection: server::Connection<Watched<T>, Bytes>,
    shared: Rc<Shared>,
    timer: Timer,
    mood: Mood,
    /// When it last became idle, in milliseconds.
    idle_ms: u64,
    /// It was told to go.
    going: bool,
    /// It had the time to hear that.
    told: bool,
    /// The number of the head that has begun, and its time: nearly all come in one piece.
    head: Option<(u32, Timer)>,
    /// The protocol has nothing more to say.
    said: bool,
    /// What was written when the mood was last looked at, in bytes.
    written: u64,
}

impl<T> Served<T>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    /// Ready when the connection is over.
    fn poll(&mut self, cx: &mut Context<'_>, worker: &Worker) -> Poll<()> {
        loop {
            if !self.said {
                match self.connection.poll_accept(cx) {
                    Poll::Ready(Some(Ok((request, response)))) => {
                        let stream = response.stream_id().as_u32();
                        let counted = Counted::new(self.shared.clone(), stream);
                        tokio::task::spawn_local(stream::serve(counted, request, response));
                        continue;
                    }
                    Poll::Ready(Some(Err(error))) => self.take_error(worker, &error),
                    Poll::Ready(None) if self.mood != Mood::Cut => return Poll::Ready(()),
                    Poll::Ready(None) => self.said = true,
                    Poll::Pending => {}
                }
            }
            if let Some(flood) = self.shared.tally.flood.get().filter(|_| self.mood != Mood::Cut) {
                self.cut(worker, Some(abuse(flood)));
                self.connection.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
                continue;
            }
            if self.mood != Mood::Cut && self.is_head_late(cx, worker) {
                self.cut(worker, Some(Http2Abuse::SlowHead));
                self.connection.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
                continue;
            }
            self.look(worker);
            let over = self.timer.is_over();
            if self.mood == Mood::Idle && over && self.rest(worker) {
                // What is due is done when something is read.
                continue;
            }
            let unwanted = over || worker.share.is_out_of_memory();
            if !self.going && (worker.draining.get() || (self.mood.is_idle() && unwanted)) {
                self.going = true;
                self.connection.graceful_shutdown();
                // The frame is to be written.
                continue;
            }
            if self.mood == Mood::Going && over {
                self.told = true;
                self.shared.tally.feign_pong();
                continue;
            }
            if self.mood == Mood::Stuck && over {
                self.shared.tally.stalled.set(true);
                self.count(worker, Http2Abuse::Stalled);
            }
            let waits = matches!(self.mood, Mood::Busy | Mood::Idle | Mood::Resting | Mood::Going);
            return match !waits && (over || worker.cut.get()) {
                true => Poll::Ready(()),
                false => Poll::Pending,
            };
        }
    }

    /// Has a head that began not come to its end in time?
    fn is_head_late(&mut self, cx: &Context<'_>, worker: &Worker) -> bool {
        let head = self.shared.tally.head();
        if head != self.head.as_ref().map(|(head, _)| *head) {
            self.head = head.map(|head| (head, worker.wheel.timer(cx.waker())));
            if let Some((_, timer)) = &self.head {
                timer.set(worker.settings.timeouts.request_head);
            }
        }
        self.head.as_ref().is_some_and(|(_, timer)| timer.is_over())
    }

    /// The protocol ended the connection.
    fn take_error(&mut self, worker: &Worker, error: &h2::Error) {
        self.said = true;
        let calm = error.is_library() && error.reason() == Some(Reason::ENHANCE_YOUR_CALM);
        if self.mood != Mood::Cut {
            self.cut(worker, calm.then_some(Http2Abuse::Excess));
        }
        if error.is_io() || error.is_remote() {
            // Nobody is there to read anything.
            self.timer.set(Duration::ZERO);
        }
    }

    /// How long it may still be idle.
    fn left(&self, worker: &Worker) -> Duration {
        let waited = worker.clock.coarse_ms().saturating_sub(self.idle_ms);
        worker.settings.timeouts.keep_alive.saturating_sub(Duration::from_millis(waited))
    }

    /// Gives back what it has read into, unless its time is over.
    fn rest(&mut self, worker: &Worker) -> bool {
        let left = self.left(worker);
        if !left.is_zero() {
            self.mood = Mood::Resting;
            self.timer.set(left);
            self.shared.tally.spare.give();
        }
        !left.is_zero()
    }

    fn count(&self, worker: &Worker, abuse: Http2Abuse) {
        worker.metrics.borrow_mut().http2_abuse(abuse);
        let (remote, kind) = (self.shared.link.remote, abuse.label());
        tracing::debug!(%remote, kind, "a connection of HTTP/2 is cut");
    }

    fn cut(&mut self, worker: &Worker, abuse: Option<Http2Abuse>) {
        if let Some(abuse) = abuse {
            self.count(worker, abuse);
        }
        self.mood = Mood::Cut;
        self.going = true;
        self.timer.set(PARTING);
    }

    /// Sees what the connection is about, and sets its deadline if that has changed.
    fn look(&mut self, worker: &Worker) {
        let tally = &self.shared.tally;
        let streams = self.shared.streams.get() > 0;
        let mood = match self.mood {
            Mood::Cut => Mood::Cut,
            _ if tally.stuck.get() => Mood::Stuck,
            _ if streams && self.going && !self.told => Mood::Going,
            _ if streams => Mood::Busy,
            _ if self.going => Mood::Parting,
            Mood::Resting if !tally.spare.is_used() => Mood::Resting,
            _ => Mood::Idle,
        };
        let moved = self.written != tally.written.get();
        self.written = tally.written.get();
        if mood == self.mood && !(mood == Mood::Stuck && moved) {
            return;
        }
        let was_idle = std::mem::replace(&mut self.mood, mood).is_idle();
        let timeouts = &worker.settings.timeouts;
        match mood {
            Mood::Busy | Mood::Resting | Mood::Cut => {}
            Mood::Idle => {
                if !was_idle {
                    self.idle_ms = worker.clock.coarse_ms();
                }
                self.timer.set(REST.min(self.left(worker)));
            }
            Mood::Going | Mood::Parting => self.timer.set(PARTING),
            Mood::Stuck => self.timer.set(timeouts.idle),
        }
    }
}

fn abuse(flood: Flood) -> Http2Abuse {
    match flood {
        Flood::Reset => Http2Abuse::Reset,
        Flood::Settings => Http2Abuse::Settings,
        Flood::Ping => Http2Abuse::Ping,
        Flood::Priority => Http2Abuse::Priority,
        Flood::WindowUpdate => Http2Abuse::WindowUpdate,
        Flood::EmptyData => Http2Abuse::EmptyData,
        Flood::EmptyHeaders => Http2Abuse::EmptyHeaders,
        Flood::Unknown => Http2Abuse::Unknown,
        Flood::Continuation => Http2Abuse::Continuation,
    }
}
