//! The health of an app: what can only be said of all of its dynos together.
//!
//! Invariants: it is looked at for a dyno of which there is something to say, or when an attempt
//! was a fault, and never else; all dynos are looked at once a [`SIGHT_MS`] at the most, or where
//! one is to be ejected; the share limit holds whatever the workers do at the same time.

use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use super::{dyno::Standing, notes::Note, rules::Verdict};
use crate::{
    balance::{eject, warm},
    error::Fault,
    live::{Cell, LiveApp, LiveDyno, Outcome},
    route::DynoState,
};

/// How long a look at all dynos of an app holds, in milliseconds.
const SIGHT_MS: u64 = 100;

/// What is known of an app's dynos together.
#[derive(Debug, Default)]
pub struct AppHealth {
    /// The last [`Sight`], and until when it holds.
    sight: AtomicU64,
    judging: Mutex<Judging>,
}

/// What whoever ejects a dyno holds.
#[derive(Debug, Default)]
struct Judging {
    /// When the window of success rates began.
    window_ms: u64,
}

/// What an app's dynos have in common at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sight {
    /// Too few are fit: none is passed over for its health.
    pub is_panic: bool,
    /// How far the shares of new dynos are raised; see [`warm::lift`].
    pub lift: u32,
}

impl Sight {
    fn to_word(self, until_ms: u64) -> u64 {
        until_ms << 16 | u64::from(self.is_panic) << 15 | u64::from(self.lift)
    }

    fn of_word(word: u64) -> (u64, Sight) {
        let sight = Sight { is_panic: word >> 15 & 1 == 1, lift: (word & 0x7fff) as u32 };
        (word >> 16, sight)
    }
}

impl AppHealth {
    fn judging(&self) -> MutexGuard<'_, Judging> {
        // Each step leaves it whole.
        self.judging.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LiveApp {
    /// How a dyno of the app stands at `now_ms`; where it is `open`, ill ones are let in, as in
    /// panic.
    pub fn standing(&self, cell: &Cell, now_ms: u64, open: bool) -> Standing {
        if !cell.health.is_odd(now_ms) {
            return Standing::PLAIN;
        }
        let mut sight = self.sight(now_ms);
        sight.is_panic |= open;
        cell.health.standing(now_ms, &self.health, sight)
    }

    /// What its dynos have in common at `now_ms`.
    pub fn sight(&self, now_ms: u64) -> Sight {
        let word = self.cell.health.sight.load(Relaxed);
        let (until_ms, before) = Sight::of_word(word);
        if now_ms < until_ms {
            return before;
        }
        let sight = self.look(now_ms);
        let next = sight.to_word(now_ms + SIGHT_MS);
        let is_first = self.cell.health.sight.compare_exchange(word, next, Relaxed, Relaxed);
        if is_first.is_ok() && sight.is_panic != before.is_panic {
            self.notes.post(Note::Panic(self.app.name.clone()));
        }
        sight
    }

    fn look(&self, now_ms: u64) -> Sight {
        let (mut up, mut fit, mut whole, mut now) = (0, 0, 0, 0);
        for live in self.up() {
            let own = live.cell.health.own(now_ms, &self.health);
            if own.is_unproven {
                continue;
            }
            up += 1;
            if own.bar.is_none() {
                fit += 1;
                let weight = u64::from(live.dyno.weight);
                whole += weight * u64::from(warm::WHOLE);
                now += weight * u64::from(own.start);
            }
        }
        let is_panic = eject::is_panic(fit, up, self.health.panic_share);
        Sight { is_panic, lift: warm::lift(whole, now) }
    }

    fn up(&self) -> impl Iterator<Item = &LiveDyno> {
        self.dynos.iter().filter(|live| live.dyno.state == DynoState::Up)
    }

    /// Takes in how an attempt on the dyno at `at` ended.
    pub fn judge(&self, at: usize, outcome: &Outcome) {
        let health = &self.dynos[at].cell.health;
        match self.health.judge(outcome) {
            Verdict::Well => health.well(),
            Verdict::Nothing => {}
            Verdict::Fault => self.fault(at, outcome),
        }
    }

    #[cold]
    fn fault(&self, at: usize, outcome: &Outcome) {
        let in_row = self.dynos[at].cell.health.fault();
        let last = match outcome.fault {
            Some(fault) => fault.code().to_owned(),
            None => outcome.status.to_string(),
        };
        self.judge_row(at, outcome.now_ms, in_row, &last);
        self.judge_rates(outcome.now_ms);
    }

    /// A connect to the dyno at `at` failed.
    #[cold]
    pub fn strike(&self, at: usize, now_ms: u64, fault: Fault) {
        let health = &self.dynos[at].cell.health;
        let Some(in_row) = health.struck(now_ms, &self.health, fault.code()) else { return };
        self.judge_row(at, now_ms, in_row, fault.code());
    }

    fn judge_row(&self, at: usize, now_ms: u64, in_row: u32, last: &str) {
        let most = self.health.eject.faults;
        if most > 0 && in_row >= most {
            let why = format!("faults in a row: {in_row}, the last {last}");
            self.eject(at, now_ms, &why, &self.cell.health.judging());
        }
    }

    /// Ejects the dyno at `at`, unless it is out already or too many are.
    fn eject(&self, at: usize, now_ms: u64, why: &str, _held: &MutexGuard<'_, Judging>) {
        let LiveDyno { dyno, cell } = &self.dynos[at];
        if !cell.health.is_judged(now_ms) {
            return;
        }
        let ejected = self.up().filter(|live| live.cell.health.is_ejected(now_ms)).count();
        if !eject::may_eject(ejected, self.up().count(), self.health.eject.max_ejected) {
            cell.health.spare(now_ms, why);
            return;
        }
        let happened = cell.health.eject(now_ms, &self.health, why);
        // The next choice looks anew.
        self.cell.health.sight.fetch_and(0xffff, Relaxed);
        self.notes.post(Note::Ejected(self.app.name.clone(), dyno.name.clone(), happened));
    }

    /// Once a window is over: ejects whose success rate is far below the others'.
    fn judge_rates(&self, now_ms: u64) {
        let rules = &self.health.eject;
        let window_ms = eject::in_ms(rules.rate_window);
        let mut judging = self.cell.health.judging();
        let age_ms = now_ms.saturating_sub(judging.window_ms);
        if rules.deviations == 0 || age_ms < window_ms {
            return;
        }
        judging.window_ms = now_ms;
        let seen: Vec<_> = self
            .dynos
            .iter()
            .map(|LiveDyno { cell, .. }| cell.health.turn_window(cell.ended()))
            .collect();
        // Windows begin with a fault: what was before may be long ago, and another time's.
        if age_ms >= 2 * window_ms {
            return;
        }
        let rate = |at: usize| seen[at].rate(rules);
        let all = 0..self.dynos.len();
        let Some(floor) = eject::rate_floor(all.clone().filter_map(rate), rules) else { return };
        let below = all.filter_map(|at| Some((at, rate(at).filter(|rate| *rate < floor)?)));
        let mut below: Vec<_> = below.collect();
        below.sort_by(|(_, one), (_, other)| one.total_cmp(other));
        for (at, rate) in below {
            let [rate, floor] = [rate, floor].map(|rate| rate * 100.0);
            let why = format!("{rate:.1} % of its requests went well, less than {floor:.1} %");
            self.eject(at, now_ms, &why, &judging);
        }
    }
}

#[cfg(test)]
mod tests;
