//! The dyno with the fewest exchanges beside its weight, of all.
//!
//! Invariants: as of every choice; of those that are alike each is as likely as its weight is among
//! them; looks at every dyno.

use super::{Candidate, Unfit};

/// Picks one.
pub(super) fn pick(
    count: usize,
    candidate: impl Fn(usize) -> Candidate,
    random: &mut impl FnMut(usize) -> usize,
) -> Result<usize, Unfit> {
    let mut unfit = Unfit::default();
    let mut least: Option<(usize, Candidate)> = None;
    let mut weight = 0u64;
    for at in 0..count {
        let seen = candidate(at);
        if let Some(bar) = seen.bar {
            unfit.count(bar);
            continue;
        }
        let is_taken = match &least {
            None => true,
            Some((_, there)) if has_less(&seen, there) => true,
            Some((_, there)) if has_less(there, &seen) => continue,
            // Reservoir sampling by weight (Chao, 1982).
            Some(_) => {
                weight += u64::from(seen.weight);
                if random(weight as usize) < seen.weight as usize {
                    least = Some((at, seen));
                }
                continue;
            }
        };
        if is_taken {
            weight = u64::from(seen.weight);
            least = Some((at, seen));
        }
    }
    least.map(|(at, _)| at).ok_or(unfit)
}

/// in flight ÷ weight, compared without dividing.
pub(super) fn has_less(a: &Candidate, b: &Candidate) -> bool {
    u64::from(a.in_flight) * u64::from(b.weight) < u64::from(b.in_flight) * u64::from(a.weight)
}
