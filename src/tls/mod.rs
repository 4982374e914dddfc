//! TLS, and the one home of its libraries: identities from PEM files, accepting, connecting.
//!
//! Reading order: `certificate` (what is read of one), `identity` (PEM text becomes a chain with
//! the key that fits it), `files` (from disk), `accept` and `connect` (the two sides), `failure`
//! (why a connection did not come about). Invariants: TLS 1.2 and 1.3 alone, with the cipher suites
//! that the provider holds to be safe; a private key shows in no `Debug` and in no error.

mod accept;
mod certificate;
mod connect;
mod failure;
mod files;
mod identity;

#[cfg(test)]
mod tests;

pub use accept::{AcceptFiles, Acceptor, ClientFiles, Renewal, ServerStream};
pub use connect::{ClientStream, ConnectFiles, Connector};
pub use failure::Failure;
pub use files::FileError;
pub use identity::IdentityError;
