//! How one attempt on a dyno ended, as the dyno's cell is told.
//!
//! Invariants: an attempt has at most one outcome, and every attempt that its client did not walk
//! away from has one; times are of one clock and add up to the time since the exchange had no dyno.

use crate::error::{Fault, Whose};

/// How long a request takes to its dyno, and the end of the connection back, at the most, in
/// microseconds.
pub const RACE_US: u32 = 50_000;

/// How one attempt on a dyno ended.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Outcome {
    /// When, in milliseconds of the process's clock.
    pub now_ms: u64,
    /// Why it ended without a whole answer, whoever's fault that is.
    pub fault: Option<Fault>,
    /// Nobody waits for its answer any more, for another dyno's came first.
    pub given_up: bool,
    /// The status of its answer; 0: no head of a final answer came.
    pub status: u16,
    /// The time from the choice to the first byte of the answer; where the client was still
    /// sending, from the end of its request; without an answer, as long as it was waited for. In
    /// microseconds; 0: nothing can be said.
    pub latency_us: u32,
    /// It was on a connection that others had used before.
    pub was_kept: bool,
    /// What the dyno said beside its answer.
    pub said: Said,
    /// Where the time went.
    pub times: Times,
}

/// What a dyno says of itself beside its answer.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Said {
    /// When it would like to be asked again, in seconds (RFC 9110, section 10.2.3).
    pub retry_after_s: Option<u32>,
    /// How busy it is, in thousandths.
    pub load: Option<u16>,
}

/// Where the time of an attempt went, in microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Times {
    /// Without a dyno: from the head, or the end of the attempt before, to the choice.
    pub queue_us: u32,
    /// From the choice until a connection stood.
    pub connect_us: u32,
    /// From there to the first byte of the answer, or the end if none came.
    pub dyno_us: u32,
    /// From there to the end.
    pub client_us: u32,
}

impl Outcome {
    /// Did the attempt become a tunnel?
    pub fn is_tunnel(&self) -> bool {
        self.status == 101
    }

    /// Did an answer come, whole or not?
    pub fn is_answered(&self) -> bool {
        self.status != 0
    }

    /// May the dyno have closed the connection before the request came, as it may with any that it
    /// keeps (RFC 9112, section 9.3.1)? That would be known as soon as the request is there.
    pub fn is_race(&self) -> bool {
        self.was_kept && !self.is_answered() && self.times.dyno_us <= RACE_US
    }

    /// Did the dyno fail, by a fault or by its own word (a status of 500 or more, but for those
    /// that say what it does not do)?
    pub fn is_failure(&self) -> bool {
        match self.fault {
            Some(fault) => fault.whose() == Whose::Dyno,
            None => self.status >= 500 && !matches!(self.status, 501 | 505),
        }
    }
}
