//! Path prefixes of routes, and how a request's path is compared with them.
//!
//! Both are normalised by one function: dot-segments resolved and escapes of unreserved characters
//! decoded (RFC 3986, sections 6.2.2.2 and 6.2.2.3), the hexadecimal digits of the others in upper
//! case; `%2F` stays what it is. A prefix matches on a segment border: `/api` takes `/api` and
//! `/api/x`, not `/apis`.
//! Invariants: a normalised path never leaves the root and is no longer than what it was made of; a
//! prefix, whose escapes are all well-formed, stays what it is when it is normalised again;
//! normalising costs linear time; empty segments (`//`) are kept.

use std::{borrow::Cow, fmt, sync::Arc};

/// The longest prefix, in bytes.
pub const MAX_PREFIX: usize = 1024;

/// The path prefix of a route, normalised: `/`, or `/a/b` without a slash at the end.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PathPrefix(Option<Arc<str>>);

/// Why a text is not a path prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// It does not begin with a slash, or holds bytes that no path has.
    #[error(
        "a path prefix begins with / and holds no query, fragment, space or control character; \
         what is not ASCII is escaped as %XX"
    )]
    Syntax,
    /// More than [`MAX_PREFIX`] bytes.
    #[error("a path prefix has at most {MAX_PREFIX} bytes")]
    TooLong,
}

impl PathPrefix {
    /// The prefix of every path.
    pub const ROOT: PathPrefix = PathPrefix(None);

    /// Reads and normalises a prefix. Slashes at its end are dropped: `/api/` is `/api`.
    pub fn parse(text: &str) -> Result<PathPrefix, PathError> {
        let bytes = text.as_bytes();
        let plain = |b: u8| b.is_ascii_graphic() && b != b'?' && b != b'#';
        let escapes = bytes.iter().enumerate().filter(|(_, b)| **b == b'%');
        if bytes.first() != Some(&b'/')
            || !bytes.iter().all(|b| plain(*b))
            || !escapes.map(|(at, _)| escaped(&bytes[at..])).all(|byte| byte.is_some())
        {
            return Err(PathError::Syntax);
        }
        let normal = normalise(bytes);
        let end = normal.iter().rposition(|b| *b != b'/').map_or(0, |last| last + 1);
        if end > MAX_PREFIX {
            return Err(PathError::TooLong);
        }
        let text = std::str::from_utf8(&normal[..end]).expect("a normalised prefix is ASCII");
        Ok(PathPrefix(if text.is_empty() { None } else { Some(text.into()) }))
    }

    /// The prefix as text.
    pub fn as_str(&self) -> &str {
        self.0.as_deref().unwrap_or("/")
    }

    /// What a path that this prefix takes begins with, up to a segment border: nothing, for the
    /// root.
    pub(super) fn bytes(&self) -> &[u8] {
        self.0.as_deref().unwrap_or_default().as_bytes()
    }

    /// Does this prefix take a path that [`normalise`] returned?
    pub fn matches(&self, path: &[u8]) -> bool {
        match &self.0 {
            None => true,
            Some(prefix) => path
                .strip_prefix(prefix.as_bytes())
                .is_some_and(|rest| rest.is_empty() || rest[0] == b'/'),
        }
    }
}

/// The form of a request's path (without its query) that prefixes are compared with.
///
/// A path that does not begin with a slash (`*`, or nothing) has no segments and stays as it is, as
/// do escapes without two hexadecimal digits.
pub fn normalise(path: &[u8]) -> Cow<'_, [u8]> {
    if is_normal(path) {
        return Cow::Borrowed(path);
    }
    let mut normal = vec![0; path.len()];
    let len = rewrite(path, &mut normal);
    normal.truncate(len);
    Cow::Owned(normal)
}

/// A request's path, normalised when it is first asked for, as far as prefixes reach: without heap.
pub(super) struct NormalHead<'a> {
    path: &'a [u8],
    rewritten: Option<([u8; NORMAL_HEAD], usize)>,
}

/// The longest prefix and the byte behind it, which tells whether the prefix ends on a border.
const NORMAL_HEAD: usize = MAX_PREFIX + 1;

impl<'a> NormalHead<'a> {
    pub(super) fn new(path: &'a [u8]) -> NormalHead<'a> {
        NormalHead { path, rewritten: None }
    }

    /// The first bytes of the normalised path: all that any prefix is compared with.
    pub(super) fn get(&mut self) -> &[u8] {
        if self.rewritten.is_none() {
            if is_normal(self.path) {
                return self.path;
            }
            let mut head = [0; NORMAL_HEAD];
            let len = rewrite(self.path, &mut head);
            self.rewritten = Some((head, len));
        }
        self.rewritten.as_ref().map_or(self.path, |(head, len)| &head[..*len])
    }
}

/// Is there nothing that [`rewrite`] might change?
fn is_normal(path: &[u8]) -> bool {
    path.first() != Some(&b'/')
        || (!path.contains(&b'%') && !path.windows(2).any(|pair| pair == b"/."))
}

/// Writes the normal form of a path, or as much of it as `out` holds, and answers its length there.
///
/// RFC 3986, section 5.2.4, segment by segment. Of a segment that ends beyond `out` only the first
/// bytes are kept; those that begin there are only counted, so that `..` can take them back.
fn rewrite(path: &[u8], out: &mut [u8]) -> usize {
    let mut len = 0;
    let mut beyond = 0usize;
    let mut segments = path[1..].split(|b| *b == b'/').peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        match dots(segment) {
            Some(up) => {
                if up && beyond > 0 {
                    beyond -= 1;
                } else if up {
                    len = out[..len].iter().rposition(|b| *b == b'/').unwrap_or(0);
                }
                // A path that ends in a dot-segment names a directory: `/a/..` is `/`.
                if last && beyond == 0 && len < out.len() {
                    out[len] = b'/';
                    len += 1;
                }
            }
            None if len == out.len() => beyond += 1,
            None => len = append(segment, out, len),
        }
    }
    len
}

/// Is a segment `.` (then false) or `..` (then true), in any spelling?
fn dots(segment: &[u8]) -> Option<bool> {
    let after_dot = |s: &'_ [u8]| match s {
        [b'.', ..] => Some(1),
        [b'%', b'2', b'e' | b'E', ..] => Some(3),
        _ => None,
    };
    let rest = &segment[after_dot(segment)?..];
    if rest.is_empty() {
        return Some(false);
    }
    (after_dot(rest)? == rest.len()).then_some(true)
}

/// Appends a slash and a segment at `len`, and answers the new length.
fn append(segment: &[u8], out: &mut [u8], mut len: usize) -> usize {
    let mut put = |byte: u8| {
        if let Some(place) = out.get_mut(len) {
            *place = byte;
            len += 1;
        }
    };
    put(b'/');
    let mut rest = segment;
    while let [first, tail @ ..] = rest {
        match escaped(rest) {
            Some(b) if b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~') => {
                put(b);
                rest = &rest[3..];
            }
            Some(_) => {
                rest[..3].iter().for_each(|b| put(b.to_ascii_uppercase()));
                rest = &rest[3..];
            }
            None => {
                put(*first);
                rest = tail;
            }
        }
    }
    len
}

/// The byte that an escape at the start of `text` stands for (RFC 3986, section 2.1).
fn escaped(text: &[u8]) -> Option<u8> {
    let [b'%', high, low, ..] = text else { return None };
    let digit = |b: u8| char::from(b).to_digit(16);
    Some((digit(*high)? * 16 + digit(*low)?) as u8)
}

impl fmt::Display for PathPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for PathPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

#[cfg(test)]
mod tests;
