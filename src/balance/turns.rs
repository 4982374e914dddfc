//! One dyno after the other, the heavier the more often.
//!
//! The static stride scheduler of gRPC (A58, "Weighted Round Robin LB policy"): a counter goes over
//! the dynos, and passes one over in such rounds that it gets its share, evenly spread over time.
//! Invariants: as of every choice; nothing is kept but the counter, so any number of workers may
//! turn it; a dyno that is barred leaves its turns to all others in turn.

use super::{Candidate, Unfit, plan::Lot, scan};

/// How many turns are taken before all dynos are looked at.
const TURNS: usize = 16;
/// The golden ratio's fraction of 2^64: its multiples are spread evenly over any range (Weyl).
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// Picks one.
pub(super) fn pick(
    lot: &Lot,
    count: usize,
    candidate: impl Fn(usize) -> Candidate,
    turn: &mut impl FnMut() -> u64,
) -> Result<usize, Unfit> {
    let (n, most) = (count.max(1) as u64, u64::from(lot.most.max(1)));
    let mut last = 0;
    for _ in 0..TURNS.min(count * 2) {
        let turn = turn();
        let (at, round) = (turn % n, turn / n);
        let seen = candidate(at as usize);
        if seen.bar.is_some() {
            last = turn;
            break;
        }
        let weight = u64::from(seen.weight).min(most);
        // Half a range between two neighbours, so that not all are passed over in one round.
        let phase = weight.wrapping_mul(round).wrapping_add(at * (most / 2 + 1)) % most;
        if phase >= most - weight {
            return Ok(at as usize);
        }
        last = turn;
    }
    let fit = scan::fit(count, &candidate)?;
    let point = (u128::from(last.wrapping_mul(GOLDEN)) * u128::from(fit.weight)) >> 64;
    Ok(scan::at_weight(count, &candidate, point as u64, None))
}
