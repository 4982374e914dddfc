//! The choice: a release by its share, and one of its dynos by the app's algorithm.
//!
//! Invariants: a barred dyno is never picked; a fit one is found if there is one; of each candidate
//! `weight` counts, so that one that has but a part of its weight gets but a part of the exchanges,
//! whatever the algorithm.

use super::{
    Algorithm, Bar, Candidate, Draw, Plan, Unfit, abreast::Pair, hash, least, p2c, plan::Lot, scan,
    turns,
};

/// How often dynos are drawn before all are looked at.
pub(super) const DRAWS: usize = 8;

/// Picks one of `count` dynos by the plan. `candidate(i)` is asked for the few that are looked at.
pub fn pick<R, T, C>(
    plan: &Plan,
    count: usize,
    candidate: impl Fn(usize) -> Candidate,
    draw: &mut Draw<'_, R, T, C>,
) -> Result<usize, Unfit>
where
    R: FnMut(usize) -> usize,
    T: FnMut(Option<usize>) -> u64,
    C: Fn(usize) -> Pair,
{
    let Some(split) = &plan.split else {
        return among(plan, None, count, candidate, draw);
    };
    let drawn = split.draw(draw.key, &mut draw.random);
    let members = &split.parts[drawn].members;
    let place = |at: usize| members[at] as usize;
    // Of all, of whom a release has an unknown part.
    (draw.fit, draw.abreast) = (None, None);
    let picked = among(plan, Some(drawn), members.len(), |at| candidate(place(at)), draw);
    if let Ok(at) = picked {
        return Ok(place(at));
    }
    // A release without a fit dyno is served by the others that have a share, and all of these, if
    // they are not only full, or tried by this exchange, by the rest.
    let with_share = |at: usize| match split.has_share[at] {
        true => candidate(at),
        false => Candidate { bar: Some(Bar::Shareless), ..candidate(at) },
    };
    match among(plan, None, count, with_share, draw) {
        Err(unfit) if unfit.full + unfit.tried == 0 => among(plan, None, count, candidate, draw),
        picked => picked,
    }
}

/// Picks one of a release's dynos, or of all.
fn among<R, T, C>(
    plan: &Plan,
    part: Option<usize>,
    count: usize,
    candidate: impl Fn(usize) -> Candidate,
    draw: &mut Draw<'_, R, T, C>,
) -> Result<usize, Unfit>
where
    R: FnMut(usize) -> usize,
    T: FnMut(Option<usize>) -> u64,
    C: Fn(usize) -> Pair,
{
    // Most apps have one dyno; there are no two to be drawn then.
    if count < 2 {
        return scan::fit(count, &candidate).map(|_| 0);
    }
    let lot = plan.lot(part);
    let random = &mut draw.random;
    match plan.algorithm {
        Algorithm::P2c => p2c::pick(lot, count, candidate, random),
        Algorithm::LeastRequest => {
            least::pick(lot, count, candidate, random, draw.abreast.as_ref())
        }
        Algorithm::RoundRobin => turns::pick(lot, count, candidate, &mut || (draw.turn)(part)),
        Algorithm::Random | Algorithm::OneAtATime => {
            any(lot, count, candidate, random).map(|(at, _)| at)
        }
        Algorithm::Hash => match draw.key {
            Some(key) => hash::pick(lot, plan.bound, count, candidate, key, draw.fit),
            None => p2c::pick(lot, count, candidate, random),
        },
    }
}

/// Any of the fit ones, by weight, and what was seen of it.
pub(super) fn any(
    lot: &Lot,
    count: usize,
    candidate: impl Fn(usize) -> Candidate,
    random: &mut impl FnMut(usize) -> usize,
) -> Result<(usize, Candidate), Unfit> {
    for _ in 0..DRAWS {
        let at = lot.draw(count, random);
        let drawn = candidate(at);
        if drawn.bar.is_none() && lot.accepts(at, drawn.weight, random) {
            return Ok((at, drawn));
        }
    }
    let fit = scan::fit(count, &candidate)?;
    let at = scan::at_weight(count, &candidate, random(fit.weight as usize) as u64, None);
    Ok((at, candidate(at)))
}

impl Lot {
    /// Draws one of `count` by its whole weight.
    pub(super) fn draw(&self, count: usize, random: &mut impl FnMut(usize) -> usize) -> usize {
        match &self.odds {
            Some(odds) => odds.draw(random),
            None => random(count),
        }
    }

    /// Is one that was drawn by its whole weight to be taken, which has `weight` now?
    pub(super) fn accepts(
        &self,
        at: usize,
        weight: u32,
        random: &mut impl FnMut(usize) -> usize,
    ) -> bool {
        let whole = self.weight(at);
        weight >= whole || random(whole as usize) < weight as usize
    }
}

#[cfg(test)]
mod shares;
#[cfg(test)]
mod tests;
