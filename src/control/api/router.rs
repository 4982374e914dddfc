//! The paths behind the gate, and what their handlers share.
//!
//! Invariants: a path below `/v1/apps` names one object, whose GET is a read and whose PUT, PATCH
//! and DELETE are one and the same handler; what is not in the table of paths is a 404, and a
//! method that a path does not know is a 405 that names those it knows; HEAD works wherever GET
//! does.

use std::{sync::Arc, time::Instant};

use axum::{
    Router,
    http::{Method, StatusCode, Uri},
    middleware,
};
use tokio::sync::Semaphore;

use super::{
    Settings, Tokens, body, explain::Explain, feed, gate, idempotency::InFlight, order::Orders,
    paths::PATHS, problem::Refusal, stream, table,
};
use crate::{
    control::{feed::Fleet, hub::Hub, store::Versions},
    live::{Reader, Snapshot, Status},
    route::{AppName, RouteKey},
    shutdown::Shutdown,
    telemetry::FeedMetrics,
};

/// What the push API answers from.
pub struct ApiState {
    /// Takes the writes.
    pub hub: Hub,
    /// Tells when objects last changed.
    pub versions: Versions,
    /// What the router serves.
    pub reader: Reader<Snapshot>,
    /// Is the process ready?
    pub status: Arc<Status>,
    /// Is it ending?
    pub shutdown: Shutdown,
    /// Who may call.
    pub tokens: Tokens,
    /// Counts the readers of the feed.
    pub counts: FeedMetrics,
    /// The zero of the cells' clock.
    pub began: Instant,
    /// The metrics in the text exposition format.
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
    /// Tells why a request would go where.
    pub explain: Arc<Explain>,
    /// How it is set.
    pub settings: Settings,
}

/// What every handler shares.
pub(super) struct Shared {
    pub(super) state: ApiState,
    /// Bounds the bytes of all bodies that are being read or judged.
    pub(super) body_budget: Semaphore,
    /// The keys of writes that are not answered yet.
    pub(super) in_flight: InFlight,
    /// Bounds how many look into the archive at a time.
    pub(super) readers: Semaphore,
    /// Bounds how many tables come at a time.
    pub(super) uploads: Semaphore,
    /// One table is made the live one at a time.
    pub(super) replacing: Semaphore,
    /// Bounds how many follow the feed.
    pub(super) feeds: Arc<Semaphore>,
    /// Bounds how many pieces of snapshots are made at a time.
    pub(super) snapshots: Semaphore,
    /// The routers that follow, here or elsewhere.
    pub(super) fleet: Fleet,
    /// The apps in order, while there are many and somebody lists them.
    pub(super) apps: Orders<AppName>,
    /// The routes of an app in order, likewise.
    pub(super) routes: Orders<RouteKey>,
}

/// The push API.
pub fn router(state: ApiState) -> Router {
    let body_budget = Semaphore::new(body::budget(state.settings.max_body));
    let (readers, in_flight) = (Semaphore::new(stream::READERS), InFlight::default());
    let (uploads, replacing) = (Semaphore::new(table::UPLOADS), Semaphore::new(1));
    let feeds = Arc::new(Semaphore::new(state.settings.max_feeds));
    let (snapshots, fleet) = (Semaphore::new(feed::RENDERING), Fleet::default());
    let shared = Shared {
        state,
        body_budget,
        in_flight,
        readers,
        feeds,
        snapshots,
        fleet,
        uploads,
        replacing,
        apps: Orders::default(),
        routes: Orders::default(),
    };
    let shared = Arc::new(shared);
    let paths = PATHS.iter().fold(Router::new(), |router, row| {
        let answers = row.answers;
        router.route(row.path, answers())
    });
    paths
        .fallback(unknown_path)
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::from_fn_with_state(shared.clone(), gate::gate))
        .with_state(shared)
}

async fn unknown_path(uri: Uri) -> Refusal {
    let detail = format!("there is no {} in the push API", uri.path());
    Refusal::new(StatusCode::NOT_FOUND, detail)
}

async fn wrong_method(method: Method, uri: Uri) -> Refusal {
    let detail = format!("{} does not know {method}: see the Allow header", uri.path());
    Refusal::new(StatusCode::METHOD_NOT_ALLOWED, detail)
}
