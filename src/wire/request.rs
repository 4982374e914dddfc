//! The verdict on a request's head: the strict rules, and what the rest of the router must know.
//!
//! Invariants: a [`Request`] has exactly one valid `Host`, at most one way to frame its body, and a
//! target in a form that fits its method; everything refused here is refused before a byte of it
//! reaches a dyno.

use super::{
    chunked::Chunked,
    connection::Connection,
    framing::Body,
    head::{self, Fields, HeadError, RequestLine, Span},
    name::Name,
};

/// Bounds of a request's head, in bytes unless said otherwise.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// The request line.
    pub line: usize,
    /// A header's name.
    pub name: usize,
    /// A header's value.
    pub value: usize,
    /// Headers (a count).
    pub count: usize,
}

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It breaks the rules of HTTP, or rules that keep two readers of it from disagreeing.
    #[error("bad request")]
    Bad,
    /// The request line is longer than its bound.
    #[error("request line too long")]
    LineTooLong,
    /// A header is larger than its bound, or there are too many.
    #[error("header too large")]
    HeaderTooLarge,
    /// CONNECT and TRACE are not forwarded.
    #[error("method not allowed")]
    Method,
    /// Neither HTTP/1.0 nor HTTP/1.1.
    #[error("version not supported")]
    Version,
    /// An expectation other than 100-continue.
    #[error("unknown expectation")]
    Expectation,
}

/// What a request's head says.
#[derive(Debug, Clone)]
pub struct Request {
    /// The method.
    pub method: Span,
    /// The target in origin form, or `*`, without a fragment.
    pub target: Span,
    /// Does the target lack a path, as `http://a.test?q` does? A `/` goes before it then, or a `*`
    /// stands for it if the method is OPTIONS and there is no query either.
    pub rootless: bool,
    /// The path of the target, without its query; empty for `*` and a rootless target.
    pub path: Span,
    /// The value of `Host`.
    pub host: Span,
    /// The authority of an absolute-form target: it must be the same host.
    pub authority: Option<Span>,
    /// The minor version: 0 or 1.
    pub minor: u8,
    /// What `Connection` says.
    pub connection: Connection,
    /// How the body ends.
    pub body: Body,
    /// The method is HEAD.
    pub is_head: bool,
    /// Doing it twice is as good as once (RFC 9110, section 9.2.2).
    pub is_idempotent: bool,
    /// The client waits for a 100 before it sends its body.
    pub expects_continue: bool,
    /// It asks for another protocol: `Connection: upgrade` and an `Upgrade` header.
    pub upgrade: bool,
}

impl Request {
    /// Parses and judges a whole head.
    pub fn read(head: &[u8], fields: &mut Fields, bounds: &Bounds) -> Result<Request, Refusal> {
        let line = head::parse_request(head, fields).map_err(|error| match error {
            HeadError::Version => Refusal::Version,
            HeadError::TooManyFields => Refusal::HeaderTooLarge,
            HeadError::Malformed | HeadError::BareLf => Refusal::Bad,
        })?;
        within_bounds(&line, fields, bounds)?;
        let method = line.method.of(head);
        if matches!(method, b"CONNECT" | b"TRACE") {
            return Err(Refusal::Method);
        }
        let target = Target::read(head, line.target, method)?;
        let connection = Connection::read(head, fields).map_err(|_| Refusal::Bad)?;
        let body = framing(head, fields, line.minor)?;
        let wants_upgrade = fields.of_kind(Name::Upgrade).next().is_some();
        // HTTP/2 behind a 101 would carry requests past every rule here, wherever in the list of
        // protocols it stands.
        let to_http2 = fields
            .of_kind(Name::Upgrade)
            .flat_map(|field| field.value.of(head).split(|b| *b == b','))
            .filter_map(|protocol| protocol.trim_ascii().get(..2))
            .any(|name| name.eq_ignore_ascii_case(b"h2"));
        if connection.upgrade && !wants_upgrade {
            return Err(Refusal::Bad);
        }
        Ok(Request {
            method: line.method,
            target: target.resource,
            rootless: target.rootless,
            path: target.path,
            host: only(fields, Name::Host)?.ok_or(Refusal::Bad)?,
            authority: target.authority,
            minor: line.minor,
            upgrade: connection.upgrade && !to_http2 && line.minor == 1 && body.is_done(),
            connection,
            is_head: method == b"HEAD",
            is_idempotent: matches!(
                method,
                b"GET" | b"HEAD" | b"OPTIONS" | b"PUT" | b"DELETE" | b"PROPFIND" | b"REPORT"
            ),
            expects_continue: expects_continue(head, fields, line.minor)? && !body.is_done(),
            body,
        })
    }

    /// Does the client want its connection to go on?
    pub fn keeps_alive(&self) -> bool {
        !self.connection.close && (self.minor == 1 || self.connection.keep_alive)
    }
}

fn within_bounds(line: &RequestLine, fields: &Fields, bounds: &Bounds) -> Result<(), Refusal> {
    if line.len > bounds.line {
        return Err(Refusal::LineTooLong);
    }
    let too_large = |f: &head::Field| f.name.len() > bounds.name || f.value.len() > bounds.value;
    if fields.len() > bounds.count || fields.iter().any(too_large) {
        return Err(Refusal::HeaderTooLarge);
    }
    Ok(())
}

/// The value of a header that may be there once.
fn only(fields: &Fields, kind: Name) -> Result<Option<Span>, Refusal> {
    let mut values = fields.of_kind(kind).map(|field| field.value);
    match (values.next(), values.next()) {
        (first, None) => Ok(first),
        _ => Err(Refusal::Bad),
    }
}

/// How a request's body ends (RFC 9112, section 6.3, read strictly).
fn framing(head: &[u8], fields: &Fields, minor: u8) -> Result<Body, Refusal> {
    let length = only(fields, Name::ContentLength)?;
    let coding = only(fields, Name::TransferEncoding)?;
    match (length, coding) {
        (None, None) => Ok(Body::Done),
        (Some(length), None) => parse_length(length.of(head)).map(Body::length).ok_or(Refusal::Bad),
        (None, Some(coding)) if minor == 1 && is_chunked(coding.of(head)) => {
            Ok(Body::Chunked(Chunked::default()))
        }
        _ => Err(Refusal::Bad),
    }
}

/// A Content-Length: digits alone (RFC 9110, section 8.6), up to 2^63 - 1.
pub fn parse_length(text: &[u8]) -> Option<u64> {
    if text.is_empty() || text.len() > 19 || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse::<u64>().ok().filter(|n| *n <= i64::MAX as u64)
}

/// Is this the one transfer coding that is taken: a single `chunked`?
pub fn is_chunked(value: &[u8]) -> bool {
    value.eq_ignore_ascii_case(b"chunked")
}

fn expects_continue(head: &[u8], fields: &Fields, minor: u8) -> Result<bool, Refusal> {
    let mut expects = false;
    for field in fields.of_kind(Name::Expect) {
        let value = field.value.of(head);
        if value.eq_ignore_ascii_case(b"100-continue") {
            expects = true;
        } else if !value.is_empty() {
            return Err(Refusal::Expectation);
        }
    }
    // A server ignores the expectation of an HTTP/1.0 client (RFC 9110, 10.1.1).
    Ok(expects && minor == 1)
}

struct Target {
    resource: Span,
    path: Span,
    rootless: bool,
    authority: Option<Span>,
}

impl Target {
    /// Reads the target (RFC 9112, section 3.2).
    fn read(head: &[u8], target: Span, method: &[u8]) -> Result<Target, Refusal> {
        let bytes = target.of(head);
        let start = bytes.as_ptr() as usize - head.as_ptr() as usize;
        // No fragment belongs in a request; clients that send one mean the path before it.
        let bytes = &bytes[..memchr::memchr(b'#', bytes).unwrap_or(bytes.len())];
        let span = |from: usize, to: usize| Span::new(start + from, to - from);
        if bytes == b"*" {
            if method != b"OPTIONS" {
                return Err(Refusal::Bad);
            }
            return Ok(Target {
                resource: span(0, 1),
                path: Span::default(),
                rootless: false,
                authority: None,
            });
        }
        let (authority, from) = match bytes.first() {
            Some(b'/') => (None, 0),
            _ => {
                let scheme = [&b"http://"[..], b"https://"].into_iter().find(|scheme| {
                    bytes.get(..scheme.len()).is_some_and(|b| b.eq_ignore_ascii_case(scheme))
                });
                let begin = scheme.ok_or(Refusal::Bad)?.len();
                let rest = &bytes[begin..];
                let len = rest.iter().position(|b| matches!(b, b'/' | b'?')).unwrap_or(rest.len());
                (Some(span(begin, begin + len)), begin + len)
            }
        };
        let rest = &bytes[from..];
        let path_len = memchr::memchr(b'?', rest).unwrap_or(rest.len());
        Ok(Target {
            resource: span(from, bytes.len()),
            path: span(from, from + path_len),
            rootless: path_len == 0,
            authority,
        })
    }
}
