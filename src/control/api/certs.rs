//! Certificates: their public facts, as they stand and as they stood.
//!
//! Invariant: no answer has a byte of a private key; a list has no chains, which have up to 64 KiB
//! each.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};

use super::{
    problem::{Refusal, answer},
    read::{Page, Params, Segments, bad_param, list as listed, not_found, tagged, unknown_param},
    router::Shared,
    stream::look,
    travel::parse_at,
};
use crate::{
    api::CertView,
    control::store::ObjectKey,
    route::{CertName, Certificate, Change},
};

/// How long a line of PEM is (RFC 7468, section 2).
const LINE: usize = 64;

type Answer = Result<Response, Refusal>;

/// `GET /v1/certs`.
pub(super) async fn list(State(shared): State<Arc<Shared>>, params: Params) -> Answer {
    let page = Page::read(params, "after")?;
    let snapshot = shared.state.reader.load_full();
    let after = page.cursor.as_deref().unwrap_or_default();
    let behind = snapshot.table().certificates().filter(|of| of.name.as_str() > after);
    let mut behind: Vec<_> = behind.collect();
    behind.sort_unstable_by(|one, other| one.name.cmp(&other.name));
    let views = behind.into_iter().take(page.limit + 1).map(|of| view(of));
    Ok(listed(snapshot.table(), page.limit, views, |view| view.name.clone()))
}

/// `GET /v1/certs/{name}`.
pub(super) async fn show(
    State(shared): State<Arc<Shared>>,
    path: Segments<String>,
    params: Params,
) -> Answer {
    let axum::extract::Path(name) = path?;
    let name = CertName::parse(&name).map_err(|error| bad_param("cert", error.to_string()))?;
    let missing = || not_found("cert", format!("there is no certificate {name}"));
    let mut at = None;
    for (param, value) in params?.0 {
        match param.as_str() {
            "at" => at = Some(parse_at("at", &value)?),
            other => return Err(unknown_param(other, "at")),
        }
    }
    let key = ObjectKey::Certificate(name.clone());
    let Some(at) = at else {
        let snapshot = shared.state.reader.load_full();
        let found = snapshot.table().certificate(name.as_str()).ok_or_else(missing)?;
        return Ok(tagged(&shared, snapshot.table(), &key, &whole(found)));
    };
    let of = key.clone();
    let past = look(&shared, move |view| {
        let revision = view.revision_at(at)?;
        Ok((revision, view.object(&of, revision)?))
    });
    match past.await? {
        (revision, Some(Change::PutCertificate(found))) => {
            Ok(answer(revision.0, &CertView { key_closed: false, ..whole(&found) }))
        }
        _ => Err(missing()),
    }
}

fn view(of: &Certificate) -> CertView {
    CertView {
        name: of.name.to_string(),
        hosts: of.hosts.iter().map(ToString::to_string).collect(),
        not_before_s: of.not_before_s,
        not_after_s: of.not_after_s,
        fingerprint: of.fingerprint().to_string(),
        key_kind: of.key_kind.to_string(),
        key_closed: !of.is_usable(),
        chain: None,
    }
}

fn whole(of: &Certificate) -> CertView {
    CertView { chain: Some(of.chain.iter().map(|der| pem(der)).collect()), ..view(of) }
}

fn pem(der: &[u8]) -> String {
    let text = BASE64.encode(der);
    let mut pem = String::from("-----BEGIN CERTIFICATE-----\n");
    for line in text.as_bytes().chunks(LINE) {
        pem.extend(line.iter().map(|byte| char::from(*byte)));
        pem.push('\n');
    }
    pem + "-----END CERTIFICATE-----\n"
}
