//! What an app's owner may set, as plain values.
//!
//! Invariants: what is absent is the router's own; a value stands here only after it was checked
//! against the bounds of the setting of the same name.

use std::{sync::Arc, time::Duration};

use super::network::Network;

mod affinity;
mod balance;
mod capacity;
mod clients;
mod dynos;
mod health;
mod words;

pub use affinity::{CookieSecure, OwnAffinity, SameSite};
pub use balance::{BalanceAlgorithm, BalanceKey, BalanceShadow, OwnBalance};
pub use capacity::{OwnCapacity, OwnQueue, OwnWake};
pub use clients::OwnClientLimits;
pub use dynos::{DynoProtocol, OwnDynos, ProxyHeader};
pub use health::{Check, EjectOn, OwnChecks, OwnHealth};

/// The settings of an app.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AppSettings {
    /// Every request is answered with the maintenance page (H80); the dynos keep running.
    pub maintenance: bool,
    /// Nothing was ever deployed: every request is answered with H81.
    pub blank: bool,
    /// The dynos are routers themselves: their `Hostler-Error` reaches the client.
    pub is_router: bool,
    /// Only a second confirmation removes the app, or its last route or dyno, or this.
    pub protected: bool,
    /// Settings of the router that are others for this app; most apps have none.
    pub own: Option<Arc<OwnSettings>>,
    /// Pages of the app's own; most apps have none.
    pub pages: Option<Arc<Pages>>,
}

/// The settings of a route.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RouteSettings {
    /// Only a second confirmation removes the route, gives it to another app, or removes this.
    pub protected: bool,
}

/// Settings of the router that an app may have otherwise: each as the router's of the same name
/// (`timeouts.first_byte` is [`OwnSettings::first_byte`]), sizes in bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OwnSettings {
    /// `http.end_to_end_continue`
    pub end_to_end_continue: Option<bool>,
    /// `http.half_close`
    pub half_close: Option<bool>,
    /// `https.redirect`
    pub https_redirect: Option<bool>,
    /// `https.hsts`
    pub hsts: Option<Duration>,
    /// `https.hsts_subdomains`
    pub hsts_subdomains: Option<bool>,
    /// `https.hsts_preload`
    pub hsts_preload: Option<bool>,
    /// `dynos.keep_alive`
    pub keep_alive_to_dynos: Option<bool>,
    /// `dynos.retry_budget`, in percent
    pub retry_budget: Option<u32>,
    /// `dynos.max_attempts`
    pub max_attempts: Option<u32>,
    /// `dynos.quarantine`
    pub quarantine: Option<Duration>,
    /// How dynos are spoken to.
    pub dynos: OwnDynos,
    /// How much they are given, and who waits for them.
    pub capacity: OwnCapacity,
    /// When they count as ill.
    pub health: OwnHealth,
    /// How one is chosen.
    pub balance: OwnBalance,
    /// `timeouts.connect`
    pub connect: Option<Duration>,
    /// `timeouts.connect_total`
    pub connect_total: Option<Duration>,
    /// `timeouts.first_byte`
    pub first_byte: Option<Duration>,
    /// `timeouts.idle`
    pub idle: Option<Duration>,
    /// `timeouts.keep_alive`
    pub keep_alive: Option<Duration>,
    /// `timeouts.pool_idle`
    pub pool_idle: Option<Duration>,
    /// `limits.method`
    pub method: Option<usize>,
    /// `limits.request_line`
    pub request_line: Option<usize>,
    /// `limits.header_name`
    pub header_name: Option<usize>,
    /// `limits.header_value`
    pub header_value: Option<usize>,
    /// `limits.header_count`
    pub header_count: Option<usize>,
    /// `limits.status_line`
    pub status_line: Option<usize>,
    /// `limits.set_cookie`
    pub set_cookie: Option<usize>,
    /// `limits.response_header`
    pub response_header: Option<usize>,
    /// `limits.response_head`
    pub response_head: Option<usize>,
    /// `limits.app_connections`, a count
    pub app_connections: Option<u32>,
    /// `limits.min_body_rate`, in bytes a second
    pub min_body_rate: Option<usize>,
    /// What clients may do.
    pub clients: OwnClientLimits,
    /// How clients come back to their dyno.
    pub affinity: OwnAffinity,
}

/// The value of one of [`OwnSettings`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value<'a> {
    /// On or off.
    Switch(bool),
    /// A count, or a size in bytes.
    Number(u64),
    /// A duration.
    Time(Duration),
    /// A name.
    Text(&'a str),
    /// Networks, sorted.
    Networks(&'a [Network]),
}

impl OwnSettings {
    /// The settings that are there, each with its name, sorted by it.
    pub fn named(&self) -> Vec<(&'static str, Value<'_>)> {
        let general = Self::NAMES.into_iter().zip(self.values());
        let mut named: Vec<_> = general.filter_map(|(name, value)| Some((name, value?))).collect();
        named.extend(self.capacity.named());
        named.extend(self.balance.named());
        named.extend(self.clients.named());
        named.extend(self.dynos.named());
        named.extend(self.affinity.named());
        named.extend(self.health.named());
        named.sort_unstable_by_key(|(name, _)| *name);
        named
    }

    /// The names of those of no group.
    const NAMES: [&str; 27] = [
        "dynos.keep_alive",
        "dynos.max_attempts",
        "dynos.quarantine",
        "dynos.retry_budget",
        "http.end_to_end_continue",
        "http.half_close",
        "https.hsts",
        "https.hsts_preload",
        "https.hsts_subdomains",
        "https.redirect",
        "limits.app_connections",
        "limits.header_count",
        "limits.header_name",
        "limits.header_value",
        "limits.method",
        "limits.min_body_rate",
        "limits.request_line",
        "limits.response_head",
        "limits.response_header",
        "limits.set_cookie",
        "limits.status_line",
        "timeouts.connect",
        "timeouts.connect_total",
        "timeouts.first_byte",
        "timeouts.idle",
        "timeouts.keep_alive",
        "timeouts.pool_idle",
    ];

    fn values(&self) -> [Option<Value<'_>>; 27] {
        // Taken apart whole, so that none can be forgotten.
        let OwnSettings {
            end_to_end_continue,
            half_close,
            https_redirect,
            hsts,
            hsts_subdomains,
            hsts_preload,
            keep_alive_to_dynos,
            retry_budget,
            max_attempts,
            quarantine,
            dynos: _,
            capacity: _,
            health: _,
            balance: _,
            connect,
            connect_total,
            first_byte,
            idle,
            keep_alive,
            pool_idle,
            method,
            request_line,
            header_name,
            header_value,
            header_count,
            status_line,
            set_cookie,
            response_header,
            response_head,
            app_connections,
            min_body_rate,
            clients: _,
            affinity: _,
        } = self;
        [
            switch(keep_alive_to_dynos),
            count(max_attempts),
            time(quarantine),
            count(retry_budget),
            switch(end_to_end_continue),
            switch(half_close),
            time(hsts),
            switch(hsts_preload),
            switch(hsts_subdomains),
            switch(https_redirect),
            count(app_connections),
            size(header_count),
            size(header_name),
            size(header_value),
            size(method),
            size(min_body_rate),
            size(request_line),
            size(response_head),
            size(response_header),
            size(set_cookie),
            size(status_line),
            time(connect),
            time(connect_total),
            time(first_byte),
            time(idle),
            time(keep_alive),
            time(pool_idle),
        ]
    }
}

fn switch(value: &Option<bool>) -> Option<Value<'static>> {
    value.map(Value::Switch)
}

fn count(value: &Option<u32>) -> Option<Value<'static>> {
    value.map(|value| Value::Number(value.into()))
}

fn size(value: &Option<usize>) -> Option<Value<'static>> {
    value.map(|value| Value::Number(value as u64))
}

fn time(value: &Option<Duration>) -> Option<Value<'static>> {
    value.map(Value::Time)
}

/// Pages of an app's own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pages {
    /// For every fault of the app, its dynos or the router.
    pub error: Page,
    /// For the maintenance mode.
    pub maintenance: Page,
}

/// One page, in the forms that a client may ask for; a form that is absent is the router's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// `text/html`
    pub html: Option<Arc<str>>,
    /// `application/json`
    pub json: Option<Arc<str>>,
    /// `text/plain`
    pub text: Option<Arc<str>>,
}

/// The most bytes of one form of a page.
pub const MAX_PAGE: usize = 64 << 10;
