//! What the push API can be told, as it is meant.
//!
//! Invariant: the token that it may hold never shows in `Debug`.

use std::{fmt, path::PathBuf, time::Duration};

/// The push API's settings.
#[derive(Clone, PartialEq, Eq)]
pub struct Settings {
    /// The admin token, if the environment gives one (`HOSTLER_ADMIN_TOKEN`); else it is in the
    /// file `admin.token` of the data directory.
    pub admin_token_env: Option<String>,
    /// Where the router keeps its files.
    pub data_dir: PathBuf,
    /// `/metrics` answers calls that bear no token.
    pub metrics_without_token: bool,
    /// The longest body of a write, in bytes; at most 4 GiB are meaningful (`push.max_body`).
    pub max_body: usize,
    /// The longest body of a whole table, in bytes (`push.max_table`).
    pub max_table: usize,
    /// The most calls a second of one token; 0: any number (`push.rate`).
    pub rate: u32,
    /// The most tokens that are made (`push.max_tokens`).
    pub max_tokens: usize,
    /// The most readers of the feed (`push.max_feeds`).
    pub max_feeds: usize,
    /// How often each of them is told where the table stands (`push.heartbeat`).
    pub heartbeat: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            admin_token_env: None,
            data_dir: "./data".into(),
            metrics_without_token: false,
            max_body: 16 << 20,
            max_table: 4 << 30,
            rate: 0,
            max_tokens: 1000,
            max_feeds: 256,
            heartbeat: Duration::from_secs(5),
        }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("admin_token_env", &self.admin_token_env.as_ref().map(|_| "(given)"))
            .field("data_dir", &self.data_dir)
            .field("metrics_without_token", &self.metrics_without_token)
            .field("max_body", &self.max_body)
            .field("max_table", &self.max_table)
            .field("rate", &self.rate)
            .field("max_tokens", &self.max_tokens)
            .field("max_feeds", &self.max_feeds)
            .field("heartbeat", &self.heartbeat)
            .finish()
    }
}
