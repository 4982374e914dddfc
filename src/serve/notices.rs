//! Diagnostics of what clients do: each kind is said now and then, however often it happens.
//!
//! Invariant: a flood from the network is a line of diagnostics in [`EVERY`], a worker and kind;
//! the metrics have the number.

use std::{cell::Cell, time::Duration};

/// How long a kind is not said again.
const EVERY: Duration = Duration::from_secs(10);

/// What is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// There is no room for another connection.
    Connections,
    /// There are no descriptors for one.
    Descriptors,
    /// There is no memory for one.
    Memory,
    /// A client has as many as one may have.
    Address,
    /// There is no room for another handshake.
    Handshakes,
    /// A connection comes from where no PROXY header may come from.
    ProxyNetwork,
    /// It began with none.
    ProxyMissing,
    /// It began with a wrong one.
    ProxyMalformed,
    /// It did not have a whole one in time.
    ProxyTimeout,
}

const KINDS: usize = 9;

/// When each kind was said last, in milliseconds of the worker's clock; 0: never.
#[derive(Debug, Default)]
pub struct Notices([Cell<u64>; KINDS]);

impl Notices {
    /// Is it to be said now? Then it is not for a while.
    pub fn is_due(&self, notice: Notice, now_ms: u64) -> bool {
        let last = &self.0[notice as usize];
        let is_due = last.get() == 0 || now_ms >= last.get() + EVERY.as_millis() as u64;
        if is_due {
            last.set(now_ms);
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_said_once_in_a_while_whatever_the_others() {
        let notices = Notices::default();
        let (one, last) = (Notice::Connections, Notice::ProxyTimeout);
        assert!(notices.is_due(one, 5) && notices.is_due(last, 5));
        assert!(!notices.is_due(one, 5) && !notices.is_due(one, 10_004));
        assert!(notices.is_due(one, 10_005) && !notices.is_due(one, 10_006));
    }
}
