//! Single questions, each on a blocking connection of its own: to a control plane, and to a proxy
//! by any way, so that its features can be checked.
//!
//! Invariants: no answer longer than [`MAX_ASKED`] is taken, no wait is longer than [`STALL`].

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use rustls::ClientConfig;

use crate::answer::MAX_HEADERS;
use crate::failure::{During, Failure};
use crate::frames::{Request, Session};
use crate::load::{STALL, connect};
use crate::scenario::Way;
use crate::wire::{Came, Wire};

/// The largest answer that is taken, in bytes.
const MAX_ASKED: usize = 1 << 20;

/// Bytes read at once.
const READ_BYTES: usize = 16 * 1024;

/// What was answered.
pub struct Asked {
    /// Its status; 0 if it is none that HTTP/2 has an index for.
    pub status: u16,
    /// The head as text; empty over HTTP/2.
    pub head: Vec<u8>,
    /// The body.
    pub body: Vec<u8>,
}

/// One request in clear text, which must bear `Connection: close`.
pub fn ask(address: SocketAddr, request: &str) -> Result<Asked, Failure> {
    ask_text(Wire::new(connect(address)?, address, None)?, address, request)
}

/// A GET by any way.
pub fn get(
    address: SocketAddr,
    (way, tls): (Way, Option<&Arc<ClientConfig>>),
    host: &str,
    path: &str,
) -> Result<Asked, Failure> {
    let wire = Wire::new(connect(address)?, address, tls)?;
    if !way.is_h2() {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        return ask_text(wire, address, &request);
    }
    let (host, path) = (host.to_owned(), path.to_owned());
    ask_h2(wire, address, &Request { host, path, is_tls: way.is_tls() })
}

fn ask_text(mut wire: Wire, address: SocketAddr, request: &str) -> Result<Asked, Failure> {
    send(&mut wire, request.as_bytes())?;
    let mut bytes = Vec::new();
    while let Came::Bytes = receive(&mut wire, address, &mut |piece| {
        bytes.extend_from_slice(piece);
        Ok(())
    })? {
        if bytes.len() > MAX_ASKED {
            break;
        }
    }
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut answer = httparse::Response::new(&mut headers);
    match (answer.parse(&bytes), answer.code) {
        (Ok(httparse::Status::Complete(end)), Some(status)) => {
            let body = bytes.split_off(end);
            Ok(Asked { status, head: bytes, body })
        }
        _ => Err(Failure::Answer(format!("{address} closed without a whole answer head"))),
    }
}

fn ask_h2(mut wire: Wire, address: SocketAddr, request: &Request) -> Result<Asked, Failure> {
    let mut session = Session::new(request);
    session.body = Some(Vec::new());
    session.begin(Instant::now());
    let mut status = None;
    while status.is_none() {
        send(&mut wire, &std::mem::take(&mut session.out))?;
        let came = receive(&mut wire, address, &mut |piece| {
            session.take(piece, &mut |ended| {
                status = Some(ended.status);
                Ok(())
            })
        })?;
        if came == Came::End {
            return Err(Failure::Answer(format!("{address} closed before its answer's end")));
        }
    }
    let body = session.body.unwrap_or_default();
    Ok(Asked { status: status.unwrap_or(0), head: Vec::new(), body })
}

fn send(wire: &mut Wire, bytes: &[u8]) -> Result<(), Failure> {
    wire.socket.set_read_timeout(Some(STALL)).during("a socket of the bench")?;
    let mut sent = 0;
    while sent < bytes.len() {
        sent += wire.write(&bytes[sent..])?;
    }
    Ok(())
}

fn receive(
    wire: &mut Wire,
    address: SocketAddr,
    take: &mut dyn FnMut(&[u8]) -> Result<(), Failure>,
) -> Result<Came, Failure> {
    match wire.read(&mut [0; READ_BYTES], take)? {
        Came::Nothing => Err(Failure::Stalled(address, 1)),
        came => Ok(came),
    }
}
