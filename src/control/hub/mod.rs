//! The hub: takes pushes, keeps the store, publishes tables.
//!
//! One thread takes pushes from a bounded queue, judges them in order on a working table, commits a
//! group of them at once, publishes the last table, and then answers each.
//!
//! Invariants: nothing is published before it is durable, nothing is answered before it is
//! published; a push is applied whole or not at all; a push that changes nothing makes no revision.

mod address;
mod body;
mod judge;
mod ops;
mod path;
mod permit;
mod push;
mod request;
mod revert;
mod settings;
#[cfg(test)]
mod tests;
mod thread;

pub use body::{app_body, dyno_body};
pub use judge::{Accepted, LastChange, judge, judge_under};
pub use path::object_of;
pub use push::{Push, PushError};
pub use request::{Asked, Condition, Done, Key, Request, Terms};
pub use revert::Revert;
pub use settings::Settings;
pub use thread::{Hub, HubThread, MAX_GROUP, QUEUE, start};
