//! The dyno with the fewest exchanges beside its weight, of all.
//!
//! By weights alone the lightest dyno has the least as soon as all others have one exchange, and
//! one that warms up was given six times its share. So a dyno is drawn by its weight first: it has
//! the exchange if nobody has less, and else that one has it who, with this exchange, would have
//! the least. A light dyno is then given what is drawn for it, and more only where it still has
//! less with one more. (Dividing by the seats that are held is what Adams proposed for parliaments,
//! and favours the small; by those held and one more, as D'Hondt did, the large.)
//! Invariants: as of every choice; of dynos of one weight one of those with the least has it, each
//! as likely as the other; looks at every dyno, unless the one that was drawn has nothing.

use super::{Candidate, Unfit, pick::any, plan::Lot};

/// Picks one.
pub(super) fn pick(
    lot: &Lot,
    count: usize,
    candidate: impl Fn(usize) -> Candidate,
    random: &mut impl FnMut(usize) -> usize,
) -> Result<usize, Unfit> {
    let drawn = any(lot, count, &candidate, random)?;
    let own = candidate(drawn);
    if own.in_flight == 0 {
        return Ok(drawn);
    }
    let (mut least, mut weight) = ((drawn, own), 0u64);
    let mut is_least = true;
    for at in 0..count {
        let seen = candidate(at);
        if seen.bar.is_some() {
            continue;
        }
        is_least &= !has_less(&seen, &own);
        if will_have_less(&seen, &least.1) {
            (least, weight) = ((at, seen), u64::from(seen.weight));
        } else if !will_have_less(&least.1, &seen) {
            // Reservoir sampling by weight (Chao, 1982).
            weight += u64::from(seen.weight);
            if random(weight as usize) < seen.weight as usize {
                least = (at, seen);
            }
        }
    }
    Ok(if is_least { drawn } else { least.0 })
}

/// in flight ÷ weight, compared without dividing.
pub(super) fn has_less(a: &Candidate, b: &Candidate) -> bool {
    u64::from(a.in_flight) * u64::from(b.weight) < u64::from(b.in_flight) * u64::from(a.weight)
}

/// The same where both had one exchange more.
pub(super) fn will_have_less(a: &Candidate, b: &Candidate) -> bool {
    let with_one = |of: &Candidate| u64::from(of.in_flight) + 1;
    with_one(a) * u64::from(b.weight) < with_one(b) * u64::from(a.weight)
}
