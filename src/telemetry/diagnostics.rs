//! Diagnostics: what the parts say of themselves through `tracing`, on standard error.
//!
//! Standard output belongs to the log of exchanges. Invariants: no colours (the platform that
//! collects the lines is no terminal); no level tells of the frames of a connection, of which
//! clients decide how many there are; installed once, by the shell, before anything speaks.

use std::io;

pub use tracing::Level;
use tracing_subscriber::{filter::Targets, layer::SubscriberExt};

/// The levels by the words that name them in the settings.
pub const LEVELS: [(&str, Level); 5] = [
    ("error", Level::ERROR),
    ("warn", Level::WARN),
    ("info", Level::INFO),
    ("debug", Level::DEBUG),
    ("trace", Level::TRACE),
];

/// Libraries that tell of each frame, and the level of what is told of them.
const LIBRARIES: [(&str, Level); 5] = [
    // Its warnings are about what clients do.
    ("h2", Level::ERROR),
    ("hyper", Level::WARN),
    ("hyper_util", Level::WARN),
    ("rustls", Level::WARN),
    ("tokio_rustls", Level::WARN),
];

/// Sends what is at least as grave as `level` to standard error, one line each.
///
/// # Errors
/// If diagnostics were installed before.
pub fn init_diagnostics(level: Level) -> io::Result<()> {
    let lines = tracing_subscriber::fmt()
        .compact()
        .with_ansi(false)
        .with_max_level(level)
        .with_writer(io::stderr)
        // It would tell of a standard error that is gone by writing to it, and so panic.
        .log_internal_errors(false)
        .finish()
        .with(Targets::new().with_default(level).with_targets(LIBRARIES));
    tracing::subscriber::set_global_default(lines)
        .map_err(|_| io::Error::other("diagnostics were installed before: install them once"))
}
