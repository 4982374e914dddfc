//! The push API's server, on the control listener: auth, reads, writes, health, metrics.
//!
//! Invariants: a read answers from the live snapshot alone, so it never waits for the store; every
//! write becomes a push of ops to the hub, and this folder knows nothing of how one is judged;
//! every call but the health checks (and, as a setting, the metrics) bears a token, which is asked
//! for before anything else is read of the request; every refusal is `application/problem+json`
//! (RFC 9457); connections, heads, bodies, pages and waits are bounded.

mod body;
mod gate;
mod health;
mod problem;
mod read;
mod router;
mod server;
mod settings;
pub mod tokens;
mod write;

#[cfg(test)]
mod tests;

pub use router::{ApiState, router};
pub use server::serve;
pub use settings::Settings;
pub use tokens::Tokens;
