//! `hostler store` on real data directories: backup and verify beside a router, the rest without.

use std::{fs, path::Path, process::Output};

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::harness::{
    Named, Router,
    router::{command, until},
};

/// Runs `hostler store` on a data directory.
fn store(dir: &Path, arguments: &[&str]) -> Output {
    let mut command = command(&["store"]);
    command.args(arguments).arg("--data-dir").arg(dir).output().unwrap()
}

/// What a command that succeeds prints, as JSON.
fn done(dir: &Path, arguments: &[&str]) -> Value {
    let output = store(dir, &[arguments, &["--json"]].concat());
    assert!(output.status.success() && output.stderr.is_empty(), "{arguments:?}: {output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Why a command failed.
fn failed(dir: &Path, arguments: &[&str]) -> String {
    let output = store(dir, arguments);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {output:?}");
    String::from_utf8(output.stderr).unwrap()
}

fn revision(router: &Router) -> Value {
    router.call("GET", "/v1/revision", None).json
}

#[test]
fn a_backup_of_a_running_router_is_the_table_on_another_machine() {
    let (dir, other, dyno) =
        (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), Named::start("one"));
    let router = Router::on(dir.path(), &[]);
    router.app("one", "a.test", &[&dyno.addr]);
    let made = json!({"name": "ci", "scopes": ["push:one"]});
    let made = router.call("POST", "/v1/tokens", Some(made)).json;
    let bearer = format!("Authorization: Bearer {}\r\n", made["token"].as_str().unwrap());
    let before = revision(&router);
    let file = other.path().join("backup.db");
    let name = file.to_str().unwrap();
    let backup = done(dir.path(), &["backup", name]);
    assert_eq!((&backup["newest"], &backup["digest"]), (&before["revision"], &before["digest"]));
    router.write("PUT", "/v1/apps/later", json!({}));
    assert_eq!(done(dir.path(), &["verify"])["findings"], json!([]));
    assert_eq!(done(dir.path(), &["verify", name])["findings"], json!([]));
    let files: Vec<_> = fs::read_dir(other.path()).unwrap().collect();
    assert_eq!(files.len(), 1, "nothing is left beside it: {files:?}");

    let there = tempfile::tempdir().unwrap();
    let restored = done(there.path(), &["restore", name]);
    assert_eq!((&restored["revision"], &restored["kept_in"]), (&before["revision"], &Value::Null));
    let router = Router::on(there.path(), &[]);
    assert_eq!(revision(&router), before);
    assert_eq!(router.get("a.test", "/").status(), 200);
    let written = router.call_with(&bearer, "PATCH", "/v1/apps/one", Some(json!({"blank": true})));
    assert_eq!(written.status(), 200, "tokens come along: {written:?}");
}

#[test]
fn a_backup_is_never_written_over_unless_that_is_asked_for() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let router = Router::on(dir.path(), &[]);
    router.write("PUT", "/v1/apps/one", json!({}));
    let file = other.path().join("backup.db");
    let name = file.to_str().unwrap();
    fs::write(&file, "the only copy of a poem").unwrap();
    let said = failed(dir.path(), &["backup", name]);
    assert!(said.contains(name) && said.contains("--replace"), "{said}");
    assert_eq!(fs::read(&file).unwrap(), b"the only copy of a poem");
    assert_eq!(done(dir.path(), &["backup", name, "--replace"])["newest"], 1);
    assert!(failed(dir.path(), &["backup", "/nowhere/at/all.db"]).contains("/nowhere/at/all.db"));
    let none = other.path().join("none");
    let free = other.path().join("free.db");
    assert!(failed(&none, &["backup", free.to_str().unwrap()]).contains(none.to_str().unwrap()));
    assert!(!free.exists());
}

#[test]
fn a_restore_keeps_what_was_there_and_waits_for_no_router() {
    let dir = tempfile::tempdir().unwrap();
    let mut router = Router::on(dir.path(), &[]);
    router.write("PUT", "/v1/apps/one", json!({}));
    let file = dir.path().join("backup.db");
    let name = file.to_str().unwrap();
    done(dir.path(), &["backup", name]);
    router.write("PUT", "/v1/apps/two", json!({}));
    for command in [&["restore", name][..], &["recover"], &["compact"]] {
        let why = failed(dir.path(), command);
        assert!(why.contains(&router.pid().to_string()), "{command:?}: {why}");
    }
    router.terminate();
    assert!(router.wait().success());
    assert!(failed(dir.path(), &["recover"]).contains("sound"));
    let restored = done(dir.path(), &["restore", name]);
    let kept = Path::new(restored["kept_in"].as_str().unwrap());
    assert!(kept.starts_with(dir.path()));
    let newest: i64 = Connection::open(kept.join("hostler.db"))
        .unwrap()
        .query_row("SELECT max(revision) FROM transactions", [], |row| row.get(0))
        .unwrap();
    assert_eq!(newest, 2);
    let router = Router::on(dir.path(), &[]);
    assert_eq!(router.call("GET", "/v1/apps/two", None).status(), 404);
    assert_eq!(router.write("PUT", "/v1/apps/three", json!({})), 2);
}

#[test]
fn what_is_damaged_is_found_and_never_restored() {
    let dir = tempfile::tempdir().unwrap();
    let mut router = Router::on(dir.path(), &[]);
    router.write("PUT", "/v1/apps/one", json!({}));
    router.write("PUT", "/v1/apps/one/dynos/web.1", json!({"addr": "10.0.0.1:1"}));
    router.write("PUT", "/v1/apps/one/dynos/web.1", json!({"addr": "10.0.0.2:1"}));
    let before = revision(&router);
    let file = dir.path().join("backup.db");
    let name = file.to_str().unwrap();
    let of = |statement: &str| {
        fs::remove_file(&file).unwrap_or_default();
        done(dir.path(), &["backup", name]);
        Connection::open(&file).unwrap().execute_batch(statement).unwrap();
        let output = store(dir.path(), &["verify", name]);
        assert_eq!(output.status.code(), Some(1), "{statement}: {output:?}");
        assert!(failed(dir.path(), &["verify", name]).contains("is damaged"));
        String::from_utf8(output.stdout).unwrap()
    };
    for (statement, what) in [
        ("UPDATE edits SET body = replace(body, '10.0.0.1', '10.0.0.9')", "revision 2 should have"),
        ("DELETE FROM objects WHERE kind = 'dyno'", "revision 3 should have"),
        ("DELETE FROM transactions WHERE revision = 2", "revision 3 follows 1"),
        ("UPDATE transactions SET digest = zeroblob(32) WHERE revision = 1", "revision 1 should"),
        ("UPDATE transactions SET dynos = 7 WHERE revision = 3", "revision 3 should have"),
        ("UPDATE objects SET from_rev = 9 WHERE kind = 'app'", "revision 9"),
        ("UPDATE objects SET last = 1 WHERE kind = 'dyno'", "dyno one/web.1"),
        ("UPDATE edits SET before = 1 WHERE id = 3", "dyno one/web.1"),
        ("UPDATE objects SET app = 'two' WHERE kind = 'dyno'", "found under two"),
        ("UPDATE objects SET body = '{' WHERE kind = 'dyno'", "dyno \"one/web.1\""),
        ("CREATE TABLE poems (line TEXT)", "poems"),
    ] {
        let said = of(statement);
        assert!(said.contains(what), "{statement}: {said}");
    }
    router.terminate();
    assert!(router.wait().success());
    assert!(failed(dir.path(), &["restore", name]).contains("poems"));
    fs::write(&file, "no database at all, but long enough to be looked at by somebody").unwrap();
    assert!(failed(dir.path(), &["restore", name]).contains(name));
    assert!(failed(dir.path(), &["verify", name]).contains(name));
    assert_eq!(revision(&Router::on(dir.path(), &[])), before);
}

#[test]
fn compacting_forgets_and_gives_the_disk_back() {
    let dir = tempfile::tempdir().unwrap();
    let mut router = Router::on(dir.path(), &[]);
    let page = |i: usize| json!({"pages": {"error": {"text": format!("{i}").repeat(20_000)}}});
    for i in 0..20 {
        router.write("PUT", "/v1/apps/one", page(i));
    }
    let before = revision(&router);
    router.terminate();
    assert!(router.wait().success());
    let all = done(dir.path(), &["compact"]);
    assert_eq!(all["oldest"], 0, "nothing is that old: {all}");
    let less = done(dir.path(), &["compact", "--store-retention", "1ms"]);
    assert_eq!(less["oldest"], 20, "{less}");
    let bytes = |name: &str| less[name].as_u64().unwrap();
    assert!(bytes("bytes_before") > 2 * bytes("bytes_after"), "{less}");
    assert_eq!(done(dir.path(), &["verify"])["oldest"], 20);
    let router = Router::on(dir.path(), &[]);
    assert_eq!(revision(&router), before);
    assert_eq!(router.call("GET", "/v1/table?at=20", None).status(), 200);
}

#[test]
fn a_router_forgets_what_is_older_than_its_retention_and_says_so() {
    let router = Router::with(&[("HOSTLER_STORE_RETENTION", "1ms")]);
    router.write("PUT", "/v1/apps/one", json!({}));
    router.write("PUT", "/v1/apps/one/dynos/web.1", json!({"addr": "10.0.0.1:1"}));
    router.delete("/v1/apps/one/dynos/web.1");
    // Nobody pushes meanwhile.
    until("the past is forgotten", || {
        router.call("GET", "/v1/history", None).json["items"].as_array().unwrap().len() == 1
    });
    for (method, path, body) in [
        ("GET", "/v1/table?at=2", Value::Null),
        ("GET", "/v1/diff?from=1&to=3", Value::Null),
        ("GET", "/v1/diff?from=3&to=1", Value::Null),
        ("GET", "/v1/apps/one?at=2", Value::Null),
        ("GET", "/v1/history?before=3", Value::Null),
        ("GET", "/v1/history?until=2", Value::Null),
        ("GET", "/v1/table?at=2001-09-09T01:46:41Z", Value::Null),
        ("POST", "/v1/revert", json!({"to": 2})),
        ("POST", "/v1/revert", json!({"to": 1, "app": "one"})),
    ] {
        let gone = router.call(method, path, Some(body).filter(|body| !body.is_null()));
        assert_eq!(gone.status(), 410, "{method} {path}: {gone:?}");
        let detail = gone.json["detail"].as_str().unwrap();
        assert!(detail.contains("oldest revision that is kept is 3"), "{detail}");
        assert!(detail.contains("store.retention"), "{detail}");
    }
    let history = router.call("GET", "/v1/history", None).json;
    assert_eq!(
        (&history["items"][0]["revision"], &history["items"][0]["begins"]),
        (&json!(3), &json!(true))
    );
    assert_eq!(router.metric("hostler_store_oldest_revision"), 3.0);
    // What may have changed since is not taken for unchanged.
    let put = json!([{"method": "PUT", "path": "/apps/one/dynos/web.1",
                      "body": {"addr": "10.0.0.1:1"}}]);
    let stale = json!({"if_revision": 2, "ops": put});
    assert_eq!(router.call("POST", "/v1/transactions", Some(stale)).status(), 409);
    let fresh = json!({"if_revision": 3, "ops": put});
    assert_eq!(router.call("POST", "/v1/transactions", Some(fresh)).status(), 200);
}
