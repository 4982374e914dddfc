//! The life of one HTTP/1 connection of a client: wait, exchange, wait again.
//!
//! Invariants: while it waits, the connection holds no buffer and its future is small, since what
//! an exchange needs is boxed when it starts; requests that come pipelined are answered in order.

use std::{future::poll_fn, rc::Rc, task::Poll};

use super::client::Client;
use crate::serve::{
    exchange::{self, Next},
    worker::Worker,
};

/// Serves a connection until one side has had enough.
pub async fn serve(worker: Rc<Worker>, mut client: Client) {
    client.timer.set(worker.settings.timeouts.keep_alive);
    loop {
        if client.stream.pending().is_empty() && !wait(&worker, &client).await {
            return;
        }
        match Box::pin(exchange::run(&worker, &mut client)).await {
            Next::Request => client.timer.set(worker.settings.timeouts.keep_alive),
            Next::Close => return,
            Next::Linger => return Box::pin(client.linger(&worker)).await,
        }
    }
}

/// Waits for a request; false means that the connection is to close.
async fn wait(worker: &Worker, client: &Client) -> bool {
    poll_fn(|cx| {
        if client.stream.io.poll_readable(cx).is_ready() {
            return Poll::Ready(true);
        }
        if client.timer.is_over() || worker.draining.get() {
            return Poll::Ready(false);
        }
        Poll::Pending
    })
    .await
}
