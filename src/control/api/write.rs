//! Writes: every one is a push of ops to the hub.
//!
//! Invariants: a single call is a push of one op, which is its own method, path below `/v1` and
//! body, so that a call and an op can never differ in what they mean; what cannot be read of a
//! transaction goes to the hub with it, which refuses it and names what else is wrong; whether
//! the token still holds is asked again once the body is there.

use std::{sync::Arc, time::Duration};

use axum::{
    Extension,
    extract::{Request, State},
    response::Response,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use serde_json::{Map, Value};
use tokio::time::timeout;

use super::{
    body, conditions, drain,
    gate::Caller,
    idempotency::{self, REPLAYED},
    options::{self, WriteOptions},
    problem::{Refusal, answer},
    router::Shared,
    wait::Wait,
};
use crate::{
    api::{FieldError, Op, TransactionBody},
    control::hub::{
        Asked, Condition, Consent, Done, Key, MAX_FOUND, Push, PushError, Request as Wanted, Terms,
        object_of,
    },
};

/// The longest reason, in bytes.
const MAX_REASON: usize = 500;
/// How long a push may take before the caller is told that its outcome is not known yet.
const PUSH_TIMEOUT: Duration = Duration::from_secs(30);
/// The header that says why, on a single write.
const REASON: &str = "hostler-reason";

/// PUT, PATCH or DELETE of one object.
pub(super) async fn write(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, Refusal> {
    let condition = conditions::read(request.headers())?;
    let key = idempotency::key(request.headers())?;
    let method = request.method().clone();
    let (WriteOptions { consent, wait }, query) = options::split(request.uri().query())?;
    let path = request.uri().path();
    let path = path.strip_prefix("/v1").unwrap_or(path);
    let path = query.map_or_else(|| path.into(), |query| format!("{path}?{query}"));
    let reason = reason_header(request.headers())?;
    let mut held = body::read(&shared, request).await?;
    let body = match (method == Method::DELETE, held.json.take()) {
        (true, None) => None,
        (true, Some(_)) => return Err(bad_body("DELETE takes no body")),
        (false, Some(Value::Null)) => {
            return Err(bad_body("null is no object: send {} or nothing"));
        }
        // An object whose every field has a default may be made by a call without a body.
        (false, json) => Some(json.unwrap_or_else(|| Value::Object(Map::new()))),
    };
    let by = |key| {
        let (call, terms) = ((method.as_str(), &*path), (&condition, &consent));
        idempotency::known_by(&caller.holder, key, call, terms, &body)
    };
    let key = key.map(by);
    let object = object_of(&path);
    if let Wait::Empty(time) = wait {
        let removed = object.as_ref().filter(|_| method == Method::DELETE);
        drain::before_removal(&shared, removed, time).await?;
    }
    let object = object.filter(|_| method != Method::DELETE);
    let op = Op { method: method.to_string(), path, body };
    let author = caller.holder.name.clone();
    let push = Push { author, reason, if_revision: None, ops: vec![op], misread: Vec::new() };
    let wanted = caller.wants(Asked::Push(push), (condition, consent), key);
    let mut done = carry_out(&shared, &caller, wanted, PushError::of_single_call).await?;
    drop(held);
    wait.for_fleet(&shared, &mut done).await;
    let (revision, changed) = (done.receipt.revision, done.receipt.changed);
    let tag = object.and_then(|object| match changed {
        true => Some(conditions::tag_of(revision)),
        false => conditions::tag(&shared, &object, revision),
    });
    let mut response = told(&done);
    response.headers_mut().extend(tag.map(|tag| (header::ETAG, tag)));
    Ok(response)
}

/// `POST /v1/transactions`.
pub(super) async fn transaction(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, Refusal> {
    let WriteOptions { mut consent, wait } = options::alone(request.uri().query())?;
    conditions::none(request.headers())?;
    let key = idempotency::key(request.headers())?;
    let mut held = body::read(&shared, request).await?;
    let body = held.json.take().ok_or_else(|| bad_body("a transaction has a body with ops"))?;
    let (condition, call) = (Condition::default(), ("POST", "/transactions"));
    let by = |key| idempotency::known_by(&caller.holder, key, call, (&condition, &consent), &body);
    let key = key.map(by);
    let (read, misread) = parse_transaction(body, &mut consent, &shared)?;
    let TransactionBody { if_revision, reason, ops, .. } = read;
    let author = caller.holder.name.clone();
    let push = Push { author, reason, if_revision, ops, misread };
    let wanted = caller.wants(Asked::Push(push), (condition, consent), key);
    let mut done = carry_out(&shared, &caller, wanted, std::convert::identity).await?;
    drop(held);
    wait.for_fleet(&shared, &mut done).await;
    Ok(told(&done))
}

impl Caller {
    /// What the hub is asked, in the name of this caller.
    pub(super) fn wants(
        &self,
        asked: Asked,
        (condition, consent): (Condition, Consent),
        key: Option<Key>,
    ) -> Wanted {
        let terms = Terms { grant: self.holder.grant.clone(), condition, consent };
        Wanted { asked, address: self.address.clone(), terms, key }
    }
}

/// Has the hub do what is wanted, and waits for its answer, to a bound.
pub(super) async fn carry_out(
    shared: &Shared,
    caller: &Caller,
    wanted: Wanted,
    told: fn(PushError) -> PushError,
) -> Result<Done, Refusal> {
    let too_late = |_| {
        let detail = "the store has not answered in 30 s: the write may still be done, see \
                      GET /v1/history";
        Refusal::new(StatusCode::GATEWAY_TIMEOUT, detail)
    };
    let _flight = wanted.key.as_ref().map(|key| shared.in_flight.begin(key)).transpose()?;
    // The body may have taken a while.
    caller.check_again()?;
    let pushed = timeout(PUSH_TIMEOUT, shared.state.hub.submit(wanted)).await;
    Ok(pushed.map_err(too_late)?.map_err(told)?)
}

pub(super) fn told(done: &Done) -> Response {
    let mut response = answer(done.receipt.revision, &done.receipt);
    if done.is_replay {
        response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    }
    response
}

pub(super) fn bad_body(reason: &str) -> Refusal {
    Refusal::field(StatusCode::BAD_REQUEST, "body", reason)
}

pub(super) fn reason_header(headers: &HeaderMap) -> Result<Option<String>, Refusal> {
    let Some(value) = headers.get(REASON) else { return Ok(None) };
    let text = std::str::from_utf8(value.as_bytes()).ok().filter(|text| is_reason(text));
    let bad = || Refusal::fields(StatusCode::UNPROCESSABLE_ENTITY, vec![bad_reason()]);
    Ok(Some(text.ok_or_else(bad)?.to_owned()))
}

/// The reason that a field of a body gives.
pub(super) fn reason_of(value: Value) -> Result<String, FieldError> {
    match value {
        Value::String(text) if is_reason(&text) => Ok(text),
        _ => Err(bad_reason()),
    }
}

fn is_reason(text: &str) -> bool {
    text.len() <= MAX_REASON && !text.chars().any(char::is_control)
}

fn bad_reason() -> FieldError {
    let reason = format!("a reason is at most {MAX_REASON} bytes of text on one line");
    FieldError { field: "reason".into(), reason, ..FieldError::default() }
}

/// Reads a transaction by hand, so that every mistake is found and named, to a bound, not the first
/// alone: what could be read, and what not. An op that could not stands empty in its place.
fn parse_transaction(
    body: Value,
    consent: &mut Consent,
    shared: &Shared,
) -> Result<(TransactionBody, Vec<FieldError>), Refusal> {
    let mut misread = Vec::new();
    let mut wrong = |op: Option<usize>, field: &str, reason: &str| {
        if misread.len() < MAX_FOUND {
            let (field, reason) = (field.into(), reason.into());
            misread.push(FieldError { op, field, reason, ..FieldError::default() });
        }
    };
    let Value::Object(fields) = body else {
        return Err(bad_body("a transaction is an object: {\"ops\":[…]}"));
    };
    let (mut if_revision, mut reason, mut ops) = (None, None, None);
    for (name, value) in fields {
        if let Some(read) = options::field(consent, &name, &value) {
            read.unwrap_or_else(|error| wrong(None, &name, &error.reason));
            continue;
        }
        match (name.as_str(), value) {
            ("if_revision" | "reason", Value::Null) => {}
            ("if_revision", value) => match value.as_u64() {
                Some(revision) => if_revision = Some(revision),
                None => wrong(None, "if_revision", "a revision is a whole number from 0"),
            },
            ("reason", Value::String(text)) if is_reason(&text) => reason = Some(text),
            ("reason", _) => wrong(None, "reason", &bad_reason().reason),
            ("ops", Value::Array(array)) => ops = Some(array),
            ("ops", _) => {
                wrong(None, "ops", "ops is an array");
                ops = Some(Vec::new());
            }
            (other, _) => {
                wrong(None, other, "no such field: if_revision, reason, force, confirm, ops")
            }
        }
    }
    if ops.is_none() {
        wrong(None, "ops", "missing: a transaction has an array of ops");
    }
    let ops = ops.unwrap_or_default();
    shared.state.hub.check_ops(ops.len())?;
    let ops = ops
        .into_iter()
        .enumerate()
        .map(|(i, op)| parse_op(op, |field, reason| wrong(Some(i), field, reason)));
    let ops: Vec<Op> = ops.map(Option::unwrap_or_default).collect();
    Ok((TransactionBody { if_revision, reason, ops, ..TransactionBody::default() }, misread))
}

fn parse_op(op: Value, mut wrong: impl FnMut(&str, &str)) -> Option<Op> {
    let Value::Object(fields) = op else {
        wrong("op", "an op is an object: {\"method\":…,\"path\":…,\"body\":…}");
        return None;
    };
    let (mut method, mut path, mut body) = (None, None, None);
    for (name, value) in fields {
        match (name.as_str(), value) {
            ("method", Value::String(text)) => method = Some(text),
            ("path", Value::String(text)) => path = Some(text),
            ("body", value) => body = Some(value),
            // Named once, as malformed, and not once more as missing.
            ("method", _) => {
                wrong("method", "a text: PUT, PATCH or DELETE");
                method = Some(String::new());
            }
            ("path", _) => {
                wrong("path", "a text: the path below /v1, /apps/blog/dynos/web.1");
                path = Some(String::new());
            }
            (other, _) => wrong(other, "no such field: method, path, body"),
        }
    }
    match (method, path) {
        (Some(method), Some(path)) => Some(Op { method, path, body }),
        (method, path) => {
            if method.is_none() {
                wrong("method", "missing: PUT, PATCH or DELETE");
            }
            if path.is_none() {
                wrong("path", "missing: the path below /v1, /apps/blog/dynos/web.1");
            }
            None
        }
    }
}
