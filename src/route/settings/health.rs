//! What an app's owner may set of its dynos' health, as plain values.
//!
//! Invariants: as of all that an app may set; shares are percent, times never more than a day.

use std::{sync::Arc, time::Duration};

use super::{Value, words::words};

words! {
    /// What counts as a fault of a dyno.
    EjectOn {
        /// Nothing: none is ejected.
        Off "off",
        /// A connect that fails, a connection that breaks, an answer that is none, a time-out.
        Faults "faults",
        /// Those, and the answers 502, 503 and 504.
        Gateway "gateway",
        /// Those, and every answer from 500 on.
        All "5xx",
    }
}

words! {
    /// How a dyno is asked whether it is well.
    Check {
        /// Not at all.
        Off "off",
        /// By a connection.
        Tcp "tcp",
        /// By a GET.
        Http "http",
        /// By grpc.health.v1.Health/Check.
        Grpc "grpc",
    }
}

/// What is otherwise than the router says of health.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OwnHealth {
    /// `health.max_quarantine`
    pub max_quarantine: Option<Duration>,
    /// `health.eject_on`
    pub eject_on: Option<EjectOn>,
    /// `health.eject_faults`, in a row
    pub eject_faults: Option<u32>,
    /// `health.eject_time`
    pub eject_time: Option<Duration>,
    /// `health.max_eject_time`
    pub max_eject_time: Option<Duration>,
    /// `health.max_ejected`, in percent
    pub max_ejected: Option<u32>,
    /// `health.panic_share`, in percent
    pub panic_share: Option<u32>,
    /// `health.deviations`, in hundredths
    pub deviations: Option<u32>,
    /// `health.rate_requests`
    pub rate_requests: Option<u32>,
    /// `health.rate_dynos`
    pub rate_dynos: Option<u32>,
    /// `health.rate_window`
    pub rate_window: Option<Duration>,
    /// `health.return_over`
    pub return_over: Option<Duration>,
    /// `health.slow_start`
    pub slow_start: Option<Duration>,
    /// How its dynos are asked.
    pub checks: OwnChecks,
}

/// What is otherwise than the router says of active checks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OwnChecks {
    /// `health.check`
    pub check: Option<Check>,
    /// `health.path`
    pub path: Option<Arc<str>>,
    /// `health.host`
    pub host: Option<Arc<str>>,
    /// `health.status`
    pub status: Option<Arc<str>>,
    /// `health.body`
    pub body: Option<Arc<str>>,
    /// `health.grpc_name`
    pub grpc_name: Option<Arc<str>>,
    /// `health.interval`
    pub interval: Option<Duration>,
    /// `health.jitter`, in percent
    pub jitter: Option<u32>,
    /// `health.timeout`
    pub timeout: Option<Duration>,
    /// `health.failing_after`, in a row
    pub failing_after: Option<u32>,
    /// `health.well_after`, in a row
    pub well_after: Option<u32>,
    /// `health.proven_first`
    pub proven_first: Option<bool>,
}

impl OwnHealth {
    /// Those that are there, each with its name.
    pub(super) fn named(&self) -> impl Iterator<Item = (&'static str, Value<'_>)> {
        // Taken apart whole, so that none can be forgotten.
        let OwnHealth {
            max_quarantine,
            eject_on,
            eject_faults,
            eject_time,
            max_eject_time,
            max_ejected,
            panic_share,
            deviations,
            rate_requests,
            rate_dynos,
            rate_window,
            return_over,
            slow_start,
            checks,
        } = self;
        [
            ("health.max_quarantine", max_quarantine.map(Value::Time)),
            ("health.eject_on", eject_on.map(|on| Value::Text(on.as_str()))),
            ("health.eject_faults", count(eject_faults)),
            ("health.eject_time", eject_time.map(Value::Time)),
            ("health.max_eject_time", max_eject_time.map(Value::Time)),
            ("health.max_ejected", count(max_ejected)),
            ("health.panic_share", count(panic_share)),
            ("health.deviations", count(deviations)),
            ("health.rate_requests", count(rate_requests)),
            ("health.rate_dynos", count(rate_dynos)),
            ("health.rate_window", rate_window.map(Value::Time)),
            ("health.return_over", return_over.map(Value::Time)),
            ("health.slow_start", slow_start.map(Value::Time)),
        ]
        .into_iter()
        .chain(checks.named())
        .filter_map(|(name, value)| Some((name, value?)))
    }
}

impl OwnChecks {
    fn named(&self) -> [(&'static str, Option<Value<'_>>); 12] {
        let OwnChecks {
            check,
            path,
            host,
            status,
            body,
            grpc_name,
            interval,
            jitter,
            timeout,
            failing_after,
            well_after,
            proven_first,
        } = self;
        [
            ("health.check", check.map(|check| Value::Text(check.as_str()))),
            ("health.path", path.as_deref().map(Value::Text)),
            ("health.host", host.as_deref().map(Value::Text)),
            ("health.status", status.as_deref().map(Value::Text)),
            ("health.body", body.as_deref().map(Value::Text)),
            ("health.grpc_name", grpc_name.as_deref().map(Value::Text)),
            ("health.interval", interval.map(Value::Time)),
            ("health.jitter", count(jitter)),
            ("health.timeout", timeout.map(Value::Time)),
            ("health.failing_after", count(failing_after)),
            ("health.well_after", count(well_after)),
            ("health.proven_first", proven_first.map(Value::Switch)),
        ]
    }
}

fn count(value: &Option<u32>) -> Option<Value<'static>> {
    value.map(|value| Value::Number(value.into()))
}
