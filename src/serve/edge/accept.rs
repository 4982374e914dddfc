//! Accepts clients' connections and gives each a task.
//!
//! Invariants: no more connections than the worker may have, further ones wait in the kernel's
//! queue; running out of descriptors or memory pauses accepting and says so, it never ends it; when
//! accepting is told to end, the connections that the kernel took already are served.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    rc::Rc,
    task::Waker,
    time::Duration,
};

use tokio::net::{TcpListener, TcpStream};

use super::{
    client::{Client, Visit},
    h1, handshake,
    link::{Link, Protocol},
    proxy,
};
use crate::{
    live::clients::Connected,
    route::network,
    serve::{io::Io, notices::Notice, socket::Socket, stream::Stream, worker::Worker},
    telemetry::{Pause, TurnedAway},
    tls,
};

/// How long accepting pauses when the process or the machine has no descriptors or memory left.
const PAUSE: Duration = Duration::from_millis(100);

/// How many connections a worker may have however short memory is, so that some hear of it.
const FEW: usize = 64;

/// Accepts until the task is aborted; then takes what waits in the accept queue. Every connection
/// speaks TLS where it is said how.
pub async fn run(worker: Rc<Worker>, listener: TcpListener, tls: Option<Rc<tls::Listener>>) {
    let nowhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    let local = listener.local_addr().unwrap_or(nowhere);
    let acceptor = Acceptor { local, worker, listener, tls };
    loop {
        if acceptor.tls.is_some() {
            room_for_handshake(&acceptor.worker).await;
        }
        if acceptor.worker.open.get() >= acceptor.worker.max_connections {
            acceptor.wait_for_room().await;
            continue;
        }
        if acceptor.worker.open.get() >= FEW && acceptor.worker.share.is_out_of_memory() {
            acceptor.wait_for_memory().await;
            continue;
        }
        match acceptor.listener.accept().await {
            Ok((stream, remote)) => acceptor.admit(stream, remote),
            Err(error) => {
                if lacks_resources(&error) {
                    acceptor.pause(&error).await;
                }
            }
        }
    }
}

/// Waits until there may be one more handshake, and says so if that is not now.
pub(super) async fn room_for_handshake(worker: &Worker) {
    if !worker.handshakes.is_full() {
        return;
    }
    worker.metrics.borrow().accept_paused(Pause::Handshakes);
    if worker.notices.is_due(Notice::Handshakes, worker.clock.now_ms()) {
        tracing::warn!(
            "accepting pauses: the worker has its part of https.max_handshakes; others wait (said \
             now and then)"
        );
    }
    worker.handshakes.have_room().await;
}

struct Acceptor {
    worker: Rc<Worker>,
    listener: TcpListener,
    /// Where it listens.
    local: SocketAddr,
    tls: Option<Rc<tls::Listener>>,
}

impl Acceptor {
    async fn wait_for_room(&self) {
        let worker = &self.worker;
        worker.metrics.borrow().accept_paused(Pause::Connections);
        if worker.notices.is_due(Notice::Connections, worker.clock.now_ms()) {
            tracing::warn!(
                "accepting pauses: the worker has its part of http.max_connections, {}; others \
                 wait (said now and then)",
                worker.max_connections
            );
        }
        worker.closed.notified().await;
    }

    async fn wait_for_memory(&self) {
        let worker = &self.worker;
        worker.metrics.borrow().accept_paused(Pause::Memory);
        if worker.notices.is_due(Notice::Memory, worker.clock.now_ms()) {
            tracing::warn!(
                "accepting pauses for {PAUSE:?}: the process has more than limits.memory, and the \
                 worker {FEW} connections or more (said now and then)"
            );
        }
        tokio::time::sleep(PAUSE).await;
    }

    async fn pause(&self, error: &io::Error) {
        let worker = &self.worker;
        worker.metrics.borrow().accept_paused(Pause::Descriptors);
        if worker.notices.is_due(Notice::Descriptors, worker.clock.now_ms()) {
            tracing::warn!(
                "accepting pauses for {PAUSE:?}: {error}; raise the limit on open files or lower \
                 http.max_connections (said now and then)"
            );
        }
        tokio::time::sleep(PAUSE).await;
    }

    fn admit(&self, stream: TcpStream, remote: SocketAddr) {
        let mut open = Open::new(self.worker.clone());
        // One that listens everywhere is asked where the client came to.
        let local = match self.local.ip() {
            ip if ip.is_unspecified() => stream.local_addr().map_or(ip, |local| local.ip()),
            ip => ip,
        };
        let link = Link {
            remote: remote.ip().to_canonical(),
            remote_port: remote.port(),
            local: local.to_canonical(),
            port: self.local.port(),
            protocol: Protocol::Http1,
            security: None,
        };
        let settings = &self.worker.settings;
        let (socket, tls) = (stream.into(), self.tls.clone());
        let expects_header = match tls {
            Some(_) => settings.https_proxy_protocol,
            None => settings.proxy_protocol,
        };
        // With a header the connection is the balancer's, and whose it is stands there.
        let counted = match expects_header {
            true if network::is_within(&settings.proxy_from, link.remote) => Ok(()),
            true => Err(TurnedAway::ProxyNetwork),
            false => open.count(link.remote),
        };
        match counted {
            Err(why) => proxy::turn_away(&self.worker, &link, why),
            Ok(()) if expects_header => {
                tokio::task::spawn_local(proxy::serve(open, tls, socket, link));
            }
            Ok(()) => begin(open, tls, socket, link),
        }
    }
}

/// Begins what the client speaks on a connection, in a task of its own.
pub(super) fn begin(open: Open, tls: Option<Rc<tls::Listener>>, socket: Socket, link: Link) {
    if let Some(tls) = tls {
        tokio::task::spawn_local(handshake::serve(open, tls, socket, link));
        return;
    }
    let client = Client {
        stream: Stream::new(Io::Plain(socket)),
        // It wakes nobody until the connection's task takes it.
        timer: open.worker().wheel.timer(Waker::noop()),
        link,
        visit: Visit::default(),
    };
    if open.worker().settings.http2.clear_text {
        tokio::task::spawn_local(super::h2::tell(open, client));
    } else {
        tokio::task::spawn_local(h1::serve(open, client));
    }
}

impl Drop for Acceptor {
    fn drop(&mut self) {
        // The clients in the accept queue have a connection as far as they know: closing the
        // listener would reset them. The socket is asked itself, past the runtime's readiness,
        // which may not have heard of the last of them.
        let socket = socket2::SockRef::from(&self.listener);
        while self.worker.open.get() < self.worker.max_connections {
            match socket.accept().and_then(into_tokio) {
                Ok((stream, remote)) => self.admit(stream, remote),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if lacks_resources(&error) => return,
                Err(_) => {}
            }
        }
    }
}

fn into_tokio(
    (socket, remote): (socket2::Socket, socket2::SockAddr),
) -> io::Result<(TcpStream, SocketAddr)> {
    socket.set_nonblocking(true)?;
    let remote = remote.as_socket().ok_or(io::ErrorKind::InvalidData)?;
    Ok((TcpStream::from_std(socket.into())?, remote))
}

/// Counts a connection for as long as its task lives.
pub struct Open {
    worker: Rc<Worker>,
    /// Its place among those of its address, if that may not have any number.
    counted: Option<Connected>,
}

impl Open {
    fn new(worker: Rc<Worker>) -> Open {
        worker.open.set(worker.open.get() + 1);
        worker.metrics.borrow_mut().connection_opened();
        Open { worker, counted: None }
    }

    /// The worker whose connection it is.
    pub fn worker(&self) -> &Rc<Worker> {
        &self.worker
    }

    /// Counts it among the connections of its client's address.
    pub(super) fn count(&mut self, client: IpAddr) -> Result<(), TurnedAway> {
        let most = self.worker.settings.max_connections_per_address;
        if most > 0 {
            let counted = self.worker.clients.connect(client, most);
            self.counted = Some(counted.ok_or(TurnedAway::Address)?);
        }
        Ok(())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.worker.open.set(self.worker.open.get() - 1);
        self.worker.metrics.borrow_mut().connection_closed();
        self.worker.closed.notify_waiters();
    }
}

/// Did the system call fail for want of descriptors, buffers, memory or local ports, so that trying
/// again at once would only fail again? Every other error is about one connection (accept(2),
/// connect(2)).
pub fn lacks_resources(error: &io::Error) -> bool {
    use rustix::io::Errno;
    [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM, Errno::ADDRNOTAVAIL]
        .iter()
        .any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}
