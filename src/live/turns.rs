//! The turns of an app's releases, each of which has its own: those of the dynos of an app that
//! tells no releases apart are its cell's.
//!
//! Invariants: made by the control plane together with the plan, and go on from those before;
//! whoever chooses within a release turns no count but its own.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use crate::balance::Plan;

/// How many turns the dynos of each release of a plan were given.
#[derive(Debug, Default)]
pub struct Turns(Box<[Of]>);

#[derive(Debug)]
struct Of {
    /// The hash of the release's name.
    name: u64,
    turns: Arc<AtomicU64>,
}

impl Turns {
    /// Those of a plan, which go on from those `before` it.
    pub fn of(plan: &Plan, before: Option<&Turns>) -> Turns {
        let before = before.map_or(&[][..], |turns| &turns.0);
        let turns = |name| before.iter().find(|of| of.name == name).map(|of| of.turns.clone());
        Turns(
            plan.releases()
                .map(|name| Of { name, turns: turns(name).unwrap_or_default() })
                .collect(),
        )
    }

    /// The next turn of the dynos of this release of the plan.
    pub fn take(&self, part: usize) -> u64 {
        self.0[part].turns.fetch_add(1, Relaxed)
    }
}
