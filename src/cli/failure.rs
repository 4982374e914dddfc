//! Why a command did not do what it was told, and the exit code that says so.
//!
//! Invariant: the code follows from the kind of failure, never from its text.

use crate::api::ClientError;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// The command line cannot be done as it is.
    #[error("{0}")]
    Usage(String),
    /// What was asked for is refused here, before the push API is asked.
    #[error("{0}")]
    Refused(String),
    /// The call failed.
    #[error(transparent)]
    Call(#[from] ClientError),
}

impl Failure {
    /// 1 refused, 2 wrong usage, 3 not reached.
    pub(super) fn code(&self) -> u8 {
        match self {
            Failure::Usage(_) => 2,
            Failure::Refused(_) => 1,
            Failure::Call(error) if error.is_usage() => 2,
            Failure::Call(error) if error.is_unreachable() => 3,
            Failure::Call(_) => 1,
        }
    }
}
