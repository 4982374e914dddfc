//! HTTP/2 frame by frame: for what no well-behaved client would send, and what a dyno might.
//!
//! Invariants: the frames of this side are the test's, to the bit; what comes is parted into frames
//! and its payloads left as they are, but for the status of an answer.

use std::net::{SocketAddr, TcpStream};

use super::Conn;

/// What a client sends first.
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The kinds of frames.
pub mod kind {
    pub const DATA: u8 = 0;
    pub const HEADERS: u8 = 1;
    pub const PRIORITY: u8 = 2;
    pub const RST_STREAM: u8 = 3;
    pub const SETTINGS: u8 = 4;
    pub const PING: u8 = 6;
    pub const GOAWAY: u8 = 7;
    pub const WINDOW_UPDATE: u8 = 8;
    pub const CONTINUATION: u8 = 9;
}

/// The flags that the tests set.
pub const ACK: u8 = 1;
pub const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;

/// A frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// What it is.
    pub kind: u8,
    /// Its flags.
    pub flags: u8,
    /// Its stream.
    pub stream: u32,
    /// What it holds.
    pub payload: Vec<u8>,
}

impl Frame {
    /// The next of a connection; none at its end.
    pub fn take(conn: &mut Conn) -> Option<Frame> {
        let head = conn.take_or_end(9)?;
        let len = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let stream = u32::from_be_bytes(head[5..9].try_into().unwrap());
        let payload = conn.take_or_end(len)?;
        Some(Frame { kind: head[3], flags: head[4], stream, payload })
    }

    /// The code of RST_STREAM or GOAWAY.
    pub fn code(&self) -> u32 {
        let at = if self.kind == kind::GOAWAY { 4 } else { 0 };
        u32::from_be_bytes(self.payload[at..at + 4].try_into().unwrap())
    }
}

/// A frame's bytes.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let len = (payload.len() as u32).to_be_bytes();
    [&len[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// What SETTINGS hold.
pub fn settings_of(settings: &[(u16, u32)]) -> Vec<u8> {
    let one = |(id, value): &(u16, u32)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat();
    settings.iter().flat_map(one).collect()
}

/// A block of fields, each a literal that nobody remembers, in plain letters.
pub fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            assert!(text.len() < 127 + 128);
            match text.len() {
                len @ ..127 => block.push(len as u8),
                len => block.extend([127, (len - 127) as u8]),
            }
            block.extend_from_slice(text.as_bytes());
        }
    }
    block
}

/// A GET of that host.
pub fn get(host: &str) -> [(&str, &str); 4] {
    [(":method", "GET"), (":scheme", "http"), (":authority", host), (":path", "/")]
}

/// A connection whose frames are the test's.
pub struct Frames {
    conn: Conn,
}

impl Frames {
    /// Connects and exchanges the prefaces.
    pub fn connect(addr: SocketAddr) -> Frames {
        Frames::with(TcpStream::connect(addr).unwrap().into(), &[])
    }

    /// The same with settings, on a connection.
    pub fn with(conn: Conn, settings: &[(u16, u32)]) -> Frames {
        let mut frames = Frames { conn };
        // The router may not number its fields, so that each answer can be read by itself.
        let payload = settings_of(&[&[(1, 0)], settings].concat());
        frames.conn.send([PREFACE, &frame(kind::SETTINGS, 0, 0, &payload)].concat());
        assert_eq!(frames.next().unwrap().kind, kind::SETTINGS);
        frames.send(kind::SETTINGS, ACK, 0, b"");
        frames
    }

    /// Sends a frame.
    pub fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        self.conn.send(frame(kind, flags, stream, payload));
    }

    /// Sends bytes for as long as they are taken.
    pub fn try_send(&mut self, bytes: &[u8]) -> bool {
        self.conn.try_send(bytes).is_ok()
    }

    /// Sends a request's head.
    pub fn ask(&mut self, stream: u32, ended: bool, fields: &[(&str, &str)]) {
        let flags = END_HEADERS | if ended { END_STREAM } else { 0 };
        self.send(kind::HEADERS, flags, stream, &block(fields));
    }

    /// The next frame; none at the end of the connection.
    pub fn next(&mut self) -> Option<Frame> {
        Frame::take(&mut self.conn)
    }

    /// The next frame of a kind; what comes before it goes by.
    pub fn wait_for(&mut self, kind: u8) -> Frame {
        let found = std::iter::from_fn(|| self.next()).find(|frame| frame.kind == kind);
        found.expect("the frame comes before the end")
    }

    /// The status of the next answer, which the router writes as a number of the static table or in
    /// the code of Huffman's.
    pub fn status(&mut self) -> u16 {
        let block = self.wait_for(kind::HEADERS).payload;
        // A change of the table's size may come first.
        let block = if block[0] & 0xe0 == 0x20 { &block[1..] } else { &block[..] };
        match block[0] {
            index @ 0x88..=0x8e => [200, 204, 206, 304, 400, 404, 500][usize::from(index - 0x88)],
            _ => digits(&block[2..2 + usize::from(block[1] & 0x7f)]),
        }
    }

    /// Reads nothing until the router ends the connection; the frames before that.
    pub fn rest(&mut self) -> Vec<Frame> {
        std::iter::from_fn(|| self.next()).collect()
    }
}

/// Three digits in Huffman's code (RFC 7541, appendix B): 0 to 2 have five bits, 3 to 9 six.
fn digits(code: &[u8]) -> u16 {
    let mut bits = code.iter().flat_map(|byte| (0..8).rev().map(move |at| byte >> at & 1));
    let mut status = 0;
    for _ in 0..3 {
        let mut take =
            |count| (0..count).fold(0, |sum, _| sum * 2 + u16::from(bits.next().unwrap()));
        let five = take(5);
        status = status * 10 + if five < 3 { five } else { five * 2 + take(1) - 0x19 + 3 };
    }
    status
}
