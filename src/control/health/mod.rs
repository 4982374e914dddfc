//! What the control plane does for health: it asks dynos whether they are well, and tells what the
//! data plane found.
//!
//! [`Prober`] asks: one of the process, whatever the number of workers. When is the [`schedule`]'s,
//! how is [`probe`]'s, what of it is [`judge`]'s. [`notices`] reads what workers post, and tells
//! the log, the metrics and the readers of the feed.

pub mod grpc;
pub mod judge;
pub mod notices;
pub mod probe;
pub mod run;
pub mod schedule;
pub mod settings;

pub use notices::Notices;
pub use run::{Prober, run};
pub use settings::{Checks, Settings};
