//! What a client's connection is beside its bytes: from where, to which port, spoken how.
//!
//! Invariant: found once, before the first request, and the same for all requests of a connection;
//! every stream of an HTTP/2 connection has a copy.

use std::{
    net::{IpAddr, SocketAddr},
    rc::Rc,
};

use crate::tls::Presented;

/// A client's connection, as its requests are told of it.
#[derive(Debug, Clone)]
pub struct Link {
    /// The client's address.
    pub remote: IpAddr,
    /// The port that it connected from.
    pub remote_port: u16,
    /// The address that it connected to.
    pub local: IpAddr,
    /// The port that it connected to.
    pub port: u16,
    /// The version of HTTP that it speaks.
    pub protocol: Protocol,
    /// What TLS found, if the connection has it.
    pub security: Option<Rc<Security>>,
}

/// A version of HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.0 or HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
}

/// What TLS found.
#[derive(Debug)]
pub struct Security {
    /// Its version, as the log line has it: `tls1.3`.
    pub version: &'static str,
    /// By what this side proved itself, and the client.
    pub presented: Presented,
}

impl Link {
    /// Where it connected from.
    pub fn from(&self) -> SocketAddr {
        SocketAddr::new(self.remote, self.remote_port)
    }

    /// Where it connected to.
    pub fn to(&self) -> SocketAddr {
        SocketAddr::new(self.local, self.port)
    }

    /// Whose the certificate is by which the client proved itself.
    pub fn client_subject(&self) -> Option<&str> {
        self.security.as_ref()?.presented.client.as_deref()
    }

    /// The scheme of its requests.
    pub fn scheme(&self) -> &'static str {
        if self.security.is_some() { "https" } else { "http" }
    }
}

impl Protocol {
    /// Its name in the log line.
    pub fn as_str(self) -> &'static str {
        match self {
            Protocol::Http1 => "http1.1",
            Protocol::Http2 => "http2.0",
        }
    }
}
