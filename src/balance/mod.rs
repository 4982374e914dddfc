//! Which dyno gets the attempt: pure, cells come in as values, random numbers, turns and clock as
//! arguments.
//!
//! [`pick`] holds the choice, by an app's [`Plan`]: each algorithm has a file, the default
//! `p2c.rs`. What keeps a dyno from being chosen at all is a [`Bar`]. A [`Budget`] says how many
//! requests may be sent a second time.

pub mod affinity;
pub mod alias;
pub mod budget;
pub mod candidate;
pub mod chances;
mod hash;
pub mod latency;
mod least;
pub mod limit;
pub mod p2c;
pub mod pick;
pub mod plan;
pub mod ring;
mod scan;
mod turns;

pub use budget::Budget;
pub use candidate::{Bar, Candidate, ONE_WEIGHT, Unfit};
pub use chances::chances;
pub use latency::Latency;
pub use pick::pick;
pub use plan::{Algorithm, Draw, Plan, Share, Wish};
