//! What the data plane can be told, as it is meant: checked, with units in the types.
//!
//! Invariants: nothing here is text still to be read; the defaults are Heroku's documented figures,
//! and those of the settings file.

use std::{net::IpAddr, time::Duration};

/// The data plane's settings.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The most client connections of the process; more wait in the accept queue.
    pub max_connections: usize,
    /// This router's name in `Via`.
    pub via: String,
    /// Networks whose `X-Forwarded-Proto` and `X-Forwarded-Port` are kept: address, prefix length.
    pub trusted_networks: Vec<(IpAddr, u8)>,
    /// Bounds of heads.
    pub limits: Limits,
    /// Time-outs.
    pub timeouts: Timeouts,
    /// How long a dyno is passed over after a failed connect.
    pub quarantine: Duration,
    /// The most connect attempts of one exchange.
    pub max_attempts: u32,
}

impl Settings {
    /// Are the forwarding headers of a client at this address kept?
    pub fn trusts(&self, remote: IpAddr) -> bool {
        self.trusted_networks.iter().any(|(network, len)| match (network, remote) {
            (IpAddr::V4(network), IpAddr::V4(remote)) => {
                let differing = network.to_bits() ^ remote.to_bits();
                *len == 0 || differing >> (32 - len) == 0
            }
            (IpAddr::V6(network), IpAddr::V6(remote)) => {
                let differing = network.to_bits() ^ remote.to_bits();
                *len == 0 || differing >> (128 - len) == 0
            }
            _ => false,
        })
    }
}

/// Bounds of request and response heads, in bytes unless said otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The request line.
    pub request_line: usize,
    /// The name of a header of a request.
    pub header_name: usize,
    /// The value of a header of a request.
    pub header_value: usize,
    /// How many headers a request may have (a count).
    pub header_count: usize,
    /// The whole head of a request.
    pub request_head: usize,
    /// The status line of an answer.
    pub status_line: usize,
    /// A `Set-Cookie` line of an answer.
    pub set_cookie: usize,
    /// Any other header line of an answer.
    pub response_header: usize,
    /// The whole head of an answer.
    pub response_head: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            request_line: 8192,
            header_name: 1000,
            header_value: 8192,
            header_count: 1000,
            request_head: 64 << 10,
            status_line: 8192,
            set_cookie: 8192,
            response_header: 512 << 10,
            response_head: 1 << 20,
        }
    }
}

/// Time-outs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// One connect attempt.
    pub connect: Duration,
    /// All connect attempts of an exchange, and every wait for a dyno.
    pub connect_total: Duration,
    /// From the whole request sent to the answer's first byte.
    pub first_byte: Duration,
    /// Silence of both sides in the middle of an exchange, tunnels included.
    pub idle: Duration,
    /// From a request's first byte to the end of its head.
    pub request_head: Duration,
    /// How long a client's connection may wait for its next request.
    pub keep_alive: Duration,
    /// How long a connection to a dyno is kept for the next exchange.
    pub pool_idle: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Timeouts {
            connect: Duration::from_secs(5),
            connect_total: Duration::from_secs(75),
            first_byte: Duration::from_secs(30),
            idle: Duration::from_secs(55),
            request_head: Duration::from_secs(30),
            keep_alive: Duration::from_secs(60),
            pool_idle: Duration::from_secs(90),
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            max_connections: 10_000,
            via: "hostler".into(),
            trusted_networks: Vec::new(),
            limits: Limits::default(),
            timeouts: Timeouts::default(),
            quarantine: Duration::from_secs(5),
            max_attempts: 10,
        }
    }
}
