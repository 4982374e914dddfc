//! Counts and rates by key, in a fixed piece of memory that all workers share.
//!
//! A key is a keyed hash of what is counted; it has its place within [`NEAR`] slots behind where it
//! points. Invariants: no lock, no allocation but the first; a slot is free again by itself, once
//! its count is 0 or its rate unused; where all slots near a key are taken, what is counted there
//! is let through rather than refused; two workers that count a new key in the same moment may give
//! it two slots, so that for as long as both last a limit holds once in each.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

/// How many slots are looked at for a key: four lines of the processor's cache, for counts.
const NEAR: usize = 32;
/// The bits of a slot that count; the others say for whom.
const COUNT: u64 = (1 << COUNT_BITS) - 1;
const COUNT_BITS: u32 = 20;
/// How often a slot is looked for that others take away meanwhile.
const TRIES: usize = 4;

/// Slots, made when the first is needed.
#[derive(Debug)]
struct Lazy<T> {
    slots: OnceLock<Box<[T]>>,
    /// How many, less one: a power of two.
    mask: usize,
}

impl<T: Default> Lazy<T> {
    fn new(keys: usize) -> Lazy<T> {
        // Half of them stay free, so that there is hardly ever none near a key.
        let count = keys.saturating_mul(2).max(NEAR).next_power_of_two();
        Lazy { slots: OnceLock::new(), mask: count - 1 }
    }

    fn slots(&self) -> &[T] {
        self.slots.get_or_init(|| (0..=self.mask).map(|_| T::default()).collect())
    }

    /// Where a key may stand; without the slots being made.
    fn near(&self, key: u64) -> impl Iterator<Item = usize> {
        let (first, mask) = (key as usize & !7, self.mask);
        (first..first + NEAR).map(move |at| at & mask)
    }
}

/// How many there are of each key.
#[derive(Debug)]
pub struct Counts(Lazy<AtomicU64>);

/// Where something is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place(u32);

impl Place {
    /// It is not counted.
    pub const NONE: Place = Place(u32::MAX);
}

impl Counts {
    /// Room for so many keys.
    pub fn new(keys: usize) -> Counts {
        Counts(Lazy::new(keys))
    }

    /// Counts one more of a key; none if there are `most`.
    pub fn enter(&self, key: u64, most: u32) -> Option<Place> {
        let slots = self.0.slots();
        let of_key = key >> COUNT_BITS;
        for _ in 0..TRIES {
            let mut free = None;
            let mut lost = false;
            for at in self.0.near(key) {
                let now = slots[at].load(Relaxed);
                if now & COUNT == 0 {
                    free = free.or(Some((at, now)));
                } else if now >> COUNT_BITS == of_key {
                    match self.count_up(&slots[at], now, most) {
                        Some(true) => return Some(Place(at as u32)),
                        Some(false) => return None,
                        // It left the slot meanwhile, and another may be there.
                        None => lost = true,
                    }
                }
            }
            let Some((at, now)) = free else { return Some(Place::NONE) };
            let first = of_key << COUNT_BITS | 1;
            if !lost && slots[at].compare_exchange(now, first, Relaxed, Relaxed).is_ok() {
                return Some(Place(at as u32));
            }
        }
        Some(Place::NONE)
    }

    /// Counts one more in a slot for as long as it is the key's; whether there was room.
    fn count_up(&self, slot: &AtomicU64, mut now: u64, most: u32) -> Option<bool> {
        let of_key = now >> COUNT_BITS;
        let most = u64::from(most).min(COUNT);
        while now & COUNT != 0 && now >> COUNT_BITS == of_key {
            if now & COUNT >= most {
                return Some(false);
            }
            match slot.compare_exchange_weak(now, now + 1, Relaxed, Relaxed) {
                Ok(_) => return Some(true),
                Err(other) => now = other,
            }
        }
        None
    }

    /// Counts one less.
    pub fn leave(&self, place: Place) {
        if place != Place::NONE {
            let before = self.0.slots()[place.0 as usize].fetch_sub(1, Relaxed);
            debug_assert!(before & COUNT > 0, "who leaves had entered");
        }
    }

    /// How many there are of a key.
    pub fn of(&self, key: u64) -> u32 {
        let Some(slots) = self.0.slots.get() else { return 0 };
        let here = self.0.near(key).map(|at| slots[at].load(Relaxed));
        here.filter(|now| now >> COUNT_BITS == key >> COUNT_BITS)
            .map(|now| (now & COUNT) as u32)
            .sum()
    }
}

/// So much in so long, all of it at once if need be: what was used comes back evenly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    /// How much; not 0.
    pub most: u32,
    /// In how long.
    pub window: Duration,
}

impl Allowance {
    fn window_ns(self) -> u64 {
        self.window.as_nanos() as u64
    }

    /// How long one takes to come back.
    fn step_ns(self) -> u64 {
        (self.window_ns() / u64::from(self.most)).max(1)
    }
}

/// How fast each key uses what it is allowed.
///
/// A slot holds the time at which all of a key's allowance will have come back (the generic cell
/// rate algorithm, as ITU-T I.371 has it), in nanoseconds of the caller's clock.
#[derive(Debug)]
pub struct Rates(Lazy<Rate>);

#[derive(Debug, Default)]
struct Rate {
    key: AtomicU64,
    whole_at_ns: AtomicU64,
}

impl Rates {
    /// Room for so many keys.
    pub fn new(keys: usize) -> Rates {
        Rates(Lazy::new(keys))
    }

    /// Uses one of a key's allowance.
    ///
    /// # Errors
    /// How long it takes until there is one, if there is none.
    pub fn take(&self, key: u64, allowed: Allowance, now_ns: u64) -> Result<(), Duration> {
        match self.slot(key, now_ns) {
            Some(slot) => use_one(&slot.whole_at_ns, allowed, now_ns),
            None => Ok(()),
        }
    }

    /// How many a key has left.
    pub fn left(&self, key: u64, allowed: Allowance, now_ns: u64) -> u32 {
        let slots = self.0.slots.get().map_or(&[][..], |slots| slots);
        let found = self.0.near(key).filter_map(|at| slots.get(at)).find(|slot| is_of(slot, key));
        let used = found.map_or(0, |slot| slot.whole_at_ns.load(Relaxed).saturating_sub(now_ns));
        let left_ns = allowed.window_ns().saturating_sub(used);
        u32::try_from(left_ns / allowed.step_ns()).map_or(allowed.most, |n| n.min(allowed.most))
    }

    /// The slot of a key: its own, or one that nobody uses, or else that of who comes back soonest,
    /// whose use is forgotten.
    fn slot(&self, key: u64, now_ns: u64) -> Option<&Rate> {
        let slots = self.0.slots();
        for _ in 0..TRIES {
            let mut soonest: Option<(&Rate, u64)> = None;
            for slot in self.0.near(key).map(|at| &slots[at]) {
                if is_of(slot, key) {
                    return Some(slot);
                }
                let whole_at = slot.whole_at_ns.load(Relaxed).max(now_ns);
                if soonest.is_none_or(|(_, other)| whole_at < other) {
                    soonest = Some((slot, whole_at));
                }
            }
            let (slot, whole_at) = soonest?;
            let before = slot.key.load(Relaxed);
            if slot.key.compare_exchange(before, key, Relaxed, Relaxed).is_ok() {
                if whole_at > now_ns {
                    slot.whole_at_ns.store(now_ns, Relaxed);
                }
                return Some(slot);
            }
        }
        None
    }
}

fn is_of(slot: &Rate, key: u64) -> bool {
    slot.key.load(Relaxed) == key
}

fn use_one(whole_at_ns: &AtomicU64, allowed: Allowance, now_ns: u64) -> Result<(), Duration> {
    let latest = now_ns + allowed.window_ns();
    let mut refused = None;
    let _ = whole_at_ns.fetch_update(Relaxed, Relaxed, |whole_at| {
        let next = whole_at.max(now_ns) + allowed.step_ns();
        refused = (next > latest)
            .then(|| Duration::from_nanos(next.min(latest + allowed.step_ns()) - latest));
        match refused {
            None => Some(next),
            // The window was a longer one when it was used: nobody waits for what is no more.
            Some(_) if whole_at > latest => Some(latest),
            Some(_) => None,
        }
    });
    refused.map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests;
