//! The settings as meant: each part's own, checked, with units in the types.
//!
//! Invariants: what stands here passed every check of `resolve`; the admin token shows in no
//! `Debug` and in no listing.

use std::{fmt, net::SocketAddr, path::PathBuf, time::Duration};

use super::mistake::Source;
use crate::{
    control::{health, hub},
    serve,
    telemetry::{Level, LogFormat},
};

/// Everything that the process is told at its start.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The data plane's.
    pub serve: serve::Settings,
    /// The hub's, but for its own listeners, which are known once they are bound.
    pub hub: hub::Settings,
    /// Of the checks of dynos; how they are spoken to stands with the data plane's.
    pub health: health::Settings,
    /// The push API's.
    pub api: ApiSettings,
    /// Where plain HTTP is taken; at least one.
    pub http_listen: Vec<SocketAddr>,
    /// The HTTPS listener's.
    pub https: HttpsSettings,
    /// Where the push API, metrics and health are; at least one.
    pub control_listen: Vec<SocketAddr>,
    /// Store, last table and admin token are in this directory.
    pub data_dir: PathBuf,
    /// How many threads the data plane has.
    pub workers: usize,
    /// What is written for each exchange.
    pub access_log: LogFormat,
    /// The least grave diagnostics that are shown.
    pub log_level: Level,
    /// How many apps get series of their own in the metrics.
    pub metrics_max_apps: usize,
    /// How many apps, and how many dynos, show their figures in the metrics.
    pub metrics_max_series: usize,
    /// How many apps and dynos have figures of their own.
    pub max_figures: usize,
    /// How long accepting goes on once the end has begun.
    pub drain_grace: Duration,
    /// When what still runs is cut, counted from the beginning of the end.
    pub drain_deadline: Duration,
    /// Every setting as it was given, in the order of the declarations.
    pub stated: Vec<Stated>,
}

/// What the HTTPS listener is told.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HttpsSettings {
    /// Where it is; empty: there is none.
    pub listen: Vec<SocketAddr>,
    /// The PEM file of the default certificate; none: one is made.
    pub default_cert: Option<PathBuf>,
    /// The PEM file of its key; there is one if there is a certificate.
    pub default_key: Option<PathBuf>,
    /// TLS 1.2 is refused.
    pub only_tls13: bool,
    /// HTTP/2 is offered.
    pub http2: bool,
    /// The PEM file of the authorities of clients; none: no client is asked.
    pub client_ca: Option<PathBuf>,
    /// A client without a certificate is turned away.
    pub client_cert_required: bool,
}

/// What the push API's server is told.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct ApiSettings {
    /// The admin token; none: one is made at the first start.
    pub admin_token: Option<String>,
    /// `/metrics` is answered without a token.
    pub metrics_without_token: bool,
    /// The PEM file of the control listener's certificate; none: no TLS.
    pub tls_cert: Option<PathBuf>,
    /// The PEM file of its key; there is one if there is a certificate.
    pub tls_key: Option<PathBuf>,
    /// The PEM file of the authorities of clients; none: no client is asked.
    pub tls_client_ca: Option<PathBuf>,
    /// A client without a certificate is turned away.
    pub tls_client_required: bool,
    /// Listening without TLS off loopback is allowed.
    pub plaintext_off_loopback: bool,
    /// The longest body of a write, in bytes.
    pub max_body: usize,
    /// The longest body of a whole table, in bytes.
    pub max_table: usize,
    /// The most calls a second of one token; 0: any number.
    pub rate: u32,
    /// The most tokens that are made.
    pub max_tokens: usize,
    /// The most readers of the feed.
    pub max_feeds: usize,
    /// How often each of them is told where the table stands.
    pub heartbeat: Duration,
}

impl fmt::Debug for ApiSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiSettings")
            .field("admin_token", &self.admin_token.as_ref().map(|_| "(not shown)"))
            .field("metrics_without_token", &self.metrics_without_token)
            .field("tls_cert", &self.tls_cert)
            .field("tls_key", &self.tls_key)
            .field("tls_client_ca", &self.tls_client_ca)
            .field("tls_client_required", &self.tls_client_required)
            .field("plaintext_off_loopback", &self.plaintext_off_loopback)
            .field("max_body", &self.max_body)
            .field("max_table", &self.max_table)
            .field("rate", &self.rate)
            .field("max_tokens", &self.max_tokens)
            .field("max_feeds", &self.max_feeds)
            .field("heartbeat", &self.heartbeat)
            .finish()
    }
}

/// One setting, for a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stated {
    /// Its name.
    pub key: &'static str,
    /// Its value as written; for `auto`, what came of it; for a secret, whether there is one.
    pub value: String,
    /// Where the value comes from.
    pub source: Source,
}

impl fmt::Display for Stated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {} ({})", self.key, self.value, self.source)
    }
}

impl Settings {
    /// Settings in which nothing is set yet: what the keys are read into.
    pub(super) fn blank() -> Settings {
        Settings {
            serve: serve::Settings::default(),
            hub: hub::Settings::default(),
            health: health::Settings::default(),
            api: ApiSettings::default(),
            http_listen: Vec::new(),
            https: HttpsSettings::default(),
            control_listen: Vec::new(),
            data_dir: PathBuf::new(),
            workers: 0,
            access_log: LogFormat::default(),
            log_level: Level::INFO,
            metrics_max_apps: 0,
            metrics_max_series: 0,
            max_figures: 0,
            drain_grace: Duration::ZERO,
            drain_deadline: Duration::ZERO,
            stated: Vec::new(),
        }
    }
}
