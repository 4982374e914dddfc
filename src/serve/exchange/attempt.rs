//! The attempts of one exchange: choose a dyno, connect, carry, and try again where that is safe.
//!
//! An attempt is repeated only if no byte of the request was written to the socket, or once, if the
//! method is idempotent, no byte of an answer came, the cause was not a time-out, and all of the
//! request is still there to be sent; and only as far as the app's retry budget goes. A connect
//! that fails sends nothing and has bounds of its own. Where the app wants it, a slow attempt has
//! another beside it ([`hedge`]).
//!
//! Invariants: every choice loads the table anew; no dyno is tried twice by one exchange while
//! there is another; attempts and their time are bounded.

use std::{future::poll_fn, sync::Arc, time::Duration};

use super::{
    Exchange,
    answer::Over,
    connect::{attended, connect},
    decide, hedge,
    relay::{Ended, Failure, Relay},
    seek::{self, Seeker},
    upgrade,
};
use crate::{
    error::Fault,
    live::Lack,
    serve::{clock, dyno::Connection, edge::Client, lease::Lease, worker::Worker},
};

/// How long a request waits before it is sent a second time, in milliseconds; by chance, so that
/// those that one dyno lost do not come to the others together.
const PAUSE_MS: std::ops::RangeInclusive<u64> = 10..=30;

/// What the attempts before have left.
#[derive(Default)]
pub(super) struct Past {
    /// The cells of the dynos that were tried, by address.
    pub tried: Vec<usize>,
    /// Connects that failed, and connections that broke before a byte was written.
    pub failed: u32,
    /// Why the last of them failed.
    pub last: Option<Fault>,
    /// The request was sent twice.
    pub repeated: bool,
    /// The exchange was held, or a connection failed: its connect took time.
    pub waited: bool,
    /// A connection was lost: a kept one could lose the same race again.
    pub raced: bool,
    /// The dyno that only lost a race, and so is as fit as before.
    lost: Option<usize>,
}

/// Carries the exchange to a dyno and its answer back.
// Not an `async fn`: the future of one holds its arguments twice, and this one is made for every
// request.
#[allow(clippy::manual_async_fn, reason = "the future is smaller this way")]
pub fn run<'a>(
    worker: &'a Worker,
    client: &'a mut Client,
    exchange: &'a mut Exchange,
) -> impl Future<Output = Result<(), Fault>> + 'a {
    async move {
        let mut past = Past::default();
        loop {
            // Between the decision and the first choice no time passes.
            let is_first = exchange.lease.is_none();
            let now_us = if is_first { exchange.moments.began_us } else { worker.clock.now_us() };
            exchange.lease.iter_mut().for_each(Lease::vacate);
            let lease = match choose(worker, exchange, &mut past, clock::ms(now_us)) {
                Ok(lease) => lease,
                Err(lack) => Box::pin(held(worker, client, exchange, &mut past, lack)).await?,
            };
            place(worker, exchange, &past, lease, clock::ms(now_us));
            let now_us = if past.waited { worker.clock.now_us() } else { now_us };
            exchange.moments.choose(now_us);
            exchange.was_kept = false;
            let Some(mut dyno) = connect(worker, client, exchange, &mut past).await? else {
                continue;
            };
            // A connection that was there took no time.
            exchange.was_kept = dyno.exchanges > 0;
            let at_once = exchange.was_kept && !past.waited;
            let connected_us = if at_once { now_us } else { worker.clock.now_us() };
            exchange.moments.connect(connected_us);
            // While a dyno was sought and dialled, a part of the body may have come.
            let ended = match decide::take_body(exchange, client) {
                Err(fault) => Err(Failure { fault, unsent: true, unanswered: false }),
                Ok(()) if exchange.terms.dynos.hedge_after.is_zero() => {
                    let mut relay = Relay::begin(worker, client, &mut dyno, exchange, 0);
                    let carried = poll_fn(|cx| relay.poll(cx, worker, client, &mut dyno, exchange));
                    let over = carried.await;
                    relay.end(client, &dyno, exchange, over)
                }
                Ok(()) => {
                    Box::pin(hedge::run(worker, client, &mut dyno, exchange, &mut past)).await
                }
            };
            match ended {
                Ok(Ended { over: Over::Answer, kept_for }) => {
                    if let Some(idle) = kept_for {
                        keep(worker, exchange, dyno, idle);
                    }
                    return Ok(());
                }
                Ok(Ended { over: Over::Switch, .. }) => {
                    return Box::pin(upgrade::tunnel(worker, client, dyno, exchange)).await;
                }
                Err(failure) => {
                    past.repeat(worker, failure, exchange)?;
                    if past.repeated {
                        Box::pin(pause(worker, client, exchange)).await?;
                    }
                }
            }
        }
    }
}

/// A place at once, if there is one.
fn choose(
    worker: &Worker,
    exchange: &Exchange,
    past: &mut Past,
    now_ms: u64,
) -> Result<Lease, Lack> {
    // The first choice follows the decision without a wait, so its snapshot is the current one.
    let known = exchange.app.as_ref().filter(|_| exchange.lease.is_none());
    let chosen = Seeker { worker, exchange, past }.at_once(known, now_ms);
    match chosen {
        Err(Lack::Unfit(unfit)) if unfit.tried + unfit.struck > 0 && past.lost.is_some() => {
            // There is no other.
            let lost = past.lost.take();
            past.tried.retain(|tried| Some(*tried) != lost);
            choose(worker, exchange, past, now_ms)
        }
        chosen => chosen,
    }
}

/// A place that is waited for.
async fn held(
    worker: &Worker,
    client: &mut Client,
    exchange: &mut Exchange,
    past: &mut Past,
    lack: Lack,
) -> Result<Lease, Fault> {
    // What has no hope does not join the line.
    Seeker { worker, exchange, past }.arm(client, lack)?;
    past.waited = true;
    let given = seek::wait(worker, client, exchange, past, lack).await;
    exchange.moments.end_wait(worker.clock.now_us());
    given
}

/// Gives the exchange its place, behind that of the attempt before if there was one.
fn place(worker: &Worker, exchange: &mut Exchange, past: &Past, lease: Lease, now_ms: u64) {
    if let Some(failed) = &exchange.lease {
        failed.app().cell.figures.count_retry(&failed.dyno().cell.figures);
        worker.metrics.borrow_mut().retry();
    }
    exchange.shadow = Seeker { worker, exchange, past }.shadow(&lease, now_ms);
    exchange.lease = Some(lease);
}

/// Waits before a request is sent a second time, without a place: what took one dyno may be about
/// to take others, as when a machine dies, and there is no third time. (Envoy waits for up to 25 ms
/// as well: its documentation, "Automatic retries".)
async fn pause(worker: &Worker, client: &Client, exchange: &mut Exchange) -> Result<(), Fault> {
    exchange.lease.iter_mut().for_each(Lease::vacate);
    let ms = worker.random.borrow_mut().u64(PAUSE_MS);
    client.timer.set(exchange.terms.timeouts.connect_total);
    let time = tokio::time::sleep(Duration::from_millis(ms));
    attended(worker, client, exchange.terms.half_close, time).await.map(|_| ())
}

/// Keeps a dyno's connection for the next exchange.
fn keep(worker: &Worker, exchange: &Exchange, dyno: Connection, idle: Duration) {
    // As `Pool::take` reads the clock, and never late.
    let until_ms = worker.clock.coarse_ms() + idle.as_millis() as u64;
    worker.dynos.keep(exchange.cell(), dyno, until_ms);
}

impl Past {
    /// Allows another attempt, or answers with the fault.
    fn repeat(
        &mut self,
        worker: &Worker,
        failure: Failure,
        exchange: &mut Exchange,
    ) -> Result<(), Fault> {
        let dynos = &exchange.terms.clone().dynos;
        let idempotent = exchange.facts.is_some_and(|facts| facts.is_idempotent);
        let untouched = failure.unanswered && failure.unsent;
        let again = failure.unanswered && idempotent && exchange.can_be_sent_again();
        let is_second = self.repeated || exchange.hedge.is_some();
        if !untouched && (!again || is_second) {
            return Err(failure.fault);
        }
        let app = exchange.app.as_ref().expect("an attempt follows a decision");
        if !app.cell.allows_retry(worker.clock.now_ms(), dynos.retry_budget) {
            return Err(failure.fault);
        }
        if untouched {
            self.failed += 1;
            if self.failed >= dynos.max_attempts {
                return Err(failure.fault);
            }
        } else {
            self.repeated = true;
        }
        self.raced = true;
        self.waited = true;
        self.lost = Some(Arc::as_ptr(exchange.cell()) as usize);
        self.tried.extend(self.lost);
        exchange.end_attempt_of_more(worker.clock.now_us(), failure.fault);
        Ok(())
    }
}
