//! Writes under a condition and writes with a key, over the wire.
//!
//! Invariant: a write that is refused leaves the revision as it was.

use serde_json::{Value, json};

use crate::harness::{
    Router,
    push::{Reply, ops_of},
    router::TOKEN,
};

/// A call of the admin with one more header line.
fn call(router: &Router, line: &str, method: &str, path: &str, body: Option<Value>) -> Reply {
    let lines = format!("Authorization: Bearer {TOKEN}\r\n{line}\r\n");
    router.call_with(&lines, method, path, body)
}

fn tag(reply: &Reply) -> &str {
    reply.answer.head.get("etag").unwrap_or_else(|| panic!("{reply:?}"))
}

const DYNO: &str = "/v1/apps/one/dynos/web.1";

#[test]
fn a_tag_is_the_revision_at_which_the_object_last_changed() {
    let dir = tempfile::tempdir().unwrap();
    let router = Router::on(dir.path(), &[]);
    router.app("one", "a.test", &["10.0.0.1:1"]);
    router.write("PUT", "/v1/apps/one/routes/a.test?path=/x", json!({}));
    let patched = router.call("PATCH", DYNO, Some(json!({"weight": 7})));
    assert_eq!((patched.revision(), tag(&patched)), (3, "\"3\""));
    // A write that changes nothing tells the tag that holds.
    router.write("PATCH", "/v1/apps/one", json!({"maintenance": true}));
    assert_eq!(tag(&router.call("PATCH", DYNO, Some(json!({"weight": 7})))), "\"3\"");
    let paths = [
        ("/v1/apps/one", "\"4\""),
        ("/v1/apps/one/routes/a.test", "\"1\""),
        ("/v1/apps/one/routes/A.test?path=/x", "\"2\""),
        (DYNO, "\"3\""),
    ];
    let check = |router: &Router| {
        for (path, expected) in paths {
            assert_eq!(tag(&router.call("GET", path, None)), expected, "{path}");
        }
    };
    check(&router);
    router.kill();
    let router = Router::on(dir.path(), &[]);
    check(&router);
    // Removed and made again, it is another.
    router.delete(DYNO);
    let made = router.call("PUT", DYNO, Some(json!({"addr": "10.0.0.1:1", "weight": 7})));
    assert_eq!(tag(&made), "\"6\"");
    assert!(router.call("GET", "/v1/apps", None).answer.head.get("etag").is_none());
}

#[test]
fn a_write_under_a_tag_is_done_while_it_holds() {
    let router = Router::start();
    router.app("one", "a.test", &["10.0.0.1:1"]);
    let seen = tag(&router.call("GET", DYNO, None)).to_owned();
    let line = format!("If-Match: {seen}");
    let patch = |line: &str, weight: u64| {
        call(&router, line, "PATCH", DYNO, Some(json!({"weight": weight})))
    };
    // A change of another object does not count.
    router.write("PATCH", "/v1/apps/one", json!({"maintenance": true}));
    let first = patch(&line, 2);
    assert_eq!(first.status(), 200);
    let late = patch(&line, 3);
    assert_eq!((late.status(), late.mistakes()), (412, vec![(None, "if-match".into())]));
    assert!(late.answer.text().contains("revision 3"), "{late:?}");
    assert_eq!(call(&router, &line, "DELETE", DYNO, None).status(), 412);
    assert_eq!(patch(&format!("If-Match: \"99\", {}", tag(&first)), 4).status(), 200);
    assert_eq!(patch("If-Match: *", 5).status(), 200);
    let put = |line: &str, path: &str| {
        call(&router, line, "PUT", path, Some(json!({"addr": "10.0.0.1:2"}))).status()
    };
    assert_eq!(put("If-Match: *", "/v1/apps/one/dynos/web.2"), 412);
    assert_eq!(put("If-None-Match: *", DYNO), 412);
    assert_eq!(put("If-None-Match: *", "/v1/apps/one/dynos/web.2"), 200);
    assert_eq!(put("If-None-Match: *", "/v1/apps/one/dynos/web.2"), 412);
    let before = router.call("GET", "/v1/revision", None).revision();
    let current = format!("If-Match: {}", tag(&router.call("GET", DYNO, None)));
    assert_eq!(call(&router, &current, "DELETE", DYNO, None).revision(), before + 1);
    assert_eq!(call(&router, &current, "DELETE", DYNO, None).status(), 404);
}

#[test]
fn of_writers_that_saw_the_same_one_wins() {
    let router = Router::start();
    router.app("one", "a.test", &["10.0.0.1:1"]);
    for round in 0..10_u64 {
        let line = format!("If-Match: {}", tag(&router.call("GET", DYNO, None)));
        let mut statuses: Vec<u16> = std::thread::scope(|scope| {
            let write = |writer: u64| {
                let (router, line) = (&router, &line);
                let body = json!({"weight": 1 + round * 10 + writer});
                scope.spawn(move || call(router, line, "PATCH", DYNO, Some(body)).status())
            };
            let threads: Vec<_> = (1..5).map(write).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 412, 412, 412]);
    }
}

#[test]
fn a_condition_that_is_not_known_is_refused_and_never_passed_over() {
    let router = Router::start();
    router.app("one", "a.test", &["10.0.0.1:1"]);
    for line in [
        "If-Match: 3",
        "If-None-Match: \"1\"",
        "If-Unmodified-Since: Sun, 06 Nov 1994 08:49:37 GMT",
    ] {
        let reply = call(&router, line, "PATCH", DYNO, Some(json!({"weight": 2})));
        assert_eq!(reply.status(), 400, "{line}: {reply:?}");
    }
    let ops = json!({"ops": ops_of(&[("PATCH", "/apps/one/dynos/web.1", json!({"weight": 2}))])});
    let reply = call(&router, "If-Match: \"1\"", "POST", "/v1/transactions", Some(ops));
    assert_eq!(reply.status(), 400);
    assert!(reply.answer.text().contains("if_revision"), "{reply:?}");
    assert_eq!(router.call("GET", "/v1/revision", None).revision(), 1);
}

fn replayed(reply: &Reply) -> bool {
    reply.answer.head.get("idempotency-replayed").is_some_and(|value| value == "true")
}

#[test]
fn a_write_with_a_key_is_done_once_across_restarts() {
    let dir = tempfile::tempdir().unwrap();
    let router = Router::on(dir.path(), &[]);
    router.app("one", "a.test", &["10.0.0.1:1"]);
    let ops = |weight: u64| {
        let patch = ("PATCH", "/apps/one/dynos/web.1", json!({"weight": weight}));
        Some(json!({"ops": ops_of(&[patch])}))
    };
    let send = |router: &Router, key: &str, weight: u64| {
        let line = format!("Idempotency-Key: {key}");
        call(router, &line, "POST", "/v1/transactions", ops(weight))
    };
    let first = send(&router, "deploy-1", 2);
    assert_eq!((first.revision(), replayed(&first)), (2, false));
    router.write("PATCH", DYNO, json!({"weight": 9}));
    let again = send(&router, "deploy-1", 2);
    assert_eq!((&again.json, replayed(&again)), (&first.json, true));
    router.kill();
    let router = Router::on(dir.path(), &[]);
    let again = send(&router, "deploy-1", 2);
    assert_eq!((&again.json, replayed(&again)), (&first.json, true));
    assert_eq!(router.call("GET", DYNO, None).json["weight"], 9);
    assert_eq!(router.call("GET", "/v1/revision", None).revision(), 3);
    let other = send(&router, "deploy-1", 3);
    assert_eq!((other.status(), other.mistakes()), (422, vec![(None, "idempotency-key".into())]));
    assert_eq!(send(&router, "deploy-2", 3).revision(), 4);
    // Each of an object's own writes too, and what is spelt otherwise is the same.
    let line = "Idempotency-Key: one";
    let put = |body: &str| {
        let lines = format!(
            "Authorization: Bearer {TOKEN}\r\n{line}\r\nContent-Type: application/json\r\n"
        );
        let mut conn = router.connect_control();
        conn.send(format!(
            "PUT {DYNO} HTTP/1.1\r\nHost: hub.test\r\nConnection: close\r\n{lines}\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        ));
        conn.take_answer()
    };
    let first = put("{\"addr\":\"10.0.0.2:1\",\"weight\":3}");
    let again = put("{ \"weight\": 3, \"addr\": \"10.0.0.2:1\" }");
    assert_eq!((first.status(), &first.body), (200, &again.body));
    assert_eq!(again.head.get("idempotency-replayed"), Some("true"));
    assert_eq!(call(&router, line, "DELETE", DYNO, None).status(), 422);
}

#[test]
fn a_key_belongs_to_its_token_and_is_forgotten_in_the_end() {
    let router = Router::with(&[("HOSTLER_PUSH_IDEMPOTENCY_WINDOW", "1ms")]);
    let token = json!({"name": "ci", "scopes": ["push"]});
    let token = router.call("POST", "/v1/tokens", Some(token)).json["token"].clone();
    let own =
        format!("Authorization: Bearer {}\r\nIdempotency-Key: k\r\n", token.as_str().unwrap());
    let first = call(&router, "Idempotency-Key: k", "PUT", "/v1/apps/one", Some(json!({})));
    assert_eq!(first.revision(), 1);
    let other = router.call_with(&own, "PUT", "/v1/apps/two", Some(json!({})));
    assert_eq!((other.revision(), replayed(&other)), (2, false));
    router.delete("/v1/apps/one");
    crate::harness::until("the key is free again", || {
        let reply = call(&router, "Idempotency-Key: k", "PUT", "/v1/apps/one", Some(json!({})));
        reply.status() == 200 && !replayed(&reply)
    });
    for key in ["", "a b", &"x".repeat(256), "é"] {
        let line = format!("Idempotency-Key: {key}");
        let reply = call(&router, &line, "PUT", "/v1/apps/one", Some(json!({})));
        assert_eq!(reply.status(), 400, "{key:?}");
    }
}

#[test]
fn many_tries_at_once_make_one_revision() {
    let router = Router::start();
    let replies: Vec<Reply> = std::thread::scope(|scope| {
        let send = |_| {
            let router = &router;
            let line = "Idempotency-Key: storm";
            scope.spawn(move || call(router, line, "PUT", "/v1/apps/one", Some(json!({}))))
        };
        let threads: Vec<_> = (0..16).map(send).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    // Told the one receipt, or that it is on the way.
    for reply in &replies {
        assert!(reply.status() == 409 || reply.revision() == 1, "{reply:?}");
    }
    let done = replies.iter().filter(|reply| reply.status() == 200 && !replayed(reply)).count();
    assert_eq!(done, 1);
    assert_eq!(router.call("GET", "/v1/revision", None).revision(), 1);
}
