//! The verdict on the head of a dyno's answer.
//!
//! Invariants: an answer that two readers could frame differently is refused; what [`Response`]
//! says of the body follows RFC 9112, section 6.3, from the request's method, the status and the
//! headers alone.

use super::{
    chunked::Chunked,
    connection::Connection,
    framing::Body,
    head::{self, Fields, HeadError, Span},
    keep_alive,
    name::Name,
    request::{is_chunked, parse_length},
};

/// Bounds of an answer's head, in bytes.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// The status line.
    pub line: usize,
    /// A `Set-Cookie` line.
    pub cookie: usize,
    /// Any other header line.
    pub header: usize,
}

/// Why an answer is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is not HTTP, or HTTP that two readers could read differently.
    #[error("malformed answer")]
    Malformed,
    /// Its Content-Length is not a number, or there are several.
    #[error("invalid Content-Length")]
    ContentLength,
    /// Its status line is longer than the bound.
    #[error("oversized status line")]
    StatusLine,
    /// A Set-Cookie line is longer than the bound.
    #[error("oversized cookie")]
    Cookie,
    /// Another header line is longer than the bound.
    #[error("oversized header")]
    Header,
}

/// What the head of an answer says.
#[derive(Debug, Clone)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// The reason phrase.
    pub reason: Span,
    /// The minor version: 0 or 1.
    pub minor: u8,
    /// What `Connection` says.
    pub connection: Connection,
    /// How the body ends.
    pub body: Body,
    /// The value of Content-Length, kept where there is no body to frame (HEAD, 304).
    pub length: Option<u64>,
    /// How long the dyno says that it keeps the idle connection, in seconds.
    pub idle_s: Option<u32>,
    /// It has a `Date` that goes on.
    pub has_date: bool,
}

impl Response {
    /// Parses and judges a whole head; `to_head` says that it answers a HEAD request.
    pub fn read(
        head: &[u8],
        fields: &mut Fields,
        bounds: &Bounds,
        to_head: bool,
    ) -> Result<Response, Refusal> {
        let line = head::parse_response(head, fields).map_err(|error| match error {
            HeadError::TooManyFields => Refusal::Header,
            _ => Refusal::Malformed,
        })?;
        // Below 100 there is no class that says how the answer ends (RFC 9110, section 15).
        if line.status < 100 {
            return Err(Refusal::Malformed);
        }
        if line.len > bounds.line {
            return Err(Refusal::StatusLine);
        }
        for field in fields.iter() {
            let len = field.name.len() + field.value.len() + 2;
            if field.kind == Name::SetCookie && len > bounds.cookie {
                return Err(Refusal::Cookie);
            }
            if len > bounds.header {
                return Err(Refusal::Header);
            }
        }
        let connection = Connection::read(head, fields).map_err(|_| Refusal::Malformed)?;
        // A 101 says to what (RFC 9110, section 15.2.2).
        let says = fields.of_kind(Name::Upgrade).any(|field| !field.value.is_empty());
        if line.status == 101 && (!says || line.minor == 0) {
            return Err(Refusal::Malformed);
        }
        let (length, coded) = framing_headers(head, fields, line.minor)?;
        let bodiless = to_head || line.status < 200 || matches!(line.status, 204 | 304);
        let body = match (bodiless, coded, length) {
            (true, ..) => Body::Done,
            (false, true, _) => Body::Chunked(Chunked::without(connection.named(head))),
            (false, false, Some(length)) => Body::length(length),
            (false, false, None) => Body::Close,
        };
        Ok(Response {
            status: line.status,
            reason: line.reason,
            minor: line.minor,
            connection,
            body,
            length,
            idle_s: keep_alive::idle_s(head, fields),
            has_date: fields.of_kind(Name::Date).any(|f| !connection.names(head, f.name.of(head))),
        })
    }

    /// May the dyno's connection carry another exchange once this one is over?
    pub fn keeps_alive(&self) -> bool {
        !self.connection.close && (self.minor == 1 || self.connection.keep_alive)
    }

    /// Is this an interim answer, before the final one (RFC 9110, section 15.2)?
    pub fn is_interim(&self) -> bool {
        (100..200).contains(&self.status) && self.status != 101
    }
}

fn framing_headers(
    head: &[u8],
    fields: &Fields,
    minor: u8,
) -> Result<(Option<u64>, bool), Refusal> {
    let mut lengths = fields.of_kind(Name::ContentLength);
    let length = match (lengths.next(), lengths.next()) {
        (None, _) => None,
        (Some(field), None) => {
            Some(parse_length(field.value.of(head)).ok_or(Refusal::ContentLength)?)
        }
        _ => return Err(Refusal::ContentLength),
    };
    let mut codings = fields.of_kind(Name::TransferEncoding);
    match (codings.next(), codings.next()) {
        (None, _) => Ok((length, false)),
        (Some(field), None)
            if length.is_none() && minor == 1 && is_chunked(field.value.of(head)) =>
        {
            Ok((None, true))
        }
        _ => Err(Refusal::Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds { line: 100, cookie: 100, header: 100 };

    fn read(head: &[u8]) -> Result<Response, Refusal> {
        Response::read(head, &mut Fields::default(), &BOUNDS, false)
    }

    #[test]
    fn a_status_of_no_class_is_refused() {
        for status in ["000", "042", "099"] {
            let head = format!("HTTP/1.1 {status} X\r\n\r\n");
            assert_eq!(read(head.as_bytes()).err(), Some(Refusal::Malformed), "{status}");
        }
        assert_eq!(read(b"HTTP/1.1 100 X\r\n\r\n").unwrap().status, 100);
        assert_eq!(read(b"HTTP/1.1 999 X\r\n\r\n").unwrap().status, 999);
    }

    #[test]
    fn a_date_that_connection_names_is_none() {
        assert!(read(b"HTTP/1.1 200 OK\r\nDate: x\r\n\r\n").unwrap().has_date);
        let named = b"HTTP/1.1 200 OK\r\nConnection: date\r\nDate: x\r\n\r\n";
        assert!(!read(named).unwrap().has_date);
    }
}
