//! Certificates on the wire, and the calls that list, set and remove them.
//!
//! Invariants: unknown fields of a request are refused; a private key is in requests alone, and in
//! no `Debug`.

use std::fmt;

use http::Method;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    client::{Client, escape},
    error::ClientError,
    schema,
    types::Receipt,
};

/// `/v1/certs/{name}`: a certificate and its key.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Certificate")]
pub struct CertBody {
    /// The certificate in PEM, and behind it those that issued it, one after the other.
    #[schemars(length(max = 65536))]
    pub chain: String,
    /// The private key of the first, in PEM without a password. It is never given back.
    #[schemars(length(max = 16384))]
    pub key: String,
}

impl fmt::Debug for CertBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CertBody").field("chain", &self.chain).finish_non_exhaustive()
    }
}

/// What is public of a certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "CertificateView")]
pub struct CertView {
    /// Its name.
    pub name: String,
    /// The hosts that it covers; `*.a.test` covers one label more than `a.test`.
    pub hosts: Vec<String>,
    /// When it begins, in seconds since the Unix epoch.
    pub not_before_s: u64,
    /// When it ends, in seconds since the Unix epoch.
    pub not_after_s: u64,
    /// The SHA-256 of the certificate, in hexadecimal.
    #[schemars(schema_with = "schema::digest")]
    pub fingerprint: String,
    /// The kind of its key: `ecdsa-p256`, `ed25519`, `rsa-2048`, …
    pub key_kind: String,
    /// Its key cannot be opened without `HOSTLER_STORE_KEY`, so that it is not served. Default:
    /// false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub key_closed: bool,
    /// The certificate in PEM, and behind it those that issued it. Absent in lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chain: Option<String>,
}

impl Client {
    /// Every certificate, sorted by name, without its chain.
    pub async fn certs(&self) -> Result<Vec<CertView>, ClientError> {
        self.all("/certs").await
    }

    /// One certificate.
    pub async fn cert(&self, name: &str) -> Result<CertView, ClientError> {
        self.get(&cert_path(name)).await
    }

    /// Makes a certificate, or replaces it.
    pub async fn put_cert(&self, name: &str, body: &CertBody) -> Result<Receipt, ClientError> {
        self.write(Method::PUT, &cert_path(name), Some(body)).await
    }

    /// Removes a certificate.
    pub async fn delete_cert(&self, name: &str) -> Result<Receipt, ClientError> {
        self.write(Method::DELETE, &cert_path(name), None::<&()>).await
    }
}

fn cert_path(name: &str) -> String {
    format!("/certs/{}", escape(name))
}
