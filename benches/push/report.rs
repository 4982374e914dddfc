//! Figures beside their budgets, printed as they come.
//!
//! Invariant: the interval of a median is that of its order statistics at 95 per cent: nothing is
//! assumed of how the figures are spread.

use std::time::Duration;

/// What a figure is to be.
#[derive(Debug, Clone, Copy)]
pub enum Budget {
    /// Not less.
    AtLeast(f64),
    /// Not more.
    AtMost(f64),
    /// Told only.
    None,
}

/// A figure beside its budget.
pub fn figure(what: &str, value: f64, digits: usize, budget: Budget) {
    let (is_met, bound) = match budget {
        Budget::AtLeast(bound) => (value >= bound, format!("at least {bound}")),
        Budget::AtMost(bound) => (value <= bound, format!("at most {bound}")),
        Budget::None => return println!("{what}: {value:.digits$}"),
    };
    let verdict = if is_met { "met" } else { "MISSED" };
    println!("{what}: {value:.digits$} (budget: {bound}; {verdict})");
}

/// The p99 of the traffic with a storm over that without.
pub fn pairs(what: &str, ratios: &mut [f64], legs: &mut [Vec<f64>; 2]) {
    let (ratio, low, high) = median(ratios);
    let [quiet, stormy] = legs.each_mut().map(|leg| median(leg).0);
    let what = format!("p99 of the traffic under {what} over that without");
    figure(&what, ratio, 2, Budget::AtMost(1.1));
    let count = ratios.len();
    println!(
        "  {count} pairs, 95% of the median [{low:.2}..{high:.2}]; medians {quiet:.0} µs without, \
         {stormy:.0} µs with"
    );
}

/// The median, and the interval in which that of many more figures lies with 95 per cent.
pub fn median(figures: &mut [f64]) -> (f64, f64, f64) {
    figures.sort_by(f64::total_cmp);
    let count = figures.len();
    let middle = (figures[(count - 1) / 2] + figures[count / 2]) / 2.0;
    // So many figures may be left out on either side: the sum of the binomial's tail.
    let (mut tail, mut term, mut out) = (0.0, 0.5_f64.powi(count as i32), 0);
    while tail + term <= 0.025 {
        tail += term;
        out += 1;
        term *= (count - out + 1) as f64 / out as f64;
    }
    let out = out.saturating_sub(1);
    (middle, figures[out], figures[count - 1 - out])
}

/// The figure that so large a share of them does not exceed.
pub fn quantile(figures: &[Duration], share: f64) -> Duration {
    let mut sorted = figures.to_vec();
    sorted.sort();
    let at = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(at.saturating_sub(1)).copied().unwrap_or_default()
}
