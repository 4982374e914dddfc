//! What can end a run early, said so that the reader knows what to do.
//!
//! Invariants: nothing is swallowed: a run either yields every figure that was asked for or one of
//! these; each names the process or file it is about.

use std::io;
use std::net::SocketAddr;

/// Why the comparison could not be made.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The machine refused something; `what` says which step.
    #[error("{what}: {source}")]
    Io {
        /// The step that failed, with the file or address.
        what: String,
        /// What the system said.
        source: io::Error,
    },
    /// A process did not come up, or went away.
    #[error("{name}: {what}{tail}")]
    Process {
        /// The rival or role.
        name: String,
        /// What happened.
        what: String,
        /// The last lines that it wrote to its standard error, or nothing.
        tail: String,
    },
    /// An answer that is not what the dyno sent.
    #[error("an answer is not as expected: {0}")]
    Answer(String),
    /// A rival lacks a feature that all must have for the comparison to be fair.
    #[error("{name} is not set up like the others: {lacks}")]
    Unequal {
        /// The rival.
        name: String,
        /// What is missing, and where it was looked for.
        lacks: String,
    },
    /// No event for a whole [`crate::load::STALL`].
    #[error("no answer from {0} for 10 s: {1} requests are unanswered")]
    Stalled(SocketAddr, usize),
    /// TLS with a proxy that went wrong.
    #[error("TLS with {0}: {1}")]
    Tls(SocketAddr, rustls::Error),
    /// The user pressed Ctrl-C.
    #[error("interrupted")]
    Interrupted,
}

/// Names the step in which an I/O error happened.
pub trait During<T> {
    /// Turns the error into a [`Failure`] that names the step.
    fn during(self, what: &str) -> Result<T, Failure>;
}

impl<T, E: Into<io::Error>> During<T> for Result<T, E> {
    fn during(self, what: &str) -> Result<T, Failure> {
        self.map_err(|error| Failure::Io { what: what.to_owned(), source: error.into() })
    }
}
