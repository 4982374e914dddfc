//! `GET /v1/feed`: the table, then every transaction, as server-sent events.
//!
//! A reader copies what comes next out of the ring that all share, a piece at a time; who cannot go
//! on from where it was is sent the table that is published, by a thread that may wait for it and
//! holds up no other then.
//! Invariants: a reader holds a few pieces and no event, a snapshot's one table; at most
//! `push.max_feeds` readers, and [`RENDERING`] pieces of snapshots made at a time, a turn being no
//! longer than that; a piece that is not taken within
//! [`UNTAKEN`] cuts the connection; each piece is sent only while the token holds; what a heartbeat
//! states was sent before it; the stream ends when the process drains.

use std::{sync::Arc, time::Instant};

use axum::{
    Extension,
    extract::{Request, State},
    response::Response,
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use tokio::{
    runtime::Handle,
    sync::{
        broadcast::{self, error::TryRecvError},
        watch,
    },
    task::spawn_blocking,
    time::{Duration, sleep_until, timeout},
};

use super::{
    gate::Caller,
    problem::Refusal,
    read::{Params, bad_param, unknown_param},
    router::Shared,
    routers::router_id,
    server::Cut,
    stream::{Pieces, streamed},
};
use crate::{
    control::feed::{DynoEvent, Feed, Position, Read, heartbeat, snapshot},
    route::Revision,
};

/// How many pieces of snapshots are made at a time.
pub(super) const RENDERING: usize = 8;
/// How long a piece may wait to be taken.
const UNTAKEN: Duration = Duration::from_secs(15);
/// The most bytes of a piece, but for a single object that is longer.
const PIECE: usize = 64 << 10;
/// What a reader is told first: how long to wait before it comes back, in milliseconds.
const RETRY: &[u8] = b"retry: 1000\n\n";
const LAST_EVENT_ID: &str = "last-event-id";
/// Keeps a server in between from gathering what is to come at once (nginx).
const UNBUFFERED: (&str, HeaderValue) = ("x-accel-buffering", HeaderValue::from_static("no"));

/// `GET /v1/feed?from=&router=`.
pub(super) async fn feed(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    params: Params,
    request: Request,
) -> Result<Response, Refusal> {
    let (mut from, mut router) = (None, None);
    for (param, value) in params?.0 {
        match param.as_str() {
            "from" => from = Some(read_from(&value)?),
            "router" => router = Some(router_id(value)?),
            other => return Err(unknown_param(other, "from, router")),
        }
    }
    let from = last_event_id(request.headers()).unwrap_or(from);
    let is_head = *request.method() == Method::HEAD;
    let place = shared.feeds.clone().try_acquire_owned().map_err(|_| too_many(&shared))?;
    let feed = shared.state.hub.feed().clone();
    let at = from.filter(|from| feed.reaches(*from)).map(Position::from);
    let moved = from.is_some() && at.is_none();
    let readers = shared.state.counts.count_reader();
    let (mut response, pieces) = streamed("text/event-stream", (place, readers));
    response.headers_mut().insert(UNBUFFERED.0, UNBUFFERED.1);
    if is_head {
        return Ok(response);
    }
    let cut = request.extensions().get::<Cut>().cloned();
    let news = News { events: feed.announcements(), held: None };
    let piece = RETRY.to_vec();
    let mut reader = Reader { shared, caller, router, feed, news, pieces, piece };
    reader.sign()?;
    tokio::spawn(async move {
        if moved {
            reader.shared.state.counts.moved.inc();
        }
        let shutdown = reader.shared.state.shutdown.clone();
        let ended = tokio::select! {
            () = shutdown.draining() => End::Done,
            ended = reader.serve(at) => ended,
        };
        if ended == End::Cut {
            cut.inspect(Cut::cut);
        }
    });
    Ok(response)
}

fn read_from(value: &str) -> Result<Revision, Refusal> {
    let bad = |_| bad_param("from", "a revision is a whole number from 0".into());
    value.parse().map(Revision).map_err(bad)
}

/// What the header says, if it is there. One that is no revision is not of this feed, and whoever
/// sends it cannot go on from there.
fn last_event_id(headers: &HeaderMap) -> Option<Option<Revision>> {
    let value = headers.get(LAST_EVENT_ID)?;
    let revision = value.to_str().ok().and_then(|text| text.parse().ok());
    Some(revision.map(Revision))
}

fn too_many(shared: &Shared) -> Refusal {
    let most = shared.state.settings.max_feeds;
    let detail = format!("{most} readers follow the feed, the most that push.max_feeds allows");
    Refusal::new(StatusCode::SERVICE_UNAVAILABLE, detail)
}

/// Why a stream ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// In order: the token ended, the process drains, or the reader left.
    Done,
    /// It cannot be gone on with: the reader took nothing, or was overtaken within an event.
    Cut,
}

/// One reader of the feed.
struct Reader {
    shared: Arc<Shared>,
    caller: Caller,
    router: Option<String>,
    feed: Arc<Feed>,
    news: News,
    pieces: Pieces,
    /// What is to be sent next.
    piece: Vec<u8>,
}

impl Reader {
    /// Sends what there is, and then what comes, until something ends it.
    async fn serve(&mut self, at: Option<Position>) -> End {
        let Err(end) = self.follow(at).await;
        end
    }

    async fn follow(&mut self, mut at: Option<Position>) -> Result<std::convert::Infallible, End> {
        let period = self.shared.state.settings.heartbeat;
        let mut newest = self.feed.subscribe();
        let mut due = Instant::now();
        loop {
            let Some(position) = &mut at else {
                at = Some(self.send_snapshot().await?.into());
                continue;
            };
            newest.mark_unchanged();
            match self.feed.read(position, &mut self.piece, PIECE) {
                Read::Lost if position.offset > 0 => return Err(End::Cut),
                Read::Lost => {
                    self.shared.state.counts.moved.inc();
                    at = None;
                    continue;
                }
                // A snapshot may be ahead of what the ring is told in a moment.
                Read::Newest(standing) if standing.revision < position.revision => {
                    self.news.wait(&mut newest, Instant::now() + period).await?;
                    continue;
                }
                Read::Newest(standing) if Instant::now() >= due => {
                    self.piece.extend_from_slice(heartbeat(&standing).as_bytes());
                    due = Instant::now() + period;
                }
                Read::Newest(_) | Read::More => {}
            }
            if position.offset == 0 {
                self.news.take(position.revision, &mut self.piece);
            }
            if self.piece.is_empty() {
                self.news.wait(&mut newest, due).await?;
            } else {
                self.send_piece().await?;
            }
        }
    }

    /// Sends what is gathered, while the token holds.
    async fn send_piece(&mut self) -> Result<(), End> {
        self.caller.check_again().map_err(|_| End::Done)?;
        send(&self.pieces, std::mem::take(&mut self.piece)).await?;
        self.sign().map_err(|_| End::Done)
    }

    /// Notes that the router that follows here is live.
    fn sign(&self) -> Result<(), Refusal> {
        let Some(id) = &self.router else { return Ok(()) };
        Ok(self.shared.fleet.seen(id, self.caller.speaker(), Instant::now())?)
    }

    /// Sends the table that is published, and answers its revision.
    async fn send_snapshot(&mut self) -> Result<Revision, End> {
        self.send_piece().await?;
        let shared = self.shared.clone();
        let table = shared.state.reader.load_full().table().clone();
        shared.state.counts.snapshots.inc();
        let (pieces, caller) = (self.pieces.clone(), self.caller.clone());
        let runtime = Handle::current();
        let sent = spawn_blocking(move || -> Result<Revision, End> {
            let take_turn = || runtime.block_on(shared.snapshots.acquire()).map_err(|_| End::Done);
            let (mut turn, mut end) = (Some(take_turn()?), None);
            let emit = |piece| {
                turn = None;
                let sent = async {
                    caller.check_again().map_err(|_| End::Done)?;
                    tokio::select! {
                        () = shared.state.shutdown.draining() => Err(End::Done),
                        sent = send(&pieces, piece) => sent,
                    }
                };
                match runtime.block_on(sent).and_then(|()| take_turn()) {
                    Ok(next) => turn = Some(next),
                    Err(why) => end = Some(why),
                }
                turn.is_some()
            };
            snapshot(&table, emit);
            // The table goes with this thread: it may be the last that holds it.
            end.map_or(Ok(table.revision()), Err)
        });
        let sent = sent.await.map_err(|_| End::Cut)??;
        self.sign().map_err(|_| End::Done)?;
        Ok(sent)
    }
}

/// Puts a piece where the connection takes it.
async fn send(pieces: &Pieces, piece: Vec<u8>) -> Result<(), End> {
    if piece.is_empty() {
        return Ok(());
    }
    match timeout(UNTAKEN, pieces.send(Ok(Bytes::from(piece)))).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(End::Done),
        Err(_) => Err(End::Cut),
    }
}

/// What becomes of dynos, for one reader.
struct News {
    events: broadcast::Receiver<Arc<DynoEvent>>,
    /// One that is not to be sent yet.
    held: Option<Arc<DynoEvent>>,
}

impl News {
    /// Adds what may be told to whoever was told of a revision, as far as a piece has room.
    fn take(&mut self, revision: Revision, piece: &mut Vec<u8>) {
        while piece.len() < PIECE {
            self.held = self.held.take().or_else(|| self.next());
            let Some(event) = self.held.take_if(|event| event.revision <= revision) else { return };
            piece.extend_from_slice(event.text.as_bytes());
        }
    }

    fn next(&mut self) -> Option<Arc<DynoEvent>> {
        loop {
            match self.events.try_recv() {
                Ok(event) => return Some(event),
                Err(TryRecvError::Lagged(_)) => {}
                Err(_) => return None,
            }
        }
    }

    /// Waits for a newer revision or an event, or until a heartbeat is due.
    async fn wait(
        &mut self,
        newest: &mut watch::Receiver<Revision>,
        due: Instant,
    ) -> Result<(), End> {
        tokio::select! {
            changed = newest.changed() => changed.map_err(|_| End::Done),
            event = self.events.recv(), if self.held.is_none() => {
                self.held = event.ok();
                Ok(())
            }
            () = sleep_until(due.into()) => Ok(()),
        }
    }
}
