//! The events of `GET /v1/feed`, typed, and a reader that goes on by itself after a cut.
//!
//! Invariants: the reader yields each revision once and in order, or a snapshot that covers those
//! skipped; a snapshot that was cut begins anew, with another [`FeedEvent::Snapshot`]; an event has
//! a bound; waits between two tries grow to a bound; what no further try can mend is an error.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;
use tokio::{
    task::JoinHandle,
    time::{sleep, timeout},
};

use super::{
    client::{Client, escape},
    connect::{self, connect},
    error::ClientError,
    events::{Events, RawEvent},
    types::Problem,
};

/// How long the reader waits before its second try, and the least before each that follows.
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// How long it waits at the most.
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// The longest refusal that is read, in bytes.
const MAX_REFUSAL: usize = 1 << 20;
/// The header that says up to where the events came.
const LAST_EVENT_ID: &str = "last-event-id";

/// One event of the feed.
#[derive(Debug)]
pub enum FeedEvent {
    /// A whole table comes: what was followed so far is to be forgotten.
    Snapshot(SnapshotHead),
    /// Some of its objects, each in its canonical form.
    Objects(Vec<String>),
    /// It came whole.
    SnapshotEnd(FeedPoint),
    /// The next transaction.
    Transaction(FeedTransaction),
    /// Nothing came behind this.
    Heartbeat(FeedPoint),
    /// What became of a dyno, which is in no revision.
    Dyno(DynoNews),
}

/// What became of a dyno.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DynoNews {
    /// Whose it is.
    pub app: String,
    /// Its name.
    pub name: String,
    /// What: `empty`, it drains and has nothing in flight any more.
    pub what: String,
    /// When, in milliseconds since the Unix epoch.
    pub at_ms: u64,
}

/// What comes in a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotHead {
    /// The version of the canonical form.
    pub v: u32,
    /// `snapshot`
    pub kind: String,
    /// The revision of the table.
    pub revision: u64,
    /// Its digest, in hexadecimal.
    pub digest: String,
    /// How many apps follow.
    pub apps: usize,
    /// How many routes follow.
    pub routes: usize,
    /// How many dynos follow.
    pub dynos: usize,
    /// How many certificates follow.
    #[serde(default)]
    pub certs: usize,
}

/// Where the table stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedPoint {
    /// The revision.
    pub revision: u64,
    /// The digest of its table, in hexadecimal.
    pub digest: String,
}

/// One transaction.
#[derive(Debug, Serialize, Deserialize)]
pub struct FeedTransaction {
    /// The revision it made.
    pub revision: u64,
    /// The digest of the table behind it, in hexadecimal.
    pub digest: String,
    /// When, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// Who: the name of a token.
    pub author: String,
    /// From which address, if it came over the network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Why, if they said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Was it forced past the guards?
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub forced: bool,
    /// What became of each object: first those that went.
    pub changes: Vec<FeedChange>,
}

/// What became of one object.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FeedChange {
    /// It is so now, in its canonical form, byte for byte: it may have been another's before.
    Put(Box<RawValue>),
    /// It is gone.
    Remove(ObjectName),
}

/// What names an object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ObjectName {
    /// An app.
    App {
        /// Its name.
        name: String,
    },
    /// A certificate.
    Cert {
        /// Its name.
        name: String,
    },
    /// A dyno.
    Dyno {
        /// Whose it is.
        app: String,
        /// Its name.
        name: String,
    },
    /// A route, whoever owns it.
    Route {
        /// Its host.
        host: String,
        /// Its path prefix. Absent: `/`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        path: Option<String>,
    },
}

/// Follows the feed.
#[derive(Debug)]
pub struct Feed {
    client: Client,
    router: Option<String>,
    last: Option<u64>,
    open: Option<Open>,
    wait: Duration,
}

/// A connection that the feed comes on.
#[derive(Debug)]
struct Open {
    body: Incoming,
    events: Events,
    connection: JoinHandle<()>,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

impl Client {
    /// Follows the feed from behind a revision, or from a snapshot on. Nothing is sent before the
    /// first [`Feed::next`].
    pub fn feed(&self, from: Option<u64>) -> Feed {
        let (client, wait) = (self.clone(), Duration::ZERO);
        Feed { client, router: None, last: from, open: None, wait }
    }
}

impl Feed {
    /// Follows as the router of that id, which counts as live for as long as it does.
    pub fn as_router(mut self, id: impl Into<String>) -> Feed {
        self.router = Some(id.into());
        self
    }

    /// The last revision that came whole.
    pub fn last(&self) -> Option<u64> {
        self.last
    }

    /// The next event. A connection that is cut, or silent for longer than the client's time-out,
    /// is made anew; it may be dropped and called again at any time.
    ///
    /// # Errors
    /// If the feed is refused and asking again would not help: the token is not known, say.
    pub async fn next(&mut self) -> Result<FeedEvent, ClientError> {
        loop {
            if let Some(event) = self.read().await? {
                return Ok(event);
            }
            self.open = None;
            let wait = self.wait;
            self.wait = (wait * 2).clamp(FIRST_WAIT, LONGEST_WAIT);
            // Those who were cut together do not come back together.
            sleep(wait.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
            match self.connect().await {
                Ok(open) => self.open = Some(open),
                Err(error) if is_final(&error) => return Err(error),
                Err(error) => tracing::debug!(%error, "the feed cannot be followed just now"),
            }
        }
    }

    /// The next event on the open connection; none if that is over.
    async fn read(&mut self) -> Result<Option<FeedEvent>, ClientError> {
        while let Some(open) = &mut self.open {
            match open.events.read() {
                Ok(Some(event)) => {
                    let Some(event) = self.typed(&event)? else { continue };
                    match self.accept(&event) {
                        true => return Ok(Some(event)),
                        false => break,
                    }
                }
                Ok(None) => {
                    let frame = timeout(self.client.call_timeout, open.body.frame()).await;
                    let Ok(Some(Ok(frame))) = frame else { break };
                    if let Ok(piece) = frame.into_data() {
                        open.events.push(&piece);
                    }
                }
                Err(error) => return Err(self.bad(&error.to_string())),
            }
        }
        Ok(None)
    }

    /// Notes how far it came; false if a transaction is not the next one.
    fn accept(&mut self, event: &FeedEvent) -> bool {
        match event {
            // Whoever is given one lets go of what there was: a cut one has to begin anew.
            FeedEvent::Snapshot(_) => {
                self.last = None;
                return true;
            }
            FeedEvent::Objects(_) | FeedEvent::Dyno(_) => return true,
            FeedEvent::SnapshotEnd(point) => self.last = Some(point.revision),
            FeedEvent::Transaction(made) => {
                if self.last.is_some_and(|last| last + 1 != made.revision) {
                    self.last = None;
                    return false;
                }
                self.last = Some(made.revision);
            }
            // A heartbeat that states what did not come: something was lost on the way.
            FeedEvent::Heartbeat(point) if self.last.is_some_and(|last| last != point.revision) => {
                self.last = None;
                return false;
            }
            FeedEvent::Heartbeat(_) => {}
        }
        self.wait = Duration::ZERO;
        true
    }

    /// The event as its name says; none if nobody here knows it.
    fn typed(
        &self,
        RawEvent { name, data, .. }: &RawEvent,
    ) -> Result<Option<FeedEvent>, ClientError> {
        Ok(Some(match name.as_str() {
            "snapshot" => FeedEvent::Snapshot(self.parse(data)?),
            "objects" => FeedEvent::Objects(data.split('\n').map(Into::into).collect()),
            "snapshot-end" => FeedEvent::SnapshotEnd(self.parse(data)?),
            "transaction" => FeedEvent::Transaction(self.parse(data)?),
            "heartbeat" => FeedEvent::Heartbeat(self.parse(data)?),
            "dyno" => FeedEvent::Dyno(self.parse(data)?),
            _ => return Ok(None),
        }))
    }

    fn parse<T: DeserializeOwned>(&self, data: &str) -> Result<T, ClientError> {
        serde_json::from_str(data).map_err(|_| self.bad(data))
    }

    fn bad(&self, what: &str) -> ClientError {
        self.client.foreign(StatusCode::OK, what.as_bytes())
    }

    async fn connect(&self) -> Result<Open, ClientError> {
        let client = &self.client;
        let too_late = |_| ClientError::Timeout { url: client.url(), after: client.call_timeout };
        timeout(client.call_timeout, self.connect_unbounded()).await.map_err(too_late)?
    }

    async fn connect_unbounded(&self) -> Result<Open, ClientError> {
        let client = &self.client;
        let router = self.router.as_ref().map(|id| format!("?router={}", escape(id)));
        let path = format!("/v1/feed{}", router.unwrap_or_default());
        let mut request = client.request(Method::GET, &path, None)?;
        let accept = HeaderValue::from_static("text/event-stream");
        request.headers_mut().insert(header::ACCEPT, accept);
        if let Some(last) = self.last {
            request.headers_mut().insert(LAST_EVENT_ID, last.into());
        }
        let broken = |source| connect::broken(&client.access, source);
        let stream = TokioIo::new(connect(&client.access).await?);
        let handshake = http1::handshake::<_, Full<Bytes>>(stream).await;
        let (mut sender, connection) = handshake.map_err(broken)?;
        // How it ended, the body says too.
        let connection = tokio::spawn(async move { connection.await.unwrap_or_default() });
        let answer = sender.send_request(request).await;
        let answer = answer.inspect_err(|_| connection.abort()).map_err(broken)?;
        let (status, body) = (answer.status(), answer.into_body());
        let open = Open { body, events: Events::default(), connection };
        if status.is_success() { Ok(open) } else { Err(self.refused(status, open).await) }
    }

    async fn refused(&self, status: StatusCode, mut open: Open) -> ClientError {
        let body = Limited::new(&mut open.body, MAX_REFUSAL).collect().await;
        let body = body.map(|body| body.to_bytes()).unwrap_or_default();
        match serde_json::from_slice::<Problem>(&body) {
            Ok(problem) => ClientError::Refused(problem),
            Err(_) => self.client.foreign(status, &body),
        }
    }
}

/// Would another try be of no use?
fn is_final(error: &ClientError) -> bool {
    match error.status() {
        Some(status) => status < 500 && status != StatusCode::TOO_MANY_REQUESTS.as_u16(),
        None => error.is_usage() || matches!(error, ClientError::Tls { .. }),
    }
}
