//! The byte tunnel behind a 101: whatever comes from one side goes to the other.
//!
//! Invariants: a tunnel that waits holds no buffer but the small one that the log needs; an end of
//! one direction is passed on and the other direction goes on; silence of both sides ends it.

use std::{
    future::poll_fn,
    task::{Context, Poll, ready},
};

use super::Exchange;
use crate::{
    error::Fault,
    serve::{
        dyno::Connection,
        edge::Client,
        stream::{Heard, Stream},
        worker::Worker,
    },
    wire::framing::{Body, Coding},
};

/// Joins the two connections until both directions have ended.
pub async fn tunnel(
    worker: &Worker,
    client: &mut Client,
    mut dyno: Connection,
    exchange: &mut Exchange,
) -> Result<(), Fault> {
    exchange.out.shrink();
    exchange.persists = false;
    let idle = worker.settings.timeouts.idle;
    client.timer.set(idle);
    let (mut up, mut down) = (Direction::default(), Direction::default());
    poll_fn(|cx| {
        let from = &mut client.stream;
        let client_side = up.poll(cx, worker, from, &mut dyno.stream, Fault::ClientInterrupted)?;
        let dyno_side =
            down.poll(cx, worker, &mut dyno.stream, &mut client.stream, Fault::ServerInterrupted)?;
        exchange.bytes += std::mem::take(&mut down.bytes);
        if client_side.is_ready() && dyno_side.is_ready() {
            return Poll::Ready(Ok(()));
        }
        if std::mem::take(&mut up.moved) | std::mem::take(&mut down.moved) {
            client.timer.set(idle);
        }
        if worker.cut.get() {
            return Poll::Ready(Err(Fault::ForcedClose));
        }
        if client.timer.is_over() {
            return Poll::Ready(Err(Fault::IdleConnection));
        }
        Poll::Pending
    })
    .await
}

/// One direction of a tunnel.
#[derive(Default)]
struct Direction {
    /// The end came; it is passed on when all before it is.
    ending: bool,
    ended: bool,
    moved: bool,
    bytes: u64,
}

impl Direction {
    /// Moves bytes; ready once the end was passed on. `broken` is the fault of a reset of `from`.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        worker: &Worker,
        from: &mut Stream,
        to: &mut Stream,
        broken: Fault,
    ) -> Poll<Result<(), Fault>> {
        // Whoever resets the connection that is written to is the other one.
        let other = match broken {
            Fault::ClientInterrupted => Fault::ServerInterrupted,
            _ => Fault::ClientInterrupted,
        };
        while !self.ended {
            if !from.pending().is_empty() {
                // All that comes is accepted; only the first time may some have been read before.
                self.bytes += from.accept(&mut Body::Close, Coding::Keep).map_err(|_| broken)?;
                ready!(from.poll_pass(cx, &mut to.io)).map_err(|_| other)?;
                self.moved = true;
                continue;
            }
            if self.ending {
                // The other side may be gone already; then there is nobody left to tell.
                let _ = ready!(to.io.poll_shutdown(cx));
                self.ended = true;
                continue;
            }
            match ready!(from.poll_hear(cx, &worker.buffers)) {
                Heard::Bytes => {}
                Heard::End => self.ending = true,
                Heard::Broken => return Poll::Ready(Err(broken)),
            }
        }
        Poll::Ready(Ok(()))
    }
}
