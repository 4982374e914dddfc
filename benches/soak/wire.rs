//! One end of a connection, a client's or a dyno's: heads, bodies in every framing, checksums.
//!
//! Invariants: both sides read strictly: what they take for a whole message is one; a body is never
//! held whole, only its length and checksum; what was read too much is kept for the next read.

use std::{
    io::{Error, ErrorKind, Result},
    sync::LazyLock,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, Interest},
    net::TcpStream,
};

/// Read and written at once.
pub const BLOCK: usize = 64 << 10;
/// The longest head that is read, in bytes.
const MAX_HEAD: usize = 64 << 10;

/// What bodies are made of.
pub static PATTERN: LazyLock<Vec<u8>> =
    LazyLock::new(|| (0..BLOCK).map(|at| (at % 251) as u8).collect());

/// One end of a connection.
pub struct Conn {
    /// The socket.
    pub stream: TcpStream,
    buffer: Vec<u8>,
}

/// The head of a message.
#[derive(Debug)]
pub struct Head {
    /// Request line or status line.
    pub line: String,
    fields: Vec<(String, String)>,
}

impl Head {
    /// The value of a header, by its lower-case name.
    pub fn get(&self, name: &str) -> Option<&str> {
        let named = self.fields.iter().find(|(field, _)| field == name);
        named.map(|(_, value)| value.as_str())
    }

    /// The word of the first line at that place.
    pub fn word(&self, at: usize) -> &str {
        self.line.split(' ').nth(at).unwrap_or_default()
    }

    /// The status of an answer.
    pub fn status(&self) -> Result<u16> {
        self.word(1).parse().map_err(|_| wrong(format!("status line {:?}", self.line)))
    }

    /// How the body behind this head ends.
    pub fn framing(&self, otherwise: Framing) -> Result<Framing> {
        if self.get("transfer-encoding").is_some_and(|value| value == "chunked") {
            return Ok(Framing::Chunked);
        }
        match self.get("content-length") {
            Some(value) => {
                let length = value.parse().map_err(|_| wrong(format!("length {value:?}")))?;
                Ok(Framing::Length(length))
            }
            None => Ok(otherwise),
        }
    }
}

/// How a body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// After that many bytes.
    Length(u64),
    /// With the last chunk.
    Chunked,
    /// With the connection.
    Close,
}

/// What is kept of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sum {
    /// Its length.
    pub length: u64,
    /// Its checksum.
    pub crc: u32,
}

/// Length and checksum in the making.
#[derive(Default)]
pub struct Summing {
    length: u64,
    crc: crc32fast::Hasher,
}

/// Where a body goes.
pub trait Take {
    /// Adds what came.
    fn add(&mut self, bytes: &[u8]);
}

impl Take for Summing {
    fn add(&mut self, bytes: &[u8]) {
        self.length += bytes.len() as u64;
        self.crc.update(bytes);
    }
}

/// A body that is held whole.
pub type Text = Vec<u8>;

impl Take for Text {
    fn add(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

impl Summing {
    /// What came so far.
    pub fn sum(&self) -> Sum {
        Sum { length: self.length, crc: self.crc.clone().finalize() }
    }
}

/// Something that no well-behaved other side sends.
pub fn wrong(what: String) -> Error {
    Error::new(ErrorKind::InvalidData, what)
}

/// The other side ended the connection too early.
fn early(what: &str) -> Error {
    Error::new(ErrorKind::UnexpectedEof, format!("the end came and not {what}"))
}

impl Conn {
    /// Over a connected socket.
    pub fn new(stream: TcpStream) -> Result<Conn> {
        stream.set_nodelay(true)?;
        Ok(Conn { stream, buffer: Vec::new() })
    }

    /// Sends all of it.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) -> Result<()> {
        self.stream.write_all(bytes.as_ref()).await
    }

    /// Reads more; false at the end.
    pub async fn fill(&mut self) -> Result<bool> {
        self.buffer.reserve(BLOCK);
        Ok(self.stream.read_buf(&mut self.buffer).await? > 0)
    }

    /// The next line, its end included; a lone LF is no line end.
    async fn line(&mut self) -> Result<Vec<u8>> {
        let mut from = 0;
        loop {
            let found = self.buffer[from..].windows(2).position(|pair| pair == b"\r\n");
            if let Some(at) = found {
                return Ok(self.buffer.drain(..from + at + 2).collect());
            }
            if self.buffer.len() > MAX_HEAD {
                return Err(wrong("a line without an end".into()));
            }
            from = self.buffer.len().saturating_sub(1);
            if !self.fill().await? {
                return Err(early("the end of a line"));
            }
        }
    }

    /// The next head; none if the connection ended before one began.
    pub async fn head(&mut self) -> Result<Option<Head>> {
        if self.buffer.is_empty() && !self.fill().await? {
            return Ok(None);
        }
        let mut head = Head { line: String::new(), fields: Vec::new() };
        loop {
            let line = self.line().await?;
            let text = String::from_utf8_lossy(&line[..line.len() - 2]).into_owned();
            match text.split_once(": ") {
                _ if head.line.is_empty() => head.line = text,
                _ if text.is_empty() => return Ok(Some(head)),
                Some((name, value)) => {
                    head.fields.push((name.to_ascii_lowercase(), value.into()));
                }
                None => return Err(wrong(format!("header {text:?}"))),
            }
        }
    }

    /// Reads a body to its end; what came of it stays in `taken` also where it breaks off.
    pub async fn body(&mut self, framing: Framing, taken: &mut impl Take) -> Result<()> {
        match framing {
            Framing::Length(length) => self.exactly(length, taken).await,
            Framing::Close => loop {
                taken.add(&self.take_buffered());
                if !self.fill().await? {
                    return Ok(());
                }
            },
            Framing::Chunked => loop {
                let line = self.line().await?;
                let digits = String::from_utf8_lossy(&line[..line.len() - 2]).into_owned();
                let size = u64::from_str_radix(&digits, 16)
                    .map_err(|_| wrong(format!("chunk size {digits:?}")))?;
                if size == 0 {
                    while self.line().await? != b"\r\n" {}
                    return Ok(());
                }
                self.exactly(size, taken).await?;
                if self.line().await? != b"\r\n" {
                    return Err(wrong("a chunk longer than it says".into()));
                }
            },
        }
    }

    async fn exactly(&mut self, mut left: u64, taken: &mut impl Take) -> Result<()> {
        while left > 0 {
            if self.buffer.is_empty() && !self.fill().await? {
                return Err(early("the rest of a body"));
            }
            let count = usize::try_from(left).unwrap_or(usize::MAX).min(self.buffer.len());
            taken.add(&self.buffer[..count]);
            self.buffer.drain(..count);
            left -= count as u64;
        }
        Ok(())
    }

    /// Sends `length` bytes of the pattern in that framing, `between` each block and the next.
    pub async fn send_pattern(
        &mut self,
        length: u64,
        framing: Framing,
        between: std::time::Duration,
    ) -> Result<Sum> {
        let mut summing = Summing::default();
        while summing.length < length {
            let left = usize::try_from(length - summing.length).unwrap_or(usize::MAX);
            let block = &PATTERN[..left.min(BLOCK)];
            if framing == Framing::Chunked {
                let chunk = [format!("{:x}\r\n", block.len()).as_bytes(), block, b"\r\n"].concat();
                self.send(chunk).await?;
            } else {
                self.send(block).await?;
            }
            summing.add(block);
            if !between.is_zero() {
                tokio::time::sleep(between).await;
            }
        }
        Ok(summing.sum())
    }

    /// Sends up to `length` bytes of the pattern, until something comes back; answers how many.
    pub async fn send_until_answered(&mut self, length: u64) -> Result<u64> {
        let mut sent = 0;
        while sent < length {
            self.stream.ready(Interest::READABLE | Interest::WRITABLE).await?;
            let left = usize::try_from(length - sent).unwrap_or(usize::MAX);
            match self.stream.try_read_buf(&mut self.buffer) {
                Ok(_) => break,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
            match self.stream.try_write(&PATTERN[..left.min(BLOCK)]) {
                Ok(count) => sent += count as u64,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                // Whoever closed may have answered before.
                Err(_) => break,
            }
        }
        Ok(sent)
    }

    /// Ends the connection by a reset.
    pub fn reset(self) -> Result<()> {
        socket2::SockRef::from(&self.stream).set_linger(Some(std::time::Duration::ZERO))
    }

    /// Waits until the other side ends the connection, one way or the other.
    pub async fn until_gone(&mut self) {
        while matches!(self.fill().await, Ok(true)) {
            self.buffer.clear();
        }
    }

    /// Takes what was read already.
    pub fn take_buffered(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.buffer)
    }
}
