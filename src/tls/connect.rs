//! The connecting side: whom it trusts, by which name it calls, what it proves itself with.
//!
//! Invariants: the certificate and the name are always checked, there is no way around either; the
//! authorities of the system are read only where nobody names others.

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{ClientConfig, RootCertStore, client::Resumption, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{
    failure::Failure,
    files::{self, FileError},
    identity,
    listen::HTTP_2,
    session::{Broken, Session},
};

/// A connection that was made.
pub type ClientStream = TlsStream<TcpStream>;

/// The files of a client, in PEM.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConnectFiles {
    /// The authorities that are trusted; none: those of the system.
    pub authorities: Option<PathBuf>,
    /// The client's chain and its key, if it has to prove itself.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// Makes connections with TLS to one name.
#[derive(Clone)]
pub struct Connector {
    connector: TlsConnector,
    name: ServerName<'static>,
}

impl Connector {
    /// One for a name or an IP address.
    ///
    /// # Errors
    /// If one of the files cannot be read, if chain and key do not fit each other, or if the name
    /// is none that a certificate could have.
    pub fn open(name: &str, files: &ConnectFiles) -> Result<Connector, FileError> {
        let roots = match &files.authorities {
            Some(path) => authorities(path)?,
            None => system()?,
        };
        let config = config(roots, files.identity.as_ref())?;
        let name = ServerName::try_from(name.to_owned()).map_err(setup)?;
        Ok(Connector { connector: TlsConnector::from(Arc::new(config)), name })
    }

    /// A connection that is about to begin, for whoever drives it by hand.
    ///
    /// # Errors
    /// If the library cannot make one.
    pub fn session(&self) -> Result<Session, Broken> {
        Session::client(self.connector.config().clone(), self.name.clone())
    }

    /// Does the handshake.
    ///
    /// # Errors
    /// If the other side does not speak TLS, or does not prove itself; for what was wrong see
    /// [`super::Failure::in_error`].
    pub async fn connect(&self, stream: TcpStream) -> io::Result<ClientStream> {
        self.connector.connect(self.name.clone(), stream).await
    }
}

/// What is spoken inside a session with a dyno.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speech {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
}

/// Begins sessions with dynos, each of which must prove a name of its own.
#[derive(Clone)]
pub struct Dialer {
    http1: Arc<ClientConfig>,
    http2: Arc<ClientConfig>,
}

impl fmt::Debug for Dialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Dialer")
    }
}

/// Of how many names sessions are remembered, to be resumed.
const RESUMED: usize = 1024;

impl Dialer {
    /// One that trusts the authorities of a PEM file, or those of the system. A system without any
    /// is no error: then no dyno can prove itself.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn open(file: Option<&Path>) -> Result<Dialer, FileError> {
        let roots = match file {
            Some(path) => authorities(path)?,
            None => system().unwrap_or_else(|_| RootCertStore::empty()),
        };
        let mut http1 = config(roots, None)?;
        http1.resumption = Resumption::in_memory_sessions(RESUMED);
        let mut http2 = http1.clone();
        http1.alpn_protocols = vec![b"http/1.1".to_vec()];
        http2.alpn_protocols = vec![HTTP_2.to_vec()];
        Ok(Dialer { http1: Arc::new(http1), http2: Arc::new(http2) })
    }

    /// Does the handshake with a dyno of that name on a connection that stands.
    ///
    /// # Errors
    /// If the dyno does not prove itself, as [`Connector::connect`] says it, or is not spoken to.
    pub async fn connect<S>(
        &self,
        name: &str,
        speech: Speech,
        stream: S,
    ) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let name = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
        TlsConnector::from(self.config(speech).clone()).connect(name, stream).await
    }

    fn config(&self, speech: Speech) -> &Arc<ClientConfig> {
        match speech {
            Speech::Http1 => &self.http1,
            Speech::Http2 => &self.http2,
        }
    }

    /// A session that is about to begin with a dyno of that name.
    ///
    /// # Errors
    /// If the name is none that a certificate could have, or the library cannot make one.
    pub fn session(&self, name: &str, speech: Speech) -> Result<Session, Failure> {
        let config = self.config(speech);
        let name = ServerName::try_from(name.to_owned())
            .map_err(|_| Failure::Other(format!("no certificate can have the name {name}")))?;
        Session::client(config.clone(), name).map_err(|broken| broken.failure())
    }
}

fn config(
    roots: RootCertStore,
    identity: Option<&(PathBuf, PathBuf)>,
) -> Result<ClientConfig, FileError> {
    let builder = ClientConfig::builder_with_provider(identity::provider());
    let builder = builder.with_safe_default_protocol_versions().map_err(setup)?;
    let builder = builder.with_root_certificates(roots);
    Ok(match identity {
        None => builder.with_no_client_auth(),
        Some((chain, key)) => {
            let key = rustls::sign::SingleCertAndKey::from(files::identity(chain, key)?.certified);
            builder.with_client_cert_resolver(Arc::new(key))
        }
    })
}

fn setup(error: impl fmt::Display) -> FileError {
    FileError::Setup(error.to_string())
}

fn authorities(path: &Path) -> Result<RootCertStore, FileError> {
    identity::authorities(&files::read(path)?).map_err(FileError::content(path))
}

/// The authorities of the system: `SSL_CERT_FILE` and `SSL_CERT_DIR`, or where the system has them.
fn system() -> Result<RootCertStore, FileError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (known, _odd) = roots.add_parsable_certificates(found.certs);
    if known > 0 {
        return Ok(roots);
    }
    let errors: Vec<String> = found.errors.iter().map(ToString::to_string).collect();
    let why = if errors.is_empty() { String::new() } else { format!(": {}", errors.join("; ")) };
    Err(FileError::NoAuthorities(why))
}
