//! The side of the clients: accepting their connections, and the life of one.

pub mod accept;
pub mod client;
pub mod h1;
pub mod h2;
pub mod handshake;
pub mod link;
pub mod proxy;

pub use client::Client;
pub use link::{Link, Protocol, Security};
