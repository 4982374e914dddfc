//! `Idempotency-Key`: a write that is sent a second time is done once.
//!
//! The hub keeps the answer with the write; here the key is read, the request digested, and a
//! second try that overtakes the first one's answer is turned away.
//! Invariants: a key is its token's own: nobody is told another's answer; the digest is over what
//! the request means (method, path, conditions, options, JSON values), not over how it is spelt.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

use http::{HeaderMap, HeaderName, StatusCode};

use super::{
    problem::Refusal,
    tokens::{self, Holder},
};
use crate::control::hub::{Condition, Consent, Key};

/// The longest key, in bytes.
const MAX_KEY: usize = 255;
/// The header of a request.
const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// The header of an answer that was given before.
pub(super) const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// The key of a request, if it has one.
pub(super) fn key(headers: &HeaderMap) -> Result<Option<String>, Refusal> {
    let mut given = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(value) = given.next() else { return Ok(None) };
    let text = std::str::from_utf8(value.as_bytes()).unwrap_or_default();
    let is_key = (1..=MAX_KEY).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
    if is_key && given.next().is_none() {
        return Ok(Some(text.into()));
    }
    let reason = format!("once, 1 to {MAX_KEY} printable ASCII characters without blanks");
    Err(Refusal::field(StatusCode::BAD_REQUEST, IDEMPOTENCY_KEY, reason))
}

/// Refuses a key, where the answer holds what is not kept.
pub(super) fn none(headers: &HeaderMap) -> Result<(), Refusal> {
    if !headers.contains_key(IDEMPOTENCY_KEY) {
        return Ok(());
    }
    let reason = "not for tokens: what is not kept cannot be told again. List them to see whether \
                  the first try was done";
    Err(Refusal::field(StatusCode::BAD_REQUEST, IDEMPOTENCY_KEY, reason))
}

/// What a request with a key is known by.
pub(super) fn known_by(
    holder: &Holder,
    key: String,
    (method, path): (&str, &str),
    (condition, consent): (&Condition, &Consent),
    body: &impl serde::Serialize,
) -> Key {
    let mut text = Vec::new();
    // Values of JSON have one text: the fields of an object are sorted.
    let body = serde_json::to_vec(body).unwrap_or_default();
    for part in [method.as_bytes(), path.as_bytes(), format!("{condition:?}").as_bytes(), &body] {
        text.extend((part.len() as u64).to_le_bytes());
        text.extend(part);
    }
    if *consent != Consent::default() {
        text.extend(format!("{consent:?}").as_bytes());
    }
    Key { caller: holder.id.clone(), key, request: tokens::hash(&text) }
}

/// The keys of writes that are not answered yet.
#[derive(Debug, Clone, Default)]
pub(super) struct InFlight(Arc<Mutex<HashSet<(String, String)>>>);

/// A key for as long as its write is on the way.
#[derive(Debug)]
pub(super) struct Flight {
    all: InFlight,
    key: (String, String),
}

impl InFlight {
    /// Begins a write with a key; refused while there is one.
    pub(super) fn begin(&self, key: &Key) -> Result<Flight, Refusal> {
        let key = (key.caller.clone(), key.key.clone());
        let mut keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if keys.insert(key.clone()) {
            return Ok(Flight { all: self.clone(), key });
        }
        let reason = "a write with this key is on the way: wait for its answer, or ask again";
        Err(Refusal::field(StatusCode::CONFLICT, IDEMPOTENCY_KEY, reason))
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.all.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse;
    use serde_json::json;

    use super::*;
    use crate::control::api::tokens::{Denied, Tokens};

    fn holder() -> Result<Arc<Holder>, Denied> {
        let tokens = Tokens::load(Some("0123456789abcdef"), std::path::Path::new("/nowhere"));
        tokens.unwrap().identify(b"0123456789abcdef", 0)
    }

    fn known(key: &str, path: &str, condition: &Condition, body: serde_json::Value) -> Key {
        let terms = (condition, &Consent::default());
        known_by(&holder().unwrap(), key.into(), ("PUT", path), terms, &body)
    }

    #[test]
    fn a_second_try_is_turned_away_while_the_first_is_on_the_way() {
        let (all, any) = (InFlight::default(), Condition::default());
        let first = all.begin(&known("k", "/apps/a", &any, json!({}))).unwrap();
        let second = all.begin(&known("k", "/apps/b", &any, json!({}))).unwrap_err();
        assert_eq!(second.into_response().status(), StatusCode::CONFLICT);
        assert!(all.begin(&known("l", "/apps/a", &any, json!({}))).is_ok());
        drop(first);
        assert!(all.begin(&known("k", "/apps/a", &any, json!({}))).is_ok());
    }

    #[test]
    fn a_request_is_known_by_what_it_means() {
        let any = Condition::default();
        let of =
            |path: &str, condition: &Condition, body| known("k", path, condition, body).request;
        let body = || serde_json::from_str("{\"b\":1,\"a\":{}}").unwrap();
        let same = of("/apps/a", &any, json!({"a": {}, "b": 1}));
        assert_eq!(of("/apps/a", &any, body()), same);
        let absent = Condition { is_absent: true, ..Condition::default() };
        for other in [
            of("/apps/b", &any, body()),
            of("/apps/a", &absent, body()),
            of("/apps/a", &any, json!({"a": {}, "b": 2})),
            of("/apps/a", &any, json!(null)),
        ] {
            assert_ne!(other, same);
        }
    }
}
