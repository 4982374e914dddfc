//! Keys with a moment each, to be had in the order of their moments.
//!
//! Invariants: pure, the clock is the caller's; a key has one moment at most; setting and removing
//! cost the logarithm of how many there are, and it holds no more than the keys that it was given.

use std::{
    collections::{BTreeSet, HashMap},
    hash::Hash,
    time::Instant,
};

/// Keys by their moments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Times<K: Ord + Hash> {
    of: HashMap<K, Instant>,
    order: BTreeSet<(Instant, K)>,
}

impl<K: Ord + Hash> Default for Times<K> {
    fn default() -> Times<K> {
        Times { of: HashMap::new(), order: BTreeSet::new() }
    }
}

impl<K: Ord + Hash + Clone> Times<K> {
    /// Gives a key a moment, or takes it away; answers the one that it had.
    pub fn set(&mut self, key: &K, at: Option<Instant>) -> Option<Instant> {
        let had = match at {
            Some(at) => {
                self.order.insert((at, key.clone()));
                self.of.insert(key.clone(), at)
            }
            None => self.of.remove(key),
        };
        if let Some(had) = had.filter(|had| Some(*had) != at) {
            self.order.remove(&(had, key.clone()));
        }
        had
    }

    /// The moment of a key.
    pub fn get(&self, key: &K) -> Option<Instant> {
        self.of.get(key).copied()
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.of.len()
    }

    /// The earliest moment.
    pub fn first(&self) -> Option<Instant> {
        self.order.first().map(|(at, _)| *at)
    }

    /// The keys whose moment has come, the earliest first.
    pub fn due(&self, now: Instant) -> impl Iterator<Item = &K> {
        self.order.iter().take_while(move |(at, _)| *at <= now).map(|(_, key)| key)
    }

    /// Forgets the keys whose moment has come.
    pub fn forget_due(&mut self, now: Instant) {
        while self.first().is_some_and(|at| at <= now) {
            self.forget_first();
        }
    }

    /// Forgets the earliest.
    pub fn forget_first(&mut self) {
        if let Some((_, key)) = self.order.pop_first() {
            self.of.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, time::Duration};

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn keys_come_in_the_order_of_their_moments(
            steps in proptest::collection::vec((0_u8..6, proptest::option::of(0_u64..9)), 0..60),
            until in 0_u64..9,
        ) {
            let start = Instant::now();
            let at = |ms: u64| start + Duration::from_millis(ms);
            let (mut times, mut model) = (Times::default(), BTreeMap::new());
            for (key, ms) in steps {
                let had = match ms {
                    Some(ms) => model.insert(key, ms),
                    None => model.remove(&key),
                };
                prop_assert_eq!(times.set(&key, ms.map(at)), had.map(at));
                prop_assert_eq!(times.get(&key), ms.map(at));
            }
            let mut sorted: Vec<_> = model.iter().map(|(key, ms)| (*ms, *key)).collect();
            sorted.sort_unstable();
            prop_assert_eq!(times.first(), sorted.first().map(|(ms, _)| at(*ms)));
            prop_assert_eq!(times.len(), sorted.len());
            let due: Vec<_> = sorted.iter().filter(|(ms, _)| *ms <= until).collect();
            let told: Vec<u8> = times.due(at(until)).copied().collect();
            prop_assert_eq!(told, due.iter().map(|(_, key)| *key).collect::<Vec<_>>());
            times.forget_due(at(until));
            prop_assert_eq!(times.len(), sorted.len() - due.len());
            prop_assert!(times.first().is_none_or(|first| first > at(until)));
            prop_assert_eq!(times.of.len(), times.order.len());
        }
    }
}
