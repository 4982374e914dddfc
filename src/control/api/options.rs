//! Options of a write, which stand in the query of every one: one place reads them.
//!
//! * `force=true`: let it in though the shrink guard would refuse it.
//! * `confirm=NAME,NAME`, or `confirm=NAME` for each: it may remove or empty these
//!   protected apps and routes.
//! * `wait=fleet&timeout=5s`: it is answered once every live router serves it, or the time is over.
//! * `wait=empty&timeout=30s`: it removes a dyno once that has nothing in flight any more.
//!
//! Invariants: an option is given once; what is none is left for whoever knows what the path means,
//! as it was written; the body of a transaction or a revert adds to what the query says.

use http::StatusCode;
use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::{problem::Refusal, wait::Wait};
use crate::{api::FieldError, control::hub::Consent};

/// What the query of a write says of how it is to be done.
#[derive(Debug, Default)]
pub(super) struct WriteOptions {
    /// What it may do that a guard would refuse.
    pub(super) consent: Consent,
    /// For whom it waits before it is answered.
    pub(super) wait: Wait,
}

/// Takes the options out of a query: them, and the rest of it.
pub(super) fn split(query: Option<&str>) -> Result<(WriteOptions, Option<String>), Refusal> {
    let mut options = WriteOptions::default();
    let Some(query) = query else { return Ok((options, None)) };
    let (mut seen, mut rest) = (Vec::new(), Vec::new());
    let (mut wait, mut time) = (None, None);
    for pair in query.split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        match name {
            "force" => options.consent.force = switch(value)?,
            "confirm" => {
                options.consent.confirm.extend(names(value)?);
                continue;
            }
            "wait" => wait = Some(value),
            "timeout" => time = Some(value),
            _ => {
                rest.push(pair);
                continue;
            }
        }
        if seen.contains(&name) {
            return Err(bad(name, "it is given twice"));
        }
        seen.push(name);
    }
    options.wait = Wait::of(wait, time)?;
    Ok((options, (!rest.is_empty()).then(|| rest.join("&"))))
}

/// The options of a write whose path has no other parameters.
pub(super) fn alone(query: Option<&str>) -> Result<WriteOptions, Refusal> {
    match split(query)? {
        (WriteOptions { wait: Wait::Empty(_), .. }, _) => {
            Err(bad("wait", "wait=empty goes with the DELETE of a dyno"))
        }
        (options, None) => Ok(options),
        (_, Some(rest)) => {
            let name = rest.split(['=', '&']).next().unwrap_or_default();
            let name = if name.is_empty() { "query" } else { name };
            Err(bad(name, "no such parameter here; known: force, confirm, wait, timeout"))
        }
    }
}

/// Reads a field of a body that says what the query may say too; answers whether it is one.
pub(super) fn field(
    consent: &mut Consent,
    name: &str,
    value: &Value,
) -> Option<Result<(), FieldError>> {
    let wrong = |reason: &str| {
        let (field, reason) = (name.into(), reason.into());
        FieldError { field, reason, ..FieldError::default() }
    };
    Some(match (name, value) {
        ("force" | "confirm", Value::Null) => Ok(()),
        ("force", Value::Bool(force)) => {
            consent.force |= force;
            Ok(())
        }
        ("force", _) => Err(wrong("true or false")),
        ("confirm", Value::Array(given)) => {
            let names: Option<Vec<_>> = given.iter().map(Value::as_str).collect();
            match names {
                Some(names) => {
                    consent.confirm.extend(names.into_iter().map(Into::into));
                    Ok(())
                }
                None => Err(wrong("a list of texts: the names that a refusal told")),
            }
        }
        ("confirm", _) => Err(wrong("a list of texts: the names that a refusal told")),
        _ => return None,
    })
}

fn switch(value: &str) -> Result<bool, Refusal> {
    match value {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(bad("force", "true or false")),
    }
}

fn names(value: &str) -> Result<Vec<String>, Refusal> {
    let mut names = Vec::new();
    for part in value.split(',') {
        let name = percent_decode_str(part).decode_utf8();
        let name = name.map_err(|_| bad("confirm", "its escapes are not UTF-8"))?;
        // Many a library escapes the commas between names too, and a prefix may hold one.
        if name.contains(',') {
            names.extend(name.split(',').map(String::from));
        }
        names.push(name.into_owned());
    }
    match names.iter().any(String::is_empty) {
        true => Err(bad("confirm", "names between commas: confirm=blog,www.blog.test/shop")),
        false => Ok(names),
    }
}

fn bad(name: &str, reason: &str) -> Refusal {
    Refusal::field(StatusCode::BAD_REQUEST, name, reason)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn options_are_taken_out_and_the_rest_stays_as_written() {
        let (options, rest) =
            split(Some("path=/a%20b&force=true&confirm=blog,a.test%2Fx")).unwrap();
        assert!(options.consent.force);
        assert_eq!(options.consent.confirm, ["blog", "a.test/x"]);
        let names = |query| split(Some(query)).unwrap().0.consent.confirm;
        assert_eq!(names("confirm=a&confirm=b,c"), ["a", "b", "c"]);
        assert_eq!(names("confirm=a%2Cb"), ["a", "b", "a,b"]);
        assert_eq!(rest.as_deref(), Some("path=/a%20b"));
        assert_eq!(split(Some("force=false")).unwrap().1, None);
        assert_eq!(split(Some("")).unwrap().1.as_deref(), Some(""));
        assert_eq!(split(None).unwrap().0.consent, Consent::default());
    }

    #[test]
    fn what_is_no_option_is_refused() {
        for query in [
            "force",
            "force=1",
            "force=TRUE",
            "force=true&force=true",
            "confirm=",
            "confirm=a,",
            "confirm=%ff",
        ] {
            assert!(split(Some(query)).is_err(), "{query}");
        }
        for query in ["x=1", "", "force=true&path=/x"] {
            assert!(alone(Some(query)).is_err(), "{query}");
        }
        assert!(alone(Some("confirm=a")).is_ok());
    }

    #[test]
    fn a_body_adds_to_the_query() {
        let mut consent = Consent { force: true, confirm: vec!["a".into()] };
        let mut read = |name, value| field(&mut consent, name, &value).map(|read| read.is_ok());
        assert_eq!(read("force", json!(false)), Some(true));
        assert_eq!(read("confirm", json!(["b"])), Some(true));
        assert_eq!(read("confirm", json!(null)), Some(true));
        assert_eq!(read("confirm", json!("b")), Some(false));
        assert_eq!(read("confirm", json!([1])), Some(false));
        assert_eq!(read("force", json!("true")), Some(false));
        assert_eq!(read("ops", json!([])), None);
        assert_eq!(consent, Consent { force: true, confirm: vec!["a".into(), "b".into()] });
    }
}
