//! Which HTTP a client speaks on a port that takes both in clear text (RFC 9113, section 3.3).
//!
//! Invariants: what a client of HTTP/1 sends is in its input when its connection begins; nobody
//! waits whose first bytes are not those of the preface.

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use super::connection;
use crate::serve::{
    buffers::Buf,
    edge::{accept::Open, client::Client, h1},
    worker::Worker,
};

/// What a client of HTTP/2 sends first (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Serves a client of either.
pub async fn tell(open: Open, mut client: Client) {
    let is_http2 = {
        let worker = open.worker();
        poll_fn(|cx| {
            client.timer.wake(cx.waker());
            Poll::Ready(())
        })
        .await;
        client.timer.set(worker.settings.timeouts.keep_alive);
        let mut begun = false;
        poll_fn(|cx| poll_preface(cx, worker, &mut client, &mut begun)).await
    };
    match is_http2 {
        None => {}
        // Each in a task of its own size: this one is over.
        Some(false) => drop(tokio::task::spawn_local(h1::serve(open, client))),
        Some(true) => {
            let Client { mut stream, link, .. } = client;
            let Some(tcp) = stream.io.into_tcp() else { return };
            let io = Begun { begin: stream.input.take(), io: tcp };
            tokio::task::spawn_local(connection::serve(open, io, link));
        }
    }
}

/// Ready when it is clear whether the client speaks HTTP/2; nothing, if it left or said too little.
fn poll_preface(
    cx: &mut Context<'_>,
    worker: &Worker,
    client: &mut Client,
    begun: &mut bool,
) -> Poll<Option<bool>> {
    use crate::serve::stream::Heard;
    loop {
        let begin = client.stream.pending();
        let len = begin.len().min(PREFACE.len());
        if begin[..len] != PREFACE[..len] {
            return Poll::Ready(Some(false));
        }
        if len == PREFACE.len() {
            return Poll::Ready(Some(true));
        }
        if len > 0 && !std::mem::replace(begun, true) {
            client.timer.set(worker.settings.timeouts.request_head);
        }
        match client.stream.poll_hear(cx, &worker.buffers) {
            Poll::Ready(Heard::Bytes) => {}
            // The engine knows what to do with the beginning of a request.
            Poll::Ready(_) if len > 0 => return Poll::Ready(Some(false)),
            Poll::Ready(_) => return Poll::Ready(None),
            Poll::Pending if client.timer.is_over() || worker.cut.get() => {
                return Poll::Ready(None);
            }
            // Who has sent something by then is served in the drain.
            Poll::Pending if len > 0 || !worker.draining.get() => return Poll::Pending,
            Poll::Pending if !client.stream.io.holds_input() => return Poll::Ready(None),
            Poll::Pending => {}
        }
    }
}

/// A connection of which the first bytes were read.
struct Begun {
    begin: Option<Buf>,
    io: TcpStream,
}

impl AsyncRead for Begun {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(begin) = &mut self.begin {
            let bytes = begin.pending();
            let count = bytes.len().min(buffer.remaining());
            buffer.put_slice(&bytes[..count]);
            begin.consume(count);
            if begin.is_drained() {
                self.begin = None;
            }
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.io).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Begun {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
