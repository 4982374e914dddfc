//! One exchange as it is logged and counted, once it is over.
//!
//! The bytes are as they came from the network: nothing in a record may be trusted to be text, to
//! be short, or to be free of quotes and line ends. What writes them out takes care of that.
//! Invariant: a record borrows everything; making one allocates nothing.

use crate::error::{Fault, Severity};

/// One exchange, whole or broken.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    /// Why it ended without a dyno's whole answer, if it did.
    pub fault: Option<Fault>,
    /// The app, empty if the host was no route's.
    pub app: &'a str,
    /// The request's method.
    pub method: &'a [u8],
    /// Path and query, as received.
    pub path: &'a [u8],
    /// The host, as received or normalised.
    pub host: &'a [u8],
    /// X-Request-Id as the dyno saw it.
    pub request_id: &'a [u8],
    /// X-Forwarded-For as the dyno saw it.
    pub fwd: &'a [u8],
    /// The dyno that answered, or was tried last; empty if none was.
    pub dyno: &'a str,
    /// What came of a second dyno that had the request too: `won` or `lost`.
    pub hedge: Option<&'static str>,
    /// Milliseconds that it waited for a dyno, if it sought one.
    pub queue_ms: Option<u32>,
    /// Milliseconds until the dyno's connection stood, but for those; 0 on a reused one.
    pub connect_ms: Option<u32>,
    /// Milliseconds from there to the end of the exchange.
    pub service_ms: Option<u32>,
    /// The status that the client was sent; 0 if it was sent none.
    pub status: u16,
    /// Bytes of body that the client was sent.
    pub bytes: Option<u64>,
    /// The client's protocol: `http1.1`, `http2.0`.
    pub protocol: &'static str,
    /// Did the client speak TLS?
    pub tls: bool,
    /// `tls1.2`, `tls1.3`; none without TLS.
    pub tls_version: Option<&'static str>,
    /// The User-Agent of a misdirected request: what asked the wrong router has to be found.
    pub agent: &'a [u8],
}

impl Record<'_> {
    /// The word of `at=`.
    pub fn at(&self) -> Severity {
        self.fault.map_or(Severity::Info, |fault| fault.severity())
    }
}

#[cfg(test)]
pub(super) mod sample {
    use super::Record;

    /// An exchange that went well.
    pub(in crate::telemetry) fn record() -> Record<'static> {
        Record {
            fault: None,
            app: "blog",
            method: b"GET",
            path: b"/a?b=c",
            host: b"www.a.test",
            request_id: b"0f8d1c3e-5a51-4c9e-9a39-6f8f0b1d2e3f",
            fwd: b"203.0.113.9",
            dyno: "web.1",
            hedge: None,
            queue_ms: Some(0),
            connect_ms: Some(1),
            service_ms: Some(27),
            status: 200,
            bytes: Some(1234),
            protocol: "http1.1",
            tls: false,
            tls_version: None,
            agent: b"",
        }
    }
}
