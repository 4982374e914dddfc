//! The connection of an attempt: a kept one, a place on one that others use, or a new one.
//!
//! Invariants: a failed connect counts against the dyno, unless the want is the router's own; one
//! that many wait for is made, and counted, once; every wait ends with the client's deadline, its
//! leaving, or the router's cut.

use std::{
    future::{Future, poll_fn},
    sync::Arc,
    task::Poll,
    time::Duration,
};

use super::{Exchange, attempt::Past};
use crate::{
    error::Fault,
    live,
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
        lease::Lease,
        stream::Stream,
        worker::Worker,
    },
};

/// A kept or a new connection to the leased dyno; `None` if it could not be made.
pub(super) async fn connect(
    worker: &Worker,
    client: &mut Client,
    exchange: &mut Exchange,
    cell: &Arc<live::Cell>,
    past: &mut Past,
) -> Result<Option<Connection>, Fault> {
    let terms = exchange.terms.clone();
    let lease = exchange.lease.as_ref().expect("a dyno is leased before it is dialled");
    let way = Way::of(&terms.dynos, lease.app_name(), &client.link);
    let may_reuse = !past.raced && terms.dynos.keep_alive;
    let kept = match way.protocol {
        _ if !may_reuse => None,
        DynoProtocol::Http1 => {
            worker.dynos.take(cell, way.name.as_deref(), worker.clock.coarse_ms())
        }
        DynoProtocol::Http2 => worker
            .channels
            .find(cell, way.name.as_deref(), terms.dynos.max_requests)
            .filter(Seat::is_open)
            .and_then(|seat| seated(seat, 1)),
    };
    if let Some(kept) = kept {
        worker.metrics.borrow_mut().dyno_reused();
        return Ok(Some(kept));
    }
    let until_ms = exchange.began_ms() + terms.timeouts.connect_total.as_millis() as u64;
    let left = Duration::from_millis(until_ms.saturating_sub(worker.clock.now_ms()));
    client.timer.set(terms.timeouts.connect.min(left));
    let attempt = Attempt { worker, client, exchange, cell, addr: &lease.dyno().dyno.addr, way };
    let made = match attempt.way.protocol {
        DynoProtocol::Http1 => Box::pin(attempt.http1()).await?,
        DynoProtocol::Http2 => Box::pin(attempt.http2(may_reuse)).await?,
    };
    let fault = match made {
        Ok(connection) => return Ok(Some(connection)),
        Err(fault) => fault,
    };
    past.tried.push(Arc::as_ptr(cell) as usize);
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

/// One attempt to have a connection, after none was kept.
struct Attempt<'a> {
    worker: &'a Worker,
    client: &'a Client,
    exchange: &'a Exchange,
    cell: &'a Arc<live::Cell>,
    addr: &'a DynoAddr,
    way: Way,
}

type Made = Result<Connection, Fault>;

impl Attempt<'_> {
    async fn http1(self) -> Result<Made, Fault> {
        let dialled = self.attended(dial(self.worker, self.addr, &self.way)).await?;
        let made = self.judge(dialled);
        Ok(made.map(|io| Connection { stream: Stream::new(io), exchanges: 0, name: self.way.name }))
    }

    async fn http2(self, shared: bool) -> Result<Made, Fault> {
        let dynos = &self.exchange.terms.dynos;
        loop {
            let name = self.way.name.as_deref();
            let found = self.worker.channels.find(self.cell, name, dynos.max_requests);
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
        let idle = self.exchange.terms.timeouts.pool_idle;
        let mut seat = self.worker.channels.begin(self.cell, self.way.name.clone(), idle, shared);
        let max_head = self.exchange.terms.limits.response_head;
        let dialled = self.attended(dial_h2(self.worker, self.addr, &self.way, max_head)).await?;
        let made = self.judge(dialled);
        seat.settle(made.clone());
        Ok(made.and_then(|_| seated(seat, 0).ok_or(Fault::ConnectRefused)))
    }

    /// What came of a dial: counted, and held against the dyno.
    fn judge<T>(&self, dialled: Option<Result<T, DialError>>) -> Result<T, Fault> {
        self.worker.metrics.borrow_mut().dyno_connect(matches!(dialled, Some(Ok(_))));
        let fault = match dialled {
            Some(Ok(made)) => {
                self.cell.health.connected();
                return Ok(made);
            }
            Some(Err(error)) => {
                self.tell(&error);
                error.fault()
            }
            None => Fault::ConnectTimeout,
        };
        if fault != Fault::Platform {
            self.lease().strike(self.worker.clock.now_ms(), fault);
        }
        Err(fault)
    }

    /// A dyno that is not what it should be is a matter for whoever runs the platform.
    fn tell(&self, error: &DialError) {
        let DialError::Unproven(failure) = error else { return };
        self.worker.metrics.borrow_mut().dyno_unproven();
        let lease = self.lease();
        tracing::warn!(
            app = lease.app_name(),
            dyno = lease.dyno().dyno.name.as_str(),
            addr = %self.addr,
            name = self.way.name.as_deref(),
            "a dyno does not prove itself: {failure}"
        );
    }

    fn lease(&self) -> &Lease {
        self.exchange.lease.as_ref().expect("a dyno is leased before it is dialled")
    }

    async fn attended<F: Future>(&self, what: F) -> Result<Option<F::Output>, Fault> {
        attended(self.worker, self.client, self.exchange, what).await
    }
}

/// Waits for `what` until the client's deadline (`None`), unless the client leaves or the router
/// cuts.
pub(super) async fn attended<F: Future>(
    worker: &Worker,
    client: &Client,
    exchange: &Exchange,
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
        if client.stream.poll_left(cx, exchange.terms.half_close).is_ready() {
            return Poll::Ready(Err(Fault::ClientInterrupted));
        }
        Poll::Pending
    })
    .await
}
