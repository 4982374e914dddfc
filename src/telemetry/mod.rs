//! What the router tells of itself: one line an exchange, metrics, and diagnostics.
//!
//! Reading order: `record` (one exchange as it is told), `line` and `escape` (its text), `log` (the
//! way of the lines to the output), `metrics` (every metric) and `worker` (the counters that a
//! worker keeps to itself), `handshake`, `flood`, `diagnostics`.

pub mod diagnostics;
mod escape;
pub mod figures;
pub mod flood;
pub mod handshake;
pub mod line;
pub mod log;
pub mod metrics;
pub mod record;
pub mod turned_away;
pub mod worker;

pub use diagnostics::{Level, init_diagnostics};
pub use figures::{Families, SECONDS, Took};
pub use flood::Http2Abuse;
pub use handshake::{Handshake, HandshakeFailure};
pub use line::LogFormat;
pub use log::{AccessLog, LogGuard, LogSink};
pub use metrics::{CountedReader, FeedMetrics, Metrics};
pub use record::Record;
pub use turned_away::{Pause, TurnedAway};
pub use worker::WorkerMetrics;
