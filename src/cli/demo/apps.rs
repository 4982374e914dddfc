//! The demo's apps: which there are, how their dynos are started, and the push that tells of them.
//!
//! Invariants: a dyno is told to no router before it listens; one transaction makes everything, so
//! that nobody sees half of it.

use std::{net::SocketAddr, process::Stdio, time::Duration};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    process::ChildStdout,
    time::timeout,
};

use super::{
    children::{self, Children, Role},
    dyno::LISTENS,
};
use crate::{
    api::{
        DynoBody, Op, TransactionBody,
        client::{dyno_path, route_path},
    },
    cli::failure::Failure,
};

/// How long a dyno may take to listen.
const START_TIME: Duration = Duration::from_secs(10);
/// The longest line that says where, in bytes.
const MAX_LINE: u64 = 256;
/// The release that the dynos are said to run.
const RELEASE: &str = "v1";

/// Each app, and how many dynos it has.
pub(super) const APPS: [(&str, usize); 2] = [("hello", 3), ("clock", 2)];

/// The hosts of an app: one to be named in a header, and one that leads to this machine by itself.
pub(super) fn hosts(app: &str) -> [String; 2] {
    [format!("{app}.test"), format!("{app}.localhost")]
}

/// A dyno that listens.
#[derive(Debug, Clone)]
pub(super) struct Dyno {
    pub(super) app: &'static str,
    pub(super) name: String,
    pub(super) addr: SocketAddr,
    pub(super) pid: u32,
}

/// Starts every dyno and waits until all listen.
pub(super) async fn start(children: &mut Children) -> Result<Vec<Dyno>, Failure> {
    let mut starting = Vec::new();
    for (app, count) in APPS {
        for number in 1..=count {
            let name = format!("web.{number}");
            let cannot = |error| Failure::Failed(format!("cannot start {app} {name}: {error}"));
            let mut command =
                children::command(&["demo-app", app, "--name", &name]).map_err(cannot)?;
            let mut child = command.stdout(Stdio::piped()).spawn().map_err(cannot)?;
            let pid = child.id().unwrap_or_default();
            let said = child.stdout.take().expect("its standard output is a pipe");
            children.watch(&format!("{app} {name}"), Role::Dyno, child);
            starting.push((app, name, pid, said));
        }
    }
    let mut dynos = Vec::new();
    for (app, name, pid, said) in starting {
        let addr = timeout(START_TIME, listening(said)).await.ok().flatten();
        let addr = addr.ok_or_else(|| {
            Failure::Failed(format!("dyno {app} {name} did not listen in {START_TIME:?}"))
        })?;
        dynos.push(Dyno { app, name, addr, pid });
    }
    Ok(dynos)
}

/// Where a dyno says that it listens; nothing if it ends without a word.
async fn listening(said: ChildStdout) -> Option<SocketAddr> {
    let mut line = String::new();
    BufReader::new(said.take(MAX_LINE)).read_line(&mut line).await.ok()?;
    line.trim_end().strip_prefix(LISTENS)?.parse().ok()
}

/// The push that makes the apps with their hosts and dynos.
pub(super) fn transaction(dynos: &[Dyno]) -> TransactionBody {
    let mut ops = Vec::new();
    for (app, _) in APPS {
        ops.push(put(format!("/apps/{app}"), json!({})));
        for host in hosts(app) {
            ops.push(put(route_path(app, &host, None), json!({})));
        }
    }
    for Dyno { app, name, addr, .. } in dynos {
        let body = DynoBody {
            addr: addr.to_string(),
            release: RELEASE.into(),
            weight: 100,
            state: "up".into(),
            ttl_s: None,
        };
        ops.push(put(dyno_path(app, name), json!(body)));
    }
    TransactionBody { reason: Some("hostler demo".into()), ops, ..TransactionBody::default() }
}

fn put(path: String, body: Value) -> Op {
    Op { method: "PUT".into(), path, body: Some(body) }
}
