//! Accepts on the control listener and carries each connection.
//!
//! Invariants: at most [`MAX_CONNECTIONS`] at a time, the rest wait in the accept queue; a
//! connection whose next head does not come, or whose answer is not taken, is closed; the listener
//! serves through the drain, so that `/readyz` can say so, and ends with the process's stop.

use std::{net::SocketAddr, time::Duration};

use axum::{Router, body::Body};
use hyper::{Request, body::Incoming, server::conn::http1, service::Service};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::{sleep, timeout},
};

use super::gate::Remote;
use crate::shutdown::Shutdown;

/// The most connections at a time.
const MAX_CONNECTIONS: usize = 1024;
/// How long a head may take to come, and how long a connection may wait for its next request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a client may leave what it was sent unacknowledged or its window shut.
const UNTAKEN: Duration = Duration::from_secs(30);
/// How much a connection buffers, in bytes, and so the longest head.
const MAX_BUFFER: usize = 64 << 10;
/// The most headers of a request.
const MAX_HEADERS: usize = 100;
/// How long calls that run may still take once the process stops.
const GRACE: Duration = Duration::from_secs(2);
/// How long no connection is accepted after the system gave none, for want of descriptors, say.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves the push API until the process stops, and then until calls that run have ended, for
/// at most two seconds.
pub async fn serve(listener: TcpListener, router: Router, shutdown: Shutdown) {
    let mut connections = JoinSet::new();
    loop {
        let room = connections.len() < MAX_CONNECTIONS;
        tokio::select! {
            () = shutdown.stopped() => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept(), if room => match accepted {
                Ok((stream, remote)) => {
                    connections.spawn(carry(stream, remote, router.clone(), shutdown.clone()));
                }
                Err(error) => {
                    tracing::warn!(%error, "the control listener cannot accept");
                    sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    // Each of them ends by itself within the grace.
    while connections.join_next().await.is_some() {}
}

async fn carry(stream: TcpStream, remote: SocketAddr, router: Router, shutdown: Shutdown) {
    if let Err(error) = prepare(&stream) {
        tracing::debug!(%remote, %error, "a control connection went at once");
        return;
    }
    let router = TowerToHyperService::new(router);
    let with_remote = hyper::service::service_fn(move |request: Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(Remote(remote));
        router.call(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MAX_BUFFER)
        .max_headers(MAX_HEADERS)
        .serve_connection(TokioIo::new(stream), with_remote);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = shutdown.stopped() => {
            connection.as_mut().graceful_shutdown();
            match timeout(GRACE, connection).await {
                Ok(ended) => ended,
                Err(_) => return tracing::debug!(%remote, "a control connection was cut"),
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%remote, %error, "a control connection broke");
    }
}

fn prepare(stream: &TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    #[cfg(target_os = "linux")]
    socket2::SockRef::from(stream).set_tcp_user_timeout(Some(UNTAKEN))?;
    Ok(())
}
