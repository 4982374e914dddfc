//! The HTTP/2 connections of one worker to dynos, each with many exchanges at once.
//!
//! 1. An exchange takes a [`Seat`] on a connection that has one left, or waits with others for one
//!    that is being made, or makes one.
//! 2. On its seat it has a stream ([`call`]); the connection's own task moves the frames.
//! 3. A sweep lets go of connections that nobody uses, or whose dyno left the table; what still
//!    runs on one goes on.
//!
//! Invariants: a connection belongs to one cell and one name, as those of HTTP/1.1 do; it has no
//! more streams than the dyno allows and than its window has room for, so that no client that reads
//! slowly holds back another; one that broke, says that it ends, or fell silent gets no more.

pub mod call;

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    future::{Future, poll_fn},
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use h2::{Ping, client};
use tokio::sync::Notify;

use super::dial::{DialError, Duplex};
use crate::{error::Fault, live};

/// What opens streams of a connection.
pub type Requests = client::SendRequest<Bytes>;

/// The most streams of one connection.
const MAX_STREAMS: usize = 256;
/// The seats of a connection that is being made, whose dyno has not said how many it allows.
const MAX_WAITING: usize = 100;
/// How many bytes of an answer are taken before the client has read them.
const STREAM_WINDOW: u32 = 64 << 10;
/// The same for all streams together: each has its own, whatever the others do.
const CONNECTION_WINDOW: u32 = STREAM_WINDOW * MAX_STREAMS as u32;
/// How many bytes of a request wait for the socket of its connection.
const SEND_BUFFER: usize = 64 << 10;
/// The most connections of one worker that carry more than one exchange.
const MAX_CHANNELS: usize = 4096;

/// One worker's connections, by the address of their dyno's cell.
#[derive(Debug, Default)]
pub struct Channels {
    of: RefCell<HashMap<usize, Vec<Rc<Channel>>, foldhash::fast::RandomState>>,
    count: Cell<usize>,
}

#[derive(Debug)]
struct Channel {
    /// Keeps the address that it is found by from being another cell's.
    cell: Arc<live::Cell>,
    name: Option<Arc<str>>,
    state: RefCell<State>,
    changed: Notify,
    /// Seats that are taken.
    seats: Cell<usize>,
    /// Seats that ever were.
    served: Cell<u32>,
    /// For how long it may be without any.
    idle: Duration,
    /// When a sweep last saw one.
    used_ms: Cell<u64>,
}

#[derive(Debug)]
enum State {
    Coming,
    Open(Requests),
    /// Gets no more streams; why, where it never had any.
    Closed(Option<Fault>),
}

/// One exchange's place on a connection.
#[derive(Debug)]
pub struct Seat {
    channel: Rc<Channel>,
    /// Its exchange makes the connection.
    makes: bool,
}

impl Channels {
    /// A seat on a connection to this dyno by this name, of `most` exchanges (0: any number).
    pub fn find(&self, cell: &Arc<live::Cell>, name: Option<&str>, most: u32) -> Option<Seat> {
        let of = self.of.borrow();
        let channels = of.get(&(Arc::as_ptr(cell) as usize))?;
        let fits = |channel: &&Rc<Channel>| {
            channel.name.as_deref() == name
                && (most == 0 || channel.served.get() < most)
                && channel.has_room()
        };
        channels.iter().find(fits).map(|channel| Seat::take(channel.clone(), false))
    }

    /// A seat on a connection that its exchange is to make; others find it if it is `shared`.
    pub fn begin(
        &self,
        cell: &Arc<live::Cell>,
        name: Option<Arc<str>>,
        idle: Duration,
        shared: bool,
    ) -> Seat {
        let channel = Rc::new(Channel {
            cell: cell.clone(),
            name,
            state: RefCell::new(State::Coming),
            changed: Notify::new(),
            seats: Cell::new(0),
            served: Cell::new(0),
            idle,
            used_ms: Cell::new(0),
        });
        if shared && self.count.get() < MAX_CHANNELS {
            self.count.set(self.count.get() + 1);
            let mut of = self.of.borrow_mut();
            of.entry(Arc::as_ptr(cell) as usize).or_default().push(channel.clone());
        }
        Seat::take(channel, true)
    }

    /// Lets go of the connections that are closed, or idle for too long, or whose dyno left the
    /// table.
    pub fn sweep(&self, now_ms: u64) {
        let mut count = 0;
        self.of.borrow_mut().retain(|_, channels| {
            channels.retain(|channel| channel.stays(now_ms));
            count += channels.len();
            !channels.is_empty()
        });
        self.count.set(count);
    }
}

impl Channel {
    fn has_room(&self) -> bool {
        let mut state = self.state.borrow_mut();
        let most = match &mut *state {
            State::Coming => MAX_WAITING,
            State::Open(requests) => {
                // A connection that is over says so here.
                let now = &mut Context::from_waker(Waker::noop());
                if matches!(requests.clone().poll_ready(now), Poll::Ready(Err(_))) {
                    *state = State::Closed(None);
                    return false;
                }
                requests.current_max_send_streams().min(MAX_STREAMS)
            }
            State::Closed(_) => return false,
        };
        self.seats.get() < most
    }

    fn stays(&self, now_ms: u64) -> bool {
        if self.seats.get() > 0 || self.used_ms.get() == 0 {
            self.used_ms.set(now_ms);
        }
        let is_old = now_ms.saturating_sub(self.used_ms.get()) > self.idle.as_millis() as u64;
        !is_old && !self.cell.is_retired() && !matches!(*self.state.borrow(), State::Closed(_))
    }
}

impl Seat {
    fn take(channel: Rc<Channel>, makes: bool) -> Seat {
        channel.seats.set(channel.seats.get() + 1);
        channel.served.set(channel.served.get().saturating_add(1));
        Seat { channel, makes }
    }

    /// One more for the same exchange.
    fn beside(&self) -> Seat {
        self.channel.seats.set(self.channel.seats.get() + 1);
        Seat { channel: self.channel.clone(), makes: false }
    }

    /// The connection is there, or why it will not be.
    pub fn settle(&mut self, made: Result<Requests, Fault>) {
        self.makes = false;
        *self.channel.state.borrow_mut() = match made {
            Ok(requests) => State::Open(requests),
            Err(fault) => State::Closed(Some(fault)),
        };
        self.channel.changed.notify_waiters();
    }

    /// Is the connection there?
    pub fn is_open(&self) -> bool {
        matches!(*self.channel.state.borrow(), State::Open(_))
    }

    /// Waits for the connection that another exchange makes.
    ///
    /// # Errors
    /// Why it could not be made; `None` if whoever made it left.
    pub async fn opened(&self) -> Result<(), Option<Fault>> {
        loop {
            let changed = self.channel.changed.notified();
            match &*self.channel.state.borrow() {
                State::Coming => {}
                State::Open(_) => return Ok(()),
                State::Closed(fault) => return Err(*fault),
            }
            changed.await;
        }
    }

    /// What opens the stream of this seat; nothing if the connection is over.
    fn requests(&self) -> Option<Requests> {
        match &*self.channel.state.borrow() {
            State::Open(requests) => Some(requests.clone()),
            State::Coming | State::Closed(_) => None,
        }
    }

    fn is_secure(&self) -> bool {
        self.channel.name.is_some()
    }

    /// The connection gets no more streams.
    fn close(&self) {
        *self.channel.state.borrow_mut() = State::Closed(None);
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.channel.seats.set(self.channel.seats.get() - 1);
        if self.makes {
            self.close();
            self.channel.changed.notify_waiters();
        }
    }
}

/// Begins HTTP/2 on a stream. It is there once a PING was answered: what the dyno allows is known
/// then, for its SETTINGS come before all else, and that it speaks HTTP/2 at all.
pub async fn open(stream: Box<dyn Duplex>, max_head: usize) -> Result<Requests, DialError> {
    let mut builder = client::Builder::new();
    builder
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buffer_size(SEND_BUFFER)
        .max_header_list_size(u32::try_from(max_head).unwrap_or(u32::MAX))
        .enable_push(false);
    let handshake = builder.handshake::<_, Bytes>(stream);
    let (requests, mut connection) = handshake.await.map_err(refused)?;
    let mut ping = connection.ping_pong().expect("it is taken once");
    ping.send_ping(Ping::opaque()).map_err(refused)?;
    poll_fn(|cx| {
        // Whatever ends the connection says more than that the PING is not answered.
        if let Poll::Ready(ended) = Pin::new(&mut connection).poll(cx) {
            return Poll::Ready(Err(ended.map_or_else(refused, |()| DialError::Protocol)));
        }
        ping.poll_pong(cx).map_ok(|_| ()).map_err(refused)
    })
    .await?;
    tokio::task::spawn_local(async move {
        // Its streams are told of its end, whatever it was.
        let _ = connection.await;
    });
    Ok(requests)
}

fn refused(error: h2::Error) -> DialError {
    match error.into_io() {
        Some(error) => DialError::Socket(error),
        None => DialError::Protocol,
    }
}
