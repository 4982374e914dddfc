//! Time travel over the wire: digests by every path, the table as it was, differences, reverts.
//!
//! Invariants: a digest is computed here anew from the lines that came; what a table should have
//! been is what was read of it when it stood.

use std::{collections::BTreeSet, process::Command};

use hostler::route::Digest;
use serde_json::{Value, json};

use crate::harness::{
    Named, Router,
    program::{run, scripts},
    router::{TOKEN, command, serve},
};

/// A table as it was exported.
#[derive(Debug, PartialEq)]
struct Export {
    header: Value,
    lines: BTreeSet<String>,
}

/// Exports a table and checks that its header is right.
fn export(router: &Router, query: &str) -> Export {
    let reply = router.call("GET", &format!("/v1/table{query}"), None);
    assert_eq!(reply.status(), 200, "{query}: {reply:?}");
    let text = reply.answer.text();
    let mut lines = text.lines();
    let header: Value = serde_json::from_str(lines.next().unwrap()).unwrap();
    let (mut sum, mut seen) = (Digest::default(), BTreeSet::new());
    for line in lines {
        sum.add(Digest::of(line.as_bytes()));
        assert!(seen.insert(line.to_owned()), "{line} twice");
    }
    assert_eq!(header["digest"], sum.to_string(), "{text}");
    for kind in ["app", "route", "dyno"] {
        let mark = format!("\"kind\":\"{kind}\"");
        let count = seen.iter().filter(|line| line.contains(&mark)).count();
        assert_eq!(header[format!("{kind}s")], count, "{text}");
    }
    Export { header, lines: seen }
}

fn revert(router: &Router, body: Value) -> Value {
    let reply = router.call("POST", "/v1/revert", Some(body));
    assert_eq!(reply.status(), 200, "{reply:?}");
    reply.json
}

/// The changes of a diff: what, before, after.
fn diff(router: &Router, query: &str) -> Vec<Value> {
    let reply = router.call("GET", &format!("/v1/diff?{query}"), None);
    assert_eq!(reply.status(), 200, "{reply:?}");
    let text = reply.answer.text();
    let mut lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    assert_eq!(lines.next().unwrap()["kind"], "diff");
    lines.collect()
}

/// A small generator of numbers (splitmix64): the same seed gives the same run.
struct Draw(u64);

impl Draw {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }

    /// A call that may well be refused: method, path and body.
    fn call(&mut self) -> (&'static str, String, Option<Value>) {
        let app = ["one", "two", "three"][self.below(3) as usize];
        let host = ["a.test", "*.a.test", "b.test"][self.below(3) as usize];
        let path = ["/", "/x"][self.below(2) as usize];
        match self.below(8) {
            0..=2 => {
                let idle = format!("{}ms", 1 + self.below(3) * 700);
                let body = json!({
                    "maintenance": self.below(2) == 0,
                    "settings": {"timeouts.idle": idle},
                    "pages": {"error": {"text": format!("\"{}\"\n\u{1f600}", self.below(2))}},
                });
                ("PUT", format!("/v1/apps/{app}"), Some(body))
            }
            3 => ("DELETE", format!("/v1/apps/{app}"), None),
            4..=6 => ("PUT", format!("/v1/apps/{app}/routes/{host}?path={path}"), Some(json!({}))),
            _ => ("DELETE", format!("/v1/apps/{app}/routes/{host}?path={path}"), None),
        }
    }
}

#[test]
fn a_digest_is_the_same_wherever_it_is_read_and_by_any_language() {
    let dir = tempfile::tempdir().unwrap();
    let mut router = Router::on(dir.path(), &[]);
    assert_eq!(router.digest(), "0".repeat(64));
    router.write("PUT", "/v1/apps/one", json!({"pages": {"error": {"html": "<p>\"é\"\u{7f}"}}}));
    router.write("PUT", "/v1/apps/one/routes/*.a.test?path=/api", json!({}));
    router.write("PUT", "/v1/apps/one/dynos/web.1", json!({"addr": "10.0.0.1:1", "weight": 7}));
    let reply = router.call("PATCH", "/v1/apps/one", Some(json!({"maintenance": true})));
    let (digest, revision) = (reply.json["digest"].clone(), reply.revision());
    let everywhere = |router: &Router| {
        assert_eq!(router.call("GET", "/v1/revision", None).json["digest"], digest);
        assert_eq!(router.call("GET", "/v1/history", None).json["items"][0]["digest"], digest);
        assert_eq!(export(router, "").header["digest"], digest);
        assert_eq!(export(router, &format!("?at={revision}")).header["digest"], digest);
    };
    everywhere(&router);
    let url = format!("http://{}", router.control);
    let checked = |at: &[&str]| {
        // Python's own library is enough: nothing has to be installed for it.
        let mut python = Command::new("python3");
        python.arg(scripts().join("digest.py")).args([&url, TOKEN]).args(at);
        String::from_utf8(run(python)).unwrap()
    };
    assert_eq!(checked(&[]).trim(), digest);
    assert_ne!(checked(&["3"]).trim(), digest);
    // By the snapshot, and by the rows behind a kill.
    router.terminate();
    assert!(router.wait().success());
    let router = Router::on(dir.path(), &[]);
    everywhere(&router);
    router.kill();
    everywhere(&Router::on(dir.path(), &[]));
}

#[test]
fn any_run_of_pushes_and_reverts_gives_one_table_by_every_path() {
    let router = Router::start();
    let mut draw = Draw(5);
    let mut stood = vec![export(&router, "")];
    while stood.len() < 60 {
        let back = draw.below(stood.len() as u64);
        let (reply, reverted) = if draw.below(6) == 0 {
            (router.call("POST", "/v1/revert", Some(json!({ "to": back }))), true)
        } else {
            let (method, path, body) = draw.call();
            (router.call(method, &path, body), false)
        };
        let now = export(&router, "");
        if reverted {
            assert_eq!(reply.status(), 200, "{reply:?}");
            assert_eq!(now.lines, stood[back as usize].lines, "revert to {back}");
        }
        if reply.json["changed"] == true {
            assert_eq!(reply.json["digest"], now.header["digest"]);
            assert_eq!(reply.revision(), stood.len() as u64);
            stood.push(now);
        } else {
            assert_eq!(now.lines, stood.last().unwrap().lines);
        }
    }
    for (revision, expected) in stood.iter().enumerate() {
        assert_eq!(&export(&router, &format!("?at={revision}")), expected);
    }
    for _ in 0..40 {
        let (from, to) = (draw.below(60), draw.below(60));
        let mut side = stood[from as usize].lines.clone();
        let line = |object: &Value| -> Option<String> {
            // The order of the fields is the export's: the object is looked up by its fields.
            let is_it = |line: &&String| &serde_json::from_str::<Value>(line).unwrap() == object;
            let all = stood.iter().flat_map(|table| &table.lines);
            (!object.is_null()).then(|| all.clone().find(is_it).unwrap().clone())
        };
        for change in diff(&router, &format!("from={from}&to={to}")) {
            assert_ne!(change["before"], change["after"]);
            if let Some(before) = line(&change["before"]) {
                assert!(side.remove(&before), "{before}");
            }
            side.extend(line(&change["after"]));
        }
        assert_eq!(side, stood[to as usize].lines, "from {from} to {to}");
    }
}

#[test]
fn the_table_of_a_time_is_the_one_that_stood_then() {
    let router = Router::start();
    for app in ["one", "two", "three"] {
        router.write("PUT", &format!("/v1/apps/{app}"), json!({}));
    }
    let history = router.call("GET", "/v1/history", None).json;
    let at = history["items"][1]["at_ms"].as_u64().unwrap();
    let stood = export(&router, &format!("?at={at}")).header["revision"].as_u64().unwrap();
    let last = history["items"].as_array().unwrap();
    let last = last.iter().find(|entry| entry["at_ms"].as_u64().unwrap() <= at).unwrap();
    assert_eq!(last["revision"], stood);
    assert_eq!(export(&router, "?at=1970-01-01T00:00:00Z").header["revision"], 0);
    assert_eq!(export(&router, "?at=2999-01-01T00:00:00%2B02:00").header["revision"], 3);
}

#[test]
fn one_app_is_read_as_it_was() {
    let router = Router::start();
    router.app("one", "a.test", &["10.0.0.1:1"]);
    router.write("PUT", "/v1/apps/one/dynos/web.1", json!({"addr": "10.0.0.2:2"}));
    router.delete("/v1/apps/one");
    let get = |path: &str| router.call("GET", path, None);
    for (path, field, value) in [
        ("/v1/apps/one?at=1", "dynos", json!(1)),
        ("/v1/apps/one/routes/a.test?at=2", "host", json!("a.test")),
        ("/v1/apps/one/dynos/web.1?at=1", "addr", json!("10.0.0.1:1")),
        ("/v1/apps/one/dynos/web.1?at=2", "addr", json!("10.0.0.2:2")),
    ] {
        let reply = get(path);
        assert_eq!((reply.status(), &reply.json[field]), (200, &value), "{path}: {reply:?}");
        assert_eq!(reply.answer.head.get("hostler-revision").unwrap(), &path[path.len() - 1..]);
    }
    assert_eq!(get("/v1/apps/one/dynos?at=2").json["items"][0]["addr"], "10.0.0.2:2");
    for path in ["/v1/apps/one?at=3", "/v1/apps/one?at=0", "/v1/apps/one", "/v1/table?at=4"] {
        assert_eq!(get(path).status(), 404, "{path}");
    }
    for path in ["/v1/apps/one?at=x", "/v1/table?at=", "/v1/diff?to=1", "/v1/diff?from=1&x=2"] {
        assert_eq!(get(path).status(), 400, "{path}");
    }
}

#[test]
fn a_diff_tells_what_was_added_removed_and_changed() {
    let router = Router::start();
    router.app("one", "a.test", &["10.0.0.1:1"]);
    router.app("two", "b.test", &[]);
    router.write("PATCH", "/v1/apps/one", json!({"maintenance": true}));
    router.delete("/v1/apps/one/dynos/web.1");
    router.write("PUT", "/v1/apps/two/routes/c.test", json!({}));
    let brief = |changes: Vec<Value>| -> Vec<(String, String)> {
        let one = |change: Value| {
            let object =
                if change["after"].is_null() { &change["before"] } else { &change["after"] };
            (change["change"].as_str().unwrap().into(), object["kind"].as_str().unwrap().into())
        };
        changes.into_iter().map(one).collect()
    };
    let pair = |change: &str, kind: &str| (change.to_owned(), kind.to_owned());
    let expected = vec![pair("changed", "app"), pair("removed", "dyno"), pair("added", "route")];
    assert_eq!(brief(diff(&router, "from=2")), expected);
    let back = vec![pair("changed", "app"), pair("added", "dyno"), pair("removed", "route")];
    assert_eq!(brief(diff(&router, "from=5&to=2")), back);
    assert_eq!(brief(diff(&router, "from=2&app=two")), vec![pair("added", "route")]);
    assert_eq!(brief(diff(&router, "from=5&to=5")), vec![]);
    let changed = &diff(&router, "from=2&to=3")[0];
    assert_eq!(changed["before"], json!({"v": 1, "kind": "app", "name": "one"}));
    assert_eq!(changed["after"]["maintenance"], true);
}

#[test]
fn a_bad_push_is_turned_back_and_the_next_request_sees_it() {
    let (router, dyno) = (Router::start(), Named::start("one"));
    router.app("one", "a.test", &[&dyno.addr]);
    router.delete("/v1/apps/one/routes/a.test");
    assert_eq!(router.get("a.test", "/").status(), 404);
    let receipt = revert(&router, json!({"to": 1}));
    assert_eq!((&receipt["revision"], &receipt["changed"]), (&json!(3), &json!(true)));
    assert_eq!(router.get("a.test", "/").status(), 200);
    let entry = &router.call("GET", "/v1/history", None).json["items"][0];
    assert_eq!(entry["reason"], "revert to revision 1");
    assert_eq!(entry["author"], "admin");
    assert_eq!(revert(&router, json!({"to": 1}))["changed"], false);
}

#[test]
fn a_revert_brings_dynos_back_when_asked_and_as_starting() {
    let router = Router::start();
    router.app("one", "a.test", &["10.0.0.1:1", "10.0.0.1:2"]);
    router.write("PATCH", "/v1/apps/one/dynos/web.2", json!({"state": "draining"}));
    router.delete("/v1/apps/one/dynos/web.1");
    router.write("PUT", "/v1/apps/one/dynos/web.3", json!({"addr": "10.0.0.1:3"}));
    router.write("PATCH", "/v1/apps/one", json!({"maintenance": true}));
    let dynos = || {
        let list = router.call("GET", "/v1/apps/one/dynos", None).json;
        let brief = |dyno: &Value| format!("{} {}", dyno["name"], dyno["state"]).replace('"', "");
        list["items"].as_array().unwrap().iter().map(brief).collect::<Vec<_>>()
    };
    revert(&router, json!({"to": 1}));
    assert_eq!(router.call("GET", "/v1/apps/one", None).json["maintenance"], false);
    assert_eq!(dynos(), ["web.2 draining", "web.3 up"]);
    revert(&router, json!({"to": 1, "dynos": true}));
    assert_eq!(dynos(), ["web.1 starting", "web.2 draining"], "one that runs as it did stays");
    // An app that is gone comes back without its dynos.
    router.delete("/v1/apps/one");
    revert(&router, json!({"to": 1, "reason": "an accident"}));
    assert_eq!(dynos(), [""; 0]);
    assert_eq!(export(&router, "").header["routes"], 1);
}

#[test]
fn one_app_is_reverted_alone_and_takes_no_route_of_another() {
    let router = Router::start();
    router.app("one", "a.test", &[]);
    router.app("two", "b.test", &[]);
    router.write("PATCH", "/v1/apps/one", json!({"maintenance": true}));
    router.write("PATCH", "/v1/apps/two", json!({"maintenance": true}));
    let receipt = revert(&router, json!({"to": 2, "app": "one"}));
    assert_eq!(receipt["revision"], 5);
    let maintenance = |app: &str| {
        router.call("GET", &format!("/v1/apps/{app}"), None).json["maintenance"].clone()
    };
    assert_eq!((maintenance("one"), maintenance("two")), (json!(false), json!(true)));
    let reason = &router.call("GET", "/v1/history?app=one", None).json["items"][0]["reason"];
    assert_eq!(reason, "revert of app one to revision 2");
    router.delete("/v1/apps/one/routes/a.test");
    router.write("PUT", "/v1/apps/two/routes/a.test", json!({}));
    let refused = router.call("POST", "/v1/revert", Some(json!({"to": 2, "app": "one"})));
    assert_eq!((refused.status(), refused.mistakes()), (409, vec![(None, "host".into())]));
    assert!(refused.answer.text().contains("belongs to app two"), "{refused:?}");
    // The whole table goes back all the same.
    revert(&router, json!({"to": 2}));
    assert_eq!(export(&router, "").lines, export(&router, "?at=2").lines);
    let none = router.call("POST", "/v1/revert", Some(json!({"to": 1, "app": "two"})));
    assert_eq!((none.status(), none.mistakes()), (404, vec![(None, "app".into())]));
}

#[test]
fn a_revert_that_says_what_nobody_can_is_refused() {
    let router = Router::start();
    router.app("one", "a.test", &[]);
    for (body, status, field) in [
        (json!({}), 422, "to"),
        (json!({"to": "yesterday"}), 422, "to"),
        (json!({"to": -1}), 422, "to"),
        (json!({"to": 1, "app": "One"}), 422, "app"),
        (json!({"to": 1, "dynos": "yes"}), 422, "dynos"),
        (json!({"to": 1, "until": 2}), 422, "until"),
        (json!({"to": 1, "reason": "a\nb"}), 422, "reason"),
        (json!({"to": 2}), 404, "revision"),
    ] {
        let reply = router.call("POST", "/v1/revert", Some(body.clone()));
        let mistakes = vec![(None, field.to_owned())];
        assert_eq!((reply.status(), reply.mistakes()), (status, mistakes), "{body}");
    }
    assert_eq!(router.call("GET", "/v1/revision", None).revision(), 1);
}

#[test]
fn history_is_filtered_by_app_author_and_time() {
    let router = Router::start();
    router.app("one", "a.test", &[]);
    router.app("two", "b.test", &[]);
    router.delete("/v1/apps/one/routes/a.test");
    let revisions = |query: &str| -> Vec<u64> {
        let list = router.call("GET", &format!("/v1/history?{query}"), None).json;
        let items = list["items"].as_array().unwrap_or_else(|| panic!("{list}"));
        items.iter().map(|entry| entry["revision"].as_u64().unwrap()).collect()
    };
    assert_eq!(revisions("app=one"), [3, 1]);
    assert_eq!(revisions("app=two"), [2]);
    assert_eq!(revisions("author=admin"), [3, 2, 1]);
    assert_eq!(revisions("author=someone"), [0; 0]);
    assert_eq!(revisions("since=2"), [3, 2]);
    assert_eq!(revisions("until=2&before=2"), [1]);
    assert_eq!(revisions("since=2999-01-01T00:00:00Z"), [0; 0]);
    let page = router.call("GET", "/v1/history?app=one&limit=1", None).json;
    assert_eq!(page["next"], "3");
    assert_eq!(revisions("app=one&limit=1&before=3"), [1]);
}

#[test]
fn the_commands_tell_turn_back_and_export() {
    let router = Router::start();
    router.app("one", "a.test", &["10.0.0.1:1"]);
    router.write("PATCH", "/v1/apps/one", json!({"maintenance": true}));
    router.write("PATCH", "/v1/apps/one/dynos/web.1", json!({"weight": 7}));
    let done = |line: &str| {
        let arguments: Vec<_> = line.split(' ').collect();
        let mut command = command(&arguments);
        command.env("HOSTLER_URL", format!("http://{}", router.control));
        let output = command.env("HOSTLER_TOKEN", TOKEN).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
    };
    let (code, text, _) = done("diff 1");
    assert_eq!(code, 0);
    let changes: Vec<_> = text.lines().skip(1).collect();
    let dyno = "~ dyno web.1 of app one weight: default -> 7";
    assert_eq!(changes, ["~ app one maintenance: default -> true", dyno]);
    assert!(done("diff 0 1").1.contains("+ route a.test app: \"one\"\n"));
    let (_, text, _) = done("diff 1 --app one --json");
    let whole: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&whole["from"]["revision"], &whole["to"]["revision"]), (&json!(1), &json!(3)));
    assert_eq!(whole["changes"].as_array().unwrap().len(), 2);

    let (code, text, _) = done("revert 1 --app one --reason oops");
    assert_eq!((code, text.as_str()), (0, "Reverted app one to 1 (revision 4)\n"));
    assert!(done("revert 1").1.ends_with("nothing changed\n"));
    let (code, _, error) = done("revert 9");
    assert_eq!(code, 5);
    assert!(error.contains("there is no revision 9"), "{error}");

    let (_, text, _) = done("history -n 2");
    assert!(text.lines().nth(1).unwrap().ends_with("1        oops"), "{text}");
    assert!(text.ends_with("There is more: --before 3\n"), "{text}");
    let history: Value = serde_json::from_str(&done("history --app one --json").1).unwrap();
    assert_eq!(history["items"].as_array().unwrap().len(), 4);

    let (code, text, _) = done("table export --at 3");
    assert_eq!(code, 0);
    let exported = export(&router, "?at=3");
    let lines: BTreeSet<_> = text.lines().skip(1).map(str::to_owned).collect();
    assert_eq!(lines, exported.lines);
    assert_eq!(done("table export --at 9").0, 5);
}

#[test]
fn a_table_of_many_pages_is_streamed_whole_while_it_changes() {
    let router = Router::start();
    router.write("PUT", "/v1/apps/one", json!({}));
    for part in 0..5 {
        let op = |i: u64| {
            let path = format!("/apps/one/routes/h{i}.test");
            json!({"method": "PUT", "path": path, "body": {}})
        };
        let ops: Vec<_> = (part * 1000..(part + 1) * 1000).map(op).collect();
        router.write("POST", "/v1/transactions", json!({ "ops": ops }));
    }
    let whole = export(&router, "?at=6");
    assert_eq!((whole.lines.len(), &whole.header["routes"]), (5001, &json!(5000)));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for i in 0..40 {
                router.delete(&format!("/v1/apps/one/routes/h{}.test", i * 120));
            }
        });
        for _ in 0..10 {
            assert_eq!(export(&router, "?at=6"), whole, "whatever is pushed meanwhile");
            export(&router, "");
        }
    });
    assert_eq!(export(&router, "").lines.len(), 4961);
    assert_eq!(diff(&router, "from=6").len(), 40);
}

#[test]
fn a_table_that_is_not_what_was_written_down_is_cut_and_no_start_takes_it() {
    let dir = tempfile::tempdir().unwrap();
    let router = Router::on(dir.path(), &[]);
    router.app("one", "a.test", &["10.0.0.1:1"]);
    let mut python = Command::new("python3");
    python.args(["-c", ALTER]).arg(dir.path().join("hostler.db"));
    run(python);
    let mut export = command(&["table", "export"]);
    export.env("HOSTLER_URL", format!("http://{}", router.control)).env("HOSTLER_TOKEN", TOKEN);
    let output = export.output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{error}");
    assert!(error.contains("broke"), "{error}");
    assert!(!output.stdout.is_empty(), "what came before the end was printed");
    router.kill();
    let refused = serve(dir.path(), &[]).output().unwrap();
    let error = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(1), "{error}");
    assert!(error.contains("has digest"), "{error}");
}

/// Alters a row as no push would.
const ALTER: &str = "
import sqlite3, sys
database = sqlite3.connect(sys.argv[1])
changed = database.execute(\"UPDATE objects SET body = replace(body, '10.0.0.1', '10.0.0.9')\")
assert changed.rowcount == 3
database.commit()";
