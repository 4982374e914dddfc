//! The head of an HTTP/2 request as the text of an HTTP/1.1 one (RFC 9113, section 8.3.1).
//!
//! Names and values are of types that hold no CR, LF, NUL or upper-case letter, so that what is
//! left to refuse is what they do not know. Invariants: the text has exactly one `Host`, which is
//! the authority; it has one way to frame its body, chosen here; no field in it speaks of the
//! connection but that framing.

use http::{
    Method,
    header::{self, HeaderName},
    request::Parts,
};

use crate::wire::{
    name::Name,
    request::{is_forwarded, parse_length},
    rewrite::{line, number_line},
};

/// What a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asks {
    /// An answer.
    Answer,
    /// A WebSocket: an extended CONNECT (RFC 8441), which in HTTP/1.1 is a GET with this key.
    Socket([u8; 24]),
}

/// Why a request has no text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is malformed in the sense of RFC 9113, section 8.1.1.
    #[error("malformed request")]
    Malformed,
    /// CONNECT and TRACE are not forwarded.
    #[error("method not allowed")]
    Method,
}

/// How the body of a request ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Length {
    /// With the head: there is none.
    None,
    /// After so many bytes, as the request says.
    Stated(u64),
    /// Whenever the stream ends.
    Unknown,
}

/// Judges a request whose stream has `ended` with its head, or not; answers how its body ends.
pub fn judge(request: &Parts, asks: Asks, ended: bool) -> Result<Length, Refusal> {
    let asked = match asks {
        Asks::Answer => is_forwarded(request.method.as_str().as_bytes()),
        Asks::Socket(_) => request.method == Method::CONNECT,
    };
    if !asked {
        return Err(Refusal::Method);
    }
    let scheme = request.uri.scheme_str();
    if scheme.is_some_and(|scheme| scheme != "http" && scheme != "https") {
        return Err(Refusal::Malformed);
    }
    // A path is `/` and what follows, or the `*` of OPTIONS.
    let target = target(request).as_bytes();
    let visible = target.iter().all(|byte| *byte > b' ' && *byte != 0x7f);
    if !visible || !(target.starts_with(b"/") || target == b"*") {
        return Err(Refusal::Malformed);
    }
    let mut hosts = request.headers.get_all(header::HOST).iter();
    let (host, another) = (hosts.next(), hosts.next());
    let authority = request.uri.authority().map(|authority| authority.as_str().as_bytes());
    let agree = match (authority, host) {
        (None, None) => false,
        (Some(authority), Some(host)) => authority.eq_ignore_ascii_case(host.as_bytes()),
        _ => true,
    };
    if !agree || another.is_some() || authority.is_some_and(|text| text.contains(&b'@')) {
        return Err(Refusal::Malformed);
    }
    for (name, value) in &request.headers {
        let value = value.as_bytes();
        let bare = |byte: Option<&u8>| !matches!(byte, Some(b' ' | b'\t'));
        if !bare(value.first()) || !bare(value.last()) || is_of_connection(name, value) {
            return Err(Refusal::Malformed);
        }
    }
    match asks {
        // What follows the head is no body.
        Asks::Socket(_) if request.headers.contains_key(header::CONTENT_LENGTH) => {
            Err(Refusal::Malformed)
        }
        Asks::Socket(_) => Ok(Length::None),
        Asks::Answer => length(request, ended),
    }
}

/// Is the field one that speaks of the connection, which HTTP/2 does itself (section 8.2.2)?
fn is_of_connection(name: &HeaderName, value: &[u8]) -> bool {
    match Name::of(name.as_str().as_bytes()) {
        Name::Te => value != b"trailers",
        name => name.is_of_connection(),
    }
}

fn length(request: &Parts, ended: bool) -> Result<Length, Refusal> {
    let mut lengths = request.headers.get_all(header::CONTENT_LENGTH).iter();
    let stated = match (lengths.next(), lengths.next()) {
        (None, _) => None,
        (Some(text), None) => Some(parse_length(text.as_bytes()).ok_or(Refusal::Malformed)?),
        _ => return Err(Refusal::Malformed),
    };
    match (stated, ended) {
        (Some(1..), true) => Err(Refusal::Malformed),
        (Some(length), _) => Ok(Length::Stated(length)),
        // Some servers answer a POST that says nothing of its body with 411.
        (None, true) if expects_body(&request.method) => Ok(Length::Stated(0)),
        (None, true) => Ok(Length::None),
        (None, false) => Ok(Length::Unknown),
    }
}

/// Does the method give a body a meaning, so that one without says so (RFC 9110, section 8.6)?
fn expects_body(method: &Method) -> bool {
    matches!(*method, Method::POST | Method::PUT | Method::PATCH)
}

fn target(request: &Parts) -> &str {
    request.uri.path_and_query().map_or("", |target| target.as_str())
}

/// The most bytes that [`write`] writes.
pub fn text_len(request: &Parts) -> usize {
    let fields = request.headers.iter();
    let fields: usize = fields.map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    let authority = request.uri.authority().map_or(0, |authority| authority.as_str().len());
    // Spaces, version, line ends, `Host`, and the framing or what asks for a WebSocket.
    request.method.as_str().len() + target(request).len() + authority + fields + 140
}

/// Writes the head of a request that was judged.
pub fn write(request: &Parts, asks: Asks, length: Length, out: &mut Vec<u8>) {
    out.extend_from_slice(match asks {
        Asks::Answer => request.method.as_str().as_bytes(),
        Asks::Socket(_) => b"GET",
    });
    out.push(b' ');
    out.extend_from_slice(target(request).as_bytes());
    out.extend_from_slice(b" HTTP/1.1\r\n");
    let host = request.uri.authority().map(|authority| authority.as_str().as_bytes());
    let host = host.or_else(|| request.headers.get(header::HOST).map(|host| host.as_bytes()));
    line(out, b"host", host.unwrap_or_default());
    for name in request.headers.keys() {
        let is_key = name == header::SEC_WEBSOCKET_KEY && asks != Asks::Answer;
        if name == header::HOST || name == header::CONTENT_LENGTH || is_key {
            continue;
        }
        let values = request.headers.get_all(name).iter().map(|value| value.as_bytes());
        if name == header::COOKIE {
            // The crumbs of one header (section 8.2.3); an empty one says nothing.
            let mut crumbs = values.filter(|crumb| !crumb.is_empty());
            let Some(first) = crumbs.next() else { continue };
            line(out, b"cookie", first);
            for crumb in crumbs {
                out.truncate(out.len() - 2);
                out.extend_from_slice(b"; ");
                out.extend_from_slice(crumb);
                out.extend_from_slice(b"\r\n");
            }
            continue;
        }
        for value in values {
            line(out, name.as_str().as_bytes(), value);
        }
    }
    if let Asks::Socket(key) = asks {
        out.extend_from_slice(b"connection: Upgrade\r\nupgrade: websocket\r\n");
        line(out, b"sec-websocket-key", &key);
    }
    match length {
        Length::None => {}
        Length::Stated(length) => number_line(out, b"content-length", length),
        Length::Unknown => {
            line(out, b"transfer-encoding", b"chunked");
        }
    }
    out.extend_from_slice(b"\r\n");
}

/// The head of a request that was refused, for those who are told of it; it goes to no dyno.
pub fn told(request: &Parts) -> Vec<u8> {
    let mut out = Vec::new();
    write(request, Asks::Answer, Length::None, &mut out);
    out
}

#[cfg(test)]
mod tests;
