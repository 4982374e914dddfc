//! An open loop: requests come when they come, however long the answers take, and wait for a free
//! connection of the load if there is none.
//!
//! Invariants: a request's time runs from the moment at which it was to come, so that a proxy that
//! holds everybody up is charged for everybody; arrivals are a Poisson process from a seed, the
//! same for every rival; every request that came is answered before the run ends; no wait is longer
//! than [`STALL`].

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use fastrand::Rng;
use rustix::buffer::spare_capacity;
use rustix::event::epoll::EventFlags;
use rustix::event::{Timespec, epoll};

use crate::client::{Client, Job};
use crate::failure::{During, Failure};
use crate::load::{INTERRUPTED, STALL, Seen, connect};
use crate::wire::Came;

/// Bytes read at once.
const READ_BYTES: usize = 16 * 1024;

const SEED: u64 = 6;

/// An open loop against one proxy.
pub struct Open {
    job: Job,
    poll: OwnedFd,
    clients: Vec<Client>,
    /// Connections that have no request out: they take turns, so that each is used.
    free: VecDeque<usize>,
    /// When the requests were to come that wait for a connection.
    waiting: VecDeque<Instant>,
    seen: Seen,
}

impl Open {
    /// Makes the connections.
    pub fn new(job: Job, connections: usize) -> Result<Open, Failure> {
        let poll = epoll::create(epoll::CreateFlags::CLOEXEC).during("epoll of the load")?;
        let mut clients = Vec::with_capacity(connections);
        for index in 0..connections {
            let socket = connect(job.address)?;
            socket.set_nonblocking(true).during("a socket of the load")?;
            let data = epoll::EventData::new_u64(index as u64);
            epoll::add(&poll, &socket, data, EventFlags::IN).during("epoll of the load")?;
            clients.push(Client::new(socket, &job)?);
        }
        let free = (0..connections).collect();
        Ok(Open { job, poll, clients, free, waiting: VecDeque::new(), seen: Seen::nothing()? })
    }

    /// Sends so many requests a second for `length`, then waits for the answers.
    pub fn run(&mut self, length: Duration, rate: f64) -> Result<Seen, Failure> {
        let mut rng = Rng::with_seed(SEED);
        let mut pause = || Duration::from_secs_f64(-(1.0 - rng.f64()).ln() / rate);
        let start = Instant::now();
        let (mut next, end) = (start + pause(), start + length);
        let mut buffer = vec![0; READ_BYTES];
        let mut events: Vec<epoll::Event> = Vec::with_capacity(self.clients.len());
        while next < end || self.free.len() < self.clients.len() {
            let limit = if next < end { next } else { Instant::now() + STALL };
            let left = limit.saturating_duration_since(Instant::now());
            let left =
                Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() };
            match epoll::wait(&self.poll, spare_capacity(&mut events), Some(&left)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error).during("epoll of the load"),
            }
            if INTERRUPTED.load(Ordering::Relaxed) {
                return Err(Failure::Interrupted);
            }
            let now = Instant::now();
            if events.is_empty() && next >= end && now >= limit {
                let out = self.clients.len() - self.free.len();
                return Err(Failure::Stalled(self.job.address, out));
            }
            for event in events.drain(..) {
                self.receive(event.data.u64() as usize, &mut buffer)?;
            }
            while next < end && next <= now {
                self.waiting.push_back(next);
                next += pause();
            }
            self.send()?;
        }
        self.seen.took = start.elapsed();
        Ok(std::mem::replace(&mut self.seen, Seen::nothing()?))
    }

    /// Sends what waits, as far as there are connections.
    fn send(&mut self) -> Result<(), Failure> {
        while !self.waiting.is_empty() {
            let Some(index) = self.free.pop_front() else { return Ok(()) };
            let came = self.waiting.pop_front().expect("one waits");
            self.clients[index].begin(&self.job, came)?;
        }
        Ok(())
    }

    fn receive(&mut self, index: usize, buffer: &mut [u8]) -> Result<(), Failure> {
        let (client, seen) = (&mut self.clients[index], &mut self.seen);
        let mut answered = false;
        let came = client.receive(buffer, &mut |began| {
            answered = true;
            seen.answered += 1;
            seen.latency.saturating_record(began.elapsed().as_nanos() as u64);
        })?;
        if came == Came::End {
            return Err(Failure::Answer("the proxy closed a connection".into()));
        }
        if answered {
            self.free.push_back(index);
        }
        Ok(())
    }
}
