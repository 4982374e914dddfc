//! The calls that look back: the history, the table as it was, differences, the way back.
//!
//! Invariants: a table is handed on as it comes and never held; each of its pieces comes within the
//! client's time-out; an answer that breaks off is an error, never the end of a table.

use std::{fmt::Write, io};

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::{
    client::{Client, MAX_ANSWER, app_path, escape},
    connect::{self, connect},
    error::ClientError,
    types::{AppView, DiffHeader, DiffLine, HistoryEntry, List, Receipt, RevertBody},
};

/// Which transactions to tell of.
#[derive(Debug, Clone, Default)]
pub struct HistoryQuery {
    /// Those that changed this app, its routes or its dynos.
    pub app: Option<String>,
    /// Those of this author: the name of a token.
    pub author: Option<String>,
    /// Those from this revision or time on.
    pub since: Option<String>,
    /// Those up to this revision or time.
    pub until: Option<String>,
    /// Those before this revision.
    pub before: Option<u64>,
    /// At most so many, 1 to 1000; without it as many as the push API sees fit.
    pub limit: Option<usize>,
}

/// What two revisions have different.
#[derive(Debug, Clone, PartialEq)]
pub struct Diff {
    /// Of which two.
    pub header: DiffHeader,
    /// What: apps, dynos, routes, each by name.
    pub changes: Vec<DiffLine>,
}

impl Client {
    /// The accepted transactions, the latest first.
    pub async fn history(&self, asked: &HistoryQuery) -> Result<List<HistoryEntry>, ClientError> {
        let HistoryQuery { app, author, since, until, before, limit } = asked;
        let fields = [
            ("app", app.clone()),
            ("author", author.clone()),
            ("since", since.clone()),
            ("until", until.clone()),
            ("before", before.map(|before| before.to_string())),
            ("limit", limit.map(|limit| limit.to_string())),
        ];
        self.get(&with_query("/history", &fields)).await
    }

    /// One app as it was at a revision or time.
    pub async fn app_at(&self, app: &str, at: &str) -> Result<AppView, ClientError> {
        self.get(&with_query(&app_path(app), &[("at", Some(at.into()))])).await
    }

    /// What differs between two revisions or times, the second by default now; of one app if it is
    /// named. What is longer than 64 MiB is an error.
    pub async fn diff(
        &self,
        from: &str,
        to: Option<&str>,
        app: Option<&str>,
    ) -> Result<Diff, ClientError> {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        let fields = [("from", Some(from.into())), ("to", owned(to)), ("app", owned(app))];
        let mut text = Vec::new();
        self.stream(&with_query("/diff", &fields), |piece| {
            if text.len() + piece.len() > MAX_ANSWER {
                return Err(io::Error::other("it is more than 64 MiB: ask for one app alone"));
            }
            text.extend_from_slice(piece);
            Ok(())
        })
        .await?;
        let mut lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let header = self.line(lines.next().unwrap_or_default())?;
        let changes = lines.map(|line| self.line(line)).collect::<Result<_, _>>()?;
        Ok(Diff { header, changes })
    }

    /// The whole table as of a revision or time, by default now, as it comes: lines of JSON, the
    /// first a [`super::TableHeader`]; a piece may end within a line.
    pub async fn table(
        &self,
        at: Option<&str>,
        take: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<(), ClientError> {
        let at = at.map(str::to_owned);
        self.stream(&with_query("/table", &[("at", at)]), take).await
    }

    /// Makes the table, or one app of it, what it was, by a transaction of its own.
    pub async fn revert(&self, body: &RevertBody) -> Result<Receipt, ClientError> {
        self.write(Method::POST, "/revert", Some(body)).await
    }

    fn line<T: DeserializeOwned>(&self, line: &[u8]) -> Result<T, ClientError> {
        serde_json::from_slice(line).map_err(|_| self.foreign(StatusCode::OK, line))
    }

    async fn stream(
        &self,
        path: &str,
        take: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<(), ClientError> {
        let request = self.request(Method::GET, &format!("/v1{path}"), None)?;
        let broken = |source| connect::broken(&self.access, source);
        let stream = TokioIo::new(connect(&self.access).await?);
        let (sender, connection) = http1::handshake(stream).await.map_err(broken)?;
        let received = self.receive(sender, request, take);
        tokio::pin!(received);
        tokio::select! {
            biased;
            done = &mut received => done,
            // What ended the connection, `received` says too, behind the bytes that still came.
            _ = connection => received.await,
        }
    }

    async fn receive(
        &self,
        mut sender: http1::SendRequest<Full<Bytes>>,
        request: Request<Full<Bytes>>,
        mut take: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<(), ClientError> {
        let broken = |source| connect::broken(&self.access, source);
        let too_late = |_| ClientError::Timeout { url: self.url(), after: self.call_timeout };
        let answer = timeout(self.call_timeout, sender.send_request(request)).await;
        let answer = answer.map_err(too_late)?.map_err(broken)?;
        let status = answer.status();
        let mut body = answer.into_body();
        if !status.is_success() {
            return Err(self.refused(status, body).await);
        }
        while let Some(frame) = timeout(self.call_timeout, body.frame()).await.map_err(too_late)? {
            if let Ok(piece) = frame.map_err(broken)?.into_data() {
                take(&piece).map_err(|source| ClientError::Output { source })?;
            }
        }
        Ok(())
    }

    pub(super) async fn refused(&self, status: StatusCode, body: Incoming) -> ClientError {
        match timeout(self.call_timeout, Limited::new(body, MAX_ANSWER).collect()).await {
            Ok(Ok(body)) => {
                let body = body.to_bytes();
                match serde_json::from_slice(&body) {
                    Ok(problem) => ClientError::Refused(problem),
                    Err(_) => self.foreign(status, &body),
                }
            }
            Ok(Err(error)) if error.is::<LengthLimitError>() => {
                self.foreign(status, b"more than 64 MiB")
            }
            Ok(Err(error)) => self.foreign(status, error.to_string().as_bytes()),
            Err(_) => ClientError::Timeout { url: self.url(), after: self.call_timeout },
        }
    }
}

/// A path with those parameters that have a value.
pub(super) fn with_query(path: &str, fields: &[(&str, Option<String>)]) -> String {
    let mut text = path.to_owned();
    let given = fields.iter().filter_map(|(name, value)| Some((name, value.as_ref()?)));
    for (i, (name, value)) in given.enumerate() {
        let sign = if i == 0 { '?' } else { '&' };
        write!(text, "{sign}{name}={}", escape(value)).expect("a String takes all");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_holds_what_is_given_escaped() {
        let fields = [("a", None), ("b", Some("x+y z".to_owned())), ("c", Some("1".to_owned()))];
        assert_eq!(with_query("/x", &fields), "/x?b=x%2By%20z&c=1");
        assert_eq!(with_query("/x", &fields[..1]), "/x");
    }
}
