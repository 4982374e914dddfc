//! `/v1/tokens`: made, listed and revoked by who may do everything.
//!
//! Invariants: the text of a token is in the answer that tells of its making alone; the store has a
//! token before it opens anything, and has forgotten it before its revocation is answered; what is
//! begun is done even if nobody waits for the answer.

use std::sync::Arc;

use axum::{
    Extension,
    extract::{Path, Request, State},
    response::Response,
};
use http::{HeaderMap, StatusCode};
use serde_json::{Map, Value};

use super::{
    body, conditions,
    gate::{Caller, now_ms},
    idempotency,
    problem::{Refusal, answer, json},
    read::{Page, Params, Segments, list as page_of, no_params, not_found},
    router::Shared,
    tokens::{self, ADMIN, Holder},
};
use crate::{
    api::{FieldError, MadeToken, Revoked, TokenBody, TokenView},
    control::scope::{MAX_SCOPES, Scope, ScopeError, Scopes},
};

/// The longest name of a token, in bytes.
const MAX_NAME: usize = 63;
/// The longest time that a token may be told to last, in seconds: a hundred years.
const MAX_EXPIRY_S: u64 = 100 * 366 * 24 * 3600;

type Answer = Result<Response, Refusal>;

/// `GET /v1/tokens`.
pub(super) async fn list(State(shared): State<Arc<Shared>>, params: Params) -> Answer {
    let page = Page::read(params, "after")?;
    let after = page.cursor.as_deref().unwrap_or_default();
    let all = shared.state.tokens.list();
    let rest = all.iter().filter(|holder| holder.name.as_str() > after);
    let views = rest.take(page.limit + 1).map(|holder| view(holder));
    let snapshot = shared.state.reader.load_full();
    Ok(page_of(snapshot.table(), page.limit, views, |token| token.name.clone()))
}

/// `GET /v1/tokens/{name}`.
pub(super) async fn show(
    State(shared): State<Arc<Shared>>,
    path: Segments<String>,
    params: Params,
) -> Answer {
    let Path(name) = path?;
    no_params(params)?;
    let all = shared.state.tokens.list();
    let holder = all.iter().find(|holder| holder.name == name).ok_or_else(|| no_such(&name))?;
    Ok(answer(revision(&shared), &view(holder)))
}

/// `POST /v1/tokens`.
pub(super) async fn make(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    params: Params,
    request: Request,
) -> Answer {
    no_params(params)?;
    check_headers(request.headers())?;
    let mut held = body::read(&shared, request).await?;
    let missing = || Refusal::field(StatusCode::BAD_REQUEST, "body", "a token has a name, scopes");
    let body = read_body(held.json.take().ok_or_else(missing)?)?;
    caller.check_again()?;
    let scopes = read_scopes(&body.scopes).map_err(|error| wrong("scopes", &error.to_string()))?;
    let now_ms = now_ms();
    let expires_ms = body.expires_in_s.map(|seconds| now_ms + seconds * 1000);
    let made = (now_ms, caller.holder.name.clone());
    let (token, row) = tokens::make(body.name, &scopes, made, expires_ms).map_err(|error| {
        let detail = format!("the system gives no random bytes: {error}");
        Refusal::new(StatusCode::SERVICE_UNAVAILABLE, detail)
    })?;
    let view = view(&Holder::from(row.clone()));
    let (name, most) = (row.name.clone(), shared.state.settings.max_tokens);
    let by = caller.holder.name.clone();
    let (inner, address) = (shared.clone(), caller.address.clone().unwrap_or_default());
    let kept = shared.state.hub.ask(move |store| {
        if inner.state.tokens.list().len() >= most {
            return Ok(None);
        }
        let is_new = store.add_token(&row)?;
        if is_new {
            let (token, scopes) = (&row.name, &row.scopes);
            tracing::info!(%token, %scopes, by, address, "a token was made");
            inner.state.tokens.insert(row);
        }
        Ok(Some(is_new))
    });
    match kept.await? {
        Some(true) => {
            let mut response =
                json(StatusCode::CREATED, "application/json", &MadeToken { token, view });
            let location = format!("/v1/tokens/{name}").parse().ok();
            let location = location.map(|location| (http::header::LOCATION, location));
            response.headers_mut().extend(location);
            Ok(response)
        }
        Some(false) => {
            let reason = format!("there is a token {name} already: revoke it first");
            Err(Refusal::field(StatusCode::CONFLICT, "name", reason))
        }
        None => {
            let reason = format!("there are {most} tokens, the most that push.max_tokens allows");
            Err(Refusal::field(StatusCode::CONFLICT, "name", reason))
        }
    }
}

/// `DELETE /v1/tokens/{name}`.
pub(super) async fn revoke(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    path: Segments<String>,
    params: Params,
    headers: HeaderMap,
) -> Answer {
    let Path(name) = path?;
    no_params(params)?;
    check_headers(&headers)?;
    let (inner, named) = (shared.clone(), name.clone());
    let by = caller.holder.name.clone();
    let address = caller.address.clone().unwrap_or_default();
    let removed = shared.state.hub.ask(move |store| {
        let was_there = store.remove_token(&named)?;
        if was_there {
            inner.state.tokens.remove(&named);
            tracing::info!(token = %named, by, address, "a token was revoked");
        }
        Ok(was_there)
    });
    if removed.await? {
        return Ok(answer(revision(&shared), &Revoked { revoked: true }));
    }
    Err(no_such(&name))
}

/// What goes with a write of the table does not go with tokens.
fn check_headers(headers: &HeaderMap) -> Result<(), Refusal> {
    idempotency::none(headers)?;
    conditions::none(headers)
}

fn revision(shared: &Shared) -> u64 {
    shared.state.reader.load().table().revision().0
}

fn view(holder: &Holder) -> TokenView {
    TokenView {
        name: holder.name.clone(),
        id: holder.id.clone(),
        scopes: holder.grant.scopes().iter().map(Scope::to_string).collect(),
        made_at_ms: holder.made_ms,
        made_by: holder.made_by.clone(),
        expires_at_ms: holder.expires_ms,
        last_used_at_ms: holder.used_ms(),
    }
}

fn no_such(name: &str) -> Refusal {
    not_found("name", format!("there is no token {name}"))
}

fn read_scopes(texts: &[String]) -> Result<Scopes, ScopeError> {
    texts.iter().map(|text| text.parse::<Scope>()).collect()
}

fn wrong(field: &str, reason: &str) -> Refusal {
    Refusal::field(StatusCode::UNPROCESSABLE_ENTITY, field, reason)
}

/// Reads a token field by field, so that every mistake is found and named.
fn read_body(body: Value) -> Result<TokenBody, Refusal> {
    let Value::Object(fields) = body else {
        let reason = "a token is an object: {\"name\":…,\"scopes\":[…]}";
        return Err(Refusal::field(StatusCode::BAD_REQUEST, "body", reason));
    };
    let mut errors = Vec::new();
    let mut noted = |field: &str, reason: String| {
        errors.push(FieldError { op: None, field: field.into(), reason });
    };
    for field in fields.keys().filter(|f| !["name", "scopes", "expires_in_s"].contains(&f.as_str()))
    {
        noted(field, "no such field: name, scopes, expires_in_s".into());
    }
    let name = read_name(&fields).unwrap_or_else(|reason| {
        noted("name", reason);
        String::new()
    });
    let scopes = scopes_of(&fields).unwrap_or_else(|reason| {
        noted("scopes", reason);
        Vec::new()
    });
    let expires_in_s = expiry_of(&fields).unwrap_or_else(|reason| {
        noted("expires_in_s", reason);
        None
    });
    if errors.is_empty() {
        return Ok(TokenBody { name, scopes, expires_in_s });
    }
    Err(Refusal::fields(StatusCode::UNPROCESSABLE_ENTITY, errors))
}

fn read_name(fields: &Map<String, Value>) -> Result<String, String> {
    let is_name = |name: &&str| {
        let known = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        (1..=MAX_NAME).contains(&name.len())
            && name.bytes().all(known)
            && name.as_bytes()[0].is_ascii_alphanumeric()
    };
    match fields.get("name").and_then(Value::as_str).filter(is_name) {
        Some(ADMIN) => Err("admin is the name of the admin's own token".into()),
        Some(name) => Ok(name.into()),
        None => Err(format!(
            "a name is 1 to {MAX_NAME} letters, digits, `.`, `_` and `-`, and begins with one of \
             the former two"
        )),
    }
}

fn scopes_of(fields: &Map<String, Value>) -> Result<Vec<String>, String> {
    let all = fields.get("scopes").and_then(Value::as_array);
    let all = all.filter(|scopes| (1..=MAX_SCOPES).contains(&scopes.len()));
    let all = all.ok_or_else(|| format!("a list of 1 to {MAX_SCOPES} scopes"))?;
    let texts: Option<Vec<String>> = all.iter().map(|s| s.as_str().map(String::from)).collect();
    let texts = texts.ok_or("each is a text: read, push:APP, push or admin")?;
    read_scopes(&texts).map_err(|error| error.to_string())?;
    Ok(texts)
}

fn expiry_of(fields: &Map<String, Value>) -> Result<Option<u64>, String> {
    match fields.get("expires_in_s") {
        None | Some(Value::Null) => Ok(None),
        Some(value) => {
            let seconds = value.as_u64().filter(|seconds| (1..=MAX_EXPIRY_S).contains(seconds));
            let wrong = || format!("a whole number of seconds from 1 to {MAX_EXPIRY_S}, or null");
            seconds.map(Some).ok_or_else(wrong)
        }
    }
}
