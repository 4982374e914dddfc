//! What chance each dyno has of the next exchange, as far as the present alone tells.
//!
//! Invariants: those of [`super::pick`] for the same candidates and key; none where the requests
//! between decide, as with turns, or where they would be too many to be told; they add up to 1, or
//! are all 0 where no dyno is fit.

use super::{
    Algorithm, Candidate, Draw, NoCounts, Plan, least,
    p2c::{self, EXPLORE, SAME},
    pick::pick,
    plan::Lot,
};

/// The most dynos of which the chances are told where every pair of them has to be looked at.
const MOST_OF_TWO: usize = 2_000;

/// The part of each dyno among those of its kind, by weight; 0 for the others.
type Weighed<'a> = dyn Fn(&dyn Fn(&Candidate) -> bool) -> Vec<f64> + 'a;

/// The chance of each dyno, 0 to 1, for a request with that key, of candidates as
/// [`Plan::leave_out`] left them.
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
        (Algorithm::P2c, _) | (Algorithm::Hash, None) => {
            (candidates.len() <= MOST_OF_TWO).then(|| of_two(lot, candidates))
        }
        (Algorithm::Random | Algorithm::OneAtATime, _) => Some(weighed(&is_fit)),
        (Algorithm::LeastRequest, _) => Some(of_least(&weighed(&is_fit), &weighed, candidates)),
        (Algorithm::RoundRobin, _) => None,
        (Algorithm::Hash, Some(_)) => {
            let mut draw =
                Draw { key, fit: None, abreast: NoCounts::NONE, random: |_| 0, turn: |_| 0 };
            let whole = Plan { split: None, all: lot.clone(), ..plan.clone() };
            let picked = pick(&whole, candidates.len(), |at| candidates[at], &mut draw).ok();
            Some((0..candidates.len()).map(|at| f64::from(u8::from(Some(at) == picked))).collect())
        }
    }
}

/// Who is drawn by weight and has the least has it; what is drawn for the others goes to those
/// who have the least with one more, by their weights.
fn of_least(drawn: &[f64], weighed: &Weighed<'_>, candidates: &[Candidate]) -> Vec<f64> {
    let fit = || candidates.iter().filter(|of| of.bar.is_none());
    let is_first = |less: fn(&Candidate, &Candidate) -> bool| {
        let first = fit().fold(None, |first: Option<&Candidate>, of| {
            Some(first.filter(|first| !less(of, first)).unwrap_or(of))
        });
        move |of: &Candidate| of.bar.is_none() && first.is_some_and(|first| !less(first, of))
    };
    let has_least = is_first(least::has_less);
    let keeps = |(at, of): (usize, &Candidate)| if has_least(of) { drawn[at] } else { 0.0 };
    let kept: Vec<f64> = candidates.iter().enumerate().map(keeps).collect();
    let rest = 1.0 - kept.iter().sum::<f64>();
    let of_rest = weighed(&is_first(least::will_have_less));
    kept.iter().zip(of_rest).map(|(kept, part)| kept + rest * part).collect()
}

/// Of two that are drawn by weight, the first has it unless the second beats it, or is the same so
/// often that there is no other; and in one of [`EXPLORE`] whatever that costs.
fn of_two(lot: &Lot, candidates: &[Candidate]) -> Vec<f64> {
    let fit: Vec<usize> =
        (0..candidates.len()).filter(|at| candidates[*at].bar.is_none()).collect();
    let beats = |a: &usize, b: &usize| p2c::beats(lot, &candidates[*a], &candidates[*b]);
    let sum: f64 = fit.iter().map(|at| f64::from(candidates[*at].weight)).sum();
    let drawn = |at: usize| f64::from(candidates[at].weight) / sum;
    let alone = |at: usize| match lot.odds {
        Some(_) => drawn(at).powi(i32::from(SAME)),
        None => 0.0,
    };
    let explored = 1.0 / EXPLORE as f64;
    let mut chances = vec![0.0; candidates.len()];
    for first in &fit {
        let own = drawn(*first);
        let before = own * (1.0 - alone(*first)) / (1.0 - own);
        chances[*first] += explored * own + (1.0 - explored) * own * alone(*first);
        for second in fit.iter().filter(|second| *second != first) {
            let has_it = if beats(second, first) { second } else { first };
            chances[*has_it] += (1.0 - explored) * before * drawn(*second);
        }
    }
    chances
}
