//! What clients that proved themselves are spared when they come again, and for how long.
//!
//! A ticket holds the certificate that its client proved itself with, which is not judged again,
//! and each resumed connection brings a new one. Invariants: a ticket is good no longer than every
//! certificate of that chain, nor are those that follow from it; one that is not makes the client
//! prove itself anew; each connection has its own of these, around what all share.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::SystemTime,
};

use rustls::{
    DigitallySignedStruct, DistinguishedName, Error, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    pki_types::{CertificateDer, UnixTime},
    server::{
        ProducesTickets,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
};

use super::{certificate::Facts, certificates::seconds};

/// Judges the client of one connection, and seals its tickets.
#[derive(Debug)]
pub(super) struct Proven {
    verifier: Arc<dyn ClientCertVerifier>,
    tickets: Arc<dyn ProducesTickets>,
    /// When the first certificate of the client's chain ends, in seconds since the Unix epoch.
    until_s: AtomicU64,
}

impl Proven {
    /// Of a client that has not proved itself yet, and need not where the verifier says so.
    pub(super) fn new(
        verifier: Arc<dyn ClientCertVerifier>,
        tickets: Arc<dyn ProducesTickets>,
    ) -> Proven {
        Proven { verifier, tickets, until_s: AtomicU64::new(u64::MAX) }
    }
}

impl ProducesTickets for Proven {
    fn enabled(&self) -> bool {
        self.tickets.enabled()
    }

    fn lifetime(&self) -> u32 {
        self.tickets.lifetime()
    }

    fn encrypt(&self, session: &[u8]) -> Option<Vec<u8>> {
        let until_s = self.until_s.load(Ordering::Relaxed).to_be_bytes();
        self.tickets.encrypt(&[&until_s, session].concat())
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        let text = self.tickets.decrypt(ticket)?;
        let (until_s, session) = text.split_first_chunk()?;
        let until_s = u64::from_be_bytes(*until_s);
        if seconds(SystemTime::now()) > until_s {
            return None;
        }
        self.until_s.store(until_s, Ordering::Relaxed);
        Some(session.to_vec())
    }
}

impl ClientCertVerifier for Proven {
    fn offer_client_auth(&self) -> bool {
        self.verifier.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.verifier.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.verifier.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.verifier.verify_client_cert(leaf, others, now)?;
        let end = |der: &CertificateDer<'_>| Facts::read(der).map_or(0, |f| seconds(f.not_after));
        let first = others.iter().map(end).fold(end(leaf), u64::min);
        self.until_s.store(first, Ordering::Relaxed);
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rcgen::{
        BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa,
        KeyPair, date_time_ymd,
    };
    use rustls::{RootCertStore, crypto::aws_lc_rs::Ticketer, server::WebPkiClientVerifier};

    use super::*;
    use crate::tls::identity;

    /// In the year 2005.
    const THEN: UnixTime = UnixTime::since_unix_epoch(Duration::from_secs(1_120_000_000));

    #[test]
    fn a_ticket_is_good_no_longer_than_the_certificate_that_it_stands_for() {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(authority.der().clone()).unwrap();
        let verifier =
            WebPkiClientVerifier::builder_with_provider(roots.into(), identity::provider());
        let verifier = verifier.build().unwrap();
        let tickets = Ticketer::new().unwrap();
        let proven = || Proven::new(verifier.clone(), tickets.clone());
        let ticket = |until: i32| {
            let mut params = CertificateParams::new(vec!["ci".to_owned()]).unwrap();
            params.not_before = date_time_ymd(2000, 1, 1);
            params.not_after = date_time_ymd(until, 1, 1);
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
            let leaf = params.signed_by(&KeyPair::generate().unwrap(), &authority).unwrap();
            let proven = proven();
            proven.verify_client_cert(leaf.der(), &[], THEN).unwrap();
            proven.encrypt(b"session").unwrap()
        };
        assert_eq!(proven().decrypt(&ticket(2010)), None, "it has ended since");
        let standing = ticket(2999);
        let again = proven();
        assert_eq!(again.decrypt(&standing).as_deref(), Some(&b"session"[..]));
        // What follows from it knows the end too.
        let next = proven();
        next.decrypt(&again.encrypt(b"next").unwrap()).unwrap();
        assert_eq!(next.until_s.load(Ordering::Relaxed), 32_472_144_000, "the turn of 2999");
        let bare = proven();
        assert!(proven().decrypt(&bare.encrypt(b"none").unwrap()).is_some(), "without a proof");
        assert_eq!(proven().lifetime(), 12 * 3600, "as it is promised of all");
    }
}
