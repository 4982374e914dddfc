//! TLS, and the one home of its libraries: identities from PEM files, accepting, connecting.
//!
//! Reading order: `certificate` (what is read of one), `identity` (PEM text becomes a chain with
//! the key that fits it), `files` (from disk), `accept` and `connect` (the two sides), `failure`
//! (why a connection did not come about); for the data plane `pushed` (a certificate as it is
//! pushed), `certificates` (all of them, by name), `self_signed` (the one of a listener without
//! any), `listen` (which of them a client meets), `session` (the protocol without a socket).
//! Invariants: TLS 1.2 and 1.3 alone, with the cipher suites that the provider holds to be safe; a
//! private key shows in no `Debug` and in no error.

mod accept;
mod certificate;
mod certificates;
mod connect;
mod failure;
mod files;
mod identity;
mod listen;
mod proven;
pub mod pushed;
mod self_signed;
mod session;

#[cfg(test)]
mod tests;

pub use accept::{AcceptFiles, Acceptor, ClientFiles, Renewal, ServerStream};
pub use certificates::Certificates;
pub use connect::{ClientStream, ConnectFiles, Connector, Dialer, Speech};
pub use failure::Failure;
pub use files::FileError;
pub use identity::IdentityError;
pub use listen::{Greeting, ListenFiles, Listener, Names, Presented};
pub use self_signed::self_signed;
pub use session::{Broken, HANDSHAKE, MAX_DATA, MAX_RECORD, Output, RECORD_HEAD, Session};
