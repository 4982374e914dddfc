//! The feed: what comes, where it goes on after each kind of cut, and who is sent the table anew.
//!
//! Invariant: every event that comes is checked by [`Followed`]: order, digest, what a heartbeat
//! states.

use std::{
    sync::atomic::{AtomicBool, Ordering::SeqCst},
    thread,
};

use hostler::api::{Access, Client, events::RawEvent};
use serde_json::{Value, json};

use crate::harness::{
    Cutter, Router,
    followed::{Followed, Stream, follow_once, follow_to},
    router::TOKEN,
    until,
};

/// A router with a table of some size, at revision 1.
fn with_table(apps: usize, settings: &[(&str, &str)]) -> Router {
    let router = Router::with(settings);
    let ops: Vec<_> = (0..apps).flat_map(app_ops).collect();
    let ops: Vec<_> = ops.iter().map(|(m, p, b)| (*m, p.as_str(), b.clone())).collect();
    assert_eq!(router.transact(&ops).revision(), 1);
    router
}

fn app_ops(i: usize) -> Vec<(&'static str, String, Value)> {
    let path = format!("/apps/app-{i}");
    vec![
        ("PUT", path.clone(), json!({"settings": {"timeouts.idle": "9s"}})),
        ("PUT", format!("{path}/routes/a{i}.test"), json!({})),
        ("PUT", format!("{path}/routes/*.a{i}.test?path=/x%22y"), json!({})),
        ("PUT", format!("{path}/dynos/web.1"), json!({"addr": "10.0.0.1:5000"})),
    ]
}

/// A change of one dyno, which is another each time.
fn weigh(router: &Router, weight: u64) -> u64 {
    let body = json!({"weight": weight % 999 + 1});
    router.write("PATCH", "/v1/apps/app-0/dynos/web.1", body)
}

#[test]
fn the_table_comes_first_and_then_each_transaction() {
    let router = with_table(3, &[]);
    let mut table = Followed::default();
    let mut stream = Stream::from(router.control, None);
    let head = stream.head().to_lowercase();
    for line in ["200 ok", "content-type: text/event-stream", "cache-control: no-store"] {
        assert!(head.contains(line), "{head}");
    }
    assert!(head.contains("x-accel-buffering: no"), "{head}");
    while table.heartbeats == 0 {
        table.take_raw(&stream.next().unwrap());
    }
    assert_eq!((table.revision, table.snapshots.len()), (Some(1), 1));
    let moved = router.transact(&[
        ("DELETE", "/apps/app-0/routes/a0.test", Value::Null),
        ("PUT", "/apps/app-1/routes/a0.test", json!({})),
        ("DELETE", "/apps/app-2", Value::Null),
        ("PUT", "/apps/app-1", json!({"pages": {"error": {"text": "é\r\n\"x\"\u{2028}"}}})),
    ]);
    assert_eq!(moved.revision(), 2);
    table.take_raw(&stream.next().unwrap());
    let lines = format!("Authorization: Bearer {TOKEN}\r\nHostler-Reason: because\r\n");
    router.call_with(&lines, "DELETE", "/v1/apps/app-1/dynos/web.1", None);
    let event = stream.next().unwrap();
    let told: Value = serde_json::from_str(&event.data).unwrap();
    assert_eq!(
        (&told["author"], &told["address"], &told["reason"]),
        (&json!("admin"), &json!("127.0.0.1"), &json!("because"))
    );
    let gone = json!([{"remove": {"kind": "dyno", "app": "app-1", "name": "web.1"}}]);
    assert_eq!(told["changes"], gone);
    table.take_raw(&event);
    // What changed nothing is no revision.
    router.write("PUT", "/v1/apps/app-0/routes/a0.other.test", json!({}));
    router.write("PUT", "/v1/apps/app-0/routes/a0.other.test", json!({}));
    table.take_raw(&stream.next().unwrap());
    table.assert_is(&router);
    assert_eq!(table.transactions, [2, 3, 4]);
    let metric = |name: &str| router.metric(name);
    assert_eq!(
        (metric("hostler_feed_readers"), metric("hostler_feed_snapshots_total")),
        (1.0, 1.0)
    );
    drop(stream);
    until("the reader is gone", || metric("hostler_feed_readers") == 0.0);
}

/// How long the answer is that brings a reader up to a revision, heartbeat included.
fn length_of(router: &Router, from: Option<u64>) -> usize {
    let mut stream = Stream::from(router.control, from);
    while stream.next().unwrap().name != "heartbeat" {}
    stream.received
}

#[test]
fn a_cut_anywhere_in_a_snapshot_makes_it_begin_anew() {
    let router = with_table(12, &[]);
    let cutter = Cutter::to(router.control);
    let (mut whole, mut halves) = (0, 0);
    for at in (0..=length_of(&router, None)).step_by(97) {
        let mut table = Followed::default();
        cutter.cut_after(&[at]);
        follow_once(cutter.addr, &mut table, |_| false);
        whole += usize::from(table.revision.is_some());
        halves += usize::from(table.begun > 0 && table.revision.is_none());
        follow_to(cutter.addr, &mut table, weigh(&router, at as u64));
        table.assert_is(&router);
    }
    assert!(whole > 0 && halves > 10, "{whole} {halves}");
}

#[test]
fn a_cut_anywhere_among_transactions_loses_and_repeats_none() {
    let router = with_table(2, &[]);
    let mut before = Followed::default();
    follow_to(router.control, &mut before, 1);
    (0..3).for_each(|i| _ = weigh(&router, i));
    let cutter = Cutter::to(router.control);
    let mut came = [0; 4];
    for at in (0..=length_of(&router, Some(1))).step_by(7) {
        let mut table = before.clone();
        cutter.cut_after(&[at, at / 2]);
        follow_once(cutter.addr, &mut table, |_| false);
        came[table.transactions.len()] += 1;
        follow_to(cutter.addr, &mut table, 4);
        assert_eq!((&table.transactions[..], &table.snapshots[..]), (&[2, 3, 4][..], &[1][..]));
        table.assert_is(&router);
    }
    assert!(came.iter().all(|count| *count > 0), "cuts before, between and behind all: {came:?}");
}

#[test]
fn a_restart_lets_readers_go_on_where_they_were() {
    let dir = tempfile::tempdir().unwrap();
    let mut table = Followed::default();
    let mut router = Router::on(dir.path(), &[]);
    router.app("app-0", "a.test", &["10.0.0.1:5000"]);
    let cutter = Cutter::to(router.control);
    follow_to(cutter.addr, &mut table, 1);
    for round in 0..4 {
        let is_enough = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                // Some of these are on the way when it is killed.
                let client = Access::new(&format!("http://{}", router.control), TOKEN).unwrap();
                let client = Client::new(client);
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                runtime.unwrap().block_on(async {
                    for weight in 1.. {
                        let patch = json!({"weight": (weight + round) % 999 + 1});
                        if client.patch_dyno("app-0", "web.1", &patch).await.is_err() {
                            break;
                        }
                        is_enough.store(weight >= 30, SeqCst);
                    }
                });
            });
            // The reader is with them for some of it, and away for the rest.
            let from = table.revision.unwrap();
            follow_to(cutter.addr, &mut table, from + 10);
            until("enough was pushed", || is_enough.load(SeqCst));
            let pid = rustix::process::Pid::from_raw(router.pid().cast_signed()).unwrap();
            rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
        });
        router.wait();
        router = Router::on(dir.path(), &[]);
        cutter.lead_to(router.control);
        let last = weigh(&router, 0);
        follow_to(cutter.addr, &mut table, last);
        table.assert_is(&router);
    }
    assert_eq!(table.snapshots, [1], "no restart needed another");
}

/// The events up to the first heartbeat.
fn told_from(router: &Router, from: u64) -> Vec<RawEvent> {
    let mut stream = Stream::from(router.control, Some(from));
    std::iter::from_fn(|| stream.next().filter(|event| event.name != "heartbeat")).collect()
}

#[test]
fn what_is_told_after_a_restart_is_what_was_told_before() {
    let dir = tempfile::tempdir().unwrap();
    let router = Router::on(dir.path(), &[]);
    assert_eq!(told_from(&router, 0), [], "there is nothing yet, and nothing is missing");
    for app in ["one", "two"] {
        router.app(app, &format!("{app}.test"), &["10.0.0.1:5000", "10.0.0.2:5000"]);
    }
    router.transact(&[
        ("DELETE", "/apps/one/routes/one.test", Value::Null),
        ("PUT", "/apps/two/routes/one.test", json!({})),
        ("PUT", "/apps/two/routes/*.one.test?path=/a%22b", json!({})),
        ("PATCH", "/apps/one/dynos/web.1", json!({"state": "draining", "release": "v2"})),
        ("PUT", "/apps/three", json!({"pages": {"error": {"text": "a\r\nb\u{7f}\u{2028}"}}})),
    ]);
    router.delete("/v1/apps/two");
    router.transact(&[
        ("DELETE", "/apps/one", Value::Null),
        ("PUT", "/apps/one", json!({"maintenance": true})),
    ]);
    let reverted = router.call("POST", "/v1/revert", Some(json!({"to": 2, "dynos": true})));
    assert_eq!(reverted.revision(), 6);
    let before = told_from(&router, 0);
    assert_eq!(before.len(), 6);
    let mut table = Followed::default();
    table.revision = Some(0);
    before.iter().for_each(|event| table.take_raw(event));
    table.assert_is(&router);
    router.kill();
    assert_eq!(told_from(&Router::on(dir.path(), &[]), 0), before);
}

#[test]
fn a_reader_without_a_place_in_this_history_gets_the_table() {
    let router = with_table(2, &[]);
    weigh(&router, 1);
    let bearer = format!("Authorization: Bearer {TOKEN}\r\n");
    for (query, header) in [
        ("", ""),
        ("?from=3", ""),
        ("?from=18446744073709551615", ""),
        ("?from=1", "Last-Event-ID: 3\r\n"),
        ("?from=1", "Last-Event-ID: x\r\n"),
    ] {
        let mut table = Followed::default();
        let mut stream = Stream::open(router.control, query, &format!("{bearer}{header}"));
        while table.heartbeats == 0 {
            table.take_raw(&stream.next().unwrap());
        }
        assert_eq!(table.snapshots, [2], "{query} {header}");
    }
    for (query, header, first) in [
        ("?from=0", "", "transaction"),
        ("?from=1", "", "transaction"),
        ("?from=2", "", "heartbeat"),
        ("?from=1", "Last-Event-ID: 2\r\n", "heartbeat"),
    ] {
        let mut stream = Stream::open(router.control, query, &format!("{bearer}{header}"));
        assert_eq!(stream.next().unwrap().name, first, "{query} {header}");
    }
    for query in ["?from=-1", "?from=", "?other=1", "?from=1&from=2"] {
        assert_eq!(Stream::open(router.control, query, &bearer).status(), 400, "{query}");
    }
}

#[test]
fn a_transaction_too_large_to_be_told_is_a_snapshot_for_all() {
    let settings = [("HOSTLER_PUSH_MAX_OPS", "100000"), ("HOSTLER_PUSH_APP_DYNOS", "100000")];
    let router = with_table(1, &settings);
    let mut table = Followed::default();
    let mut stream = Stream::from(router.control, None);
    while table.heartbeats == 0 {
        table.take_raw(&stream.next().unwrap());
    }
    let dyno = |i| {
        let path = format!("/apps/app-0/dynos/job.{i}");
        json!({"method": "PUT", "path": path, "body": {"addr": "10.0.0.1:5000"}})
    };
    let ops: Vec<_> = (0..20_001).map(dyno).collect();
    let reply = router.call("POST", "/v1/transactions", Some(json!({ "ops": ops })));
    assert_eq!(reply.revision(), 2);
    weigh(&router, 7);
    while table.revision != Some(3) {
        table.take_raw(&stream.next().unwrap());
    }
    assert_eq!(table.snapshots[..2], [1, 2][..], "the table as published then, or later");
    table.assert_is(&router);
    assert_eq!(router.metric("hostler_feed_moved_total"), 1.0);
    // Who comes later and has it goes on behind it.
    assert_eq!(Stream::from(router.control, Some(2)).next().unwrap().name, "transaction");
    assert_eq!(Stream::from(router.control, Some(1)).next().unwrap().name, "snapshot");
}

#[test]
fn a_heartbeat_says_where_the_table_stands_while_nothing_happens() {
    let router = with_table(1, &[("HOSTLER_PUSH_HEARTBEAT", "20ms")]);
    let mut table = Followed::default();
    let mut stream = Stream::from(router.control, None);
    for round in 1..4 {
        let wanted = table.heartbeats + 3;
        while table.heartbeats < wanted {
            table.take_raw(&stream.next().unwrap());
        }
        weigh(&router, round);
    }
    assert_eq!(table.snapshots.len(), 1);
}

#[test]
fn a_stream_ends_when_its_token_is_revoked_or_the_process_drains() {
    let mut router = with_table(1, &[("HOSTLER_PUSH_HEARTBEAT", "20ms")]);
    let body = json!({"name": "r", "scopes": ["read"]});
    let made = router.call("POST", "/v1/tokens", Some(body)).json;
    let line = format!("Authorization: Bearer {}\r\n", made["token"].as_str().unwrap());
    let mut revoked = Stream::open(router.control, "", &line);
    let mut other = Stream::from(router.control, None);
    assert!(revoked.next().is_some() && other.next().is_some());
    router.delete("/v1/tokens/r");
    while revoked.next().is_some() {}
    assert_eq!(Stream::open(router.control, "", &line).status(), 401);
    assert!(other.next().is_some(), "the others are told on");
    router.terminate();
    while other.next().is_some() {}
    assert!(router.wait().success());
}

#[test]
fn readers_beyond_the_bound_are_refused() {
    let router = with_table(1, &[("HOSTLER_PUSH_MAX_FEEDS", "2")]);
    let mut first = Stream::from(router.control, None);
    let mut second = Stream::from(router.control, None);
    assert!(first.next().is_some() && second.next().is_some());
    let refused = router.call("GET", "/v1/feed", None);
    assert_eq!(refused.status(), 503);
    assert!(refused.json["detail"].as_str().unwrap().contains("push.max_feeds"), "{refused:?}");
    drop(first);
    until("there is room", || Stream::from(router.control, None).status() == 200);
}

#[test]
fn the_librarys_reader_goes_on_by_itself() {
    let router = with_table(12, &[]);
    let cutter = Cutter::to(router.control);
    let snapshot = length_of(&router, None);
    cutter.cut_after(&[0, 100, snapshot / 2, snapshot + 300]);
    let client = Client::new(Access::new(&format!("http://{}", cutter.addr), TOKEN).unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut table = Followed::default();
    runtime.block_on(async {
        let mut feed = client.feed(None).as_router("r1");
        while table.heartbeats == 0 {
            table.take(feed.next().await.unwrap());
        }
        for round in 0..20 {
            let last = weigh(&router, round);
            if round % 7 == 3 {
                cutter.cut_now();
            }
            while table.revision < Some(last) {
                table.take(feed.next().await.unwrap());
            }
            assert_eq!(feed.last(), Some(last));
        }
        let stranger = Client::new(Access::new(&client.url(), "not-the-token-of-anybody").unwrap());
        assert_eq!(stranger.feed(None).next().await.unwrap_err().status(), Some(401));
    });
    assert!(table.begun > 1 && table.snapshots.len() == 1, "{} {:?}", table.begun, table.snapshots);
    table.assert_is(&router);
}

#[test]
fn readers_that_take_nothing_of_a_snapshot_keep_it_from_no_other() {
    let router = with_table(1, &[]);
    // Much more than the sockets hold.
    let page = json!({"pages": {"error": {"text": "x".repeat(65_000)}}});
    (0..64).for_each(|i| _ = router.write("PUT", &format!("/v1/apps/large-{i}"), page.clone()));
    let lines = format!("Authorization: Bearer {TOKEN}\r\n");
    let mut slow: Vec<_> = (0..8)
        .map(|_| Stream::over(router.connect_control_small().into_tcp(), "", &lines))
        .collect();
    slow.iter_mut().for_each(|slow| assert_eq!(slow.next().unwrap().name, "snapshot"));
    let mut table = Followed::default();
    follow_to(router.control, &mut table, 65);
    assert_eq!(table.snapshots, [65]);
    assert_eq!(router.metric("hostler_feed_snapshots_total"), 9.0);
    // It did not wait until they were cut: each of them comes to its end.
    for stream in &mut slow {
        while stream.next().expect("it was not cut").name != "snapshot-end" {}
    }
}

/// The ring holds 16 MiB (`control/feed/ring.rs`): two thousand of these are more.
const LARGE: usize = 9000;
const WRITERS: usize = 8;

#[test]
fn a_slow_reader_is_moved_to_a_newer_snapshot_and_holds_up_nobody() {
    let router = with_table(WRITERS, &[]);
    let write = &|writer: usize| {
        for i in 0..2000 / WRITERS {
            let text = format!("{i:05} ").repeat(LARGE / 6);
            let pages = json!({"pages": {"error": {"text": text}}});
            router.write("PUT", &format!("/v1/apps/app-{writer}"), pages);
        }
    };
    // What the store and the ring keep of 18 MB is there before anybody reads slowly.
    thread::scope(|scope| (0..WRITERS).for_each(|writer| drop(scope.spawn(move || write(writer)))));
    let small = router.connect_control_small();
    let lines = format!("Authorization: Bearer {TOKEN}\r\nLast-Event-ID: 2001\r\n");
    let mut slow = Stream::over(small.into_tcp(), "", &lines);
    assert_eq!(slow.status(), 200);
    let mut table = Followed::default();
    follow_to(router.control, &mut table, 2001);
    let mut behind = table.clone();
    let before = router.resident();
    thread::scope(|scope| {
        for writer in 0..WRITERS {
            scope.spawn(move || write(writer));
        }
        // Another reader is with them.
        assert!(follow_once(router.control, &mut table, |table| table.revision == Some(4001)));
    });
    // Another 18 MB went by; what is kept for whoever reads is the ring, as before.
    let grown = router.resident().saturating_sub(before);
    assert!(grown < 16 << 20, "{grown} bytes more");
    assert_eq!((table.transactions.len(), table.snapshots.len()), (2000, 1));
    // It reads on: some transactions that were on the way, and then the end of this stream, since
    // it was overtaken within an event; or the table at once.
    while behind.revision < Some(4001) {
        match slow.next() {
            Some(event) => behind.take_raw(&event),
            None => slow = Stream::from(router.control, behind.revision),
        }
    }
    assert_eq!(behind.snapshots, [2001, 4001]);
    assert!(behind.transactions.len() < 500, "{:?}", behind.transactions);
    behind.assert_is(&router);
    assert_eq!(router.metric("hostler_feed_moved_total"), 1.0);
}
