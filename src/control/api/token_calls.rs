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
    gate::Caller,
    idempotency,
    problem::{Refusal, answer, json},
    read::{Page, Params, Segments, bad_param, list as page_of, no_params, not_found},
    router::Shared,
    stream::look,
    tokens::{self, ADMIN, Holder},
    write::reason_header,
};
use crate::{
    api::{AuditEntry, FieldError, List, MadeToken, Revoked, TokenBody, TokenView},
    control::{
        clock::now_ms,
        hub::AUTHOR,
        scope::{MAX_SCOPES, Scope, ScopeError, Scopes},
        store::{Deed, Doer},
    },
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
    let reason = reason_header(request.headers())?;
    let mut held = body::read_small(&shared, request).await?;
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
    let (inner, doer) = (shared.clone(), caller.does(reason));
    let kept = shared.state.hub.ask(move |store| {
        if inner.state.tokens.list().len() >= most {
            return Ok(None);
        }
        let is_new = store.add_token(&row, &doer)?;
        if is_new {
            let (token, scopes) = (&row.name, &row.scopes);
            let (by, address) = (&doer.author, doer.address.as_deref().unwrap_or_default());
            tracing::info!(%token, %scopes, %by, address, "a token was made");
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
    let doer = caller.does(reason_header(&headers)?);
    let (inner, named) = (shared.clone(), name.clone());
    let removed = shared.state.hub.ask(move |store| {
        let was_there = store.remove_token(&named, &doer)?;
        if was_there {
            inner.state.tokens.remove(&named);
            let (by, address) = (&doer.author, doer.address.as_deref().unwrap_or_default());
            tracing::info!(token = %named, %by, address, "a token was revoked");
        }
        Ok(was_there)
    });
    if removed.await? {
        return Ok(answer(revision(&shared), &Revoked { revoked: true }));
    }
    Err(no_such(&name))
}

/// `GET /v1/audit`.
pub(super) async fn audit(State(shared): State<Arc<Shared>>, params: Params) -> Answer {
    let page = Page::read(params, "before")?;
    let bad = |_| bad_param("before", "the id of an entry, a whole number".into());
    let before = page.cursor.as_deref().map(str::parse).transpose().map_err(bad)?;
    let (limit, revision) = (page.limit, revision(&shared));
    let mut deeds = look(&shared, move |view| view.deeds(before, limit + 1)).await?;
    let more = deeds.len() > limit;
    deeds.truncate(limit);
    let items: Vec<AuditEntry> = deeds.into_iter().map(entry).collect();
    let next = items.last().filter(|_| more).map(|last| last.id.to_string());
    Ok(answer(revision, &List { revision, items, next }))
}

fn entry(deed: Deed) -> AuditEntry {
    let Deed { id, doer: Doer { at_ms, author, address, reason }, action, token, scopes } = deed;
    let scopes = scopes.split(' ').map(String::from).collect();
    AuditEntry { id, at_ms, author, address, reason, action, token, scopes }
}

impl Caller {
    /// This caller, doing something now.
    fn does(&self, reason: Option<String>) -> Doer {
        let (author, address) = (self.holder.name.clone(), self.address.clone());
        Doer { at_ms: now_ms(), author, address, reason }
    }
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
        errors.push(FieldError { field: field.into(), reason, ..FieldError::default() });
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
        Some(AUTHOR) => Err("the history calls the router itself hostler".into()),
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
