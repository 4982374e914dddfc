//! The text of one exchange: Heroku's fields in Heroku's order, or one JSON object.
//!
//! Invariants: a line is written into a buffer that has grown to its size and allocates nothing
//! then; it ends in its only line end; nothing that came from the network breaks out of its field;
//! an unknown value has an empty right-hand side (logfmt) or is null (JSON).

use super::{
    escape::{bare, number, quoted},
    record::Record,
};
use crate::error::Fault;

/// The most bytes of path and query that a line shows.
pub const MAX_PATH: usize = 4096;
/// The most bytes of any other field that came from the network.
pub const MAX_FIELD: usize = 512;
/// The longest line: the path and eight other fields, each byte of them escaped as six, and what
/// stands between them.
pub const MAX_LINE: usize = 6 * (MAX_PATH + 8 * MAX_FIELD) + 1024;

/// What is written for each exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// `key=value` pairs in the order that users of Heroku's router know.
    #[default]
    Logfmt,
    /// One object a line.
    Json,
    /// Nothing.
    Off,
}

impl LogFormat {
    /// Every format, with the word that names it in the settings.
    pub const ALL: [(&'static str, LogFormat); 3] =
        [("logfmt", LogFormat::Logfmt), ("json", LogFormat::Json), ("off", LogFormat::Off)];
}

/// Appends the line of one exchange, its line end included.
#[inline]
pub fn write(out: &mut Vec<u8>, format: LogFormat, record: &Record<'_>) {
    match format {
        LogFormat::Logfmt => logfmt(out, record),
        LogFormat::Json => json(out, record),
        LogFormat::Off => {}
    }
}

fn logfmt(out: &mut Vec<u8>, record: &Record<'_>) {
    if let Some(sock) = record.fault.and_then(|fault| fault.sock()) {
        text(out, "sock=", sock);
        out.push(b' ');
    }
    text(out, "at=", record.at().as_str());
    if let Some(fault) = record.fault {
        text(out, " code=", fault.code());
        text(out, " desc=\"", fault.desc());
        out.push(b'"');
        if let Some(cause) = fault.cause() {
            text(out, " cause=\"", cause);
            out.push(b'"');
        }
    }
    text(out, " method=", "");
    bare(out, record.method, MAX_FIELD);
    text(out, " path=", "");
    quoted(out, record.path, MAX_PATH);
    text(out, " host=", "");
    bare(out, record.host, MAX_FIELD);
    text(out, " request_id=", "");
    bare(out, record.request_id, MAX_FIELD);
    text(out, " fwd=", "");
    quoted(out, last(record.fwd), MAX_FIELD);
    text(out, " dyno=", "");
    bare(out, record.dyno.as_bytes(), MAX_FIELD);
    text(out, " connect=", "");
    millis(out, record.connect_ms);
    text(out, " service=", "");
    millis(out, record.service_ms);
    text(out, " status=", "");
    if record.status != 0 {
        number(out, record.status.into());
    }
    text(out, " bytes=", "");
    if let Some(bytes) = record.bytes {
        number(out, bytes);
    }
    text(out, " protocol=", record.protocol);
    text(out, " tls=", if record.tls { "true" } else { "false" });
    text(out, " tls_version=", record.tls_version.unwrap_or_default());
    text(out, " queue=", "");
    millis(out, record.queue_ms);
    if let Some(hedge) = record.hedge {
        text(out, " hedge=", hedge);
    }
    if let Some(agent) = agent(record) {
        text(out, " agent=", "");
        quoted(out, agent, MAX_FIELD);
    }
    out.push(b'\n');
}

/// The user agent, where the line has a place for it.
fn agent<'a>(record: &Record<'a>) -> Option<&'a [u8]> {
    (record.fault == Some(Fault::Misdirected)).then_some(record.agent)
}

/// The end of a list of addresses that is too long: there stands the one that the router saw
/// itself.
fn last(addresses: &[u8]) -> &[u8] {
    let from = addresses.len().saturating_sub(MAX_FIELD);
    let kept = &addresses[from..];
    let entry = if from == 0 { None } else { memchr::memchr(b',', kept) };
    entry.map_or(kept, |comma| &kept[comma..])
}

fn millis(out: &mut Vec<u8>, value: Option<u32>) {
    if let Some(value) = value {
        number(out, value.into());
        out.extend_from_slice(b"ms");
    }
}

#[inline]
fn text(out: &mut Vec<u8>, key: &'static str, value: &'static str) {
    out.extend_from_slice(key.as_bytes());
    out.extend_from_slice(value.as_bytes());
}

fn json(out: &mut Vec<u8>, record: &Record<'_>) {
    out.push(b'{');
    if let Some(sock) = record.fault.and_then(|fault| fault.sock()) {
        text(out, "\"sock\":\"", sock);
        out.extend_from_slice(b"\",");
    }
    text(out, "\"at\":\"", record.at().as_str());
    out.push(b'"');
    if let Some(fault) = record.fault {
        text(out, ",\"code\":\"", fault.code());
        text(out, "\",\"desc\":\"", fault.desc());
        if let Some(cause) = fault.cause() {
            text(out, "\",\"cause\":\"", cause);
        }
        out.push(b'"');
    }
    for (key, bytes, max) in [
        (",\"app\":", record.app.as_bytes(), MAX_FIELD),
        (",\"method\":", record.method, MAX_FIELD),
        (",\"path\":", record.path, MAX_PATH),
        (",\"host\":", record.host, MAX_FIELD),
        (",\"request_id\":", record.request_id, MAX_FIELD),
        (",\"fwd\":", last(record.fwd), MAX_FIELD),
        (",\"dyno\":", record.dyno.as_bytes(), MAX_FIELD),
    ] {
        text(out, key, "");
        quoted(out, bytes, max);
    }
    for (key, value) in [
        (",\"queue_ms\":", record.queue_ms.map(u64::from)),
        (",\"connect_ms\":", record.connect_ms.map(u64::from)),
        (",\"service_ms\":", record.service_ms.map(u64::from)),
        (",\"status\":", (record.status != 0).then_some(record.status.into())),
        (",\"bytes\":", record.bytes),
    ] {
        text(out, key, "");
        match value {
            Some(value) => number(out, value),
            None => text(out, "null", ""),
        }
    }
    text(out, ",\"protocol\":\"", record.protocol);
    text(out, "\",\"tls\":", if record.tls { "true" } else { "false" });
    match record.tls_version {
        Some(version) => {
            text(out, ",\"tls_version\":\"", version);
            out.push(b'"');
        }
        None => text(out, ",\"tls_version\":null", ""),
    }
    if let Some(hedge) = record.hedge {
        text(out, ",\"hedge\":\"", hedge);
        out.push(b'"');
    }
    if let Some(agent) = agent(record) {
        text(out, ",\"agent\":", "");
        quoted(out, agent, MAX_FIELD);
    }
    text(out, "}\n", "");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{error::Fault, telemetry::record::sample};

    fn line(format: LogFormat, record: &Record<'_>) -> String {
        let mut out = Vec::new();
        write(&mut out, format, record);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn an_exchange_without_a_fault_has_herokus_fields_in_order() {
        assert_eq!(
            line(LogFormat::Logfmt, &sample::record()),
            "at=info method=GET path=\"/a?b=c\" host=www.a.test \
             request_id=0f8d1c3e-5a51-4c9e-9a39-6f8f0b1d2e3f fwd=\"203.0.113.9\" dyno=web.1 \
             connect=1ms service=27ms status=200 bytes=1234 protocol=http1.1 tls=false \
             tls_version= queue=0ms\n"
        );
    }

    #[test]
    fn the_address_that_the_router_saw_is_never_cut_off() {
        let fwd = format!("{}, 203.0.113.9", "9".repeat(3000));
        let record = Record { fwd: fwd.as_bytes(), ..sample::record() };
        for format in [LogFormat::Logfmt, LogFormat::Json] {
            let line = line(format, &record);
            assert!(line.contains(", 203.0.113.9\"") && line.len() < 1000, "{line}");
        }
    }

    #[test]
    fn a_fault_before_a_dyno_was_chosen_leaves_its_fields_empty() {
        let record = Record {
            fault: Some(Fault::NoDynos),
            dyno: "",
            queue_ms: None,
            connect_ms: None,
            service_ms: None,
            status: 503,
            bytes: None,
            tls: true,
            tls_version: Some("tls1.3"),
            request_id: b"id",
            ..sample::record()
        };
        assert_eq!(
            line(LogFormat::Logfmt, &record),
            "at=error code=H14 desc=\"No web processes running\" method=GET path=\"/a?b=c\" \
             host=www.a.test request_id=id fwd=\"203.0.113.9\" dyno= connect= service= status=503 \
             bytes= protocol=http1.1 tls=true tls_version=tls1.3 queue=\n"
        );
    }

    #[test]
    fn sock_stands_first_and_cause_after_desc() {
        let left = Record { fault: Some(Fault::ClientInterrupted), ..sample::record() };
        let text = line(LogFormat::Logfmt, &left);
        assert!(text.starts_with("sock=client at=warning code=H27 desc=\"Client"), "{text}");
        let broke = Record { fault: Some(Fault::ServerInterrupted), ..sample::record() };
        assert!(line(LogFormat::Logfmt, &broke).starts_with("sock=backend at=error code=H18 "));
        let expect = Record { fault: Some(Fault::BadExpect), ..sample::record() };
        let text = line(LogFormat::Logfmt, &expect);
        assert!(
            text.contains(
                "desc=\"Request Error\" cause=\"unsupported expect header value\" method="
            ),
            "{text}"
        );
    }

    #[test]
    fn that_a_second_dyno_had_the_request_too_stands_at_the_end() {
        let won = Record { hedge: Some("won"), ..sample::record() };
        assert!(line(LogFormat::Logfmt, &won).ends_with(" queue=0ms hedge=won\n"));
        assert!(line(LogFormat::Json, &won).ends_with(",\"hedge\":\"won\"}\n"));
    }

    #[test]
    fn an_exchange_cut_by_the_router_has_no_status() {
        let cut = Record { fault: Some(Fault::ForcedClose), status: 0, ..sample::record() };
        assert!(line(LogFormat::Logfmt, &cut).contains(" status= bytes=1234 "));
        assert!(line(LogFormat::Json, &cut).contains(",\"status\":null,"));
    }

    #[test]
    fn a_path_cannot_forge_a_field_or_a_line() {
        let path = b"/\" dyno=web.9\nat=info method=GET";
        let text = line(LogFormat::Logfmt, &Record { path, ..sample::record() });
        assert!(text.contains(r#" path="/\" dyno=web.9\nat=info method=GET" host="#), "{text}");
        assert_eq!(text.matches('\n').count(), 1);
    }

    #[test]
    fn a_host_cannot_forge_a_field() {
        let text = line(LogFormat::Logfmt, &Record { host: b"a dyno=web.9", ..sample::record() });
        assert!(text.contains(" host=\"a dyno=web.9\" request_id="), "{text}");
    }

    #[test]
    fn json_has_the_same_fields_and_the_app() {
        let record = Record { fault: Some(Fault::BadChunk), path: b"/\xff\"", ..sample::record() };
        let value: serde_json::Value =
            serde_json::from_str(&line(LogFormat::Json, &record)).unwrap();
        assert_eq!(
            value,
            serde_json::json!({
                "at": "error", "code": "H26", "desc": "Request Error", "cause": "bad chunk",
                "app": "blog", "method": "GET", "path": "/\\xff\"", "host": "www.a.test",
                "request_id": "0f8d1c3e-5a51-4c9e-9a39-6f8f0b1d2e3f", "fwd": "203.0.113.9",
                "dyno": "web.1", "queue_ms": 0,
                "connect_ms": 1, "service_ms": 27, "status": 200, "bytes": 1234,
                "protocol": "http1.1", "tls": false, "tls_version": null,
            })
        );
    }

    #[test]
    fn the_fixed_texts_of_all_faults_need_no_escape() {
        for fault in Fault::ALL {
            for text in [fault.code(), fault.desc(), fault.cause().unwrap_or_default()] {
                assert!(text.bytes().all(|b| (b' '..0x7f).contains(&b) && b != b'"' && b != b'\\'));
            }
        }
    }

    proptest! {
        #[test]
        fn any_bytes_make_one_line_within_the_bound(
            bytes in proptest::collection::vec(any::<u8>(), 0..9000),
        ) {
            let hostile = Record {
                method: &bytes, path: &bytes, host: &bytes, request_id: &bytes, fwd: &bytes,
                ..sample::record()
            };
            for format in [LogFormat::Logfmt, LogFormat::Json] {
                let text = line(format, &hostile);
                prop_assert!(text.len() <= MAX_LINE);
                prop_assert_eq!(text.find(char::is_control), Some(text.len() - 1));
            }
            let json: Result<serde_json::Value, _> =
                serde_json::from_str(&line(LogFormat::Json, &hostile));
            prop_assert!(json.is_ok());
        }
    }
}
