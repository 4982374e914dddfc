//! The head of a dyno's HTTP/2 answer as the text of an HTTP/1.1 one (RFC 9113, section 8.3.2).
//!
//! Names and values are of types that hold no CR, LF, NUL or upper-case letter. Invariants: the
//! text has one way to frame its body, chosen here; it says that its connection ends with it, for
//! that is one stream; a dyno that speaks of the connection, or states a length that cannot be, is
//! refused.

use http::{HeaderMap, StatusCode, header};

use super::accept_key;
use crate::wire::{name::Name, request::parse_length, rewrite};

/// How the body of an answer goes on as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// There is none.
    None,
    /// As it comes: its length is stated.
    Stated,
    /// In chunks.
    Chunked,
    /// As it comes, until the end: a WebSocket.
    Tunnel,
}

/// What the request was.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// HEAD: no body comes.
    pub is_head: bool,
    /// An extended CONNECT, with the key of the client.
    pub socket: Option<&'a [u8]>,
}

/// The answer is malformed in the sense of RFC 9113, section 8.1.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed answer")]
pub struct Malformed;

/// Writes the head of a final answer, whose stream has `ended` with it or not.
pub fn head(
    status: StatusCode,
    fields: &HeaderMap,
    asked: Asked<'_>,
    ended: bool,
    out: &mut Vec<u8>,
) -> Result<Framing, Malformed> {
    judge(status, fields)?;
    if let Some(key) = asked.socket.filter(|_| status.is_success()) {
        out.extend_from_slice(b"HTTP/1.1 101 Switching Protocols\r\n");
        out.extend_from_slice(b"Connection: Upgrade\r\nUpgrade: websocket\r\n");
        rewrite::line(out, b"Sec-WebSocket-Accept", &accept_key::of(key));
        write(fields, |name| *name != header::CONTENT_LENGTH, out);
        return Ok(Framing::Tunnel);
    }
    let length = length(fields)?;
    let bodiless = asked.is_head || matches!(status.as_u16(), 204 | 304);
    if !bodiless && ended && length.is_some_and(|length| length > 0) {
        return Err(Malformed);
    }
    status_line(status, out);
    out.extend_from_slice(b"Connection: close\r\n");
    let framing = match (bodiless, length, ended) {
        (true, ..) => Framing::None,
        (false, Some(_), _) => Framing::Stated,
        (false, None, true) => {
            out.extend_from_slice(b"Content-Length: 0\r\n");
            Framing::None
        }
        (false, None, false) => {
            out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
            Framing::Chunked
        }
    };
    write(fields, |_| true, out);
    Ok(framing)
}

/// Writes the head of an interim answer.
pub fn interim(status: StatusCode, fields: &HeaderMap, out: &mut Vec<u8>) -> Result<(), Malformed> {
    judge(status, fields)?;
    status_line(status, out);
    write(fields, |name| *name != header::CONTENT_LENGTH, out);
    Ok(())
}

/// Refuses what speaks of the connection, which HTTP/2 does itself (section 8.2.2), values with
/// blanks around them (8.2.1), and a 101, which it has not (8.6).
fn judge(status: StatusCode, fields: &HeaderMap) -> Result<(), Malformed> {
    let is_bare = |byte: Option<&u8>| !matches!(byte, Some(b' ' | b'\t'));
    let passes = |(name, value): (&header::HeaderName, &header::HeaderValue)| {
        let of_connection = Name::of(name.as_str().as_bytes()).is_of_connection();
        let value = value.as_bytes();
        !of_connection && is_bare(value.first()) && is_bare(value.last())
    };
    let known = status != StatusCode::SWITCHING_PROTOCOLS;
    if known && fields.iter().all(passes) { Ok(()) } else { Err(Malformed) }
}

/// The length that a judged answer states.
pub fn stated(fields: &HeaderMap) -> u64 {
    length(fields).ok().flatten().unwrap_or(u64::MAX)
}

fn length(fields: &HeaderMap) -> Result<Option<u64>, Malformed> {
    let mut lengths = fields.get_all(header::CONTENT_LENGTH).iter();
    match (lengths.next(), lengths.next()) {
        (None, _) => Ok(None),
        (Some(text), None) => parse_length(text.as_bytes()).map(Some).ok_or(Malformed),
        _ => Err(Malformed),
    }
}

fn status_line(status: StatusCode, out: &mut Vec<u8>) {
    out.extend_from_slice(b"HTTP/1.1 ");
    rewrite::status(out, status.as_u16());
    out.push(b' ');
    out.extend_from_slice(status.canonical_reason().unwrap_or_default().as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// Writes the fields that pass, and the empty line.
fn write(fields: &HeaderMap, passes: impl Fn(&header::HeaderName) -> bool, out: &mut Vec<u8>) {
    for (name, value) in fields.iter().filter(|(name, _)| passes(name)) {
        rewrite::line(out, name.as_str().as_bytes(), value.as_bytes());
    }
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    const PLAIN: Asked<'static> = Asked { is_head: false, socket: None };

    fn text(
        status: u16,
        fields: &[(&'static str, &'static str)],
        asked: Asked<'_>,
        ended: bool,
    ) -> Result<(String, Framing), Malformed> {
        let mut map = HeaderMap::new();
        for (name, value) in fields {
            map.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let mut out = Vec::new();
        let framing = head(StatusCode::from_u16(status).unwrap(), &map, asked, ended, &mut out)?;
        Ok((String::from_utf8(out).unwrap(), framing))
    }

    #[test]
    fn a_body_is_framed_in_one_way() {
        let begin = "HTTP/1.1 200 OK\r\nConnection: close\r\n";
        for (fields, ended, rest, framing) in [
            (&[][..], false, "Transfer-Encoding: chunked\r\n", Framing::Chunked),
            (&[][..], true, "Content-Length: 0\r\n", Framing::None),
            (&[("content-length", "3")], false, "content-length: 3\r\n", Framing::Stated),
            (&[("content-length", "0")], true, "content-length: 0\r\n", Framing::Stated),
        ] {
            let expected = (format!("{begin}{rest}\r\n"), framing);
            assert_eq!(text(200, fields, PLAIN, ended), Ok(expected));
        }
        let to_head = Asked { is_head: true, socket: None };
        let (head, framing) = text(200, &[("content-length", "3")], to_head, true).unwrap();
        assert!(head.contains("content-length: 3\r\n") && framing == Framing::None);
        assert_eq!(text(204, &[], PLAIN, true).unwrap().1, Framing::None);
        assert_eq!(text(299, &[], PLAIN, true).unwrap().0.lines().next(), Some("HTTP/1.1 299 "));
    }

    #[test]
    fn what_speaks_of_the_connection_or_lies_is_refused() {
        for fields in [
            &[("connection", "x")][..],
            &[("transfer-encoding", "chunked")],
            &[("keep-alive", "1")],
            &[("proxy-connection", "x")],
            &[("upgrade", "x")],
            &[("te", "trailers")],
            &[("x-a", " b")],
            &[("content-length", "1")],
            &[("content-length", "-1")],
            &[("content-length", "0"), ("content-length", "0")],
        ] {
            assert_eq!(text(200, fields, PLAIN, true), Err(Malformed), "{fields:?}");
        }
        assert_eq!(text(101, &[], PLAIN, false), Err(Malformed));
    }

    #[test]
    fn a_websocket_is_told_to_the_client_as_a_switch() {
        let asked = Asked { is_head: false, socket: Some(b"dGhlIHNhbXBsZSBub25jZQ==") };
        let (head, framing) = text(200, &[("sec-websocket-protocol", "x")], asked, false).unwrap();
        assert_eq!(
            head,
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nsec-websocket-protocol: x\r\n\
             \r\n"
        );
        assert_eq!(framing, Framing::Tunnel);
        assert_eq!(text(403, &[], asked, true).unwrap().1, Framing::None);
    }

    #[test]
    fn an_interim_answer_has_its_fields() {
        let mut map = HeaderMap::new();
        map.insert(header::LINK, HeaderValue::from_static("</a>"));
        let mut out = Vec::new();
        interim(StatusCode::EARLY_HINTS, &map, &mut out).unwrap();
        assert!(out.starts_with(b"HTTP/1.1 103 "));
        assert!(out.ends_with(b"\r\nlink: </a>\r\n\r\n"));
        assert_eq!(interim(StatusCode::SWITCHING_PROTOCOLS, &map, &mut out), Err(Malformed));
    }
}
