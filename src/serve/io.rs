//! A byte stream of the data plane: to a client or to a dyno, whatever carries it.
//!
//! A reader waits with [`Io::poll_readable`], which needs no buffer, then reads with
//! [`Io::poll_read`], which unlike a try-read forgets the readiness after a short read and so
//! spares the system call that would only say "not yet".
//! Invariant: a read never grows the buffer that it is given.

use std::{
    io,
    pin::{Pin, pin},
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite},
    net::{TcpStream, UnixStream},
};

/// What carries the bytes.
#[derive(Debug)]
pub enum Io {
    /// A TCP connection.
    Tcp(TcpStream),
    /// A Unix stream socket.
    Unix(UnixStream),
}

macro_rules! either {
    ($io:expr, $stream:ident => $what:expr) => {
        match $io {
            Io::Tcp($stream) => $what,
            Io::Unix($stream) => $what,
        }
    };
}

impl Io {
    /// Ready when a read would find bytes, the end, or an error.
    pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, stream => stream.poll_read_ready(cx))
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
        either!(self, stream => read_buf(stream, cx, buffer))
    }

    /// Reads what is known to be there, without waiting for more.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] if nothing is, and whatever broke the connection.
    pub fn try_read(&self, bytes: &mut [u8]) -> io::Result<usize> {
        either!(self, stream => stream.try_read(bytes))
    }

    /// Writes what the socket takes.
    pub fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        either!(self, stream => Pin::new(stream).poll_write(cx, bytes))
    }

    /// Ends our direction of the stream.
    pub fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, stream => Pin::new(stream).poll_shutdown(cx))
    }

    /// Lets the drop of this stream send a reset, so that the other side cannot take a cut for an
    /// end.
    pub fn reset_on_drop(&self) {
        if let Io::Tcp(stream) = self {
            // A socket that cannot be told closes all the same, only less clearly.
            let _ = socket2::SockRef::from(stream).set_linger(Some(std::time::Duration::ZERO));
        }
    }
}

fn read_buf<S: AsyncRead + Unpin>(
    stream: &mut S,
    cx: &mut Context<'_>,
    buffer: &mut Vec<u8>,
) -> Poll<io::Result<usize>> {
    // The future holds only the two borrows, so dropping it between polls loses nothing.
    use std::future::Future;
    pin!(stream.read_buf(buffer)).poll(cx)
}
