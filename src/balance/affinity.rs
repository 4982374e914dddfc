//! The value of an affinity cookie: which dyno of which app a client is to come back to.
//!
//! It is `issued tag mac` in base64 of the URL's alphabet, 40 characters: when it was written, in
//! seconds since the Unix epoch (4 bytes), the dyno's tag (8), and the first 18 bytes of an
//! HMAC-SHA-256 (RFC 2104) over the app's name and what is before. The tag is an HMAC of the names
//! of app and dyno, so that a value tells nothing of the dyno to whoever has no key: neither its
//! name nor its address.
//! Invariants: pure, the clock is an argument; a value that was forged, cut, altered or written for
//! another app reads as none at all, in a time that does not tell how much of it was right; a dyno
//! has one tag under a key, in every router and after every start.

use std::{fmt, num::NonZeroU64};

use aws_lc_rs::{
    constant_time::verify_slices_are_equal,
    hmac::{Context, HMAC_SHA256, Key, Tag as Mac},
};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};

/// How many bytes a key has.
pub const KEY_BYTES: usize = 32;
/// How many characters a value has.
pub const VALUE_LEN: usize = 40;

/// The bytes of a value: when and whose, and the proof.
const SAID: usize = 12;
const PROOF: usize = 18;
/// What sets these texts apart from all others that the key may ever sign.
const OF_COOKIES: &[u8] = b"hostler affinity cookie 1\0";
const OF_DYNOS: &[u8] = b"hostler affinity dyno 1\0";

/// By which a dyno is told from its app's others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tag(NonZeroU64);

impl Tag {
    /// The tag of a number that [`Tag::get`] gave; none for 0.
    pub fn new(number: u64) -> Option<Tag> {
        NonZeroU64::new(number).map(Tag)
    }

    /// The tag as a number, never 0.
    pub fn get(self) -> u64 {
        self.0.get()
    }
}

/// What a value says that can be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Named {
    /// The dyno.
    pub tag: Tag,
    /// When the value was written, in seconds since the Unix epoch.
    pub issued_s: u32,
}

/// A key to sign with, as it is written. It shows in no `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct SealKey([u8; KEY_BYTES]);

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealKey")
    }
}

impl SealKey {
    /// A key of these bytes, which nobody can guess.
    pub fn new(bytes: [u8; KEY_BYTES]) -> SealKey {
        SealKey(bytes)
    }

    /// Reads 32 bytes, written as 64 hexadecimal digits or in base64.
    pub fn parse(text: &str) -> Option<SealKey> {
        let digits = |at: usize| u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok();
        if text.len() == 2 * KEY_BYTES && text.bytes().all(|b| b.is_ascii_hexdigit()) {
            let bytes: Option<Vec<u8>> = (0..KEY_BYTES).map(digits).collect();
            return bytes?.try_into().ok().map(SealKey);
        }
        let bytes = STANDARD_NO_PAD.decode(text.trim_end_matches('=')).ok()?;
        bytes.try_into().ok().map(SealKey)
    }

    /// The key in hexadecimal digits.
    pub fn to_hex(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// What values are signed with. It shows in no `Debug`.
#[derive(Debug)]
pub struct Seal(Key);

impl Seal {
    /// A seal with this key.
    pub fn new(key: &SealKey) -> Seal {
        Seal(Key::new(HMAC_SHA256, &key.0))
    }

    /// The tag of a dyno of an app.
    pub fn tag(&self, app: &str, dyno: &str) -> Tag {
        let mac = self.mac(&[OF_DYNOS, app.as_bytes(), b"\0", dyno.as_bytes()]);
        let (first, _) = mac.as_ref().split_first_chunk().expect("a MAC has 32 bytes");
        Tag(NonZeroU64::new(u64::from_be_bytes(*first)).unwrap_or(NonZeroU64::MAX))
    }

    /// The value that brings a client back to the dyno.
    pub fn write(&self, app: &str, named: Named) -> [u8; VALUE_LEN] {
        let mut bytes = [0; SAID + PROOF];
        bytes[..4].copy_from_slice(&named.issued_s.to_be_bytes());
        bytes[4..SAID].copy_from_slice(&named.tag.get().to_be_bytes());
        let mac = self.of_cookie(app, &bytes[..SAID]);
        bytes[SAID..].copy_from_slice(&mac.as_ref()[..PROOF]);
        let mut value = [0; VALUE_LEN];
        let written = URL_SAFE_NO_PAD.encode_slice(bytes, &mut value);
        debug_assert_eq!(written, Ok(VALUE_LEN));
        value
    }

    /// What a value says, if it was written with this key, for this app.
    pub fn read(&self, app: &str, value: &[u8]) -> Option<Named> {
        if value.len() != VALUE_LEN {
            return None;
        }
        let mut bytes = [0; SAID + PROOF];
        URL_SAFE_NO_PAD.decode_slice(value, &mut bytes).ok().filter(|len| *len == bytes.len())?;
        let (said, proof) = bytes.split_at(SAID);
        let mac = self.of_cookie(app, said);
        verify_slices_are_equal(&mac.as_ref()[..PROOF], proof).ok()?;
        let (issued_s, tag) = said.split_first_chunk()?;
        Some(Named {
            tag: Tag::new(u64::from_be_bytes(tag.try_into().ok()?))?,
            issued_s: u32::from_be_bytes(*issued_s),
        })
    }

    fn of_cookie(&self, app: &str, said: &[u8]) -> Mac {
        self.mac(&[OF_COOKIES, app.as_bytes(), b"\0", said])
    }

    fn mac(&self, parts: &[&[u8]]) -> Mac {
        let mut context = Context::with_key(&self.0);
        parts.iter().for_each(|part| context.update(part));
        context.sign()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn seal(byte: u8) -> Seal {
        Seal::new(&SealKey([byte; KEY_BYTES]))
    }

    fn named(of: &Seal, dyno: &str) -> Named {
        Named { tag: of.tag("blog", dyno), issued_s: 1_795_403_949 }
    }

    #[test]
    fn a_value_reads_back_and_fits_into_a_cookie() {
        let seal = seal(1);
        let value = seal.write("blog", named(&seal, "web.1"));
        assert_eq!(seal.read("blog", &value), Some(named(&seal, "web.1")));
        // A cookie's octets (RFC 6265, section 4.1.1), without those that some clients quote.
        assert!(value.iter().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(b)));
    }

    #[test]
    fn a_dyno_has_one_tag_and_another_dyno_app_or_key_has_another() {
        let tag = seal(1).tag("blog", "web.1");
        assert_eq!(tag, seal(1).tag("blog", "web.1"));
        assert_ne!(tag, seal(1).tag("blog", "web.2"));
        assert_ne!(tag, seal(1).tag("shop", "web.1"));
        assert_ne!(tag, seal(2).tag("blog", "web.1"));
        // Names cannot be shifted from app to dyno.
        assert_ne!(seal(1).tag("a", "b.c"), seal(1).tag("a\0b", "c"));
    }

    #[test]
    fn what_was_not_written_so_reads_as_none() {
        let seal = seal(1);
        let value = seal.write("blog", named(&seal, "web.1"));
        assert_eq!(seal.read("shop", &value), None, "for another app");
        assert_eq!(super::tests::seal(2).read("blog", &value), None, "with another key");
        for at in 0..value.len() {
            assert_eq!(seal.read("blog", &value[..at]), None, "cut to {at}");
            for other in *b"Aa-\0=\xff" {
                let mut altered = value;
                altered[at] = if altered[at] == other { b'b' } else { other };
                assert_eq!(seal.read("blog", &altered), None, "character {at}");
            }
        }
        assert_eq!(seal.read("blog", &[&value[..], b"A"].concat()), None);
    }

    #[test]
    fn a_value_tells_nothing_of_the_dyno() {
        let seal = seal(1);
        let value = seal.write("blog", named(&seal, "ip-10-0-0-7"));
        let bytes = URL_SAFE_NO_PAD.decode(value).unwrap();
        assert!(!bytes.windows(2).any(|two| two == b"ip" || two == [10, 0]), "{bytes:?}");
        assert!(!format!("{seal:?}").contains('1'), "{seal:?}");
    }

    #[test]
    fn a_key_is_32_bytes_in_either_spelling() {
        let hex = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
        let key = SealKey(std::array::from_fn(|at| at as u8));
        let base64 = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
        for text in [hex, &hex.to_uppercase(), base64, base64.trim_end_matches('=')] {
            assert_eq!(SealKey::parse(text), Some(key.clone()), "{text}");
        }
        for text in ["", "a", &hex[2..], &format!("{hex}00"), &base64[4..], &"+".repeat(64)] {
            assert_eq!(SealKey::parse(text), None, "{text}");
        }
        assert_eq!((key.to_hex().as_str(), format!("{key:?}").as_str()), (hex, "SealKey"));
    }

    proptest! {
        #[test]
        fn whatever_a_client_sends_is_read_or_not(value: Vec<u8>, app: String) {
            prop_assert_eq!(seal(1).read(&app, &value), None);
        }
    }
}
