//! The load: a closed loop of connections over one epoll, on one thread, and a blocking client that
//! holds idle connections.
//!
//! Invariants: each connection sends its next request as soon as an answer is complete; every
//! request that is begun is also finished, so that requests and CPU time cover the same work; a
//! connection that the proxy closes too early, or an answer that is not the dyno's, fails the run;
//! no wait is longer than [`STALL`].

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use rustix::buffer::spare_capacity;
use rustix::event::epoll::EventFlags;
use rustix::event::{Timespec, epoll};

use crate::client::{Client, Job, Reuse};
use crate::failure::{During, Failure};
use crate::wire::Came;

/// The longest wait for any sign of life before a run is given up.
pub const STALL: Duration = Duration::from_secs(10);

/// Bytes read at once: large, so that reading 10 MB answers costs the load little.
const READ_BYTES: usize = 256 * 1024;

/// Set by Ctrl-C; the loop looks at it after every wait.
pub static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// What one run of the loop saw.
#[derive(Debug)]
pub struct Seen {
    /// Requests answered.
    pub answered: u64,
    /// Those of them whose TLS session was resumed.
    pub resumed: u64,
    /// From the first request until the last answer.
    pub took: Duration,
    /// From the request (or, if fresh, the connect) until the whole answer, in nanoseconds.
    pub latency: Histogram<u64>,
}

impl Seen {
    /// Before anything was seen.
    pub fn nothing() -> Result<Seen, Failure> {
        // Three digits over 100 ns to 100 s: a bucket is at most a thousandth of the value wide.
        let latency = Histogram::new_with_bounds(100, 100_000_000_000, 3)
            .map_err(|error| Failure::Answer(format!("no histogram: {error}")))?;
        Ok(Seen { answered: 0, resumed: 0, took: Duration::ZERO, latency })
    }
}

/// A place for a connection, and what epoll was told of it.
#[derive(Default)]
struct Slot {
    client: Option<Client>,
    waits_to_send: bool,
}

/// A closed loop against one proxy.
pub struct Load {
    job: Job,
    poll: OwnedFd,
    slots: Vec<Slot>,
    buffer: Vec<u8>,
    seen: Seen,
}

impl Load {
    /// Prepares `connections` slots; kept connections are made at once.
    pub fn new(job: Job, connections: usize) -> Result<Load, Failure> {
        let poll = epoll::create(epoll::CreateFlags::CLOEXEC).during("epoll of the load")?;
        let slots: Vec<Slot> = (0..connections).map(|_| Slot::default()).collect();
        let buffer = vec![0; READ_BYTES];
        let mut load = Load { job, poll, slots, buffer, seen: Seen::nothing()? };
        if load.job.reuse == Reuse::Kept {
            for index in 0..connections {
                let socket = connect(load.job.address)?;
                socket.set_nonblocking(true).during("a socket of the load")?;
                load.place(index, socket)?;
            }
        }
        Ok(load)
    }

    /// Keeps every slot busy for `length`, then waits for the answers that are still out.
    pub fn run(&mut self, length: Duration) -> Result<Seen, Failure> {
        let start = Instant::now();
        let end = start + length;
        for index in 0..self.slots.len() {
            self.begin(index, start)?;
        }
        let mut busy = self.slots.len();
        let mut events: Vec<epoll::Event> = Vec::with_capacity(busy);
        let stall = Timespec { tv_sec: STALL.as_secs() as i64, tv_nsec: 0 };
        while busy > 0 {
            match epoll::wait(&self.poll, spare_capacity(&mut events), Some(&stall)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error).during("epoll of the load"),
            }
            if INTERRUPTED.load(Ordering::Relaxed) {
                return Err(Failure::Interrupted);
            }
            if events.is_empty() {
                return Err(Failure::Stalled(self.job.address, busy));
            }
            for event in events.drain(..) {
                if self.advance(event.data.u64() as usize, end)? {
                    busy -= 1;
                }
            }
        }
        self.seen.took = start.elapsed();
        Ok(std::mem::replace(&mut self.seen, Seen::nothing()?))
    }

    fn place(&mut self, index: usize, socket: TcpStream) -> Result<(), Failure> {
        let data = epoll::EventData::new_u64(index as u64);
        epoll::add(&self.poll, &socket, data, EventFlags::IN).during("epoll of the load")?;
        let client = Some(Client::new(socket, &self.job)?);
        self.slots[index] = Slot { client, waits_to_send: false };
        Ok(())
    }

    /// Sends the slot's next requests, on a new connection if connections are fresh.
    fn begin(&mut self, index: usize, now: Instant) -> Result<(), Failure> {
        if self.job.reuse == Reuse::Fresh {
            // The handshake of TCP on loopback is mostly done at once.
            let socket = connect_without_waiting(self.job.address);
            self.place(index, socket.during("connecting to the proxy")?)?;
        }
        let client = self.slots[index].client.as_mut().expect("a kept connection stays");
        client.begin(&self.job, now)?;
        self.watch(index)
    }

    /// Takes what came for a slot; true if by that the slot has nothing more to do.
    fn advance(&mut self, index: usize, end: Instant) -> Result<bool, Failure> {
        let Some(client) = &mut self.slots[index].client else { return Ok(false) };
        let was_open = client.open() > 0;
        let (before, seen) = (self.seen.answered, &mut self.seen);
        let came = client.receive(&mut self.buffer, &mut |begun| {
            seen.answered += 1;
            seen.latency.saturating_record(begun.elapsed().as_nanos() as u64);
        })?;
        if client.wire.is_resumed() == Some(true) {
            self.seen.resumed += self.seen.answered - before;
        }
        let now = Instant::now();
        match (came, self.job.reuse) {
            (Came::End, Reuse::Fresh) if !was_open => {
                self.slots[index].client = None;
                if now >= end {
                    return Ok(true);
                }
                self.begin(index, now)?;
                return Ok(false);
            }
            (Came::End, _) => {
                return Err(Failure::Answer("the proxy closed a connection".into()));
            }
            (_, Reuse::Kept) if was_open && now < end => client.begin(&self.job, now)?,
            _ => client.send(&self.job)?,
        }
        let is_idle = client.open() == 0 && self.job.reuse == Reuse::Kept;
        self.watch(index)?;
        Ok(was_open && is_idle)
    }

    /// Tells epoll whether a slot waits for its socket to take bytes.
    fn watch(&mut self, index: usize) -> Result<(), Failure> {
        let slot = &mut self.slots[index];
        let Some(client) = &slot.client else { return Ok(()) };
        let waits = client.is_blocked();
        if waits == slot.waits_to_send {
            return Ok(());
        }
        slot.waits_to_send = waits;
        let interest = if waits { EventFlags::IN | EventFlags::OUT } else { EventFlags::IN };
        let data = epoll::EventData::new_u64(index as u64);
        epoll::modify(&self.poll, &client.wire.socket, data, interest).during("epoll of the load")
    }
}

/// A connection to an address, made within [`STALL`].
pub fn connect(address: SocketAddr) -> Result<TcpStream, Failure> {
    TcpStream::connect_timeout(&address, STALL).during(&format!("connecting to {address}"))
}

fn connect_without_waiting(address: SocketAddr) -> io::Result<TcpStream> {
    let kind = socket2::Type::STREAM.nonblocking().cloexec();
    let socket = socket2::Socket::new(socket2::Domain::for_address(address), kind, None)?;
    match socket.connect(&address.into()) {
        Err(error)
            if error.raw_os_error() != Some(rustix::io::Errno::INPROGRESS.raw_os_error()) =>
        {
            Err(error)
        }
        _ => Ok(socket.into()),
    }
}

/// Makes `count` connections, one after the other, each with one answered request, and holds them.
pub fn hold(job: &Job, count: usize) -> Result<Vec<Client>, Failure> {
    let mut held = Vec::with_capacity(count);
    let mut buffer = [0; 4096];
    for _ in 0..count {
        if INTERRUPTED.load(Ordering::Relaxed) {
            return Err(Failure::Interrupted);
        }
        let socket = connect(job.address)?;
        socket.set_read_timeout(Some(STALL)).during("a socket of the load")?;
        let mut client = Client::new(socket, job)?;
        client.begin(job, Instant::now())?;
        while client.open() > 0 {
            match client.receive(&mut buffer, &mut |_| {})? {
                Came::Bytes => client.send(job)?,
                Came::Nothing => return Err(Failure::Stalled(job.address, 1)),
                Came::End => return Err(Failure::Answer("the proxy closed a connection".into())),
            }
        }
        held.push(client);
    }
    Ok(held)
}
