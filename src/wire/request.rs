//! The verdict on a request's head: the strict rules, and what the rest of the router must know.
//!
//! Invariants: a [`Request`] has exactly one valid `Host`, at most one way to frame its body, and a
//! target in a form that fits its method; everything refused here is refused before a byte of it
//! reaches a dyno.

use super::{
    chunked::Chunked,
    connection::{Connection, is_tchar},
    expect,
    framing::Body,
    head::{Field, Fields, HeadError, RequestLine, Span},
    name::Name,
};

/// Bounds of a request's head, in bytes unless said otherwise.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// The method.
    pub method: usize,
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
    /// The method is longer than its bound.
    #[error("method too long")]
    MethodTooLong,
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

/// The authority of a target in absolute form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Authority {
    /// `host[:port]`
    pub text: Span,
    /// The port where none is named: that of the target's scheme.
    pub default_port: u16,
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
    pub authority: Option<Authority>,
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
    /// The client may wait for a 100 before it sends its body.
    pub expects_continue: bool,
    /// How many more hops the request may take.
    pub max_forwards: Option<u32>,
    /// It asks for another protocol: `Connection: upgrade` and an `Upgrade` header.
    pub upgrade: bool,
}

impl From<HeadError> for Refusal {
    fn from(error: HeadError) -> Refusal {
        match error {
            HeadError::Version => Refusal::Version,
            HeadError::TooManyFields => Refusal::HeaderTooLarge,
            HeadError::Malformed | HeadError::BareLf => Refusal::Bad,
        }
    }
}

impl Bounds {
    /// Is all of a parsed head within the bounds?
    pub fn admit(&self, line: &RequestLine, fields: &Fields) -> Result<(), Refusal> {
        if line.method.len() > self.method {
            return Err(Refusal::MethodTooLong);
        }
        if line.len > self.line {
            return Err(Refusal::LineTooLong);
        }
        let too_large = |f: &Field| f.name.len() > self.name || f.value.len() > self.value;
        if fields.len() > self.count || fields.iter().any(too_large) {
            return Err(Refusal::HeaderTooLarge);
        }
        Ok(())
    }
}

impl Request {
    /// Judges a head that [`super::head::parse_request`] parsed.
    pub fn judge(head: &[u8], line: &RequestLine, fields: &Fields) -> Result<Request, Refusal> {
        let method = line.method.of(head);
        if !is_forwarded(method) {
            return Err(Refusal::Method);
        }
        let target = Target::read(head, line.target, method)?;
        let connection = Connection::read(head, fields).map_err(|_| Refusal::Bad)?;
        let body = framing(head, fields, line.minor, &connection)?;
        let expects = expect::is_continue_expected(head, fields)?;
        let upgrade = connection.upgrade && line.minor == 1;
        let protocols = if upgrade { protocols(head, fields)? } else { Protocols::None };
        if connection.upgrade && fields.of_kind(Name::Upgrade).all(|f| f.value.is_empty()) {
            return Err(Refusal::Bad);
        }
        Ok(Request {
            method: line.method,
            target: target.resource,
            rootless: target.rootless,
            path: target.path,
            host: host(fields)?,
            authority: target.authority,
            minor: line.minor,
            upgrade: protocols == Protocols::Foreign,
            connection,
            is_head: method == b"HEAD",
            is_idempotent: is_idempotent(method),
            // A server ignores the expectation of an HTTP/1.0 client (RFC 9110, 10.1.1).
            expects_continue: expects && line.minor == 1,
            max_forwards: max_forwards(head, fields, method),
            body,
        })
    }

    /// Does the client want its connection to go on?
    pub fn keeps_alive(&self) -> bool {
        !self.connection.close && (self.minor == 1 || self.connection.keep_alive)
    }
}

/// Is it a method that a router forwards? CONNECT and TRACE are not.
pub fn is_forwarded(method: &[u8]) -> bool {
    !matches!(method, b"CONNECT" | b"TRACE")
}

/// Is doing it twice as good as doing it once (RFC 9110, section 9.2.2; RFC 4918; RFC 3253)?
pub fn is_idempotent(method: &[u8]) -> bool {
    matches!(method, b"GET" | b"HEAD" | b"OPTIONS" | b"PUT" | b"DELETE" | b"PROPFIND" | b"REPORT")
}

/// RFC 9110, section 7.6.2: known for OPTIONS (and TRACE, which is not forwarded) alone; what is no
/// number says nothing, and a number beyond those that are counted here is the largest of them.
fn max_forwards(head: &[u8], fields: &Fields, method: &[u8]) -> Option<u32> {
    let mut values = fields.of_kind(Name::MaxForwards).filter(|_| method == b"OPTIONS");
    let value = values.next()?.value.of(head);
    let is_number = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    let number = std::str::from_utf8(value).ok().filter(|_| is_number)?;
    Some(number.parse().unwrap_or(u32::MAX))
}

/// The value of `Host`, which is there exactly once (RFC 9112, section 3.2).
pub fn host(fields: &Fields) -> Result<Span, Refusal> {
    only(fields, Name::Host)?.ok_or(Refusal::Bad)
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
fn framing(
    head: &[u8],
    fields: &Fields,
    minor: u8,
    connection: &Connection,
) -> Result<Body, Refusal> {
    let length = only(fields, Name::ContentLength)?;
    let coding = only(fields, Name::TransferEncoding)?;
    match (length, coding) {
        (None, None) => Ok(Body::Done),
        (Some(length), None) => parse_length(length.of(head)).map(Body::length).ok_or(Refusal::Bad),
        (None, Some(coding)) if minor == 1 && is_chunked(coding.of(head)) => {
            Ok(Body::Chunked(Chunked::without(connection.named(head))))
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

/// What an `Upgrade` header asks for.
#[derive(PartialEq)]
enum Protocols {
    None,
    /// Among them HTTP itself, which behind a 101 would carry requests past every rule here.
    Http,
    Foreign,
}

/// Reads the `Upgrade` headers: `#( token [ "/" token ] )` (RFC 9110, section 7.8).
fn protocols(head: &[u8], fields: &Fields) -> Result<Protocols, Refusal> {
    let is_token = |text: &[u8]| !text.is_empty() && text.iter().all(|b| is_tchar(*b));
    let mut all = Protocols::None;
    let values = fields.of_kind(Name::Upgrade).map(|field| field.value.of(head));
    for protocol in values.flat_map(|value| value.split(|b| *b == b',')).map(<[u8]>::trim_ascii) {
        if protocol.is_empty() {
            continue;
        }
        let slash = memchr::memchr(b'/', protocol).unwrap_or(protocol.len());
        let (name, version) = protocol.split_at(slash);
        if !is_token(name) || !(version.is_empty() || is_token(&version[1..])) {
            return Err(Refusal::Bad);
        }
        let begins = |with: &[u8]| {
            name.get(..with.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(with))
        };
        if begins(b"h2") || begins(b"http") {
            all = Protocols::Http;
        } else if all == Protocols::None {
            all = Protocols::Foreign;
        }
    }
    Ok(all)
}

struct Target {
    resource: Span,
    path: Span,
    rootless: bool,
    authority: Option<Authority>,
}

impl Target {
    /// Reads the target (RFC 9112, section 3.2).
    fn read(head: &[u8], target: Span, method: &[u8]) -> Result<Target, Refusal> {
        let bytes = target.of(head);
        let start = bytes.as_ptr() as usize - head.as_ptr() as usize;
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
        // No fragment belongs in a request; clients that send one mean the path before it.
        let bytes = &bytes[..memchr::memchr(b'#', bytes).unwrap_or(bytes.len())];
        let (authority, from) = match bytes.first() {
            Some(b'/') => (None, 0),
            _ => {
                let schemes = [(&b"http://"[..], 80), (b"https://", 443)];
                let scheme = schemes.into_iter().find(|(scheme, _)| {
                    bytes.get(..scheme.len()).is_some_and(|b| b.eq_ignore_ascii_case(scheme))
                });
                let (scheme, default_port) = scheme.ok_or(Refusal::Bad)?;
                let begin = scheme.len();
                let rest = &bytes[begin..];
                let len = rest.iter().position(|b| matches!(b, b'/' | b'?')).unwrap_or(rest.len());
                let text = span(begin, begin + len);
                (Some(Authority { text, default_port }), begin + len)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::head::parse_request;

    fn upgrade(values: &str) -> Result<bool, Refusal> {
        let head = format!("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\n{values}\r\n");
        let mut fields = Fields::default();
        let line = parse_request(head.as_bytes(), &mut fields).unwrap();
        Request::judge(head.as_bytes(), &line, &fields).map(|request| request.upgrade)
    }

    #[test]
    fn an_upgrade_is_a_list_of_protocols() {
        for good in ["websocket", "tls/1.0, irc/6.9", ",x,", "x\r\nUpgrade: y"] {
            assert_eq!(upgrade(&format!("Upgrade: {good}\r\n")), Ok(true), "{good}");
        }
        for bad in ["", " ,", "\"h2c\"", "x y", "x/", "/1", "x/1/2", "x;q=1"] {
            let refused = upgrade(&format!("Upgrade: {bad}\r\n"));
            assert!(matches!(refused, Err(Refusal::Bad) | Ok(false)), "{bad}: {refused:?}");
        }
        assert_eq!(upgrade(""), Err(Refusal::Bad));
        assert_eq!(upgrade("Upgrade:\r\n"), Err(Refusal::Bad));
    }

    #[test]
    fn http_is_none_wherever_it_stands() {
        for http in
            ["h2c", "H2", "h2c/1", "HTTP/2.0", "http", "x, HTTP/2", "h2c, x", "x\r\nUpgrade: h2"]
        {
            assert_eq!(upgrade(&format!("Upgrade: {http}\r\n")), Ok(false), "{http}");
        }
    }
}
