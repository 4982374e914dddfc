//! How long a dyno takes, as one figure: it rises with a failure at once, follows its answers in
//! time, and is believed less the older it is.
//!
//! After the moving average of Finagle (Twitter, "PeakEwma"), with two differences. What leaps to
//! the peak there is here a failure alone: an answer that is slow as one of many is no fault of
//! its dyno, and an average that leaps for it was worse than one that does not in every situation
//! of `tests/sim`. And a figure that no answer renews goes to the *neutral* one, an average over
//! all dynos of the app, so that neither a dyno that was slow once is shunned for ever, nor one
//! that is new or idle takes for free what the others must be measured for. Invariants: pure;
//! times are milliseconds of the process's clock, of which the lower half is kept, latencies
//! microseconds.

/// In what time an answer's part of the figure falls to 1/e where others follow it.
pub const TAU_MS: u32 = 10_000;
/// In what time a figure without answers comes half the way to the neutral one.
pub const HALF_LIFE_MS: u32 = 5_000;
/// The most of itself that one answer can make the neutral figure give up.
const NEUTRAL_STEP: f32 = 0.25;

/// The figure, and when it was made; it fits into one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Latency {
    /// In microseconds; 0: there is none yet.
    pub us: u32,
    /// When, in milliseconds.
    pub at_ms: u32,
}

impl Latency {
    /// From the word that [`Latency::to_word`] gave.
    pub fn from_word(word: u64) -> Latency {
        Latency { us: word as u32, at_ms: (word >> 32) as u32 }
    }

    /// As one word.
    pub fn to_word(self) -> u64 {
        u64::from(self.us) | u64::from(self.at_ms) << 32
    }

    /// The dyno's figure after an answer that took `us`.
    pub fn after(self, us: u32, now_ms: u64) -> Latency {
        let us = us.max(1);
        let us = if self.us == 0 { us } else { self.toward(us, now_ms, 1.0) };
        Latency { us, at_ms: now_ms as u32 }
    }

    /// The dyno's figure after a failure that counts as an answer that took `us`.
    pub fn after_failure(self, us: u32, now_ms: u64) -> Latency {
        Latency { us: self.us.max(us), at_ms: now_ms as u32 }
    }

    /// The neutral figure after the figure of a dyno became `us`.
    pub fn after_one(self, us: u32, now_ms: u64) -> Latency {
        let us = if self.us == 0 { us } else { self.toward(us, now_ms, NEUTRAL_STEP) };
        Latency { us, at_ms: now_ms as u32 }
    }

    /// What is to be believed of the dyno's figure at `now_ms`; 0 if there is none, nor a neutral
    /// one.
    pub fn at(self, now_ms: u64, neutral_us: u32) -> u32 {
        if self.us == 0 || neutral_us == 0 {
            return self.us.max(neutral_us);
        }
        // Halved for every half-life, and on a straight line between.
        let age = self.age(now_ms);
        let (halvings, rest) = (age / HALF_LIFE_MS, age % HALF_LIFE_MS);
        let excess = (i64::from(self.us) - i64::from(neutral_us)) >> halvings.min(40);
        let left = excess - excess * i64::from(rest) / i64::from(2 * HALF_LIFE_MS);
        (i64::from(neutral_us) + left).max(1) as u32
    }

    fn toward(self, us: u32, now_ms: u64, most: f32) -> u32 {
        let part = 1.0 - (-(self.age(now_ms) as f32) / TAU_MS as f32).exp();
        let moved = (us as f32 - self.us as f32) * part.min(most);
        (self.us as f32 + moved) as u32
    }

    fn age(self, now_ms: u64) -> u32 {
        let age = (now_ms as u32).wrapping_sub(self.at_ms);
        // Another worker's clock may be ahead by a little.
        if age > u32::MAX / 2 { 0 } else { age }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_counts_at_once_and_answers_in_time() {
        let quick = Latency::default().after(1_000, 50);
        assert_eq!(quick.us, 1_000);
        assert_eq!(quick.after(80_000, 50).us, 1_000, "no time has passed");
        let slow = quick.after_failure(80_000, 60);
        assert_eq!(slow.us, 80_000);
        assert_eq!(slow.after_failure(9_000, 60).us, 80_000);
        let later = slow.after(1_000, 60 + u64::from(TAU_MS));
        assert!((30_000..30_200).contains(&later.us), "1/e of it is left: {later:?}");
    }

    #[test]
    fn an_old_figure_goes_to_the_neutral_one_from_both_sides() {
        let at = |us, age: u32| Latency { us, at_ms: 7 }.at(7 + u64::from(age), 10_000);
        assert_eq!(at(90_000, 0), 90_000);
        assert_eq!(at(90_000, HALF_LIFE_MS), 50_000);
        assert_eq!(at(90_000, HALF_LIFE_MS / 2), 70_000);
        assert_eq!(at(90_000, 3 * HALF_LIFE_MS), 20_000);
        assert_eq!(at(90_000, 60 * HALF_LIFE_MS), 10_000);
        assert_eq!(at(2_000, HALF_LIFE_MS), 6_000);
    }

    #[test]
    fn a_dyno_of_which_nothing_is_known_is_as_the_others() {
        assert_eq!(Latency::default().at(5, 300), 300);
        assert_eq!(Latency::default().at(5, 0), 0);
        assert_eq!(Latency { us: 70, at_ms: 1 }.at(5, 0), 70);
    }

    #[test]
    fn the_neutral_figure_takes_no_leap() {
        let neutral = Latency::default().after_one(1_000, 10);
        assert_eq!(neutral.us, 1_000);
        assert_eq!(neutral.after_one(101_000, 1_000_000).us, 26_000);
        assert!(neutral.after_one(101_000, 20).us < 1_200);
    }

    #[test]
    fn the_clock_may_wrap_and_be_a_little_behind() {
        let before = Latency { us: 9_000, at_ms: u32::MAX - 1 };
        let wrapped = u64::from(u32::MAX) + u64::from(HALF_LIFE_MS) - 1;
        assert_eq!(before.at(wrapped, 1_000), 5_000);
        assert_eq!(Latency { us: 9_000, at_ms: 50 }.at(49, 1_000), 9_000);
        assert_eq!(Latency::from_word(before.to_word()), before);
    }
}
