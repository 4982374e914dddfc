//! The routers: how far each is, and their acks.
//!
//! In one process the router `local` serves what is published; all others are known by their acks,
//! or by following the feed.
//! Invariants: an ack names a revision that exists; one whose digest is another's is taken and
//! said; who may speak for a router is the fleet's to judge.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Instant,
};

use axum::{
    Extension,
    extract::{Path, Request, State},
    response::Response,
};
use http::StatusCode;
use serde_json::Value;

use super::{
    body,
    gate::Caller,
    problem::{Refusal, answer},
    read::{Params, Segments, no_params},
    router::Shared,
    stream::look,
    write::bad_body,
};
use crate::{
    api::{AckBody, AckView, FieldError, List, RouterView},
    control::{
        clock::now_ms,
        feed::{Ack, NotTaken, RouterState},
    },
    route::Revision,
};

/// The router in this process.
pub(super) const LOCAL: &str = "local";
/// The longest id of a router, and the longest name of its release, in bytes.
const MAX_NAME: usize = 63;

type Answer = Result<Response, Refusal>;

/// `GET /v1/routers`.
pub(super) async fn list(State(shared): State<Arc<Shared>>, params: Params) -> Answer {
    no_params(params)?;
    let (newest, now) = (shared.state.hub.feed().newest().revision, Instant::now());
    let mut items = vec![local(&shared, newest)];
    items.extend(
        shared.fleet.list().into_iter().map(|(id, router)| view(&shared, id, router, newest, now)),
    );
    items[1..].sort_by_key(|router| !router.live);
    Ok(answer(newest.0, &List { revision: newest.0, items, next: None }))
}

fn local(shared: &Shared, newest: Revision) -> RouterView {
    let snapshot = shared.state.reader.load_full();
    let table = snapshot.table();
    RouterView {
        id: LOCAL.into(),
        live: true,
        revision: Some(table.revision().0),
        digest: Some(table.digest().to_string()),
        digest_ok: Some(true),
        lag: Some(newest.0.saturating_sub(table.revision().0)),
        behind_ms: Some(0),
        age_ms: 0,
        workers: Some(shared.state.status.workers_serving.load(Relaxed) as u64),
        version: Some(env!("CARGO_PKG_VERSION").into()),
        address: None,
    }
}

fn view(
    shared: &Shared,
    id: String,
    router: RouterState,
    newest: Revision,
    now: Instant,
) -> RouterView {
    let live = router.is_live(now);
    let age = now.saturating_duration_since(router.seen);
    let RouterState { ack, address, .. } = router;
    let revision = ack.as_ref().map(|ack| ack.revision);
    let behind_ms = revision.map(|revision| {
        let since_ms = shared.state.hub.feed().behind_since_ms(revision);
        since_ms.map_or(0, |since_ms| now_ms().saturating_sub(since_ms))
    });
    let (digest, digest_ok, workers, version) = match ack {
        Some(ack) => (ack.digest, ack.digest_ok, ack.workers, ack.version),
        None => Default::default(),
    };
    RouterView {
        id,
        live,
        revision: revision.map(|revision| revision.0),
        digest,
        digest_ok,
        lag: revision.map(|revision| newest.0.saturating_sub(revision.0)),
        behind_ms,
        age_ms: u64::try_from(age.as_millis()).unwrap_or(u64::MAX),
        workers,
        version,
        address,
    }
}

/// `POST /v1/routers/{id}/ack`.
pub(super) async fn ack(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    path: Segments<String>,
    params: Params,
    request: Request,
) -> Answer {
    let Path(id) = path?;
    no_params(params)?;
    let id = router_id(id)?;
    let mut held = body::read_small(&shared, request).await?;
    let body = held.json.take().ok_or_else(|| bad_body("an ack has a body: {\"revision\":N}"))?;
    let AckBody { revision, digest, workers, version } = read_ack(body)?;
    let newest = shared.state.hub.feed().newest().revision;
    if revision > newest.0 {
        let reason = format!("there is no such revision: the newest is {newest}");
        return Err(Refusal::field(StatusCode::UNPROCESSABLE_ENTITY, "revision", reason));
    }
    let known = match &digest {
        Some(_) => known_digest(&shared, Revision(revision)).await?,
        None => None,
    };
    let digest_ok = digest.as_ref().zip(known).map(|(digest, known)| *digest == known);
    if digest_ok == Some(false) {
        tracing::warn!(router = %id, revision, digest = digest.as_deref(),
            "a router serves another table than that of the revision that it acks");
    }
    caller.check_again()?;
    let ack = Ack { revision: Revision(revision), digest, digest_ok, workers, version };
    shared.fleet.ack(&id, caller.speaker(), Instant::now(), ack)?;
    let lag = newest.0 - revision;
    Ok(answer(newest.0, &AckView { revision: newest.0, lag, digest_ok }))
}

/// The digest of a revision, if it is still known.
async fn known_digest(shared: &Arc<Shared>, revision: Revision) -> Result<Option<String>, Refusal> {
    if let Some(standing) = shared.state.hub.feed().standing(revision) {
        return Ok(Some(standing.digest.to_string()));
    }
    let known = look(shared, move |view| Ok(view.point(revision).ok())).await?;
    Ok(known.map(|point| point.digest.to_string()))
}

/// Reads an ack by hand, so that every mistake is named, not the first alone.
fn read_ack(body: Value) -> Result<AckBody, Refusal> {
    let Value::Object(fields) = body else {
        return Err(bad_body("an ack is an object: {\"revision\":N}"));
    };
    let mut errors = Vec::new();
    let mut wrong = |field: &str, reason: &str| {
        let (field, reason) = (field.into(), reason.into());
        errors.push(FieldError { field, reason, ..FieldError::default() });
    };
    let mut ack = AckBody::default();
    let mut is_missing = true;
    for (name, value) in fields {
        match (name.as_str(), value) {
            ("revision", value) => {
                is_missing = false;
                match value.as_u64() {
                    Some(revision) => ack.revision = revision,
                    None => wrong("revision", "a revision is a whole number from 0"),
                }
            }
            ("digest" | "workers" | "version", Value::Null) => {}
            ("digest", Value::String(text)) if is_digest(&text) => ack.digest = Some(text),
            ("digest", _) => wrong("digest", "a digest is 64 digits of 0-9 and a-f"),
            ("workers", value) => match value.as_u64() {
                Some(workers) => ack.workers = Some(workers),
                None => wrong("workers", "how many there are: a whole number from 0"),
            },
            ("version", Value::String(text)) if is_name(&text) => ack.version = Some(text),
            ("version", _) => wrong("version", NAME),
            (other, _) => wrong(other, "no such field: revision, digest, workers, version"),
        }
    }
    if is_missing {
        wrong("revision", "missing: the revision that all workers of the router serve");
    }
    if errors.is_empty() {
        return Ok(ack);
    }
    Err(Refusal::fields(StatusCode::UNPROCESSABLE_ENTITY, errors))
}

const NAME: &str = "1 to 63 letters, digits, dots, dashes and underscores";

fn is_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

fn is_name(text: &str) -> bool {
    let is_part = |b: u8| b.is_ascii_alphanumeric() || b".-_".contains(&b);
    (1..=MAX_NAME).contains(&text.len()) && text.bytes().all(is_part)
}

/// Reads the id of a router that is not in this process.
pub(super) fn router_id(id: String) -> Result<String, Refusal> {
    let reason = match id.as_str() {
        LOCAL => "that is the router of this process, which speaks for itself".to_owned(),
        other if is_name(other) => return Ok(id),
        _ => format!("the id of a router is {NAME}"),
    };
    Err(Refusal::field(StatusCode::UNPROCESSABLE_ENTITY, "router", reason))
}

impl From<NotTaken> for Refusal {
    fn from(error: NotTaken) -> Refusal {
        match error {
            NotTaken::Full => Refusal::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
            NotTaken::Anothers | NotTaken::Share => {
                Refusal::field(StatusCode::CONFLICT, "router", error.to_string())
            }
        }
    }
}
