//! Accepts clients' connections and gives each a task.
//!
//! Invariants: no more connections than the worker may have, further ones wait in the kernel's
//! queue; running out of descriptors pauses accepting and says so, it never ends it; when accepting
//! is told to end, the connections that the kernel took already are served.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    rc::Rc,
    task::Waker,
    time::Duration,
};

use tokio::net::{TcpListener, TcpStream};

use super::{
    client::{Client, Visit},
    h1, handshake,
    link::{Link, Protocol},
};
use crate::{
    serve::{stream::Stream, worker::Worker},
    tls,
};

/// How long accepting pauses when the process or the machine has no descriptors or memory left.
const PAUSE: Duration = Duration::from_millis(100);

/// Accepts until the task is aborted; then takes what waits in the accept queue. Every connection
/// speaks TLS where it is said how.
pub async fn run(worker: Rc<Worker>, listener: TcpListener, tls: Option<Rc<tls::Listener>>) {
    let nowhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    let local = listener.local_addr().unwrap_or(nowhere);
    let acceptor = Acceptor { local, worker, listener, tls };
    loop {
        if acceptor.tls.is_some() {
            acceptor.worker.handshakes.have_room().await;
        }
        if acceptor.worker.open.get() >= acceptor.worker.max_connections {
            acceptor.worker.closed.notified().await;
            continue;
        }
        match acceptor.listener.accept().await {
            Ok((stream, remote)) => acceptor.admit(stream, remote),
            Err(error) => {
                if lacks_resources(&error) {
                    tracing::warn!(
                        "accepting pauses for {PAUSE:?}: {error}; raise the limit on open files or \
                         lower http.max_connections"
                    );
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }
}

struct Acceptor {
    worker: Rc<Worker>,
    listener: TcpListener,
    /// Where it listens.
    local: SocketAddr,
    tls: Option<Rc<tls::Listener>>,
}

impl Acceptor {
    fn admit(&self, stream: TcpStream, remote: SocketAddr) {
        let open = Open::new(self.worker.clone());
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
        if let Some(tls) = &self.tls {
            tokio::task::spawn_local(handshake::serve(open, tls.clone(), stream, link));
            return;
        }
        let client = Client {
            stream: Stream::new(stream.into()),
            // It wakes nobody until the connection's task takes it.
            timer: self.worker.wheel.timer(Waker::noop()),
            link,
            visit: Visit::default(),
        };
        if self.worker.settings.http2.clear_text {
            tokio::task::spawn_local(super::h2::tell(open, client));
        } else {
            tokio::task::spawn_local(h1::serve(open, client));
        }
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
pub struct Open(Rc<Worker>);

impl Open {
    fn new(worker: Rc<Worker>) -> Open {
        worker.open.set(worker.open.get() + 1);
        worker.metrics.borrow_mut().connection_opened();
        Open(worker)
    }

    /// The worker whose connection it is.
    pub fn worker(&self) -> &Rc<Worker> {
        &self.0
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.set(self.0.open.get() - 1);
        self.0.metrics.borrow_mut().connection_closed();
        self.0.closed.notify_waiters();
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
