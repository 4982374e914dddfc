//! Answers: JSON with its revision, and refusals as `application/problem+json` (RFC 9457).
//!
//! Invariants: every JSON body ends with a newline; a 401 says how to authenticate (RFC 9110,
//! section 15.5.2); a refusal names the field where there is one.

use std::time::Duration;

use axum::{
    body::Body,
    extract::rejection::PathRejection,
    response::{IntoResponse, Response},
};
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;

use super::{paths::Missing, tokens::Holder};
use crate::{
    api::{FieldError, Problem},
    control::hub::PushError,
};

/// The revision that an answer was given at.
pub(super) const REVISION: HeaderName = HeaderName::from_static("hostler-revision");

/// Why a call is refused.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    detail: String,
    errors: Vec<FieldError>,
    /// A header that belongs to the status.
    header: Option<Box<(HeaderName, HeaderValue)>>,
}

/// How a caller authenticates.
const CHALLENGE: HeaderValue = HeaderValue::from_static("Bearer realm=\"hostler\"");

impl Refusal {
    /// A refusal that belongs to no field.
    pub(super) fn new(status: StatusCode, detail: impl Into<String>) -> Refusal {
        Refusal { status, detail: detail.into(), errors: Vec::new(), header: None }
    }

    /// A refusal for every mistake found.
    pub(super) fn fields(status: StatusCode, errors: Vec<FieldError>) -> Refusal {
        let detail = match &errors[..] {
            [one] => format!("{}: {}", one.field, one.reason),
            several => format!("{} mistakes, see errors", several.len()),
        };
        Refusal { status, detail, errors, header: None }
    }

    /// A refusal for one field.
    pub(super) fn field(status: StatusCode, field: &str, reason: impl Into<String>) -> Refusal {
        let (field, reason) = (field.into(), reason.into());
        let error = FieldError { field, reason, ..FieldError::default() };
        Refusal::fields(status, vec![error])
    }

    /// A refusal of who did not say who they are.
    pub(super) fn unauthorized(detail: impl Into<String>) -> Refusal {
        let header = Some(Box::new((header::WWW_AUTHENTICATE, CHALLENGE)));
        Refusal { header, ..Refusal::new(StatusCode::UNAUTHORIZED, detail) }
    }

    /// A refusal of who lacks a scope (RFC 6750, section 3.1).
    pub(super) fn scope(missing: &Missing, holder: &Holder) -> Refusal {
        let (name, scopes) = (&holder.name, holder.grant.scopes());
        let reason = format!("this needs {missing}, and token {name} has only {scopes}");
        let challenge =
            format!("Bearer realm=\"hostler\", error=\"insufficient_scope\", scope=\"{missing}\"");
        let challenge = challenge.parse().unwrap_or(CHALLENGE);
        let header = Some(Box::new((header::WWW_AUTHENTICATE, challenge)));
        Refusal { header, ..Refusal::field(StatusCode::FORBIDDEN, "scope", reason) }
    }

    /// A refusal of who calls too often, with the time to wait.
    pub(super) fn too_fast(wait: Duration) -> Refusal {
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        let detail = format!("this token calls too often (push.rate): wait for {seconds} s");
        Refusal::retry_after(StatusCode::TOO_MANY_REQUESTS, detail, seconds)
    }

    /// A refusal for now.
    pub(super) fn retry_after(status: StatusCode, detail: String, seconds: u64) -> Refusal {
        let header = Some(Box::new((header::RETRY_AFTER, seconds.into())));
        Refusal { header, ..Refusal::new(status, detail) }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let Refusal { status, detail, errors, header } = self;
        let problem = Problem {
            kind: "about:blank".into(),
            title: status.canonical_reason().unwrap_or("Error").into(),
            status: status.as_u16(),
            detail,
            errors,
        };
        let mut response = json(status, "application/problem+json", &problem);
        response.headers_mut().extend(header.map(|header| *header));
        response
    }
}

impl From<PushError> for Refusal {
    fn from(error: PushError) -> Refusal {
        if matches!(error, PushError::Revoked) {
            return Refusal::unauthorized(error.to_string());
        }
        let status = StatusCode::from_u16(error.status());
        Refusal {
            status: status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            detail: error.to_string(),
            errors: error.errors().to_vec(),
            header: None,
        }
    }
}

impl From<PathRejection> for Refusal {
    fn from(rejection: PathRejection) -> Refusal {
        Refusal::field(StatusCode::BAD_REQUEST, "path", rejection.body_text())
    }
}

/// An answer at a revision.
pub(super) fn answer(revision: u64, value: &impl Serialize) -> Response {
    let mut response = json(StatusCode::OK, "application/json", value);
    response.headers_mut().insert(REVISION, revision.into());
    response
}

/// A JSON answer.
pub(super) fn json(
    status: StatusCode,
    content_type: &'static str,
    value: &impl Serialize,
) -> Response {
    match serde_json::to_vec(value) {
        Ok(mut body) => {
            body.push(b'\n');
            (status, [(header::CONTENT_TYPE, content_type)], Body::from(body)).into_response()
        }
        // Our own types are plain structs, which JSON can always express; a bug, not a refusal.
        Err(error) => {
            tracing::error!(%error, "an answer of the push API cannot be written as JSON");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
