//! What the control plane does for health: it asks dynos whether they are well, and tells what the
//! data plane found.
//!
//! [`Prober`] asks: one of the process, whatever the number of workers. Whom is [`asked`]'s, when
//! the [`schedule`]'s, how [`probe`]'s, what of it [`judge`]'s. [`notices`] reads what workers
//! post, and tells the log, the metrics and the readers of the feed. Each of the two has a thread:
//! a storm of notes delays no check, and one of checks no note.

pub mod asked;
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
