//! The heads that go on, written straight into the outgoing buffer.
//!
//! Order and case of the headers are kept. Left out are those for one hop alone, those that
//! `Connection` names, the underscore twins of headers that we set, and those that are written anew
//! from our own verdict: framing, forwarding, request id, Via.
//! Invariant: what is written here is what a strict parser reads as the same message.

use std::net::IpAddr;

use super::{
    cookie::{self, OwnCookie},
    framing::Body,
    head::{Fields, RequestLine, Span},
    lines::Lines,
    name::Name,
    request::Request,
    response::Response,
};

/// What the router adds to a request.
#[derive(Debug, Clone, Copy)]
pub struct Forward<'a> {
    /// The client's address as this router's socket saw it.
    pub remote: IpAddr,
    /// The client speaks HTTP/2, whatever the text says.
    pub http2: bool,
    /// `http` or `https`.
    pub proto: &'a str,
    /// The port that the client connected to.
    pub port: u16,
    /// Keep the client's X-Forwarded-Proto and -Port and X-Request-Start: it is in a trusted
    /// network.
    pub trusted: bool,
    /// `Expect: 100-continue` is for the dyno.
    pub expect: bool,
    /// The dyno's connection carries this request alone.
    pub close: bool,
    /// A request id for clients that sent none that will do.
    pub fresh_id: u128,
    /// When the request came, in milliseconds since the Unix epoch.
    pub start_ms: u64,
    /// The router's name in `Via`.
    pub via: &'a str,
    /// The router's own cookie, which is not for the dyno.
    pub own_cookie: Option<&'a str>,
    /// The subject of the certificate by which the client proved itself.
    pub client_subject: Option<&'a str>,
}

/// Where in the outgoing buffer the log finds what it needs.
#[derive(Debug, Clone, Copy, Default)]
pub struct Landmarks {
    /// The method.
    pub method: Span,
    /// Path and query.
    pub target: Span,
    /// The host.
    pub host: Span,
    /// The request id.
    pub request_id: Span,
    /// The whole X-Forwarded-For.
    pub forwarded_for: Span,
    /// The user agent of a request that goes nowhere.
    pub agent: Span,
}

/// Writes the request's head for the dyno behind what `out` holds.
pub fn request(
    head: &[u8],
    fields: &Fields,
    request: &Request,
    forward: &Forward<'_>,
    out: &mut Vec<u8>,
) -> Landmarks {
    let mut marks = request_line(head, request, out);
    let mut lines = Lines::of(head);
    for field in fields.iter() {
        let name = field.name.of(head);
        let left_out = field.kind.is_hop_by_hop()
            || matches!(field.kind, Name::ContentLength | Name::Expect)
            || (field.kind.is_set_by_router() && !(forward.trusted && is_passed(field.kind)))
            || (field.kind == Name::MaxForwards && request.max_forwards.is_some())
            || request.connection.names(head, name)
            || (field.kind == Name::Other && Name::is_underscore_twin(name));
        if left_out {
            continue;
        }
        if let (Name::Cookie, Some(own)) = (field.kind, forward.own_cookie) {
            lines.flush(out);
            cookie::write_without(head, (field.name, field.value), own.as_bytes(), out);
            continue;
        }
        let value = lines.keep(field, out);
        if field.kind == Name::Host {
            marks.host = value;
        }
    }
    lines.flush(out);
    if request.upgrade {
        upgrade(head, fields, out);
    } else if forward.close {
        out.extend_from_slice(b"Connection: close\r\n");
    }
    if forward.expect && request.expects_continue {
        line(out, b"Expect", b"100-continue");
    }
    if let Some(hops) = request.max_forwards {
        number_line(out, b"Max-Forwards", u64::from(hops.saturating_sub(1)));
    }
    marks.forwarded_for = forwarded_for(head, fields, forward.remote, out);
    let missing = |kind| !forward.trusted || fields.of_kind(kind).next().is_none();
    if missing(Name::ForwardedProto) {
        line(out, b"X-Forwarded-Proto", forward.proto.as_bytes());
    }
    if missing(Name::ForwardedPort) {
        number_line(out, b"X-Forwarded-Port", forward.port.into());
    }
    if let Some(subject) = forward.client_subject {
        line(out, b"X-Client-Cert-Subject", subject.as_bytes());
    }
    marks.request_id = request_id(head, fields, forward.fresh_id, out);
    if missing(Name::RequestStart) {
        number_line(out, b"X-Request-Start", forward.start_ms);
    }
    let version = if forward.http2 { b"2.0 " } else { version(request.minor) };
    via(head, fields, version, forward.via, out);
    framing(&request.body, out);
    if request.body.is_done() && fields.of_kind(Name::ContentLength).next().is_some() {
        // An empty body that was announced: some servers answer a POST without one with 411.
        number_line(out, b"Content-Length", 0);
    }
    out.extend_from_slice(b"\r\n");
    marks
}

fn request_line(head: &[u8], request: &Request, out: &mut Vec<u8>) -> Landmarks {
    let method = put(out, request.method.of(head));
    out.push(b' ');
    let target = out.len();
    if request.rootless {
        // OPTIONS of a whole host has a form of its own (RFC 9112, section 3.2.4).
        let whole_host = request.target.is_empty() && request.method.of(head) == b"OPTIONS";
        out.push(if whole_host { b'*' } else { b'/' });
    }
    out.extend_from_slice(request.target.of(head));
    let target = Span::new(target, out.len() - target);
    out.extend_from_slice(b" HTTP/1.1\r\n");
    Landmarks { method, target, ..Landmarks::default() }
}

/// Writes what the log says of a request that goes nowhere.
pub fn note(
    head: &[u8],
    line: &RequestLine,
    fields: &Fields,
    remote: IpAddr,
    out: &mut Vec<u8>,
) -> Landmarks {
    let host = fields.of_kind(Name::Host).next().map_or(Span::default(), |field| field.value);
    let is_agent = |name: &[u8]| name.eq_ignore_ascii_case(b"user-agent");
    let agent = fields.iter().find(|field| is_agent(field.name.of(head)));
    Landmarks {
        method: put(out, line.method.of(head)),
        target: put(out, line.target.of(head)),
        host: put(out, host.of(head)),
        request_id: Span::default(),
        forwarded_for: address(out, remote),
        agent: agent.map_or(Span::default(), |field| put(out, field.value.of(head))),
    }
}

/// How the client's connection goes on after the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Persistence {
    /// To its next request, which HTTP/1.1 implies.
    Implied,
    /// To its next request, which an HTTP/1.0 client must be told.
    Stated,
    /// It closes.
    Close,
}

/// What the router adds to an answer.
#[derive(Debug, Clone, Copy)]
pub struct Answer<'a> {
    /// How the client's connection goes on.
    pub persistence: Persistence,
    /// The date for an answer without one (RFC 9110, section 6.6.1).
    pub date: &'a [u8],
    /// The router's name in `Via`.
    pub via: &'a str,
    /// The client knows the chunked coding.
    pub chunked: bool,
    /// It answers a HEAD request.
    pub to_head: bool,
    /// The dyno is a router: its `Hostler-Error` goes on.
    pub keeps_fault: bool,
    /// What the dyno says of its load is for the router.
    pub takes_load: bool,
    /// What is said for an answer that says nothing of it itself, if it goes over TLS.
    pub hsts: Option<Hsts>,
    /// The router's own cookie, which is not the dyno's to set.
    pub own_cookie: Option<OwnCookie<'a>>,
}

/// For how long a browser is to ask for this host over TLS alone (RFC 6797).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hsts {
    /// In seconds.
    pub max_age_s: u64,
    /// For all names below it too.
    pub subdomains: bool,
    /// Browsers may know it beforehand.
    pub preload: bool,
}

impl Hsts {
    /// Writes the field.
    pub fn write(self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"Strict-Transport-Security: max-age=");
        number(out, self.max_age_s);
        if self.subdomains {
            out.extend_from_slice(b"; includeSubDomains");
        }
        if self.preload {
            out.extend_from_slice(b"; preload");
        }
        out.extend_from_slice(b"\r\n");
    }
}

/// The invitation to send a body.
pub const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// Writes the answer's head for the client behind what `out` holds.
pub fn response(
    head: &[u8],
    fields: &Fields,
    response: &Response,
    answer: &Answer<'_>,
    out: &mut Vec<u8>,
) {
    if response.status == 100 {
        // Its headers say nothing (RFC 9110, section 15.2.1).
        out.extend_from_slice(CONTINUE);
        return;
    }
    out.extend_from_slice(b"HTTP/1.1 ");
    status(out, response.status);
    out.push(b' ');
    out.extend_from_slice(response.reason.of(head));
    out.extend_from_slice(b"\r\n");
    let mut lines = Lines::of(head);
    for field in fields.iter() {
        let name = field.name.of(head);
        let left_out = field.kind.is_hop_by_hop()
            || matches!(field.kind, Name::ContentLength | Name::Via)
            || (field.kind == Name::HostlerError && !answer.keeps_fault)
            || (field.kind == Name::LoadMetrics && answer.takes_load)
            || (field.kind == Name::SetCookie
                && answer.own_cookie.is_some_and(|own| own.is_set_by(field.value.of(head))))
            || response.connection.names(head, name);
        if !left_out {
            lines.keep(field, out);
        }
    }
    lines.flush(out);
    // A 426 says what to go over to (RFC 9110, section 15.5.22).
    if matches!(response.status, 101 | 426) && fields.of_kind(Name::Upgrade).next().is_some() {
        upgrade(head, fields, out);
    }
    via(head, fields, version(response.minor), answer.via, out);
    // Interim answers but the one that ends HTTP are followed by the answer that is meant.
    if response.status >= 200 || response.status == 101 {
        answer.own_cookie.iter().for_each(|own| own.write(out));
    }
    if response.status >= 200 {
        if !response.has_date {
            line(out, b"Date", answer.date);
        }
        if let Some(hsts) = answer.hsts
            && fields.of_kind(Name::StrictTransportSecurity).next().is_none()
        {
            hsts.write(out);
        }
        match answer.persistence {
            Persistence::Implied => {}
            Persistence::Stated => out.extend_from_slice(b"Connection: keep-alive\r\n"),
            Persistence::Close => out.extend_from_slice(b"Connection: close\r\n"),
        }
        answer_framing(response, answer, out);
    }
    out.extend_from_slice(b"\r\n");
}

fn answer_framing(response: &Response, answer: &Answer<'_>, out: &mut Vec<u8>) {
    match &response.body {
        Body::Chunked(_) if !answer.chunked => {}
        Body::Done => {
            // A 204 has no Content-Length (RFC 9110, section 8.6); HEAD and 304 keep what a GET
            // would have had.
            let none = response.status == 204;
            let describes = !none && (answer.to_head || response.status == 304);
            match response.length {
                Some(length) if describes => number_line(out, b"Content-Length", length),
                _ if describes || none => {}
                _ => number_line(out, b"Content-Length", 0),
            }
        }
        body => framing(body, out),
    }
}

fn framing(body: &Body, out: &mut Vec<u8>) {
    match body {
        Body::Length(length) => number_line(out, b"Content-Length", *length),
        Body::Chunked(_) => out.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
        Body::Done | Body::Close => {}
    }
}

/// Does a trusted client know better than this router what to say here?
fn is_passed(kind: Name) -> bool {
    matches!(kind, Name::ForwardedProto | Name::ForwardedPort | Name::RequestStart)
}

fn forwarded_for(head: &[u8], fields: &Fields, remote: IpAddr, out: &mut Vec<u8>) -> Span {
    out.extend_from_slice(b"X-Forwarded-For: ");
    let start = out.len();
    for field in fields.of_kind(Name::ForwardedFor).filter(|f| !f.value.is_empty()) {
        out.extend_from_slice(field.value.of(head));
        out.extend_from_slice(b", ");
    }
    address(out, remote);
    let span = Span::new(start, out.len() - start);
    out.extend_from_slice(b"\r\n");
    span
}

/// A request id that will do is 20 to 200 letters, digits and `+ / = -`; it must be the only one.
fn request_id(head: &[u8], fields: &Fields, fresh: u128, out: &mut Vec<u8>) -> Span {
    out.extend_from_slice(b"X-Request-Id: ");
    let start = out.len();
    let mut sent = fields.of_kind(Name::RequestId).map(|field| field.value.of(head));
    match (sent.next(), sent.next()) {
        (Some(id), None)
            if (20..=200).contains(&id.len())
                && id.iter().all(|b| b.is_ascii_alphanumeric() || b"+/=-".contains(b)) =>
        {
            out.extend_from_slice(id);
        }
        _ => uuid(fresh, out),
    }
    let span = Span::new(start, out.len() - start);
    out.extend_from_slice(b"\r\n");
    span
}

/// A random UUID, version 4 (RFC 9562, section 5.4), from 128 random bits.
fn uuid(random: u128, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut bytes = random.to_be_bytes();
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let mut text = [b'-'; 36];
    let mut at = 0;
    for (i, byte) in bytes.iter().enumerate() {
        if matches!(i, 4 | 6 | 8 | 10) {
            at += 1;
        }
        text[at] = HEX[usize::from(byte >> 4)];
        text[at + 1] = HEX[usize::from(byte & 15)];
        at += 2;
    }
    out.extend_from_slice(&text);
}

/// A minor version of HTTP/1 as `Via` has it.
fn version(minor: u8) -> &'static [u8; 4] {
    if minor == 0 { b"1.0 " } else { b"1.1 " }
}

fn via(head: &[u8], fields: &Fields, version: &[u8], name: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b"Via: ");
    for field in fields.of_kind(Name::Via).filter(|field| !field.value.is_empty()) {
        out.extend_from_slice(field.value.of(head));
        out.extend_from_slice(b", ");
    }
    out.extend_from_slice(version);
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\r\n");
}

fn upgrade(head: &[u8], fields: &Fields, out: &mut Vec<u8>) {
    for field in fields.of_kind(Name::Upgrade) {
        line(out, b"Upgrade", field.value.of(head));
    }
    out.extend_from_slice(b"Connection: Upgrade\r\n");
}

fn put(out: &mut Vec<u8>, bytes: &[u8]) -> Span {
    let start = out.len();
    out.extend_from_slice(bytes);
    Span::new(start, bytes.len())
}

/// Writes a header; answers where its value is.
pub fn line(out: &mut Vec<u8>, name: &[u8], value: &[u8]) -> Span {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    let span = put(out, value);
    out.extend_from_slice(b"\r\n");
    span
}

/// Writes a header whose value is a number.
pub fn number_line(out: &mut Vec<u8>, name: &[u8], value: u64) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    number(out, value);
    out.extend_from_slice(b"\r\n");
}

/// Writes a number in decimal.
pub fn number(out: &mut Vec<u8>, mut value: u64) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// Writes a status: always three digits.
pub fn status(out: &mut Vec<u8>, status: u16) {
    let digit = |n: u16| b'0' + (n % 10) as u8;
    out.extend_from_slice(&[digit(status / 100), digit(status / 10), digit(status)]);
}

/// Writes an IP address; IPv4 without going through the formatter, for it is on every request.
pub fn address(out: &mut Vec<u8>, remote: IpAddr) -> Span {
    let start = out.len();
    match remote {
        IpAddr::V4(v4) => {
            let mut text = [b'.'; 15];
            let mut at = 0;
            for octet in v4.octets() {
                let digits = [octet / 100, octet / 10 % 10, octet % 10];
                let from = if octet < 10 { 2 } else { usize::from(octet < 100) };
                for digit in &digits[from..] {
                    text[at] = b'0' + digit;
                    at += 1;
                }
                at += 1;
            }
            // But for the point behind the last.
            out.extend_from_slice(&text[..at - 1]);
        }
        IpAddr::V6(v6) => {
            use std::io::Write;
            write!(out, "{v6}").expect("writing to a Vec cannot fail");
        }
    }
    Span::new(start, out.len() - start)
}

#[cfg(test)]
mod tests;
