//! Real clients and real dynos: curl, Python and Node on one side, Python and Node on the other.
//!
//! Invariant: the programs use the HTTP of their own standard library, with nothing added to it.

use serde_json::{Value, json};

use crate::harness::{
    Named, Program, Router,
    program::{curl, run},
};

const DYNOS: [&str; 2] = ["app.py", "app.mjs"];

fn start(script: &str) -> (Router, Program) {
    let (router, dyno) = (Router::start(), Program::start(script));
    router.app("one", "a.test", &[&dyno.addr]);
    (router, dyno)
}

/// Runs a client's whole round: keep-alive, lengths, chunks both ways, events, HEAD.
fn round(client: &str) {
    for script in DYNOS {
        let (router, _dyno) = start(script);
        let port = router.http.port().to_string();
        assert_eq!(run(client, &["127.0.0.1", &port, "a.test"]), "ok\n", "{client} to {script}");
    }
}

#[test]
fn pythons_client_reaches_dynos_in_python_and_node() {
    round("client.py");
}

#[test]
fn nodes_client_reaches_dynos_in_python_and_node() {
    round("client.mjs");
}

/// curl's way of asking for a host that no DNS knows.
fn at(router: &Router, path: &str) -> [String; 3] {
    let port = router.http.port();
    let resolve = format!("a.test:{port}:127.0.0.1");
    ["--resolve".into(), resolve, format!("http://a.test:{port}{path}")]
}

fn ask(router: &Router, path: &str, more: &[&str]) -> String {
    let at = at(router, path);
    curl(&[more, &at.each_ref().map(String::as_str)].concat())
}

#[test]
fn curl_gets_posts_and_streams() {
    for script in DYNOS {
        let (router, _dyno) = start(script);
        let text = ask(&router, "/x?y=1", &[]);
        let seen: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&seen["path"], &seen["method"]), (&json!("/x?y=1"), &json!("GET")));
        assert_eq!(seen["headers"]["x-forwarded-for"], "127.0.0.1");
        let text = ask(&router, "/x", &["--data-binary", "hello"]);
        let seen: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&seen["length"], &seen["method"]), (&json!(5), &json!("POST")));
        let chunks: String = (0..20).map(|i| format!("chunk {i}\n")).collect();
        assert_eq!(ask(&router, "/chunks", &[]), chunks);
        assert_eq!(ask(&router, "/chunks", &["--http1.0"]), chunks);
        let events: String = (0..5).map(|i| format!("data: {i}\n\n")).collect();
        assert_eq!(ask(&router, "/events", &["--no-buffer"]), events);
        let head = ask(&router, "/x", &["--head"]);
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    }
}

#[test]
fn curl_uploads_a_file_that_it_announces_with_expect() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), vec![b'x'; 3 << 20]).unwrap();
    let data = format!("@{}", file.path().display());
    for script in DYNOS {
        let (router, _dyno) = start(script);
        for framing in ["Content-Type: text/plain", "Transfer-Encoding: chunked"] {
            let more = ["-H", "Expect: 100-continue", "-H", framing, "--data-binary", &data];
            let seen: Value = serde_json::from_str(&ask(&router, "/x", &more)).unwrap();
            assert_eq!(seen["length"], 3 << 20, "{script} {framing}");
            assert_eq!(seen["headers"].get("expect"), None, "{script} {framing}");
        }
    }
}

#[test]
fn curl_keeps_its_connection_over_requests_and_faults() {
    let (router, dyno) = (Router::start(), Named::start("one"));
    router.app("one", "a.test", &[&dyno.addr]);
    let [_, _, url] = at(&router, "/");
    let connects =
        ask(&router, "/", &["-o", "/dev/null", "-o", "/dev/null", "-w", "%{num_connects} ", &url]);
    assert_eq!(connects, "1 0 ");
}

#[test]
fn curl_reaches_a_name_under_localhost_without_any_dns() {
    let (router, dyno) = (Router::start(), Named::start("one"));
    router.app("one", "blog.localhost", &[&dyno.addr]);
    let url = format!("http://blog.localhost:{}/", router.http.port());
    assert_eq!(curl(&["--ipv4", &url]), "one GET / HTTP/1.1 0\n");
}
