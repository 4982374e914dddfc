//! Four dynos that take time, of which the last is slow: each works on a few requests at a time,
//! and what comes beyond waits in its own queue, as in a web server of threads. One process, one
//! thread, one epoll; work is a time that passes and no CPU.
//!
//! Invariants: work is lognormal and from a seed, its sequence the same in every run; a dyno serves
//! in the order in which requests came; a request is one read, which its proxy sends at once.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use fastrand::Rng;
use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, EventFlags};

use crate::dyno::{MAX_HEAD, SMALL, accept_all, listen};

/// How many, the slow one last.
pub const DYNOS: usize = 4;
/// Requests that each works on at a time.
pub const SLOTS: usize = 8;
/// Half of all work takes less, one in a hundred 3.2 times as much or more.
pub const MEDIAN: Duration = Duration::from_millis(10);
/// The deviation of its logarithm.
const DEVIATION: f64 = 0.5;
/// How many times longer the slow one needs.
pub const SLOWNESS: u32 = 10;
/// Requests a second that come: a quarter of them is over three times what the slow one can do, and
/// all are half of what all can do.
pub const RATE: f64 = 1000.0;

const SEED: u64 = 6;

/// One connection of a proxy.
struct Conn {
    socket: TcpStream,
    dyno: usize,
}

#[derive(Default)]
struct Dyno {
    busy: usize,
    waiting: VecDeque<usize>,
}

/// Serves until it is killed. Prints the ports, on one line, once it listens.
pub fn run() -> io::Result<()> {
    let listeners = listen(DYNOS)?;
    let ports = listeners.iter().map(|listener| Ok(listener.local_addr()?.port().to_string()));
    println!("{}", ports.collect::<io::Result<Vec<_>>>()?.join(" "));
    let poll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    for (index, listener) in listeners.iter().enumerate() {
        epoll::add(&poll, listener, epoll::EventData::new_u64(index as u64), EventFlags::IN)?;
    }
    let mut room = Room {
        dynos: (0..DYNOS).map(|_| Dyno::default()).collect(),
        conns: Vec::new(),
        due: BinaryHeap::new(),
        rng: Rng::with_seed(SEED),
    };
    let mut events: Vec<epoll::Event> = Vec::with_capacity(256);
    loop {
        let pause = room.pause();
        match epoll::wait(&poll, spare_capacity(&mut events), pause.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        for event in events.drain(..) {
            let index = event.data.u64() as usize;
            if index >= DYNOS {
                room.receive(index - DYNOS);
                continue;
            }
            accept_all(&listeners[index], |socket| {
                let data = epoll::EventData::new_u64((room.conns.len() + DYNOS) as u64);
                epoll::add(&poll, &socket, data, EventFlags::IN)?;
                room.conns.push(Some(Conn { socket, dyno: index }));
                Ok(())
            })?;
        }
        room.answer_all();
    }
}

struct Room {
    dynos: Vec<Dyno>,
    /// By the order of their coming; a proxy keeps its connections, so that places are not reused.
    conns: Vec<Option<Conn>>,
    /// When the work for which connection is done.
    due: BinaryHeap<Reverse<(Instant, usize)>>,
    rng: Rng,
}

impl Room {
    /// Until the next work is done.
    fn pause(&self) -> Option<Timespec> {
        let Reverse((at, _)) = self.due.peek()?;
        let left = at.saturating_duration_since(Instant::now());
        Some(Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() })
    }

    fn receive(&mut self, index: usize) {
        let Some(conn) = &mut self.conns[index] else { return };
        match conn.socket.read(&mut [0; MAX_HEAD]) {
            Ok(1..) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return,
            // Work for it may be under way; its answer then goes nowhere.
            _ => return self.conns[index] = None,
        }
        let dyno = conn.dyno;
        if self.dynos[dyno].busy < SLOTS {
            self.dynos[dyno].busy += 1;
            self.begin(dyno, index);
        } else {
            self.dynos[dyno].waiting.push_back(index);
        }
    }

    fn begin(&mut self, dyno: usize, index: usize) {
        // Box and Muller, 1958.
        let (a, b) = (1.0 - self.rng.f64(), self.rng.f64());
        let normal = (-2.0 * a.ln()).sqrt() * (std::f64::consts::TAU * b).cos();
        let work = MEDIAN.mul_f64((DEVIATION * normal).exp());
        let work = if dyno == DYNOS - 1 { work * SLOWNESS } else { work };
        // The dyno stands behind the connection's number, since the connection may be gone by then.
        self.due.push(Reverse((Instant::now() + work, index * DYNOS + dyno)));
    }

    fn answer_all(&mut self) {
        while let Some(Reverse((at, work))) = self.due.peek().copied() {
            if at > Instant::now() {
                return;
            }
            self.due.pop();
            let (index, dyno) = (work / DYNOS, work % DYNOS);
            if let Some(conn) = &mut self.conns[index] {
                // A broken connection is the proxy's affair.
                let written = conn.socket.write_all(SMALL);
                if written.is_err() {
                    self.conns[index] = None;
                }
            }
            match self.dynos[dyno].waiting.pop_front() {
                Some(next) => self.begin(dyno, next),
                None => self.dynos[dyno].busy -= 1,
            }
        }
    }
}
