//! The accepting side: what a listener proves itself with, whom it asks for a certificate.
//!
//! Invariants: a connection is accepted with what the files held when they were last right, whole:
//! chain, key and authorities are replaced together; [`Renewal`] is not `Clone`, so that one task
//! alone replaces them; [`Acceptor`] resumes no session, so that every connection of the push API
//! proves itself anew.

use std::{io, path::PathBuf, sync::Arc, time::SystemTime};

use rustls::{
    ConfigBuilder, RootCertStore, ServerConfig, SupportedProtocolVersion,
    server::{
        NoServerSessionStorage, WantsServerCert, WebPkiClientVerifier, danger::ClientCertVerifier,
    },
    sign::SingleCertAndKey,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::watch,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::{
    certificate::Facts,
    files::{self, FileError, Stamp},
    identity::{self, Identity},
};

/// What is agreed on inside TLS.
const HTTP_1: &[u8] = b"http/1.1";

/// The files of a listener, in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcceptFiles {
    /// Its certificate, and behind it those that lead to its authority.
    pub chain: PathBuf,
    /// The key of the first certificate.
    pub key: PathBuf,
    /// Whose certificates are asked for; none: no client is asked.
    pub clients: Option<ClientFiles>,
}

/// Whose certificates a listener asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientFiles {
    /// The authorities of the clients.
    pub authorities: PathBuf,
    /// Refuse a client that has none.
    pub required: bool,
}

/// A connection that was accepted.
#[derive(Debug)]
pub struct ServerStream<S> {
    /// What is inside TLS.
    pub stream: TlsStream<S>,
    /// The subject of the client's certificate, if it gave one: an authority vouches for it.
    pub client: Option<String>,
}

/// Accepts connections with TLS, all with one certificate.
#[derive(Clone)]
pub struct Acceptor(watch::Receiver<Arc<ServerConfig>>);

impl Acceptor {
    /// Reads the files.
    ///
    /// # Errors
    /// If one of them cannot be read, or they do not fit each other.
    pub fn open(files: AcceptFiles) -> Result<(Acceptor, Renewal), FileError> {
        let make = {
            let files = files.clone();
            move |identity: &Identity| {
                let key = SingleCertAndKey::from(identity.certified.clone());
                let verifier = clients(&files)?.map(|clients| clients.verifier);
                let builder = builder(verifier, rustls::DEFAULT_VERSIONS).map_err(setup)?;
                let mut config = builder.with_cert_resolver(Arc::new(key));
                config.alpn_protocols = vec![HTTP_1.to_vec()];
                config.session_storage = Arc::new(NoServerSessionStorage {});
                config.send_tls13_tickets = 0;
                Ok(Arc::new(config))
            }
        };
        let (receiver, renewal) = Renewal::open("control", files, make)?;
        Ok((Acceptor(receiver), renewal))
    }

    /// Does the handshake. Where it fails the connection is handed back, so that what the client
    /// was told of it can still arrive.
    ///
    /// # Errors
    /// If the client does not speak TLS 1.2 or 1.3, or does not prove itself where it has to; for
    /// what was wrong see [`super::Failure::in_error`].
    pub async fn accept<S>(&self, stream: S) -> Result<ServerStream<S>, (io::Error, S)>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let config = self.0.borrow().clone();
        let stream = TlsAcceptor::from(config).accept(stream).into_fallible().await?;
        let given = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
        let client = given.map(|certificate| Facts::subject_of(certificate));
        Ok(ServerStream { stream, client })
    }
}

/// Makes what a listener needs of what its files hold, and gives it to the listener.
type Publish = dyn FnMut(&Identity) -> Result<(), FileError> + Send;

/// Replaces what a listener proves itself with, once its files changed.
pub struct Renewal {
    listener: &'static str,
    files: AcceptFiles,
    stamps: Vec<Stamp>,
    identity: Identity,
    publish: Box<Publish>,
}

impl Renewal {
    /// Reads the files, and makes of them what [`Renewal::look`] replaces.
    pub(super) fn open<T: Send + Sync + 'static>(
        listener: &'static str,
        files: AcceptFiles,
        mut make: impl FnMut(&Identity) -> Result<T, FileError> + Send + 'static,
    ) -> Result<(watch::Receiver<T>, Renewal), FileError> {
        let stamps = stamps(&files);
        let identity = files::identity(&files.chain, &files.key)?;
        let (sender, receiver) = watch::channel(make(&identity)?);
        let publish = Box::new(move |identity: &Identity| {
            sender.send_replace(make(identity)?);
            Ok(())
        });
        Ok((receiver, Renewal { listener, files, stamps, identity, publish }))
    }

    /// Looks at the files, and reads them if they changed since the last look; answers whether.
    /// What is wrong with them is told once, and what was right before stays.
    ///
    /// # Errors
    /// If they changed, and one of them cannot be read, or they do not fit each other.
    pub fn look(&mut self) -> Result<bool, FileError> {
        // What changes from here on is seen at the next look.
        let stamps = stamps(&self.files);
        if stamps == self.stamps {
            return Ok(false);
        }
        self.stamps = stamps;
        let identity = files::identity(&self.files.chain, &self.files.key)?;
        (self.publish)(&identity)?;
        self.identity = identity;
        Ok(true)
    }

    /// Whose files they are: `control`, `https`.
    pub fn listener(&self) -> &'static str {
        self.listener
    }

    /// Why clients would not trust the certificate at that time.
    pub fn objection(&self, now: SystemTime) -> Option<String> {
        self.identity.objection(now)
    }

    /// When the certificate ends, if it can be told.
    pub fn not_after(&self) -> Option<SystemTime> {
        Some(self.identity.facts.as_ref()?.not_after)
    }

    /// The file of the certificate.
    pub fn chain(&self) -> &std::path::Path {
        &self.files.chain
    }
}

fn stamps(files: &AcceptFiles) -> Vec<Stamp> {
    let clients = files.clients.as_ref().map(|clients| &clients.authorities);
    [Some(&files.chain), Some(&files.key), clients]
        .into_iter()
        .flatten()
        .map(|path| Stamp::of(path))
        .collect()
}

/// Whose certificates a listener asks for.
pub(super) struct Clients {
    pub(super) authorities: Arc<RootCertStore>,
    pub(super) verifier: Arc<dyn ClientCertVerifier>,
}

/// Reads whose certificates a listener asks for, if it does.
pub(super) fn clients(files: &AcceptFiles) -> Result<Option<Clients>, FileError> {
    let Some(ClientFiles { authorities: path, required }) = &files.clients else { return Ok(None) };
    let authorities = identity::authorities(&files::read(path)?);
    let authorities = Arc::new(authorities.map_err(FileError::content(path))?);
    let roots = authorities.clone();
    let verifier = WebPkiClientVerifier::builder_with_provider(roots, identity::provider());
    let verifier = if *required { verifier } else { verifier.allow_unauthenticated() };
    Ok(Some(Clients { authorities, verifier: verifier.build().map_err(setup)? }))
}

/// A configuration up to its certificate: versions, and who judges the clients'.
pub(super) fn builder(
    clients: Option<Arc<dyn ClientCertVerifier>>,
    versions: &[&'static SupportedProtocolVersion],
) -> Result<ConfigBuilder<ServerConfig, WantsServerCert>, rustls::Error> {
    let builder = ServerConfig::builder_with_provider(identity::provider());
    let builder = builder.with_protocol_versions(versions)?;
    Ok(match clients {
        None => builder.with_no_client_auth(),
        Some(clients) => builder.with_client_cert_verifier(clients),
    })
}

fn setup(error: impl std::fmt::Display) -> FileError {
    FileError::Setup(error.to_string())
}
