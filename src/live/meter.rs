//! Counts and rates by key, in a bounded piece of memory that all workers share; and those of one
//! app as a whole, which it has to itself.
//!
//! A key is a keyed hash of what is counted; it has its place among [`NEAR`] slots. Slots are made
//! in blocks, each when the first key comes to it. Invariants: no lock; nothing is allocated but a
//! block; a slot is free again by itself, once its count is 0 or its rate unused; where all slots
//! near a key are taken, a rate takes the place of whoever used the least share of what he may,
//! and one that is counted at a time is let through uncounted, both of which is told; two workers
//! that meet a new key in the same moment may each count it once for themselves.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

/// How many slots are looked at for a key: four lines of the processor's cache, for counts.
const NEAR: usize = 32;
/// How many slots are made at a time: so few that a worker that makes them is not held up.
const BLOCK: usize = 4096;
/// How many bytes a client takes at most, of rates and counts together: see [`Slots::new`].
pub const CLIENT_BYTES: usize = 4 * (size_of::<Rate>() + size_of::<AtomicU64>());
/// The bits of a slot that count; the others say for whom.
const COUNT: u64 = (1 << COUNT_BITS) - 1;
const COUNT_BITS: u32 = 20;
/// How often a slot is looked for that others take away meanwhile.
const TRIES: usize = 4;

/// Slots, each block made when the first of it is needed.
#[derive(Debug)]
struct Slots<T> {
    blocks: Box<[OnceLock<Box<[T]>>]>,
    /// How many slots, less one: a power of two.
    mask: usize,
}

impl<T: Default> Slots<T> {
    fn new(keys: usize) -> Slots<T> {
        // Half of them stay free, so that there is hardly ever none near a key.
        let count = keys.saturating_mul(2).max(NEAR).next_power_of_two();
        let blocks = (0..count.div_ceil(BLOCK)).map(|_| OnceLock::new()).collect();
        Slots { blocks, mask: count - 1 }
    }

    /// Where the slots near a key begin.
    fn place(&self, key: u64) -> usize {
        key as usize & self.mask & !(NEAR - 1)
    }

    /// The slots near a key, if they were made.
    fn known(&self, key: u64) -> &[T] {
        let place = self.place(key);
        let made = self.blocks[place / BLOCK].get();
        made.map_or(&[], |block| &block[place % BLOCK..][..NEAR])
    }

    /// The slots near a key.
    fn near(&self, key: u64) -> &[T] {
        let make = || (0..BLOCK.min(self.mask + 1)).map(|_| T::default()).collect();
        self.blocks[self.place(key) / BLOCK].get_or_init(make);
        self.known(key)
    }

    fn at(&self, place: usize) -> Option<&T> {
        self.blocks[place / BLOCK].get().map(|block| &block[place % BLOCK])
    }
}

/// How many there are of each key.
#[derive(Debug)]
pub struct Counts {
    slots: Slots<AtomicU64>,
    uncounted: AtomicU64,
}

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
        Counts { slots: Slots::new(keys), uncounted: AtomicU64::new(0) }
    }

    /// Counts one more of a key; none if there are `most`.
    pub fn enter(&self, key: u64, most: u32) -> Option<Place> {
        let (first, near) = (self.slots.place(key), self.slots.near(key));
        let place = |at: usize| Some(Place((first + at) as u32));
        let of_key = key >> COUNT_BITS;
        for _ in 0..TRIES {
            let mut free = None;
            let mut lost = false;
            for (at, slot) in near.iter().enumerate() {
                let now = slot.load(Relaxed);
                if now & COUNT == 0 {
                    free = free.or(Some((at, now)));
                } else if now >> COUNT_BITS == of_key {
                    match count_up(slot, now, most) {
                        Some(true) => return place(at),
                        Some(false) => return None,
                        // It left the slot meanwhile, and another may be there.
                        None => lost = true,
                    }
                }
            }
            let Some((at, now)) = free else { break };
            let one = of_key << COUNT_BITS | 1;
            if !lost && near[at].compare_exchange(now, one, Relaxed, Relaxed).is_ok() {
                return place(at);
            }
        }
        self.uncounted.fetch_add(1, Relaxed);
        Some(Place::NONE)
    }

    /// Counts one less.
    pub fn leave(&self, place: Place) {
        let slot = (place != Place::NONE).then(|| self.slots.at(place.0 as usize)).flatten();
        if let Some(slot) = slot {
            let before = slot.fetch_sub(1, Relaxed);
            debug_assert!(before & COUNT > 0, "who leaves had entered");
        }
    }

    /// How many there are of a key.
    pub fn of(&self, key: u64) -> u32 {
        let here = self.slots.known(key).iter().map(|slot| slot.load(Relaxed));
        here.filter(|now| now >> COUNT_BITS == key >> COUNT_BITS)
            .map(|now| (now & COUNT) as u32)
            .sum()
    }

    /// How many were let through uncounted since this was asked last.
    pub fn take_uncounted(&self) -> u64 {
        self.uncounted.swap(0, Relaxed)
    }
}

/// Counts one more in a slot for as long as it is the key's; whether there was room.
fn count_up(slot: &AtomicU64, mut now: u64, most: u32) -> Option<bool> {
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

/// How much of an allowance is used: the time at which all of it will have come back (the generic
/// cell rate algorithm, as ITU-T I.371 has it), in nanoseconds of the caller's clock.
#[derive(Debug, Default)]
pub struct Used(AtomicU64);

impl Used {
    /// Uses one.
    ///
    /// # Errors
    /// How long it takes until there is one, if there is none.
    pub fn take(&self, allowed: Allowance, now_ns: u64) -> Result<(), Duration> {
        let latest = now_ns + allowed.window_ns();
        let mut refused = None;
        let _ = self.0.fetch_update(Relaxed, Relaxed, |whole_at| {
            refused = wait(whole_at, allowed, now_ns);
            match refused {
                None => Some(whole_at.max(now_ns) + allowed.step_ns()),
                // The window was a longer one when it was used: nobody waits for what is no more.
                Some(_) if whole_at > latest => Some(latest),
                Some(_) => None,
            }
        });
        refused.map_or(Ok(()), Err)
    }

    /// Gives back one that was used for nothing.
    pub fn give_back(&self, allowed: Allowance) {
        let less = |whole_at: u64| Some(whole_at.saturating_sub(allowed.step_ns()));
        let _ = self.0.fetch_update(Relaxed, Relaxed, less);
    }

    /// How long it takes until there is one; none if there is.
    pub fn wait(&self, allowed: Allowance, now_ns: u64) -> Option<Duration> {
        wait(self.0.load(Relaxed), allowed, now_ns)
    }

    /// How many are left.
    pub fn left(&self, allowed: Allowance, now_ns: u64) -> u32 {
        let used = self.0.load(Relaxed).saturating_sub(now_ns);
        let left_ns = allowed.window_ns().saturating_sub(used);
        u32::try_from(left_ns / allowed.step_ns()).map_or(allowed.most, |n| n.min(allowed.most))
    }
}

fn wait(whole_at: u64, allowed: Allowance, now_ns: u64) -> Option<Duration> {
    let latest = now_ns + allowed.window_ns();
    let next = whole_at.max(now_ns) + allowed.step_ns();
    (next > latest).then(|| Duration::from_nanos(next.min(latest + allowed.step_ns()) - latest))
}

/// What an app as a whole uses: nobody takes its place.
#[derive(Debug, Default)]
pub struct AppMeter {
    /// Of its rate.
    pub used: Used,
    exchanges: AtomicU32,
}

impl AppMeter {
    /// Counts one more exchange; not if there are `most`.
    pub fn enter(&self, most: u32) -> bool {
        let more = |count: u32| (count < most).then(|| count + 1);
        self.exchanges.fetch_update(Relaxed, Relaxed, more).is_ok()
    }

    /// Counts one less.
    pub fn leave(&self) {
        let before = self.exchanges.fetch_sub(1, Relaxed);
        debug_assert!(before > 0, "who leaves had entered");
    }

    /// How many there are.
    pub fn exchanges(&self) -> u32 {
        self.exchanges.load(Relaxed)
    }
}

/// How fast each key uses what it is allowed.
#[derive(Debug)]
pub struct Rates {
    slots: Slots<Rate>,
    forgotten: AtomicU64,
}

/// The bits of a slot's word that are the window, in milliseconds; the others say whose it is.
const WINDOW_BITS: u32 = 22;

#[derive(Debug, Default)]
struct Rate {
    word: AtomicU64,
    used: Used,
}

impl Rate {
    fn is_of(&self, key: u64) -> bool {
        (self.word.load(Relaxed) ^ key) >> WINDOW_BITS == 0
    }

    /// The share of what it may that is used, of 2^20.
    fn share(&self, now_ns: u64) -> u64 {
        let window_ms = self.word.load(Relaxed) & ((1 << WINDOW_BITS) - 1);
        let used_ns = self.used.0.load(Relaxed).saturating_sub(now_ns);
        (used_ns << 20) / (window_ms * 1_000_000).max(1)
    }
}

impl Rates {
    /// Room for so many keys.
    pub fn new(keys: usize) -> Rates {
        Rates { slots: Slots::new(keys), forgotten: AtomicU64::new(0) }
    }

    /// What a key has used, for as long as it has a slot: its own, or one that nobody uses, or else
    /// that of who has used the least share, which is forgotten.
    pub fn of(&self, key: u64, allowed: Allowance, now_ns: u64) -> Option<&Used> {
        let near = self.slots.near(key);
        let window_ms = u64::try_from(allowed.window.as_millis()).unwrap_or(u64::MAX);
        let window = window_ms.min((1 << WINDOW_BITS) - 1);
        let word = key >> WINDOW_BITS << WINDOW_BITS | window;
        for _ in 0..TRIES {
            if let Some(slot) = near.iter().find(|slot| slot.is_of(key)) {
                let before = slot.word.load(Relaxed);
                if before != word && (before ^ key) >> WINDOW_BITS == 0 {
                    // The window is another one than it was.
                    let _ = slot.word.compare_exchange(before, word, Relaxed, Relaxed);
                }
                return Some(&slot.used);
            }
            let (share, slot) = near
                .iter()
                .map(|slot| (slot.share(now_ns), slot))
                .min_by_key(|(share, _)| *share)?;
            let before = slot.word.load(Relaxed);
            if slot.word.compare_exchange(before, word, Relaxed, Relaxed).is_ok() {
                // Whatever another made of it meanwhile: nobody waits for what he did not do.
                slot.used.0.store(now_ns, Relaxed);
                self.forgotten.fetch_add((share > 0).into(), Relaxed);
                return Some(&slot.used);
            }
        }
        None
    }

    /// What a key has used, if it has a slot.
    pub fn known(&self, key: u64) -> Option<&Used> {
        self.slots.known(key).iter().find(|slot| slot.is_of(key)).map(|slot| &slot.used)
    }

    /// How many were forgotten since this was asked last.
    pub fn take_forgotten(&self) -> u64 {
        self.forgotten.swap(0, Relaxed)
    }
}

#[cfg(test)]
mod tests;
