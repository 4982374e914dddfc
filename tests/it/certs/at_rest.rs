//! Private keys at rest: encrypted where a store key is given, kept by every end of the process,
//! and by everything that is done with a store.
//!
//! Invariant: what is in the files is looked for in their bytes, all files of the data directory.

use std::{fs, path::Path, process::Output};

use serde_json::{Value, json};

use super::{Made, put, set};
use crate::harness::{
    Named, Router,
    program::curl,
    router::{command, serve},
};

const KEY: (&str, &str) =
    ("HOSTLER_STORE_KEY", "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff");
const OTHER: (&str, &str) = ("HOSTLER_STORE_KEY", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=");

fn assert_encrypted(dir: &Path, made: &Made) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            made.assert_key_is_not_in(&fs::read(&path).unwrap(), path.to_str().unwrap());
        }
    }
}

fn has_plain(dir: &Path, made: &Made) -> bool {
    std::panic::catch_unwind(|| assert_encrypted(dir, made)).is_err()
}

fn end(mut router: Router) {
    router.terminate();
    assert!(router.wait().success());
}

fn shown(router: &Router, name: &str) -> Value {
    router.call("GET", &format!("/v1/certs/{name}"), None).json
}

fn closed(router: &Router) -> f64 {
    router.metric("hostler_certs_closed")
}

#[test]
fn a_key_is_encrypted_from_its_push_on_and_opened_at_every_start() {
    let dir = tempfile::tempdir().unwrap();
    let (made, next) = (Made::new(&["a.test"]), Made::new(&["b.test"]));
    let router = Router::on(dir.path(), &[KEY]);
    set(&router, "www", &made);
    set(&router, "www", &next);
    set(&router, "other", &made);
    let before = (shown(&router, "www"), router.digest());
    assert_encrypted(dir.path(), &made);
    assert_encrypted(dir.path(), &next);
    router.kill();
    // By the database, then by the snapshot, then by the snapshot and what came behind it.
    for last in ["kill", "end", "kill"] {
        let router = Router::on(dir.path(), &[KEY]);
        assert_eq!((shown(&router, "www"), router.digest()), before);
        assert_eq!((closed(&router), router.metric("hostler_table_certs")), (0.0, 2.0));
        assert_eq!(put(&router, "www", &next).json["changed"], false);
        if last == "end" {
            end(router)
        } else {
            router.kill()
        }
        assert_encrypted(dir.path(), &made);
        assert_encrypted(dir.path(), &next);
    }
}

#[test]
fn without_its_store_key_the_router_serves_on_and_says_what_is_missing() {
    let (dir, dyno) = (tempfile::tempdir().unwrap(), Named::start("one"));
    let (made, next) = (Made::new(&["a.test"]), Made::new(&["b.test"]));
    let router = Router::on(dir.path(), &[KEY]);
    router.app("one", "a.test", &[&dyno.addr]);
    set(&router, "www", &made);
    let digest = router.digest();
    end(router);
    for (settings, why) in [(&[][..], "is not given"), (&[OTHER], "is not the key")] {
        let router = Router::on(dir.path(), settings);
        let said = router.said.wait_for("private keys cannot be opened");
        assert!(said.contains("www") && said.contains(why), "{said}");
        assert_eq!(router.get("a.test", "/").status(), 200);
        let ready = router.ready();
        assert_eq!(closed(&router), 1.0);
        assert!(ready.json["warnings"][0].as_str().unwrap().contains("HOSTLER_STORE_KEY"));
        assert_eq!(
            (&shown(&router, "www")["key_closed"], router.digest()),
            (&json!(true), digest.clone())
        );
        end(router);
    }
    // Nothing is lost by it, and one that is pushed anew can be served.
    let router = Router::on(dir.path(), &[KEY]);
    assert_eq!((closed(&router), router.digest()), (0.0, digest.clone()));
    end(router);
    let router = Router::on(dir.path(), &[OTHER]);
    assert_eq!(put(&router, "www", &made).json["changed"], true);
    assert_eq!((closed(&router), router.digest()), (0.0, digest));
    set(&router, "www", &next);
    end(router);
    assert_eq!(closed(&Router::on(dir.path(), &[OTHER])), 0.0);
}

#[test]
fn a_restart_serves_tls_at_once_with_what_it_can_open() {
    let (dir, dyno) = (tempfile::tempdir().unwrap(), Named::start("one"));
    let made = Made::new(&["www.a.test"]);
    let trusted = dir.path().join("trusted.pem");
    fs::write(&trusted, &made.chain).unwrap();
    let https = ("HOSTLER_HTTPS_LISTEN", "127.0.0.1:0");
    // What curl ends with: 0 for an answer, 60 if it cannot trust the certificate.
    let ends = |router: &Router| {
        let line = router.said.wait_for("https listens on ");
        let port = line.rsplit(':').next().unwrap();
        let resolve = format!("www.a.test:{port}:127.0.0.1");
        let url = format!("https://www.a.test:{port}/");
        let trusted = trusted.to_str().unwrap();
        let arguments = ["--fail", "--resolve", &resolve, "--cacert", trusted, &url];
        curl(&arguments).output().unwrap().status.code()
    };
    let router = Router::on(dir.path(), &[https, KEY]);
    router.app("one", "www.a.test", &[&dyno.addr]);
    assert_eq!(ends(&router), Some(60), "the default certificate");
    set(&router, "www", &made);
    assert_eq!(ends(&router), Some(0));
    router.kill();
    for (settings, code) in [(&[https, KEY][..], 0), (&[https], 60), (&[https, KEY], 0)] {
        let router = Router::on(dir.path(), settings);
        assert_eq!(ends(&router), Some(code));
        end(router);
    }
}

#[test]
fn a_store_key_that_is_given_later_leaves_nothing_in_the_clear() {
    let dir = tempfile::tempdir().unwrap();
    let (made, gone) = (Made::new(&["a.test"]), Made::new(&["b.test"]));
    let router = Router::on(dir.path(), &[]);
    set(&router, "www", &gone);
    set(&router, "www", &made);
    set(&router, "gone", &gone);
    router.delete("/v1/certs/gone");
    let digest = router.digest();
    end(router);
    assert!(has_plain(dir.path(), &made), "0600 is all that guards it without a store key");
    let snapshot = dir.path().join("table.snapshot");
    let plain = fs::read(&snapshot).unwrap();
    let router = Router::on(dir.path(), &[KEY]);
    router.said.wait_for("private keys are encrypted in the store now");
    for made in [&made, &gone] {
        assert_encrypted(dir.path(), made);
    }
    assert_eq!((closed(&router), router.digest()), (0.0, digest.clone()));
    router.kill();
    let router = Router::on(dir.path(), &[KEY]);
    assert_eq!((closed(&router), router.digest()), (0.0, digest.clone()));
    assert!(router.said.all().iter().all(|line| !line.contains("encrypted in the store now")));
    router.kill();
    // What a kill between the two left undone is done by the next start.
    fs::write(&snapshot, plain).unwrap();
    let router = Router::on(dir.path(), &[KEY]);
    router.said.wait_for("private keys are encrypted in the store now");
    assert_encrypted(dir.path(), &made);
}

#[test]
fn a_store_key_that_is_none_is_refused_and_not_shown() {
    let dir = tempfile::tempdir().unwrap();
    let output = serve(dir.path(), &[("HOSTLER_STORE_KEY", "hunter2")]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("store.key: it is not 32 bytes") && !said.contains("hunter2"), "{said}");
}

fn store(dir: &Path, arguments: &[&str]) -> Output {
    command(&["store"]).args(arguments).arg("--data-dir").arg(dir).output().unwrap()
}

#[test]
fn backup_restore_verify_compact_and_recover_keep_certificates_and_their_keys() {
    let (dir, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (made, next) = (Made::new(&["a.test"]), Made::new(&["b.test"]));
    let router = Router::on(dir.path(), &[KEY]);
    set(&router, "www", &made);
    set(&router, "www", &next);
    router.write("PUT", "/v1/apps/one", json!({}));
    let digest = router.digest();
    let file = there.path().join("backup.db");
    let done = |dir: &Path, arguments: &[&str]| {
        let output = store(dir, arguments);
        assert!(output.status.success(), "{arguments:?}: {output:?}");
    };
    done(dir.path(), &["backup", file.to_str().unwrap()]);
    end(router);
    assert_encrypted(there.path(), &next);
    done(dir.path(), &["verify"]);
    done(dir.path(), &["compact"]);
    let restored = tempfile::tempdir().unwrap();
    done(restored.path(), &["restore", file.to_str().unwrap()]);
    for dir in [dir.path(), restored.path()] {
        let router = Router::on(dir, &[KEY]);
        assert_eq!((closed(&router), router.digest()), (0.0, digest.clone()));
        end(router);
    }
    // The snapshot has them too.
    fs::remove_file(dir.path().join("hostler.db")).unwrap();
    let router = Router::on(dir.path(), &[KEY]);
    assert_eq!((closed(&router), router.digest()), (0.0, digest.clone()));
    assert_eq!(put(&router, "www", &made).status(), 503, "there is no database");
    router.kill();
    done(dir.path(), &["recover"]);
    let router = Router::on(dir.path(), &[KEY]);
    assert_eq!((closed(&router), router.digest()), (0.0, digest));
    set(&router, "www", &made);
}
