//! An app's own settings, declared once: name, what each is for, bounds, and its place.
//!
//! They are settings of the router that are others for one app, under the same names and written in
//! the same way. Invariants: whatever is read was checked against its bounds, as they were when it
//! was pushed, and against the app's others; one value has one JSON form, which reads back; no
//! setting at all is `None`.

use std::{ops::RangeInclusive, sync::Arc, time::Duration};

use serde_json::{Map, Value};

use crate::{
    near::did_you_mean,
    route::{
        BalanceAlgorithm, BalanceKey, BalanceShadow, Check, CookieSecure, DynoProtocol, EjectOn,
        Network, OwnSettings, ProxyHeader, SameSite,
    },
    units::{
        ATTEMPTS, BOUND, CHECK_EVERY, CHECK_TIME, COOKIE_AGE, COUNT_OR_NONE, HEADERS, METHOD, PART,
        PERCENT, RATE, RATE_WINDOW, TIME, TIME_OR_AGES, TIME_OR_NONE, Wrong,
    },
};

mod kinds;
mod value;

/// The most mistakes that are told of one app's settings, or of its pages.
pub(super) const MAX_TOLD: usize = 50;
/// The longest text that is read as a value, in bytes.
const MAX_TEXT: usize = 100;

/// Settings that no app can have, of the groups of which it has others.
#[rustfmt::skip]
pub const OF_THE_ROUTER: &[&str] = &[
    "http.listen", "http.max_connections", "http.max_connections_per_address",
    "http.proxy_protocol", "http.proxy_from", "http.via", "http.trusted_networks",
    "http.max_passes", "http.h2c",
    "https.listen", "https.default_cert", "https.default_key", "https.min_version", "https.h2",
    "https.max_handshakes", "https.handshake_timeout", "https.proxy_protocol", "https.client_ca",
    "https.client_cert_required", "https.public_port",
    "dynos.tls_ca", "dynos.networks", "dynos.socket_dirs",
    "affinity.key", "health.max_probes",
    "limits.request_head", "limits.clients", "limits.exchanges", "limits.memory",
    "timeouts.request_head", "timeouts.proxy_header", "timeouts.worker_stall",
];

/// Where a value stands.
pub struct Place<T> {
    get: fn(&OwnSettings) -> Option<T>,
    set: fn(&mut OwnSettings, T),
}

/// How a value is read, within which bounds, and where it goes.
pub enum Read {
    /// `true` or `false`
    Switch(Place<bool>),
    /// A whole number.
    Count(RangeInclusive<usize>, Place<usize>),
    /// A whole number, kept in half the space.
    Count32(RangeInclusive<u32>, Place<u32>),
    /// `8KiB`, or a number of bytes.
    Size(RangeInclusive<usize>, Place<usize>),
    /// `5s`
    Duration(RangeInclusive<Duration>, Place<Duration>),
    /// One of a few words.
    Word(&'static [&'static str], Place<&'static str>),
    /// A text of its own kind.
    Text(Kind, Place<Arc<str>>),
    /// Networks: a list, or a text with commas.
    Networks(Place<Arc<[Network]>>),
}

/// A kind of text.
#[derive(Clone, Copy)]
pub struct Kind {
    /// What it is, in a word.
    pub what: &'static str,
    /// What is taken, as a regular expression.
    pub pattern: &'static str,
    /// The most bytes.
    pub most: usize,
    /// One that is taken.
    pub example: &'static str,
    read: fn(&str) -> Result<String, Wrong>,
}

/// One setting.
pub struct Setting {
    /// Its name: that of the router's setting in whose place it stands.
    pub name: &'static str,
    /// What it is for, in one line.
    pub doc: &'static str,
    /// How it is read.
    pub read: Read,
}

/// A value that is refused: the name that it was given, and why.
pub type Refused = (String, String);

macro_rules! settings {
    ($(
        $(#[doc = $doc:literal])+
        $name:literal = $read:ident($($range:expr,)? @$($field:ident).+ $(as $word:ident)?);
    )*) => {
        /// Every setting that an app may have of its own, in the order of the settings file.
        pub static SETTINGS: &[Setting] = &[$(Setting {
            name: $name,
            doc: concat!($($doc),+),
            read: Read::$read($($range,)? Place {
                get: |own| Clone::clone(&own.$($field).+)$(.map($word::as_str))?,
                set: |own, value| own.$($field).+ = Some(value)$(.and_then($word::parse))?,
            }),
        },)*];
    };
}

settings! {
    /// Leave the answer to Expect: 100-continue to the dyno.
    "http.end_to_end_continue" = Switch(@end_to_end_continue);
    /// Answer a client that ended its side behind its request; otherwise it has left.
    "http.half_close" = Switch(@half_close);

    /// Answer plain HTTP with a redirect (308) to HTTPS.
    "https.redirect" = Switch(@https_redirect);
    /// For how long a browser is to ask over HTTPS alone (Strict-Transport-Security), unless the
    /// dyno says so itself; 0: nothing is said.
    "https.hsts" = Duration(TIME_OR_AGES, @hsts);
    /// The same for all names below the host.
    "https.hsts_subdomains" = Switch(@hsts_subdomains);
    /// Browsers may know it beforehand.
    "https.hsts_preload" = Switch(@hsts_preload);

    /// Which dyno gets a request: p2c, least_request, round_robin, random, hash or one_at_a_time.
    "balance.algorithm" = Word(BalanceAlgorithm::WORDS, @balance.algorithm as BalanceAlgorithm);
    /// What of a request is its key, for hash and for sticky: address, path, header or cookie.
    "balance.key" = Word(BalanceKey::WORDS, @balance.key as BalanceKey);
    /// Name of the header or the cookie that is the key.
    "balance.key_name" = Text(kinds::HEADER, @balance.key_name);
    /// Most that hash gives one dyno, in percent of the mean in flight; 0: no bound.
    "balance.bound" = Count32(BOUND, @balance.bound);
    /// Share of each release among the requests, as in v1=90,v2=10; none: releases are not told
    /// apart.
    "balance.releases" = Text(kinds::RELEASES, @balance.releases);
    /// Requests of one key stay with one release.
    "balance.sticky" = Switch(@balance.sticky);
    /// Believe what dynos say of their load in the header endpoint-load-metrics, which then ends
    /// here.
    "balance.reported_load" = Switch(@balance.reported_load);
    /// Algorithm that is run beside the first without acting, to be compared: off, or as
    /// balance.algorithm.
    "balance.shadow" = Word(BalanceShadow::WORDS, @balance.shadow as BalanceShadow);

    /// How long a dyno is passed over after a failed connect.
    "dynos.quarantine" = Duration(TIME_OR_NONE, @quarantine);
    /// Most connect attempts of one exchange.
    "dynos.max_attempts" = Count32(ATTEMPTS, @max_attempts);
    /// Most exchanges in flight on a dyno; further ones wait; 0: any number.
    "dynos.max_in_flight" = Count32(COUNT_OR_NONE, @capacity.max_in_flight);
    /// Keep connections to dynos for the next exchange.
    "dynos.keep_alive" = Switch(@keep_alive_to_dynos);
    /// Most requests on one connection to a dyno; 0: no bound.
    "dynos.max_requests" = Count32(COUNT_OR_NONE, @dynos.max_requests);
    /// Most requests that are sent a second time, in percent of an app's; 0: none.
    "dynos.retry_budget" = Count32(PERCENT, @retry_budget);
    /// A request that may be sent a second time, and of whose answer nothing has come for so long,
    /// goes to a second dyno too; the first answer counts; 0: none does.
    "dynos.hedge_after" = Duration(TIME_OR_NONE, @capacity.hedge_after);
    /// What is spoken to dynos: http1, or http2 (in clear text with prior knowledge).
    "dynos.protocol" = Word(DynoProtocol::WORDS, @dynos.protocol as DynoProtocol);
    /// Speak TLS to dynos, each of which must prove that it has the name.
    "dynos.tls" = Switch(@dynos.tls);
    /// Name that the certificate of a dyno must have; a first label {app} is the app's name.
    "dynos.tls_name" = Text(kinds::TLS_NAMES, @dynos.tls_name);
    /// Tell dynos of the client by the PROXY protocol: off or v2. Each exchange then has a
    /// connection of its own.
    "dynos.proxy_protocol" = Word(ProxyHeader::WORDS, @dynos.proxy_protocol as ProxyHeader);
    /// Find out how many exchanges a dyno can have in flight by how long it takes for them.
    "dynos.adaptive" = Switch(@capacity.adaptive);

    /// Bring clients back to the dyno that they had, by a cookie.
    "affinity.enabled" = Switch(@affinity.enabled);
    /// Name of that cookie.
    "affinity.cookie" = Text(kinds::COOKIE_NAME, @affinity.cookie);
    /// How long it lasts behind a client's last visits; 0: as long as the browser's session.
    "affinity.age" = Duration(COOKIE_AGE, @affinity.age);
    /// Paths that it is for: this one and those below.
    "affinity.path" = Text(kinds::COOKIE_PATH, @affinity.path);
    /// Is it for HTTPS alone: auto (if the request came over it), always or never.
    "affinity.secure" = Word(CookieSecure::WORDS, @affinity.secure as CookieSecure);
    /// Hide it from scripts.
    "affinity.http_only" = Switch(@affinity.http_only);
    /// With which requests from other sites it goes along: lax, strict, none, or off to say
    /// nothing of it.
    "affinity.same_site" = Word(SameSite::WORDS, @affinity.same_site as SameSite);
    /// Most exchanges that wait for a dyno of the app, others get H11; 0: none waits.
    "queue.max" = Count32(COUNT_OR_NONE, @capacity.queue.max);
    /// How long one waits while all dynos have as many as they may, or the app is paused.
    "queue.timeout" = Duration(TIME_OR_NONE, @capacity.queue.timeout);
    /// Once the first has waited so long, through so long again: the last to come is the next.
    "queue.lifo_after" = Duration(TIME_OR_NONE, @capacity.queue.lifo_after);
    /// Hold all requests until this is no more; they are let go together.
    "queue.paused" = Switch(@capacity.queue.paused);

    /// Where it is said that an app without dynos has a request (POST, JSON); empty: nowhere.
    "wake.url" = Text(kinds::URL, @capacity.wake.url);
    /// How long its requests wait for a dyno then, and until it is said again.
    "wake.timeout" = Duration(TIME, @capacity.wake.timeout);
    /// Longest quarantine: it is twice as long with each failed connect in a row.
    "health.max_quarantine" = Duration(TIME, @health.max_quarantine);
    /// What counts as a fault of a dyno: off, faults (connections that fail, break or time out,
    /// answers that are none), gateway (502 to 504 too) or 5xx (all of them too).
    "health.eject_on" = Word(EjectOn::WORDS, @health.eject_on as EjectOn);
    /// So many faults in a row eject a dyno; 0: none do.
    "health.eject_faults" = Count32(COUNT_OR_NONE, @health.eject_faults);
    /// For how long, the first time; each further time for twice as long.
    "health.eject_time" = Duration(TIME, @health.eject_time);
    /// Longest ejection.
    "health.max_eject_time" = Duration(TIME, @health.max_eject_time);
    /// Most dynos of an app that are ejected at a time, in percent.
    "health.max_ejected" = Count32(PERCENT, @health.max_ejected);
    /// If fewer of an app's dynos are fit, in percent, ill ones are picked too; 0: never.
    "health.panic_share" = Count32(PERCENT, @health.panic_share);
    /// A dyno is ejected whose success rate is so many hundredths of the standard deviation below
    /// the mean of the app's dynos; 0: none is.
    "health.deviations" = Count32(COUNT_OR_NONE, @health.deviations);
    /// Fewest requests of a dyno in a window that tell its success rate.
    "health.rate_requests" = Count32(COUNT_OR_NONE, @health.rate_requests);
    /// Fewest dynos whose rates tell what is usual.
    "health.rate_dynos" = Count32(COUNT_OR_NONE, @health.rate_dynos);
    /// The window.
    "health.rate_window" = Duration(TIME, @health.rate_window);
    /// How long a dyno that was ejected takes to be given all of its share again.
    "health.return_over" = Duration(TIME_OR_NONE, @health.return_over);
    /// How long a new dyno takes to be given all of its share.
    "health.slow_start" = Duration(TIME_OR_NONE, @health.slow_start);
    /// How dynos are asked whether they are well: off, tcp, http or grpc.
    "health.check" = Word(Check::WORDS, @health.checks.check as Check);
    /// What is asked for, of HTTP.
    "health.path" = Text(kinds::PATH, @health.checks.path);
    /// As which host; empty: as the app's name.
    "health.host" = Text(kinds::HOST, @health.checks.host);
    /// Which status is good: one, or the first and the last.
    "health.status" = Text(kinds::STATUSES, @health.checks.status);
    /// What the first 64 KiB of the body must hold; empty: anything.
    "health.body" = Text(kinds::EXCERPT, @health.checks.body);
    /// Which part of a gRPC server is asked about; empty: all of it.
    "health.grpc_name" = Text(kinds::GRPC_NAME, @health.checks.grpc_name);
    /// How often a dyno is asked; one that is not proven yet every second.
    "health.interval" = Duration(CHECK_EVERY, @health.checks.interval);
    /// By how much of that it is moved at random, in percent.
    "health.jitter" = Count32(PERCENT, @health.checks.jitter);
    /// How long an answer may take.
    "health.timeout" = Duration(CHECK_TIME, @health.checks.timeout);
    /// So many bad answers in a row, and a dyno is passed over.
    "health.failing_after" = Count32(ATTEMPTS, @health.checks.failing_after);
    /// So many good ones in a row, and it is not any more.
    "health.well_after" = Count32(ATTEMPTS, @health.checks.well_after);
    /// A new dyno gets nothing before its first good answer.
    "health.proven_first" = Switch(@health.checks.proven_first);

    /// Longest method of a request.
    "limits.method" = Size(METHOD, @method);
    /// Longest request line.
    "limits.request_line" = Size(PART, @request_line);
    /// Longest name of a request's header.
    "limits.header_name" = Size(PART, @header_name);
    /// Longest value of a request's header.
    "limits.header_value" = Size(PART, @header_value);
    /// Most headers of a request.
    "limits.header_count" = Count(HEADERS, @header_count);
    /// Longest status line of an answer.
    "limits.status_line" = Size(PART, @status_line);
    /// Longest Set-Cookie line of an answer.
    "limits.set_cookie" = Size(PART, @set_cookie);
    /// Longest line of any other header of an answer.
    "limits.response_header" = Size(PART, @response_header);
    /// Longest head of an answer.
    "limits.response_head" = Size(PART, @response_head);
    /// Most exchanges of an app in flight on its dynos; further ones wait; 0: any number.
    "limits.in_flight" = Count32(COUNT_OR_NONE, @capacity.in_flight);
    /// Most client connections of one app; 0: any number.
    "limits.app_connections" = Count32(COUNT_OR_NONE, @app_connections);
    /// Fewest bytes a second at which a client sends a body or takes an answer; 0: none.
    "limits.min_body_rate" = Size(RATE, @min_body_rate);
    /// Networks whose clients are let in, others get 403; none: all.
    "limits.allow" = Networks(@clients.allow);
    /// Networks whose clients get 403, wherever else they are.
    "limits.deny" = Networks(@clients.deny);
    /// Most requests of an app in a window; 0: any number.
    "limits.rate" = Count32(COUNT_OR_NONE, @clients.rate);
    /// Most requests of an app and a client's address in a window; 0: any number.
    "limits.rate_per_address" = Count32(COUNT_OR_NONE, @clients.rate_per_address);
    /// Most requests of an app and a value of the client header in a window; 0: any number.
    "limits.rate_per_header" = Count32(COUNT_OR_NONE, @clients.rate_per_header);
    /// The window: so long takes it until what was used up is whole again.
    "limits.rate_window" = Duration(RATE_WINDOW, @clients.rate_window);
    /// Most exchanges of an app at a time; 0: any number.
    "limits.concurrency" = Count32(COUNT_OR_NONE, @clients.concurrency);
    /// Most exchanges of an app and a client's address at a time; 0: any number.
    "limits.concurrency_per_address" = Count32(COUNT_OR_NONE, @clients.concurrency_per_address);
    /// Most exchanges of an app and a value of the client header at a time; 0: any number.
    "limits.concurrency_per_header" = Count32(COUNT_OR_NONE, @clients.concurrency_per_header);
    /// The client header: its values tell clients apart, those without one value are one.
    "limits.client_header" = Text(kinds::HEADER, @clients.client_header);

    /// One connect attempt.
    "timeouts.connect" = Duration(TIME, @connect);
    /// All connect attempts of an exchange, and every wait for a dyno.
    "timeouts.connect_total" = Duration(TIME, @connect_total);
    /// From the whole request sent to the first byte of the answer.
    "timeouts.first_byte" = Duration(TIME, @first_byte);
    /// Silence of both sides in the middle of an exchange, tunnels included.
    "timeouts.idle" = Duration(TIME, @idle);
    /// How long the connection of a client waits for its next request.
    "timeouts.keep_alive" = Duration(TIME, @keep_alive);
    /// How long a connection to a dyno is kept for the next exchange.
    "timeouts.pool_idle" = Duration(TIME, @pool_idle);
}

/// Reads an app's own settings.
///
/// # Errors
/// Every mistake in them, to a bound.
pub fn read(values: &Map<String, Value>) -> Result<Option<Arc<OwnSettings>>, Vec<Refused>> {
    read_by(Setting::set, values)
}

/// Reads those that a store has. They were checked when they were pushed: a table must not become
/// unreadable because a bound is narrower than it was.
///
/// # Errors
/// Every mistake in them, to a bound.
pub fn read_kept(values: &Map<String, Value>) -> Result<Option<Arc<OwnSettings>>, Vec<Refused>> {
    read_by(Setting::set_kept, values)
}

fn read_by(
    set: fn(&Setting, &mut OwnSettings, &Value) -> Result<(), Wrong>,
    values: &Map<String, Value>,
) -> Result<Option<Arc<OwnSettings>>, Vec<Refused>> {
    let mut own = OwnSettings::default();
    let mut refused = Vec::new();
    for (name, value) in values {
        let setting = SETTINGS.iter().find(|setting| setting.name == name);
        let read = match setting {
            Some(setting) => set(setting, &mut own, value).map_err(told),
            None => Err(nested(name, value).unwrap_or_else(|| told(unknown(name)))),
        };
        refused.extend(read.err().map(|reason| (name.clone(), reason)));
        if refused.len() == MAX_TOLD {
            break;
        }
    }
    refused.extend(contradictions(&own));
    if !refused.is_empty() {
        return Err(refused);
    }
    Ok((own != OwnSettings::default()).then(|| Arc::new(own)))
}

/// The settings in their JSON form: only those that the app has.
pub fn show(own: Option<&OwnSettings>) -> Map<String, Value> {
    let shown = |own| SETTINGS.iter().filter_map(move |s| Some((s.name.into(), s.show(own)?)));
    own.into_iter().flat_map(shown).collect()
}

fn told(Wrong { what, remedy }: Wrong) -> String {
    format!("{what}; {remedy}")
}

/// What to write for settings that stand in an object of their group, as in the settings file.
fn nested(group: &str, value: &Value) -> Option<String> {
    let within = |s: &&Setting| {
        let name = s.name.strip_prefix(group).and_then(|rest| rest.strip_prefix('.'));
        name.is_some_and(|name| value.get(name).is_some())
    };
    let names: Vec<_> = SETTINGS.iter().filter(within).map(|s| format!("{:?}", s.name)).collect();
    (!names.is_empty()).then(|| format!("write it as {}", names.join(", ")))
}

fn unknown(name: &str) -> Wrong {
    let names = || SETTINGS.iter().map(|setting| setting.name);
    if OF_THE_ROUTER.contains(&name) {
        let what = "it is the same for all apps".into();
        return Wrong { what, remedy: "set it for the whole router".into() };
    }
    let remedy = did_you_mean(name, names());
    let remedy = remedy
        .unwrap_or_else(|| format!("an app may have: {}", names().collect::<Vec<_>>().join(", ")));
    Wrong { what: "an app has no such setting".into(), remedy }
}

/// What two settings of the app's own leave no room for. One that is the router's is left out: the
/// operator may change it without asking every app.
fn contradictions(own: &OwnSettings) -> Vec<Refused> {
    fn over<T: PartialOrd>(
        (less, low): (&str, Option<T>),
        (more, high): (&str, Option<T>),
    ) -> Option<Refused> {
        let is_over = low.zip(high).is_some_and(|(low, high)| low > high);
        is_over
            .then(|| (less.into(), format!("it is more than {more}; lower {less} or raise {more}")))
    }
    // So is a key without a name.
    let balance = &own.balance;
    let is_named = |key: &BalanceKey| matches!(key, BalanceKey::Header | BalanceKey::Cookie);
    let has_name = balance.key_name.as_ref().is_some_and(|name| !name.is_empty());
    let keyless = balance.key.filter(is_named).filter(|_| !has_name).map(|_| {
        let reason = "it has no name; give it one in balance.key_name, of this app";
        ("balance.key".to_owned(), reason.to_owned())
    });
    // Without a header nobody is told apart, and the limit would do nothing.
    fn nameless(setting: &str, most: Option<u32>, header: Option<&Arc<str>>) -> Option<Refused> {
        let is_nameless = most.is_some_and(|most| most > 0) && header.is_none_or(|h| h.is_empty());
        let reason = "no header is named; name it in limits.client_header, of this app";
        is_nameless.then(|| (setting.into(), reason.into()))
    }
    let (clients, header) = (&own.clients, own.clients.client_header.as_ref());
    let head = ("limits.response_head", own.response_head);
    [
        keyless,
        over(("timeouts.connect", own.connect), ("timeouts.connect_total", own.connect_total)),
        over(
            ("dynos.hedge_after", own.capacity.hedge_after),
            ("timeouts.first_byte", own.first_byte),
        ),
        over(("limits.status_line", own.status_line), head),
        over(("limits.set_cookie", own.set_cookie), head),
        over(("limits.response_header", own.response_header), head),
        nameless("limits.rate_per_header", clients.rate_per_header, header),
        nameless("limits.concurrency_per_header", clients.concurrency_per_header, header),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[cfg(test)]
mod tests;
