//! Which dyno gets the attempt: pure, cells come in as values, random numbers, turns and clock as
//! arguments.
//!
//! [`pick`] holds the choice, by an app's [`Plan`]; what keeps a dyno from being chosen at all is a
//! [`Bar`]. A [`Budget`] says how many requests may be sent a second time.

pub mod budget;
pub mod candidate;
pub mod latency;
pub mod pick;
pub mod plan;

pub use budget::Budget;
pub use candidate::{Bar, Candidate, ONE_WEIGHT, Unfit};
pub use latency::Latency;
pub use pick::{chances, pick};
pub use plan::{Algorithm, Draw, Plan};
