//! A dyno's HTTP/2 connection, frame by frame.
//!
//! Invariants: it says its SETTINGS first and answers PINGs and SETTINGS by itself; nothing is
//! compressed; whatever else it sends is the test's.

use crate::harness::{Conn, Dyno};

/// Kinds of frames (RFC 9113, section 6).
pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;

/// Flags of frames.
pub const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;
const ACK: u8 = 1;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// One frame.
#[derive(Debug)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

/// The router's connection to a dyno.
pub struct Frames(Conn);

impl Frames {
    /// The next connection, and its beginning on both sides; `settings` are (kind, value).
    pub fn accept(dyno: &Dyno, settings: &[(u16, u32)]) -> Frames {
        Frames::begin(dyno.accept(), settings)
    }

    /// The beginning of a connection on both sides.
    pub fn begin(mut conn: Conn, settings: &[(u16, u32)]) -> Frames {
        assert_eq!(conn.take(PREFACE.len()), PREFACE);
        let mut frames = Frames(conn);
        let one =
            |(kind, value): &(u16, u32)| [&kind.to_be_bytes()[..], &value.to_be_bytes()].concat();
        frames.send(SETTINGS, 0, 0, &settings.iter().flat_map(one).collect::<Vec<u8>>());
        frames
    }

    /// Sends a frame.
    pub fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let len = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let mut frame = len[1..].to_vec();
        frame.extend([kind, flags]);
        frame.extend(stream.to_be_bytes());
        frame.extend(payload);
        self.0.send(frame);
    }

    /// Sends a head.
    pub fn answer(&mut self, stream: u32, flags: u8, fields: &[(&str, &str)]) {
        let mut block = Vec::new();
        for (name, value) in fields {
            block.push(0);
            for text in [name, value] {
                block.push(u8::try_from(text.len()).unwrap());
                block.extend(text.bytes());
            }
        }
        self.send(HEADERS, flags | END_HEADERS, stream, &block);
    }

    /// Breaks a stream off.
    pub fn break_off(&mut self, stream: u32, code: u32) {
        self.send(RST_STREAM, 0, stream, &code.to_be_bytes());
    }

    /// Sends a PING and waits for its answer: what was sent before it was read.
    pub fn ping(&mut self) {
        self.send(PING, 0, 0, b"together");
        while self.next().kind != PING {}
    }

    /// The next frame that is about a stream, or the end of the connection.
    pub fn take(&mut self) -> Frame {
        loop {
            let frame = self.next();
            if matches!(frame.kind, HEADERS | DATA | RST_STREAM | GOAWAY) {
                return frame;
            }
        }
    }

    /// The next frame that needs no answer of this kind.
    fn next(&mut self) -> Frame {
        loop {
            let head = self.0.take(9);
            let number = |bytes: &[u8]| bytes.iter().fold(0, |sum, b| sum << 8 | u32::from(*b));
            let payload = self.0.take(number(&head[..3]) as usize);
            let frame =
                Frame { kind: head[3], flags: head[4], stream: number(&head[5..]), payload };
            match frame.kind {
                SETTINGS if frame.flags & ACK == 0 => self.send(SETTINGS, ACK, 0, &[]),
                PING if frame.flags & ACK == 0 => {
                    let payload = frame.payload.clone();
                    self.send(PING, ACK, 0, &payload);
                }
                _ => return frame,
            }
        }
    }

    /// The stream of the next request, which has no body.
    pub fn take_request(&mut self) -> u32 {
        let frame = self.take();
        assert_eq!((frame.kind, frame.flags), (HEADERS, END_STREAM | END_HEADERS), "{frame:?}");
        frame.stream
    }

    /// Answers a request with 200 and this body.
    pub fn serve(&mut self, body: &str) {
        let stream = self.take_request();
        self.answer(stream, 0, &[(":status", "200")]);
        self.send(DATA, END_STREAM, stream, body.as_bytes());
    }

    /// Ends the connection.
    pub fn close(self) {}
}
