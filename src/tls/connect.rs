//! The connecting side: whom it trusts, by which name it calls, what it proves itself with.
//!
//! Invariants: the certificate and the name are always checked, there is no way around either; the
//! authorities of the system are read only where nobody names others.

use std::{io, path::PathBuf, sync::Arc};

use rustls::{ClientConfig, RootCertStore, pki_types::ServerName};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{
    files::{self, FileError},
    identity,
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
        let setup = |error: &dyn std::fmt::Display| FileError::Setup(error.to_string());
        let roots = match &files.authorities {
            Some(path) => {
                identity::authorities(&files::read(path)?).map_err(FileError::content(path))?
            }
            None => system()?,
        };
        let builder = ClientConfig::builder_with_provider(identity::provider());
        let builder =
            builder.with_safe_default_protocol_versions().map_err(|error| setup(&error))?;
        let builder = builder.with_root_certificates(roots);
        let config = match &files.identity {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => {
                let key =
                    rustls::sign::SingleCertAndKey::from(files::identity(chain, key)?.certified);
                builder.with_client_cert_resolver(Arc::new(key))
            }
        };
        let name = ServerName::try_from(name.to_owned()).map_err(|error| setup(&error))?;
        Ok(Connector { connector: TlsConnector::from(Arc::new(config)), name })
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
