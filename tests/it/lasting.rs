//! What lasts: WebSockets and server-sent events while the table changes around them, and in the
//! drain.
//!
//! The clients are `websockets` of Python, `ws` of Node over HTTP/1.1 and HTTP/2, and curl over
//! both, each in clear text and inside TLS; the dynos Node's and one on `websockets`. Invariant:
//! each of them speaks when the test says so, so that whoever was cut is missed at once.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::json;

use crate::harness::{
    Named, Program, Tls,
    program::{Talker, curl, node, python, scripts},
};

type Kind = (fn() -> Command, &'static str);

const KINDS: [Kind; 3] =
    [(python, "websocket_client.py"), (node, "websocket.mjs"), (node, "websocket_http2.mjs")];

/// A WebSocket to the app at a.test that is open, in clear text or inside TLS.
fn websocket((command, script): Kind, tls: &Tls, is_secure: bool) -> Talker {
    let mut command = command();
    command.arg(scripts().join("clients").join(script));
    let addr = if is_secure { tls.addr } else { tls.router.http };
    command.args([&addr.port().to_string(), "a.test"]);
    if is_secure {
        command.arg(tls.authority.ca());
    }
    let client = Talker::start(command);
    client.says.wait_for("open");
    client
}

/// One of each kind, by either way.
fn websockets(tls: &Tls) -> Vec<Talker> {
    let both = |kind| [false, true].map(|is_secure| websocket(kind, tls, is_secure));
    KINDS.into_iter().flat_map(both).collect()
}

/// How curl reads events: over each protocol, by either way.
const READERS: [(&str, &str); 4] = [
    ("http", "--http1.1"),
    ("http", "--http2-prior-knowledge"),
    ("https", "--http1.1"),
    ("https", "--http2"),
];

/// Events of a dyno that sends the next one when a file is there: each reader has its folder.
fn events(tls: &Tls, folder: &Path) -> Vec<(Talker, PathBuf)> {
    let reader = |(at, (scheme, protocol)): (usize, (&str, &str))| {
        let folder = folder.join(at.to_string());
        fs::create_dir(&folder).unwrap();
        let port = if scheme == "http" { tls.router.http.port() } else { tls.addr.port() };
        let url = format!("{scheme}://a.test:{port}/events?{}", folder.display());
        let resolve = format!("a.test:{port}:127.0.0.1");
        let ca = tls.authority.ca();
        let arguments = ["--no-buffer", "--cacert", &ca, "--resolve", &resolve, protocol, &url];
        let client = Talker::start(curl(&arguments));
        client.says.wait_for("data: 0");
        (client, folder)
    };
    READERS.into_iter().enumerate().map(reader).collect()
}

/// Lets the dyno send the event behind this one, and waits until each reader has it, or the end.
fn go_on(streams: &[(Talker, PathBuf)], event: usize) {
    for (_, folder) in streams {
        fs::write(folder.join(format!("event-{event}")), "").unwrap();
    }
    for (client, _) in streams {
        match event {
            2 => drop(client.says.wait_for_end()),
            _ => drop(client.says.wait_for(&format!("data: {}", event + 1))),
        }
    }
}

fn dyno() -> Program {
    let mut command = node();
    command.arg(scripts().join("dynos/node.mjs"));
    Program::start(command)
}

#[test]
fn no_push_but_its_own_cuts_a_websocket_or_a_stream_of_events() {
    let (tls, dyno, folder) = (Tls::start(&[]), dyno(), tempfile::tempdir().unwrap());
    let router = &tls.router;
    let (other, next) = (Named::start("other"), Named::start("next"));
    router.app("one", "a.test", &[&dyno.addr]);
    router.write("PUT", "/v1/apps/one/routes/b.test", json!({}));
    let mut clients = websockets(&tls);
    let streams = events(&tls, folder.path());
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
            go_on(&streams, 0);
        }
    }
    go_on(&streams, 1);
    go_on(&streams, 2);
    for client in clients {
        client.ends("closed 1000");
    }
    let lines = router.log.wait_for_many("dyno=web.1 ", 10);
    assert_eq!(lines.iter().filter(|line| line.contains("tls=true")).count(), 5);
    assert_eq!(lines.iter().filter(|line| line.contains("protocol=http2.0")).count(), 4);
    assert!(lines.iter().all(|line| !line.contains("code=")), "{lines:#?}");
}

#[test]
fn the_drain_lets_them_end_by_themselves() {
    let (mut tls, dyno) = (Tls::start(&[("HOSTLER_DRAIN_DEADLINE", "1h")]), dyno());
    let folder = tempfile::tempdir().unwrap();
    tls.router.app("one", "a.test", &[&dyno.addr]);
    let mut clients = websockets(&tls);
    let streams = events(&tls, folder.path());
    tls.router.terminate();
    tls.router.said.wait_for("draining");
    for client in &mut clients {
        client.echoes("in the drain");
    }
    (0..3).for_each(|event| go_on(&streams, event));
    for client in clients {
        client.ends("closed 1000");
    }
    assert!(tls.router.wait().success());
}

#[test]
fn the_drain_cuts_at_its_deadline_what_does_not_end() {
    let (mut tls, dyno) = (Tls::start(&[("HOSTLER_DRAIN_DEADLINE", "1s")]), dyno());
    let folder = tempfile::tempdir().unwrap();
    tls.router.app("one", "a.test", &[&dyno.addr]);
    let clients = websockets(&tls);
    let streams = events(&tls, folder.path());
    tls.router.terminate();
    for client in &clients {
        client.says.wait_for("closed 1006");
    }
    for (client, _) in &streams {
        client.says.wait_for_end();
    }
    assert!(tls.router.wait().success());
    tls.router.log.wait_for_many("code=H24", 10);
}

#[test]
fn silence_ends_a_websocket_as_its_app_says() {
    let (tls, dyno) = (Tls::start(&[]), dyno());
    let router = &tls.router;
    router.app("one", "a.test", &[&dyno.addr]);
    let settings = json!({"settings": {"timeouts.idle": "300ms"}});
    let mut before = websocket(KINDS[0], &tls, false);
    router.write("PUT", "/v1/apps/one", settings);
    for client in websockets(&tls) {
        client.says.wait_for("closed 1006");
    }
    router.log.wait_for_many("code=H15", 6);
    // What began before goes by what was said then.
    before.echoes("still");
}

#[test]
fn a_websocket_over_http2_reaches_a_dyno_of_http1_whole() {
    let tls = Tls::start(&[]);
    let mut command = python();
    command.arg(scripts().join("dynos/websockets_server.py"));
    let dyno = Program::start(command);
    tls.router.app("one", "a.test", &[&dyno.addr]);
    for is_secure in [false, true] {
        let mut client = websocket(KINDS[2], &tls, is_secure);
        // Frames of every kind of length.
        for text in ["short", &"medium".repeat(100), &"long".repeat(100_000)] {
            client.echoes(text);
        }
        client.ends("closed 1000");
        // The dyno's own end, with its own code.
        let mut client = websocket(KINDS[2], &tls, is_secure);
        client.tell("close 4001");
        client.has_ended("closed 4001");
    }
    let lines = tls.router.log.wait_for_many("path=\"/chat\"", 4);
    let whole = |line: &String| line.contains("protocol=http2.0") && !line.contains("code=");
    assert!(lines.iter().all(whole), "{lines:#?}");
}
