//! Reads the JSON body of a write.
//!
//! Invariants: the type is judged before a byte is read; a body is at most `max_body` long, comes
//! whole within [`BODY_TIMEOUT`], and all that are held at one time stay within one budget, so that
//! many large pushes wait for each other and do not fill the memory; those of one token hold half
//! of it, or one body, so that whoever announces bodies and sends none keeps no other waiting.

use std::{sync::Arc, time::Duration};

use axum::extract::Request;
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Body;
use serde_json::Value;
use tokio::{
    sync::{OwnedSemaphorePermit, SemaphorePermit},
    time::timeout,
};

use super::{gate::Caller, json, problem::Refusal, router::Shared};

/// The most that the body of a call may hold that writes nothing of the table, in bytes.
const MAX_SMALL: usize = 256 << 10;
/// How long a body may take to come, the wait for its share of the budget included.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// What all bodies that are being read or judged may hold, in bytes, unless a single one may hold
/// more.
const BODY_BUDGET: usize = 64 << 20;
/// How much of a body that is too large is read and thrown away, in bytes.
const MAX_DISCARD: usize = 256 << 20;
/// How long that may take.
const DISCARD_TIMEOUT: Duration = Duration::from_secs(2);
/// What a permit of the budget stands for, in bytes.
const PERMIT: usize = 1024;
/// Into how many parts half of the budget is divided, which one token may hold.
pub(super) const OWN_SHARE: usize = 1024;

/// A body, for as long as it is held against the budget.
pub(super) struct Held<'a> {
    /// `None` if it is empty.
    pub(super) json: Option<Value>,
    _held: (SemaphorePermit<'a>, Option<OwnedSemaphorePermit>),
}

/// How many permits the budget has.
pub(super) fn budget(max_body: usize) -> usize {
    permits(BODY_BUDGET.max(max_body)) as usize
}

fn permits(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(PERMIT)).unwrap_or(u32::MAX).clamp(1, u32::MAX >> 4)
}

/// How many of a token's own parts a share of the whole budget is: all of them at most.
fn own_part(share: u32, max_body: usize) -> u32 {
    let half = (budget(max_body) / 2).max(1);
    let parts = (share as usize * OWN_SHARE).div_ceil(half).min(OWN_SHARE);
    u32::try_from(parts).unwrap_or(u32::MAX)
}

/// Reads the body of a request, which must be JSON or empty.
pub(super) async fn read<'a>(
    shared: &'a Arc<Shared>,
    request: Request,
) -> Result<Held<'a>, Refusal> {
    read_to(shared, request, shared.state.settings.max_body).await
}

/// Reads the body of a call that writes nothing of the table: a question, an ack, a token. Such a
/// body is small, so that none of them takes a share of the budget that writes would miss.
pub(super) async fn read_small<'a>(
    shared: &'a Arc<Shared>,
    request: Request,
) -> Result<Held<'a>, Refusal> {
    read_to(shared, request, shared.state.settings.max_body.min(MAX_SMALL)).await
}

async fn read_to<'a>(
    shared: &'a Arc<Shared>,
    request: Request,
    max: usize,
) -> Result<Held<'a>, Refusal> {
    let (parts, body) = request.into_parts();
    if !body.is_end_stream() {
        check_type(&parts.method, &parts.headers)?;
    }
    let announced = body.size_hint().exact();
    if announced.is_some_and(|length| length > max as u64) {
        if !parts.headers.contains_key(header::EXPECT) {
            discard(body).await;
        }
        return Err(too_large(max));
    }
    let share = permits(announced.map_or(max, |length| length as usize));
    let whole = async {
        // The semaphores are never closed.
        let own = match parts.extensions.get::<Caller>() {
            Some(caller) => {
                let bodies = caller.holder.bodies.clone();
                let part = bodies.acquire_many_owned(own_part(share, max));
                Some(part.await.map_err(|_| overloaded())?)
            }
            None => None,
        };
        let permit = shared.body_budget.acquire_many(share).await.map_err(|_| overloaded())?;
        Ok::<_, Refusal>((collect(body, max).await?, (permit, own)))
    };
    let too_late = |_| Refusal::new(StatusCode::REQUEST_TIMEOUT, "the body did not come in 30 s");
    let (bytes, held) = timeout(BODY_TIMEOUT, whole).await.map_err(too_late)??;
    let json = if bytes.is_empty() { None } else { Some(parse(&bytes)?) };
    Ok(Held { json, _held: held })
}

async fn collect(mut body: axum::body::Body, max: usize) -> Result<Bytes, Refusal> {
    match Limited::new(&mut body, max).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => {
            discard(body).await;
            Err(too_large(max))
        }
        Err(error) => {
            let detail = format!("the body broke off: {error}");
            Err(Refusal::field(StatusCode::BAD_REQUEST, "body", detail))
        }
    }
}

/// Reads on for a while what is refused: a client that is still sending when the connection closes
/// is sent a reset, which may overtake the answer that says why.
pub(super) async fn discard(mut body: axum::body::Body) {
    let read = async {
        let mut left = MAX_DISCARD;
        while let Some(Ok(frame)) = body.frame().await {
            let length = frame.data_ref().map_or(0, Bytes::len);
            left = left.saturating_sub(length);
            if left == 0 {
                break;
            }
        }
    };
    if timeout(DISCARD_TIMEOUT, read).await.is_err() {
        tracing::debug!("a body that is too large did not end in time");
    }
}

fn parse(bytes: &[u8]) -> Result<Value, Refusal> {
    json::parse(bytes).map_err(|error| {
        Refusal::field(StatusCode::BAD_REQUEST, "body", format!("not JSON: {error}"))
    })
}

fn check_type(method: &Method, headers: &HeaderMap) -> Result<(), Refusal> {
    let value = headers.get(header::CONTENT_TYPE).map(|value| value.as_bytes());
    if headers.get(header::CONTENT_ENCODING).is_some_and(|coding| coding != "identity") {
        let reason = "send the body as it is, without a Content-Encoding";
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return Err(Refusal::field(status, "content-encoding", reason));
    }
    let essence = value.and_then(|v| v.split(|b| *b == b';').next()).unwrap_or_default();
    let is = |name: &[u8]| essence.trim_ascii().eq_ignore_ascii_case(name);
    let patch = method == Method::PATCH;
    if is(b"application/json") || patch && is(b"application/merge-patch+json") {
        return Ok(());
    }
    let more = if patch { " or application/merge-patch+json" } else { "" };
    let reason = format!("send the body as Content-Type: application/json{more}");
    Err(Refusal::field(StatusCode::UNSUPPORTED_MEDIA_TYPE, "content-type", reason))
}

fn too_large(max: usize) -> Refusal {
    let reason = match max {
        MAX_SMALL => format!("the body of this call has at most {max} bytes"),
        _ => format!("push.max_body allows {max} bytes for a body: push in several transactions"),
    };
    Refusal::field(StatusCode::PAYLOAD_TOO_LARGE, "body", reason)
}

fn overloaded() -> Refusal {
    Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "the push API takes no bodies any more")
}
