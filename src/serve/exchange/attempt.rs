//! The attempts of one exchange: choose a dyno, connect, carry, and try again where that is safe.
//!
//! An attempt is repeated only if no byte of the request was written to the socket, or once, if the
//! method is idempotent, no byte of an answer came, the cause was not a time-out, and all of the
//! request is still there to be sent. Invariants: every choice loads the table anew; no dyno is
//! tried twice by one exchange while there is another; attempts and their time are bounded.

use std::{
    future::{Future, poll_fn},
    sync::Arc,
    task::Poll,
    time::Duration,
};

use super::{Exchange, answer::Over, relay, upgrade};
use crate::{
    balance::{self, Bar, Candidate, Unfit},
    error::Fault,
    live::{self, LiveApp, LiveDyno},
    route::DynoState,
    serve::{
        dyno::{Connection, dial::dial},
        edge::{Client, accept::lacks_resources},
        lease::Lease,
        stream::{Heard, Stream},
        worker::Worker,
    },
};

/// The first and the longest pause before another look for a dyno where none is fit yet.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// What the attempts before have left.
#[derive(Default)]
struct Past {
    /// The cells of the dynos that were tried, by address.
    tried: Vec<usize>,
    /// Connects that failed.
    failed: u32,
    /// Why the last of them failed.
    last: Option<Fault>,
    /// The request was sent twice.
    repeated: bool,
    /// The dyno that only lost a race, and so is as fit as before.
    lost: Option<usize>,
}

/// Carries the exchange to a dyno and its answer back.
pub async fn run(
    worker: &Worker,
    client: &mut Client,
    exchange: &mut Exchange,
) -> Result<(), Fault> {
    let mut past = Past::default();
    loop {
        // The first choice follows the decision without a wait, so its snapshot is the current one.
        let decided = exchange.app.as_ref().filter(|_| exchange.lease.is_none()).cloned();
        let (app, at) = match choose(worker, decided, exchange, &past) {
            Ok(chosen) => chosen,
            Err(unfit) if unfit.tried > 0 && past.lost.is_some() => {
                // There is no other.
                let lost = past.lost.take();
                past.tried.retain(|tried| Some(*tried) != lost);
                continue;
            }
            Err(unfit) => match past.last {
                Some(fault) if unfit.tried > 0 => return Err(fault),
                _ => Box::pin(hold(worker, client, exchange, &past, unfit)).await?,
            },
        };
        let cell = app.dynos[at].cell.clone();
        if exchange.lease.is_some() {
            worker.metrics.borrow_mut().retry();
        }
        exchange.lease = Some(Lease::take(app, at));
        exchange.connected_ms = None;
        let Some(mut dyno) = connect(worker, client, exchange, &cell, &mut past).await? else {
            continue;
        };
        exchange.connected_ms = Some(worker.clock.now_ms());
        match relay::run(worker, client, &mut dyno, exchange).await {
            Ok((Over::Answer, reusable)) => {
                if reusable {
                    worker.dynos.keep(&cell, dyno, worker.clock.now_ms());
                }
                return Ok(());
            }
            Ok((Over::Switch, _)) => {
                return Box::pin(upgrade::tunnel(worker, client, dyno, exchange)).await;
            }
            Err(failure) => past.repeat(failure, exchange, &cell)?,
        }
    }
}

impl Past {
    /// Allows another attempt, or answers with the fault.
    fn repeat(
        &mut self,
        failure: relay::Failure,
        exchange: &Exchange,
        cell: &Arc<live::Cell>,
    ) -> Result<(), Fault> {
        let idempotent = exchange.facts.is_some_and(|facts| facts.is_idempotent);
        let safe =
            failure.unanswered && (failure.unsent || (idempotent && exchange.can_be_sent_again()));
        if !safe || self.repeated {
            return Err(failure.fault);
        }
        self.repeated = true;
        self.lost = Some(Arc::as_ptr(cell) as usize);
        self.tried.extend(self.lost);
        Ok(())
    }
}

/// Chooses a dyno of the app: as it is `known` to be now, else as the table is now.
fn choose(
    worker: &Worker,
    known: Option<Arc<LiveApp>>,
    exchange: &Exchange,
    past: &Past,
) -> Result<(Arc<LiveApp>, usize), Unfit> {
    let now = || {
        let decided = exchange.app.as_ref().expect("an attempt follows a decision");
        worker.snapshots.load().app(decided.app.name.as_str()).cloned()
    };
    let app = known.or_else(now).ok_or_else(Unfit::default)?;
    let now_ms = worker.clock.now_ms();
    let mut random = worker.random.borrow_mut();
    let at = balance::pick(
        app.dynos.len(),
        |i| candidate(&app.dynos[i], now_ms, &past.tried),
        |n| random.usize(..n),
    )?;
    Ok((app, at))
}

fn candidate(live: &LiveDyno, now_ms: u64, tried: &[usize]) -> Candidate {
    let bar = match live.dyno.state {
        DynoState::Starting => Some(Bar::Starting),
        DynoState::Draining => Some(Bar::Draining),
        DynoState::Crashed => Some(Bar::Crashed),
        DynoState::Up if tried.contains(&(Arc::as_ptr(&live.cell) as usize)) => Some(Bar::Tried),
        DynoState::Up if live.cell.is_quarantined(now_ms) => Some(Bar::Quarantined),
        DynoState::Up => None,
    };
    Candidate { bar, in_flight: live.cell.in_flight(), weight: live.dyno.weight }
}

/// Holds the exchange until a dyno is fit, as long as one may come to be.
async fn hold(
    worker: &Worker,
    client: &mut Client,
    exchange: &Exchange,
    past: &Past,
    mut unfit: Unfit,
) -> Result<(Arc<LiveApp>, usize), Fault> {
    let until_ms = exchange.began_ms + worker.settings.timeouts.connect_total.as_millis() as u64;
    let mut pause = FIRST_PAUSE;
    loop {
        let fault = match unfit {
            Unfit { quarantined: 1.., .. } => Fault::AllQuarantined,
            Unfit { starting: 1.., .. } => Fault::BootTimeout,
            Unfit { crashed: 1.., .. } => return Err(Fault::AppCrashed),
            _ => return Err(Fault::NoDynos),
        };
        if worker.clock.now_ms() >= until_ms {
            return Err(past.last.unwrap_or(fault));
        }
        client.timer.set(pause);
        attended(worker, client, poll_fn(|_| Poll::<()>::Pending)).await?;
        pause = (pause * 2).min(LONGEST_PAUSE);
        match choose(worker, None, exchange, past) {
            Ok(chosen) => return Ok(chosen),
            Err(now) => unfit = now,
        }
    }
}

/// A kept or a new connection to the leased dyno; `None` if it could not be made.
async fn connect(
    worker: &Worker,
    client: &mut Client,
    exchange: &Exchange,
    cell: &Arc<live::Cell>,
    past: &mut Past,
) -> Result<Option<Connection>, Fault> {
    // A kept connection could lose the same race again.
    if let Some(kept) = (!past.repeated).then(|| worker.dynos.take(cell)).flatten() {
        worker.metrics.borrow_mut().dyno_reused();
        return Ok(Some(kept));
    }
    let timeouts = &worker.settings.timeouts;
    let addr =
        &exchange.lease.as_ref().expect("a dyno is leased before it is dialled").dyno().dyno.addr;
    client.timer.set(timeouts.connect);
    let dialled = Box::pin(attended(worker, client, dial(addr))).await?;
    worker.metrics.borrow_mut().dyno_connect(matches!(dialled, Some(Ok(_))));
    let fault = match dialled {
        Some(Ok(io)) => {
            cell.absolve();
            return Ok(Some(Connection { stream: Stream::new(io), reused: false }));
        }
        // The want is the router's own and says nothing of the dyno.
        Some(Err(error)) if lacks_resources(&error) => Fault::Platform,
        Some(Err(_)) => Fault::ConnectRefused,
        None => Fault::ConnectTimeout,
    };
    let now_ms = worker.clock.now_ms();
    if fault != Fault::Platform {
        cell.strike(now_ms + worker.settings.dynos.quarantine.as_millis() as u64);
    }
    past.tried.push(Arc::as_ptr(cell) as usize);
    past.failed += 1;
    past.last = Some(fault);
    let out_of_time = now_ms >= exchange.began_ms + timeouts.connect_total.as_millis() as u64;
    if past.failed >= worker.settings.dynos.max_attempts || out_of_time {
        return Err(fault);
    }
    Ok(None)
}

/// Waits for `what` until the client's deadline (`None`), unless the client leaves or the router
/// cuts.
async fn attended<F: Future>(
    worker: &Worker,
    client: &mut Client,
    what: F,
) -> Result<Option<F::Output>, Fault> {
    let mut what = std::pin::pin!(what);
    poll_fn(|cx| {
        if let Poll::Ready(output) = what.as_mut().poll(cx) {
            return Poll::Ready(Ok(Some(output)));
        }
        if client.timer.is_over() {
            return Poll::Ready(Ok(None));
        }
        if worker.cut.get() {
            return Poll::Ready(Err(Fault::ForcedClose));
        }
        // Bytes are left where they are, they may be the body; only an end is looked for, and only
        // where no byte has come that would hide it.
        if client.stream.pending().is_empty()
            && let Poll::Ready(Heard::End | Heard::Broken) =
                client.stream.poll_hear(cx, &worker.buffers)
        {
            return Poll::Ready(Err(Fault::ClientInterrupted));
        }
        Poll::Pending
    })
    .await
}
