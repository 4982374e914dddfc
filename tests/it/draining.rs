//! A dyno that drains: nothing new, what is in flight, and the moment it has nothing.
//!
//! Invariant: an exchange ends when its test ends it, so that nothing here is a race with a dyno.

use std::thread;

use serde_json::{Value, json};

use crate::harness::{
    Conn, Dyno, Named, Router,
    followed::Stream,
    program::run,
    router::{TOKEN, command},
    until,
};

const GET: &str = "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok";
const WEB_1: &str = "/v1/apps/one/dynos/web.1";

/// A router with a dyno that has one exchange in flight: the client's and the dyno's ends of it.
fn busy() -> (Router, Dyno, Conn, Conn) {
    let (router, dyno) = (Router::start(), Dyno::new());
    router.app("one", "a.test", &[&dyno.addr]);
    let mut client = router.connect();
    client.send(GET);
    let mut conn = dyno.accept();
    conn.take_request();
    (router, dyno, client, conn)
}

fn finish(mut client: Conn, mut conn: Conn) {
    conn.send(OK);
    assert_eq!(client.take_answer().text(), "ok");
}

/// The next event of a dyno on the feed.
fn next_of_dyno(feed: &mut Stream) -> Value {
    loop {
        let event = feed.next().expect("the feed goes on");
        if event.name == "dyno" {
            assert_eq!(event.id, None);
            return serde_json::from_str(&event.data).unwrap();
        }
    }
}

#[test]
fn what_is_in_flight_is_told_and_that_nothing_is_is_an_event() {
    let (router, _dyno, client, conn) = busy();
    assert_eq!(router.call("GET", WEB_1, None).json["in_flight"], 1);
    let other = Named::start("other");
    router.write("PUT", "/v1/apps/one/dynos/web.2", json!({"addr": other.addr}));
    let mut feed = Stream::from(router.control, None);
    router.set_state("one", "web.1", "draining");
    for _ in 0..10 {
        assert_eq!(router.get("a.test", "/").head.get("x-dyno"), Some("other"));
    }
    thread::scope(|scope| {
        let waits = scope.spawn(|| router.call("GET", &format!("{WEB_1}?wait=empty"), None));
        let told = router.call("GET", &format!("{WEB_1}?wait=empty&timeout=1ms"), None);
        assert_eq!((told.status(), &told.json["in_flight"]), (200, &json!(1)));
        assert!(!waits.is_finished());
        finish(client, conn);
        let told = waits.join().unwrap();
        assert_eq!((told.status(), &told.json["in_flight"]), (200, &json!(0)));
        assert_eq!(told.json["state"], "draining");
    });
    let event = next_of_dyno(&mut feed);
    let told = [&event["app"], &event["name"], &event["what"]];
    assert_eq!(told, ["one", "web.1", "empty"], "{event}");
    assert!(event["at_ms"].as_u64().unwrap() > 0);
    // One that has nothing in flight when it begins to drain is empty at once.
    router.set_state("one", "web.2", "draining");
    assert_eq!(next_of_dyno(&mut feed)["name"], "web.2");
}

#[test]
fn a_dyno_is_removed_once_it_has_nothing_in_flight() {
    let (router, _dyno, client, conn) = busy();
    let removal = format!("{WEB_1}?wait=empty");
    let refused = router.call("DELETE", &removal, None);
    assert_eq!(refused.status(), 409, "{refused:?}");
    assert!(refused.json["detail"].as_str().unwrap().contains("mark it draining"), "{refused:?}");
    router.set_state("one", "web.1", "draining");
    let refused = router.call("DELETE", &format!("{removal}&timeout=1ms"), None);
    assert_eq!(refused.status(), 409, "{refused:?}");
    let detail = "dyno web.1 has 1 in flight still: nothing was removed";
    assert_eq!(refused.json["detail"], detail);
    thread::scope(|scope| {
        let removes = scope.spawn(|| router.call("DELETE", &removal, None));
        finish(client, conn);
        let removed = removes.join().unwrap();
        assert_eq!((removed.status(), &removed.json["changed"]), (200, &json!(true)));
    });
    assert_eq!(router.call("GET", WEB_1, None).status(), 404);
    assert_eq!(router.call("DELETE", &removal, None).status(), 404);
}

#[test]
fn a_wait_ends_when_the_dyno_is_removed_or_comes_up_again() {
    for (method, body, status) in
        [("DELETE", None, 404), ("PATCH", Some(json!({"state": "up"})), 409)]
    {
        let (router, _dyno, client, conn) = busy();
        router.set_state("one", "web.1", "draining");
        thread::scope(|scope| {
            let waits = scope
                .spawn(|| router.call("GET", &format!("{WEB_1}?wait=empty&timeout=10m"), None));
            let calls = || router.call("GET", WEB_1, None).json["in_flight"] == 1;
            until("it is known", calls);
            assert_eq!(router.call(method, WEB_1, body.clone()).status(), 200);
            assert_eq!(waits.join().unwrap().status(), status);
        });
        finish(client, conn);
    }
}

#[test]
fn what_cannot_be_waited_for_is_refused_with_the_field() {
    let router = Router::start();
    let named = Named::start("one");
    router.app("one", "a.test", &[&named.addr]);
    for (method, path, field) in [
        ("GET", "/v1/apps/one/dynos/web.1?wait=fleet", "wait"),
        ("GET", "/v1/apps/one/dynos/web.1?timeout=1s", "timeout"),
        ("GET", "/v1/apps/one/dynos/web.1?wait=empty&timeout=11m", "timeout"),
        ("GET", "/v1/apps/one/dynos/web.1?wait=empty&at=1", "at"),
        ("DELETE", "/v1/apps/one?wait=empty", "wait"),
        ("PATCH", "/v1/apps/one/dynos/web.1?wait=empty", "wait"),
        ("POST", "/v1/transactions?wait=empty", "wait"),
    ] {
        let body = (method != "GET" && method != "DELETE").then(|| json!({}));
        let refused = router.call(method, path, body);
        assert_eq!(refused.status(), 400, "{method} {path}: {refused:?}");
        assert_eq!(refused.mistakes(), [(None, field.to_owned())], "{path}");
    }
    let up = router.call("GET", "/v1/apps/one/dynos/web.1?wait=empty", None);
    assert_eq!(up.status(), 409);
}

#[test]
fn a_command_drains_a_dyno_and_removes_it() {
    let (router, _dyno, client, conn) = busy();
    let url = format!("http://{}", router.control);
    let drain = |rest: &[&str]| {
        let line = ["dynos", "drain", "one", "web.1", "--url", &url, "--token", TOKEN];
        command(&[&line, rest].concat())
    };
    let output = drain(&["--within", "10ms"]).output().unwrap();
    assert_eq!(output.status.code(), Some(7), "{output:?}");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("drains, and has 1 in flight after 10ms"), "{said}");
    finish(client, conn);
    let said = String::from_utf8(run(drain(&["--remove"]))).unwrap();
    assert!(
        said.starts_with("Removed dyno web.1 of app one, which had nothing in flight"),
        "{said}"
    );
}
