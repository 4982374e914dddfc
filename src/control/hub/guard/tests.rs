//! The shrink guard against a model that remembers everything and counts anew each time.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::route::{HostPattern, PathPrefix};

const WINDOW: Duration = Duration::from_secs(10);

fn key(n: usize) -> RouteKey {
    let host = HostPattern::parse(&format!("h{n}.test")).unwrap();
    RouteKey { host, path: PathPrefix::ROOT }
}

fn counts(routes: usize, dynos: usize) -> Counts {
    Counts { apps: 1, routes, dynos, certificates: 0 }
}

fn rule(share: u32, floor: usize) -> Rule {
    Rule { share, window: WINDOW, floor }
}

/// A transaction that removes some routes of so many, and adds none.
fn removal(routes: usize, gone: std::ops::Range<usize>) -> Step {
    let gone: Vec<_> = gone.map(key).collect();
    let after = counts(routes - gone.len(), 0);
    Step { before: counts(routes, 0), after, gone, came: Vec::new() }
}

fn dynos(before: usize, after: usize) -> Step {
    Step { before: counts(0, before), after: counts(0, after), ..Step::default() }
}

#[test]
fn more_than_the_share_is_refused_and_named_and_the_floor_never_counts() {
    let shrink = Shrink::new(rule(50, 20), counts(100, 0));
    assert!(shrink.objections(&removal(100, 0..50)).is_empty());
    let told = shrink.objections(&removal(100, 0..51));
    let expected = "51 of 100 routes would be lost within 10s, and push.shrink_share allows 50 %: \
                    if that is meant, send it with force=true, which needs scope push";
    assert_eq!(told, [expected]);
    assert!(shrink.objections(&removal(20, 0..20)).is_empty());
    assert_eq!(shrink.objections(&removal(21, 0..21)).len(), 1);
    let off = Shrink::new(rule(100, 0), counts(100, 0));
    assert!(off.objections(&removal(100, 0..100)).is_empty());
    let none = Shrink::new(rule(0, 0), counts(1, 0));
    assert_eq!(none.objections(&removal(1, 0..1)).len(), 1);
}

#[test]
fn small_steps_add_up_within_the_window_alone() {
    let mut shrink = Shrink::new(rule(50, 0), counts(100, 0));
    let start = Instant::now();
    for (i, step) in [removal(100, 0..25), removal(75, 25..50)].iter().enumerate() {
        assert!(shrink.objections(step).is_empty());
        shrink.note(step, false, start + Duration::from_secs(i as u64));
    }
    shrink.keep();
    assert_eq!(shrink.objections(&removal(50, 50..51)).len(), 1);
    // What brings some back may take others.
    let came = (0..10).map(key).collect();
    let swap = Step { after: counts(50, 0), came, ..removal(50, 50..60) };
    assert!(shrink.objections(&swap).is_empty());
    shrink.advance(start + WINDOW - Duration::from_millis(1));
    assert_eq!(shrink.objections(&removal(50, 50..51)).len(), 1);
    shrink.advance(start + WINDOW);
    // 25 of 75 are left in the window.
    assert!(shrink.objections(&removal(50, 50..62)).is_empty());
    assert_eq!(shrink.objections(&removal(50, 50..63)).len(), 1);
}

#[test]
fn dynos_that_are_replaced_are_not_lost() {
    let mut shrink = Shrink::new(rule(50, 0), counts(0, 10));
    let start = Instant::now();
    for (i, pair) in [10, 20, 10, 15, 10].windows(2).enumerate() {
        let step = dynos(pair[0], pair[1]);
        assert!(shrink.objections(&step).is_empty(), "{step:?}");
        shrink.note(&step, false, start + Duration::from_secs(i as u64));
    }
    let told = shrink.objections(&dynos(10, 9));
    assert!(told[0].starts_with("11 of 20 dynos would be lost"), "{told:?}");
    // The twenty were there up to the first second, the fifteen up to the third.
    shrink.advance(start + Duration::from_secs(11));
    assert!(shrink.objections(&dynos(10, 8)).is_empty());
    assert_eq!(shrink.objections(&dynos(10, 7)).len(), 1);
    shrink.advance(start + Duration::from_secs(13));
    assert!(shrink.objections(&dynos(10, 5)).is_empty());
}

#[test]
fn a_forced_step_begins_the_window_anew_unless_it_is_taken_back() {
    let mut shrink = Shrink::new(rule(50, 0), counts(100, 40));
    let now = Instant::now();
    shrink.note(&removal(100, 0..50), false, now);
    shrink.keep();
    let before = shrink.clone();
    let forced = Step { after: counts(40, 10), before: counts(50, 40), ..removal(50, 50..60) };
    shrink.note(&forced, true, now);
    assert!(shrink.objections(&removal(40, 60..80)).is_empty());
    assert!(shrink.objections(&dynos(10, 5)).is_empty());
    shrink.take_back();
    assert_eq!(shrink, before);
}

#[test]
fn what_was_lost_before_a_restart_is_remembered() {
    let now = Instant::now();
    let mut before = Shrink::new(rule(50, 0), counts(100, 10));
    let ages = [9, 5, 2].map(Duration::from_secs);
    let mut shrink = Shrink::new(rule(50, 0), counts(96, 4));
    for (i, (pair, age)) in [10, 8, 12, 4].windows(2).zip(ages).enumerate() {
        let step = Step { gone: vec![key(i)], ..dynos(pair[0], pair[1]) };
        before.note(&step, false, now + WINDOW - age);
    }
    before.keep();
    let lost = ages.iter().enumerate().map(|(i, age)| (key(i), *age));
    let older = (key(9), WINDOW);
    let counts = [(10, 30), (8, 9), (12, 5), (4, 2)].map(|(n, age)| (n, Duration::from_secs(age)));
    shrink.remember(lost.chain([older]), counts, now + WINDOW);
    assert_eq!(shrink, before);
}

/// What was done, as it was done.
#[derive(Default)]
struct Model {
    /// When what became of how many dynos and which routes.
    steps: Vec<(Instant, Step)>,
    dynos_at_start: usize,
}

impl Model {
    fn objections(&self, step: &Step, now: Instant, rule: Rule) -> usize {
        let since = |at: &Instant| *at + rule.window > now;
        let mut lost = BTreeSet::new();
        let mut peak = self.dynos_at_start;
        for (at, step) in &self.steps {
            for key in &step.came {
                lost.remove(key);
            }
            // What stood up to a step that is in the window stood in the window.
            peak = if since(at) { peak.max(step.before.dynos) } else { step.after.dynos };
            if since(at) {
                lost.extend(step.gone.iter().cloned());
            }
        }
        let over =
            |lost: usize, of: usize| lost > rule.floor && lost * 100 > rule.share as usize * of;
        let of = step.before.routes + lost.len();
        let is_back = |key: &&RouteKey| step.came.contains(key);
        let left = lost.len() - lost.iter().filter(is_back).count();
        let peak = peak.max(step.before.dynos);
        let routes = !step.gone.is_empty() && over(left + step.gone.len(), of);
        let fewer = step.after.dynos < step.before.dynos;
        usize::from(routes) + usize::from(fewer && over(peak - step.after.dynos, peak))
    }
}

proptest! {
    #[test]
    fn it_judges_as_one_that_counts_everything_anew(
        share in 0_u32..100, floor in 0_usize..4,
        steps in proptest::collection::vec(
            (proptest::collection::btree_set(0_usize..12, 0..4), 0_usize..12, 0_u64..4, 0_u8..10),
            0..40,
        ),
    ) {
        let rule = rule(share, floor);
        let mut now = Instant::now();
        let mut routes: BTreeSet<usize> = (0..8).collect();
        let mut shrink = Shrink::new(rule, counts(routes.len(), 6));
        let mut model = Model { dynos_at_start: 6, ..Model::default() };
        let mut stand = 6;
        for (touched, dynos, wait, what) in steps {
            now += Duration::from_secs(wait);
            shrink.advance(now);
            let (gone, came): (Vec<_>, Vec<_>) =
                touched.iter().copied().partition(|key| routes.contains(key));
            let after: BTreeSet<_> = routes.symmetric_difference(&touched).copied().collect();
            let step = Step {
                before: counts(routes.len(), stand),
                after: counts(after.len(), dynos),
                gone: gone.into_iter().map(key).collect(),
                came: came.into_iter().map(key).collect(),
            };
            let objections = shrink.objections(&step);
            prop_assert_eq!(objections.len(), model.objections(&step, now, rule), "{:?}", step);
            let forced = !objections.is_empty();
            let before = shrink.clone();
            shrink.note(&step, forced, now);
            // Some are refused after all, by the caller or by the store.
            if what < 3 || forced && what < 8 {
                shrink.take_back();
                prop_assert_eq!(&shrink, &before);
                continue;
            }
            shrink.keep();
            if forced {
                model = Model { dynos_at_start: dynos, ..Model::default() };
            } else {
                model.steps.push((now, step));
            }
            (routes, stand) = (after, dynos);
        }
    }
}
