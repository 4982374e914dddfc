//! The threads of the control plane give way to the workers.
//!
//! On a machine whose cores are all wanted a push is judged and committed somewhat later, and a
//! request is not: what 10,000 changes a second do to the traffic is measured by `benches/push`.
//! Invariant: the control plane still gets its part of a core that is fully taken.

use std::{
    thread,
    time::{Duration, Instant},
};

/// How much nicer than the workers: a thread of this niceness gets a third of what one without it
/// gets, where both want the same core (sched(7)).
const NICER: i32 = 5;
/// How long work goes on at a stretch. The system lets a thread that computes go on for more than a
/// millisecond, whoever wakes meanwhile.
const PIECE: Duration = Duration::from_micros(200);

/// The calling thread, and those that it starts, give way from now on.
pub fn give_way() {
    // A system that does not know priorities of threads serves all the same.
    if let Err(error) = rustix::process::nice(NICER) {
        tracing::debug!(%error, "a thread of the control plane keeps its priority");
    }
}

/// Work that is done in pieces, so that whoever waits for the core has it in between.
#[derive(Debug)]
pub struct Pieces {
    begun: Instant,
}

impl Pieces {
    /// The first piece begins.
    pub fn begin() -> Pieces {
        Pieces { begun: Instant::now() }
    }

    /// Ends a piece that is long enough.
    pub fn pause(&mut self) {
        if self.begun.elapsed() >= PIECE {
            thread::yield_now();
            *self = Pieces::begin();
        }
    }
}
