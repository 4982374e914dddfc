//! A router that takes TLS, and both sides of it where their every record is the test's.
//!
//! Invariants: the router's certificate is of an authority that nobody else is told of, and for
//! `a.test` alone; the client trusts no other. The library is the router's own, of which each side
//! has the other half.

use std::{
    net::{SocketAddr, TcpStream},
    sync::Arc,
};

use rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, StreamOwned,
    SupportedProtocolVersion,
    crypto::aws_lc_rs::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};

use super::{Authority, DEADLINE, Router, certs::Files};

/// A router that takes HTTP/1.1 and HTTP/2 by both ways.
pub struct Tls {
    /// The router.
    pub router: Router,
    /// Where it takes TLS.
    pub addr: SocketAddr,
    /// Whose its certificate is.
    pub authority: Authority,
}

/// A connection inside TLS. A read of nothing is TLS's own word for the end; a cut is an error.
pub type Inside = StreamOwned<ClientConnection, TcpStream>;

impl Tls {
    /// Starts one with settings.
    pub fn start(settings: &[(&str, &str)]) -> Tls {
        let authority = Authority::new("ours");
        let files = authority.issue("a", &["a.test"]);
        let own = [
            ("HOSTLER_HTTP_H2C", "true"),
            ("HOSTLER_HTTPS_LISTEN", "127.0.0.1:0"),
            ("HOSTLER_HTTPS_DEFAULT_CERT", &files.cert),
            ("HOSTLER_HTTPS_DEFAULT_KEY", &files.key),
        ];
        let router = Router::with(&[&own, settings].concat());
        let addr = router.https();
        Tls { router, addr, authority }
    }

    /// A client that has greeted nobody yet, and speaks no other versions.
    pub fn session(&self, versions: &[&'static SupportedProtocolVersion]) -> ClientConnection {
        self.session_of(versions, &[])
    }

    /// One that wants to speak one of these inside.
    pub fn session_of(
        &self,
        versions: &[&'static SupportedProtocolVersion],
        protocols: &[&[u8]],
    ) -> ClientConnection {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.authority.ca()).unwrap()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider()));
        let config = config.with_protocol_versions(versions).unwrap();
        let mut config = config.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        ClientConnection::new(Arc::new(config), "a.test".try_into().unwrap()).unwrap()
    }

    /// A client on a connection.
    pub fn inside(&self, conn: TcpStream) -> Inside {
        conn.set_nodelay(true).unwrap();
        conn.set_read_timeout(Some(DEADLINE)).unwrap();
        conn.set_write_timeout(Some(DEADLINE)).unwrap();
        StreamOwned::new(self.session(rustls::DEFAULT_VERSIONS), conn)
    }
}

/// A server that speaks these protocols inside, and gives so many tickets.
pub fn server(files: &Files, protocols: &[&str], tickets: usize) -> ServerConnection {
    let chain = CertificateDer::pem_file_iter(&files.cert).unwrap().map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_file(&files.key).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()));
    let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let mut config = config.with_single_cert(chain, key).unwrap();
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    config.send_tls13_tickets = tickets;
    let mut session = ServerConnection::new(Arc::new(config)).unwrap();
    session.set_buffer_limit(None);
    session
}
