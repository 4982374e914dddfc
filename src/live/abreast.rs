//! The counts of an app's dynos side by side, where its algorithm wants the least of all
//! (`balance/abreast.rs`).
//!
//! A cell that is first seen by such an app takes a seat for good: a lane of a [`Block`], where it
//! shows what it has in flight whenever that changes. An app's rows are the blocks where its dynos
//! sit, those of its old ones left out, so that dynos come and go and no count is ever moved or
//! begun anew. Invariants: cells of apps that never wanted the least have no seat, and pay a look
//! at where it would be; whatever workers do at the same time, a seat comes to show the count; the
//! order of rows follows from the order of dynos and of what happened, not from addresses.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{
            AtomicU32, AtomicU64,
            Ordering::{AcqRel, Relaxed},
        },
    },
};

use super::LiveDyno;
use crate::{
    balance::{
        Abreast, Counts, Plan,
        abreast::{COLUMNS, MOST, Pair},
    },
    route::DynoState,
};

/// Rows of a block.
const ROWS: usize = 4;
/// Seats of a block: as many as a line of the processor's cache holds.
const SEATS: usize = ROWS * COLUMNS;
/// Counts in a word, and the bits of each.
const OF_WORD: usize = 4;
const BITS: usize = 16;

/// Counts, four to a word.
#[repr(align(64))]
#[derive(Debug, Default)]
struct Block {
    rows: [[AtomicU64; COLUMNS / OF_WORD]; ROWS],
    /// A bit for each seat that is taken.
    taken: AtomicU32,
}

/// Where a cell shows what it has in flight, given back when it is dropped.
#[derive(Debug)]
pub struct Seat {
    block: Arc<Block>,
    at: usize,
}

/// An app's dynos side by side.
#[derive(Debug)]
pub struct Rows {
    of: Abreast,
    blocks: Box<[Arc<Block>]>,
}

impl Block {
    /// The first seat that is free, taken.
    fn take(self: &Arc<Block>) -> Option<Seat> {
        let free = |taken: u32| (taken != u32::MAX).then(|| taken | (taken + 1));
        let taken = self.taken.fetch_update(Relaxed, Relaxed, free).ok()?;
        Some(Seat { block: self.clone(), at: taken.trailing_ones() as usize })
    }
}

impl Seat {
    /// Shows a count.
    pub fn show(&self, count: u32) {
        let shown = u64::from(u16::try_from(count).unwrap_or(MOST));
        let word = &self.block.rows[self.at / COLUMNS][self.at % COLUMNS / OF_WORD];
        let shift = self.at % OF_WORD * BITS;
        let others = !(u64::from(u16::MAX) << shift);
        // Whoever shows the next count sees this one, and what was counted before it.
        let replaced =
            word.fetch_update(AcqRel, Relaxed, |word| Some(word & others | shown << shift));
        debug_assert!(replaced.is_ok());
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.block.taken.fetch_and(!(1 << self.at), Relaxed);
    }
}

impl Rows {
    /// Those of an app's dynos, of which each has a seat from now on.
    pub fn of(dynos: &[LiveDyno], plan: &Plan) -> Rows {
        let seats = || dynos.iter().filter_map(|live| live.cell.seat());
        let mut free = blocks(seats()).0.into_iter().flat_map(|block| {
            // All that are free, one by one.
            std::iter::from_fn(move || block.take())
        });
        let mut last: Option<Arc<Block>> = None;
        let mut seat = || {
            let of_last = |last: &Option<Arc<Block>>| last.as_ref().and_then(Block::take);
            free.next().or_else(|| of_last(&last)).unwrap_or_else(|| {
                let block = last.insert(Arc::default());
                block.take().expect("a new block has room")
            })
        };
        dynos.iter().for_each(|live| live.cell.sit(&mut seat));
        let (blocks, places) = blocks(seats());
        let mut lanes = vec![None; blocks.len() * SEATS];
        for (at, live) in dynos.iter().enumerate().filter(|(_, of)| of.dyno.state == DynoState::Up)
        {
            if let Some(Seat { block, at: seat }) = live.cell.seat() {
                lanes[places[&Arc::as_ptr(block)] * SEATS + seat] = Some(at as u32);
            }
        }
        Rows { of: Abreast::new(plan, &lanes), blocks: blocks.into() }
    }

    /// What they have in flight.
    pub fn counts(&self) -> Counts<'_, impl Fn(usize) -> Pair> {
        let pair = |row: usize| {
            let [low, high] = &self.blocks[row / ROWS].rows[row % ROWS];
            [low.load(Relaxed), high.load(Relaxed)]
        };
        Counts { of: &self.of, pair }
    }
}

/// The blocks of seats in the order of the first of each, and the place of each among them.
fn blocks<'a>(
    seats: impl Iterator<Item = &'a Seat>,
) -> (Vec<Arc<Block>>, HashMap<*const Block, usize>) {
    let (mut blocks, mut places) = (Vec::new(), HashMap::new());
    for Seat { block, .. } in seats {
        places.entry(Arc::as_ptr(block)).or_insert_with(|| {
            blocks.push(block.clone());
            blocks.len() - 1
        });
    }
    (blocks, places)
}

#[cfg(test)]
mod tests;
