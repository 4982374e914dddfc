//! Diagnostics: what the parts say of themselves through `tracing`, on standard error.
//!
//! Standard output belongs to the log of exchanges. Invariants: no colours (the platform that
//! collects the lines is no terminal); installed once, by the shell, before anything speaks.

use std::io;

pub use tracing::Level;

/// The levels by the words that name them in the settings.
pub const LEVELS: [(&str, Level); 5] = [
    ("error", Level::ERROR),
    ("warn", Level::WARN),
    ("info", Level::INFO),
    ("debug", Level::DEBUG),
    ("trace", Level::TRACE),
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
        .finish();
    tracing::subscriber::set_global_default(lines)
        .map_err(|_| io::Error::other("diagnostics were installed before: install them once"))
}
