//! `GET /v1/apps/{app}/stats`: what an app is doing in this router, by its live cells.
//!
//! Invariant: numbers are read as they stand, one after the other: they are figures for people and
//! graphs, not a moment that was ever whole.

use std::sync::Arc;

use axum::{
    extract::{Path, State},
    response::Response,
};

use super::{
    problem::{Refusal, answer},
    read::{Params, Segments, no_params, not_found},
    router::Shared,
};
use crate::{
    api::{AppStats, DynoStats},
    live::LiveDyno,
};

/// Tells what an app and its dynos are doing.
pub(super) async fn stats(
    State(shared): State<Arc<Shared>>,
    path: Segments<String>,
    params: Params,
) -> Result<Response, Refusal> {
    let Path(name) = path?;
    no_params(params)?;
    let snapshot = shared.state.reader.load_full();
    let missing = || not_found("app", format!("there is no app {name}"));
    let live = snapshot.app(&name).ok_or_else(missing)?;
    let now_ms = u64::try_from(shared.state.began.elapsed().as_millis()).unwrap_or(u64::MAX);
    let revision = snapshot.table().revision().0;
    let stats = AppStats {
        app: live.app.name.to_string(),
        revision,
        in_flight: live.cell.in_flight(),
        connections: live.cell.connections(),
        begun: live.cell.begun(),
        dynos: live.dynos.iter().map(|dyno| of_dyno(dyno, now_ms)).collect(),
    };
    Ok(answer(revision, &stats))
}

fn of_dyno(live: &LiveDyno, now_ms: u64) -> DynoStats {
    let LiveDyno { dyno, cell } = live;
    DynoStats {
        name: dyno.name.to_string(),
        addr: dyno.addr.to_string(),
        release: dyno.release.to_string(),
        state: dyno.state.as_str().into(),
        in_flight: cell.in_flight(),
        failed_connects: cell.strikes(),
        quarantine_ms: cell.quarantined_until_ms().saturating_sub(now_ms),
    }
}
