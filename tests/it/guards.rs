//! The guards over the wire: what is refused, by which field, and what lets it in.
//!
//! Invariant: what was refused changed nothing, which the revision says.

use serde_json::{Value, json};

use crate::harness::{
    Router,
    push::Reply,
    router::{TOKEN, command},
};

const GUARDED: [(&str, &str); 2] =
    [("HOSTLER_PUSH_SHRINK_SHARE", "50"), ("HOSTLER_PUSH_SHRINK_FLOOR", "1")];

/// An app with four hosts.
fn filled(router: &Router) {
    router.write("PUT", "/v1/apps/one", json!({}));
    for host in ["a", "b", "c", "d"] {
        router.write("PUT", &format!("/v1/apps/one/routes/{host}.test"), json!({}));
    }
}

fn revision(router: &Router) -> u64 {
    router.call("GET", "/v1/revision", None).revision()
}

/// Is it refused so, and nothing changed?
fn refused(router: &Router, status: u16, field: &str, call: impl Fn() -> Reply) -> String {
    let before = revision(router);
    let reply = call();
    assert_eq!(reply.status(), status, "{reply:?}");
    assert!(reply.mistakes().iter().all(|(_, named)| named == field), "{reply:?}");
    assert_eq!(revision(router), before);
    reply.json["errors"][0]["reason"].as_str().unwrap().to_owned()
}

fn cli(router: &Router, arguments: &[&str]) -> (Option<i32>, String) {
    let url = format!("http://{}", router.control);
    let mut command = command(arguments);
    let output = command.env("HOSTLER_URL", url).env("HOSTLER_TOKEN", TOKEN).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(text).unwrap())
}

#[test]
fn losing_too_much_is_refused_by_every_way_until_it_is_forced() {
    let router = Router::with(&GUARDED);
    filled(&router);
    let made = revision(&router);
    let call = |method: &str, path: &str, body| router.call(method, path, body);
    let why = refused(&router, 409, "force", || call("DELETE", "/v1/apps/one", None));
    assert!(why.starts_with("4 of 4 routes would be lost within 10m"), "{why}");
    for part in ["push.shrink_share", "50 %", "force=true", "scope push"] {
        assert!(why.contains(part), "{why}");
    }
    let ops = json!([{"method": "DELETE", "path": "/apps/one"}]);
    let transact = |body: Value| call("POST", "/v1/transactions", Some(body));
    refused(&router, 409, "force", || transact(json!({"ops": ops})));
    refused(&router, 409, "force", || transact(json!({"ops": ops, "force": false})));
    refused(&router, 409, "force", || call("POST", "/v1/revert", Some(json!({"to": 0}))));
    // A token of one app may remove it, and may not force that.
    let body = json!({"name": "ci", "scopes": ["push:one"]});
    let token = call("POST", "/v1/tokens", Some(body)).json["token"].clone();
    let line = format!("Authorization: Bearer {}\r\n", token.as_str().unwrap());
    let path = "/v1/apps/one?force=true";
    refused(&router, 403, "force", || router.call_with(&line, "DELETE", path, None));
    refused(&router, 400, "force", || call("DELETE", "/v1/apps/one?force=1", None));
    // Forced in the query, in a body, and by the command line.
    assert_eq!(call("DELETE", path, None).status(), 200);
    let back = || call("POST", "/v1/revert", Some(json!({"to": made})));
    assert_eq!(back().status(), 200);
    assert_eq!(transact(json!({"ops": ops, "force": true})).status(), 200);
    assert_eq!(back().status(), 200);
    let destroy = ["apps", "destroy", "one", "--force", "--reason", "moved"];
    assert_eq!(cli(&router, &destroy).0, Some(0));
    assert_eq!(back().status(), 200);
    let forced = json!({"to": 0, "force": true});
    assert_eq!(call("POST", "/v1/revert", Some(forced)).status(), 200);
    let history = call("GET", "/v1/history", None).json;
    let marks: Vec<_> = history["items"].as_array().unwrap().iter().map(|e| &e["forced"]).collect();
    assert_eq!(
        marks[..7],
        [true, false, true, false, true, false, true].map(Value::from).each_ref()
    );
    let (_, printed) = cli(&router, &["history"]);
    assert!(printed.contains("[forced] moved"), "{printed}");
}

#[test]
fn the_window_outlives_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let router = Router::on(dir.path(), &GUARDED);
    filled(&router);
    router.delete("/v1/apps/one/routes/a.test");
    router.delete("/v1/apps/one/routes/b.test");
    let third = "/v1/apps/one/routes/c.test";
    let away = |router: &Router| router.call("DELETE", third, None);
    refused(&router, 409, "force", || away(&router));
    router.kill();
    let router = Router::on(dir.path(), &GUARDED);
    let why = refused(&router, 409, "force", || away(&router));
    assert!(why.starts_with("3 of 4 routes"), "{why}");
    drop(router);
    let off = Router::on(dir.path(), &[("HOSTLER_PUSH_SHRINK_SHARE", "100")]);
    assert_eq!(away(&off).status(), 200);
}

#[test]
fn a_protected_app_and_route_go_by_their_names_alone() {
    let router = Router::start();
    let on = || json!({"protected": true});
    router.write("PUT", "/v1/apps/one", on());
    router.write("PUT", "/v1/apps/two", json!({}));
    router.write("PUT", "/v1/apps/one/routes/a.test?path=/x", on());
    let route = "/v1/apps/one/routes/a.test?path=/x";
    assert_eq!(router.call("GET", route, None).json["protected"], true);
    assert_eq!(router.call("GET", "/v1/apps/one", None).json["protected"], true);
    let table = router.call("GET", "/v1/table", None).answer.text();
    assert!(table.contains(r#""name":"one","protected":true}"#), "{table}");
    assert!(table.contains(r#""host":"a.test","path":"/x","protected":true}"#), "{table}");

    let call = |method: &str, path: &str, body| router.call(method, path, body);
    let why = refused(&router, 409, "confirm", || call("DELETE", "/v1/apps/one", None));
    assert!(why.ends_with("confirm=a.test/x") || why.ends_with("confirm=one"), "{why}");
    refused(&router, 409, "confirm", || call("PUT", "/v1/apps/one", Some(json!({}))));
    refused(&router, 409, "confirm", || call("PUT", route, Some(json!({}))));
    refused(&router, 409, "confirm", || call("DELETE", route, None));
    refused(&router, 409, "confirm", || call("DELETE", &format!("{route}&confirm=one"), None));
    let moved = json!([
        {"method": "DELETE", "path": "/apps/one/routes/a.test?path=/x"},
        {"method": "PUT", "path": "/apps/two/routes/a.test?path=/x"},
    ]);
    let transact = |body: Value| call("POST", "/v1/transactions", Some(body));
    refused(&router, 409, "confirm", || transact(json!({"ops": moved})));
    refused(&router, 409, "confirm", || call("POST", "/v1/revert", Some(json!({"to": 0}))));
    let made = revision(&router);
    let both = "/v1/apps/one?confirm=one,a.test%2Fx";
    assert_eq!(call("DELETE", both, None).status(), 200);
    let back = || assert_eq!(call("POST", "/v1/revert", Some(json!({"to": made}))).status(), 200);
    back();
    assert_eq!(call("GET", route, None).json["protected"], true);
    let body = json!({"ops": moved, "confirm": ["one", "a.test/x"]});
    assert_eq!(transact(body).status(), 200);
    // Back it goes from two, which is not protected: no name is needed.
    back();
    let one = ["apps", "destroy", "one", "--confirm", "one"];
    let (code, said) = cli(&router, &one);
    assert!(code == Some(7) && said.contains("confirm=a.test/x"), "{said}");
    let (code, said) = cli(&router, &[&one[..], &["--confirm", "a.test/x"]].concat());
    assert_eq!(code, Some(0), "{said}");
}

#[test]
fn the_command_line_protects() {
    let router = Router::start();
    for arguments in [
        &["apps", "create", "one"][..],
        &["apps", "set", "one", "protected=true"],
        &["domains", "add", "one", "a.test", "--protected"],
    ] {
        assert_eq!(cli(&router, arguments).0, Some(0), "{arguments:?}");
    }
    let (_, listed) = cli(&router, &["domains", "one"]);
    assert!(listed.contains("protected"), "{listed}");
    let (code, said) = cli(&router, &["apps", "unset", "one", "protected"]);
    assert!(code == Some(7) && said.contains("confirm=one"), "{said}");
    let unset = ["apps", "unset", "one", "protected", "--confirm", "one"];
    assert_eq!(cli(&router, &unset).0, Some(0));
}

#[test]
fn options_are_part_of_what_a_key_is_known_by() {
    let router = Router::with(&GUARDED);
    filled(&router);
    let line = format!("Authorization: Bearer {TOKEN}\r\nIdempotency-Key: k\r\n");
    let path = "/v1/apps/one?force=true";
    let first = router.call_with(&line, "DELETE", path, None);
    assert_eq!(first.status(), 200);
    let again = router.call_with(&line, "DELETE", path, None);
    assert_eq!(again.answer.head.get("idempotency-replayed"), Some("true"));
    assert_eq!(router.call_with(&line, "DELETE", "/v1/apps/one", None).status(), 422);
}
