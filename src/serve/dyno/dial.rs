//! Makes a new connection to a dyno.
//!
//! Invariants: the address was checked when it was pushed; a dial is not retried here, and ends
//! when its caller drops it.

use std::io;

use tokio::net::{TcpStream, UnixStream};

use crate::{route::DynoAddr, serve::io::Io};

/// Connects to a dyno. The caller bounds the time.
pub async fn dial(addr: &DynoAddr) -> io::Result<Io> {
    match addr {
        DynoAddr::Ip(addr) => {
            let stream = TcpStream::connect(addr).await?;
            // A head and the body's first bytes go out in one write, so waiting gains nothing.
            stream.set_nodelay(true)?;
            Ok(stream.into())
        }
        DynoAddr::Unix(path) => Ok(UnixStream::connect(path).await?.into()),
    }
}
