//! What an exchange is made of, and the order of its steps.
//!
//! Invariants: every exchange is settled, whatever its steps answer; what it must remember is here,
//! and lives as long as it does.

use std::{rc::Rc, sync::Arc, time::Duration};

use super::{attempt, decide, hedge::Hedge, moments::Moments, receive, settle};
use crate::serve::{
    buffers::Buf, clock, edge::Client, lease::Lease, reply::Format, terms::Terms, worker::Worker,
};
use crate::{
    balance::affinity::Named,
    error::Fault,
    live::{self, LiveApp, Outcome, Said, clients::Admitted, load::InFlight, shadow::ShadowPlace},
    wire::{framing::Body, rewrite::Landmarks},
};

/// How a client's connection goes on after an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// To its next request.
    Request,
    /// It is closed.
    Close,
    /// It is closed once the client had time to read the answer.
    Linger,
}

/// What the exchange must know of the request once its head is rewritten.
#[derive(Debug, Clone, Copy)]
pub struct Facts {
    /// The client speaks HTTP/1.1 and so knows chunks and interim answers.
    pub is_http11: bool,
    /// The method is HEAD.
    pub is_head: bool,
    /// Sending it twice is as good as once.
    pub is_idempotent: bool,
    /// The client may wait for a 100 before it sends its body, and there is one.
    pub expects_continue: bool,
    /// It asks for another protocol.
    pub upgrade: bool,
    /// The client wants its connection to go on.
    pub keeps_alive: bool,
    /// It came over TLS, here or at somebody in front who is trusted to say so.
    pub is_secure: bool,
}

impl Default for Facts {
    /// What is taken for granted of a request whose head could not be read.
    fn default() -> Self {
        Facts {
            is_http11: true,
            is_head: false,
            is_idempotent: false,
            expects_continue: false,
            upgrade: false,
            keeps_alive: false,
            is_secure: false,
        }
    }
}

/// One request and its answer, as far as they have come.
#[derive(Debug)]
pub struct Exchange {
    /// The rewritten head, and the body behind it as far as it fitted: all that a second attempt
    /// sends again.
    pub out: Buf,
    /// Where in `out` the log finds its fields.
    pub marks: Landmarks,
    /// What is known of the request, once its head was accepted.
    pub facts: Option<Facts>,
    /// What the client would like to read, if that is not to be found in a head in `out`.
    pub format: Option<Format>,
    /// What the settings say for it.
    pub terms: Rc<Terms>,
    /// The app that owns the host.
    pub app: Option<Arc<LiveApp>>,
    /// Its place among those that the process carries.
    pub in_flight: Option<InFlight>,
    /// What it counts for its client, if that is limited, until the client may be told of its end.
    pub admitted: Option<Admitted>,
    /// When the client may come again, if it is refused for having come too often.
    pub retry_after: Option<Duration>,
    /// What is still to be accepted of the request's body.
    pub body: Body,
    /// The router has invited the client to send the body.
    pub invited: bool,
    /// Bytes of the body went to a dyno that are not in `out`.
    pub streamed: bool,
    /// The place on the dyno that serves it, or did, or was tried last.
    pub lease: Option<Lease>,
    /// When it came to each of its steps.
    pub moments: Moments,
    /// Its key, where something of its app is decided by it.
    pub key: Option<u64>,
    /// The dyno that its client is to come back to.
    pub named: Option<Named>,
    /// Its place in the shadow of the app.
    pub shadow: Option<ShadowPlace>,
    /// The attempt has a connection that others used before.
    pub was_kept: bool,
    /// Whether the second dyno served it, if it went to one as well.
    pub hedge: Option<Hedge>,
    /// What the dyno said beside its answer.
    pub said: Said,
    /// The status of the final answer whose head was written for the client; 0 before.
    pub status: u16,
    /// Bytes of an answer went to the client that a fault's answer cannot follow.
    pub committed: bool,
    /// The client's connection may carry another exchange after this answer.
    pub persists: bool,
    /// The answer ends with the client's connection.
    pub until_close: bool,
    /// Bytes of body that were written to the client.
    pub bytes: u64,
    /// Bytes of body that the client sent.
    pub bytes_in: u64,
}

/// Carries one request from its head to its settlement.
// Not an `async fn`: the future of one holds its arguments twice.
#[allow(clippy::manual_async_fn, reason = "the future is smaller this way")]
pub fn run<'a>(worker: &'a Rc<Worker>, client: &'a mut Client) -> impl Future<Output = Next> + 'a {
    async move {
        let head_len = match receive::head(worker, client).await {
            Ok(Some(len)) => len,
            Ok(None) => return Next::Close,
            Err(fault) => return Box::pin(settle::refuse(worker, client, b"", fault)).await,
        };
        let mut exchange = Exchange::new(worker);
        let result = match decide::decide(worker, client, head_len, &mut exchange) {
            Ok(()) => attempt::run(worker, client, &mut exchange).await,
            Err(fault) => Err(fault),
        };
        settle::settle(worker, client, &mut exchange, result).await
    }
}

impl Exchange {
    /// An exchange of which nothing is known yet.
    pub fn new(worker: &Worker) -> Exchange {
        Exchange {
            out: worker.buffers.common(),
            marks: Landmarks::default(),
            facts: None,
            format: None,
            terms: worker.terms.clone(),
            app: None,
            in_flight: None,
            admitted: None,
            retry_after: None,
            body: Body::Done,
            invited: false,
            streamed: false,
            lease: None,
            moments: Moments::begin(worker.clock.now_us()),
            key: None,
            named: None,
            shadow: None,
            was_kept: false,
            hedge: None,
            said: Said::default(),
            status: 0,
            committed: false,
            persists: false,
            until_close: false,
            bytes: 0,
            bytes_in: 0,
        }
    }

    /// Did the request come over TLS?
    pub fn is_secure(&self) -> bool {
        self.facts.is_some_and(|facts| facts.is_secure)
    }

    /// When its head was there, in milliseconds.
    pub fn began_ms(&self) -> u64 {
        clock::ms(self.moments.began_us)
    }

    /// The cell of its dyno, or of the one that it had last.
    ///
    /// # Panics
    /// Before it has had one.
    pub fn cell(&self) -> &Arc<live::Cell> {
        let lease = self.lease.as_ref().expect("an attempt has, or has had, a place");
        &lease.dyno().cell
    }

    /// Tells the dyno's cell how the attempt on it ended, unless it was told.
    pub fn end_attempt(&mut self, now_us: u64, fault: Option<Fault>) {
        self.tell(now_us, fault, false);
    }

    /// The same of an attempt that is given up, for another dyno's answer came first.
    pub fn give_up_attempt(&mut self, now_us: u64) {
        self.tell(now_us, None, true);
    }

    fn tell(&mut self, now_us: u64, fault: Option<Fault>, given_up: bool) {
        let Some(lease) = &mut self.lease else { return };
        lease.settle(&Outcome {
            fault,
            given_up,
            status: self.status,
            was_kept: self.was_kept,
            said: self.said,
            ..self.moments.outcome(self.streamed, now_us)
        });
    }

    /// The dyno's part of the exchange is over, well: it may have another, and the client too.
    pub fn leave_dyno(&mut self, now_us: u64) {
        self.end_attempt(now_us, None);
        self.admitted = None;
        self.lease.iter_mut().for_each(Lease::vacate);
        self.shadow = None;
    }

    /// Ends an attempt behind which comes another.
    pub fn end_attempt_of_more(&mut self, now_us: u64, fault: Fault) {
        self.end_attempt(now_us, Some(fault));
        self.shadow = None;
        self.moments.free_us = now_us;
    }

    /// Could another attempt send all of the request again?
    pub fn can_be_sent_again(&self) -> bool {
        self.body.is_done() && !self.streamed
    }
}
