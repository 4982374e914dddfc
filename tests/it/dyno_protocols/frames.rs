//! A dyno's HTTP/2 connection, frame by frame.
//!
//! Invariants: it says its SETTINGS first and answers PINGs and SETTINGS by itself; nothing is
//! compressed; whatever else it sends is the test's.

use crate::harness::{
    Conn, Dyno,
    frames::{
        ACK, END_HEADERS, END_STREAM, Frame, PREFACE, block, frame,
        kind::{DATA, GOAWAY, HEADERS, PING, RST_STREAM, SETTINGS},
        settings_of,
    },
};

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
        frames.send(SETTINGS, 0, 0, &settings_of(settings));
        frames
    }

    /// Sends a frame.
    pub fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        self.0.send(frame(kind, flags, stream, payload));
    }

    /// Sends a head.
    pub fn answer(&mut self, stream: u32, flags: u8, fields: &[(&str, &str)]) {
        self.send(HEADERS, flags | END_HEADERS, stream, &block(fields));
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
            let frame = Frame::take(&mut self.0).expect("a frame");
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
