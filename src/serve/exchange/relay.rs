//! One attempt on one connection: the request up and the answer down, at once.
//!
//! Invariants: both directions are polled in one task, so that an answer can overtake its request
//! and a slow side holds back the other; the deadline is the first byte's once the request is sent,
//! and otherwise moves with every byte; a client that leaves while its dyno works is noticed.

use std::{
    task::{Context, Poll},
    time::Duration,
};

use super::{
    Exchange,
    answer::{Answer, Continued, Over},
    patience::{Impatience, Patience, Waits},
    upload::Upload,
};
use crate::{
    error::Fault,
    serve::{buffers::Buf, carrier::Cause, dyno::Connection, edge::Client, worker::Worker},
    wire::rewrite::CONTINUE,
};

/// How an attempt ended that a dyno answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// What is over.
    pub over: Over,
    /// For how long the dyno's connection may be kept; not at all, if that is not said.
    pub kept_for: Option<Duration>,
}

/// Why an attempt did not end with a whole answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failure {
    /// What the client is told, unless another attempt does better.
    pub fault: Fault,
    /// No byte of the request was written to the socket, or the dyno did nothing of it.
    pub unsent: bool,
    /// The connection ended before a byte of an answer came.
    pub unanswered: bool,
}

/// What the dyno's connection knows of the fault, if it is more than a socket: which it is, and
/// whether the dyno did nothing of the request. It is told of it, too.
pub(super) fn told(dyno: &Connection, fault: Fault) -> (Fault, bool) {
    let io = &dyno.stream.io;
    if io.plain().is_some() {
        return (fault, false);
    }
    io.break_off(Some(fault));
    let is_its_own = matches!(fault, Fault::ClosedWithoutResponse | Fault::ServerInterrupted);
    match io.cause().filter(|_| is_its_own) {
        Some(Cause::Fault(known)) => (known, false),
        Some(Cause::Unprocessed) => (Fault::ClosedWithoutResponse, true),
        None => (fault, false),
    }
}

/// May the dyno's connection carry another exchange, as far as the settings say?
fn may_serve_again(exchange: &Exchange, dyno: &Connection) -> bool {
    let most = exchange.terms.dynos.max_requests;
    exchange.terms.dynos.keep_alive && (most == 0 || dyno.exchanges + 1 < most)
}

/// The 100 that a client waits for before it sends its body (RFC 9110, section 10.1.1): whose it is
/// to send, and ours, if it is.
fn invitation(
    worker: &Worker,
    client: &Client,
    exchange: &mut Exchange,
) -> (Continued, Option<Buf>) {
    let expected = exchange.facts.is_some_and(|facts| facts.expects_continue);
    if !expected {
        return (Continued::Unasked, None);
    }
    if exchange.terms.end_to_end_continue {
        return (Continued::Awaited, None);
    }
    let waits = !exchange.body.is_done() && client.stream.pending().is_empty();
    if exchange.invited || !waits {
        return (Continued::Here, None);
    }
    exchange.invited = true;
    let mut out = worker.buffers.common();
    out.extend_from_slice(CONTINUE);
    (Continued::Here, Some(out))
}

/// How far the attempt has come.
pub(super) struct Relay {
    upload: Upload,
    answer: Answer,
    patience: Patience,
    /// The time for the first byte.
    first_byte: Duration,
    /// The request was all sent and that time runs.
    sent: bool,
}

impl Relay {
    /// An attempt on a dyno that took so many bytes of `exchange.out` before, and may have begun to
    /// answer. What has come of the body is in there, or accepted.
    pub fn begin(
        worker: &Worker,
        client: &mut Client,
        dyno: &mut Connection,
        exchange: &mut Exchange,
        sent: usize,
    ) -> Relay {
        // A dyno's connection has served others.
        dyno.stream.modest = client.stream.modest;
        let (continued, invitation) = invitation(worker, client, exchange);
        let mut relay = Relay {
            upload: Upload::after(sent),
            answer: Answer::new(continued, invitation),
            patience: Patience::new(exchange.terms.limits.min_body_rate),
            first_byte: exchange.terms.timeouts.first_byte,
            sent: false,
        };
        relay.answer.begun = !dyno.stream.pending().is_empty();
        let idle = exchange.terms.timeouts.idle;
        relay.patience.renew(client, &dyno.stream.io, Waits::default(), idle);
        relay
    }

    /// So much of the time for the first byte is over before it is sent.
    pub fn has_waited(&mut self, time: Duration) {
        self.first_byte = self.first_byte.saturating_sub(time);
    }

    /// Says whether it stops when a byte of an answer has come, before any is written.
    pub fn stop_at_answer(&mut self, stops: bool) {
        self.answer.stops = stops;
    }

    /// Has a byte of an answer come?
    pub fn is_answered(&self) -> bool {
        self.answer.begun
    }

    /// What the attempt came to.
    pub fn end(
        self,
        client: &Client,
        dyno: &Connection,
        exchange: &mut Exchange,
        over: Result<Over, Fault>,
    ) -> Result<Ended, Failure> {
        let sent = self.upload.is_whole(client, exchange);
        exchange.committed = self.answer.committed;
        match over {
            Ok(over) => {
                exchange.persists &= sent;
                dyno.stream.io.see_off();
                let in_step =
                    sent && dyno.stream.pending().is_empty() && may_serve_again(exchange, dyno);
                let most = exchange.terms.timeouts.pool_idle;
                Ok(Ended { over, kept_for: self.answer.kept_for(most).filter(|_| in_step) })
            }
            Err(fault) => {
                let (fault, unprocessed) = told(dyno, fault);
                let unwritten = self.answer.unwritten(dyno) as u64;
                exchange.bytes = exchange.bytes.saturating_sub(unwritten);
                Err(Failure {
                    fault,
                    unsent: self.upload.sent == 0 || (unprocessed && exchange.can_be_sent_again()),
                    unanswered: !self.answer.begun
                        && matches!(fault, Fault::ClosedWithoutResponse | Fault::ServerInterrupted),
                })
            }
        }
    }

    /// Moves what can be moved of both; ready when the answer is over, or cannot be.
    pub fn poll(
        &mut self,
        cx: &mut Context<'_>,
        worker: &Worker,
        client: &mut Client,
        dyno: &mut Connection,
        exchange: &mut Exchange,
    ) -> Poll<Result<Over, Fault>> {
        let uploaded = self.upload.poll(cx, worker, client, dyno, exchange)?.is_ready();
        let whole = uploaded && self.upload.is_whole(client, exchange);
        match self.answer.poll(cx, worker, client, dyno, exchange, whole)? {
            Poll::Ready(over) => return Poll::Ready(Ok(over)),
            // A dyno that goes over to another protocol without the rest of the request.
            Poll::Pending if uploaded && !whole && self.answer.has_switched() => {
                return Poll::Ready(Err(Fault::ServerInterrupted));
            }
            Poll::Pending => {}
        }
        if worker.cut.get() {
            return Poll::Ready(Err(Fault::ForcedClose));
        }
        let waits = self.waits(uploaded, exchange);
        // Whoever waits for the body sees its end there.
        let half_close = exchange.terms.half_close;
        if !waits.client_sends && client.stream.poll_left(cx, half_close).is_ready() {
            return Poll::Ready(Err(Fault::ClientInterrupted));
        }
        self.keep_time(worker, client, dyno, exchange, waits, uploaded).map(Err)
    }

    fn waits(&self, uploaded: bool, exchange: &Exchange) -> Waits {
        // A large request that is sent may still be in the kernel.
        let underway = uploaded && !self.answer.begun && exchange.streamed;
        Waits {
            client_sends: !uploaded && self.upload.waits_for_client,
            client_takes: self.answer.waits_for_client,
            dyno_takes: underway || (!uploaded && !self.upload.waits_for_client),
            for_continue: self.answer.awaits_continue(),
        }
    }

    /// Sets the deadline after progress, or says whose silence ended the attempt.
    fn keep_time(
        &mut self,
        worker: &Worker,
        client: &Client,
        dyno: &Connection,
        exchange: &mut Exchange,
        waits: Waits,
        uploaded: bool,
    ) -> Poll<Fault> {
        let timeouts = exchange.terms.timeouts;
        let moved = std::mem::take(&mut self.upload.moved) | std::mem::take(&mut self.answer.moved);
        let dyno = &dyno.stream.io;
        if uploaded && !self.sent && !self.answer.begun {
            self.sent = true;
            if exchange.streamed {
                exchange.moments.sent_us = worker.clock.now_us();
            }
            self.patience.renew(client, dyno, waits, self.first_byte);
        } else if moved && (self.answer.begun || !uploaded) {
            self.patience.renew(client, dyno, waits, timeouts.idle);
        }
        let bytes = exchange.bytes_in + self.answer.written;
        Poll::Ready(match self.patience.check(worker, client, dyno, waits, bytes) {
            None => return Poll::Pending,
            Some(Impatience::Slowness) if waits.client_takes && !waits.client_sends => {
                Fault::SlowReader
            }
            Some(Impatience::Slowness) => Fault::ClientTooSlow,
            Some(Impatience::Silence) if waits.client_sends || waits.client_takes => {
                Fault::ClientIdle
            }
            Some(Impatience::Silence) if self.answer.begun => Fault::IdleConnection,
            Some(Impatience::Silence) => Fault::RequestTimeout,
        })
    }
}
