//! What the push API accepts: objects written, patched, read, listed and removed; transactions.
//!
//! Invariant: every accepted write is read back at once, at the revision that its answer named.

use serde_json::{Value, json};

use crate::harness::{Conn, Named, Router, push::ops_of, router::TOKEN};

fn with_app() -> Router {
    let router = Router::start();
    router.write("PUT", "/v1/apps/one", json!({}));
    router
}

#[test]
fn every_write_makes_a_revision_and_one_that_changes_nothing_makes_none() {
    let router = Router::start();
    assert_eq!(router.write("PUT", "/v1/apps/one", json!({})), 1);
    assert_eq!(router.write("PUT", "/v1/apps/one/routes/a.test", json!({})), 2);
    let reply = router.call("PUT", "/v1/apps/one/routes/a.test", Some(json!({})));
    assert_eq!((reply.revision(), &reply.json["changed"]), (2, &json!(false)));
    assert_eq!(router.write("PATCH", "/v1/apps/one", json!({"maintenance": true})), 3);
    router.delete("/v1/apps/one/routes/a.test");
    assert_eq!(router.call("GET", "/v1/revision", None).revision(), 4);
}

#[test]
fn what_was_put_is_read_back_whole_with_its_defaults() {
    let router = with_app();
    let put = json!({"addr": "[::1]:5000", "release": "v12", "weight": 7, "state": "starting"});
    router.write("PUT", "/v1/apps/one/dynos/web.1", put);
    router.write("PUT", "/v1/apps/one/dynos/web.2", json!({"addr": "10.0.0.1:5000"}));
    let get = |path: &str| router.call("GET", path, None).json;
    let dyno = get("/v1/apps/one/dynos/web.1");
    for (field, value) in
        [("addr", json!("[::1]:5000")), ("release", json!("v12")), ("weight", json!(7))]
    {
        assert_eq!(dyno[field], value, "{dyno}");
    }
    assert_eq!(dyno["state"], "starting");
    let dyno = get("/v1/apps/one/dynos/web.2");
    assert_eq!((&dyno["weight"], &dyno["state"]), (&json!(100), &json!("up")));
    assert_eq!((&dyno["release"], &dyno["ttl_s"]), (&json!(""), &json!(null)));
    let app = get("/v1/apps/one");
    assert_eq!((&app["maintenance"], &app["dynos"]), (&json!(false), &json!(2)));
}

#[test]
fn lists_are_sorted_and_bear_their_revision() {
    let router = with_app();
    router.write("PUT", "/v1/apps/aaa", json!({}));
    for host in ["z.test", "a.test", "*.a.test"] {
        router.write("PUT", &format!("/v1/apps/one/routes/{host}"), json!({}));
    }
    router.write("PUT", "/v1/apps/one/routes/a.test?path=/api", json!({}));
    let list = router.call("GET", "/v1/apps", None).json;
    assert_eq!(list["revision"], 6);
    let names: Vec<_> = list["items"].as_array().unwrap().iter().map(|app| &app["name"]).collect();
    assert_eq!(names, ["aaa", "one"]);
    let list = router.call("GET", "/v1/apps/one/routes", None).json;
    let mut routes: Vec<_> = list["items"].as_array().unwrap().iter().collect();
    assert_eq!(routes.len(), 4, "{list}");
    routes.retain(|route| route["host"] == "a.test" && route["path"] == "/api");
    assert_eq!(routes.len(), 1, "{list}");
}

#[test]
fn a_long_list_is_walked_page_by_page_while_it_changes() {
    let router = with_app();
    let made = |name: &str| json!({"method": "PUT", "path": name, "body": {}});
    let host = |n: usize| format!("/apps/one/routes/h{n:04}.test");
    let ops = (0..1500).flat_map(|n| [made(&format!("/apps/p{n:04}")), made(&host(n))]);
    router.write("POST", "/v1/transactions", json!({"ops": ops.collect::<Vec<_>>()}));
    for (list, field, begins) in [("/v1/apps", "name", "p"), ("/v1/apps/one/routes", "host", "h")] {
        let path = |n: &str| match begins {
            "p" => format!("/v1/apps/p{n}"),
            _ => format!("/v1/apps/one/routes/h{n}.test"),
        };
        let (mut seen, mut after) = (Vec::new(), String::new());
        for page in 0.. {
            let reply = router.call("GET", &format!("{list}?limit=500{after}"), None).json;
            assert_eq!(
                reply["revision"],
                router.call("GET", "/v1/revision", None).json["revision"]
            );
            let items = reply["items"].as_array().unwrap();
            seen.extend(items.iter().map(|item| item[field].as_str().unwrap().to_owned()));
            let Some(next) = reply["next"].as_str() else { break };
            after = format!("&after={next}");
            if page == 0 {
                // Behind it, and before it.
                router.write("PUT", &path("1400x"), json!({}));
                for gone in ["1400", "0001"] {
                    assert_eq!(router.call("DELETE", &path(gone), None).status(), 200);
                }
            }
        }
        assert!(seen.is_sorted(), "{seen:?}");
        seen.retain(|name| name.starts_with(begins));
        assert_eq!(seen.len(), 1500);
        let has = |n: &str| seen.iter().any(|name| name[1..].trim_end_matches(".test") == n);
        assert!(has("1400x") && has("0001") && !has("1400"), "{seen:?}");
    }
}

#[test]
fn a_patch_changes_what_it_names_and_leaves_the_rest() {
    let router = with_app();
    let put = json!({"addr": "10.0.0.1:5000", "release": "v1", "weight": 7});
    router.write("PUT", "/v1/apps/one/dynos/web.1", put);
    router.write("PATCH", "/v1/apps/one/dynos/web.1", json!({"state": "draining"}));
    let dyno = router.call("GET", "/v1/apps/one/dynos/web.1", None).json;
    assert_eq!((&dyno["state"], &dyno["weight"]), (&json!("draining"), &json!(7)));
    // Null takes a field back to its default (RFC 7396).
    router.write("PATCH", "/v1/apps/one/dynos/web.1", json!({"weight": null, "release": null}));
    let dyno = router.call("GET", "/v1/apps/one/dynos/web.1", None).json;
    assert_eq!((&dyno["weight"], &dyno["release"]), (&json!(100), &json!("")));
    assert_eq!(dyno["state"], "draining");
}

/// An app with everything that it may have, as it is told.
fn full() -> Value {
    json!({
        "maintenance": true,
        "blank": true,
        "router": true,
        "protected": false,
        "settings": {
            "dynos.keep_alive": false,
            "limits.set_cookie": 16384,
            "timeouts.connect": "250ms",
            "timeouts.first_byte": "60s",
        },
        "pages": {
            "error": {"html": "<h1>é</h1>", "json": "{\"sorry\":true}", "text": "sorry\r\n"},
            "maintenance": {"html": "soon"},
        },
    })
}

/// The app of that name, without what is no setting of it.
fn app(router: &Router, name: &str) -> Value {
    let mut app = router.call("GET", &format!("/v1/apps/{name}"), None).json;
    for field in ["name", "routes", "dynos"] {
        assert!(app.as_object_mut().unwrap().remove(field).is_some(), "{field}: {app}");
    }
    app
}

#[test]
fn an_app_is_read_back_with_its_settings_and_pages() {
    let router = with_app();
    let bare = json!({
        "maintenance": false, "blank": false, "router": false, "protected": false,
        "settings": {}, "pages": {},
    });
    assert_eq!(app(&router, "one"), bare);
    assert_eq!(router.write("PUT", "/v1/apps/one", full()), 2);
    assert_eq!(app(&router, "one"), full());
    // What is written in other words is the same.
    let mut same = full();
    same["settings"]["timeouts.first_byte"] = json!("1m");
    same["settings"]["limits.set_cookie"] = json!("16KiB");
    same["settings"]["dynos.keep_alive"] = json!("false");
    let reply = router.call("PUT", "/v1/apps/one", Some(same));
    assert_eq!((reply.revision(), &reply.json["changed"]), (2, &json!(false)));
    assert_eq!(app(&router, "one"), full());
    // A list would be too long with them.
    let list = router.call("GET", "/v1/apps", None).json;
    assert_eq!(list["items"][0]["settings"], full()["settings"]);
    assert!(list["items"][0].get("pages").is_none(), "{list}");
    // Whole: what is not named is the router's again.
    assert_eq!(router.write("PUT", "/v1/apps/one", json!({})), 3);
    assert_eq!(app(&router, "one"), bare);
}

#[test]
fn a_patch_of_an_app_takes_one_setting_or_one_form_and_null_gives_it_back() {
    let router = with_app();
    router.write("PUT", "/v1/apps/one", full());
    let patch = json!({
        "maintenance": null,
        "settings": {"timeouts.first_byte": null, "timeouts.idle": "5s"},
        "pages": {"error": {"json": null}, "maintenance": {"text": "soon"}},
    });
    router.write("PATCH", "/v1/apps/one", patch);
    let mut expected = full();
    expected["maintenance"] = json!(false);
    expected["settings"] = json!({
        "dynos.keep_alive": false, "limits.set_cookie": 16384, "timeouts.connect": "250ms",
        "timeouts.idle": "5s",
    });
    expected["pages"]["error"].as_object_mut().unwrap().remove("json");
    expected["pages"]["maintenance"]["text"] = json!("soon");
    assert_eq!(app(&router, "one"), expected);
    router.write("PATCH", "/v1/apps/one", json!({"settings": null, "pages": {"error": null}}));
    let app = app(&router, "one");
    assert_eq!(app["settings"], json!({}));
    assert_eq!(app["pages"], json!({"maintenance": {"html": "soon", "text": "soon"}}));
}

#[test]
fn a_put_replaces_the_whole_object() {
    let router = with_app();
    let put = json!({"addr": "10.0.0.1:5000", "release": "v1", "weight": 7});
    router.write("PUT", "/v1/apps/one/dynos/web.1", put);
    router.write("PUT", "/v1/apps/one/dynos/web.1", json!({"addr": "10.0.0.2:5000"}));
    let dyno = router.call("GET", "/v1/apps/one/dynos/web.1", None).json;
    assert_eq!((&dyno["weight"], &dyno["release"]), (&json!(100), &json!("")));
}

#[test]
fn a_host_is_one_object_however_it_is_written() {
    let router = with_app();
    assert_eq!(router.write("PUT", "/v1/apps/one/routes/WWW.A.Test.", json!({})), 2);
    assert_eq!(router.write("PUT", "/v1/apps/one/routes/www.a.test", json!({})), 2);
    assert_eq!(router.write("PUT", "/v1/apps/one/routes/www.a.test:80", json!({})), 2);
    let route = router.call("GET", "/v1/apps/one/routes/www.A.test", None);
    assert_eq!(route.json["host"], "www.a.test");
    router.delete("/v1/apps/one/routes/wWw.a.test");
}

#[test]
fn a_transaction_is_one_revision() {
    let router = Router::start();
    let dyno = Named::start("one");
    let reply = router.transact(&[
        ("PUT", "/apps/one", json!({})),
        ("PUT", "/apps/one/dynos/web.1", json!({"addr": dyno.addr})),
        ("PUT", "/apps/one/dynos/web.2", json!({"addr": "10.0.0.1:5000"})),
        ("PUT", "/apps/one/routes/a.test", json!({})),
        ("DELETE", "/apps/one/dynos/web.2", json!(null)),
    ]);
    assert_eq!((reply.status(), reply.revision()), (200, 1));
    assert_eq!(router.get("a.test", "/").status(), 200);
    let digest = &reply.json["digest"];
    let revision = router.call("GET", "/v1/revision", None).json;
    let stands = json!({
        "revision": 1, "digest": digest, "apps": 1, "routes": 1, "dynos": 1, "certs": 0
    });
    assert_eq!(revision, stands);
}

#[test]
fn a_bad_op_undoes_the_whole_transaction_and_every_bad_op_is_named() {
    let router = with_app();
    let before = router.call("GET", "/v1/revision", None).json;
    let reply = router.transact(&[
        ("PUT", "/apps/two", json!({})),
        ("PUT", "/apps/one/dynos/web.1", json!({"addr": "nowhere", "weight": 0})),
        ("PUT", "/apps/two/routes/a.test", json!({})),
        ("DELETE", "/apps/three", json!(null)),
        ("PUT", "/apps/one/routes/a%20b", json!({})),
        ("POST", "/apps/one", json!({})),
    ]);
    assert_eq!(reply.status(), 422, "{reply:?}");
    let mut mistakes = reply.mistakes();
    mistakes.sort();
    let fields: Vec<_> = mistakes.iter().map(|(op, field)| (op.unwrap(), field.as_str())).collect();
    assert_eq!(fields[..2], [(1, "addr"), (1, "weight")], "{reply:?}");
    let ops: Vec<u64> = fields.iter().map(|(op, _)| *op).collect();
    assert_eq!(ops, [1, 1, 3, 4, 5], "{reply:?}");
    assert_eq!(router.call("GET", "/v1/revision", None).json, before);
}

#[test]
fn a_transaction_on_a_changed_object_is_a_conflict() {
    let router = with_app();
    let seen = router.write("PUT", "/v1/apps/one/dynos/web.1", json!({"addr": "10.0.0.1:5000"}));
    let moved = |addr: &str, weight: u16, if_revision: u64| {
        let body = json!({"addr": addr, "weight": weight});
        let ops = ops_of(&[("PUT", "/apps/one/dynos/web.1", body)]);
        let body = json!({"if_revision": if_revision, "ops": ops});
        router.call("POST", "/v1/transactions", Some(body))
    };
    // A change of another object does not count.
    let later = router.write("PUT", "/v1/apps/two", json!({}));
    assert_eq!(moved("10.0.0.1:5000", 2, seen).status(), 200);
    let reply = moved("10.0.0.1:5000", 3, later);
    assert_eq!(reply.status(), 409, "{reply:?}");
    assert!(reply.answer.text().contains("web.1"), "{reply:?}");
    let dyno = router.call("GET", "/v1/apps/one/dynos/web.1", None).json;
    assert_eq!(dyno["weight"], 2);
}

#[test]
fn history_tells_who_did_what_when_and_why() {
    let router = with_app();
    let body = json!({"reason": "new home", "ops": ops_of(&[("PUT", "/apps/two", json!({}))])});
    assert_eq!(router.call("POST", "/v1/transactions", Some(body)).status(), 200);
    let history = router.call("GET", "/v1/history", None).json;
    let latest = &history["items"][0];
    assert_eq!((&latest["revision"], &latest["reason"]), (&json!(2), &json!("new home")));
    assert_eq!(latest["changes"], 1);
    assert!(latest["author"].as_str().unwrap().starts_with("admin"), "{history}");
    assert!(latest["at_ms"].as_u64().unwrap() > 1_600_000_000_000, "{history}");
    assert_eq!(history["items"][1]["revision"], 1);
}

#[test]
fn pushes_at_the_same_time_are_all_kept_each_with_its_revision() {
    let router = with_app();
    let mut revisions: Vec<u64> = std::thread::scope(|scope| {
        let push = |thread: usize| {
            let router = &router;
            scope.spawn(move || {
                let put = |i: usize| {
                    let path = format!("/v1/apps/one/dynos/web.{}", thread * 100 + i);
                    router.write("PUT", &path, json!({"addr": "10.0.0.1:5000"}))
                };
                (0..10).map(put).collect::<Vec<u64>>()
            })
        };
        let threads: Vec<_> = (0..8).map(push).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    revisions.sort_unstable();
    assert_eq!(revisions, (2..82).collect::<Vec<u64>>());
    assert_eq!(router.call("GET", "/v1/revision", None).json["dynos"], 80);
}

#[test]
fn health_readiness_and_metrics_are_there_for_machines() {
    let router = with_app();
    let healthz = router.call_with("", "GET", "/healthz", None);
    assert_eq!((healthz.status(), healthz.answer.text().as_str()), (200, "ok\n"));
    crate::harness::until("it is ready", || {
        router.call_with("", "GET", "/readyz", None).json == json!({"ready": true, "reasons": []})
    });
    assert_eq!(router.metric("hostler_table_apps"), 1.0);
    assert_eq!(router.metric("hostler_table_revision"), 1.0);
    assert_eq!(router.metric("hostler_workers"), 2.0);
}

#[test]
fn connections_that_wait_make_room_for_new_ones_and_those_being_answered_do_not() {
    const MOST: usize = 1024;
    let router = Router::start();
    let mut reader = router.connect_control();
    reader.send(format!(
        "GET /v1/feed HTTP/1.1\r\nHost: hub.test\r\nAuthorization: Bearer {TOKEN}\r\n\r\n"
    ));
    reader.take_until("event: ");
    let ask = "GET /healthz HTTP/1.1\r\nHost: hub.test\r\n\r\n";
    let (mut kept, mut halved) = (router.connect_control(), router.connect_control());
    assert_eq!(kept.ask(ask).status(), 200);
    halved.send("GET /healthz HT");
    let mut silent: Vec<Conn> = (0..MOST + 76).map(|_| router.connect_control()).collect();
    assert_eq!(router.connect_control().ask(ask).status(), 200);
    // Those that have waited longest are gone, whatever they said before; the last are not.
    kept.take_end();
    halved.take_end();
    silent[0].take_end();
    assert!(!silent[MOST..].iter().any(Conn::has_input), "they still wait");
    assert_eq!(silent[MOST].ask(ask).status(), 200);
    router.app("blog", "a.test", &[]);
    reader.take_until("event: transaction");
}
