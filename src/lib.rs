//! Hostler: the front router of an application platform.
//!
//! A request names a host; the host belongs to an app; the app runs on dynos; one of them answers.
//!
//! # Words
//!
//! | word | meaning |
//! | --- | --- |
//! | host | a name that a client asks for, normalised: exact, or wildcard (`*.a.test`) |
//! | route | host, with an optional path prefix, to app |
//! | app | what owns hosts, settings and dynos |
//! | dyno | one running instance of an app: name, address, release, weight, state |
//! | table | every route, app and dyno at one revision: an immutable value |
//! | change, transaction | one edit; a list of edits applied whole or not at all |
//! | revision | the number that every accepted transaction gets; a total order |
//! | store | where revisions are kept for good |
//! | hub | takes pushes, keeps the store, feeds routers |
//! | router | serves traffic from a table that it follows from a hub |
//! | cell | the live state of one dyno, kept across revisions |
//! | exchange | one request and its answer; an attempt is one try of it on one dyno |
//!
//! # Reading order
//!
//! `main`, [`wiring`], [`serve::worker`], [`serve::edge`], [`serve::exchange`], [`route::table`],
//! [`balance`], [`serve::dyno`]; then [`live`]; then [`control`]: follow, hub, store, api.
//!
//! # Invariants
//!
//! * `route`, `wire` and `balance` are pure: no sockets, no clock, no log, no lock. So are
//!   [`units`] and [`near`], by which the settings file and the push API read values and names.
//! * `serve` (the data plane) and `control` (the control plane) never name each other; they meet in
//!   [`live`].
//! * Nothing that came from the network panics, blocks a worker, or grows memory without a bound.
#![deny(unsafe_code, unused_must_use)]
#![warn(missing_docs, rust_2018_idioms)]

pub mod api;
pub mod balance;
pub mod cli;
pub mod config;
pub mod control;
pub mod error;
pub mod live;
pub mod near;
pub mod route;
pub mod serve;
pub mod shutdown;
pub mod telemetry;
pub mod tls;
pub mod units;
pub mod wire;
pub mod wiring;
