//! The push API over a real socket: with the crate's client, and with requests written by hand.
//!
//! Invariants: every test starts its own server on port 0 with its own hub; a refusal is checked
//! for its status, the field that it names, and that the table stayed as it was.

mod calls;
mod lists;
mod refusals;
mod scopes;

use std::{
    net::SocketAddr,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Instant,
};

use serde_json::{Map, Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use super::*;
use crate::{
    api::{
        Access, AppBody, Client, ClientError, DynoBody, HistoryQuery, Op, PageBody, PagesBody,
        Problem, TransactionBody,
    },
    control::{
        hub::{self, HubThread},
        store::Store,
    },
    live::{Registry, Snapshot, Status, channel},
    route::Table,
    shutdown::Shutdown,
    telemetry::Metrics,
};

const TOKEN: &str = "0123456789abcdef";

struct Api {
    addr: SocketAddr,
    client: Client,
    status: Arc<Status>,
    shutdown: Shutdown,
    server: JoinHandle<()>,
    /// The hub and its store end with it.
    _hub: (HubThread, TempDir),
}

struct Answer {
    status: u16,
    head: String,
    body: String,
}

async fn start() -> Api {
    start_with(Settings { max_body: 4096, ..Settings::default() }).await
}

async fn start_with(settings: Settings) -> Api {
    start_with_hub(settings, hub::Settings::default()).await
}

async fn start_with_hub(settings: Settings, hub: hub::Settings) -> Api {
    let dir = tempfile::tempdir().unwrap();
    let (status, shutdown) = (Arc::new(Status::default()), Shutdown::default());
    let mut store = Store::open(dir.path()).unwrap();
    let table = store.load(0).unwrap();
    let versions = store.versions();
    let registry = Registry::default();
    let (publisher, reader) = channel(Snapshot::new(table.clone(), &registry));
    let publish = Box::new(move |table: &Table| {
        publisher.publish(publisher.current().advance(table.clone(), &registry));
    });
    let (hub, hub_thread) = hub::start(hub, store, table, publish, status.clone()).unwrap();
    let router = router(ApiState {
        hub,
        versions,
        reader,
        status: status.clone(),
        shutdown: shutdown.clone(),
        tokens: Tokens::load(Some(TOKEN), &settings.data_dir).unwrap(),
        counts: Metrics::new(0).unwrap().feed(),
        began: Instant::now(),
        metrics: Arc::new(|| "hostler_revision 0\n".into()),
        explain: Arc::new(|_, _| unreachable!("tests/it/explain.rs asks a whole router")),
        settings,
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let server = tokio::spawn(serve(listener, router, None, shutdown.clone()));
    let client = Client::new(Access::new(&format!("http://{addr}"), TOKEN).unwrap());
    Api { addr, client, status, shutdown, server, _hub: (hub_thread, dir) }
}

impl Api {
    /// Sends bytes, shuts nothing, and reads until the server closes.
    async fn raw(&self, request: &str) -> Answer {
        let mut stream = TcpStream::connect(self.addr).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").expect("an answer has a head");
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head: head.to_ascii_lowercase(), body: body.into() }
    }

    /// A call with the token; `headers` are lines, each with its end.
    async fn call(&self, method: &str, path: &str, headers: &str, body: &str) -> Answer {
        let headers = format!("{headers}Authorization: Bearer {TOKEN}\r\n");
        self.call_bare(method, path, &headers, body).await
    }

    /// A call without the token.
    async fn call_bare(&self, method: &str, path: &str, headers: &str, body: &str) -> Answer {
        let length = body.len();
        self.raw(&format!(
            "{method} {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{headers}\
             Content-Length: {length}\r\n\r\n{body}"
        ))
        .await
    }

    async fn json(&self, method: &str, path: &str, body: &str) -> Answer {
        self.call(method, path, "Content-Type: application/json\r\n", body).await
    }

    async fn revision(&self) -> u64 {
        self.client.revision().await.unwrap().revision
    }
}

impl Answer {
    fn problem(&self) -> Problem {
        assert!(self.head.contains("content-type: application/problem+json"), "{}", self.head);
        let problem: Problem = serde_json::from_str(&self.body).expect(&self.body);
        assert_eq!((problem.status, problem.kind.as_str()), (self.status, "about:blank"));
        assert!(self.body.ends_with('\n'));
        problem
    }

    /// The one field that the problem names.
    fn field(&self) -> String {
        let problem = self.problem();
        assert_eq!(problem.errors.len(), 1, "{problem}");
        problem.errors[0].field.clone()
    }
}

fn dyno(addr: &str) -> DynoBody {
    serde_json::from_value(json!({ "addr": addr })).unwrap()
}
