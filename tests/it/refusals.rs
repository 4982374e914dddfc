//! What the push API refuses: each with the field and the reason, and nothing changed by it.
//!
//! Invariant: the revision and the counts of the table after a refusal are those before it.

use serde_json::{Value, json};

use crate::harness::{Dyno, Router, push::Reply};

fn with_app() -> Router {
    let router = Router::start();
    router.write("PUT", "/v1/apps/one", json!({}));
    router
}

/// The revision and how much is in the table: what a refused call must leave as it is.
fn state(router: &Router) -> Value {
    router.call("GET", "/v1/revision", None).json
}

fn is_problem(reply: &Reply) {
    assert_eq!(reply.answer.head.get("content-type"), Some("application/problem+json"));
    assert_eq!(reply.json["status"], reply.status(), "{reply:?}");
    assert!(!reply.json["detail"].as_str().unwrap().is_empty(), "{reply:?}");
}

#[test]
fn bad_input_names_the_field_and_changes_nothing() {
    let router = with_app();
    let before = state(&router);
    let dyno = "/v1/apps/one/dynos/web.1";
    let addr = "10.0.0.1:5000";
    for (method, path, body, field) in [
        ("PUT", "/v1/apps/One", json!({}), "app"),
        ("PUT", "/v1/apps/two", json!({"maintenance": "on"}), "maintenance"),
        ("PUT", "/v1/apps/two", json!({"colour": "red"}), "colour"),
        ("PUT", "/v1/apps/two", json!([]), "body"),
        ("PUT", "/v1/apps/one/routes/a..test", json!({}), "host"),
        ("PUT", "/v1/apps/one/routes/a.*.test", json!({}), "host"),
        ("PUT", "/v1/apps/one/routes/a.test:http", json!({}), "host"),
        ("PUT", "/v1/apps/one/routes/a.test?path=api", json!({}), "path"),
        ("PUT", "/v1/apps/one/routes/a.test?path=/a&x=1", json!({}), "path"),
        ("PUT", "/v1/apps/one/routes/a.test", json!({"x": 1}), "x"),
        ("PUT", dyno, json!({}), "addr"),
        ("PUT", dyno, json!({"addr": "localhost:5000"}), "addr"),
        ("PUT", dyno, json!({"addr": "10.0.0.1"}), "addr"),
        ("PUT", dyno, json!({"addr": "10.0.0.1:0"}), "addr"),
        ("PUT", dyno, json!({"addr": 5000}), "addr"),
        ("PUT", dyno, json!({"addr": "unix:relative"}), "addr"),
        ("PUT", dyno, json!({"addr": addr, "weight": 0}), "weight"),
        ("PUT", dyno, json!({"addr": addr, "weight": 1001}), "weight"),
        ("PUT", dyno, json!({"addr": addr, "weight": 1.5}), "weight"),
        ("PUT", dyno, json!({"addr": addr, "state": "asleep"}), "state"),
        ("PUT", dyno, json!({"addr": addr, "release": "a\nb"}), "release"),
        ("PUT", "/v1/apps/one/dynos/-x", json!({"addr": addr}), "dyno"),
    ] {
        let reply = router.call(method, path, Some(body.clone()));
        assert!(matches!(reply.status(), 400 | 422), "{method} {path} {body}: {reply:?}");
        is_problem(&reply);
        let fields: Vec<String> = reply.mistakes().into_iter().map(|(_, field)| field).collect();
        assert_eq!(fields, [field], "{method} {path} {body}");
    }
    assert_eq!(state(&router), before);
}

#[test]
fn a_bad_setting_or_page_of_an_app_is_named_by_its_field() {
    let router = with_app();
    router.write("PUT", "/v1/apps/one", json!({"settings": {"timeouts.connect_total": "2s"}}));
    let before = state(&router);
    let setting = |name: &str, value: Value| json!({"settings": {name: value}});
    let page = |form: &str, text: Value| json!({"pages": {"error": {form: text}}});
    for (body, field) in [
        (json!({"blank": 1}), "blank"),
        (json!({"router": "yes"}), "router"),
        (json!({"settings": []}), "settings"),
        (setting("timeouts.first_byte", json!("soon")), "settings.timeouts.first_byte"),
        (setting("timeouts.first_byte", json!(60)), "settings.timeouts.first_byte"),
        (setting("timeouts.first_byte", json!("0s")), "settings.timeouts.first_byte"),
        (setting("timeouts.first_byte", json!("25h")), "settings.timeouts.first_byte"),
        (setting("timeouts.connect", json!("3s")), "settings.timeouts.connect"),
        (setting("limits.header_count", json!(1001)), "settings.limits.header_count"),
        (setting("limits.header_count", json!(0)), "settings.limits.header_count"),
        (setting("limits.set_cookie", json!("8KB")), "settings.limits.set_cookie"),
        (setting("limits.set_cookie", json!(63)), "settings.limits.set_cookie"),
        (setting("dynos.keep_alive", json!("off")), "settings.dynos.keep_alive"),
        (setting("dynos.keep_alive", json!({})), "settings.dynos.keep_alive"),
        (setting("dynos.retry_budget", json!(101)), "settings.dynos.retry_budget"),
        (setting("dynos.max_requests", json!(-1)), "settings.dynos.max_requests"),
        (setting("dynos.max_requests", json!(1.5)), "settings.dynos.max_requests"),
        (setting("timeouts.fist_byte", json!("1s")), "settings.timeouts.fist_byte"),
        (setting("limits.request_head", json!(4096)), "settings.limits.request_head"),
        (setting("http.max_passes", json!(1)), "settings.http.max_passes"),
        (json!({"pages": "none"}), "pages"),
        (json!({"pages": {"fault": {}}}), "pages.fault"),
        (json!({"pages": {"error": "sorry"}}), "pages.error"),
        (page("xml", json!("<a/>")), "pages.error.xml"),
        (page("html", json!(1)), "pages.error.html"),
        (page("html", json!("x".repeat(65537))), "pages.error.html"),
        (page("text", json!("a\0b")), "pages.error.text"),
        (page("json", json!("{")), "pages.error.json"),
        (page("json", json!({})), "pages.error.json"),
    ] {
        let reply = router.call("PATCH", "/v1/apps/one", Some(body.clone()));
        assert_eq!(reply.status(), 422, "{body}: {reply:?}");
        is_problem(&reply);
        assert_eq!(reply.mistakes(), [(None, field.to_owned())], "{body}");
    }
    assert_eq!(state(&router), before);
    let reply =
        router.call("PUT", "/v1/apps/one", Some(setting("timeouts.fist_byte", json!("1s"))));
    assert!(reply.answer.text().contains("did you mean timeouts.first_byte?"), "{reply:?}");
    // At the edge.
    router.write("PATCH", "/v1/apps/one", page("html", json!("x".repeat(65536))));
    router.write("PATCH", "/v1/apps/one", setting("timeouts.connect", json!("2s")));
}

#[test]
fn a_bad_setting_in_a_transaction_bears_the_number_of_its_op() {
    let router = with_app();
    let before = state(&router);
    let reply = router.transact(&[
        ("PUT", "/apps/two", json!({})),
        ("PUT", "/apps/three", json!({"settings": {"timeouts.idle": "x", "http.via": "y"}})),
        ("PUT", "/apps/three/routes/a.test", json!({})),
    ]);
    let mut mistakes = reply.mistakes();
    mistakes.sort();
    let named = ["settings.http.via", "settings.timeouts.idle"].map(|f| (Some(1), f.to_owned()));
    assert_eq!(mistakes, named, "{reply:?}");
    assert_eq!(state(&router), before);
}

#[test]
fn all_mistakes_of_a_body_are_told_at_once() {
    let router = with_app();
    let body = json!({"addr": "x", "weight": 0, "state": "asleep", "more": 1});
    let reply = router.call("PUT", "/v1/apps/one/dynos/web.1", Some(body));
    let mut fields: Vec<String> = reply.mistakes().into_iter().map(|(_, field)| field).collect();
    fields.sort();
    assert_eq!(fields, ["addr", "more", "state", "weight"]);
}

#[test]
fn what_is_not_there_is_404() {
    let router = with_app();
    let before = state(&router);
    for (method, path) in [
        ("GET", "/v1/apps/two"),
        ("DELETE", "/v1/apps/two"),
        ("PATCH", "/v1/apps/two"),
        ("GET", "/v1/apps/one/dynos/web.1"),
        ("DELETE", "/v1/apps/one/dynos/web.1"),
        ("DELETE", "/v1/apps/one/routes/a.test"),
        ("GET", "/v1/apps/two/routes"),
        ("GET", "/v1/nothing"),
        ("GET", "/"),
    ] {
        let body = (method == "PATCH").then(|| json!({"maintenance": true}));
        let reply = router.call(method, path, body);
        assert_eq!(reply.status(), 404, "{method} {path}: {reply:?}");
        is_problem(&reply);
    }
    let reply = router.call("PUT", "/v1/apps/two/routes/a.test", Some(json!({})));
    assert_eq!(reply.status(), 404, "{reply:?}");
    assert_eq!(state(&router), before);
}

#[test]
fn a_route_of_another_app_is_a_conflict() {
    let router = with_app();
    router.write("PUT", "/v1/apps/one/routes/a.test", json!({}));
    router.write("PUT", "/v1/apps/two", json!({}));
    let before = state(&router);
    let reply = router.call("PUT", "/v1/apps/two/routes/A.TEST", Some(json!({})));
    assert_eq!(reply.status(), 409, "{reply:?}");
    assert!(reply.answer.text().contains("one"), "the owner is named: {reply:?}");
    let reply = router.call("DELETE", "/v1/apps/two/routes/a.test", None);
    assert!(matches!(reply.status(), 404 | 409), "{reply:?}");
    assert_eq!(state(&router), before);
}

#[test]
fn a_body_that_is_no_json_is_refused() {
    let router = with_app();
    let before = state(&router);
    for body in ["{", "{\"addr\": }", "\"\\ud800\"", "{}{}", "nonsense"] {
        let mut conn = router.connect_control();
        conn.send(format!(
            "PUT /v1/apps/two HTTP/1.1\r\nHost: hub.test\r\nAuthorization: Bearer {}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            crate::harness::router::TOKEN,
            body.len()
        ));
        assert_eq!(conn.take_answer().status(), 400, "{body}");
    }
    assert_eq!(state(&router), before);
}

#[test]
fn a_call_without_its_token_is_401() {
    let router = with_app();
    let before = state(&router);
    let token = crate::harness::router::TOKEN;
    for lines in [
        String::new(),
        "Authorization: Bearer wrong\r\n".into(),
        format!("Authorization: Bearer {}\r\n", &token[1..]),
        format!("Authorization: Basic {token}\r\n"),
        format!("Authorization: {token}\r\n"),
        format!("Authorization: Bearer {token}\r\nAuthorization: Bearer {token}\r\n"),
    ] {
        for (method, path) in [("PUT", "/v1/apps/two"), ("GET", "/v1/apps"), ("GET", "/metrics")] {
            let reply = router.call_with(&lines, method, path, None);
            assert_eq!(reply.status(), 401, "{lines:?} {method} {path}");
            is_problem(&reply);
            assert!(reply.answer.head.get("www-authenticate").is_some(), "{reply:?}");
        }
    }
    assert_eq!(state(&router), before);
    assert_eq!(
        router
            .call_with(&format!("authorization: bearer {token}\r\n"), "GET", "/v1/apps", None)
            .status(),
        200
    );
}

#[test]
fn metrics_need_no_token_where_the_settings_say_so() {
    let router = Router::with(&[("HOSTLER_CONTROL_METRICS_WITHOUT_TOKEN", "true")]);
    let reply = router.call_with("", "GET", "/metrics", None);
    assert_eq!(reply.status(), 200);
    assert!(reply.answer.text().contains("# TYPE hostler_retries_total counter"), "{reply:?}");
}

#[test]
fn a_web_page_cannot_drive_the_push_api() {
    let router = with_app();
    let token = crate::harness::router::TOKEN;
    let lines = format!("Authorization: Bearer {token}\r\nOrigin: https://evil.test\r\n");
    let reply = router.call_with(&lines, "PUT", "/v1/apps/two", None);
    assert_eq!(reply.status(), 403, "{reply:?}");
}

#[test]
fn the_listeners_of_the_router_are_no_addresses_of_dynos() {
    let router = with_app();
    for addr in [router.http, router.control] {
        let reply =
            router.call("PUT", "/v1/apps/one/dynos/web.1", Some(json!({"addr": addr.to_string()})));
        assert_eq!(reply.mistakes(), [(None, "addr".into())]);
    }
}

#[test]
fn link_local_addresses_are_no_addresses_of_dynos() {
    let router = with_app();
    for addr in ["169.254.169.254:80", "[fe80::1]:80", "[::ffff:169.254.169.254]:80"] {
        let body = json!({"addr": addr});
        let reply = router.call("PUT", "/v1/apps/one/dynos/web.1", Some(body));
        assert!(matches!(reply.status(), 400 | 422), "{addr}: {reply:?}");
        assert_eq!(reply.mistakes(), [(None, "addr".into())]);
    }
}

#[test]
fn addresses_outside_of_the_allowed_networks_are_refused() {
    let router = Router::with(&[("HOSTLER_DYNOS_NETWORKS", "10.0.0.0/8, fd00::/8")]);
    router.write("PUT", "/v1/apps/one", json!({}));
    let put = |addr: &str| {
        let body = json!({"addr": addr});
        router.call("PUT", "/v1/apps/one/dynos/web.1", Some(body)).status()
    };
    assert_eq!((put("10.255.0.1:80"), put("[fd12::1]:80")), (200, 200));
    assert_ne!(put("11.0.0.1:80"), 200);
    assert_ne!(put("[fe00::1]:80"), 200);
}

#[test]
fn sockets_are_refused_but_below_the_allowed_directories() {
    let sockets = tempfile::tempdir().unwrap();
    let dyno = Dyno::unix(&sockets.path().join("web.1"));
    let put = |router: &Router, addr: &str| {
        router.write("PUT", "/v1/apps/one", json!({}));
        let body = json!({"addr": addr});
        router.call("PUT", "/v1/apps/one/dynos/web.1", Some(body)).status()
    };
    let closed = Router::start();
    assert_ne!(put(&closed, &dyno.addr), 200);
    let open = Router::with(&[("HOSTLER_DYNOS_SOCKET_DIRS", sockets.path().to_str().unwrap())]);
    assert_eq!(put(&open, &dyno.addr), 200);
    let above = format!("unix:{}/../web.1", sockets.path().display());
    assert_ne!(put(&open, &above), 200);
}

#[test]
fn a_body_over_its_bound_is_413_and_nothing_is_read_of_it() {
    let router = with_app();
    let mut conn = router.connect_control();
    conn.send(format!(
        "PUT /v1/apps/two HTTP/1.1\r\nHost: hub.test\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/json\r\nContent-Length: 10000000000\r\n\r\n",
        crate::harness::router::TOKEN
    ));
    assert_eq!(conn.take_answer().status(), 413);
}
