//! curl's round, step by step, and what only curl's users do.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::Stdio,
};

use serde_json::Value;

use super::round::{HOST, Told};
use crate::harness::{
    Named, Router,
    program::{curl, run},
    until,
};

const LARGE: usize = 8 << 20;

/// One curl user, and the files that curl reads and writes.
struct Curl<'a> {
    told: &'a Told,
    files: tempfile::TempDir,
}

impl Curl<'_> {
    fn url(&self, path: &str) -> String {
        format!("http://{HOST}:{}{path}", self.told.port)
    }

    /// curl's way of asking for a host that no DNS knows.
    fn command(&self, path: &str, more: &[&str]) -> std::process::Command {
        let resolve = format!("{HOST}:{}:127.0.0.1", self.told.port);
        curl(&[more, &["--resolve", &resolve, &self.url(path)]].concat())
    }

    fn ask(&self, path: &str, more: &[&str]) -> Vec<u8> {
        run(self.command(path, more))
    }

    fn text(&self, path: &str, more: &[&str]) -> String {
        self.ask(path, more).iter().map(|byte| char::from(*byte)).collect()
    }

    /// What the dyno saw.
    fn echo(&self, path: &str, more: &[&str]) -> Value {
        let text = self.ask(path, &[more, &["--fail"]].concat());
        serde_json::from_slice(&text).unwrap()
    }

    /// A file with what `/bytes/N` answers.
    fn file(&self, size: usize) -> PathBuf {
        let path = self.files.path().join(format!("body-{size}"));
        let bytes: Vec<u8> = (0..size).map(|i| (i % 251) as u8).collect();
        fs::write(&path, bytes).unwrap();
        path
    }
}

/// The whole round.
pub fn round(told: &Told) {
    let curl = Curl { told, files: tempfile::tempdir().unwrap() };
    let folder = Path::new(&told.folder);
    kept(&curl);
    bodies(&curl);
    without_bodies(&curl);
    fields(&curl);
    errors(&curl);
    if told.features.contains("trailers") {
        let text = curl.text("/trailers", &["--include", "--raw"]);
        assert!(text.ends_with("0\r\nX-Sum: 42\r\n\r\n"), "{text}");
    }
    events(&curl, folder);
    many(&curl, "/echo?many=[1-200]", 200);
    leave(&curl, folder);
    while !folder.join("stop").exists() {
        many(&curl, "/echo?loop=[1-50]", 50);
    }
}

fn kept(curl: &Curl<'_>) {
    let connects =
        curl.text("/echo?[1-5]", &["-o", "/dev/null", "-w", "%{http_code} %{num_connects},"]);
    assert_eq!(connects, "200 1,200 0,200 0,200 0,200 0,");
}

fn bodies(curl: &Curl<'_>) {
    for size in [0, 1, 1000, 65536, LARGE] {
        let path = curl.file(size);
        let (file, data) = (path.display().to_string(), format!("@{}", path.display()));
        for more in [
            &["--data-binary", &data][..],
            &["-H", "Expect: 100-continue", "--data-binary", &data],
            &["-H", "Transfer-Encoding: chunked", "--upload-file", &file],
        ] {
            if size == 0 && more.contains(&file.as_str()) {
                // curl 7.88 does not end an empty body in chunks.
                continue;
            }
            let seen = curl.echo("/echo", more);
            assert_eq!((&seen["length"], &seen["headers"]["expect"]), (&size.into(), &Value::Null));
            let sum = sha256(&fs::read(&path).unwrap());
            assert_eq!(seen["sha256"], sum, "{more:?}");
        }
        for kind in ["bytes", "chunks"] {
            for version in ["--http1.1", "--http1.0"] {
                let got = curl.ask(&format!("/{kind}/{size}"), &[version]);
                assert!(got == fs::read(&path).unwrap(), "{kind} {size} {version}");
            }
        }
    }
    let data = format!("@{}", curl.file(LARGE).display());
    let heads = curl.text("/echo", &["--include", "--data-binary", &data]);
    assert!(heads.starts_with("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n"), "{heads}");
}

fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest;
    sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn without_bodies(curl: &Curl<'_>) {
    let head = curl.text("/bytes/1000", &["--head"]);
    assert!(head.to_lowercase().contains("\r\ncontent-length: 1000\r\n"), "{head}");
    for status in [204, 304] {
        let text = curl.text(&format!("/status/{status}"), &["--include"]);
        assert!(text.starts_with(&format!("HTTP/1.1 {status} ")), "{text}");
        assert!(text.contains("\"tag\"") && text.ends_with("\r\n\r\n"), "{text}");
    }
    // On one connection, so that a body too much would be taken for an answer.
    let codes = curl.text("/status/{304,204,304}", &["-o", "/dev/null", "-w", "%{http_code},"]);
    assert_eq!(codes, "304,204,304,");
    let redirect =
        curl.text("/redirect", &["-o", "/dev/null", "-w", "%{http_code} %{redirect_url}"]);
    assert_eq!(redirect, format!("302 {}", curl.url("/echo?redirected")));
    assert_eq!(curl.echo("/redirect", &["--location"])["path"], "/echo?redirected");
}

fn fields(curl: &Curl<'_>) {
    let text = curl.text("/fields", &["--include"]).to_lowercase();
    for line in ["set-cookie: a=1; path=/", "set-cookie: b=2; path=/", "x-odd: caf\u{e9}"] {
        assert!(text.contains(&format!("\r\n{line}\r\n")), "{line:?} is not in {text:?}");
    }
    assert!(text.contains("x-multi: one"), "{text}");
    use std::os::unix::ffi::OsStrExt;
    let mut command = curl.command("/echo", &["-b", "a=1; b=2", "-H", "X-Empty;"]);
    command.args(["-H", "X-Two: 1", "-H", "X-Two: 2", "-H"]);
    command.arg(std::ffi::OsStr::from_bytes(b"X-Odd: caf\xe9"));
    let seen: Value = serde_json::from_slice(&run(command)).unwrap();
    let seen = &seen["headers"];
    assert_eq!((&seen["cookie"], &seen["x-empty"]), (&"a=1; b=2".into(), &"".into()));
    assert_eq!(seen["x-odd"], "caf\u{e9}");
    assert_eq!(seen["x-two"].as_str().unwrap().replace(' ', ""), "1,2");
    assert_eq!(seen["x-forwarded-for"], "127.0.0.1");
}

fn errors(curl: &Curl<'_>) {
    for (accept, kind) in [
        ("application/json", "application/problem+json"),
        ("text/html", "text/html; charset=utf-8"),
        ("text/plain", "text/plain; charset=utf-8"),
    ] {
        let accept = format!("Accept: {accept}");
        let more = ["-H", "Host: nobody.test", "-H", &accept, "-o", "/dev/null", "-w"];
        let seen = curl.text("/", &[&more[..], &["%{http_code} %{content_type}"]].concat());
        assert_eq!(seen, format!("404 {kind}"));
    }
}

fn events(curl: &Curl<'_>, folder: &Path) {
    let mut command = curl.command(&format!("/events?{}", folder.display()), &["--no-buffer"]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut seen = Vec::new();
    for line in BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap) {
        if line.starts_with("data: ") {
            // The dyno goes on only now: an event that is held back anywhere ends the round.
            fs::write(folder.join(format!("event-{}", seen.len())), "").unwrap();
            seen.push(line);
        }
    }
    assert!(child.wait().unwrap().success());
    assert_eq!(seen, ["data: 0", "data: 1", "data: 2"]);
}

fn many(curl: &Curl<'_>, paths: &str, count: usize) {
    let pool = ["--parallel", "--parallel-max", "20", "-o", "/dev/null", "-w", "%{http_code}\n"];
    let codes = curl.text(paths, &pool);
    assert_eq!(codes, "200\n".repeat(count));
}

fn leave(curl: &Curl<'_>, folder: &Path) {
    let mut command = curl.command(&format!("/hold?{}", folder.display()), &[]);
    let mut child = command.spawn().unwrap();
    until("the dyno has begun", || folder.join("begun").exists());
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn curl_keeps_its_connection_over_faults() {
    let (router, dyno) = (Router::start(), Named::start("one"));
    router.app("one", "blog.localhost", &[&dyno.addr]);
    let url = |host: &str| format!("http://{host}.localhost:{}/", router.http.port());
    let outputs = ["-o", "/dev/null", "-o", "/dev/null", "-o", "/dev/null"];
    let more = ["--ipv4", "-w", "%{http_code} %{num_connects},", "-H", "Host: nobody.test"];
    let urls = [&url("blog")[..], &url("blog"), &url("blog")];
    let seen = run(curl(&[&outputs[..], &more, &urls].concat()));
    assert_eq!(String::from_utf8(seen).unwrap(), "404 1,404 0,404 0,");
}

#[test]
fn curl_reaches_a_name_under_localhost_without_any_dns() {
    let (router, dyno) = (Router::start(), Named::start("one"));
    router.app("one", "blog.localhost", &[&dyno.addr]);
    let url = format!("http://blog.localhost:{}/", router.http.port());
    assert_eq!(run(curl(&["--ipv4", &url])), b"one GET / HTTP/1.1 0\n");
}
