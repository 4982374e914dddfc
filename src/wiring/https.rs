//! What the HTTPS listener is made of: its files, or the certificate that is made for it.
//!
//! Invariants: where nothing listens with TLS nothing is read or made; that a certificate proves
//! nothing is said in so many words.

use std::{net::TcpListener, sync::Arc};

use super::Error;
use crate::{
    config::Settings,
    live::{Reader, Snapshot},
    route::Table,
    serve::bind,
    telemetry::Metrics,
    tls::{AcceptFiles, ClientFiles, ListenFiles, Listener, Renewal, self_signed},
};

/// Binds it, if there is one: for each worker one listener per address.
pub fn bind(settings: &Settings) -> Result<Option<Vec<Vec<TcpListener>>>, Error> {
    let addrs = &settings.https.listen;
    let bound = || bind::shared("https.listen", addrs, settings.workers);
    Ok((!addrs.is_empty()).then(bound).transpose()?)
}

/// Reads what it proves itself with.
pub fn open(settings: &Settings, names: Reader<Snapshot>) -> Result<(Listener, Renewal), Error> {
    let https = &settings.https;
    let given = https.default_cert.clone().zip(https.default_key.clone());
    let is_self_signed = given.is_none();
    let (chain, key) = match given {
        Some(given) => given,
        None => {
            let (path, made) = self_signed(&settings.data_dir).map_err(Error::SelfSigned)?;
            let what = if made { "made one that is signed by itself" } else { "using" };
            tracing::warn!(
                "https.default_cert is not given: {what}, {}. No client trusts it: push \
                 certificates for your hosts (PUT /v1/certs/NAME)",
                path.display()
            );
            (path.clone(), path)
        }
    };
    let required = https.client_cert_required;
    let authorities = https.client_ca.clone();
    let clients = authorities.map(|authorities| ClientFiles { authorities, required });
    let files = ListenFiles {
        files: AcceptFiles { chain, key, clients },
        is_self_signed,
        only_tls13: https.only_tls13,
        http2: https.http2,
    };
    Listener::open(files, Arc::new(names)).map_err(Error::HttpsTls)
}

/// Counts certificates, those that cannot be served among them, and says when the first ends.
pub fn tell_certificates(metrics: &Metrics, table: &Table) {
    let (mut closed, mut first_end) = (0, None);
    for certificate in table.certificates() {
        closed += i64::from(!certificate.is_usable());
        let ends = certificate.not_after_s;
        first_end = Some(first_end.map_or(ends, |first: u64| first.min(ends)));
    }
    let gauge = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    metrics.table_certs.set(gauge(table.counts().certificates as u64));
    metrics.certs_closed.set(closed);
    metrics.certs_first_end_seconds.set(gauge(first_end.unwrap_or_default()));
}
