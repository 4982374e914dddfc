//! Sources to settings: file, environment and flags, the later winning.
//!
//! Invariants: pure, the machine's facts are arguments; every key is read exactly once, from the
//! strongest source that gives it, or from its default; the checks between settings run only on
//! values that were read; either all is right or all mistakes come back.

use std::{net::SocketAddr, time::Duration};

use super::{
    file,
    keys::{ENV_PREFIX, KEYS, Key},
    mistake::{Mistake, Mistakes, Source},
    settings::{Settings, Stated},
};
use crate::{
    near::did_you_mean,
    serve::settings::{BalanceKey, CLIENT_BYTES},
    units::show_duration,
};

/// Variables with our prefix that are not settings: the client commands read them, `load` the last.
const OTHER_ENV: [&str; 6] = [
    "HOSTLER_URL",
    "HOSTLER_TOKEN",
    "HOSTLER_CA",
    "HOSTLER_CLIENT_CERT",
    "HOSTLER_CLIENT_KEY",
    "HOSTLER_CONFIG",
];
/// The variable by which platforms say where to listen.
const PORT: &str = "PORT";
/// Open files that are no connections: store, listeners, logs, runtimes, with room to spare; fewer
/// where few are allowed.
const RESERVED_FILES: usize = 256;
/// What the process itself needs of them at the least.
const NEEDED_FILES: usize = 32;

/// What an exchange without large bodies takes at most, with room to spare (docs/requests.md).
const EXCHANGE_BYTES: usize = 128 << 10;

/// What the machine allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Machine {
    /// Cores that this process may use.
    pub cores: usize,
    /// The hard limit on open files, to which the start raises the soft one.
    pub open_files: usize,
    /// Memory that this process may use, in bytes: its cgroup's, or the machine's.
    pub memory: usize,
}

impl Default for Machine {
    fn default() -> Self {
        Machine { cores: 1, open_files: 1024, memory: 1 << 30 }
    }
}

impl Machine {
    /// How many client connections there is room for, when each may need one to a dyno, and a fifth
    /// of the files is for pipes.
    pub fn connections(&self) -> usize {
        (self.files_for_connections() / 5 * 2).clamp(1, 1_000_000)
    }

    /// How many pipes there is room for beside so many connections.
    pub fn pipes(&self, connections: usize) -> usize {
        let left = self.files_for_connections().saturating_sub(connections.saturating_mul(2));
        (left / 2).min(connections)
    }

    /// How many exchanges there is room for at a time.
    pub fn exchanges(&self) -> usize {
        self.connections().min((self.memory / EXCHANGE_BYTES).max(1))
    }

    /// How much memory the process may have before it takes no more.
    pub fn memory_bound(&self) -> usize {
        self.memory / 10 * 9
    }

    /// Open files that connections may use.
    fn files_for_connections(&self) -> usize {
        let reserved = (self.open_files / 4).clamp(NEEDED_FILES, RESERVED_FILES);
        self.open_files.saturating_sub(reserved)
    }
}

/// What was written.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sources<'a> {
    /// Name and text of the file, if there is one.
    pub file: Option<(&'a str, &'a str)>,
    /// The environment, all of it: names and values.
    pub env: &'a [(String, String)],
    /// Names of settings (`http.listen`) and the values that flags gave them.
    pub flags: &'a [(String, String)],
    /// What the machine allows.
    pub machine: Machine,
}

/// Reads all sources.
///
/// # Errors
/// Every mistake that can be found, at least one.
pub fn resolve(sources: Sources<'_>) -> Result<Settings, Mistakes> {
    let (given, mut mistakes) =
        sources.file.map(|(name, text)| file::read(name, text)).unwrap_or_default();
    mistakes.extend(unknown_env(sources.env));
    let mut settings = Settings::blank();
    for key in KEYS {
        let in_file = given.iter().find(|given| given.key == key.name);
        let (text, source) = given_outside(key, &sources)
            .or_else(|| in_file.map(|given| (given.text.clone(), given.source.clone())))
            .unwrap_or_else(|| (key.default.to_owned(), Source::Default));
        match key.set(&mut settings, text.trim(), &sources.machine) {
            Ok(value) => settings.stated.push(Stated { key: key.name, value, source }),
            Err(wrong) => mistakes.push(Mistake {
                source,
                key: key.name.into(),
                what: wrong.what,
                remedy: wrong.remedy,
            }),
        }
    }
    settings.serve.max_pipes = sources.machine.pipes(settings.serve.max_connections);
    mistakes.extend(Checks { settings: &settings, machine: &sources.machine }.run());
    if mistakes.is_empty() { Ok(settings) } else { Err(Mistakes(mistakes)) }
}

/// What flags or the environment give for a key.
fn given_outside(key: &Key, sources: &Sources<'_>) -> Option<(String, Source)> {
    let find = |list: &[(String, String)], name: &str| {
        list.iter().find(|(n, _)| n == name).map(|(_, value)| value.clone())
    };
    if let (Some(flag), Some(text)) = (key.flag(), find(sources.flags, key.name)) {
        return Some((text, Source::Flag(flag)));
    }
    if let Some(text) = find(sources.env, &key.env()) {
        return Some((text, Source::Env(key.env())));
    }
    if key.name == "http.listen" {
        let port = find(sources.env, PORT)?;
        return Some((format!("[::]:{}", port.trim()), Source::Env(PORT.into())));
    }
    None
}

fn unknown_env(env: &[(String, String)]) -> Vec<Mistake> {
    let known: Vec<String> = KEYS.iter().map(Key::env).collect();
    let is_unknown = |name: &str, value: &str| {
        name.starts_with(ENV_PREFIX)
            && !OTHER_ENV.contains(&name)
            && !known.iter().any(|known| known == name)
            && !is_kubernetes_link(name, value)
    };
    env.iter()
        .filter(|(name, value)| is_unknown(name, value))
        .map(|(name, _)| Mistake {
            source: Source::Env(name.clone()),
            key: String::new(),
            what: "there is no such setting".into(),
            remedy: did_you_mean(name, known.iter().map(String::as_str))
                .unwrap_or_else(|| "take it out; `hostler check` lists all".into()),
        })
        .collect()
}

/// Kubernetes puts variables of this form into every container beside something called `hostler`:
/// nobody wrote them, so they are nobody's mistake.
fn is_kubernetes_link(name: &str, value: &str) -> bool {
    let numbered = || {
        name.split("_PORT_")
            .nth(1)
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    name.ends_with("_SERVICE_HOST")
        || name.contains("_SERVICE_PORT")
        || numbered()
        || (name.ends_with("_PORT") && value.contains("://"))
}

/// Checks between settings.
struct Checks<'a> {
    settings: &'a Settings,
    machine: &'a Machine,
}

impl Checks<'_> {
    fn run(&self) -> Vec<Mistake> {
        let (s, t, l) = (self.settings, &self.settings.serve.timeouts, &self.settings.serve.limits);
        let checks = [
            self.time_order("drain.grace", s.drain_grace, "drain.deadline", s.drain_deadline),
            self.time_order(
                "timeouts.connect",
                t.connect,
                "timeouts.connect_total",
                t.connect_total,
            ),
            self.time_order(
                "dynos.hedge_after",
                s.serve.dynos.hedge_after,
                "timeouts.first_byte",
                t.first_byte,
            ),
            self.size_order("request_line", l.request_line, "request_head", l.request_head),
            self.size_order("header_name", l.header_name, "request_head", l.request_head),
            self.size_order("header_value", l.header_value, "request_head", l.request_head),
            self.size_order("status_line", l.status_line, "response_head", l.response_head),
            self.size_order("set_cookie", l.set_cookie, "response_head", l.response_head),
            self.size_order("response_header", l.response_header, "response_head", l.response_head),
            self.tls_has_both(),
            self.https_has_both(),
            self.https_clients_are_asked(),
            self.tls_has("control.tls_client_ca", self.settings.api.tls_client_ca.is_some()),
            self.clients_are_asked(),
            self.control_is_private(),
            self.listeners_differ(),
            self.somebody_may_connect(),
            self.header_is_named(),
            self.key_is_named(),
            self.connections_fit(),
            self.clients_fit(),
        ];
        checks.into_iter().flatten().collect()
    }

    /// Where the value of a key comes from; none if it could not be read, and then a check that
    /// needs it says nothing.
    fn source(&self, key: &str) -> Option<&Source> {
        Some(&self.settings.stated.iter().find(|stated| stated.key == key)?.source)
    }

    fn mistake(&self, key: &str, what: String, remedy: impl Into<String>) -> Option<Mistake> {
        let source = self.source(key)?.clone();
        Some(Mistake { source, key: key.into(), what, remedy: remedy.into() })
    }

    fn order(&self, less: &str, low: String, more: &str, high: String) -> Option<Mistake> {
        // The mistake is told of the one that somebody wrote.
        let (at, other) =
            if *self.source(less)? == Source::Default { (more, less) } else { (less, more) };
        self.source(other)?;
        let what = format!("{less} is {low}, {more} only {high}");
        self.mistake(at, what, format!("lower {less} or raise {more}"))
    }

    fn time_order(&self, less: &str, low: Duration, more: &str, high: Duration) -> Option<Mistake> {
        if low <= high {
            return None;
        }
        self.order(less, show_duration(low), more, show_duration(high))
    }

    fn size_order(&self, less: &str, low: usize, more: &str, high: usize) -> Option<Mistake> {
        if low <= high {
            return None;
        }
        let name = |key: &str| format!("limits.{key}");
        self.order(&name(less), format!("{low} bytes"), &name(more), format!("{high} bytes"))
    }

    fn tls_has_both(&self) -> Option<Mistake> {
        let (given, missing) = match (&self.settings.api.tls_cert, &self.settings.api.tls_key) {
            (Some(_), None) => ("control.tls_cert", "control.tls_key"),
            (None, Some(_)) => ("control.tls_key", "control.tls_cert"),
            _ => return None,
        };
        self.source(missing)?;
        self.mistake(given, format!("{missing} is not given"), "give both, or neither")
    }

    fn https_has_both(&self) -> Option<Mistake> {
        let https = &self.settings.https;
        let (given, missing) = match (&https.default_cert, &https.default_key) {
            (Some(_), None) => ("https.default_cert", "https.default_key"),
            (None, Some(_)) => ("https.default_key", "https.default_cert"),
            _ => return None,
        };
        self.source(missing)?;
        self.mistake(given, format!("{missing} is not given"), "give both, or neither")
    }

    fn https_clients_are_asked(&self) -> Option<Mistake> {
        let https = &self.settings.https;
        if !https.client_cert_required || https.client_ca.is_some() {
            return None;
        }
        self.source("https.client_ca")?;
        let what = "no client could be let in: no authority of theirs is known";
        let remedy = "name the authorities in https.client_ca";
        self.mistake("https.client_cert_required", what.into(), remedy)
    }

    fn tls_has(&self, key: &str, is_given: bool) -> Option<Mistake> {
        let (cert, of_cert) = (&self.settings.api.tls_cert, self.source("control.tls_cert"));
        if !is_given || cert.is_some() || of_cert.is_none() {
            return None;
        }
        let what = "only with TLS is a client asked for a certificate";
        self.mistake(key, what.into(), "give control.tls_cert and control.tls_key too")
    }

    fn clients_are_asked(&self) -> Option<Mistake> {
        let ca = (&self.settings.api.tls_client_ca, self.source("control.tls_client_ca"));
        if !self.settings.api.tls_client_required || !matches!(ca, (None, Some(_))) {
            return None;
        }
        let what = "no client could be let in: no authority of theirs is known";
        let remedy = "name the authorities in control.tls_client_ca";
        self.mistake("control.tls_client_required", what.into(), remedy)
    }

    fn control_is_private(&self) -> Option<Mistake> {
        let is_public = |addr: &&SocketAddr| !addr.ip().to_canonical().is_loopback();
        let public = self.settings.control_listen.iter().find(is_public)?;
        let api = &self.settings.api;
        if api.plaintext_off_loopback || api.tls_cert.is_some() || api.tls_key.is_some() {
            return None;
        }
        self.source("control.plaintext_off_loopback")?;
        self.source("control.tls_cert")?;
        self.mistake(
            "control.listen",
            format!("{public} is off loopback, and tokens would cross the network unencrypted"),
            "give control.tls_cert and control.tls_key, listen on 127.0.0.1 or [::1], or set \
             control.plaintext_off_loopback = true (HOSTLER_CONTROL_PLAINTEXT_OFF_LOOPBACK) if \
             nobody else can read that network",
        )
    }

    fn listeners_differ(&self) -> Option<Mistake> {
        let Settings { http_listen, https, control_listen, .. } = self.settings;
        let pairs = [
            ("https.listen", &https.listen, "http.listen", http_listen),
            ("control.listen", control_listen, "http.listen", http_listen),
            ("control.listen", control_listen, "https.listen", &https.listen),
        ];
        let clash = |(name, those, other, these): (&_, &Vec<SocketAddr>, &_, &Vec<SocketAddr>)| {
            let is_taken =
                |addr: &&SocketAddr| addr.port() != 0 && these.iter().any(|it| overlap(it, addr));
            let both = those.iter().find(is_taken)?;
            let what = format!("{both} is taken by {other} too");
            self.mistake(name, what, "give one of them another port")
        };
        pairs.into_iter().find_map(clash)
    }

    fn somebody_may_connect(&self) -> Option<Mistake> {
        let serve = &self.settings.serve;
        let switches = [
            ("http.proxy_protocol", serve.proxy_protocol),
            ("https.proxy_protocol", serve.https_proxy_protocol),
        ];
        let (on, _) = switches.into_iter().find(|(_, is_on)| *is_on)?;
        if !serve.proxy_from.is_empty() || self.source("http.proxy_from").is_none() {
            return None;
        }
        let what = "nobody could connect: no network may send a PROXY header";
        let remedy = "name those of your balancers in http.proxy_from";
        self.mistake(on, what.into(), remedy)
    }

    fn header_is_named(&self) -> Option<Mistake> {
        let clients = &self.settings.serve.clients;
        if !clients.header.is_empty() || self.source("limits.client_header").is_none() {
            return None;
        }
        let given = [
            ("limits.rate_per_header", clients.rate.header),
            ("limits.concurrency_per_header", clients.concurrency.header),
        ];
        let (key, _) = given.into_iter().find(|(_, most)| *most > 0)?;
        self.mistake(key, "no header is named".into(), "name it in limits.client_header")
    }

    fn key_is_named(&self) -> Option<Mistake> {
        let balance = &self.settings.serve.balance;
        let what = match balance.key {
            BalanceKey::Header => "header",
            BalanceKey::Cookie => "cookie",
            BalanceKey::Address | BalanceKey::Path => return None,
        };
        if !balance.key_name.is_empty() || self.source("balance.key_name").is_none() {
            return None;
        }
        self.mistake("balance.key", format!("no {what} is named"), "name it in balance.key_name")
    }

    fn clients_fit(&self) -> Option<Mistake> {
        let serve = &self.settings.serve;
        let bytes = serve.max_clients.saturating_mul(CLIENT_BYTES);
        // The default is made to fit, but into a bound that is not meant to be kept.
        let is_default = self.source("limits.clients")? == &Source::Default;
        if is_default || serve.max_memory == 0 || bytes <= serve.max_memory / 2 {
            return None;
        }
        self.source("limits.memory")?;
        self.mistake(
            "limits.clients",
            format!("they may take {bytes} bytes, more than half of limits.memory"),
            "lower it, or raise limits.memory",
        )
    }

    fn connections_fit(&self) -> Option<Mistake> {
        let most = self.machine.files_for_connections().max(1);
        let wanted = self.settings.serve.max_connections;
        if wanted <= most {
            return None;
        }
        self.mistake(
            "http.max_connections",
            format!(
                "{wanted} connections need more than the {} open files that are allowed",
                self.machine.open_files
            ),
            format!("write auto or at most {most}, or raise the hard limit (ulimit -Hn)"),
        )
    }
}

/// Can the two not be bound side by side?
fn overlap(a: &SocketAddr, b: &SocketAddr) -> bool {
    let (ip, other) = (a.ip().to_canonical(), b.ip().to_canonical());
    // [::] takes both families; 0.0.0.0 only its own.
    let covers = |any: std::net::IpAddr, ip: std::net::IpAddr| {
        any.is_unspecified() && (any.is_ipv6() || ip.is_ipv4())
    };
    a.port() == b.port() && (ip == other || covers(ip, other) || covers(other, ip))
}
