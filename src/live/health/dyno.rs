//! The health of one dyno: what readers look at as atomics, what writers agree on behind a lock.
//!
//! Invariants: of a dyno with nothing to say there are two words, and no lock is ever taken for it;
//! a reader takes none; `odd_until_ms` is never before the end of what keeps the dyno from its
//! whole share, so that whoever finds it over need look no further. Times are of the cells' clock,
//! 0 meaning never.

use std::sync::{
    Mutex, MutexGuard, OnceLock, PoisonError,
    atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed},
};

use super::{
    app::Sight,
    past::{Happened, Past, What},
    rules::HealthRules,
};
use crate::balance::{
    Bar,
    eject::{Ejection, Quarantine, Seen, in_ms},
    warm::{self, WHOLE},
};

/// What a dyno has of its weight that is picked for want of better ones: of two that are equally
/// loaded the well one is to be picked.
pub const IN_PANIC: u32 = WHOLE / 2;

/// What is known of one dyno.
#[derive(Debug, Default)]
pub struct Health {
    odd_until_ms: AtomicU64,
    /// Faults in a row.
    in_row: AtomicU32,
    odd: OnceLock<Box<Odd>>,
}

/// What checks have said of a dyno.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(u8)]
pub enum Proof {
    /// Nothing, and it was here when the router started, or is up for long.
    #[default]
    Unasked,
    /// Nothing, and it is new.
    New,
    /// It is well.
    Well,
    /// It is not.
    Failing,
}

/// What there is to say of a dyno: as readers see it, and as writers keep it.
#[derive(Debug, Default)]
struct Odd {
    struck_ms: AtomicU64,
    quarantined_until_ms: AtomicU64,
    ejected_until_ms: AtomicU64,
    new_ms: AtomicU64,
    proof: AtomicU8,
    record: Mutex<Record>,
}

#[derive(Debug, Default)]
struct Record {
    quarantine: Quarantine,
    ejection: Ejection,
    /// When its slow start began, if it had one.
    new_ms: u64,
    /// For how long it lasts.
    start_ms: u64,
    /// When the gradual return from its last ejection is over.
    back_ms: u64,
    /// How often it was ejected, ever.
    ejections: u32,
    proof: Proof,
    /// Attempts that ended, and faults, ever: both wrap.
    now: Seen,
    /// The same when the window began.
    begun: Seen,
    past: Past,
}

/// How a dyno stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// What bars it.
    pub bar: Option<Bar>,
    /// How much of its weight it has, in thousandths.
    pub share: u32,
}

impl Standing {
    /// As of a dyno with nothing to say.
    pub const PLAIN: Standing = Standing { bar: None, share: WHOLE };

    /// What it has of a weight, at least 1.
    pub fn part_of(self, weight: u32) -> u32 {
        if self.share == WHOLE {
            return weight;
        }
        let part = u64::from(weight) * u64::from(self.share) / u64::from(WHOLE);
        u32::try_from(part).unwrap_or(weight).max(1)
    }

    fn barred(bar: Bar) -> Standing {
        Standing { bar: Some(bar), ..Standing::PLAIN }
    }
}

/// How a dyno stands before panic is thought of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Own {
    /// It takes no part yet.
    pub(super) is_unproven: bool,
    /// What bars it, other than that.
    pub(super) bar: Option<Bar>,
    /// What slow start leaves it.
    pub(super) start: u32,
}

impl Health {
    /// Is there anything to say of it at `now_ms`?
    pub fn is_odd(&self, now_ms: u64) -> bool {
        self.odd_until_ms.load(Relaxed) > now_ms
    }

    /// How it stands, where the app is in that state.
    pub fn standing(&self, now_ms: u64, rules: &HealthRules, sight: Sight) -> Standing {
        let Some(odd) = self.odd.get() else { return Standing::PLAIN };
        let own = odd.own(now_ms, rules, sight.is_panic);
        match own.bar {
            _ if own.is_unproven => Standing::barred(Bar::Unproven),
            Some(Bar::Ejected | Bar::Failing) if sight.is_panic => {
                Standing { bar: None, share: IN_PANIC }
            }
            Some(bar) => Standing::barred(bar),
            None => {
                let share = warm::lifted(own.start, sight.lift).min(odd.back(now_ms, rules));
                Standing { bar: None, share }
            }
        }
    }

    pub(super) fn own(&self, now_ms: u64, rules: &HealthRules) -> Own {
        let plain = Own { is_unproven: false, bar: None, start: WHOLE };
        let odd = self.odd.get().filter(|_| self.is_odd(now_ms));
        odd.map_or(plain, |odd| odd.own(now_ms, rules, false))
    }

    /// An attempt went well.
    pub fn well(&self) {
        // Read first: a store would take the line away from the other workers.
        if self.in_row.load(Relaxed) != 0 {
            self.in_row.store(0, Relaxed);
            self.connected();
        }
    }

    /// A connect succeeded: somebody listens.
    pub fn connected(&self) {
        let Some(odd) = self.odd.get() else { return };
        if odd.quarantined_until_ms.load(Relaxed) != 0 {
            self.change(|record| record.quarantine = Quarantine::default());
        }
    }

    /// A connect failed at `now_ms`, for that reason; answers how many faults there are in a row
    /// now, if it counts: connects that fail together count once.
    pub fn struck(&self, now_ms: u64, rules: &HealthRules, why: &str) -> Option<u32> {
        let counts = self.change(|record| {
            let before = record.quarantine.strikes;
            let (base, most) = (rules.quarantine, rules.max_quarantine);
            record.quarantine.strike(now_ms, in_ms(base), in_ms(most));
            let Quarantine { strikes, until_ms, .. } = record.quarantine;
            if strikes > before {
                let why = format!("{why}, {strikes} in a row").into();
                record.past.push(Happened {
                    at_ms: now_ms,
                    until_ms,
                    what: What::Quarantined,
                    why,
                });
            }
            strikes > before
        });
        counts.then(|| self.in_row.fetch_add(1, Relaxed) + 1)
    }

    /// An attempt was a fault; answers how many there are in a row.
    pub(super) fn fault(&self) -> u32 {
        self.change(|record| record.now.faults = record.now.faults.wrapping_add(1));
        self.in_row.fetch_add(1, Relaxed).saturating_add(1)
    }

    /// Is it to be judged, being neither ejected nor just spared?
    pub(super) fn is_judged(&self, now_ms: u64) -> bool {
        self.record().is_some_and(|record| record.ejection.is_judged(now_ms))
    }

    /// Is it ejected?
    pub fn is_ejected(&self, now_ms: u64) -> bool {
        self.odd.get().is_some_and(|odd| odd.ejected_until_ms.load(Relaxed) > now_ms)
    }

    /// Ejects it; answers what is said of it.
    pub(super) fn eject(&self, now_ms: u64, rules: &HealthRules, why: &str) -> Happened {
        // When it is back, one more fault is enough.
        self.in_row.store(rules.eject.faults.saturating_sub(1), Relaxed);
        self.change(|record| {
            record.ejection.eject(now_ms, &rules.eject);
            record.ejections = record.ejections.saturating_add(1);
            record.back_ms = record.ejection.until_ms.saturating_add(in_ms(rules.return_over));
            let Ejection { times, until_ms, .. } = record.ejection;
            let why = match times {
                1 => why.into(),
                _ => format!("{why}, time {times}").into(),
            };
            let happened = Happened { at_ms: now_ms, until_ms, what: What::Ejected, why };
            record.past.push(happened.clone());
            happened
        })
    }

    /// It would be ejected, if not too many were.
    pub(super) fn spare(&self, now_ms: u64, why: &str) {
        self.change(|record| {
            let said = record.ejection.spared_until_ms;
            record.ejection.spare(now_ms);
            // Once for as long as it goes on.
            if now_ms.saturating_sub(said) > record.ejection.spared_until_ms - now_ms {
                let (what, why) = (What::Spared, why.into());
                record.past.push(Happened { at_ms: now_ms, until_ms: 0, what, why });
            }
        });
    }

    /// What it did since the last window began; then another begins. `requests` is how many
    /// attempts on it ever ended, and may wrap.
    pub(super) fn turn_window(&self, requests: u32) -> Seen {
        self.change(|record| {
            record.now.requests = requests;
            let (now, begun) = (record.now, std::mem::replace(&mut record.begun, record.now));
            Seen {
                requests: now.requests.wrapping_sub(begun.requests),
                faults: now.faults.wrapping_sub(begun.faults),
            }
        })
    }

    /// The dyno came at `now_ms`, or came up.
    pub fn arrive(&self, now_ms: u64, rules: &HealthRules) {
        let proof = if rules.is_checked { Proof::New } else { Proof::Unasked };
        if proof == Proof::New || !rules.slow_start.is_zero() {
            self.change(|record| {
                record.proof = proof;
                record.start(now_ms, in_ms(rules.slow_start));
            });
        }
    }

    /// What checks have said of it.
    pub fn proof(&self) -> Proof {
        self.record().map_or(Proof::Unasked, |record| record.proof)
    }

    /// Checks say that now, for that reason, of a dyno that `must` prove itself or not; answers
    /// whether they said otherwise before.
    pub fn prove(&self, proof: Proof, must: bool, now_ms: u64, why: &str) -> bool {
        if self.proof() == proof {
            return false;
        }
        self.change(|record| {
            let before = std::mem::replace(&mut record.proof, proof);
            let what = match (before, proof) {
                (Proof::New, Proof::Well) => {
                    // It had nothing before, and begins only now.
                    if must {
                        record.start(now_ms, record.start_ms);
                    }
                    Some(What::Well)
                }
                (Proof::Failing, _) => Some(What::Well),
                (_, Proof::Failing) => Some(What::Failing),
                _ => None,
            };
            if let Some(what) = what {
                let why = why.into();
                record.past.push(Happened { at_ms: now_ms, until_ms: 0, what, why });
            }
        });
        true
    }

    /// It is asked no more. If nobody ever answered for it, it is as new when it is asked again.
    pub fn unask(&self, now_ms: u64) {
        if matches!(self.proof(), Proof::Well | Proof::Failing) {
            self.prove(Proof::Unasked, false, now_ms, "it is asked no more");
        }
    }

    /// Its last turns, the oldest first.
    pub fn past(&self) -> Vec<Happened> {
        self.record().map_or_else(Vec::new, |record| record.past.to_vec())
    }

    /// How often it was ejected, those that [`Health::past`] has forgotten too.
    pub fn ejections(&self) -> u32 {
        self.record().map_or(0, |record| record.ejections)
    }

    /// Failed connects in a row.
    pub fn strikes(&self) -> u32 {
        self.record().map_or(0, |record| record.quarantine.strikes)
    }

    /// When the quarantine ends; 0 if there is none.
    pub fn quarantined_until_ms(&self) -> u64 {
        self.odd.get().map_or(0, |odd| odd.quarantined_until_ms.load(Relaxed))
    }

    /// When it may next be let in, if that is a matter of time: at the end of its quarantine, or in
    /// panic of the first part of it.
    pub fn back_at_ms(&self, now_ms: u64, rules: &HealthRules) -> Option<u64> {
        let odd = self.odd.get()?;
        let until_ms = odd.quarantined_until_ms.load(Relaxed);
        let first_ms = odd.struck_ms.load(Relaxed) + in_ms(rules.quarantine);
        [first_ms.min(until_ms), until_ms].into_iter().find(|back_ms| *back_ms > now_ms)
    }

    /// When the ejection ends, or ended; 0 if there was none.
    pub fn ejected_until_ms(&self) -> u64 {
        self.odd.get().map_or(0, |odd| odd.ejected_until_ms.load(Relaxed))
    }

    fn record(&self) -> Option<MutexGuard<'_, Record>> {
        // Each change leaves a record whole.
        self.odd.get().map(|odd| odd.record.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes the record, and what readers see of it.
    fn change<T>(&self, change: impl FnOnce(&mut Record) -> T) -> T {
        let odd = self.odd.get_or_init(Box::default);
        let mut record = odd.record.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = change(&mut record);
        odd.show(&record);
        self.odd_until_ms.store(record.odd_until_ms(), Relaxed);
        changed
    }
}

impl Record {
    fn start(&mut self, now_ms: u64, start_ms: u64) {
        (self.new_ms, self.start_ms) = (now_ms.max(1), start_ms);
    }

    /// Until when something may keep the dyno from its whole share.
    fn odd_until_ms(&self) -> u64 {
        match self.proof {
            Proof::New | Proof::Failing => u64::MAX,
            _ => {
                let started_ms = self.new_ms.saturating_add(self.start_ms);
                started_ms.max(self.back_ms).max(self.quarantine.until_ms)
            }
        }
    }
}

impl Odd {
    fn show(&self, record: &Record) {
        self.struck_ms.store(record.quarantine.struck_ms, Relaxed);
        self.quarantined_until_ms.store(record.quarantine.until_ms, Relaxed);
        self.ejected_until_ms.store(record.ejection.until_ms, Relaxed);
        self.new_ms.store(record.new_ms, Relaxed);
        self.proof.store(record.proof as u8, Relaxed);
    }

    fn own(&self, now_ms: u64, rules: &HealthRules, in_panic: bool) -> Own {
        let quarantine = Quarantine {
            strikes: 0,
            struck_ms: self.struck_ms.load(Relaxed),
            until_ms: self.quarantined_until_ms.load(Relaxed),
        };
        let proof = self.proof.load(Relaxed);
        let bar = if quarantine.is_out(now_ms, in_ms(rules.quarantine), in_panic) {
            Some(Bar::Quarantined)
        } else if self.ejected_until_ms.load(Relaxed) > now_ms {
            Some(Bar::Ejected)
        } else {
            (rules.is_checked && proof == Proof::Failing as u8).then_some(Bar::Failing)
        };
        let new_ms = self.new_ms.load(Relaxed);
        let start = match new_ms {
            0 => WHOLE,
            _ => warm::share(now_ms.saturating_sub(new_ms), in_ms(rules.slow_start)),
        };
        let proves = rules.is_checked && rules.proven_first;
        Own { is_unproven: proves && proof == Proof::New as u8, bar, start }
    }

    /// What it has of its weight because it was ejected a while ago.
    fn back(&self, now_ms: u64, rules: &HealthRules) -> u32 {
        match self.ejected_until_ms.load(Relaxed) {
            0 => WHOLE,
            until_ms => warm::share(now_ms.saturating_sub(until_ms), in_ms(rules.return_over)),
        }
    }
}

#[cfg(test)]
mod tests;
