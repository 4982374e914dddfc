//! The call that replaces the whole table by one that is streamed.
//!
//! Invariants: a table is passed on as it is read and never held; a call ends when nothing of it
//! went for as long as the client's time-out, or when no answer came for [`COMMIT_TIMEOUT`] behind
//! its end; what could not be read is never the end of a table.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, header};
use http_body_util::BodyExt;
use hyper::{
    body::{Body, Frame, Incoming},
    client::conn::http1,
};
use hyper_util::rt::TokioIo;
use tokio::{
    sync::mpsc,
    time::{Instant, timeout},
};

use super::{
    client::Client,
    connect::{self, connect},
    error::ClientError,
    travel::with_query,
    types::Receipt,
};

/// How long the answer may take once the whole table went.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(600);

/// Under what terms a table is replaced.
#[derive(Debug, Clone, Default)]
pub struct TableTerms {
    /// Refused unless the table still stands at this revision.
    pub if_revision: Option<u64>,
}

impl Client {
    /// Replaces the whole table by one that comes in pieces: lines of JSON as [`Client::table`]
    /// hands them on. What both hold alike is not touched.
    pub async fn put_table(
        &self,
        terms: &TableTerms,
        pieces: mpsc::Receiver<io::Result<Bytes>>,
    ) -> Result<Receipt, ClientError> {
        let fields = [("if_revision", terms.if_revision.map(|revision| revision.to_string()))];
        let path = self.with_options(&self.with_wait_in(&with_query("/table", &fields)));
        let progress = Progress::default();
        let body = Pieces { pieces, progress: progress.clone() };
        let mut request = self.request(Method::PUT, &path, None)?.map(|_| body);
        let kind = HeaderValue::from_static("application/x-ndjson");
        request.headers_mut().insert(header::CONTENT_TYPE, kind);
        let broken = |source| connect::broken(&self.access, source);
        let stream = TokioIo::new(connect(&self.access).await?);
        let (sender, connection) = http1::handshake(stream).await.map_err(broken)?;
        let answered = self.replaced(sender, request, &progress);
        tokio::pin!(answered);
        tokio::select! {
            biased;
            done = &mut answered => done,
            // What ended the connection, `answered` says too, behind the bytes that still came.
            _ = connection => answered.await,
        }
    }

    async fn replaced(
        &self,
        mut sender: http1::SendRequest<Pieces>,
        request: Request<Pieces>,
        progress: &Progress,
    ) -> Result<Receipt, ClientError> {
        let broken = |source| connect::broken(&self.access, source);
        let sent = self.sent(sender.send_request(request), progress).await?;
        let answer = match (sent, progress.failure()) {
            (Ok(answer), _) => answer,
            (Err(_), Some(source)) => return Err(ClientError::Input { source }),
            (Err(error), None) => return Err(broken(error)),
        };
        let status = answer.status();
        if !status.is_success() {
            return Err(self.refused(status, answer.into_body()).await);
        }
        let too_late = |_| ClientError::Timeout { url: self.url(), after: self.call_timeout };
        let body = timeout(self.call_timeout, answer.into_body().collect()).await;
        let body = body.map_err(too_late)?.map_err(broken)?.to_bytes();
        let receipt = serde_json::from_slice(&body).map_err(|_| self.foreign(status, &body))?;
        Client::settled(receipt)
    }

    /// Waits for an answer for as long as the table goes on.
    async fn sent(
        &self,
        answer: impl Future<Output = hyper::Result<Response<Incoming>>>,
        progress: &Progress,
    ) -> Result<hyper::Result<Response<Incoming>>, ClientError> {
        tokio::pin!(answer);
        let mut last = Instant::now();
        loop {
            if let Ok(answer) = timeout(self.call_timeout, &mut answer).await {
                return Ok(answer);
            }
            let (moved, patience) = progress.since(last, self.call_timeout);
            if last.elapsed() >= patience && !moved {
                return Err(ClientError::Timeout { url: self.url(), after: patience });
            }
            if moved {
                last = Instant::now();
            }
        }
    }
}

/// How far a table went.
#[derive(Debug, Clone, Default)]
struct Progress(Arc<Mutex<Went>>);

#[derive(Debug, Default)]
struct Went {
    last: Option<Instant>,
    is_over: bool,
    failure: Option<io::Error>,
}

impl Progress {
    fn note(&self, piece: Option<&io::Result<Bytes>>) {
        let mut went = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        went.last = Some(Instant::now());
        went.is_over |= piece.is_none();
    }

    fn fail(&self, error: io::Error) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).failure = Some(error);
    }

    /// Did some of it go since then, and how long may it take from there?
    fn since(&self, then: Instant, call_timeout: Duration) -> (bool, Duration) {
        let went = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let patience = if went.is_over { COMMIT_TIMEOUT.max(call_timeout) } else { call_timeout };
        (went.last.is_some_and(|last| last > then), patience)
    }

    fn failure(&self) -> Option<io::Error> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).failure.take()
    }
}

/// The body of the call.
struct Pieces {
    pieces: mpsc::Receiver<io::Result<Bytes>>,
    progress: Progress,
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let Poll::Ready(piece) = self.pieces.poll_recv(cx) else { return Poll::Pending };
        self.progress.note(piece.as_ref());
        Poll::Ready(piece.map(|piece| match piece {
            Ok(piece) => Ok(Frame::data(piece)),
            Err(error) => {
                let kind = error.kind();
                self.progress.fail(error);
                Err(kind.into())
            }
        }))
    }
}
