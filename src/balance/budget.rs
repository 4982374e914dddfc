//! How many of an app's requests may be sent a second time: so many in a hundred, so that dynos in
//! trouble are not given a multiple of their load.
//!
//! * Every request of the last [`MEMORY_MS`] earns `percent` hundredths of a retry, and every
//!   second earns [`FLOOR`], so that an app with little traffic has some too.
//! * What was earned is worth less the older it is, and nothing after [`MEMORY_MS`].
//!
//! After the retry budgets of Finagle (Twitter, "RetryBudget": a token bucket with a floor).
//! Invariants: pure, the clock and the count of requests are arguments; asked only when a retry is
//! wanted, so that requests that need none pay nothing.

/// How long a request counts.
const MEMORY_MS: u64 = 10_000;
/// Retries that every second earns, whatever the traffic.
const FLOOR: f64 = 10.0;

/// What an app has left.
#[derive(Debug, Clone, Copy, Default)]
pub struct Budget {
    retries: f64,
    asked_ms: u64,
    /// The count of the app's requests when it was asked last.
    begun: u32,
}

impl Budget {
    /// Takes one retry at `now_ms`, if there is one; `begun` counts the app's requests and may
    /// wrap.
    pub fn allows(&mut self, now_ms: u64, begun: u32, percent: u32) -> bool {
        if percent == 0 {
            return false;
        }
        let since_ms = match self.asked_ms {
            0 => MEMORY_MS,
            asked_ms => now_ms.saturating_sub(asked_ms),
        };
        let counted_ms = since_ms.min(MEMORY_MS);
        let fresh = f64::from(begun.wrapping_sub(self.begun)) * share(counted_ms, since_ms);
        let earned = fresh * f64::from(percent) / 100.0 + FLOOR * counted_ms as f64 / 1000.0;
        self.retries = self.retries * share(MEMORY_MS - counted_ms, MEMORY_MS) + earned;
        (self.asked_ms, self.begun) = (now_ms.max(1), begun);
        if self.retries < 1.0 {
            return false;
        }
        self.retries -= 1.0;
        true
    }
}

fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 1.0 } else { part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of `wanted` retries are allowed at once.
    fn allowed(budget: &mut Budget, now_ms: u64, begun: u32, wanted: u32) -> u32 {
        (0..wanted).filter(|_| budget.allows(now_ms, begun, 20)).count() as u32
    }

    #[test]
    fn an_app_without_traffic_has_a_floor() {
        let mut budget = Budget::default();
        assert_eq!(allowed(&mut budget, 50_000, 1, 1000), 100);
        assert_eq!(allowed(&mut budget, 51_000, 1, 1000), 10);
    }

    #[test]
    fn traffic_earns_a_share() {
        let mut budget = Budget::default();
        assert_eq!(allowed(&mut budget, 1_000, 0, 1000), 100);
        assert_eq!(allowed(&mut budget, 3_000, 1_000, 1000), 220);
    }

    #[test]
    fn what_is_older_than_the_memory_is_worth_nothing() {
        let mut budget = Budget::default();
        assert!(budget.allows(1_000, 0, 20));
        let (begun, later) = (1_000_000, 1_001_000);
        assert_eq!(allowed(&mut budget, later, begun, 5000), 2_100, "those of 10 s of 1,000");
    }

    #[test]
    fn a_share_of_nothing_is_nothing_and_the_count_may_wrap() {
        let mut budget = Budget::default();
        assert!(!budget.allows(1_000, u32::MAX, 0));
        assert_eq!(allowed(&mut budget, 1_000, u32::MAX - 10, 0), 0);
        let mut budget = Budget { retries: 0.0, asked_ms: 1_000, begun: u32::MAX };
        assert_eq!(allowed(&mut budget, 1_001, 9, 100), 2);
    }

    #[test]
    fn a_steady_storm_of_faults_is_held_to_the_share() {
        let mut budget = Budget::default();
        let mut allowed = 0;
        for request in 0..100_000u32 {
            allowed += u32::from(budget.allows(1 + u64::from(request), request, 20));
        }
        // A fifth, ten a second for 100 s, and what the first look found.
        assert!((20_900..=21_200).contains(&allowed), "{allowed}");
    }
}
