//! How a call reaches the push API: a TCP connection, with TLS inside where the URL says `https`.
//!
//! Invariant: with `https` not a byte of a call leaves before the other side has proved its name.

use std::{error::Error, io, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};

use super::{access::Access, error::ClientError};
use crate::tls::Failure;

/// How long a connect may take, and as long again the handshake of TLS.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection, whatever is in it.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// Connects to where the push API is.
pub(super) async fn connect(access: &Access) -> Result<Box<dyn Stream>, ClientError> {
    let stream = TcpStream::connect((access.host.as_str(), access.port));
    let failed = |source| ClientError::Connect { url: access.url(), source };
    let stream = in_time(stream).await.map_err(failed)?;
    let Some(tls) = &access.tls else { return Ok(Box::new(stream)) };
    match in_time(tls.connect(stream)).await {
        Ok(stream) => Ok(Box::new(stream)),
        Err(error) => Err(untrusted(access, &error).unwrap_or_else(|| failed(error))),
    }
}

async fn in_time<T>(step: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout(CONNECT_TIMEOUT, step).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// Why a connection broke: in TLS 1.3 a client learns only behind the handshake that it is turned
/// away.
pub(super) fn broken(access: &Access, source: hyper::Error) -> ClientError {
    untrusted(access, &source).unwrap_or_else(|| ClientError::Broken { url: access.url(), source })
}

fn untrusted(access: &Access, error: &(dyn Error + 'static)) -> Option<ClientError> {
    let failure = Failure::in_error(error)?;
    Some(ClientError::Tls { url: access.url(), failure })
}
