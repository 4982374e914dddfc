//! The dyno that every proxy is measured against: an HTTP/1.1 server that does next to nothing, so
//! that it is not what is measured. One thread, one epoll, two listeners that count as two dynos.
//!
//! `/` answers a few bytes, `/10mb` ten million, `/echo` the head of the request as it came. A
//! request's body is thrown away inside the kernel, and answered once it is whole.
//!
//! Invariants: bodies have a Content-Length; it closes a connection only when asked to with
//! `Connection: close`, or when the head is malformed or longer than [`MAX_HEAD`].

use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, EventFlags};
use rustix::net::RecvFlags;

use crate::answer::{MAX_HEADERS, header};

/// How many listeners, each a dyno for the proxies.
pub const LISTENERS: usize = 2;

/// Length of the answer to `/10mb`, in bytes.
const BIG: u64 = 10_000_000;

/// A request head may be this long, in bytes.
pub const MAX_HEAD: usize = 16 * 1024;

/// Bytes of a request's body thrown away at once; the memory is never touched.
const SINK: usize = 1 << 20;

/// Connections taken from a listener per wake-up, so that one storm cannot starve the others.
const ACCEPTS: usize = 64;

/// The small answer.
pub const SMALL: &[u8] =
    b"HTTP/1.1 200 OK\r\nServer: dyno\r\nDate: Tue, 01 Jul 2025 00:00:00 GMT\r\n\
    Content-Type: text/plain\r\nContent-Length: 15\r\n\r\nHello, world.\r\n";

/// What big answers are written from; it is the most that one system call takes.
static ZEROES: [u8; 256 * 1024] = [0; 256 * 1024];

struct Conn {
    socket: TcpStream,
    /// What came of a head so far, when it did not come in one read.
    head: Vec<u8>,
    /// Bytes of a big answer still to be written; nothing is read meanwhile.
    left: u64,
    /// Bytes of a request's body still to come; nothing is answered meanwhile.
    due: u64,
    close: bool,
}

/// Serves until it is killed. Prints the ports, on one line, once it listens.
pub fn run() -> io::Result<()> {
    let listeners = listen(LISTENERS)?;
    let port = |listener: &TcpListener| Ok(listener.local_addr()?.port().to_string());
    println!("{}", listeners.iter().map(port).collect::<io::Result<Vec<_>>>()?.join(" "));
    serve(listeners)
}

/// So many listeners, on ports of the system's choice.
pub fn listen(count: usize) -> io::Result<Vec<TcpListener>> {
    let listen = |_| {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        // More than the 128 that the standard library asks for: a flood of connects must not wait.
        rustix::net::listen(&listener, 4096)?;
        Ok(listener)
    };
    (0..count).map(listen).collect()
}

/// Serves on them until the process ends.
pub fn serve(listeners: Vec<TcpListener>) -> io::Result<()> {
    let poll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    for (index, listener) in listeners.iter().enumerate() {
        epoll::add(&poll, listener, epoll::EventData::new_u64(index as u64), EventFlags::IN)?;
    }
    let mut conns: Vec<Option<Conn>> = Vec::new();
    let mut free: Vec<usize> = Vec::new();
    let mut buffer = vec![0; SINK];
    let mut events: Vec<epoll::Event> = Vec::with_capacity(256);
    loop {
        match epoll::wait(&poll, spare_capacity(&mut events), None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        for event in events.drain(..) {
            let index = event.data.u64() as usize;
            if let Some(listener) = listeners.get(index) {
                accept(&poll, listener, &mut conns, &mut free)?;
                continue;
            }
            let index = index - LISTENERS;
            let Some(conn) = conns[index].as_mut() else { continue };
            // A broken connection is the proxy's affair: it is dropped, as any server would.
            if conn.advance(&poll, index, &mut buffer).unwrap_or(false) {
                continue;
            }
            conns[index] = None;
            free.push(index);
        }
    }
}

fn accept(
    poll: &OwnedFd,
    listener: &TcpListener,
    conns: &mut Vec<Option<Conn>>,
    free: &mut Vec<usize>,
) -> io::Result<()> {
    accept_all(listener, |socket| {
        let index = free.pop().unwrap_or_else(|| {
            conns.push(None);
            conns.len() - 1
        });
        let data = epoll::EventData::new_u64((index + LISTENERS) as u64);
        epoll::add(poll, &socket, data, EventFlags::IN)?;
        conns[index] = Some(Conn { socket, head: Vec::new(), left: 0, due: 0, close: false });
        Ok(())
    })
}

/// Takes the connections that wait, no more than [`ACCEPTS`].
pub fn accept_all(
    listener: &TcpListener,
    mut take: impl FnMut(TcpStream) -> io::Result<()>,
) -> io::Result<()> {
    let flags = rustix::net::SocketFlags::NONBLOCK | rustix::net::SocketFlags::CLOEXEC;
    for _ in 0..ACCEPTS {
        let socket = match rustix::net::accept_with(listener, flags) {
            Ok(socket) => TcpStream::from(socket),
            Err(rustix::io::Errno::AGAIN) => return Ok(()),
            Err(rustix::io::Errno::CONNABORTED | rustix::io::Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        };
        socket.set_nodelay(true)?;
        take(socket)?;
    }
    Ok(())
}

impl Conn {
    /// Writes or reads what it can; false when the connection is over.
    fn advance(&mut self, poll: &OwnedFd, index: usize, buffer: &mut [u8]) -> io::Result<bool> {
        if self.left > 0 {
            let done = self.write_big(0)?;
            if done {
                self.wait_for(poll, index, EventFlags::IN)?;
            }
            return Ok(!(done && self.close));
        }
        if self.due > 0 {
            return self.discard(buffer);
        }
        let count = match self.socket.read(&mut buffer[..MAX_HEAD]) {
            Ok(0) => return Ok(false),
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
            Err(error) => return Err(error),
        };
        if self.head.is_empty() {
            if self.answer(&buffer[..count])? {
                return self.after_answer(poll, index);
            }
            self.head.extend_from_slice(&buffer[..count]);
            return Ok(true);
        }
        self.head.extend_from_slice(&buffer[..count]);
        let head = std::mem::take(&mut self.head);
        if self.answer(&head)? {
            return self.after_answer(poll, index);
        }
        self.head = head;
        Ok(self.head.len() <= MAX_HEAD)
    }

    /// Throws away what came of a body; answers once it is whole.
    fn discard(&mut self, sink: &mut [u8]) -> io::Result<bool> {
        let most = self.due.min(sink.len() as u64) as usize;
        // TRUNC on a TCP socket: the bytes are counted and not copied.
        let count = match rustix::net::recv(&self.socket, &mut sink[..most], RecvFlags::TRUNC) {
            Ok((_, 0)) => return Ok(false),
            Ok((_, count)) => count,
            Err(rustix::io::Errno::AGAIN) => return Ok(true),
            Err(error) => return Err(error.into()),
        };
        self.due -= (count as u64).min(self.due);
        if self.due > 0 {
            return Ok(true);
        }
        self.socket.write_all(SMALL)?;
        Ok(!self.close)
    }

    fn after_answer(&mut self, poll: &OwnedFd, index: usize) -> io::Result<bool> {
        if self.left > 0 {
            self.wait_for(poll, index, EventFlags::OUT)?;
            return Ok(true);
        }
        Ok(!self.close || self.due > 0)
    }

    fn wait_for(&self, poll: &OwnedFd, index: usize, interest: EventFlags) -> io::Result<()> {
        let data = epoll::EventData::new_u64((index + LISTENERS) as u64);
        Ok(epoll::modify(poll, &self.socket, data, interest)?)
    }

    /// Answers a request if its head is whole; false if more must come.
    fn answer(&mut self, bytes: &[u8]) -> io::Result<bool> {
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut request = httparse::Request::new(&mut headers);
        let end = match request.parse(bytes) {
            Ok(httparse::Status::Complete(end)) => end,
            Ok(httparse::Status::Partial) => return Ok(false),
            Err(error) => return Err(io::Error::new(ErrorKind::InvalidData, error)),
        };
        let length = header(request.headers, "content-length").and_then(|text| text.parse().ok());
        self.due = length.unwrap_or(0u64).saturating_sub((bytes.len() - end) as u64);
        let connection = header(request.headers, "connection").unwrap_or("");
        self.close = connection.eq_ignore_ascii_case("close");
        match request.path {
            Some("/10mb") => {
                self.left = BIG;
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {BIG}\r\n\r\n");
                let slices = [IoSlice::new(head.as_bytes()), IoSlice::new(&ZEROES)];
                let count = self.socket.write_vectored(&slices)?;
                let body = count.checked_sub(head.len()).ok_or(ErrorKind::WriteZero)?;
                self.write_big(body as u64)?;
            }
            Some("/echo") => {
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", bytes.len());
                self.socket.write_all(&[head.as_bytes(), bytes].concat())?;
            }
            _ if self.due > 0 => {}
            // One answer is out at a time, so it always fits into the socket's empty buffer.
            _ => self.socket.write_all(SMALL)?,
        }
        Ok(true)
    }

    /// Counts `written` body bytes, then writes until all is out (true) or the socket is full.
    fn write_big(&mut self, written: u64) -> io::Result<bool> {
        self.left -= written;
        while self.left > 0 {
            let chunk = self.left.min(ZEROES.len() as u64) as usize;
            match self.socket.write(&ZEROES[..chunk]) {
                Ok(count) => self.left -= count as u64,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }
}
