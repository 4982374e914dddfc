//! How an app's dynos are asked whether they are well, ready for use.
//!
//! Invariants: made when the app changes; checked when it was pushed, so that what does not read
//! here is not there.

use std::{ops::RangeInclusive, sync::Arc, time::Duration};

use crate::{
    route::{Check, DynoProtocol, OwnSettings, ProxyHeader},
    units::CHECK_TIME,
};

/// What the prober is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// How dynos are asked whose app says nothing else.
    pub checks: Checks,
    /// The most that are asked at a time.
    pub max_probes: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { checks: Checks::default(), max_probes: 64 }
    }
}

/// How the dynos of an app are asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checks {
    /// In which way.
    pub check: Check,
    /// For what, of HTTP.
    pub path: Arc<str>,
    /// As which host; empty: as the app's name.
    pub host: Arc<str>,
    /// Which answers are good, as it was written.
    pub status: Arc<str>,
    /// What the body must hold; empty: anything.
    pub body: Arc<str>,
    /// Which part of a gRPC server; empty: all of it.
    pub grpc_name: Arc<str>,
    /// How often.
    pub interval: Duration,
    /// By how much of that it is moved at random, in percent.
    pub jitter: u32,
    /// How long it may take.
    pub timeout: Duration,
    /// So many failures in a row say that a dyno is ill.
    pub failing_after: u32,
    /// So many answers in a row that it is well again.
    pub well_after: u32,
    /// What is spoken to the dynos.
    pub protocol: DynoProtocol,
    /// By TLS.
    pub tls: bool,
    /// The name that they must prove; a first label `{app}` is the app's name.
    pub tls_name: Arc<str>,
    /// They are told of the client first.
    pub proxy_protocol: ProxyHeader,
}

impl Default for Checks {
    fn default() -> Self {
        Checks {
            check: Check::Off,
            path: "/".into(),
            host: "".into(),
            status: "200-399".into(),
            body: "".into(),
            grpc_name: "".into(),
            interval: Duration::from_secs(10),
            jitter: 20,
            timeout: Duration::from_secs(5),
            failing_after: 3,
            well_after: 2,
            protocol: DynoProtocol::Http1,
            tls: false,
            tls_name: "{app}.internal".into(),
            proxy_protocol: ProxyHeader::Off,
        }
    }
}

impl Checks {
    /// These, with an app's own in the place of those that it has.
    pub fn with(&self, own: &OwnSettings) -> Checks {
        let (own, dynos) = (&own.health.checks, &own.dynos);
        let text = |own: &Option<Arc<str>>, mine: &Arc<str>| own.as_ref().unwrap_or(mine).clone();
        Checks {
            check: own.check.unwrap_or(self.check),
            path: text(&own.path, &self.path),
            host: text(&own.host, &self.host),
            status: text(&own.status, &self.status),
            body: text(&own.body, &self.body),
            grpc_name: text(&own.grpc_name, &self.grpc_name),
            interval: own.interval.unwrap_or(self.interval),
            jitter: own.jitter.unwrap_or(self.jitter),
            // A store may have one from before there was a bound.
            timeout: own.timeout.unwrap_or(self.timeout).min(*CHECK_TIME.end()),
            failing_after: own.failing_after.unwrap_or(self.failing_after),
            well_after: own.well_after.unwrap_or(self.well_after),
            protocol: dynos.protocol.unwrap_or(self.protocol),
            tls: dynos.tls.unwrap_or(self.tls),
            tls_name: text(&dynos.tls_name, &self.tls_name),
            proxy_protocol: dynos.proxy_protocol.unwrap_or(self.proxy_protocol),
        }
    }

    /// The name that a dyno of the app must prove, if TLS is spoken.
    pub fn name(&self, app: &str) -> Option<String> {
        let name = || match self.tls_name.strip_prefix("{app}") {
            Some(rest) => format!("{app}{rest}"),
            None => self.tls_name.to_string(),
        };
        self.tls.then(name)
    }

    /// The host that a dyno of the app is asked as.
    pub fn host<'a>(&'a self, app: &'a str) -> &'a str {
        if self.host.is_empty() { app } else { &self.host }
    }

    /// Is that status good?
    pub fn is_good(&self, status: u16) -> bool {
        statuses(&self.status).is_some_and(|good| good.contains(&status))
    }
}

/// Reads `200` or `200-399`.
fn statuses(text: &str) -> Option<RangeInclusive<u16>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    Some(first.parse().ok()?..=last.parse().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_good_if_it_is_within_what_was_set() {
        let checks = |status: &str| Checks { status: status.into(), ..Checks::default() };
        assert!(checks("200").is_good(200) && !checks("200").is_good(204));
        assert!(checks("200-399").is_good(302) && !checks("200-399").is_good(404));
    }

    #[test]
    fn an_apps_dynos_are_asked_by_its_name_unless_it_says_another() {
        let mut checks = Checks { tls: true, ..Checks::default() };
        assert_eq!(
            (checks.host("blog"), checks.name("blog").unwrap()),
            ("blog", "blog.internal".into())
        );
        (checks.host, checks.tls_name) = ("www.blog.test".into(), "x.test".into());
        assert_eq!(
            (checks.host("blog"), checks.name("blog").unwrap()),
            ("www.blog.test", "x.test".into())
        );
        checks.tls = false;
        assert_eq!(checks.name("blog"), None);
    }
}
