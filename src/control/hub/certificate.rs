//! The body of a certificate: a chain and its key in PEM, judged and made ready to be kept.
//!
//! Invariants: one that has ended is refused, whoever asks; one that begins later is taken, so that
//! it can be pushed ahead; where the store has a key, the private key is sealed before it is part
//! of any table; what is refused is told without a byte of the key.

use std::sync::Arc;

use serde_json::Value;

use super::{body::Fields, push::Mistake, settings::Settings};
use crate::{
    route::{CertName, Certificate},
    tls::pushed,
};

/// Reads the body of a certificate, at a time in seconds since the Unix epoch.
pub fn read(
    name: &CertName,
    body: Option<&Value>,
    settings: &Settings,
    now_s: u64,
) -> Result<Arc<Certificate>, Vec<Mistake>> {
    const MISSING: &str = "it is missing: a certificate is set whole, chain and key in PEM";
    if body.is_some_and(|body| !body.is_object() && !body.is_null()) {
        return Err(vec![Mistake::malformed("body", "it should be an object: chain and key")]);
    }
    let mut fields = Fields::of("a certificate", body)?;
    let (chain, key) = (fields.required("chain", MISSING), fields.required("key", MISSING));
    fields
        .finish()
        .map_err(|mistakes| mistakes.into_iter().map(without_key).collect::<Vec<_>>())?;
    let (chain, key) = (chain.unwrap_or_default(), key.unwrap_or_default());
    let read = pushed::certificate(name.clone(), &chain, &key, now_s);
    let told = |flaw: pushed::Flaw| Mistake::malformed(flaw.field, flaw.reason);
    let flaws = |flaws: Vec<pushed::Flaw>| flaws.into_iter().map(told).collect::<Vec<_>>();
    let mut certificate = read.map_err(flaws)?;
    if certificate.not_after_s < now_s {
        let ended = now_s - certificate.not_after_s;
        let reason = format!("its first certificate ended {ended} s ago: send one that is renewed");
        return Err(vec![Mistake::malformed("chain", reason)]);
    }
    if let (Some(store), Some(der)) = (&settings.store_key, &certificate.key.der) {
        let sealed = store.seal(&certificate, der);
        let failed = || Mistake::malformed("key", "it could not be encrypted: send it again");
        certificate.key.sealed = Some(sealed.ok_or_else(|| vec![failed()])?.into());
    }
    Ok(Arc::new(certificate))
}

/// A mistake that names no field whose name could be a part of a key.
fn without_key(mistake: Mistake) -> Mistake {
    const LONGEST: usize = 16;
    let is_word = |name: &str| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    if mistake.field.len() <= LONGEST && is_word(&mistake.field) {
        return mistake;
    }
    let reason = "it has a field that is not told, since a key could be in its name: it has chain \
                  and key";
    Mistake::malformed("body", reason)
}
