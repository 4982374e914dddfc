//! What an app's owner may set of how a dyno is chosen, as plain values.
//!
//! Invariants: as of all that an app may set; the shares of releases are in one form,
//! `v1=90,v2=10`, sorted by release.

use std::sync::Arc;

use super::{Value, words::words};

words! {
    /// Which dyno gets the next exchange.
    BalanceAlgorithm {
        /// The better of two random ones.
        P2c "p2c",
        /// One of those with the fewest exchanges beside their weight.
        LeastRequest "least_request",
        /// One after the other.
        RoundRobin "round_robin",
        /// Any.
        Random "random",
        /// Always the same for the same key.
        Hash "hash",
        /// One that has none.
        OneAtATime "one_at_a_time",
    }
}

words! {
    /// A second algorithm that is run beside the first.
    BalanceShadow {
        /// None.
        Off "off",
        /// [`BalanceAlgorithm::P2c`]
        P2c "p2c",
        /// [`BalanceAlgorithm::LeastRequest`]
        LeastRequest "least_request",
        /// [`BalanceAlgorithm::RoundRobin`]
        RoundRobin "round_robin",
        /// [`BalanceAlgorithm::Random`]
        Random "random",
        /// [`BalanceAlgorithm::Hash`]
        Hash "hash",
        /// [`BalanceAlgorithm::OneAtATime`]
        OneAtATime "one_at_a_time",
    }
}

words! {
    /// What of a request is its key.
    BalanceKey {
        /// The address of its client.
        Address "address",
        /// Its path, without the query.
        Path "path",
        /// The value of a header.
        Header "header",
        /// The value of a cookie.
        Cookie "cookie",
    }
}

/// How a dyno is chosen, where it is otherwise than the router says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OwnBalance {
    /// `balance.algorithm`
    pub algorithm: Option<BalanceAlgorithm>,
    /// `balance.key`
    pub key: Option<BalanceKey>,
    /// `balance.key_name`, in lower case if it is a header's
    pub key_name: Option<Arc<str>>,
    /// `balance.bound`, in percent
    pub bound: Option<u32>,
    /// `balance.releases`
    pub releases: Option<Arc<str>>,
    /// `balance.sticky`
    pub sticky: Option<bool>,
    /// `balance.reported_load`
    pub reported_load: Option<bool>,
    /// `balance.shadow`
    pub shadow: Option<BalanceShadow>,
}

impl OwnBalance {
    /// Those that are there, each with its name.
    pub(super) fn named(&self) -> impl Iterator<Item = (&'static str, Value<'_>)> {
        // Taken apart whole, so that none can be forgotten.
        let Self { algorithm, key, key_name, bound, releases, sticky, reported_load, shadow } =
            self;
        [
            ("balance.algorithm", algorithm.map(|algorithm| Value::Text(algorithm.as_str()))),
            ("balance.key", key.map(|key| Value::Text(key.as_str()))),
            ("balance.key_name", key_name.as_deref().map(Value::Text)),
            ("balance.bound", bound.map(|percent| Value::Number(percent.into()))),
            ("balance.releases", releases.as_deref().map(Value::Text)),
            ("balance.sticky", sticky.map(Value::Switch)),
            ("balance.reported_load", reported_load.map(Value::Switch)),
            ("balance.shadow", shadow.map(|shadow| Value::Text(shadow.as_str()))),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
    }
}
