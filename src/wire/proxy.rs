//! The PROXY protocol: what a balancer says of a client before the client's first byte.
//!
//! Version 1 is a line of text, version 2 binary; both as HAProxy's `proxy-protocol.txt` has them.
//! Invariants: strict, what the document does not allow is an error; a header is never longer than
//! [`MAX_HEADER`], and no byte behind it is looked at; an unfinished header is told from a wrong
//! one as soon as its bytes differ from every right one's beginning.

use std::net::{IpAddr, SocketAddr};

mod crc32c;
mod v1;

/// The longest header, in bytes: one of version 2 with what it tells beside the addresses.
pub const MAX_HEADER: usize = 16 + MAX_BEHIND;
/// The most bytes behind the first 16 of version 2.
const MAX_BEHIND: usize = 2048;
/// How version 2 begins.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// The bytes of version 2 that every header has.
const FIXED: usize = 16;
/// The kind of a TLV that holds a checksum of the header.
const CRC32C: u8 = 0x03;

/// A whole header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// How many bytes it has.
    pub len: usize,
    /// The client, and what it connected to; none if the balancer speaks for itself, or says
    /// nothing that is an IP address: then the connection's own are the ones.
    pub addresses: Option<(SocketAddr, SocketAddr)>,
}

/// Why bytes are no header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProxyError {
    /// They begin like none.
    #[error("no PROXY header")]
    Missing,
    /// They break the form.
    #[error("malformed PROXY header")]
    Malformed,
    /// It is longer than [`MAX_HEADER`].
    #[error("PROXY header too long")]
    TooLong,
    /// Its checksum is another.
    #[error("PROXY header with a wrong checksum")]
    Checksum,
}

/// Reads the header that `bytes` begin with; none if more of it must come.
pub fn parse(bytes: &[u8]) -> Result<Option<Header>, ProxyError> {
    let begins = |with: &[u8]| bytes.iter().zip(with).all(|(one, other)| one == other);
    match () {
        () if begins(SIGNATURE) => parse_v2(bytes),
        () if begins(v1::BEGINNING) => v1::parse(bytes),
        () => Err(ProxyError::Missing),
    }
}

fn parse_v2(bytes: &[u8]) -> Result<Option<Header>, ProxyError> {
    let is_proxied = match bytes.get(12) {
        None => return Ok(None),
        Some(0x20) => false,
        Some(0x21) => true,
        Some(_) => return Err(ProxyError::Malformed),
    };
    let family = match bytes.get(13) {
        None => return Ok(None),
        // A balancer that speaks for itself may say anything here.
        Some(_) if !is_proxied => Family::Other(0),
        Some(0x11) => Family::Ipv4,
        Some(0x21) => Family::Ipv6,
        Some(0x31) => Family::Other(216),
        Some(0x00) => Family::Other(0),
        // Datagrams do not come by a stream.
        Some(_) => return Err(ProxyError::Malformed),
    };
    let Some(length) = bytes.get(14..FIXED) else { return Ok(None) };
    let behind = usize::from(u16::from_be_bytes([length[0], length[1]]));
    if behind > MAX_BEHIND {
        return Err(ProxyError::TooLong);
    }
    if behind < family.len() {
        return Err(ProxyError::Malformed);
    }
    let Some(header) = bytes.get(..FIXED + behind) else { return Ok(None) };
    let (addresses, rest) = header[FIXED..].split_at(family.len());
    if is_proxied && !matches!(family, Family::Other(0)) {
        check_rest(header, rest)?;
    }
    let addresses = match family {
        Family::Ipv4 => Some(pair::<4>(addresses)),
        Family::Ipv6 => Some(pair::<16>(addresses)),
        Family::Other(_) => None,
    };
    Ok(Some(Header { len: header.len(), addresses }))
}

/// What kind of addresses version 2 has.
enum Family {
    Ipv4,
    Ipv6,
    /// None that are of use here; so many bytes.
    Other(usize),
}

impl Family {
    fn len(&self) -> usize {
        match self {
            Family::Ipv4 => 12,
            Family::Ipv6 => 36,
            Family::Other(len) => *len,
        }
    }
}

/// Two addresses of N bytes each, then their ports.
fn pair<const N: usize>(bytes: &[u8]) -> (SocketAddr, SocketAddr)
where
    IpAddr: From<[u8; N]>,
{
    let address = |at: usize| {
        let mut octets = [0; N];
        octets.copy_from_slice(&bytes[at..at + N]);
        IpAddr::from(octets).to_canonical()
    };
    let port = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
    let of = |number: usize| SocketAddr::new(address(number * N), port(2 * N + 2 * number));
    (of(0), of(1))
}

/// Passes over what a header tells beside the addresses (kind, length, value), and compares the
/// checksum if there is one.
fn check_rest(header: &[u8], mut rest: &[u8]) -> Result<(), ProxyError> {
    while let [kind, high, low, after @ ..] = rest {
        let len = usize::from(u16::from_be_bytes([*high, *low]));
        let value = after.get(..len).ok_or(ProxyError::Malformed)?;
        if *kind == CRC32C {
            let told: [u8; 4] = value.try_into().map_err(|_| ProxyError::Malformed)?;
            let at = header.len() - after.len();
            // The checksum is of the header with zeros in its own place.
            let of = [&header[..at], &[0; 4], &header[at + 4..]];
            if crc32c::of(of.into_iter().flatten()) != u32::from_be_bytes(told) {
                return Err(ProxyError::Checksum);
            }
        }
        rest = &after[len..];
    }
    if rest.is_empty() { Ok(()) } else { Err(ProxyError::Malformed) }
}

/// A header of version 2 that says where a client is, and what it connected to.
pub fn v2(client: SocketAddr, connected_to: SocketAddr) -> Vec<u8> {
    let (from, to) = (client.ip().to_canonical(), connected_to.ip().to_canonical());
    let mut header = Vec::with_capacity(FIXED + 36);
    header.extend_from_slice(SIGNATURE);
    header.push(0x21);
    match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            header.extend_from_slice(&[0x11, 0, 12]);
            header.extend_from_slice(&from.octets());
            header.extend_from_slice(&to.octets());
        }
        // One form for both: where one of them is IPv4, as its mapped address.
        _ => {
            header.extend_from_slice(&[0x21, 0, 36]);
            header.extend_from_slice(&mapped(from));
            header.extend_from_slice(&mapped(to));
        }
    }
    header.extend_from_slice(&client.port().to_be_bytes());
    header.extend_from_slice(&connected_to.port().to_be_bytes());
    header
}

fn mapped(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    }
}

#[cfg(test)]
mod tests;
