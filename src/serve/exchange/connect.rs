//! The connection of an attempt: a kept one, a place on one that others use, or a new one.
//!
//! Invariants: a failed connect counts against the dyno, unless the want is the router's own; one
//! that many wait for is made, and counted, once; every wait ends with the client's deadline, its
//! leaving, or the router's cut, or with a time of its own beside an attempt that sees to those.

use std::{
    future::{Future, poll_fn},
    rc::Rc,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use super::{Exchange, attempt::Past};
use crate::{
    error::Fault,
    live::{LiveApp, LiveDyno},
    route::{DynoAddr, DynoProtocol},
    serve::{
        clock,
        dyno::{
            Connection, Way,
            channels::{Seat, call::Call},
            dial::{DialError, dial, dial_h2},
        },
        edge::Client,
        io::Io,
        stream::Stream,
        terms::Terms,
        worker::Worker,
    },
};

/// A kept or a new connection to the leased dyno; `None` if it could not be made.
pub(super) async fn connect(
    worker: &Worker,
    client: &mut Client,
    exchange: &mut Exchange,
    past: &mut Past,
) -> Result<Option<Connection>, Fault> {
    let terms = exchange.terms.clone();
    let lease = exchange.lease.as_ref().expect("a dyno is leased before it is dialled");
    let way = Way::of(&terms.dynos, lease.app_name(), &client.link);
    let watch = Watch::Client(client);
    let attempt = Attempt { worker, watch, terms: &terms, place: lease.place(), way };
    let may_reuse = !past.raced && terms.dynos.keep_alive;
    if let Some(kept) = attempt.kept(may_reuse) {
        return Ok(Some(kept));
    }
    let until_ms = exchange.began_ms() + terms.timeouts.connect_total.as_millis() as u64;
    let left = Duration::from_millis(until_ms.saturating_sub(worker.clock.now_ms()));
    client.timer.set(terms.timeouts.connect.min(left));
    let made = match attempt.way.protocol {
        DynoProtocol::Http1 => Box::pin(attempt.http1()).await?,
        DynoProtocol::Http2 => Box::pin(attempt.http2(may_reuse)).await?,
    };
    let fault = match made {
        Ok(connection) => return Ok(Some(connection)),
        Err(fault) => fault,
    };
    past.tried.push(Arc::as_ptr(exchange.cell()) as usize);
    past.failed += 1;
    past.waited = true;
    past.last = Some(fault);
    let now_us = worker.clock.now_us();
    if past.failed >= terms.dynos.max_attempts || clock::ms(now_us) >= until_ms {
        return Err(fault);
    }
    exchange.end_attempt_of_more(now_us, fault);
    Ok(None)
}

/// A stream on a seat, as a connection.
fn seated(seat: Seat, exchanges: u32) -> Option<Connection> {
    let stream = Stream::new(Io::carried(Call::new(seat)?));
    Some(Connection { stream, exchanges, name: None })
}

/// A kept or a new connection to the dyno at `at` among the app's, beside an attempt that goes on
/// meanwhile.
pub(super) async fn beside(
    worker: &Worker,
    (app, at): (Arc<LiveApp>, usize),
    terms: Rc<Terms>,
    way: Way,
    may_reuse: bool,
) -> Made {
    let watch = Watch::Time(terms.timeouts.connect);
    let attempt = Attempt { worker, watch, terms: &terms, place: (&app, at), way };
    if let Some(kept) = attempt.kept(may_reuse) {
        return Ok(kept);
    }
    match attempt.way.protocol {
        DynoProtocol::Http1 => attempt.http1().await?,
        DynoProtocol::Http2 => attempt.http2(may_reuse).await?,
    }
}

/// What ends the wait for a connection.
enum Watch<'a> {
    /// The deadline of the client, its leaving, the router's cut.
    Client(&'a Client),
    /// So much time.
    Time(Duration),
}

/// One attempt to have a connection.
struct Attempt<'a> {
    worker: &'a Worker,
    watch: Watch<'a>,
    terms: &'a Terms,
    /// The app, and where among its dynos the one is.
    place: (&'a Arc<LiveApp>, usize),
    way: Way,
}

type Made = Result<Connection, Fault>;

impl Attempt<'_> {
    /// A connection that is there.
    fn kept(&self, may_reuse: bool) -> Option<Connection> {
        let (worker, cell, name) = (self.worker, &self.dyno().cell, self.way.name.as_deref());
        let kept = match self.way.protocol {
            _ if !may_reuse => None,
            DynoProtocol::Http1 => worker.dynos.take(cell, name, worker.clock.coarse_ms()),
            DynoProtocol::Http2 => worker
                .channels
                .find(cell, name, self.terms.dynos.max_requests)
                .filter(Seat::is_open)
                .and_then(|seat| seated(seat, 1)),
        };
        if kept.is_some() {
            worker.metrics.borrow_mut().dyno_reused();
        }
        kept
    }

    async fn http1(self) -> Result<Made, Fault> {
        let dialled = self.attended(dial(self.worker, self.addr(), &self.way)).await?;
        let made = self.judge(dialled);
        Ok(made.map(|io| Connection { stream: Stream::new(io), exchanges: 0, name: self.way.name }))
    }

    async fn http2(self, shared: bool) -> Result<Made, Fault> {
        let (dynos, cell) = (&self.terms.dynos, &self.dyno().cell);
        loop {
            let name = self.way.name.as_deref();
            let found = self.worker.channels.find(cell, name, dynos.max_requests);
            let Some(seat) = found.filter(|_| shared) else { break };
            match self.attended(seat.opened()).await? {
                Some(Ok(())) => match seated(seat, 0) {
                    Some(connection) => return Ok(Ok(connection)),
                    None => continue,
                },
                Some(Err(Some(fault))) => return Ok(Err(fault)),
                // Whoever was about to make it left.
                Some(Err(None)) => {}
                None => return Ok(Err(Fault::ConnectTimeout)),
            }
        }
        let idle = self.terms.timeouts.pool_idle;
        let mut seat = self.worker.channels.begin(cell, self.way.name.clone(), idle, shared);
        let max_head = self.terms.limits.response_head;
        let dial = dial_h2(self.worker, self.addr(), &self.way, max_head);
        let dialled = self.attended(dial).await?;
        let made = self.judge(dialled);
        seat.settle(made.clone());
        Ok(made.and_then(|_| seated(seat, 0).ok_or(Fault::ConnectRefused)))
    }

    /// What came of a dial: counted, and held against the dyno.
    fn judge<T>(&self, dialled: Option<Result<T, DialError>>) -> Result<T, Fault> {
        self.worker.metrics.borrow_mut().dyno_connect(matches!(dialled, Some(Ok(_))));
        let fault = match dialled {
            Some(Ok(made)) => {
                self.dyno().cell.health.connected();
                return Ok(made);
            }
            Some(Err(error)) => {
                self.tell(&error);
                error.fault()
            }
            None => Fault::ConnectTimeout,
        };
        if fault != Fault::Platform {
            let (app, at) = self.place;
            app.strike(at, self.worker.clock.now_ms(), fault);
        }
        Err(fault)
    }

    /// A dyno that is not what it should be is a matter for whoever runs the platform.
    fn tell(&self, error: &DialError) {
        let DialError::Unproven(failure) = error else { return };
        self.worker.metrics.borrow_mut().dyno_unproven();
        tracing::warn!(
            app = self.place.0.app.name.as_str(),
            dyno = self.dyno().dyno.name.as_str(),
            addr = %self.addr(),
            name = self.way.name.as_deref(),
            "a dyno does not prove itself: {failure}"
        );
    }

    fn dyno(&self) -> &LiveDyno {
        let (app, at) = self.place;
        &app.dynos[at]
    }

    fn addr(&self) -> &DynoAddr {
        &self.dyno().dyno.addr
    }

    async fn attended<F: Future>(&self, what: F) -> Result<Option<F::Output>, Fault> {
        match self.watch {
            Watch::Client(client) => {
                attended(self.worker, client, self.terms.half_close, what).await
            }
            Watch::Time(time) => Ok(tokio::time::timeout(time, what).await.ok()),
        }
    }
}

/// Waits for `what` until the client's deadline (`None`), unless the client leaves or the router
/// cuts.
pub(super) async fn attended<F: Future>(
    worker: &Worker,
    client: &Client,
    half_close: bool,
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
        if client.stream.poll_left(cx, half_close).is_ready() {
            return Poll::Ready(Err(Fault::ClientInterrupted));
        }
        Poll::Pending
    })
    .await
}
