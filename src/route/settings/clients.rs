//! What an app's owner may set of what clients may do, as plain values.
//!
//! Invariants: as of all that an app may set; a list of networks is sorted and without twins, so
//! that one set has one form.

use std::{sync::Arc, time::Duration};

use super::Value;
use crate::route::Network;

/// Limits per client that an app may have otherwise than the router.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OwnClientLimits {
    /// `limits.allow`
    pub allow: Option<Arc<[Network]>>,
    /// `limits.deny`
    pub deny: Option<Arc<[Network]>>,
    /// `limits.rate`, requests in a window
    pub rate: Option<u32>,
    /// `limits.rate_per_address`
    pub rate_per_address: Option<u32>,
    /// `limits.rate_per_header`
    pub rate_per_header: Option<u32>,
    /// `limits.rate_window`
    pub rate_window: Option<Duration>,
    /// `limits.concurrency`, exchanges
    pub concurrency: Option<u32>,
    /// `limits.concurrency_per_address`
    pub concurrency_per_address: Option<u32>,
    /// `limits.concurrency_per_header`
    pub concurrency_per_header: Option<u32>,
    /// `limits.client_header`, in lower case
    pub client_header: Option<Arc<str>>,
}

impl OwnClientLimits {
    /// Those that are there, each with its name.
    pub(super) fn named(&self) -> impl Iterator<Item = (&'static str, Value<'_>)> {
        let count = |value: &Option<u32>| value.map(|value| Value::Number(value.into()));
        // Taken apart whole, so that none can be forgotten.
        let OwnClientLimits {
            allow,
            deny,
            rate,
            rate_per_address,
            rate_per_header,
            rate_window,
            concurrency,
            concurrency_per_address,
            concurrency_per_header,
            client_header,
        } = self;
        [
            ("limits.allow", allow.as_deref().map(Value::Networks)),
            ("limits.deny", deny.as_deref().map(Value::Networks)),
            ("limits.rate", count(rate)),
            ("limits.rate_per_address", count(rate_per_address)),
            ("limits.rate_per_header", count(rate_per_header)),
            ("limits.rate_window", rate_window.map(Value::Time)),
            ("limits.concurrency", count(concurrency)),
            ("limits.concurrency_per_address", count(concurrency_per_address)),
            ("limits.concurrency_per_header", count(concurrency_per_header)),
            ("limits.client_header", client_header.as_deref().map(Value::Text)),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
    }
}
