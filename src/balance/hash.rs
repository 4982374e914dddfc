//! The dyno that the key of a request belongs to, unless that one has too much already.
//!
//! Consistent hashing with bounded loads (Mirrokni, Thorup, Zadimoghaddam, 2018): a dyno has at
//! most so many percent of the mean that is in flight, by weight, and what is more goes on. It goes
//! on by jumps and not to the neighbour, which would be the next to be full (Chen, Coleman,
//! Shrivastava, "Revisiting Consistent Hashing with Bounded Loads", 2021). A dyno that warms up has
//! a part of its keys, which grows with its weight; the others go on as if it were full. The mean
//! is known to who asks, as of a moment ago; else it takes a look at all dynos, if the one that the
//! key belongs to has anything at all in flight.
//! Invariants: as of every choice; the same key goes the same way as long as the dynos are as fit,
//! as warm and as full as before.

use super::{
    Candidate, NoCounts, Unfit, least,
    plan::Lot,
    ring::mix,
    scan::{self, Fit},
    warm::WHOLE,
};

/// How many jumps a key takes before the dyno with the least is taken.
const JUMPS: usize = 64;

/// Picks one.
pub(super) fn pick(
    lot: &Lot,
    bound: u32,
    count: usize,
    candidate: impl Fn(usize) -> Candidate,
    key: u64,
    mut fit: Option<Fit>,
) -> Result<usize, Unfit> {
    let mut drawn = |n: usize| (mix(key) % n as u64) as usize;
    let Some(ring) = lot.ring.as_ref().filter(|_| count > 0) else {
        return least::pick(lot, count, candidate, &mut drawn, NoCounts::NONE.as_ref());
    };
    let mut hash = key;
    for jump in 0..JUMPS {
        let at = ring.find(hash);
        let seen = candidate(at);
        // What the busy ones pass on is not to make up for what one that is cold is spared.
        let part = if jump == 0 { seen.part } else { seen.part * seen.part / WHOLE };
        let may = seen.bar.is_none() && is_among(hash, part);
        // With nothing in flight nobody has too much.
        if may && (bound == 0 || seen.in_flight == 0) {
            return Ok(at);
        }
        let fit = match fit {
            Some(fit) => fit,
            None => *fit.insert(scan::fit(count, &candidate)?),
        };
        if may && has_room(&seen, &fit, bound) {
            return Ok(at);
        }
        hash = mix(hash.wrapping_add(1));
    }
    least::pick(lot, count, candidate, &mut drawn, NoCounts::NONE.as_ref())
}

/// Is the key, or what became of it by jumps, among such a part of all keys?
fn is_among(hash: u64, part: u32) -> bool {
    // Not by the bits by which the ring finds whose it is.
    part >= WHOLE || mix(hash) % u64::from(WHOLE) < u64::from(part)
}

/// May it have one more, if there is a bound? That is rounded up, so that there is always one that
/// may; and since what it has is a whole number, it is compared without dividing.
fn has_room(of: &Candidate, fit: &Fit, bound: u32) -> bool {
    let most = (u128::from(fit.in_flight) + 1) * u128::from(of.weight) * u128::from(bound);
    u128::from(of.in_flight) * u128::from(fit.weight) * 100 < most
}
