//! Is the process alive, should it get traffic, what does it count: for machines.
//!
//! Invariants: `/healthz` is 200 for as long as the process turns; `/readyz` gives every reason why
//! it is not 200, all at once, and warns of what keeps no traffic away: a store that takes no
//! pushes, certificates whose keys cannot be opened.

use std::sync::Arc;

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::{StatusCode, header};

use super::{problem::json, router::Shared};
use crate::api::Readiness;

pub(super) const HEALTHZ: &str = "/healthz";
pub(super) const READYZ: &str = "/readyz";
pub(super) const METRICS: &str = "/metrics";

pub(super) async fn healthz() -> &'static str {
    "ok\n"
}

pub(super) async fn readyz(State(shared): State<Arc<Shared>>) -> Response {
    let state = &shared.state;
    let mut reasons = state.status.not_ready();
    if state.shutdown.is_draining() {
        reasons.push("draining".into());
    }
    let ready = reasons.is_empty();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let trouble = state.status.store_trouble();
    let warning = |trouble| format!("the store takes no pushes: {trouble}");
    let snapshot = state.reader.load_full();
    let closed = snapshot.table().certificates().filter(|of| !of.is_usable()).count();
    let closed = (closed > 0).then(|| {
        format!("{closed} certificates are not served: their keys need HOSTLER_STORE_KEY")
    });
    let warnings = trouble.map(warning).into_iter().chain(closed).collect();
    json(status, "application/json", &Readiness { ready, reasons, warnings })
}

pub(super) async fn metrics(State(shared): State<Arc<Shared>>) -> Response {
    let text = (shared.state.metrics)();
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}
