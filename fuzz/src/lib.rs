//! What the targets have in common: readers of messages, and ways to cut bytes apart.
//!
//! [`ours`] is the router's own reading; [`strict`] reads heads by the letter of the RFCs, slowly
//! and plainly; [`second`] has hyper read them. Invariant: the latter two share nothing with the
//! router's reader, the names that matter to a proxy included.

pub mod ours;
pub mod second;
pub mod strict;

/// Where to cut `len` bytes apart: nowhere, at every byte, or wherever a generator of random
/// numbers that begins with `seed` says, now in many pieces and now in few.
pub fn cuts(seed: u8, len: usize) -> Vec<usize> {
    match seed {
        0 => Vec::new(),
        1 => (1..len).collect(),
        seed => {
            // Of 256 places about so many are cut at.
            let share = 1 << (seed % 8);
            let mut state = u64::from(seed);
            let mut random = || {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                state >> 56
            };
            (1..len).filter(|_| random() < share).collect()
        }
    }
}
