//! TLS below a protocol that reads and writes by itself, as HTTP/2 does.
//!
//! Invariants: what is written may wait for the flush, and is taken for written; a read that is
//! ready has data, or is the end.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::Secure;
use crate::serve::carrier::Carrier;

impl AsyncRead for Secure {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.data.is_none() {
            let mut data = this.buffers.common();
            let read = this.poll_data(cx, &mut data);
            let _ = this.poll_send(cx);
            this.data = Some(data).filter(|data| !data.is_drained());
            ready!(read)?;
        }
        if let Some(data) = &mut this.data {
            let count = data.pending().len().min(into.remaining());
            into.put_slice(&data.pending()[..count]);
            data.consume(count);
            this.data = this.data.take().filter(|data| !data.is_drained());
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Secure {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(this.poll_send(cx))?;
        Poll::Ready(this.seal(cx, pieces))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_send(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Carrier::poll_shutdown(self.get_mut(), cx)
    }
}
