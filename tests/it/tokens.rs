//! Tokens over the wire: made, used, limited, ended and revoked, across restarts; and the audit.
//!
//! Invariant: what a token may not do is refused with the scope that it lacks, and changes nothing.

use serde_json::{Value, json};

use crate::harness::{
    Conn, Router,
    push::{Reply, ops_of},
    router::{TOKEN, command},
};

fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

/// Makes a token; answers its header line.
fn made(router: &Router, name: &str, scopes: &[&str]) -> String {
    let body = json!({"name": name, "scopes": scopes});
    let reply = router.call("POST", "/v1/tokens", Some(body));
    assert_eq!(reply.status(), 201, "{reply:?}");
    bearer(reply.json["token"].as_str().unwrap())
}

fn put(router: &Router, line: &str, path: &str) -> Reply {
    router.call_with(line, "PUT", path, Some(json!({})))
}

#[test]
fn a_token_is_shown_once_and_holds_across_restarts_until_it_is_revoked() {
    let dir = tempfile::tempdir().unwrap();
    let router = Router::on(dir.path(), &[]);
    let body = json!({"name": "ci", "scopes": ["push:blog", "read"]});
    let reply = router.call("POST", "/v1/tokens", Some(body));
    assert_eq!(reply.answer.head.get("location"), Some("/v1/tokens/ci"));
    let token = reply.json["token"].as_str().unwrap().to_owned();
    let line = bearer(&token);
    assert_eq!(put(&router, &line, "/v1/apps/blog").status(), 200);
    let listed = router.call("GET", "/v1/tokens", None).json;
    let ci = &listed["items"][0];
    assert_eq!((&ci["name"], &ci["made_by"]), (&json!("ci"), &json!("admin")));
    assert_eq!(ci["scopes"], json!(["read", "push:blog"]));
    assert!(ci["last_used_at_ms"].as_u64() >= ci["made_at_ms"].as_u64(), "{listed}");
    assert!(ci.get("token").is_none() && !listed.to_string().contains(&token[25..]), "{listed}");
    router.kill();
    // No byte of the secret lies in any file.
    for entry in std::fs::read_dir(dir.path()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        assert!(!bytes.windows(64).any(|window| window == &token.as_bytes()[25..]));
    }
    let router = Router::on(dir.path(), &[]);
    assert_eq!(put(&router, &line, "/v1/apps/blog").status(), 200);
    assert_eq!(router.call("DELETE", "/v1/tokens/ci", None).json, json!({"revoked": true}));
    let refused = put(&router, &line, "/v1/apps/blog");
    assert_eq!(refused.status(), 401);
    assert!(refused.answer.head.get("www-authenticate").is_some());
    assert_eq!(router.call("DELETE", "/v1/tokens/ci", None).status(), 404);
    router.kill();
    let router = Router::on(dir.path(), &[]);
    assert_eq!(put(&router, &line, "/v1/apps/blog").status(), 401);
    assert_eq!(router.call("GET", "/v1/tokens", None).json["items"], json!([]));
    // The table, its revisions and its history know nothing of tokens.
    assert_eq!(router.call("GET", "/v1/revision", None).revision(), 1);
}

#[test]
fn a_connection_that_is_open_already_is_asked_at_every_call() {
    let router = Router::start();
    let line = made(&router, "ci", &["read"]);
    let mut conn = router.connect_control();
    let get = format!("GET /v1/apps HTTP/1.1\r\nHost: hub.test\r\n{line}\r\n");
    assert_eq!(conn.ask(&get).status(), 200);
    router.delete("/v1/tokens/ci");
    assert_eq!(conn.ask(&get).status(), 401);
}

#[test]
fn an_app_of_its_own_is_all_that_a_token_of_one_app_writes() {
    let router = Router::start();
    router.app("shop", "shop.test", &["10.0.0.1:1"]);
    router.write("PUT", "/v1/apps/shop/routes/*.shop.test", json!({}));
    let line = made(&router, "ci", &["push:blog"]);
    let before = router.call("GET", "/v1/revision", None).revision();
    for path in ["/v1/apps/shop", "/v1/apps/shop/dynos/web.1", "/v1/apps/shop/routes/b.test"] {
        let refused = put(&router, &line, path);
        assert_eq!((refused.status(), refused.mistakes()), (403, vec![(None, "scope".into())]));
        assert!(refused.json["detail"].as_str().unwrap().contains("push:shop"), "{refused:?}");
        assert_eq!(router.call_with(&line, "DELETE", path, None).status(), 403);
    }
    let ops = ops_of(&[
        ("PUT", "/apps/blog", json!({})),
        ("PUT", "/apps/shop/dynos/web.1", json!({"addr": "10.6.6.6:1"})),
        ("PUT", "/apps/blog/routes/login.shop.test", json!({})),
        ("PUT", "/apps/blog/routes/shop.test?path=/login", json!({})),
    ]);
    let body = Some(json!({ "ops": ops }));
    let refused = router.call_with(&line, "POST", "/v1/transactions", body);
    let scope = |op: u64| (Some(op), "scope".to_owned());
    assert_eq!((refused.status(), refused.mistakes()), (403, vec![scope(1), scope(2), scope(3)]));
    assert!(refused.answer.text().contains("needs scope push"), "{refused:?}");
    assert_eq!(router.call("GET", "/v1/revision", None).revision(), before);
    // With push it may.
    let line = made(&router, "platform", &["push"]);
    let ops = ops_of(&[
        ("PUT", "/apps/blog", json!({})),
        ("PUT", "/apps/blog/routes/login.shop.test", json!({})),
        ("PUT", "/apps/blog/routes/shop.test?path=/login", json!({})),
    ]);
    let body = Some(json!({ "ops": ops }));
    assert_eq!(router.call_with(&line, "POST", "/v1/transactions", body).status(), 200);
}

#[test]
fn the_history_tells_who_from_where_and_why() {
    let router = Router::start();
    let line = made(&router, "ci", &["push:blog"]);
    let with_reason = format!("{line}Hostler-Reason: release v2\r\n");
    assert_eq!(put(&router, &with_reason, "/v1/apps/blog").status(), 200);
    let ops = ops_of(&[("PUT", "/apps/blog/dynos/web.1", json!({"addr": "10.0.0.1:1"}))]);
    let body = Some(json!({"reason": "more room", "ops": ops}));
    assert_eq!(router.call_with(&line, "POST", "/v1/transactions", body).status(), 200);
    router.write("PUT", "/v1/apps/shop", json!({}));
    let history = router.call("GET", "/v1/history", None).json;
    let told: Vec<_> = history["items"].as_array().unwrap().iter().collect();
    let of = |entry: &Value| ["author", "address", "reason"].map(|name| entry[name].clone());
    assert_eq!(of(told[0]), [json!("admin"), json!("127.0.0.1"), json!(null)]);
    assert_eq!(of(told[1]), [json!("ci"), json!("127.0.0.1"), json!("more room")]);
    assert_eq!(of(told[2]), [json!("ci"), json!("127.0.0.1"), json!("release v2")]);
}

#[test]
fn who_writes_an_app_may_read_its_past_and_no_others() {
    let router = Router::start();
    for app in ["blog", "shop"] {
        router.write("PUT", &format!("/v1/apps/{app}"), json!({}));
    }
    let line = made(&router, "ci", &["push:blog"]);
    let status = |path: &str| router.call_with(&line, "GET", path, None).status();
    for path in ["/v1/history?app=blog", "/v1/diff?from=0&app=blog", "/v1/history?limit=1&app=blog"]
    {
        assert_eq!(status(path), 200, "{path}");
    }
    for path in [
        "/v1/history",
        "/v1/history?app=shop",
        "/v1/history?app=shop&app=blog",
        "/v1/history?app=blog&app=shop",
        "/v1/history?ap%70=shop&app=blog",
        "/v1/history?app=bl%6fg&x=1",
        "/v1/diff?from=0",
        "/v1/diff?from=0&app=shop",
    ] {
        assert!([400, 403].contains(&status(path)), "{path}");
    }
}

#[test]
fn the_audit_tells_who_made_and_revoked_tokens_from_where_and_why() {
    let dir = tempfile::tempdir().unwrap();
    let router = Router::on(dir.path(), &[]);
    let admin = made(&router, "ops", &["admin"]);
    let with_reason = format!("{admin}Hostler-Reason: new hire\r\n");
    let body = json!({"name": "ci", "scopes": ["push:blog", "read"]});
    assert_eq!(router.call_with(&with_reason, "POST", "/v1/tokens", Some(body)).status(), 201);
    assert_eq!(router.call_with(&admin, "DELETE", "/v1/tokens/ci", None).status(), 200);
    assert_eq!(router.call_with(&admin, "DELETE", "/v1/tokens/ci", None).status(), 404);
    router.kill();
    let router = Router::on(dir.path(), &[]);
    let audit = router.call("GET", "/v1/audit?limit=2", None).json;
    let told = |entry: &Value| {
        ["author", "action", "token", "reason", "address", "scopes"].map(|name| entry[name].clone())
    };
    let scopes = json!(["read", "push:blog"]);
    let home = json!("127.0.0.1");
    let revoked = ["ops".into(), "revoked".into(), "ci".into(), Value::Null, home, scopes];
    assert_eq!(told(&audit["items"][0]), revoked);
    assert_eq!(audit["items"][1]["reason"], "new hire");
    let rest = format!("/v1/audit?before={}", audit["next"].as_str().unwrap());
    let rest = router.call("GET", &rest, None).json;
    let items = rest["items"].as_array().unwrap();
    assert_eq!((items.len(), &items[0]["token"]), (1, &json!("ops")));
    assert_eq!(router.call("GET", "/v1/audit?before=x", None).status(), 400);
}

#[test]
fn a_token_ends_when_it_was_told_to() {
    let router = Router::start();
    let body = json!({"name": "brief", "scopes": ["read"], "expires_in_s": 1});
    let reply = router.call("POST", "/v1/tokens", Some(body));
    let line = bearer(reply.json["token"].as_str().unwrap());
    let ends = reply.json["expires_at_ms"].as_u64().unwrap();
    assert_eq!(ends, reply.json["made_at_ms"].as_u64().unwrap() + 1000);
    crate::harness::until("it has ended", || {
        let answer = router.call_with(&line, "GET", "/v1/revision", None);
        answer.status() == 401 && answer.answer.text().contains("expired")
    });
}

#[test]
fn a_token_that_cannot_be_made_is_refused_with_every_mistake() {
    let router = Router::with(&[("HOSTLER_PUSH_MAX_TOKENS", "2")]);
    let make = |body: Value| router.call("POST", "/v1/tokens", Some(body));
    let scopes = json!(["read"]);
    for (body, fields) in [
        (json!({}), vec!["name", "scopes"]),
        (
            json!({"name": "a b", "scopes": ["write"], "expires_in_s": 0, "x": 1}),
            vec!["x", "name", "scopes", "expires_in_s"],
        ),
        (json!({"name": "admin", "scopes": scopes}), vec!["name"]),
        (json!({"name": "hostler", "scopes": scopes}), vec!["name"]),
        (json!({"name": "-a", "scopes": []}), vec!["name", "scopes"]),
        (json!({"name": "a", "scopes": ["push:Blog"]}), vec!["scopes"]),
    ] {
        let refused = make(body.clone());
        let named: Vec<_> = refused.mistakes().into_iter().map(|(_, field)| field).collect();
        assert_eq!(
            (refused.status(), named),
            (422, fields.iter().map(|f| f.to_string()).collect())
        );
    }
    assert_eq!(make(json!({"name": "a", "scopes": scopes})).status(), 201);
    assert_eq!(make(json!({"name": "a", "scopes": scopes})).status(), 409);
    assert_eq!(make(json!({"name": "b", "scopes": scopes})).status(), 201);
    let refused = make(json!({"name": "c", "scopes": scopes}));
    assert_eq!(refused.status(), 409);
    assert!(refused.answer.text().contains("push.max_tokens"), "{refused:?}");
    let keyed = format!("{}Idempotency-Key: k\r\n", bearer(TOKEN));
    let refused = router.call_with(&keyed, "POST", "/v1/tokens", Some(json!({})));
    assert_eq!(refused.status(), 400, "{refused:?}");
}

#[test]
fn the_commands_make_use_and_revoke_a_token() {
    let router = Router::start();
    let url = format!("http://{}", router.control);
    let run = |token: &str, arguments: &[&str]| {
        let mut command = command(arguments);
        command.env("HOSTLER_URL", &url).env("HOSTLER_TOKEN", token).output().unwrap()
    };
    let done = |token: &str, arguments: &[&str]| {
        let output = run(token, arguments);
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(done(TOKEN, &["tokens"]).contains("hostler tokens create"));
    let create = ["tokens", "create", "ci", "--scope", "push:blog", "--expires", "90d"];
    let shown = done(TOKEN, &create);
    let token = shown.lines().last().unwrap();
    assert!(token.starts_with("hostler_"), "{shown}");
    assert_eq!(done(token, &["apps", "create", "blog"]), "Made app blog (revision 1)\n");
    let again = ["maintenance", "on", "blog", "--idempotency-key", "k"];
    let first = done(token, &again);
    done(TOKEN, &["maintenance", "off", "blog"]);
    assert_eq!(done(token, &again), first, "it is told, and not done again");
    assert_eq!(done(TOKEN, &["maintenance", "blog"]), "off\n");
    let output = run(token, &["apps", "create", "shop"]);
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(6) && text.contains("push:shop"), "{text}");
    let listed = done(TOKEN, &["tokens"]);
    let row: Vec<&str> = listed.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(row[..2], ["ci", "push:blog"]);
    assert!(listed.contains("in 89d") && listed.contains("admin"), "{listed}");
    let listed: Value = serde_json::from_str(&done(TOKEN, &["tokens", "--json"])).unwrap();
    assert_eq!(listed[0]["name"], "ci");
    assert_eq!(done(TOKEN, &["tokens", "revoke", "ci"]), "Revoked token ci\n");
    let history = done(TOKEN, &["tokens", "history"]);
    assert!(history.lines().nth(1).unwrap().contains("revoked ci"), "{history}");
    assert_eq!(run(token, &["apps", "info", "blog"]).status.code(), Some(6));
    assert_eq!(run(TOKEN, &["tokens", "revoke", "ci"]).status.code(), Some(5));
    assert_eq!(run(TOKEN, &["tokens", "create", "ci"]).status.code(), Some(2));
}

#[test]
fn bounds_are_settings_and_a_refusal_names_them() {
    let router = Router::with(&[
        ("HOSTLER_PUSH_MAX_OPS", "2"),
        ("HOSTLER_PUSH_MAX_BODY", "1KiB"),
        ("HOSTLER_PUSH_MAX_APPS", "1"),
        ("HOSTLER_PUSH_APP_ROUTES", "1"),
        ("HOSTLER_PUSH_APP_DYNOS", "1"),
        ("HOSTLER_PUSH_RATE", "1"),
    ]);
    router.app("one", "a.test", &[]);
    let names = |reply: Reply, status: u16, setting: &str| {
        assert_eq!(reply.status(), status, "{reply:?}");
        assert!(reply.answer.text().contains(setting), "{reply:?}");
    };
    let put = |path: &str, body: Value| router.call("PUT", path, Some(body));
    names(put("/v1/apps/two", json!({})), 409, "push.max_apps");
    names(put("/v1/apps/one/routes/b.test", json!({})), 409, "push.app_routes");
    let dyno = json!({"addr": "10.0.0.1:1"});
    router.write("PUT", "/v1/apps/one/dynos/web.1", dyno.clone());
    names(put("/v1/apps/one/dynos/web.2", dyno), 409, "push.app_dynos");
    let op = ("PUT", "/apps/one", json!({}));
    names(router.transact(&[op.clone(), op.clone(), op]), 413, "push.max_ops");
    let large = json!({"pages": {"error": {"text": "x".repeat(1024)}}});
    names(put("/v1/apps/one", large), 413, "push.max_body");
    let line = made(&router, "ci", &["read"]);
    crate::harness::until("it calls too often", || {
        let reply = router.call_with(&line, "GET", "/v1/revision", None);
        reply.status() == 429 && reply.answer.head.get("retry-after") == Some("1")
    });
}

#[test]
fn a_revert_is_for_who_may_write_what_it_turns_back() {
    let router = Router::start();
    let line = made(&router, "ci", &["push:blog"]);
    router.app("blog", "a.shop.test", &[]);
    router.write("PATCH", "/v1/apps/blog", json!({"maintenance": true}));
    router.app("shop", "shop.test", &[]);
    let revert = |line: &str, body: Value| router.call_with(line, "POST", "/v1/revert", Some(body));
    let whole = revert(&line, json!({"to": 1}));
    assert_eq!((whole.status(), whole.mistakes()), (403, vec![(None, "scope".into())]));
    assert_eq!(revert(&line, json!({"to": 3, "app": "shop"})).status(), 403);
    let keyed = format!("{line}Idempotency-Key: back\r\n");
    let first = revert(&keyed, json!({"to": 1, "app": "blog"}));
    assert_eq!(first.revision(), 4, "{first:?}");
    router.write("PATCH", "/v1/apps/blog", json!({"maintenance": true}));
    let again = revert(&keyed, json!({"to": 1, "app": "blog"}));
    assert_eq!((again.revision(), &again.json), (4, &first.json));
    assert_eq!(again.answer.head.get("idempotency-replayed"), Some("true"));
    assert_eq!(revert(&keyed, json!({"to": 2, "app": "blog"})).status(), 422);
    let entry = &router.call("GET", "/v1/history", None).json["items"][1];
    assert_eq!((&entry["author"], &entry["address"]), (&json!("ci"), &json!("127.0.0.1")));
    // What is under another app's wildcard by now does not come back without push.
    router.delete("/v1/apps/blog/routes/a.shop.test");
    router.write("PUT", "/v1/apps/shop/routes/*.shop.test", json!({}));
    let taken = revert(&line, json!({"to": 1, "app": "blog"}));
    assert_eq!(taken.status(), 403, "{taken:?}");
    assert!(taken.answer.text().contains("*.shop.test of app shop"), "{taken:?}");
    let line = made(&router, "platform", &["push"]);
    assert_eq!(revert(&line, json!({"to": 1, "app": "blog"})).status(), 200);
    assert_eq!(revert(&line, json!({"to": 1})).status(), 200);
}

#[test]
fn a_token_whose_bodies_do_not_come_keeps_no_other_waiting() {
    let router = Router::start();
    let line = made(&router, "ci", &["push:shop"]);
    let head = "POST /v1/transactions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n";
    let mut idle: Vec<Conn> = (0..8).map(|_| router.connect_control()).collect();
    for conn in &mut idle {
        conn.send(format!("{head}{line}Expect: 100-continue\r\nContent-Length: 16777216\r\n\r\n"));
    }
    // Those whose share is granted are told to go on.
    crate::harness::until("some of the bodies are waited for", || {
        idle.iter().filter(|conn| conn.has_input()).count() >= 2
    });
    router.write("PUT", "/v1/apps/blog", json!({}));
    let asked = idle.iter().filter(|conn| conn.has_input()).count();
    assert_eq!(asked, 2, "the others wait for the first two, which have not come");
}
