//! What an app's owner may set of how much its dynos are given and of who waits for them, as plain
//! values.
//!
//! Invariants: as of all that an app may set.

use std::{sync::Arc, time::Duration};

use super::Value;

/// Bounds and waiting that an app may have otherwise than the router.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OwnCapacity {
    /// `dynos.adaptive`
    pub adaptive: Option<bool>,
    /// `dynos.hedge_after`
    pub hedge_after: Option<Duration>,
    /// `limits.in_flight`
    pub in_flight: Option<u32>,
    /// `dynos.max_in_flight`
    pub max_in_flight: Option<u32>,
    /// Who waits.
    pub queue: OwnQueue,
    /// How an app without dynos is woken.
    pub wake: OwnWake,
}

/// Waiting for a dyno.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OwnQueue {
    /// `queue.lifo_after`
    pub lifo_after: Option<Duration>,
    /// `queue.max`
    pub max: Option<u32>,
    /// `queue.paused`
    pub paused: Option<bool>,
    /// `queue.timeout`
    pub timeout: Option<Duration>,
}

/// Waking an app that has no dynos.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OwnWake {
    /// `wake.timeout`
    pub timeout: Option<Duration>,
    /// `wake.url`, empty for none
    pub url: Option<Arc<str>>,
}

impl OwnCapacity {
    /// Those that are there, each with its name.
    pub(super) fn named(&self) -> impl Iterator<Item = (&'static str, Value<'_>)> {
        let count = |value: &Option<u32>| value.map(|value| Value::Number(value.into()));
        // Taken apart whole, so that none can be forgotten.
        let OwnCapacity { adaptive, hedge_after, in_flight, max_in_flight, queue, wake } = self;
        let OwnQueue { lifo_after, max, paused, timeout } = queue;
        let OwnWake { timeout: wake_timeout, url } = wake;
        [
            ("dynos.adaptive", adaptive.map(Value::Switch)),
            ("dynos.hedge_after", hedge_after.map(Value::Time)),
            ("dynos.max_in_flight", count(max_in_flight)),
            ("limits.in_flight", count(in_flight)),
            ("queue.lifo_after", lifo_after.map(Value::Time)),
            ("queue.max", count(max)),
            ("queue.paused", paused.map(Value::Switch)),
            ("queue.timeout", timeout.map(Value::Time)),
            ("wake.timeout", wake_timeout.map(Value::Time)),
            ("wake.url", url.as_deref().map(Value::Text)),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
    }
}
