//! Judges a request, writes its head anew, and finds the app that owns its host.
//!
//! One step without an await, on one revision of the table. Invariants: a request that is refused
//! by its head leaves the input as it is; an accepted one has its head, and of its body what fits,
//! in `out`, and the input begins with what comes behind, as it does behind one that is
//! misdirected.

use std::{rc::Rc, sync::Arc};

use super::{Exchange, Facts, affinity};
use crate::{
    error::Fault,
    live::{
        LiveApp,
        clients::{Asker, Refused},
        key::Keyed,
    },
    route::{BalanceKey, Host},
    serve::{
        edge::{Client, Protocol, Security},
        reply::Format,
        worker::Worker,
    },
    wire::{
        forwarded,
        framing::Coding,
        head::{self, Fields, RequestLine},
        name::Name,
        request::{self, Authority, Refusal, Request},
        rewrite::{self, Forward},
    },
};

/// Accepts the request whose head is the first `head_len` bytes of the client's input.
pub fn decide(
    worker: &Worker,
    client: &mut Client,
    head_len: usize,
    exchange: &mut Exchange,
) -> Result<(), Fault> {
    let head = &client.stream.pending()[..head_len];
    let mut fields = worker.fields.borrow_mut();
    let line = head::parse_request(head, &mut fields).map_err(|e| fault_of(e.into(), false))?;
    exchange.facts = Some(facts_of(head, &line));
    let judged = judge(worker, head, &line, &fields, exchange);
    let (request, host) = match judged {
        Ok(judged) => judged,
        Err(fault) => {
            note_parsed(client, head, &line, &fields, exchange);
            return Err(fault);
        }
    };
    if client.link.security.as_ref().is_some_and(|security| !admits(worker, security, &host)) {
        note_parsed(client, head, &line, &fields, exchange);
        // The connection goes on, if all of the request is there.
        let keeps_alive = request.keeps_alive();
        exchange.facts = exchange.facts.map(|facts| Facts { keeps_alive, ..facts });
        exchange.body = request.body;
        drop(fields);
        client.stream.consume(head_len);
        // A body that is bad is none that is there.
        let _ = take_body(exchange, client);
        return Err(Fault::Misdirected);
    }
    exchange.facts = exchange.facts.map(|facts| Facts {
        expects_continue: request.expects_continue && !request.body.is_done(),
        upgrade: request.upgrade,
        keeps_alive: request.keeps_alive(),
        is_secure: is_secure(worker, client, head, &fields),
        ..facts
    });
    exchange.marks = write_head(worker, client, head, &fields, &request, exchange);
    let passes = passes(head, &fields, &worker.settings.via);
    exchange.body = request.body;
    let asker = asker(worker, client, head, &fields, exchange);
    exchange.named = affinity::read(worker, head, &fields, exchange);
    exchange.key = key(worker, client, head, &fields, request.path.of(head), exchange);
    drop(fields);
    client.stream.consume(head_len);
    take_body(exchange, client)?;
    if passes > worker.settings.max_passes {
        return Err(Fault::Loop);
    }
    let app = exchange.app.as_ref().ok_or(Fault::UnknownHost)?;
    let asker = asker?;
    let room = client.visit.come(&app.cell, exchange.terms.limits.app_connections);
    match app.closed() {
        _ if !room => Err(Fault::ConnectionLimit),
        Some(fault) => Err(fault),
        None if request.max_forwards == Some(0) => Err(Fault::LastHop),
        None if exchange.terms.https.redirect && !exchange.is_secure() => Err(Fault::HttpsRedirect),
        None => admit(worker, exchange, asker),
    }
}

/// Notes what a request asked for that was refused before it was text: this would be its head.
pub fn note(worker: &Worker, client: &Client, head: &[u8], exchange: &mut Exchange) {
    let mut fields = worker.fields.borrow_mut();
    let Ok(line) = head::parse_request(head, &mut fields) else { return };
    exchange.facts = Some(facts_of(head, &line));
    note_parsed(client, head, &line, &fields, exchange);
}

/// Sees that the log can say who asked for what, though it goes nowhere.
fn note_parsed(
    client: &Client,
    head: &[u8],
    line: &RequestLine,
    fields: &Fields,
    exchange: &mut Exchange,
) {
    exchange.format = Some(Format::accepted(head, fields));
    exchange.marks = rewrite::note(head, line, fields, client.link.remote, &mut exchange.out);
}

/// For whom the request counts, if the app limits its clients; or that this one is kept out.
fn asker(
    worker: &Worker,
    client: &Client,
    head: &[u8],
    fields: &Fields,
    exchange: &Exchange,
) -> Result<Option<Asker>, Fault> {
    let Some(app) = exchange.app.as_ref().filter(|_| exchange.terms.limits_clients) else {
        return Ok(None);
    };
    let limits = &exchange.terms.clients;
    let is_believed = |address| worker.settings.trusts(address);
    let address = forwarded::client(head, fields, client.link.remote, is_believed);
    if !limits.admits(address) {
        return Err(Fault::ForbiddenClient);
    }
    let value = forwarded::only(head, fields, &limits.header);
    Ok(Some(worker.clients.asker(app.app.name.as_str(), &app.cell, address, value)))
}

/// The key of the request, where something of its app is decided by it.
fn key(
    worker: &Worker,
    client: &Client,
    head: &[u8],
    fields: &Fields,
    path: &[u8],
    exchange: &Exchange,
) -> Option<u64> {
    let key = exchange.app.as_ref()?.balancing.key.as_ref()?;
    let is_believed = |address| worker.settings.trusts(address);
    let remote = client.link.remote;
    let address = || forwarded::client(head, fields, remote, is_believed);
    let headers = fields.iter().map(|field| (field.name.of(head), field.value.of(head)));
    let client = (key.key == BalanceKey::Address).then(address);
    key.of(Keyed { client, path, headers })
}

/// Counts the exchange, unless the router carries as much as it may, or its client has had as much.
fn admit(worker: &Worker, exchange: &mut Exchange, asker: Option<Asker>) -> Result<(), Fault> {
    exchange.in_flight = Some(worker.share.begin().ok_or(Fault::Overloaded)?);
    let Some(asker) = asker else { return Ok(()) };
    match worker.clients.admit(&asker, &exchange.terms.clients, exchange.began_ms()) {
        Ok(admitted) => {
            exchange.admitted = Some(admitted);
            Ok(())
        }
        Err(Refused { fault, wait }) => {
            exchange.retry_after = Some(wait);
            Err(fault)
        }
    }
}

/// What is known of every request whose head could be parsed, whether or not it is one to carry.
fn facts_of(head: &[u8], line: &RequestLine) -> Facts {
    let method = line.method.of(head);
    Facts {
        is_http11: line.minor == 1,
        is_head: method == b"HEAD",
        is_idempotent: request::is_idempotent(method),
        ..Facts::default()
    }
}

/// Judges a parsed head by the rules and by the bounds of the app that it is for.
fn judge(
    worker: &Worker,
    head: &[u8],
    line: &RequestLine,
    fields: &Fields,
    exchange: &mut Exchange,
) -> Result<(Request, Host), Fault> {
    let host = request::host(fields).and_then(|host| parse(host.of(head)));
    let request = Request::judge(head, line, fields);
    let path = request.as_ref().map_or(&b"/"[..], |request| request.path.of(head));
    exchange.app = host.as_ref().ok().and_then(|(host, _)| find(worker, host, path));
    let own = exchange.app.as_ref().and_then(|app| app.app.settings.own.as_deref());
    if let Some(own) = own {
        exchange.terms = Rc::new(worker.terms.with(own));
    }
    let is_apps = exchange.app.is_some();
    let within = exchange.terms.of_requests().admit(line, fields);
    within.map_err(|refusal| fault_of(refusal, is_apps))?;
    let request = request.and_then(|request| {
        let host = host?;
        agrees(head, &request, &host)?;
        Ok((request, host.0))
    });
    request.map_err(|refusal| fault_of(refusal, is_apps))
}

/// May a host be asked for on a connection whose certificate may not cover it?
fn admits(worker: &Worker, security: &Security, host: &Host) -> bool {
    let has_own = || worker.snapshots.load().certificates().cover(host.as_str());
    security.presented.admits(host.as_str(), has_own)
}

/// Did the request come over TLS, here or at somebody in front who is trusted to say so?
fn is_secure(worker: &Worker, client: &Client, head: &[u8], fields: &Fields) -> bool {
    let said = || fields.of_kind(Name::ForwardedProto).next().map(|field| field.value.of(head));
    client.link.security.is_some()
        || (worker.settings.trusts(client.link.remote) && said() == Some(b"https"))
}

/// The fault that a refusal comes to; a bad head of which the app is known has a code of its own.
fn fault_of(refusal: Refusal, is_apps: bool) -> Fault {
    match refusal {
        Refusal::Bad if is_apps => Fault::BadHeader,
        Refusal::Bad => Fault::BadRequest,
        Refusal::MethodTooLong => Fault::MethodTooLong,
        Refusal::LineTooLong => Fault::RequestLineTooLong,
        Refusal::HeaderTooLarge => Fault::HeadersTooLarge,
        Refusal::Method => Fault::MethodNotAllowed,
        Refusal::Version => Fault::VersionNotSupported,
        Refusal::Expectation => Fault::BadExpect,
    }
}

fn parse(text: &[u8]) -> Result<(Host, Option<u16>), Refusal> {
    Host::parse_with_port(text).map_err(|_| Refusal::Bad)
}

/// A target in absolute form must name the host that `Host` does: two readers of the request must
/// not see two hosts.
fn agrees(head: &[u8], request: &Request, host: &(Host, Option<u16>)) -> Result<(), Refusal> {
    let Some(Authority { text, default_port }) = request.authority else { return Ok(()) };
    let (named, port) = parse(text.of(head))?;
    let port_of = |port: Option<u16>| port.unwrap_or(default_port);
    if named == host.0 && port_of(port) == port_of(host.1) { Ok(()) } else { Err(Refusal::Bad) }
}

fn write_head(
    worker: &Worker,
    client: &Client,
    head: &[u8],
    fields: &Fields,
    request: &Request,
    exchange: &mut Exchange,
) -> rewrite::Landmarks {
    let settings = &worker.settings;
    let affinity = exchange.terms.affinity.clone();
    let forward = Forward {
        remote: client.link.remote,
        http2: client.link.protocol == Protocol::Http2,
        proto: client.link.scheme(),
        port: client.link.port,
        trusted: settings.trusts(client.link.remote),
        expect: exchange.terms.end_to_end_continue,
        close: !exchange.terms.dynos.keep_alive || exchange.terms.dynos.max_requests == 1,
        fresh_id: worker.random.borrow_mut().u128(..),
        start_ms: worker.clock.unix_ms(exchange.began_ms()),
        via: &settings.via,
        own_cookie: Some(&*affinity.cookie).filter(|_| affinity.enabled),
        client_subject: client.link.client_subject(),
    };
    rewrite::request(head, fields, request, &forward, &mut exchange.out)
}

fn find(worker: &Worker, host: &Host, path: &[u8]) -> Option<Arc<LiveApp>> {
    // `*` and a target without a path are about the host as a whole.
    let path = if path.is_empty() { b"/" } else { path };
    worker.snapshots.load().find(host, path).cloned()
}

/// How often `Via` names this router. A hop is a protocol, a name, and perhaps a comment (RFC 9110,
/// section 7.6.3).
fn passes(head: &[u8], fields: &Fields, name: &str) -> usize {
    let named = |hop: &[u8]| {
        let mut words = hop.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        words.nth(1) == Some(name.as_bytes())
    };
    fields
        .of_kind(Name::Via)
        .flat_map(|field| field.value.of(head).split(|b| *b == b','))
        .filter(|hop| named(hop))
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
