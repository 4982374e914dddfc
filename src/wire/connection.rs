//! The `Connection` header (RFC 9110, section 7.6.1): what it asks for, and which headers it names.
//!
//! Invariants: a header that the message needs, or that the router vouches for, may not be named;
//! the number of named headers is bounded, so that removing them stays linear in the head.

use super::{
    head::{Fields, Span},
    name::Name,
};

/// The most headers that one message's `Connection` may name besides the known options.
const MAX_NAMED: usize = 16;

/// What the `Connection` headers of one message say.
#[derive(Debug, Clone, Copy, Default)]
pub struct Connection {
    /// `close`.
    pub close: bool,
    /// `keep-alive`, which HTTP/1.0 needs.
    pub keep_alive: bool,
    /// `upgrade`.
    pub upgrade: bool,
    named: [Span; MAX_NAMED],
    named_count: usize,
}

/// A `Connection` header that names a header which must not be removed, breaks its grammar, or
/// names too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed Connection header")]
pub struct ConnectionError;

impl Connection {
    /// Reads all `Connection` headers of a head.
    pub fn read(head: &[u8], fields: &Fields) -> Result<Connection, ConnectionError> {
        let mut connection = Connection::default();
        for field in fields.of_kind(Name::Connection) {
            let value = field.value.of(head);
            let mut start = value.as_ptr() as usize - head.as_ptr() as usize;
            for item in value.split(|b| *b == b',') {
                let leading = item.len() - item.trim_ascii_start().len();
                connection.add(head, start + leading, item.trim_ascii())?;
                start += item.len() + 1;
            }
        }
        Ok(connection)
    }

    fn add(&mut self, head: &[u8], start: usize, option: &[u8]) -> Result<(), ConnectionError> {
        let option_span = Span::new(start.min(head.len()), option.len());
        if option.is_empty() {
        } else if option.eq_ignore_ascii_case(b"close") {
            self.close = true;
        } else if option.eq_ignore_ascii_case(b"keep-alive") {
            self.keep_alive = true;
        } else if option.eq_ignore_ascii_case(b"upgrade") {
            self.upgrade = true;
        } else if Name::of(option).is_essential()
            || Name::is_underscore_twin(option)
            || !option.iter().all(|b| is_tchar(*b))
        {
            return Err(ConnectionError);
        } else if !Name::of(option).is_hop_by_hop() {
            let free = self.named.get_mut(self.named_count).ok_or(ConnectionError)?;
            *free = option_span;
            self.named_count += 1;
        }
        Ok(())
    }

    /// The headers that it names.
    pub fn named<'a>(&'a self, head: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        self.named[..self.named_count].iter().map(|name| name.of(head))
    }

    /// Is this header named, so that it ends here?
    pub fn names(&self, head: &[u8], header: &[u8]) -> bool {
        self.named(head).any(|name| name.eq_ignore_ascii_case(header))
    }
}

/// Is this byte one that tokens are made of (RFC 9110, section 5.6.2)?
pub fn is_tchar(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
