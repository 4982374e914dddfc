//! One end of a connection, a client's or a dyno's, or what is inside TLS, driven byte by byte.
//!
//! Invariants: every read has a deadline; what was read too much is kept for the next read; a
//! method that cannot do its work fails the test and shows what there was instead.

use std::{
    io::{self, Read, Write},
    net::TcpStream,
    os::unix::net::UnixStream,
    time::Duration,
};

use socket2::{SockRef, Socket};

use super::{Answer, DEADLINE, Head, tls::Inside};

/// The stream below.
enum Io {
    Tcp(TcpStream),
    Unix(UnixStream),
    Inside(Box<Inside>),
}

/// One end of a connection.
pub struct Conn {
    io: Io,
    buffer: Vec<u8>,
}

/// How the other side ended the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// In order.
    Closed,
    /// By a reset.
    Reset,
}

impl From<TcpStream> for Conn {
    fn from(stream: TcpStream) -> Conn {
        stream.set_nodelay(true).unwrap();
        Conn::new(Io::Tcp(stream))
    }
}

impl From<UnixStream> for Conn {
    fn from(stream: UnixStream) -> Conn {
        Conn::new(Io::Unix(stream))
    }
}

impl From<Inside> for Conn {
    fn from(stream: Inside) -> Conn {
        stream.sock.set_nodelay(true).unwrap();
        Conn::new(Io::Inside(stream.into()))
    }
}

impl Conn {
    fn new(io: Io) -> Conn {
        let conn = Conn { io, buffer: Vec::new() };
        conn.socket().set_read_timeout(Some(DEADLINE)).unwrap();
        conn.socket().set_write_timeout(Some(DEADLINE)).unwrap();
        conn
    }

    /// Sees that a socket takes next to nothing that is not read, and that who sends to it holds
    /// little as well, since its segments are small.
    pub fn make_small(socket: &Socket) {
        socket.set_recv_buffer_size(4096).unwrap();
        socket.set_tcp_mss(536).unwrap();
    }

    /// Another handle of the same connection, to send while this one takes.
    pub fn another(&self) -> Conn {
        let io = match &self.io {
            Io::Tcp(stream) => Io::Tcp(stream.try_clone().unwrap()),
            Io::Unix(stream) => Io::Unix(stream.try_clone().unwrap()),
            Io::Inside(_) => panic!("TLS has one handle"),
        };
        Conn::new(io)
    }

    /// The socket, for its options.
    pub fn socket(&self) -> SockRef<'_> {
        match &self.io {
            Io::Tcp(stream) => SockRef::from(stream),
            Io::Unix(stream) => SockRef::from(stream),
            Io::Inside(stream) => SockRef::from(&stream.sock),
        }
    }

    /// The stream below, for a test that drives many at once; nothing may have been read.
    pub fn into_tcp(self) -> TcpStream {
        assert!(self.buffer.is_empty());
        match self.io {
            Io::Tcp(stream) => stream,
            _ => panic!("not a TCP connection"),
        }
    }

    /// Sends all of it.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes.as_ref()).unwrap();
    }

    /// Sends all of it, if the other side still takes it.
    pub fn try_send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.io {
            Io::Tcp(stream) => stream.write_all(bytes),
            Io::Unix(stream) => stream.write_all(bytes),
            Io::Inside(stream) => stream.write_all(bytes),
        }
    }

    /// Sends as much as goes while the other side makes progress: ends once nothing was taken for
    /// `silence`. Answers how much went.
    pub fn send_until_blocked(&mut self, block: &[u8], most: usize, silence: Duration) -> usize {
        self.socket().set_write_timeout(Some(silence)).unwrap();
        let mut sent = 0;
        while sent < most {
            let written = match &mut self.io {
                Io::Tcp(stream) => stream.write(block),
                Io::Unix(stream) => stream.write(block),
                Io::Inside(stream) => stream.write(block),
            };
            match written {
                Ok(count) => sent += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => panic!("{error}"),
            }
        }
        self.socket().set_write_timeout(Some(DEADLINE)).unwrap();
        sent
    }

    /// Is there something to read, an end included?
    pub fn has_input(&self) -> bool {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let socket = self.socket();
        let mut waiting = [PollFd::new(&*socket, PollFlags::IN)];
        poll(&mut waiting, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).unwrap() > 0
    }

    fn fill(&mut self) -> io::Result<usize> {
        let mut bytes = [0; 65536];
        let count = match &mut self.io {
            Io::Tcp(stream) => stream.read(&mut bytes)?,
            Io::Unix(stream) => stream.read(&mut bytes)?,
            Io::Inside(stream) => stream.read(&mut bytes)?,
        };
        self.buffer.extend_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn more(&mut self, what: &str) {
        let shown =
            |buffer: &[u8]| String::from_utf8_lossy(&buffer[..buffer.len().min(2000)]).into_owned();
        match self.fill() {
            Ok(0) => panic!("the end came and not {what}; there was {:?}", shown(&self.buffer)),
            Ok(_) => {}
            Err(error) => panic!("{error}, not {what}; there was {:?}", shown(&self.buffer)),
        }
    }

    /// The next `count` bytes.
    pub fn take(&mut self, count: usize) -> Vec<u8> {
        while self.buffer.len() < count {
            self.more("so many bytes");
        }
        self.buffer.drain(..count).collect()
    }

    /// The same; none, if the connection ends before them.
    pub fn take_or_end(&mut self, count: usize) -> Option<Vec<u8>> {
        while self.buffer.len() < count {
            match self.fill() {
                Ok(0) => return None,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("{error}, not {count} bytes"),
            }
        }
        Some(self.buffer.drain(..count).collect())
    }

    /// At least one of the next `most` bytes, no more; answers how many it were.
    pub fn take_some(&mut self, most: usize) -> usize {
        if self.buffer.is_empty() {
            let mut bytes = vec![0; most];
            let count = match &mut self.io {
                Io::Tcp(stream) => stream.read(&mut bytes),
                Io::Unix(stream) => stream.read(&mut bytes),
                Io::Inside(stream) => stream.read(&mut bytes),
            };
            let count = count.unwrap_or_else(|error| panic!("{error}, not a byte"));
            assert!(count > 0, "the end came and not a byte");
            return count;
        }
        let count = most.min(self.buffer.len());
        self.buffer.drain(..count);
        count
    }

    /// What comes up to `end`, that included.
    pub fn take_until(&mut self, end: &str) -> Vec<u8> {
        let mut from = 0;
        loop {
            let found = self.buffer[from..].windows(end.len()).position(|w| w == end.as_bytes());
            if let Some(at) = found {
                return self.buffer.drain(..from + at + end.len()).collect();
            }
            from = self.buffer.len().saturating_sub(end.len() - 1);
            self.more(&format!("{end:?}"));
        }
    }

    /// The next line, without its end.
    pub fn take_line(&mut self) -> String {
        let line = String::from_utf8(self.take_until("\r\n")).unwrap();
        line.trim_end_matches("\r\n").to_owned()
    }

    /// The next head.
    pub fn take_head(&mut self) -> Head {
        Head::parse(&self.take_until("\r\n\r\n"))
    }

    /// A request with its body, as a dyno takes it.
    pub fn take_request(&mut self) -> Answer {
        let head = self.take_head();
        if head.length().is_none() && !head.is_chunked() {
            return Answer { head, body: Vec::new(), trailers: Vec::new() };
        }
        self.take_rest(head)
    }

    /// A final answer with its body; interim ones before it fail the test.
    pub fn take_answer(&mut self) -> Answer {
        let head = self.take_head();
        assert!(head.status() >= 200, "{head:?}");
        if matches!(head.status(), 204 | 304) {
            return Answer { head, body: Vec::new(), trailers: Vec::new() };
        }
        self.take_rest(head)
    }

    /// What follows a head: by length, chunked, or until the connection closes.
    fn take_rest(&mut self, head: Head) -> Answer {
        let (body, trailers) = match head.length() {
            _ if head.is_chunked() => {
                assert_eq!(head.length(), None, "{head:?}");
                self.take_chunks()
            }
            Some(length) => (self.take(length), Vec::new()),
            None => {
                let (body, end) = self.take_all();
                assert_eq!(end, End::Closed, "{head:?}");
                (body, Vec::new())
            }
        };
        Answer { head, body, trailers }
    }

    fn take_chunks(&mut self) -> (Vec<u8>, Vec<String>) {
        let mut body = Vec::new();
        loop {
            let line = self.take_line();
            let digits = line.split(';').next().unwrap();
            let size = usize::from_str_radix(digits, 16).unwrap_or_else(|_| panic!("{line:?}"));
            if size == 0 {
                break;
            }
            body.extend(self.take(size));
            assert_eq!(self.take_line(), "");
        }
        let lines = std::iter::from_fn(|| Some(self.take_line()).filter(|line| !line.is_empty()));
        let trailers = lines.collect();
        (body, trailers)
    }

    /// Everything up to the end, and how that came.
    pub fn take_all(&mut self) -> (Vec<u8>, End) {
        let end = loop {
            match self.fill() {
                Ok(0) => break End::Closed,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => break End::Reset,
                Err(error) => panic!("{error}, not the end; {} bytes came", self.buffer.len()),
            }
        };
        (std::mem::take(&mut self.buffer), end)
    }

    /// What is there already, without waiting for more.
    pub fn take_ready(&mut self) -> Vec<u8> {
        while self.has_input() && self.fill().is_ok_and(|count| count > 0) {}
        std::mem::take(&mut self.buffer)
    }

    /// The end, with nothing before it.
    pub fn take_end(&mut self) -> End {
        let (rest, end) = self.take_all();
        assert!(rest.is_empty(), "before the end came {:?}", String::from_utf8_lossy(&rest));
        end
    }

    /// Sends no more, but reads on.
    pub fn shut_write(&self) {
        self.socket().shutdown(std::net::Shutdown::Write).unwrap();
    }

    /// Ends the connection by a reset.
    pub fn reset(self) {
        self.socket().set_linger(Some(Duration::ZERO)).unwrap();
    }

    /// Sends a request and takes its answer.
    pub fn ask(&mut self, request: impl AsRef<[u8]>) -> Answer {
        self.send(request);
        self.take_answer()
    }

    /// A GET of that host and path, and its answer.
    pub fn get(&mut self, host: &str, path: &str) -> Answer {
        self.ask(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n"))
    }
}
