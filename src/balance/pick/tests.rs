//! What holds of every algorithm, and of each, on candidates of every kind.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;
use crate::balance::{
    Abreast, Counts, ONE_WEIGHT, Share, Wish, abreast, chances, ring, warm::WHOLE,
};

pub(super) const ALL: [Algorithm; 6] = [
    Algorithm::P2c,
    Algorithm::LeastRequest,
    Algorithm::RoundRobin,
    Algorithm::Random,
    Algorithm::Hash,
    Algorithm::OneAtATime,
];

/// One app's choices, with what they take from outside.
pub(super) struct Choices {
    plan: Plan,
    abreast: Option<Abreast>,
    /// What is of all dynos is at hand.
    pub knows: bool,
    rng: fastrand::Rng,
    turns: HashMap<Option<usize>, u64>,
}

impl Choices {
    pub fn new(algorithm: Algorithm, weights: &[u16]) -> Choices {
        Choices::of(Wish { algorithm, bound: 125, dynos: shares(weights), ..Wish::default() })
    }

    fn of(wish: Wish) -> Choices {
        let plan = Plan::new(&wish);
        let lanes: Vec<_> = (0..wish.dynos.len() as u32).map(Some).collect();
        let abreast = plan.is_of_least().then(|| Abreast::new(&plan, &lanes));
        let rng = fastrand::Rng::with_seed(7);
        Choices { plan, abreast, knows: true, rng, turns: HashMap::new() }
    }

    pub fn pick(&mut self, dynos: &[Candidate], key: Option<u64>) -> Result<usize, Unfit> {
        let (rng, turns) = (&mut self.rng, &mut self.turns);
        let turn = |part| {
            let turns = turns.entry(part).or_default();
            *turns += 1;
            *turns - 1
        };
        let fit = self.knows.then(|| scan::fit(dynos.len(), &|at| dynos[at]).ok()).flatten();
        let pair = |row: usize| {
            let count = |column: usize| match dynos.get(row * abreast::COLUMNS + column) {
                Some(of) => u64::from(of.in_flight) << (column % 4 * 16),
                None => 0,
            };
            [(0..4).map(count).sum(), (4..8).map(count).sum()]
        };
        let abreast = self.abreast.as_ref().filter(|_| self.knows);
        let abreast = abreast.map(|of| Counts { of, pair });
        let mut draw = Draw { key, fit, abreast, random: |n| rng.usize(..n), turn };
        pick(&self.plan, dynos.len(), |at| dynos[at], &mut draw)
    }

    /// The part of `picks` that each dyno gets whose state does not change.
    pub fn parts(&mut self, dynos: &[Candidate], picks: u32) -> Vec<f64> {
        let mut parts = vec![0.0; dynos.len()];
        for _ in 0..picks {
            let key = self.rng.u64(..);
            parts[self.pick(dynos, Some(key)).unwrap()] += 1.0 / f64::from(picks);
        }
        parts
    }
}

fn shares(weights: &[u16]) -> Vec<Share> {
    let name = |at: usize| ring::hash(format!("web.{}", at + 1).as_bytes());
    let share =
        |(at, weight): (usize, &u16)| Share { name: name(at), weight: *weight, release: None };
    weights.iter().enumerate().map(share).collect()
}

fn busy(in_flight: u32, weight: u16) -> Candidate {
    Candidate { in_flight, ..Candidate::idle(weight) }
}

fn barred(bar: Bar) -> Candidate {
    Candidate { bar: Some(bar), ..Candidate::idle(100) }
}

fn assert_near(parts: &[f64], should: &[f64], error: f64) {
    let near = |(part, should): (&f64, &f64)| (part - should).abs() <= error;
    assert!(parts.iter().zip(should).all(near), "{parts:?} should be {should:?}");
}

#[test]
fn p2c_takes_the_less_loaded_of_two_but_for_the_few_that_explore() {
    let parts =
        Choices::new(Algorithm::P2c, &[100; 2]).parts(&[busy(3, 100), busy(2, 100)], 50_000);
    let explored = 0.5 / p2c::EXPLORE as f64;
    assert_near(&parts, &[explored, 1.0 - explored], 0.002);
}

#[test]
fn p2c_weighs_what_is_in_flight_by_latency_and_weight() {
    let mut choices = Choices::new(Algorithm::P2c, &[10, 100]);
    assert!(choices.parts(&[busy(1, 10), busy(3, 100)], 2_000)[1] > 0.9);
    let slow = Candidate { latency_us: 90_000, ..Candidate::idle(100) };
    let quick = Candidate { latency_us: 9_000, ..busy(5, 100) };
    assert!(Choices::new(Algorithm::P2c, &[100; 2]).parts(&[slow, quick], 2_000)[1] > 0.9);
}

#[test]
fn least_request_takes_the_least_of_all() {
    let dynos = [busy(3, 100), busy(2, 100), busy(9, 1000), busy(1, 100)];
    let parts = Choices::new(Algorithm::LeastRequest, &[100, 100, 1000, 100]).parts(&dynos, 500);
    assert_near(&parts, &[0.0, 0.0, 1.0, 0.0], 1e-9);
}

#[test]
fn each_of_many_that_have_the_least_is_as_likely() {
    for weights in [vec![100; 40], vec![100; 400], (0..40).map(|at| 100 + at % 2 * 100).collect()] {
        let seen = |(at, weight): (usize, &u16)| busy(if at % 16 == 5 { 1 } else { 4 }, *weight);
        let dynos: Vec<_> = weights.iter().enumerate().map(seen).collect();
        let has_least = |at: &usize| *at % 16 == 5;
        let all = (0..dynos.len()).filter(has_least).count() as f64;
        let should = |at| if has_least(&at) { 1.0 / all } else { 0.0 };
        let should: Vec<_> = (0..dynos.len()).map(should).collect();
        let parts = Choices::new(Algorithm::LeastRequest, &weights).parts(&dynos, 20_000);
        assert_near(&parts, &should, 0.02);
    }
}

#[test]
fn turns_go_round_and_the_heavier_has_them_more_often() {
    let mut choices = Choices::new(Algorithm::RoundRobin, &[100; 4]);
    let picks: Vec<_> = (0..8).map(|_| choices.pick(&[busy(9, 100); 4], None).unwrap()).collect();
    assert_eq!(picks, [0, 1, 2, 3, 0, 1, 2, 3]);
    let dynos = [busy(0, 100), busy(0, 300), busy(0, 600)];
    let mut choices = Choices::new(Algorithm::RoundRobin, &[100, 300, 600]);
    let mut longest = 0;
    let mut run = 0;
    for _ in 0..1000 {
        run = if choices.pick(&dynos, None) == Ok(2) { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    assert!(longest <= 3, "{longest} in a row are not smooth");
}

#[test]
fn the_turns_of_a_barred_dyno_go_to_all_others() {
    let dynos = [busy(0, 100), barred(Bar::Crashed), busy(0, 100), busy(0, 100)];
    let parts = Choices::new(Algorithm::RoundRobin, &[100; 4]).parts(&dynos, 10_000);
    assert_near(&parts, &[1.0 / 3.0, 0.0, 1.0 / 3.0, 1.0 / 3.0], 0.01);
}

#[test]
fn one_at_a_time_gives_no_dyno_two() {
    let mut choices = Choices::new(Algorithm::OneAtATime, &[100; 5]);
    let mut dynos = [Candidate::idle(100); 5];
    for _ in 0..5 {
        let at = choices.pick(&dynos, None).unwrap();
        assert_eq!(dynos[at].in_flight, 0);
        dynos[at] = busy(1, 100).within(choices.plan.most_in_flight());
    }
    assert_eq!(choices.pick(&dynos, None), Err(Unfit { full: 5, ..Unfit::default() }));
}

#[test]
fn weights_hold_in_every_algorithm() {
    let weights = [100, 300, 50, 500, 50];
    let should = [0.1, 0.3, 0.05, 0.5, 0.05];
    let dynos = weights.map(Candidate::idle);
    for algorithm in ALL {
        let parts = Choices::new(algorithm, &weights).parts(&dynos, 100_000);
        let error = match algorithm {
            // So many points does nobody have that they are all where they should be.
            Algorithm::Hash => 0.05,
            _ => 0.01,
        };
        assert_near(&parts, &should, error);
    }
}

#[test]
fn a_part_of_a_weight_is_a_part_of_the_exchanges() {
    // The first warms up: it has a tenth of its weight now.
    let cold = Candidate { weight: 10 * ONE_WEIGHT, ..Candidate::idle(100) };
    let dynos = [cold, Candidate::idle(100), Candidate::idle(100), Candidate::idle(100)];
    let rest = 10.0 / 31.0;
    for algorithm in ALL.into_iter().filter(|algorithm| *algorithm != Algorithm::Hash) {
        let parts = Choices::new(algorithm, &[100; 4]).parts(&dynos, 50_000);
        assert_near(&parts, &[rest / 10.0, rest, rest, rest], 0.03);
    }
}

#[test]
fn a_hot_key_spills_over_its_bound_and_keeps_to_it_before() {
    let mut choices = Choices::new(Algorithm::Hash, &[100; 10]);
    let mut dynos = [Candidate::idle(100); 10];
    let owner = choices.pick(&dynos, Some(99)).unwrap();
    for sent in 0..200u32 {
        let at = choices.pick(&dynos, Some(99)).unwrap();
        dynos[at].in_flight += 1;
        let bound = f64::from(sent + 1) / 10.0 * 1.25;
        assert!(f64::from(dynos[at].in_flight) <= bound.ceil(), "{sent} {dynos:?}");
    }
    assert_eq!(dynos[owner].in_flight, 25);
    assert_eq!(dynos.iter().filter(|dyno| dyno.in_flight > 0).count(), 8, "{dynos:?}");
}

#[test]
fn a_key_stays_where_it_is_and_little_moves_when_a_dyno_leaves() {
    let mut before = Choices::new(Algorithm::Hash, &[100; 100]);
    let gone = Choices::of(Wish {
        algorithm: Algorithm::Hash,
        bound: 125,
        dynos: shares(&[100; 100])[1..].to_vec(),
        ..Wish::default()
    });
    let (all, rest) = ([Candidate::idle(100); 100], [Candidate::idle(100); 99]);
    let mut after = gone;
    let mut moved = 0;
    for key in (0..10_000).map(ring::mix) {
        let was = before.pick(&all, Some(key)).unwrap();
        assert_eq!(before.pick(&all, Some(key)), Ok(was));
        let is = after.pick(&rest, Some(key)).unwrap() + 1;
        moved += u32::from(was != is);
    }
    assert!((50..200).contains(&moved), "{moved} of 10,000 where 100 are the gone one's");
}

#[test]
fn a_request_without_a_key_goes_where_there_is_room() {
    let mut choices = Choices::new(Algorithm::Hash, &[100; 3]);
    let dynos = [busy(9, 100), busy(0, 100), busy(9, 100)];
    let hits = (0..300).filter(|_| choices.pick(&dynos, None) == Ok(1)).count();
    assert!(hits > 150, "{hits}");
}

/// Three of release 0, two of release 1 and one of none, of which release 0 has nine tenths.
fn split(sticky: bool) -> Choices {
    let mut dynos = shares(&[100; 6]);
    let releases = [Some(0), Some(1), Some(0), None, Some(0), Some(1)];
    dynos.iter_mut().zip(releases).for_each(|(dyno, release)| dyno.release = release);
    Choices::of(Wish { dynos, releases: vec![(1, 90), (2, 10), (3, 0)], sticky, ..Wish::default() })
}

#[test]
fn releases_have_their_shares() {
    let parts = split(false).parts(&[Candidate::idle(100); 6], 50_000);
    assert_near(&parts, &[0.3, 0.05, 0.3, 0.0, 0.3, 0.05], 0.01);
}

#[test]
fn a_sticky_key_has_one_release() {
    let mut choices = split(true);
    let dynos = [Candidate::idle(100); 6];
    let mut canaries = 0;
    for key in (0..2_000).map(ring::mix) {
        let is_canary = |at: usize| [1, 5].contains(&at);
        let picks: Vec<bool> =
            (0..5).map(|_| is_canary(choices.pick(&dynos, Some(key)).unwrap())).collect();
        assert!(picks.iter().all(|pick| *pick == picks[0]), "{key}");
        canaries += u32::from(picks[0]);
    }
    assert!((140..260).contains(&canaries), "{canaries} of 2,000 where a tenth should be");
}

#[test]
fn the_dynos_of_a_release_take_turns_whoever_has_the_turns_of_another() {
    let mut dynos = shares(&[100; 4]);
    dynos.iter_mut().enumerate().for_each(|(at, of)| of.release = Some(at / 2));
    let releases = vec![(1, 50), (2, 50)];
    let algorithm = Algorithm::RoundRobin;
    let mut choices =
        Choices::of(Wish { algorithm, dynos, releases, sticky: true, ..Wish::default() });
    let dynos = [Candidate::idle(100); 4];
    let mut key_of = |release: usize| {
        (0..).map(ring::mix).find(|key| choices.pick(&dynos, Some(*key)).unwrap() / 2 == release)
    };
    // Two clients in step, each with a release of its own.
    let keys = [0, 1].map(&mut key_of);
    let mut counts = [0; 4];
    for turn in 0..400 {
        counts[choices.pick(&dynos, keys[turn % 2]).unwrap()] += 1;
    }
    assert_eq!(counts, [100; 4]);
}

#[test]
fn a_release_without_a_fit_dyno_is_served_by_the_others() {
    let mut dynos = [Candidate::idle(100); 6];
    [0, 2, 4].into_iter().for_each(|at| dynos[at] = barred(Bar::Crashed));
    let parts = split(false).parts(&dynos, 20_000);
    assert_near(&parts, &[0.0, 0.5, 0.0, 0.0, 0.0, 0.5], 0.02);
    [1, 5].into_iter().for_each(|at| dynos[at] = barred(Bar::Full));
    let unfit = split(false).pick(&dynos, None).unwrap_err();
    assert_eq!((unfit.full, unfit.shareless), (2, 1), "its place is waited for");
    [1, 5].into_iter().for_each(|at| dynos[at] = barred(Bar::Ejected));
    assert_eq!(split(false).pick(&dynos, None), Ok(3), "for want of all others");
    assert_eq!(split(false).pick(&[barred(Bar::Draining); 6], None).unwrap_err().draining, 6);
}

#[test]
fn why_none_is_fit_is_told() {
    let dynos = Bar::ALL.iter().map(|bar| barred(*bar)).collect::<Vec<_>>();
    for algorithm in ALL {
        let mut choices = Choices::new(algorithm, &vec![100; dynos.len()]);
        let unfit = choices.pick(&dynos, Some(1)).unwrap_err();
        assert_eq!((unfit.starting, unfit.tried, unfit.full), (1, 1, 1), "{algorithm:?}");
        assert_eq!(choices.pick(&[], Some(1)), Err(Unfit::default()));
    }
}

#[test]
fn the_chances_are_those_of_the_choices() {
    let odd = Candidate { latency_us: 70_000, ..busy(1, 250) };
    let dynos = [busy(3, 100), barred(Bar::Crashed), busy(0, 100), odd, busy(0, 50), busy(0, 100)];
    let weights = [100, 100, 100, 250, 50, 100];
    for (algorithm, dynos) in ALL.into_iter().flat_map(|a| [(a, &dynos[..]), (a, &dynos[..3])]) {
        let mut choices = Choices::new(algorithm, &weights[..dynos.len()]);
        let chances = chances(&choices.plan, dynos, Some(5));
        let Some(chances) = chances else {
            assert_eq!(algorithm, Algorithm::RoundRobin);
            continue;
        };
        let mut hits = vec![0.0; dynos.len()];
        for _ in 0..50_000 {
            hits[choices.pick(dynos, Some(5)).unwrap()] += 1.0 / 50_000.0;
        }
        assert_near(&hits, &chances, 0.01);
        assert!((chances.iter().sum::<f64>() - 1.0).abs() < 1e-9, "{algorithm:?} {chances:?}");
    }
    let mut releases = split(false);
    let dynos =
        [busy(1, 100), busy(2, 100), busy(0, 100), busy(0, 100), busy(0, 100), busy(0, 100)];
    let chances = chances(&releases.plan, &dynos, None).unwrap();
    assert_near(&releases.parts(&dynos, 50_000), &chances, 0.01);
}

proptest! {
    #[test]
    fn a_fit_dyno_is_found_and_a_barred_one_never_picked(
        dynos in proptest::collection::vec((proptest::bool::ANY, 0u32..6, 1u16..=1000), 0..40),
        algorithm in 0..ALL.len(),
        of_releases in 0usize..3,
        seed: u64,
        key: Option<u64>,
    ) {
        let weights: Vec<u16> = dynos.iter().map(|(_, _, weight)| *weight).collect();
        let mut shares = shares(&weights);
        shares.iter_mut().enumerate().for_each(|(at, of)| of.release = Some(at % 3));
        let mut choices = Choices::of(Wish {
            algorithm: ALL[algorithm],
            bound: 110,
            dynos: shares,
            releases: (0..of_releases).map(|n| (n as u64, 50 * (seed >> n & 1) as u32)).collect(),
            sticky: seed % 2 == 0,
        });
        choices.rng.seed(seed);
        let seen = |(is_fit, in_flight, weight): &(bool, u32, u16)| Candidate {
            bar: (!is_fit).then_some(if *in_flight == 5 { Bar::Full } else { Bar::Ejected }),
            latency_us: u32::from(*weight),
            ..busy(*in_flight, *weight)
        };
        let most = choices.plan.most_in_flight();
        let dynos: Vec<_> = dynos.iter().map(seen).map(|of| of.within(most)).collect();
        let mut told = dynos.clone();
        choices.plan.leave_out(&mut told);
        for _ in 0..20 {
            match choices.pick(&dynos, key) {
                Ok(at) => prop_assert!(told[at].bar.is_none()),
                Err(_) => prop_assert!(told.iter().all(|dyno| dyno.bar.is_some())),
            }
        }
    }
}

/// Whether it is fit, what it has in flight, and what it weighs, of which it may have a part.
fn given() -> impl Strategy<Value = (bool, u32, u16, bool)> {
    let is_fit = proptest::bool::weighted(0.9);
    let is_cold = proptest::bool::weighted(0.1);
    // Weights of which equal shares are equal numbers.
    (is_fit, 0u32..4, proptest::sample::select(vec![50u16, 100, 200]), is_cold)
}

proptest! {
    // Each looks at thousands of choices.
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn what_is_at_hand_changes_nothing_but_what_a_choice_costs(
        dynos in proptest::collection::vec(given(), 2..40),
        is_alike: bool,
        keys in proptest::collection::vec(proptest::num::u64::ANY, 100),
    ) {
        let weight = |weight: u16| if is_alike { 100 } else { weight };
        let weights: Vec<u16> = dynos.iter().map(|dyno| weight(dyno.2)).collect();
        let seen = |&(is_fit, in_flight, own, is_cold): &(bool, u32, u16, bool)| {
            let whole = busy(in_flight, weight(own));
            let bar = (!is_fit).then_some(Bar::Ejected);
            match is_cold {
                true => Candidate { bar, weight: whole.weight / 4, part: WHOLE / 4, ..whole },
                false => Candidate { bar, ..whole },
            }
        };
        let dynos: Vec<_> = dynos.iter().map(seen).collect();
        let mut known = Choices::new(Algorithm::Hash, &weights);
        let mut unknown = Choices { knows: false, ..Choices::new(Algorithm::Hash, &weights) };
        for key in keys {
            prop_assert_eq!(known.pick(&dynos, Some(key)), unknown.pick(&dynos, Some(key)));
        }
        let mut choices = Choices::new(Algorithm::LeastRequest, &weights);
        if dynos.iter().all(|dyno| dyno.bar.is_some()) {
            prop_assert!(choices.pick(&dynos, None).is_err());
            return Ok(());
        }
        let picks = 4_000;
        let chances = chances(&choices.plan, &dynos, None).unwrap();
        for (part, chance) in choices.parts(&dynos, picks).iter().zip(&chances) {
            let error = (chance * (1.0 - chance) / f64::from(picks)).sqrt();
            let most = if *chance == 0.0 { 0.0 } else { 8.0 * error + 0.002 };
            prop_assert!((part - chance).abs() <= most, "{} {}", part, chance);
        }
    }
}
