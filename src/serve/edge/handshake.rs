//! The handshake of a client's TLS connection, in the connection's own task.
//!
//! A handshake costs most of what a short connection costs, and a client that does not finish it
//! costs memory for nothing. Invariants: no more handshakes of a worker at once than the settings
//! say, further clients wait in the accept queue; one that has taken [`HURRY`] makes room when
//! there are that many, and none takes longer than its time-out; a client whose handshake fails can
//! read why; a connection without a request leaves no line in the log, only a count.

use std::{cell::Cell, fmt, future::poll_fn, rc::Rc, task::Poll, time::Duration};

use tokio::sync::Notify;

use super::{
    accept::Open,
    client::{Client, Visit},
    h1,
    link::{Link, Protocol, Security},
};
use crate::{
    serve::{
        io::Io,
        secure::{Refused, Secure},
        socket::Socket,
        stream::Stream,
        wheel::Timer,
        worker::Worker,
    },
    telemetry::{Handshake, HandshakeFailure},
    tls::{Broken, Failure, Listener},
};

/// How long a handshake may take while there are as many as there may be.
const HURRY: Duration = Duration::from_secs(1);
/// How long a client has to read why it was turned away.
const LINGER: Duration = Duration::from_secs(1);
/// How much of what it still sends is read meanwhile, in bytes.
const LINGER_BYTES: usize = 64 << 10;
/// What is answered to HTTP in the clear.
const PLAIN: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n\
    Content-Length: 53\r\nConnection: close\r\n\r\n\
    This port speaks TLS: ask again with https:// for it.";

/// The handshakes of one worker.
#[derive(Debug)]
pub struct Handshakes {
    most: usize,
    open: Cell<usize>,
    ended: Notify,
}

impl Handshakes {
    /// None yet, and at most so many.
    pub fn new(most: usize) -> Handshakes {
        Handshakes { most, open: Cell::new(0), ended: Notify::new() }
    }

    /// Waits until there may be one more.
    pub async fn have_room(&self) {
        while self.is_full() {
            self.ended.notified().await;
        }
    }

    /// Are there as many as there may be?
    pub fn is_full(&self) -> bool {
        self.open.get() >= self.most
    }
}

/// Counts a handshake from its connection's admission on, for as long as it lasts.
struct Counted(Rc<Worker>);

impl Counted {
    fn new(worker: &Rc<Worker>) -> Counted {
        let handshakes = &worker.handshakes;
        handshakes.open.set(handshakes.open.get() + 1);
        Counted(worker.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let handshakes = &self.0.handshakes;
        handshakes.open.set(handshakes.open.get() - 1);
        handshakes.ended.notify_waiters();
    }
}

/// Serves a connection that begins with a handshake, which counts from this call on: not only once
/// the connection's task has its turn, for accepting goes on meanwhile.
pub fn serve(
    open: Open,
    listener: Rc<Listener>,
    socket: Socket,
    link: Link,
) -> impl Future<Output = ()> {
    let counted = Counted::new(open.worker());
    // What the handshake needs is gone once there is a client.
    let handshake = Box::pin(async move {
        let greeted = handshake(open.worker(), counted, &listener, socket, link).await;
        greeted.map(|greeted| (open, greeted))
    });
    async move {
        match handshake.await {
            None => {}
            Some((open, Greeted::Http1(client))) => h1::serve(open, client).await,
            Some((open, Greeted::Http2(secure, link))) => {
                // A task of its own size: this one is over.
                tokio::task::spawn_local(super::h2::serve(open, secure, link));
            }
        }
    }
}

/// A client whose handshake is over, by what it speaks.
enum Greeted {
    Http1(Client),
    Http2(Box<Secure>, Link),
}

async fn handshake(
    worker: &Rc<Worker>,
    counted: Counted,
    listener: &Listener,
    socket: Socket,
    mut link: Link,
) -> Option<Greeted> {
    let (session, greeting) = match listener.greet() {
        Ok(begun) => begun,
        Err(broken) => {
            tracing::error!(%broken, "no TLS session can be made");
            return None;
        }
    };
    let mut secure = Secure::new(socket, session, worker.buffers.clone());
    let timer = poll_fn(|cx| Poll::Ready(worker.wheel.timer(cx.waker()))).await;
    let ended = within_time(worker, &timer, &mut secure).await;
    drop(counted);
    let failure = match ended {
        Ok(()) => {
            let session = secure.session();
            let kind = if session.is_resumed() { Handshake::Resumed } else { Handshake::Full };
            worker.metrics.borrow_mut().handshake(kind);
            let (version, presented) = (session.version(), greeting.found(session)?);
            let http2 = session.speaks_http2();
            link.security = Some(Rc::new(Security { version, presented }));
            if http2 {
                return Some(Greeted::Http2(Box::new(secure), link));
            }
            link.protocol = Protocol::Http1;
            let stream = Stream::new(Io::carried(secure));
            let visit = Visit::default();
            return Some(Greeted::Http1(Client { stream, timer, link, visit }));
        }
        Err(failure) => failure,
    };
    worker.metrics.borrow_mut().handshake_failed(failure.kind);
    tracing::debug!(remote = %link.remote, reason = %failure, "no TLS on a client's connection");
    if failure.kind == HandshakeFailure::PlainHttp {
        secure.tell(PLAIN);
    }
    timer.set(LINGER);
    let mut left = LINGER_BYTES;
    poll_fn(|cx| {
        let parted = secure.poll_part(cx, &mut left).is_ready();
        if parted || timer.is_over() || worker.cut.get() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    None
}

async fn within_time(
    worker: &Worker,
    timer: &Timer,
    secure: &mut Secure,
) -> Result<(), NoHandshake> {
    let most = worker.settings.handshake_timeout;
    let mut taken = Duration::ZERO;
    let mut look = most.min(HURRY);
    timer.set(look);
    poll_fn(|cx| {
        if let Poll::Ready(ended) = secure.poll_handshake(cx) {
            return Poll::Ready(ended.map_err(NoHandshake::of));
        }
        if worker.cut.get() {
            return Poll::Ready(Err(HandshakeFailure::Gone.into()));
        }
        if !timer.is_over() {
            return Poll::Pending;
        }
        taken += look;
        if taken >= most {
            return Poll::Ready(Err(HandshakeFailure::TimeOut.into()));
        }
        if worker.handshakes.is_full() {
            return Poll::Ready(Err(HandshakeFailure::Crowded.into()));
        }
        look = (most - taken).min(HURRY);
        timer.set(look);
        Poll::Pending
    })
    .await
}

/// Why there is no connection, and what can be said of it.
struct NoHandshake {
    kind: HandshakeFailure,
    broken: Option<Broken>,
}

impl From<HandshakeFailure> for NoHandshake {
    fn from(kind: HandshakeFailure) -> NoHandshake {
        NoHandshake { kind, broken: None }
    }
}

impl NoHandshake {
    fn of(refused: Refused) -> NoHandshake {
        let broken = match refused {
            Refused::Gone => return HandshakeFailure::Gone.into(),
            // The first byte of a method, which is hardly ever in lower case.
            Refused::NotTls(b'A'..=b'Z') => return HandshakeFailure::PlainHttp.into(),
            Refused::NotTls(_) => return HandshakeFailure::NotTls.into(),
            Refused::Failed(broken) => broken,
        };
        let kind = match broken.failure() {
            Failure::Version => HandshakeFailure::Version,
            Failure::NotTls => HandshakeFailure::NotTls,
            Failure::Refused(_) => HandshakeFailure::Refused,
            Failure::UnknownAuthority
            | Failure::OtherName(_)
            | Failure::Ended(_)
            | Failure::NotYet(_)
            | Failure::WantsCertificate => HandshakeFailure::ClientCertificate,
            Failure::Protocol | Failure::Other(_) => HandshakeFailure::Protocol,
        };
        NoHandshake { kind, broken: Some(broken) }
    }
}

impl fmt::Display for NoHandshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.label())?;
        self.broken.as_ref().map_or(Ok(()), |broken| write!(f, ": {broken}"))
    }
}
