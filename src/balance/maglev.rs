//! A table that says whose a hash is, and changes little when one of many comes or goes.
//!
//! Maglev's (Eisenbud and others, "Maglev: A Fast and Reliable Software Network Load Balancer",
//! NSDI 2016, section 3.4): each has an order of its own of all places, and takes the next free one
//! of it in turn, more often the more it weighs. `benches/hash.rs` has it beside a ring of points.
//! Invariants: pure; the same names and weights give the same table everywhere; everybody has its
//! part of the places by weight, to one place and what rounding takes.

/// Sizes of a table: primes, so that every order meets every place.
const SIZES: [usize; 5] = [251, 1021, 4093, 16_381, 65_521];
/// So many places has each, if a table of that size there is.
const EACH: usize = 100;

/// Whose a hash is.
#[derive(Debug, Clone, PartialEq)]
pub struct Maglev {
    places: Box<[u16]>,
}

impl Maglev {
    /// The table of these, each by the hash of its name and its weight; none for none of them, nor
    /// for more than it has places for.
    pub fn new(names: &[u64], weights: &[u32]) -> Option<Maglev> {
        let count = names.len();
        let last = *SIZES.last()?;
        if count == 0 || count > last / 2 {
            return None;
        }
        let size = SIZES.into_iter().find(|size| *size >= count * EACH).unwrap_or(last);
        let most = u64::from(*weights.iter().max()?);
        let mut orders: Vec<Order> = names
            .iter()
            .zip(weights)
            .map(|(name, weight)| Order::new(*name, *weight, size))
            .collect();
        let mut places = vec![u16::MAX; size].into_boxed_slice();
        let mut free = size;
        // Each round the heaviest takes a place, so there are at most `size` of them.
        for round in 1.. {
            for (at, order) in orders.iter_mut().enumerate() {
                if order.taken * most >= round * order.weight {
                    continue;
                }
                places[order.next_free(&places)] = at as u16;
                order.taken += 1;
                free -= 1;
                if free == 0 {
                    return Some(Maglev { places });
                }
            }
        }
        unreachable!("a round that ends leaves places free, and the next takes one")
    }

    /// Whose the hash is.
    pub fn find(&self, hash: u64) -> usize {
        // The upper half of the product is spread as evenly as the hash, without a division.
        let place = (u128::from(hash) * self.places.len() as u128) >> 64;
        usize::from(self.places[place as usize])
    }

    /// How much memory it takes, in bytes.
    pub fn bytes(&self) -> usize {
        std::mem::size_of_val(&*self.places)
    }
}

/// The order in which one would take the places.
struct Order {
    weight: u64,
    taken: u64,
    next: usize,
    skip: usize,
}

impl Order {
    fn new(name: u64, weight: u32, size: usize) -> Order {
        let second = mix(name ^ 0x9e37_79b9_7f4a_7c15);
        Order {
            weight: u64::from(weight),
            taken: 0,
            next: (name % size as u64) as usize,
            skip: (second % (size as u64 - 1)) as usize + 1,
        }
    }

    fn next_free(&mut self, places: &[u16]) -> usize {
        loop {
            let at = self.next;
            self.next = (self.next + self.skip) % places.len();
            if places[at] == u16::MAX {
                return at;
            }
        }
    }
}

/// The hash of some bytes: the same in every router and release. FNV-1a (Fowler, Noll, Vo), and
/// [`mix`] behind it, since the upper bits of a short text's are poor.
pub fn hash(bytes: &[u8]) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    mix(bytes.iter().fold(0xcbf2_9ce4_8422_2325, step))
}

/// Another number of a number, every bit of which depends on all of its bits (Steele and others,
/// "Fast Splittable Pseudorandom Number Generators", 2014).
pub fn mix(number: u64) -> u64 {
    let number = (number ^ number >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ number >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ number >> 31
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(count: usize) -> Vec<u64> {
        (0..count).map(|n| hash(format!("web.{n}").as_bytes())).collect()
    }

    /// The part of all places that each has.
    fn parts(table: &Maglev, count: usize) -> Vec<f64> {
        let mut parts = vec![0.0; count];
        table.places.iter().for_each(|at| parts[usize::from(*at)] += 1.0);
        parts.iter().map(|part| part / table.places.len() as f64).collect()
    }

    #[test]
    fn everybody_has_its_part() {
        for count in [1, 2, 5, 10, 100, 700] {
            let table = Maglev::new(&names(count), &vec![100; count]).unwrap();
            let part = 1.0 / count as f64;
            let near = |of: &f64| (of - part).abs() <= 1.0 / table.places.len() as f64;
            assert!(parts(&table, count).iter().all(near), "{count}");
        }
        let table = Maglev::new(&names(3), &[100, 300, 600]).unwrap();
        let parts = parts(&table, 3);
        for (part, should) in parts.iter().zip([0.1, 0.3, 0.6]) {
            assert!((part - should).abs() < 0.01, "{parts:?}");
        }
    }

    #[test]
    fn one_that_leaves_moves_little_but_its_own() {
        for count in [5, 20, 100] {
            let (all, weights) = (names(count), vec![100; count]);
            let before = Maglev::new(&all, &weights).unwrap();
            let after = Maglev::new(&all[1..], &weights[1..]).unwrap();
            let mut rng = fastrand::Rng::with_seed(3);
            let (keys, mut moved) = (20_000, 0);
            for _ in 0..keys {
                let key = rng.u64(..);
                let (was, is) = (before.find(key), after.find(key) + 1);
                moved += u32::from(was != 0 && was != is);
            }
            // Those of the one that left are not counted: 1 of `count`.
            let part = f64::from(moved) / f64::from(keys);
            assert!(part < 1.5 / count as f64 && part < 0.05, "{count}: {part}");
        }
    }

    #[test]
    fn what_is_too_much_for_a_table_has_none() {
        assert_eq!(Maglev::new(&[], &[]), None);
        assert_eq!(Maglev::new(&vec![0; 40_000], &vec![1; 40_000]), None);
        let table = Maglev::new(&names(30_000), &vec![100; 30_000]).unwrap();
        assert!(parts(&table, 30_000).iter().all(|part| *part > 0.0));
    }
}
