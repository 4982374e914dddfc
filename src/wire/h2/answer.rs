//! The head of an answer that the engine wrote, as that of an HTTP/2 answer.
//!
//! Invariants: fields that speak of the connection end here; names are lower case; how the body
//! ends is what the text says, read by the rules for every answer. A common head is copied once and
//! all values are parts of the copy; who keeps a value keeps at most [`SHARED`] bytes beside it.

use std::ops::Range;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::wire::{
    framing::Body,
    head::Fields,
    response::{Bounds, Response},
};

/// The longest head of which the values share one copy, in bytes. What compresses the answers of a
/// connection keeps values for as long as it has room, some hundred, and with one all of its copy.
const SHARED: usize = 2 << 10;

/// The engine has judged how long the parts of a head are.
const BOUNDS: Bounds = Bounds { line: usize::MAX, cookie: usize::MAX, header: usize::MAX };

/// An answer's head.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The fields.
    pub fields: HeaderMap,
    /// How the body ends.
    pub body: Body,
}

/// The text is no answer's head.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed answer")]
pub struct Malformed;

impl Answer {
    /// Reads a whole head; `to_head` says that it answers a HEAD request.
    pub fn read(head: &[u8], fields: &mut Fields, to_head: bool) -> Result<Answer, Malformed> {
        let response = Response::read(head, fields, &BOUNDS, to_head).map_err(|_| Malformed)?;
        let status = StatusCode::from_u16(response.status).map_err(|_| Malformed)?;
        let copy = (head.len() <= SHARED).then(|| Bytes::copy_from_slice(head));
        let mut map = HeaderMap::with_capacity(fields.len());
        for field in fields.iter().filter(|field| !field.kind.is_of_connection()) {
            let name = HeaderName::from_bytes(field.name.of(head)).map_err(|_| Malformed)?;
            let value = match (field.value.of(head), &copy) {
                ([], _) => Bytes::new(),
                (value, Some(copy)) => copy.slice(range(head, value)),
                (value, None) => Bytes::copy_from_slice(value),
            };
            let value = HeaderValue::from_maybe_shared(value).map_err(|_| Malformed)?;
            map.try_append(name, value).map_err(|_| Malformed)?;
        }
        Ok(Answer { status, fields: map, body: response.body })
    }
}

/// Where `value`, a part of `head`, lies in it.
fn range(head: &[u8], value: &[u8]) -> Range<usize> {
    let start = value.as_ptr() as usize - head.as_ptr() as usize;
    start..start + value.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, to_head: bool) -> Result<Answer, Malformed> {
        Answer::read(text.as_bytes(), &mut Fields::default(), to_head)
    }

    #[test]
    fn fields_pass_in_lower_case_without_those_of_the_connection() {
        let answer = read(
            "HTTP/1.1 200 OK\r\nX-A: 1\r\nConnection: close\r\nSet-Cookie: a\r\nEmpty:\r\n\
             Set-Cookie: b\r\nTransfer-Encoding: chunked\r\n\r\n",
            false,
        )
        .unwrap();
        let fields: Vec<_> =
            answer.fields.iter().map(|(n, v)| (n.as_str(), v.to_str().unwrap())).collect();
        assert_eq!(fields, [("x-a", "1"), ("set-cookie", "a"), ("set-cookie", "b"), ("empty", "")]);
        assert!(matches!(answer.body, Body::Chunked(_)));
    }

    #[test]
    fn a_value_of_a_long_head_keeps_nothing_but_itself() {
        let text = format!("HTTP/1.1 200 OK\r\nX-A: 1\r\nX-B: {}\r\n\r\n", "b".repeat(SHARED));
        let answer = read(&text, false).unwrap();
        let [a, b] = ["x-a", "x-b"].map(|name| answer.fields[name].as_bytes());
        assert_eq!((a, b.len()), (&b"1"[..], SHARED));
        let apart = (b.as_ptr() as usize).wrapping_sub(a.as_ptr() as usize);
        assert_ne!(apart, "1\r\nX-B: ".len());
    }

    #[test]
    fn the_body_ends_as_the_text_says() {
        let of = |text, to_head| read(text, to_head).unwrap().body;
        let stated = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n";
        assert!(matches!(of(stated, false), Body::Length(3)));
        assert!(of(stated, true).is_done());
        assert!(of("HTTP/1.1 204 X\r\n\r\n", false).is_done());
        assert!(of("HTTP/1.1 200 X\r\nConnection: close\r\n\r\n", false).ends_with_connection());
        assert_eq!(read("HTTP/1.1 20 X\r\n\r\n", false).err(), Some(Malformed));
    }
}
