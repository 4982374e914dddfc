//! What carries the bytes of a connection that is more than a socket: TLS, or a stream of HTTP/2.
//!
//! An exchange speaks HTTP/1.1 text to both of its sides, whatever they speak: a carrier of TLS
//! encrypts it, a carrier of an HTTP/2 stream turns it into frames and frames into it. So one
//! reading of the rules holds for every request, and nothing behind the carrier asks what it is.
//!
//! Invariants, for every carrier: all waits of one carrier are of one task; readiness may be told
//! too early, never too late; a write that was pending is repeated with the same bytes, and once it
//! is ready none of them waits for another call; nothing is read ahead but what one step of the
//! protocol below needs.

use std::{
    fmt::Debug,
    io,
    task::{Context, Poll},
};

use super::socket::End;
use crate::error::Fault;

/// What a carrier knows of why it broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The other side did nothing of what it was asked.
    Unprocessed,
    /// This.
    Fault(Fault),
}

/// A connection above a socket.
pub trait Carrier: Debug {
    /// Ready when a read may find bytes, the end, or an error.
    fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Reads into the spare capacity of `buffer`, of which there is some; 0 is the end.
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut Vec<u8>) -> Poll<io::Result<usize>>;

    /// Has anything come that was not read, the end and an error included?
    fn has_come(&mut self) -> bool;

    /// Writes what is taken.
    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>>;

    /// Ends our direction.
    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Ready when the other side sends no more and may be gone, whatever still waits to be read.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<End>;

    /// Ready when the connection is broken: for whoever goes on after [`End::Ended`].
    fn poll_broken(&mut self, cx: &mut Context<'_>) -> Poll<()>;

    /// Breaks off, so that the other side cannot take the cut for an end: when this is dropped, or
    /// at once. The fault is why, where it is known.
    fn break_off(&mut self, fault: Option<Fault>);

    /// All of the answer was taken, whose end may be yet to come: it is not broken off.
    fn see_off(&mut self) {}

    /// Bytes that were written and that the other side is not known to have taken.
    fn unacknowledged(&mut self) -> usize;

    /// Are bytes kept here that the socket below did not take?
    fn holds_back(&self) -> bool {
        false
    }

    /// Why it broke, where more is known than that it did.
    fn cause(&self) -> Option<Cause> {
        None
    }
}
