//! What an app's exchanges may have, and what they wait for: as the engine asks, and explain.
//!
//! Invariants: plain values; what the app has of its own goes before the router's; every wait has
//! an end, and a fault for it.

use std::time::Duration;

use super::{
    LiveApp,
    choice::{Caps, without_dyno},
    queue,
};
use crate::{balance::Unfit, error::Fault, route::OwnSettings};

/// Why an exchange has no place on a dyno.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lack {
    /// Its app is no more, or answers every request with this.
    Closed(Fault),
    /// The app is paused.
    Paused,
    /// The app, or each of its dynos that is fit, has as many exchanges as it may, or others wait
    /// for a place.
    Full,
    /// No dyno is fit.
    Unfit(Unfit),
}

impl From<Unfit> for Lack {
    fn from(unfit: Unfit) -> Lack {
        match unfit {
            Unfit { full: 1.., tried: 0, .. } => Lack::Full,
            _ => Lack::Unfit(unfit),
        }
    }
}

impl Lack {
    /// Is it that the app has no dynos at all?
    pub fn is_of_all_dynos(self) -> bool {
        matches!(self, Lack::Unfit(unfit) if without_dyno(unfit).0 == Fault::NoDynos)
    }
}

/// How many exchanges may be in flight, and who waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    /// How many there may be.
    pub caps: Caps,
    /// All wait (`queue.paused`).
    pub paused: bool,
    /// The most that wait (`queue.max`).
    pub max: u32,
    /// How long, while dynos are full or the app is paused (`queue.timeout`).
    pub timeout: Duration,
    /// When the last to come goes first (`queue.lifo_after`).
    pub lifo_after: Duration,
    /// How long for a dyno to be fit (`timeouts.connect_total`).
    pub connect_total: Duration,
    /// There is somebody who can be asked for dynos (`wake.url`).
    pub wakes: bool,
    /// How long for those (`wake.timeout`).
    pub wake_timeout: Duration,
}

impl Waiting {
    /// These, with an app's own in the place of those that it has.
    pub fn with(&self, own: Option<&OwnSettings>) -> Waiting {
        let Some(own) = own else { return *self };
        let (capacity, queue, wake) = (&own.capacity, &own.capacity.queue, &own.capacity.wake);
        Waiting {
            caps: Caps {
                dyno: capacity.max_in_flight.unwrap_or(self.caps.dyno),
                app: capacity.in_flight.unwrap_or(self.caps.app),
                adaptive: capacity.adaptive.unwrap_or(self.caps.adaptive),
            },
            paused: queue.paused.unwrap_or(self.paused),
            max: queue.max.unwrap_or(self.max),
            timeout: queue.timeout.unwrap_or(self.timeout),
            lifo_after: queue.lifo_after.unwrap_or(self.lifo_after),
            connect_total: own.connect_total.unwrap_or(self.connect_total),
            wakes: wake.url.as_ref().map_or(self.wakes, |url| !url.is_empty()),
            wake_timeout: wake.timeout.unwrap_or(self.wake_timeout),
        }
    }

    /// These for an app: with its own, and within what its algorithm lets a dyno have.
    pub fn of(&self, app: &LiveApp) -> Waiting {
        let mut waiting = self.with(app.app.settings.own.as_deref());
        waiting.caps = waiting.caps.under(&app.balancing.plan);
        waiting
    }

    /// The rules of the app's line.
    pub fn line(&self) -> queue::Rules {
        queue::Rules { max: self.max, lifo_after_ms: self.lifo_after.as_millis() as u64 }
    }

    /// What keeps an exchange from a dyno before any is looked at.
    pub fn before_dynos(&self, app: &LiveApp) -> Option<Lack> {
        let is_full = self.caps.app != 0 && app.cell.in_flight() >= self.caps.app;
        match () {
            () if self.paused => Some(Lack::Paused),
            () if is_full => Some(Lack::Full),
            () => None,
        }
    }

    /// Do others wait for places, whom one that comes now may not overtake?
    pub fn is_behind_others(&self, app: &LiveApp) -> bool {
        self.caps.is_any() && app.cell.queue.waiting() > 0
    }

    /// What the exchange comes to at the end of its wait, and how long that is from its head; no
    /// time if there is nothing to wait for.
    pub fn hope(&self, lack: Lack) -> (Fault, Duration) {
        match lack {
            Lack::Closed(fault) => (fault, Duration::ZERO),
            Lack::Paused => (Fault::Paused, self.timeout.min(self.connect_total)),
            Lack::Full => (Fault::BacklogTimeout, self.timeout.min(self.connect_total)),
            Lack::Unfit(_) if lack.is_of_all_dynos() && self.wakes => {
                (Fault::BootTimeout, self.wake_timeout)
            }
            Lack::Unfit(unfit) => match without_dyno(unfit) {
                (fault, true) => (fault, self.connect_total),
                (fault, false) => (fault, Duration::ZERO),
            },
        }
    }

    /// What it comes to if there is no room for it in the line.
    pub fn turned_away(&self, lack: Lack) -> Fault {
        match lack {
            // Where nobody waits, there is no line to be full.
            Lack::Paused | Lack::Unfit(_) if self.max == 0 => self.hope(lack).0,
            _ => Fault::BacklogTooDeep,
        }
    }
}

#[cfg(test)]
pub(super) mod sample {
    use super::*;

    /// Some rules, by which nothing is bounded.
    pub fn rules() -> Waiting {
        Waiting {
            caps: Caps::default(),
            paused: false,
            max: 5,
            timeout: Duration::from_secs(30),
            lifo_after: Duration::from_secs(1),
            connect_total: Duration::from_secs(75),
            wakes: false,
            wake_timeout: Duration::from_secs(120),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{sample::rules, *};

    #[test]
    fn every_lack_has_its_fault_and_its_time() {
        let (none, s) = (Unfit::default(), Duration::from_secs);
        let wakes = Waiting { wakes: true, ..rules() };
        let hasty = Waiting { connect_total: s(2), ..rules() };
        for (rules, lack, fault, time) in [
            (rules(), Lack::Full, Fault::BacklogTimeout, s(30)),
            (hasty, Lack::Full, Fault::BacklogTimeout, s(2)),
            (rules(), Lack::Paused, Fault::Paused, s(30)),
            (
                rules(),
                Unfit { full: 1, quarantined: 1, ..none }.into(),
                Fault::BacklogTimeout,
                s(30),
            ),
            (rules(), Unfit { starting: 1, crashed: 1, ..none }.into(), Fault::BootTimeout, s(75)),
            (wakes, Unfit { quarantined: 1, ..none }.into(), Fault::AllQuarantined, s(75)),
            (wakes, Unfit { draining: 1, ..none }.into(), Fault::BootTimeout, s(120)),
            (rules(), Unfit { draining: 1, ..none }.into(), Fault::NoDynos, s(0)),
            (wakes, Unfit { crashed: 1, ..none }.into(), Fault::AppCrashed, s(0)),
            (wakes, Lack::Closed(Fault::Maintenance), Fault::Maintenance, s(0)),
        ] {
            assert_eq!(rules.hope(lack), (fault, time), "{lack:?}");
        }
    }

    #[test]
    fn where_nobody_waits_it_is_told_what_for_it_would_have_been() {
        let none = Waiting { max: 0, ..rules() };
        let starting = Lack::from(Unfit { starting: 1, ..Unfit::default() });
        assert_eq!(none.turned_away(Lack::Full), Fault::BacklogTooDeep);
        assert_eq!(none.turned_away(starting), Fault::BootTimeout);
        assert_eq!(none.turned_away(Lack::Paused), Fault::Paused);
        assert_eq!(rules().turned_away(starting), Fault::BacklogTooDeep);
    }
}
