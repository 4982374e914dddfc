//! What the rules say of one exchange: what its dyno and its client receive, and which connections
//! may carry another.
//!
//! Written from RFC 9110, RFC 9112 and docs/requests.md, not from the router. Invariant: a plan
//! alone decides; what the router may choose freely (an id, a time) is matched, not predicted.

use std::net::SocketAddr;

use super::plan::{Answer, Body, Chunks, Exchange, Fields, Pace, Request};
use crate::harness::Head;

/// Removed both ways (RFC 9110, 7.6.1), besides what `Connection` names.
const HOP_BY_HOP: [&str; 6] =
    ["connection", "keep-alive", "proxy-connection", "te", "transfer-encoding", "upgrade"];
/// Written by the router on the way to a dyno, whatever the client sent.
const SET_FOR_DYNO: [&str; 8] = [
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-port",
    "x-request-id",
    "x-request-start",
    "via",
    "content-length",
    "hostler-error",
];
/// Written by the router on the way to a client, but for a date of the dyno's own.
const SET_FOR_CLIENT: [&str; 4] = ["via", "content-length", "hostler-error", "date"];
/// The trailers of the plans that do not pass: they frame, route or vouch.
const HELD_BACK: [&str; 4] = ["content-length", "x-forwarded-for", "x_request_id", "host"];

/// What stands in a header that the router wrote.
#[derive(Debug, Clone)]
pub enum Value {
    Is(String),
    /// A request id of the router's: a UUID.
    Fresh,
    /// Milliseconds since the epoch.
    Millis,
    /// A date of the router's.
    Date,
}

impl Value {
    fn takes(&self, text: &str) -> bool {
        match self {
            Value::Is(value) => value == text,
            Value::Fresh => text.len() == 36 && text.bytes().filter(|b| *b == b'-').count() == 4,
            Value::Millis => text.len() == 13 && text.bytes().all(|b| b.is_ascii_digit()),
            Value::Date => text.len() == 29 && text.ends_with(" GMT"),
        }
    }
}

/// A message as it is received.
#[derive(Debug)]
pub struct Message {
    pub line: String,
    /// What passed, in order.
    pub kept: Fields,
    /// What the router wrote, each once.
    pub written: Vec<(&'static str, Value)>,
    /// Every byte behind the head.
    pub body: Vec<u8>,
}

impl Message {
    /// Panics unless this is the head.
    pub fn check(&self, head: &Head) {
        assert_eq!(head.line, self.line);
        let is_written =
            |name: &str| self.written.iter().any(|(n, _)| name.eq_ignore_ascii_case(n));
        let kept: Fields =
            head.fields.iter().filter(|(name, _)| !is_written(name)).cloned().collect();
        assert_eq!(kept, self.kept, "{head:?}");
        for (name, value) in &self.written {
            let all = head.all(name);
            assert!(all.len() == 1 && value.takes(all[0]), "{name} is no {value:?}: {head:?}");
        }
    }
}

/// What the dyno receives of a request, if all of it is sent.
pub fn to_dyno(request: &Request, http: SocketAddr) -> Message {
    let fields = &request.fields;
    let mut kept = end_to_end(fields);
    kept.retain(|(name, _)| {
        let name = name.to_ascii_lowercase();
        !SET_FOR_DYNO.contains(&name.as_str()) && name != "expect" && name != "x_request_id"
    });
    let joined = |name: &str, own: &str| {
        let mut values = all(fields, name);
        values.push(own);
        Value::Is(values.join(", "))
    };
    let mut written = vec![
        ("X-Forwarded-For", joined("x-forwarded-for", "127.0.0.1")),
        ("X-Forwarded-Proto", Value::Is("http".into())),
        ("X-Forwarded-Port", Value::Is(http.port().to_string())),
        ("X-Request-Start", Value::Millis),
        ("Via", joined("via", &format!("1.{} hostler", request.minor))),
    ];
    let id = all(fields, "x-request-id").first().map(|id| Value::Is((*id).to_owned()));
    written.push(("X-Request-Id", id.unwrap_or(Value::Fresh)));
    let body = match &request.body {
        Body::Length(data) => {
            written.push(("Content-Length", Value::Is(data.len().to_string())));
            data.clone()
        }
        Body::Chunked(chunks) => {
            written.push(("Transfer-Encoding", Value::Is("chunked".into())));
            chunked(chunks)
        }
        _ => Vec::new(),
    };
    Message {
        line: format!("{} {} HTTP/1.1", request.method, request.target.1),
        kept,
        written,
        body,
    }
}

/// The interim heads that the client receives before the final one.
pub fn interim(exchange: &Exchange) -> Vec<Message> {
    if exchange.request.minor == 0 {
        return Vec::new();
    }
    let is_invited = exchange.request.pace == Pace::Invited;
    let passing =
        exchange.answer.interim.iter().filter(|(status, _)| *status != 100 || !is_invited);
    passing
        .map(|(status, fields)| match status {
            100 => continue_100(),
            _ => Message {
                line: format!("HTTP/1.1 {status} Interim"),
                kept: fields.clone(),
                written: vec![("Via", Value::Is("1.1 hostler".into()))],
                body: Vec::new(),
            },
        })
        .collect()
}

/// The 100 that anybody sends: a bare line.
pub fn continue_100() -> Message {
    let line = "HTTP/1.1 100 Continue".into();
    Message { line, kept: Vec::new(), written: Vec::new(), body: Vec::new() }
}

/// The final answer that the client receives.
pub fn to_client(exchange: &Exchange) -> Message {
    let (request, answer) = (&exchange.request, &exchange.answer);
    let mut kept = end_to_end(&answer.fields);
    kept.retain(|(name, _)| !SET_FOR_CLIENT.contains(&name.to_ascii_lowercase().as_str()));
    let mut via = all(&answer.fields, "via");
    let own = format!("1.{} hostler", answer.minor);
    via.push(&own);
    let date = all(&answer.fields, "date").first().map(|date| Value::Is((*date).to_owned()));
    let mut written =
        vec![("Via", Value::Is(via.join(", "))), ("Date", date.unwrap_or(Value::Date))];
    match (client_goes_on(exchange), request.minor) {
        (true, 1) => {}
        (true, _) => written.push(("Connection", Value::Is("keep-alive".into()))),
        (false, _) => written.push(("Connection", Value::Is("close".into()))),
    }
    let body = match &answer.body {
        Body::None => Vec::new(),
        Body::Described(name, value) => {
            // Of a 204 nothing can be described (RFC 9110, 8.6); how a body would have been framed
            // was between the dyno and the router.
            if *name == "Content-Length" && answer.status != 204 {
                written.push(("Content-Length", Value::Is((*value).into())));
            }
            Vec::new()
        }
        Body::Length(data) => {
            written.push(("Content-Length", Value::Is(data.len().to_string())));
            data.clone()
        }
        Body::UntilClose(data) => data.clone(),
        Body::Chunked(chunks) if request.minor == 0 => {
            chunks.chunks.iter().flat_map(|chunk| chunk.data.clone()).collect()
        }
        Body::Chunked(chunks) => {
            written.push(("Transfer-Encoding", Value::Is("chunked".into())));
            chunked(chunks)
        }
    };
    let line = format!("HTTP/1.1 {} {}", answer.status, answer.reason);
    Message { line, kept, written, body }
}

/// May the client's connection carry another request (RFC 9112, 9.3)?
pub fn client_goes_on(exchange: &Exchange) -> bool {
    let request = &exchange.request;
    stays(&request.fields, request.minor)
        && request.pace != Pace::Overtaken
        && !ends_with_connection(&exchange.answer, request.minor)
}

/// May the dyno's connection carry another request?
pub fn dyno_goes_on(exchange: &Exchange) -> bool {
    let answer = &exchange.answer;
    stays(&answer.fields, answer.minor)
        && exchange.request.pace != Pace::Overtaken
        && !matches!(answer.body, Body::UntilClose(_))
}

/// Does a receiver of this version know the end of the answer by the end of its connection?
fn ends_with_connection(answer: &Answer, minor: u8) -> bool {
    match answer.body {
        Body::UntilClose(_) => true,
        Body::Chunked(_) => minor == 0,
        _ => false,
    }
}

/// What a sender of these headers says of its connection.
fn stays(fields: &Fields, minor: u8) -> bool {
    let options = options(fields);
    let has = |option: &str| options.iter().any(|o| o == option);
    !has("close") && (minor == 1 || has("keep-alive"))
}

fn options(fields: &Fields) -> Vec<String> {
    let values = all(fields, "connection").join(",");
    values.split(',').map(|option| option.trim().to_ascii_lowercase()).collect()
}

fn end_to_end(fields: &Fields) -> Fields {
    let named = options(fields);
    let passes = |name: &str| {
        let name = name.to_ascii_lowercase();
        !HOP_BY_HOP.contains(&name.as_str()) && !named.contains(&name)
    };
    fields.iter().filter(|(name, _)| passes(name)).cloned().collect()
}

fn all<'a>(fields: &'a Fields, name: &str) -> Vec<&'a str> {
    let named = fields.iter().filter(|(field, _)| field.eq_ignore_ascii_case(name));
    named.map(|(_, value)| value.as_str()).collect()
}

/// Chunks as they pass: sizes as they came, no extensions, trailers less those that are held back.
fn chunked(chunks: &Chunks) -> Vec<u8> {
    let mut out = Vec::new();
    for chunk in &chunks.chunks {
        out.extend(format!("{}\r\n", chunk.size).into_bytes());
        out.extend_from_slice(&chunk.data);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"0\r\n");
    for (name, value) in &chunks.trailers {
        if !HELD_BACK.contains(&name.to_ascii_lowercase().as_str()) {
            out.extend(format!("{name}: {value}\r\n").into_bytes());
        }
    }
    out.extend_from_slice(b"\r\n");
    out
}
