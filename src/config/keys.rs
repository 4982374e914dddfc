//! Every setting, declared once: name, default, what it is for, how it is read and where it goes.
//!
//! Invariant: the defaults pass their own checks.

pub use super::key::{ENV_PREFIX, Key, Read};
use super::{parse, ranges::*, resolve::Machine};
use crate::{
    serve::settings::{
        BalanceAlgorithm, BalanceKey, BalanceShadow, Check, CookieSecure, DynoProtocol, EjectOn,
        ProxyHeader, SameSite,
    },
    telemetry::{LogFormat, diagnostics},
    units::{
        self, ATTEMPTS, BOUND, CHECK_EVERY, CHECK_TIME, COOKIE_AGE, COUNT_OR_NONE, HEADERS, METHOD,
        PART, PERCENT, RATE, RATE_WINDOW, TIME, TIME_OR_AGES, TIME_OR_NONE,
    },
};

macro_rules! keys {
    ($($(#[doc = $doc:literal])+ $name:literal = $default:literal, $read:expr;)*) => {
        /// Every setting, in the order of the file: first those without a group.
        pub static KEYS: &[Key] = &[
            $(Key { name: $name, default: $default, doc: concat!($($doc),+), read: $read },)*
        ];
    };
}

keys! {
    /// Directory of the store, the last table and the admin token.
    "data_dir" = "./data", Read::Text(|s, v| { s.data_dir = parse::path(v)?; Ok(()) });
    /// Threads of the data plane; auto: the cores that this process may use.
    "workers" = "auto", Read::Auto(1..=1024, |m| m.cores.clamp(1, 1024), |s| &mut s.workers);
    /// What is written to standard output for each exchange: logfmt, json or off.
    "access_log" = "logfmt",
        Read::Text(|s, v| { s.access_log = parse::word(v, &LogFormat::ALL)?; Ok(()) });
    /// The least grave diagnostics on standard error: error, warn, info, debug or trace.
    "log_level" = "info",
        Read::Text(|s, v| { s.log_level = parse::word(v, &diagnostics::LEVELS)?; Ok(()) });
    /// Admin token of the push API, 16 characters or more; empty: one is made at the first start.
    "admin_token" = "", Read::Secret(|s, v| { s.api.admin_token = parse::token(v)?; Ok(()) });

    /// Addresses that take plain HTTP. $PORT stands for [::]:$PORT and wins over the file.
    "http.listen" = "[::]:8080",
        Read::List(|s, v| { s.http_listen = parse::listeners(v)?; Ok(()) });
    /// Most client connections; auto: two fifths of the limit on open files, less a reserve. As
    /// many are for dynos, what is left for the pipes that move large bodies.
    "http.max_connections" = "auto",
        Read::Auto(1..=10_000_000, Machine::connections, |s| &mut s.serve.max_connections);
    /// Most client connections of one address, IPv6 by its first 64 bits; 0: any number.
    "http.max_connections_per_address" = "0",
        Read::Count32(COUNT_OR_NONE, |s| &mut s.serve.max_connections_per_address);
    /// Connections to http.listen begin with a PROXY header (version 1 or 2); none is let in
    /// without it.
    "http.proxy_protocol" = "false", Read::Switch(|s| &mut s.serve.proxy_protocol);
    /// Networks that may send a PROXY header, as in 10.0.0.0/8; connections from others are closed.
    "http.proxy_from" = "", Read::List(|s, v| { s.serve.proxy_from = units::networks(v)?; Ok(()) });
    /// Name of this router in Via.
    "http.via" = "hostler", Read::Text(|s, v| { s.serve.via = parse::via_name(v)?; Ok(()) });
    /// Networks whose X-Forwarded-Proto, X-Forwarded-Port and X-Request-Start are kept, and whose
    /// X-Forwarded-For says whose a request is for the limits per client, as in 10.0.0.0/8.
    "http.trusted_networks" = "",
        Read::List(|s, v| { s.serve.trusted_networks = units::list(v, units::network)?; Ok(()) });
    /// How often a request may have come through routers of this name before it is 508.
    "http.max_passes" = "5", Read::Count(1..=100, |s| &mut s.serve.max_passes);
    /// Leave the answer to Expect: 100-continue to the dyno.
    "http.end_to_end_continue" = "false", Read::Switch(|s| &mut s.serve.end_to_end_continue);
    /// Answer a client that ended its side behind its request; otherwise it has left.
    "http.half_close" = "false", Read::Switch(|s| &mut s.serve.half_close);
    /// Speak HTTP/2 in clear text with clients that begin with it.
    "http.h2c" = "false", Read::Switch(|s| &mut s.serve.http2.clear_text);

    /// Most requests that are under way on one connection of HTTP/2.
    "http2.max_streams" = "100", Read::Count32(STREAMS, |s| &mut s.serve.http2.max_streams);
    /// How much of the body of a request by HTTP/2 may come before its dyno takes it.
    "http2.stream_window" = "128KiB", Read::Size(WINDOW, |s| &mut s.serve.http2.stream_window);
    /// The same of all requests of one connection.
    "http2.connection_window" = "1MiB",
        Read::Size(WINDOW, |s| &mut s.serve.http2.connection_window);

    /// Addresses that take HTTPS; none: no TLS for clients.
    "https.listen" = "",
        Read::List(|s, v| { s.https.listen = parse::optional_listeners(v)?; Ok(()) });
    /// Certificate for hosts that have none of their own, and behind it those that lead to its
    /// authority: a PEM file, read anew when it changes; none: one is made that nobody trusts.
    "https.default_cert" = "",
        Read::Text(|s, v| { s.https.default_cert = parse::optional_path(v); Ok(()) });
    /// Private key of that certificate: a PEM file, without a password.
    "https.default_key" = "",
        Read::Text(|s, v| { s.https.default_key = parse::optional_path(v); Ok(()) });
    /// Least version of TLS: 1.2 or 1.3.
    "https.min_version" = "1.2",
        Read::Text(|s, v| { s.https.only_tls13 = parse::word(v, &TLS_VERSIONS)?; Ok(()) });
    /// Offer HTTP/2.
    "https.h2" = "true", Read::Switch(|s| &mut s.https.http2);
    /// Most handshakes of TLS at a time; further clients wait in the accept queue, and whoever
    /// takes a second over its own makes room.
    "https.max_handshakes" = "1024", Read::Count(HANDSHAKES, |s| &mut s.serve.max_handshakes);
    /// How long a handshake of TLS may take.
    "https.handshake_timeout" = "10s", Read::Duration(TIME, |s| &mut s.serve.handshake_timeout);
    /// Connections to https.listen begin with a PROXY header, before the handshake.
    "https.proxy_protocol" = "false", Read::Switch(|s| &mut s.serve.https_proxy_protocol);
    /// Authorities whose certificates clients are asked for: a PEM file; none: no client is asked.
    "https.client_ca" = "",
        Read::Text(|s, v| { s.https.client_ca = parse::optional_path(v); Ok(()) });
    /// Turn away a client that has no such certificate.
    "https.client_cert_required" = "false", Read::Switch(|s| &mut s.https.client_cert_required);

    /// Answer plain HTTP with a redirect (308) to HTTPS.
    "https.redirect" = "false", Read::Switch(|s| &mut s.serve.https.redirect);
    /// Port of HTTPS as clients know it, for that redirect.
    "https.public_port" = "443", Read::Count32(PORTS, |s| &mut s.serve.https.public_port);
    /// For how long a browser is to ask over HTTPS alone (Strict-Transport-Security), unless the
    /// dyno says so itself; 0: nothing is said.
    "https.hsts" = "0s", Read::Duration(TIME_OR_AGES, |s| &mut s.serve.https.hsts);
    /// The same for all names below the host.
    "https.hsts_subdomains" = "false", Read::Switch(|s| &mut s.serve.https.hsts_subdomains);
    /// Browsers may know it beforehand.
    "https.hsts_preload" = "false", Read::Switch(|s| &mut s.serve.https.hsts_preload);

    /// Addresses of the push API, the metrics and health.
    "control.listen" = "127.0.0.1:9080",
        Read::List(|s, v| { s.control_listen = parse::listeners(v)?; Ok(()) });
    /// Certificate by which the control listener speaks TLS, and behind it those that lead to its
    /// authority: a PEM file, read anew when it changes; none: no TLS.
    "control.tls_cert" = "",
        Read::Text(|s, v| { s.api.tls_cert = parse::optional_path(v); Ok(()) });
    /// Private key of that certificate: a PEM file, without a password.
    "control.tls_key" = "", Read::Text(|s, v| { s.api.tls_key = parse::optional_path(v); Ok(()) });
    /// Authorities whose certificates are asked of the push API's clients: a PEM file; none: no
    /// client is asked.
    "control.tls_client_ca" = "",
        Read::Text(|s, v| { s.api.tls_client_ca = parse::optional_path(v); Ok(()) });
    /// Turn away a client of the push API that has no such certificate.
    "control.tls_client_required" = "false", Read::Switch(|s| &mut s.api.tls_client_required);
    /// Let the control listener speak without TLS off loopback, where others can read its tokens.
    "control.plaintext_off_loopback" = "false", Read::Switch(|s| &mut s.api.plaintext_off_loopback);
    /// Answer /metrics without a token.
    "control.metrics_without_token" = "false", Read::Switch(|s| &mut s.api.metrics_without_token);

    /// How long accepting goes on after SIGTERM while /readyz fails: the time that whoever sends
    /// traffic here needs to notice.
    "drain.grace" = "0s", Read::Duration(TIME_OR_NONE, |s| &mut s.drain_grace);
    /// When what still runs is cut, counted from SIGTERM; platforms kill at 30s.
    "drain.deadline" = "30s", Read::Duration(TIME_OR_NONE, |s| &mut s.drain_deadline);

    /// Which dyno gets a request: p2c, least_request, round_robin, random, hash or one_at_a_time.
    "balance.algorithm" = "p2c", Read::Text(|s, v| {
        s.serve.balance.algorithm = parse::word(v, BalanceAlgorithm::ALL)?;
        Ok(())
    });
    /// What of a request is its key, for hash and for sticky: address, path, header or cookie.
    "balance.key" = "address", Read::Text(|s, v| {
        s.serve.balance.key = parse::word(v, BalanceKey::ALL)?;
        Ok(())
    });
    /// Name of the header or the cookie that is the key.
    "balance.key_name" = "",
        Read::Text(|s, v| { s.serve.balance.key_name = units::header(v)?.into(); Ok(()) });
    /// Most that hash gives one dyno, in percent of the mean in flight; 0: no bound.
    "balance.bound" = "125", Read::Count32(BOUND, |s| &mut s.serve.balance.bound);
    /// Share of each release among the requests, as in v1=90,v2=10; none: releases are not told
    /// apart.
    "balance.releases" = "",
        Read::Text(|s, v| { s.serve.balance.releases = units::releases(v)?.into(); Ok(()) });
    /// Requests of one key stay with one release.
    "balance.sticky" = "false", Read::Switch(|s| &mut s.serve.balance.sticky);
    /// Believe what dynos say of their load in the header endpoint-load-metrics, which then ends
    /// here.
    "balance.reported_load" = "false", Read::Switch(|s| &mut s.serve.balance.reported_load);
    /// Algorithm that is run beside the first without acting, to be compared: off, or as
    /// balance.algorithm.
    "balance.shadow" = "off", Read::Text(|s, v| {
        s.serve.balance.shadow = parse::word(v, BalanceShadow::ALL)?;
        Ok(())
    });

    /// How long a dyno is passed over after a failed connect.
    "dynos.quarantine" = "5s", Read::Duration(TIME_OR_NONE, |s| &mut s.serve.dynos.quarantine);
    /// Most connect attempts of one exchange.
    "dynos.max_attempts" = "10", Read::Count32(ATTEMPTS, |s| &mut s.serve.dynos.max_attempts);
    /// Most exchanges in flight on a dyno; further ones wait; 0: any number.
    "dynos.max_in_flight" = "0", Read::Count32(COUNT_OR_NONE, |s| &mut s.serve.dynos.max_in_flight);
    /// Keep connections to dynos for the next exchange.
    "dynos.keep_alive" = "true", Read::Switch(|s| &mut s.serve.dynos.keep_alive);
    /// Most requests on one connection to a dyno; 0: no bound.
    "dynos.max_requests" = "0", Read::Count32(COUNT_OR_NONE, |s| &mut s.serve.dynos.max_requests);
    /// Most requests that are sent a second time, in percent of an app's; 0: none.
    "dynos.retry_budget" = "20", Read::Count32(PERCENT, |s| &mut s.serve.dynos.retry_budget);
    /// A request that may be sent a second time, and of whose answer nothing has come for so long,
    /// goes to a second dyno too; the first answer counts; 0: none does.
    "dynos.hedge_after" = "0s", Read::Duration(TIME_OR_NONE, |s| &mut s.serve.dynos.hedge_after);
    /// What is spoken to dynos: http1, or http2 (in clear text with prior knowledge).
    "dynos.protocol" = "http1", Read::Text(|s, v| {
        s.serve.dynos.protocol = parse::word(v, DynoProtocol::ALL)?;
        Ok(())
    });
    /// Speak TLS to dynos, each of which must prove that it has the name.
    "dynos.tls" = "false", Read::Switch(|s| &mut s.serve.dynos.tls);
    /// Name that the certificate of a dyno must have; a first label {app} is the app's name.
    "dynos.tls_name" = "{app}.internal",
        Read::Text(|s, v| { s.serve.dynos.tls_name = units::tls_name(v)?.into(); Ok(()) });
    /// Authorities whose certificates dynos prove themselves with: a PEM file; none: those of the
    /// system.
    "dynos.tls_ca" = "", Read::Text(|s, v| { s.serve.dynos_ca = parse::optional_path(v); Ok(()) });
    /// Tell dynos of the client by the PROXY protocol: off or v2. Each exchange then has a
    /// connection of its own.
    "dynos.proxy_protocol" = "off", Read::Text(|s, v| {
        s.serve.dynos.proxy_protocol = parse::word(v, ProxyHeader::ALL)?;
        Ok(())
    });
    /// Find out how many exchanges a dyno can have in flight by how long it takes for them.
    "dynos.adaptive" = "false", Read::Switch(|s| &mut s.serve.dynos.adaptive);
    /// Networks in which the address of a dyno must lie, and that of what wake.url names.
    "dynos.networks" = "0.0.0.0/0, ::/0",
        Read::List(|s, v| { s.hub.networks = units::list(v, units::network)?; Ok(()) });
    /// Directories below which the socket of a dyno must lie.
    "dynos.socket_dirs" = "",
        Read::List(|s, v| { s.hub.socket_dirs = units::list(v, parse::directory)?; Ok(()) });

    /// Bring clients back to the dyno that they had, by a cookie.
    "affinity.enabled" = "false", Read::Switch(|s| &mut s.serve.affinity.enabled);
    /// Name of that cookie.
    "affinity.cookie" = "hostler-affinity",
        Read::Text(|s, v| { s.serve.affinity.cookie = units::cookie_name(v)?.into(); Ok(()) });
    /// How long it lasts behind a client's last visits; 0: as long as the browser's session.
    "affinity.age" = "0s", Read::Duration(COOKIE_AGE, |s| &mut s.serve.affinity.age);
    /// Paths that it is for: this one and those below.
    "affinity.path" = "/",
        Read::Text(|s, v| { s.serve.affinity.path = units::cookie_path(v)?.into(); Ok(()) });
    /// Is it for HTTPS alone: auto (if the request came over it), always or never.
    "affinity.secure" = "auto", Read::Text(|s, v| {
        s.serve.affinity.secure = parse::word(v, CookieSecure::ALL)?;
        Ok(())
    });
    /// Hide it from scripts.
    "affinity.http_only" = "true", Read::Switch(|s| &mut s.serve.affinity.http_only);
    /// With which requests from other sites it goes along: lax, strict, none, or off to say
    /// nothing of it.
    "affinity.same_site" = "lax", Read::Text(|s, v| {
        s.serve.affinity.same_site = parse::word(v, SameSite::ALL)?;
        Ok(())
    });
    /// What it is signed with: 32 bytes, in hexadecimal or base64, the same in every router of a
    /// fleet; empty: a key is made once, and kept in the data directory.
    "affinity.key" = "",
        Read::Secret(|s, v| { s.serve.affinity_key = parse::seal_key(v)?; Ok(()) });
    /// Most exchanges that wait for a dyno of the app, others get H11; 0: none waits.
    "queue.max" = "1000", Read::Count32(COUNT_OR_NONE, |s| &mut s.serve.queue.max);
    /// How long one waits while all dynos have as many as they may, or the app is paused.
    "queue.timeout" = "30s", Read::Duration(TIME_OR_NONE, |s| &mut s.serve.queue.timeout);
    /// Once the first has waited so long, through so long again: the last to come is the next.
    "queue.lifo_after" = "1s", Read::Duration(TIME_OR_NONE, |s| &mut s.serve.queue.lifo_after);
    /// Hold all requests until this is no more; they are let go together.
    "queue.paused" = "false", Read::Switch(|s| &mut s.serve.queue.paused);

    /// Where it is said that an app without dynos has a request (POST, JSON); empty: nowhere.
    "wake.url" = "", Read::Text(|s, v| { s.serve.wake.url = units::place::url(v)?.into(); Ok(()) });
    /// How long its requests wait for a dyno then, and until it is said again.
    "wake.timeout" = "75s", Read::Duration(TIME, |s| &mut s.serve.wake.timeout);
    /// Longest quarantine: it is twice as long with each failed connect in a row.
    "health.max_quarantine" = "60s", Read::Duration(TIME, |s| &mut s.serve.health.max_quarantine);
    /// What counts as a fault of a dyno: off, faults (connections that fail, break or time out,
    /// answers that are none), gateway (502 to 504 too) or 5xx (all of them too).
    "health.eject_on" = "faults",
        Read::Text(|s, v| { s.serve.health.eject_on = parse::word(v, EjectOn::ALL)?; Ok(()) });
    /// So many faults in a row eject a dyno; 0: none do.
    "health.eject_faults" = "5", Read::Count32(COUNT_OR_NONE, |s| &mut s.serve.health.eject.faults);
    /// For how long, the first time; each further time for twice as long.
    "health.eject_time" = "30s", Read::Duration(TIME, |s| &mut s.serve.health.eject.time);
    /// Longest ejection.
    "health.max_eject_time" = "5m", Read::Duration(TIME, |s| &mut s.serve.health.eject.max_time);
    /// Most dynos of an app that are ejected at a time, in percent.
    "health.max_ejected" = "50", Read::Count32(PERCENT, |s| &mut s.serve.health.eject.max_ejected);
    /// If fewer of an app's dynos are fit, in percent, ill ones are picked too; 0: never.
    "health.panic_share" = "50", Read::Count32(PERCENT, |s| &mut s.serve.health.panic_share);
    /// A dyno is ejected whose success rate is so many hundredths of the standard deviation below
    /// the mean of the app's dynos; 0: none is.
    "health.deviations" = "190",
        Read::Count32(COUNT_OR_NONE, |s| &mut s.serve.health.eject.deviations);
    /// Fewest requests of a dyno in a window that tell its success rate.
    "health.rate_requests" = "100",
        Read::Count32(COUNT_OR_NONE, |s| &mut s.serve.health.eject.rate_requests);
    /// Fewest dynos whose rates tell what is usual.
    "health.rate_dynos" = "5",
        Read::Count32(COUNT_OR_NONE, |s| &mut s.serve.health.eject.rate_dynos);
    /// The window.
    "health.rate_window" = "10s", Read::Duration(TIME, |s| &mut s.serve.health.eject.rate_window);
    /// How long a dyno that was ejected takes to be given all of its share again.
    "health.return_over" = "10s", Read::Duration(TIME_OR_NONE, |s| &mut s.serve.health.return_over);
    /// How long a new dyno takes to be given all of its share.
    "health.slow_start" = "0s", Read::Duration(TIME_OR_NONE, |s| &mut s.serve.health.slow_start);
    /// How dynos are asked whether they are well: off, tcp, http or grpc.
    "health.check" = "off",
        Read::Text(|s, v| { s.health.checks.check = parse::word(v, Check::ALL)?; Ok(()) });
    /// What is asked for, of HTTP.
    "health.path" = "/",
        Read::Text(|s, v| { s.health.checks.path = units::checks::path(v)?.into(); Ok(()) });
    /// As which host; empty: as the app's name.
    "health.host" = "",
        Read::Text(|s, v| { s.health.checks.host = units::place::host(v)?.into(); Ok(()) });
    /// Which status is good: one, or the first and the last.
    "health.status" = "200-399",
        Read::Text(|s, v| { s.health.checks.status = units::checks::statuses(v)?.into(); Ok(()) });
    /// What the first 64 KiB of the body must hold; empty: anything.
    "health.body" = "",
        Read::Text(|s, v| { s.health.checks.body = units::checks::excerpt(v)?.into(); Ok(()) });
    /// Which part of a gRPC server is asked about; empty: all of it.
    "health.grpc_name" = "", Read::Text(|s, v| {
        s.health.checks.grpc_name = units::checks::grpc_name(v)?.into();
        Ok(())
    });
    /// How often a dyno is asked; one that is not proven yet every second.
    "health.interval" = "10s", Read::Duration(CHECK_EVERY, |s| &mut s.health.checks.interval);
    /// By how much of that it is moved at random, in percent.
    "health.jitter" = "20", Read::Count32(PERCENT, |s| &mut s.health.checks.jitter);
    /// How long an answer may take.
    "health.timeout" = "5s", Read::Duration(CHECK_TIME, |s| &mut s.health.checks.timeout);
    /// So many bad answers in a row, and a dyno is passed over.
    "health.failing_after" = "3", Read::Count32(ATTEMPTS, |s| &mut s.health.checks.failing_after);
    /// So many good ones in a row, and it is not any more.
    "health.well_after" = "2", Read::Count32(ATTEMPTS, |s| &mut s.health.checks.well_after);
    /// A new dyno gets nothing before its first good answer.
    "health.proven_first" = "false", Read::Switch(|s| &mut s.serve.health.proven_first);
    /// Most dynos that are asked at a time, of all apps; one app has at most half of them.
    "health.max_probes" = "64", Read::Count(PROBES, |s| &mut s.health.max_probes);

    /// Longest method of a request.
    "limits.method" = "127", Read::Size(METHOD, |s| &mut s.serve.limits.method);
    /// Longest request line.
    "limits.request_line" = "8KiB", Read::Size(PART, |s| &mut s.serve.limits.request_line);
    /// Longest name of a request's header.
    "limits.header_name" = "1000", Read::Size(PART, |s| &mut s.serve.limits.header_name);
    /// Longest value of a request's header.
    "limits.header_value" = "8KiB", Read::Size(PART, |s| &mut s.serve.limits.header_value);
    /// Most headers of a request.
    "limits.header_count" = "1000", Read::Count(HEADERS, |s| &mut s.serve.limits.header_count);
    /// Longest head of a request.
    "limits.request_head" = "64KiB", Read::Size(PART, |s| &mut s.serve.limits.request_head);
    /// Longest status line of an answer.
    "limits.status_line" = "8KiB", Read::Size(PART, |s| &mut s.serve.limits.status_line);
    /// Longest Set-Cookie line of an answer.
    "limits.set_cookie" = "8KiB", Read::Size(PART, |s| &mut s.serve.limits.set_cookie);
    /// Longest line of any other header of an answer.
    "limits.response_header" = "512KiB", Read::Size(PART, |s| &mut s.serve.limits.response_header);
    /// Longest head of an answer.
    "limits.response_head" = "1MiB", Read::Size(PART, |s| &mut s.serve.limits.response_head);
    /// Most exchanges of an app in flight on its dynos; further ones wait; 0: any number.
    "limits.in_flight" = "0", Read::Count32(COUNT_OR_NONE, |s| &mut s.serve.limits.in_flight);
    /// Most client connections of one app; 0: any number.
    "limits.app_connections" = "0",
        Read::Count32(COUNT_OR_NONE, |s| &mut s.serve.limits.app_connections);
    /// Fewest bytes a second at which a client sends a body or takes an answer; 0: none.
    "limits.min_body_rate" = "0", Read::Size(RATE, |s| &mut s.serve.limits.min_body_rate);
    /// Networks whose clients are let in, others get 403; none: all.
    "limits.allow" = "",
        Read::List(|s, v| { s.serve.clients.allow = units::networks(v)?.into(); Ok(()) });
    /// Networks whose clients get 403, wherever else they are.
    "limits.deny" = "",
        Read::List(|s, v| { s.serve.clients.deny = units::networks(v)?.into(); Ok(()) });
    /// Most requests of an app in a window; 0: any number.
    "limits.rate" = "0", Read::Count32(COUNT_OR_NONE, |s| &mut s.serve.clients.rate.app);
    /// Most requests of an app and a client's address in a window; 0: any number.
    "limits.rate_per_address" = "0",
        Read::Count32(COUNT_OR_NONE, |s| &mut s.serve.clients.rate.address);
    /// Most requests of an app and a value of the client header in a window; 0: any number.
    "limits.rate_per_header" = "0",
        Read::Count32(COUNT_OR_NONE, |s| &mut s.serve.clients.rate.header);
    /// The window: so long takes it until what was used up is whole again.
    "limits.rate_window" = "1s", Read::Duration(RATE_WINDOW, |s| &mut s.serve.clients.window);
    /// Most exchanges of an app at a time; 0: any number.
    "limits.concurrency" = "0",
        Read::Count32(COUNT_OR_NONE, |s| &mut s.serve.clients.concurrency.app);
    /// Most exchanges of an app and a client's address at a time; 0: any number.
    "limits.concurrency_per_address" = "0",
        Read::Count32(COUNT_OR_NONE, |s| &mut s.serve.clients.concurrency.address);
    /// Most exchanges of an app and a value of the client header at a time; 0: any number.
    "limits.concurrency_per_header" = "0",
        Read::Count32(COUNT_OR_NONE, |s| &mut s.serve.clients.concurrency.header);
    /// The client header: its values tell clients apart, those without one value are one.
    "limits.client_header" = "",
        Read::Text(|s, v| { s.serve.clients.header = units::header(v)?.into(); Ok(()) });
    /// How many clients' rates, and how many's exchanges, are kept at a time; each takes up to 96
    /// bytes, all at most half of limits.memory.
    "limits.clients" = "65536", Read::Count(CLIENTS, |s| &mut s.serve.max_clients);
    /// Most exchanges in flight of the router, others get 503; auto: what its open files and
    /// memory allow; 0: any number.
    "limits.exchanges" = "auto",
        Read::Auto(0..=10_000_000, Machine::exchanges, |s| &mut s.serve.max_exchanges);
    /// Most resident memory of the router, beyond it requests get 503; auto: 90 percent of what
    /// its cgroup or the machine has; 0: any.
    "limits.memory" = "auto",
        Read::AutoSize(0..=1 << 50, Machine::memory_bound, |s| &mut s.serve.max_memory);

    /// One connect attempt.
    "timeouts.connect" = "5s", Read::Duration(TIME, |s| &mut s.serve.timeouts.connect);
    /// All connect attempts of an exchange, and every wait for a dyno.
    "timeouts.connect_total" = "75s", Read::Duration(TIME, |s| &mut s.serve.timeouts.connect_total);
    /// From the whole request sent to the first byte of the answer.
    "timeouts.first_byte" = "30s", Read::Duration(TIME, |s| &mut s.serve.timeouts.first_byte);
    /// Silence of both sides in the middle of an exchange, tunnels included.
    "timeouts.idle" = "55s", Read::Duration(TIME, |s| &mut s.serve.timeouts.idle);
    /// From the first byte of a request to the end of its head.
    "timeouts.request_head" = "30s", Read::Duration(TIME, |s| &mut s.serve.timeouts.request_head);
    /// How long the connection of a client waits for its next request.
    "timeouts.keep_alive" = "60s", Read::Duration(TIME, |s| &mut s.serve.timeouts.keep_alive);
    /// How long a connection to a dyno is kept for the next exchange.
    "timeouts.pool_idle" = "90s", Read::Duration(TIME, |s| &mut s.serve.timeouts.pool_idle);
    /// From the beginning of a connection to the end of its PROXY header.
    "timeouts.proxy_header" = "5s", Read::Duration(TIME, |s| &mut s.serve.timeouts.proxy_header);
    /// How long a worker may stand still before /readyz says so.
    "timeouts.worker_stall" = "5s", Read::Duration(TIME, |s| &mut s.serve.timeouts.worker_stall);

    /// Most ops of one transaction.
    "push.max_ops" = "10000", Read::Count(OPS, |s| &mut s.hub.max_ops);
    /// Longest body of a write.
    "push.max_body" = "16MiB", Read::Size(BODY, |s| &mut s.api.max_body);
    /// Longest body of a whole table.
    "push.max_table" = "4GiB", Read::Size(WHOLE, |s| &mut s.api.max_table);
    /// Most apps.
    "push.max_apps" = "1000000", Read::Count(OBJECTS, |s| &mut s.hub.max_apps);
    /// Most routes of one app.
    "push.app_routes" = "1000000", Read::Count(OBJECTS, |s| &mut s.hub.app_routes);
    /// Most dynos of one app.
    "push.app_dynos" = "10000", Read::Count(OBJECTS, |s| &mut s.hub.app_dynos);
    /// Most certificates.
    "push.max_certs" = "10000", Read::Count(CERTS, |s| &mut s.hub.max_certs);
    /// Most calls a second of one token, the admin's own excepted; 0: any number.
    "push.rate" = "0", Read::Count32(COUNT_OR_NONE, |s| &mut s.api.rate);
    /// Most tokens that are made.
    "push.max_tokens" = "1000", Read::Count(TOKENS, |s| &mut s.api.max_tokens);
    /// How long dynos with a ttl_s stay after a start at least, for those who renew them.
    "push.expiry_grace" = "5m", Read::Duration(TIME_OR_NONE, |s| &mut s.hub.expiry_grace);
    /// Most routes, and most dynos, that may be lost within the window, in percent; 100: all.
    "push.shrink_share" = "50", Read::Count32(PERCENT, |s| &mut s.hub.shrink.share);
    /// Over how long that is counted.
    "push.shrink_window" = "10m", Read::Duration(TIME, |s| &mut s.hub.shrink.window);
    /// So many routes and dynos may be lost whatever their share.
    "push.shrink_floor" = "50", Read::Count(0..=1_000_000, |s| &mut s.hub.shrink.floor);
    /// Most readers of the feed at a time.
    "push.max_feeds" = "256", Read::Count(FEEDS, |s| &mut s.api.max_feeds);
    /// How often each of them is told where the table stands, if nothing changes.
    "push.heartbeat" = "5s", Read::Duration(HEARTBEAT, |s| &mut s.api.heartbeat);
    /// How long the answer to a write with an Idempotency-Key is kept.
    "push.idempotency_window" = "24h", Read::Duration(TIME, |s| &mut s.hub.idempotency_window);
    /// Most such answers that are kept; beyond them the oldest are forgotten.
    "push.idempotency_keys" = "1000000", Read::Count(KEPT, |s| &mut s.hub.idempotency_keys);

    /// What private keys are encrypted with in the store: 32 bytes, in hexadecimal or base64.
    "store.key" = "", Read::Secret(|s, v| { s.hub.store_key = parse::store_key(v)?; Ok(()) });
    /// How long the past of the table is kept: history, and the table as it was; 0s: for ever.
    "store.retention" = "720h", Read::Duration(RETENTION, |s| &mut s.hub.retention);

    /// How many apps get series of their own in the metrics; the others share one.
    "metrics.max_apps" = "1000", Read::Count(0..=100_000, |s| &mut s.metrics_max_apps);
    /// How many of those apps, and how many dynos of them, show there how long they take; an app is
    /// about 80 lines, a dyno 20; 0: none.
    "metrics.max_latencies" = "100", Read::Count(0..=100_000, |s| &mut s.metrics_max_series);
    /// How many apps and dynos have figures of their own, each of 17 KiB from its first exchange
    /// on; a dyno without counts with its app, an app without has none.
    "metrics.max_figures" = "4000", Read::Count(0..=1_000_000, |s| &mut s.max_figures);
}

/// A number that is the value of that setting, as it would be written in the file.
pub fn show_number(name: &str, value: u64) -> String {
    match find(name) {
        Some(Key { read: Read::Size(..), .. }) => units::show_size(value),
        _ => value.to_string(),
    }
}

/// The setting of that name.
pub fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}
