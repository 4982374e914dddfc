//! The request on its way to the dyno: the rewritten head, then the body as the client sends it.
//!
//! Invariants: what can be sent again is sent from `out` alone; a dyno that takes no more of the
//! request may still answer it, so that is not a fault here; nothing is read from the client while
//! the dyno has not taken what was read before.

use std::task::{Context, Poll, ready};

use super::Exchange;
use crate::{
    error::Fault,
    serve::{
        dyno::Connection,
        edge::Client,
        splice::{self, Conduit, Filled},
        stream::{Heard, MAX_HELD},
        worker::Worker,
    },
    wire::framing::{Coding, FramingError},
};

/// How far the request has gone.
#[derive(Debug, Default)]
pub struct Upload {
    /// Bytes of `out` that the dyno took.
    pub sent: usize,
    conduit: Conduit,
    /// The dyno takes no more.
    refused: bool,
    /// Bytes moved since the flag was last lowered.
    pub moved: bool,
    /// The client is the one who is waited for.
    pub waits_for_client: bool,
}

impl Upload {
    /// One of which the dyno took so many bytes of `out` before.
    pub fn after(sent: usize) -> Upload {
        Upload { sent, ..Upload::default() }
    }

    /// Is all of the request sent, or as much as the dyno will take?
    pub fn is_over(&self, client: &Client, exchange: &Exchange) -> bool {
        self.refused || self.is_whole(client, exchange)
    }

    /// Is all of the request sent?
    pub fn is_whole(&self, client: &Client, exchange: &Exchange) -> bool {
        self.sent == exchange.out.len()
            && exchange.body.is_done()
            && client.stream.accepted() == 0
            && self.conduit.is_empty()
            && !self.refused
    }

    /// Moves what can be moved; pending is the only way in which it is not over.
    pub fn poll(
        &mut self,
        cx: &mut Context<'_>,
        worker: &Worker,
        client: &mut Client,
        dyno: &mut Connection,
        exchange: &mut Exchange,
    ) -> Poll<Result<(), Fault>> {
        while !self.is_over(client, exchange) {
            self.waits_for_client = false;
            let written = if self.sent < exchange.out.len() {
                let written = dyno.stream.io.poll_write(cx, &exchange.out[self.sent..]);
                if let Poll::Ready(Ok(count)) = written {
                    self.sent += count;
                }
                written
            } else {
                let written = client.stream.poll_pass(cx, &mut dyno.stream.io);
                exchange.streamed |= matches!(written, Poll::Ready(Ok(1..)));
                written
            };
            match written {
                Poll::Ready(Ok(0)) => {}
                Poll::Ready(Ok(_)) => {
                    self.moved = true;
                    continue;
                }
                Poll::Ready(Err(_)) => {
                    self.refused = true;
                    continue;
                }
                Poll::Pending => return Poll::Pending,
            }
            if !self.conduit.is_empty() {
                let mut count = 0;
                let io = &dyno.stream.io;
                let drained = self.conduit.poll_drain(cx, &worker.pipes, io, &mut count);
                self.moved |= count > 0;
                self.refused = ready!(drained).is_err();
                continue;
            }
            self.waits_for_client = true;
            if splice::is_worthwhile(&client.stream, &dyno.stream.io, &exchange.body)
                && ready!(self.poll_splice(cx, worker, client, exchange))?
            {
                continue;
            }
            if !client.stream.make_room(MAX_HELD) {
                return Poll::Ready(Err(Fault::BadChunk));
            }
            match client.stream.poll_hear(cx, &worker.buffers) {
                Poll::Ready(Heard::Bytes) => {
                    self.moved = true;
                    let accepted = client.stream.accept(&mut exchange.body, Coding::Keep);
                    exchange.bytes_in += accepted.map_err(|_: FramingError| Fault::BadChunk)?;
                }
                Poll::Ready(Heard::End | Heard::Broken) => {
                    return Poll::Ready(Err(Fault::ClientInterrupted));
                }
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Takes bytes of the body into the conduit; answers whether that could be done.
    fn poll_splice(
        &mut self,
        cx: &mut Context<'_>,
        worker: &Worker,
        client: &mut Client,
        exchange: &mut Exchange,
    ) -> Poll<Result<bool, Fault>> {
        let from = &client.stream.io;
        match ready!(self.conduit.poll_fill(cx, &worker.pipes, from, &mut exchange.body)) {
            Filled::Bytes(count) => {
                exchange.streamed = true;
                exchange.bytes_in += count as u64;
                self.moved = true;
                Poll::Ready(Ok(true))
            }
            Filled::Unable => Poll::Ready(Ok(false)),
            Filled::End | Filled::Broken => Poll::Ready(Err(Fault::ClientInterrupted)),
        }
    }
}
