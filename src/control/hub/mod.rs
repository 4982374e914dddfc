//! The hub: takes pushes, keeps the store, publishes tables.
//!
//! One thread takes pushes from a bounded queue, judges them in order on a working table, commits a
//! group of them at once, publishes the last table, and then answers each.
//!
//! Invariants: nothing is published before it is durable, nothing is answered before it is
//! published; a push is applied whole or not at all; a push that changes nothing makes no revision.

mod address;
mod body;
mod certificate;
mod draft;
mod ending;
mod expiry;
mod guard;
mod judge;
mod line;
mod ops;
mod path;
mod permit;
mod protect;
mod push;
mod replace;
mod request;
mod revert;
mod settings;
#[cfg(test)]
mod tests;
mod thread;
mod times;
mod upkeep;
mod upload;

pub use address::objection;
pub use body::{app_body, dyno_body, route_body};
pub use draft::AUTHOR;
pub use guard::Rule as ShrinkRule;
pub use judge::{Accepted, LastChange, MAX_FOUND, judge};
pub use path::object_of;
pub use push::{Push, PushError};
pub use replace::{Difference, Replacement};
pub use request::{Asked, Condition, Consent, Done, Key, Request, Terms};
pub use revert::Revert;
pub use settings::Settings;
pub use thread::{Hub, HubThread, MAX_GROUP, QUEUE, start};
pub use upload::{MAX_LINE, MAX_MISTAKES, Upload};
