//! A byte stream with what was read from it and not yet passed on.
//!
//! The same for both sides: a client's connection and a dyno's. Invariants: a stream that waits
//! holds no buffer unless something is in it; of the bytes in `input` the first `accepted` may be
//! sent on, the rest is not judged yet or belongs to the next message; nothing is read while
//! accepted bytes are waiting, so that the slower side holds back the faster.

use std::{
    io,
    rc::Rc,
    task::{Context, Poll, ready},
};

use super::{
    buffers::{Buf, Buffers, LARGE},
    io::Io,
    socket::End,
};
use crate::wire::framing::{Body, Coding, FramingError};

/// The most bytes that are held back of a body's trailer section, with what surrounds it.
pub const MAX_HELD: usize = 64 << 10;

/// A byte stream and its input.
#[derive(Debug)]
pub struct Stream {
    /// What carries the bytes.
    pub io: Io,
    /// Read and not yet passed on.
    pub input: Option<Buf>,
    accepted: usize,
    /// The last read filled its buffer: the next may take a large one.
    bulk: bool,
    /// It takes none all the same: a stream of HTTP/2 takes and gives less at a time.
    pub modest: bool,
    /// How many bytes were passed on since the other side last took none.
    passed: usize,
}

/// What a read found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// Bytes, now in the input.
    Bytes,
    /// The orderly end of what the other side sends.
    End,
    /// A reset, or another end of the connection.
    Broken,
}

impl Stream {
    /// A stream from which nothing was read yet.
    pub fn new(io: Io) -> Stream {
        Stream { io, input: None, accepted: 0, bulk: false, modest: false, passed: 0 }
    }

    /// The bytes that were read and not yet passed on.
    pub fn pending(&self) -> &[u8] {
        self.input.as_ref().map_or(&[], |input| input.pending())
    }

    /// How many of the pending bytes may be sent on.
    pub fn accepted(&self) -> usize {
        self.accepted
    }

    /// Do bytes come faster than a common buffer empties?
    pub fn is_bulk(&self) -> bool {
        self.bulk
    }

    /// Reads what has come, if the input has room for it: [`Stream::make_room`].
    pub fn poll_hear(&mut self, cx: &mut Context<'_>, buffers: &Rc<Buffers>) -> Poll<Heard> {
        if ready!(self.io.poll_readable(cx)).is_err() {
            return Poll::Ready(Heard::Broken);
        }
        let bulk = self.bulk && !self.modest;
        let input =
            self.input.get_or_insert_with(|| if bulk { buffers.large() } else { buffers.common() });
        match self.io.poll_read(cx, input) {
            Poll::Ready(Ok(0)) => Poll::Ready(Heard::End),
            Poll::Ready(Ok(_)) => {
                self.bulk = input.room() == 0;
                Poll::Ready(Heard::Bytes)
            }
            Poll::Ready(Err(_)) => Poll::Ready(Heard::Broken),
            Poll::Pending => {
                self.release();
                Poll::Pending
            }
        }
    }

    /// Ready when the other side has left: its connection broke, or it sends no more and may not
    /// read on without that (`half_close`). Bytes that it sent before stay unread.
    pub fn poll_left(&self, cx: &mut Context<'_>, half_close: bool) -> Poll<()> {
        match ready!(self.io.poll_end(cx)) {
            End::Ended if half_close => self.io.poll_broken(cx),
            End::Ended | End::Broken => Poll::Ready(()),
        }
    }

    /// Sees that a read has room, as long as no more than `limit` bytes are pending; answers
    /// whether it has.
    pub fn make_room(&mut self, limit: usize) -> bool {
        let Some(input) = &mut self.input else { return true };
        if input.room() == 0 && input.compact() == 0 {
            if input.len() >= limit {
                return false;
            }
            input.grow(limit);
        }
        true
    }

    /// Accepts of the pending bytes what belongs to `body`; answers how much of it is data.
    pub fn accept(&mut self, body: &mut Body, coding: Coding) -> Result<u64, FramingError> {
        let Some(input) = &mut self.input else { return Ok(0) };
        let start = input.start();
        let accepted = body.accept(input, start + self.accepted, coding)?;
        self.accepted = accepted.ready - start;
        Ok(accepted.data)
    }

    /// Moves the accepted bytes behind `out`, if they fit.
    pub fn pour(&mut self, out: &mut Buf) -> bool {
        if self.accepted > out.room() {
            return false;
        }
        out.extend_from_slice(&self.pending()[..self.accepted]);
        self.consume(self.accepted);
        true
    }

    /// Writes accepted bytes to the other side; answers how many it took, 0 if none are left.
    pub fn poll_pass(&mut self, cx: &mut Context<'_>, to: &mut Io) -> Poll<io::Result<usize>> {
        if self.accepted == 0 {
            return Poll::Ready(Ok(0));
        }
        let Poll::Ready(count) = to.poll_write(cx, &self.pending()[..self.accepted]) else {
            if to.holds_back() {
                self.hold_less();
            }
            return Poll::Pending;
        };
        let count = count?;
        self.passed = self.passed.saturating_add(count);
        self.consume(count);
        Poll::Ready(Ok(count))
    }

    /// A reader that takes less than a large buffer at a time gets what lies there, and then common
    /// ones.
    fn hold_less(&mut self) {
        let is_slow = std::mem::take(&mut self.passed) < LARGE;
        if is_slow
            && std::mem::take(&mut self.bulk)
            && let Some(input) = &mut self.input
        {
            input.compact();
            input.shrink();
        }
    }

    /// Drops the first `count` pending bytes; what was accepted goes first.
    pub fn consume(&mut self, count: usize) {
        if let Some(input) = &mut self.input {
            input.consume(count);
        }
        self.accepted = self.accepted.saturating_sub(count);
        self.release();
    }

    /// Drops all that was read.
    pub fn discard(&mut self) {
        self.input = None;
        self.accepted = 0;
    }

    /// Makes the stream ready for its next message.
    pub fn rewind(&mut self) {
        debug_assert!(self.accepted == 0, "a message ends when all of it was passed on");
        self.bulk = false;
    }

    fn release(&mut self) {
        if self.input.as_ref().is_some_and(|input| input.is_drained()) {
            self.input = None;
        }
    }
}
