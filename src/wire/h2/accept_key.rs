//! The keys by which a WebSocket's client asks in HTTP/1.1, and its server proves to have
//! understood it.
//!
//! Over HTTP/2 there are none (RFC 8441, section 5): where only one side is HTTP/2, they are made
//! here (RFC 6455, sections 4.1 and 4.2.2). Invariants: 28 characters of base64, whatever the
//! client's key; 24 of a fresh key.

use sha1::{Digest, Sha1};

/// What the standard has every server append.
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// `Sec-WebSocket-Accept` for a `Sec-WebSocket-Key`.
pub fn of(key: &[u8]) -> [u8; 28] {
    let digest = Sha1::new().chain_update(key).chain_update(GUID).finalize();
    base64(&digest)
}

/// A `Sec-WebSocket-Key` of random bits.
pub fn fresh(random: u128) -> [u8; 24] {
    base64(&random.to_be_bytes())
}

fn base64<const LEN: usize>(bytes: &[u8]) -> [u8; LEN] {
    let mut text = [b'='; LEN];
    for (bytes, text) in bytes.chunks(3).zip(text.chunks_mut(4)) {
        let byte = |at: usize| u32::from(bytes.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for (at, letter) in text.iter_mut().enumerate().take(bytes.len() + 1) {
            *letter = ALPHABET[(bits >> (18 - 6 * at)) as usize & 63];
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fresh_key_is_its_bits() {
        assert_eq!(&fresh(u128::from_be_bytes(*b"the sample nonce")), b"dGhlIHNhbXBsZSBub25jZQ==");
    }

    #[test]
    fn the_key_of_the_standard_has_the_answer_of_the_standard() {
        assert_eq!(&of(b"dGhlIHNhbXBsZSBub25jZQ=="), b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }
}
