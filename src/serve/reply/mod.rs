//! The router's own answers: a fault becomes a response. Pure; the only place that knows error
//! pages.
//!
//! [`accept`] finds what the client would like to read, [`page`] the body for it, the app's own or
//! the router's, and [`answer`] writes the message.

pub mod accept;
pub mod answer;
pub mod page;

pub use accept::Format;
pub use answer::{ALLOW, Reply, fault};
