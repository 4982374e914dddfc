//! What outlives the process: the table, its revisions, the token; and who may have it at a time.
//!
//! Invariant: what a push was answered for is there after any end of the process.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use serde_json::json;

use crate::harness::{
    Named, Router,
    router::{TOKEN, command, serve},
};

#[test]
fn a_restart_keeps_the_table_and_serves_it_before_any_push() {
    let dir = tempfile::tempdir().unwrap();
    let dyno = Named::start("one");
    let mut router = Router::on(dir.path(), &[]);
    router.app("one", "a.test", &[&dyno.addr, "10.0.0.1:1"]);
    router.write("PUT", "/v1/apps/one/routes/*.b.test?path=/api", json!({}));
    router.set_state("one", "web.2", "crashed");
    router.write("PUT", "/v1/apps/gone", json!({}));
    router.delete("/v1/apps/gone");
    let objects = |router: &Router| {
        ["/v1/revision", "/v1/apps", "/v1/apps/one/routes", "/v1/apps/one/dynos", "/v1/history"]
            .map(|path| router.call("GET", path, None).json)
    };
    let before = objects(&router);
    router.terminate();
    assert!(router.wait().success());
    for ended_in_order in [true, false] {
        let router = Router::on(dir.path(), &[]);
        assert_eq!(router.get("a.test", "/").status(), 200);
        assert_eq!(router.get("x.b.test", "/api/x").status(), 200);
        assert_eq!(objects(&router), before, "ended in order: {ended_in_order}");
        router.kill();
    }
    // Revisions go on where they were.
    let router = Router::on(dir.path(), &[]);
    let last = before[0]["revision"].as_u64().unwrap();
    assert_eq!(router.write("PUT", "/v1/apps/two", json!({})), last + 1);
}

#[test]
fn an_apps_settings_and_pages_outlive_any_end_of_the_process() {
    let dir = tempfile::tempdir().unwrap();
    let mut router = Router::on(dir.path(), &[]);
    let body = json!({
        "blank": true,
        "router": true,
        "protected": true,
        "settings": {"timeouts.idle": "1250ms", "limits.method": 20, "http.half_close": true},
        "pages": {"error": {"html": "<p>\"é\"</p>\n"}, "maintenance": {"json": "[1]"}},
    });
    router.write("PUT", "/v1/apps/one", body);
    router.write("PUT", "/v1/apps/two", json!({}));
    let apps = |router: &Router| {
        ["/v1/apps/one", "/v1/apps/two"].map(|path| router.call("GET", path, None).json)
    };
    let before = apps(&router);
    assert_eq!(before[0]["settings"]["timeouts.idle"], "1250ms");
    router.terminate();
    assert!(router.wait().success());
    // From the snapshot of an orderly end, then from the rows that changed behind it.
    let router = Router::on(dir.path(), &[]);
    assert_eq!(apps(&router), before);
    router.write("PATCH", "/v1/apps/one", json!({"settings": {"timeouts.idle": null}}));
    router.write("PATCH", "/v1/apps/two", json!({"pages": {"error": {"text": "two"}}}));
    let changed = apps(&router);
    assert_ne!(changed, before);
    router.kill();
    assert_eq!(apps(&Router::on(dir.path(), &[])), changed);
}

#[test]
fn a_kill_loses_nothing_that_was_answered() {
    let dir = tempfile::tempdir().unwrap();
    let router = Router::on(dir.path(), &[]);
    router.write("PUT", "/v1/apps/one", json!({}));
    for i in 0..20 {
        let path = format!("/v1/apps/one/dynos/web.{i}");
        router.write("PUT", &path, json!({"addr": "10.0.0.1:1", "weight": i + 1}));
    }
    router.kill();
    let router = Router::on(dir.path(), &[]);
    assert_eq!(router.call("GET", "/v1/revision", None).revision(), 21);
    for i in 0..20 {
        let dyno = router.call("GET", &format!("/v1/apps/one/dynos/web.{i}"), None);
        assert_eq!(dyno.json["weight"], i + 1);
    }
}

/// Keys of certificates are in it, and the directory may be one that others can enter.
#[test]
fn the_store_is_its_owners_alone_in_a_directory_that_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let set = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode));
    set(dir.path(), 0o755).unwrap();
    let files = || {
        let names = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().path());
        names.filter(|path| path.is_file()).collect::<Vec<_>>()
    };
    for made in ["here", "before"] {
        let router = Router::on(dir.path(), &[]);
        router.write("PUT", "/v1/apps/one", json!({"maintenance": made == "here"}));
        let files = files();
        for name in ["hostler.db", "hostler.db-wal", "hostler.db-shm"] {
            assert!(files.contains(&dir.path().join(name)), "{name} is not in {files:?}");
        }
        for path in &files {
            let mode = path.metadata().unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, 0o600, "{} made {made}", path.display());
        }
        router.kill();
        // As an earlier release made them.
        let database = |path: &&PathBuf| path.to_str().unwrap().contains("hostler.db");
        files.iter().filter(database).for_each(|path| set(path, 0o644).unwrap());
    }
}

#[test]
fn a_second_process_on_the_same_directory_is_refused_and_the_first_unharmed() {
    let router = Router::start();
    let dir = router.data_dir();
    let output = serve(&dir, &[]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stderr).unwrap();
    for part in [dir.to_str().unwrap(), &router.pid().to_string(), "data_dir"] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    router.write("PUT", "/v1/apps/one", json!({}));
}

#[test]
fn a_second_process_on_the_same_port_is_refused_with_port_and_setting() {
    let router = Router::start();
    for (variable, setting, addr) in [
        ("HOSTLER_HTTP_LISTEN", "http.listen", router.http),
        ("HOSTLER_CONTROL_LISTEN", "control.listen", router.control),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let output = serve(dir.path(), &[(variable, &addr.to_string())]).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(text.contains(setting) && text.contains(&addr.to_string()), "{text}");
    }
}

#[test]
fn the_first_start_makes_an_admin_token_that_later_starts_keep() {
    let dir = tempfile::tempdir().unwrap();
    let start = || {
        let settings = [("HOSTLER_ADMIN_TOKEN", "")];
        Router::on(dir.path(), &settings)
    };
    let router = start();
    let file = dir.path().join("admin.token");
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let token = std::fs::read_to_string(&file).unwrap();
    let lines = format!("Authorization: Bearer {}\r\n", token.trim());
    assert_eq!(router.call_with(&lines, "PUT", "/v1/apps/one", Some(json!({}))).status(), 200);
    assert_eq!(router.call("GET", "/v1/apps", None).status(), 401, "{TOKEN} is not known here");
    router.kill();
    let router = start();
    assert_eq!(router.call_with(&lines, "GET", "/v1/apps/one", None).status(), 200);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), token);
    // The client commands find it there.
    let url = format!("http://{}", router.control);
    let arguments = ["apps", "--json", "--url", &url, "--data-dir", dir.path().to_str().unwrap()];
    let output = command(&arguments).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(String::from_utf8(output.stdout).unwrap().contains("\"one\""));
}

#[test]
fn a_store_that_is_no_database_is_refused_and_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let router = Router::on(dir.path(), &[]);
    router.write("PUT", "/v1/apps/one", json!({}));
    router.kill();
    let databases: Vec<_> = std::fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end != "token"))
        .collect();
    assert!(!databases.is_empty());
    for path in &databases {
        std::fs::write(path, "this is not a database, and nobody may take it for one").unwrap();
    }
    let output = serve(dir.path(), &[]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains(dir.path().to_str().unwrap()), "{text}");
}
