//! The better of two random dynos, by what each has in flight beside its weight.
//!
//! Two random choices leave the fullest dyno with about log log n exchanges more than the mean,
//! where one leaves log n / log log n (Mitzenmacher, "The Power of Two Choices in Randomized Load
//! Balancing", 2001). Invariants: a barred dyno is never picked; a fit one is found if there is
//! one; the common case looks at two candidates, not at all of them.

use super::{Candidate, Draw, Plan, Unfit};

/// How often two dynos are drawn before all are looked at.
const DRAWS: usize = 3;

/// Picks one of `count` dynos by the plan. `candidate(i)` is asked for the few that are looked at.
pub fn pick<R, T>(
    _plan: &Plan,
    count: usize,
    candidate: impl Fn(usize) -> Candidate,
    draw: &mut Draw<R, T>,
) -> Result<usize, Unfit>
where
    R: FnMut(usize) -> usize,
    T: FnMut() -> u64,
{
    let random = &mut draw.random;
    if count > 2 {
        for _ in 0..DRAWS {
            let first = random(count);
            // The second among the others, so that the two differ.
            let second = (first + 1 + random(count - 1)) % count;
            let (a, b) = (candidate(first), candidate(second));
            if a.bar.is_none() && b.bar.is_none() {
                return Ok(if less_loaded(&b, &a) { second } else { first });
            }
        }
    }
    among_fit(count, candidate, random)
}

/// Looks at every dyno: draws two of the fit ones, each pair as likely as the next.
fn among_fit(
    count: usize,
    candidate: impl Fn(usize) -> Candidate,
    mut random: impl FnMut(usize) -> usize,
) -> Result<usize, Unfit> {
    let mut unfit = Unfit::default();
    let mut drawn: [Option<usize>; 2] = [None, None];
    let mut fit = 0;
    for i in 0..count {
        match candidate(i).bar {
            Some(bar) => unfit.count(bar),
            None => {
                fit += 1;
                // Reservoir sampling (Vitter, 1985) of two.
                match &mut drawn {
                    [first @ None, _] => *first = Some(i),
                    [_, second @ None] => *second = Some(i),
                    full => {
                        let place = random(fit);
                        if place < 2 {
                            full[place] = Some(i);
                        }
                    }
                }
            }
        }
    }
    match drawn {
        [None, _] => Err(unfit),
        [Some(only), None] => Ok(only),
        [Some(a), Some(b)] => {
            let (a, b) = if random(2) == 0 { (a, b) } else { (b, a) };
            Ok(if less_loaded(&candidate(b), &candidate(a)) { b } else { a })
        }
    }
}

/// How the choice among the fit is made, for people.
pub const HOW: &str = "two candidates are drawn at random; the one with less in flight beside its \
                       weight, (in_flight + 1) / weight, gets it, and of two equals either";

/// The chance of each dyno to be picked, 0 to 1: [`pick`] draws each pair of fit dynos as often as
/// the next, so a dyno wins the pairs with those that are more loaded, and half of those with its
/// equals.
pub fn chances(_plan: &Plan, candidates: &[Candidate]) -> Option<Vec<f64>> {
    let mut chances = vec![0.0; candidates.len()];
    let mut fit: Vec<usize> =
        (0..candidates.len()).filter(|i| candidates[*i].bar.is_none()).collect();
    if let [only] = fit[..] {
        chances[only] = 1.0;
        return Some(chances);
    }
    let less = |a: &usize, b: &usize| less_loaded(&candidates[*a], &candidates[*b]);
    fit.sort_by(|a, b| less(b, a).cmp(&less(a, b)));
    let pairs = fit.len() * fit.len().saturating_sub(1) / 2;
    let mut more_loaded = fit.len();
    for equals in fit.chunk_by(|a, b| !less(a, b)) {
        more_loaded -= equals.len();
        let won = more_loaded as f64 + (equals.len() - 1) as f64 / 2.0;
        equals.iter().for_each(|i| chances[*i] = won / pairs as f64);
    }
    Some(chances)
}

/// Is `a` less loaded than `b`?
fn less_loaded(a: &Candidate, b: &Candidate) -> bool {
    // Compared without dividing.
    expense(a) * f64::from(b.weight) < expense(b) * f64::from(a.weight)
}

/// (in flight + 1) × latency, before it is divided by the weight.
fn expense(of: &Candidate) -> f64 {
    (f64::from(of.in_flight) + 1.0) * f64::from(of.latency_us.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::balance::Bar;
    use proptest::prelude::*;

    type Turn = fn() -> u64;

    fn draw(seed: u64) -> Draw<impl FnMut(usize) -> usize, Turn> {
        let mut rng = fastrand::Rng::with_seed(seed);
        Draw { key: 0, random: move |n| rng.usize(0..n), turn: || 0 }
    }

    fn picked(dynos: &[Candidate], seed: u64) -> Result<usize, Unfit> {
        pick(&Plan::default(), dynos.len(), |i| dynos[i], &mut draw(seed))
    }

    fn fit(in_flight: u32, weight: u16) -> Candidate {
        Candidate { in_flight, ..Candidate::idle(weight) }
    }

    #[test]
    fn of_two_the_less_loaded_is_picked() {
        let dynos = [fit(3, 100), fit(2, 100)];
        for seed in 0..50 {
            assert_eq!(picked(&dynos, seed), Ok(1));
        }
    }

    #[test]
    fn weight_counts_beside_load() {
        let dynos = [fit(1, 10), fit(3, 100)];
        for seed in 0..50 {
            assert_eq!(picked(&dynos, seed), Ok(1));
        }
    }

    #[test]
    fn equals_share_alike() {
        let mut hits = [0u32; 7];
        let mut draw = draw(7);
        for _ in 0..70_000 {
            let picked = pick(&Plan::default(), 7, |_| fit(0, 100), &mut draw);
            hits[picked.unwrap()] += 1;
        }
        assert!(hits.iter().all(|n| (9_300..10_700).contains(n)), "{hits:?}");
    }

    #[test]
    fn why_none_is_fit_is_told() {
        let bars = [Bar::Starting, Bar::Crashed, Bar::Crashed, Bar::Quarantined, Bar::Tried];
        let dynos = bars.map(|bar| Candidate { bar: Some(bar), ..fit(0, 100) });
        let unfit = Unfit { starting: 1, crashed: 2, quarantined: 1, tried: 1, ..Unfit::default() };
        assert_eq!(picked(&dynos, 1), Err(unfit));
        assert_eq!(picked(&[], 1), Err(Unfit::default()));
    }

    #[test]
    fn the_chances_are_those_of_the_draws() {
        let barred = Candidate { bar: Some(Bar::Crashed), ..fit(0, 100) };
        let of_five = [fit(3, 100), barred, fit(0, 100), fit(7, 1000), fit(0, 100), fit(9, 100)];
        for dynos in [&of_five[..], &of_five[..1], &of_five[..2], &of_five[2..4], &of_five[1..5]] {
            let (chances, mut draw) = (chances(&Plan::default(), dynos).unwrap(), draw(5));
            let mut hits = vec![0.0; dynos.len()];
            for _ in 0..50_000 {
                let picked = pick(&Plan::default(), dynos.len(), |i| dynos[i], &mut draw);
                hits[picked.unwrap()] += 1.0 / 50_000.0;
            }
            let near = |(chance, hit): (&f64, &f64)| (chance - hit).abs() < 0.01;
            assert!(chances.iter().zip(&hits).all(near), "{chances:?} {hits:?}");
            assert!((chances.iter().sum::<f64>() - 1.0).abs() < 1e-9, "{chances:?}");
        }
        assert_eq!(chances(&Plan::default(), &[barred]).unwrap(), [0.0]);
        assert_eq!(chances(&Plan::default(), &[]).unwrap(), [0.0; 0]);
    }

    proptest! {
        #[test]
        fn a_fit_dyno_is_found_and_a_barred_one_never_picked(
            fit_ones in proptest::collection::vec(any::<bool>(), 0..40),
            seed: u64,
        ) {
            let dyno = |(i, is_fit): (usize, &bool)| Candidate {
                bar: (!is_fit).then_some(Bar::Quarantined),
                ..fit(i as u32 % 5, 100)
            };
            let dynos: Vec<_> = fit_ones.iter().enumerate().map(dyno).collect();
            match picked(&dynos, seed) {
                Ok(i) => prop_assert!(fit_ones[i]),
                Err(_) => prop_assert!(!fit_ones.contains(&true)),
            }
        }
    }
}
