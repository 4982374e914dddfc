//! What the router's settings are bounded by that no app has of its own.
//!
//! Invariant: each says why where the bound is not plain; those that apps share are in `units`.

use std::{ops::RangeInclusive, time::Duration};

/// Streams of HTTP/2: a client may always have a few at once.
pub const STREAMS: RangeInclusive<u32> = 1..=100_000;
/// Windows of HTTP/2, in bytes: that of a connection is never less than what every client takes for
/// granted (RFC 9113, section 6.9.2), and none more than the protocol has room for.
pub const WINDOW: RangeInclusive<usize> = 65_535..=(1 << 31) - 1;
/// Ops of one transaction.
pub const OPS: RangeInclusive<usize> = 1..=1_000_000;
/// Bodies of the push API, in bytes.
pub const BODY: RangeInclusive<usize> = 1 << 10..=1 << 30;
/// A whole table, in bytes.
pub const WHOLE: RangeInclusive<usize> = 1 << 10..=1 << 40;
/// Objects of a kind: as many as a table has room for.
pub const OBJECTS: RangeInclusive<usize> = 1..=1 << 24;
/// Certificates, each of which a worker looks up by its hosts.
pub const CERTS: RangeInclusive<usize> = 1..=100_000;
/// Tokens.
pub const TOKENS: RangeInclusive<usize> = 1..=100_000;
/// Clients whose figures are kept, each in 48 to 96 bytes.
pub const CLIENTS: RangeInclusive<usize> = 1..=1 << 24;
/// Readers of the feed: each has a connection of the control listener.
pub const FEEDS: RangeInclusive<usize> = 1..=768;
/// Between two heartbeats: a router that follows is live for 15 s behind each.
pub const HEARTBEAT: RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_secs(10);
/// Ports.
pub const PORTS: RangeInclusive<u32> = 1..=65535;
/// Handshakes of TLS at a time.
pub const HANDSHAKES: RangeInclusive<usize> = 1..=1_000_000;
/// The least version of TLS: is it 1.3?
pub const TLS_VERSIONS: [(&str, bool); 2] = [("1.2", false), ("1.3", true)];
/// Dynos that are asked at a time.
pub const PROBES: RangeInclusive<usize> = 1..=10_000;
/// Answers that are kept.
pub const KEPT: RangeInclusive<usize> = 1..=100_000_000;

/// How long the past is kept: up to ten years, or 0 for ever.
pub const RETENTION: RangeInclusive<Duration> =
    Duration::ZERO..=Duration::from_secs(10 * 365 * 24 * 3600);
