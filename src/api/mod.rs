//! The push API's wire types and its HTTP client, apart from the domain types.
//!
//! Imports nothing of the crate: what stands here is the contract with every program that pushes,
//! this crate's own client commands included.

pub mod access;
pub mod client;
pub mod error;
pub mod tokens;
pub mod travel;
pub mod types;

pub use access::Access;
pub use client::Client;
pub use error::ClientError;
pub use tokens::{MadeToken, Revoked, TokenBody, TokenView};
pub use travel::{Diff, HistoryQuery};
pub use types::*;
