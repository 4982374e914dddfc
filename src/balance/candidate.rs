//! A dyno as the choice sees it, and what keeps it from being chosen.
//!
//! Invariants: plain values; every [`Bar`] has a place of its own in [`Unfit`].

use super::warm::WHOLE;

/// What a dyno's weight of 1 is in a [`Candidate`], so that a part of it can be told too: a dyno
/// that warms up has a part of its weight.
pub const ONE_WEIGHT: u32 = 256;

/// Declares what can bar a dyno, and the counts of it.
macro_rules! bars {
    ($($(#[$doc:meta])* $bar:ident $count:ident $word:literal;)*) => {
        /// Why a dyno cannot take an exchange now.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Bar { $($(#[$doc])* $bar,)* }

        impl Bar {
            /// Every bar.
            pub const ALL: &'static [Bar] = &[$(Bar::$bar,)*];

            /// Its word.
            pub fn as_str(self) -> &'static str {
                match self { $(Bar::$bar => $word,)* }
            }
        }

        /// Why no dyno can be picked: how many are barred, and by what.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        pub struct Unfit { $($(#[$doc])* pub $count: usize,)* }

        impl Unfit {
            /// Counts a dyno that is barred.
            pub fn count(&mut self, bar: Bar) {
                match bar { $(Bar::$bar => self.$count += 1,)* }
            }
        }
    };
}

bars! {
    /// It is booting.
    Starting starting "starting";
    /// It gets nothing new.
    Draining draining "draining";
    /// It is not running.
    Crashed crashed "crashed";
    /// It is passed over after a failed connect.
    Quarantined quarantined "quarantined";
    /// It is passed over for how it answered.
    Ejected ejected "ejected";
    /// Its checks fail.
    Failing failing "failing";
    /// It is new, and no check has said yet that it is well.
    Unproven unproven "unproven";
    /// Its release has no share of the requests, and one that has a share can serve.
    Shareless shareless "shareless";
    /// It has as many exchanges as it may.
    Full full "full";
    /// This exchange has tried it already, and others may still have it.
    Tried tried "tried";
    /// This exchange has tried it already, and for others it is barred too, or did not take the
    /// last connect.
    Struck struck "struck";
}

/// A dyno as the choice sees it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidate {
    /// Why it cannot be picked, if so.
    pub bar: Option<Bar>,
    /// Exchanges that it is serving.
    pub in_flight: u32,
    /// Its share beside the others, in parts of [`ONE_WEIGHT`]; at least 1.
    pub weight: u32,
    /// How much of its whole weight that is for its being new, or back, in thousandths.
    pub part: u32,
    /// How long it takes to the first byte of an answer, in microseconds, as far as that is to be
    /// believed now; 0: nothing is known of any dyno of the app.
    pub latency_us: u32,
    /// How busy it says it is, in thousandths; none if it does not, or did so long ago.
    pub load: Option<u16>,
}

impl Candidate {
    /// The same where a dyno may have `most` exchanges; 0: any number.
    pub fn within(self, most: u32) -> Candidate {
        let is_full = most != 0 && self.in_flight >= most;
        Candidate { bar: self.bar.or(is_full.then_some(Bar::Full)), ..self }
    }

    /// A fit dyno of that weight, of which nothing else is known.
    pub fn idle(weight: u16) -> Candidate {
        let weight = u32::from(weight.max(1)) * ONE_WEIGHT;
        Candidate { bar: None, in_flight: 0, weight, part: WHOLE, latency_us: 0, load: None }
    }
}
