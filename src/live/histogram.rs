//! How long things took, counted in fixed memory: buckets that grow with what they hold.
//!
//! Below 128 µs a bucket is 16 µs wide; above, each doubling has [`STEPS`] buckets, as in an HDR
//! histogram (Tene) of three bits. Invariants: every number of microseconds has one bucket, and
//! the middle of it is at most 1/16 off, or 8 µs where that is more; what is counted is told by the
//! middle of its bucket; counting is one atomic step.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

/// Buckets to a doubling.
const STEPS: usize = 8;
/// The width of the first ones is 2 to the power of this, in microseconds.
const UNIT_BITS: u32 = 4;
/// How many there are: enough for every `u32`.
pub const BUCKETS: usize = STEPS * 26;

/// Where a number of microseconds is counted.
pub fn bucket(us: u32) -> usize {
    let units = us >> UNIT_BITS;
    if units < STEPS as u32 {
        return units as usize;
    }
    let doubling = units.ilog2();
    let step = (units >> (doubling - STEPS.ilog2())) as usize % STEPS;
    (doubling - STEPS.ilog2() + 1) as usize * STEPS + step
}

/// The middle of a bucket, in microseconds.
fn middle(bucket: usize) -> u64 {
    let (doubling, step) = ((bucket / STEPS) as u32, (bucket % STEPS) as u64);
    let (from, width) = match doubling {
        0 => (step, 1),
        _ => ((STEPS as u64 + step) << (doubling - 1), 1 << (doubling - 1)),
    };
    (((2 * from + width) << UNIT_BITS) - 1).div_ceil(2)
}

/// A count that a bucket can be.
pub trait Count: Default {
    /// Counts `more`.
    fn add(&self, more: u64);
    /// How many there are.
    fn get(&self) -> u64;
    /// How many there were: there are none any more.
    fn take(&self) -> u64;
}

impl Count for AtomicU32 {
    fn add(&self, more: u64) {
        self.fetch_add(more as u32, Relaxed);
    }

    fn get(&self) -> u64 {
        self.load(Relaxed).into()
    }

    fn take(&self) -> u64 {
        self.swap(0, Relaxed).into()
    }
}

impl Count for AtomicU64 {
    fn add(&self, more: u64) {
        self.fetch_add(more, Relaxed);
    }

    fn get(&self) -> u64 {
        self.load(Relaxed)
    }

    fn take(&self) -> u64 {
        self.swap(0, Relaxed)
    }
}

/// Buckets that several threads count into.
#[derive(Debug)]
pub struct Histogram<C>([C; BUCKETS]);

impl<C: Count> Default for Histogram<C> {
    fn default() -> Self {
        Histogram(std::array::from_fn(|_| C::default()))
    }
}

impl<C: Count> Histogram<C> {
    /// Counts a number of microseconds.
    pub fn count(&self, us: u32) {
        self.0[bucket(us)].add(1);
    }

    /// Moves what was counted; what is counted meanwhile is moved or stays, and is never lost.
    pub fn move_to(&self, to: &Histogram<AtomicU64>) {
        // Most buckets are empty, and looking is cheap.
        for (from, to) in self.0.iter().zip(&to.0).filter(|(from, _)| from.get() != 0) {
            to.add(from.take());
        }
    }

    /// What was counted, beside what `to` holds.
    pub fn add_to(&self, to: &mut Distribution) {
        to.counts.iter_mut().zip(&self.0).for_each(|(sum, count)| *sum += count.get());
    }
}

/// What was counted, at rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Distribution {
    counts: Box<[u64; BUCKETS]>,
}

impl Default for Distribution {
    fn default() -> Self {
        Distribution { counts: Box::new([0; BUCKETS]) }
    }
}

impl Distribution {
    /// How many were counted.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Says that there were `count` in all: those that were not counted took no time.
    pub fn of_all(&mut self, count: u64) {
        self.counts[0] += count.saturating_sub(self.count());
    }

    /// All of them together, in microseconds, each by the middle of its bucket.
    pub fn sum_us(&self) -> u64 {
        let of = |(bucket, count): (usize, &u64)| told(bucket).saturating_mul(*count);
        self.counts.iter().enumerate().map(of).fold(0, u64::saturating_add)
    }

    /// So many microseconds, or fewer, took this share of them, 0 to 1; none if there is none.
    pub fn quantile_us(&self, share: f64) -> Option<u64> {
        let count = self.count();
        // The nearest rank: the first of one, the 99th of a hundred at 0.99.
        let rank = ((share * count as f64).ceil() as u64).clamp(1, count.max(1));
        let mut before = 0;
        let reaches = |count: &u64| {
            before += count;
            before >= rank
        };
        self.counts.iter().position(reaches).map(told)
    }

    /// How many took so many microseconds or fewer, a bucket counting by its middle.
    pub fn within(&self, us: u64) -> u64 {
        let is_within = |(bucket, _): &(usize, &u64)| told(*bucket) <= us;
        self.counts.iter().enumerate().take_while(is_within).map(|(_, count)| count).sum()
    }
}

/// What is told of a bucket: the first one is for what took no time to speak of.
fn told(bucket: usize) -> u64 {
    if bucket == 0 { 0 } else { middle(bucket) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(times: &[u32]) -> Distribution {
        let histogram = Histogram::<AtomicU64>::default();
        times.iter().for_each(|us| histogram.count(*us));
        let mut distribution = Distribution::default();
        histogram.add_to(&mut distribution);
        distribution
    }

    #[test]
    fn buckets_follow_one_another_without_a_gap() {
        let mut last = 0;
        for us in 0..200_000 {
            let at = bucket(us);
            assert!(at == last || at == last + 1, "{us}");
            last = at;
        }
        assert_eq!(bucket(u32::MAX), BUCKETS - 1);
        assert!((1..BUCKETS).all(|at| bucket(middle(at) as u32) == at));
    }

    proptest! {
        #[test]
        fn a_bucket_is_off_by_a_sixteenth_at_most(bits in 0u32..32, of_all: u32) {
            let us = of_all >> bits;
            let off = middle(bucket(us)).abs_diff(us.into());
            prop_assert!(off <= 8 || off * 16 <= us.into(), "{} is off by {}", us, off);
        }

        #[test]
        fn a_quantile_is_that_of_the_sorted_times(
            mut times in proptest::collection::vec(128u32..100_000_000, 1..300),
            share in 0.0f64..1.0,
        ) {
            let told = of(&times).quantile_us(share).unwrap();
            times.sort_unstable();
            let rank = ((share * times.len() as f64).ceil() as usize).max(1);
            let exact = u64::from(times[rank - 1]);
            prop_assert!(told.abs_diff(exact) * 16 <= exact, "{} for {}", told, exact);
        }
    }

    #[test]
    fn of_none_there_is_no_quantile_and_what_took_no_time_counts() {
        assert_eq!(of(&[]).quantile_us(0.5), None);
        let mut some = of(&[1_000_000]);
        some.of_all(100);
        assert_eq!((some.count(), some.quantile_us(0.99), some.within(0)), (100, Some(0), 99));
        assert!(some.quantile_us(1.0).unwrap().abs_diff(1_000_000) <= 1_000_000 / 16);
        assert!(some.sum_us().abs_diff(1_000_000) <= 1_000_000 / 16);
    }

    #[test]
    fn what_is_moved_is_counted_once() {
        let (from, to) = (Histogram::<AtomicU32>::default(), Histogram::<AtomicU64>::default());
        let moved = || {
            let mut sum = Distribution::default();
            to.add_to(&mut sum);
            sum.count()
        };
        std::thread::scope(|scope| {
            let counting = || (0..50_000).for_each(|us| from.count(us % 4_000));
            let counters = [scope.spawn(counting), scope.spawn(counting)];
            while !counters.iter().all(|counter| counter.is_finished()) {
                from.move_to(&to);
            }
        });
        from.move_to(&to);
        assert_eq!(moved(), 100_000);
    }
}
