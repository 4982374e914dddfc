//! The load: a closed loop of connections over one epoll, on one thread, and two small blocking
//! clients, one for single questions and one that holds idle connections.
//!
//! Invariants: each connection has one request out at a time and sends the next as soon as the
//! answer is complete; every request that is begun is also finished, so that requests and CPU time
//! cover the same work; a connection that the proxy closes too early, or an answer that is not the
//! dyno's, fails the run; no wait is longer than [`STALL`].

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};

use crate::answer::{Answer, MAX_HEADERS};
use crate::failure::{During, Failure};

/// The longest wait for any sign of life before a run is given up.
pub const STALL: Duration = Duration::from_secs(10);

/// Bytes read at once: large, so that reading 10 MB answers costs the load little.
const READ_BYTES: usize = 256 * 1024;

/// The largest answer that [`ask`] takes, in bytes.
const MAX_ASKED: u64 = 1 << 20;

/// Set by Ctrl-C; the loop looks at it after every wait.
pub static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Does a connection live longer than its request?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reuse {
    /// Kept alive and used again for every request.
    Kept,
    /// `Connection: close`: the proxy closes after the answer, a new one is made for the next.
    Fresh,
}

/// What one run of the loop saw.
#[derive(Debug)]
pub struct Seen {
    /// Requests answered.
    pub answered: u64,
    /// Bytes received, heads included.
    pub bytes: u64,
    /// From the first request until the last answer.
    pub took: Duration,
    /// From the request (or, if fresh, the connect) until the whole answer, in nanoseconds.
    pub latency: Histogram<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Idle,
    Connecting,
    Waiting,
    /// The answer is complete; the proxy is to close the connection.
    Closing,
}

struct Slot {
    socket: Option<TcpStream>,
    phase: Phase,
    begun: Instant,
    answer: Answer,
}

/// A closed loop against one proxy.
pub struct Load {
    address: SocketAddr,
    request: Vec<u8>,
    reuse: Reuse,
    poll: OwnedFd,
    slots: Vec<Slot>,
    buffer: Vec<u8>,
    seen: Seen,
}

impl Load {
    /// Prepares `connections` slots; kept connections are made at once.
    pub fn new(
        address: SocketAddr,
        path: &str,
        reuse: Reuse,
        connections: usize,
    ) -> Result<Load, Failure> {
        let poll = epoll::create(epoll::CreateFlags::CLOEXEC).during("epoll of the load")?;
        let mut slots = Vec::with_capacity(connections);
        for index in 0..connections {
            let socket = match reuse {
                Reuse::Kept => {
                    let socket = connect(address)?;
                    socket.set_nonblocking(true).during("a socket of the load")?;
                    watch(&poll, &socket, index, epoll::EventFlags::IN)?;
                    Some(socket)
                }
                Reuse::Fresh => None,
            };
            let begun = Instant::now();
            slots.push(Slot { socket, phase: Phase::Idle, begun, answer: Answer::default() });
        }
        let request = request(path, reuse);
        let buffer = vec![0; READ_BYTES];
        Ok(Load { address, request, reuse, poll, slots, buffer, seen: nothing_seen()? })
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
                return Err(Failure::Stalled(self.address, busy));
            }
            for event in events.drain(..) {
                let index = event.data.u64() as usize;
                let Some(now) = self.advance(index)? else { continue };
                if now < end {
                    self.begin(index, now)?;
                } else {
                    busy -= 1;
                }
            }
        }
        self.seen.took = start.elapsed();
        Ok(std::mem::replace(&mut self.seen, nothing_seen()?))
    }

    /// Sends the slot's next request, on a new connection if connections are fresh.
    fn begin(&mut self, index: usize, now: Instant) -> Result<(), Failure> {
        let slot = &mut self.slots[index];
        slot.begun = now;
        if self.reuse == Reuse::Kept {
            slot.phase = Phase::Waiting;
            let socket = slot.socket.as_mut().expect("a kept connection stays");
            return socket.write_all(&self.request).during("sending a request");
        }
        let mut socket = connect_without_waiting(self.address).during("connecting to the proxy")?;
        // The handshake on loopback is mostly done by now, so that the request can follow at once.
        let (phase, interest) = match socket.write_all(&self.request) {
            Ok(()) => (Phase::Waiting, epoll::EventFlags::IN),
            Err(error) if not_yet(&error) => (Phase::Connecting, epoll::EventFlags::OUT),
            Err(error) => return Err(error).during("sending a request"),
        };
        watch(&self.poll, &socket, index, interest)?;
        slot.phase = phase;
        slot.socket = Some(socket);
        Ok(())
    }

    /// Takes what came for a slot; the time, once the slot may begin its next request.
    fn advance(&mut self, index: usize) -> Result<Option<Instant>, Failure> {
        let slot = &mut self.slots[index];
        let Some(socket) = slot.socket.as_mut() else { return Ok(None) };
        if slot.phase == Phase::Connecting {
            socket.write_all(&self.request).during("sending a request")?;
            slot.phase = Phase::Waiting;
            let data = epoll::EventData::new_u64(index as u64);
            epoll::modify(&self.poll, &*socket, data, epoll::EventFlags::IN)
                .during("epoll of the load")?;
            return Ok(None);
        }
        let count = match socket.read(&mut self.buffer) {
            Ok(count) => count,
            Err(error) if not_yet(&error) => return Ok(None),
            Err(error) => return Err(error).during("reading an answer"),
        };
        match (slot.phase, count) {
            (Phase::Closing, 0) => {
                slot.socket = None;
                slot.phase = Phase::Idle;
                Ok(Some(Instant::now()))
            }
            (Phase::Waiting, 1..) => {
                self.seen.bytes += count as u64;
                if !slot.answer.push(&self.buffer[..count])? {
                    return Ok(None);
                }
                let now = Instant::now();
                self.seen.answered += 1;
                self.seen.latency.saturating_record((now - slot.begun).as_nanos() as u64);
                if self.reuse == Reuse::Kept {
                    slot.phase = Phase::Idle;
                    return Ok(Some(now));
                }
                slot.phase = Phase::Closing;
                Ok(None)
            }
            (phase, 0) => Err(Failure::Answer(format!("closed by the proxy while {phase:?}"))),
            (phase, _) => Err(Failure::Answer(format!("{count} bytes came while {phase:?}"))),
        }
    }
}

fn nothing_seen() -> Result<Seen, Failure> {
    // Three digits over 100 ns to 100 s: a bucket is at most a thousandth of the value wide.
    let latency = Histogram::new_with_bounds(100, 100_000_000_000, 3)
        .map_err(|error| Failure::Answer(format!("no histogram: {error}")))?;
    Ok(Seen { answered: 0, bytes: 0, took: Duration::ZERO, latency })
}

fn watch(
    poll: &OwnedFd,
    socket: &TcpStream,
    index: usize,
    interest: epoll::EventFlags,
) -> Result<(), Failure> {
    let data = epoll::EventData::new_u64(index as u64);
    epoll::add(poll, socket, data, interest).during("epoll of the load")
}

fn not_yet(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected)
}

fn connect(address: SocketAddr) -> Result<TcpStream, Failure> {
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

/// The request that all the load is made of, as a browser behind a proxy would shorten it.
fn request(path: &str, reuse: Reuse) -> Vec<u8> {
    let host = crate::proxies::HOST;
    let close = if reuse == Reuse::Fresh { "Connection: close\r\n" } else { "" };
    format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: versus/1\r\nAccept: */*\r\n{close}\r\n"
    )
    .into_bytes()
}

/// Makes `count` connections, one after the other, each with one answered request, and holds them.
pub fn hold(address: SocketAddr, count: usize) -> Result<Vec<TcpStream>, Failure> {
    let request = request("/", Reuse::Kept);
    let mut held = Vec::with_capacity(count);
    let mut buffer = [0; 4096];
    for _ in 0..count {
        if INTERRUPTED.load(Ordering::Relaxed) {
            return Err(Failure::Interrupted);
        }
        let mut socket = connect(address)?;
        socket.set_read_timeout(Some(STALL)).during("a socket of the load")?;
        socket.write_all(&request).during("sending a request")?;
        let mut answer = Answer::default();
        loop {
            let count = socket.read(&mut buffer).during("reading an answer")?;
            if count == 0 {
                return Err(Failure::Answer("closed by the proxy before its end".into()));
            }
            if answer.push(&buffer[..count])? {
                break;
            }
        }
        held.push(socket);
    }
    Ok(held)
}

/// One request on a connection of its own, which must bear `Connection: close`: status, whole
/// answer, and where in it the body begins.
pub fn ask(address: SocketAddr, request: &str) -> Result<(u16, Vec<u8>, usize), Failure> {
    let mut socket = connect(address)?;
    socket.set_read_timeout(Some(STALL)).during("a socket of the load")?;
    socket.write_all(request.as_bytes()).during("sending a request")?;
    let mut bytes = Vec::new();
    socket.take(MAX_ASKED).read_to_end(&mut bytes).during("reading an answer")?;
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut answer = httparse::Response::new(&mut headers);
    match (answer.parse(&bytes), answer.code) {
        (Ok(httparse::Status::Complete(end)), Some(code)) => Ok((code, bytes, end)),
        _ => Err(Failure::Answer(format!("{address} closed without a whole answer head"))),
    }
}
