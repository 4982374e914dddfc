//! The side of the dynos: connections that are kept, and how new ones are made.

pub mod dial;
pub mod pool;

pub use pool::{Connection, Pool};
