//! What the hub can be told, as it is meant: checked, with units in the types.
//!
//! Invariant: what stands here was checked by whoever read it; the hub trusts it.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
};

/// The hub's settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Networks in which dynos may have their addresses, (address, prefix length); empty means all
    /// (`dynos.networks`).
    pub networks: Vec<(IpAddr, u8)>,
    /// Directories below which dynos may have their sockets; empty means none
    /// (`dynos.socket_dirs`).
    pub socket_dirs: Vec<PathBuf>,
    /// What this process listens on: no dyno is there.
    pub own_listeners: Vec<SocketAddr>,
    /// The most ops of one push.
    pub max_ops: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            networks: Vec::new(),
            socket_dirs: Vec::new(),
            own_listeners: Vec::new(),
            max_ops: 10_000,
        }
    }
}
