//! The answer on a stream, out of HTTP/1.1 text.
//!
//! Invariants: the engine writes heads whole, and trailer sections; no data is taken that the
//! stream has no window for, so that a slow client holds back the dyno, and what waits to be
//! written can be written; the last frame of an answer says that it is the last.

use std::{
    io,
    rc::Rc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use h2::{Reason, SendStream, server::SendResponse};
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};

use super::{inlet::is_violation, watched::Tally};
use crate::error::{Fault, Whose};
use crate::wire::{
    framing::Body,
    h2::{
        accept_key,
        answer::Answer,
        chunks::{Chunks, Piece},
        grpc, trailers,
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
    /// So it was, in other words: what is left of the text is not for this client.
    Muted(SendStream<Bytes>),
    /// Broken off.
    Broken,
}

/// An answer on its way out.
#[derive(Debug)]
pub struct Outlet {
    state: State,
    asked: Asked,
    tally: Rc<Tally>,
    /// Its text is no answer that a client of HTTP/2 could be given.
    malformed: bool,
}

/// What the answer must know of its request.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    /// The method is HEAD.
    pub is_head: bool,
    /// It asks for a WebSocket, in HTTP/1.1 with this key.
    pub socket: Option<[u8; 24]>,
    /// It is a call of gRPC.
    pub is_grpc: bool,
}

fn broken() -> io::Error {
    io::ErrorKind::BrokenPipe.into()
}

fn malformed<E>(_: E) -> io::Error {
    io::ErrorKind::InvalidData.into()
}

impl Outlet {
    /// The answer to a request.
    pub fn new(response: SendResponse<Bytes>, asked: Asked, tally: Rc<Tally>) -> Outlet {
        Outlet { state: State::Head(response), asked, tally, malformed: false }
    }

    /// Why it broke, where more is known than that it did.
    pub fn fault(&self) -> Option<Fault> {
        match (self.tally.stalled.get(), self.malformed) {
            // The client took nothing.
            (true, _) => Some(Fault::ClientIdle),
            (_, true) => Some(Fault::BadResponse),
            _ => None,
        }
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
            State::Head(_) => {
                let taken = self.take_head(text, fields);
                self.malformed = matches!(&taken, Err(e) if e.kind() == io::ErrorKind::InvalidData);
                Poll::Ready(taken)
            }
            State::Length(stream, left) => {
                let most = usize::try_from(*left).unwrap_or(usize::MAX).min(text.len());
                let last = most as u64 == *left;
                let count = ready!(poll_data(cx, stream, &self.tally, &text[..most], last))?;
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
                        gone = ready!(poll_data(cx, stream, &self.tally, data, end.is_some()))?;
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
            State::Open(stream) => poll_data(cx, stream, &self.tally, text, false),
            State::Muted(_) => Poll::Ready(Ok(text.len())),
            State::Whole(_) | State::Broken => Poll::Ready(Err(broken())),
        }
    }

    /// Sends a head, of an interim answer or the final one.
    fn take_head(&mut self, text: &[u8], fields: &mut Fields) -> io::Result<usize> {
        let len = Finder::default().find(text).ok().flatten().ok_or_else(|| malformed(()))?;
        let is_head = self.asked.is_head;
        let mut answer = Answer::read(&text[..len], fields, is_head).map_err(malformed)?;
        if let Some(key) = self.asked.socket {
            open_socket(&mut answer, &key)?;
        }
        let muted = self.asked.is_grpc && tell_grpc(&mut answer);
        let mut head = Response::new(());
        *head.status_mut() = answer.status;
        *head.headers_mut() = answer.fields;
        let State::Head(response) = &mut self.state else { return Err(broken()) };
        if answer.status.is_informational() {
            response.send_informational(head).map_err(|_| broken())?;
            self.tally.sent(len, true);
            return Ok(len);
        }
        let ended = muted || answer.body.is_done();
        let stream = response.send_response(head, ended).map_err(|_| broken())?;
        self.tally.sent(len, true);
        if ended {
            self.tally.answered();
        }
        self.state = match answer.body {
            _ if muted => State::Muted(stream),
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
        self.tally.answered();
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

    /// Ready when the client reset the stream, or the connection broke; answers whether that was
    /// because the rules of the protocol were broken.
    pub fn poll_broken(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        let reset = match &mut self.state {
            State::Head(response) => response.poll_reset(cx),
            State::Length(stream, _)
            | State::Chunks(stream, _)
            | State::Open(stream)
            | State::Whole(stream)
            | State::Muted(stream) => stream.poll_reset(cx),
            State::Broken => return Poll::Ready(false),
        };
        reset.map(|reset| is_violation(&reset.map_or_else(|error| error, h2::Error::from)))
    }

    /// Breaks the answer off. A call of gRPC is told why, where it can be.
    pub fn break_off(&mut self, fault: Option<Fault>) {
        let is_clients = fault.is_some_and(|fault| fault.whose() == Whose::Client);
        let reason = if is_clients { Reason::CANCEL } else { Reason::INTERNAL_ERROR };
        let told = self.asked.is_grpc && !is_clients;
        match &mut self.state {
            State::Head(response) => response.send_reset(reason),
            State::Chunks(stream, _) | State::Open(stream) => {
                if !(told && trail(stream, fault)) {
                    stream.send_reset(reason);
                }
            }
            State::Length(stream, _) => stream.send_reset(reason),
            // It is too late to take back what is whole.
            State::Whole(_) | State::Muted(_) | State::Broken => return,
        }
        self.state = State::Broken;
    }
}

/// Turns the answer to the GET that asked for a WebSocket into that to the CONNECT (RFC 8441,
/// section 5).
fn open_socket(answer: &mut Answer, key: &[u8]) -> io::Result<()> {
    if answer.status == StatusCode::SWITCHING_PROTOCOLS {
        let proof = answer.fields.remove(header::SEC_WEBSOCKET_ACCEPT);
        if proof.is_none_or(|proof| proof.as_bytes() != accept_key::of(key)) {
            return Err(malformed(()));
        }
        answer.status = StatusCode::OK;
        answer.body = Body::Close;
    } else if answer.status.is_success() {
        // Here that would say that there is a WebSocket.
        return Err(malformed(()));
    }
    Ok(())
}

/// Says a fault of the router's as gRPC does; answers whether it is one.
fn tell_grpc(answer: &mut Answer) -> bool {
    let Some(code) = answer.fields.get("hostler-error") else { return false };
    let fault = Fault::ALL.iter().find(|fault| fault.code().as_bytes() == code.as_bytes());
    let why = fault.map_or_else(String::new, |fault| why(*fault));
    answer.fields.remove(header::CONTENT_LENGTH);
    let grpc = HeaderValue::from_static("application/grpc");
    answer.fields.insert(header::CONTENT_TYPE, grpc);
    grpc::tell(answer.status.as_u16(), &why, &mut answer.fields);
    answer.status = StatusCode::OK;
    true
}

/// Ends a call with the status for a fault; answers whether that could be done.
fn trail(stream: &mut SendStream<Bytes>, fault: Option<Fault>) -> bool {
    let fault = fault.unwrap_or(Fault::Platform);
    let mut trailers = HeaderMap::new();
    grpc::tell(fault.status(), &why(fault), &mut trailers);
    stream.send_trailers(trailers).is_ok()
}

fn why(fault: Fault) -> String {
    format!("{} ({})", fault.desc(), fault.code())
}

/// Sends of the data what the stream has a window for; `last` says that nothing comes behind it.
fn poll_data(
    cx: &mut Context<'_>,
    stream: &mut SendStream<Bytes>,
    tally: &Tally,
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
    let is_all = count == data.len();
    let sent = stream.send_data(Bytes::copy_from_slice(&data[..count]), last && is_all);
    sent.map_err(|_| broken())?;
    tally.sent(count, is_all);
    Poll::Ready(Ok(count))
}
