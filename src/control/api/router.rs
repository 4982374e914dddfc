//! Which path is answered by what.
//!
//! Invariants: a path below `/v1/apps` names one object, whose GET is a read and whose PUT, PATCH
//! and DELETE are one and the same handler; what is not here is a 404, and a method that a path
//! does not know is a 405 that names those it knows; HEAD works wherever GET does.

use std::sync::Arc;

use axum::{
    Router,
    http::{Method, StatusCode, Uri},
    middleware,
    routing::{MethodRouter, get, post},
};
use tokio::sync::Semaphore;

use super::{
    Settings, Tokens, body, gate, health,
    problem::Refusal,
    read,
    write::{transaction, write},
};
use crate::{
    control::hub::Hub,
    live::{Reader, Snapshot, Status},
    shutdown::Shutdown,
};

/// What the push API answers from.
pub struct ApiState {
    /// Takes the writes.
    pub hub: Hub,
    /// What the router serves.
    pub reader: Reader<Snapshot>,
    /// Is the process ready?
    pub status: Arc<Status>,
    /// Is it ending?
    pub shutdown: Shutdown,
    /// Who may call.
    pub tokens: Tokens,
    /// The metrics in the text exposition format.
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
    /// How it is set.
    pub settings: Settings,
}

/// What every handler shares.
pub(super) struct Shared {
    pub(super) state: ApiState,
    /// Bounds the bytes of all bodies that are being read or judged.
    pub(super) body_budget: Semaphore,
}

/// The push API.
pub fn router(state: ApiState) -> Router {
    let body_budget = Semaphore::new(body::budget(state.settings.max_body));
    let shared = Arc::new(Shared { state, body_budget });
    Router::new()
        .route("/v1/apps", get(read::apps))
        .route("/v1/apps/{app}", object(get(read::app)))
        .route("/v1/apps/{app}/routes", get(read::routes))
        .route("/v1/apps/{app}/routes/{host}", object(get(read::route)))
        .route("/v1/apps/{app}/dynos", get(read::dynos))
        .route("/v1/apps/{app}/dynos/{name}", object(get(read::dyno)))
        .route("/v1/transactions", post(transaction))
        .route("/v1/revision", get(read::revision))
        .route("/v1/history", get(read::history))
        .route(health::HEALTHZ, get(health::healthz))
        .route(health::READYZ, get(health::readyz))
        .route(health::METRICS, get(health::metrics))
        .fallback(unknown_path)
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::from_fn_with_state(shared.clone(), gate::gate))
        .with_state(shared)
}

fn object(read: MethodRouter<Arc<Shared>>) -> MethodRouter<Arc<Shared>> {
    read.put(write).patch(write).delete(write)
}

async fn unknown_path(uri: Uri) -> Refusal {
    let detail = format!("there is no {} in the push API", uri.path());
    Refusal::new(StatusCode::NOT_FOUND, detail)
}

async fn wrong_method(method: Method, uri: Uri) -> Refusal {
    let detail = format!("{} does not know {method}: see the Allow header", uri.path());
    Refusal::new(StatusCode::METHOD_NOT_ALLOWED, detail)
}
