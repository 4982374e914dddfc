//! The PROXY header of a client's connection, before anything else of it is read.
//!
//! Invariants: only what belongs to the header is taken from the socket, so that whatever speaks
//! next finds its first byte; the wait has a time of its own, and ends with what the other side
//! sends; a connection without a right header is closed without a word.

use std::{
    future::poll_fn,
    os::fd::{AsFd, BorrowedFd},
    rc::Rc,
    task::{Poll, Waker},
};

use rustix::{
    io::Errno,
    net::{RecvFlags, recv},
};

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
                accept::room_for_handshake(open.worker()).await;
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
        if worker.cut.get() {
            return Poll::Ready(Ok(None));
        }
        // A part of a header stays in the socket, so that this waits for what comes behind it. It
        // is asked first: what came before the end is then seen.
        let has_ended = socket.poll_end(cx).is_ready();
        match look(socket.as_fd()) {
            Seen::Whole(header) => Poll::Ready(Ok(Some(header))),
            Seen::Wrong(why) => Poll::Ready(Err(why)),
            Seen::End => Poll::Ready(Ok(None)),
            Seen::Part if has_ended => Poll::Ready(Err(TurnedAway::ProxyTimeout)),
            // Who has sent something by then is served in the drain.
            Seen::Nothing if worker.draining.get() => Poll::Ready(Ok(None)),
            _ if timer.is_over() => Poll::Ready(Err(TurnedAway::ProxyTimeout)),
            _ => Poll::Pending,
        }
    })
    .await
}

/// What lies in a socket at the begin of its connection.
enum Seen {
    Nothing,
    /// The end of the connection, in order or not.
    End,
    Part,
    Whole(Header),
    Wrong(TurnedAway),
}

/// Looks at what has come; takes the header if it is whole.
fn look(socket: BorrowedFd<'_>) -> Seen {
    let mut bytes = [0; MAX_HEADER];
    let count = match recv(socket, &mut bytes, RecvFlags::PEEK) {
        Ok((_, count)) if count > 0 => count,
        Err(Errno::AGAIN) => return Seen::Nothing,
        _ => return Seen::End,
    };
    match proxy::parse(&bytes[..count]) {
        Ok(Some(header)) => {
            let mut taken = 0;
            while taken < header.len {
                match recv(socket, &mut bytes[taken..header.len], RecvFlags::empty()) {
                    Ok((_, count)) if count > 0 => taken += count,
                    _ => return Seen::End,
                }
            }
            Seen::Whole(header)
        }
        Ok(None) => Seen::Part,
        Err(ProxyError::Missing) => Seen::Wrong(TurnedAway::ProxyMissing),
        Err(_) => Seen::Wrong(TurnedAway::ProxyMalformed),
    }
}

/// Counts a connection that is closed, and says so now and then.
pub(super) fn turn_away(worker: &Worker, link: &Link, why: TurnedAway) {
    worker.metrics.borrow().turned_away(why);
    let (notice, what) = match why {
        TurnedAway::Address => {
            (Notice::Address, "its address has http.max_connections_per_address of them")
        }
        TurnedAway::ProxyNetwork => (Notice::ProxyNetwork, "its network is not in http.proxy_from"),
        TurnedAway::ProxyMissing => (Notice::ProxyMissing, "it begins with no PROXY header"),
        TurnedAway::ProxyMalformed => (Notice::ProxyMalformed, "its PROXY header is wrong"),
        TurnedAway::ProxyTimeout => {
            (Notice::ProxyTimeout, "no whole PROXY header came within timeouts.proxy_header")
        }
    };
    if worker.notices.is_due(notice, worker.clock.now_ms()) {
        let remote = link.remote;
        tracing::warn!("a connection from {remote} is closed: {what} (said now and then)");
    }
}
