//! The digest of a set of objects: the sum, modulo 2^256, of the SHA-256 of each one's line.
//!
//! A sum does not ask in which order it is made, and is kept up by adding what comes and taking
//! away what goes. Each SHA-256 is read as a big-endian number, and so is a digest shown.
//! Invariants: the digest of nothing is zero; what was added and taken away leaves no trace; it
//! tells tables apart that came to differ by accident, and is no seal against somebody who seeks
//! two that share one.

use std::fmt;

use sha2::{Digest as _, Sha256};

/// How many bytes a digest has.
pub const DIGEST_BYTES: usize = 32;
const LIMBS: usize = DIGEST_BYTES / size_of::<u64>();

/// The digest of a set of objects.
#[derive(Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Digest {
    /// The least significant first.
    limbs: [u64; LIMBS],
}

impl Digest {
    /// The digest of one line, its line end left out.
    pub fn of(line: &[u8]) -> Digest {
        Digest::from_bytes(&Sha256::digest(line).into())
    }

    /// Adds what came.
    pub fn add(&mut self, other: Digest) {
        let mut carry = false;
        for (limb, more) in self.limbs.iter_mut().zip(other.limbs) {
            let (sum, over) = limb.overflowing_add(more);
            let (sum, over_again) = sum.overflowing_add(u64::from(carry));
            *limb = sum;
            carry = over || over_again;
        }
    }

    /// Takes away what went.
    pub fn subtract(&mut self, other: Digest) {
        let mut borrow = false;
        for (limb, less) in self.limbs.iter_mut().zip(other.limbs) {
            let (rest, under) = limb.overflowing_sub(less);
            let (rest, under_again) = rest.overflowing_sub(u64::from(borrow));
            *limb = rest;
            borrow = under || under_again;
        }
    }

    /// Reads 64 hexadecimal digits, as they are shown.
    pub fn parse(text: &str) -> Option<Digest> {
        let mut digest = Digest::default();
        let is_it = text.len() == 2 * DIGEST_BYTES && text.bytes().all(|b| b.is_ascii_hexdigit());
        for (at, limb) in digest.limbs.iter_mut().rev().enumerate().take_while(|_| is_it) {
            let digits = 2 * size_of::<u64>();
            *limb = u64::from_str_radix(&text[at * digits..(at + 1) * digits], 16).ok()?;
        }
        is_it.then_some(digest)
    }

    /// As a big-endian number.
    pub fn to_bytes(self) -> [u8; DIGEST_BYTES] {
        let mut bytes = [0; DIGEST_BYTES];
        for (part, limb) in bytes.rchunks_exact_mut(size_of::<u64>()).zip(self.limbs) {
            part.copy_from_slice(&limb.to_be_bytes());
        }
        bytes
    }

    /// From a big-endian number.
    pub fn from_bytes(bytes: &[u8; DIGEST_BYTES]) -> Digest {
        let mut digest = Digest::default();
        for (limb, part) in digest.limbs.iter_mut().zip(bytes.rchunks_exact(size_of::<u64>())) {
            *limb = part.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
        }
        digest
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.limbs.iter().rev().try_for_each(|limb| write!(f, "{limb:016x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_digest_is_shown_as_the_number_that_it_is() {
        assert_eq!(Digest::default().to_string(), "0".repeat(64));
        // FIPS 180-2, appendix B.1.
        let known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(Digest::of(b"abc").to_string(), known);
        assert_eq!(format!("{:?}", Digest::of(b"abc")), known);
        assert_eq!(Digest::parse(known), Some(Digest::of(b"abc")));
        for text in ["", &known[1..], &format!("+{}", &known[1..]), &format!("{known}0")] {
            assert_eq!(Digest::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_sum_carries_through_every_limb_and_wraps() {
        let one = Digest::from_bytes(&std::array::from_fn(|i| u8::from(i == 31)));
        let mut sum = Digest::from_bytes(&[0xff; 32]);
        sum.add(one);
        assert_eq!(sum, Digest::default());
        sum.subtract(one);
        assert_eq!(sum, Digest::from_bytes(&[0xff; 32]));
    }

    proptest! {
        #[test]
        fn order_is_nothing_and_what_went_left_no_trace(
            a in any::<[u8; 32]>(), b in any::<[u8; 32]>(),
        ) {
            let (x, y) = (Digest::from_bytes(&a), Digest::from_bytes(&b));
            prop_assert_eq!(x.to_bytes(), a);
            let (mut there, mut back) = (x, y);
            there.add(y);
            back.add(x);
            prop_assert_eq!(there, back);
            there.subtract(y);
            prop_assert_eq!(there, x);
            there.subtract(x);
            prop_assert_eq!(there, Digest::default());
        }
    }
}
