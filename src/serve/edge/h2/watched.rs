//! The bytes below the protocol: what comes is watched for floods, what goes for a standstill.
//!
//! Invariants: bytes of a flood never reach the protocol; once there was one nothing more is read;
//! the connection's task, which polls all of this, looks at the tally after each turn.

use std::{
    cell::{Cell, RefCell},
    io::{self, IoSlice},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::spare::Spare;
use crate::{
    serve::worker::Worker,
    wire::h2::flood::{Flood, Watch},
};

/// The answer to the PING by which the protocol learns that a client has heard that it is to go.
const PONG: &[u8; 17] = b"\0\0\x08\x06\x01\0\0\0\0\x0b\x7b\xa2\xf0\x8b\x9b\xfe\x54";

/// The preface, which has the place of the first frame's head: it is no frame.
const PREFACE: usize = 24;

/// What is known of a connection's bytes.
#[derive(Debug)]
pub struct Tally {
    watch: RefCell<Watch>,
    /// What is still to come of the preface.
    preface: Cell<usize>,
    /// What the client floods with.
    pub flood: Cell<Option<Flood>>,
    /// The protocol is to take it that the client has heard that it is to go.
    feigned: Cell<bool>,
    /// What becomes of the reading buffer while nothing comes.
    pub spare: Spare,
    /// Something waits to be written.
    pub stuck: Cell<bool>,
    /// It waited for too long, and the connection is over.
    pub stalled: Cell<bool>,
    /// Bytes that were written.
    pub written: Cell<u64>,
}

impl Tally {
    /// Of a connection that begins.
    pub fn new(worker: &Worker) -> Tally {
        let watch = Watch::new(worker.clock.coarse_ms(), worker.settings.limits.request_head);
        Tally {
            watch: RefCell::new(watch),
            preface: Cell::new(PREFACE),
            flood: Cell::new(None),
            feigned: Cell::new(false),
            spare: Spare::default(),
            stuck: Cell::new(false),
            stalled: Cell::new(false),
            written: Cell::new(0),
        }
    }

    /// So many bytes were sent: a piece of an answer, or what there is a window for of one.
    pub fn sent(&self, bytes: usize, is_piece: bool) {
        self.watch.borrow_mut().sent(bytes, is_piece);
    }

    /// An answer was sent to its end.
    pub fn answered(&self) {
        self.watch.borrow_mut().answered();
    }

    /// Lets the protocol hear what it waits for, between two frames of the client, which has had
    /// the time to say it.
    pub fn feign_pong(&self) {
        self.feigned.set(true);
    }

    /// The number of the head that has begun and not ended.
    pub fn head(&self) -> Option<u32> {
        self.watch.borrow().head()
    }

    /// A stream begins.
    pub fn begin(&self, stream: u32, now_ms: u64) {
        self.watch.borrow_mut().begin(stream, now_ms);
    }

    /// A stream is over.
    pub fn end(&self, stream: u32) {
        self.watch.borrow_mut().end(stream);
    }

    fn see(&self, bytes: &[u8], now_ms: u64) -> bool {
        let preface = self.preface.get().min(bytes.len());
        self.preface.set(self.preface.get() - preface);
        let seen = self.watch.borrow_mut().see(&bytes[preface..], now_ms);
        self.flood.set(seen.err());
        seen.is_ok()
    }

    fn wrote(&self, written: &Poll<io::Result<usize>>) {
        self.stuck.set(written.is_pending());
        if let Poll::Ready(Ok(count)) = written {
            self.written.set(self.written.get() + *count as u64);
        }
    }
}

/// A connection whose bytes are watched.
pub struct Watched<T> {
    /// What carries them.
    pub io: T,
    /// What is known of them.
    pub tally: Rc<Tally>,
    /// For its clock.
    pub worker: Rc<Worker>,
}

impl<T: AsyncRead + Unpin> AsyncRead for Watched<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.tally.flood.get().is_some() {
            return Poll::Pending;
        }
        if self.tally.watch.borrow_mut().is_turn_over() {
            // The tasks of the streams come first.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let tally = &self.tally;
        let between = tally.feigned.get() && tally.watch.borrow().is_between_frames();
        if between && buffer.remaining() >= PONG.len() {
            tally.feigned.set(false);
            buffer.put_slice(PONG);
            return Poll::Ready(Ok(()));
        }
        if tally.spare.before(buffer, || tally.watch.borrow().is_between_frames()) {
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(cx, buffer))?;
        self.tally.spare.came();
        let now_ms = self.worker.clock.coarse_ms();
        if self.tally.see(&buffer.filled()[before..], now_ms) {
            return Poll::Ready(Ok(()));
        }
        buffer.set_filled(before);
        Poll::Pending
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Watched<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(cx, bytes);
        self.tally.wrote(&written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write_vectored(cx, pieces);
        self.tally.wrote(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.io).poll_flush(cx);
        self.tally.stuck.set(flushed.is_pending());
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
