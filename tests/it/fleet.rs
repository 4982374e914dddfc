//! Writes that wait for the fleet: the next request on any worker sees them, and who does not serve
//! them in time is named.

use std::thread;

use serde_json::{Value, json};

use crate::harness::{
    Conn, Named, Router,
    router::{TOKEN, command},
    until,
};

const BODY: &str = "/v1/apps/one/dynos/web.1?wait=fleet";

/// A router with an app, at revision 1.
fn with_app() -> Router {
    let router = Router::start();
    router.app("one", "a.test", &["10.0.0.1:5000"]);
    router
}

fn ack(router: &Router, id: &str, revision: u64) {
    let reply = router.call(
        "POST",
        &format!("/v1/routers/{id}/ack"),
        Some(json!({ "revision": revision })),
    );
    assert_eq!(reply.status(), 200, "{reply:?}");
}

fn weigh(router: &Router, query: &str, weight: u64) -> Value {
    let path = format!("/v1/apps/one/dynos/web.1{query}");
    let reply = router.call("PATCH", &path, Some(json!({ "weight": weight })));
    assert_eq!(reply.status(), 200, "{reply:?}");
    reply.json
}

#[test]
fn every_worker_serves_what_was_answered() {
    // Connections that stay are spread over the workers by the kernel; so many leave out one of
    // four with a chance of 10^-7.
    let router = Router::with(&[("HOSTLER_WORKERS", "4")]);
    let dynos = ["one", "two"].map(Named::start);
    router.app("one", "a.test", &[&dynos[0].addr]);
    let mut pinned: Vec<Conn> = (0..64).map(|_| router.connect()).collect();
    for round in 1..50 {
        let dyno = &dynos[round % 2];
        let name = ["one", "two"][round % 2];
        let reply = router.call("PUT", BODY, Some(json!({"addr": dyno.addr})));
        assert_eq!(reply.json["fleet"], json!({"serving": ["local"], "behind": []}));
        for conn in &mut pinned {
            conn.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
        }
        for conn in &mut pinned {
            assert_eq!(conn.take_answer().head.get("x-dyno"), Some(name), "round {round}");
        }
    }
}

#[test]
fn a_write_waits_until_the_last_router_serves_it() {
    let router = with_app();
    ack(&router, "r2", 1);
    ack(&router, "r3", 1);
    let done = thread::scope(|scope| {
        let waiting = scope.spawn(|| weigh(&router, "?wait=fleet&timeout=60s", 7));
        until("it is published", || router.call("GET", "/v1/revision", None).revision() == 2);
        ack(&router, "r3", 2);
        ack(&router, "r2", 1);
        assert!(!waiting.is_finished());
        ack(&router, "r2", 2);
        waiting.join().unwrap()
    });
    assert_eq!(done["fleet"], json!({"serving": ["local", "r2", "r3"], "behind": []}));
    assert_eq!(weigh(&router, "", 8).get("fleet"), None, "who does not wait is told of nobody");
}

#[test]
fn who_is_behind_when_the_time_is_over_is_named_and_the_write_is_done() {
    let router = with_app();
    ack(&router, "r2", 1);
    let wait = "wait=fleet&timeout=1ms";
    let done = weigh(&router, &format!("?{wait}"), 7);
    assert_eq!(done["fleet"], json!({"serving": ["local"], "behind": ["r2"]}));
    assert_eq!((&done["revision"], &done["changed"]), (&json!(2), &json!(true)));
    let op = json!({"ops": [{"method": "PUT", "path": "/apps/two", "body": {}}]});
    for (path, body) in [("transactions", op), ("revert", json!({"to": 1}))] {
        let reply = router.call("POST", &format!("/v1/{path}?{wait}"), Some(body));
        assert_eq!(reply.json["fleet"]["behind"], json!(["r2"]), "{reply:?}");
    }
    // With the path of a route, and on a write that changes nothing.
    let route = "/v1/apps/one/routes/b.test?path=/x";
    assert_eq!(router.call("PUT", &format!("{route}&{wait}"), None).status(), 200);
    let again = router.call("PUT", &format!("{route}&{wait}"), None);
    assert_eq!(
        (&again.json["changed"], &again.json["fleet"]["behind"]),
        (&json!(false), &json!(["r2"]))
    );
    ack(&router, "r2", again.revision());
    let again = router.call("PUT", &format!("{route}&{wait}"), None);
    assert_eq!(again.json["fleet"]["behind"], json!([]));
}

#[test]
fn a_replay_waits_too() {
    let router = with_app();
    ack(&router, "r2", 1);
    let lines = format!("Authorization: Bearer {TOKEN}\r\nIdempotency-Key: k\r\n");
    let path = |time: &str| format!("/v1/apps/one/dynos/web.1?wait=fleet&timeout={time}");
    let body = || Some(json!({"weight": 7}));
    let first = router.call_with(&lines, "PATCH", &path("1ms"), body());
    assert_eq!((first.revision(), &first.json["fleet"]["behind"]), (2, &json!(["r2"])));
    let replay = thread::scope(|scope| {
        let replay = scope.spawn(|| router.call_with(&lines, "PATCH", &path("60s"), body()));
        ack(&router, "r2", 2);
        replay.join().unwrap()
    });
    assert_eq!(replay.answer.head.get("idempotency-replayed"), Some("true"));
    assert_eq!((replay.revision(), &replay.json["fleet"]["behind"]), (2, &json!([])));
}

#[test]
fn a_wait_that_nobody_knows_is_refused_and_nothing_is_done() {
    let router = with_app();
    for (query, field) in [
        ("wait=all", "wait"),
        ("timeout=5s", "timeout"),
        ("wait=fleet&timeout=61s", "timeout"),
        ("wait=fleet&timeout=0s", "timeout"),
    ] {
        for path in ["/v1/transactions", "/v1/revert", "/v1/apps/one"] {
            let method = if path.ends_with("one") { "PUT" } else { "POST" };
            let reply = router.call(method, &format!("{path}?{query}"), Some(json!({"x": 1})));
            assert_eq!((reply.status(), reply.mistakes()), (400, vec![(None, field.into())]));
        }
    }
    assert_eq!(router.call("GET", "/v1/revision", None).revision(), 1);
}

#[test]
fn the_command_says_who_is_behind_with_an_exit_code_of_its_own() {
    let router = with_app();
    ack(&router, "r2", 1);
    let run = |arguments: &[&str]| {
        let mut command = command(arguments);
        command.env("HOSTLER_URL", format!("http://{}", router.control));
        command.env("HOSTLER_TOKEN", TOKEN).output().unwrap()
    };
    let behind = run(&["domains", "add", "one", "b.test", "--wait", "--timeout", "1ms"]);
    let said = String::from_utf8(behind.stderr).unwrap();
    assert_eq!(behind.status.code(), Some(4), "{said}");
    assert!(said.contains("revision 2") && said.contains("r2 is behind"), "{said}");
    let behind = run(&["domains", "add", "one", "b.test", "--wait", "--timeout", "1ms", "--json"]);
    assert_eq!(behind.status.code(), Some(4));
    let receipt: Value = serde_json::from_slice(&behind.stdout).unwrap();
    assert_eq!((&receipt["revision"], &receipt["changed"]), (&json!(2), &json!(false)));
    assert_eq!(receipt["fleet"], json!({"serving": ["local"], "behind": ["r2"]}));
    ack(&router, "r2", 2);
    let served = run(&["domains", "add", "one", "b.test", "--wait"]);
    assert_eq!(served.status.code(), Some(0));
    assert_eq!(run(&["apps", "--timeout", "1s"]).status.code(), Some(2), "it goes with --wait");
    assert_eq!(
        run(&["apps", "set", "one", "blank=true", "--wait", "--timeout", "x"]).status.code(),
        Some(1)
    );
}
