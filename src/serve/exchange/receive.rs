//! Reads the head of a request, within bounds of size and time.
//!
//! Invariants: a connection that ends or falls silent before the first byte of a request is no
//! fault, there was no request; every other head that does not come whole is one; bytes behind the
//! head stay in the input.

use std::{future::poll_fn, task::Poll};

use crate::{
    error::Fault,
    serve::{edge::Client, stream::Heard, worker::Worker},
    wire::{connection::is_tchar, head::Finder},
};

/// The most empty lines before a request that are passed over (RFC 9112, 2.2 asks for at least
/// one).
const MAX_EMPTY_LINES: usize = 5;

/// Reads until a whole head is in the client's input; answers its length, or `None` if the
/// connection ended without one having begun.
pub async fn head(worker: &Worker, client: &mut Client) -> Result<Option<usize>, Fault> {
    let mut finder = Finder::default();
    let mut empty_lines = 0;
    let mut timed = false;
    poll_fn(|cx| {
        loop {
            while client.stream.pending().starts_with(b"\r\n") {
                client.stream.consume(2);
                empty_lines += 1;
            }
            if empty_lines > MAX_EMPTY_LINES {
                return Poll::Ready(Err(Fault::BadRequest));
            }
            // A CR alone may be the first half of an empty line.
            if client.stream.pending() != b"\r" {
                let found = finder.find(client.stream.pending()).map_err(|_| Fault::BadRequest)?;
                match found {
                    Some(len) if len > worker.settings.limits.request_head => {
                        return Poll::Ready(Err(Fault::HeadersTooLarge));
                    }
                    Some(_) => return Poll::Ready(Ok(found)),
                    // Such as TLS, whose client would wait for an answer as long as we for a head.
                    None if client.stream.pending().first().is_some_and(|b| !is_tchar(*b)) => {
                        return Poll::Ready(Err(Fault::BadRequest));
                    }
                    None => {}
                }
            }
            make_room(worker, client, &finder)?;
            match client.stream.poll_hear(cx, &worker.buffers) {
                Poll::Ready(Heard::Bytes) => {}
                Poll::Ready(Heard::End | Heard::Broken) if begun(client) => {
                    return Poll::Ready(Err(Fault::ClientInterrupted));
                }
                Poll::Ready(Heard::End | Heard::Broken) => return Poll::Ready(Ok(None)),
                Poll::Pending => {
                    if begun(client) && !timed {
                        timed = true;
                        client.timer.set(worker.settings.timeouts.request_head);
                    }
                    return match begun(client) {
                        false if client.timer.is_over() || worker.draining.get() => {
                            Poll::Ready(Ok(None))
                        }
                        true if worker.cut.get() => Poll::Ready(Err(Fault::ForcedClose)),
                        true if client.timer.is_over() => Poll::Ready(Err(Fault::HeadTimeout)),
                        _ => Poll::Pending,
                    };
                }
            }
        }
    })
    .await
}

fn begun(client: &Client) -> bool {
    !client.stream.pending().is_empty()
}

/// Sees that more of a head can be read, or that it is longer than it may be. Where memory is
/// short, one that did not come whole gets no more of it.
fn make_room(worker: &Worker, client: &mut Client, finder: &Finder) -> Result<(), Fault> {
    if begun(client) && worker.share.is_out_of_memory() {
        return Err(Fault::Overloaded);
    }
    let limit = worker.settings.limits.request_head;
    if client.stream.pending().len() >= limit || !client.stream.make_room(limit) {
        // How long the parts of a head may be is the app's to say, which is not known yet.
        return Err(match finder.past_first_line() {
            true => Fault::HeadersTooLarge,
            false => Fault::RequestLineTooLong,
        });
    }
    Ok(())
}
