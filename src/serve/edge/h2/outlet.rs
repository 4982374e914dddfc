//! The answer on a stream, out of HTTP/1.1 text.
//!
//! Invariants: the engine writes heads whole, and trailer sections; no data is taken that the
//! stream has no window for, so that a slow client holds back the dyno, and what waits to be
//! written can be written; the last frame of an answer says that it is the last.

use std::{
    io,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use h2::{Reason, SendStream, server::SendResponse};
use http::Response;

use crate::wire::{
    framing::Body,
    h2::{
        answer::Answer,
        chunks::{Chunks, Piece},
        trailers,
    },
    head::{Fields, Finder},
};

/// How far the answer has come.
#[derive(Debug)]
enum State {
    /// Before the final head.
    Head(SendResponse<Bytes>),
    /// So many bytes of the body are to come.
    Length(SendStream<Bytes>, u64),
    /// In a chunked body.
    Chunks(SendStream<Bytes>, Chunks),
    /// In a body that ends with the text.
    Open(SendStream<Bytes>),
    /// All of it was said.
    Whole(SendStream<Bytes>),
    /// Broken off.
    Broken,
}

/// An answer on its way out.
#[derive(Debug)]
pub struct Outlet {
    state: State,
    to_head: bool,
}

fn broken() -> io::Error {
    io::ErrorKind::BrokenPipe.into()
}

fn malformed<E>(_: E) -> io::Error {
    io::ErrorKind::InvalidData.into()
}

impl Outlet {
    /// The answer to a request, perhaps a HEAD.
    pub fn new(response: SendResponse<Bytes>, to_head: bool) -> Outlet {
        Outlet { state: State::Head(response), to_head }
    }

    /// Takes what can be taken of the text.
    pub fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        text: &[u8],
        fields: &mut Fields,
    ) -> Poll<io::Result<usize>> {
        let mut taken = 0;
        while taken < text.len() {
            match self.poll_step(cx, &text[taken..], fields) {
                Poll::Ready(Ok(count)) => taken += count,
                // What was taken before is told first; the rest comes again.
                _ if taken > 0 => break,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(Ok(taken))
    }

    fn poll_step(
        &mut self,
        cx: &mut Context<'_>,
        text: &[u8],
        fields: &mut Fields,
    ) -> Poll<io::Result<usize>> {
        match &mut self.state {
            State::Head(_) => Poll::Ready(self.take_head(text, fields)),
            State::Length(stream, left) => {
                let most = usize::try_from(*left).unwrap_or(usize::MAX).min(text.len());
                let count = ready!(poll_data(cx, stream, &text[..most], most as u64 == *left))?;
                *left -= count as u64;
                let ended = *left == 0;
                self.ended(ended);
                Poll::Ready(Ok(count))
            }
            State::Chunks(stream, chunks) => {
                let (mut gone, piece) = chunks.next(text).map_err(malformed)?;
                let mut ended = false;
                match piece {
                    Piece::Framing => {}
                    Piece::Data(data) => {
                        let end = Chunks::plain_end(&text[data.len()..]);
                        gone = ready!(poll_data(cx, stream, data, end.is_some()))?;
                        chunks.take(gone);
                        if let Some(end) = end.filter(|_| gone == data.len()) {
                            gone += end;
                            ended = true;
                        }
                    }
                    Piece::End(section) => {
                        match trailers::read(section, fields) {
                            Some(trailers) => stream.send_trailers(trailers),
                            None => stream.send_data(Bytes::new(), true),
                        }
                        .map_err(|_| broken())?;
                        ended = true;
                    }
                }
                self.ended(ended);
                Poll::Ready(Ok(gone))
            }
            State::Open(stream) => poll_data(cx, stream, text, false),
            State::Whole(_) | State::Broken => Poll::Ready(Err(broken())),
        }
    }

    /// Sends a head, of an interim answer or the final one.
    fn take_head(&mut self, text: &[u8], fields: &mut Fields) -> io::Result<usize> {
        let len = Finder::default().find(text).ok().flatten().ok_or_else(|| malformed(()))?;
        let answer = Answer::read(&text[..len], fields, self.to_head).map_err(malformed)?;
        let mut head = Response::new(());
        *head.status_mut() = answer.status;
        *head.headers_mut() = answer.fields;
        let State::Head(response) = &mut self.state else { return Err(broken()) };
        if answer.status.is_informational() {
            response.send_informational(head).map_err(|_| broken())?;
            return Ok(len);
        }
        let stream = response.send_response(head, answer.body.is_done()).map_err(|_| broken())?;
        self.state = match answer.body {
            Body::Done => State::Whole(stream),
            Body::Length(length) => State::Length(stream, length),
            Body::Chunked(_) => State::Chunks(stream, Chunks::default()),
            Body::Close => State::Open(stream),
        };
        Ok(len)
    }

    /// The last frame was sent, if `ended`.
    fn ended(&mut self, ended: bool) {
        if !ended {
            return;
        }
        self.state = match std::mem::replace(&mut self.state, State::Broken) {
            State::Length(stream, _) | State::Chunks(stream, _) | State::Open(stream) => {
                State::Whole(stream)
            }
            other => other,
        };
    }

    /// The text has ended: so does an answer that ends with it.
    pub fn finish(&mut self) -> io::Result<()> {
        if let State::Open(stream) = &mut self.state {
            stream.send_data(Bytes::new(), true).map_err(|_| broken())?;
            self.ended(true);
        }
        Ok(())
    }

    /// Ready when the client reset the stream, or the connection broke.
    pub fn poll_broken(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.state {
            State::Head(response) => response.poll_reset(cx).map(drop),
            State::Length(stream, _)
            | State::Chunks(stream, _)
            | State::Open(stream)
            | State::Whole(stream) => stream.poll_reset(cx).map(drop),
            State::Broken => Poll::Ready(()),
        }
    }

    /// Resets the stream.
    pub fn reset(&mut self, reason: Reason) {
        match &mut self.state {
            State::Head(response) => response.send_reset(reason),
            State::Length(stream, _) | State::Chunks(stream, _) | State::Open(stream) => {
                stream.send_reset(reason);
            }
            // It is too late to take back what is whole.
            State::Whole(_) | State::Broken => return,
        }
        self.state = State::Broken;
    }
}

/// Sends of the data what the stream has a window for; `last` says that nothing comes behind it.
fn poll_data(
    cx: &mut Context<'_>,
    stream: &mut SendStream<Bytes>,
    data: &[u8],
    last: bool,
) -> Poll<io::Result<usize>> {
    if stream.capacity() < data.len() {
        stream.reserve_capacity(data.len());
    }
    while stream.capacity() == 0 {
        if ready!(stream.poll_capacity(cx)).is_none_or(|capacity| capacity.is_err()) {
            return Poll::Ready(Err(broken()));
        }
    }
    let count = stream.capacity().min(data.len());
    let last = last && count == data.len();
    stream.send_data(Bytes::copy_from_slice(&data[..count]), last).map_err(|_| broken())?;
    Poll::Ready(Ok(count))
}
