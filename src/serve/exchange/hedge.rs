//! The hedge: a request whose dyno is slow to answer goes to a second dyno too, and one answer
//! counts.
//!
//! 1. The first attempt goes its way. If no byte of an answer has come by `dynos.hedge_after`, a
//!    second dyno is chosen as every dyno is, at once or not at all, within the app's retry budget.
//! 2. It is connected to and given the request, while the first attempt still goes on.
//! 3. Whoever begins to answer first is the exchange's dyno, and the other attempt is given up. An
//!    answer of the second that says that it failed is held back while the first may do better.
//! 4. If the connection of one breaks before, the other goes on alone.
//!
//! Hedged requests: Dean and Barroso, "The Tail at Scale" (CACM, 2013). As in gRPC (proposal A6)
//! and Finagle (BackupRequestFilter) they share the retries' budget, and none is retried.
//! Invariants: a request is sent twice at most, never to one dyno; each lease is settled once, and
//! that of who loses is given up before a byte of the answer is written; until the second is the
//! exchange's, times, faults and leaving are those of the first.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use super::{
    Exchange,
    answer::Over,
    attempt::Past,
    connect,
    moments::Moments,
    relay::{Ended, Failure, Relay, told},
    seek::Seeker,
};
use crate::{
    error::Fault,
    live::Outcome,
    serve::{
        clock,
        dyno::{Connection, Way},
        edge::Client,
        lease::Lease,
        stream::Heard,
        worker::Worker,
    },
};

/// What came of a second dyno that had the request too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hedge {
    /// The first one served it, or none.
    Lost,
    /// It did.
    Won,
}

impl Hedge {
    /// The word of `hedge=`.
    pub fn as_str(self) -> &'static str {
        match self {
            Hedge::Lost => "lost",
            Hedge::Won => "won",
        }
    }
}

/// Carries the exchange over the dyno's connection, or over another's that is quicker: that is then
/// the dyno's.
pub(super) async fn run(
    worker: &Worker,
    client: &mut Client,
    dyno: &mut Connection,
    exchange: &mut Exchange,
    past: &mut Past,
) -> Result<Ended, Failure> {
    let relay = Relay::begin(worker, client, dyno, exchange, 0);
    let may_be_hedged = may_be_hedged(client, exchange, past);
    let mut first = Attempt { worker, client, dyno, exchange, relay };
    if !may_be_hedged {
        return first.finish().await;
    }
    // Finer than the wheel, whose ticks are longer than many an answer takes.
    let mut time = pin!(tokio::time::sleep(first.exchange.terms.dynos.hedge_after));
    match first.beside(|cx, _| time.as_mut().poll(cx)).await {
        Came::Other(()) => {}
        Came::Answer => return first.finish().await,
        Came::End(over) => return first.end(over),
    }
    let Some(mut second) = Second::choose(worker, first.client, first.exchange, past) else {
        return first.finish().await;
    };
    match first.beside(|cx, exchange| second.poll(cx, worker, exchange)).await {
        Came::Other(Ok(())) => first.exchange.give_up_attempt(worker.clock.now_us()),
        Came::Other(Err(fault)) => {
            past.tried.push(second.address());
            second.end(worker, Some(fault));
            return first.finish().await;
        }
        Came::Answer => {
            second.end(worker, None);
            return first.finish().await;
        }
        Came::End(over) => {
            let Attempt { client, dyno, exchange, relay, .. } = first;
            let ended = relay.end(client, dyno, exchange, over);
            let broke = ended.err().filter(|failure| failure.unanswered && second.is_asked());
            let Some(Failure { fault, .. }) = broke else {
                second.end(worker, None);
                return ended;
            };
            exchange.end_attempt_of_more(worker.clock.now_us(), fault);
            return second.take_over(worker, client, dyno, exchange).await;
        }
    }
    let Attempt { client, dyno, exchange, .. } = first;
    second.take_over(worker, client, dyno, exchange).await
}

/// May the request go to a second dyno too? All of it must be there to be sent again, and whoever
/// belongs to one dyno is served by that one.
fn may_be_hedged(client: &Client, exchange: &Exchange, past: &Past) -> bool {
    let Some(facts) = exchange.facts else { return false };
    let is_plain = facts.is_idempotent && !facts.upgrade && !facts.expects_continue;
    let is_whole = exchange.can_be_sent_again() && client.stream.accepted() == 0;
    let is_first = !past.repeated && exchange.hedge.is_none();
    is_plain && is_whole && is_first && exchange.named.is_none()
}

/// The first attempt.
struct Attempt<'a> {
    worker: &'a Worker,
    client: &'a mut Client,
    dyno: &'a mut Connection,
    exchange: &'a mut Exchange,
    relay: Relay,
}

/// What came first.
enum Came<T> {
    /// The first byte of the attempt's answer.
    Answer,
    /// Its end.
    End(Result<Over, Fault>),
    /// What was waited for beside it.
    Other(T),
}

impl Attempt<'_> {
    /// Lets it go on until its answer begins, of which nothing is written then, or something else
    /// is ready.
    async fn beside<T>(
        &mut self,
        mut other: impl FnMut(&mut Context<'_>, &mut Exchange) -> Poll<T>,
    ) -> Came<T> {
        let Attempt { worker, client, dyno, exchange, relay } = self;
        relay.stop_at_answer(true);
        poll_fn(|cx| {
            if let Poll::Ready(over) = relay.poll(cx, worker, client, dyno, exchange) {
                return Poll::Ready(Came::End(over));
            }
            if relay.is_answered() {
                return Poll::Ready(Came::Answer);
            }
            other(cx, exchange).map(Came::Other)
        })
        .await
    }

    /// Lets it go on to its end.
    async fn finish(mut self) -> Result<Ended, Failure> {
        let Attempt { worker, client, dyno, exchange, relay } = &mut self;
        relay.stop_at_answer(false);
        let over = poll_fn(|cx| relay.poll(cx, worker, client, dyno, exchange)).await;
        self.end(over)
    }

    fn end(self, over: Result<Over, Fault>) -> Result<Ended, Failure> {
        self.relay.end(self.client, self.dyno, self.exchange, over)
    }
}

/// The attempt on the second dyno.
struct Second<'a> {
    lease: Lease,
    moments: Moments,
    state: State<'a>,
}

enum State<'a> {
    Connecting(Pin<Box<dyn Future<Output = Result<Connection, Fault>> + 'a>>),
    /// It took so many bytes of the request.
    Asked(Connection, usize),
}

impl<'a> Second<'a> {
    /// Begins one, if there is a place for it at once.
    fn choose(
        worker: &'a Worker,
        client: &Client,
        exchange: &Exchange,
        past: &mut Past,
    ) -> Option<Second<'a>> {
        let now_us = worker.clock.now_us();
        past.tried.push(Arc::as_ptr(exchange.cell()) as usize);
        let lease = Seeker { worker, exchange, past }.second(clock::ms(now_us))?;
        let terms = exchange.terms.clone();
        let way = Way::of(&terms.dynos, lease.app_name(), &client.link);
        let may_reuse = !past.raced && terms.dynos.keep_alive;
        let (app, at) = lease.place();
        let connecting = connect::beside(worker, (app.clone(), at), terms, way, may_reuse);
        let state = State::Connecting(Box::pin(connecting));
        let mut moments = exchange.moments;
        moments.free_us = now_us;
        moments.choose(now_us);
        Some(Second { lease, moments, state })
    }

    /// Ready when it has begun an answer that will do, or why it never will.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        worker: &Worker,
        exchange: &mut Exchange,
    ) -> Poll<Result<(), Fault>> {
        if let State::Connecting(connecting) = &mut self.state {
            let connection = ready!(connecting.as_mut().poll(cx))?;
            self.moments.connect(worker.clock.now_us());
            self.state = State::Asked(connection, 0);
            exchange.hedge = Some(Hedge::Lost);
            count(worker, exchange.lease.as_ref(), false);
        }
        let State::Asked(dyno, sent) = &mut self.state else { return Poll::Pending };
        while let Some(rest) = exchange.out.get(*sent..).filter(|rest| !rest.is_empty()) {
            match dyno.stream.io.poll_write(cx, rest) {
                Poll::Ready(Ok(count)) => *sent += count,
                // One that takes no more may answer all the same.
                Poll::Ready(Err(_)) | Poll::Pending => break,
            }
        }
        loop {
            match will_do(dyno.stream.pending()) {
                Some(true) => return Poll::Ready(Ok(())),
                // It is there if the first one fails.
                Some(false) => return Poll::Pending,
                None => {}
            }
            let fault = match ready!(dyno.stream.poll_hear(cx, &worker.buffers)) {
                Heard::Bytes => continue,
                Heard::End => Fault::ClosedWithoutResponse,
                Heard::Broken => Fault::ServerInterrupted,
            };
            return Poll::Ready(Err(told(dyno, fault).0));
        }
    }

    /// Was it given the request?
    fn is_asked(&self) -> bool {
        matches!(self.state, State::Asked(..))
    }

    /// The address of its dyno's cell.
    fn address(&self) -> usize {
        Arc::as_ptr(&self.lease.dyno().cell) as usize
    }

    /// It failed, or is given up.
    fn end(mut self, worker: &Worker, fault: Option<Fault>) {
        self.lease.settle(&Outcome {
            fault,
            given_up: fault.is_none(),
            was_kept: matches!(&self.state, State::Asked(dyno, _) if dyno.exchanges > 0),
            ..self.moments.outcome(false, worker.clock.now_us())
        });
    }

    /// Is the exchange's attempt from now on, in the place of the first, which was settled.
    async fn take_over(
        self,
        worker: &Worker,
        client: &mut Client,
        dyno: &mut Connection,
        exchange: &mut Exchange,
    ) -> Result<Ended, Failure> {
        let State::Asked(connection, sent) = self.state else {
            unreachable!("it was given the request")
        };
        *dyno = connection;
        let mut slow = exchange.lease.replace(self.lease);
        slow.iter_mut().for_each(Lease::vacate);
        let asked_us = std::mem::replace(&mut exchange.moments, self.moments).connected_us;
        exchange.was_kept = dyno.exchanges > 0;
        let mut relay = Relay::begin(worker, client, dyno, exchange, sent);
        relay.has_waited(Duration::from_micros(worker.clock.now_us().saturating_sub(asked_us)));
        let mut alone = Attempt { worker, client, dyno, exchange, relay };
        if !alone.relay.is_answered()
            && let Came::End(over) = alone.beside(|_, _| Poll::<()>::Pending).await
        {
            return alone.end(over);
        }
        alone.exchange.hedge = Some(Hedge::Won);
        count(worker, slow.take().as_ref(), true);
        alone.finish().await
    }
}

/// Counts a hedge that is sent, or is won, with the app and with the dyno that was slow.
fn count(worker: &Worker, slow: Option<&Lease>, is_won: bool) {
    worker.metrics.borrow_mut().hedge(is_won);
    if let Some(slow) = slow {
        slow.app().cell.figures.count_hedge(&slow.dyno().cell.figures, is_won);
    }
}

/// Does an answer that begins so serve the client as well as one that is waited for? Not if it says
/// that the dyno failed, has no time or goes over to what nobody asked for; nothing is known before
/// its status has come.
fn will_do(answer: &[u8]) -> Option<bool> {
    let &[line @ .., class, tens, ones, after] = answer.first_chunk::<13>()?;
    let is_whole = matches!(&line, b"HTTP/1.0 " | b"HTTP/1.1 ")
        && [class, tens, ones].iter().all(u8::is_ascii_digit)
        && matches!(after, b' ' | b'\r');
    let is_well = (b'1'..=b'4').contains(&class)
        && !matches!(&[class, tens, ones], b"101" | b"408" | b"425" | b"429");
    Some(is_whole && is_well)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_will_do_unless_it_says_that_the_dyno_failed() {
        for (answer, verdict) in [
            ("", None),
            ("HTTP/1.1 ", None),
            ("HTTP/1.1 2", None),
            ("HTTP/1.1 200", None),
            ("HTTP/1.1 200\r", Some(true)),
            ("HTTP/1.0 404 Not Found\r\n", Some(true)),
            ("HTTP/1.1 103 Early Hints\r\n", Some(true)),
            ("HTTP/1.1 503 Service Unavailable\r\n", Some(false)),
            ("HTTP/1.1 101 Switching Protocols\r\n", Some(false)),
            ("HTTP/1.1 408 Request Timeout\r\n", Some(false)),
            ("HTTP/1.1 425 Too Early\r\n", Some(false)),
            ("HTTP/1.1 429 Too Many Requests\r\n", Some(false)),
            ("SSH-2.0-OpenSSH_9.6", Some(false)),
            ("HTTP/1.1 999 ", Some(false)),
            ("HTTP/1.1 20 OK\r\n", Some(false)),
            ("HTTP/1.1 2000 OK\r\n", Some(false)),
            ("HTTP/1.1-200 OK\r\n", Some(false)),
            ("HTTP/1.2 200 OK\r\n", Some(false)),
        ] {
            assert_eq!(will_do(answer.as_bytes()), verdict, "{answer}");
        }
    }
}
