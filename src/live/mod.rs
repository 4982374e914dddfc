//! Where the two planes meet: the table with the live state of its dynos, swapped whole.

pub mod abreast;
pub mod affinity;
pub mod balance;
pub mod cell;
pub mod choice;
pub mod clients;
pub mod explain;
pub mod health;
pub mod histogram;
pub mod key;
pub mod latency;
pub mod limit;
pub mod load;
pub mod mailbox;
pub mod meter;
pub mod outcome;
pub mod pulse;
pub mod queue;
pub mod registry;
pub mod reported;
#[cfg(test)]
pub mod sample;
pub mod shadow;
pub mod snapshot;
pub mod stats;
pub mod status;
pub mod swap;
mod turns;
pub mod waiting;
pub mod wake;
pub mod whole;

pub use affinity::{Affinity, Comeback};
pub use balance::{Balance, Balancing};
pub use cell::{AppCell, Cell};
pub use clients::{ClientLimits, Clients};
pub use health::HealthRules;
pub use load::{Load, Share};
pub use mailbox::{Inbox, Mail, Mailbox, mailbox};
pub use meter::CLIENT_BYTES;
pub use outcome::{Outcome, Said, Times};
pub use pulse::Pulse;
pub use registry::Registry;
pub use snapshot::{LiveApp, LiveDyno, Snapshot};
pub use status::Status;
pub use swap::{Publisher, Reader, channel};
pub use waiting::{Lack, Waiting};
