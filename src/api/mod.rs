//! The push API's wire types and its HTTP client, apart from the domain types.
//!
//! Imports nothing of the crate but [`crate::tls`]: what stands here is the contract with every
//! program that pushes, this crate's own client commands included.

pub mod access;
pub mod certs;
pub mod client;
mod connect;
pub mod error;
pub mod events;
pub mod explain;
pub mod feed;
pub mod fleet;
pub mod schema;
pub mod stats;
pub mod table;
pub mod tokens;
pub mod travel;
pub mod types;

pub use access::Access;
pub use certs::{CertBody, CertView};
pub use client::Client;
pub use error::ClientError;
pub use explain::{ExplainBody, ExplainView};
pub use feed::{Feed, FeedChange, FeedEvent, FeedPoint, FeedTransaction, ObjectName, SnapshotHead};
pub use fleet::{AckBody, AckView, RouterView};
pub use stats::{AppStats, DynoStats, FiguresView, PartView, ShadowView, TimesView, TurnView};
pub use table::TableTerms;
pub use tokens::{AuditEntry, MadeToken, Revoked, TokenBody, TokenView};
pub use travel::{Diff, HistoryQuery};
pub use types::*;
