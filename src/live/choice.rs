//! What decides, beside the table, where an exchange goes: read by who carries it and by who
//! explains it.
//!
//! Invariant: values in, verdict out; the clock is an argument.

use std::sync::Arc;

use super::{LiveApp, LiveDyno};
use crate::{
    balance::{Bar, Candidate, Unfit},
    error::Fault,
    route::DynoState,
};

impl LiveApp {
    /// The fault that every request is answered with, if the app's owner wants it so.
    pub fn closed(&self) -> Option<Fault> {
        let settings = &self.app.settings;
        match () {
            () if settings.maintenance => Some(Fault::Maintenance),
            () if settings.blank => Some(Fault::BlankApp),
            () => None,
        }
    }

    /// May the app have one more exchange in flight, beside all that it has but `own`, at `each`
    /// for every dyno that is up (0: any number)?
    pub fn has_room(&self, each: u32, own: usize) -> bool {
        if each == 0 {
            return true;
        }
        let up = self.dynos.iter().filter(|live| live.dyno.state == DynoState::Up).count();
        (self.cell.in_flight() as usize - own) < each as usize * up
    }
}

impl LiveDyno {
    /// The dyno as the choice sees it at `now_ms`, for an exchange that has tried these cells.
    pub fn candidate(&self, now_ms: u64, tried: &[usize]) -> Candidate {
        let bar = match self.dyno.state {
            DynoState::Starting => Some(Bar::Starting),
            DynoState::Draining => Some(Bar::Draining),
            DynoState::Crashed => Some(Bar::Crashed),
            DynoState::Up if tried.contains(&(Arc::as_ptr(&self.cell) as usize)) => {
                Some(Bar::Tried)
            }
            DynoState::Up if self.cell.is_quarantined(now_ms) => Some(Bar::Quarantined),
            DynoState::Up => None,
        };
        Candidate { bar, in_flight: self.cell.in_flight(), weight: self.dyno.weight }
    }
}

/// What an exchange comes to for which no dyno is fit, and whether it is held before, since one may
/// come to be.
pub fn without_dyno(unfit: Unfit) -> (Fault, bool) {
    match unfit {
        Unfit { quarantined: 1.., .. } => (Fault::AllQuarantined, true),
        Unfit { starting: 1.., .. } => (Fault::BootTimeout, true),
        Unfit { crashed: 1.., .. } => (Fault::AppCrashed, false),
        _ => (Fault::NoDynos, false),
    }
}
