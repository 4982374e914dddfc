//! What an app's dynos have in flight, side by side: the least of all without a look at each.
//!
//! Counts of 16 bits, eight in a row, are read as two words, and what is reckoned for a row is
//! reckoned for its eight columns alike, which the compiler makes into vectors. One pass finds the
//! least and who has it: a column keeps its least, and the weight of those that come to it. Then
//! a column is drawn by that weight, and one of those in it. With 100 dynos that is 13 rows, where
//! a look at each dyno is a look at 100 cells (`benches/pick.rs`).
//! Invariants: pure, the counts come as values, row by row; what is answered is a hint: whoever
//! makes use of it looks at that dyno itself; whole weights count here, so that one that has but a
//! part of its weight has at least as much beside it as it seems.

use std::array::from_fn;

use super::{ONE_WEIGHT, Plan, plan::Lot};

/// Counts in a row.
pub const COLUMNS: usize = 8;
/// The most rows that have a bit each.
const BITS: u32 = 24;
/// The most that is told of a count: one that is greater seems to be that.
pub const MOST: u16 = u16::MAX;

/// Two words with the counts of a row, the first in the lowest bits.
pub type Pair = [u64; 2];
type Columns = [f32; COLUMNS];

/// Where the dynos of a plan stand side by side.
#[derive(Debug)]
pub struct Abreast {
    rows: Box<[Row]>,
    /// Each lane's dyno.
    places: Box<[u32]>,
    /// All dynos are of one weight and the rows few: beside the weight, which is 1 and stands in
    /// the bits from [`BITS`] on, a lane has a bit for its row, so that a sum over a column says
    /// which they are.
    has_bits: bool,
}

#[derive(Debug, Clone, Copy)]
struct Row {
    /// The largest weight in parts of each one's; without end for a lane without a dyno, so that
    /// what it comes to is not less than anything.
    inverse: Columns,
    /// By what those that have the same are drawn: 0 for a lane without a dyno.
    weight: [u32; COLUMNS],
}

/// The same, with the counts.
#[derive(Debug, Clone, Copy)]
pub struct Counts<'a, C> {
    /// Where they stand.
    pub of: &'a Abreast,
    /// Answers the counts of a row.
    pub pair: C,
}

/// Counts that there are not.
pub type NoCounts = Counts<'static, fn(usize) -> Pair>;

impl NoCounts {
    /// None.
    pub const NONE: Option<NoCounts> = None;
}

/// What a pass finds, column by column.
#[derive(Debug)]
pub(super) struct Pass {
    /// The least that a dyno has beside its weight.
    now: Columns,
    /// The least that one will have with one more.
    next: Columns,
    /// By what those are drawn that will.
    weight: [u32; COLUMNS],
}

impl Abreast {
    /// The plan's dynos in that order, of each its place among the app's; none for a lane that has
    /// no dyno, or one that is not to be chosen.
    pub fn new(plan: &Plan, lanes: &[Option<u32>]) -> Abreast {
        let used = lanes.iter().rposition(Option::is_some).map_or(0, |last| last + 1);
        let lanes = &lanes[..used];
        let has_bits = plan.all.odds.is_none() && used <= COLUMNS * BITS as usize;
        let row = |(number, lanes): (usize, &[Option<u32>])| {
            let mut row = Row { inverse: [f32::INFINITY; COLUMNS], weight: [0; COLUMNS] };
            for (column, at) in lanes.iter().enumerate() {
                if let Some(at) = at {
                    let (inverse, weight) = plan.all.beside(*at as usize);
                    row.inverse[column] = inverse;
                    row.weight[column] = if has_bits { 1 << BITS | 1 << number } else { weight };
                }
            }
            row
        };
        Abreast {
            rows: lanes.chunks(COLUMNS).enumerate().map(row).collect(),
            places: lanes.iter().map(|at| at.unwrap_or(0)).collect(),
            has_bits,
        }
    }
}

impl Lot {
    /// The largest weight in parts of one's, and what it is drawn by.
    fn beside(&self, at: usize) -> (f32, u32) {
        let weight = self.weight(at);
        let drawn_by = if self.odds.is_none() { 1 } else { weight / ONE_WEIGHT };
        (self.most as f32 / weight as f32, drawn_by)
    }
}

impl Pass {
    /// The least that any dyno has beside its weight.
    pub fn least(&self) -> f32 {
        least(&self.now)
    }
}

impl<C: Fn(usize) -> Pair> Counts<'_, C> {
    /// Looks at all counts.
    // By itself, since the compiler makes no vectors of what is taken apart again right behind it:
    // it would cost twice as much.
    #[inline(never)]
    pub(super) fn pass(&self) -> Pass {
        let mut now = [f32::MAX; COLUMNS];
        let mut next = [f32::MAX; COLUMNS];
        let mut weight = [0; COLUMNS];
        for (at, row) in self.of.rows.iter().enumerate() {
            let counts = counts((self.pair)(at));
            for at in 0..COLUMNS {
                let has = counts[at] * row.inverse[at];
                let will = has + row.inverse[at];
                let kept = if will < next[at] { 0 } else { u32::MAX };
                let more = if will <= next[at] { u32::MAX } else { 0 };
                weight[at] = (weight[at] & kept) + (row.weight[at] & more);
                next[at] = lesser(will, next[at]);
                now[at] = lesser(has, now[at]);
            }
        }
        Pass { now, next, weight }
    }

    /// Draws one of those by their weights who will have the least with one more; none if there
    /// is nobody, or the counts do not stand still.
    pub(super) fn draw(
        &self,
        pass: &Pass,
        random: &mut impl FnMut(usize) -> usize,
    ) -> Option<usize> {
        let least = least(&pass.next);
        // What is before each column, reckoned without a branch: nobody can foresee these.
        let mut sums = [0; COLUMNS + 1];
        let shift = if self.of.has_bits { BITS } else { 0 };
        for at in 0..COLUMNS {
            let mask = if pass.next[at] <= least { u32::MAX } else { 0 };
            sums[at + 1] = sums[at] + ((pass.weight[at] & mask) >> shift);
        }
        let sum = sums[COLUMNS];
        let point = if sum == 0 { return None } else { random(sum as usize) as u32 };
        let behind = sums[1..].iter().map(|sum| usize::from(*sum <= point));
        let column = behind.sum::<usize>() % COLUMNS;
        let mut left = point - sums[column];
        if self.of.has_bits {
            let after = (0..left).fold(pass.weight[column], |bits, _| bits & (bits - 1));
            return self.place(after.trailing_zeros() as usize, column);
        }
        for (at, row) in self.of.rows.iter().enumerate() {
            let inverse = row.inverse[column];
            let will = count((self.pair)(at), column) * inverse + inverse;
            let weight = if will <= least { row.weight[column] } else { 0 };
            if left < weight {
                return self.place(at, column);
            }
            left -= weight;
        }
        None
    }

    /// Somebody who has no more than that now beside its weight.
    pub(super) fn with_at_most(&self, now: f32) -> Option<usize> {
        for (at, row) in self.of.rows.iter().enumerate() {
            let counts = counts((self.pair)(at));
            let is_in = |column: &usize| counts[*column] * row.inverse[*column] <= now;
            if let Some(column) = (0..COLUMNS).find(is_in) {
                return self.place(at, column);
            }
        }
        None
    }

    fn place(&self, row: usize, column: usize) -> Option<usize> {
        self.of.places.get(row * COLUMNS + column).map(|at| *at as usize)
    }
}

#[inline]
fn counts(pair: Pair) -> Columns {
    from_fn(|column| count(pair, column))
}

#[inline]
fn count(pair: Pair, column: usize) -> f32 {
    f32::from((pair[column / 4] >> (16 * (column % 4))) as u16)
}

fn least(of: &Columns) -> f32 {
    let [a, b, c, d, e, f, g, h] = *of;
    let [a, b, c, d] = [lesser(a, e), lesser(b, f), lesser(c, g), lesser(d, h)];
    lesser(lesser(a, c), lesser(b, d))
}

/// As one instruction does it, and `b` where `a` is no number.
#[inline]
fn lesser(a: f32, b: f32) -> f32 {
    if a < b { a } else { b }
}
