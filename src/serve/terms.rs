//! What the settings say for one exchange: the router's, or its app's own where it has some.
//!
//! Invariants: plain values, resolved once, when the app is known; a worker makes the router's own
//! once and shares them, so that an exchange of an app without settings of its own costs nothing.

use std::rc::Rc;

use super::settings::{Dynos, Https, Limits, Settings, Timeouts};
use crate::{
    live::{Affinity, ClientLimits, Waiting},
    route::{OwnAffinity, OwnClientLimits, OwnSettings},
    wire::{request, response, rewrite::Hsts},
};

/// The terms of an exchange.
#[derive(Debug, Clone)]
pub struct Terms {
    /// `Expect: 100-continue` goes on to the dyno.
    pub end_to_end_continue: bool,
    /// A client that ended its side still gets its answer.
    pub half_close: bool,
    /// How dynos are met.
    pub dynos: Dynos,
    /// How much they are given, and who waits for them.
    pub waiting: Waiting,
    /// What is said of HTTPS.
    pub https: Https,
    /// Bounds of heads and bodies.
    pub limits: Limits,
    /// Time-outs.
    pub timeouts: Timeouts,
    /// What clients may do.
    pub clients: Rc<ClientLimits>,
    /// Is there anything that they may not?
    pub limits_clients: bool,
    /// How clients come back to their dyno.
    pub affinity: Rc<Affinity>,
}

impl Terms {
    /// The router's own.
    pub fn of(settings: &Settings) -> Terms {
        Terms {
            end_to_end_continue: settings.end_to_end_continue,
            half_close: settings.half_close,
            dynos: settings.dynos.clone().settled(),
            waiting: settings.waiting(),
            https: settings.https,
            limits: settings.limits,
            timeouts: settings.timeouts,
            clients: Rc::new(settings.clients.clone()),
            limits_clients: !settings.clients.is_none(),
            affinity: Rc::new(settings.affinity.clone()),
        }
    }

    /// These, with an app's own in the place of those that it has.
    pub fn with(&self, own: &OwnSettings) -> Terms {
        let clients = match own.clients == OwnClientLimits::default() {
            true => self.clients.clone(),
            false => Rc::new(self.clients.with(&own.clients)),
        };
        let affinity = match own.affinity == OwnAffinity::default() {
            true => self.affinity.clone(),
            false => Rc::new(self.affinity.with(&own.affinity)),
        };
        let (dynos, https) = (&self.dynos, &self.https);
        let (limits, times) = (&self.limits, &self.timeouts);
        Terms {
            end_to_end_continue: own.end_to_end_continue.unwrap_or(self.end_to_end_continue),
            half_close: own.half_close.unwrap_or(self.half_close),
            dynos: Dynos {
                quarantine: own.quarantine.unwrap_or(dynos.quarantine),
                max_attempts: own.max_attempts.unwrap_or(dynos.max_attempts),
                max_in_flight: own.capacity.max_in_flight.unwrap_or(dynos.max_in_flight),
                adaptive: own.capacity.adaptive.unwrap_or(dynos.adaptive),
                keep_alive: own.keep_alive_to_dynos.unwrap_or(dynos.keep_alive),
                max_requests: own.dynos.max_requests.unwrap_or(dynos.max_requests),
                retry_budget: own.retry_budget.unwrap_or(dynos.retry_budget),
                hedge_after: own.capacity.hedge_after.unwrap_or(dynos.hedge_after),
                protocol: own.dynos.protocol.unwrap_or(dynos.protocol),
                tls: own.dynos.tls.unwrap_or(dynos.tls),
                tls_name: own.dynos.tls_name.as_ref().unwrap_or(&dynos.tls_name).clone(),
                proxy_protocol: own.dynos.proxy_protocol.unwrap_or(dynos.proxy_protocol),
            }
            .settled(),
            waiting: self.waiting.with(Some(own)),
            https: Https {
                redirect: own.https_redirect.unwrap_or(https.redirect),
                public_port: https.public_port,
                hsts: own.hsts.unwrap_or(https.hsts),
                hsts_subdomains: own.hsts_subdomains.unwrap_or(https.hsts_subdomains),
                hsts_preload: own.hsts_preload.unwrap_or(https.hsts_preload),
            },
            limits: Limits {
                method: own.method.unwrap_or(limits.method),
                request_line: own.request_line.unwrap_or(limits.request_line),
                header_name: own.header_name.unwrap_or(limits.header_name),
                header_value: own.header_value.unwrap_or(limits.header_value),
                header_count: own.header_count.unwrap_or(limits.header_count),
                request_head: limits.request_head,
                status_line: own.status_line.unwrap_or(limits.status_line),
                set_cookie: own.set_cookie.unwrap_or(limits.set_cookie),
                response_header: own.response_header.unwrap_or(limits.response_header),
                response_head: own.response_head.unwrap_or(limits.response_head),
                in_flight: own.capacity.in_flight.unwrap_or(limits.in_flight),
                app_connections: own.app_connections.unwrap_or(limits.app_connections),
                min_body_rate: own.min_body_rate.unwrap_or(limits.min_body_rate),
            },
            limits_clients: !clients.is_none(),
            clients,
            affinity,
            timeouts: Timeouts {
                connect: own.connect.unwrap_or(times.connect),
                connect_total: own.connect_total.unwrap_or(times.connect_total),
                first_byte: own.first_byte.unwrap_or(times.first_byte),
                idle: own.idle.unwrap_or(times.idle),
                request_head: times.request_head,
                keep_alive: own.keep_alive.unwrap_or(times.keep_alive),
                pool_idle: own.pool_idle.unwrap_or(times.pool_idle),
                proxy_header: times.proxy_header,
                worker_stall: times.worker_stall,
            },
        }
    }

    /// What a browser is told of HTTPS in an answer that comes over it.
    pub fn hsts(&self) -> Option<Hsts> {
        let https = &self.https;
        (!https.hsts.is_zero()).then_some(Hsts {
            max_age_s: https.hsts.as_secs(),
            subdomains: https.hsts_subdomains,
            preload: https.hsts_preload,
        })
    }

    /// The bounds of a request's head.
    pub fn of_requests(&self) -> request::Bounds {
        request::Bounds {
            method: self.limits.method,
            line: self.limits.request_line,
            name: self.limits.header_name,
            value: self.limits.header_value,
            count: self.limits.header_count,
        }
    }

    /// The bounds of an answer's head.
    pub fn of_answers(&self) -> response::Bounds {
        response::Bounds {
            line: self.limits.status_line,
            cookie: self.limits.set_cookie,
            header: self.limits.response_header,
        }
    }
}
