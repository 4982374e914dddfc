//! The canonical form of an object: one line of JSON, as it is exported and as it is digested.
//!
//! It says what was pushed. Fields stand in one order, `v` (the form's version) and `kind` first,
//! then the names, then what is set; those of an app's `settings` by their names. There is no blank
//! outside of a text; a text escapes quotes, backslashes and what is below U+0020 alone, the latter
//! as `\b`, `\f`, `\n`, `\r`, `\t` or `\u00xx`.
//! Invariants: one object has one line, and another object another; a field with its default is
//! absent, so that a release that knows more fields writes the same lines for what has none of
//! them; a line that would have to change for an object that stands is a new version of the form.

use std::{
    fmt::{Display, Write},
    net::SocketAddr,
    time::Duration,
};

use super::{
    app::AppName,
    certificate::Certificate,
    change::Change,
    digest::Digest,
    dyno::{DEFAULT_WEIGHT, Dyno, DynoAddr, DynoState},
    host::HostPattern,
    network::Network,
    path::PathPrefix,
    settings::{AppSettings, Page, Pages, RouteSettings, Value},
    table::RouteKey,
};

/// The version of the form.
pub const FORM: u32 = 1;
/// Most lines are no longer, in bytes.
const LIKELY: usize = 160;

/// One object of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Object<'a> {
    /// An app, without its routes and dynos.
    App(&'a AppName, &'a AppSettings),
    /// A certificate, without its key.
    Certificate(&'a Certificate),
    /// A dyno of an app.
    Dyno(&'a AppName, &'a Dyno),
    /// A route of an app.
    Route(&'a AppName, &'a RouteKey, RouteSettings),
}

impl<'a> Object<'a> {
    /// The object that a change puts; none if it removes one.
    pub fn put_by(change: &'a Change) -> Option<Object<'a>> {
        match change {
            Change::PutApp(name, settings) => Some(Object::App(name, settings)),
            Change::PutDyno(app, dyno) => Some(Object::Dyno(app, dyno)),
            Change::PutRoute(key, app, settings) => Some(Object::Route(app, key, *settings)),
            Change::PutCertificate(certificate) => Some(Object::Certificate(certificate)),
            Change::DeleteApp(_)
            | Change::DeleteRoute(..)
            | Change::DeleteDyno(..)
            | Change::DeleteCertificate(_) => None,
        }
    }

    /// Its line, without a line end.
    pub fn line(&self) -> String {
        let mut line = String::with_capacity(LIKELY);
        line.push_str("{\"v\":");
        shown(&mut line, FORM);
        match self {
            Object::App(name, settings) => app(&mut line, name, settings),
            Object::Certificate(of) => certificate(&mut line, of),
            Object::Dyno(name, of) => dyno(&mut line, name, of),
            Object::Route(name, key, settings) => {
                texts(&mut line, [("kind", "route"), ("app", name.as_str())]);
                host(&mut line, &key.host);
                if key.path != PathPrefix::ROOT {
                    texts(&mut line, [("path", key.path.as_str())]);
                }
                let RouteSettings { protected } = settings;
                switches(&mut line, [("protected", *protected)]);
            }
        }
        line.push('}');
        line
    }

    /// What it adds to the digest of its table.
    pub fn digest(&self) -> Digest {
        Digest::of(self.line().as_bytes())
    }
}

fn app(line: &mut String, name: &AppName, settings: &AppSettings) {
    texts(line, [("kind", "app"), ("name", name.as_str())]);
    let AppSettings { maintenance, blank, is_router, protected, own, pages } = settings;
    switches(line, [("maintenance", *maintenance), ("blank", *blank), ("router", *is_router)]);
    switches(line, [("protected", *protected)]);
    if let Some(own) = own {
        group(line, "settings", |line| {
            for (name, value) in own.named() {
                match value {
                    Value::Switch(is_on) => plain(line, name, is_on),
                    Value::Number(number) => plain(line, name, number),
                    Value::Time(time) => texts(line, [(name, &*in_seconds(time))]),
                    Value::Text(text) => texts(line, [(name, text)]),
                    Value::Networks(networks) => {
                        let shown = |(first, length): &Network| format!("{first}/{length}");
                        list(line, name, &networks.iter().map(shown).collect::<Vec<_>>());
                    }
                }
            }
        });
    }
    if let Some(pages) = pages {
        let Pages { error, maintenance } = &**pages;
        group(line, "pages", |line| {
            page(line, "error", error);
            page(line, "maintenance", maintenance);
        });
    }
}

fn page(line: &mut String, name: &str, of: &Page) {
    if *of != Page::default() {
        let Page { html, json, text } = of;
        group(line, name, |line| {
            let forms = [("html", html), ("json", json), ("text", text)];
            texts(line, forms.iter().filter_map(|(name, form)| Some((*name, form.as_deref()?))));
        });
    }
}

fn host(line: &mut String, pattern: &HostPattern) {
    match pattern {
        HostPattern::Exact(host) => texts(line, [("host", host.as_str())]),
        HostPattern::Wildcard(suffix) => {
            // A host holds nothing that a text escapes.
            line.push_str(",\"host\":\"*.");
            line.push_str(suffix.as_str());
            line.push('"');
        }
    }
}

fn certificate(line: &mut String, of: &Certificate) {
    // The chain follows from its fingerprints, and the key is nobody's to read.
    let Certificate { name, hosts, not_before_s, not_after_s, key_kind, fingerprints, .. } = of;
    texts(line, [("kind", "cert"), ("name", name.as_str())]);
    list(line, "hosts", hosts);
    plain(line, "not_before_s", not_before_s);
    plain(line, "not_after_s", not_after_s);
    texts(line, [("key_kind", &*key_kind.to_string())]);
    list(line, "fingerprints", fingerprints);
}

/// A field with several texts that hold nothing to escape.
fn list(line: &mut String, name: &str, values: &[impl Display]) {
    field(line, name);
    for (at, value) in values.iter().enumerate() {
        line.push_str(if at == 0 { "[\"" } else { "\",\"" });
        shown(line, value);
    }
    line.push_str(if values.is_empty() { "[]" } else { "\"]" });
}

fn dyno(line: &mut String, app: &AppName, of: &Dyno) {
    let Dyno { name, addr, release, weight, state, ttl_s } = of;
    texts(line, [("kind", "dyno"), ("app", app.as_str()), ("name", name.as_str())]);
    match addr {
        DynoAddr::Ip(addr) => {
            line.push_str(",\"addr\":\"");
            address(line, addr);
            line.push('"');
        }
        DynoAddr::Unix(_) => texts(line, [("addr", &*addr.to_string())]),
    }
    if !release.is_empty() {
        texts(line, [("release", &**release)]);
    }
    if *weight != DEFAULT_WEIGHT {
        field(line, "weight");
        digits(line, *weight);
    }
    if *state != DynoState::default() {
        texts(line, [("state", state.as_str())]);
    }
    if let Some(ttl_s) = ttl_s {
        plain(line, "ttl_s", ttl_s);
    }
}

/// Whole seconds, else milliseconds: `60s`, `1250ms`.
fn in_seconds(time: Duration) -> String {
    match time.subsec_nanos() {
        0 => format!("{}s", time.as_secs()),
        _ => format!("{}ms", time.as_millis()),
    }
}

/// Begins a field, whose name is one of ours and needs no escape.
fn field(line: &mut String, name: &str) {
    line.push_str(if line.ends_with('{') { "\"" } else { ",\"" });
    line.push_str(name);
    line.push_str("\":");
}

/// Fields whose values are texts.
fn texts<'a>(line: &mut String, fields: impl IntoIterator<Item = (&'a str, &'a str)>) {
    for (name, value) in fields {
        field(line, name);
        text(line, value);
    }
}

/// Fields that are there where they are on.
fn switches<'a>(line: &mut String, fields: impl IntoIterator<Item = (&'a str, bool)>) {
    for (name, _) in fields.into_iter().filter(|(_, is_on)| *is_on) {
        plain(line, name, true);
    }
}

/// A field whose value is shown as it is.
fn plain(line: &mut String, name: &str, value: impl Display) {
    field(line, name);
    shown(line, value);
}

fn shown(line: &mut String, value: impl Display) {
    write!(line, "{value}").expect("a String takes all");
}

/// An address. One of IPv4 by hand, for formatting was half of a dyno's line, which is made three
/// times for each push of it.
fn address(line: &mut String, addr: &SocketAddr) {
    let SocketAddr::V4(addr) = addr else { return shown(line, addr) };
    for (at, octet) in addr.ip().octets().into_iter().enumerate() {
        line.push_str(if at == 0 { "" } else { "." });
        digits(line, octet.into());
    }
    line.push(':');
    digits(line, addr.port());
}

fn digits(line: &mut String, number: u16) {
    let mut unit = 10_000;
    while unit > 1 && number < unit {
        unit /= 10;
    }
    while unit > 0 {
        line.push(char::from(b'0' + (number / unit % 10) as u8));
        unit /= 10;
    }
}

fn group(line: &mut String, name: &str, fields: impl FnOnce(&mut String)) {
    field(line, name);
    line.push('{');
    fields(line);
    line.push('}');
}

fn text(line: &mut String, value: &str) {
    line.push('"');
    let mut rest = value;
    while let Some(at) = rest.bytes().position(|b| matches!(b, b'"' | b'\\' | ..b' ')) {
        line.push_str(&rest[..at]);
        match rest.as_bytes()[at] {
            b'"' => line.push_str("\\\""),
            b'\\' => line.push_str("\\\\"),
            0x08 => line.push_str("\\b"),
            0x0c => line.push_str("\\f"),
            b'\n' => line.push_str("\\n"),
            b'\r' => line.push_str("\\r"),
            b'\t' => line.push_str("\\t"),
            control => line.push_str(&format!("\\u{control:04x}")),
        }
        rest = &rest[at + 1..];
    }
    line.push_str(rest);
    line.push('"');
}

#[cfg(test)]
mod tests;
