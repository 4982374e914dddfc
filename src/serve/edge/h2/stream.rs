//! One request of an HTTP/2 connection, from its head to its settlement.
//!
//! Invariants: what is malformed as HTTP/2 is answered here and becomes no text but the log's; a
//! stream counts as one until its exchange is settled.

use std::{future::poll_fn, rc::Rc, task::Poll};

use bytes::Bytes;
use h2::{RecvStream, ext::Protocol, server::SendResponse};
use http::{Method, Request, header};

use super::{
    carrier::StreamCarrier,
    connection::Shared,
    inlet::{Head, Inlet},
    outlet::{Asked, Outlet},
};
use crate::{
    error::Fault,
    serve::{
        edge::client::{Client, Visit},
        exchange::{self, settle},
        io::Io,
        stream::Stream,
    },
    wire::h2::{
        accept_key, grpc,
        request::{self, Asks, Refusal},
    },
};

/// Counts a stream for as long as its exchange takes.
pub struct Counted {
    shared: Rc<Shared>,
    stream: u32,
}

impl Counted {
    /// One more stream of the connection.
    pub fn new(shared: Rc<Shared>, stream: u32) -> Counted {
        shared.streams.set(shared.streams.get() + 1);
        shared.tally.begin(stream, shared.open.worker().clock.coarse_ms());
        Counted { shared, stream }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.shared.tally.end(self.stream);
        let left = self.shared.streams.get() - 1;
        self.shared.streams.set(left);
        if left == 0 {
            self.shared.wake();
        }
    }
}

/// Carries one request.
pub async fn serve(counted: Counted, request: Request<RecvStream>, response: SendResponse<Bytes>) {
    let shared = &counted.shared;
    let worker = shared.open.worker();
    let (parts, body) = request.into_parts();
    let asks = match parts.extensions.get::<Protocol>() {
        Some(protocol) if protocol.as_str() == "websocket" => {
            Asks::Socket(accept_key::fresh(worker.random.borrow_mut().u128(..)))
        }
        // Others have no form in HTTP/1.1.
        _ => Asks::Answer,
    };
    let content_type = parts.headers.get(header::CONTENT_TYPE);
    let asked = Asked {
        is_head: parts.method == Method::HEAD,
        socket: if let Asks::Socket(key) = asks { Some(key) } else { None },
        is_grpc: content_type.is_some_and(|value| grpc::is_grpc(value.as_bytes())),
    };
    let (head, refused) = match request::judge(&parts, asks, body.is_end_stream()) {
        Ok(length) => (Some(Box::new(Head { parts, asks, length })), None),
        Err(refusal) => (None, Some((fault_of(refusal), request::told(&parts)))),
    };
    let carrier = StreamCarrier {
        inlet: Inlet::new(body, head),
        outlet: Outlet::new(response, asked, shared.tally.clone()),
        worker: worker.clone(),
    };
    let mut client = Client {
        stream: Stream::new(Io::carried(carrier)),
        timer: poll_fn(|cx| Poll::Ready(worker.wheel.timer(cx.waker()))).await,
        link: shared.link.clone(),
        visit: Visit::Shared(shared.place.clone()),
    };
    client.stream.modest = true;
    match refused {
        Some((fault, head)) => settle::refuse(worker, &mut client, &head, fault).await,
        // The stream has no other request, however the exchange would let it go on.
        None => exchange::run(worker, &mut client).await,
    };
    // An answer that has no other end ends here.
    let _ = poll_fn(|cx| client.stream.io.poll_shutdown(cx)).await;
}

fn fault_of(refusal: Refusal) -> Fault {
    match refusal {
        Refusal::Malformed => Fault::BadRequest,
        Refusal::Method => Fault::MethodNotAllowed,
    }
}
