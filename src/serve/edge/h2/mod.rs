//! Clients that speak HTTP/2: one task a connection, and one for each of its requests.
//!
//! [`connection`] drives the protocol and accepts streams, over bytes that are [`watched`]; each
//! stream is an exchange of its own, whose client is a [`carrier`] that speaks HTTP/1.1 text to the
//! engine: what comes, in [`inlet`], and what goes, in [`outlet`]. A connection that waits gives
//! memory back by [`spare`]. [`preface`] tells HTTP/2 from HTTP/1 on a port that takes both in
//! clear text.

mod carrier;
mod connection;
mod inlet;
mod outlet;
mod preface;
mod spare;
mod stream;
mod watched;

pub use connection::serve;
pub use preface::tell;
