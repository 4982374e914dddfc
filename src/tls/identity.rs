//! PEM text becomes a chain with the key that fits it, or the authorities that somebody trusts.
//!
//! Invariants: pure; an [`Identity`] that is there has a certificate, and its key is that of the
//! first; an error says which of the two texts is wrong and what a right one holds.

use std::{fmt, sync::Arc, time::SystemTime};

use rustls::{
    Error, InconsistentKeys, RootCertStore,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject},
    },
    sign::CertifiedKey,
};

use super::certificate::Facts;

/// What the PEM header of a key that asks for a password holds.
const ENCRYPTED: [&[u8]; 2] = [b"BEGIN ENCRYPTED PRIVATE KEY", b"Proc-Type: 4,ENCRYPTED"];

/// What is wrong with the PEM text of a chain, a key, or authorities.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// No certificate.
    #[error(
        "there is no certificate in it: it holds one in PEM (-----BEGIN CERTIFICATE-----), behind \
         it those that lead to its authority"
    )]
    NoCertificate,
    /// A certificate that cannot be read.
    #[error("its certificate {number} cannot be read: {reason}")]
    Certificate {
        /// Which one, from 1.
        number: usize,
        /// Why not.
        reason: String,
    },
    /// No private key.
    #[error(
        "there is no private key in it: it holds one in PEM, without a password (-----BEGIN \
         PRIVATE KEY-----)"
    )]
    NoKey,
    /// A private key that asks for a password.
    #[error(
        "its private key asks for a password: write it without one, as `openssl pkey` does, into a \
         file that only the router can read"
    )]
    EncryptedKey,
    /// A private key that cannot be read.
    #[error("its private key cannot be read: {0}")]
    Key(String),
    /// The key is another certificate's.
    #[error(
        "its private key is not that of the first certificate of the chain: the server's own \
         comes first, and both files are of one renewal"
    )]
    Mismatch,
}

/// A chain of certificates with the key of the first.
#[derive(Clone)]
pub(super) struct Identity {
    pub(super) certified: Arc<CertifiedKey>,
    /// None where the certificate is too odd to be read.
    pub(super) facts: Option<Facts>,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("facts", &self.facts).finish_non_exhaustive()
    }
}

impl Identity {
    /// Why nobody would trust it at that time.
    pub(super) fn objection(&self, now: SystemTime) -> Option<String> {
        self.facts.as_ref()?.objection(now)
    }
}

/// Reads a chain: at least one certificate.
pub(super) fn chain(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, IdentityError> {
    let mut chain = Vec::new();
    for (at, found) in CertificateDer::pem_slice_iter(text).enumerate() {
        let unreadable = |reason| IdentityError::Certificate { number: at + 1, reason };
        chain.push(found.map_err(|error| unreadable(error.to_string()))?);
    }
    if chain.is_empty() { Err(IdentityError::NoCertificate) } else { Ok(chain) }
}

/// Reads a private key.
pub(super) fn key(text: &[u8]) -> Result<PrivateKeyDer<'static>, IdentityError> {
    let holds = |mark: &[u8]| text.windows(mark.len()).any(|window| window == mark);
    if ENCRYPTED.into_iter().any(holds) {
        return Err(IdentityError::EncryptedKey);
    }
    PrivateKeyDer::from_pem_slice(text).map_err(|error| match error {
        pem::Error::NoItemsFound => IdentityError::NoKey,
        error => IdentityError::Key(error.to_string()),
    })
}

/// Brings a chain and a key together.
pub(super) fn identity(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<Identity, IdentityError> {
    let facts = chain.first().and_then(|certificate| Facts::read(certificate));
    match CertifiedKey::from_der(chain, key, &provider()) {
        Ok(certified) => Ok(Identity { certified: Arc::new(certified), facts }),
        Err(Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => Err(IdentityError::Mismatch),
        Err(Error::InvalidCertificate(reason)) => {
            Err(IdentityError::Certificate { number: 1, reason: reason.to_string() })
        }
        Err(error) => Err(IdentityError::Key(error.to_string())),
    }
}

/// Reads the certificates of authorities: at least one.
pub(super) fn authorities(text: &[u8]) -> Result<RootCertStore, IdentityError> {
    let mut roots = RootCertStore::empty();
    for (at, certificate) in chain(text)?.into_iter().enumerate() {
        let unreadable = |reason| IdentityError::Certificate { number: at + 1, reason };
        roots.add(certificate).map_err(|error| unreadable(error.to_string()))?;
    }
    Ok(roots)
}

/// What does the cryptography.
pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}
