//! The PROXY header of a client's connection, before anything else of it is read.
//!
//! Invariants: only what belongs to the header is taken from the socket, so that whatever speaks
//! next finds its first byte; the wait has a time of its own; a connection without a right header
//! is closed without a word.

use std::{
    future::poll_fn,
    io,
    os::fd::BorrowedFd,
    rc::Rc,
    task::{Poll, Waker},
};

use rustix::net::{RecvFlags, recv};

use super::{
    accept::{self, Open},
    link::Link,
};
use crate::{
    serve::{notices::Notice, socket::Socket, worker::Worker},
    telemetry::TurnedAway,
    tls::Listener,
    wire::proxy::{self, Header, MAX_HEADER, ProxyError},
};

/// Serves a connection that begins with a PROXY header.
pub async fn serve(mut open: Open, tls: Option<Rc<Listener>>, socket: Socket, mut link: Link) {
    let counted = header(open.worker(), &socket).await.and_then(|header| {
        let Some(header) = header else { return Ok(false) };
        if let Some((from, to)) = header.addresses {
            (link.remote, link.remote_port) = (from.ip(), from.port());
            (link.local, link.port) = (to.ip(), to.port());
        }
        open.count(link.remote).map(|()| true)
    });
    match counted {
        Ok(true) => {
            if tls.is_some() {
                open.worker().handshakes.have_room().await;
            }
            accept::begin(open, tls, socket, link);
        }
        Ok(false) => {}
        Err(why) => turn_away(open.worker(), &link, why),
    }
}

/// Takes the header from the socket; there is none if the connection ends without a byte, as the
/// health checks of balancers do.
async fn header(worker: &Worker, socket: &Socket) -> Result<Option<Header>, TurnedAway> {
    let timer = worker.wheel.timer(Waker::noop());
    timer.set(worker.settings.timeouts.proxy_header);
    poll_fn(|cx| {
        timer.wake(cx.waker());
        // Who has sent something by then is served in the drain.
        if worker.cut.get() || worker.draining.get() && !socket.holds_input() {
            return Poll::Ready(Ok(None));
        }
        let mut found = Ok(None);
        let read = socket.poll_read_with(cx, |socket| {
            found = look(socket)?;
            Ok(0)
        });
        match read {
            Poll::Ready(read) => Poll::Ready(if read.is_ok() { found } else { Ok(None) }),
            Poll::Pending if timer.is_over() => Poll::Ready(Err(TurnedAway::ProxyTimeout)),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// Looks at what has come; takes the header if it is whole.
///
/// # Errors
/// [`io::ErrorKind::WouldBlock`] if more must come: then the socket is looked at again when it
/// has, though what came before still lies there.
fn look(socket: BorrowedFd<'_>) -> io::Result<Result<Option<Header>, TurnedAway>> {
    let mut bytes = [0; MAX_HEADER];
    let (_, count) = recv(socket, &mut bytes, RecvFlags::PEEK)?;
    if count == 0 {
        return Ok(Ok(None));
    }
    match proxy::parse(&bytes[..count]) {
        Ok(Some(header)) => {
            let mut taken = 0;
            while taken < header.len {
                taken += recv(socket, &mut bytes[taken..header.len], RecvFlags::empty())?.1;
            }
            Ok(Ok(Some(header)))
        }
        Ok(None) => Err(io::ErrorKind::WouldBlock.into()),
        Err(ProxyError::Missing) => Ok(Err(TurnedAway::ProxyMissing)),
        Err(_) => Ok(Err(TurnedAway::ProxyMalformed)),
    }
}

/// Counts a connection that is closed, and says so now and then.
pub(super) fn turn_away(worker: &Worker, link: &Link, why: TurnedAway) {
    worker.metrics.borrow().turned_away(why);
    let (notice, what) = match why {
        TurnedAway::Address => {
            (Notice::Address, "its address has http.max_connections_per_address of them")
        }
        TurnedAway::ProxyNetwork => (Notice::Proxy, "its network is not in http.proxy_from"),
        TurnedAway::ProxyMissing => (Notice::Proxy, "it begins with no PROXY header"),
        TurnedAway::ProxyMalformed => (Notice::Proxy, "its PROXY header is wrong"),
        TurnedAway::ProxyTimeout => {
            (Notice::Proxy, "no whole PROXY header came within timeouts.proxy_header")
        }
    };
    if worker.notices.is_due(notice, worker.clock.now_ms()) {
        let remote = link.remote;
        tracing::warn!("a connection from {remote} is closed: {what} (said now and then)");
    }
}
