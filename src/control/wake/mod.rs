//! Wakes apps that have no dynos: the webhook that is told of their requests.
//!
//! [`run`] reads what the data plane posts and asks the table what is still so; [`webhook`]
//! makes the call. Invariants: calls, their retries and their time are bounded; a webhook is
//! reached only where a dyno might listen (`dynos.networks`, and never this process).

mod run;
mod webhook;

pub use run::{Waker, run};
pub use webhook::Reach;
