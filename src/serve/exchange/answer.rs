//! The answer on its way to the client: interim heads, the final head, the body.
//!
//! Invariants: nothing of an answer is written before its head was judged; the body's first bytes
//! go out with the head where they fit; nothing is read from the dyno while the client has not
//! taken what was read before; the dyno's place is free before the last of the answer is written.

use std::{
    task::{Context, Poll, ready},
    time::Duration,
};

use super::{Exchange, Facts, affinity, upgrade};
use crate::{
    error::Fault,
    live::Said,
    serve::{
        buffers::Buf,
        dyno::Connection,
        edge::Client,
        splice::{self, Conduit, Filled},
        stream::{Heard, MAX_HELD},
        worker::Worker,
    },
    wire::{
        framing::{Body, Coding},
        head::{Fields, Finder},
        load,
        name::Name,
        response::{Refusal, Response},
        rewrite::{self, Persistence},
    },
};

/// The most interim answers before the final one.
const MAX_INTERIM: u32 = 32;

#[derive(Debug)]
enum State {
    /// Before the end of a head.
    Head(Finder),
    /// In the body of the final answer.
    Body,
    /// All of the answer came from the dyno.
    Whole,
    /// A 101 was written: what follows is another protocol.
    Switched,
}

/// How far the answer has come.
#[derive(Debug)]
pub struct Answer {
    state: State,
    body: Body,
    coding: Coding,
    /// Heads, and bodies that fitted behind them, that the client has not taken yet.
    out: Option<Buf>,
    conduit: Conduit,
    interim: u32,
    continued: Continued,
    /// How long the dyno says that it keeps its idle connection.
    idle: Option<Duration>,
    /// Bytes that the client's socket took.
    pub written: u64,
    /// A byte of an answer came from the dyno.
    pub begun: bool,
    /// The client took bytes that no other answer can follow: a part of a head, or a final one.
    pub committed: bool,
    /// The dyno's connection may carry another exchange.
    pub reusable: bool,
    /// Whoever polls has something to do before any of it is written: it is pending, and wakes
    /// nobody, when its first bytes have come.
    pub stops: bool,
    /// Bytes moved since the flag was last lowered.
    pub moved: bool,
    /// The client is the one who is waited for.
    pub waits_for_client: bool,
}

/// Who invites the client to send its body, and whether that happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Continued {
    /// Nobody: the client does not wait for it.
    Unasked,
    /// The router did.
    Here,
    /// The dyno is to.
    Awaited,
    /// The dyno did.
    There,
}

/// What is over when [`Answer::poll`] is ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// The whole answer was written.
    Answer,
    /// The 101 was written.
    Switch,
}

impl Answer {
    /// An answer of which nothing has come; `first` goes to the client before it.
    pub fn new(continued: Continued, first: Option<Buf>) -> Answer {
        Answer {
            state: State::Head(Finder::default()),
            body: Body::Done,
            coding: Coding::Keep,
            out: first,
            conduit: Conduit::default(),
            interim: 0,
            continued,
            idle: None,
            written: 0,
            begun: false,
            committed: false,
            reusable: false,
            stops: false,
            moved: false,
            waits_for_client: false,
        }
    }

    /// Is the client waiting for a 100 that the dyno has not sent?
    pub fn awaits_continue(&self) -> bool {
        self.continued == Continued::Awaited
    }

    /// Did the dyno go over to another protocol?
    pub fn has_switched(&self) -> bool {
        matches!(self.state, State::Switched)
    }

    /// How long the dyno's connection may be idle before its next exchange, if it may have one.
    pub fn kept_for(&self, most: Duration) -> Option<Duration> {
        self.reusable.then_some(self.idle.unwrap_or(most).min(most)).filter(|idle| !idle.is_zero())
    }

    /// How many bytes the client's socket has not taken of those that came from the dyno.
    pub fn unwritten(&self, dyno: &Connection) -> usize {
        let out = self.out.as_ref().map_or(0, |out| out.pending().len());
        out + dyno.stream.accepted() + self.conduit.held()
    }

    /// Moves what can be moved. `sent` says that all of the request was sent.
    pub fn poll(
        &mut self,
        cx: &mut Context<'_>,
        worker: &Worker,
        client: &mut Client,
        dyno: &mut Connection,
        exchange: &mut Exchange,
        sent: bool,
    ) -> Poll<Result<Over, Fault>> {
        loop {
            if matches!(self.state, State::Body) && self.body.is_done() {
                self.state = State::Whole;
                // Where nothing of it was written yet, its head came just now.
                let is_new = !self.committed;
                let came_us = exchange.moments.answered_us;
                // Before the client can have the last of it, and come again.
                exchange.leave_dyno(if is_new { came_us } else { worker.clock.now_us() });
            }
            self.waits_for_client = true;
            ready!(self.poll_flush(cx, worker, client, dyno))?;
            self.waits_for_client = false;
            match &mut self.state {
                State::Whole => return Poll::Ready(Ok(Over::Answer)),
                State::Switched if sent => return Poll::Ready(Ok(Over::Switch)),
                // The request is still on its way up; what the dyno says meanwhile is not held.
                State::Switched => {}
                State::Body => {
                    if splice::is_worthwhile(&dyno.stream, &client.stream.io, &self.body)
                        && ready!(self.poll_splice(cx, worker, dyno, exchange))?
                    {
                        continue;
                    }
                }
                State::Head(finder) => {
                    let pending = dyno.stream.pending();
                    if let Some(len) = finder.find(pending).map_err(|_| Fault::BadResponse)? {
                        self.take_head(worker, dyno, exchange, len, sent)?;
                        continue;
                    }
                    // Such as another protocol's greeting, whose sender waits for an answer.
                    if pending.iter().zip(b"HTTP/1.").any(|(is, should)| is != should) {
                        return Poll::Ready(Err(Fault::BadResponse));
                    }
                }
            }
            let in_head = matches!(self.state, State::Head(_));
            let limit = if in_head { exchange.terms.limits.response_head } else { MAX_HELD };
            if !dyno.stream.make_room(limit) {
                let fault = if in_head { Fault::OversizedHeader } else { Fault::ServerInterrupted };
                return Poll::Ready(Err(fault));
            }
            let heard = ready!(dyno.stream.poll_hear(cx, &worker.buffers));
            if heard == Heard::End && self.has_switched() {
                // The tunnel will hear it again; it begins when the request is sent.
                return Poll::Pending;
            }
            if heard != Heard::Bytes {
                self.take_end(heard)?;
                continue;
            }
            self.moved = true;
            let begins = !std::mem::replace(&mut self.begun, true);
            if begins && self.stops {
                return Poll::Pending;
            }
            if !in_head {
                self.take_body(dyno, exchange)?;
            }
        }
    }

    /// Writes what may be written until nothing of it is left.
    fn poll_flush(
        &mut self,
        cx: &mut Context<'_>,
        worker: &Worker,
        client: &mut Client,
        dyno: &mut Connection,
    ) -> Poll<Result<(), Fault>> {
        while let Some(out) = &mut self.out {
            let written = ready!(client.stream.io.poll_write(cx, out.pending()));
            let written = written.map_err(|_| Fault::ClientInterrupted)?;
            out.consume(written);
            self.written += written as u64;
            self.moved = true;
            // Whole interim heads may be followed by anything.
            self.committed = !out.is_drained() || !matches!(self.state, State::Head(_));
            if out.is_drained() {
                self.out = None;
            }
        }
        while dyno.stream.accepted() > 0 {
            let passed = ready!(dyno.stream.poll_pass(cx, &mut client.stream.io));
            self.written += passed.map_err(|_| Fault::ClientInterrupted)? as u64;
            self.moved = true;
        }
        if !self.conduit.is_empty() {
            let io = &client.stream.io;
            let before = self.written;
            let drained = self.conduit.poll_drain(cx, &worker.pipes, io, &mut self.written);
            self.moved |= self.written > before;
            ready!(drained).map_err(|_| Fault::ClientInterrupted)?;
        }
        Poll::Ready(Ok(()))
    }

    /// Takes bytes of the body into the conduit; answers whether that could be done.
    fn poll_splice(
        &mut self,
        cx: &mut Context<'_>,
        worker: &Worker,
        dyno: &mut Connection,
        exchange: &mut Exchange,
    ) -> Poll<Result<bool, Fault>> {
        let from = &dyno.stream.io;
        match ready!(self.conduit.poll_fill(cx, &worker.pipes, from, &mut self.body)) {
            Filled::Bytes(count) => {
                exchange.bytes += count as u64;
                self.moved = true;
            }
            Filled::End => self.take_end(Heard::End)?,
            Filled::Broken => self.take_end(Heard::Broken)?,
            Filled::Unable => return Poll::Ready(Ok(false)),
        }
        Poll::Ready(Ok(true))
    }

    /// The dyno sends no more.
    fn take_end(&mut self, heard: Heard) -> Result<(), Fault> {
        match self.state {
            State::Body if self.body.ends_with_connection() && heard == Heard::End => {
                self.body = Body::Done;
                Ok(())
            }
            State::Head(_) if !self.begun && heard == Heard::End => {
                Err(Fault::ClosedWithoutResponse)
            }
            _ => Err(Fault::ServerInterrupted),
        }
    }

    /// Judges a whole head and writes it anew.
    fn take_head(
        &mut self,
        worker: &Worker,
        dyno: &mut Connection,
        exchange: &mut Exchange,
        len: usize,
        sent: bool,
    ) -> Result<(), Fault> {
        let facts = exchange.facts.expect("an exchange with a dyno has a request");
        if len > exchange.terms.limits.response_head {
            return Err(Fault::OversizedHeader);
        }
        let bounds = exchange.terms.of_answers();
        let head = &dyno.stream.pending()[..len];
        let mut fields = worker.fields.borrow_mut();
        let response =
            Response::read(head, &mut fields, &bounds, facts.is_head).map_err(fault_of)?;
        if response.status == 101
            && !(facts.upgrade && upgrade::is_asked(&exchange.out, head, &fields))
        {
            return Err(Fault::BadResponse);
        }
        let passes = if response.is_interim() {
            self.take_interim(&response, &facts)?
        } else {
            self.settle_head(worker, &response, &facts, exchange, sent);
            if response.status == 503 || takes_load(exchange) {
                exchange.said = said(head, &fields, exchange);
            }
            true
        };
        if passes {
            let value = affinity::renew(worker, exchange);
            let (terms, is_secure) = (&exchange.terms, facts.is_secure);
            let out = self.out.get_or_insert_with(|| worker.buffers.common());
            worker.clock.with_date(|date| {
                let answer = rewrite::Answer {
                    persistence: persistence(&facts, exchange.persists),
                    date,
                    via: &worker.settings.via,
                    chunked: facts.is_http11,
                    to_head: facts.is_head,
                    hsts: is_secure.then(|| terms.hsts()).flatten(),
                    own_cookie: affinity::own_cookie(&terms.affinity, value.as_ref(), is_secure),
                    keeps_fault: exchange.app.as_ref().is_some_and(|a| a.app.settings.is_router),
                    takes_load: takes_load(exchange),
                };
                rewrite::response(head, &fields, &response, &answer, out);
            });
        }
        drop(fields);
        dyno.stream.consume(len);
        if response.is_interim() {
            self.state = State::Head(Finder::default());
            return Ok(());
        }
        (self.state, self.body) = match response.status {
            // Whatever follows is for the client.
            101 => (State::Switched, Body::Close),
            _ => (State::Body, response.body),
        };
        self.take_body(dyno, exchange)
    }

    /// Counts an interim answer; answers whether it goes on to the client.
    fn take_interim(&mut self, response: &Response, facts: &Facts) -> Result<bool, Fault> {
        self.interim += 1;
        if self.interim > MAX_INTERIM {
            return Err(Fault::BadResponse);
        }
        if response.status == 100 {
            match self.continued {
                Continued::Awaited => self.continued = Continued::There,
                // One request is invited once.
                Continued::There => return Err(Fault::BadResponse),
                Continued::Here => return Ok(false),
                Continued::Unasked => {}
            }
        }
        // An HTTP/1.0 client knows no interim answers (RFC 9110, section 15.2).
        Ok(facts.is_http11)
    }

    /// Notes what the final head decides: how both connections go on, and how the body is coded.
    fn settle_head(
        &mut self,
        worker: &Worker,
        response: &Response,
        facts: &Facts,
        exchange: &mut Exchange,
        sent: bool,
    ) {
        let stripped = matches!(response.body, Body::Chunked(_)) && !facts.is_http11;
        self.coding = if stripped { Coding::Strip } else { Coding::Keep };
        let until_close = stripped || response.body.ends_with_connection();
        // Whoever waited for a 100 and got a final status may or may not send its body.
        let in_step = !self.awaits_continue();
        self.reusable = response.keeps_alive() && !response.body.ends_with_connection() && in_step;
        self.idle = response.idle_s.map(idle_time);
        // An answer that overtakes its request leaves the end of the request unknown.
        exchange.persists =
            facts.keeps_alive && sent && !until_close && in_step && !worker.draining.get();
        exchange.until_close = until_close;
        exchange.status = response.status;
        exchange.moments.answered_us = worker.clock.now_us();
    }

    /// Accepts what has come of the body; what fits goes out with the head.
    fn take_body(&mut self, dyno: &mut Connection, exchange: &mut Exchange) -> Result<(), Fault> {
        let accepted = dyno.stream.accept(&mut self.body, self.coding);
        exchange.bytes += accepted.map_err(|_| match self.committed {
            true => Fault::ServerInterrupted,
            false => Fault::BadResponse,
        })?;
        if let Some(out) = &mut self.out {
            dyno.stream.pour(out);
        }
        Ok(())
    }
}

/// Does the app have its dynos believed what they say of their load?
fn takes_load(exchange: &Exchange) -> bool {
    exchange.app.as_ref().is_some_and(|app| app.balancing.reported_load)
}

/// What the dyno says of itself beside its answer.
fn said(head: &[u8], fields: &Fields, exchange: &Exchange) -> Said {
    let reported = fields.of_kind(Name::LoadMetrics).filter(|_| takes_load(exchange));
    let mut loads = reported.map(|field| load::read(field.value.of(head)));
    let is_wait = |name: &[u8]| name.eq_ignore_ascii_case(b"retry-after");
    let waits = fields.iter().find(|field| is_wait(field.name.of(head)));
    // A date there says when the app is back, which may be a matter of days.
    let seconds = |text: &[u8]| std::str::from_utf8(text).ok()?.parse().ok();
    Said {
        retry_after_s: waits.and_then(|field| seconds(field.value.of(head))),
        load: loads.next().flatten(),
    }
}

/// How the client's connection goes on, as it must be told.
pub fn persistence(facts: &Facts, persists: bool) -> Persistence {
    match (persists, facts.is_http11) {
        (true, true) => Persistence::Implied,
        (true, false) => Persistence::Stated,
        (false, _) => Persistence::Close,
    }
}

/// For how long a connection may be used whose dyno says how long it keeps it: less by what its
/// word may have been on the way, and ours.
fn idle_time(stated_s: u32) -> Duration {
    match stated_s {
        0 => Duration::ZERO,
        1 => Duration::from_millis(500),
        _ => Duration::from_secs(u64::from(stated_s) - 1),
    }
}

fn fault_of(refusal: Refusal) -> Fault {
    match refusal {
        Refusal::Malformed => Fault::BadResponse,
        Refusal::ContentLength => Fault::InvalidContentLength,
        Refusal::StatusLine => Fault::OversizedStatusLine,
        Refusal::Cookie => Fault::OversizedCookie,
        Refusal::Header => Fault::OversizedHeader,
    }
}
