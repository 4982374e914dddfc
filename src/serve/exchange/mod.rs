//! One request from its head to its settlement.
//!
//! [`receive`] reads the head, [`decide`] finds the app and rewrites the head, [`attempt`] carries
//! it to a dyno, by [`relay`] in both directions at once or by [`upgrade`] as a tunnel, [`settle`]
//! answers faults, logs and counts. Invariants: a settled exchange has exactly one log line; its
//! place is held until the answer has come from the dyno, and free before the client has all of it;
//! route and app are decided on one revision, each choice of a dyno loads the pointer anew, and no
//! table is held across an await.

mod affinity;
pub mod answer;
pub mod attempt;
mod connect;
pub mod decide;
pub mod hedge;
mod moments;
pub mod patience;
pub mod receive;
pub mod relay;
pub mod run;
mod seek;
pub mod settle;
pub mod upgrade;
pub mod upload;

pub use run::{Exchange, Facts, Next, run};
