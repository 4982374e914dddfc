//! Reads answers off a connection: status, Content-Length, and that the body has that very length.
//!
//! Invariants: only a 200 with a Content-Length passes, which is what every dyno here sends; bytes
//! beyond the stated length are an error, never the start of the next answer, because one request
//! is out at a time; an answer that came whole in one read is parsed in place, without a copy.

use crate::failure::Failure;

/// A head longer than this is refused, in bytes.
const MAX_HEAD: usize = 16 * 1024;

/// More header lines than this are refused.
pub const MAX_HEADERS: usize = 64;

/// The answer that a connection is reading.
#[derive(Debug, Default)]
pub struct Answer {
    /// The part of the head that came so far, when it did not come in one read.
    head: Vec<u8>,
    /// Body bytes still to come; `None` while the head is incomplete.
    left: Option<u64>,
}

impl Answer {
    /// Takes the next bytes; true once the answer is complete, and the next one may begin.
    pub fn push(&mut self, bytes: &[u8]) -> Result<bool, Failure> {
        let (left, body) = match self.left {
            Some(left) => (left, bytes.len()),
            None if self.head.is_empty() => match parse_head(bytes)? {
                Some((end, length)) => (length, bytes.len() - end),
                None => return self.keep(bytes),
            },
            None => {
                self.head.extend_from_slice(bytes);
                match parse_head(&self.head)? {
                    Some((end, length)) => {
                        let body = self.head.len() - end;
                        self.head.clear();
                        (length, body)
                    }
                    None => return self.keep(&[]),
                }
            }
        };
        let left = left
            .checked_sub(body as u64)
            .ok_or_else(|| Failure::Answer("more bytes than its Content-Length".into()))?;
        self.left = (left > 0).then_some(left);
        Ok(left == 0)
    }

    fn keep(&mut self, bytes: &[u8]) -> Result<bool, Failure> {
        self.head.extend_from_slice(bytes);
        if self.head.len() > MAX_HEAD {
            return Err(Failure::Answer(format!("a head of more than {MAX_HEAD} bytes")));
        }
        Ok(false)
    }
}

/// Where the head ends and how long the body is; `None` while the head is incomplete.
fn parse_head(bytes: &[u8]) -> Result<Option<(usize, u64)>, Failure> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut answer = httparse::Response::new(&mut headers);
    let end = match answer.parse(bytes) {
        Ok(httparse::Status::Complete(end)) => end,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(error) => return Err(Failure::Answer(format!("its head is malformed ({error})"))),
    };
    if answer.code != Some(200) {
        let text = String::from_utf8_lossy(&bytes[..bytes.len().min(400)]).into_owned();
        return Err(Failure::Answer(format!("its status is not 200:\n{text}")));
    }
    let length = header(answer.headers, "content-length")
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| Failure::Answer("it has no Content-Length".into()))?;
    Ok(Some((end, length)))
}

/// The value of the first header of that name, if it is text.
pub fn header<'a>(headers: &[httparse::Header<'a>], name: &str) -> Option<&'a str> {
    let found = headers.iter().find(|header| header.name.eq_ignore_ascii_case(name))?;
    std::str::from_utf8(found.value).ok().map(str::trim)
}
