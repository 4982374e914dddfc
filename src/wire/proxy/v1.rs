//! Version 1 of the PROXY protocol: one line of text.
//!
//! Invariants: exactly one blank between two words; addresses and ports in their one canonical
//! decimal form; the line ends with CR LF within [`MAX_LINE`] bytes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{Header, ProxyError};

/// How every line begins.
pub(super) const BEGINNING: &[u8] = b"PROXY ";
/// The longest line, its end included.
const MAX_LINE: usize = 107;

pub(super) fn parse(bytes: &[u8]) -> Result<Option<Header>, ProxyError> {
    let within = &bytes[..bytes.len().min(MAX_LINE)];
    let Some(end) = within.iter().position(|byte| *byte == b'\n') else {
        return match () {
            () if !may_go_on(within) => Err(ProxyError::Malformed),
            () if within.len() == MAX_LINE => Err(ProxyError::TooLong),
            () => Ok(None),
        };
    };
    let line = within[..end].strip_suffix(b"\r").filter(|line| is_text(line));
    let line = line.and_then(|line| line.strip_prefix(BEGINNING)).ok_or(ProxyError::Malformed)?;
    let line = std::str::from_utf8(line).map_err(|_| ProxyError::Malformed)?;
    let words: Vec<&str> = line.split(' ').collect();
    let addresses = match words[..] {
        // What else an unknown connection's line says is to be ignored.
        ["UNKNOWN", ..] => None,
        ["TCP4", from, to, from_port, to_port] => {
            Some((address::<Ipv4Addr>(from, from_port)?, address::<Ipv4Addr>(to, to_port)?))
        }
        ["TCP6", from, to, from_port, to_port] => {
            Some((address::<Ipv6Addr>(from, from_port)?, address::<Ipv6Addr>(to, to_port)?))
        }
        _ => return Err(ProxyError::Malformed),
    };
    Ok(Some(Header { len: end + 1, addresses }))
}

/// Can a line begin so? A CR stands before its end alone, and no control elsewhere.
fn may_go_on(line: &[u8]) -> bool {
    is_text(line.strip_suffix(b"\r").unwrap_or(line))
}

fn is_text(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| matches!(byte, b' '..=b'~'))
}

fn address<A>(text: &str, port: &str) -> Result<SocketAddr, ProxyError>
where
    A: std::str::FromStr + Into<IpAddr>,
{
    let address: A = text.parse().map_err(|_| ProxyError::Malformed)?;
    let is_canonical = port == "0" || !port.starts_with(['0', '+']);
    let port = port.parse().ok().filter(|_| is_canonical).ok_or(ProxyError::Malformed)?;
    Ok(SocketAddr::new(address.into().to_canonical(), port))
}
