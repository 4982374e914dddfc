//! The router's own reading of heads, within the bounds that a router has which is told nothing
//! else.
//!
//! Invariant: the steps and their order are those of the router, so that what is found here is what
//! a request or an answer meets there.

use hostler::wire::{
    head::{Fields, parse_request},
    request::{self, Refusal, Request},
    response::{self, Response},
};

/// The bounds of a request.
pub const OF_REQUESTS: request::Bounds =
    request::Bounds { method: 127, line: 8192, name: 1000, value: 8192, count: 1000 };
const OF_ANSWERS: response::Bounds =
    response::Bounds { line: 8192, cookie: 8192, header: 512 << 10 };

/// Judges the head of a request.
pub fn request(head: &[u8], fields: &mut Fields) -> Result<Request, Refusal> {
    let line = parse_request(head, fields)?;
    OF_REQUESTS.admit(&line, fields)?;
    Request::judge(head, &line, fields)
}

/// Judges the head of an answer, which nothing is kept of if it is refused.
pub fn answer(head: &[u8], fields: &mut Fields, to_head: bool) -> Option<Response> {
    Response::read(head, fields, &OF_ANSWERS, to_head).ok()
}
