//! The document of the push API, judged by programs that are not ours.
//!
//! Invariant: what schemathesis is to overlook stands with its reason in
//! `tests/software/openapi/`, and nowhere else.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::harness::{
    Router,
    program::{installed, python, run, scripts},
    router::TOKEN,
};

/// Cases that are made of each call unless `SCHEMATHESIS_EXAMPLES` says otherwise.
const EXAMPLES: &str = "5";

/// Where most of the calls are.
const APPS: &str = "^/v1/apps";

#[test]
fn the_document_is_valid_openapi_3_1() {
    let router = Router::start();
    let folder = tempfile::tempdir().unwrap();
    let file = document(&router, folder.path());
    let mut command = python();
    command.args(["-m", "openapi_spec_validator", "--schema", "3.1.0"]).arg(&file);
    let said = run(command);
    assert!(String::from_utf8_lossy(&said).ends_with(": OK\n"), "{said:?}");
}

/// Two tests, since schemathesis keeps one core busy.
#[test]
fn schemathesis_finds_nothing_in_apps() {
    find_nothing(&["--include-path-regex", APPS]);
}

#[test]
fn schemathesis_finds_nothing_elsewhere() {
    find_nothing(&["--exclude-path-regex", APPS]);
}

fn find_nothing(arguments: &[&str]) {
    let router = Router::with(&[("HOSTLER_PUSH_RATE", "0")]);
    let folder = tempfile::tempdir().unwrap();
    let file = document(&router, folder.path());
    let examples = std::env::var("SCHEMATHESIS_EXAMPLES").unwrap_or_else(|_| EXAMPLES.into());
    // It reads them where it is started, and writes down there what it found.
    for name in ["hooks.py", "schemathesis.toml"] {
        fs::copy(scripts().join("openapi").join(name), folder.path().join(name)).unwrap();
    }
    let mut command = Command::new(installed().join("python/bin/schemathesis"));
    command
        .args(["run", "--checks", "all", "--max-examples", &examples])
        .args(["--url", &format!("http://{}", router.control)])
        .args(arguments)
        .arg(&file)
        .current_dir(folder.path())
        .env("HOSTLER_TOKEN", TOKEN)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("NO_PROXY", "*");
    println!("{}", String::from_utf8_lossy(&run(command)));
    assert_eq!(router.call("GET", "/healthz", None).status(), 200);
}

/// The document that a router serves, in a file.
fn document(router: &Router, folder: &Path) -> PathBuf {
    let reply = router.call("GET", "/v1/openapi.json", None);
    assert_eq!(reply.status(), 200, "{reply:?}");
    let file = folder.join("openapi.json");
    fs::write(&file, &reply.answer.body).unwrap();
    file
}
