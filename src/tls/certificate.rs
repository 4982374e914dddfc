//! What is read of a certificate beside the handshake: whose it is, and when it is valid.
//!
//! Invariant: pure, and lenient: a certificate that the handshake took but that cannot be read here
//! is nobody's and says nothing of its time.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use x509_cert::{
    certificate::{CertificateInner, Raw},
    der::Decode,
};

use super::pushed;
use crate::route::CoveredHost;

/// The longest subject that is told, in bytes.
const MAX_SUBJECT: usize = 512;

/// What a certificate says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Facts {
    /// Its subject as RFC 4514 writes it, `CN=ci,O=Example`; empty if it has none.
    pub(super) subject: String,
    /// What it covers.
    pub(super) hosts: Vec<CoveredHost>,
    pub(super) not_before: SystemTime,
    pub(super) not_after: SystemTime,
}

impl Facts {
    /// Reads a certificate in DER.
    pub(super) fn read(der: &[u8]) -> Option<Facts> {
        let certificate = CertificateInner::<Raw>::from_der(der).ok()?;
        let facts = certificate.tbs_certificate();
        let at = |since: Duration| UNIX_EPOCH.checked_add(since);
        let mut subject = facts.subject().to_string();
        subject.truncate(subject.floor_char_boundary(MAX_SUBJECT));
        Some(Facts {
            subject,
            hosts: pushed::hosts(facts).unwrap_or_default(),
            not_before: at(facts.validity().not_before.to_unix_duration())?,
            not_after: at(facts.validity().not_after.to_unix_duration())?,
        })
    }

    /// Whose a certificate is: never empty, so that none is hidden.
    pub(super) fn subject_of(der: &[u8]) -> String {
        match Facts::read(der) {
            Some(Facts { subject, .. }) if !subject.is_empty() => subject,
            _ => "a certificate without a subject".to_owned(),
        }
    }

    /// Why nobody would trust it at that time.
    pub(super) fn objection(&self, now: SystemTime) -> Option<String> {
        let date = httpdate::fmt_http_date;
        if now > self.not_after {
            return Some(format!("it ended on {}", date(self.not_after)));
        }
        (now < self.not_before).then(|| format!("it begins on {}", date(self.not_before)))
    }
}
