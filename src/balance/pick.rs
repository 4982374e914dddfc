//! The better of two random dynos, by what each has in flight beside its weight.
//!
//! Two random choices leave the fullest dyno with about log log n exchanges more than the mean,
//! where one leaves log n / log log n (Mitzenmacher, "The Power of Two Choices in Randomized Load
//! Balancing", 2001). Invariants: a barred dyno is never picked; a fit one is found if there is
//! one; the common case looks at two candidates, not at all of them.

/// Why a dyno cannot take an exchange now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bar {
    /// It is booting.
    Starting,
    /// It gets nothing new.
    Draining,
    /// It is not running.
    Crashed,
    /// It is passed over after a failed connect.
    Quarantined,
    /// This exchange has tried it already.
    Tried,
}

/// A dyno as the choice sees it.
#[derive(Debug, Clone, Copy)]
pub struct Candidate {
    /// Why it cannot be picked, if so.
    pub bar: Option<Bar>,
    /// Exchanges that it is serving.
    pub in_flight: u32,
    /// Its share beside the others, at least 1.
    pub weight: u16,
}

/// Why no dyno can be picked: how many are barred, and by what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Unfit {
    /// Dynos that are booting.
    pub starting: usize,
    /// Dynos that get nothing new.
    pub draining: usize,
    /// Dynos that are not running.
    pub crashed: usize,
    /// Dynos in quarantine.
    pub quarantined: usize,
    /// Dynos that this exchange has tried.
    pub tried: usize,
}

/// How often two dynos are drawn before all are looked at.
const DRAWS: usize = 3;

/// Picks one of `count` dynos. `candidate(i)` is asked for the few that are looked at;
/// `random(n)` answers a number below `n`.
pub fn pick(
    count: usize,
    candidate: impl Fn(usize) -> Candidate,
    mut random: impl FnMut(usize) -> usize,
) -> Result<usize, Unfit> {
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
            Some(Bar::Starting) => unfit.starting += 1,
            Some(Bar::Draining) => unfit.draining += 1,
            Some(Bar::Crashed) => unfit.crashed += 1,
            Some(Bar::Quarantined) => unfit.quarantined += 1,
            Some(Bar::Tried) => unfit.tried += 1,
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
pub fn chances(candidates: &[Candidate]) -> Vec<f64> {
    let mut chances = vec![0.0; candidates.len()];
    let mut fit: Vec<usize> =
        (0..candidates.len()).filter(|i| candidates[*i].bar.is_none()).collect();
    if let [only] = fit[..] {
        chances[only] = 1.0;
        return chances;
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
    chances
}

/// Is `a` less loaded than `b`? (in flight + 1) ÷ weight, compared without dividing.
fn less_loaded(a: &Candidate, b: &Candidate) -> bool {
    let cost = |of: &Candidate, other: &Candidate| {
        (u64::from(of.in_flight) + 1) * u64::from(other.weight.max(1))
    };
    cost(a, b) < cost(b, a)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn random(seed: u64) -> impl FnMut(usize) -> usize {
        let mut rng = fastrand::Rng::with_seed(seed);
        move |n| rng.usize(0..n)
    }

    fn fit(in_flight: u32, weight: u16) -> Candidate {
        Candidate { bar: None, in_flight, weight }
    }

    #[test]
    fn of_two_the_less_loaded_is_picked() {
        let dynos = [fit(3, 100), fit(2, 100)];
        for seed in 0..50 {
            assert_eq!(pick(2, |i| dynos[i], random(seed)), Ok(1));
        }
    }

    #[test]
    fn weight_counts_beside_load() {
        let dynos = [fit(1, 10), fit(3, 100)];
        for seed in 0..50 {
            assert_eq!(pick(2, |i| dynos[i], random(seed)), Ok(1));
        }
    }

    #[test]
    fn equals_share_alike() {
        let mut hits = [0u32; 7];
        let mut random = random(7);
        for _ in 0..70_000 {
            hits[pick(7, |_| fit(0, 100), &mut random).unwrap()] += 1;
        }
        assert!(hits.iter().all(|n| (9_300..10_700).contains(n)), "{hits:?}");
    }

    #[test]
    fn why_none_is_fit_is_told() {
        let bars = [Bar::Starting, Bar::Crashed, Bar::Crashed, Bar::Quarantined, Bar::Tried];
        let dyno = |i: usize| Candidate { bar: Some(bars[i]), in_flight: 0, weight: 100 };
        let unfit = Unfit { starting: 1, crashed: 2, quarantined: 1, tried: 1, draining: 0 };
        assert_eq!(pick(5, dyno, random(1)), Err(unfit));
        assert_eq!(pick(0, dyno, random(1)), Err(Unfit::default()));
    }

    #[test]
    fn the_chances_are_those_of_the_draws() {
        let barred = Candidate { bar: Some(Bar::Crashed), ..fit(0, 100) };
        let of_five = [fit(3, 100), barred, fit(0, 100), fit(7, 1000), fit(0, 100), fit(9, 100)];
        for dynos in [&of_five[..], &of_five[..1], &of_five[..2], &of_five[2..4], &of_five[1..5]] {
            let (chances, mut random) = (chances(dynos), random(5));
            let mut hits = vec![0.0; dynos.len()];
            for _ in 0..50_000 {
                hits[pick(dynos.len(), |i| dynos[i], &mut random).unwrap()] += 1.0 / 50_000.0;
            }
            let near = |(chance, hit): (&f64, &f64)| (chance - hit).abs() < 0.01;
            assert!(chances.iter().zip(&hits).all(near), "{chances:?} {hits:?}");
            assert!((chances.iter().sum::<f64>() - 1.0).abs() < 1e-9, "{chances:?}");
        }
        assert_eq!(chances(&[barred]), [0.0]);
        assert_eq!(chances(&[]), [0.0; 0]);
    }

    proptest! {
        #[test]
        fn a_fit_dyno_is_found_and_a_barred_one_never_picked(
            fit_ones in proptest::collection::vec(any::<bool>(), 0..40),
            seed: u64,
        ) {
            let dyno = |i: usize| Candidate {
                bar: (!fit_ones[i]).then_some(Bar::Quarantined),
                in_flight: i as u32 % 5,
                weight: 100,
            };
            match pick(fit_ones.len(), dyno, random(seed)) {
                Ok(i) => prop_assert!(fit_ones[i]),
                Err(_) => prop_assert!(!fit_ones.contains(&true)),
            }
        }
    }
}
