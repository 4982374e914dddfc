//! Values as written into values as meant: words, lists, addresses, networks, paths, tokens.
//!
//! What has a unit or is a number is read by [`crate::units`]. Invariants: pure; every function
//! answers with a [`Wrong`] that says what is wrong and what a right value looks like; a bound is
//! part of the reading, so that no value beyond it goes on.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
};

use crate::{
    control::store::StoreKey,
    units::{Wrong, wrong},
};

/// The most entries of a list.
pub const MAX_LIST: usize = 256;
/// The shortest admin token, in characters: 16 of base64 are 96 bits.
pub const MIN_TOKEN: usize = 16;
/// The longest admin token, in characters.
pub const MAX_TOKEN: usize = 256;

/// Reads one of a few words.
pub fn word<T: Copy>(text: &str, words: &[(&str, T)]) -> Result<T, Wrong> {
    if let Some((_, value)) = words.iter().find(|(word, _)| *word == text) {
        return Ok(*value);
    }
    let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
    wrong(format!("{text:?} is not known"), format!("write one of {}", known.join(", ")))
}

/// Reads a list: entries between commas; an empty text is an empty list.
pub fn list<T: PartialEq>(
    text: &str,
    entry: impl Fn(&str) -> Result<T, Wrong>,
) -> Result<Vec<T>, Wrong> {
    let mut entries = Vec::new();
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let value = entry(part)?;
        if entries.contains(&value) {
            return wrong(format!("{part} stands there twice"), "write it once");
        }
        entries.push(value);
        if entries.len() > MAX_LIST {
            return wrong(
                format!("more than {MAX_LIST} entries"),
                format!("write at most {MAX_LIST}"),
            );
        }
    }
    Ok(entries)
}

/// How addresses of a listener are written.
const LISTENERS: &str = "write IP:port, as in [::]:8080 or 127.0.0.1:8080, commas between several";

/// Reads the addresses of a listener, at least one.
pub fn listeners(text: &str) -> Result<Vec<SocketAddr>, Wrong> {
    let listeners = optional_listeners(text)?;
    if listeners.is_empty() { wrong("no address is given", LISTENERS) } else { Ok(listeners) }
}

/// Reads the addresses of a listener that there may be none of.
pub fn optional_listeners(text: &str) -> Result<Vec<SocketAddr>, Wrong> {
    list(text, |entry| {
        entry.parse().or_else(|_| wrong(format!("{entry:?} is not an address"), LISTENERS))
    })
}

/// Reads `10.0.0.0/8`, `fd00::/8`, or an address alone.
pub fn network(text: &str) -> Result<(IpAddr, u8), Wrong> {
    let (address, length) = text.split_once('/').map_or((text, None), |(a, l)| (a, Some(l)));
    let Ok(address) = address.parse::<IpAddr>() else {
        return wrong(
            format!("{text:?} is not a network"),
            "write address/length, as in 10.0.0.0/8",
        );
    };
    let bits = if address.is_ipv4() { 32 } else { 128 };
    let Some(length) = length.map_or(Some(bits), |l| l.parse().ok().filter(|l| *l <= bits)) else {
        return wrong(
            format!("{text} has no length from 0 to {bits}"),
            "write it behind the slash",
        );
    };
    let first = first_of_network(address, length);
    if first != address {
        return wrong(
            format!("{text} has bits behind its length"),
            format!("write {first}/{length}, or {address}/{bits} for that address alone"),
        );
    }
    Ok((address, length))
}

fn first_of_network(address: IpAddr, length: u8) -> IpAddr {
    // A shift by all bits, for length 0, leaves nothing.
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0);
            IpAddr::V4((u32::from(v4) & mask).into())
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0);
            IpAddr::V6((u128::from(v6) & mask).into())
        }
    }
}

/// Reads a path that is not empty.
pub fn path(text: &str) -> Result<PathBuf, Wrong> {
    if text.is_empty() { wrong("no path is given", "write one") } else { Ok(text.into()) }
}

/// Reads a path; empty is none.
pub fn optional_path(text: &str) -> Option<PathBuf> {
    (!text.is_empty()).then(|| text.into())
}

/// Reads an absolute path without `..`.
pub fn directory(text: &str) -> Result<PathBuf, Wrong> {
    let path = PathBuf::from(text);
    if path.is_absolute() && !text.split('/').any(|part| part == "..") {
        return Ok(path);
    }
    wrong(format!("{text:?} is not an absolute path without .."), "write one, as in /run/dynos")
}

/// Reads the name of a router in `Via`: a token (RFC 9110, section 5.6.2).
pub fn via_name(text: &str) -> Result<String, Wrong> {
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if (1..=64).contains(&text.len()) && text.bytes().all(token) {
        return Ok(text.to_owned());
    }
    wrong(format!("{text:?} cannot stand in Via"), "write 1 to 64 letters, digits, -, . or _")
}

/// Reads what private keys are encrypted with; an empty text is none.
pub fn store_key(text: &str) -> Result<Option<StoreKey>, Wrong> {
    if text.is_empty() {
        return Ok(None);
    }
    match StoreKey::parse(text) {
        Some(key) => Ok(Some(key)),
        None => wrong(
            "it is not 32 bytes in hexadecimal or base64",
            "give 64 hexadecimal digits, as `openssl rand -hex 32` prints them",
        ),
    }
}

/// Reads a secret token; empty is none. The message never shows it.
pub fn token(text: &str) -> Result<Option<String>, Wrong> {
    if text.is_empty() {
        return Ok(None);
    }
    if (MIN_TOKEN..=MAX_TOKEN).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic()) {
        return Ok(Some(text.to_owned()));
    }
    wrong(
        "the token is too short, too long, or holds spaces or other than ASCII characters",
        format!("give {MIN_TOKEN} to {MAX_TOKEN} letters, digits or signs, or none: one is made"),
    )
}
