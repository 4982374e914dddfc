//! The feed with clients that others wrote: curl, and a browser's EventSource as a library has it.
//!
//! Invariant: what they hand on is checked as what comes over the wire is, by [`Followed`].

use std::process::{Child, Stdio};

use hostler::api::events::{Events, RawEvent};
use serde_json::{Value, json};

use crate::harness::{
    Cutter, Router,
    followed::{Followed, Stream},
    lines::Lines,
    program::{curl, node, scripts},
    router::{TOKEN, command},
    until,
};

/// A program that is ended with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn weigh(router: &Router, weight: u64) -> u64 {
    router.write("PATCH", "/v1/apps/one/dynos/web.1", json!({ "weight": weight }))
}

/// A table of some size, at revision 1.
fn fill(router: &Router) {
    let mut ops = vec![
        json!({"method": "PUT", "path": "/apps/one", "body": {}}),
        json!({"method": "PUT", "path": "/apps/one/dynos/web.1", "body": {"addr": "10.0.0.1:1"}}),
    ];
    ops.extend((0..50).map(
        |i| json!({"method": "PUT", "path": format!("/apps/one/routes/a{i}.test"), "body": {}}),
    ));
    let reply = router.call("POST", "/v1/transactions", Some(json!({ "ops": ops })));
    assert_eq!(reply.revision(), 1);
}

/// What curl prints, whole events of it.
fn events_of(lines: &Lines) -> Vec<RawEvent> {
    let mut events = Events::default();
    lines.all().iter().for_each(|line| events.push(format!("{line}\n").as_bytes()));
    std::iter::from_fn(|| events.read().unwrap()).collect()
}

#[test]
fn curl_follows_and_goes_on_with_the_last_id() {
    let router = Router::start();
    fill(&router);
    let url = format!("http://{}/v1/feed", router.control);
    let bearer = format!("Authorization: Bearer {TOKEN}");
    let mut table = Followed::default();
    for round in 0..3 {
        let last = table.revision.map(|last| format!("Last-Event-ID: {last}"));
        let mut arguments = vec!["-N", "-H", &bearer];
        arguments.extend(last.iter().flat_map(|last| ["-H", last]));
        arguments.push(&url);
        let mut child = curl(&arguments).stdout(Stdio::piped()).spawn().unwrap();
        let said = Lines::of(child.stdout.take().unwrap());
        let _running = Running(child);
        said.wait_for("event: heartbeat");
        let newest = weigh(&router, round + 1);
        // An event that were held back anywhere would not come.
        said.wait_for(&format!("id: {newest}"));
        until("the event is whole", || {
            events_of(&said).iter().any(|event| event.id == Some(newest.to_string()))
        });
        events_of(&said).iter().for_each(|event| table.take_raw(event));
        table.assert_is(&router);
        // While nobody follows.
        weigh(&router, round + 101);
    }
    assert_eq!((table.snapshots.len(), table.transactions.len()), (1, 5));
}

/// The events that an EventSource handed on, taken in order; answers how many there are.
fn take_all(said: &Lines, from: usize, table: &mut Followed) -> usize {
    let lines = said.all();
    for line in &lines[from..] {
        let told: Value = serde_json::from_str(line).unwrap();
        let text = |name: &str| told[name].as_str().unwrap_or_default().to_owned();
        if text("name") == "error" {
            assert_eq!(told["state"], 0, "it is connecting again: {line}");
            continue;
        }
        let (name, data, id) = (text("name"), text("data"), text("id"));
        // Of the others the standard has it that they show the last id again.
        let bears = name == "snapshot-end" || name == "transaction";
        table.take_raw(&RawEvent { name, data, id: bears.then_some(id) });
    }
    lines.len()
}

#[test]
fn an_event_source_goes_on_by_itself_after_each_kind_of_cut() {
    let dir = tempfile::tempdir().unwrap();
    let router = Router::on(dir.path(), &[]);
    fill(&router);
    let cutter = Cutter::to(router.control);
    // In the middle of the snapshot, within the event behind it, and at the very beginning.
    let mut whole = Stream::from(router.control, None);
    while whole.next().unwrap().name != "heartbeat" {}
    let behind = whole.received + 100;
    cutter.cut_after(&[whole.received / 2, behind, 0]);
    drop(whole);
    let mut command = node();
    command.arg(scripts().join("clients/eventsource.mjs"));
    command.args([&format!("http://{}/v1/feed", cutter.addr), TOKEN]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let said = Lines::of(child.stdout.take().unwrap());
    let _running = Running(child);
    let (mut table, mut taken) = (Followed::default(), 0);
    let mut follow_to = |revision: u64, table: &mut Followed| {
        until("the revision came", || {
            taken = take_all(&said, taken, table);
            table.revision == Some(revision)
        });
    };
    follow_to(1, &mut table);
    let newest = weigh(&router, 2);
    follow_to(newest, &mut table);
    // Between two events.
    cutter.cut_now();
    (3..9).for_each(|weight| _ = weigh(&router, weight));
    follow_to(8, &mut table);
    router.kill();
    let router = Router::on(dir.path(), &[]);
    cutter.lead_to(router.control);
    let newest = weigh(&router, 77);
    follow_to(newest, &mut table);
    table.assert_is(&router);
    assert_eq!((table.begun, &table.snapshots[..]), (2, &[1][..]));
    assert_eq!(table.transactions, (2..=9).collect::<Vec<_>>());
}

#[test]
fn the_command_prints_each_transaction() {
    let router = Router::start();
    fill(&router);
    for (arguments, marks) in [
        (&["feed"][..], &["admin@127.0.0.1", "  + {\"v\":1,\"kind\":\"dyno\""][..]),
        (&["feed", "--json", "--from", "0"], &["\"changes\":[{\"put\":{\"v\":1,\"kind\":\"app\""]),
    ] {
        let mut command = command(arguments);
        command.env("HOSTLER_URL", format!("http://{}", router.control));
        let mut child = command.env("HOSTLER_TOKEN", TOKEN).stdout(Stdio::piped()).spawn().unwrap();
        let said = Lines::of(child.stdout.take().unwrap());
        let running = Running(child);
        until("it follows", || router.metric("hostler_feed_readers") == 1.0);
        weigh(&router, arguments.len() as u64);
        marks.iter().for_each(|mark| _ = said.wait_for(mark));
        drop(running);
        until("it is gone", || router.metric("hostler_feed_readers") == 0.0);
    }
}
