//! The socket below a connection of the data plane: to a client or to a dyno, TCP or Unix.
//!
//! A reader waits with [`Socket::poll_readable`], which needs no buffer, then reads with
//! [`Socket::poll_read`]. Bytes are moved by system calls of our own, since the C library's count
//! as places where a thread may be cancelled, which costs; a short one makes the runtime forget the
//! readiness, which spares the call that would only say "not yet".
//!
//! The end of what the other side sends can be waited for past bytes that nobody reads yet
//! ([`Socket::poll_end`]): the runtime is made to forget that the socket is readable, so that it
//! tells of the next event, and the socket is marked [`unread`](Socket::unread). Invariants: a
//! marked socket is read past the runtime until a read comes back short, so that no byte waits
//! unseen; the same holds for `unwritten` and writes; a read never grows the buffer that it is
//! given.

use std::{
    cell::Cell,
    future::Future,
    io,
    os::fd::{AsFd, BorrowedFd},
    pin::{Pin, pin},
    task::{Context, Poll, Waker, ready},
};

use rustix::{
    buffer::spare_capacity,
    io::Errno,
    net::{RecvFlags, SendFlags, recv, send},
};
use tokio::{
    io::{AsyncWrite, Interest, Ready},
    net::{TcpStream, UnixStream},
};

/// Which of the two it is.
#[derive(Debug)]
enum Kind {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// A connection's socket.
#[derive(Debug)]
pub struct Socket {
    kind: Kind,
    /// The socket holds bytes of which the runtime was made to forget.
    unread: Cell<bool>,
    /// The socket takes bytes, and the runtime was made to forget that.
    unwritten: Cell<bool>,
}

/// How the other side ended what it sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// In order: it may still read.
    Ended,
    /// By a reset.
    Broken,
}

impl From<TcpStream> for Socket {
    fn from(stream: TcpStream) -> Socket {
        Socket::over(Kind::Tcp(stream))
    }
}

impl From<UnixStream> for Socket {
    fn from(stream: UnixStream) -> Socket {
        Socket::over(Kind::Unix(stream))
    }
}

macro_rules! either {
    ($io:expr, $stream:ident => $what:expr) => {
        match $io {
            Kind::Tcp($stream) => $what,
            Kind::Unix($stream) => $what,
        }
    };
}

impl Socket {
    fn over(kind: Kind) -> Socket {
        Socket { kind, unread: Cell::new(false), unwritten: Cell::new(false) }
    }

    /// The TCP connection.
    pub fn into_tcp(self) -> Option<TcpStream> {
        let Kind::Tcp(stream) = self.kind else { return None };
        if self.unread.get() || self.unwritten.get() {
            // Given to the runtime anew, it tells again of what it was made to forget.
            return TcpStream::from_std(stream.into_std().ok()?).ok();
        }
        Some(stream)
    }

    /// Is it a TCP connection?
    pub fn is_tcp(&self) -> bool {
        matches!(self.kind, Kind::Tcp(_))
    }

    /// Ready when a read would find bytes, the end, or an error.
    pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.unread.get() {
            return Poll::Ready(Ok(()));
        }
        either!(&self.kind, stream => stream.poll_read_ready(cx))
    }

    /// Ready when a write would take bytes or fail.
    fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.unwritten.get() {
            return Poll::Ready(Ok(()));
        }
        either!(&self.kind, stream => stream.poll_write_ready(cx))
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
        loop {
            match self.try_fill(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    ready!(self.poll_readable(cx))?;
                }
                read => return Poll::Ready(read),
            }
        }
    }

    /// Reads what is known to be there, without waiting for more.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] if nothing is, and whatever broke the connection.
    fn try_read(&self, bytes: &mut [u8]) -> io::Result<usize> {
        either!(&self.kind, stream => stream.try_read(bytes))
    }

    /// Reads what is known to be there into the spare capacity of `buffer`, past what the runtime
    /// lets a task do in one go; 0 is the end of the stream, or a buffer without room.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] if nothing is, and whatever broke the connection.
    pub fn try_fill(&self, buffer: &mut Vec<u8>) -> io::Result<usize> {
        let room = buffer.capacity() - buffer.len();
        if self.unread.get() {
            match recv(self, spare_capacity(buffer), RecvFlags::empty()) {
                Err(Errno::AGAIN) => self.unread.set(false),
                read => {
                    let (count, _) = read?;
                    self.unread.set(count == room);
                    return Ok(count);
                }
            }
        }
        self.try_moving(Interest::READABLE, room, || {
            Ok(recv(self, spare_capacity(buffer), RecvFlags::empty())?.0)
        })
    }

    /// Is something there to be read? A byte of it may be lost: for whoever wants none of it.
    pub fn has_input(&self) -> bool {
        self.unread.get() || self.try_read(&mut [0]).is_ok_and(|count| count > 0)
    }

    /// Would a read find bytes, the end, or an error? The socket itself is asked: the runtime may
    /// not have heard of them yet.
    pub fn holds_input(&self) -> bool {
        let holds = !matches!(recv(self, &mut [0], RecvFlags::PEEK), Err(Errno::AGAIN));
        if holds {
            self.unread.set(true);
        }
        holds
    }

    /// Has nothing come on this connection, its end included?
    pub fn is_quiet(&self) -> bool {
        // Readiness is known without a system call; only where there is some is the socket asked,
        // for it may be what the last answer left behind. Not by a poll: that says "not yet" of
        // anything once the task has used up what the runtime lets it do in one go.
        self.try_read(&mut [0]).is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Writes what the socket takes.
    pub fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let send = || send(self.as_fd(), bytes, SendFlags::NOSIGNAL);
        if self.unwritten.get() {
            match send() {
                Err(Errno::AGAIN) => self.unwritten.set(false),
                written => {
                    self.unwritten.set(written == Ok(bytes.len()));
                    return Poll::Ready(Ok(written?));
                }
            }
        }
        loop {
            match self.try_moving(Interest::WRITABLE, bytes.len(), || Ok(send()?)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    ready!(self.poll_writable(cx))?;
                }
                written => return Poll::Ready(written),
            }
        }
    }

    /// Does `read`, which would read from the socket, once there is something to be read.
    pub fn poll_read_with(
        &self,
        cx: &mut Context<'_>,
        mut read: impl FnMut(BorrowedFd<'_>) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.poll_readable(cx))?;
            let done = match self.unread.get() {
                true => read(self.as_fd()),
                false => self.try_io(Interest::READABLE, || read(self.as_fd())),
            };
            match done {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.unread.set(false),
                done => return Poll::Ready(done),
            }
        }
    }

    /// Does `write`, which would write to the socket, once that takes bytes.
    pub fn poll_write_with(
        &self,
        cx: &mut Context<'_>,
        mut write: impl FnMut(BorrowedFd<'_>) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.poll_writable(cx))?;
            let done = match self.unwritten.get() {
                true => write(self.as_fd()),
                false => self.try_io(Interest::WRITABLE, || write(self.as_fd())),
            };
            match done {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.unwritten.set(false);
                }
                done => return Poll::Ready(done),
            }
        }
    }

    /// Ends our direction of the stream.
    pub fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(&mut self.kind, stream => Pin::new(stream).poll_shutdown(cx))
    }

    /// Ready when the other side sends no more, whatever still waits to be read.
    pub fn poll_end(&self, cx: &mut Context<'_>) -> Poll<End> {
        loop {
            let readable = either!(&self.kind, stream => stream.poll_read_ready(cx));
            if ready!(readable).is_err() {
                return Poll::Ready(End::Broken);
            }
            let known = self.known();
            if known.is_error() {
                return Poll::Ready(End::Broken);
            }
            if known.is_read_closed() {
                return Poll::Ready(End::Ended);
            }
            self.unread.set(true);
            self.forget(Interest::READABLE);
        }
    }

    /// Ready when the connection is broken: for whoever goes on after [`End::Ended`].
    pub fn poll_broken(&self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let writable = either!(&self.kind, stream => stream.poll_write_ready(cx));
            let known = self.known();
            if ready!(writable).is_err() || known.is_error() {
                return Poll::Ready(());
            }
            if known.is_write_closed() {
                // Both sides have ended in order: nothing more can come.
                return Poll::Pending;
            }
            self.unwritten.set(true);
            self.forget(Interest::WRITABLE);
        }
    }

    /// What the runtime knows of the socket, which is something.
    fn known(&self) -> Ready {
        // Whether it broke is said by the error alone: a connection that both sides have ended in
        // order is closed both ways as well.
        let all = Interest::READABLE | Interest::WRITABLE | Interest::ERROR;
        let now = &mut Context::from_waker(Waker::noop());
        let known = either!(&self.kind, stream => pin!(stream.ready(all)).poll(now));
        match known {
            Poll::Ready(Ok(known)) => known,
            _ => Ready::EMPTY,
        }
    }

    /// Makes the runtime forget that the socket is ready, unless it has heard of it anew.
    fn forget(&self, what: Interest) {
        let _ = self.try_io(what, || Err::<(), _>(io::ErrorKind::WouldBlock.into()));
    }

    /// Moves bytes by one system call, `most` at most; if it moves fewer, but some, the next would
    /// move none, and the runtime is made to forget that the socket is ready.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] if the socket is not ready, and whatever broke the connection.
    fn try_moving(
        &self,
        what: Interest,
        most: usize,
        run: impl FnOnce() -> io::Result<usize>,
    ) -> io::Result<usize> {
        let mut moved = 0;
        let done = self.try_io(what, || {
            moved = run()?;
            let is_short = 0 < moved && moved < most;
            if is_short { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(moved) }
        });
        if moved > 0 { Ok(moved) } else { done }
    }

    fn try_io<R>(&self, what: Interest, run: impl FnOnce() -> io::Result<R>) -> io::Result<R> {
        either!(&self.kind, stream => stream.try_io(what, run))
    }

    /// Lets the drop of this stream send a reset, so that the other side cannot take a cut for an
    /// end.
    pub fn reset_on_drop(&self) {
        if let Kind::Tcp(stream) = &self.kind {
            // A socket that cannot be told closes all the same, only less clearly.
            let _ = socket2::SockRef::from(stream).set_linger(Some(std::time::Duration::ZERO));
        }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        either!(&self.kind, stream => stream.as_fd())
    }
}

#[cfg(test)]
mod tests;
