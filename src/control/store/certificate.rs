//! A certificate as the store keeps it: what is public of it, its chain, and its key as it is kept.
//!
//! What was read of the leaf when it was pushed is kept beside it, so that no later release reads
//! it otherwise. Only what stands has a key: the writer leaves it out of `edits`.
//! Invariants: a key that is sealed is kept sealed, whether it can be opened or not; where it is
//! sealed its plain form is written nowhere.

use std::{borrow::Cow, sync::Arc};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde::{Deserialize, Serialize};

use crate::route::{CertName, Certificate, CoveredHost, Digest, KeyKind, PrivateKey};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row<'a> {
    hosts: Vec<Cow<'a, str>>,
    not_before_s: u64,
    not_after_s: u64,
    #[serde(borrow)]
    key_kind: Cow<'a, str>,
    chain: Vec<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sealed: Option<Cow<'a, str>>,
}

/// The body of a certificate.
pub fn encode(certificate: &Certificate) -> String {
    let Certificate { hosts, not_before_s, not_after_s, key_kind, chain, key, .. } = certificate;
    let encoded = |bytes: &[u8]| Cow::Owned(BASE64.encode(bytes));
    let PrivateKey { der, sealed } = key;
    let row = Row {
        hosts: hosts.iter().map(|host| host.to_string().into()).collect(),
        not_before_s: *not_before_s,
        not_after_s: *not_after_s,
        key_kind: key_kind.to_string().into(),
        chain: chain.iter().map(|certificate| encoded(certificate)).collect(),
        key: der.as_deref().filter(|_| sealed.is_none()).map(encoded),
        sealed: sealed.as_deref().map(encoded),
    };
    serde_json::to_string(&row).expect("plain fields have a JSON form")
}

/// Reads a body. The error never holds any of it.
pub fn decode(name: CertName, body: &str) -> Result<Certificate, String> {
    let wrong = |what: &str| format!("its {what} is not what it should be");
    let row: Row<'_> = serde_json::from_str(body).map_err(|_| wrong("body"))?;
    let decoded = |text: &str| BASE64.decode(text).map_err(|_| wrong("base64"));
    let bytes = |text: Option<Cow<'_, str>>| {
        text.map(|text| decoded(&text).map(Arc::<[u8]>::from)).transpose()
    };
    let host = |text: &Cow<'_, str>| CoveredHost::parse(text).ok_or_else(|| wrong("host"));
    let hosts: Vec<_> = row.hosts.iter().map(host).collect::<Result<_, _>>()?;
    let chain = row.chain.iter().map(|text| decoded(text).map(Vec::into_boxed_slice));
    let chain: Vec<Box<[u8]>> = chain.collect::<Result<_, _>>()?;
    if chain.is_empty() || !hosts.is_sorted_by(|one, other| one < other) {
        return Err(wrong("chain or list of hosts"));
    }
    Ok(Certificate {
        name,
        hosts: hosts.into(),
        not_before_s: row.not_before_s,
        not_after_s: row.not_after_s,
        key_kind: KeyKind::parse(&row.key_kind).ok_or_else(|| wrong("kind of key"))?,
        fingerprints: chain.iter().map(|der| Digest::of(der)).collect(),
        chain: chain.into(),
        key: PrivateKey { der: bytes(row.key)?, sealed: bytes(row.sealed)? },
    })
}
