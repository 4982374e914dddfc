//! What the demo's apps say: text for curl, HTML for browsers.
//!
//! Pure but for a counter. Invariant: nothing that a request holds gets into HTML unescaped.

use std::{
    fmt::{self, Write},
    sync::atomic::{AtomicU64, Ordering},
};

use http::{HeaderMap, header, request::Parts};

/// The headers that the router adds, as it writes them.
const FORWARDING: [&str; 6] = [
    "X-Forwarded-For",
    "X-Forwarded-Proto",
    "X-Forwarded-Port",
    "X-Request-Id",
    "X-Request-Start",
    "Via",
];

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:42em;margin:4em auto;\
                     padding:0 1em}table{border-collapse:collapse}td{padding:.2em 1.5em .2em 0}\
                     code{background:#8882;padding:.1em .3em}";

/// A page, and what it is.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) kind: &'static str,
    pub(super) body: String,
}

impl Page {
    /// Plain text.
    pub(super) fn text(body: String) -> Page {
        Page { kind: "text/plain; charset=utf-8", body }
    }

    fn html(title: &str, body: &str) -> Page {
        let body = format!(
            "<!doctype html>\n<meta charset=utf-8>\n<title>{title}</title>\n\
             <style>{STYLE}</style>\n{body}"
        );
        Page { kind: "text/html; charset=utf-8", body }
    }
}

/// The dyno that answers.
#[derive(Debug)]
pub(super) struct Sender {
    app: &'static str,
    name: String,
    answered: AtomicU64,
}

impl Sender {
    /// A dyno that has not answered yet.
    pub(super) fn new(app: &'static str, name: &str) -> Sender {
        Sender { app, name: name.into(), answered: AtomicU64::new(0) }
    }

    /// Its name.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Counts an answer; the first is 1.
    pub(super) fn count(&self) -> u64 {
        self.answered.fetch_add(1, Ordering::Relaxed) + 1
    }
}

impl fmt::Display for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} (process {})", self.app, self.name, std::process::id())
    }
}

/// The page of `hello`: who answers, and what the router said of the request.
pub(super) fn hello(sender: &Sender, number: u64, request: &Parts) -> Page {
    let host = value(&request.headers, "Host");
    let seen = FORWARDING.map(|name| (name, value(&request.headers, name)));
    if !wants_html(request) {
        let mut text = format!("Hello from {sender}, answer {number}.\n\n");
        let mut add = |name: &str, value: &str| {
            writeln!(text, "{name:<18} {value}").expect("a String takes all");
        };
        add("Host", &host);
        seen.iter().for_each(|(name, value)| add(name, value));
        return Page::text(text);
    }
    let mut rows = format!("<tr><td>Host<td>{}\n", escape(&host));
    for (name, value) in &seen {
        writeln!(rows, "<tr><td>{name}<td>{}", escape(value)).expect("a String takes all");
    }
    let body = format!(
        "<h1>Hello</h1>\n<p>from <b>{}</b>, its answer number {number}. Reload: another dyno may \
         answer.</p>\n<p>What it saw of your request:</p>\n<table>\n{rows}</table>\n\
         <p>Also here: <a href=\"/slow?ms=500\"><code>/slow?ms=500</code></a>, and \
         <code>/echo</code> for what you POST.</p>\n",
        escape(&sender.to_string())
    );
    Page::html("hello", &body)
}

/// The page of `clock`: the time, kept right by the events.
pub(super) fn clock(sender: &Sender, now: String, request: &Parts) -> Page {
    if !wants_html(request) {
        return Page::text(format!(
            "{now}, says {sender}.\n\nAs it goes on: /events, or /events?count=3\n"
        ));
    }
    let body = format!(
        "<h1>Clock</h1>\n<p id=now>{}, says {}</p>\n<p>It goes on by server-sent events from \
         <code>/events</code>.</p>\n<script>\n\
         new EventSource('/events').addEventListener('tick', event => {{\n  \
         document.getElementById('now').textContent = event.data\n}})\n</script>\n",
        escape(&now),
        escape(&sender.to_string())
    );
    Page::html("clock", &body)
}

/// What there is instead of what was asked for.
pub(super) fn not_found(sender: &Sender, request: &Parts) -> String {
    let path = request.uri.path();
    let here = if sender.app == "hello" { "/, /slow?ms=N and /echo" } else { "/ and /events" };
    format!("{sender} has no {path}; it has {here}\n")
}

/// A parameter of the query that is a number.
pub(super) fn number(request: &Parts, name: &str) -> Option<u64> {
    let pairs = request.uri.query()?.split('&').filter_map(|pair| pair.split_once('='));
    pairs.filter(|(key, _)| *key == name).find_map(|(_, value)| value.parse().ok())
}

fn wants_html(request: &Parts) -> bool {
    value(&request.headers, header::ACCEPT.as_str()).contains("text/html")
}

fn value(headers: &HeaderMap, name: &str) -> String {
    let values = headers.get_all(name).iter().map(|v| String::from_utf8_lossy(v.as_bytes()));
    values.collect::<Vec<_>>().join(", ")
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(uri: &str, headers: &[(&str, &str)]) -> Parts {
        let mut request = http::Request::builder().uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn a_request_cannot_write_html() {
        let sent = [("accept", "text/html"), ("host", "<script>"), ("via", "\"&'")];
        let page = hello(&Sender::new("hello", "web.1"), 1, &request("/", &sent));
        assert!(page.kind.starts_with("text/html"));
        assert!(!page.body.contains("<script>"), "{}", page.body);
        assert!(page.body.contains("&lt;script&gt;") && page.body.contains("&quot;&amp;&#39;"));
    }

    #[test]
    fn who_does_not_ask_for_html_gets_text_with_every_header() {
        let sender = Sender::new("hello", "web.2");
        let page = hello(&sender, sender.count(), &request("/", &[("via", "1.1 hostler")]));
        assert!(page.kind.starts_with("text/plain"));
        for part in ["hello web.2", "answer 1.", "1.1 hostler", "X-Request-Id"] {
            assert!(page.body.contains(part), "{part} in {}", page.body);
        }
    }

    #[test]
    fn numbers_are_read_from_the_query() {
        assert_eq!(number(&request("/slow?a=1&ms=20", &[]), "ms"), Some(20));
        for uri in ["/slow", "/slow?ms=", "/slow?ms=-1", "/slow?sms=1"] {
            assert_eq!(number(&request(uri, &[]), "ms"), None, "{uri}");
        }
    }
}
