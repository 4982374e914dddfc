//! When an exchange came to each of its steps.
//!
//! Invariants: microseconds of the worker's clock, 0 where a step was not come to; those of an
//! attempt are of the last one; each is a reading of the clock that the step needs anyway, but for
//! that of the answer's first byte.

use crate::{
    live::{Outcome, Times},
    serve::clock,
};

/// The moments of an exchange.
#[derive(Debug, Clone, Copy, Default)]
pub struct Moments {
    /// Its head was there.
    pub began_us: u64,
    /// It has had no dyno since then: since its head, or the end of the attempt before.
    pub free_us: u64,
    /// How long it waited for dynos, all its waits together; none if it never did.
    pub waited_us: Option<u64>,
    /// The dyno of the attempt was chosen.
    pub chosen_us: u64,
    /// The connection to it stood.
    pub connected_us: u64,
    /// A request that the client was still sending was sent.
    pub sent_us: u64,
    /// The head of the answer was there.
    pub answered_us: u64,
}

impl Moments {
    /// Those of an exchange that begins.
    pub fn begin(now_us: u64) -> Moments {
        Moments { began_us: now_us, free_us: now_us, ..Moments::default() }
    }

    /// Another attempt: its dyno was chosen at `now_us`.
    pub fn choose(&mut self, now_us: u64) {
        let Moments { began_us, free_us, waited_us, .. } = *self;
        let chosen_us = now_us;
        *self = Moments { began_us, free_us, waited_us, chosen_us, ..Moments::default() };
    }

    /// It had waited for a dyno until `now_us`.
    pub fn end_wait(&mut self, now_us: u64) {
        let wait_us = now_us.saturating_sub(self.free_us);
        self.waited_us = Some(self.waited_us.unwrap_or(0) + wait_us);
    }

    /// The connection stood at `now_us`, or had stood before the choice.
    pub fn connect(&mut self, now_us: u64) {
        self.connected_us = now_us.max(self.chosen_us);
    }

    /// Where the time of the attempt went that ended at `now_us`.
    pub fn times(&self, now_us: u64) -> Times {
        let or_now = |moment: u64| if moment == 0 { now_us } else { moment };
        let (connected, answered) = (or_now(self.connected_us), or_now(self.answered_us));
        Times {
            queue_us: between(self.free_us, self.chosen_us),
            connect_us: between(self.chosen_us, connected),
            dyno_us: between(connected, answered),
            client_us: between(answered, now_us),
        }
    }

    /// What can be told of the attempt from the clock alone, if it ended at `now_us`.
    pub fn outcome(&self, streamed: bool, now_us: u64) -> Outcome {
        Outcome {
            now_ms: clock::ms(now_us),
            latency_us: self.latency_us(streamed, now_us),
            times: self.times(now_us),
            ..Outcome::default()
        }
    }

    /// Where the time of the exchange went that ended at `now_us`: that of the attempts before the
    /// last was needed to find a dyno that would do, and counts as connecting.
    pub fn of_exchange(&self, now_us: u64) -> Times {
        let last = self.times(now_us);
        let before_us = between(self.began_us, self.free_us);
        Times { connect_us: last.connect_us.saturating_add(before_us), ..last }
    }

    /// From the choice, or from the end of a request that `streamed`, to the answer, or to `now_us`
    /// if none came; 0 if the request was still on its way.
    pub fn latency_us(&self, streamed: bool, now_us: u64) -> u32 {
        let from = if streamed { self.sent_us } else { self.chosen_us };
        let to = if self.answered_us == 0 { now_us } else { self.answered_us };
        // An answer that overtook its request says nothing.
        if from == 0 || to < from { 0 } else { between(from, to).max(1) }
    }
}

/// From one moment to a later one, as far as it can be told.
fn between(from_us: u64, to_us: u64) -> u32 {
    u32::try_from(to_us.saturating_sub(from_us)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_times_of_an_attempt_add_up() {
        let mut moments = Moments::begin(1_000);
        moments.choose(1_500);
        moments.connect(1_900);
        moments.answered_us = 5_000;
        let times = Times { queue_us: 500, connect_us: 400, dyno_us: 3_100, client_us: 2_000 };
        assert_eq!(moments.times(7_000), times);
        assert_eq!(moments.latency_us(false, 7_000), 3_500);
    }

    #[test]
    fn an_attempt_without_an_answer_was_waited_for() {
        let mut moments = Moments::begin(1_000);
        moments.choose(1_500);
        let times = Times { queue_us: 500, connect_us: 2_500, ..Times::default() };
        assert_eq!(moments.times(4_000), times, "no connection came");
        assert_eq!(moments.latency_us(false, 4_000), 2_500);
    }

    #[test]
    fn a_client_that_is_slow_to_send_is_not_the_dynos_doing() {
        let mut moments = Moments::begin(1_000);
        moments.choose(1_000);
        assert_eq!(moments.latency_us(true, 9_000), 0, "it is still sending");
        moments.sent_us = 8_000;
        moments.answered_us = 8_500;
        assert_eq!(moments.latency_us(true, 9_000), 500);
        moments.answered_us = 7_000;
        assert_eq!(moments.latency_us(true, 9_000), 0, "the answer overtook the request");
    }

    #[test]
    fn all_waits_count_whatever_the_attempts_between() {
        let mut moments = Moments::begin(1_000);
        moments.end_wait(1_400);
        moments.choose(1_400);
        moments.free_us = 2_000;
        moments.end_wait(2_050);
        assert_eq!(moments.waited_us, Some(450));
    }

    #[test]
    fn another_attempt_begins_anew() {
        let mut moments = Moments::begin(1_000);
        moments.choose(1_000);
        moments.connect(1_200);
        moments.sent_us = 1_300;
        moments.free_us = 2_000;
        moments.choose(2_500);
        assert_eq!(moments.times(2_600).queue_us, 500);
        let (queue_us, connect_us) = (500, 1_000 + 100);
        let of_both = Times { queue_us, connect_us, ..Times::default() };
        assert_eq!(moments.of_exchange(2_600), of_both, "it adds up to the whole");
        assert_eq!((moments.connected_us, moments.sent_us), (0, 0));
    }
}
