//! The certificates of a table: what is asked of them, and what changes them.
//!
//! Invariant: whatever comes, goes or is taken over is in the table's digest and counts, and the
//! key of a certificate in neither.

use std::sync::Arc;

use super::{Conflict, Object, Table};
use crate::route::certificate::{CertName, Certificate, PrivateKey};

impl Table {
    /// Every certificate, in no order.
    pub fn certificates(&self) -> impl Iterator<Item = &Arc<Certificate>> {
        self.certificates.iter()
    }

    /// The certificate of that name.
    pub fn certificate(&self, name: &str) -> Option<&Arc<Certificate>> {
        self.certificates.get(name)
    }

    /// Are its certificates, for certain, those of another table? Costs a look at two pointers: who
    /// builds something of them keeps it as long as this is so.
    pub fn certificates_same_as(&self, other: &Table) -> bool {
        self.certificates.same_as(&other.certificates)
    }

    /// Takes over the certificates of another table, in the place of its own.
    pub fn take_certificates_of(&mut self, other: &Table) {
        if self.certificates_same_as(other) {
            return;
        }
        for certificate in self.certificates.iter() {
            self.digest.subtract(Object::Certificate(certificate).digest());
        }
        for certificate in other.certificates.iter() {
            self.digest.add(Object::Certificate(certificate).digest());
        }
        self.certificates = other.certificates.clone();
        self.counts.certificates = other.counts.certificates;
    }

    /// Gives a certificate its key as it can be used, or is kept, from now on: no change of the
    /// table.
    pub fn give_key(&mut self, name: &CertName, key: PrivateKey) {
        if let Some(stands) = self.certificate(name.as_str()) {
            let certificate = Certificate { key, ..(**stands).clone() };
            self.certificates.put(Arc::new(certificate));
        }
    }

    pub(super) fn put_certificate(&mut self, certificate: &Arc<Certificate>) -> bool {
        if self.certificate(certificate.name.as_str()) == Some(certificate) {
            return false;
        }
        match self.certificates.put(certificate.clone()) {
            Some(before) => self.digest.subtract(Object::Certificate(&before).digest()),
            None => self.counts.certificates += 1,
        }
        self.digest.add(Object::Certificate(certificate).digest());
        true
    }

    pub(super) fn delete_certificate(&mut self, name: &CertName) -> Result<bool, Conflict> {
        let removed = self.certificates.remove(name.as_str());
        let removed = removed.ok_or_else(|| Conflict::NoSuchCertificate(name.clone()))?;
        self.digest.subtract(Object::Certificate(&removed).digest());
        self.counts.certificates -= 1;
        Ok(true)
    }
}
