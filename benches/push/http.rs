//! One connection that asks and waits: made for pushes and probes, whose requests are made before.
//!
//! Invariants: one request is out at a time; an answer has a Content-Length; no wait is longer than
//! [`PATIENCE`].

use std::{
    io::{Error, Read, Result, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

/// The longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// A connection.
pub struct Conn {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Conn {
    /// Connects.
    pub fn new(addr: SocketAddr) -> Result<Conn> {
        let stream = TcpStream::connect(addr)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Conn { stream, buffer: Vec::with_capacity(4096) })
    }

    /// Sends a request and waits for the whole answer: its status.
    pub fn ask(&mut self, request: &[u8]) -> Result<u16> {
        self.stream.write_all(request)?;
        self.buffer.clear();
        let mut piece = [0; 4096];
        loop {
            let read = self.stream.read(&mut piece)?;
            if read == 0 {
                return Err(Error::other("the router closed the connection"));
            }
            self.buffer.extend_from_slice(&piece[..read]);
            if let Some((status, length)) = parse(&self.buffer)?
                && self.buffer.len() >= length
            {
                return Ok(status);
            }
        }
    }

    /// As [`Conn::ask`], for a write that must be accepted.
    pub fn write(&mut self, request: &[u8]) -> Result<()> {
        match self.ask(request)? {
            200 => Ok(()),
            status => {
                let answer = String::from_utf8_lossy(&self.buffer).into_owned();
                Err(Error::other(format!("a push was answered with {status}: {answer}")))
            }
        }
    }
}

/// Status of an answer and its length with the head, once the head is whole.
fn parse(bytes: &[u8]) -> Result<Option<(u16, usize)>> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut answer = httparse::Response::new(&mut headers);
    let end = match answer.parse(bytes) {
        Ok(httparse::Status::Complete(end)) => end,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(error) => return Err(Error::other(format!("what came is not HTTP: {error}"))),
    };
    let length = crate::answer::header(answer.headers, "content-length");
    let length = length.and_then(|text| text.parse::<usize>().ok());
    let length = length.ok_or_else(|| Error::other("an answer has no Content-Length"))?;
    Ok(Some((answer.code.unwrap_or_default(), end + length)))
}
