//! What became of a dyno's health, and why: its last turns, for people.
//!
//! Invariant: at most [`KEPT`] of them, the oldest forgotten first.

use std::collections::VecDeque;

/// How many turns are kept.
pub const KEPT: usize = 32;

/// A kind of turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// A connect failed: nobody listens.
    Quarantined,
    /// Its exchanges ended badly.
    Ejected,
    /// They did, but as many of the app's dynos are out as may be.
    Spared,
    /// Its checks fail.
    Failing,
    /// They do not any more.
    Well,
}

impl What {
    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            What::Quarantined => "quarantined",
            What::Ejected => "ejected",
            What::Spared => "spared",
            What::Failing => "failing",
            What::Well => "well",
        }
    }
}

/// One turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Happened {
    /// When, in milliseconds of the cells' clock.
    pub at_ms: u64,
    /// Until when it is out because of it; 0 where that is not known before.
    pub until_ms: u64,
    /// What.
    pub what: What,
    /// Why, in words.
    pub why: Box<str>,
}

/// The last turns, the oldest first.
#[derive(Debug, Clone, Default)]
pub struct Past(VecDeque<Happened>);

impl Past {
    /// Adds one.
    pub fn push(&mut self, happened: Happened) {
        if self.0.len() == KEPT {
            self.0.pop_front();
        }
        self.0.push_back(happened);
    }

    /// All that are kept.
    pub fn to_vec(&self) -> Vec<Happened> {
        self.0.iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_turns_are_forgotten() {
        let mut past = Past::default();
        for at_ms in 0..100 {
            past.push(Happened { at_ms, until_ms: 0, what: What::Ejected, why: "".into() });
        }
        let at = past.to_vec().iter().map(|happened| happened.at_ms).collect::<Vec<_>>();
        assert_eq!(at, (68..100).collect::<Vec<_>>());
    }
}
