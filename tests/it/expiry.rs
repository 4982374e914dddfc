//! Dynos that nobody renews, with real processes: they leave by a revision of their own, renewals
//! cost none, and a router that was away does not empty its table.
//!
//! Invariant: what waits for a time to live waits for the table to be so, to the deadline.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{
    Router,
    router::{TOKEN, command, until},
};

const A: &str = "/v1/apps/one/dynos/a";

fn dyno(ttl_s: u32) -> Value {
    json!({"addr": "10.0.0.1:80", "ttl_s": ttl_s})
}

fn names(router: &Router) -> Vec<String> {
    let list = router.call("GET", "/v1/apps/one/dynos", None).json;
    let items = list["items"].as_array().unwrap();
    items.iter().map(|dyno| dyno["name"].as_str().unwrap().to_owned()).collect()
}

fn newest(router: &Router) -> Value {
    router.call("GET", "/v1/history?limit=1", None).json["items"][0].clone()
}

#[test]
fn a_dyno_that_is_not_renewed_leaves_as_a_revision_of_the_hub() {
    let router = Router::start();
    router.write("PUT", "/v1/apps/one", json!({}));
    router.write("PUT", "/v1/apps/one/dynos/b", dyno(60));
    let made = router.write("PUT", A, dyno(1));
    assert_eq!(router.call("GET", A, None).json["ttl_s"], 1);
    until("it has left", || names(&router) == ["b"]);
    let last = newest(&router);
    assert_eq!((&last["revision"], &last["author"]), (&json!(made + 1), &json!("hostler")));
    assert_eq!(last["reason"], "expired: not renewed in time");
    assert_eq!((&last["changes"], &last["address"]), (&json!(1), &json!(null)));
    let diff = router.call("GET", &format!("/v1/diff?from={made}"), None).answer.text();
    assert!(diff.contains(r#""change":"removed""#) && diff.contains(r#""ttl_s":1"#), "{diff}");
    until("it is counted", || router.metric("hostler_dynos_expired_total") == 1.0);
    router.said.wait_for("not renewed in time are gone");
    // A revert does not bring it back.
    let body = json!({"to": made, "dynos": true});
    let reverted = router.call("POST", "/v1/revert", Some(body));
    assert_eq!((reverted.status(), &reverted.json["changed"]), (200, &json!(false)));
}

#[test]
fn renewals_make_no_revision_whatever_way_they_come() {
    let router = Router::start();
    router.write("PUT", "/v1/apps/one", json!({}));
    for name in ["a", "b", "c", "lost"] {
        router.write("PUT", &format!("/v1/apps/one/dynos/{name}"), dyno(2));
    }
    let made = router.call("GET", "/v1/revision", None).revision();
    let cli = || {
        let set = ["dynos", "set", "one", "c", "--ttl", "2"];
        let url = format!("http://{}", router.control);
        let output =
            command(&set).env("HOSTLER_URL", url).env("HOSTLER_TOKEN", TOKEN).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    };
    until("the one that nobody renews has left", || {
        router.write("PUT", A, dyno(2));
        let patch = ("PATCH", "/apps/one/dynos/b", json!({}));
        assert_eq!(router.transact(&[patch]).status(), 200);
        cli();
        names(&router).len() == 3
    });
    assert_eq!(names(&router), ["a", "b", "c"]);
    assert_eq!(newest(&router)["revision"], made + 1);
}

#[test]
fn a_router_that_was_killed_gives_the_grace_and_expires_the_rest_behind_it() {
    let dir = tempfile::tempdir().unwrap();
    let router = Router::on(dir.path(), &[]);
    router.write("PUT", "/v1/apps/one", json!({}));
    router.write("PUT", A, dyno(1));
    router.write("PUT", "/v1/apps/one/dynos/b", json!({"addr": "10.0.0.1:80"}));
    router.kill();
    let began = Instant::now();
    let router = Router::on(dir.path(), &[("HOSTLER_PUSH_EXPIRY_GRACE", "3s")]);
    router.said.wait_for("1 dynos have a ttl_s: each has 3s at least");
    until("it has left", || names(&router) == ["b"]);
    assert!(began.elapsed() >= Duration::from_secs(3));
    // What expired is durable: it does not come back.
    let revision = newest(&router)["revision"].clone();
    router.kill();
    let router = Router::on(dir.path(), &[]);
    assert_eq!((names(&router), &newest(&router)["revision"]), (vec!["b".into()], &revision));
}

#[test]
fn what_a_guard_keeps_is_said_and_stays_until_there_is_another() {
    let settings = [("HOSTLER_PUSH_SHRINK_SHARE", "50"), ("HOSTLER_PUSH_SHRINK_FLOOR", "0")];
    let router = Router::with(&settings);
    router.write("PUT", "/v1/apps/one", json!({}));
    router.write("PUT", A, dyno(1));
    router.said.wait_for("dynos were not renewed in time, but stay");
    until("it is counted", || router.metric("hostler_dynos_overdue") == 1.0);
    assert_eq!(names(&router), ["a"]);
    router.write("PUT", "/v1/apps/one/dynos/b", json!({"addr": "10.0.0.1:80"}));
    until("it has left", || names(&router) == ["b"]);
    until("nothing is overdue", || router.metric("hostler_dynos_overdue") == 0.0);
}

#[test]
fn a_time_to_live_has_bounds() {
    let router = Router::start();
    router.write("PUT", "/v1/apps/one", json!({}));
    for bad in [json!(0), json!(2_592_001), json!(-1), json!(1.5), json!("60"), json!(true)] {
        let body = json!({"addr": "10.0.0.1:80", "ttl_s": bad});
        let refused = router.call("PUT", A, Some(body));
        assert_eq!((refused.status(), refused.mistakes()), (422, vec![(None, "ttl_s".into())]));
    }
    router.write("PUT", A, dyno(2_592_000));
    assert_eq!(router.call("GET", A, None).json["ttl_s"], 2_592_000);
    router.write("PATCH", A, json!({"ttl_s": null}));
    assert_eq!(router.call("GET", A, None).json["ttl_s"], json!(null));
}
