//! Which dyno gets the attempt: pure, cells come in as values, random numbers and clock as
//! arguments.
//!
//! [`pick`] holds the choice; what keeps a dyno from being chosen at all is a [`Bar`].

pub mod pick;

pub use pick::{Bar, Candidate, Unfit, pick};
