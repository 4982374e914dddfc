//! The better of two random dynos: the default.
//!
//! Two random choices leave the fullest dyno with about log log n exchanges more than the mean,
//! where one leaves log n / log log n (Mitzenmacher, "The Power of Two Choices in Randomized Load
//! Balancing", 2001), and routers that do not talk to each other do not all run to the same one, as
//! with the least of all. The cost is Finagle's ("Peak EWMA"): what is in flight, the new one
//! included, times how long it takes. Two things differ, both measured in `tests/sim`: weights
//! count in the draw and beside what is in flight, since a draw of all alike gives no dyno more
//! than two shares; and an average of latencies takes the place of their peak. The second draw has
//! the exchange only if it also costs less with one more (as in `least.rs`): else a light dyno,
//! which mostly has nothing, would win whenever it is drawn, and have up to twice its share.
//! Invariants: as of every choice; one choice of [`EXPLORE`] takes the first that is drawn, so that
//! every fit dyno has a share whatever it costs, and what is known of it is renewed.

use super::{Candidate, Unfit, pick::DRAWS, plan::Lot, scan};

/// One of so many choices looks at no cost.
pub const EXPLORE: usize = 64;

/// Where weights differ, one that is drawn so many times more before any other has it: of two, the
/// one of a thousandth of the weight is not to be compared with the other each time.
pub const SAME: u8 = 4;

/// Picks one.
pub(super) fn pick(
    lot: &Lot,
    count: usize,
    candidate: impl Fn(usize) -> Candidate,
    random: &mut impl FnMut(usize) -> usize,
) -> Result<usize, Unfit> {
    let mut first: Option<(usize, Candidate)> = None;
    let mut same = 0;
    for _ in 0..DRAWS {
        let at = match (&first, &lot.odds) {
            // Among the others.
            (Some((first, _)), None) => {
                let at = first + 1 + random(count - 1);
                if at >= count { at - count } else { at }
            }
            _ => lot.draw(count, random),
        };
        let drawn = candidate(at);
        if drawn.bar.is_some() || !lot.accepts(at, drawn.weight, random) {
            continue;
        }
        match &first {
            None if random(EXPLORE) == 0 => return Ok(at),
            None => first = Some((at, drawn)),
            Some((other, _)) if *other == at => {
                same += 1;
                if same == SAME {
                    return Ok(at);
                }
            }
            Some((other, there)) => {
                return Ok(if beats(lot, &drawn, there) { at } else { *other });
            }
        }
    }
    among_all(lot, count, candidate, first, random)
}

/// The same, of all fit ones, what is still to be drawn.
fn among_all(
    lot: &Lot,
    count: usize,
    candidate: impl Fn(usize) -> Candidate,
    first: Option<(usize, Candidate)>,
    random: &mut impl FnMut(usize) -> usize,
) -> Result<usize, Unfit> {
    let fit = scan::fit(count, &candidate)?;
    let is_new = first.is_none();
    let (at, first) = first.unwrap_or_else(|| {
        let at = scan::at_weight(count, &candidate, random(fit.weight as usize) as u64, None);
        (at, candidate(at))
    });
    let rest = fit.weight.saturating_sub(u64::from(first.weight.max(1)));
    if rest == 0 || (is_new && random(EXPLORE) == 0) {
        return Ok(at);
    }
    let other = scan::at_weight(count, &candidate, random(rest as usize) as u64, Some(at));
    Ok(if beats(lot, &candidate(other), &first) { other } else { at })
}

/// Has `second` the exchange, though `first` was drawn before it?
pub(super) fn beats(lot: &Lot, second: &Candidate, first: &Candidate) -> bool {
    let is_less = |expense: &dyn Fn(&Candidate) -> f64| {
        // Compared without dividing.
        expense(second) * f64::from(first.weight) < expense(first) * f64::from(second.weight)
    };
    is_less(&|of| expense(lot, of)) && is_less(&with_one)
}

/// (in flight ÷ weight × mean weight + 1) × latency, times the weight.
fn expense(lot: &Lot, of: &Candidate) -> f64 {
    let shared = f64::from(of.in_flight) * f64::from(lot.mean) + f64::from(of.weight);
    shared * f64::from(of.latency_us.max(1))
}

/// (in flight + 1) ÷ weight × latency, times the weight.
fn with_one(of: &Candidate) -> f64 {
    (f64::from(of.in_flight) + 1.0) * f64::from(of.latency_us.max(1))
}
