//! What the settings say of an app's health, ready for use, and whose doing the end of an attempt
//! is.
//!
//! Invariants: made when the app changes, never for a request; faults of the client and of the
//! router never count against a dyno.

use std::time::Duration;

use crate::{
    balance::eject,
    error::{Fault, Whose},
    live::Outcome,
    route::{Check, EjectOn, OwnHealth, OwnSettings},
};

/// The settings of one app.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HealthRules {
    /// `dynos.quarantine`
    pub quarantine: Duration,
    /// `health.max_quarantine`
    pub max_quarantine: Duration,
    /// `health.eject_on`
    pub eject_on: EjectOn,
    /// `health.eject_faults` and the rest of them.
    pub eject: eject::Rules,
    /// `health.panic_share`, in percent.
    pub panic_share: u32,
    /// `health.return_over`
    pub return_over: Duration,
    /// `health.slow_start`
    pub slow_start: Duration,
    /// `health.check` is not `off`: what a check said counts.
    pub is_checked: bool,
    /// `health.proven_first`; without a check it means nothing.
    pub proven_first: bool,
}

impl Default for HealthRules {
    fn default() -> Self {
        HealthRules::STANDARD
    }
}

/// What the end of an attempt says of its dyno.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It answered.
    Well,
    /// Nothing.
    Nothing,
    /// It failed.
    Fault,
}

impl HealthRules {
    /// Those of a router that is told nothing.
    pub const STANDARD: HealthRules = HealthRules {
        quarantine: Duration::from_secs(5),
        max_quarantine: Duration::from_secs(60),
        eject_on: EjectOn::Faults,
        eject: eject::Rules::STANDARD,
        panic_share: 50,
        return_over: Duration::from_secs(10),
        slow_start: Duration::ZERO,
        is_checked: false,
        proven_first: false,
    };

    /// These, with an app's own in the place of those that it has.
    pub fn with(&self, own: &OwnSettings) -> HealthRules {
        let OwnSettings { health, quarantine, .. } = own;
        if quarantine.is_none() && *health == OwnHealth::default() {
            return *self;
        }
        let eject = &self.eject;
        let is_checked = health.checks.check.map_or(self.is_checked, |check| check != Check::Off);
        let proven_first = health.checks.proven_first.unwrap_or(self.proven_first);
        HealthRules {
            quarantine: quarantine.unwrap_or(self.quarantine),
            max_quarantine: health.max_quarantine.unwrap_or(self.max_quarantine),
            eject_on: health.eject_on.unwrap_or(self.eject_on),
            eject: eject::Rules {
                faults: health.eject_faults.unwrap_or(eject.faults),
                time: health.eject_time.unwrap_or(eject.time),
                max_time: health.max_eject_time.unwrap_or(eject.max_time),
                max_ejected: health.max_ejected.unwrap_or(eject.max_ejected),
                deviations: health.deviations.unwrap_or(eject.deviations),
                rate_requests: health.rate_requests.unwrap_or(eject.rate_requests),
                rate_dynos: health.rate_dynos.unwrap_or(eject.rate_dynos),
                rate_window: health.rate_window.unwrap_or(eject.rate_window),
            },
            panic_share: health.panic_share.unwrap_or(self.panic_share),
            return_over: health.return_over.unwrap_or(self.return_over),
            slow_start: health.slow_start.unwrap_or(self.slow_start),
            is_checked,
            proven_first,
        }
    }

    /// What the end of an attempt says of its dyno.
    pub fn judge(&self, outcome: &Outcome) -> Verdict {
        match outcome.fault {
            None if outcome.given_up => Verdict::Nothing,
            None if outcome.status < 500 => Verdict::Well,
            None if self.counts_status(outcome.status) => Verdict::Fault,
            None => Verdict::Well,
            Some(fault) if fault.whose() != Whose::Dyno => Verdict::Nothing,
            // Counted where the connect fails: once, however many wait for it.
            Some(
                Fault::ConnectRefused
                | Fault::ConnectTimeout
                | Fault::DynoCertificate
                | Fault::AllQuarantined,
            ) => Verdict::Nothing,
            Some(Fault::ClosedWithoutResponse) if outcome.is_race() => Verdict::Nothing,
            Some(_) if self.eject_on == EjectOn::Off => Verdict::Nothing,
            Some(_) => Verdict::Fault,
        }
    }

    fn counts_status(&self, status: u16) -> bool {
        match self.eject_on {
            EjectOn::Off | EjectOn::Faults => false,
            EjectOn::Gateway => matches!(status, 502..=504),
            EjectOn::All => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::{Times, outcome::RACE_US};

    fn judged(eject_on: EjectOn, fault: Option<Fault>, status: u16) -> Verdict {
        let rules = HealthRules { eject_on, ..HealthRules::default() };
        rules.judge(&Outcome { fault, status, ..Outcome::default() })
    }

    #[test]
    fn an_answer_counts_as_the_app_sets() {
        use EjectOn::{All, Faults, Gateway, Off};
        for (status, faulty) in [
            (200, &[][..]),
            (404, &[]),
            (101, &[]),
            (500, &[All]),
            (501, &[All]),
            (502, &[All, Gateway]),
            (504, &[All, Gateway]),
        ] {
            for on in [Off, Faults, Gateway, All] {
                let is_fault = judged(on, None, status) == Verdict::Fault;
                assert_eq!(is_fault, faulty.contains(&on), "{status} {on:?}");
            }
        }
    }

    /// Of every fault: a dyno's own count unless they were counted at the connect, others never.
    #[test]
    fn only_what_the_dyno_did_counts_against_it() {
        let elsewhere = [
            Fault::ConnectRefused,
            Fault::ConnectTimeout,
            Fault::DynoCertificate,
            Fault::AllQuarantined,
        ];
        for fault in Fault::ALL {
            let counts = fault.whose() == Whose::Dyno && !elsewhere.contains(fault);
            let expected = if counts { Verdict::Fault } else { Verdict::Nothing };
            assert_eq!(judged(EjectOn::Faults, Some(*fault), 0), expected, "{fault:?}");
            assert_eq!(judged(EjectOn::Off, Some(*fault), 0), Verdict::Nothing, "{fault:?}");
        }
    }

    #[test]
    fn an_attempt_that_was_given_up_says_nothing() {
        let given_up = Outcome { given_up: true, ..Outcome::default() };
        assert_eq!(HealthRules::default().judge(&given_up), Verdict::Nothing);
    }

    #[test]
    fn a_kept_connection_that_ends_at_once_may_have_been_closed_before() {
        let rules = HealthRules::default();
        let of = |fault, was_kept, dyno_us| {
            let times = Times { dyno_us, ..Times::default() };
            let outcome = Outcome { fault: Some(fault), was_kept, times, ..Outcome::default() };
            rules.judge(&outcome)
        };
        assert_eq!(of(Fault::ClosedWithoutResponse, true, RACE_US), Verdict::Nothing);
        assert_eq!(of(Fault::ClosedWithoutResponse, true, RACE_US + 1), Verdict::Fault);
        assert_eq!(of(Fault::ClosedWithoutResponse, false, 0), Verdict::Fault);
        assert_eq!(of(Fault::ServerInterrupted, true, 0), Verdict::Fault, "a reset");
        assert_eq!(of(Fault::RequestTimeout, true, 0), Verdict::Fault);
    }
}
