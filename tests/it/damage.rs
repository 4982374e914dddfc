//! A damaged store: it is set aside and never overwritten, what can be trusted is served, and
//! pushes are refused until an operator decides.

use std::{
    fs,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use crate::harness::{
    Named, Router,
    router::{command, serve},
};

const GARBAGE: &str = "this is not a database, and nobody may take it for one";

/// A data directory whose router ended in order, with one app that answers at `a.test`.
fn ended(dir: &Path, dyno: &Named) -> serde_json::Value {
    let mut router = Router::on(dir, &[]);
    router.app("one", "a.test", &[&dyno.addr]);
    let revision = router.call("GET", "/v1/revision", None).json;
    router.terminate();
    assert!(router.wait().success());
    revision
}

/// The folders of that word in a data directory.
fn folders(dir: &Path, word: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let is_one = |path: &PathBuf| {
        path.is_dir() && path.file_name().unwrap().to_str().unwrap().starts_with(word)
    };
    entries.filter(is_one).collect()
}

fn assert_served_and_refusing(router: &Router, parts: &[&str]) {
    assert_eq!(router.get("a.test", "/").status(), 200);
    let refused = router.call("PUT", "/v1/apps/late", Some(json!({})));
    assert_eq!(refused.status(), 503, "{refused:?}");
    let detail = refused.json["detail"].as_str().unwrap();
    for part in parts {
        assert!(detail.contains(part), "{part} is not in {detail}");
    }
    let ready = router.ready();
    assert!(ready.json["warnings"][0].as_str().unwrap().contains(parts[0]), "{ready:?}");
    assert_eq!(router.metric("hostler_store_writable"), 0.0);
    router.said.wait_for("the store takes no pushes");
    // It is in memory, and to be carried elsewhere, whatever became of the database.
    let whole = router.call("GET", "/v1/table", None).answer.text();
    let mut lines = whole.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let standing = router.call("GET", "/v1/revision", None).json;
    let header = lines.next().unwrap();
    let fields = |value: &Value| (value["revision"].clone(), value["digest"].clone());
    assert_eq!(fields(&header), fields(&standing));
    let said = ["apps", "routes", "dynos"].map(|name| header[name].as_u64().unwrap());
    assert_eq!(lines.count() as u64, said.iter().sum::<u64>(), "{whole}");
}

#[test]
fn a_damaged_database_is_set_aside_and_the_table_of_the_snapshot_served() {
    let (dir, dyno) = (tempfile::tempdir().unwrap(), Named::start("one"));
    let before = ended(dir.path(), &dyno);
    let (database, snapshot) = (dir.path().join("hostler.db"), dir.path().join("table.snapshot"));
    fs::write(&database, GARBAGE).unwrap();
    let kept = fs::read(&snapshot).unwrap();
    // The second start finds no database, and stays in that state.
    for start in 0..2 {
        let mut router = Router::on(dir.path(), &[]);
        let parts = ["hostler store restore", "hostler store recover", "hostler.db"];
        assert_served_and_refusing(&router, &parts);
        assert_eq!(router.call("GET", "/v1/revision", None).json, before);
        assert_eq!(router.call("GET", "/v1/history", None).status(), 503);
        let aside = folders(dir.path(), "damaged-");
        assert_eq!(aside.len(), 1, "start {start}: {aside:?}");
        assert_eq!(fs::read(aside[0].join("hostler.db")).unwrap(), GARBAGE.as_bytes());
        assert!(!database.exists());
        router.terminate();
        assert!(router.wait().success());
        assert_eq!(fs::read(&snapshot).unwrap(), kept, "start {start}");
    }
    let recovered = command(&["store", "recover", "--data-dir", dir.path().to_str().unwrap()]);
    let output = { recovered }.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let router = Router::on(dir.path(), &[]);
    assert_eq!(router.get("a.test", "/").status(), 200);
    let after = router.call("GET", "/v1/revision", None).json;
    assert_eq!(after["digest"], before["digest"]);
    let (first, last) = (before["revision"].as_u64().unwrap(), after["revision"].as_u64().unwrap());
    assert!(last >= first + 1_000_000, "no number means two things: {last}");
    let history = router.call("GET", "/v1/history", None).json;
    assert_eq!(history["items"].as_array().unwrap().len(), 1);
    assert_eq!(history["items"][0]["begins"], true);
    assert_eq!(router.write("PUT", "/v1/apps/late", json!({})), last + 1);
    let past = router.call("GET", &format!("/v1/table?at={first}"), None);
    assert_eq!(past.status(), 410, "{past:?}");
}

#[test]
fn damage_that_is_noticed_while_the_router_runs_ends_its_pushes_and_loses_no_table() {
    let (dir, dyno) = (tempfile::tempdir().unwrap(), Named::start("one"));
    ended(dir.path(), &dyno);
    let database = dir.path().join("hostler.db");
    let router = Router::on(dir.path(), &[]);
    router.write("PUT", "/v1/apps/two", json!({}));
    // Everything behind the first page, which says what the file is.
    let file = fs::OpenOptions::new().write(true).open(&database).unwrap();
    let length = file.metadata().unwrap().len();
    file.write_all_at(&vec![0xa5; length as usize - 4096], 4096).unwrap();
    let looked = router.call("GET", "/v1/apps/one?at=1", None);
    assert_eq!(looked.status(), 503, "{looked:?}");
    let refused = router.call("PUT", "/v1/apps/late", Some(json!({})));
    assert_eq!(refused.status(), 503, "{refused:?}");
    assert_served_and_refusing(&router, &["cannot be trusted", "hostler.db"]);
    let before = router.call("GET", "/v1/revision", None).json;
    router.kill();
    let damaged = fs::read(&database).unwrap();
    let router = Router::on(dir.path(), &[]);
    assert_served_and_refusing(&router, &["damaged-", "hostler store restore"]);
    assert_eq!(router.call("GET", "/v1/revision", None).json, before);
    assert_eq!(router.call("GET", "/v1/apps/two", None).status(), 200);
    let aside = &folders(dir.path(), "damaged-")[0];
    assert_eq!(fs::read(aside.join("hostler.db")).unwrap(), damaged);
    assert!(aside.join("hostler.db-wal").exists());
}

/// A data directory whose router was killed behind so many small pushes.
fn killed(dir: &Path, pushes: usize) {
    let router = Router::on(dir, &[]);
    for i in 0..pushes {
        router.write("PUT", &format!("/v1/apps/app-{i}"), json!({}));
    }
    router.kill();
}

#[test]
fn a_damaged_log_is_no_end_of_it_and_loses_no_write_in_silence() {
    let (dir, dyno) = (tempfile::tempdir().unwrap(), Named::start("one"));
    let before = ended(dir.path(), &dyno)["revision"].as_u64().unwrap();
    killed(dir.path(), 60);
    let log = dir.path().join("hostler.db-wal");
    let file = fs::OpenOptions::new().write(true).open(&log).unwrap();
    file.write_all_at(&[0xa5; 8], file.metadata().unwrap().len() / 2).unwrap();
    let damaged = fs::read(&log).unwrap();
    let verify = command(&["store", "verify", "--data-dir", dir.path().to_str().unwrap()]);
    let output = { verify }.output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(String::from_utf8(output.stdout).unwrap().contains("of its log is damaged"));
    let mut served = None;
    // The second start finds no database, and stays in that state.
    for said in ["of its log is damaged", "is not there"] {
        let router = Router::on(dir.path(), &[]);
        assert_served_and_refusing(&router, &[said, "hostler store restore"]);
        let revision = router.call("GET", "/v1/revision", None).json;
        let number = revision["revision"].as_u64().unwrap();
        assert!(before < number && number < before + 60, "what is before it counts: {number}");
        assert_eq!(served.get_or_insert(revision.clone()), &revision);
        let aside = folders(dir.path(), "damaged-");
        assert_eq!(aside.len(), 1, "{aside:?}");
        assert_eq!(fs::read(aside[0].join("hostler.db-wal")).unwrap(), damaged);
        router.kill();
    }
}

#[test]
fn a_database_that_is_older_than_its_snapshot_is_not_served() {
    let (dir, dyno) = (tempfile::tempdir().unwrap(), Named::start("one"));
    ended(dir.path(), &dyno);
    let database = dir.path().join("hostler.db");
    let old = fs::read(&database).unwrap();
    let mut router = Router::on(dir.path(), &[]);
    router.write("PUT", "/v1/apps/two", json!({}));
    let newest = router.call("GET", "/v1/revision", None).json;
    router.terminate();
    assert!(router.wait().success());
    fs::write(&database, &old).unwrap();
    let data_dir = dir.path().to_str().unwrap();
    for act in ["verify", "compact"] {
        let output = command(&["store", act, "--data-dir", data_dir]).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(said.contains("writes were lost"), "{act}: {said}");
    }
    for said in ["writes were lost", "is not there"] {
        let router = Router::on(dir.path(), &[]);
        assert_served_and_refusing(&router, &[said, "hostler store recover"]);
        assert_eq!(router.call("GET", "/v1/revision", None).json, newest);
        assert_eq!(router.call("GET", "/v1/apps/two", None).status(), 200);
        router.kill();
    }
    let output = command(&["store", "recover", "--data-dir", data_dir]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let router = Router::on(dir.path(), &[]);
    assert_eq!(router.call("GET", "/v1/apps/two", None).status(), 200);
    router.write("PUT", "/v1/apps/late", json!({}));
}

#[test]
fn a_log_that_a_crash_tore_is_no_damage() {
    let (dir, dyno) = (tempfile::tempdir().unwrap(), Named::start("one"));
    ended(dir.path(), &dyno);
    killed(dir.path(), 5);
    let log = dir.path().join("hostler.db-wal");
    let file = fs::OpenOptions::new().write(true).open(&log).unwrap();
    file.set_len(file.metadata().unwrap().len() - 2000).unwrap();
    let router = Router::on(dir.path(), &[]);
    assert_eq!(router.call("GET", "/v1/apps/app-3", None).status(), 200);
    router.write("PUT", "/v1/apps/late", json!({}));
}

#[test]
fn damage_in_the_past_that_a_start_comes_upon_ends_the_pushes_at_once() {
    let (dir, dyno) = (tempfile::tempdir().unwrap(), Named::start("one"));
    ended(dir.path(), &dyno);
    let mut router = Router::on(dir.path(), &[]);
    router.write("PUT", "/v1/apps/two", json!({}));
    router.write("PATCH", "/v1/apps/two", json!({"blank": true}));
    let newest = router.call("GET", "/v1/revision", None).json;
    router.terminate();
    assert!(router.wait().success());
    let direct = rusqlite::Connection::open(dir.path().join("hostler.db")).unwrap();
    let damage = "UPDATE edits SET body = '{' WHERE body IS NOT NULL";
    assert_eq!(direct.execute(damage, []).unwrap(), 1);
    drop(direct);
    let router = Router::on(dir.path(), &[]);
    let ready = router.call("GET", "/readyz", None);
    assert!(ready.json["warnings"][0].as_str().unwrap().contains("cannot be trusted"), "{ready:?}");
    assert_served_and_refusing(&router, &["cannot be trusted", "hostler.db"]);
    assert_eq!(router.call("GET", "/v1/revision", None).json, newest);
    assert!(dir.path().join("hostler.db.doubt").exists());
}

#[test]
fn a_damaged_snapshot_costs_nothing() {
    let (dir, dyno) = (tempfile::tempdir().unwrap(), Named::start("one"));
    let before = ended(dir.path(), &dyno);
    fs::write(dir.path().join("table.snapshot"), GARBAGE).unwrap();
    let router = Router::on(dir.path(), &[]);
    assert_eq!(router.get("a.test", "/").status(), 200);
    assert_eq!(router.call("GET", "/v1/revision", None).json, before);
    router.write("PUT", "/v1/apps/late", json!({}));
}

#[test]
fn a_start_with_nothing_left_to_serve_is_refused_and_changes_nothing() {
    let (dir, dyno) = (tempfile::tempdir().unwrap(), Named::start("one"));
    ended(dir.path(), &dyno);
    let files = ["hostler.db", "table.snapshot"].map(|name| dir.path().join(name));
    files.iter().for_each(|file| fs::write(file, GARBAGE).unwrap());
    for _ in 0..2 {
        let output = serve(dir.path(), &[]).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        let text = String::from_utf8(output.stderr).unwrap();
        for part in ["hostler.db is damaged", "hostler store restore"] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
        assert!(files.iter().all(|file| fs::read(file).unwrap() == GARBAGE.as_bytes()));
    }
    fs::remove_file(&files[0]).unwrap();
    let output = serve(dir.path(), &[]).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "an empty table is not what was there");
    assert!(String::from_utf8(output.stderr).unwrap().contains("table.snapshot"));
}

#[test]
fn an_admin_token_that_is_damaged_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let mut router = Router::on(dir.path(), &[("HOSTLER_ADMIN_TOKEN", "")]);
    router.terminate();
    assert!(router.wait().success());
    let file = dir.path().join("admin.token");
    fs::write(&file, [0xff; 40]).unwrap();
    let output = serve(dir.path(), &[("HOSTLER_ADMIN_TOKEN", "")]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stderr).unwrap().contains("admin.token"));
}

#[test]
fn a_token_that_is_damaged_opens_nothing_and_stops_nobody() {
    let (dir, dyno) = (tempfile::tempdir().unwrap(), Named::start("one"));
    let router = Router::on(dir.path(), &[]);
    router.app("one", "a.test", &[&dyno.addr]);
    let make = |name: &str| {
        let made =
            router.call("POST", "/v1/tokens", Some(json!({"name": name, "scopes": ["read"]})));
        made.json["token"].as_str().unwrap().to_owned()
    };
    let (sound, damaged) = (make("sound"), make("damaged"));
    router.kill();
    let direct = rusqlite::Connection::open(dir.path().join("hostler.db")).unwrap();
    direct.execute("UPDATE tokens SET hash = x'00' WHERE name = 'damaged'", []).unwrap();
    drop(direct);
    let router = Router::on(dir.path(), &[]);
    router.said.wait_for("a token cannot be read");
    let status = |token: &str| {
        let bearer = format!("Authorization: Bearer {token}\r\n");
        router.call_with(&bearer, "GET", "/v1/apps", None).status()
    };
    assert_eq!((status(&sound), status(&damaged)), (200, 401));
    let verify = command(&["store", "verify", "--data-dir", dir.path().to_str().unwrap()]);
    let output = { verify }.output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stdout).unwrap().contains("token damaged"));
}
