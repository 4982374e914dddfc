//! The push API's server, on the control listener: auth, reads, writes, health, metrics.
//!
//! Invariants: a read of what is answers from the live snapshot, and looks beside it only for when
//! an object last changed, as of that snapshot, so that it never waits for the store's writer; one
//! of what was looks into the archive, beside the hub, on a thread that may wait; every write of
//! the table becomes a push of ops to the hub, and this folder knows nothing of how one is judged;
//! every call but the health checks (and, as a setting, the metrics) bears a token, which is asked
//! for, with the scope that the path needs, before anything else is read of the request; every
//! refusal is `application/problem+json` (RFC 9457); connections, heads, bodies, pages and waits
//! are bounded.

mod admin;
mod at;
mod body;
mod certs;
mod conditions;
mod drain;
mod explain;
mod feed;
mod gate;
mod health;
mod idempotency;
mod json;
mod lists;
mod openapi;
mod options;
mod order;
mod paths;
mod problem;
mod rate;
mod read;
mod router;
mod routers;
mod secure;
mod server;
mod settings;
mod stats;
mod stream;
mod table;
mod token_calls;
pub mod tokens;
mod travel;
mod wait;
mod waiting;
mod write;

#[cfg(test)]
mod tests;

pub use explain::Explain;
pub use router::{ApiState, router};
pub use secure::{Secure, renew};
pub use server::serve;
pub use settings::Settings;
pub use tokens::Tokens;
