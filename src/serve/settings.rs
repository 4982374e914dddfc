//! What the data plane can be told, as it is meant: checked, with units in the types.
//!
//! Invariants: nothing here is text still to be read; the defaults are Heroku's documented figures,
//! and those of the settings file.

use std::{net::IpAddr, path::PathBuf, sync::Arc, time::Duration};

pub use crate::{
    balance::affinity::SealKey,
    route::{
        BalanceAlgorithm, BalanceKey, BalanceShadow, Check, CookieSecure, DynoProtocol, EjectOn,
        ProxyHeader, SameSite,
    },
};

use crate::{
    live::{Affinity, Balance, ClientLimits, HealthRules, Waiting, choice::Caps},
    route::{Network, network},
};

pub use crate::live::CLIENT_BYTES;

/// The data plane's settings.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The most client connections of the process; more wait in the accept queue.
    pub max_connections: usize,
    /// The most client connections of one address; 0: any number.
    pub max_connections_per_address: u32,
    /// The most pipes of the process: what connections leave of the open files.
    pub max_pipes: usize,
    /// Connections to the listeners of plain HTTP begin with a PROXY header.
    pub proxy_protocol: bool,
    /// So do those to the listeners of HTTPS, before the handshake.
    pub https_proxy_protocol: bool,
    /// Networks that may send one.
    pub proxy_from: Vec<Network>,
    /// What clients may do; an app may have its own.
    pub clients: ClientLimits,
    /// How clients come back to their dyno; an app may have it otherwise.
    pub affinity: Affinity,
    /// What their cookies are signed with; none: a key is made.
    pub affinity_key: Option<SealKey>,
    /// How many clients' figures are kept at a time.
    pub max_clients: usize,
    /// The most exchanges in flight of the process; 0: any number.
    pub max_exchanges: usize,
    /// The most memory of the process, in bytes; beyond it no exchange begins; 0: any.
    pub max_memory: usize,
    /// The most handshakes of TLS of the process at a time; further clients wait in the accept
    /// queue.
    pub max_handshakes: usize,
    /// How long one of them may take.
    pub handshake_timeout: Duration,
    /// This router's name in `Via`.
    pub via: String,
    /// Networks whose `X-Forwarded-Proto`, `X-Forwarded-Port` and `X-Request-Start` are kept.
    pub trusted_networks: Vec<Network>,
    /// Bounds of heads.
    pub limits: Limits,
    /// Time-outs.
    pub timeouts: Timeouts,
    /// How a dyno is chosen.
    pub balance: Balance,
    /// How dynos are met.
    pub dynos: Dynos,
    /// Who waits for them.
    pub queue: Queue,
    /// How an app without dynos is woken.
    pub wake: Wake,
    /// When they count as ill; an app may have its own.
    pub health: HealthRules,
    /// HTTP/2 with clients.
    pub http2: Http2,
    /// Authorities of the dynos' certificates, in PEM; none: those of the system.
    pub dynos_ca: Option<PathBuf>,
    /// What is said of HTTPS.
    pub https: Https,
    /// How often a request may have come through routers of this name (a count).
    pub max_passes: usize,
    /// `Expect: 100-continue` goes on to the dyno, whose 100 comes back; otherwise it is answered
    /// here.
    pub end_to_end_continue: bool,
    /// A client that ended its side after its request still gets its answer; otherwise it has left.
    pub half_close: bool,
}

/// What is said of HTTPS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Https {
    /// Plain HTTP is redirected to it.
    pub redirect: bool,
    /// Its port as clients know it.
    pub public_port: u32,
    /// How long a browser is to keep to it; zero: nothing is said.
    pub hsts: Duration,
    /// For all names below the host too.
    pub hsts_subdomains: bool,
    /// Browsers may know it beforehand.
    pub hsts_preload: bool,
}

impl Default for Https {
    fn default() -> Self {
        Https {
            redirect: false,
            public_port: 443,
            hsts: Duration::ZERO,
            hsts_subdomains: false,
            hsts_preload: false,
        }
    }
}

/// How dynos are met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dynos {
    /// How long a dyno is passed over after a failed connect.
    pub quarantine: Duration,
    /// The most connect attempts of one exchange.
    pub max_attempts: u32,
    /// The most exchanges in flight on one; 0: any number.
    pub max_in_flight: u32,
    /// How many that may be is found out.
    pub adaptive: bool,
    /// Connections are kept for the next exchange.
    pub keep_alive: bool,
    /// The most exchanges of one connection; 0: no bound.
    pub max_requests: u32,
    /// The most requests that are sent a second time, in percent of the app's; 0: none.
    pub retry_budget: u32,
    /// When a request without an answer goes to a second dyno too; zero: never.
    pub hedge_after: Duration,
    /// What is spoken to them.
    pub protocol: DynoProtocol,
    /// They are spoken to by TLS.
    pub tls: bool,
    /// The name that their certificates must have; a first label `{app}` is the app's name.
    pub tls_name: Arc<str>,
    /// What they are told of the client before all else.
    pub proxy_protocol: ProxyHeader,
}

impl Default for Dynos {
    fn default() -> Self {
        Dynos {
            quarantine: Duration::from_secs(5),
            max_attempts: 10,
            max_in_flight: 0,
            adaptive: false,
            keep_alive: true,
            max_requests: 0,
            retry_budget: 20,
            hedge_after: Duration::ZERO,
            protocol: DynoProtocol::Http1,
            tls: false,
            tls_name: "{app}.internal".into(),
            proxy_protocol: ProxyHeader::Off,
        }
    }
}

impl Dynos {
    /// These, with what follows from one for another: a connection that begins with a client's
    /// address is for that client's one exchange.
    pub fn settled(mut self) -> Dynos {
        self.keep_alive &= self.proxy_protocol == ProxyHeader::Off;
        self
    }
}

/// Waiting for a dyno.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Queue {
    /// The most exchanges of an app that wait; 0: none does.
    pub max: u32,
    /// How long one waits while all dynos are full, or the app is paused.
    pub timeout: Duration,
    /// How long the first waits, for as long again, before the last to come is the next.
    pub lifo_after: Duration,
    /// All wait.
    pub paused: bool,
}

impl Default for Queue {
    fn default() -> Self {
        Queue {
            max: 1000,
            timeout: Duration::from_secs(30),
            lifo_after: Duration::from_secs(1),
            paused: false,
        }
    }
}

/// Waking an app that has no dynos.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wake {
    /// Where it is said that there is a request; empty: nowhere.
    pub url: Arc<str>,
    /// How long requests wait then.
    pub timeout: Duration,
}

impl Default for Wake {
    fn default() -> Self {
        Wake { url: "".into(), timeout: Duration::from_secs(75) }
    }
}

/// HTTP/2 with clients. A request's head has the bounds of every other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Http2 {
    /// It is spoken in clear text with clients that begin with its preface.
    pub clear_text: bool,
    /// The most requests that a connection has under way (a count).
    pub max_streams: u32,
    /// How much of a request's body may come before the dyno takes it, in bytes.
    pub stream_window: usize,
    /// The same of all requests of a connection.
    pub connection_window: usize,
}

impl Default for Http2 {
    fn default() -> Self {
        Http2 {
            clear_text: false,
            max_streams: 100,
            stream_window: 128 << 10,
            connection_window: 1 << 20,
        }
    }
}

impl Settings {
    /// What an app's exchanges may have and wait for, unless it has settings of its own.
    pub fn waiting(&self) -> Waiting {
        Waiting {
            caps: Caps {
                dyno: self.dynos.max_in_flight,
                app: self.limits.in_flight,
                adaptive: self.dynos.adaptive,
            },
            paused: self.queue.paused,
            max: self.queue.max,
            timeout: self.queue.timeout,
            lifo_after: self.queue.lifo_after,
            connect_total: self.timeouts.connect_total,
            wakes: !self.wake.url.is_empty(),
            wake_timeout: self.wake.timeout,
        }
    }

    /// Are the forwarding headers of a client at this address kept?
    pub fn trusts(&self, remote: IpAddr) -> bool {
        network::is_within(&self.trusted_networks, remote)
    }
}

/// Bounds of heads and bodies, in bytes unless said otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The method of a request.
    pub method: usize,
    /// The request line.
    pub request_line: usize,
    /// The name of a header of a request.
    pub header_name: usize,
    /// The value of a header of a request.
    pub header_value: usize,
    /// How many headers a request may have (a count).
    pub header_count: usize,
    /// The whole head of a request.
    pub request_head: usize,
    /// The status line of an answer.
    pub status_line: usize,
    /// A `Set-Cookie` line of an answer.
    pub set_cookie: usize,
    /// Any other header line of an answer.
    pub response_header: usize,
    /// The whole head of an answer.
    pub response_head: usize,
    /// How many exchanges one app may have on its dynos (a count); 0: any number.
    pub in_flight: u32,
    /// How many clients' connections one app may have (a count); 0: any number.
    pub app_connections: u32,
    /// The fewest bytes a second at which a client sends its body and takes its answer; 0: none.
    pub min_body_rate: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            method: 127,
            request_line: 8192,
            header_name: 1000,
            header_value: 8192,
            header_count: 1000,
            request_head: 64 << 10,
            status_line: 8192,
            set_cookie: 8192,
            response_header: 512 << 10,
            response_head: 1 << 20,
            in_flight: 0,
            app_connections: 0,
            min_body_rate: 0,
        }
    }
}

/// Time-outs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// One connect attempt.
    pub connect: Duration,
    /// All connect attempts of an exchange, and every wait for a dyno.
    pub connect_total: Duration,
    /// From the whole request sent to the answer's first byte.
    pub first_byte: Duration,
    /// Silence of both sides in the middle of an exchange, tunnels included.
    pub idle: Duration,
    /// From a request's first byte to the end of its head.
    pub request_head: Duration,
    /// How long a client's connection may wait for its next request.
    pub keep_alive: Duration,
    /// How long a connection to a dyno is kept for the next exchange.
    pub pool_idle: Duration,
    /// From the beginning of a connection to the end of its PROXY header.
    pub proxy_header: Duration,
    /// How long a worker may stand still before it is said to.
    pub worker_stall: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Timeouts {
            connect: Duration::from_secs(5),
            connect_total: Duration::from_secs(75),
            first_byte: Duration::from_secs(30),
            idle: Duration::from_secs(55),
            request_head: Duration::from_secs(30),
            keep_alive: Duration::from_secs(60),
            pool_idle: Duration::from_secs(90),
            proxy_header: Duration::from_secs(5),
            worker_stall: Duration::from_secs(5),
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            max_connections: 10_000,
            max_connections_per_address: 0,
            max_pipes: 1000,
            proxy_protocol: false,
            https_proxy_protocol: false,
            proxy_from: Vec::new(),
            clients: ClientLimits::default(),
            affinity: Affinity::default(),
            affinity_key: None,
            max_clients: 1 << 16,
            max_exchanges: 10_000,
            max_memory: 0,
            max_handshakes: 1024,
            handshake_timeout: Duration::from_secs(10),
            via: "hostler".into(),
            trusted_networks: Vec::new(),
            limits: Limits::default(),
            timeouts: Timeouts::default(),
            balance: Balance::default(),
            dynos: Dynos::default(),
            queue: Queue::default(),
            wake: Wake::default(),
            health: HealthRules::default(),
            http2: Http2::default(),
            dynos_ca: None,
            https: Https::default(),
            max_passes: 5,
            end_to_end_continue: false,
            half_close: false,
        }
    }
}
