//! Drawing one of many by weight in constant time.
//!
//! The alias method (Walker 1977, as Vose builds it, 1991): every place is shared by at most two,
//! and a draw looks at one place. Invariants: pure; made when the weights change, never for a draw;
//! each is drawn with its part of the weights' sum, to a part in 2^32.

/// The weights of many, ready to be drawn by.
#[derive(Debug, Clone, PartialEq)]
pub struct Alias {
    places: Box<[Place]>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Place {
    /// How often, of 2^32, the place's own is drawn from it.
    own: u64,
    /// Who is drawn otherwise.
    other: u32,
    weight: u32,
}

/// Draws are of so many.
const WHOLE: u64 = 1 << 32;

impl Alias {
    /// Of these weights, each more than 0.
    pub fn new(weights: &[u32]) -> Alias {
        let sum: u64 = weights.iter().map(|weight| u64::from(*weight)).sum();
        let count = weights.len() as u128;
        // What each should have, where a place has room for WHOLE.
        let part = |weight: &u32| {
            let part = u128::from(*weight) * count * u128::from(WHOLE) / u128::from(sum.max(1));
            part as u64
        };
        let mut parts: Vec<u64> = weights.iter().map(part).collect();
        let place =
            |(at, weight): (usize, &u32)| Place { own: WHOLE, other: at as u32, weight: *weight };
        let mut places: Box<[Place]> = weights.iter().enumerate().map(place).collect();
        let (mut small, mut large): (Vec<usize>, Vec<usize>) =
            (0..parts.len()).partition(|at| parts[*at] < WHOLE);
        // Each step fills a place for good, so there are at most as many as places.
        while let (Some(less), Some(more)) = (small.pop(), large.last().copied()) {
            places[less].own = parts[less];
            places[less].other = more as u32;
            parts[more] -= WHOLE - parts[less];
            if parts[more] < WHOLE {
                large.pop();
                small.push(more);
            }
        }
        Alias { places }
    }

    /// Draws one.
    pub fn draw(&self, random: &mut impl FnMut(usize) -> usize) -> usize {
        let at = random(self.places.len());
        let Place { own, other, .. } = self.places[at];
        if own == WHOLE || (random(WHOLE as usize) as u64) < own { at } else { other as usize }
    }

    /// The part of each of the whole.
    pub fn shares(&self) -> impl Iterator<Item = f64> {
        let sum: f64 = self.places.iter().map(|place| f64::from(place.weight)).sum();
        self.places.iter().map(move |place| f64::from(place.weight) / sum)
    }

    /// The weight of one.
    pub fn weight(&self, at: usize) -> u32 {
        self.places[at].weight
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_drawn_by_its_weight() {
        for weights in [&[1u32, 1000, 100, 100, 7][..], &[5, 5, 5], &[3], &[1, 2, 3, 4, 5, 6, 7]] {
            let alias = Alias::new(weights);
            let mut rng = fastrand::Rng::with_seed(11);
            let mut hits = vec![0f64; weights.len()];
            let draws = 200_000;
            for _ in 0..draws {
                hits[alias.draw(&mut |n| rng.usize(..n))] += 1.0 / f64::from(draws);
            }
            let sum: u32 = weights.iter().sum();
            for (hit, weight) in hits.iter().zip(weights) {
                let part = f64::from(*weight) / f64::from(sum);
                assert!((hit - part).abs() < 0.005, "{weights:?} {hits:?}");
            }
        }
    }
}
