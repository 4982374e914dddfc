//! One connection of the load, in any way: what it has yet to send, and what it waits for.
//!
//! Invariants: over HTTP/1.1 one request is out at a time, over HTTP/2 as many as the job says; an
//! answer that is not the dyno's, or one that nobody asked for, fails the run.

use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Instant;

use rustls::ClientConfig;

use crate::answer::Answer;
use crate::failure::Failure;
use crate::frames::{Request, Session};
use crate::proxies::HOST;
use crate::scenario::Way;
use crate::wire::{Came, Wire};

/// Bytes of an upload, and of the dyno's answer to `/10mb`.
pub const BIG: u64 = 10_000_000;

/// Bytes of the dyno's small answer.
const SMALL: u64 = 15;

/// What uploads are written from; it is the most that one system call takes.
static ZEROES: [u8; 256 * 1024] = [0; 256 * 1024];

/// Does a connection live longer than its request?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reuse {
    /// Kept alive and used again for every request.
    Kept,
    /// `Connection: close`: the proxy closes after the answer, a new one is made for the next.
    Fresh,
}

/// What every connection of a load does.
pub struct Job {
    /// Where the proxy takes this way.
    pub address: SocketAddr,
    /// How it is spoken to.
    pub way: Way,
    /// The same in TLS.
    pub tls: Option<Arc<ClientConfig>>,
    /// One connection for all requests?
    pub reuse: Reuse,
    /// Requests that are out at once on a connection; one over HTTP/1.1.
    pub streams: usize,
    /// The head of each request, over HTTP/1.1.
    pub head: Vec<u8>,
    /// The length of its body.
    pub upload: u64,
}

impl Job {
    /// GETs of a path, or uploads to it.
    pub fn new(
        address: SocketAddr,
        (way, tls): (Way, Option<Arc<ClientConfig>>),
        reuse: Reuse,
        (host, path): (&str, &str),
    ) -> Job {
        let upload = if path == "/upload" { BIG } else { 0 };
        // As a browser behind a proxy would shorten it.
        let (method, length) = match upload {
            0 => ("GET", String::new()),
            length => ("POST", format!("Content-Length: {length}\r\n")),
        };
        let close = if reuse == Reuse::Fresh { "Connection: close\r\n" } else { "" };
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: versus/1\r\nAccept: */*\r\n\
             {length}{close}\r\n"
        );
        Job { address, way, tls, reuse, streams: 1, head: head.into_bytes(), upload }
    }
}

enum Speech {
    One { begun: Option<Instant>, unsent: u64, answer: Answer },
    Many(Box<Session>),
}

/// One connection.
pub struct Client {
    /// Its bytes.
    pub wire: Wire,
    speech: Speech,
}

impl Client {
    /// Around a socket that may still be connecting.
    pub fn new(socket: TcpStream, job: &Job) -> Result<Client, Failure> {
        let wire = Wire::new(socket, job.address, job.tls.as_ref())?;
        let speech = match job.way.is_h2() {
            false => Speech::One { begun: None, unsent: 0, answer: Answer::default() },
            true => {
                let (host, path, is_tls) = (HOST.to_owned(), "/".to_owned(), job.way.is_tls());
                Speech::Many(Box::new(Session::new(&Request { host, path, is_tls })))
            }
        };
        Ok(Client { wire, speech })
    }

    /// Requests that are out.
    pub fn open(&self) -> usize {
        match &self.speech {
            Speech::One { begun, .. } => usize::from(begun.is_some()),
            Speech::Many(session) => session.open(),
        }
    }

    /// Begins as many requests as may be out, and sends what can be sent.
    pub fn begin(&mut self, job: &Job, now: Instant) -> Result<(), Failure> {
        match &mut self.speech {
            Speech::One { begun, unsent, .. } if begun.is_none() => {
                (*begun, *unsent) = (Some(now), job.head.len() as u64 + job.upload);
            }
            Speech::One { .. } => {}
            Speech::Many(session) => {
                while session.open() < job.streams {
                    session.begin(now);
                }
            }
        }
        self.send(job)
    }

    /// Sends what can be sent now.
    pub fn send(&mut self, job: &Job) -> Result<(), Failure> {
        self.wire.flush()?;
        match &mut self.speech {
            Speech::One { unsent, .. } => {
                while *unsent > 0 {
                    let head = unsent.checked_sub(job.upload).unwrap_or(0) as usize;
                    let bytes = match head {
                        0 => &ZEROES[..(*unsent).min(ZEROES.len() as u64) as usize],
                        _ => &job.head[job.head.len() - head..],
                    };
                    match self.wire.write(bytes)? {
                        0 => break,
                        count => *unsent -= count as u64,
                    }
                }
            }
            Speech::Many(session) => {
                let count = match session.out.len() {
                    0 => 0,
                    _ => self.wire.write(&session.out)?,
                };
                session.out.drain(..count);
            }
        }
        Ok(())
    }

    /// Must it be told when the socket takes bytes again?
    pub fn is_blocked(&self) -> bool {
        let unsent = match &self.speech {
            Speech::One { unsent, .. } => *unsent > 0,
            Speech::Many(session) => !session.out.is_empty(),
        };
        unsent || self.wire.is_blocked()
    }

    /// Reads once; tells of each answer that is whole by it, with the time of its request.
    pub fn receive(
        &mut self,
        buffer: &mut [u8],
        each: &mut dyn FnMut(Instant),
    ) -> Result<Came, Failure> {
        let speech = &mut self.speech;
        self.wire.read(buffer, &mut |bytes| match speech {
            Speech::One { begun, answer, .. } => {
                let Some(since) = *begun else {
                    let what = format!("{} bytes that nobody asked for", bytes.len());
                    return Err(Failure::Answer(what));
                };
                if answer.push(bytes)? {
                    *begun = None;
                    each(since);
                }
                Ok(())
            }
            Speech::Many(session) => session.take(bytes, &mut |ended| {
                if (ended.status, ended.length) != (200, SMALL) {
                    return Err(Failure::Answer(format!("{ended:?}")));
                }
                each(ended.begun);
                Ok(())
            }),
        })
    }
}
