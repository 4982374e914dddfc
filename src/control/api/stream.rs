//! Answers that are too long to be held: lines of JSON, made as the client takes them.
//!
//! Invariants: at most [`READERS`] looks into the archive go on at a time; one look is short, and
//! between two the archive is let go of, so that a client that takes its lines slowly holds back
//! nothing but itself; an answer that cannot be made to its end is cut, never ended.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::{body::Body, response::Response};
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use hyper::body::Frame;
use serde::Serialize;
use tokio::{sync::mpsc, task::spawn_blocking, time::timeout};

use super::{
    problem::{REVISION, Refusal},
    router::Shared,
};
use crate::control::store::{StoreError, View};

/// How many looks into the archive go on at a time.
pub(super) const READERS: usize = 4;
/// How long a look may wait for its turn.
const WAIT: Duration = Duration::from_secs(30);
/// How many pieces of an answer wait for the client.
const AHEAD: usize = 2;

/// Where the pieces of a streamed answer are put; it fails once the client is gone.
pub(super) type Pieces = mpsc::Sender<io::Result<Bytes>>;

/// The body of a streamed answer.
struct Streamed<T> {
    pieces: mpsc::Receiver<io::Result<Bytes>>,
    /// What is let go of with the connection.
    _held: T,
}

impl<T: Unpin> hyper::body::Body for Streamed<T> {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.pieces.poll_recv(cx).map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }
}

/// An answer whose pieces are put where it says; it holds something for as long as it lasts.
pub(super) fn streamed<T: Unpin + Send + 'static>(
    content_type: &'static str,
    held: T,
) -> (Response, Pieces) {
    let (sender, pieces) = mpsc::channel(AHEAD);
    let mut response = Response::new(Body::new(Streamed { pieces, _held: held }));
    let content_type = HeaderValue::from_static(content_type);
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    (response, sender)
}

/// An answer of lines, the first given; the others are put where it says.
pub(super) fn lines(revision: u64, first: &impl Serialize) -> Result<(Response, Pieces), Refusal> {
    let (mut response, pieces) = streamed("application/x-ndjson", ());
    let internal = |_| Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "the answer has no JSON");
    let mut line = serde_json::to_vec(first).map_err(internal)?;
    line.push(b'\n');
    let placed = pieces.try_send(Ok(Bytes::from(line)));
    debug_assert!(placed.is_ok(), "an empty queue takes a piece");
    response.headers_mut().insert(REVISION, revision.into());
    Ok((response, pieces))
}

/// Looks into the archive, off the thread that answers.
pub(super) async fn look<T: Send + 'static>(
    shared: &Arc<Shared>,
    look: impl FnOnce(View) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, Refusal> {
    let archive = shared.state.hub.archive().clone();
    Ok(blocking(shared, move || look(archive.open()?)).await?)
}

/// Does what blocks, once a reader's place is free.
pub(super) async fn blocking<T: Send + 'static>(
    shared: &Arc<Shared>,
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, LookError> {
    let place = timeout(WAIT, shared.readers.acquire()).await.map_err(|_| LookError::Busy)?;
    let _place = place.map_err(|_| LookError::Panicked)?;
    let done = spawn_blocking(work).await.map_err(|_| LookError::Panicked)?;
    if let Err(error) = &done {
        shared.state.hub.archive().note(error);
    }
    done.map_err(LookError::Store)
}

/// Why a look into the archive failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum LookError {
    /// The store failed, or has no such revision.
    #[error(transparent)]
    Store(StoreError),
    /// Too many looks go on already.
    #[error("too many look into the past already: ask again in a moment")]
    Busy,
    /// A bug of ours.
    #[error("a look into the archive panicked")]
    Panicked,
}

impl From<LookError> for Refusal {
    fn from(error: LookError) -> Refusal {
        match error {
            LookError::Store(error @ StoreError::NoSuchRevision { .. }) => {
                Refusal::field(StatusCode::NOT_FOUND, "revision", error.to_string())
            }
            LookError::Store(error @ StoreError::NotKept { .. }) => {
                Refusal::field(StatusCode::GONE, "revision", error.to_string())
            }
            LookError::Store(error) => {
                let detail = format!("the store is not available: {error}");
                Refusal::new(StatusCode::SERVICE_UNAVAILABLE, detail)
            }
            LookError::Busy => Refusal::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
            LookError::Panicked => {
                Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
            }
        }
    }
}
