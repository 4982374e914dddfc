//! Headers that say what an object has to be for a write to be done, and the tag that they name.
//!
//! The tag of an object is the revision at which it last changed, in quotes. It is a strong one for
//! what can be written: the counts beside an app's settings are not part of it.
//! Invariant: a condition that is not known here is refused, and never passed over.

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

use super::{problem::Refusal, router::Shared};
use crate::{
    control::{hub::Condition, store::ObjectKey},
    route::Revision,
};

/// What the headers of a write of one object ask for.
pub(super) fn read(headers: &HeaderMap) -> Result<Condition, Refusal> {
    refuse(headers, &[header::IF_MODIFIED_SINCE, header::IF_UNMODIFIED_SINCE])?;
    let mut condition = Condition::default();
    if let Some(tags) = all(headers, header::IF_MATCH)? {
        condition.stands = Some(revisions(&tags)?);
    }
    if let Some(value) = all(headers, header::IF_NONE_MATCH)? {
        if value.trim() != "*" {
            return Err(bad("if-none-match", "only `*` is known here: do it if nothing is there"));
        }
        condition.is_absent = true;
    }
    Ok(condition)
}

/// Refuses every condition, where there is no one object that it could be of.
pub(super) fn none(headers: &HeaderMap) -> Result<(), Refusal> {
    let names = [header::IF_MATCH, header::IF_NONE_MATCH];
    refuse(headers, &names)?;
    refuse(headers, &[header::IF_MODIFIED_SINCE, header::IF_UNMODIFIED_SINCE])
}

fn refuse(headers: &HeaderMap, names: &[HeaderName]) -> Result<(), Refusal> {
    match names.iter().find(|name| headers.contains_key(*name)) {
        Some(name) => {
            let known = "not known here: If-Match and If-None-Match: * go with PUT, PATCH and \
                         DELETE of an object, if_revision with a transaction";
            Err(bad(name.as_str(), known))
        }
        None => Ok(()),
    }
}

/// The values of a header as one list (RFC 9110, section 5.3).
fn all(headers: &HeaderMap, name: HeaderName) -> Result<Option<String>, Refusal> {
    let values: Result<Vec<&str>, _> =
        headers.get_all(&name).iter().map(HeaderValue::to_str).collect();
    let values = values.map_err(|_| bad(name.as_str(), "not printable ASCII"))?;
    Ok((!values.is_empty()).then(|| values.join(",")))
}

/// The revisions of the tags; none are named by `*`. A weak tag, or one that is no revision, is
/// that of nothing here, which matches nothing.
fn revisions(tags: &str) -> Result<Vec<u64>, Refusal> {
    if tags.trim() == "*" {
        return Ok(Vec::new());
    }
    let revision = |tag: &str| {
        let tag = tag.trim();
        let inside = tag.strip_prefix("W/").unwrap_or(tag);
        let inside = inside.strip_prefix('"').and_then(|tag| tag.strip_suffix('"'));
        let inside = inside.ok_or_else(|| {
            bad("if-match", "a list of tags as ETag told them, \"17\" with the quotes, or *")
        })?;
        let strong = (!tag.starts_with("W/")).then_some(inside);
        // No object was made at revision 0.
        Ok(strong.and_then(|text| text.parse().ok()).unwrap_or(0))
    };
    tags.split(',').map(revision).collect()
}

fn bad(field: &str, reason: &str) -> Refusal {
    Refusal::field(StatusCode::BAD_REQUEST, field, reason)
}

/// The tag of an object as it was at a revision; none if the store cannot tell, which is no reason
/// not to answer.
pub(super) fn tag(shared: &Shared, object: &ObjectKey, at: u64) -> Option<HeaderValue> {
    match shared.state.versions.of(object, Revision(at)) {
        Ok(revision) => revision.map(|Revision(revision)| tag_of(revision)),
        Err(error) => {
            tracing::warn!(%error, "an answer of the push API goes without its tag");
            None
        }
    }
}

/// The tag of an object that last changed at a revision.
pub(super) fn tag_of(revision: u64) -> HeaderValue {
    let tag = HeaderValue::try_from(format!("\"{revision}\""));
    tag.expect("digits and quotes are what a header may hold")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(lines: &[(&'static str, &str)]) -> Result<Condition, u16> {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().unwrap());
        }
        use axum::response::IntoResponse;
        read(&headers).map_err(|refusal| refusal.into_response().status().as_u16())
    }

    fn stands(revisions: &[u64]) -> Result<Condition, u16> {
        Ok(Condition { stands: Some(revisions.to_vec()), is_absent: false })
    }

    #[test]
    fn tags_are_revisions_in_quotes() {
        assert_eq!(of(&[]), Ok(Condition::default()));
        assert_eq!(of(&[("if-match", "*")]), stands(&[]));
        assert_eq!(of(&[("if-match", "\"17\"")]), stands(&[17]));
        assert_eq!(
            of(&[("if-match", "\"17\", \"4\""), ("if-match", "\"5\"")]),
            stands(&[17, 4, 5])
        );
        assert_eq!(of(&[("if-match", "W/\"17\", \"abc\"")]), stands(&[0, 0]), "nothing's tags");
        let absent = Condition { stands: None, is_absent: true };
        assert_eq!(of(&[("if-none-match", "*")]), Ok(absent));
    }

    #[test]
    fn what_is_not_known_is_refused() {
        for line in [
            ("if-match", "17"),
            ("if-match", ""),
            ("if-match", "\"17"),
            ("if-none-match", "\"17\""),
            ("if-unmodified-since", "Sun, 06 Nov 1994 08:49:37 GMT"),
            ("if-modified-since", "x"),
        ] {
            assert_eq!(of(&[line]), Err(400), "{line:?}");
        }
    }
}
