//! What a dyno gets that has a part of its weight, while exchanges come and go: its share, in every
//! algorithm and under every load, and not what the others seem to leave it by being busy.
//!
//! Invariant: exchanges end by chance, at a rate that does not depend on the dyno, so that only the
//! choice decides how many each gets.

use super::{tests::*, *};
use crate::balance::{ONE_WEIGHT, warm::WHOLE};

/// More of its share than this no dyno gets that warms up: the rest is chance.
const MOST: f64 = 1.2;
/// What it gets at least: nothing is held back for long from a dyno that could take it.
const LEAST: f64 = 0.4;

const PICKS: u32 = 40_000;

/// A dyno that has so much of its weight beside others that have all of theirs.
fn warming(part: u32) -> Candidate {
    Candidate { weight: 100 * ONE_WEIGHT * part / WHOLE, part, ..Candidate::idle(100) }
}

/// The exchanges of the first dyno beside its share of the weights, with so many in flight on the
/// mean on each dyno.
fn beside_its_share(
    (algorithm, knows): (Algorithm, bool),
    dynos: usize,
    part: u32,
    load: f64,
) -> f64 {
    let mut choices = Choices::new(algorithm, &vec![100; dynos]);
    choices.knows = knows;
    let mut rng = fastrand::Rng::with_seed(u64::from(part) + dynos as u64);
    let mut state = vec![Candidate::idle(100); dynos];
    state[0] = warming(part);
    let most = load * dynos as f64;
    let (mut running, mut hits) = (Vec::new(), 0u32);
    for _ in 0..PICKS {
        // Of those in flight each ends before the next comes with the same chance.
        let mut ended = |at: &mut usize| {
            let ends = rng.f64() < 1.0 / (most + 1.0);
            state[*at].in_flight -= u32::from(ends);
            !ends
        };
        running.retain_mut(&mut ended);
        let key = rng.u64(..);
        let at = choices.pick(&state, Some(key)).unwrap();
        state[at].in_flight += 1;
        running.push(at);
        hits += u32::from(at == 0);
    }
    let weights: f64 = state.iter().map(|dyno| f64::from(dyno.weight)).sum();
    f64::from(hits) / f64::from(PICKS) / (f64::from(state[0].weight) / weights)
}

#[test]
fn a_dyno_that_warms_up_gets_its_share_and_no_more_whatever_the_load() {
    // Two of them also where what is of all dynos is not at hand.
    let less = [Algorithm::LeastRequest, Algorithm::Hash].map(|algorithm| (algorithm, false));
    let all = ALL.map(|algorithm| (algorithm, true)).into_iter().chain(less);
    for algorithm in all.filter(|(algorithm, _)| *algorithm != Algorithm::OneAtATime) {
        for (dynos, part) in [(2, 100), (5, 500), (10, 100)] {
            for load in [0.05, 0.5, 2.0] {
                let share = beside_its_share(algorithm, dynos, part, load);
                let what = format!("{algorithm:?}, {dynos} dynos, {part} ‰, load {load}: {share}");
                assert!((LEAST..=MOST).contains(&share), "{what}");
            }
        }
    }
}

/// Dynos that serve one have no room when they are busy: of those that have, each has its share.
#[test]
fn of_those_that_have_nothing_one_that_warms_up_gets_its_share() {
    for busy in 0..4 {
        let mut choices = Choices::new(Algorithm::OneAtATime, &[100; 5]);
        let mut dynos = [Candidate::idle(100); 5];
        dynos[0] = warming(100);
        for dyno in &mut dynos[1..=busy] {
            *dyno = Candidate { in_flight: 1, ..*dyno }.within(1);
        }
        let share = choices.parts(&dynos, 50_000)[0];
        let should = 0.1 / (0.1 + (4 - busy) as f64);
        assert!((share / should - 1.0).abs() < 0.1, "{busy}: {share} {should}");
    }
}
