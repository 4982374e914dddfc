//! One attempt on one connection: the request up and the answer down, at once.
//!
//! Invariants: both directions are polled in one task, so that an answer can overtake its request
//! and a slow side holds back the other; the deadline is the first byte's once the request is sent,
//! and otherwise moves with every byte; a client that leaves while its dyno works is noticed.

use std::{
    future::poll_fn,
    task::{Context, Poll},
};

use super::{
    Exchange,
    answer::{Answer, Over},
    decide,
    upload::Upload,
};
use crate::{
    error::Fault,
    serve::{buffers::COMMON, dyno::Connection, edge::Client, stream::Heard, worker::Worker},
};

/// Why an attempt did not end with a whole answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failure {
    /// What the client is told, unless another attempt does better.
    pub fault: Fault,
    /// No byte of the request was written to the socket.
    pub unsent: bool,
    /// The connection ended before a byte of an answer came.
    pub unanswered: bool,
}

/// Carries the exchange over `dyno`.
pub async fn run(
    worker: &Worker,
    client: &mut Client,
    dyno: &mut Connection,
    exchange: &mut Exchange,
) -> Result<(Over, bool), Failure> {
    // While a dyno was sought and dialled, a part of the body may have come.
    decide::take_body(exchange, client).map_err(|fault| Failure {
        fault,
        unsent: true,
        unanswered: false,
    })?;
    let mut relay = Relay {
        upload: Upload::default(),
        answer: Answer::new(invitation(worker, client, exchange)),
        sent: false,
    };
    client.timer.set(worker.settings.timeouts.idle);
    let over = poll_fn(|cx| relay.poll(cx, worker, client, dyno, exchange)).await;
    let sent = relay.upload.is_whole(client, exchange);
    exchange.committed = relay.answer.committed;
    match over {
        Ok(over) => {
            let reusable = relay.answer.reusable && sent && dyno.stream.pending().is_empty();
            exchange.persists &= sent;
            Ok((over, reusable))
        }
        Err(fault) => Err(Failure {
            fault,
            unsent: relay.upload.sent == 0,
            unanswered: !relay.answer.begun
                && matches!(fault, Fault::ClosedWithoutResponse | Fault::ServerInterrupted),
        }),
    }
}

/// The 100 that a client waits for before it sends its body (RFC 9110, section 10.1.1).
fn invitation(
    worker: &Worker,
    client: &Client,
    exchange: &mut Exchange,
) -> Option<crate::serve::buffers::Buf> {
    let facts = exchange.facts.as_mut()?;
    let invited = std::mem::take(&mut facts.expects_continue);
    if !invited || exchange.body.is_done() || !client.stream.pending().is_empty() {
        return None;
    }
    let mut out = worker.buffers.common();
    out.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
    Some(out)
}

struct Relay {
    upload: Upload,
    answer: Answer,
    /// The request was all sent and the time for the first byte runs.
    sent: bool,
}

impl Relay {
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        worker: &Worker,
        client: &mut Client,
        dyno: &mut Connection,
        exchange: &mut Exchange,
    ) -> Poll<Result<Over, Fault>> {
        let uploaded = self.upload.poll(cx, worker, client, dyno, exchange)?.is_ready();
        let whole = uploaded && self.upload.is_whole(client, exchange);
        let answered = self.answer.poll(cx, worker, client, dyno, exchange, whole)?;
        if answered.is_ready() {
            return answered.map(Ok);
        }
        if worker.cut.get() {
            return Poll::Ready(Err(Fault::ForcedClose));
        }
        if uploaded && !self.answer.waits_for_client && self.client_left(cx, worker, client) {
            return Poll::Ready(Err(Fault::ClientInterrupted));
        }
        self.keep_time(worker, client, uploaded).map(Err)
    }

    /// Sets the deadline after progress, or says whose silence ended the attempt.
    fn keep_time(&mut self, worker: &Worker, client: &Client, uploaded: bool) -> Poll<Fault> {
        let timeouts = &worker.settings.timeouts;
        let moved = std::mem::take(&mut self.upload.moved) | std::mem::take(&mut self.answer.moved);
        if uploaded && !self.sent && !self.answer.begun {
            self.sent = true;
            client.timer.set(timeouts.first_byte);
        } else if moved && (self.answer.begun || !uploaded) {
            client.timer.set(timeouts.idle);
        }
        if !client.timer.is_over() {
            return Poll::Pending;
        }
        let client_is_silent =
            self.answer.waits_for_client || (!uploaded && self.upload.waits_for_client);
        Poll::Ready(match (client_is_silent, self.answer.begun) {
            (true, _) => Fault::ClientIdle,
            (false, true) => Fault::IdleConnection,
            (false, false) => Fault::RequestTimeout,
        })
    }

    /// Has the client ended its side while the dyno works? What it sends meanwhile is kept, up to a
    /// buffer: the next request, pipelined.
    fn client_left(&self, cx: &mut Context<'_>, worker: &Worker, client: &mut Client) -> bool {
        while client.stream.make_room(COMMON) {
            match client.stream.poll_hear(cx, &worker.buffers) {
                Poll::Ready(Heard::Bytes) => {}
                Poll::Ready(Heard::End | Heard::Broken) => return true,
                Poll::Pending => return false,
            }
        }
        false
    }
}
