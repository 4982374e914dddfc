//! Where the two planes meet: the table with the live state of its dynos, swapped whole.

pub mod cell;
pub mod choice;
pub mod explain;
pub mod registry;
pub mod snapshot;
pub mod status;
pub mod swap;

pub use cell::{AppCell, Cell};
pub use registry::Registry;
pub use snapshot::{LiveApp, LiveDyno, Snapshot};
pub use status::Status;
pub use swap::{Publisher, Reader, channel};
