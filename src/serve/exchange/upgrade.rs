//! The byte tunnel behind a 101: whatever comes from one side goes to the other.
//!
//! Invariants: a tunnel that waits holds no buffer but the small one that the log needs; an end of
//! one direction is passed on and the other direction goes on; silence of both sides ends it.

use std::{
    future::poll_fn,
    task::{Context, Poll, ready},
};

use super::{
    Exchange,
    patience::{Patience, Waits},
};
use crate::{
    error::Fault,
    serve::{
        dyno::Connection,
        edge::Client,
        stream::{Heard, Stream},
        worker::Worker,
    },
    wire::{
        framing::{Body, Coding},
        head::{Fields, Finder, parse_request},
        name::Name,
    },
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
    let idle = exchange.terms.timeouts.idle;
    let mut patience = Patience::default();
    patience.renew(client, &dyno.stream.io, Waits::default(), idle);
    let (mut up, mut down) = (Direction::default(), Direction::default());
    let ended = poll_fn(|cx| {
        let from = &mut client.stream;
        let client_side = up.poll(cx, worker, from, &mut dyno.stream, Fault::ClientInterrupted)?;
        let dyno_side =
            down.poll(cx, worker, &mut dyno.stream, &mut client.stream, Fault::ServerInterrupted)?;
        exchange.bytes += std::mem::take(&mut down.bytes);
        if client_side.is_ready() && dyno_side.is_ready() {
            return Poll::Ready(Ok(()));
        }
        // An end is passed on by who reads it; a reset is one also where nobody reads.
        if client.stream.poll_left(cx, true).is_ready() {
            return Poll::Ready(Err(Fault::ClientInterrupted));
        }
        let waits = Waits {
            client_takes: !dyno.stream.pending().is_empty(),
            dyno_takes: !client.stream.pending().is_empty(),
            ..Waits::default()
        };
        if std::mem::take(&mut up.moved) | std::mem::take(&mut down.moved) {
            patience.renew(client, &dyno.stream.io, waits, idle);
        }
        if worker.cut.get() {
            return Poll::Ready(Err(Fault::ForcedClose));
        }
        match patience.check(worker, client, &dyno.stream.io, waits, 0) {
            Some(_) => Poll::Ready(Err(Fault::IdleConnection)),
            None => Poll::Pending,
        }
    })
    .await;
    if let Err(fault) = ended {
        // Neither side may take the cut for the other's end.
        client.stream.io.break_off(Some(fault));
        dyno.stream.io.break_off(None);
    }
    match ended {
        // Many a client of a WebSocket waits until its dyno has ended, as it should (RFC 6455,
        // section 7.1.1), and then leaves without TLS's word for it: that interrupts nothing.
        Err(Fault::ClientInterrupted) if down.ended => Ok(()),
        ended => ended,
    }
}

/// Does a 101 go over to protocols that the request in `out` asked for, and no other (RFC 9110,
/// section 7.8)?
pub fn is_asked(out: &[u8], answer: &[u8], answered: &Fields) -> bool {
    let Ok(Some(len)) = Finder::default().find(out) else { return false };
    let request = &out[..len];
    let mut asked = Fields::default();
    parse_request(request, &mut asked).is_ok()
        && protocols(answer, answered).all(|protocol| {
            protocols(request, &asked).any(|other| other.eq_ignore_ascii_case(protocol))
        })
}

fn protocols<'a>(head: &'a [u8], fields: &'a Fields) -> impl Iterator<Item = &'a [u8]> {
    let values = fields.of_kind(Name::Upgrade).map(|field| field.value.of(head));
    let protocols = values.flat_map(|value| value.split(|b| *b == b',')).map(<[u8]>::trim_ascii);
    protocols.filter(|protocol| !protocol.is_empty())
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
                from.accept(&mut Body::Close, Coding::Keep).map_err(|_| broken)?;
                self.bytes += ready!(from.poll_pass(cx, &mut to.io)).map_err(|_| other)? as u64;
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
