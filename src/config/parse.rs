//! Values as written into values as meant: words, addresses, paths, tokens.
//!
//! Lists, networks, and what has a unit or is a number are read by [`crate::units`]. Invariants:
//! pure; every function answers with a [`Wrong`] that says what is wrong and what a right value
//! looks like; a bound is part of the reading, so that no value beyond it goes on.

use std::{net::SocketAddr, path::PathBuf};

use crate::{
    control::store::StoreKey,
    serve::settings::SealKey,
    units::{Wrong, list, wrong},
};

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
    key(text, StoreKey::parse)
}

/// Reads what cookies of affinity are signed with; an empty text is none.
pub fn seal_key(text: &str) -> Result<Option<SealKey>, Wrong> {
    key(text, SealKey::parse)
}

fn key<K>(text: &str, read: fn(&str) -> Option<K>) -> Result<Option<K>, Wrong> {
    match (text.is_empty(), read(text)) {
        (true, _) => Ok(None),
        (false, Some(key)) => Ok(Some(key)),
        (false, None) => wrong(
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
