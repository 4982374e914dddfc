//! The wire: bytes in, verdict out. No sockets, no clock.
//!
//! [`head`] finds a head's end as its bytes come and parses it once into offsets; [`request`] and
//! [`response`] hold the strict rules and give their verdict; [`framing`] knows how a body ends;
//! [`rewrite`] writes the head that goes on, straight into the outgoing buffer, and [`lines`] those
//! of its headers that go on as they came; [`forwarded`] finds
//! the client behind routers that are believed; [`proxy`] reads what a balancer says before the
//! first head; [`load`] what a dyno says of its load.
//!
//! Invariant: whatever the bytes are, no function here panics or takes more than linear time.

pub mod chunked;
pub mod connection;
pub mod cookie;
pub mod expect;
pub mod forwarded;
pub mod framing;
pub mod h2;
pub mod head;
pub mod keep_alive;
pub mod lines;
pub mod load;
pub mod name;
pub mod proxy;
pub mod request;
pub mod response;
pub mod rewrite;
