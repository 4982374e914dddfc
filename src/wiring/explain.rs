//! Explains requests as the workers would judge them: by their settings and their clock.
//!
//! Invariant: what the workers are told of the settings is what the explanation is told.

use std::sync::Arc;

use super::Running;
use crate::{
    control::api::Explain,
    live::explain::{self, Rules},
    serve::{self, clock},
    wire::{cookie, request::is_forwarded},
};

/// What answers `POST /v1/explain`.
pub(super) fn explainer(running: &Running, settings: &serve::Settings) -> Arc<Explain> {
    let rules = Rules {
        is_forwarded,
        app_connections: settings.limits.app_connections,
        waiting: settings.waiting(),
        affinity: settings.affinity.clone(),
        seal: running.seal.clone(),
        cookies: |line, name| cookie::in_line(line, name).collect(),
        client_limits: settings.clients.clone(),
        clients: running.figures.clients.clone(),
    };
    let began = running.began;
    Arc::new(move |snapshot, request| {
        explain::explain(snapshot, request, &rules, clock::since(began))
    })
}
