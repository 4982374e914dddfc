//! How a body ends: not there, by length, chunked, or with the connection (RFC 9112, section 6.3).
//!
//! A [`Body`] is shown the bytes that came and accepts those that belong to the message, in place.
//! Invariants: bytes behind the message's end are never accepted; the verdict does not depend on
//! how the bytes were split; no byte is looked at twice but those of an unfinished trailer section.

use super::chunked::Chunked;

/// What is still to come of a body.
#[derive(Debug, Clone)]
pub enum Body {
    /// Nothing: the message is whole.
    Done,
    /// So many bytes.
    Length(u64),
    /// Chunks, and a trailer section.
    Chunked(Chunked),
    /// All that comes until the connection closes.
    Close,
}

/// How the accepted bytes go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// As they came, chunks stay chunks.
    Keep,
    /// Without the chunked coding: the data alone, for those who do not know it.
    Strip,
}

/// Why bytes are not a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FramingError {
    /// A chunk's size line or its end breaks RFC 9112, section 7.1.
    #[error("malformed chunk")]
    Chunk,
    /// The trailer section breaks the grammar or is too long.
    #[error("malformed trailer section")]
    Trailer,
}

/// What [`Body::accept`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accepted {
    /// Where the accepted bytes end: all before may be sent.
    pub ready: usize,
    /// How many of the newly accepted bytes are data, not framing.
    pub data: u64,
}

impl Body {
    /// A body of a known length.
    pub fn length(length: u64) -> Body {
        if length == 0 { Body::Done } else { Body::Length(length) }
    }

    /// Accepts what belongs to the body among `buffer[from..]`, in place: what is not to be sent is
    /// cut out of the buffer. What stands behind `ready` afterwards is not, or not yet, part of it,
    /// and is to be shown again, from `ready` on, when more has come.
    pub fn accept(
        &mut self,
        buffer: &mut Vec<u8>,
        from: usize,
        coding: Coding,
    ) -> Result<Accepted, FramingError> {
        let there = buffer.len() - from;
        let taken = match self {
            Body::Done => 0,
            Body::Length(left) => {
                let taken = there.min(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= taken as u64;
                if *left == 0 {
                    *self = Body::Done;
                }
                taken
            }
            Body::Close => there,
            Body::Chunked(chunked) => {
                let accepted = chunked.accept(buffer, from, coding)?;
                if chunked.is_done() {
                    *self = Body::Done;
                }
                return Ok(accepted);
            }
        };
        Ok(Accepted { ready: from + taken, data: taken as u64 })
    }

    /// How many of the next bytes are data whatever they hold, so that nobody need look at them.
    pub fn opaque(&self) -> u64 {
        match self {
            Body::Done => 0,
            Body::Length(left) => *left,
            Body::Chunked(chunked) => chunked.opaque(),
            Body::Close => u64::MAX,
        }
    }

    /// Counts `count` bytes that went on unseen.
    ///
    /// # Panics
    /// If they are more than [`Body::opaque`] said.
    pub fn pass(&mut self, count: u64) {
        assert!(count <= self.opaque(), "only data may go on unseen");
        match self {
            Body::Done | Body::Close => {}
            Body::Length(left) if *left == count => *self = Body::Done,
            Body::Length(left) => *left -= count,
            Body::Chunked(chunked) => chunked.pass(count),
        }
    }

    /// Is the message whole?
    pub fn is_done(&self) -> bool {
        matches!(self, Body::Done)
    }

    /// Does the body end with its connection?
    pub fn ends_with_connection(&self) -> bool {
        matches!(self, Body::Close)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_ends_the_body_and_leaves_the_next_request() {
        let mut body = Body::length(5);
        let mut buffer = b"helloGET /".to_vec();
        let accepted = body.accept(&mut buffer, 0, Coding::Keep).unwrap();
        assert_eq!(accepted, Accepted { ready: 5, data: 5 });
        assert!(body.is_done());
        assert_eq!(body.accept(&mut buffer, 5, Coding::Keep).unwrap().ready, 5);
    }

    #[test]
    fn a_length_of_zero_is_no_body() {
        assert!(Body::length(0).is_done());
    }
}
