//! The feed: what routers follow, and what they say of how far they are.
//!
//! Each transaction is rendered once, when the hub accepts it, into one ring that all readers
//! share; who is behind the ring is told the whole table anew. Acks are kept beside it.
//!
//! Invariants: an event is in the ring only once its revision is durable and published; nothing
//! here grows without a named bound; no reader ever holds up the hub.

mod event;
mod fleet;
mod ring;
mod shared;
mod snapshot;

pub use event::{DynoEvent, Event, heartbeat};
pub use fleet::{Ack, Fleet, LIVE, NotTaken, RouterState, Served, Speaker};
pub use ring::{Position, Read, Standing};
pub use shared::Feed;
pub use snapshot::snapshot;
