//! A look at every dyno, where a few draws did not find what was sought.
//!
//! Invariants: a dyno that changes between two looks is at worst found less fit than it is: each
//! answers one of the dynos that it is asked for.

use super::{Candidate, Unfit};

/// The fit ones on the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fit {
    /// The sum of their weights, at least 1.
    pub weight: u64,
    /// What they have in flight.
    pub in_flight: u64,
}

/// Counts the fit ones, or says why there is none.
pub fn fit(count: usize, candidate: &impl Fn(usize) -> Candidate) -> Result<Fit, Unfit> {
    let mut unfit = Unfit::default();
    let mut fit = Fit { weight: 0, in_flight: 0 };
    for at in 0..count {
        let Candidate { bar, weight, in_flight, .. } = candidate(at);
        match bar {
            Some(bar) => unfit.count(bar),
            None => {
                fit.weight += u64::from(weight.max(1));
                fit.in_flight += u64::from(in_flight);
            }
        }
    }
    if fit.weight == 0 { Err(unfit) } else { Ok(fit) }
}

/// The fit one, but for `without`, that `point` falls to where their weights are laid end to end.
pub fn at_weight(
    count: usize,
    candidate: &impl Fn(usize) -> Candidate,
    point: u64,
    without: Option<usize>,
) -> usize {
    let mut left = point;
    let mut last = without.unwrap_or(0);
    for at in (0..count).filter(|at| Some(*at) != without) {
        let Candidate { bar, weight, .. } = candidate(at);
        if bar.is_some() {
            continue;
        }
        let weight = u64::from(weight.max(1));
        if left < weight {
            return at;
        }
        left -= weight;
        last = at;
    }
    last
}
