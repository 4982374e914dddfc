//! What clients may do: how many connections, how often, how many at a time, and from where.
//!
//! Clients come from several addresses of the machine's own loopback. Invariants: a limit is met at
//! its edge; windows are so long that none passes within a test.

use serde_json::{Value, json};

use crate::harness::{
    Answer, Conn, Dyno, H2, Named, Router,
    frames::{self, Frames},
    h2::get,
    until,
};

const OK: &str = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok";

/// An app with a dyno that answers by itself, and limits.
fn limited(router: &Router, settings: Value) -> Named {
    let dyno = Named::start("one");
    router.app("one", "a.test", &[&dyno.addr]);
    router.write("PUT", "/v1/apps/one", json!({"settings": settings}));
    dyno
}

/// A GET with these header lines, on a connection of its own.
fn ask(router: &Router, from: &str, lines: &str) -> Answer {
    let mut client = router.connect_from(from);
    client.ask(format!("GET / HTTP/1.1\r\nHost: a.test\r\n{lines}\r\n"))
}

fn verdict(router: &Router, from: &str, lines: &str) -> (u16, String) {
    let answer = ask(router, from, lines);
    (answer.status(), answer.fault().to_owned())
}

fn served() -> (u16, String) {
    (200, String::new())
}

fn limit(code: &str) -> (u16, String) {
    (429, code.to_owned())
}

#[test]
fn an_address_has_its_rate_whichever_worker_it_meets() {
    let router = Router::start();
    let dyno = limited(&router, json!({"limits.rate_per_address": 10, "limits.rate_window": "1h"}));
    let all: Vec<_> = (0..30).map(|_| verdict(&router, "127.0.0.2", "")).collect();
    assert!(all[..10].iter().all(|one| *one == served()), "{all:?}");
    assert!(all[10..].iter().all(|one| *one == limit("rate_limited")), "{all:?}");
    assert_eq!(dyno.requests(), 10);
    assert_eq!(verdict(&router, "127.0.0.3", ""), served());
    // No push gives back what was used; another app's is another's.
    router.write("PATCH", "/v1/apps/one", json!({"settings": {"timeouts.idle": "50s"}}));
    assert_eq!(verdict(&router, "127.0.0.2", ""), limit("rate_limited"));
    router.app("two", "b.test", &[&dyno.addr]);
    router.write("PUT", "/v1/apps/two", json!({"settings": {"limits.rate_per_address": 1}}));
    let mut client = router.connect_from("127.0.0.2");
    assert_eq!(client.get("b.test", "/").status(), 200);
}

#[test]
fn a_value_of_a_header_has_its_rate_and_those_without_one_are_one() {
    let router = Router::start();
    let _dyno = limited(
        &router,
        json!({"limits.rate_per_header": 2, "limits.client_header": "X-Api-Key",
               "limits.rate_window": "1h"}),
    );
    for (from, lines, expected) in [
        ("127.0.0.2", "X-Api-Key: a\r\n", served()),
        ("127.0.0.3", "x-api-key:  a \r\n", served()),
        ("127.0.0.4", "X-Api-Key: a\r\n", limit("rate_limited")),
        ("127.0.0.2", "X-Api-Key: b\r\n", served()),
        ("127.0.0.2", "", served()),
        ("127.0.0.2", "X-Api-Key: a\r\nX-Api-Key: c\r\n", served()),
        ("127.0.0.2", "X-Api-Key: a\r\nX-Api-Key: d\r\n", limit("rate_limited")),
        ("127.0.0.3", "", limit("rate_limited")),
        ("127.0.0.3", "X-Api-Key: b\r\n", served()),
    ] {
        assert_eq!(verdict(&router, from, lines), expected, "{from} {lines}");
    }
}

#[test]
fn an_app_as_a_whole_has_its_rate_and_who_is_refused_uses_none_of_it() {
    let router = Router::start();
    let _dyno = limited(
        &router,
        json!({"limits.rate": 3, "limits.rate_per_address": 1, "limits.rate_window": "1h"}),
    );
    for (from, expected) in [
        ("127.0.0.2", served()),
        ("127.0.0.2", limit("rate_limited")),
        ("127.0.0.2", limit("rate_limited")),
        ("127.0.0.2", limit("rate_limited")),
        ("127.0.0.3", served()),
        ("127.0.0.4", served()),
        ("127.0.0.5", limit("rate_limited")),
    ] {
        assert_eq!(verdict(&router, from, ""), expected, "{from}");
    }
}

#[test]
fn the_routers_limits_are_every_apps_that_has_none_of_its_own() {
    let router = Router::with(&[
        ("HOSTLER_LIMITS_RATE_PER_ADDRESS", "1"),
        ("HOSTLER_LIMITS_RATE_WINDOW", "1h"),
    ]);
    let dyno = limited(&router, json!({}));
    router.app("two", "b.test", &[&dyno.addr]);
    router.write("PUT", "/v1/apps/two", json!({"settings": {"limits.rate_per_address": 0}}));
    assert_eq!(verdict(&router, "127.0.0.2", ""), served());
    assert_eq!(verdict(&router, "127.0.0.2", ""), limit("rate_limited"));
    let mut client = router.connect_from("127.0.0.2");
    assert!((0..5).all(|_| client.get("b.test", "/").status() == 200));
}

/// A request that its dyno does not answer yet.
fn begin(router: &Router, dyno: &Dyno, from: &str) -> (Conn, Conn) {
    let mut client = router.connect_from(from);
    client.send("GET / HTTP/1.1\r\nHost: a.test\r\nX-Key: k\r\n\r\n");
    let mut conn = dyno.accept();
    conn.take_request();
    (client, conn)
}

fn end((mut client, mut conn): (Conn, Conn)) {
    conn.send(OK);
    assert_eq!(client.take_answer().text(), "ok");
}

#[test]
fn exchanges_at_a_time_are_counted_until_they_end() {
    for (settings, same, other) in [
        (json!({"limits.concurrency_per_address": 2}), "127.0.0.2", Some("127.0.0.3")),
        (json!({"limits.concurrency": 2}), "127.0.0.3", None),
        (
            json!({"limits.concurrency_per_header": 2, "limits.client_header": "x-key"}),
            "127.0.0.3",
            None,
        ),
    ] {
        let (router, dyno) = (Router::start(), Dyno::new());
        router.app("one", "a.test", &[&dyno.addr]);
        router.write("PUT", "/v1/apps/one", json!({"settings": settings}));
        let mut held = vec![begin(&router, &dyno, "127.0.0.2"), begin(&router, &dyno, "127.0.0.2")];
        let refused = limit("too_many_concurrent");
        assert_eq!(verdict(&router, same, "X-Key: k\r\n"), refused, "{settings}");
        if let Some(other) = other {
            held.push(begin(&router, &dyno, other));
        }
        for _ in 0..2 {
            end(held.remove(0));
            // Whoever has the whole of an answer may come again.
            held.push(begin(&router, &dyno, same));
        }
        held.into_iter().for_each(end);
    }
}

#[test]
fn who_has_not_the_last_of_an_answer_yet_counts_no_longer() {
    // As much as a client of HTTP/2 takes that says nothing of it.
    const WINDOW: usize = 65_535;
    let (router, dyno) = (Router::with(&[("HOSTLER_HTTP_H2C", "true")]), Dyno::new());
    router.app("one", "a.test", &[&dyno.addr]);
    router.write("PUT", "/v1/apps/one", json!({"settings": {"limits.concurrency": 1}}));
    let client = H2::connect(router.http);
    let mut call = client.begin(get("a.test", "/"), true);
    client.turn();
    let mut conn = dyno.accept();
    conn.take_request();
    let length = WINDOW + 1;
    conn.send(format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"));
    conn.send("x".repeat(WINDOW));
    assert_eq!(client.head(&mut call).unwrap().status(), 200);
    assert_eq!(left(&router), [0], "the dyno is at work");
    conn.send("x");
    until("there is room again", || left(&router) == [1]);
    // Nor does who is told of a fault, of whose page this one takes nothing.
    let client = H2::with(router.http, h2::client::Builder::new().initial_window_size(0));
    let mut call = client.begin(get("a.test", "/"), true);
    client.turn();
    let mut conn = dyno.accept();
    conn.take_request();
    conn.send("HTTP/1.1 nonsense\r\n\r\n");
    assert_eq!(client.head(&mut call).unwrap().status(), 502);
    assert_eq!(left(&router), [1]);
}

#[test]
fn a_tunnel_counts_for_as_long_as_it_lasts() {
    let (router, dyno) = (Router::start(), Dyno::new());
    router.app("one", "a.test", &[&dyno.addr]);
    let settings = json!({"settings": {"limits.concurrency_per_address": 1}});
    router.write("PUT", "/v1/apps/one", settings);
    let upgrade = "Connection: upgrade\r\nUpgrade: x\r\n\r\n";
    let mut client = router.connect_from("127.0.0.2");
    client.send(format!("GET / HTTP/1.1\r\nHost: a.test\r\n{upgrade}"));
    let mut conn = dyno.accept();
    conn.take_request();
    conn.send(format!("HTTP/1.1 101 Switching Protocols\r\n{upgrade}"));
    assert_eq!(client.take_head().status(), 101);
    assert_eq!(verdict(&router, "127.0.0.2", ""), limit("too_many_concurrent"));
    // It ends with both sides: the dyno is told.
    drop(client);
    conn.take_end();
    drop(conn);
    let mut other = router.connect_from("127.0.0.2");
    until("there is room again", || {
        other.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
        until("it is decided", || dyno.has_caller() || other.has_input());
        dyno.has_caller() || other.take_answer().status() != 429
    });
}

/// What is left of the app's concurrency and rate.
fn left(router: &Router) -> Vec<u64> {
    let question = json!({"host": "a.test", "client": "127.0.0.9"});
    let told = router.call("POST", "/v1/explain", Some(question)).json;
    let limits = told["limits"].as_array().unwrap();
    limits.iter().map(|limit| limit["left"].as_u64().unwrap()).collect()
}

#[test]
fn a_stream_that_its_client_resets_counts_no_longer() {
    let (router, dyno) = (Router::with(&[("HOSTLER_HTTP_H2C", "true")]), Dyno::new());
    router.app("one", "a.test", &[&dyno.addr]);
    router.write("PUT", "/v1/apps/one", json!({"settings": {"limits.concurrency": 2}}));
    let mut client = Frames::connect(router.http);
    let mut held = Vec::new();
    for stream in [1, 3] {
        client.ask(stream, true, &frames::get("a.test"));
        let mut conn = dyno.accept();
        conn.take_request();
        held.push(conn);
    }
    client.ask(5, true, &frames::get("a.test"));
    assert_eq!(client.status(), 429);
    client.send(frames::kind::RST_STREAM, 0, 1, &8_u32.to_be_bytes());
    until("there is room again", || left(&router) == [1]);
    client.ask(7, true, &frames::get("a.test"));
    let mut last = dyno.accept();
    last.take_request();
    drop(client);
    until("nothing is in flight", || left(&router) == [2]);
}

#[test]
fn limits_that_are_pushed_hold_for_what_was_counted_before() {
    let (router, dyno) = (Router::start(), Dyno::new());
    router.app("one", "a.test", &[&dyno.addr]);
    let set = |concurrency: u32, rate: u32| {
        let settings = json!({"limits.concurrency": concurrency, "limits.rate": rate,
                              "limits.rate_window": "1h"});
        router.write("PUT", "/v1/apps/one", json!({"settings": settings}));
        // It is told as it is served.
        left(&router)
    };
    assert_eq!(set(2, 4), [2, 4]);
    let mut held = vec![begin(&router, &dyno, "127.0.0.2"), begin(&router, &dyno, "127.0.0.2")];
    assert_eq!(verdict(&router, "127.0.0.3", ""), limit("too_many_concurrent"));
    // Half of the rate is used, however much that is.
    assert_eq!(set(3, 20), [1, 10]);
    held.push(begin(&router, &dyno, "127.0.0.3"));
    assert_eq!(set(1, 2), [0, 0]);
    assert_eq!(verdict(&router, "127.0.0.3", ""), limit("too_many_concurrent"));
    held.into_iter().for_each(end);
    until("all have ended", || left(&router) == [1, 0]);
    assert_eq!(verdict(&router, "127.0.0.3", ""), limit("rate_limited"));
    assert_eq!(set(1, 0), [1]);
    end(begin(&router, &dyno, "127.0.0.3"));
}

#[test]
fn a_limit_by_header_names_its_header() {
    let router = Router::start();
    let settings = json!({"settings": {"limits.rate_per_header": 5}});
    let reply = router.call("PUT", "/v1/apps/one", Some(settings));
    assert_eq!(reply.status(), 422, "{:#}", reply.json);
    assert!(reply.json.to_string().contains("limits.client_header"), "{:#}", reply.json);
}

#[test]
fn clients_that_are_not_counted_are_told_of() {
    let router = Router::with(&[("HOSTLER_LIMITS_CLIENTS", "1")]);
    let _dyno = limited(&router, json!({"limits.rate_per_address": 1, "limits.rate_window": "1h"}));
    for client in 2..80 {
        assert_eq!(verdict(&router, &format!("127.0.0.{client}"), ""), served());
    }
    let metric = "hostler_clients_uncounted_total{what=\"rate\"}";
    until("it is counted", || router.metric(metric) >= 40.0);
    router.said.wait_for("limits per client are not exact");
}

#[test]
fn streams_of_a_connection_have_their_clients_rate() {
    let router = Router::with(&[("HOSTLER_HTTP_H2C", "true")]);
    let settings = json!({"limits.rate_per_address": 2, "limits.rate_window": "1h"});
    let dyno = limited(&router, settings);
    let client = H2::connect(router.http);
    for _ in 0..2 {
        assert_eq!(client.get("a.test", "/").verdict(), (200, ""));
    }
    let answer = client.get("a.test", "/");
    assert_eq!(answer.verdict(), (429, "rate_limited"));
    let wait: u32 = answer.get("retry-after").parse().unwrap();
    assert!((1700..=1800).contains(&wait), "{wait}");
    // The connection goes on.
    assert_eq!(client.get("no.test", "/").verdict(), (404, "unknown_host"));
    assert_eq!(dyno.requests(), 2);
}

#[test]
fn networks_are_let_in_or_kept_out() {
    let router = Router::start();
    let dyno =
        limited(&router, json!({"limits.allow": ["127.0.0.0/24"], "limits.deny": "127.0.0.9"}));
    let forbidden = (403, "forbidden_client".to_owned());
    for (from, expected) in [
        ("127.0.0.2", served()),
        ("127.0.0.9", forbidden.clone()),
        ("127.0.1.1", forbidden.clone()),
    ] {
        assert_eq!(verdict(&router, from, ""), expected, "{from}");
    }
    // What a client says of itself is nothing.
    let lines = "X-Forwarded-For: 127.0.0.2\r\n";
    assert_eq!(verdict(&router, "127.0.1.1", lines), forbidden);
    assert_eq!(dyno.requests(), 1);
}

#[test]
fn a_client_behind_a_trusted_router_is_judged_by_its_own_address() {
    let router = Router::with(&[("HOSTLER_HTTP_TRUSTED_NETWORKS", "127.0.0.8/31")]);
    let _dyno = limited(
        &router,
        json!({"limits.rate_per_address": 1, "limits.rate_window": "1h",
               "limits.deny": ["203.0.113.0/24"]}),
    );
    let forbidden = (403, "forbidden_client".to_owned());
    for (from, forwarded, expected) in [
        ("127.0.0.8", "192.0.2.1", served()),
        ("127.0.0.9", "192.0.2.1", limit("rate_limited")),
        ("127.0.0.8", "192.0.2.2", served()),
        ("127.0.0.8", "192.0.2.2, 127.0.0.9", limit("rate_limited")),
        ("127.0.0.8", "192.0.2.3, 203.0.113.7", forbidden.clone()),
        ("127.0.0.8", "203.0.113.7, 192.0.2.4", served()),
        ("127.0.0.2", "203.0.113.7", served()),
    ] {
        let lines = format!("X-Forwarded-For: {forwarded}\r\n");
        assert_eq!(verdict(&router, from, &lines), expected, "{from} {forwarded}");
    }
}

#[test]
fn explain_says_what_is_left() {
    let router = Router::start();
    let _dyno = limited(
        &router,
        json!({"limits.rate_per_address": 2, "limits.rate_window": "1h",
               "limits.concurrency": 5, "limits.deny": ["127.0.0.9"]}),
    );
    let explain = |client: &str| {
        let question = json!({"host": "a.test", "client": client});
        router.call("POST", "/v1/explain", Some(question)).json
    };
    for left in [2, 1, 0] {
        let told = explain("127.0.0.2");
        let limits = json!([
            {"setting": "limits.concurrency", "most": 5, "window_ms": null, "left": 5},
            {"setting": "limits.rate_per_address", "most": 2, "window_ms": 3_600_000, "left": left},
        ]);
        assert_eq!(told["limits"], limits, "{told:#}");
        let verdict = verdict(&router, "127.0.0.2", "");
        let expected = if left == 0 { "rate_limited" } else { "" };
        assert_eq!(verdict.1, expected);
        assert_eq!(told["outcome"]["code"].as_str().unwrap_or_default(), expected, "{told:#}");
        until("the exchange has ended", || explain("127.0.0.3")["limits"][0]["left"] == 5);
    }
    assert_eq!(explain("127.0.0.9")["outcome"]["code"], "forbidden_client");
    assert_eq!(explain("127.0.0.3")["outcome"]["verdict"], "dyno");
    let told = router.call("POST", "/v1/explain", Some(json!({"host": "a.test"}))).json;
    assert_eq!((&told["limits"], &told["outcome"]["verdict"]), (&json!([]), &json!("dyno")));
}

/// The router's own answer to a host of nobody's: whoever gets it has a connection.
fn is_connected(client: &mut Conn) -> bool {
    client.get("no.test", "/").status() == 404
}

#[test]
fn an_address_has_so_many_connections_and_another_has_its_own() {
    let router = Router::with(&[("HOSTLER_HTTP_MAX_CONNECTIONS_PER_ADDRESS", "2")]);
    let metric = "hostler_connections_turned_away_total{reason=\"address\"}";
    let mut held: Vec<_> = (0..2).map(|_| router.connect_from("127.0.0.2")).collect();
    assert!(held.iter_mut().all(is_connected));
    for count in 1..=10 {
        router.connect_from("127.0.0.2").take_end();
        until("it is counted", || router.metric(metric) == f64::from(count));
    }
    assert!(is_connected(&mut router.connect_from("127.0.0.3")));
    let said = router.said.wait_for("http.max_connections_per_address");
    assert!(said.contains("a connection from 127.0.0.2 is closed"), "{said}");
    drop(held.pop());
    until("there is room again", || {
        let mut client = router.connect_from("127.0.0.2");
        let sent = client.try_send(b"GET / HTTP/1.0\r\nHost: no.test\r\n\r\n");
        sent.is_ok() && !client.take_all().0.is_empty()
    });
}

#[test]
fn with_as_many_connections_as_there_may_be_others_wait() {
    let router = Router::with(&[("HOSTLER_HTTP_MAX_CONNECTIONS", "2"), ("HOSTLER_WORKERS", "1")]);
    let mut held: Vec<_> = (0..2).map(|_| router.connect()).collect();
    assert!(held.iter_mut().all(is_connected));
    let mut third = router.connect();
    third.send("GET / HTTP/1.1\r\nHost: no.test\r\n\r\n");
    let metric = "hostler_accept_pauses_total{reason=\"connections\"}";
    until("it is counted", || router.metric(metric) >= 1.0);
    router.said.wait_for("accepting pauses: the worker has its part of http.max_connections, 2");
    assert!(!third.has_input());
    drop(held.pop());
    assert_eq!(third.take_answer().status(), 404);
}
