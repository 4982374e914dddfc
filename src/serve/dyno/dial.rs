//! Makes a new connection to a dyno.
//!
//! In order: the socket, the PROXY header, TLS, and what HTTP/2 says first. Invariants: the address
//! was checked when it was pushed; with TLS no byte of a request is sent before the dyno has proven
//! its name; a dial is not retried here, and ends when its caller drops it.

use std::{future::poll_fn, io};

use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    net::{TcpStream, UnixStream},
};

use super::{Way, channels};
use crate::{
    error::Fault,
    route::DynoAddr,
    serve::{
        edge::accept::lacks_resources,
        io::Io,
        secure::{Refused, Secure},
        worker::Worker,
    },
    tls::{Failure, Speech},
    wire::proxy,
};

/// Why there is no connection.
#[derive(Debug)]
pub enum DialError {
    /// The socket says no.
    Socket(io::Error),
    /// The dyno does not prove that it has the name.
    Unproven(Failure),
    /// It does not speak the protocol.
    Protocol,
}

impl DialError {
    /// What the client is told.
    pub fn fault(&self) -> Fault {
        match self {
            // The want is the router's own and says nothing of the dyno.
            DialError::Socket(error) if lacks_resources(error) => Fault::Platform,
            DialError::Socket(_) => Fault::ConnectRefused,
            DialError::Unproven(_) => Fault::DynoCertificate,
            DialError::Protocol => Fault::BadResponse,
        }
    }
}

impl From<io::Error> for DialError {
    fn from(error: io::Error) -> DialError {
        DialError::Socket(error)
    }
}

/// A stream below HTTP/2.
pub trait Duplex: AsyncRead + AsyncWrite + Unpin {}
impl<S: AsyncRead + AsyncWrite + Unpin> Duplex for S {}

/// A socket that a dyno took.
enum Taken {
    Tcp(TcpStream),
    Unix(UnixStream),
}

macro_rules! either {
    ($taken:expr, $stream:ident => $what:expr) => {
        match $taken {
            Taken::Tcp($stream) => $what,
            Taken::Unix($stream) => $what,
        }
    };
}

/// Connects to a dyno that speaks HTTP/1.1. The caller bounds the time.
pub async fn dial(worker: &Worker, addr: &DynoAddr, way: &Way) -> Result<Io, DialError> {
    let taken = reach(addr, way).await?;
    match &way.name {
        None => Ok(either!(taken, stream => stream.into())),
        Some(name) => Ok(Io::carried(secure(worker, taken, name, Speech::Http1).await?)),
    }
}

/// Connects to a dyno that speaks HTTP/2. The caller bounds the time.
pub async fn dial_h2(
    worker: &Worker,
    addr: &DynoAddr,
    way: &Way,
    max_head: usize,
) -> Result<channels::Requests, DialError> {
    let taken = reach(addr, way).await?;
    let stream: Box<dyn Duplex> = match &way.name {
        None => either!(taken, stream => Box::new(stream)),
        Some(name) => Box::new(secure(worker, taken, name, Speech::Http2).await?),
    };
    channels::open(stream, max_head).await
}

/// TLS on the socket, once the dyno has proven the name.
async fn secure(
    worker: &Worker,
    taken: Taken,
    name: &str,
    speech: Speech,
) -> Result<Secure, DialError> {
    let session = worker.dialer.session(name, speech).map_err(DialError::Unproven)?;
    let socket = either!(taken, stream => stream.into());
    let mut secure = Secure::new(socket, session, worker.buffers.clone());
    secure.greet().map_err(|broken| DialError::Unproven(broken.failure()))?;
    match poll_fn(|cx| secure.poll_handshake(cx)).await {
        Ok(()) if speech == Speech::Http2 && !secure.session().speaks_http2() => {
            Err(DialError::Protocol)
        }
        Ok(()) => Ok(secure),
        Err(Refused::Gone) => Err(DialError::Socket(io::ErrorKind::ConnectionReset.into())),
        Err(Refused::NotTls(_)) => Err(DialError::Unproven(Failure::NotTls)),
        Err(Refused::Failed(broken)) => Err(match broken.failure() {
            Failure::Protocol => DialError::Protocol,
            failure => DialError::Unproven(failure),
        }),
    }
}

/// The socket, with the header that goes first.
async fn reach(addr: &DynoAddr, way: &Way) -> io::Result<Taken> {
    let mut taken = match addr {
        DynoAddr::Ip(addr) => {
            let stream = TcpStream::connect(addr).await?;
            // A head and the body's first bytes go out in one write, so waiting gains nothing.
            stream.set_nodelay(true)?;
            Taken::Tcp(stream)
        }
        DynoAddr::Unix(path) => Taken::Unix(UnixStream::connect(path).await?),
    };
    if let Some((client, connected_to)) = way.proxy {
        let header = proxy::v2(client, connected_to);
        either!(&mut taken, stream => stream.write_all(&header).await)?;
    }
    Ok(taken)
}
