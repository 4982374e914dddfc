//! What a dyno says of its own load, and how long that is believed.
//!
//! Invariants: one word, so that no reader sees half of it; what is older than [`BELIEVED_MS`] is
//! as if it had not been said.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// How long a dyno's word counts.
pub const BELIEVED_MS: u32 = 10_000;
/// All of a dyno, in the unit in which it is told how much of it is busy.
pub const WHOLE: u16 = 1000;
/// The most of a dyno's weight that its word takes from it, as if it were so busy at most.
const MOST: u16 = 950;
/// How busy a dyno is taken to be that does not say.
const UNSAID: u16 = 500;

/// The last word of a dyno.
#[derive(Debug, Default)]
pub struct ReportedCell(AtomicU64);

impl ReportedCell {
    /// Notes that the dyno said at `now_ms` to be so busy, in thousandths.
    pub fn set(&self, load: u16, now_ms: u64) {
        self.0.store(u64::from(load) | 1 << 16 | (now_ms & u64::from(u32::MAX)) << 32, Relaxed);
    }

    /// How busy it is as far as it said so lately.
    pub fn get(&self, now_ms: u64) -> Option<u16> {
        let word = self.0.load(Relaxed);
        let age = (now_ms as u32).wrapping_sub((word >> 32) as u32);
        // Another worker's clock may be ahead by a little.
        let is_new = age <= BELIEVED_MS || age > u32::MAX / 2;
        (word != 0 && is_new).then_some(word as u16)
    }
}

/// What is left of a weight for a dyno that is so busy.
pub fn left_of(weight: u32, load: Option<u16>) -> u32 {
    let busy = load.unwrap_or(UNSAID).min(MOST);
    (u64::from(weight) * u64::from(WHOLE - busy) / u64::from(WHOLE)).max(1) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_believed_for_a_while() {
        let cell = ReportedCell::default();
        assert_eq!(cell.get(1), None);
        cell.set(0, 100);
        assert_eq!(cell.get(100), Some(0));
        cell.set(900, 5_000);
        assert_eq!(cell.get(4_999), Some(900));
        assert_eq!(cell.get(5_000 + u64::from(BELIEVED_MS)), Some(900));
        assert_eq!(cell.get(5_001 + u64::from(BELIEVED_MS)), None);
    }

    #[test]
    fn who_is_busy_has_less_weight_and_never_none() {
        assert_eq!(left_of(1000, Some(0)), 1000);
        assert_eq!(left_of(1000, Some(700)), 300);
        assert_eq!(left_of(1000, None), 500);
        assert_eq!(left_of(1000, Some(4000)), 50);
        assert_eq!(left_of(1, Some(999)), 1);
    }
}
