//! The life of one HTTP/1 connection of a client: wait, exchange, wait again.
//!
//! Invariants: while it waits, the connection holds no buffer and its future is small, since what
//! an exchange needs is boxed when it starts; requests that come pipelined are answered in order.

use std::{future::poll_fn, task::Poll};

use super::{accept::Open, client::Client};
use crate::serve::{
    exchange::{self, Next},
    worker::Worker,
};

/// Serves a connection until one side has had enough.
// Not an `async fn`: that would hold the client twice, as an argument and as the variable that it
// is moved to, for as long as the connection lives.
#[allow(clippy::manual_async_fn, reason = "the future is smaller this way")]
pub fn serve(open: Open, mut client: Client) -> impl Future<Output = ()> {
    async move {
        let worker = open.worker();
        poll_fn(|cx| {
            client.timer.wake(cx.waker());
            Poll::Ready(())
        })
        .await;
        client.timer.set(worker.settings.timeouts.keep_alive);
        loop {
            if client.stream.pending().is_empty() && !wait(worker, &client).await {
                return;
            }
            match Box::pin(exchange::run(worker, &mut client)).await {
                Next::Request => {}
                Next::Close => return,
                Next::Linger => return Box::pin(client.linger(worker)).await,
            }
        }
    }
}

/// Waits for a request; false means that the connection is to close.
async fn wait(worker: &Worker, client: &Client) -> bool {
    poll_fn(|cx| {
        if client.stream.io.poll_readable(cx).is_ready() {
            return Poll::Ready(true);
        }
        if client.timer.is_over() {
            return Poll::Ready(false);
        }
        if worker.draining.get() {
            // Who has sent a request by then is served in the drain.
            return Poll::Ready(client.stream.io.holds_input());
        }
        Poll::Pending
    })
    .await
}
