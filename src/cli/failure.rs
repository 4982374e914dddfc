//! Why a command did not do what it was told, and the exit code that says so.
//!
//! Invariants: the code follows from the kind of failure, never from its text; [`Exit`] is the one
//! list of codes, which a program may rely on.

use crate::api::ClientError;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// The command line cannot be done as it is.
    #[error("{0}")]
    Usage(String),
    /// What was asked for is in conflict with what there is.
    #[error("{0}")]
    Conflict(String),
    /// What was named is not there.
    #[error("{0}")]
    NotThere(String),
    /// What was asked for failed here, before the push API was asked.
    #[error("{0}")]
    Failed(String),
    /// The call failed.
    #[error(transparent)]
    Call(#[from] ClientError),
}

/// What a command ends with, but for 0, which is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Exit {
    /// For a reason that has no code of its own.
    Failed = 1,
    /// The command line, or a setting that it needs, is wrong: nothing was tried.
    Usage = 2,
    /// The push API cannot be reached, or its answer did not come: a write may have been done.
    Unreachable = 3,
    /// Done, but not served by every live router in time.
    Behind = 4,
    /// What was named is not there, or is kept no more.
    NotThere = 5,
    /// The token does not allow it, or is none.
    NotAllowed = 6,
    /// Another owner, a guard, a bound or a condition stands in the way.
    Conflict = 7,
    /// Too many calls, or a store that takes nothing: try again.
    Busy = 8,
}

impl Failure {
    /// The exit code.
    pub(super) fn code(&self) -> u8 {
        let exit = match self {
            Failure::Usage(_) => Exit::Usage,
            Failure::NotThere(_) => Exit::NotThere,
            Failure::Conflict(_) => Exit::Conflict,
            Failure::Failed(_) => Exit::Failed,
            Failure::Call(error) if error.is_usage() => Exit::Usage,
            Failure::Call(error) if error.is_unreachable() => Exit::Unreachable,
            Failure::Call(ClientError::Behind(..)) => Exit::Behind,
            Failure::Call(error) => match error.status() {
                Some(404 | 410) => Exit::NotThere,
                Some(401 | 403) => Exit::NotAllowed,
                Some(409 | 412) => Exit::Conflict,
                Some(429 | 503) => Exit::Busy,
                // The store's answer did not come: the write may have been done.
                Some(504) => Exit::Unreachable,
                _ => Exit::Failed,
            },
        };
        exit as u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Problem;

    #[test]
    fn a_refusals_code_follows_from_its_status() {
        let code = |status| {
            let (kind, title, detail, errors) = Default::default();
            let problem = Problem { kind, title, status, detail, errors };
            Failure::from(ClientError::Refused(problem)).code()
        };
        let of = [400, 401, 403, 404, 409, 410, 412, 413, 422, 429, 500, 503, 504];
        assert_eq!(of.map(code), [1, 6, 6, 5, 7, 5, 7, 1, 1, 8, 1, 8, 3]);
    }
}
