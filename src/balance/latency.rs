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
/// So many answers make a plain mean before time alone says what one counts: the first of all may
/// be slow for no other reason than that it is the first.
const EARLY: u8 = 15;
/// Figures that differ from the neutral one by less, or by less than half of it, are taken for it,
/// in microseconds: between dynos that are alike it is not for chance to decide.
pub const GRAIN_US: u32 = 1_000;
/// A figure is less than 2^28 microseconds, 4 minutes and a half.
const US_BITS: u32 = 28;
const MOST_US: u32 = (1 << US_BITS) - 1;

/// The figure, and when it was made; it fits into one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Latency {
    /// In microseconds; 0: there is none yet.
    pub us: u32,
    /// When, in milliseconds.
    pub at_ms: u32,
    /// Of how many answers, as far as [`EARLY`] are told apart.
    pub count: u8,
}

impl Latency {
    /// From the word that [`Latency::to_word`] gave.
    pub fn from_word(word: u64) -> Latency {
        let (low, at_ms) = (word as u32, (word >> 32) as u32);
        Latency { us: low & MOST_US, at_ms, count: (low >> US_BITS) as u8 }
    }

    /// As one word.
    pub fn to_word(self) -> u64 {
        let low = self.us | u32::from(self.count) << US_BITS;
        u64::from(low) | u64::from(self.at_ms) << 32
    }

    /// Has it been brought up to this moment, so that an answer makes no difference to it?
    pub fn is_settled(self, now_ms: u64) -> bool {
        self.at_ms == now_ms as u32 && self.count == EARLY
    }

    /// The dyno's figure after an answer that took `us`.
    pub fn after(self, us: u32, now_ms: u64) -> Latency {
        self.toward(us, now_ms, 1.0)
    }

    /// The dyno's figure after a failure that counts as an answer that took `us`.
    pub fn after_failure(self, us: u32, now_ms: u64) -> Latency {
        let us = self.us.max(us).clamp(1, MOST_US);
        Latency { us, at_ms: now_ms as u32, count: self.count }
    }

    /// The neutral figure after the figure of a dyno became `us`.
    pub fn after_one(self, us: u32, now_ms: u64) -> Latency {
        self.toward(us, now_ms, NEUTRAL_STEP)
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
        let grain = i64::from((neutral_us / 2).max(GRAIN_US));
        let left = if left.abs() <= grain { 0 } else { left };
        (i64::from(neutral_us) + left).max(1) as u32
    }

    fn toward(self, us: u32, now_ms: u64, most: f32) -> Latency {
        let us = us.clamp(1, MOST_US);
        let of_time = 1.0 - 1.0 / growth(self.age(now_ms) as f32 / TAU_MS as f32);
        let of_count = if self.count < EARLY { 1.0 / (f32::from(self.count) + 1.0) } else { 0.0 };
        let moved = (us as f32 - self.us as f32) * of_time.min(most).max(of_count);
        let us = if self.us == 0 { us } else { (self.us as f32 + moved) as u32 };
        Latency { us: us.max(1), at_ms: now_ms as u32, count: (self.count + 1).min(EARLY) }
    }

    fn age(self, now_ms: u64) -> u32 {
        let age = (now_ms as u32).wrapping_sub(self.at_ms);
        // Another worker's clock may be ahead by a little.
        if age > u32::MAX / 2 { 0 } else { age }
    }
}

/// e to the power of `x` from 0 on, by the beginning of its series, which is off by little where
/// that matters and the same on every machine.
fn growth(x: f32) -> f32 {
    1.0 + x * (1.0 + x / 2.0 * (1.0 + x / 3.0 * (1.0 + x / 4.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One that has answered often, at that figure.
    fn known(us: u32, at_ms: u32) -> Latency {
        Latency { us, at_ms, count: EARLY }
    }

    #[test]
    fn a_failure_counts_at_once_and_answers_in_time() {
        let quick = known(1_000, 50);
        assert_eq!(quick.after(80_000, 50).us, 1_000, "no time has passed");
        let slow = quick.after_failure(80_000, 60);
        assert_eq!(slow.us, 80_000);
        assert_eq!(slow.after_failure(9_000, 60).us, 80_000);
        let later = slow.after(1_000, 60 + u64::from(TAU_MS));
        assert!((30_000..30_200).contains(&later.us), "1/e of it is left: {later:?}");
    }

    #[test]
    fn what_is_settled_no_answer_changes() {
        let settled = known(1_000, 50);
        assert!(settled.is_settled(50) && !settled.is_settled(51));
        assert_eq!((settled.after(80_000, 50), settled.after_one(80_000, 50)), (settled, settled));
        let early = Latency { count: EARLY - 1, ..settled };
        assert!(!early.is_settled(50), "it counts as one of few");
    }

    #[test]
    fn the_first_answers_make_a_mean() {
        let first = Latency::default().after(90_000, 50);
        assert_eq!(first.us, 90_000);
        let tenth = (0..9).fold(first, |latency, _| latency.after(1_000, 50));
        assert!((9_800..10_000).contains(&tenth.us), "{tenth:?}");
    }

    #[test]
    fn an_old_figure_goes_to_the_neutral_one_from_both_sides() {
        let at = |us, age: u32| known(us, 7).at(7 + u64::from(age), 10_000);
        assert_eq!(at(90_000, 0), 90_000);
        assert_eq!(at(90_000, HALF_LIFE_MS), 50_000);
        assert_eq!(at(90_000, HALF_LIFE_MS / 2), 70_000);
        assert_eq!(at(90_000, 3 * HALF_LIFE_MS), 20_000);
        assert_eq!(at(90_000, 60 * HALF_LIFE_MS), 10_000);
        assert_eq!((at(2_000, 0), at(2_000, HALF_LIFE_MS)), (2_000, 10_000));
    }

    #[test]
    fn what_hardly_differs_is_alike() {
        assert_eq!(known(14_000, 5).at(5, 10_000), 10_000);
        assert_eq!(known(6_000, 5).at(5, 10_000), 10_000);
        assert_eq!(known(16_000, 5).at(5, 10_000), 16_000);
        assert_eq!(known(900, 5).at(5, 100), 100);
        assert_eq!(known(1_200, 5).at(5, 100), 1_200);
    }

    #[test]
    fn a_dyno_of_which_nothing_is_known_is_as_the_others() {
        assert_eq!(Latency::default().at(5, 300), 300);
        assert_eq!(Latency::default().at(5, 0), 0);
        assert_eq!(known(70, 1).at(5, 0), 70);
    }

    #[test]
    fn the_neutral_figure_takes_no_leap() {
        let neutral = Latency::default().after_one(1_000, 10);
        assert_eq!(neutral.us, 1_000);
        assert_eq!(known(1_000, 10).after_one(101_000, 1_000_000).us, 26_000);
        assert!(known(1_000, 10).after_one(101_000, 20).us < 1_200);
    }

    #[test]
    fn the_clock_may_wrap_and_be_a_little_behind() {
        let before = known(9_000, u32::MAX - 1);
        let wrapped = u64::from(u32::MAX) + u64::from(HALF_LIFE_MS) - 1;
        assert_eq!(before.at(wrapped, 1_000), 5_000);
        assert_eq!(known(9_000, 50).at(49, 1_000), 9_000);
        assert_eq!(Latency::from_word(before.to_word()), before);
        assert_eq!(before.after_failure(u32::MAX, 9).us, MOST_US);
    }
}
