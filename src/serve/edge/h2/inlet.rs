//! The request of a stream, as HTTP/1.1 text.
//!
//! Invariants: what is taken ahead of the reader lies together, since frames cost more than their
//! bytes, and its window is given back as it is read, which bounds it; the last byte of a request
//! whose length is stated is handed over when the stream has ended as the length says, so that no
//! dyno takes a request for whole that is not.

use std::{
    io::{self, Write},
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes, BytesMut};
use h2::{Reason, RecvStream};
use http::request::Parts;

use crate::wire::h2::{
    request::{self, Asks, Length},
    trailers,
};

/// How the body goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Body {
    /// So many bytes are to come; then the last byte, which is held back.
    Stated(u64),
    /// Frames become chunks until the stream ends.
    Chunks,
    /// Frames are what they hold, until the stream ends.
    Raw,
    /// So they were, and their end is to be read.
    RawEnd,
    /// The request is whole.
    Done,
}

/// The head of a request that was judged.
#[derive(Debug)]
pub struct Head {
    /// Its parts.
    pub parts: Parts,
    /// What it is for.
    pub asks: Asks,
    /// How its body ends.
    pub length: Length,
}

/// A request on its way in.
#[derive(Debug)]
pub struct Inlet {
    stream: RecvStream,
    /// The head, until it is read.
    head: Option<Box<Head>>,
    body: Body,
    /// Text that is to be read before the data.
    text: Vec<u8>,
    /// What of it was read.
    at: usize,
    /// What is left of the data that was taken last.
    data: Bytes,
    /// What was taken off the stream behind that, while nobody read.
    ahead: BytesMut,
    /// The last byte of a request of a stated length.
    last: Option<u8>,
    broken: bool,
    /// Not by its client's will: the rules of the protocol were broken.
    violated: bool,
}

impl Inlet {
    /// The request of a stream, if it was judged: without a head nothing comes.
    pub fn new(stream: RecvStream, head: Option<Box<Head>>) -> Inlet {
        let ended = stream.is_end_stream();
        let body = match head.as_ref().map(|head| (head.asks, head.length)) {
            Some((Asks::Socket(_), _)) => Body::Raw,
            Some((_, Length::Unknown)) => Body::Chunks,
            Some((_, Length::Stated(length))) if !ended => Body::Stated(length),
            _ => Body::Done,
        };
        Inlet {
            stream,
            head,
            body,
            text: Vec::new(),
            at: 0,
            data: Bytes::new(),
            ahead: BytesMut::new(),
            last: None,
            broken: false,
            violated: false,
        }
    }

    /// Is something there to be read?
    pub fn has_come(&self) -> bool {
        self.broken
            || self.body == Body::RawEnd
            || self.head.is_some()
            || self.at < self.text.len()
            || !self.data.is_empty()
            || !self.ahead.is_empty()
    }

    /// Takes what has come off the stream, for when it is read.
    pub fn absorb(&mut self, cx: &mut Context<'_>) {
        if self.broken || matches!(self.body, Body::RawEnd | Body::Done) {
            return;
        }
        // The end, of whatever kind, comes again.
        while let Poll::Ready(Some(Ok(data))) = self.stream.poll_data(cx) {
            self.ahead.extend_from_slice(&data);
        }
    }

    /// The stream broke.
    pub fn fail(&mut self, violated: bool) {
        self.broken = true;
        self.violated |= violated;
    }

    /// Did it break because the rules of the protocol were broken?
    pub fn is_violated(&self) -> bool {
        self.violated
    }

    /// Ready when something is there to be read.
    pub fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.has_come() {
            ready!(self.poll_more(cx))?;
        }
        Poll::Ready(Ok(()))
    }

    /// Reads into the room of `buffer`.
    pub fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut Vec<u8>,
    ) -> Poll<io::Result<usize>> {
        let before = buffer.len();
        if let Some(head) = self.head.take() {
            self.take_head(&head, buffer);
        }
        while buffer.len() < buffer.capacity() {
            let room = buffer.capacity() - buffer.len();
            if self.at < self.text.len() {
                let text = &self.text[self.at..];
                let text = &text[..text.len().min(room)];
                buffer.extend_from_slice(text);
                self.at += text.len();
            } else if !self.data.is_empty() {
                let count = self.data.len().min(room);
                buffer.extend_from_slice(&self.data[..count]);
                self.data.advance(count);
                // A stream that is gone needs no window.
                let _ = self.stream.flow_control().release_capacity(count);
                if self.data.is_empty() && self.body == Body::Chunks {
                    self.say(b"\r\n");
                }
            } else {
                match self.poll_more(cx) {
                    Poll::Ready(Ok(())) if self.body == Body::RawEnd => break,
                    Poll::Ready(Ok(())) => {}
                    // What was read before goes first.
                    _ if buffer.len() > before => break,
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                    Poll::Pending => return Poll::Pending,
                }
            }
        }
        Poll::Ready(Ok(buffer.len() - before))
    }

    /// Writes the head straight into the reader's buffer, if it has the room.
    fn take_head(&mut self, head: &Head, buffer: &mut Vec<u8>) {
        let fits = buffer.capacity() - buffer.len() >= request::text_len(&head.parts);
        let to = if fits { buffer } else { &mut self.text };
        request::write(&head.parts, head.asks, head.length, to);
        if self.body == Body::Stated(0) {
            self.last = to.pop();
        }
    }

    fn say(&mut self, text: &[u8]) {
        self.text.clear();
        self.text.extend_from_slice(text);
        self.at = 0;
    }

    /// Takes what comes next off the stream, all before it having been read.
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.broken {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        if self.body == Body::RawEnd {
            return Poll::Ready(Ok(()));
        }
        if self.body == Body::Done {
            // Whether the stream breaks meanwhile is asked elsewhere.
            return Poll::Pending;
        }
        if !self.ahead.is_empty() {
            let data = std::mem::take(&mut self.ahead).freeze();
            self.take_data(data);
            return Poll::Ready(Ok(()));
        }
        match ready!(self.stream.poll_data(cx)) {
            Some(Ok(data)) => {
                self.take_data(data);
                Poll::Ready(Ok(()))
            }
            Some(Err(error)) => self.breaks(is_violation(&error)),
            None => self.poll_end(cx),
        }
    }

    fn take_data(&mut self, mut data: Bytes) {
        if data.is_empty() {
            return;
        }
        match &mut self.body {
            Body::Stated(left) => {
                // The stream's own count does not let more come than is left.
                *left = left.saturating_sub(data.len() as u64);
                if *left == 0 && self.stream.is_end_stream() {
                    self.body = Body::Done;
                } else if *left == 0 {
                    self.last = data.last().copied();
                    data.truncate(data.len() - 1);
                }
            }
            Body::Chunks => {
                self.text.clear();
                self.at = 0;
                write!(self.text, "{:x}\r\n", data.len()).expect("writing to a Vec cannot fail");
            }
            Body::Raw | Body::RawEnd | Body::Done => {}
        }
        self.data = data;
    }

    /// The data has ended: reads the trailers.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let trailers = match ready!(self.stream.poll_trailers(cx)) {
            Ok(trailers) => trailers,
            Err(error) => return self.breaks(is_violation(&error)),
        };
        match (std::mem::replace(&mut self.body, Body::Done), self.last.take()) {
            (Body::Chunks, _) => {
                self.text.clear();
                self.at = 0;
                trailers::write(trailers.as_ref(), &mut self.text);
            }
            (Body::Raw, _) => self.body = Body::RawEnd,
            // There is no room for trailers behind a stated length.
            (Body::Stated(0), Some(last)) => self.say(&[last]),
            _ => return self.breaks(true),
        }
        Poll::Ready(Ok(()))
    }

    fn breaks(&mut self, violated: bool) -> Poll<io::Result<()>> {
        self.fail(violated);
        Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()))
    }
}

/// Is this the end of a stream that somebody broke the rules on, and not one that its client wants
/// no more of?
pub fn is_violation(error: &h2::Error) -> bool {
    let wanted = [Reason::NO_ERROR, Reason::CANCEL, Reason::REFUSED_STREAM];
    error.reason().is_some_and(|reason| !wanted.contains(&reason))
}
