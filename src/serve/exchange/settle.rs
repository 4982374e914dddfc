//! The end of an exchange: the answer to a fault, the log line, the counts.
//!
//! Invariants: each exchange is logged and counted once; a fault is answered only if no byte of
//! another answer was written; the client's connection goes on only where the end of the request is
//! certain and was read.

use std::time::Duration;

use super::{Exchange, Next, answer::persistence, decide, hedge::Hedge};
use crate::{
    error::Fault,
    live::stats::Ended,
    serve::{
        carrier::Cause,
        clock,
        edge::Client,
        lease::Lease,
        reply::{self, Format, Reply},
        worker::Worker,
    },
    telemetry::Record,
    wire::{
        head::{Finder, parse_request},
        rewrite,
    },
};

/// The status of a fault that nobody can be answered with: the client left.
const CLIENT_LEFT: u16 = 499;
/// When a request may come again that found the router overloaded.
const RETRY_OVERLOADED: Duration = Duration::from_secs(1);

/// Settles an exchange whose head was never accepted as a request; `head` is what is told of it.
pub async fn refuse(worker: &Worker, client: &mut Client, head: &[u8], fault: Fault) -> Next {
    let mut exchange = Exchange::new(worker);
    decide::note(worker, client, head, &mut exchange);
    settle(worker, client, &mut exchange, Err(fault)).await
}

/// Settles an exchange.
pub async fn settle(
    worker: &Worker,
    client: &mut Client,
    exchange: &mut Exchange,
    result: Result<(), Fault>,
) -> Next {
    let fault = result.err().map(|fault| match (fault, client.stream.io.cause()) {
        (Fault::ClientInterrupted, Some(Cause::Fault(known))) => known,
        _ => fault,
    });
    let now_us = worker.clock.now_us();
    exchange.end_attempt(now_us, fault);
    // Before the client is told of a fault, and may come again.
    exchange.lease.iter_mut().for_each(Lease::vacate);
    if fault.is_some() && !exchange.committed {
        exchange.bytes = 0;
    }
    let next = match fault {
        None if exchange.persists => Next::Request,
        None if may_send_more(client, exchange) => Next::Linger,
        None => Next::Close,
        Some(fault) if exchange.committed => {
            // The client must not take a cut for the end of an answer that ends with its
            // connection.
            if exchange.until_close || client.stream.io.plain().is_none() {
                client.stream.io.break_off(Some(fault));
            }
            Next::Close
        }
        Some(fault) if fault.status() == CLIENT_LEFT => {
            exchange.status = CLIENT_LEFT;
            Next::Close
        }
        Some(fault) => {
            exchange.admitted = None;
            Box::pin(answer(worker, client, exchange, fault)).await
        }
    };
    if exchange.marks.forwarded_for.is_empty() {
        // No head could be parsed; the log should still say who asked.
        exchange.marks.forwarded_for = rewrite::address(&mut exchange.out, client.link.remote);
    }
    // An answer of ours may have taken a while.
    let now_us = if fault.is_some() { worker.clock.now_us() } else { now_us };
    record(worker, client, exchange, fault, now_us);
    if next == Next::Request {
        client.stream.rewind();
        client.timer.set(exchange.terms.timeouts.keep_alive);
    }
    next
}

/// Could more come from the client than belongs to this exchange, or all of the exchange's own? A
/// close would reset the connection then.
fn may_send_more(client: &Client, exchange: &Exchange) -> bool {
    // A client that asked for the close sends nothing behind its request, or has done so already.
    !exchange.body.is_done()
        || exchange.facts.is_some_and(|facts| facts.keeps_alive)
        || !client.stream.pending().is_empty()
        || client.stream.io.has_input()
}

/// Answers a fault; says how the client's connection goes on.
async fn answer(
    worker: &Worker,
    client: &mut Client,
    exchange: &mut Exchange,
    fault: Fault,
) -> Next {
    let facts = exchange.facts.unwrap_or_default();
    let format = format(worker, exchange);
    exchange.status = fault.status();
    let read = exchange.body.is_done() && client.stream.accepted() == 0;
    // Where memory is short, what the connection has is worth more than the connection.
    let wanted = !worker.draining.get() && !worker.share.is_out_of_memory();
    let persists = facts.keeps_alive && read && fault.keeps_client() && wanted;
    let location = (fault == Fault::HttpsRedirect).then(|| location(exchange));
    let mut out = worker.buffers.common();
    let len = worker.clock.with_date(|date| {
        let reply = Reply {
            format,
            pages: exchange.app.as_ref().and_then(|app| app.app.settings.pages.as_deref()),
            persistence: persistence(&facts, persists),
            to_head: facts.is_head,
            date,
            retry_after: match fault {
                Fault::Overloaded => Some(RETRY_OVERLOADED),
                _ => exchange.retry_after,
            },
            via: &worker.settings.via,
            location: location.as_deref(),
            hsts: facts.is_secure.then(|| exchange.terms.hsts()).flatten(),
        };
        reply::fault(fault, &reply, &mut out)
    });
    exchange.bytes = if fault.counts_page() { len as u64 } else { 0 };
    if !client.send(out.pending(), exchange.terms.timeouts.idle).await {
        return Next::Close;
    }
    if persists { Next::Request } else { Next::Linger }
}

/// Where a request is to be made over HTTPS.
fn location(exchange: &Exchange) -> Vec<u8> {
    let (out, marks) = (&exchange.out, &exchange.marks);
    let host = marks.host.of(out);
    // A port behind the host is that of plain HTTP; an IPv6 address has colons of its own.
    let port = host.iter().rposition(|b| *b == b':').filter(|at| !host[*at..].contains(&b']'));
    let mut location = [b"https://", &host[..port.unwrap_or(host.len())]].concat();
    let port = exchange.terms.https.public_port;
    if port != 443 {
        location.extend_from_slice(format!(":{port}").as_bytes());
    }
    match marks.target.of(out) {
        b"*" => location.push(b'/'),
        target => location.extend_from_slice(target),
    }
    location
}

/// What the client would like to read: found only now, since most exchanges need no answer of ours.
fn format(worker: &Worker, exchange: &Exchange) -> Format {
    let found = || {
        let len = Finder::default().find(&exchange.out).ok()??;
        let head = &exchange.out[..len];
        let mut fields = worker.fields.borrow_mut();
        parse_request(head, &mut fields).ok()?;
        Some(Format::accepted(head, &fields))
    };
    exchange.format.or_else(found).unwrap_or_default()
}

fn record(
    worker: &Worker,
    client: &Client,
    exchange: &Exchange,
    fault: Option<Fault>,
    now_us: u64,
) {
    let ms = |from: u64, to: u64| {
        u32::try_from(clock::ms(to).saturating_sub(clock::ms(from))).unwrap_or(u32::MAX)
    };
    let waited_us = exchange.moments.waited_us;
    let connected_us = Some(exchange.moments.connected_us).filter(|moment| *moment > 0);
    let lease = exchange.lease.as_ref();
    let (out, marks) = (&exchange.out, &exchange.marks);
    let record = Record {
        fault,
        app: exchange.app.as_ref().map_or("", |app| app.app.name.as_str()),
        method: marks.method.of(out),
        path: marks.target.of(out),
        host: marks.host.of(out),
        request_id: marks.request_id.of(out),
        fwd: marks.forwarded_for.of(out),
        dyno: lease.map_or("", |lease| lease.dyno().dyno.name.as_str()),
        hedge: exchange.hedge.map(Hedge::as_str),
        queue_ms: waited_us.or(lease.map(|_| 0)).map(|waited_us| ms(0, waited_us)),
        connect_ms: lease.map(|_| {
            let from = exchange.moments.began_us + waited_us.unwrap_or(0);
            ms(from, connected_us.unwrap_or(now_us))
        }),
        service_ms: connected_us.map(|connected| ms(connected, now_us)),
        status: exchange.status,
        bytes: connected_us.map(|_| exchange.bytes),
        protocol: client.link.protocol.as_str(),
        tls: client.link.security.is_some(),
        tls_version: client.link.security.as_ref().map(|tls| tls.version),
        agent: marks.agent.of(out),
    };
    count(exchange, &record, now_us);
    worker.log.borrow_mut().write(&record);
    let mut metrics = worker.metrics.borrow_mut();
    metrics.request_bytes(exchange.bytes_in);
    metrics.exchange(&record);
}

/// Counts the exchange in the figures of its app, and of the dyno that had it last.
fn count(exchange: &Exchange, record: &Record<'_>, now_us: u64) {
    let Some(app) = &exchange.app else { return };
    let lease = exchange.lease.as_ref();
    let (status, fault) = (record.status, record.fault);
    // How long a tunnel stands says nothing of the app.
    let times = lease.filter(|_| status != 101).map(|_| exchange.moments.of_exchange(now_us));
    let (app, dyno) = match lease {
        Some(lease) => (&lease.app().cell, Some(&lease.dyno().cell.figures)),
        None => (&app.cell, None),
    };
    app.figures.count(dyno, &Ended { status, fault, times }, clock::ms(now_us));
}
