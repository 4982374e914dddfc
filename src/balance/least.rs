//! The dyno with the fewest exchanges beside its weight, of all.
//!
//! By weights alone the lightest dyno has the least as soon as all others have one exchange, and
//! one that warms up was given six times its share. So a dyno is drawn by its weight first: it has
//! the exchange if nobody has less, and else that one has it who, with this exchange, would have
//! the least. A light dyno is then given what is drawn for it, and more only where it still has
//! less with one more. (Dividing by the seats that are held is what Adams proposed for parliaments,
//! and favours the small; by those held and one more, as D'Hondt did, the large.)
//! Where the counts stand side by side (`abreast.rs`) they tell who is to be looked at, and that
//! one decides if it is fit and has its whole weight. If not, all are looked at.
//! Invariants: as of every choice; of dynos of one weight one of those with the least has it, each
//! as likely as the other, whichever way it is found.

use super::{
    Candidate, Counts, Unfit,
    abreast::{self, Pair},
    pick::any,
    plan::Lot,
};

/// Picks one.
pub(super) fn pick(
    lot: &Lot,
    count: usize,
    candidate: impl Fn(usize) -> Candidate,
    random: &mut impl FnMut(usize) -> usize,
    abreast: Option<&Counts<'_, impl Fn(usize) -> Pair>>,
) -> Result<usize, Unfit> {
    let (drawn, own) = any(lot, count, &candidate, random)?;
    if own.in_flight == 0 {
        return Ok(drawn);
    }
    let told = |abreast| told(lot, count, &candidate, (drawn, &own), abreast, random);
    let told = abreast.and_then(told);
    Ok(told.unwrap_or_else(|| of_all(count, &candidate, (drawn, own), random)))
}

/// As the counts tell it; nothing if one of those that would decide is not fit, or not whole.
fn told(
    lot: &Lot,
    count: usize,
    candidate: &impl Fn(usize) -> Candidate,
    (drawn, own): (usize, &Candidate),
    abreast: &Counts<'_, impl Fn(usize) -> Pair>,
    random: &mut impl FnMut(usize) -> usize,
) -> Option<usize> {
    let whole = |at: usize| {
        let seen = candidate(at);
        let is_told = seen.in_flight < abreast::MOST.into();
        (seen.bar.is_none() && seen.weight >= lot.weight(at) && is_told).then_some(seen)
    };
    let pass = abreast.pass();
    let now = pass.least();
    if now >= own.in_flight as f32 * lot.most as f32 / own.weight as f32 {
        return Some(drawn);
    }
    let at = abreast.draw(&pass, random)?;
    // Who will have the least mostly also has less now. If not, what is found out further must not
    // draw again: that would be a second draw for this one alone.
    let somebody_has_less = has_less(&whole(at)?, own) || {
        let least = abreast.with_at_most(now).and_then(whole);
        let is_less = |seen: Candidate| seen.bar.is_none() && has_less(&seen, own);
        least.map_or_else(|| (0..count).map(candidate).any(is_less), |least| has_less(&least, own))
    };
    Some(if somebody_has_less { at } else { drawn })
}

/// As a look at each tells it.
fn of_all(
    count: usize,
    candidate: &impl Fn(usize) -> Candidate,
    (drawn, own): (usize, Candidate),
    random: &mut impl FnMut(usize) -> usize,
) -> usize {
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
    if is_least { drawn } else { least.0 }
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
