//! The side of the dynos: connections that are kept, and how new ones are made.
//!
//! [`way`] says how a dyno is met, [`dial`] makes a connection, [`pool`] keeps those of HTTP/1.1,
//! [`channels`] has those of HTTP/2, each of which carries many exchanges.

pub mod channels;
pub mod dial;
pub mod pool;
pub mod way;

pub use pool::{Connection, Pool};
pub use way::Way;
