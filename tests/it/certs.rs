//! Certificates through the push API: set, told, refused; and never a byte of a private key.
//!
//! Invariant: every certificate is made by its test; that a key is nowhere is looked for in all its
//! forms, and that the look would find it is shown.

mod at_rest;
mod made;

use hostler::route::Digest;
use serde_json::{Value, json};

use self::made::Made;
use crate::harness::{
    Router,
    followed::{Followed, Stream},
    push::Reply,
    router::command,
    upload::put_with,
};

fn put(router: &Router, name: &str, made: &Made) -> Reply {
    router.call("PUT", &format!("/v1/certs/{name}"), Some(made.body()))
}

fn set(router: &Router, name: &str, made: &Made) {
    let reply = put(router, name, made);
    assert_eq!(reply.status(), 200, "{name}: {reply:?}");
}

fn names(reply: &Reply) -> Vec<String> {
    let items = reply.json["items"].as_array().unwrap_or_else(|| panic!("{reply:?}"));
    items.iter().map(|item| item["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_certificate_is_set_told_replaced_and_removed() {
    let router = Router::start();
    let (made, parts) = Made::through_two(&["www.a.test", "*.a.test", "10.0.0.1", "::1"]);
    let first = put(&router, "www.a.test", &made);
    assert_eq!((first.status(), &first.json["changed"]), (200, &json!(true)), "{first:?}");
    let told = router.call("GET", "/v1/certs/www.a.test", None);
    assert_eq!(told.answer.head.get("etag"), Some("\"1\""));
    assert_eq!(told.json["hosts"], json!(["10.0.0.1", "[::1]", "www.a.test", "*.a.test"]));
    assert_eq!((&told.json["key_kind"], &told.json["key"]), (&json!("ecdsa-p256"), &Value::Null));
    assert!(told.json["not_before_s"].as_u64() < told.json["not_after_s"].as_u64());
    let chain = told.json["chain"].as_str().unwrap();
    assert_eq!(chain, parts.concat().replace('\r', ""), "PEM as it came");
    assert_eq!(told.json["key_closed"], Value::Null);
    assert_eq!(put(&router, "www.a.test", &made).json["changed"], false);

    let other = Made::new(&["b.test"]);
    let path = "/v1/certs/www.a.test";
    let with = |tag: &str, method: &str, body| {
        let auth = format!("Authorization: Bearer {}\r\n", crate::harness::router::TOKEN);
        router.call_with(&format!("{auth}If-Match: {tag}\r\n"), method, path, body)
    };
    assert_eq!(with("\"7\"", "PUT", Some(other.body())).status(), 412);
    assert_eq!(with("\"1\"", "PUT", Some(other.body())).status(), 200);
    let now = router.call("GET", path, None).json;
    assert_eq!(
        (&now["hosts"], now["fingerprint"] == told.json["fingerprint"]),
        (&json!(["b.test"]), false)
    );
    let then = router.call("GET", &format!("{path}?at=1"), None).json;
    assert_eq!(then, told.json, "as it was");
    let patched = router.call("PATCH", path, Some(other.body()));
    assert_eq!((patched.status(), patched.answer.head.get("allow").is_some()), (405, true));
    router.delete(path);
    assert_eq!(router.call("GET", path, None).status(), 404);
    assert_eq!(router.call("DELETE", path, None).status(), 404);
    assert_eq!(router.call("GET", "/v1/revision", None).json["certs"], 0);
    assert_eq!(router.digest(), "0".repeat(64));
}

#[test]
fn every_kind_of_key_is_told_and_lists_go_by_pages() {
    let router = Router::start();
    for (name, kind, told) in [
        ("d", &rcgen::PKCS_ECDSA_P256_SHA256, "ecdsa-p256"),
        ("b", &rcgen::PKCS_ECDSA_P384_SHA384, "ecdsa-p384"),
        ("a", &rcgen::PKCS_ED25519, "ed25519"),
        ("c", &rcgen::PKCS_RSA_SHA256, "rsa-2048"),
    ] {
        set(&router, name, &Made::of_kind(&["a.test"], kind));
        let shown = router.call("GET", &format!("/v1/certs/{name}"), None).json;
        assert_eq!(shown["key_kind"], told);
    }
    assert_eq!(names(&router.call("GET", "/v1/certs", None)), ["a", "b", "c", "d"]);
    let first = router.call("GET", "/v1/certs?limit=3", None);
    assert_eq!(
        (names(&first), &first.json["next"]),
        (vec!["a".into(), "b".into(), "c".into()], &json!("c"))
    );
    let last = router.call("GET", "/v1/certs?limit=3&after=c", None);
    assert_eq!((names(&last), &last.json["next"]), (vec!["d".into()], &Value::Null));
    assert!(first.json["items"].as_array().unwrap().iter().all(|item| item["chain"].is_null()));
}

/// The fields of a refusal, and that no key is in it.
fn refused(router: &Router, body: Value, status: u16, made: &Made) -> Vec<String> {
    let reply = router.call("PUT", "/v1/certs/www", Some(body.clone()));
    assert_eq!(reply.status(), status, "{body}: {reply:?}");
    made.assert_key_is_not_in(&reply.answer.body, "a refusal");
    reply.mistakes().into_iter().map(|(_, field)| field).collect()
}

#[test]
fn a_chain_holds_by_its_signatures_and_not_by_its_names() {
    let router = Router::start();
    let (made, [leaf, middle, root]) = Made::through_two(&["a.test"]);
    let (_, [_, false_middle, false_root]) = Made::through_two(&["a.test"]);
    let (ended, parts) = Made::through_two_until(&["a.test"], 2020, 2999);
    let (old_root, _) = Made::through_two_until(&["a.test"], 2999, 2020);
    let chain = |parts: &[&str]| made.with_chain(parts);
    let without_root = ended.with_chain(&[&parts[0], &parts[1]]);
    for (wrong, why) in [
        (chain(&[&leaf, &false_middle]), "did not sign it"),
        (chain(&[&leaf, &false_middle, &false_root]), "did not sign it"),
        (chain(&[&leaf, &middle, &false_root]), "did not sign it"),
        (ended, "expired"),
        (without_root, "has ended"),
    ] {
        let reply = put(&router, "www", &wrong);
        assert_eq!(reply.status(), 422, "{why}: {reply:?}");
        assert!(reply.answer.text().contains(why), "{why}: {reply:?}");
    }
    for right in [chain(&[&leaf]), chain(&[&leaf, &middle]), chain(&[&leaf, &middle, &root])] {
        set(&router, "www", &right);
    }
    // Browsers do not look at the time of a root, and some are sent for old clients' sake.
    set(&router, "www", &old_root);
}

#[test]
fn what_cannot_be_served_is_refused_and_the_field_named() {
    let router = Router::start();
    let (made, other) = (Made::new(&["a.test"]), Made::new(&["b.test"]));
    let (_, [leaf, middle, root]) = Made::through_two(&["a.test"]);
    let text = |chain: &str, key: &str| json!({"chain": chain, "key": key});
    let cut = &made.chain[..made.chain.len() / 2];
    let altered = made.chain.replacen("MII", "MIJ", 1);
    let locked = made.key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    for (body, fields) in [
        (json!({}), &["chain", "key"][..]),
        (json!({"chain": made.chain}), &["key"]),
        (json!({"key": made.key}), &["chain"]),
        (json!({"chain": 1, "key": [made.key]}), &["chain", "key"]),
        (json!({"chain": made.chain, "key": made.key, "name": "x"}), &["name"]),
        (json!(made.key), &["body"]),
        (json!(made.key.lines().nth(1)), &["body"]),
        (json!({"chain": made.chain, "key": made.key, &made.key: 1}), &["body"]),
        (json!({made.key.lines().nth(1).unwrap(): 1}), &["chain", "key", "body"]),
        (text("", ""), &["chain", "key"]),
        (text("no PEM", &made.key), &["chain"]),
        (text(cut, &made.key), &["chain"]),
        (text(&altered, &made.key), &["chain"]),
        (text(&made.chain, &made.chain), &["key"]),
        (text(&made.chain, &locked), &["key"]),
        (text(&made.chain, &other.key), &["key"]),
        (text(&[&*middle, &leaf].concat(), &made.key), &["chain"]),
        (text(&[&*leaf, &root].concat(), &made.key), &["chain"]),
        (text(&leaf.repeat(11), &made.key), &["chain"]),
        (text(&" ".repeat(70_000), &" ".repeat(20_000)), &["chain", "key"]),
        (Made::new(&[]).body(), &["chain"]),
        (Made::within(&["a.test"], -9, -1).body(), &["chain"]),
    ] {
        assert_eq!(refused(&router, body.clone(), 422, &made), fields, "{body}");
    }
    assert_eq!(router.call("GET", "/v1/revision", None).json["revision"], 0);
    for name in ["Www", "-a", "a%20b", "a%2Fb", &"a".repeat(254)] {
        let reply = put(&router, name, &made);
        assert_eq!((reply.status(), &*reply.mistakes()[0].1), (422, "cert"), "{name}");
    }
    // One that begins later can be pushed ahead.
    set(&router, "ahead", &Made::within(&["a.test"], 1, 9));
}

#[test]
fn certificates_are_for_who_may_write_every_app_and_bounded_in_number() {
    let router = Router::with(&[("HOSTLER_PUSH_MAX_CERTS", "2")]);
    router.write("PUT", "/v1/apps/blog", json!({}));
    let scopes = json!({"name": "ci", "scopes": ["push:blog"]});
    let token = router.call("POST", "/v1/tokens", Some(scopes)).json;
    let bearer = format!("Authorization: Bearer {}\r\n", token["token"].as_str().unwrap());
    let made = Made::new(&["a.test"]);
    let op = json!({"method": "PUT", "path": "/certs/www", "body": made.body()});
    let ops = Some(json!({"ops": [op]}));
    for (method, path, body) in [
        ("PUT", "/v1/certs/www", Some(made.body())),
        ("DELETE", "/v1/certs/www", None),
        ("GET", "/v1/certs", None),
        ("POST", "/v1/transactions", ops),
    ] {
        let reply = router.call_with(&bearer, method, path, body);
        assert_eq!(reply.status(), 403, "{method} {path}: {reply:?}");
        made.assert_key_is_not_in(&reply.answer.body, "a refusal");
    }
    set(&router, "one", &made);
    set(&router, "two", &made);
    let full = put(&router, "three", &made);
    assert_eq!(full.status(), 409, "{full:?}");
    assert!(full.json["detail"].as_str().unwrap().contains("push.max_certs"), "{full:?}");
    // What stands is replaced all the same.
    set(&router, "two", &Made::new(&["b.test"]));
}

#[test]
fn a_transaction_sets_certificates_beside_what_needs_them() {
    let router = Router::start();
    let (made, other) = (Made::new(&["a.test"]), Made::new(&["b.test"]));
    let both = router.transact(&[
        ("PUT", "/apps/blog", json!({})),
        ("PUT", "/certs/a", made.body()),
        ("PUT", "/certs/b", other.body()),
        ("DELETE", "/certs/a", Value::Null),
    ]);
    assert_eq!(both.status(), 200, "{both:?}");
    assert_eq!(names(&router.call("GET", "/v1/certs", None)), ["b"]);
    let wrong = router.transact(&[
        ("PUT", "/apps/shop", json!({})),
        ("PUT", "/certs/c", json!({"chain": made.chain, "key": other.key})),
        ("PATCH", "/certs/b", made.body()),
        ("DELETE", "/certs/none", Value::Null),
    ]);
    let fields = [(Some(1), "key".into()), (Some(2), "method".into()), (Some(3), "cert".into())];
    assert_eq!((wrong.status(), wrong.mistakes()), (422, fields.to_vec()));
    other.assert_key_is_not_in(&wrong.answer.body, "a refusal");
    assert_eq!(router.call("GET", "/v1/apps/shop", None).status(), 404, "all or nothing");
}

#[test]
fn a_private_key_is_in_no_answer_no_feed_and_no_log() {
    let dir = tempfile::tempdir().unwrap();
    let mut router = Router::on(dir.path(), &[("HOSTLER_LOG_LEVEL", "trace")]);
    let (made, next) = (Made::new(&["a.test"]), Made::new(&["b.test"]));
    let mut told = router.call("PUT", "/v1/certs/www", Some(made.body())).answer.body;
    told.extend(router.call("PUT", "/v1/certs/www", Some(next.body())).answer.body);
    set(&router, "other", &made);
    router.delete("/v1/certs/other");
    let keyed = format!("Authorization: Bearer {}\r\n", crate::harness::router::TOKEN)
        + "Idempotency-Key: once\r\n";
    for _ in 0..2 {
        let reply = router.call_with(&keyed, "PUT", "/v1/certs/third", Some(made.body()));
        assert_eq!(reply.status(), 200, "{reply:?}");
        told.extend(reply.answer.body);
    }
    for path in [
        "/v1/certs",
        "/v1/certs/www",
        "/v1/certs/www?at=1",
        "/v1/table",
        "/v1/table?at=1",
        "/v1/diff?from=0",
        "/v1/diff?from=1&to=2",
        "/v1/history",
        "/v1/audit",
        "/v1/openapi.json",
        "/metrics",
        "/readyz",
    ] {
        let reply = router.call("GET", path, None);
        assert_eq!(reply.status(), 200, "{path}: {reply:?}");
        told.extend(reply.answer.body);
    }
    for from in [None, Some(0)] {
        let mut stream = Stream::from(router.control, from);
        let mut followed = Followed::default();
        followed.revision = from;
        while followed.revision < Some(5) {
            let event = stream.next().expect("the feed goes on");
            told.extend(event.data.as_bytes());
            followed.take_raw(&event);
        }
    }
    router.terminate();
    router.wait();
    told.extend(router.said.all().concat().into_bytes());
    told.extend(router.log.all().concat().into_bytes());
    for made in [&made, &next] {
        made.assert_key_is_not_in(&told, "what the router told");
    }
    // What this looks for is there to be found: without a store key the database has it.
    let kept = std::fs::read(dir.path().join("hostler.db")).unwrap();
    let found = std::panic::catch_unwind(|| next.assert_key_is_not_in(&kept, "the database"));
    assert!(found.is_err());
}

#[test]
fn certificates_have_one_digest_by_every_path() {
    let dir = tempfile::tempdir().unwrap();
    let mut router = Router::on(dir.path(), &[]);
    let mut digests = vec![router.digest()];
    let (made, next) = (Made::through_two(&["a.test"]).0, Made::new(&["b.test"]));
    for (name, made) in [("a", Some(&made)), ("b", Some(&next)), ("a", Some(&next)), ("b", None)] {
        match made {
            Some(made) => set(&router, name, made),
            None => router.delete(&format!("/v1/certs/{name}")),
        }
        digests.push(router.digest());
    }
    let check = |router: &Router| {
        assert_eq!(router.digest(), digests[4]);
        for (revision, digest) in digests.iter().enumerate() {
            let reply = router.call("GET", &format!("/v1/table?at={revision}"), None);
            let text = reply.answer.text();
            let (header, lines) = text.split_once('\n').unwrap();
            let header: Value = serde_json::from_str(header).unwrap();
            let mut sum = Digest::default();
            lines.lines().for_each(|line| sum.add(Digest::of(line.as_bytes())));
            assert_eq!((&header["digest"], &sum.to_string()), (&json!(digest), digest));
            assert_eq!(header["certs"], lines.lines().count());
        }
        for from in [None, Some(0)] {
            let mut followed = Followed::default();
            followed.revision = from;
            let mut stream = Stream::from(router.control, from);
            while followed.revision < Some(4) {
                followed.take_raw(&stream.next().expect("the feed goes on"));
            }
            followed.assert_is(router);
        }
        let diff = router.call("GET", "/v1/diff?from=3&to=4", None).answer.text();
        assert!(diff.lines().nth(1).unwrap().starts_with(r#"{"change":"removed","before":{"#));
        assert_eq!(diff.lines().count(), 2);
        let same = router.call("GET", "/v1/diff?from=4&to=4", None).answer.text();
        assert_eq!(same.lines().count(), 1);
    };
    check(&router);
    router.kill();
    // The database alone, then a snapshot.
    router = Router::on(dir.path(), &[]);
    check(&router);
    router.terminate();
    assert!(router.wait().success());
    check(&Router::on(dir.path(), &[]));
}

#[test]
fn a_revert_and_a_whole_table_leave_certificates_alone() {
    let (router, other) = (Router::start(), Router::start());
    let (made, next) = (Made::new(&["a.test"]), Made::new(&["b.test"]));
    router.write("PUT", "/v1/apps/blog", json!({}));
    set(&router, "a", &made);
    router.write("PUT", "/v1/apps/shop", json!({}));
    let export = router.call("GET", "/v1/table", None).answer.text();
    set(&router, "a", &next);
    set(&router, "b", &made);
    let standing = |router: &Router| {
        ["/v1/certs/a", "/v1/certs/b"].map(|path| router.call("GET", path, None).json)
    };
    let before = standing(&router);
    let reply = router.call("POST", "/v1/revert", Some(json!({"to": 1})));
    assert_eq!((reply.status(), &reply.json["changed"]), (200, &json!(true)), "{reply:?}");
    assert_eq!(standing(&router), before);
    assert_eq!(router.call("GET", "/v1/apps/shop", None).status(), 404);
    let reply = put_with(&router, "", "", &export);
    assert_eq!(reply.status(), 200, "{reply:?}");
    let counts = json!({"added": 1, "changed": 0, "removed": 0});
    assert_eq!((standing(&router), &reply.json["counts"]), (before, &counts), "{reply:?}");
    // Elsewhere the table comes without them: their keys are nowhere in it.
    let reply = put_with(&other, "", "", &export);
    assert_eq!(reply.status(), 200, "{reply:?}");
    assert_eq!(other.call("GET", "/v1/revision", None).json["certs"], 0);
    assert_eq!(other.call("GET", "/v1/apps/shop", None).status(), 200);
    let altered = export.replace("ecdsa-p256", "ecdsa-p384");
    assert_eq!(put_with(&other, "", "", &altered).status(), 422, "its digest is another");
}

#[test]
fn the_command_lists_adds_shows_and_removes() {
    let (router, dir) = (Router::start(), tempfile::tempdir().unwrap());
    let made = Made::new(&["www.a.test"]);
    let [chain, key] = ["chain.pem", "key.pem"].map(|name| dir.path().join(name));
    std::fs::write(&chain, &made.chain).unwrap();
    std::fs::write(&key, &made.key).unwrap();
    let run = |arguments: &[&str]| {
        let output = command(&[&["certs"], arguments].concat())
            .env("HOSTLER_URL", format!("http://{}", router.control))
            .env("HOSTLER_TOKEN", crate::harness::router::TOKEN)
            .output()
            .unwrap();
        made.assert_key_is_not_in(&output.stdout, "what a command prints");
        (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
    };
    let done = |arguments: &[&str]| {
        let (code, text) = run(arguments);
        assert_eq!(code, Some(0), "{arguments:?}: {text}");
        text
    };
    assert!(done(&[]).contains("hostler certs add"));
    let files = ["--chain", chain.to_str().unwrap(), "--key", key.to_str().unwrap()];
    let add = [&["add", "www.a.test"][..], &files].concat();
    assert_eq!(done(&add), "Added certificate www.a.test (revision 1)\n");
    assert!(done(&add).ends_with("nothing changed\n"));
    let row = done(&["list"]).lines().nth(1).unwrap().to_owned();
    assert!(row.starts_with("www.a.test  ecdsa-p256  ") && row.ends_with("  www.a.test"), "{row}");
    assert!(done(&["show", "www.a.test"]).ends_with(&made.chain.replace('\r', "")));
    let shown: Value = serde_json::from_str(&done(&["show", "www.a.test", "--json"])).unwrap();
    assert_eq!(shown["hosts"], json!(["www.a.test"]));
    let swapped = ["add", "x", "--chain", files[3], "--key", files[1]];
    let (code, text) = run(&swapped);
    assert!(code == Some(1) && text.contains("chain") && text.contains("key"), "{text}");
    assert_eq!(run(&["add", "x", "--chain", "/none", "--key", files[3]]).0, Some(2));
    done(&["remove", "www.a.test"]);
    assert_eq!(run(&["remove", "www.a.test"]).0, Some(5));
}

#[test]
fn an_end_that_is_near_is_told_in_the_log_and_by_the_metrics() {
    let dir = tempfile::tempdir().unwrap();
    let mut router = Router::on(dir.path(), &[]);
    assert_eq!(router.metric("hostler_certs_first_end_seconds"), 0.0);
    set(&router, "late", &Made::within(&["a.test"], -9, 30));
    set(&router, "soon", &Made::within(&["b.test"], -9, 5));
    let ends = router.call("GET", "/v1/certs/soon", None).json["not_after_s"].as_f64();
    assert_eq!(Some(router.metric("hostler_certs_first_end_seconds")), ends);
    assert_eq!(router.metric("hostler_table_certs"), 2.0);
    router.terminate();
    router.wait();
    let router = Router::on(dir.path(), &[]);
    let said = router.said.wait_for("a certificate ends soon");
    assert!(said.contains("soon") && said.contains("days="), "{said}");
    assert!(router.said.all().iter().all(|line| !line.contains("late")));
}
