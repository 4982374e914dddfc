//! What chance each dyno has of the next exchange, as far as the present alone tells.
//!
//! Invariants: those of [`super::pick`] for the same candidates and key; none where the requests
//! between decide, as with turns; they add up to 1, or are all 0 where no dyno is fit.

use super::{
    Algorithm, Candidate, Draw, Plan, least,
    p2c::{self, EXPLORE, SAME},
    pick::pick,
    plan::Lot,
};

/// The chance of each dyno, 0 to 1, for a request with that key.
pub fn chances(plan: &Plan, candidates: &[Candidate], key: Option<u64>) -> Option<Vec<f64>> {
    let Some(split) = &plan.split else { return among(plan, &plan.all, candidates, key) };
    let mut chances = vec![0.0; candidates.len()];
    let kept = split.sticky && key.is_some();
    let parts = match kept {
        true => vec![(&split.parts[split.draw(key, &mut |_| 0)], 1.0)],
        false => split.parts.iter().zip(split.odds.shares()).collect(),
    };
    for (part, share) in parts {
        let of = |at: &u32| candidates[*at as usize];
        let members: Vec<Candidate> = part.members.iter().map(of).collect();
        if members.iter().any(|member| member.bar.is_none()) {
            let within = among(plan, &part.lot, &members, key)?;
            let places = part.members.iter().map(|at| *at as usize);
            places.zip(within).for_each(|(at, chance)| chances[at] += share * chance);
        } else {
            let all = among(plan, &plan.all, candidates, key)?;
            chances.iter_mut().zip(all).for_each(|(sum, chance)| *sum += share * chance);
        }
    }
    Some(chances)
}

fn among(plan: &Plan, lot: &Lot, candidates: &[Candidate], key: Option<u64>) -> Option<Vec<f64>> {
    let weighed = |is_in: &dyn Fn(&Candidate) -> bool| {
        let part = |of: &Candidate| if is_in(of) { f64::from(of.weight) } else { 0.0 };
        let parts: Vec<f64> = candidates.iter().map(part).collect();
        let sum: f64 = parts.iter().sum();
        if sum == 0.0 { parts } else { parts.iter().map(|part| part / sum).collect() }
    };
    let is_fit = |of: &Candidate| of.bar.is_none();
    let of_fit = || candidates.iter().filter(|of| is_fit(of));
    match (plan.algorithm, key) {
        // Who is alone has it.
        _ if of_fit().count() < 2 => Some(weighed(&is_fit)),
        (Algorithm::P2c, _) | (Algorithm::Hash, None) => Some(of_two(lot, candidates)),
        (Algorithm::Random | Algorithm::OneAtATime, _) => Some(weighed(&is_fit)),
        (Algorithm::LeastRequest, _) => {
            let has_least = |of: &Candidate| !of_fit().any(|other| least::has_less(other, of));
            Some(weighed(&|of| is_fit(of) && has_least(of)))
        }
        (Algorithm::RoundRobin, _) => None,
        (Algorithm::Hash, Some(_)) => {
            let mut draw = Draw { key, in_flight: None, random: |_| 0, turn: |_| 0 };
            let whole = Plan { split: None, all: lot.clone(), ..plan.clone() };
            let picked = pick(&whole, candidates.len(), |at| candidates[at], &mut draw).ok();
            Some((0..candidates.len()).map(|at| f64::from(u8::from(Some(at) == picked))).collect())
        }
    }
}

/// Of two that are drawn by weight, the first has it unless the second costs less, or is the same
/// so often that there is no other; and in one of [`EXPLORE`] whatever that costs.
fn of_two(lot: &Lot, candidates: &[Candidate]) -> Vec<f64> {
    let mut fit: Vec<usize> =
        (0..candidates.len()).filter(|at| candidates[*at].bar.is_none()).collect();
    let is_less = |a: &usize, b: &usize| p2c::is_less(lot, &candidates[*a], &candidates[*b]);
    fit.sort_by(|a, b| is_less(b, a).cmp(&is_less(a, b)));
    let sum: f64 = fit.iter().map(|at| f64::from(candidates[*at].weight)).sum();
    let drawn = |at: usize| f64::from(candidates[at].weight) / sum;
    let alone = |at: usize| match lot.odds {
        Some(_) => drawn(at).powi(i32::from(SAME)),
        None => 0.0,
    };
    // Being drawn first, and another behind it: times what that one is of all.
    let before = |at: usize| drawn(at) * (1.0 - alone(at)) / (1.0 - drawn(at));
    let explored = 1.0 / EXPLORE as f64;
    let mut chances = vec![0.0; candidates.len()];
    // Of those that cost more than the ones that are looked at.
    let mut draws: f64 = 1.0;
    let mut befores: f64 = fit.iter().map(|at| before(*at)).sum();
    for equals in fit.chunk_by(|a, b| !is_less(a, b)) {
        let alike: f64 = equals.iter().map(|at| drawn(*at)).sum();
        draws -= alike;
        befores -= equals.iter().map(|at| before(*at)).sum::<f64>();
        for at in equals {
            let (own, first) = (drawn(*at), before(*at));
            let won = own * alone(*at) + first * (draws + alike - own) + own * befores;
            chances[*at] = (1.0 - explored) * won.max(0.0) + explored * own;
        }
    }
    chances
}
