//! What the tests are made of: a router, dynos, clients, and waits with a deadline.

pub mod certs;
pub mod conn;
pub mod cutter;
pub mod disk;
pub mod dyno;
pub mod followed;
pub mod frames;
pub mod h2;
pub mod kernel;
pub mod lines;
pub mod message;
pub mod moody;
pub mod pace;
pub mod program;
pub mod push;
pub mod router;
pub mod tls;
pub mod upload;

pub use certs::Authority;
pub use conn::{Conn, End};
pub use cutter::Cutter;
pub use dyno::{Dyno, Named, closed_port};
pub use h2::H2;
pub use message::{Answer, Head};
pub use program::Program;
pub use router::{Router, until};
pub use tls::Tls;

use std::time::Duration;

/// How long a test waits for what must come: far longer than it takes on a loaded machine, so that
/// reaching it is a failure and never bad luck.
pub const DEADLINE: Duration = Duration::from_secs(30);
