//! TLS of the load: the one certificate of the run, and the two configurations of clients, of which
//! one resumes sessions.
//!
//! Invariants: TLS 1.3, X25519 and AES-128-GCM are all that a client offers, so that every proxy
//! does the same work; the proxy's certificate is compared and its signature not computed, because
//! the load is to be cheap; a ticket is used once.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ClientConnection, Tls13ClientSessionValue};
use rustls::client::{ClientSessionStore, Resumption, Tls12ClientSessionValue};
use rustls::crypto::aws_lc_rs::{self, cipher_suite, kx_group};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, NamedGroup, SignatureScheme};

use crate::failure::{During, Failure};
use crate::proxies::{APPS, HOST};
use crate::scenario::Way;

/// Tickets kept at most; the oldest goes.
const MAX_TICKETS: usize = 4096;

/// The certificate and key that every rival presents: P-256, self-signed, for all hosts.
#[derive(Debug)]
pub struct Certificate {
    /// The certificate, PEM.
    pub chain: PathBuf,
    /// Its key, PEM.
    pub key: PathBuf,
    /// Both in one file.
    pub both: PathBuf,
    der: CertificateDer<'static>,
}

impl Certificate {
    /// Makes one, and writes it into the directory of the run.
    pub fn make(dir: &Path) -> Result<Certificate, Failure> {
        let hosts: Vec<String> = APPS.iter().map(|(_, host)| (*host).to_owned()).collect();
        let made = rcgen::generate_simple_self_signed(hosts).map_err(std::io::Error::other);
        let made = made.during("making a certificate")?;
        let (chain, key) = (made.cert.pem(), made.signing_key.serialize_pem());
        let write = |name: &str, text: &str| {
            let path = dir.join(name);
            std::fs::write(&path, text).during(name).map(|()| path)
        };
        Ok(Certificate {
            chain: write("chain.pem", &chain)?,
            key: write("key.pem", &key)?,
            both: write("both.pem", &format!("{chain}{key}"))?,
            der: made.cert.der().clone(),
        })
    }

    /// How clients of a way connect: `None` in clear text.
    pub fn client(&self, way: Way, resumes: bool) -> Option<Arc<ClientConfig>> {
        if !way.is_tls() {
            return None;
        }
        let mut provider = aws_lc_rs::default_provider();
        provider.cipher_suites = vec![cipher_suite::TLS13_AES_128_GCM_SHA256];
        provider.kx_groups = vec![kx_group::X25519];
        let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("the suite is one of TLS 1.3")
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Same(self.der.clone())))
            .with_no_client_auth();
        let protocol = if way.is_h2() { "h2" } else { "http/1.1" };
        config.alpn_protocols = vec![protocol.into()];
        config.resumption = match resumes {
            true => Resumption::store(Arc::new(Tickets::default())),
            false => Resumption::disabled(),
        };
        Some(Arc::new(config))
    }
}

/// A connection that has yet to shake hands.
pub fn connection(config: &Arc<ClientConfig>, to: SocketAddr) -> Result<ClientConnection, Failure> {
    let name = ServerName::try_from(HOST).expect("the bench's host is a name");
    ClientConnection::new(config.clone(), name).map_err(|error| Failure::Tls(to, error))
}

/// Takes one certificate alone.
#[derive(Debug)]
struct Same(CertificateDer<'static>);

impl ServerCertVerifier for Same {
    fn verify_server_cert(
        &self,
        presented: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        match *presented == self.0 {
            true => Ok(ServerCertVerified::assertion()),
            false => Err(rustls::Error::General("not the certificate of the bench".into())),
        }
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("TLS 1.2 was not offered".into()))
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ECDSA_NISTP256_SHA256]
    }
}

/// Sessions to be resumed, all with the one proxy under load.
#[derive(Default)]
struct Tickets(Mutex<VecDeque<Tls13ClientSessionValue>>);

impl std::fmt::Debug for Tickets {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.write_str("Tickets")
    }
}

impl ClientSessionStore for Tickets {
    fn set_kx_hint(&self, _name: ServerName<'static>, _group: NamedGroup) {}

    fn kx_hint(&self, _name: &ServerName<'_>) -> Option<NamedGroup> {
        Some(NamedGroup::X25519)
    }

    fn set_tls12_session(&self, _name: ServerName<'static>, _session: Tls12ClientSessionValue) {}

    fn tls12_session(&self, _name: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        None
    }

    fn remove_tls12_session(&self, _name: &ServerName<'static>) {}

    fn insert_tls13_ticket(&self, _name: ServerName<'static>, ticket: Tls13ClientSessionValue) {
        let mut tickets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if tickets.len() == MAX_TICKETS {
            tickets.pop_front();
        }
        tickets.push_back(ticket);
    }

    fn take_tls13_ticket(&self, _name: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop_back()
    }
}
