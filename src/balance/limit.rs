//! How many exchanges a dyno can have in flight, found out by how long it takes for them.
//!
//! * The answers of a while, a window, have a mean latency; the means of many windows have a slow
//!   average. As long as a window's mean is within [`TOLERANCE`] of the average, the limit grows by
//!   its square root; beyond it, the limit shrinks by as much as the mean is too long.
//! * A limit that is not made use of says nothing and stays.
//! * An average that is far above what is measured now falls faster: a time of overload is
//!   forgotten.
//!
//! After Gradient2 of Netflix's concurrency-limits ("Performance Under Load", 2018), with the
//! queue of its first gradient limit (the square root). Invariants: pure, the clock is an argument;
//! the limit is never less than [`LEAST`] nor more than [`MOST`]; fixed memory.

/// The limit of a dyno of which nothing is known.
pub const START: u32 = 20;
/// The least limit.
pub const LEAST: u32 = 1;
/// The greatest limit.
pub const MOST: u32 = 1000;
/// How much longer than the average a window may take before the limit shrinks.
const TOLERANCE: f32 = 1.5;
/// The most that one window shrinks the limit to, of itself, before it is smoothed.
const STEEPEST: f32 = 0.5;
/// How much of a step is taken.
const SMOOTHING: f32 = 0.2;
/// How long a window is at least, in milliseconds.
const WINDOW_MS: u64 = 100;
/// How many answers it has at least.
const WINDOW_ANSWERS: u32 = 10;
/// Over how many windows the average goes.
const AVERAGE: f32 = 600.0;
/// Of so many windows the average is the plain mean.
const WARM_UP: u32 = 10;

/// What is known of a dyno's limit.
#[derive(Debug, Clone, PartialEq)]
pub struct Limit {
    limit: f32,
    average_us: f32,
    windows: u32,
    window: Window,
}

#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Window {
    began_ms: u64,
    answers: u32,
    sum_us: f32,
    in_flight: u32,
}

impl Default for Limit {
    fn default() -> Self {
        let window = Window::default();
        Limit { limit: START as f32, average_us: 0.0, windows: 0, window }
    }
}

impl Limit {
    /// The limit.
    pub fn get(&self) -> u32 {
        self.limit as u32
    }

    /// Takes in an answer that came after `latency_us`, at `now_ms`, with so many in flight.
    pub fn take(&mut self, latency_us: u32, in_flight: u32, now_ms: u64) {
        let window = &mut self.window;
        if window.answers == 0 {
            window.began_ms = now_ms;
        }
        window.answers += 1;
        window.sum_us += latency_us as f32;
        window.in_flight = window.in_flight.max(in_flight);
        let is_long = now_ms.saturating_sub(window.began_ms) >= WINDOW_MS;
        if is_long && window.answers >= WINDOW_ANSWERS {
            let window = std::mem::take(window);
            self.judge(window.sum_us / window.answers as f32, window.in_flight);
        }
    }

    fn judge(&mut self, mean_us: f32, in_flight: u32) {
        let mean_us = mean_us.max(1.0);
        self.windows = self.windows.saturating_add(1);
        let share = if self.windows <= WARM_UP { 1.0 / self.windows as f32 } else { 2.0 / AVERAGE };
        self.average_us += (mean_us - self.average_us) * share;
        if self.average_us > 2.0 * mean_us {
            self.average_us *= 0.95;
        }
        let gradient = (TOLERANCE * self.average_us / mean_us).clamp(STEEPEST, 1.0);
        if gradient == 1.0 && (in_flight as f32) < self.limit / 2.0 {
            return;
        }
        let next = self.limit * gradient + self.limit.sqrt();
        let next = self.limit + (next - self.limit) * SMOOTHING;
        self.limit = next.clamp(LEAST as f32, MOST as f32);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A dyno that has `threads`, each of which takes 10 ms for an answer: what a window of full
    /// use does to its limit, so many times.
    fn use_fully(limit: &mut Limit, threads: u32, windows: u32, now_ms: &mut u64) {
        for _ in 0..windows {
            let in_flight = limit.get();
            let latency_us = 10_000 * in_flight.max(threads) / threads;
            for _ in 0..WINDOW_ANSWERS {
                limit.take(latency_us, in_flight, *now_ms);
                *now_ms += WINDOW_MS / 5;
            }
        }
    }

    /// One that has been used by a few.
    fn known(threads: u32) -> (Limit, u64) {
        let (mut limit, mut now_ms) = (Limit::default(), 1);
        for _ in 0..100 * WINDOW_ANSWERS {
            limit.take(10_000, threads / 4, now_ms);
            now_ms += WINDOW_MS / 5;
        }
        (limit, now_ms)
    }

    #[test]
    fn a_limit_that_nobody_comes_near_stays() {
        assert_eq!(known(8).0.get(), START);
    }

    #[test]
    fn a_dyno_that_has_room_is_given_more() {
        let (mut limit, mut now_ms) = known(64);
        use_fully(&mut limit, 64, 60, &mut now_ms);
        assert!((48..200).contains(&limit.get()), "{}", limit.get());
    }

    #[test]
    fn a_dyno_that_is_overrun_is_given_less() {
        for threads in [1, 4] {
            let (mut limit, mut now_ms) = known(threads);
            use_fully(&mut limit, threads, 60, &mut now_ms);
            let most = threads * 4 + 2;
            assert!((1..=most).contains(&limit.get()), "{threads}: {}", limit.get());
        }
    }

    #[test]
    fn a_dyno_that_becomes_slow_is_given_less_and_afterwards_more_again() {
        let (mut limit, mut now_ms) = known(64);
        use_fully(&mut limit, 64, 60, &mut now_ms);
        let before = limit.get();
        use_fully(&mut limit, 4, 60, &mut now_ms);
        let slow = limit.get();
        assert!(slow < before / 2, "{before} {slow}");
        use_fully(&mut limit, 64, 60, &mut now_ms);
        assert!(limit.get() > slow * 2, "{slow} {}", limit.get());
    }

    #[test]
    fn a_window_is_long_enough_and_has_enough_answers() {
        let mut limit = Limit::default();
        (0..1000).for_each(|_| limit.take(1000, 20, 5));
        assert_eq!(limit.windows, 0, "no time passed");
        limit.take(1000, 20, 5 + WINDOW_MS);
        assert_eq!(limit.windows, 1);
        (0..WINDOW_ANSWERS - 1).for_each(|i| limit.take(1000, 20, 1000 * u64::from(i + 1)));
        assert_eq!(limit.windows, 1, "too few");
    }

    proptest! {
        #[test]
        fn whatever_comes_the_limit_is_within_its_bounds(
            answers in prop::collection::vec((any::<u32>(), any::<u32>(), 0..1000u64), 0..2000),
        ) {
            let (mut limit, mut now_ms) = (Limit::default(), 0);
            for (latency_us, in_flight, pause_ms) in answers {
                now_ms += pause_ms;
                limit.take(latency_us, in_flight, now_ms);
                prop_assert!((LEAST..=MOST).contains(&limit.get()));
            }
        }
    }
}
