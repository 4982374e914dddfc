//! `PUT /v1/table`: the whole table, streamed.
//!
//! What comes is put together beside the hub, on a thread that may block, from a short queue of
//! pieces; what differs from the live table is sought there too, so that the hub has only to commit
//! it.
//! Invariants: at most [`UPLOADS`] come at a time, and one is made the table at a time; one that
//! stops for [`STALL`], or comes slower than [`LEAST_RATE`] for so long, is given up; no more than
//! a few pieces of a body are held beside the table that it makes; what is refused changes nothing.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Extension,
    body::Body,
    extract::{Request, State},
    response::Response,
};
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use http_body_util::BodyExt;
use hyper::body::Body as _;
use tokio::{
    sync::mpsc,
    task::{JoinError, spawn_blocking},
    time::timeout,
};

use super::{
    body::discard,
    conditions,
    gate::Caller,
    idempotency,
    options::{self, WriteOptions},
    problem::Refusal,
    read::{bad_param, unknown_param},
    router::Shared,
    write::{reason_header, told},
};
use crate::{
    control::hub::{Asked, Condition, Difference, PushError, Replacement, Upload},
    route::Table,
};

/// How many tables may come at a time.
pub(super) const UPLOADS: usize = 2;
/// When who was turned away may try again, in seconds.
const RETRY_AFTER: u64 = 10;
/// How long a table may stop coming.
const STALL: Duration = Duration::from_secs(30);
/// How fast a table has to come where it is read as fast, in bytes a second.
const LEAST_RATE: u64 = 64 << 10;
/// How many pieces of a body wait to be read; each is as long as a connection's buffer at most.
const AHEAD: usize = 4;
/// How long the hub may take to commit a table before the caller is told that its outcome is not
/// known yet.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(600);

/// `PUT /v1/table`.
pub(super) async fn put(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, Refusal> {
    let (WriteOptions { consent, wait }, query) = options::split(request.uri().query())?;
    let if_revision = query.as_deref().map(if_revision).transpose()?;
    let headers = request.headers();
    conditions::none(headers)?;
    check_type(headers)?;
    let (key, reason) = (idempotency::key(headers)?, reason_header(headers)?);
    let condition = Condition::default();
    let known_by = |key, meant: &str| {
        let call = format!("/table?if_revision={if_revision:?}");
        idempotency::known_by(&caller.holder, key, ("PUT", &call), (&condition, &consent), &meant)
    };
    let first = key.clone().map(|key| known_by(key, ""));
    let flight = first.map(|key| shared.in_flight.begin(&key)).transpose()?;
    let Ok(place) = shared.uploads.try_acquire() else {
        turn_away(request).await;
        let detail = format!("{UPLOADS} tables are coming already: send this one later");
        return Err(Refusal::retry_after(StatusCode::SERVICE_UNAVAILABLE, detail, RETRY_AFTER));
    };
    let table = receive(&shared, request).await?;
    caller.check_again()?;
    let key = key.map(|key| known_by(key, &table.digest().to_string()));
    let author = caller.holder.name.clone();
    // The semaphore is never closed.
    let turn = shared.replacing.acquire().await.map_err(|_| panicked())?;
    let live = shared.state.reader.load().table().clone();
    let sought = spawn_blocking(move || Difference::between(&live, table)).await;
    let difference = sought.map_err(|_| panicked())?;
    let replacement = Replacement { author, reason, if_revision, difference };
    let wanted = caller.wants(Asked::Table(Box::new(replacement)), (condition, consent), key);
    let too_late = |_| {
        let detail = "the store has not answered in 600 s: the table may still be replaced, see \
                      GET /v1/history";
        Refusal::new(StatusCode::GATEWAY_TIMEOUT, detail)
    };
    caller.check_again()?;
    let done = timeout(COMMIT_TIMEOUT, shared.state.hub.submit(wanted)).await;
    let mut done = done.map_err(too_late)??;
    // Who waits for the fleet is in nobody's way.
    drop((flight, place, turn));
    wait.for_fleet(&shared, &mut done).await;
    Ok(told(&done))
}

/// Puts the table together that a body holds.
async fn receive(shared: &Arc<Shared>, request: Request) -> Result<Table, Refusal> {
    let max = shared.state.settings.max_table;
    if request.body().size_hint().exact().is_some_and(|length| length > max as u64) {
        turn_away(request).await;
        return Err(too_large(max));
    }
    let mut body = request.into_body();
    let upload = shared.state.hub.upload(shared.state.reader.load().table());
    let (pieces, waiting) = mpsc::channel(AHEAD);
    let read = spawn_blocking(move || read(upload, waiting));
    let came = forward(&mut body, pieces, max, STALL).await;
    let table = read.await;
    match came {
        Ok(Forwarded::Whole) => {}
        Ok(Forwarded::Unwanted) => discard(body).await,
        Err(refusal) => {
            discard(body).await;
            return Err(refusal);
        }
    }
    Ok(table.map_err(|_: JoinError| panicked())??)
}

/// Lets the body of a request come to nothing, unless it waits to be asked for.
async fn turn_away(request: Request) {
    if !request.headers().contains_key(header::EXPECT) {
        discard(request.into_body()).await;
    }
}

/// Reads pieces until there are no more, or none are needed.
fn read(mut upload: Upload, mut waiting: mpsc::Receiver<Bytes>) -> Result<Table, PushError> {
    while let Some(piece) = waiting.blocking_recv() {
        if !upload.take(&piece) {
            break;
        }
    }
    drop(waiting);
    upload.finish()
}

/// What became of a body.
enum Forwarded {
    /// All of it was passed on.
    Whole,
    /// Nobody wants the rest of it.
    Unwanted,
}

/// Passes a body on, piece by piece, as fast as it is read.
async fn forward(
    body: &mut Body,
    pieces: mpsc::Sender<Bytes>,
    max: usize,
    stall: Duration,
) -> Result<Forwarded, Refusal> {
    let mut total = 0;
    let stalled = |_| {
        let (rate, seconds) = (LEAST_RATE >> 10, stall.as_secs());
        let detail = format!(
            "the table came slower than {rate} KiB a second for {seconds} s, or not at all"
        );
        Refusal::new(StatusCode::REQUEST_TIMEOUT, detail)
    };
    // How long the client may be waited for; what comes earns more of it.
    let mut patience = stall;
    loop {
        let asked = Instant::now();
        let Some(frame) = timeout(patience, body.frame()).await.map_err(stalled)? else {
            return Ok(Forwarded::Whole);
        };
        patience = patience.saturating_sub(asked.elapsed());
        let broke = |error| {
            let detail = format!("the body broke off: {error}");
            Refusal::field(StatusCode::BAD_REQUEST, "body", detail)
        };
        let Ok(piece) = frame.map_err(broke)?.into_data() else { continue };
        let earned = Duration::from_nanos(piece.len() as u64 * 1_000_000_000 / LEAST_RATE);
        patience = (patience + earned).min(stall);
        total += piece.len();
        if total > max {
            return Err(too_large(max));
        }
        if pieces.send(piece).await.is_err() {
            return Ok(Forwarded::Unwanted);
        }
    }
}

fn if_revision(query: &str) -> Result<u64, Refusal> {
    let (name, value) = query.split_once('=').unwrap_or((query, ""));
    if name != "if_revision" {
        return Err(unknown_param(name, "if_revision, force, confirm, wait, timeout"));
    }
    let bad = |_| bad_param("if_revision", "a revision is a whole number, given once".into());
    value.parse().map_err(bad)
}

fn check_type(headers: &HeaderMap) -> Result<(), Refusal> {
    let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
    if headers.get(header::CONTENT_ENCODING).is_some_and(|coding| coding != "identity") {
        let reason = "send the table as it is, without a Content-Encoding";
        return Err(Refusal::field(status, "content-encoding", reason));
    }
    let value = headers.get(header::CONTENT_TYPE).map(|value| value.as_bytes()).unwrap_or_default();
    let essence = value.split(|b| *b == b';').next().unwrap_or_default().trim_ascii();
    if essence.eq_ignore_ascii_case(b"application/x-ndjson") {
        return Ok(());
    }
    let reason = "send the table as Content-Type: application/x-ndjson, one object a line";
    Err(Refusal::field(status, "content-type", reason))
}

fn too_large(max: usize) -> Refusal {
    let reason = format!("push.max_table allows {max} bytes for a table");
    Refusal::field(StatusCode::PAYLOAD_TOO_LARGE, "body", reason)
}

fn panicked() -> Refusal {
    Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "the table could not be read")
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse;

    use super::{super::stream, *};

    #[tokio::test]
    async fn a_table_that_stops_or_drips_is_given_up() {
        let forwarded = async |stall: u64, pieces: usize, piece: &'static [u8]| {
            let stall = Duration::from_millis(stall);
            let (answer, sender) = stream::streamed("", ());
            let drip = tokio::spawn(async move {
                for _ in 0..pieces {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                    if sender.send(Ok(Bytes::from_static(piece))).await.is_err() {
                        return;
                    }
                }
                if pieces == 0 {
                    sender.closed().await;
                }
            });
            let (taken, _waiting) = mpsc::channel(4000);
            let came = forward(&mut answer.into_body(), taken, usize::MAX, stall).await;
            drip.await.unwrap();
            came.map(|_| ()).map_err(|refusal| refusal.into_response().status())
        };
        let given_up = Err(StatusCode::REQUEST_TIMEOUT);
        assert_eq!(forwarded(300, 0, b"").await, given_up);
        assert_eq!(forwarded(300, 1000, b"x").await, given_up);
        // They take longer than a table may stop, which is long for a busy machine, and are fast
        // enough.
        assert_eq!(forwarded(2000, 2100, &[b'x'; 1 << 20]).await, Ok(()));
    }
}
