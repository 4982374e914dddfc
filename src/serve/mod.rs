//! The data plane: everything that a request touches.
//!
//! One [`worker`] a core accepts connections ([`edge`]), carries each request from its head to its
//! settlement ([`exchange`]) over connections to dynos ([`dyno`]), and answers itself where a dyno
//! cannot ([`reply`]). Workers share the snapshot and the cells, nothing else.

pub mod bind;
pub mod buffers;
pub mod carrier;
pub mod clock;
pub mod dyno;
pub mod edge;
pub mod exchange;
pub mod io;
pub mod lease;
pub mod notices;
pub mod queue;
pub mod reply;
pub mod secure;
pub mod settings;
pub mod socket;
pub mod splice;
pub mod stream;
pub mod terms;
pub mod wheel;
pub mod worker;

pub use settings::Settings;
