//! A connection of the data plane: a socket, or what is carried above one.
//!
//! Invariants: the plain socket is the fast path and costs one branch; only it can be spliced.

use std::{
    cell::RefCell,
    io,
    task::{Context, Poll},
};

use tokio::net::{TcpStream, UnixStream};

use super::{
    carrier::{Carrier, Cause},
    queue,
    socket::{End, Socket},
};
use crate::error::Fault;

/// A connection.
#[derive(Debug)]
pub enum Io {
    /// A socket and nothing above it.
    Plain(Socket),
    /// TLS, or a stream of HTTP/2. In a cell, because waiting for its end or its readiness, which
    /// a shared socket can do, changes it.
    Carried(RefCell<Box<dyn Carrier>>),
}

impl From<TcpStream> for Io {
    fn from(stream: TcpStream) -> Io {
        Io::Plain(stream.into())
    }
}

impl From<UnixStream> for Io {
    fn from(stream: UnixStream) -> Io {
        Io::Plain(stream.into())
    }
}

impl Io {
    /// A connection above a socket.
    pub fn carried(carrier: impl Carrier + 'static) -> Io {
        Io::Carried(RefCell::new(Box::new(carrier)))
    }

    /// The socket, if there is nothing above it.
    pub fn plain(&self) -> Option<&Socket> {
        match self {
            Io::Plain(socket) => Some(socket),
            Io::Carried(_) => None,
        }
    }

    /// The TCP connection, if there is nothing above it: for whoever puts something there.
    pub fn into_tcp(self) -> Option<TcpStream> {
        match self {
            Io::Plain(socket) => socket.into_tcp(),
            Io::Carried(_) => None,
        }
    }

    /// Ready when a read may find bytes, the end, or an error.
    pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Io::Plain(socket) => socket.poll_readable(cx),
            Io::Carried(carrier) => carrier.borrow_mut().poll_readable(cx),
        }
    }

    /// Reads into the spare capacity of `buffer`; 0 is the end of the stream.
    ///
    /// # Panics
    /// In debug builds, if the buffer has no room: 0 would then not mean the end.
    pub fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut Vec<u8>,
    ) -> Poll<io::Result<usize>> {
        debug_assert!(buffer.len() < buffer.capacity(), "a read needs room");
        match self {
            Io::Plain(socket) => socket.poll_read(cx, buffer),
            Io::Carried(carrier) => carrier.get_mut().poll_read(cx, buffer),
        }
    }

    /// Is something there to be read? A byte of it may be lost: for whoever wants none of it.
    pub fn has_input(&self) -> bool {
        match self {
            Io::Plain(socket) => socket.has_input(),
            Io::Carried(carrier) => carrier.borrow_mut().has_come(),
        }
    }

    /// Would a read find something, whether or not the runtime has heard of it?
    pub fn holds_input(&self) -> bool {
        match self {
            Io::Plain(socket) => socket.holds_input(),
            Io::Carried(carrier) => carrier.borrow_mut().has_come(),
        }
    }

    /// Has nothing come that was not read, the end included?
    pub fn is_quiet(&self) -> bool {
        match self {
            Io::Plain(socket) => socket.is_quiet(),
            Io::Carried(carrier) => !carrier.borrow_mut().has_come(),
        }
    }

    /// Writes what is taken. A write that was pending is repeated with the same bytes.
    pub fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Io::Plain(socket) => socket.poll_write(cx, bytes),
            Io::Carried(carrier) => carrier.get_mut().poll_write(cx, bytes),
        }
    }

    /// Ends our direction of the stream.
    pub fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Io::Plain(socket) => socket.poll_shutdown(cx),
            Io::Carried(carrier) => carrier.get_mut().poll_shutdown(cx),
        }
    }

    /// Ready when the other side sends no more, whatever still waits to be read.
    pub fn poll_end(&self, cx: &mut Context<'_>) -> Poll<End> {
        match self {
            Io::Plain(socket) => socket.poll_end(cx),
            Io::Carried(carrier) => carrier.borrow_mut().poll_end(cx),
        }
    }

    /// Ready when the connection is broken: for whoever goes on after [`End::Ended`].
    pub fn poll_broken(&self, cx: &mut Context<'_>) -> Poll<()> {
        match self {
            Io::Plain(socket) => socket.poll_broken(cx),
            Io::Carried(carrier) => carrier.borrow_mut().poll_broken(cx),
        }
    }

    /// Breaks off, because of a fault where it is known: the other side cannot take the cut for an
    /// end. A socket does so when it is dropped.
    pub fn break_off(&self, fault: Option<Fault>) {
        match self {
            Io::Plain(socket) => socket.reset_on_drop(),
            Io::Carried(carrier) => carrier.borrow_mut().break_off(fault),
        }
    }

    /// All of the answer was taken: what is above the socket may have an end of its own to come.
    pub fn see_off(&self) {
        if let Io::Carried(carrier) = self {
            carrier.borrow_mut().see_off();
        }
    }

    /// Are bytes kept above the socket that it did not take?
    pub fn holds_back(&self) -> bool {
        match self {
            Io::Plain(_) => false,
            Io::Carried(carrier) => carrier.borrow().holds_back(),
        }
    }

    /// Why it broke, where more is known than that it did.
    pub fn cause(&self) -> Option<Cause> {
        match self {
            Io::Plain(_) => None,
            Io::Carried(carrier) => carrier.borrow().cause(),
        }
    }

    /// Bytes that were written and that the other side is not known to have taken.
    pub fn unacknowledged(&self) -> usize {
        match self {
            Io::Plain(socket) => queue::unacknowledged(socket),
            Io::Carried(carrier) => carrier.borrow_mut().unacknowledged(),
        }
    }
}
