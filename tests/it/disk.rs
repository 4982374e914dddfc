//! A disk that takes nothing: pushes are refused and say why, traffic goes on, and once the disk
//! takes something again so does the store, without a restart.

use serde_json::json;

use crate::harness::{
    Named, Router,
    disk::{Means, ReadOnly, means, on_small_disk},
    router::{TOKEN, until},
};

/// What this machine has, and what every machine has.
fn all_means() -> Vec<Means> {
    let mut all = vec![means(), Means::Bounds];
    all.dedup();
    all
}

/// Asserts that pushes are refused with a problem that names these, everything else goes on, and
/// whoever asks is told.
fn assert_refuses(router: &Router, parts: &[&str]) {
    let refused = router.call("PUT", "/v1/apps/late", Some(json!({})));
    assert_eq!(refused.status(), 503, "{refused:?}");
    assert_eq!(refused.json["status"], 503);
    let detail = refused.json["detail"].as_str().unwrap();
    let ready = router.ready();
    assert_eq!(ready.json["ready"], json!(true), "{ready:?}");
    let warning = ready.json["warnings"][0].as_str().unwrap_or_else(|| panic!("{ready:?}"));
    for part in parts {
        assert!(detail.contains(part), "{part} is not in {detail}");
        assert!(warning.contains(part), "{part} is not in {warning}");
    }
    assert_eq!(router.metric("hostler_store_writable"), 0.0);
    router.said.wait_for("the store takes no pushes");
    assert_eq!(router.get("a.test", "/").status(), 200);
    assert_eq!(router.call("GET", "/v1/apps/one", None).status(), 200);
    assert_eq!(router.call("GET", "/v1/apps/late", None).status(), 404);
}

/// Asserts that pushes are taken again, and that nobody says otherwise.
fn assert_takes(router: &Router) {
    let taken = router.call("PUT", "/v1/apps/late", Some(json!({})));
    assert_eq!(taken.status(), 200, "{taken:?}");
    let ready = router.ready();
    assert_eq!(ready.json, json!({"ready": true, "reasons": []}));
    assert_eq!(router.metric("hostler_store_writable"), 1.0);
    router.said.wait_for("the store takes pushes again");
    assert_eq!(router.get("a.test", "/").status(), 200);
}

#[test]
fn a_full_disk_refuses_pushes_until_there_is_room() {
    for means in all_means() {
        let (dir, dyno) = (tempfile::tempdir().unwrap(), Named::start("one"));
        let disk = on_small_disk(dir.path(), means);
        let router = &disk.router;
        router.app("one", "a.test", &[&dyno.addr]);
        let before = router.call("GET", "/v1/revision", None).json;
        disk.fill();
        // What is in the log already has room for a few small ones.
        let page = json!({"pages": {"error": {"text": "x".repeat(60_000)}}});
        until("a push does not fit", || {
            router.call("PATCH", "/v1/apps/one", Some(page.clone())).status() == 503
                || router.call("PATCH", "/v1/apps/one", Some(json!({"pages": null}))).status()
                    == 503
        });
        assert_refuses(router, &[dir.path().to_str().unwrap(), "no room", "free some space"]);
        disk.free();
        // Nobody has to push for that to be noticed.
        until("it is ready without a warning", || {
            router.call("GET", "/readyz", None).json["warnings"].is_null()
        });
        assert_takes(router);
        let after = router.call("GET", "/v1/revision", None).json;
        assert!(after["revision"].as_u64() > before["revision"].as_u64(), "{means:?}");
    }
}

#[test]
fn a_directory_that_may_not_be_written_is_served_from_and_refuses_pushes() {
    for means in all_means() {
        for ended_in_order in [true, false] {
            let (dir, dyno) = (tempfile::tempdir().unwrap(), Named::start("one"));
            let mut router = Router::on(dir.path(), &[]);
            router.app("one", "a.test", &[&dyno.addr]);
            let before = router.call("GET", "/v1/revision", None).json;
            match ended_in_order {
                true => {
                    router.terminate();
                    assert!(router.wait().success());
                }
                false => router.kill(),
            }
            let disk = ReadOnly::new(dir.path(), means);
            let router = Router::by(disk.serve());
            assert_eq!(router.call("GET", "/v1/revision", None).json, before);
            assert_refuses(&router, &["hostler.db", "read-only", "writable"]);
            disk.mend(&router);
            assert_takes(&router);
            router.kill();
            drop(disk);
            let router = Router::on(dir.path(), &[]);
            assert_eq!(router.call("GET", "/v1/apps/late", None).status(), 200, "{TOKEN}");
        }
    }
}

#[test]
fn an_empty_directory_that_may_not_be_written_is_no_place_to_start() {
    for means in all_means() {
        let dir = tempfile::tempdir().unwrap();
        let disk = ReadOnly::new(dir.path(), means);
        let output = disk.serve().output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(text.contains(dir.path().to_str().unwrap()), "{text}");
        assert!(text.contains("read-only") && text.contains("writable"), "{text}");
    }
}
