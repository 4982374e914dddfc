//! Accepts on the control listener and carries each connection.
//!
//! Invariants: at most [`MAX_CONNECTIONS`] at a time: one more takes the place of the one that has
//! waited longest for its client, or waits while all are being answered; a connection whose next
//! head does not come, or whose answer is not taken, is closed; where there is TLS no call is read
//! outside of it; the listener serves through the drain, so that `/readyz` can say so, and ends
//! with the process's stop.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{Router, body::Body};
use hyper::{Request, body::Incoming, server::conn::http1, service::Service};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::Notify,
    task::JoinSet,
    time::{sleep, timeout},
};

use super::{
    gate::Remote,
    secure::Secure,
    waiting::{Answer, Place, Waiting},
};
use crate::{shutdown::Shutdown, tls::ServerStream};

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

/// How long it is not said again that none is accepted.
const SAID_EVERY: Duration = Duration::from_secs(10);

/// Serves the push API until the process stops, and then until calls that run have ended, for
/// at most two seconds.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    secure: Option<Arc<Secure>>,
    shutdown: Shutdown,
) {
    let mut connections = JoinSet::new();
    let waiting = Arc::new(Waiting::default());
    let mut said: Option<Instant> = None;
    loop {
        tokio::select! {
            () = shutdown.stopped() => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, addr)) => {
                    make_room(&mut connections, &waiting).await;
                    let place = waiting.connection();
                    let (router, secure, shutdown) =
                        (router.clone(), secure.clone(), shutdown.clone());
                    connections.spawn(async move {
                        tokio::select! {
                            () = open(stream, addr, router, secure, shutdown, place.clone()) => {}
                            () = place.cut().0.notified() => {
                                tracing::debug!(remote = %addr, "a control connection was cut");
                            }
                        }
                    });
                }
                Err(error) => {
                    if said.is_none_or(|said| said.elapsed() >= SAID_EVERY) {
                        said = Some(Instant::now());
                        tracing::warn!(
                            "the control listener accepts nobody for {ACCEPT_PAUSE:?}: {error} \
                             (said now and then)"
                        );
                    }
                    sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    // Each of them ends by itself within the grace.
    while connections.join_next().await.is_some() {}
}

/// Returns once there is room for one more connection.
async fn make_room(connections: &mut JoinSet<()>, waiting: &Waiting) {
    while connections.try_join_next().is_some() {}
    if connections.len() < MAX_CONNECTIONS {
        return;
    }
    while !waiting.cut_longest() {
        // All are being answered: the first that is done makes room.
        tokio::select! {
            _ = connections.join_next() => return,
            () = waiting.begun() => {}
        }
    }
    // The one that was cut ends at once.
    connections.join_next().await;
}

async fn open(
    stream: TcpStream,
    addr: SocketAddr,
    router: Router,
    secure: Option<Arc<Secure>>,
    shutdown: Shutdown,
    place: Arc<Place>,
) {
    if let Err(error) = prepare(&stream) {
        return tracing::debug!(remote = %addr, %error, "a control connection went at once");
    }
    let Some(secure) = secure else {
        return carry(stream, Remote { addr, certificate: None }, router, shutdown, place).await;
    };
    let accepted = tokio::select! {
        accepted = secure.accept(stream, addr) => accepted,
        () = shutdown.stopped() => None,
    };
    if let Some(ServerStream { stream, client }) = accepted {
        let certificate = client.map(Arc::from);
        carry(stream, Remote { addr, certificate }, router, shutdown, place).await;
    }
}

async fn carry(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    remote: Remote,
    router: Router,
    shutdown: Shutdown,
    place: Arc<Place>,
) {
    let addr = remote.addr;
    let router = TowerToHyperService::new(router);
    let with_remote = hyper::service::service_fn(move |request: Request<Incoming>| {
        let busy = place.busy();
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(remote.clone());
        request.extensions_mut().insert(place.cut().clone());
        let answer = router.call(request);
        async move { answer.await.map(|answer| answer.map(|body| Answer::new(body, busy))) }
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
                Err(_) => return tracing::debug!(remote = %addr, "a control connection was cut"),
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(remote = %addr, %error, "a control connection broke");
    }
}

/// Ends a connection, whatever of an answer is not sent yet: what it sends cannot be gone on with,
/// or another needs its room.
#[derive(Debug, Clone, Default)]
pub(super) struct Cut(Arc<Notify>);

impl Cut {
    /// Ends the connection.
    pub(super) fn cut(&self) {
        self.0.notify_one();
    }
}

fn prepare(stream: &TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    #[cfg(target_os = "linux")]
    socket2::SockRef::from(stream).set_tcp_user_timeout(Some(UNTAKEN))?;
    Ok(())
}
