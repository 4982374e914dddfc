//! A connection with TLS: the carrier between a socket and whoever speaks through it.
//!
//! Invariants: a connection that waits holds no buffer, but for a record that has come in part; a
//! record is decrypted only when somebody wants its data, straight into the reader's buffer where
//! that has room for all of it; what is encrypted lies in the worker's one workspace, and what the
//! socket does not take of it is kept here until it does, one record where it took not all before;
//! records that
//! bring no data are bounded, in one go and in a row; an end
//! without TLS's own word for it is an error, so that a cut is never taken for an end; a connection
//! that is dropped in order says that word, one that is broken off does not.

mod duplex;

use std::{
    io::{self, IoSlice},
    mem::{replace, take},
    rc::Rc,
    task::{Context, Poll, Waker, ready},
};

use super::{
    buffers::{Buf, Buffers, LARGE},
    carrier::Carrier,
    queue,
    socket::{End, Socket},
};
use crate::{
    error::Fault,
    tls::{Broken, HANDSHAKE, MAX_DATA, MAX_RECORD, Output, RECORD_HEAD, Session},
};

/// The kinds of records that there are (RFC 8446, appendix B.1).
const KINDS: std::ops::RangeInclusive<u8> = 20..=24;

/// How many bytes of records that bring no data are taken in one go: then others have their turn.
const DATALESS_AT_ONCE: usize = 32 << 10;
/// The most bytes of such records in a row: a handshake, tickets, new keys.
const MAX_DATALESS: usize = 256 << 10;
/// As how many bytes a record counts at least.
const LEAST_RECORD: usize = 1 << 10;
/// The most bytes that are held of a handshake: a greeting, or a chain of certificates.
const MAX_FLIGHT: usize = 32 << 10;

/// A connection with TLS.
#[derive(Debug)]
pub struct Secure {
    socket: Socket,
    session: Session,
    buffers: Rc<Buffers>,
    /// Records as they came.
    incoming: Option<Buf>,
    /// How many bytes of them the session has been handed and not done with: a message in parts.
    handed: usize,
    /// How many bytes of records in a row have brought no data.
    dataless: usize,
    /// Data of a record for which its reader had no room.
    data: Option<Buf>,
    /// Records that the socket has not taken.
    outgoing: Option<Buf>,
    /// How many bytes of data are encrypted at once: twice as many after each time that the socket
    /// took them all, one record's after one that it did not.
    width: usize,
    /// The last byte of data in them is one that their writer was not told of.
    owed: bool,
    /// The last read filled its buffer: the next may take a large one.
    bulk: bool,
    /// The first record has come.
    begun: bool,
    /// The other side said that it sends no more.
    ended: bool,
    /// Nothing more is said: our end was, or the session failed, or is broken off.
    silent: bool,
}

/// Why there is no connection after a handshake.
#[derive(Debug)]
pub enum Refused {
    /// The other side left.
    Gone,
    /// What came is not TLS, and begins with this byte.
    NotTls(u8),
    /// TLS did not come about; the other side is told why.
    Failed(Broken),
}

impl Secure {
    /// A session that is about to begin on a socket.
    pub fn new(socket: Socket, session: Session, buffers: Rc<Buffers>) -> Secure {
        Secure {
            socket,
            session,
            buffers,
            incoming: None,
            handed: 0,
            dataless: 0,
            data: None,
            outgoing: None,
            width: MAX_DATA,
            owed: false,
            bulk: false,
            begun: false,
            ended: false,
            silent: false,
        }
    }

    /// The session.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// Lets the other side be told something without TLS, which it does not speak.
    pub fn tell(&mut self, text: &[u8]) {
        self.silent = true;
        keep(&mut self.outgoing, &self.buffers, text);
    }

    /// Sees that the other side can read why there is no connection: sends it, ends our direction,
    /// and reads what still comes, at most `left` bytes. A close with unread input would reset.
    pub fn poll_part(&mut self, cx: &mut Context<'_>, left: &mut usize) -> Poll<io::Result<()>> {
        ready!(self.poll_shutdown(cx))?;
        while *left > 0 {
            self.incoming = None;
            self.handed = 0;
            ready!(self.poll_fill(cx))?;
            let count = self.incoming.as_ref().map_or(0, |incoming| incoming.len());
            *left = left.saturating_sub(count);
        }
        Poll::Ready(Ok(()))
    }

    /// Says what the connecting side says first.
    ///
    /// # Errors
    /// If the session cannot begin.
    pub fn greet(&mut self) -> Result<(), Broken> {
        // What comes is an answer, a refusal among them, and the session's own to judge.
        self.begun = true;
        let buffers = self.buffers.clone();
        buffers.with_workspace(|workspace| {
            let mut output = Output::new(workspace);
            self.session.take(&mut [], &mut Vec::new(), &mut output)?;
            keep(&mut self.outgoing, &self.buffers, output.written());
            Ok(())
        })
    }

    /// Does the handshake.
    pub fn poll_handshake(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Refused>> {
        let before = self.dataless;
        loop {
            if let Poll::Ready(Err(_)) = self.poll_send(cx) {
                return Poll::Ready(Err(Refused::Gone));
            }
            if !self.session.is_handshaking() {
                return Poll::Ready(Ok(()));
            }
            let first = self.incoming.as_ref().map(|incoming| incoming.pending()[0]);
            if let Some(first) = first.filter(|first| !self.begun && *first != HANDSHAKE) {
                return Poll::Ready(Err(Refused::NotTls(first)));
            }
            self.begun |= first.is_some();
            if let Some(end) = self.record() {
                ready!(self.poll_turn(cx, before));
                if let Err(broken) = self.take_record(end, &mut Vec::new()) {
                    return Poll::Ready(Err(Refused::Failed(broken)));
                }
            } else if let Err(error) = ready!(self.poll_fill(cx)) {
                let broken = error.downcast().map_or(Refused::Gone, Refused::Failed);
                return Poll::Ready(Err(broken));
            }
        }
    }

    /// Where the next record ends in what has come, if it is whole, or cannot be one.
    fn record(&self) -> Option<usize> {
        let incoming = self.incoming.as_ref()?.pending();
        let rest = &incoming[self.handed..];
        let &[kind, _, _, high, low] = rest.first_chunk::<RECORD_HEAD>()?;
        let len = RECORD_HEAD + usize::from(u16::from_be_bytes([high, low]));
        if len > MAX_RECORD || !KINDS.contains(&kind) {
            // The session says what is wrong with it.
            return Some(incoming.len());
        }
        (rest.len() >= len).then_some(self.handed + len)
    }

    /// Ready if another record may be taken in one go, which began with `before` dataless bytes.
    fn poll_turn(&self, cx: &mut Context<'_>, before: usize) -> Poll<()> {
        if self.dataless < before + DATALESS_AT_ONCE {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Takes the record that ends at `end`.
    fn take_record(&mut self, end: usize, data: &mut Vec<u8>) -> Result<(), Broken> {
        let Some(incoming) = &mut self.incoming else { return Ok(()) };
        let (before, len) = (data.len(), (end - self.handed).max(LEAST_RECORD));
        let buffers = self.buffers.clone();
        let taken = buffers.with_workspace(|workspace| {
            let mut output = Output::new(workspace);
            let taken = self.session.take(&mut incoming.pending_mut()[..end], data, &mut output);
            keep(&mut self.outgoing, &self.buffers, output.written());
            taken
        });
        self.silent |= taken.is_err();
        let taken = taken?;
        self.ended |= taken.ended;
        self.handed = end - taken.consumed;
        incoming.consume(taken.consumed);
        if incoming.is_drained() {
            self.incoming = None;
        }
        self.dataless = if data.len() > before { 0 } else { self.dataless + len };
        if self.dataless > MAX_DATALESS {
            self.silent = true;
            return Err(Broken::dataless());
        }
        Ok(())
    }

    /// Reads more of a record; an end is an error.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.socket.poll_readable(cx))?;
        let bulk = self.bulk;
        let fresh = || if bulk { self.buffers.large() } else { self.buffers.common() };
        let mut incoming = self.incoming.take().unwrap_or_else(fresh);
        if incoming.room() == 0 && incoming.compact() == 0 {
            let most = if self.session.is_handshaking() { MAX_FLIGHT } else { LARGE };
            if incoming.len() >= most {
                return Poll::Ready(Err(Broken::dataless().into()));
            }
            if most < LARGE {
                incoming.grow(most);
            } else {
                let mut large = self.buffers.large();
                large.extend_from_slice(incoming.pending());
                incoming = large;
            }
        }
        let read = self.socket.poll_read(cx, &mut incoming);
        if let Poll::Ready(Ok(count)) = read {
            self.bulk = count > 0 && incoming.room() == 0;
        }
        self.incoming = Some(incoming).filter(|incoming| !incoming.is_drained());
        match ready!(read)? {
            0 => Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
            _ => Poll::Ready(Ok(())),
        }
    }

    /// Reads data behind `buffer`, which has room; 0 is the end.
    fn poll_data(&mut self, cx: &mut Context<'_>, buffer: &mut Vec<u8>) -> Poll<io::Result<usize>> {
        let before = buffer.len();
        let dataless = self.dataless;
        loop {
            if let Some(data) = &mut self.data {
                let count = data.pending().len().min(buffer.capacity() - buffer.len());
                buffer.extend_from_slice(&data.pending()[..count]);
                data.consume(count);
                if data.is_drained() {
                    self.data = None;
                }
            }
            let room = buffer.capacity() - buffer.len();
            let next = self.record().filter(|_| !self.ended);
            let read = buffer.len() - before;
            // A record's data is shorter than the record.
            if read > 0 && next.is_none_or(|end| end - self.handed > room) {
                return Poll::Ready(Ok(read));
            }
            if next.is_some() && self.poll_turn(cx, dataless).is_pending() {
                return if read > 0 { Poll::Ready(Ok(read)) } else { Poll::Pending };
            }
            match next {
                _ if self.ended => return Poll::Ready(Ok(0)),
                None => ready!(self.poll_fill(cx))?,
                Some(end) if end - self.handed <= room => self.take_record(end, buffer)?,
                Some(end) => {
                    let mut data = self.buffers.common();
                    self.take_record(end, &mut data)?;
                    self.data = Some(data).filter(|data| !data.is_drained());
                }
            }
        }
    }

    /// Sends what the socket has not taken yet.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(outgoing) = &mut self.outgoing {
            outgoing.consume(ready!(self.socket.poll_write(cx, outgoing.pending()))?);
            if outgoing.is_drained() {
                self.outgoing = None;
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Encrypts what there is room for of `pieces` and offers it to the socket; answers how many
    /// bytes were encrypted. Nothing may be waiting.
    fn seal(&mut self, cx: &mut Context<'_>, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        if self.silent {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let buffers = self.buffers.clone();
        buffers.with_workspace(|workspace| {
            let mut output = Output::new(workspace);
            let most = output.data_room().min(self.width);
            let mut taken = 0;
            for piece in pieces {
                let count = piece.len().min(most - taken).min(output.data_room());
                let handed = handed(&mut self.incoming, self.handed);
                self.session.seal(handed, &piece[..count], &mut output)?;
                taken += count;
            }
            let mut left = output.written();
            while !left.is_empty() {
                match self.socket.poll_write(cx, left) {
                    Poll::Ready(count) => left = &left[count?..],
                    Poll::Pending => break,
                }
            }
            if !left.is_empty() {
                self.width = MAX_DATA;
            } else if taken == most {
                self.width = most * 2;
            }
            keep(&mut self.outgoing, &self.buffers, left);
            Ok(taken)
        })
    }

    /// Says that nothing more follows, if nothing else was.
    fn say_end(&mut self) {
        if replace(&mut self.silent, true) || self.session.is_handshaking() {
            return;
        }
        let buffers = self.buffers.clone();
        buffers.with_workspace(|workspace| {
            let mut output = Output::new(workspace);
            // Whoever cannot say it says nothing: the other side sees a cut.
            let _ = self.session.close(handed(&mut self.incoming, self.handed), &mut output);
            keep(&mut self.outgoing, &self.buffers, output.written());
        });
    }
}

impl Carrier for Secure {
    fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // What fails here fails the next write too.
        let _ = self.poll_send(cx);
        if self.data.is_some() || self.record().is_some() || self.ended {
            return Poll::Ready(Ok(()));
        }
        self.socket.poll_readable(cx)
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut Vec<u8>) -> Poll<io::Result<usize>> {
        let read = self.poll_data(cx, buffer);
        let _ = self.poll_send(cx);
        read
    }

    fn has_come(&mut self) -> bool {
        if self.data.is_some() || self.ended {
            return true;
        }
        // It may be something that the session keeps to itself. Past the runtime, which says "not
        // yet" of anything once the task has used up what it may do in one go.
        loop {
            if let Some(end) = self.record() {
                let mut data = self.buffers.common();
                if self.take_record(end, &mut data).is_err() || self.ended {
                    return true;
                }
                self.data = Some(data).filter(|data| !data.is_drained());
                if self.data.is_some() {
                    return true;
                }
                continue;
            }
            let mut incoming = self.incoming.take().unwrap_or_else(|| self.buffers.common());
            let read = self.socket.try_fill(&mut incoming);
            self.incoming = Some(incoming).filter(|incoming| !incoming.is_drained());
            match read {
                Ok(count) if count > 0 => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return self.incoming.is_some();
                }
                _ => return true,
            }
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_send(cx))?;
        if take(&mut self.owed) {
            return Poll::Ready(Ok(1));
        }
        let count = self.seal(cx, &[IoSlice::new(bytes)])?;
        self.owed = self.outgoing.is_some() && count > 0;
        // All of it is encrypted; while the socket has not taken it, the writer has a byte left to
        // come back for.
        match count - usize::from(self.owed) {
            0 if self.owed => Poll::Pending,
            count => Poll::Ready(Ok(count)),
        }
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.say_end();
        ready!(self.poll_send(cx))?;
        self.socket.poll_shutdown(cx)
    }

    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        self.socket.poll_end(cx)
    }

    fn poll_broken(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.socket.poll_broken(cx)
    }

    fn break_off(&mut self, _: Option<Fault>) {
        self.silent = true;
        self.socket.reset_on_drop();
    }

    fn holds_back(&self) -> bool {
        self.outgoing.is_some()
    }

    fn unacknowledged(&mut self) -> usize {
        let kept = self.outgoing.as_ref().map_or(0, |outgoing| outgoing.pending().len());
        kept + queue::unacknowledged(&self.socket)
    }
}

impl Drop for Secure {
    fn drop(&mut self) {
        self.say_end();
        // A socket that does not take it at once has a client that does not read.
        let _ = self.poll_send(&mut Context::from_waker(Waker::noop()));
    }
}

/// The bytes that the session has been handed and not done with.
fn handed(incoming: &mut Option<Buf>, count: usize) -> &mut [u8] {
    incoming.as_mut().map_or(&mut [], |incoming| &mut incoming.pending_mut()[..count])
}

/// Keeps records until the socket takes them, which may be long: no more room than they need.
fn keep(outgoing: &mut Option<Buf>, buffers: &Rc<Buffers>, records: &[u8]) {
    if !records.is_empty() {
        let kept = outgoing.get_or_insert_with(|| buffers.none());
        kept.reserve_exact(records.len());
        kept.extend_from_slice(records);
    }
}

impl From<Broken> for io::Error {
    fn from(broken: Broken) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidData, broken)
    }
}

#[cfg(test)]
mod tests;
