//! A certificate: the names that it covers, what else is public of it, and its private key.
//!
//! Invariants: a name is 1 to 253 bytes of `a-z`, `0-9`, `.`, `_` and `-` and begins with a letter
//! or digit; the chain has at least one certificate, the leaf first, and a fingerprint for each;
//! `hosts` is sorted, each once; two certificates are equal if they have the same name and chain
//! and both, or neither, have their key; no byte of a key is in any `Debug`.
//!
//! A wildcard here covers one label (RFC 9525, section 6.3): `*.a.test` covers `b.a.test`, neither
//! `a.test` nor `c.b.a.test`. That is less than a route's wildcard takes.

use std::{borrow::Borrow, fmt, net::Ipv4Addr, sync::Arc};

use super::{digest::Digest, host::Host};

/// The most bytes of a certificate's name: every host can be one.
pub const MAX_CERT_NAME: usize = 253;

/// The name of a certificate, unique in the table.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CertName(Arc<str>);

/// Why a text is not the name of a certificate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "a certificate's name is 1 to {MAX_CERT_NAME} characters of a-z, 0-9, '.', '_' and '-', and \
     begins with a letter or digit"
)]
pub struct CertNameError;

impl CertName {
    /// Reads a name. Names are not folded: an upper-case letter is an error.
    pub fn parse(text: &str) -> Result<CertName, CertNameError> {
        let bytes = text.as_bytes();
        let plain = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let well_formed = bytes.first().is_some_and(plain)
            && bytes.len() <= MAX_CERT_NAME
            && bytes.iter().all(|b| plain(b) || matches!(b, b'.' | b'_' | b'-'));
        if well_formed { Ok(CertName(text.into())) } else { Err(CertNameError) }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for CertName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CertName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for CertName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// What a certificate covers.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CoveredHost {
    /// This host alone: a name or an address.
    Exact(Host),
    /// The hosts of one label more than this one.
    Wildcard(Host),
}

impl CoveredHost {
    /// Reads a name as a certificate bears it, or an address; none if no request can ask for it.
    pub fn parse(text: &str) -> Option<CoveredHost> {
        let read = |text: &str| Host::parse(text.as_bytes()).ok();
        let Some(suffix) = text.strip_prefix("*.") else {
            // A port is no part of a name.
            return read(text).filter(|_| !is_with_port(text)).map(CoveredHost::Exact);
        };
        let suffix = read(suffix).filter(|host| !is_address(host) && !is_with_port(suffix))?;
        Some(CoveredHost::Wildcard(suffix))
    }
}

impl fmt::Display for CoveredHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CoveredHost::Exact(host) => host.fmt(f),
            CoveredHost::Wildcard(suffix) => write!(f, "*.{suffix}"),
        }
    }
}

fn is_with_port(text: &str) -> bool {
    text.rsplit(']').next().unwrap_or_default().contains(':')
}

fn is_address(host: &Host) -> bool {
    host.as_str().starts_with('[') || host.as_str().parse::<Ipv4Addr>().is_ok()
}

/// What a certificate's key is for, with its bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum KeyKind {
    /// ECDSA on a NIST curve: 256, 384 or 521.
    Ecdsa(u16),
    /// Ed25519.
    Ed25519,
    /// RSA, by the bits of its modulus.
    Rsa(u16),
}

impl KeyKind {
    /// Reads `ecdsa-p256`, `ed25519` or `rsa-2048`.
    pub fn parse(text: &str) -> Option<KeyKind> {
        let kind = match text.split_once('-') {
            Some(("ecdsa", curve)) => KeyKind::Ecdsa(curve.strip_prefix('p')?.parse().ok()?),
            Some(("rsa", bits)) => KeyKind::Rsa(bits.parse().ok()?),
            _ => KeyKind::Ed25519,
        };
        (kind.to_string() == text).then_some(kind)
    }
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeyKind::Ecdsa(curve) => write!(f, "ecdsa-p{curve}"),
            KeyKind::Ed25519 => f.write_str("ed25519"),
            KeyKind::Rsa(bits) => write!(f, "rsa-{bits}"),
        }
    }
}

/// A private key: as it is used, and as the store keeps it. Either may be lacking: who reads what
/// was has neither, and who lacks the store's key cannot open what is sealed.
#[derive(Clone, Default)]
pub struct PrivateKey {
    /// PKCS#8, SEC1 or PKCS#1 in DER.
    pub der: Option<Arc<[u8]>>,
    /// The same, encrypted.
    pub sealed: Option<Arc<[u8]>>,
}

impl PrivateKey {
    /// Is it here, whether it can be used or not?
    pub fn is_kept(&self) -> bool {
        self.der.is_some() || self.sealed.is_some()
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey")
    }
}

/// A certificate at one revision.
#[derive(Debug, Clone)]
pub struct Certificate {
    /// Its name, unique in the table.
    pub name: CertName,
    /// What it covers, sorted.
    pub hosts: Box<[CoveredHost]>,
    /// When it begins, in seconds since the Unix epoch.
    pub not_before_s: u64,
    /// When it ends, in seconds since the Unix epoch.
    pub not_after_s: u64,
    /// What its key is for.
    pub key_kind: KeyKind,
    /// The SHA-256 of each certificate of the chain.
    pub fingerprints: Box<[Digest]>,
    /// The chain in DER, the leaf first.
    pub chain: Arc<[Box<[u8]>]>,
    /// The key of the leaf.
    pub key: PrivateKey,
}

impl Certificate {
    /// The SHA-256 of the leaf.
    pub fn fingerprint(&self) -> Digest {
        self.fingerprints[0]
    }

    /// Does it cover a host?
    pub fn covers(&self, host: &Host) -> bool {
        let has = |covered: &CoveredHost| self.hosts.binary_search(covered).is_ok();
        let below = || {
            let (_, suffix) = host.as_str().split_once('.').filter(|_| !is_address(host))?;
            Host::parse(suffix.as_bytes()).ok()
        };
        has(&CoveredHost::Exact(host.clone()))
            || below().is_some_and(|suffix| has(&CoveredHost::Wildcard(suffix)))
    }

    /// Is its key at hand?
    pub fn is_usable(&self) -> bool {
        self.key.der.is_some()
    }
}

impl PartialEq for Certificate {
    fn eq(&self, other: &Certificate) -> bool {
        self.name == other.name
            && self.fingerprints == other.fingerprints
            && self.is_usable() == other.is_usable()
    }
}

impl Eq for Certificate {}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A certificate of that name with one fingerprint that follows from `leaf`.
    pub fn made(name: &str, hosts: &[&str], leaf: &[u8]) -> Certificate {
        let mut hosts: Vec<_> = hosts.iter().map(|h| CoveredHost::parse(h).unwrap()).collect();
        hosts.sort();
        Certificate {
            name: CertName::parse(name).unwrap(),
            hosts: hosts.into(),
            not_before_s: 1_700_000_000,
            not_after_s: 1_800_000_000,
            key_kind: KeyKind::Ecdsa(256),
            fingerprints: [Digest::of(leaf)].into(),
            chain: Arc::new([leaf.into()]),
            key: PrivateKey { der: Some(Arc::from(&b"the secret"[..])), sealed: None },
        }
    }

    #[test]
    fn a_wildcard_covers_one_label() {
        let certificate = made("www", &["a.test", "*.a.test", "10.0.0.1", "[::1]", "*.1"], b"");
        let covers = |host: &str| certificate.covers(&Host::parse(host.as_bytes()).unwrap());
        for host in ["a.test", "A.test.", "b.a.test", "a.test:8443", "10.0.0.1", "[::1]"] {
            assert!(covers(host), "{host}");
        }
        for host in ["c.b.a.test", "xa.test", "test", "b.test", "10.0.0.2", "0.0.0.1", "[::2]"] {
            assert!(!covers(host), "{host}");
        }
    }

    #[test]
    fn names_that_nobody_can_ask_for_are_none() {
        for text in ["", "*", "a.*.test", "*a.test", "*.", "*.10.0.0.1", "a b", "a.test:80"] {
            assert_eq!(CoveredHost::parse(text), None, "{text:?}");
        }
        for (text, shown) in [("*.A.Test", "*.a.test"), ("A.test.", "a.test"), ("[::0]", "[::]")] {
            assert_eq!(CoveredHost::parse(text).unwrap().to_string(), shown);
        }
    }

    #[test]
    fn a_name_is_plain_text_that_a_path_can_hold() {
        for text in ["a", "0", "www.a.test", "wild_a-1"] {
            assert_eq!(CertName::parse(text).unwrap().to_string(), text);
        }
        let long = "a".repeat(MAX_CERT_NAME + 1);
        for text in ["", ".a", "-a", "_a", "A", "a/b", "a b", "*.a.test", "é", &long] {
            assert!(CertName::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_key_kind_is_read_as_it_is_shown() {
        for text in ["ecdsa-p256", "ecdsa-p521", "ed25519", "rsa-2048"] {
            assert_eq!(KeyKind::parse(text).unwrap().to_string(), text);
        }
        for text in ["", "rsa", "rsa-02048", "ecdsa-256", "ecdsa-p", "dsa-1024", "rsa--1"] {
            assert_eq!(KeyKind::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn no_debug_shows_a_key() {
        let mut certificate = made("www", &["a.test"], b"leaf");
        certificate.key.sealed = certificate.key.der.clone();
        let shown = format!("{certificate:?} {certificate:#?}");
        assert!(!shown.contains("secret") && !shown.contains("116, 104, 101"), "{shown}");
    }
}
