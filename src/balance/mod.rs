//! Which dyno gets the attempt: pure, cells come in as values, random numbers and clock as
//! arguments.
//!
//! [`pick`] holds the choice; what keeps a dyno from being chosen at all is a [`Bar`]. A [`Budget`]
//! says how many requests may be sent a second time.

pub mod budget;
pub mod pick;

pub use budget::Budget;
pub use pick::{Bar, Candidate, Unfit, chances, pick};
