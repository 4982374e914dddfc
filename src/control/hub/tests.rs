//! The hub as those who push see it: receipts, refusals, and what is live and durable after each.
//!
//! Each test has a hub of its own in a fresh directory; what was published is watched through a
//! shared table, as routers would.

mod callers;
mod expiry;
mod guards;
mod revert;
mod settings;

use std::{
    sync::{Arc, Mutex, atomic::Ordering::Relaxed},
    task::Poll,
};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::{
    api::{FieldError, HistoryEntry, Op, Receipt},
    control::store::{Filter, Store},
    live::Status,
    route::{Revision, Table},
};

struct Rig {
    dir: TempDir,
    hub: Hub,
    thread: HubThread,
    live: Arc<Mutex<Vec<Table>>>,
    status: Arc<Status>,
}

impl Rig {
    fn new() -> Rig {
        Rig::on(tempfile::tempdir().unwrap(), |_| {})
    }

    fn with(settings: Settings) -> Rig {
        let networks = vec![("10.0.0.0".parse().unwrap(), 8)];
        let settings = Settings { networks, ..settings };
        Rig::start(tempfile::tempdir().unwrap(), settings, |_| {})
    }

    fn on(dir: TempDir, prepare: impl FnOnce(&Store)) -> Rig {
        let settings = Settings {
            networks: vec![("10.0.0.0".parse().unwrap(), 8)],
            max_ops: 50,
            ..Settings::default()
        };
        Rig::start(dir, settings, prepare)
    }

    fn start(dir: TempDir, settings: Settings, prepare: impl FnOnce(&Store)) -> Rig {
        let mut store = Store::open(dir.path()).unwrap();
        let table = store.load(1).unwrap();
        prepare(&store);
        let live = Arc::new(Mutex::new(vec![table.clone()]));
        let published = live.clone();
        let publish = Box::new(move |table: &Table| published.lock().unwrap().push(table.clone()));
        let status = Arc::new(Status::default());
        let (hub, thread) = start(settings, store, table, publish, status.clone()).unwrap();
        Rig { dir, hub, thread, live, status }
    }

    /// The newest transaction that the history tells of.
    fn newest(&self) -> HistoryEntry {
        let newest = Filter { limit: 1, ..Filter::default() };
        let entries = self.hub.archive().open().unwrap().history(&newest).unwrap();
        entries.into_iter().next().unwrap()
    }

    fn restart(self) -> Rig {
        let Rig { dir, thread, .. } = self;
        thread.join().unwrap();
        Rig::on(dir, |_| {})
    }

    fn table(&self) -> Table {
        self.live.lock().unwrap().last().unwrap().clone()
    }

    async fn push(&self, ops: Vec<Op>) -> Result<Receipt, PushError> {
        self.hub.push(push(ops)).await
    }

    async fn made(&self, ops: Vec<Op>) -> u64 {
        let receipt = self.push(ops).await.unwrap();
        assert!(receipt.changed);
        receipt.revision
    }

    /// What a push is refused with: the status, and op and field of every mistake.
    async fn refused(&self, ops: Vec<Op>) -> (u16, Vec<(usize, String)>) {
        let before = self.table();
        let error = self.push(ops).await.unwrap_err();
        assert_eq!(self.table().revision(), before.revision());
        let place = |e: &FieldError| (e.op.unwrap(), e.field.clone());
        (error.status(), error.errors().iter().map(place).collect())
    }
}

fn push(ops: Vec<Op>) -> Push {
    Push { author: "ann".into(), reason: None, if_revision: None, ops, misread: Vec::new() }
}

fn op(method: &str, path: &str, body: Value) -> Op {
    let body = (!body.is_null()).then_some(body);
    Op { method: method.into(), path: path.into(), body }
}

fn put(path: &str, body: Value) -> Op {
    op("PUT", path, body)
}

fn delete(path: &str) -> Op {
    op("DELETE", path, Value::Null)
}

fn app(name: &str) -> Op {
    put(&format!("/apps/{name}"), json!({}))
}

fn dyno(path: &str, port: u16) -> Op {
    put(path, json!({ "addr": format!("10.0.0.1:{port}") }))
}

fn places(list: &[(usize, &str)]) -> Vec<(usize, String)> {
    list.iter().map(|(op, field)| (*op, (*field).into())).collect()
}

#[tokio::test]
async fn a_push_is_live_when_it_is_answered_and_there_after_a_restart() {
    let rig = Rig::new();
    let ops = vec![
        app("blog"),
        put("/apps/blog/routes/WWW.a.test?path=/x", Value::Null),
        put("/apps/blog/routes/*.a.test", json!({})),
        dyno("/apps/blog/dynos/web.1", 5000),
    ];
    assert_eq!(rig.made(ops).await, 1);
    let check = |table: Table| {
        assert_eq!(table.revision(), Revision(1));
        let routes: Vec<_> = table.routes_of("blog").iter().map(|r| r.to_string()).collect();
        assert_eq!(routes.len(), 2);
        assert!(routes.contains(&"www.a.test/x".into()), "{routes:?}");
        let body = dyno_body(table.app("blog").unwrap().dyno("web.1").unwrap());
        let expected = json!({
            "addr": "10.0.0.1:5000", "release": "", "weight": 100, "state": "up", "ttl_s": null,
        });
        assert_eq!(serde_json::to_value(body).unwrap(), expected);
    };
    check(rig.table());
    check(rig.restart().table());
}

#[tokio::test]
async fn a_push_that_changes_nothing_makes_no_revision() {
    let rig = Rig::new();
    rig.made(vec![app("blog")]).await;
    let published = rig.live.lock().unwrap().len();
    for ops in [
        vec![app("blog")],
        vec![op("PATCH", "/apps/blog", json!({}))],
        vec![op("PATCH", "/apps/blog", json!({ "maintenance": null }))],
        vec![dyno("/apps/blog/dynos/a", 1), delete("/apps/blog/dynos/a")],
    ] {
        let digest = rig.table().digest().to_string();
        assert_eq!(
            rig.push(ops).await,
            Ok(Receipt { revision: 1, changed: false, digest, counts: None, fleet: None })
        );
    }
    assert_eq!(rig.live.lock().unwrap().len(), published);
    assert_eq!(rig.newest().revision, 1);
}

#[tokio::test]
async fn a_patch_alters_what_it_names_alone() {
    let rig = Rig::new();
    let whole = json!({
        "addr": "10.0.0.1:80", "release": "v1", "weight": 7, "state": "starting", "ttl_s": null,
    });
    rig.made(vec![app("blog"), put("/apps/blog/dynos/web.1", whole)]).await;
    let patch = json!({ "state": "up", "weight": null, "ttl_s": null });
    rig.made(vec![op("PATCH", "/apps/blog/dynos/web.1", patch)]).await;
    rig.made(vec![op("PATCH", "/apps/blog", json!({ "maintenance": true }))]).await;
    let table = rig.table();
    let blog = table.app("blog").unwrap();
    assert!(blog.settings.maintenance);
    let dyno = dyno_body(blog.dyno("web.1").unwrap());
    assert_eq!((dyno.release.as_str(), dyno.weight, dyno.state.as_str()), ("v1", 100, "up"));

    let refused = rig.refused(vec![
        op("PATCH", "/apps/blog/dynos/web.1", json!({ "addr": null })),
        op("PATCH", "/apps/blog/dynos/web.1", Value::Null),
        op("PATCH", "/apps/blog", json!([1])),
    ]);
    assert_eq!(refused.await, (422, places(&[(0, "addr"), (1, "body"), (2, "body")])));
}

#[tokio::test]
async fn every_bad_field_of_every_bad_op_is_told() {
    let rig = Rig::new();
    let bad_dyno = json!({
        "addr": "10.0.0.1", "release": "é", "weight": 0, "state": "gone", "ttl_s": 0, "colour": 1,
    });
    let ops = vec![
        put("/apps/blog", json!({ "maintenance": "yes", "Maintenance": true })),
        put("/apps/blog/dynos/web.1", bad_dyno),
        put("/apps/blog/dynos/web.2", json!({})),
        put("/apps/blog/dynos/web.3", json!({ "addr": "11.0.0.1:80" })),
        put("/apps/blog/dynos/web.4", json!({ "addr": "unix:/tmp/a" })),
        put("/apps/blog/routes/a.test", json!({ "colour": 1 })),
        op("POST", "/apps/blog", json!({})),
        op("DELETE", "/apps/blog", json!({})),
        app("shop"),
        put("/nowhere", json!({})),
    ];
    let expected = places(&[
        (0, "maintenance"),
        (0, "Maintenance"),
        (1, "addr"),
        (1, "release"),
        (1, "weight"),
        (1, "state"),
        (1, "ttl_s"),
        (1, "colour"),
        (2, "addr"),
        (3, "addr"),
        (4, "addr"),
        (5, "colour"),
        (6, "method"),
        (7, "body"),
        (9, "path"),
    ]);
    let (status, mut told) = rig.refused(ops).await;
    let mut expected = expected;
    expected.sort();
    told.sort();
    assert_eq!((status, told), (422, expected));
}

#[tokio::test]
async fn the_gravest_mistake_decides_the_status() {
    let rig = Rig::new();
    let route = |app: &str| put(&format!("/apps/{app}/routes/a.test"), Value::Null);
    rig.made(vec![app("blog"), app("shop"), route("blog")]).await;
    let missing = || delete("/apps/blog/dynos/web.1");
    let bad = || put("/apps/blog", json!(7));
    assert_eq!(rig.refused(vec![missing()]).await, (404, places(&[(0, "dyno")])));
    assert_eq!(rig.refused(vec![route("shop")]).await, (409, places(&[(0, "host")])));
    let both = rig.refused(vec![missing(), route("shop")]).await;
    assert_eq!(both, (409, places(&[(0, "dyno"), (1, "host")])));
    assert_eq!(rig.refused(vec![missing(), route("shop"), bad()]).await.0, 422);
    let taken = rig.push(vec![route("shop")]).await.unwrap_err();
    assert!(taken.to_string().contains("blog"), "{taken}");
    assert_eq!(taken.of_single_call().errors()[0].op, None);
}

#[tokio::test]
async fn what_is_not_there_is_404_by_every_method() {
    let rig = Rig::new();
    rig.made(vec![app("blog"), app("shop"), put("/apps/shop/routes/a.test", json!({}))]).await;
    for (method, path, field) in [
        ("DELETE", "/apps/none", "app"),
        ("DELETE", "/apps/none/dynos/a", "app"),
        ("DELETE", "/apps/blog/dynos/a", "dyno"),
        ("DELETE", "/apps/blog/routes/a.test", "host"),
        ("PATCH", "/apps/none", "app"),
        ("PATCH", "/apps/none/dynos/a", "app"),
        ("PATCH", "/apps/blog/dynos/a", "dyno"),
        ("PATCH", "/apps/blog/routes/a.test", "host"),
        ("PUT", "/apps/none/routes/b.test", "app"),
        ("PUT", "/apps/blog/", "path"),
    ] {
        let body = if method == "PATCH" { json!({}) } else { Value::Null };
        let refused = rig.refused(vec![op(method, path, body)]).await;
        assert_eq!(refused, (404, places(&[(0, field)])), "{method} {path}");
    }
}

#[tokio::test]
async fn if_revision_refuses_when_a_named_object_changed_since() {
    let rig = Rig::new();
    rig.made(vec![app("blog"), app("shop")]).await;
    rig.made(vec![dyno("/apps/blog/dynos/web.1", 80)]).await;
    rig.made(vec![delete("/apps/blog/dynos/web.1")]).await;
    rig.made(vec![dyno("/apps/blog/dynos/web.2", 80)]).await;
    let rig = rig.restart();
    let guarded =
        async |revision, ops| rig.hub.push(Push { if_revision: Some(revision), ..push(ops) }).await;
    // Removed at 3: it changed after 2.
    let stale = guarded(2, vec![dyno("/apps/blog/dynos/web.1", 80)]).await.unwrap_err();
    assert_eq!((stale.status(), stale.errors()[0].field.as_str()), (409, "if_revision"));
    assert!(stale.to_string().contains("revision 3"), "{stale}");
    // The app itself last changed at 1, a dyno that would go with it at 4.
    assert_eq!(guarded(3, vec![delete("/apps/blog")]).await.unwrap_err().status(), 409);
    let settings = put("/apps/blog", json!({ "maintenance": true }));
    assert_eq!(guarded(1, vec![settings]).await.unwrap().revision, 5);
    assert_eq!(guarded(5, vec![delete("/apps/blog")]).await.unwrap().revision, 6);
    let ahead = guarded(7, vec![app("shop")]).await.unwrap_err();
    assert_eq!((ahead.status(), ahead.errors()[0].field.as_str()), (422, "if_revision"));
}

#[tokio::test]
async fn if_revision_sees_what_the_same_group_changed() {
    let rig = Rig::new();
    rig.made(vec![app("blog")]).await;
    let toggle = |on: bool| Push {
        if_revision: Some(1),
        ..push(vec![put("/apps/blog", json!({ "maintenance": on }))])
    };
    // Both are queued before either is awaited to its end; one wins whatever the grouping.
    let (one, other) = tokio::join!(rig.hub.push(toggle(true)), rig.hub.push(toggle(true)));
    let statuses = [one, other].map(|r| r.map_or_else(|e| e.status(), |_| 200));
    assert_eq!(statuses, [200, 409]);
}

#[tokio::test]
async fn concurrent_pushes_get_consecutive_revisions() {
    let rig = Rig::new();
    rig.made(vec![app("blog")]).await;
    let pushes: Vec<_> = (0..300_u16)
        .map(|i| {
            let hub = rig.hub.clone();
            tokio::spawn(async move {
                let path = format!("/apps/blog/dynos/web.{i}");
                hub.push(push(vec![dyno(&path, i + 1)])).await.unwrap().revision
            })
        })
        .collect();
    let mut revisions = Vec::new();
    for push in pushes {
        revisions.push(push.await.unwrap());
    }
    revisions.sort_unstable();
    assert_eq!(revisions, (2..=301).collect::<Vec<u64>>());
    let live = rig.live.lock().unwrap();
    assert_eq!(live.last().unwrap().counts().dynos, 300);
    assert!(live.windows(2).all(|pair| pair[0].revision() < pair[1].revision()));
    assert!(live.len() < 300, "groups are published once: {}", live.len());
}

#[tokio::test]
async fn a_store_that_is_full_changes_nothing_and_is_told_in_the_status() {
    let rig = Rig::new();
    rig.made(vec![app("blog")]).await;
    let Rig { dir, thread, .. } = rig;
    thread.join().unwrap();
    let rig = Rig::on(dir, Store::limit_pages_to_current);
    assert!(rig.status.store_writable.load(Relaxed));
    let wide = || {
        let route = |i| put(&format!("/apps/blog/routes/{}.h{i}.test", "x".repeat(60)), json!({}));
        (0..50).map(route).collect::<Vec<_>>()
    };
    let mut failed = None;
    // A full page or two may be left, so the first pushes may fit.
    for i in 0..20 {
        let mut ops = wide();
        ops.iter_mut().for_each(|op| op.path = format!("{}?path=/{i}", op.path));
        let before = rig.table();
        if let Err(error) = rig.push(ops).await {
            assert_eq!(rig.table().counts(), before.counts());
            failed = Some(error);
            break;
        }
    }
    let error = failed.expect("a database that cannot grow takes no thousand routes");
    assert_eq!(error.status(), 503);
    assert!(error.to_string().contains("no room"), "{error}");
    assert!(!rig.status.store_writable.load(Relaxed));
    // Refusals and reads go on; a small write that fits does too.
    assert_eq!(rig.refused(vec![delete("/apps/none")]).await.0, 404);
    let live = rig.table();
    assert_eq!(rig.newest().revision, live.revision().0);
    assert_eq!(rig.newest().digest, live.digest().to_string());
    let rig = rig.restart();
    assert_eq!(rig.table().counts(), live.counts());
    rig.made(
        wide()
            .into_iter()
            .take(1)
            .map(|mut op| {
                op.path += "?path=/new";
                op
            })
            .collect(),
    )
    .await;
    assert!(rig.status.store_writable.load(Relaxed));
}

#[tokio::test]
async fn the_words_around_the_ops_are_bounded() {
    let rig = Rig::new();
    let status = async |push| rig.hub.push(push).await.unwrap_err().status();
    assert_eq!(status(push(vec![])).await, 422);
    assert_eq!(status(Push { author: String::new(), ..push(vec![app("a")]) }).await, 422);
    assert_eq!(status(Push { author: "x".repeat(256), ..push(vec![app("a")]) }).await, 422);
    assert_eq!(status(Push { reason: Some("x".repeat(1025)), ..push(vec![app("a")]) }).await, 422);
    assert_eq!(status(Push { reason: Some("a\nb".into()), ..push(vec![app("a")]) }).await, 422);
    assert_eq!(status(push(vec![app("a"); 51])).await, 413);
    let longest = Push { reason: Some("x".repeat(1024)), ..push(vec![app("a"); 50]) };
    assert_eq!(rig.hub.push(longest).await.unwrap().revision, 1);
}

#[tokio::test]
async fn a_hub_that_stops_finishes_what_it_took_and_refuses_the_rest() {
    let Rig { dir, hub, thread, .. } = Rig::new();
    let taken: Vec<_> = (0..20)
        .map(|i| {
            let hub = hub.clone();
            tokio::spawn(async move { hub.push(push(vec![app(&format!("a{i}"))])).await })
        })
        .collect();
    tokio::task::yield_now().await;
    tokio::task::spawn_blocking(move || thread.join().unwrap()).await.unwrap();
    assert_eq!(hub.push(push(vec![app("late")])).await, Err(PushError::Stopping));
    let mut accepted = 0;
    for answer in taken {
        match answer.await.unwrap() {
            Ok(_) => accepted += 1,
            Err(error) => assert_eq!(error, PushError::Stopping),
        }
    }
    let table = Store::open(dir.path()).unwrap().load(1).unwrap();
    assert_eq!(table.counts().apps, accepted);
    assert!(dir.path().join("table.snapshot").exists());
}

#[tokio::test]
async fn a_full_queue_is_busy() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    let table = store.load(1).unwrap();
    // The publication holds the hub's thread until the test has filled the queue.
    let (release, held) = std::sync::mpsc::sync_channel::<()>(1);
    let (entered, publishing) = tokio::sync::oneshot::channel();
    let mut entered = Some(entered);
    let publish = Box::new(move |_: &Table| {
        if let Some(entered) = entered.take() {
            entered.send(()).unwrap();
            held.recv().unwrap();
        }
    });
    let status = Arc::new(Status::default());
    let (hub, thread) = start(Settings::default(), store, table, publish, status).unwrap();
    let caller = hub.clone();
    let first = tokio::spawn(async move { caller.push(push(vec![app("first")])).await });
    publishing.await.unwrap();
    let wait = |i| Box::pin(hub.push(push(vec![app(&format!("a{i}"))])));
    let mut waiting: Vec<_> = (0..QUEUE).map(wait).collect();
    // A push is queued when it is polled first.
    std::future::poll_fn(|context| {
        assert!(waiting.iter_mut().all(|push| push.as_mut().poll(context).is_pending()));
        Poll::Ready(())
    })
    .await;
    let busy = hub.push(push(vec![app("late")])).await.unwrap_err();
    assert_eq!((&busy, busy.status()), (&PushError::Busy, 503));
    release.send(()).unwrap();
    assert!(first.await.unwrap().is_ok());
    for answer in waiting {
        assert!(answer.await.is_ok());
    }
    tokio::task::spawn_blocking(move || thread.join().unwrap()).await.unwrap();
}
