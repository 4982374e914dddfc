//! The head of a request that the engine wrote, as that of an HTTP/2 request to a dyno.
//!
//! Invariants: fields that speak of the connection end here, but a WebSocket's `Upgrade` where the
//! dyno takes extended CONNECT (RFC 8441); `te: trailers` is said of every request, because this
//! side does pass trailers on; the authority is what `Host` said; how the body ends is what the
//! text says. The head is copied once, all values are parts of the copy.

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, Version, header,
    uri::{Authority, PathAndQuery, Scheme},
};

use crate::wire::{
    chunked::Chunked,
    framing::Body,
    head::{Fields, Span, parse_request},
    name::Name,
    request::parse_length,
};

/// What an exchange asks of a dyno.
#[derive(Debug)]
pub struct Asked {
    /// The message.
    pub message: Request<()>,
    /// How its body ends.
    pub body: Body,
    /// It asks for a WebSocket by extended CONNECT; the key that its answer must know.
    pub socket: Option<Bytes>,
}

/// The text is no request's head.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed request")]
pub struct Malformed;

/// What the connection to the dyno is.
#[derive(Debug, Clone, Copy)]
pub struct Way {
    /// It is inside TLS.
    pub is_secure: bool,
    /// The dyno takes extended CONNECT.
    pub extended: bool,
}

impl Asked {
    /// Reads a whole head.
    pub fn read(head: &[u8], fields: &mut Fields, way: Way) -> Result<Asked, Malformed> {
        let line = parse_request(head, fields).map_err(|_| Malformed)?;
        let copy = Bytes::copy_from_slice(head);
        let part = |span: Span| match span.of(head) {
            [] => Bytes::new(),
            part => {
                let start = part.as_ptr() as usize - head.as_ptr() as usize;
                copy.slice(start..start + part.len())
            }
        };
        let method = Method::from_bytes(line.method.of(head)).map_err(|_| Malformed)?;
        let socket = socket_key(head, fields).filter(|_| way.extended && method == Method::GET);
        let mut map = HeaderMap::with_capacity(fields.len() + 1);
        map.insert(header::TE, HeaderValue::from_static("trailers"));
        let mut host = None;
        for field in fields.iter() {
            let name = field.name.of(head);
            let left_out = field.kind.is_hop_by_hop()
                || (socket.is_some() && name.eq_ignore_ascii_case(b"sec-websocket-key"));
            if field.kind == Name::Host {
                host = Some(part(field.value));
            } else if !left_out {
                let name = HeaderName::from_bytes(name).map_err(|_| Malformed)?;
                let value = HeaderValue::from_maybe_shared(part(field.value));
                map.try_append(name, value.map_err(|_| Malformed)?).map_err(|_| Malformed)?;
            }
        }
        let body = body(head, fields, socket.is_some())?;
        let mut message = Request::new(());
        *message.method_mut() = if socket.is_some() { Method::CONNECT } else { method };
        *message.uri_mut() = uri(host.ok_or(Malformed)?, line.target.of(head), way.is_secure)?;
        *message.version_mut() = Version::HTTP_2;
        *message.headers_mut() = map;
        Ok(Asked { message, body, socket: socket.map(part) })
    }
}

/// The key of a request for a WebSocket.
fn socket_key(head: &[u8], fields: &Fields) -> Option<Span> {
    let mut protocols = fields.of_kind(Name::Upgrade).map(|field| field.value.of(head));
    let asked = protocols.next()?.eq_ignore_ascii_case(b"websocket") && protocols.next().is_none();
    let is_key = |name: &[u8]| name.eq_ignore_ascii_case(b"sec-websocket-key");
    let key = fields.iter().find(|field| is_key(field.name.of(head)))?;
    asked.then_some(key.value)
}

fn body(head: &[u8], fields: &Fields, is_tunnel: bool) -> Result<Body, Malformed> {
    let length = fields.of_kind(Name::ContentLength).next();
    let coded = fields.of_kind(Name::TransferEncoding).next().is_some();
    match length {
        _ if is_tunnel => Ok(Body::Close),
        _ if coded => Ok(Body::Chunked(Chunked::default())),
        Some(length) => parse_length(length.value.of(head)).map(Body::length).ok_or(Malformed),
        None => Ok(Body::Done),
    }
}

fn uri(host: Bytes, target: &[u8], is_secure: bool) -> Result<Uri, Malformed> {
    let mut parts = http::uri::Parts::default();
    parts.scheme = Some(if is_secure { Scheme::HTTPS } else { Scheme::HTTP });
    parts.authority = Some(Authority::from_maybe_shared(host).map_err(|_| Malformed)?);
    let path = PathAndQuery::from_maybe_shared(escaped(target)).map_err(|_| Malformed)?;
    parts.path_and_query = Some(path);
    Uri::from_parts(parts).map_err(|_| Malformed)
}

/// A target in which bytes that no URI may have (RFC 3986) are percent-encoded: HTTP/1.1 lets them
/// pass, HTTP/2 does not.
fn escaped(target: &[u8]) -> Bytes {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let stays = |byte: u8| matches!(byte, b'!'..=b'~' if !b"\"#<>`".contains(&byte));
    if target.iter().all(|byte| stays(*byte)) {
        return Bytes::copy_from_slice(target);
    }
    let mut out = Vec::with_capacity(target.len() * 2);
    for byte in target {
        match byte {
            byte if stays(*byte) => out.push(*byte),
            byte => out.extend([b'%', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]),
        }
    }
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Way = Way { is_secure: false, extended: false };

    fn read(text: &str, way: Way) -> Asked {
        Asked::read(text.as_bytes(), &mut Fields::default(), way).unwrap()
    }

    fn fields(asked: &Asked) -> Vec<(&str, &str)> {
        let fields = asked.message.headers().iter();
        fields.map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect()
    }

    #[test]
    fn host_is_the_authority_and_trailers_are_taken() {
        let text = "GET /a?b=%20 HTTP/1.1\r\nHost: a.test:81\r\nX-A: 1\r\nConnection: close\r\n\
                    Empty:\r\n\r\n";
        let asked = read(text, PLAIN);
        assert_eq!(asked.message.uri(), "http://a.test:81/a?b=%20");
        assert_eq!(fields(&asked), [("te", "trailers"), ("x-a", "1"), ("empty", "")]);
        assert!(asked.body.is_done() && asked.socket.is_none());
        let secure = read(text, Way { is_secure: true, extended: false });
        assert_eq!(secure.message.uri().scheme_str(), Some("https"));
    }

    #[test]
    fn the_body_ends_as_the_text_says() {
        let of = |line: &str| read(&format!("PUT / HTTP/1.1\r\nHost: a\r\n{line}\r\n"), PLAIN);
        assert!(matches!(of("Content-Length: 3\r\n").body, Body::Length(3)));
        assert!(of("Content-Length: 0\r\n").body.is_done());
        let chunked = of("Transfer-Encoding: chunked\r\n");
        assert!(matches!(chunked.body, Body::Chunked(_)));
        assert_eq!(fields(&chunked), [("te", "trailers")]);
    }

    #[test]
    fn a_websocket_is_an_extended_connect_where_the_dyno_takes_it() {
        let text = "GET /chat HTTP/1.1\r\nHost: a\r\nSec-WebSocket-Key: abc\r\n\
                    Sec-WebSocket-Version: 13\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n\r\n";
        let asked = read(text, Way { is_secure: false, extended: true });
        assert_eq!(asked.message.method(), Method::CONNECT);
        assert_eq!(asked.socket.as_deref(), Some(&b"abc"[..]));
        assert_eq!(fields(&asked), [("te", "trailers"), ("sec-websocket-version", "13")]);
        let plain = read(text, PLAIN);
        assert_eq!((plain.message.method(), plain.socket.is_none()), (&Method::GET, true));
        assert!(plain.message.headers().get("upgrade").is_none());
        let other = text.replace("WebSocket\r\nConnection", "other\r\nConnection");
        assert!(read(&other, Way { is_secure: false, extended: true }).socket.is_none());
    }

    #[test]
    fn what_no_uri_may_hold_is_escaped() {
        let asked = read("GET /\"<a>`{}|^?q=\"\u{e9} HTTP/1.1\r\nHost: a\r\n\r\n", PLAIN);
        assert_eq!(asked.message.uri().path(), "/%22%3Ca%3E%60{}|^");
        assert_eq!(asked.message.uri().query(), Some("q=%22%C3%A9"));
        let star = read("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", PLAIN);
        assert_eq!(star.message.uri().path(), "*");
    }
}
