//! The traffic: requests over kept connections, in a closed loop or at a steady rate, on the
//! calling thread.
//!
//! Invariants: at a rate each request has a moment at which it is due, and its latency counts from
//! then, so that what waits for a slow answer is not left out; every answer is the dyno's 200.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use rustix::{
    buffer::spare_capacity,
    event::{Timespec, epoll},
};

use crate::{
    answer::Answer,
    failure::{During, Failure},
    plan::Plan,
    table,
};

/// Kept connections.
const CONNECTIONS: usize = 64;
/// Apps whose hosts are asked for.
const APPS: u32 = 16;
/// The longest wait for any answer.
const STALL: Duration = Duration::from_secs(10);

struct Slot {
    socket: TcpStream,
    request: Vec<u8>,
    answer: Answer,
    /// When its request was due.
    due: Instant,
}

/// The connections of the traffic.
pub struct Traffic {
    poll: OwnedFd,
    slots: Vec<Slot>,
    idle: Vec<usize>,
    buffer: Vec<u8>,
    addr: SocketAddr,
}

impl Traffic {
    /// Connects.
    pub fn new(addr: SocketAddr, plan: &Plan) -> Result<Traffic, Failure> {
        let poll = epoll::create(epoll::CreateFlags::CLOEXEC).during("epoll of the traffic")?;
        let mut slots = Vec::new();
        for at in 0..CONNECTIONS {
            let socket = TcpStream::connect(addr).during("connecting to the router")?;
            socket.set_nodelay(true).during("a socket of the traffic")?;
            let data = epoll::EventData::new_u64(at as u64);
            epoll::add(&poll, &socket, data, epoll::EventFlags::IN).during("epoll")?;
            let request = table::get(&table::host(at as u32 % APPS.min(plan.apps)));
            slots.push(Slot { socket, request, answer: Answer::default(), due: Instant::now() });
        }
        let idle = (0..CONNECTIONS).collect();
        Ok(Traffic { poll, slots, idle, buffer: vec![0; 16 << 10], addr })
    }

    /// As many requests as go: how many a second.
    pub fn saturate(&mut self, length: Duration) -> Result<f64, Failure> {
        let began = Instant::now();
        let seen = self.run(length, Duration::ZERO)?;
        Ok(seen.len() as f64 / began.elapsed().as_secs_f64())
    }

    /// So many a second: their latencies in nanoseconds.
    pub fn flow(&mut self, rate: f64, length: Duration) -> Result<Histogram<u64>, Failure> {
        self.run(length, Duration::from_secs_f64(1.0 / rate))
    }

    /// A request every `step`; without one, as soon as a connection is idle.
    fn run(&mut self, length: Duration, step: Duration) -> Result<Histogram<u64>, Failure> {
        let mut seen = Histogram::new_with_bounds(100, 100_000_000_000, 3)
            .map_err(|error| Failure::Answer(format!("no histogram: {error}")))?;
        let mut events: Vec<epoll::Event> = Vec::with_capacity(CONNECTIONS);
        let end = Instant::now() + length;
        let mut due = Instant::now();
        loop {
            let now = Instant::now();
            while due <= now && due < end {
                let Some(at) = self.idle.pop() else { break };
                // In a closed loop a request is due when it is sent.
                self.begin(at, if step.is_zero() { now } else { due })?;
                due += step;
            }
            let is_over = if step.is_zero() { now >= end } else { due >= end };
            if is_over && self.idle.len() == CONNECTIONS {
                return Ok(seen);
            }
            let waits_for_answer = is_over || self.idle.is_empty() || step.is_zero();
            let wait = if waits_for_answer { STALL } else { due.saturating_duration_since(now) };
            let wait =
                Timespec { tv_sec: wait.as_secs() as i64, tv_nsec: wait.subsec_nanos().into() };
            match epoll::wait(&self.poll, spare_capacity(&mut events), Some(&wait)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error).during("epoll of the traffic"),
            }
            if events.is_empty() && waits_for_answer {
                return Err(Failure::Stalled(self.addr, CONNECTIONS - self.idle.len()));
            }
            for event in events.drain(..) {
                let at = event.data.u64() as usize;
                if self.take(at)? {
                    seen.saturating_record(self.slots[at].due.elapsed().as_nanos() as u64);
                    self.idle.push(at);
                }
            }
            if step.is_zero() {
                due = Instant::now().min(end);
            }
        }
    }

    fn begin(&mut self, at: usize, due: Instant) -> Result<(), Failure> {
        let slot = &mut self.slots[at];
        slot.due = due;
        slot.socket.write_all(&slot.request).during("sending a request")
    }

    /// Takes what came; true once the answer is whole.
    fn take(&mut self, at: usize) -> Result<bool, Failure> {
        let slot = &mut self.slots[at];
        match slot.socket.read(&mut self.buffer).during("reading an answer")? {
            0 => Err(Failure::Answer("the router closed a connection of the traffic".into())),
            count => slot.answer.push(&self.buffer[..count]),
        }
    }
}
