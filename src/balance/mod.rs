//! Which dyno gets the attempt: pure, cells come in as values, random numbers, turns and clock as
//! arguments.
//!
//! [`pick`] holds the choice, by an app's [`Plan`]: each algorithm has a file, the default
//! `p2c.rs`. What keeps a dyno from being chosen at all is a [`Bar`]. A [`Budget`] says how many
//! requests may be sent a second time; [`eject`] which dynos are left out for a while, and [`warm`]
//! how much of its weight one has that is new.

pub mod abreast;
pub mod affinity;
pub mod alias;
pub mod budget;
pub mod candidate;
pub mod chances;
pub mod eject;
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
pub mod warm;

pub use abreast::{Abreast, Counts, NoCounts};
pub use budget::Budget;
pub use candidate::{Bar, Candidate, ONE_WEIGHT, Unfit};
pub use chances::chances;
pub use latency::Latency;
pub use pick::pick;
pub use plan::{Algorithm, Draw, Plan, Share, Wish};
pub use scan::Fit;
