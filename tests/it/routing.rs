//! Which app a request reaches: hosts, wildcards, path prefixes, and the forms a target can have.
//!
//! Invariant: every push is visible to the request that follows its answer, without a wait.

use serde_json::json;

use crate::harness::{Named, Router};

fn one_app(host: &str) -> (Router, Named) {
    let (router, dyno) = (Router::start(), Named::start("one"));
    router.app("one", host, &[&dyno.addr]);
    (router, dyno)
}

/// Three apps on one router: which of them answers?
struct Three(Router, [Named; 3]);

impl Three {
    fn start() -> Three {
        let dynos = [Named::start("one"), Named::start("two"), Named::start("three")];
        let router = Router::start();
        for (app, dyno) in ["one", "two", "three"].into_iter().zip(&dynos) {
            router.write("PUT", &format!("/v1/apps/{app}"), json!({}));
            let path = format!("/v1/apps/{app}/dynos/web.1");
            router.write("PUT", &path, json!({"addr": dyno.addr}));
        }
        Three(router, dynos)
    }

    fn route(&self, app: &str, host: &str, path: &str) {
        let query = if path.is_empty() { String::new() } else { format!("?path={path}") };
        self.0.write("PUT", &format!("/v1/apps/{app}/routes/{host}{query}"), json!({}));
    }

    /// The dyno that answers; the code of the fault if none does.
    fn who(&self, host: &str, path: &str) -> String {
        let answer = self.0.get(host, path);
        answer.head.get("x-dyno").unwrap_or(answer.fault()).to_owned()
    }
}

#[test]
fn a_pushed_route_serves_the_next_request() {
    let (router, dyno) = (Router::start(), Named::start("one"));
    let mut client = router.connect();
    assert_eq!(client.get("a.test", "/").verdict(), (404, "unknown_host"));
    router.app("one", "a.test", &[&dyno.addr]);
    // The same connection sees the new table: nothing of the old one is kept with it.
    let answer = client.get("a.test", "/x?y=z");
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.text(), "one GET /x?y=z HTTP/1.1 0\n");
}

#[test]
fn an_unknown_host_is_404() {
    let (router, dyno) = one_app("a.test");
    for host in ["b.test", "x.a.test", "test", "127.0.0.1", "[::1]", "a.test.b.test"] {
        let answer = router.get(host, "/");
        assert_eq!(answer.verdict(), (404, "unknown_host"), "{host}");
    }
    assert_eq!(dyno.requests(), 0);
}

#[test]
fn a_wildcard_matches_any_depth_below_and_not_itself() {
    let (router, _dyno) = one_app("*.a.test");
    assert_eq!(router.get("x.a.test", "/").status(), 200);
    assert_eq!(router.get("x.y.z.a.test", "/").status(), 200);
    assert_eq!(router.get("a.test", "/").status(), 404);
    assert_eq!(router.get("xa.test", "/").status(), 404);
}

#[test]
fn an_exact_host_beats_a_wildcard_and_a_longer_wildcard_a_shorter() {
    let three = Three::start();
    three.route("one", "*.test", "");
    three.route("two", "*.a.test", "");
    three.route("three", "x.a.test", "");
    assert_eq!(three.who("x.a.test", "/"), "three");
    assert_eq!(three.who("y.a.test", "/"), "two");
    assert_eq!(three.who("z.x.a.test", "/"), "two");
    assert_eq!(three.who("a.test", "/"), "one");
}

#[test]
fn the_longest_prefix_on_a_segment_border_wins() {
    let three = Three::start();
    three.route("one", "a.test", "");
    three.route("two", "a.test", "/api");
    three.route("three", "a.test", "/api/v1");
    for (path, app) in [
        ("/", "one"),
        ("/ap", "one"),
        ("/apis", "one"),
        ("/api", "two"),
        ("/api?v1", "two"),
        ("/api/", "two"),
        ("/api/v11", "two"),
        ("/api/v1", "three"),
        ("/api/v1/x", "three"),
        ("/API", "one"),
    ] {
        assert_eq!(three.who("a.test", path), app, "{path}");
    }
}

#[test]
fn prefixes_match_after_dots_and_escapes_are_resolved_and_the_path_goes_on_as_it_came() {
    let three = Three::start();
    three.route("one", "a.test", "");
    three.route("two", "a.test", "/api");
    for (path, app) in [
        ("/x/../api/y", "two"),
        ("/./api", "two"),
        ("/%61pi/x", "two"),
        ("/api/../x", "one"),
        ("/api%2Fx", "one"),
    ] {
        let answer = three.0.get("a.test", path);
        assert_eq!(answer.text(), format!("{app} GET {path} HTTP/1.1 0\n"));
    }
}

#[test]
fn an_app_on_a_prefix_alone_leaves_the_rest_of_the_host_unknown() {
    let three = Three::start();
    three.route("one", "a.test", "/api");
    assert_eq!(three.who("a.test", "/api/x"), "one");
    assert_eq!(three.who("a.test", "/"), "unknown_host");
}

#[test]
fn a_host_is_matched_without_case_port_and_trailing_dot() {
    let (router, _dyno) = one_app("WWW.A.Test");
    for host in ["www.a.test", "WWW.A.TEST", "www.a.test:8080", "www.a.test.", "Www.a.test.:80"] {
        assert_eq!(router.get(host, "/").status(), 200, "{host}");
    }
}

#[test]
fn an_international_host_is_one_with_its_ascii_form() {
    let (router, _dyno) = one_app("b%C3%BCcher.test");
    assert_eq!(router.get("xn--bcher-kva.test", "/").status(), 200);
    assert_eq!(router.get("XN--BCHER-KVA.test", "/").status(), 200);
    assert_eq!(router.get("bcher.test", "/").status(), 404);
}

#[test]
fn an_ip_address_can_be_a_host() {
    let (router, _dyno) = one_app("127.0.0.1");
    let answer = router.get(&router.http.to_string(), "/");
    assert_eq!(answer.status(), 200);
}

#[test]
fn a_deleted_route_is_404_on_the_next_request() {
    let (router, _dyno) = one_app("a.test");
    let mut client = router.connect();
    assert_eq!(client.get("a.test", "/").status(), 200);
    router.delete("/v1/apps/one/routes/a.test");
    assert_eq!(client.get("a.test", "/").verdict(), (404, "unknown_host"));
}

#[test]
fn a_deleted_app_takes_its_routes_with_it() {
    let (router, _dyno) = one_app("a.test");
    router.delete("/v1/apps/one");
    assert_eq!(router.get("a.test", "/").verdict(), (404, "unknown_host"));
    assert_eq!(router.call("GET", "/v1/revision", None).json["routes"], 0);
}

#[test]
fn maintenance_is_503_with_h80_until_it_is_over() {
    let (router, dyno) = one_app("a.test");
    router.write("PATCH", "/v1/apps/one", json!({"maintenance": true}));
    let mut client = router.connect();
    assert_eq!(client.get("a.test", "/").verdict(), (503, "H80"));
    assert_eq!(dyno.requests(), 0);
    router.write("PATCH", "/v1/apps/one", json!({"maintenance": false}));
    assert_eq!(client.get("a.test", "/").status(), 200);
}

#[test]
fn an_app_without_dynos_is_h14() {
    let router = Router::start();
    router.app("one", "a.test", &[]);
    assert_eq!(router.get("a.test", "/").verdict(), (503, "H14"));
}

#[test]
fn a_target_in_absolute_form_names_the_host_and_goes_on_in_origin_form() {
    let (router, _dyno) = one_app("a.test");
    let mut client = router.connect();
    for (target, went_on) in [
        ("http://a.test/x?y", "/x?y"),
        ("HTTP://A.test:80/x", "/x"),
        ("http://a.test", "/"),
        ("http://a.test?q", "/?q"),
    ] {
        let answer = client.ask(format!("GET {target} HTTP/1.1\r\nHost: a.test\r\n\r\n"));
        assert_eq!(answer.text(), format!("one GET {went_on} HTTP/1.1 0\n"));
    }
}

#[test]
fn options_of_the_whole_host_goes_to_its_app() {
    let (router, _dyno) = one_app("a.test");
    let mut client = router.connect();
    let answer = client.ask("OPTIONS * HTTP/1.1\r\nHost: a.test\r\n\r\n");
    assert_eq!(answer.text(), "one OPTIONS * HTTP/1.1 0\n");
    let answer = client.ask("OPTIONS http://a.test HTTP/1.1\r\nHost: a.test\r\n\r\n");
    assert_eq!(answer.text(), "one OPTIONS * HTTP/1.1 0\n");
    let answer = client.ask("OPTIONS http://a.test?q HTTP/1.1\r\nHost: a.test\r\n\r\n");
    assert_eq!(answer.text(), "one OPTIONS /?q HTTP/1.1 0\n");
}

#[test]
fn fault_pages_follow_accept() {
    let router = Router::start();
    let mut client = router.connect();
    for (accept, kind) in [
        ("text/html", "text/html; charset=utf-8"),
        ("application/json", "application/problem+json"),
        ("*/*", "text/plain; charset=utf-8"),
    ] {
        let request = format!("GET / HTTP/1.1\r\nHost: no.test\r\nAccept: {accept}\r\n\r\n");
        let answer = client.ask(request);
        assert_eq!(answer.verdict(), (404, "unknown_host"));
        assert_eq!(answer.head.get("content-type"), Some(kind));
        assert!(answer.text().contains("unknown_host"), "{answer:?}");
    }
}

#[test]
fn a_moved_host_reaches_its_new_app_on_the_same_connection() {
    let three = Three::start();
    three.route("one", "a.test", "");
    let mut client = three.0.connect();
    assert_eq!(client.get("a.test", "/").head.get("x-dyno"), Some("one"));
    let reply = three.0.transact(&[
        ("DELETE", "/apps/one/routes/a.test", json!(null)),
        ("PUT", "/apps/two/routes/a.test", json!({})),
    ]);
    assert_eq!(reply.status(), 200, "{reply:?}");
    assert_eq!(client.get("a.test", "/").head.get("x-dyno"), Some("two"));
    assert_eq!(three.1[2].requests(), 0);
}
