//! What lasts: WebSockets and server-sent events while the table changes around them, and in the
//! drain.
//!
//! The clients are `websockets` of Python, `ws` of Node over HTTP/1.1 and HTTP/2, and curl; the
//! dynos Node's and one on `websockets`. Invariant: each of them speaks when the test says so, so
//! that whoever was cut is missed at once.

use std::{
    fs,
    io::Write,
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
};

use serde_json::json;

use crate::harness::{
    Named, Program, Router,
    lines::Lines,
    program::{curl, node, python, scripts},
};

/// A client that is a program and lasts.
struct Client {
    child: Child,
    says: Lines,
    told: Option<ChildStdin>,
}

impl Client {
    fn start(mut command: Command) -> Client {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let says = Lines::of(child.stdout.take().unwrap());
        let told = child.stdin.take();
        Client { child, says, told }
    }

    /// A WebSocket to the app at a.test that is open.
    fn websocket(mut command: Command, script: &str, router: &Router) -> Client {
        command.arg(scripts().join("clients").join(script));
        command.args([&router.http.port().to_string(), "a.test"]);
        let client = Client::start(command);
        client.says.wait_for("open");
        client
    }

    /// Has it say something, and waits for the echo.
    fn echoes(&mut self, text: &str) {
        writeln!(self.told.as_mut().unwrap(), "{text}").unwrap();
        self.says.wait_for(&format!("heard {text}"));
    }

    /// Tells it to end, and waits for what it says of that.
    fn ends(mut self, says: &str) {
        self.told = None;
        self.has_ended(says);
    }

    /// Waits for what it says of its end, and until what it has sent is gone with it.
    fn has_ended(self, says: &str) {
        self.says.wait_for(says);
        self.says.wait_for_end();
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

type Kind = (fn() -> Command, &'static str);

const KINDS: [Kind; 3] =
    [(python, "websocket_client.py"), (node, "websocket.mjs"), (node, "websocket_http2.mjs")];

fn websockets(router: &Router) -> [Client; 3] {
    KINDS.map(|(command, script)| Client::websocket(command(), script, router))
}

fn start(settings: &[(&str, &str)]) -> Router {
    Router::with(&[&[("HOSTLER_HTTP_H2C", "true")], settings].concat())
}

/// Events of a dyno that sends the next one when a file is there.
fn events(router: &Router, folder: &Path) -> Client {
    let url = format!("http://{}/events?{}", router.http, folder.display());
    let client = Client::start(curl(&["--no-buffer", "--header", "Host: a.test", &url]));
    client.says.wait_for("data: 0");
    client
}

fn dyno() -> Program {
    let mut command = node();
    command.arg(scripts().join("dynos/node.mjs"));
    Program::start(command)
}

#[test]
fn no_push_but_its_own_cuts_a_websocket_or_a_stream_of_events() {
    let (router, dyno, folder) = (start(&[]), dyno(), tempfile::tempdir().unwrap());
    let (other, next) = (Named::start("other"), Named::start("next"));
    router.app("one", "a.test", &[&dyno.addr]);
    router.write("PUT", "/v1/apps/one/routes/b.test", json!({}));
    let mut clients = websockets(&router);
    let stream = events(&router, folder.path());
    let at = |addr: &str| json!({"addr": addr});
    let pushes = [
        ("PUT", "/v1/apps/two", json!({})),
        ("PUT", "/v1/apps/two/routes/two.test", json!({})),
        ("PUT", "/v1/apps/two/dynos/web.1", at(&other.addr)),
        ("PUT", "/v1/apps/two/dynos/web.1", at(&next.addr)),
        ("PUT", "/v1/apps/one/dynos/web.2", at(&other.addr)),
        ("PUT", "/v1/apps/one/dynos/web.2", at(&next.addr)),
        ("PATCH", "/v1/apps/one/dynos/web.2", json!({"state": "crashed"})),
        ("DELETE", "/v1/apps/one/dynos/web.2", json!({})),
        ("DELETE", "/v1/apps/one/routes/b.test", json!({})),
        ("PATCH", "/v1/apps/one", json!({"settings": {"timeouts.idle": "50s"}})),
        ("DELETE", "/v1/apps/two", json!({})),
        // And of its own dyno: that nothing new goes there.
        ("PATCH", "/v1/apps/one/dynos/web.1", json!({"state": "draining"})),
    ];
    for (at, (method, path, body)) in pushes.into_iter().enumerate() {
        match method {
            "DELETE" => router.delete(path),
            _ => drop(router.write(method, path, body)),
        }
        for client in &mut clients {
            client.echoes(&format!("behind push {at}."));
        }
        // The dyno has two more events: one in the middle of the pushes, one behind them.
        if at == 5 {
            fs::write(folder.path().join("event-0"), "").unwrap();
            stream.says.wait_for("data: 1");
        }
    }
    fs::write(folder.path().join("event-1"), "").unwrap();
    stream.says.wait_for("data: 2");
    fs::write(folder.path().join("event-2"), "").unwrap();
    stream.says.wait_for_end();
    for client in clients {
        client.ends("closed 1000");
    }
    let lines = router.log.wait_for_many("dyno=web.1 ", 4);
    assert!(lines.iter().all(|line| !line.contains("code=")), "{lines:#?}");
}

#[test]
fn the_drain_lets_them_end_by_themselves() {
    let (mut router, dyno) = (start(&[("HOSTLER_DRAIN_DEADLINE", "1h")]), dyno());
    let folder = tempfile::tempdir().unwrap();
    router.app("one", "a.test", &[&dyno.addr]);
    let mut clients = websockets(&router);
    let stream = events(&router, folder.path());
    router.terminate();
    router.said.wait_for("draining");
    for client in &mut clients {
        client.echoes("in the drain");
    }
    for event in 0..3 {
        stream.says.wait_for(&format!("data: {event}"));
        fs::write(folder.path().join(format!("event-{event}")), "").unwrap();
    }
    stream.says.wait_for_end();
    for client in clients {
        client.ends("closed 1000");
    }
    assert!(router.wait().success());
}

#[test]
fn the_drain_cuts_at_its_deadline_what_does_not_end() {
    let (mut router, dyno) = (start(&[("HOSTLER_DRAIN_DEADLINE", "1s")]), dyno());
    let folder = tempfile::tempdir().unwrap();
    router.app("one", "a.test", &[&dyno.addr]);
    let clients = websockets(&router);
    let stream = events(&router, folder.path());
    router.terminate();
    for client in &clients {
        client.says.wait_for("closed 1006");
    }
    stream.says.wait_for_end();
    assert!(router.wait().success());
    router.log.wait_for_many("code=H24", 4);
}

#[test]
fn silence_ends_a_websocket_as_its_app_says() {
    let (router, dyno) = (start(&[]), dyno());
    router.app("one", "a.test", &[&dyno.addr]);
    let settings = json!({"settings": {"timeouts.idle": "300ms"}});
    let mut before = Client::websocket(python(), "websocket_client.py", &router);
    router.write("PUT", "/v1/apps/one", settings);
    for (command, script) in KINDS {
        let client = Client::websocket(command(), script, &router);
        client.says.wait_for("closed 1006");
    }
    router.log.wait_for_many("code=H15", 3);
    // What began before goes by what was said then.
    before.echoes("still");
}

#[test]
fn a_websocket_over_http2_reaches_a_dyno_of_http1_whole() {
    let router = start(&[]);
    let mut command = python();
    command.arg(scripts().join("dynos/websockets_server.py"));
    let dyno = Program::start(command);
    router.app("one", "a.test", &[&dyno.addr]);
    let websocket = || Client::websocket(node(), "websocket_http2.mjs", &router);
    let mut client = websocket();
    // Frames of every kind of length.
    for text in ["short", &"medium".repeat(100), &"long".repeat(100_000)] {
        client.echoes(text);
    }
    client.ends("closed 1000");
    // The dyno's own end, with its own code.
    let mut client = websocket();
    writeln!(client.told.as_mut().unwrap(), "close 4001").unwrap();
    client.has_ended("closed 4001");
    let lines = router.log.wait_for_many("path=\"/chat\"", 2);
    let whole = |line: &String| line.contains("protocol=http2.0") && !line.contains("code=");
    assert!(lines.iter().all(whole), "{lines:#?}");
}
