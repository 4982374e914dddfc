//! One round of a client through the router to a dyno's software, and what the log says of it.
//!
//! Invariants: the client is the only one who asks, so every line of the log is one of its
//! requests; its round goes on only when this side did its part: it notices that the client left
//! while the dyno worked, and replaces a dyno under load.

use std::{fs, path::Path, process::Command, thread, thread::JoinHandle};

use serde_json::json;

use super::dyno::Server;
use crate::harness::{
    Router,
    program::{node, python, run, scripts},
};

/// The host that the client asks for.
pub const HOST: &str = "a.test";

/// The most connections that a client may make: its pool of 20, which some make anew for every kind
/// of request, and a new one where leaving ends one. curl is a new process for each step, and shows
/// within steps that it keeps its connection.
const MOST_CONNECTIONS: f64 = 70.0;

/// Requests of the last step before a dyno is replaced, so that its connections are in use.
const WARM: usize = 20;

/// Who asks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Client {
    Curl,
    Requests,
    Httpx,
    HttpxHttp2,
    Node,
    NodeHttp2,
    Undici,
    Java,
}

/// What a client is told.
#[derive(Clone)]
pub struct Told {
    pub port: String,
    pub folder: String,
    pub features: &'static str,
}

impl Client {
    fn protocol(self) -> &'static str {
        match self {
            Client::HttpxHttp2 | Client::NodeHttp2 => "http2.0",
            _ => "http1.1",
        }
    }

    fn start(self, told: Told) -> JoinHandle<()> {
        let command = match self {
            Client::Curl => return thread::spawn(move || super::curl::round(&told)),
            Client::Requests => script(python(), "requests_client.py"),
            Client::Httpx => script(python(), "httpx_client.py"),
            Client::HttpxHttp2 => {
                let mut command = python();
                command.env("HTTP2", "");
                script(command, "httpx_client.py")
            }
            Client::Node => script(node(), "node.mjs"),
            Client::NodeHttp2 => script(node(), "node_http2.mjs"),
            Client::Undici => script(node(), "undici.mjs"),
            Client::Java => {
                let mut command = Command::new("java");
                command.arg("-Djdk.httpclient.allowRestrictedHeaders=host");
                script(command, "Client.java")
            }
        };
        thread::spawn(move || {
            let mut command = command;
            command.args([&told.port, HOST, &told.folder, told.features]);
            assert_eq!(run(command), b"ok\n");
        })
    }
}

fn script(mut command: Command, name: &str) -> Command {
    command.arg(scripts().join("clients").join(name));
    command
}

/// Runs a client's whole round.
pub fn round(client: Client, server: Server) {
    let router = Router::with(&[("HOSTLER_HTTP_H2C", "true")]);
    let dynos = [server.start(), server.start()];
    router.app("one", HOST, &dynos.each_ref().map(|dyno| dyno.addr.as_str()));
    let shared = tempfile::tempdir().unwrap();
    let asking = client.start(Told {
        port: router.http.port().to_string(),
        folder: shared.path().display().to_string(),
        features: server.features(),
    });
    let lines = |part: &str| router.log.all().iter().filter(|line| line.contains(part)).count();

    // The dyno is still at work: the router has noticed by itself.
    watch(&asking, || lines("code=H27") > 0);
    tell(shared.path(), "go");
    watch(&asking, || lines("/echo?loop") >= WARM);
    let [first, _second] = dynos;
    if server == Server::Puma {
        // While it stops, Puma 5 may answer 500 by itself; a platform drains it first.
        router.set_state("one", "web.1", "draining");
    }
    first.stop();
    let again = server.start();
    router.write("PUT", "/v1/apps/one/dynos/web.1", json!({"addr": again.addr}));
    let before = lines("dyno=web.1 ");
    watch(&asking, || lines("dyno=web.1 ") > before);
    tell(shared.path(), "stop");
    if let Err(panic) = asking.join() {
        std::panic::resume_unwind(panic);
    }
    check(&router, client);
}

/// Looks until `is_so`, as long as the client asks; it has deadlines of its own.
fn watch(asking: &JoinHandle<()>, mut is_so: impl FnMut() -> bool) {
    while !is_so() && !asking.is_finished() {
        thread::park_timeout(std::time::Duration::from_millis(5));
    }
}

fn tell(folder: &Path, what: &str) {
    fs::write(folder.join(what), "").unwrap();
}

fn check(router: &Router, client: Client) {
    let lines = router.log.wait_for_many("/echo?loop", WARM);
    assert!(lines.iter().all(|line| line.contains("status=200 ")), "{lines:#?}");
    let protocol = format!("protocol={} ", client.protocol());
    assert!(router.log.all().iter().all(|line| line.contains(&protocol)), "{lines:#?}");
    let faults: Vec<_> =
        router.log.all().into_iter().filter(|line| line.contains("code=")).collect();
    let (left, others): (Vec<_>, _) = faults.iter().partition(|line| line.contains("code=H27"));
    assert!(matches!(left[..], [line] if line.contains("path=\"/hold?")), "{left:#?}");
    let is_unknown = |line: &&String| line.contains("code=unknown_host");
    assert_eq!((others.len(), others.iter().all(is_unknown)), (3, true), "{others:#?}");
    let opened = router.metric("hostler_connections_accepted_total");
    let few = client == Client::Curl || opened <= MOST_CONNECTIONS;
    assert!(few, "{opened} connections were made");
}
