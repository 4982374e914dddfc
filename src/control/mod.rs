//! The control plane: everything that changes what the data plane sees.

pub mod api;
mod clock;
pub mod feed;
pub mod follow;
pub mod health;
pub mod hub;
pub mod own;
mod pages;
pub mod priority;
pub mod scope;
pub mod store;
pub mod wake;
pub mod watch;
