//! Private keys at rest: encrypted with a key that is not in the data directory.
//!
//! AES-256-GCM with a random nonce, and the certificate's name and leaf as associated data, so that
//! a key that was sealed for one certificate opens for no other. A sealed key is a version byte,
//! the nonce, and the ciphertext with its tag.
//! Invariants: a [`StoreKey`] shows in no `Debug` and in no error; what does not open says nothing
//! of why, since nobody can tell.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD as BASE64};

use crate::route::{CertName, Certificate, Digest};

/// How many bytes a store key has.
const BYTES: usize = 32;
/// The first byte of what is sealed so.
const VERSION: u8 = 1;
/// What sets these texts apart from all others that the key may ever seal.
const PURPOSE: &[u8] = b"hostler certificate key\0";

/// What private keys are encrypted with in the store.
#[derive(Clone, PartialEq, Eq)]
pub struct StoreKey([u8; BYTES]);

impl fmt::Debug for StoreKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoreKey")
    }
}

impl StoreKey {
    /// Reads 32 bytes, written as 64 hexadecimal digits or in base64.
    pub fn parse(text: &str) -> Option<StoreKey> {
        if let Some(digits) = Digest::parse(text) {
            return Some(StoreKey(digits.to_bytes()));
        }
        let bytes = BASE64.decode(text.trim_end_matches('=')).ok()?;
        bytes.try_into().ok().map(StoreKey)
    }

    /// Encrypts the private key of a certificate; none if the system has no random numbers.
    pub fn seal(&self, of: &Certificate, der: &[u8]) -> Option<Vec<u8>> {
        let mut sealed = der.to_vec();
        let aad = Aad::from(associated(&of.name, of.fingerprint()));
        let nonce = self.cipher().seal_in_place_append_tag(aad, &mut sealed).ok()?;
        Some([&[VERSION], &nonce.as_ref()[..], &sealed].concat())
    }

    /// Decrypts the private key of a certificate; none if it was sealed with another key, for
    /// another certificate, or was altered.
    pub fn open(&self, of: &Certificate, sealed: &[u8]) -> Option<Vec<u8>> {
        let (&[VERSION], rest) = sealed.split_first_chunk::<1>()? else { return None };
        let (nonce, text) = rest.split_first_chunk::<NONCE_LEN>()?;
        let aad = Aad::from(associated(&of.name, of.fingerprint()));
        let mut text = text.to_vec();
        let der = self.cipher().open_in_place(Nonce::from(nonce), aad, &mut text).ok()?;
        Some(der.to_vec())
    }

    fn cipher(&self) -> RandomizedNonceKey {
        RandomizedNonceKey::new(&AES_256_GCM, &self.0).expect("a key of 32 bytes is AES-256's")
    }
}

fn associated(name: &CertName, leaf: Digest) -> Vec<u8> {
    [PURPOSE, name.as_str().as_bytes(), b"\0", &leaf.to_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::{CoveredHost, KeyKind, PrivateKey};

    fn certificate(name: &str, leaf: &[u8]) -> Certificate {
        Certificate {
            name: CertName::parse(name).unwrap(),
            hosts: [CoveredHost::parse("a.test").unwrap()].into(),
            not_before_s: 0,
            not_after_s: 1,
            key_kind: KeyKind::Ed25519,
            fingerprints: [Digest::of(leaf)].into(),
            chain: [leaf.into()].into(),
            key: PrivateKey::default(),
        }
    }

    #[test]
    fn a_key_opens_for_its_certificate_alone_and_with_its_store_key_alone() {
        let (key, other) = (StoreKey([1; BYTES]), StoreKey([2; BYTES]));
        let of = certificate("www", b"leaf");
        let sealed = key.seal(&of, b"the private key").unwrap();
        assert!(!sealed.windows(3).any(|part| part == b"the"));
        assert_ne!(sealed, key.seal(&of, b"the private key").unwrap(), "no nonce comes twice");
        assert_eq!(key.open(&of, &sealed).unwrap(), b"the private key");
        assert_eq!(other.open(&of, &sealed), None);
        assert_eq!(key.open(&certificate("api", b"leaf"), &sealed), None);
        assert_eq!(key.open(&certificate("www", b"leaf 2"), &sealed), None);
        for at in 0..sealed.len() {
            let mut altered = sealed.clone();
            altered[at] ^= 1;
            assert_eq!(key.open(&of, &altered), None, "byte {at}");
            assert_eq!(key.open(&of, &sealed[..at]), None, "up to byte {at}");
        }
    }

    #[test]
    fn a_store_key_is_32_bytes_in_either_spelling() {
        let hex = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
        let key = StoreKey(std::array::from_fn(|at| at as u8));
        assert_eq!(StoreKey::parse(hex), Some(key.clone()));
        assert_eq!(StoreKey::parse(&hex.to_uppercase()), Some(key.clone()));
        let base64 = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
        assert_eq!(StoreKey::parse(base64), Some(key.clone()));
        assert_eq!(StoreKey::parse(base64.trim_end_matches('=')), Some(key.clone()));
        for text in ["", "a", &hex[2..], &format!("{hex}00"), &base64[4..], "not a key at all"] {
            assert_eq!(StoreKey::parse(text), None, "{text}");
        }
        assert_eq!(format!("{key:?}"), "StoreKey");
    }
}
