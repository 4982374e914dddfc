//! What an app's owner may set of how its dynos are spoken to, as plain values.
//!
//! Invariants: as of all that an app may set.

use std::sync::Arc;

use super::{Value, words::words};

words! {
    /// What is spoken to dynos.
    DynoProtocol {
        /// HTTP/1.1, one exchange at a time on a connection.
        Http1 "http1",
        /// HTTP/2, many on one.
        Http2 "http2",
    }
}

words! {
    /// What a dyno is told of the client before the first byte of a connection.
    ProxyHeader {
        /// Nothing.
        Off "off",
        /// The PROXY protocol, version 2.
        V2 "v2",
    }
}

/// How dynos are spoken to, where it is otherwise than the router says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OwnDynos {
    /// `dynos.max_requests`
    pub max_requests: Option<u32>,
    /// `dynos.protocol`
    pub protocol: Option<DynoProtocol>,
    /// `dynos.tls`
    pub tls: Option<bool>,
    /// `dynos.tls_name`
    pub tls_name: Option<Arc<str>>,
    /// `dynos.proxy_protocol`
    pub proxy_protocol: Option<ProxyHeader>,
}

impl OwnDynos {
    /// Those that are there, each with its name.
    pub(super) fn named(&self) -> impl Iterator<Item = (&'static str, Value<'_>)> {
        // Taken apart whole, so that none can be forgotten.
        let OwnDynos { max_requests, protocol, tls, tls_name, proxy_protocol } = self;
        [
            ("dynos.max_requests", max_requests.map(|most| Value::Number(most.into()))),
            ("dynos.protocol", protocol.map(|protocol| Value::Text(protocol.as_str()))),
            ("dynos.tls", tls.map(Value::Switch)),
            ("dynos.tls_name", tls_name.as_deref().map(Value::Text)),
            ("dynos.proxy_protocol", proxy_protocol.map(|header| Value::Text(header.as_str()))),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
    }
}
