//! Bodies moved inside the kernel: from one socket through a pipe to the other (splice(2)).
//!
//! A body that comes faster than its buffers empty is passed by reference to its pages, not copied
//! through the worker. Measured by `benches/versus` on 10 MB answers; the figures are in the
//! README. Invariants: only bytes that framing already calls data go this way; what is in a pipe
//! leaves it before anything else is sent; a pipe goes back to its worker empty, or is closed; a
//! worker has no more pipes than its part of the open files, and copies what finds none.

use std::{
    cell::{Cell, RefCell},
    io,
    os::fd::OwnedFd,
    rc::Rc,
    task::{Context, Poll, ready},
};

use super::{io::Io, socket::Socket, stream::Stream};
use crate::wire::framing::Body;
use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};

/// The fewest bytes of certain data for which the way through a pipe is taken.
const WORTHWHILE: u64 = 64 << 10;
/// How many bytes a pipe is asked to hold. An unprivileged process gets less once its pipes hold
/// more than `fs.pipe-user-pages-soft` pages together (pipe(7)), which costs speed alone.
const PIPE_SIZE: usize = 512 << 10;
/// How many empty pipes a worker keeps.
const KEPT: usize = 16;

#[derive(Debug)]
struct Pipe {
    read: OwnedFd,
    write: OwnedFd,
    _counted: Counted,
}

/// One of a worker's pipes, for as long as this lasts.
#[derive(Debug)]
struct Counted(Rc<Cell<usize>>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

/// The pipes of one worker.
#[derive(Debug)]
pub struct Pipes {
    free: RefCell<Vec<Pipe>>,
    /// How many there may be, and how many there are, in use or not.
    most: usize,
    made: Rc<Cell<usize>>,
    short: Cell<u64>,
}

/// One direction's way through the kernel.
#[derive(Debug, Default)]
pub struct Conduit {
    pipe: Option<Pipe>,
    held: usize,
}

/// What filling a conduit found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filled {
    /// So many bytes are in the pipe now.
    Bytes(usize),
    /// The orderly end.
    End,
    /// The kernel cannot splice here: read instead.
    Unable,
    /// The connection broke.
    Broken,
}

impl Conduit {
    /// Is nothing in the pipe?
    pub fn is_empty(&self) -> bool {
        self.held == 0
    }

    /// Moves bytes of `body`, which counts them, from `from` into the pipe, which must be empty.
    pub fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        pipes: &Pipes,
        from: &Io,
        body: &mut Body,
    ) -> Poll<Filled> {
        debug_assert!(self.is_empty());
        let Some(from) = from.plain() else { return Poll::Ready(Filled::Unable) };
        if ready!(from.poll_readable(cx)).is_err() {
            return Poll::Ready(Filled::Broken);
        }
        let Some(pipe) = self.pipe.take().or_else(|| pipes.take()) else {
            return Poll::Ready(Filled::Unable);
        };
        let limit = usize::try_from(body.opaque()).unwrap_or(usize::MAX).min(PIPE_SIZE);
        // The pipe is empty, so that "would block" can only mean the socket.
        let filled = from.poll_read_with(cx, |from| step(from, &pipe.write, limit));
        let filled = match filled {
            Poll::Ready(Ok(count)) if count > 0 => {
                self.pipe = Some(pipe);
                self.held = count;
                body.pass(count as u64);
                return Poll::Ready(Filled::Bytes(count));
            }
            Poll::Ready(Ok(_)) => Poll::Ready(Filled::End),
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::InvalidInput => {
                Poll::Ready(Filled::Unable)
            }
            Poll::Ready(Err(_)) => Poll::Ready(Filled::Broken),
            Poll::Pending => Poll::Pending,
        };
        // Nothing went in, whatever the reason.
        pipes.give(pipe);
        filled
    }

    /// Moves what is in the pipe to `to`, all of it; adds to `moved` what went.
    pub fn poll_drain(
        &mut self,
        cx: &mut Context<'_>,
        pipes: &Pipes,
        to: &Io,
        moved: &mut u64,
    ) -> Poll<io::Result<()>> {
        let (Some(pipe), Some(to)) = (&self.pipe, to.plain()) else { return Poll::Ready(Ok(())) };
        while self.held > 0 {
            let count = ready!(to.poll_write_with(cx, |to| step(&pipe.read, to, self.held)))?;
            self.held -= count;
            *moved += count as u64;
        }
        if let Some(pipe) = self.pipe.take() {
            pipes.give(pipe);
        }
        Poll::Ready(Ok(()))
    }

    /// How many bytes are in the pipe.
    pub fn held(&self) -> usize {
        self.held
    }
}

fn step(from: impl std::os::fd::AsFd, to: impl std::os::fd::AsFd, len: usize) -> io::Result<usize> {
    Ok(splice(from, None, to, None, len, SpliceFlags::MOVE | SpliceFlags::NONBLOCK)?)
}

impl Pipes {
    /// None yet, and at most so many.
    pub fn new(most: usize) -> Pipes {
        Pipes { free: RefCell::default(), most, made: Rc::default(), short: Cell::new(0) }
    }

    /// How often there was none since this was asked last.
    pub fn take_short(&self) -> u64 {
        self.short.take()
    }

    fn take(&self) -> Option<Pipe> {
        let pipe = self.free.borrow_mut().pop().or_else(|| self.make());
        if pipe.is_none() {
            self.short.set(self.short.get() + 1);
        }
        pipe
    }

    fn make(&self) -> Option<Pipe> {
        if self.made.get() >= self.most {
            return None;
        }
        let (read, write) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).ok()?;
        // A pipe that stays small is slower, nothing else.
        let _ = fcntl_setpipe_size(&write, PIPE_SIZE);
        self.made.set(self.made.get() + 1);
        Some(Pipe { read, write, _counted: Counted(self.made.clone()) })
    }

    fn give(&self, pipe: Pipe) {
        let mut free = self.free.borrow_mut();
        if free.len() < KEPT {
            free.push(pipe);
        }
    }
}

/// Is the way from `from` to `to` open for `body`, and worth it?
pub fn is_worthwhile(from: &Stream, to: &Io, body: &Body) -> bool {
    from.is_bulk()
        && body.opaque() >= WORTHWHILE
        && from.pending().is_empty()
        && from.io.plain().is_some_and(Socket::is_tcp)
        && to.plain().is_some_and(Socket::is_tcp)
}

#[cfg(test)]
mod tests {
    use std::{future::poll_fn, io::Write};

    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::{TcpListener, TcpStream},
    };

    use super::*;

    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let one = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (one, listener.accept().await.unwrap().0)
    }

    #[tokio::test]
    async fn what_goes_in_comes_out_whole_and_the_pipe_goes_home() {
        let pipes = Pipes::new(2);
        let ((mut dyno, from), (to, mut client)) = (pair().await, pair().await);
        dyno.write_all(b"hello, world").await.unwrap();
        let (from, to) = (Io::from(from), Io::from(to));
        let (mut conduit, mut body) = (Conduit::default(), Body::length(5));
        let filled = poll_fn(|cx| conduit.poll_fill(cx, &pipes, &from, &mut body)).await;
        assert_eq!((filled, conduit.is_empty()), (Filled::Bytes(5), false));
        assert!(body.is_done());
        let mut moved = 0;
        poll_fn(|cx| conduit.poll_drain(cx, &pipes, &to, &mut moved)).await.unwrap();
        let mut got = [0; 5];
        client.read_exact(&mut got).await.unwrap();
        assert_eq!((&got, moved, conduit.is_empty()), (b"hello", 5, true));
        assert_eq!(pipes.free.borrow().len(), 1);
    }

    /// The deadline of a client that reads slowly once moved only when all of a pipe had gone.
    #[tokio::test]
    async fn a_part_that_went_is_progress_and_a_full_pipe_never_goes_home() {
        let pipes = Pipes::new(2);
        let (to, client) = pair().await;
        socket2::SockRef::from(&to).set_send_buffer_size(4096).unwrap();
        socket2::SockRef::from(&client).set_recv_buffer_size(4096).unwrap();
        let pipe = pipes.take().unwrap();
        let held =
            std::fs::File::from(pipe.write.try_clone().unwrap()).write(&[b'x'; PIPE_SIZE]).unwrap();
        let mut conduit = Conduit { pipe: Some(pipe), held };
        let to = Io::from(to);
        let mut moved = 0;
        poll_fn(|cx| {
            assert!(conduit.poll_drain(cx, &pipes, &to, &mut moved).is_pending());
            Poll::Ready(())
        })
        .await;
        assert!(moved > 0 && !conduit.is_empty());
        drop(conduit);
        assert!(pipes.free.borrow().is_empty());
        drop(client);
    }

    #[test]
    fn there_are_no_more_than_there_may_be_and_one_that_is_closed_makes_room() {
        let pipes = Pipes::new(2);
        let (one, two) = (pipes.take().unwrap(), pipes.take().unwrap());
        assert!(pipes.take().is_none() && pipes.take().is_none());
        assert_eq!((pipes.take_short(), pipes.take_short()), (2, 0));
        drop(one);
        let three = pipes.take().unwrap();
        pipes.give(two);
        let again = pipes.take().unwrap();
        assert!(pipes.take().is_none());
        drop((three, again));
        assert_eq!(pipes.made.get(), 0);
    }
}
