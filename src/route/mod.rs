//! The table and what stands in it: pure values, no clock, no log, no lock.
//!
//! A request names a [`Host`] and a path; [`Table::find`] answers with the app that owns the most
//! specific route. Names are normalised by one function for pushes and for requests, so that what
//! was pushed is what is asked for.

pub mod app;
pub mod canonical;
pub mod certificate;
mod certificates;
pub mod change;
pub mod difference;
pub mod digest;
pub mod dyno;
pub mod host;
pub mod network;
pub mod path;
pub mod routes;
pub mod settings;
pub mod slots;
pub mod table;
mod trie;

pub use app::{App, AppName};
pub use canonical::Object;
pub use certificate::{CertName, Certificate, CoveredHost, KeyKind, PrivateKey};
pub use change::{Change, Conflict, Revision};
pub use difference::changes_between;
pub use digest::Digest;
pub use dyno::{Dyno, DynoAddr, DynoName, DynoState};
pub use host::{Host, HostError, HostPattern};
pub use network::Network;
pub use path::{PathError, PathPrefix};
pub use routes::tries::{Tries, Try};
pub use settings::{
    AppSettings, BalanceAlgorithm, BalanceKey, BalanceShadow, Check, CookieSecure, DynoProtocol,
    EjectOn, OwnAffinity, OwnBalance, OwnCapacity, OwnChecks, OwnClientLimits, OwnDynos, OwnHealth,
    OwnQueue, OwnSettings, OwnWake, Page, Pages, ProxyHeader, RouteSettings, SameSite,
};
pub use slots::{Slot, Slots};
pub use table::{Builder, Counts, Piece, RouteKey, Table};
