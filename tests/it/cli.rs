//! The client commands against a running router: what they do, print and answer with.
//!
//! Invariant: what a command prints is on standard output, why it failed on standard error.

use std::process::Output;

use serde_json::{Value, json};

use crate::harness::{
    Named, Router,
    router::{TOKEN, command},
};

fn run(router: &Router, arguments: &[&str]) -> Output {
    command(arguments)
        .env("HOSTLER_URL", format!("http://{}", router.control))
        .env("HOSTLER_TOKEN", TOKEN)
        .output()
        .unwrap()
}

/// What a command that succeeds prints.
fn done(router: &Router, arguments: &[&str]) -> String {
    let output = run(router, arguments);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {output:?}");
    assert!(output.stderr.is_empty(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn as_json(router: &Router, arguments: &[&str]) -> Value {
    let arguments = [arguments, &["--json"]].concat();
    serde_json::from_str(&done(router, &arguments)).unwrap()
}

/// The exit code and the message of a command that fails.
fn failed(router: &Router, arguments: &[&str]) -> (i32, String) {
    let output = run(router, arguments);
    assert!(output.stdout.is_empty(), "{arguments:?}: {output:?}");
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn the_commands_of_the_guide_route_a_request() {
    let (router, dyno) = (Router::start(), Named::start("one"));
    assert!(done(&router, &["apps"]).contains("hostler apps create"));
    assert_eq!(done(&router, &["apps", "create", "blog"]), "Made app blog (revision 1)\n");
    done(&router, &["domains", "add", "blog", "www.blog.test"]);
    done(&router, &["dynos", "add", "blog", "web.1", &dyno.addr, "--release", "v1"]);
    assert_eq!(router.get("www.blog.test", "/").status(), 200);
    let dynos = done(&router, &["dynos", "blog"]);
    let row: Vec<&str> = dynos.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(row, ["web.1", "up", &dyno.addr, "100", "v1"]);
    assert!(done(&router, &["domains", "blog"]).contains("www.blog.test"));
    done(&router, &["domains", "remove", "blog", "www.blog.test"]);
    assert_eq!(router.get("www.blog.test", "/").status(), 404);
}

#[test]
fn lists_have_what_their_filters_let_through() {
    let router = Router::start();
    for app in ["shop-one", "shop-two", "blog"] {
        done(&router, &["apps", "create", app]);
    }
    done(&router, &["maintenance", "on", "shop-two"]);
    for host in ["www.blog.test", "api.blog.test"] {
        done(&router, &["domains", "add", "blog", host]);
    }
    for (dyno, release) in [("web.1", "v1"), ("web.2", "v2"), ("web.3", "v2")] {
        done(&router, &["dynos", "add", "blog", dyno, "10.0.0.1:5000", "--release", release]);
    }
    done(&router, &["dynos", "set", "blog", "web.3", "--state", "draining"]);
    let listed = |arguments: &[&str], field: &str| -> Vec<String> {
        let items = as_json(&router, arguments);
        let name = |item: &Value| item[field].as_str().unwrap().to_owned();
        items.as_array().unwrap().iter().map(name).collect()
    };
    assert_eq!(listed(&["apps", "list", "--prefix", "shop-"], "name"), ["shop-one", "shop-two"]);
    let quiet = ["apps", "list", "--prefix", "shop-", "--maintenance", "false"];
    assert_eq!(listed(&quiet, "name"), ["shop-one"]);
    assert_eq!(listed(&["domains", "list", "blog", "--host", "ww*"], "host"), ["www.blog.test"]);
    let up = ["dynos", "list", "blog", "--state", "up", "--release", "v2"];
    assert_eq!(listed(&up, "name"), ["web.2"]);
    assert!(!done(&router, &["apps", "list", "--prefix", "none-"]).contains("hostler apps create"));
}

#[test]
fn maintenance_is_switched_on_and_off() {
    let (router, dyno) = (Router::start(), Named::start("one"));
    router.app("blog", "a.test", &[&dyno.addr]);
    done(&router, &["maintenance", "on", "blog", "--reason", "new database"]);
    assert_eq!(router.get("a.test", "/").verdict(), (503, "H80"));
    assert!(done(&router, &["maintenance", "blog"]).contains("on"));
    let history = router.call("GET", "/v1/history", None).json;
    assert_eq!(history["items"][0]["reason"], "new database");
    done(&router, &["maintenance", "off", "blog"]);
    assert_eq!(router.get("a.test", "/").status(), 200);
}

#[test]
fn settings_of_an_app_are_set_shown_and_unset() {
    let router = Router::start();
    done(&router, &["apps", "create", "blog"]);
    let set = ["apps", "set", "blog", "timeouts.first_byte=60s", "limits.set_cookie=16KiB"];
    let names = "timeouts.first_byte, limits.set_cookie";
    assert_eq!(done(&router, &set), format!("Set {names} of app blog (revision 2)\n"));
    assert!(done(&router, &set).ends_with("; nothing changed\n"));
    done(&router, &["apps", "set", "blog", "dynos.keep_alive=false", "router=true"]);
    let shown = done(&router, &["apps", "show", "blog"]);
    for line in ["dynos.keep_alive=false", "limits.set_cookie=16KiB", "timeouts.first_byte=60s"] {
        assert!(shown.contains(line), "{shown}");
    }
    assert!(shown.contains("Router:       on"), "{shown}");
    let app = as_json(&router, &["apps", "info", "blog"]);
    assert_eq!(app["settings"]["timeouts.first_byte"], "60s");
    let receipt = as_json(&router, &["apps", "unset", "blog", "timeouts.first_byte", "router"]);
    assert_eq!((&receipt["revision"], &receipt["changed"]), (&json!(4), &json!(true)));
    let app = as_json(&router, &["apps", "info", "blog"]);
    let left = json!({"dynos.keep_alive": false, "limits.set_cookie": 16384});
    assert_eq!((&app["settings"], &app["router"]), (&left, &json!(false)));
    // What is shown can be typed back.
    done(&router, &["apps", "set", "blog", "dynos.keep_alive=false", "limits.set_cookie=16KiB"]);
    assert_eq!(as_json(&router, &["apps", "info", "blog"]), app);

    let (code, text) = failed(&router, &["apps", "set", "blog", "timeouts.fist_byte=1s"]);
    assert_eq!(code, 1);
    assert!(text.contains("settings.timeouts.fist_byte"), "{text}");
    assert!(text.contains("did you mean timeouts.first_byte?"), "{text}");
    let (code, text) = failed(&router, &["apps", "set", "blog", "timeouts.idle=soon"]);
    assert_eq!(code, 1);
    assert!(text.contains("settings.timeouts.idle") && text.contains("write a whole"), "{text}");
    assert_eq!(failed(&router, &["apps", "set", "blog", "timeouts.idle"]).0, 2);
    assert_eq!(failed(&router, &["apps", "unset", "other", "timeouts.idle"]).0, 5);
}

#[test]
fn pages_of_an_app_are_pushed_from_files_shown_and_removed() {
    let router = Router::start();
    done(&router, &["apps", "create", "blog"]);
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    assert!(done(&router, &["pages", "blog"]).contains("hostler pages set blog"));
    let (html, json) = (file("sorry.html", "<h1>Sorry</h1>\n"), file("sorry.json", "{}"));
    done(&router, &["pages", "set", "blog", "error", &html, &json]);
    let listed = done(&router, &["pages", "blog"]);
    assert_eq!(listed, "PAGE   FORM  BYTES\nerror  html  15\nerror  json  2\n");
    // Byte for byte, so that it can be written back into a file.
    assert_eq!(done(&router, &["pages", "show", "blog", "error", "html"]), "<h1>Sorry</h1>\n");
    assert_eq!(done(&router, &["pages", "show", "blog", "error", "json"]), "{}");
    let pages = as_json(&router, &["pages", "blog"]);
    assert_eq!(pages, json!({"error": {"html": "<h1>Sorry</h1>\n", "json": "{}"}}));
    let set = format!(
        "printf soon | {} pages set blog maintenance --form text -",
        env!("CARGO_BIN_EXE_hostler")
    );
    let mut shell = std::process::Command::new("sh");
    let piped = shell.args(["-c", &set]).env("HOSTLER_TOKEN", TOKEN);
    let output = piped.env("HOSTLER_URL", format!("http://{}", router.control)).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(done(&router, &["pages", "show", "blog", "maintenance", "text"]), "soon");

    done(&router, &["domains", "add", "blog", "a.test"]);
    let answer =
        router.connect().ask("GET / HTTP/1.1\r\nHost: a.test\r\nAccept: text/html\r\n\r\n");
    assert_eq!((answer.verdict(), answer.text().as_str()), ((503, "H14"), "<h1>Sorry</h1>\n"));

    let bad = file("bad.json", "{");
    let (code, text) = failed(&router, &["pages", "set", "blog", "error", &bad]);
    assert_eq!(code, 1);
    assert!(text.contains("pages.error.json") && text.contains("not JSON"), "{text}");
    let large = file("large.html", &"x".repeat(65537));
    let (code, text) = failed(&router, &["pages", "set", "blog", "error", &large]);
    assert_eq!(code, 1);
    assert!(text.contains("pages.error.html") && text.contains("65536"), "{text}");
    assert_eq!(failed(&router, &["pages", "set", "blog", "error", "/nonexistent.html"]).0, 2);

    done(&router, &["pages", "remove", "blog", "error", "json"]);
    done(&router, &["pages", "remove", "blog", "maintenance"]);
    assert_eq!(failed(&router, &["pages", "show", "blog", "error", "json"]).0, 5);
    assert_eq!(done(&router, &["pages", "blog"]), "PAGE   FORM  BYTES\nerror  html  15\n");
}

#[test]
fn json_prints_what_the_push_api_says() {
    let router = Router::start();
    let receipt = as_json(&router, &["apps", "create", "blog"]);
    let digest = router.call("GET", "/v1/revision", None).json["digest"].clone();
    assert_eq!(receipt, json!({"revision": 1, "changed": true, "digest": digest}));
    as_json(&router, &["domains", "add", "blog", "a.test", "--path", "/api"]);
    let domains = as_json(&router, &["domains", "blog"]);
    assert_eq!(
        domains,
        json!([{"app": "blog", "host": "a.test", "path": "/api", "protected": false}])
    );
    as_json(&router, &["dynos", "add", "blog", "web.1", "10.0.0.1:5000", "--weight", "7"]);
    as_json(&router, &["dynos", "set", "blog", "web.1", "--state", "draining"]);
    let dynos = as_json(&router, &["dynos", "blog"]);
    assert_eq!((&dynos[0]["state"], &dynos[0]["weight"]), (&json!("draining"), &json!(7)));
    assert_eq!(as_json(&router, &["apps"])[0]["name"], "blog");
    assert_eq!(as_json(&router, &["apps", "info", "blog"])["dynos"], 1);
    as_json(&router, &["dynos", "remove", "blog", "web.1"]);
    as_json(&router, &["apps", "destroy", "blog", "--confirm", "blog"]);
    assert_eq!(as_json(&router, &["apps"]), json!([]));
}

#[test]
fn a_refusals_exit_code_is_that_of_its_kind() {
    let router = Router::start();
    let (code, text) = failed(&router, &["domains", "add", "blog", "a.test"]);
    assert_eq!(code, 5);
    assert!(text.contains("blog"), "{text}");
    done(&router, &["apps", "create", "blog"]);
    let (code, text) = failed(&router, &["dynos", "add", "blog", "web.1", "nowhere"]);
    assert_eq!(code, 1);
    assert!(text.contains("addr"), "{text}");
    let (code, text) = failed(&router, &["apps", "create", "blog"]);
    assert_eq!(code, 7);
    assert!(text.contains("already"), "{text}");
    assert_eq!(failed(&router, &["apps", "info", "other"]).0, 5);
}

#[test]
fn wrong_usage_is_exit_2() {
    let router = Router::start();
    assert_eq!(failed(&router, &["apps", "creat", "blog"]).0, 2);
    assert_eq!(failed(&router, &["dynos", "add", "blog"]).0, 2);
    let destroy = ["apps", "destroy", "blog", "--confirm", "glob"];
    assert_eq!(failed(&router, &destroy).0, 2);
    let set = ["dynos", "set", "blog", "web.1", "--state", "asleep"];
    assert_eq!(failed(&router, &set).0, 2);
}

#[test]
fn a_router_that_is_not_there_is_exit_3_with_the_remedy() {
    let router = Router::start();
    let closed = crate::harness::closed_port();
    let url = format!("http://{}", closed.addr);
    let (code, text) = failed(&router, &["apps", "--url", &url]);
    assert_eq!(code, 3);
    assert!(text.contains(&closed.addr) && text.contains("hostler serve"), "{text}");
}

#[test]
fn a_wrong_token_is_exit_6_and_says_so() {
    let router = Router::start();
    let (code, text) = failed(&router, &["apps", "--token", "not-the-one-that-is-known"]);
    assert_eq!(code, 6);
    assert!(text.contains("token"), "{text}");
}

#[test]
fn help_shows_an_example_of_every_command() {
    for name in
        ["serve", "check", "demo", "apps", "domains", "dynos", "maintenance", "pages", "tokens"]
    {
        let output = command(&[name, "--help"]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.contains(&format!("  hostler {name}")) || name == "check", "{text}");
        assert!(text.contains("Example"), "{text}");
    }
}
