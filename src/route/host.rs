//! Host names, parsed and normalised by one function for pushes and requests.
//!
//! Normalised: lower case, no port, no trailing dot, international names in their ASCII form
//! (UTS 46, non-transitional), IPv6 addresses in the text form of RFC 5952 within brackets.
//! Invariants: two spellings of one host give equal [`Host`]s; a [`Host`] is 1 to [`MAX_HOST`]
//! bytes of ASCII, and parsing it again gives the same [`Host`]; up to 30 bytes it holds no heap
//! memory, since every request makes one.
//!
//! What is let through on purpose: `_` anywhere, and `-` at either end of a label. No rule of RFC
//! 1123 that forbids them protects anything here, browsers and resolvers carry such names, and a
//! wildcard route (`*.blogs.test`) must not turn its users' names away. A name whose last label is
//! a number but which is not four numbers (`1.2.3`) is a name (RFC 3986, section 3.2.2).

use std::{cmp::Ordering, fmt, net::Ipv6Addr, sync::Arc};

use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};

/// The longest host, in bytes, without the trailing dot (RFC 1035, section 2.3.4).
pub const MAX_HOST: usize = 253;
/// The longest label of a host, in bytes (RFC 1035, section 2.3.4).
pub const MAX_LABEL: usize = 63;
/// The longest international spelling that is looked at, in bytes: four a character of UTF-8.
const MAX_SPELLING: usize = 4 * (MAX_HOST + 1);
/// The longest host that is held in place, in bytes: what makes a [`Host`] 32 bytes.
const INLINE: usize = 30;

/// An exact host, normalised.
#[derive(Clone, PartialEq, Eq)]
pub struct Host(Repr);

/// A host of up to [`INLINE`] bytes is always `Inline`, its unused bytes zero.
#[derive(Clone, PartialEq, Eq)]
enum Repr {
    Inline { len: u8, bytes: [u8; INLINE] },
    Heap(Arc<str>),
}

/// Why bytes are not a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// Nothing there.
    #[error("the host is empty")]
    Empty,
    /// More than [`MAX_HOST`] bytes, or a label of more than [`MAX_LABEL`].
    #[error("the host is too long: at most {MAX_HOST} bytes, {MAX_LABEL} a label")]
    TooLong,
    /// A byte or a form that no host has.
    #[error("not a host: letters, digits, '-', '_' and '.' between them, or an IP address")]
    Syntax,
    /// A port that is not a number up to 65535.
    #[error("the port behind the host is not a number from 0 to 65535")]
    Port,
    /// A `*` elsewhere than as the whole first label, or before an IP address.
    #[error("a wildcard is `*.` before a host that is no IP address: *.a.test")]
    Wildcard,
}

/// The lower-case form of each byte that may stand in a name, dots included; 0 for all others.
const NAME_BYTE: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let b = byte as u8;
        if b.is_ascii_alphanumeric() || b == b'-' || b == b'_' || b == b'.' {
            table[byte] = b.to_ascii_lowercase();
        }
        byte += 1;
    }
    table
};

impl Host {
    /// Reads a host, with or without a port: `WWW.a.test.:8080` is `www.a.test`.
    pub fn parse(text: &[u8]) -> Result<Host, HostError> {
        Host::parse_with_port(text).map(|(host, _)| host)
    }

    /// Reads a host and the port behind it. An empty port is none (RFC 3986, section 3.2.3).
    pub fn parse_with_port(text: &[u8]) -> Result<(Host, Option<u16>), HostError> {
        if let Some(host) = Host::parse_plain(text) {
            return Ok((host, None));
        }
        // Room for the longest inline name, its trailing dot and one byte more, which tells that
        // the name is longer.
        let mut short = [0; INLINE + 2];
        let end = fold(text, &mut short)?;
        if end < short.len() {
            return Host::finish(text, &short[..end]);
        }
        let mut long = [0; MAX_HOST + 2];
        let end = fold(text, &mut long)?;
        if end < long.len() { Host::finish(text, &long[..end]) } else { Err(HostError::TooLong) }
    }

    /// A short name of nothing but name bytes, without a dot at its end: nearly every request. The
    /// loops have fixed lengths and no branches, so that they are done by vector instructions.
    fn parse_plain(text: &[u8]) -> Option<Host> {
        let len = text.len();
        if len > INLINE || text.last().is_none_or(|last| *last == b'.') {
            return None;
        }
        let mut folded = [0; 32];
        folded[..len].copy_from_slice(text);
        let mut names = 0;
        for byte in &mut folded {
            *byte |= u8::from(byte.wrapping_sub(b'A') < 26) << 5;
            let letter = byte.wrapping_sub(b'a') < 26;
            let digit = byte.wrapping_sub(b'0') < 10;
            names += u8::from(letter | digit | matches!(*byte, b'-' | b'.' | b'_'));
        }
        let mut empty_label = folded[0] == b'.';
        for at in 0..INLINE {
            empty_label |= (folded[at] == b'.') & (folded[at + 1] == b'.');
        }
        let mut bytes = [0; INLINE];
        bytes.copy_from_slice(&folded[..INLINE]);
        let plain = usize::from(names) == len && !empty_label;
        plain.then_some(Host(Repr::Inline { len: len as u8, bytes }))
    }

    /// Goes on behind `name`, the folded beginning of `text`.
    fn finish(text: &[u8], name: &[u8]) -> Result<(Host, Option<u16>), HostError> {
        let port = match text[name.len()..].split_first() {
            None => None,
            Some((b':', digits)) => parse_port(digits)?,
            Some((b'[', _)) if name.is_empty() => return parse_ip6(text),
            Some((b'*', _)) => return Err(HostError::Wildcard),
            Some((0x80.., _)) => return parse_international(text),
            Some(_) => return Err(HostError::Syntax),
        };
        Ok((Host::from_folded(name)?, port))
    }

    /// A name that [`fold`] returned.
    fn from_folded(name: &[u8]) -> Result<Host, HostError> {
        let name = name.strip_suffix(b".").unwrap_or(name);
        match name.len() {
            0 => Err(HostError::Empty),
            1..=MAX_HOST => Ok(Host::from_normal(name)),
            _ => Err(HostError::TooLong),
        }
    }

    fn from_normal(name: &[u8]) -> Host {
        if name.len() > INLINE {
            let text = std::str::from_utf8(name).expect("a normalised host is ASCII");
            return Host(Repr::Heap(text.into()));
        }
        let mut bytes = [0; INLINE];
        bytes[..name.len()].copy_from_slice(name);
        Host(Repr::Inline { len: name.len() as u8, bytes })
    }

    /// The host as text.
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Repr::Heap(text) => text,
            Repr::Inline { .. } => {
                std::str::from_utf8(self.as_bytes()).expect("a normalised host is ASCII")
            }
        }
    }

    /// The host as bytes of ASCII; cheaper than [`Host::as_str`].
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Repr::Heap(text) => text.as_bytes(),
            Repr::Inline { len, bytes } => &bytes[..usize::from(*len)],
        }
    }
}

/// Writes the lower-case form of the name at the start of `text` into `out` and answers where the
/// name ended: at a byte that no name has, at the end of `text`, or where `out` was full.
fn fold(text: &[u8], out: &mut [u8]) -> Result<usize, HostError> {
    let mut label = 0;
    let mut end = 0;
    for (&byte, out) in text.iter().zip(out) {
        let folded = NAME_BYTE[usize::from(byte)];
        if folded == b'.' {
            if label == 0 {
                return Err(HostError::Syntax);
            }
            label = 0;
        } else if folded == 0 {
            break;
        } else {
            label += 1;
            if label > MAX_LABEL {
                return Err(HostError::TooLong);
            }
        }
        *out = folded;
        end += 1;
    }
    Ok(end)
}

fn parse_port(digits: &[u8]) -> Result<Option<u16>, HostError> {
    let mut port = None;
    for byte in digits {
        if !byte.is_ascii_digit() {
            return Err(HostError::Port);
        }
        let next = port.unwrap_or(0u16).checked_mul(10);
        let next = next.and_then(|n| n.checked_add(u16::from(byte - b'0')));
        port = Some(next.ok_or(HostError::Port)?);
    }
    Ok(port)
}

#[cold]
fn parse_ip6(text: &[u8]) -> Result<(Host, Option<u16>), HostError> {
    let close = text.iter().position(|b| *b == b']').ok_or(HostError::Syntax)?;
    let port = match text[close + 1..].split_first() {
        None => None,
        Some((b':', digits)) => parse_port(digits)?,
        Some(_) => return Err(HostError::Syntax),
    };
    let inner = std::str::from_utf8(&text[1..close]).map_err(|_| HostError::Syntax)?;
    let addr: Ipv6Addr = inner.parse().map_err(|_| HostError::Syntax)?;
    Ok((Host::from_normal(format!("[{addr}]").as_bytes()), port))
}

/// A name with bytes beyond ASCII, which must be UTF-8.
#[cold]
fn parse_international(text: &[u8]) -> Result<(Host, Option<u16>), HostError> {
    if text.len() > MAX_SPELLING {
        return Err(HostError::TooLong);
    }
    // Split before the mapping: it makes ASCII of other colons, which set no port apart.
    let colon = text.iter().position(|b| *b == b':');
    let (name, digits) = text.split_at(colon.unwrap_or(text.len()));
    let ascii = Uts46::new()
        .to_ascii(name, AsciiDenyList::EMPTY, Hyphens::Allow, DnsLength::Ignore)
        .map_err(|_| HostError::Syntax)?;
    let mut folded = [0; MAX_HOST + 2];
    let end = fold(ascii.as_bytes(), &mut folded)?;
    match ascii.as_bytes().get(end) {
        None => {}
        Some(_) if end == folded.len() => return Err(HostError::TooLong),
        Some(b'*') => return Err(HostError::Wildcard),
        Some(_) => return Err(HostError::Syntax),
    }
    let port = parse_port(digits.strip_prefix(b":").unwrap_or_default())?;
    Ok((Host::from_folded(&folded[..end])?, port))
}

impl PartialOrd for Host {
    fn partial_cmp(&self, other: &Host) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Host {
    fn cmp(&self, other: &Host) -> Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

impl std::hash::Hash for Host {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

/// The host of a route.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HostPattern {
    /// This host alone.
    Exact(Host),
    /// `*.` before this host: every host below it, at any depth, but not itself.
    Wildcard(Host),
}

impl HostPattern {
    /// Reads `www.a.test` or `*.a.test`.
    pub fn parse(text: &str) -> Result<HostPattern, HostError> {
        let Some(suffix) = text.strip_prefix("*.") else {
            return Ok(HostPattern::Exact(Host::parse(text.as_bytes())?));
        };
        let suffix = Host::parse(suffix.as_bytes())?;
        // Nothing is below an IP address, and `*.1` must not take 10.0.0.1 in.
        let last = suffix.as_bytes().rsplit(|b| *b == b'.').next().unwrap_or_default();
        if last.ends_with(b"]") || last.iter().all(u8::is_ascii_digit) {
            return Err(HostError::Wildcard);
        }
        if suffix.as_bytes().len() + "*.".len() > MAX_HOST {
            return Err(HostError::TooLong);
        }
        Ok(HostPattern::Wildcard(suffix))
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HostPattern::Exact(host) => host.fmt(f),
            HostPattern::Wildcard(suffix) => write!(f, "*.{suffix}"),
        }
    }
}

#[cfg(test)]
mod tests;
