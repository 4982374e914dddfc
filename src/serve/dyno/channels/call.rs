//! One exchange on an HTTP/2 connection to a dyno: text in, frames out, and back.
//!
//! Invariants: a request goes out with its head, once that is whole; of a body no more is taken
//! than the dyno's window has room for, and of an answer no more than the client has read is let
//! come anew; a stream that is dropped before its end is reset, which tells the dyno that nobody
//! waits any more.

use std::{
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Buf, Bytes};
use h2::{Reason, RecvStream, SendStream, client::ResponseFuture, ext::Protocol};

use super::{Requests, Seat};
use crate::{
    error::Fault,
    serve::{
        carrier::{Carrier, Cause},
        socket::End,
    },
    wire::{
        framing::Body,
        h2::{
            chunks::{Chunks, Piece},
            from_dyno::{self, Framing},
            to_dyno::{Asked, Way},
            trailers,
        },
        head::{Fields, Finder},
    },
};

/// The most bytes of a body in one frame that is handed over.
const MAX_PIECE: usize = 16 << 10;

/// How long a stream may go on behind its whole answer. Node and Go end many in a frame of their
/// own, and tell their app of a reset before it as of a client that left.
const AFTERWARDS: Duration = Duration::from_secs(2);

/// One exchange's stream.
#[derive(Debug)]
pub struct Call {
    up: Up,
    down: Down,
    /// The answer as text, of which `read` bytes are gone.
    text: Vec<u8>,
    read: usize,
    /// Data that comes behind the text.
    piece: Bytes,
    /// What is still to be read of the answer's data; without a length, no end is in sight.
    left: u64,
    cause: Option<Cause>,
    // Last: the place is free once the stream is.
    seat: Seat,
}

/// The request.
#[derive(Debug)]
enum Up {
    /// Its head has not come.
    Head(Requests),
    Body(SendStream<Bytes>, Left),
    Sent,
}

/// What is left of a request's body.
#[derive(Debug)]
enum Left {
    Length(u64),
    Chunks(Chunks),
    /// All that comes, until the end.
    Tunnel,
}

/// The answer.
#[derive(Debug)]
enum Down {
    /// Nothing was asked yet.
    Unasked,
    Head {
        response: ResponseFuture,
        is_head: bool,
        socket: Option<Bytes>,
    },
    Body(RecvStream, Framing),
    Trailers(RecvStream, Framing),
    End,
    Broken,
}

impl Call {
    /// A stream on this seat; nothing if its connection is over.
    pub fn new(seat: Seat) -> Option<Call> {
        Some(Call {
            up: Up::Head(seat.requests()?),
            down: Down::Unasked,
            text: Vec::new(),
            read: 0,
            piece: Bytes::new(),
            left: u64::MAX,
            cause: None,
            seat,
        })
    }

    /// Sends the head that `bytes` begin with; answers its length.
    fn poll_ask(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let Up::Head(requests) = &mut self.up else { unreachable!("a request is sent once") };
        if let Err(error) = ready!(requests.poll_ready(cx)) {
            return Poll::Ready(Err(self.broke(error)));
        }
        let extended = requests.is_extended_connect_protocol_enabled();
        let way = Way { is_secure: self.seat.is_secure(), extended };
        let len = Finder::default().find(bytes).ok().flatten();
        let asked = len.and_then(|len| {
            Some((len, Asked::read(&bytes[..len], &mut Fields::default(), way).ok()?))
        });
        let Some((len, Asked { mut message, body, socket })) = asked else {
            self.cause = Some(Cause::Fault(Fault::Platform));
            self.down = Down::Broken;
            return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
        };
        if socket.is_some() {
            message.extensions_mut().insert(Protocol::from_static("websocket"));
        }
        let is_head = message.method() == http::Method::HEAD;
        match requests.send_request(message, body.is_done()) {
            Ok((response, stream)) => {
                self.down = Down::Head { response, is_head, socket };
                self.up = match body {
                    Body::Done => Up::Sent,
                    Body::Length(length) => Up::Body(stream, Left::Length(length)),
                    Body::Chunked(_) => Up::Body(stream, Left::Chunks(Chunks::default())),
                    Body::Close => Up::Body(stream, Left::Tunnel),
                };
                Poll::Ready(Ok(len))
            }
            Err(error) => Poll::Ready(Err(self.broke(error))),
        }
    }

    /// Sends what can be sent of the body that `bytes` begin with; answers how much that is.
    fn poll_body(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut taken = 0;
        while taken < bytes.len() {
            match self.poll_piece(cx, &bytes[taken..]) {
                Poll::Ready(Ok(count)) => taken += count,
                Poll::Ready(Err(Some(error))) => return Poll::Ready(Err(self.broke(error))),
                Poll::Ready(Err(None)) => {
                    return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
                }
                Poll::Pending if taken == 0 => return Poll::Pending,
                Poll::Pending => break,
            }
        }
        Poll::Ready(Ok(taken))
    }

    fn poll_piece(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<Result<usize, Option<h2::Error>>> {
        let Up::Body(stream, left) = &mut self.up else { return Poll::Ready(Err(None)) };
        let (count, ends) = match left {
            Left::Tunnel => (ready!(poll_data(stream, cx, bytes, |_| false))?, false),
            Left::Length(length) => {
                let most = usize::try_from(*length).unwrap_or(usize::MAX).min(bytes.len());
                let whole = |count: usize| count as u64 == *length;
                let count = ready!(poll_data(stream, cx, &bytes[..most], whole))?;
                *length -= count as u64;
                (count, *length == 0)
            }
            Left::Chunks(chunks) => match chunks.next(bytes).map_err(|_| None)? {
                (count, Piece::Framing) => (count, false),
                (count, Piece::End(section)) => {
                    match trailers::read(section, &mut Fields::default()) {
                        Some(trailers) => stream.send_trailers(trailers)?,
                        None => stream.send_data(Bytes::new(), true)?,
                    }
                    (count, true)
                }
                (_, Piece::Data(data)) => {
                    let end = Chunks::plain_end(&bytes[data.len()..]);
                    let whole = |count: usize| count == data.len() && end.is_some();
                    let count = ready!(poll_data(stream, cx, data, whole))?;
                    chunks.take(count);
                    match end.filter(|_| count == data.len()) {
                        Some(end) => (count + end, true),
                        None => (count, false),
                    }
                }
            },
        };
        if ends {
            self.up = Up::Sent;
        }
        Poll::Ready(Ok(count))
    }

    /// Sees that there is text or data to be read, or that there will be none.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.read == self.text.len() && self.piece.is_empty() {
            self.text.clear();
            self.read = 0;
            match ready!(self.poll_next(cx)) {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    self.broke(error);
                    break;
                }
            }
        }
        Poll::Ready(())
    }

    /// Takes what comes next of the answer; false if nothing will.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, h2::Error>> {
        match &mut self.down {
            Down::Unasked => Poll::Pending,
            Down::End | Down::Broken => Poll::Ready(Ok(false)),
            Down::Head { .. } => self.poll_head(cx),
            Down::Body(stream, framing) => {
                match ready!(stream.poll_data(cx)).transpose()? {
                    Some(data) if *framing == Framing::None => {
                        stream.flow_control().release_capacity(data.len())?;
                    }
                    Some(data) if *framing == Framing::Chunked && !data.is_empty() => {
                        self.text.extend_from_slice(format!("{:x}\r\n", data.len()).as_bytes());
                        self.piece = data;
                    }
                    Some(data) => self.piece = data,
                    None => {
                        let Down::Body(stream, framing) =
                            std::mem::replace(&mut self.down, Down::End)
                        else {
                            unreachable!("it was a body")
                        };
                        self.down = Down::Trailers(stream, framing);
                    }
                }
                Poll::Ready(Ok(true))
            }
            Down::Trailers(stream, framing) => {
                let section = ready!(stream.poll_trailers(cx))?;
                if *framing == Framing::Chunked {
                    trailers::write(section.as_ref(), &mut self.text);
                }
                self.down = Down::End;
                Poll::Ready(Ok(true))
            }
        }
    }

    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, h2::Error>> {
        let Down::Head { response, is_head, socket } = &mut self.down else {
            unreachable!("a head is read once")
        };
        let text = &mut self.text;
        let next = match response.poll_informational(cx) {
            Poll::Ready(Some(interim)) => {
                let interim = interim?;
                from_dyno::interim(interim.status(), interim.headers(), text).map(|()| None)
            }
            Poll::Ready(None) | Poll::Pending => {
                let (head, stream) = ready!(Pin::new(response).poll(cx))?.into_parts();
                let asked = from_dyno::Asked { is_head: *is_head, socket: socket.as_deref() };
                let ended = stream.is_end_stream();
                let framing = from_dyno::head(head.status, &head.headers, asked, ended, text);
                self.left = match framing {
                    Ok(Framing::None) => 0,
                    Ok(Framing::Stated) => from_dyno::stated(&head.headers),
                    _ => u64::MAX,
                };
                framing.map(|framing| Some(Down::Body(stream, framing)))
            }
        };
        match next {
            Ok(down) => {
                if let Some(down) = down {
                    self.down = down;
                }
            }
            Err(from_dyno::Malformed) => {
                self.text.clear();
                self.cause = Some(Cause::Fault(Fault::BadResponse));
                self.reset(Reason::PROTOCOL_ERROR);
                self.down = Down::Broken;
            }
        }
        Poll::Ready(Ok(true))
    }

    /// Notes what an error says, and of whom.
    fn broke(&mut self, error: h2::Error) -> io::Error {
        let refused = error.is_reset() && error.reason() == Some(Reason::REFUSED_STREAM);
        let cause = match (error.is_io(), error.is_remote()) {
            (true, _) => None,
            (_, true) if refused || error.is_go_away() => Some(Cause::Unprocessed),
            (_, true) => None,
            // The library broke it off, because the dyno broke the rules.
            (_, false) => Some(Cause::Fault(Fault::BadResponse)),
        };
        if !error.is_reset() {
            self.seat.close();
        }
        let ended = error.get_io().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe);
        // An end is one in order only as long as nothing was promised.
        let is_orderly = ended && matches!(self.down, Down::Unasked | Down::Head { .. });
        if !matches!(self.down, Down::End) {
            self.down = if is_orderly { Down::End } else { Down::Broken };
        }
        self.cause = self.cause.or(cause);
        self.up = Up::Sent;
        io::ErrorKind::ConnectionReset.into()
    }

    fn reset(&mut self, reason: Reason) {
        if let Up::Body(stream, _) = &mut self.up {
            stream.send_reset(reason);
        }
        self.up = Up::Sent;
    }
}

/// Sends of `data` what there is room for; `ends` says whether so many bytes are the last.
fn poll_data(
    stream: &mut SendStream<Bytes>,
    cx: &mut Context<'_>,
    data: &[u8],
    ends: impl FnOnce(usize) -> bool,
) -> Poll<Result<usize, Option<h2::Error>>> {
    let most = data.len().min(MAX_PIECE);
    stream.reserve_capacity(most);
    while stream.capacity() == 0 {
        match ready!(stream.poll_capacity(cx)) {
            Some(granted) => granted.map(|_| ())?,
            // The dyno takes no more.
            None => return Poll::Ready(Err(None)),
        }
    }
    let count = stream.capacity().min(most);
    stream.send_data(Bytes::copy_from_slice(&data[..count]), ends(count))?;
    Poll::Ready(Ok(count))
}

impl Carrier for Call {
    fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_fill(cx).map(Ok)
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut Vec<u8>) -> Poll<io::Result<usize>> {
        let before = buffer.len();
        while buffer.len() < buffer.capacity() {
            let room = buffer.capacity() - buffer.len();
            if self.read < self.text.len() {
                let count = room.min(self.text.len() - self.read);
                buffer.extend_from_slice(&self.text[self.read..self.read + count]);
                self.read += count;
            } else if !self.piece.is_empty() {
                let count = room.min(self.piece.len());
                buffer.extend_from_slice(&self.piece[..count]);
                self.piece.advance(count);
                self.left = self.left.saturating_sub(count as u64);
                if let Down::Body(stream, framing) = &mut self.down {
                    // A connection that broke meanwhile is told of by the next poll.
                    let _ = stream.flow_control().release_capacity(count);
                    if self.piece.is_empty() && *framing == Framing::Chunked {
                        self.text.clear();
                        self.text.extend_from_slice(b"\r\n");
                        self.read = 0;
                    }
                }
            } else {
                match self.poll_fill(cx) {
                    Poll::Ready(()) if self.has_come() && self.read < self.text.len() => {}
                    Poll::Ready(()) if !self.piece.is_empty() => {}
                    _ => break,
                }
            }
        }
        match (buffer.len() - before, &self.down) {
            (0, Down::End) => Poll::Ready(Ok(0)),
            (0, Down::Broken) => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
            (0, _) => Poll::Pending,
            (count, _) => Poll::Ready(Ok(count)),
        }
    }

    fn has_come(&mut self) -> bool {
        let ended = matches!(self.down, Down::End | Down::Broken);
        ended || self.read < self.text.len() || !self.piece.is_empty()
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &self.up {
            _ if bytes.is_empty() => Poll::Ready(Ok(0)),
            Up::Head(_) => self.poll_ask(cx, bytes),
            Up::Body(..) => self.poll_body(cx, bytes),
            Up::Sent => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }

    fn poll_shutdown(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Up::Body(stream, _) = &mut self.up {
            // Whatever it says, there is nothing left to be said.
            let _ = stream.send_data(Bytes::new(), true);
            self.up = Up::Sent;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        match &mut self.up {
            Up::Body(stream, _) => stream.poll_reset(cx).map(|_| End::Broken),
            Up::Head(_) | Up::Sent => Poll::Pending,
        }
    }

    fn poll_broken(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.poll_end(cx).map(|_| ())
    }

    fn break_off(&mut self, fault: Option<Fault>) {
        if matches!(fault, Some(Fault::RequestTimeout | Fault::IdleConnection | Fault::BadResponse))
        {
            // It may be the dyno's machine that is gone: others should not wait for it too. And one
            // that breaks the rules may go on sending what nobody reads.
            self.seat.close();
        }
        self.reset(Reason::CANCEL);
    }

    fn see_off(&mut self) {
        if self.left > 0 || !matches!(self.up, Up::Sent) {
            return;
        }
        let Down::Body(mut stream, _) = std::mem::replace(&mut self.down, Down::End) else {
            return;
        };
        if stream.is_end_stream() {
            return;
        }
        // The stream is one of the connection's for as long.
        let seat = self.seat.beside();
        tokio::task::spawn_local(async move {
            let ended = async { while let Some(Ok(_)) = stream.data().await {} };
            // One that goes on for longer is reset when it is dropped.
            let _ = tokio::time::timeout(AFTERWARDS, ended).await;
            drop((stream, seat));
        });
    }

    fn unacknowledged(&mut self) -> usize {
        0
    }

    fn cause(&self) -> Option<Cause> {
        self.cause
    }
}
