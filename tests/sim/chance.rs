//! Random arrivals and amounts of work, all from one seed.
//!
//! Invariants: arrivals and work have a stream of their own, so that every algorithm of a scenario
//! serves the same requests; amounts are whole microseconds, so that the last digit of a machine's
//! logarithm changes nothing.

use fastrand::Rng;

/// How much work requests are, in microseconds on a dyno of the usual pace.
#[derive(Debug, Clone, Copy)]
pub enum Work {
    /// Lognormal: its median, and the deviation of its logarithm.
    Lognormal(f64, f64),
    /// Bounded Pareto: the least, the most, and how fast the tail thins out.
    Pareto(f64, f64, f64),
}

impl Work {
    /// The work of one request.
    pub fn draw(self, rng: &mut Rng) -> u64 {
        let amount = match self {
            Work::Lognormal(median, deviation) => median * (deviation * normal(rng)).exp(),
            Work::Pareto(least, most, tail) => {
                let (low, high) = (least.powf(-tail), most.powf(-tail));
                (low - rng.f64() * (low - high)).powf(-1.0 / tail)
            }
        };
        (amount.round() as u64).max(1)
    }

    /// The mean of many.
    pub fn mean(self) -> f64 {
        match self {
            Work::Lognormal(median, deviation) => median * (deviation * deviation / 2.0).exp(),
            Work::Pareto(least, most, tail) => {
                let ratio = (least / most).powf(tail);
                least.powf(tail) / (1.0 - ratio) * tail / (tail - 1.0)
                    * (least.powf(1.0 - tail) - most.powf(1.0 - tail))
            }
        }
    }
}

/// Who asks, as a hash: of a thousand clients the first asks twice as often as the second, three
/// times as often as the third (Zipf).
pub fn client(rng: &mut Rng) -> u64 {
    const CLIENTS: f64 = 1000.0;
    // The rank by which a share of all requests is passed: the sum to n is about ln n + 0.577.
    let rank = (rng.f64() * (CLIENTS.ln() + 0.577) - 0.577).exp().ceil().max(1.0);
    (rank as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// Between two arrivals of a Poisson process, or any memoryless time, of this mean.
pub fn exponential(mean: f64, rng: &mut Rng) -> f64 {
    -mean * (1.0 - rng.f64()).ln()
}

/// Of mean 0 and deviation 1 (Box and Muller, 1958).
fn normal(rng: &mut Rng) -> f64 {
    (-2.0 * (1.0 - rng.f64()).ln()).sqrt() * (std::f64::consts::TAU * rng.f64()).cos()
}
