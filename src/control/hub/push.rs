//! A push, and every way in which it can be refused.
//!
//! Invariants: a refusal changed nothing; it names every mistake that was found, its status is that
//! of the gravest kind among them: not allowed before malformed before conflict before not found; a
//! condition that does not hold counts only if there is nothing else (RFC 9110, section 13.2.1).

use crate::{
    api::{FieldError, Op},
    control::store::StoreError,
};

/// Edits to be applied whole or not at all.
#[derive(Debug, Clone, PartialEq)]
pub struct Push {
    /// Who pushes.
    pub author: String,
    /// Why, for the history.
    pub reason: Option<String>,
    /// Refused when an object that the ops name changed after this revision.
    pub if_revision: Option<u64>,
    /// The edits, in order.
    pub ops: Vec<Op>,
    /// What could not be read of it, for which it is refused: the ops that are named here are
    /// passed over while the others are judged.
    pub misread: Vec<FieldError>,
}

/// Why a push was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PushError {
    /// Something in it is malformed.
    #[error("{}", summary(.0))]
    Invalid(Vec<FieldError>),
    /// It contradicts what is there.
    #[error("{}", summary(.0))]
    Conflict(Vec<FieldError>),
    /// It names an object that is not there.
    #[error("{}", summary(.0))]
    NotFound(Vec<FieldError>),
    /// Its caller may not do it.
    #[error("{}", summary(.0))]
    Forbidden(Vec<FieldError>),
    /// An object is not what the caller made a condition of.
    #[error("{}", summary(.0))]
    Unmet(Vec<FieldError>),
    /// Its caller's token was revoked.
    #[error("this token is not known here: it may have been revoked")]
    Revoked,
    /// It has too many ops.
    #[error(
        "{given} ops are too many for one transaction: push.max_ops allows {bound}, send several"
    )]
    TooManyOps {
        /// How many it has.
        given: usize,
        /// The most it may have.
        bound: usize,
    },
    /// Too many pushes wait already.
    #[error("too many pushes wait already: send this one again in a moment")]
    Busy,
    /// The store failed, so that nothing was changed.
    #[error("the store is not available, nothing was changed: {0}")]
    Unavailable(String),
    /// It needs what is no longer kept.
    #[error("{0}")]
    Gone(String),
    /// The process is about to end.
    #[error("the hub is stopping: send this to the one that follows it")]
    Stopping,
}

impl PushError {
    /// The HTTP status of the answer.
    pub fn status(&self) -> u16 {
        match self {
            PushError::Invalid(_) => 422,
            PushError::Conflict(_) => 409,
            PushError::NotFound(_) => 404,
            PushError::Revoked => 401,
            PushError::Forbidden(_) => 403,
            PushError::Unmet(_) => 412,
            PushError::Gone(_) => 410,
            PushError::TooManyOps { .. } => 413,
            PushError::Busy | PushError::Unavailable(_) | PushError::Stopping => 503,
        }
    }

    /// Every mistake that was found, in the order of the ops.
    pub fn errors(&self) -> &[FieldError] {
        match self {
            PushError::Invalid(errors)
            | PushError::Conflict(errors)
            | PushError::NotFound(errors)
            | PushError::Forbidden(errors)
            | PushError::Unmet(errors) => errors,
            _ => &[],
        }
    }

    /// The same for a call that is no transaction: without the numbers of ops.
    pub fn of_single_call(mut self) -> PushError {
        if let PushError::Invalid(errors)
        | PushError::Conflict(errors)
        | PushError::NotFound(errors)
        | PushError::Forbidden(errors)
        | PushError::Unmet(errors) = &mut self
        {
            errors.iter_mut().for_each(|error| error.op = None);
        }
        self
    }

    /// The refusal for some mistakes.
    ///
    /// # Panics
    /// If there are none.
    pub(super) fn refusal(mistakes: Vec<(Option<usize>, Mistake)>) -> PushError {
        let gravest = mistakes.iter().map(|(_, mistake)| mistake.grade).max();
        let errors = mistakes
            .into_iter()
            .map(|(op, Mistake { field, reason, .. })| FieldError {
                op,
                field,
                reason,
                ..FieldError::default()
            })
            .collect();
        match gravest.expect("a refusal has a reason") {
            Grade::Malformed => PushError::Invalid(errors),
            Grade::Conflict => PushError::Conflict(errors),
            Grade::Missing => PushError::NotFound(errors),
            Grade::Forbidden => PushError::Forbidden(errors),
            Grade::Unmet => PushError::Unmet(errors),
        }
    }

    /// The refusal for mistakes on lines of a table: it is malformed, whatever each of them is,
    /// unless it only goes beyond a bound.
    ///
    /// # Panics
    /// If there are none.
    pub(super) fn of_lines(mistakes: Vec<(usize, Mistake)>) -> PushError {
        let gravest = mistakes.iter().map(|(_, mistake)| mistake.grade).max();
        let error = |(line, Mistake { field, reason, .. })| FieldError {
            line: Some(line),
            field,
            reason,
            ..FieldError::default()
        };
        let errors = mistakes.into_iter().map(error).collect();
        match gravest.expect("a refusal has a reason") {
            Grade::Conflict => PushError::Conflict(errors),
            _ => PushError::Invalid(errors),
        }
    }

    /// The key of a write was another's before.
    pub(super) fn other_request() -> PushError {
        let reason = "this key was another request's: choose a new one for each write";
        let field = "idempotency-key".into();
        let reason = reason.into();
        PushError::Invalid(vec![FieldError { field, reason, ..FieldError::default() }])
    }
}

impl From<StoreError> for PushError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotKept { .. } => PushError::Gone(error.to_string()),
            error => PushError::Unavailable(error.to_string()),
        }
    }
}

fn summary(errors: &[FieldError]) -> String {
    match errors {
        [only] => format!("{}: {}", only.field, only.reason),
        several => format!("{} mistakes were found, nothing was changed", several.len()),
    }
}

/// What kind of mistake, the gravest last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Grade {
    /// An object is not what it was to be.
    Unmet,
    /// An object is not there.
    Missing,
    /// It contradicts what is there.
    Conflict,
    /// It is not what it should be, whatever is there.
    Malformed,
    /// It is not the caller's to do.
    Forbidden,
}

/// One mistake in an op.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mistake {
    pub grade: Grade,
    pub field: String,
    pub reason: String,
}

impl Mistake {
    /// A field that is not what it should be.
    pub fn malformed(field: &str, reason: impl ToString) -> Mistake {
        Mistake { grade: Grade::Malformed, field: field.into(), reason: reason.to_string() }
    }

    /// What the caller may not do.
    pub fn forbidden(field: &str, reason: impl ToString) -> Mistake {
        Mistake { grade: Grade::Forbidden, field: field.into(), reason: reason.to_string() }
    }

    /// A condition that does not hold.
    pub fn unmet(field: &str, reason: impl ToString) -> Mistake {
        Mistake { grade: Grade::Unmet, field: field.into(), reason: reason.to_string() }
    }

    /// A field that names what is not there.
    pub fn missing(field: &str, reason: impl ToString) -> Mistake {
        Mistake { grade: Grade::Missing, field: field.into(), reason: reason.to_string() }
    }

    /// A field that contradicts what is there.
    pub fn conflict(field: &str, reason: impl ToString) -> Mistake {
        Mistake { grade: Grade::Conflict, field: field.into(), reason: reason.to_string() }
    }
}
