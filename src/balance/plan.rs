//! How an app wants its dynos to be chosen, made ready for the choice.
//!
//! Invariants: made when the app changes, never for a request; what it holds of the dynos is by
//! their places among the app's.

/// Which dyno gets the next exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Algorithm {
    /// The better of two random ones.
    #[default]
    P2c,
}

/// How the dynos of an app are chosen.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Plan {
    /// Which dyno gets the next exchange.
    pub algorithm: Algorithm,
}

/// What one choice takes from outside.
#[derive(Debug)]
pub struct Draw<R, T> {
    /// What the request is hashed by; 0 where nothing is.
    pub key: u64,
    /// `random(n)` answers a number below `n`.
    pub random: R,
    /// Answers how often it was asked before, over all choices of the app.
    pub turn: T,
}
