//! HTTP/2 as the load speaks it: frames built from bytes that are fixed, read without decoding what
//! is in them, so that the load costs little beside the proxy.
//!
//! A connection's first request teaches the proxy the header fields, in Huffman's code where that
//! is shorter, and all others refer to them by index, as those of browsers, curl and Go do. Of an
//! answer's head only the status is read, which is its first field and one byte of HPACK's static
//! table.
//!
//! Invariants: every stream ends with END_STREAM after a 200 and as many bytes as expected, or the
//! run fails; windows are too large to hold a proxy up; SETTINGS and PING are answered.

use std::time::Instant;

use crate::failure::Failure;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Length of a frame's own head, in bytes.
const HEAD: usize = 9;

/// Frames may be as long as by default: no SETTINGS raises it.
const MAX_FRAME: usize = 16 * 1024;

/// The largest window there is, in bytes.
const WINDOW: u32 = (1 << 31) - 1;

/// A connection's window to begin with, in bytes.
const FIRST_WINDOW: u32 = 65_535;

/// The window of the connection is filled up again after so many bytes.
const REFILL: u32 = 1 << 28;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PUSH_PROMISE: u8 = 5;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const PADDED: u8 = 8;
const PRIORITY: u8 = 32;

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Request {
    /// The host, as `:authority`.
    pub host: String,
    /// The path.
    pub path: String,
    /// Is the connection TLS?
    pub is_tls: bool,
}

struct Stream {
    id: u32,
    begun: Instant,
    status: Option<u16>,
    received: u64,
}

/// An answer that has come whole.
#[derive(Debug, Clone, Copy)]
pub struct Ended {
    /// When its request was sent.
    pub begun: Instant,
    /// Its status.
    pub status: u16,
    /// Length of its body, in bytes.
    pub length: u64,
}

/// One connection.
pub struct Session {
    first: Vec<u8>,
    next: Vec<u8>,
    next_id: u32,
    open: Vec<Stream>,
    /// The beginning of a frame that has not come whole.
    partial: Vec<u8>,
    /// Bytes of DATA since the connection's window was filled up.
    unfilled: u32,
    /// Frames to be sent.
    pub out: Vec<u8>,
    /// Bytes of the answers' bodies, where the last one is asked for.
    pub body: Option<Vec<u8>>,
}

impl Session {
    /// A connection that asks for the same thing again and again.
    pub fn new(request: &Request) -> Session {
        let mut out = PREFACE.to_vec();
        // ENABLE_PUSH 0, INITIAL_WINDOW_SIZE.
        let mut settings = vec![0, 2, 0, 0, 0, 0, 0, 4];
        settings.extend_from_slice(&WINDOW.to_be_bytes());
        frame(&mut out, SETTINGS, 0, 0, &settings);
        frame(&mut out, WINDOW_UPDATE, 0, 0, &(WINDOW - FIRST_WINDOW).to_be_bytes());
        let (first, next) = blocks(request);
        let (open, partial) = (Vec::new(), Vec::new());
        Session { first, next, next_id: 1, open, partial, unfilled: 0, out, body: None }
    }

    /// Requests that are not answered yet.
    pub fn open(&self) -> usize {
        self.open.len()
    }

    /// Begins a request.
    pub fn begin(&mut self, now: Instant) {
        let id = self.next_id;
        let block = if id == 1 { &self.first } else { &self.next };
        frame(&mut self.out, HEADERS, END_STREAM | END_HEADERS, id, block);
        self.open.push(Stream { id, begun: now, status: None, received: 0 });
        self.next_id += 2;
    }

    /// Takes what came, and tells of every answer that is whole by it.
    pub fn take(
        &mut self,
        bytes: &[u8],
        each: &mut dyn FnMut(Ended) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        if self.partial.is_empty() {
            let used = self.frames(bytes, each)?;
            self.partial.extend_from_slice(&bytes[used..]);
            return Ok(());
        }
        let mut all = std::mem::take(&mut self.partial);
        all.extend_from_slice(bytes);
        let used = self.frames(&all, each)?;
        all.drain(..used);
        self.partial = all;
        Ok(())
    }

    fn frames(
        &mut self,
        bytes: &[u8],
        each: &mut dyn FnMut(Ended) -> Result<(), Failure>,
    ) -> Result<usize, Failure> {
        let mut at = 0;
        while let Some(&[a, b, c, kind, flags, d, e, f, g]) = bytes[at..].first_chunk::<HEAD>() {
            let length = u32::from_be_bytes([0, a, b, c]) as usize;
            if length > MAX_FRAME {
                return Err(Failure::Answer(format!("no HTTP/2, or a frame of {length} bytes")));
            }
            let Some(payload) = bytes[at + HEAD..].get(..length) else { break };
            let id = u32::from_be_bytes([d & 0x7f, e, f, g]);
            if let Some(ended) = self.one(kind, flags, id, payload)? {
                each(ended)?;
            }
            at += HEAD + length;
        }
        Ok(at)
    }

    fn one(
        &mut self,
        kind: u8,
        flags: u8,
        id: u32,
        payload: &[u8],
    ) -> Result<Option<Ended>, Failure> {
        let index = self.open.iter().position(|stream| stream.id == id);
        match (kind, index) {
            (HEADERS, Some(index)) => {
                let stream = &mut self.open[index];
                if stream.status.is_none() {
                    let at = usize::from(flags & PADDED != 0);
                    let at = at + if flags & PRIORITY != 0 { 5 } else { 0 };
                    stream.status = Some(status(payload.get(at..).unwrap_or_default())?);
                }
            }
            (DATA, Some(index)) => {
                self.unfilled += payload.len() as u32;
                let padding = match flags & PADDED != 0 {
                    true => 1 + usize::from(*payload.first().unwrap_or(&0)),
                    false => 0,
                };
                let length = payload.len().saturating_sub(padding);
                self.open[index].received += length as u64;
                if let Some(body) = &mut self.body {
                    body.extend_from_slice(&payload[padding.min(1)..][..length]);
                }
                if self.unfilled >= REFILL {
                    frame(&mut self.out, WINDOW_UPDATE, 0, 0, &self.unfilled.to_be_bytes());
                    self.unfilled = 0;
                }
            }
            (SETTINGS, _) if flags & ACK == 0 => {
                check_settings(payload)?;
                frame(&mut self.out, SETTINGS, ACK, 0, &[]);
                return Ok(None);
            }
            (PING, _) if flags & ACK == 0 => {
                frame(&mut self.out, PING, ACK, 0, payload);
                return Ok(None);
            }
            (RST_STREAM, Some(_)) | (GOAWAY | PUSH_PROMISE | CONTINUATION, _) => {
                let text = String::from_utf8_lossy(payload);
                let what = format!("an HTTP/2 frame of type {kind} on stream {id}: {text:?}");
                return Err(Failure::Answer(what));
            }
            _ => return Ok(None),
        }
        if flags & END_STREAM == 0 {
            return Ok(None);
        }
        let Some(stream) = index.map(|index| self.open.swap_remove(index)) else {
            return Ok(None);
        };
        let status = stream.status.ok_or_else(|| Failure::Answer("a body with no head".into()))?;
        Ok(Some(Ended { begun: stream.begun, status, length: stream.received }))
    }
}

/// Header blocks of the first request of a connection, and of all others.
fn blocks(request: &Request) -> (Vec<u8>, Vec<u8>) {
    // :method GET, :scheme.
    let mut first = vec![0x82, if request.is_tls { 0x87 } else { 0x86 }];
    match request.path.as_str() {
        "/" => first.push(0x84),
        // Without indexing: the name is that of :path.
        path => literal(&mut first, 0x04, path),
    }
    let mut next = first.clone();
    // With indexing, so that the dynamic table begins with the last of these: :authority,
    // user-agent, accept.
    literal(&mut first, 0x41, &request.host);
    literal(&mut first, 0x7a, "versus/1");
    literal(&mut first, 0x53, "*/*");
    next.extend_from_slice(&[0xc0, 0xbf, 0xbe]);
    (first, next)
}

fn literal(block: &mut Vec<u8>, name: u8, value: &str) {
    let code = huffman(value);
    let (coded, text) = match code.len() < value.len() {
        true => (0x80, code.as_slice()),
        false => (0, value.as_bytes()),
    };
    // A length of 127 and more takes another form.
    assert!(text.len() < 127, "the bench asks for nothing so long");
    block.extend_from_slice(&[name, coded | text.len() as u8]);
    block.extend_from_slice(text);
}

/// Huffman's code (RFC 7541, appendix B) of what names, paths and numbers are made of: its bits,
/// the first code of that many, and the letters in their order.
const CODES: [(u32, u64, &[u8]); 4] = [
    (5, 0, b"012aceiost"),
    (6, 0x14, b" %-./3456789=A_bdfghlmnpru"),
    (7, 0x5c, b":BCDEFGHIJKLMNOPQRSTUVWYjkqvwxyz"),
    (8, 0xf8, b"&*,;XZ"),
];

/// A text in that code, filled up with ones.
fn huffman(text: &str) -> Vec<u8> {
    let mut code = Vec::new();
    let (mut bits, mut count) = (0u64, 0);
    for letter in text.bytes() {
        let found = CODES.iter().find_map(|(length, first, letters)| {
            let at = letters.iter().position(|other| *other == letter)?;
            Some((*length, first + at as u64))
        });
        let (length, one) = found.expect("the bench asks for common letters");
        (bits, count) = (bits << length | one, count + length);
        while count >= 8 {
            count -= 8;
            code.push((bits >> count) as u8);
        }
    }
    if count > 0 {
        code.push((bits << (8 - count)) as u8 | 0xff >> count);
    }
    code
}

fn frame(out: &mut Vec<u8>, kind: u8, flags: u8, id: u32, payload: &[u8]) {
    out.extend_from_slice(&(payload.len() as u32).to_be_bytes()[1..]);
    out.extend_from_slice(&[kind, flags]);
    out.extend_from_slice(&id.to_be_bytes());
    out.extend_from_slice(payload);
}

/// The status that a header block begins with.
fn status(block: &[u8]) -> Result<u16, Failure> {
    // A change of the dynamic table's size may stand before it.
    let mut fields = block.iter().skip_while(|byte| **byte & 0xe0 == 0x20);
    match fields.next() {
        Some(0x88) => Ok(200),
        Some(0x8d) => Ok(404),
        Some(0x8e) => Ok(500),
        // Spelt out, with the name's index: its text is of no use to the bench.
        Some(0x08 | 0x18 | 0x48) => Ok(0),
        other => Err(Failure::Answer(format!("its head begins with {other:x?}, no status"))),
    }
}

/// The dynamic table that the requests refer to needs its usual size.
fn check_settings(payload: &[u8]) -> Result<(), Failure> {
    for setting in payload.chunks_exact(6) {
        let value = u32::from_be_bytes([setting[2], setting[3], setting[4], setting[5]]);
        let is_table = setting[..2] == [0, 1];
        if is_table && value < 4096 {
            return Err(Failure::Answer(format!("the proxy's table of headers is {value} bytes")));
        }
    }
    Ok(())
}
