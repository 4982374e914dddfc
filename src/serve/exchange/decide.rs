//! Judges a request, writes its head anew, and finds the app that owns its host.
//!
//! One step without an await, on one revision of the table. Invariants: a refused request leaves
//! the input as it is; an accepted one has its head, and of its body what fits, in `out`, and the
//! input begins with what comes behind.

use std::sync::Arc;

use super::{Exchange, Facts};
use crate::{
    error::Fault,
    live::LiveApp,
    route::Host,
    serve::{edge::Client, reply::Format, worker::Worker},
    wire::{
        framing::Coding,
        head::Fields,
        name::Name,
        request::{Bounds, Refusal, Request},
        rewrite::{self, Forward},
    },
};

/// How often a request may have come through routers of this name before it counts as a loop: a
/// router behind a router of its own kind is a set-up that is in use.
const MAX_PASSES: usize = 5;

/// Accepts the request whose head is the first `head_len` bytes of the client's input.
pub fn decide(
    worker: &Worker,
    client: &mut Client,
    head_len: usize,
    exchange: &mut Exchange,
) -> Result<(), Fault> {
    let head = &client.stream.pending()[..head_len];
    let mut fields = worker.fields.borrow_mut();
    let limits = &worker.settings.limits;
    let bounds = Bounds {
        line: limits.request_line,
        name: limits.header_name,
        value: limits.header_value,
        count: limits.header_count,
    };
    // Also of a request that is refused: the answer to it should be one that the client can read.
    let request = Request::read(head, &mut fields, &bounds).map_err(fault_of)?;
    exchange.facts = Some(Facts {
        is_http11: request.minor == 1,
        is_head: request.is_head,
        is_idempotent: request.is_idempotent,
        expects_continue: request.expects_continue,
        upgrade: request.upgrade,
        keeps_alive: request.keeps_alive(),
        format: Format::accepted(head, &fields),
    });
    let host = host_of(head, &request)?;
    exchange.marks =
        write_head(worker, client.remote, client.port, head, &fields, &request, exchange);
    let looped = passes(head, &fields, &worker.settings.via) > MAX_PASSES;
    let app = find(worker, &host, request.path.of(head));
    exchange.body = request.body;
    drop(fields);
    client.stream.consume(head_len);
    take_body(exchange, client)?;
    if looped {
        return Err(Fault::Loop);
    }
    let app = app.ok_or(Fault::UnknownHost)?;
    let in_maintenance = app.app.settings.maintenance;
    exchange.app = Some(app);
    if in_maintenance { Err(Fault::Maintenance) } else { Ok(()) }
}

fn fault_of(refusal: Refusal) -> Fault {
    match refusal {
        Refusal::Bad => Fault::BadRequest,
        Refusal::LineTooLong => Fault::RequestLineTooLong,
        Refusal::HeaderTooLarge => Fault::HeadersTooLarge,
        Refusal::Method => Fault::MethodNotAllowed,
        Refusal::Version => Fault::VersionNotSupported,
        Refusal::Expectation => Fault::BadExpect,
    }
}

/// The host that the request is for. A target in absolute form must name the same one: two readers
/// of the request must not see two hosts.
fn host_of(head: &[u8], request: &Request) -> Result<Host, Fault> {
    let parse = |text| Host::parse_with_port(text).map_err(|_| Fault::BadRequest);
    let (host, port) = parse(request.host.of(head))?;
    if let Some(authority) = request.authority {
        let (named, named_port) = parse(authority.of(head))?;
        if named != host || named_port.unwrap_or(80) != port.unwrap_or(80) {
            return Err(Fault::BadRequest);
        }
    }
    Ok(host)
}

fn write_head(
    worker: &Worker,
    remote: std::net::IpAddr,
    port: u16,
    head: &[u8],
    fields: &Fields,
    request: &Request,
    exchange: &mut Exchange,
) -> rewrite::Landmarks {
    let settings = &worker.settings;
    let forward = Forward {
        remote,
        proto: "http",
        port,
        trusted: settings.trusts(remote),
        fresh_id: worker.random.borrow_mut().u128(..),
        start_ms: worker.clock.unix_ms(exchange.began_ms),
        via: &settings.via,
    };
    rewrite::request(head, fields, request, &forward, &mut exchange.out)
}

fn find(worker: &Worker, host: &Host, path: &[u8]) -> Option<Arc<LiveApp>> {
    // `*` and a target without a path are about the host as a whole.
    let path = if path.is_empty() { b"/" } else { path };
    worker.snapshots.load().find(host, path).cloned()
}

/// How often `Via` names this router.
fn passes(head: &[u8], fields: &Fields, name: &str) -> usize {
    fields
        .of_kind(Name::Via)
        .flat_map(|field| field.value.of(head).split(|b| *b == b','))
        .filter(|hop| hop.trim_ascii().rsplit(|b| *b == b' ').next() == Some(name.as_bytes()))
        .count()
}

/// Accepts what has come of the body; if that is all of it and fits behind the head, it goes there,
/// so that it can be sent again.
pub fn take_body(exchange: &mut Exchange, client: &mut Client) -> Result<(), Fault> {
    let accepted = client.stream.accept(&mut exchange.body, Coding::Keep);
    exchange.bytes_in += accepted.map_err(|_| Fault::BadChunk)?;
    if exchange.body.is_done() {
        client.stream.pour(&mut exchange.out);
    }
    Ok(())
}
