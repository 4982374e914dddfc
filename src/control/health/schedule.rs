//! When which dyno is asked next: pure, the clock and random numbers are arguments.
//!
//! A dyno that is there when the router starts is first asked within its interval, so that not all
//! are at once; one that is new at once, and every [`PROVING`] until it is proven.
//! Invariants: a dyno has one place, and while it is being asked none; who is due longest comes
//! first, so that where there is no time for all each is asked more seldom and none never.

use std::{
    collections::{BTreeSet, HashMap},
    hash::Hash,
    time::Duration,
};

use super::settings::Checks;

/// How often a dyno is asked that nobody has answered for yet, at the least.
pub const PROVING: Duration = Duration::from_secs(1);

/// The places of all dynos that are asked.
#[derive(Debug)]
pub struct Schedule<K> {
    due: BTreeSet<(u64, K)>,
    /// When each is due; none while it is being asked.
    places: HashMap<K, Option<u64>>,
}

impl<K> Default for Schedule<K> {
    fn default() -> Self {
        Schedule { due: BTreeSet::new(), places: HashMap::new() }
    }
}

impl<K: Ord + Hash + Clone> Schedule<K> {
    /// Asks that one too, first at `due_ms`; nothing changes for one that is asked already.
    pub fn add(&mut self, key: K, due_ms: u64) {
        if !self.places.contains_key(&key) {
            self.due.insert((due_ms, key.clone()));
            self.places.insert(key, Some(due_ms));
        }
    }

    /// Asks that one no more.
    pub fn remove(&mut self, key: &K) {
        if let Some(Some(due_ms)) = self.places.remove(key) {
            self.due.remove(&(due_ms, key.clone()));
        }
    }

    /// When the next is due.
    pub fn next_ms(&self) -> Option<u64> {
        self.due.first().map(|(due_ms, _)| *due_ms)
    }

    /// Takes the one that is due longest at `now_ms`, to be asked.
    pub fn take(&mut self, now_ms: u64) -> Option<K> {
        self.next_ms().filter(|due_ms| *due_ms <= now_ms)?;
        let (_, key) = self.due.pop_first()?;
        self.places.insert(key.clone(), None);
        Some(key)
    }

    /// That one was asked, and is again at `due_ms`, unless it was removed meanwhile.
    pub fn put_back(&mut self, key: K, due_ms: u64) {
        if let Some(place @ None) = self.places.get_mut(&key) {
            *place = Some(due_ms);
            self.due.insert((due_ms, key));
        }
    }

    /// How many are asked.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Is none asked?
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }
}

/// How long after one check of a dyno the next is; `random` is from 0 to 1.
pub fn pause(checks: &Checks, is_proven: bool, random: f64) -> Duration {
    let interval = if is_proven { checks.interval } else { checks.interval.min(PROVING) };
    let jitter = f64::from(checks.jitter) / 100.0;
    interval.mul_f64(1.0 + jitter * (random - 0.5))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn who_is_due_longest_comes_first_and_none_before_its_time() {
        let mut schedule = Schedule::default();
        schedule.add("late", 300);
        schedule.add("early", 100);
        assert_eq!((schedule.take(99), schedule.next_ms()), (None, Some(100)));
        assert_eq!((schedule.take(400), schedule.take(400)), (Some("early"), Some("late")));
        assert_eq!(schedule.take(400), None, "both are being asked");
        schedule.put_back("early", 500);
        assert_eq!((schedule.take(499), schedule.take(500)), (None, Some("early")));
    }

    #[test]
    fn who_is_removed_while_it_is_asked_does_not_come_back() {
        let mut schedule = Schedule::default();
        schedule.add(1, 0);
        assert_eq!(schedule.take(0), Some(1));
        schedule.remove(&1);
        schedule.put_back(1, 5);
        assert!(schedule.is_empty() && schedule.next_ms().is_none());
    }

    #[test]
    fn a_check_is_moved_by_its_jitter_and_a_new_dyno_is_asked_often() {
        let checks = Checks { jitter: 20, ..Checks::default() };
        let ms = |is_proven, random| pause(&checks, is_proven, random).as_millis();
        assert_eq!([0.0, 0.5, 1.0].map(|random| ms(true, random)), [9_000, 10_000, 11_000]);
        assert_eq!(ms(false, 0.5), 1_000);
    }

    proptest! {
        /// Whatever is added, asked and removed: everybody has one place.
        #[test]
        fn nobody_is_lost_or_there_twice(
            steps in proptest::collection::vec((0u8..4, 0u8..8, 0u64..50), 0..200),
        ) {
            let (mut schedule, mut now_ms) = (Schedule::default(), 0);
            let mut asked: Vec<u8> = Vec::new();
            for (what, key, later) in steps {
                now_ms += later;
                match what {
                    0 => schedule.add(key, now_ms + later),
                    1 => schedule.remove(&key),
                    2 => asked.extend(schedule.take(now_ms)),
                    _ => {
                        if let Some(key) = asked.pop() {
                            schedule.put_back(key, now_ms + later);
                        }
                    }
                }
                let placed = schedule.places.values().flatten().count();
                prop_assert_eq!(placed, schedule.due.len());
                for (due_ms, key) in &schedule.due {
                    prop_assert_eq!(schedule.places.get(key), Some(&Some(*due_ms)));
                }
            }
        }
    }
}
