//! What a look at the process comes to.
//!
//! Invariants: pure; time is counted in looks, so that a process that was suspended as a whole is
//! not taken for one whose workers stand still; what begins at a bound ends clearly below it.

use std::time::Duration;

/// How long lies between two looks.
pub const LOOK: Duration = Duration::from_millis(250);
/// How many looks in a row nothing is turned away, until the overload is over.
const QUIET: u32 = 4;

/// From where on what is found is said.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// The most memory, in bytes; 0: any.
    pub memory: usize,
    /// How long a worker may stand still.
    pub stall: Duration,
    /// The most exchanges: for the message.
    pub exchanges: usize,
}

/// What a look finds.
#[derive(Debug, Clone)]
pub struct Look {
    /// How often each worker has turned; none if it has ended.
    pub beats: Vec<Option<u64>>,
    /// Memory that is resident, in bytes, if it could be read.
    pub memory: Option<usize>,
    /// How many exchanges were ever turned away for being too many.
    pub shed: u64,
}

/// What has changed with a look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// It begins, or else it ends.
    pub begins: bool,
    /// What is the matter.
    pub what: String,
}

/// What was found so far.
#[derive(Debug)]
pub struct Judge {
    bounds: Bounds,
    out_of_memory: bool,
    shed: u64,
    /// Looks since an exchange was turned away; none: not overloaded.
    quiet: Option<u32>,
    workers: Vec<Worker>,
}

#[derive(Debug, Default, Clone)]
struct Worker {
    beats: Option<u64>,
    still: u32,
    stands: bool,
}

impl Judge {
    /// A judge who has seen nothing.
    pub fn new(bounds: Bounds) -> Judge {
        Judge { bounds, out_of_memory: false, shed: 0, quiet: None, workers: Vec::new() }
    }

    /// Takes in a look; answers what has changed by it.
    pub fn take(&mut self, look: &Look) -> Vec<Change> {
        let before = self.strain();
        self.take_memory(look.memory);
        self.take_shed(look.shed);
        self.workers.resize(look.beats.len(), Worker::default());
        let most = (self.bounds.stall.as_millis().div_ceil(LOOK.as_millis())) as u32;
        for (worker, beats) in self.workers.iter_mut().zip(&look.beats) {
            worker.take(*beats, most);
        }
        let after = self.strain();
        let begun = after.iter().filter(|what| !before.contains(what));
        let ended = before.iter().filter(|what| !after.contains(what));
        let change = |begins| move |what: &String| Change { begins, what: what.clone() };
        begun.map(change(true)).chain(ended.map(change(false))).collect()
    }

    fn take_memory(&mut self, memory: Option<usize>) {
        let Some(memory) = memory.filter(|_| self.bounds.memory > 0) else { return };
        // It ends at 19 parts of 20: what one exchange gives back lets not just one begin.
        let bound = self.bounds.memory;
        let ends_at = bound - bound / 20;
        self.out_of_memory = memory > if self.out_of_memory { ends_at } else { bound };
    }

    fn take_shed(&mut self, shed: u64) {
        if shed != self.shed {
            (self.shed, self.quiet) = (shed, Some(0));
        } else {
            self.quiet = self.quiet.map(|looks| looks + 1).filter(|looks| *looks < QUIET);
        }
    }

    /// Is there no memory for another exchange?
    pub fn is_out_of_memory(&self) -> bool {
        self.out_of_memory
    }

    /// Were exchanges turned away lately for being too many?
    pub fn is_shedding(&self) -> bool {
        self.quiet.is_some()
    }

    /// How many workers stand still.
    pub fn stalled(&self) -> usize {
        self.workers.iter().filter(|worker| worker.stands).count()
    }

    /// What is the matter, in words; empty if nothing is.
    pub fn strain(&self) -> Vec<String> {
        let Bounds { memory, stall, exchanges } = self.bounds;
        let memory = self.out_of_memory.then(|| {
            format!("overloaded: the process has more than the {memory} bytes of limits.memory")
        });
        let shed = self.is_shedding().then(|| {
            format!("overloaded: {exchanges} exchanges are in flight, as limits.exchanges allows")
        });
        let stands = self.workers.iter().enumerate().filter(|(_, worker)| worker.stands);
        let stands = stands
            .map(|(number, _)| format!("worker-{number} has stood still for more than {stall:?}"));
        memory.into_iter().chain(shed).chain(stands).collect()
    }
}

impl Worker {
    fn take(&mut self, beats: Option<u64>, most: u32) {
        // One that has ended need not turn.
        let moved = beats.is_none() || beats != self.beats;
        self.beats = beats;
        self.still = if moved { 0 } else { self.still.saturating_add(1) };
        self.stands = self.still > most;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds { memory: 1000, stall: Duration::from_secs(1), exchanges: 7 };

    fn look(beats: &[Option<u64>], memory: usize, shed: u64) -> Look {
        Look { beats: beats.to_vec(), memory: Some(memory), shed }
    }

    fn begins(change: &[Change]) -> Vec<bool> {
        change.iter().map(|change| change.begins).collect()
    }

    #[test]
    fn memory_is_short_above_its_bound_and_until_clearly_below() {
        let mut judge = Judge::new(BOUNDS);
        for (memory, changes, is_out) in [
            (1000, &[][..], false),
            (1001, &[true], true),
            (2000, &[], true),
            (951, &[], true),
            (950, &[false], false),
            (1000, &[], false),
        ] {
            assert_eq!(begins(&judge.take(&look(&[], memory, 0))), changes, "{memory}");
            assert_eq!(judge.is_out_of_memory(), is_out);
        }
        judge.take(&look(&[], 1001, 0));
        judge.take(&Look { memory: None, ..look(&[], 0, 0) });
        assert!(judge.is_out_of_memory(), "what cannot be read changes nothing");
        let mut judge = Judge::new(Bounds { memory: 0, ..BOUNDS });
        assert!(judge.take(&look(&[], usize::MAX, 0)).is_empty(), "without a bound");
    }

    #[test]
    fn overload_lasts_until_nothing_was_turned_away_for_a_while() {
        let mut judge = Judge::new(BOUNDS);
        assert!(judge.take(&look(&[], 0, 0)).is_empty());
        let changes = judge.take(&look(&[], 0, 1));
        assert!(changes[0].begins && changes[0].what.contains("7 exchanges"), "{changes:?}");
        for _ in 1..QUIET {
            assert!(judge.take(&look(&[], 0, 1)).is_empty() && judge.is_shedding());
        }
        assert!(judge.take(&look(&[], 0, 2)).is_empty(), "it goes on");
        for _ in 1..QUIET {
            assert!(judge.take(&look(&[], 0, 2)).is_empty() && judge.is_shedding());
        }
        assert_eq!(begins(&judge.take(&look(&[], 0, 2))), [false]);
        assert!(judge.strain().is_empty() && judge.take(&look(&[], 0, 2)).is_empty());
    }

    #[test]
    fn a_worker_that_stands_still_is_named_until_it_turns() {
        let mut judge = Judge::new(BOUNDS);
        let looks = BOUNDS.stall.as_millis() / LOOK.as_millis();
        for turn in 0..=looks as u64 {
            assert!(judge.take(&look(&[Some(turn), Some(5)], 0, 0)).is_empty(), "{turn}");
        }
        let changes = judge.take(&look(&[Some(99), Some(5)], 0, 0));
        assert!(changes[0].begins && changes[0].what.contains("worker-1 "), "{changes:?}");
        assert_eq!((judge.stalled(), judge.strain().len()), (1, 1));
        assert!(judge.take(&look(&[Some(100), Some(5)], 0, 0)).is_empty(), "it is said once");
        let changes = judge.take(&look(&[Some(101), Some(6)], 0, 0));
        assert_eq!((begins(&changes), judge.stalled()), (vec![false], 0));
    }

    #[test]
    fn a_worker_that_has_ended_does_not_stand_still() {
        let mut judge = Judge::new(BOUNDS);
        for _ in 0..100 {
            assert!(judge.take(&look(&[None], 0, 0)).is_empty());
        }
    }
}
