//! Why a client's connection was closed, or made to wait, before a request came on it.
//!
//! Invariant: each is counted where it happens, and explained by the metrics' help and
//! `docs/limits.md`.

/// Why a connection was closed before its first request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TurnedAway {
    /// Its client has as many as one may have.
    Address,
    /// It came from a network that may send no PROXY header.
    ProxyNetwork,
    /// It began with no PROXY header.
    ProxyMissing,
    /// It began with a wrong one.
    ProxyMalformed,
    /// The header did not come in time, or the connection ended before.
    ProxyTimeout,
}

impl TurnedAway {
    /// Each, as it is numbered.
    pub const ALL: [TurnedAway; 5] = [
        TurnedAway::Address,
        TurnedAway::ProxyNetwork,
        TurnedAway::ProxyMissing,
        TurnedAway::ProxyMalformed,
        TurnedAway::ProxyTimeout,
    ];

    /// The label of the metric.
    pub fn as_str(self) -> &'static str {
        match self {
            TurnedAway::Address => "address",
            TurnedAway::ProxyNetwork => "proxy_network",
            TurnedAway::ProxyMissing => "proxy_missing",
            TurnedAway::ProxyMalformed => "proxy_malformed",
            TurnedAway::ProxyTimeout => "proxy_timeout",
        }
    }
}

/// Why accepting pauses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pause {
    /// There are as many connections as there may be.
    Connections,
    /// The process or the machine has no descriptors or memory left.
    Descriptors,
    /// There are as many handshakes of TLS as there may be.
    Handshakes,
    /// The process has as much memory as it may have.
    Memory,
}

impl Pause {
    /// Each, as it is numbered.
    pub const ALL: [Pause; 4] =
        [Pause::Connections, Pause::Descriptors, Pause::Handshakes, Pause::Memory];

    /// The label of the metric.
    pub fn as_str(self) -> &'static str {
        match self {
            Pause::Connections => "connections",
            Pause::Descriptors => "descriptors",
            Pause::Handshakes => "handshakes",
            Pause::Memory => "memory",
        }
    }
}
