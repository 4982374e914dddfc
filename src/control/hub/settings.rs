//! What the hub can be told, as it is meant: checked, with units in the types.
//!
//! Invariant: what stands here was checked by whoever read it; the hub trusts it.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use super::guard::Rule;
use crate::control::store::StoreKey;

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
    /// The most ops of one push (`push.max_ops`).
    pub max_ops: usize,
    /// The most apps (`push.max_apps`).
    pub max_apps: usize,
    /// The most routes of one app (`push.app_routes`).
    pub app_routes: usize,
    /// The most dynos of one app (`push.app_dynos`).
    pub app_dynos: usize,
    /// The most certificates (`push.max_certs`).
    pub max_certs: usize,
    /// What private keys are encrypted with in the store; none: they are kept in the clear
    /// (`store.key`).
    pub store_key: Option<StoreKey>,
    /// How long a dyno with a time to live is left in the table after a start at least
    /// (`push.expiry_grace`).
    pub expiry_grace: Duration,
    /// How much may be lost (`push.shrink_share`, `push.shrink_window`, `push.shrink_floor`).
    pub shrink: Rule,
    /// How long the answer to a write with a key of the caller's own is kept
    /// (`push.idempotency_window`).
    pub idempotency_window: Duration,
    /// The most such answers that are kept (`push.idempotency_keys`).
    pub idempotency_keys: usize,
    /// How long the past is kept; zero: for ever (`store.retention`).
    pub retention: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            networks: Vec::new(),
            socket_dirs: Vec::new(),
            own_listeners: Vec::new(),
            max_ops: 10_000,
            max_apps: 1_000_000,
            app_routes: 1_000_000,
            app_dynos: 10_000,
            max_certs: 10_000,
            store_key: None,
            expiry_grace: Duration::from_secs(300),
            shrink: Rule { share: 50, window: Duration::from_secs(600), floor: 50 },
            idempotency_window: Duration::from_secs(24 * 3600),
            idempotency_keys: 1_000_000,
            retention: Duration::from_secs(30 * 24 * 3600),
        }
    }
}
