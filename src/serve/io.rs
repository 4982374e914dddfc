//! The socket below a stream of the data plane: to a client or to a dyno, TCP or Unix.
//!
//! A reader waits with [`Io::poll_readable`], which needs no buffer, then reads with
//! [`Io::poll_read`], which unlike a try-read forgets the readiness after a short read and so
//! spares the system call that would only say "not yet".
//!
//! The end of what the other side sends can be waited for past bytes that nobody reads yet
//! ([`Io::poll_end`]): the runtime is made to forget that the socket is readable, so that it tells
//! of the next event, and the socket is marked [`unread`](Io::unread). Invariants: a marked socket
//! is read past the runtime until a read comes back short, so that no byte waits unseen; the same
//! holds for `unwritten` and writes; a read never grows the buffer that it is given.

use std::{
    cell::Cell,
    future::Future,
    io,
    os::fd::{AsFd, BorrowedFd},
    pin::{Pin, pin},
    task::{Context, Poll, Waker, ready},
};

use rustix::{buffer::spare_capacity, net::SendFlags};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, Interest, Ready},
    net::{TcpStream, UnixStream},
};

/// What carries the bytes.
#[derive(Debug)]
enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// A connection.
#[derive(Debug)]
pub struct Io {
    socket: Socket,
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

impl From<TcpStream> for Io {
    fn from(stream: TcpStream) -> Io {
        Io::over(Socket::Tcp(stream))
    }
}

impl From<UnixStream> for Io {
    fn from(stream: UnixStream) -> Io {
        Io::over(Socket::Unix(stream))
    }
}

macro_rules! either {
    ($io:expr, $stream:ident => $what:expr) => {
        match $io {
            Socket::Tcp($stream) => $what,
            Socket::Unix($stream) => $what,
        }
    };
}

impl Io {
    fn over(socket: Socket) -> Io {
        Io { socket, unread: Cell::new(false), unwritten: Cell::new(false) }
    }

    /// Is it a TCP connection?
    pub fn is_tcp(&self) -> bool {
        matches!(self.socket, Socket::Tcp(_))
    }

    /// Ready when a read would find bytes, the end, or an error.
    pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.unread.get() {
            return Poll::Ready(Ok(()));
        }
        either!(&self.socket, stream => stream.poll_read_ready(cx))
    }

    /// Ready when a write would take bytes or fail.
    fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.unwritten.get() {
            return Poll::Ready(Ok(()));
        }
        either!(&self.socket, stream => stream.poll_write_ready(cx))
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
        if self.unread.get() {
            let room = buffer.capacity() - buffer.len();
            match rustix::io::read(&*self, spare_capacity(buffer)) {
                Err(rustix::io::Errno::AGAIN) => self.unread.set(false),
                read => {
                    self.unread.set(read == Ok(room));
                    return Poll::Ready(read.map_err(io::Error::from));
                }
            }
        }
        either!(&mut self.socket, stream => read_buf(stream, cx, buffer))
    }

    /// Reads what is known to be there, without waiting for more.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] if nothing is, and whatever broke the connection.
    pub fn try_read(&self, bytes: &mut [u8]) -> io::Result<usize> {
        either!(&self.socket, stream => stream.try_read(bytes))
    }

    /// Is something there to be read? A byte of it may be lost: for whoever wants none of it.
    pub fn has_input(&self) -> bool {
        self.unread.get() || self.try_read(&mut [0]).is_ok_and(|count| count > 0)
    }

    /// Writes what the socket takes.
    pub fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.unwritten.get() {
            match rustix::net::send(&*self, bytes, SendFlags::NOSIGNAL) {
                Err(rustix::io::Errno::AGAIN) => self.unwritten.set(false),
                written => {
                    self.unwritten.set(written == Ok(bytes.len()));
                    return Poll::Ready(written.map_err(io::Error::from));
                }
            }
        }
        either!(&mut self.socket, stream => Pin::new(stream).poll_write(cx, bytes))
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
        either!(&mut self.socket, stream => Pin::new(stream).poll_shutdown(cx))
    }

    /// Ready when the other side sends no more, whatever still waits to be read.
    pub fn poll_end(&self, cx: &mut Context<'_>) -> Poll<End> {
        loop {
            let readable = either!(&self.socket, stream => stream.poll_read_ready(cx));
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
            let writable = either!(&self.socket, stream => stream.poll_write_ready(cx));
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
        let known = either!(&self.socket, stream => pin!(stream.ready(all)).poll(now));
        match known {
            Poll::Ready(Ok(known)) => known,
            _ => Ready::EMPTY,
        }
    }

    /// Makes the runtime forget that the socket is ready, unless it has heard of it anew.
    fn forget(&self, what: Interest) {
        let _ = self.try_io(what, || Err::<(), _>(io::ErrorKind::WouldBlock.into()));
    }

    fn try_io<R>(&self, what: Interest, run: impl FnOnce() -> io::Result<R>) -> io::Result<R> {
        either!(&self.socket, stream => stream.try_io(what, run))
    }

    /// Lets the drop of this stream send a reset, so that the other side cannot take a cut for an
    /// end.
    pub fn reset_on_drop(&self) {
        if let Socket::Tcp(stream) = &self.socket {
            // A socket that cannot be told closes all the same, only less clearly.
            let _ = socket2::SockRef::from(stream).set_linger(Some(std::time::Duration::ZERO));
        }
    }
}

impl AsFd for Io {
    fn as_fd(&self) -> BorrowedFd<'_> {
        either!(&self.socket, stream => stream.as_fd())
    }
}

fn read_buf<S: AsyncRead + Unpin>(
    stream: &mut S,
    cx: &mut Context<'_>,
    buffer: &mut Vec<u8>,
) -> Poll<io::Result<usize>> {
    // The future holds only the two borrows, so dropping it between polls loses nothing.
    pin!(stream.read_buf(buffer)).poll(cx)
}

#[cfg(test)]
mod tests;
