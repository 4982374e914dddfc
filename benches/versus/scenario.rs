//! What is compared: each scenario is a way to speak to a proxy and a kind of work on it.
//!
//! Invariants: whatever a scenario is, every rival gets the same bytes from the same load; a
//! scenario differs from its neighbour in one thing, the way or the work.

use std::fmt;

use clap::ValueEnum;
use serde::Serialize;

use crate::plan::Plan;
use crate::uneven;

/// How clients speak to a proxy; dynos are always spoken to in plain HTTP/1.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Way {
    /// HTTP/1.1 in clear text.
    Plain,
    /// HTTP/1.1 over TLS 1.3.
    Tls,
    /// HTTP/2 in clear text with prior knowledge.
    H2,
    /// HTTP/2 over TLS 1.3, chosen by ALPN.
    H2Tls,
}

impl Way {
    /// Every way.
    pub const ALL: [Way; 4] = [Way::Plain, Way::Tls, Way::H2, Way::H2Tls];

    /// Is it encrypted?
    pub fn is_tls(self) -> bool {
        matches!(self, Way::Tls | Way::H2Tls)
    }

    /// Is it HTTP/2?
    pub fn is_h2(self) -> bool {
        matches!(self, Way::H2 | Way::H2Tls)
    }
}

/// What is done there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// Small answers on kept connections.
    Kept,
    /// Small answers, a new connection for each, nothing of TLS resumed.
    Fresh,
    /// The same, every TLS session resumed.
    Resumed,
    /// 10 MB answers on kept connections.
    Big,
    /// 10 MB uploads on kept connections.
    Upload,
    /// Requests that come when they come, to dynos that take time, of which one is slow.
    Uneven,
    /// Connections that wait for a next request.
    Idle,
}

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scenario {
    /// Small answers on kept connections.
    Keepalive,
    /// Small answers, a new connection for each request.
    Close,
    /// 10 MB answers on kept connections.
    Big,
    /// 10 MB uploads on kept connections.
    Upload,
    /// Small answers on kept TLS connections.
    Tls,
    /// A full TLS handshake, a request and the end for each connection.
    Handshake,
    /// The same with resumed sessions.
    Resume,
    /// 10 MB answers over TLS.
    TlsBig,
    /// 10 MB uploads over TLS.
    TlsUpload,
    /// Small answers, HTTP/2 in clear text, many streams a connection.
    H2,
    /// Small answers, HTTP/2 over TLS, many streams a connection.
    H2Tls,
    /// Four dynos that take time, one of them ten times as much; requests come when they come.
    Uneven,
    /// Memory of connections that wait for a next request.
    Idle,
    /// Memory of TLS connections that wait.
    TlsIdle,
    /// Memory of HTTP/2 connections that wait, in clear text.
    H2Idle,
    /// Memory of HTTP/2 connections that wait, over TLS.
    H2TlsIdle,
}

impl Scenario {
    /// What it does, and by which way.
    pub fn parts(self) -> (Way, Work) {
        match self {
            Scenario::Keepalive => (Way::Plain, Work::Kept),
            Scenario::Close => (Way::Plain, Work::Fresh),
            Scenario::Big => (Way::Plain, Work::Big),
            Scenario::Upload => (Way::Plain, Work::Upload),
            Scenario::Tls => (Way::Tls, Work::Kept),
            Scenario::Handshake => (Way::Tls, Work::Fresh),
            Scenario::Resume => (Way::Tls, Work::Resumed),
            Scenario::TlsBig => (Way::Tls, Work::Big),
            Scenario::TlsUpload => (Way::Tls, Work::Upload),
            Scenario::H2 => (Way::H2, Work::Kept),
            Scenario::H2Tls => (Way::H2Tls, Work::Kept),
            Scenario::Uneven => (Way::Plain, Work::Uneven),
            Scenario::Idle => (Way::Plain, Work::Idle),
            Scenario::TlsIdle => (Way::Tls, Work::Idle),
            Scenario::H2Idle => (Way::H2, Work::Idle),
            Scenario::H2TlsIdle => (Way::H2Tls, Work::Idle),
        }
    }

    /// The way alone.
    pub fn way(self) -> Way {
        self.parts().0
    }

    /// The work alone.
    pub fn work(self) -> Work {
        self.parts().1
    }

    /// Connections at a time.
    pub fn connections(self, plan: &Plan) -> u32 {
        match self.parts() {
            (Way::Plain, Work::Idle) => plan.idle,
            (_, Work::Idle) => plan.idle_tls.min(plan.idle),
            (_, Work::Uneven) => plan.uneven_connections,
            (_, Work::Big | Work::Upload) => plan.big_connections,
            (Way::H2 | Way::H2Tls, _) => plan.h2_connections,
            _ => plan.connections,
        }
    }

    /// A heading for its table.
    pub fn title(self, plan: &Plan) -> String {
        let count = self.connections(plan);
        let way = match self.way() {
            Way::Plain => "HTTP/1.1",
            Way::Tls => "HTTP/1.1 over TLS 1.3",
            Way::H2 => "HTTP/2 in clear text",
            Way::H2Tls => "HTTP/2 over TLS 1.3",
        };
        let streams = match self.way().is_h2() {
            true => format!(" of {} streams", plan.streams),
            false => String::new(),
        };
        let work = match self.work() {
            Work::Kept => format!("small answers, {count} kept connections{streams}"),
            Work::Fresh => format!("small answers, a new connection each, {count} at a time"),
            Work::Resumed => {
                format!(
                    "small answers, a new connection with a resumed session each, {count} at a time"
                )
            }
            Work::Big => format!("10 MB answers, {count} kept connections"),
            Work::Upload => format!("10 MB uploads, {count} kept connections"),
            Work::Uneven => {
                let (rate, took, slow) = (uneven::RATE, uneven::MEDIAN, uneven::SLOWNESS);
                format!("{rate} requests/s to 4 dynos of median {took:?}, one x{slow} as slow")
            }
            Work::Idle => format!("memory of {count} idle connections"),
        };
        format!("{}: {way}, {work}", self)
    }
}

/// Its name on the command line and in JSON.
impl fmt::Display for Scenario {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value();
        to.write_str(value.as_ref().map_or("", |value| value.get_name()))
    }
}
