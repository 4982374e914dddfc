//! The shrink guard: refuses what leaves much less in the table than stood there a while ago.
//!
//! * Routes are counted gross, by their keys: one that was removed within the window and is not
//!   back is lost, however many others came. One that only changed its app is not lost.
//! * Dynos are counted net, since a deploy replaces them: from the most that stood at one time
//!   within the window.
//!
//! Invariants: pure, a value with its time as an argument; what brings back or adds is never
//! refused; what was noted is kept or taken back whole, as its commit succeeds or fails; a forced
//! transaction begins the window anew; a guard that is off remembers nothing. It holds at most
//! [`MAX_LOST`] routes, and of the dynos a count for each that is smaller than the one before.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use super::times::Times;
use crate::{
    route::{Counts, RouteKey},
    units::show_duration,
};

/// The most lost routes that are remembered; beyond them the oldest are forgotten.
pub const MAX_LOST: usize = 1 << 20;

/// What may be lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// At most so many of a hundred; 100: the guard is off.
    pub share: u32,
    /// Within this time.
    pub window: Duration,
    /// So many are always allowed.
    pub floor: usize,
}

/// What a transaction takes and brings.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Step {
    /// What stood before it.
    pub before: Counts,
    /// What stands after it.
    pub after: Counts,
    /// Routes that are nobody's any more.
    pub gone: Vec<RouteKey>,
    /// Routes that were nobody's before.
    pub came: Vec<RouteKey>,
}

/// What was lost within the window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shrink {
    rule: Rule,
    /// Lost routes, each with the moment at which it is forgotten.
    lost: Times<RouteKey>,
    dynos: Peak,
    /// What takes back what was noted since the last commit, the latest last.
    undo: Vec<Undo>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Undo {
    Route(RouteKey, Option<Instant>),
    Dynos(Replaced),
    All(Box<(Times<RouteKey>, Peak)>),
}

impl Shrink {
    /// Begins with what stands, nothing lost.
    pub fn new(rule: Rule, counts: Counts) -> Shrink {
        let dynos = Peak { now: counts.dynos, past: VecDeque::new() };
        Shrink { rule, lost: Times::default(), dynos, undo: Vec::new() }
    }

    /// Is there anything to judge and to remember?
    pub fn is_on(&self) -> bool {
        self.rule.share < 100
    }

    /// Forgets what is older than the window.
    pub fn advance(&mut self, now: Instant) {
        self.lost.forget_due(now);
        self.dynos.advance(now);
    }

    /// Every reason why a transaction must not be let in unless it is forced.
    pub fn objections(&self, step: &Step) -> Vec<String> {
        if !self.is_on() {
            return Vec::new();
        }
        let mut objections = Vec::new();
        if !step.gone.is_empty() {
            let back = step.came.iter().filter(|key| self.lost.get(key).is_some()).count();
            let lost = self.lost.len() - back + step.gone.len();
            let of = step.before.routes + self.lost.len();
            objections.extend(self.objection("routes", lost, of));
        }
        if step.after.dynos < step.before.dynos {
            let peak = self.dynos.peak().max(step.before.dynos);
            objections.extend(self.objection("dynos", peak - step.after.dynos, peak));
        }
        objections
    }

    fn objection(&self, what: &str, lost: usize, of: usize) -> Option<String> {
        let Rule { share, window, floor } = self.rule;
        let is_too_much = lost > floor && lost as u128 * 100 > u128::from(share) * of as u128;
        let window = show_duration(window);
        is_too_much.then(|| {
            format!(
                "{lost} of {of} {what} would be lost within {window}, and push.shrink_share allows \
                 {share} %: if that is meant, send it with force=true, which needs scope push"
            )
        })
    }

    /// Notes a transaction that is about to be committed.
    pub fn note(&mut self, step: &Step, forced: bool, now: Instant) {
        if !self.is_on() {
            return;
        }
        if forced {
            let begun = Shrink::new(self.rule, step.after);
            let lost = std::mem::replace(&mut self.lost, begun.lost);
            let dynos = std::mem::replace(&mut self.dynos, begun.dynos);
            self.undo.push(Undo::All(Box::new((lost, dynos))));
            return;
        }
        let until = now + self.rule.window;
        let gone = step.gone.iter().map(|key| (key, Some(until)));
        for (key, until) in step.came.iter().map(|key| (key, None)).chain(gone) {
            let had = self.lost.set(key, until);
            if had != until {
                self.undo.push(Undo::Route(key.clone(), had));
            }
        }
        if step.after.dynos != self.dynos.now {
            let replaced = self.dynos.set(step.after.dynos, until);
            self.undo.push(Undo::Dynos(replaced));
        }
    }

    /// What was noted is durable.
    pub fn keep(&mut self) {
        self.undo.clear();
        while self.lost.len() > MAX_LOST {
            self.lost.forget_first();
        }
    }

    /// What was noted did not happen.
    pub fn take_back(&mut self) {
        while let Some(undo) = self.undo.pop() {
            match undo {
                Undo::Route(key, had) => {
                    self.lost.set(&key, had);
                }
                Undo::Dynos(replaced) => self.dynos.restore(replaced),
                Undo::All(all) => (self.lost, self.dynos) = *all,
            }
        }
    }

    /// Remembers what was lost before this process began: routes with how long ago that was; and
    /// how many dynos there were, the oldest first, with how long ago each number came.
    pub fn remember(
        &mut self,
        lost: impl IntoIterator<Item = (RouteKey, Duration)>,
        dynos: impl IntoIterator<Item = (usize, Duration)>,
        now: Instant,
    ) {
        if !self.is_on() {
            return;
        }
        let window = self.rule.window;
        let until = |age: Duration| (age < window).then(|| now + (window - age));
        for (key, age) in lost {
            self.lost.set(&key, until(age));
        }
        for (at, (count, age)) in dynos.into_iter().enumerate() {
            match until(age).filter(|_| at > 0) {
                Some(until) => {
                    self.dynos.set(count, until);
                }
                None => self.dynos = Peak { now: count, past: VecDeque::new() },
            }
        }
        self.keep();
    }
}

/// The most that a number was within a time.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Peak {
    now: usize,
    /// What it was before and is less since: falling, each with the moment at which it is
    /// forgotten.
    past: VecDeque<(usize, Instant)>,
}

/// What a [`Peak`] was before its number changed.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Replaced {
    now: usize,
    /// A number was added to the past.
    added: bool,
    /// What was taken out of it, the last first.
    removed: Vec<(usize, Instant)>,
}

impl Peak {
    fn peak(&self) -> usize {
        self.past.front().map_or(self.now, |(count, _)| self.now.max(*count))
    }

    fn advance(&mut self, now: Instant) {
        while self.past.front().is_some_and(|(_, until)| *until <= now) {
            self.past.pop_front();
        }
    }

    /// The number is another; what it was is remembered until then.
    fn set(&mut self, count: usize, until: Instant) -> Replaced {
        let mut removed = Vec::new();
        while self.past.back().is_some_and(|(past, _)| *past <= self.now.max(count)) {
            removed.extend(self.past.pop_back());
        }
        let added = count < self.now;
        if added {
            self.past.push_back((self.now, until));
        }
        Replaced { now: std::mem::replace(&mut self.now, count), added, removed }
    }

    fn restore(&mut self, Replaced { now, added, removed }: Replaced) {
        if added {
            self.past.pop_back();
        }
        self.past.extend(removed.into_iter().rev());
        self.now = now;
    }
}

#[cfg(test)]
mod tests;
