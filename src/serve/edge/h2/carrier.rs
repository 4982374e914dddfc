//! One stream of a client's HTTP/2 connection, as a connection of HTTP/1.1 that has one request.
//!
//! Invariants: the end of a request is no end of the connection, since its client still reads;
//! a reset of the stream, and the end of the connection below, are.

use std::{
    io,
    rc::Rc,
    task::{Context, Poll},
};

use super::{inlet::Inlet, outlet::Outlet};
use crate::{
    error::Fault,
    serve::{
        carrier::{Carrier, Cause},
        socket::End,
        worker::Worker,
    },
};

/// A stream.
#[derive(Debug)]
pub struct StreamCarrier {
    /// The request.
    pub inlet: Inlet,
    /// The answer.
    pub outlet: Outlet,
    /// For its scratch.
    pub worker: Rc<Worker>,
}

impl Carrier for StreamCarrier {
    fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inlet.poll_readable(cx)
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut Vec<u8>) -> Poll<io::Result<usize>> {
        self.inlet.poll_read(cx, buffer)
    }

    fn has_come(&mut self) -> bool {
        self.inlet.has_come()
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = self.outlet.poll_write(cx, bytes, &mut self.worker.fields.borrow_mut());
        if matches!(written, Poll::Ready(Err(_))) {
            // The stream knows why.
            let _ = self.poll_end(cx);
        }
        written
    }

    fn poll_shutdown(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.outlet.finish())
    }

    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        self.inlet.absorb(cx);
        self.outlet.poll_broken(cx).map(|violated| {
            self.inlet.fail(violated);
            End::Broken
        })
    }

    fn poll_broken(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.poll_end(cx).map(drop)
    }

    fn break_off(&mut self, fault: Option<Fault>) {
        self.outlet.break_off(fault);
    }

    fn unacknowledged(&mut self) -> usize {
        // What is taken has a window, and is the connection's to write.
        0
    }

    fn cause(&self) -> Option<Cause> {
        let broken = self.inlet.is_violated().then_some(Fault::StreamBroken);
        self.outlet.fault().or(broken).map(Cause::Fault)
    }
}
