//! What a dyno says of its own load, and how long that is believed.
//!
//! Invariants: one word, so that no reader sees half of it; once its time is over it is as if it
//! had not been said.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// How long a dyno's word counts that came with an answer, and any at the least.
pub const BELIEVED_MS: u64 = 10_000;
/// All of a dyno, in the unit in which it is told how much of it is busy.
pub const WHOLE: u16 = 1000;
/// The most of a dyno's weight that its word takes from it, as if it were so busy at most.
const MOST: u16 = 950;
/// How busy a dyno is taken to be that does not say.
const UNSAID: u16 = 500;

/// The last word of a dyno: until when it counts, and in the last 16 bits how busy it is.
#[derive(Debug, Default)]
pub struct ReportedCell(AtomicU64);

impl ReportedCell {
    /// Notes that the dyno said to be so busy, in thousandths, which counts until then.
    pub fn set(&self, load: u16, until_ms: u64) {
        self.0.store(until_ms << 16 | u64::from(load), Relaxed);
    }

    /// How busy it is as far as it said so lately.
    pub fn get(&self, now_ms: u64) -> Option<u16> {
        let word = self.0.load(Relaxed);
        (word >> 16 > now_ms).then_some(word as u16)
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
        assert_eq!(cell.get(0), None);
        cell.set(0, 100);
        assert_eq!((cell.get(99), cell.get(100)), (Some(0), None));
        cell.set(u16::MAX, 5_000);
        assert_eq!((cell.get(4_999), cell.get(5_000)), (Some(u16::MAX), None));
        let month_ms = 30 * 24 * 3_600_000;
        assert_eq!(cell.get(month_ms), None, "however long ago");
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
