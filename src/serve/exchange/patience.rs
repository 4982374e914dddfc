//! How long an exchange waits, for whom, and how slow its client may be.
//!
//! 1. Every byte that moves renews the patience. What moves inside the kernel counts: when the time
//!    is over while a side does not take bytes, its send queue is looked at, and if that became
//!    shorter the wait goes on.
//! 2. Where a least rate is set, a client that is waited for is measured over [`WINDOW`] after
//!    [`WINDOW`]; a wait for the dyno in between begins a new one.
//!
//! Invariant: at most one deadline, the nearest, is set at the client's timer.

use std::time::Duration;

use crate::serve::{edge::Client, io::Io, worker::Worker};

/// Over how long the rate of a client is measured.
const WINDOW: Duration = Duration::from_secs(5);

/// Who is waited for at the end of a step; the dyno's answer, if nobody else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Waits {
    /// The client, which has more of its body to send.
    pub client_sends: bool,
    /// The client, which does not take its answer.
    pub client_takes: bool,
    /// The dyno, which does not take the request.
    pub dyno_takes: bool,
    /// The client may itself be waiting for the dyno's 100.
    pub for_continue: bool,
}

/// Why the patience is at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Impatience {
    /// Nothing moved.
    Silence,
    /// The client is slower than it may be.
    Slowness,
}

/// The deadline of one attempt.
#[derive(Debug, Default)]
pub struct Patience {
    /// For how long nothing may move.
    silence: Duration,
    /// What the client and the dyno had not taken when it was last renewed, in bytes.
    queued: [usize; 2],
    pace: Option<Pace>,
    /// The fewest bytes a second; 0: any.
    min_rate: u64,
}

/// The rate of a client that is waited for.
#[derive(Debug, Clone, Copy)]
struct Pace {
    began_ms: u64,
    /// Bytes that had moved when the window began.
    before: u64,
    silent_at_ms: u64,
}

impl Patience {
    /// The patience with a client that sends and takes at least `min_rate` bytes a second.
    pub fn new(min_rate: usize) -> Patience {
        Patience { min_rate: min_rate as u64, ..Patience::default() }
    }

    /// Something moved: nothing may move for `silence` from now.
    pub fn renew(&mut self, client: &Client, dyno: &Io, waits: Waits, silence: Duration) {
        self.silence = silence;
        self.queued = queued(client, dyno, waits);
        client.timer.set(silence);
        self.pace = self.pace.map(|pace| Pace { silent_at_ms: u64::MAX, ..pace });
    }

    /// Is it at its end? `moved` counts the bytes of bodies that the client sent and was written.
    pub fn check(
        &mut self,
        worker: &Worker,
        client: &Client,
        dyno: &Io,
        waits: Waits,
        moved: u64,
    ) -> Option<Impatience> {
        if self.min_rate > 0 && self.is_slow(worker, client, waits, moved) {
            return Some(Impatience::Slowness);
        }
        if !client.timer.is_over() {
            return None;
        }
        let queued = queued(client, dyno, waits);
        if queued.iter().zip(&self.queued).any(|(now, before)| now < before) {
            self.renew(client, dyno, waits, self.silence);
            return None;
        }
        Some(Impatience::Silence)
    }

    /// Measures the client, and sees that the timer wakes at the end of its window.
    fn is_slow(&mut self, worker: &Worker, client: &Client, waits: Waits, moved: u64) -> bool {
        let sends = waits.client_sends && !waits.for_continue;
        if !sends && !waits.client_takes {
            self.pace = None;
            return false;
        }
        let now_ms = worker.clock.now_ms();
        let moved = moved.saturating_sub(client.stream.io.unacknowledged() as u64);
        let silence_ms = self.silence.as_millis() as u64;
        let window_ms = WINDOW.as_millis() as u64;
        let mut pace =
            self.pace.unwrap_or(Pace { began_ms: now_ms, before: moved, silent_at_ms: u64::MAX });
        if pace.silent_at_ms == u64::MAX {
            pace.silent_at_ms = now_ms + silence_ms;
        }
        let elapsed_ms = now_ms - pace.began_ms;
        if elapsed_ms >= window_ms {
            if moved.saturating_sub(pace.before) < self.min_rate * elapsed_ms / 1000 {
                return true;
            }
            (pace.began_ms, pace.before) = (now_ms, moved);
        }
        let next_ms = pace.silent_at_ms.min(pace.began_ms + window_ms);
        // A deadline that is over stays over: that of the silence.
        if now_ms < pace.silent_at_ms {
            client.timer.set(Duration::from_millis(next_ms - now_ms));
        }
        self.pace = Some(pace);
        false
    }
}

fn queued(client: &Client, dyno: &Io, waits: Waits) -> [usize; 2] {
    let of = |waited_for: bool, io: &Io| if waited_for { io.unacknowledged() } else { 0 };
    [of(waits.client_takes, &client.stream.io), of(waits.dyno_takes, dyno)]
}
