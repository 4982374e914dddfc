//! The whole table, uploaded: what comes out of one hub goes into another, and nothing by halves.
//!
//! Invariants: every upload is what an export gave, or lines written here; what is refused is shown
//! to have changed nothing.

use std::{
    io::Write,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use hostler::route::Digest;
use serde_json::{Value, json};

use crate::harness::{
    Conn, Dyno, Router,
    router::{TOKEN, command},
    upload::{answer, counts, head, line, mistakes, put, put_with, table_of},
};

/// Routes of a large table.
const LARGE: usize = 20_000;
/// Routes of one that is on the way for a while.
const MIDDLING: usize = 4000;

fn export(router: &Router) -> String {
    let reply = router.call("GET", "/v1/table", None);
    assert_eq!(reply.status(), 200);
    reply.answer.text()
}

#[test]
fn what_one_hub_exports_another_imports_and_both_are_the_same() {
    let (one, other) = (Router::start(), Router::start());
    assert_eq!(counts(&one, &table_of(LARGE, 5000)), [LARGE as u64 * 13 / 10, 0, 0]);
    one.write("PATCH", "/v1/apps/app-7", json!({"pages": {"error": {"html": "<p>\"é\u{7f}\\\n"}}}));
    one.write("PUT", "/v1/apps/app-7/routes/*.a.test?path=/x", json!({}));
    let dyno = json!({"addr": "[fd00::1]:1", "release": "v\"2", "weight": 7, "state": "draining"});
    one.write("PUT", "/v1/apps/app-7/dynos/web.9", dyno);
    let by = |router: &Router, line: &str| {
        let arguments: Vec<_> = line.split(' ').collect();
        let mut command = command(&arguments);
        command.env("HOSTLER_URL", format!("http://{}", router.control));
        command.env("HOSTLER_TOKEN", TOKEN).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    };
    let mut exporting = by(&one, "table export").spawn().unwrap();
    let mut import = by(&other, "table import - --json --reason moved");
    let imported = import.stdin(exporting.stdout.take().unwrap()).output().unwrap();
    assert!(exporting.wait().unwrap().success());
    let receipt: Value = serde_json::from_slice(&imported.stdout)
        .unwrap_or_else(|error| panic!("{error}: {imported:?}"));
    assert_eq!(receipt["counts"]["added"], LARGE * 13 / 10 + 2);
    assert_eq!((&receipt["digest"], other.digest()), (&json!(one.digest()), one.digest()));
    assert_eq!(receipt["revision"], 1);
    let lines = |router: &Router| export(router).split_once('\n').unwrap().1.to_owned();
    assert!(lines(&one) == lines(&other), "the lines are the same");
    let entry = &other.call("GET", "/v1/history", None).json["items"][0];
    assert_eq!((&entry["reason"], &entry["author"]), (&json!("moved"), &json!("admin")));
    assert_eq!(entry["changes"], LARGE * 13 / 10 + 2);
}

#[test]
fn only_what_differs_is_changed_and_the_same_again_makes_no_revision() {
    let router = Router::start();
    router.app("one", "a.test", &["10.0.0.1:1"]);
    router.app("two", "b.test", &["10.0.0.1:2"]);
    let table = export(&router);
    assert_eq!(counts(&router, &table), [0, 0, 0]);
    let same = put(&router, &table);
    assert_eq!((same.revision(), &same.json["changed"]), (2, &json!(false)));
    // A host moves to another app, a dyno changes, an app goes with what it has, another comes.
    let table = line("app", json!({"name": "two", "maintenance": true}))
        + &line("app", json!({"name": "three"}))
        + &line("route", json!({"app": "three", "host": "A.test."}))
        + &line("dyno", json!({"app": "two", "name": "web.1", "addr": "10.0.0.1:3"}));
    assert_eq!(counts(&router, &table), [1, 3, 3]);
    let diff = router.call("GET", "/v1/diff?from=2", None).answer.text();
    let lines: Vec<Value> =
        diff.lines().skip(1).map(|line| serde_json::from_str(line).unwrap()).collect();
    let brief: Vec<_> = lines.iter().map(|line| line["change"].as_str().unwrap()).collect();
    assert_eq!(brief, ["removed", "added", "changed", "removed", "changed", "changed", "removed"]);
    // And back, by a revert and as a table.
    router.write("POST", "/v1/revert", json!({"to": 2, "dynos": true}));
    let back = router.call("GET", "/v1/table?at=2", None).answer.text();
    // The dyno of app one came back as starting.
    assert_eq!(counts(&router, &back), [0, 2, 0]);
    let at_2: Value = serde_json::from_str(back.lines().next().unwrap()).unwrap();
    assert_eq!(at_2["digest"], router.digest());
}

#[test]
fn a_table_that_was_cut_or_altered_is_refused_and_changes_nothing() {
    let router = Router::start();
    router.app("one", "a.test", &["10.0.0.1:1"]);
    router.app("two", "b.test", &[]);
    let table = export(&router);
    router.delete("/v1/apps/two");
    let before = router.digest();
    // The connection ends within the body.
    let mut conn = router.connect_control();
    conn.send(head("", "", table.len()) + &table[..table.len() - 20]);
    conn.shut_write();
    let (rest, _) = conn.take_all();
    let text = String::from_utf8_lossy(&rest);
    assert!(rest.is_empty() || text.starts_with("HTTP/1.1 400 "), "{text}");
    // The last line is missing, or another was altered.
    let end = table[..table.len() - 1].rfind('\n').unwrap() + 1;
    let cut = put(&router, &table[..end]);
    assert_eq!(cut.status(), 422, "{cut:?}");
    assert_eq!(mistakes(&cut), [(1, "routes".into()), (1, "digest".into())]);
    assert!(cut.answer.text().contains("cut or altered"), "{cut:?}");
    let altered = put(&router, &table.replace("10.0.0.1", "10.0.0.9"));
    assert_eq!((altered.status(), mistakes(&altered)), (422, vec![(1, "digest".into())]));
    let nothing = put(&router, "\n");
    assert_eq!((nothing.status(), mistakes(&nothing)), (422, vec![(1, "body".into())]));
    assert_eq!((router.digest(), router.call("GET", "/v1/revision", None).revision()), (before, 3));
    // A header that says nothing is enough for an empty table.
    assert_eq!(counts(&router, "{\"v\":1,\"kind\":\"table\"}"), [0, 0, 3]);
    assert_eq!(router.digest(), "0".repeat(64));
}

#[test]
fn every_bad_line_is_named_to_a_bound() {
    let router = Router::with(&[("HOSTLER_DYNOS_NETWORKS", "10.0.0.0/8")]);
    let own = format!("{}", router.control);
    let dyno = |addr: &str| line("dyno", json!({"app": "one", "name": "web.1", "addr": addr}));
    let lines = [
        line("table", json!({})),
        line("app", json!({"name": "one", "settings": {"timeouts.idle": "soon"}})),
        line("app", json!({"name": "one"})),
        line("app", json!({"name": "one"})),
        line("route", json!({"app": "two", "host": "a.test"})),
        "\n".into(),
        line("route", json!({"app": "one", "host": "a.test"})),
        line("app", json!({"name": "two"})),
        line("route", json!({"app": "two", "host": "A.TEST"})),
        dyno("127.0.0.1:1"),
        dyno(&own),
        line("dyno", json!({"app": "one", "name": "", "weight": 0})),
        "not json\n".into(),
        line("table", json!({})),
        line("certificate", json!({})),
        json!({"kind": "app", "name": "three", "colour": 1}).to_string(),
    ];
    let reply = put(&router, &lines.concat());
    assert_eq!(reply.status(), 422, "{reply:?}");
    let expected = [
        (2, "settings.timeouts.idle"),
        (4, "name"),
        (5, "app"),
        (9, "host"),
        (10, "addr"),
        (11, "addr"),
        (12, "name"),
        (12, "addr"),
        (12, "weight"),
        (13, "line"),
        (14, "kind"),
        (15, "kind"),
        (16, "v"),
        (16, "colour"),
    ];
    let expected: Vec<_> = expected.map(|(line, field)| (line, field.to_owned())).into();
    assert_eq!(mistakes(&reply), expected, "{reply:?}");
    let many = put(&router, &"{}\n".repeat(100_000));
    assert_eq!((many.status(), mistakes(&many).len()), (422, 100));
    assert_eq!(mistakes(&many)[99], (50, "kind".into()));
    let long = put(&router, &format!("\n{{\"v\":\"{}\"}}\n", "x".repeat(5 << 20)));
    assert_eq!((long.status(), mistakes(&long)), (422, vec![(2, "line".into())]));
    assert_eq!(router.call("GET", "/v1/revision", None).revision(), 0);
}

#[test]
fn a_table_keeps_to_the_bounds_of_a_push_and_to_its_own() {
    let router = Router::with(&[
        ("HOSTLER_PUSH_MAX_APPS", "2"),
        ("HOSTLER_PUSH_APP_ROUTES", "1"),
        ("HOSTLER_PUSH_APP_DYNOS", "1"),
        ("HOSTLER_PUSH_MAX_OPS", "1"),
        ("HOSTLER_PUSH_MAX_BODY", "1KiB"),
        ("HOSTLER_PUSH_MAX_TABLE", "2KiB"),
    ]);
    let app = |name: &str| line("app", json!({"name": name}));
    let route = |host: &str| line("route", json!({"app": "one", "host": host}));
    let dyno = |n: u8| {
        line("dyno", json!({"app": "one", "name": format!("web.{n}"), "addr": "10.0.0.1:1"}))
    };
    let within = app("one") + &app("two") + &route("a.test") + &dyno(1);
    assert_eq!(counts(&router, &within), [4, 0, 0]);
    for (more, field) in [(app("three"), "app"), (route("b.test"), "host"), (dyno(2), "dyno")] {
        let reply = put(&router, &(within.clone() + &more));
        assert_eq!((reply.status(), mistakes(&reply)), (409, vec![(5, field.into())]));
        assert!(reply.answer.text().contains("push."), "{reply:?}");
    }
    for lines in ["", "Expect: 100-continue\r\n"] {
        let large = put_with(&router, "", lines, &"\n".repeat(3 << 10));
        assert_eq!((large.status(), large.mistakes()), (413, vec![(None, "body".into())]));
    }
    let mut chunked = router.connect_control();
    let head = head("", "", 0).replace("Content-Length: 0", "Transfer-Encoding: chunked");
    chunked.send(format!("{head}1000\r\n{}\r\n0\r\n\r\n", "\n".repeat(4096)));
    assert_eq!(answer(chunked).status(), 413);
    assert_eq!(router.call("GET", "/v1/revision", None).revision(), 1);
}

#[test]
fn what_is_asked_of_an_upload_is_heeded() {
    let router = Router::start();
    router.app("one", "a.test", &[]);
    let (table, empty) = (export(&router), "{\"v\":1,\"kind\":\"table\"}\n");
    for (revision, status) in [(0, 409), (2, 422), (1, 200)] {
        let reply = put_with(&router, &format!("?if_revision={revision}"), "", empty);
        assert_eq!(reply.status(), status, "{reply:?}");
    }
    let key = "Idempotency-Key: k1\r\n";
    let first = put_with(&router, "", key, &table);
    assert_eq!((first.status(), first.revision()), (200, 3));
    router.delete("/v1/apps/one");
    let again = put_with(&router, "", key, &table);
    assert_eq!(again.answer.head.get("idempotency-replayed"), Some("true"));
    assert_eq!((again.json, router.digest()), (first.json, "0".repeat(64)));
    let other = put_with(&router, "", key, empty);
    assert_eq!((other.status(), other.mistakes()), (422, vec![(None, "idempotency-key".into())]));
    let json = "application/json";
    for (query, lines, status, field) in [
        ("?revision=1", "", 400, "revision"),
        ("?if_revision=x", "", 400, "if_revision"),
        ("", "If-Match: *\r\n", 400, "if-match"),
        ("", "Content-Encoding: gzip\r\n", 415, "content-encoding"),
        ("", json, 415, "content-type"),
    ] {
        let mut request = head(query, if lines == json { "" } else { lines }, table.len());
        if lines == json {
            request = request.replace("application/x-ndjson", json);
        }
        let mut conn = router.connect_control();
        conn.send(request + &table);
        let reply = answer(conn);
        assert_eq!((reply.status(), reply.mistakes()), (status, vec![(None, field.into())]));
    }
    assert_eq!(router.call("GET", "/v1/revision", None).revision(), 4);
}

#[test]
fn dynos_that_stay_keep_their_connections() {
    let (router, dyno) = (Router::start(), Dyno::new());
    router.app("gone", "gone.test", &["10.0.0.1:1"]);
    router.app("one", "a.test", &[&dyno.addr]);
    let mut client = router.connect();
    let mut ask = |conn: &mut Option<Conn>| {
        client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
        let conn = conn.get_or_insert_with(|| dyno.accept());
        conn.take_request();
        conn.send("HTTP/1.1 204 No Content\r\n\r\n");
        assert_eq!(client.take_answer().status(), 204);
        assert!(dyno.is_idle(), "no other connection was made");
    };
    let mut conn = None;
    ask(&mut conn);
    let lines = |addr: &str| {
        line("app", json!({"name": "one", "settings": {"timeouts.idle": "9s"}}))
            + &line("dyno", json!({"app": "one", "name": "web.1", "addr": addr, "weight": 7}))
            + &line("route", json!({"app": "one", "host": "a.test"}))
    };
    // One app goes, others come before and behind it, and its settings and weight change.
    let others = |range: std::ops::Range<u32>| -> String {
        range.map(|n| line("app", json!({"name": format!("app-{n}")}))).collect()
    };
    let table = others(0..20) + &lines(&dyno.addr) + &others(20..40);
    assert_eq!(counts(&router, &table), [40, 2, 3]);
    ask(&mut conn);
    // Made again behind others within one transaction, it stands elsewhere in the table.
    let ops = [
        ("DELETE", "/apps/app-3", Value::Null),
        ("DELETE", "/apps/one", Value::Null),
        ("PUT", "/apps/new-1", json!({})),
        ("PUT", "/apps/one", json!({})),
        ("PUT", "/apps/one/routes/a.test", json!({})),
        ("PUT", "/apps/one/dynos/web.1", json!({"addr": dyno.addr})),
    ];
    assert_eq!(router.transact(&ops).status(), 200);
    ask(&mut conn);
    // A dyno at another address has connections of its own.
    let other = Dyno::new();
    assert_eq!(counts(&router, &lines(&other.addr))[1], 2);
    client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    other.accept().take_request();
}

#[test]
fn pushes_during_an_upload_come_before_it_or_behind_it() {
    let router = Router::start();
    router.app("one", "a.test", &["10.0.0.1:1"]);
    let (table, wanted) = (export(&router), router.digest());
    // What is pushed while the table is on its way is replaced by it.
    let mut conn = router.connect_control();
    let half = table.len() / 2;
    conn.send(head("", "", table.len()) + &table[..half]);
    router.write("PUT", "/v1/apps/two", json!({}));
    router.write("PATCH", "/v1/apps/one", json!({"maintenance": true}));
    router.delete("/v1/apps/one/dynos/web.1");
    conn.send(&table[half..]);
    let reply = answer(conn);
    assert_eq!((reply.status(), reply.revision()), (200, 5), "{reply:?}");
    assert_eq!(reply.json["counts"], json!({"added": 1, "changed": 1, "removed": 1}));
    assert_eq!(router.digest(), wanted);

    let pushed = thread::scope(|scope| {
        let router = &router;
        let push = move |thread: usize| {
            let put = |n: usize| {
                let app = format!("push-{thread}-{n}");
                let reply = router.call("PUT", &format!("/v1/apps/{app}"), Some(json!({})));
                assert_eq!(reply.status(), 200, "{reply:?}");
                (app, reply.revision())
            };
            (0..20).map(put).collect::<Vec<_>>()
        };
        let pushing: Vec<_> = (0..3).map(|n| scope.spawn(move || push(n))).collect();
        let uploads: Vec<_> = (1..4)
            .map(|port| put(router, &table_of(MIDDLING, port)))
            .map(|reply| reply.revision())
            .collect();
        let pushed = pushing.into_iter().flat_map(|push| push.join().unwrap());
        (pushed.collect::<Vec<_>>(), *uploads.last().unwrap())
    });
    let (pushed, last) = pushed;
    for (app, revision) in &pushed {
        let is_there = router.call("GET", &format!("/v1/apps/{app}"), None).status() == 200;
        assert_eq!(is_there, *revision > last, "{app} at {revision}, the last table at {last}");
    }
    let mut revisions: Vec<_> = pushed.iter().map(|(_, revision)| *revision).collect();
    revisions.sort_unstable();
    revisions.dedup();
    assert_eq!(revisions.len(), pushed.len(), "each has a revision of its own");
    let lines = export(&router);
    let mut sum = Digest::default();
    lines.lines().skip(1).for_each(|line| sum.add(Digest::of(line.as_bytes())));
    assert_eq!(sum.to_string(), router.digest());
}

#[test]
fn no_more_than_two_tables_come_at_a_time() {
    let router = Router::start();
    let table = line("app", json!({"name": "one"}));
    let open = || {
        let mut conn = router.connect_control();
        // That the body is asked for says that it has its place.
        conn.send(head("", "Expect: 100-continue\r\n", table.len()));
        assert!(conn.take_head().line.contains(" 100 "));
        conn
    };
    let (mut first, mut second) = (open(), open());
    let refused = put(&router, &table);
    assert_eq!(refused.status(), 503, "{refused:?}");
    assert_eq!(refused.answer.head.get("retry-after"), Some("10"));
    for conn in [&mut first, &mut second] {
        conn.send(&table);
    }
    assert_eq!((answer(first).status(), answer(second).status()), (200, 200));
    assert_eq!(put(&router, &table).status(), 200);
}

#[test]
fn a_kill_during_an_upload_leaves_the_old_table_or_the_new_one() {
    let dir = tempfile::tempdir().unwrap();
    let mut router = Router::on(dir.path(), &[]);
    router.app("one", "a.test", &["10.0.0.1:1"]);
    let (mut old, mut taken) = (router.digest(), 0);
    let mut random = fastrand::Rng::with_seed(7);
    for round in 0..5 {
        let table = table_of(MIDDLING, 5000 + round);
        let mut conn = router.connect_control();
        conn.send(head("", "", table.len()) + &table[..table.len() / 2]);
        if round > 0 {
            conn.send(&table[table.len() / 2..]);
            // The instants are what is tried: within the reading, the commit, behind the answer.
            thread::park_timeout(Duration::from_millis(random.u64(0..600)));
        }
        router.kill();
        let answered = String::from_utf8_lossy(&conn.take_all().0).starts_with("HTTP/1.1 200 ");
        router = Router::on(dir.path(), &[]);
        let now = router.digest();
        let counts = router.call("GET", "/v1/revision", None).json;
        if now == old {
            assert!(!answered, "what was answered is there");
            continue;
        }
        assert_eq!((&counts["routes"], &counts["apps"]), (&json!(MIDDLING), &json!(MIDDLING / 10)));
        let ports = router.call("GET", "/v1/apps/app-0/dynos", None).answer.text();
        assert!(ports.contains(&format!("10.0.0.0:{}", 5000 + round)), "{ports}");
        (old, taken) = (now, taken + 1);
    }
    assert_eq!(router.call("GET", "/v1/revision", None).revision(), 1 + taken);
}

#[test]
fn the_command_says_what_became_of_a_table() {
    let router = Router::start();
    let import = |arguments: &[&str], input: &str| {
        let mut command = command(&[&["table", "import"], arguments].concat());
        command
            .env("HOSTLER_URL", format!("http://{}", router.control))
            .env("HOSTLER_TOKEN", TOKEN);
        finished(command, input)
    };
    let (one, bad) = (line("app", json!({"name": "one"})), line("app", json!({"name": "One"})));
    let (code, text, _) = import(&["-"], &one);
    let done = "Replaced the table: 1 objects added, 0 changed, 0 removed (revision 1)\n";
    assert_eq!((code, text.as_str()), (0, done));
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("table.ndjson");
    std::fs::write(&file, &one).unwrap();
    let file = file.to_str().unwrap();
    assert_eq!(import(&[file], "").1, "The table is the same; nothing changed\n");
    let (code, _, error) = import(&["-"], &(one + &bad));
    assert_eq!(code, 1);
    assert!(error.contains("line 2: name: an app's name is"), "{error}");
    let (code, _, error) = import(&["/nonexistent.ndjson"], "");
    assert_eq!(code, 2);
    assert!(error.contains("/nonexistent.ndjson"), "{error}");
    let (code, _, error) = import(&[dir.path().to_str().unwrap()], "");
    assert_eq!(code, 1);
    assert!(error.contains("the table cannot be read"), "{error}");
    let (code, _, error) = import(&[file, "--if-revision", "0"], "");
    assert_eq!(code, 7);
    assert!(error.contains("if_revision"), "{error}");
    // What the push API refuses early is told, though most of the table is not sent.
    let (code, _, error) = import(&["-"], &"{}\n".repeat(1 << 20));
    assert_eq!(code, 1, "{error}");
    assert!(error.contains("line 50: kind: "), "{error}");
    assert_eq!(router.call("GET", "/v1/revision", None).revision(), 1);
}

/// The exit code of a command with that input, and what it said.
fn finished(mut command: Command, input: &str) -> (i32, String, String) {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    // It may end before it has read all.
    let feed = thread::spawn(move || stdin.write_all(input.as_bytes()).is_ok());
    let output = child.wait_with_output().unwrap();
    feed.join().unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn the_guards_judge_a_table_as_any_other_write() {
    let router = Router::start();
    let (large, small) = (table_of(100, 5000), line("app", json!({"name": "app-0"})));
    assert_eq!(counts(&router, &large), [130, 0, 0]);
    let refused = put(&router, &small);
    assert_eq!(refused.status(), 409, "{refused:?}");
    assert!(refused.mistakes().iter().all(|(_, field)| field == "force"), "{refused:?}");
    router.write("PATCH", "/v1/apps/app-7", json!({"protected": true}));
    let refused = put_with(&router, "?force=true", "", &small);
    assert_eq!((refused.status(), refused.mistakes()), (409, vec![(None, "confirm".into())]));
    assert_eq!(router.call("GET", "/v1/revision", None).revision(), 2);
    let done = put_with(&router, "?force=true&confirm=app-7&wait=fleet&if_revision=2", "", &small);
    assert_eq!((done.status(), done.revision()), (200, 3), "{done:?}");
    assert_eq!(done.json["counts"]["removed"], 129);
    assert_eq!(router.call("GET", "/v1/history", None).json["items"][0]["forced"], true);
}
