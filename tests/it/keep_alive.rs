//! Connections that carry more than one exchange, and what happens when one side ends them.
//!
//! Invariant: a request that may not be repeated reaches a dyno once or not at all.

use crate::harness::{Conn, Dyno, End, Router, until};

fn start() -> (Router, Dyno) {
    // One worker: connections to dynos are kept by each worker for itself.
    let (router, dyno) = (Router::with(&[("HOSTLER_WORKERS", "1")]), Dyno::new());
    router.app("one", "a.test", &[&dyno.addr]);
    (router, dyno)
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a.test\r\n\r\n")
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// One whole exchange; leaves a connection to the dyno that is kept.
fn first_exchange(router: &Router, dyno: &Dyno) -> (Conn, Conn) {
    let mut client = router.connect();
    client.send(get("/first"));
    let mut conn = dyno.accept();
    conn.take_request();
    conn.send(OK);
    assert_eq!(client.take_answer().text(), "ok");
    (client, conn)
}

#[test]
fn a_dynos_connection_carries_the_exchanges_of_many_clients() {
    let (router, dyno) = start();
    let (_first, mut conn) = first_exchange(&router, &dyno);
    for _ in 0..3 {
        let mut client = router.connect();
        client.send(get("/"));
        conn.take_request();
        conn.send(OK);
        assert_eq!(client.take_answer().text(), "ok");
    }
    assert!(dyno.is_idle());
    until("the reuses are counted", || router.metric("hostler_dyno_reuses_total") == 3.0);
}

#[test]
fn exchanges_at_the_same_time_have_connections_of_their_own() {
    let (router, dyno) = start();
    let (mut one, mut two) = (router.connect(), router.connect());
    one.send(get("/1"));
    let mut conn_one = dyno.accept();
    two.send(get("/2"));
    let mut conn_two = dyno.accept();
    assert_eq!(conn_one.take_request().head.line, "GET /1 HTTP/1.1");
    assert_eq!(conn_two.take_request().head.line, "GET /2 HTTP/1.1");
    conn_two.send("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n2");
    assert_eq!(two.take_answer().text(), "2");
    conn_one.send("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1");
    assert_eq!(one.take_answer().text(), "1");
}

#[test]
fn a_dyno_that_closed_its_idle_connection_gets_a_new_one() {
    let (router, dyno) = start();
    let (mut client, mut conn) = first_exchange(&router, &dyno);
    for _ in 0..3 {
        drop(conn);
        // Not even a request that may not be repeated notices.
        client.send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 2\r\n\r\nhi");
        conn = dyno.accept();
        assert_eq!(conn.take_request().text(), "hi");
        conn.send(OK);
        assert_eq!(client.take_answer().text(), "ok");
    }
}

#[test]
fn a_get_that_met_a_closing_connection_is_repeated_once_on_a_new_one() {
    let (router, dyno) = start();
    let (mut client, mut conn) = first_exchange(&router, &dyno);
    client.send(get("/again"));
    // The dyno closes with the request on its way.
    conn.take_request();
    drop(conn);
    let mut conn = dyno.accept();
    assert_eq!(conn.take_request().head.line, "GET /again HTTP/1.1");
    conn.send(OK);
    assert_eq!(client.take_answer().text(), "ok");
    until("the retry is counted", || router.metric("hostler_retries_total") == 1.0);
}

#[test]
fn a_get_that_is_never_answered_is_tried_twice_and_no_more() {
    let (router, dyno) = start();
    let mut client = router.connect();
    client.send(get("/"));
    for _ in 0..2 {
        let mut conn = dyno.accept();
        conn.take_request();
        drop(conn);
    }
    assert_eq!(client.take_answer().verdict(), (503, "H13"));
    assert!(dyno.is_idle());
}

#[test]
fn a_post_that_met_a_closing_connection_is_not_repeated() {
    let (router, dyno) = start();
    let (mut client, mut conn) = first_exchange(&router, &dyno);
    client.send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 2\r\n\r\nhi");
    conn.take_request();
    drop(conn);
    assert_eq!(client.take_answer().verdict(), (503, "H13"));
    assert!(dyno.is_idle());
}

#[test]
fn an_idempotent_request_with_a_small_body_is_repeated_with_it() {
    let (router, dyno) = start();
    let (mut client, mut conn) = first_exchange(&router, &dyno);
    client.send("PUT /x HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\n\r\nhello");
    conn.take_request();
    conn.reset();
    let mut conn = dyno.accept();
    assert_eq!(conn.take_request().text(), "hello");
    conn.send(OK);
    assert_eq!(client.take_answer().text(), "ok");
}

#[test]
fn an_idempotent_request_whose_body_streamed_is_not_repeated() {
    let (router, dyno) = start();
    let mut client = router.connect();
    client.send("PUT /x HTTP/1.1\r\nHost: a.test\r\nContent-Length: 10\r\n\r\nhello");
    let mut conn = dyno.accept();
    conn.take_until("hello");
    client.send("world");
    conn.take_until("world");
    drop(conn);
    assert_eq!(client.take_answer().verdict(), (503, "H13"));
    assert!(dyno.is_idle());
}

#[test]
fn an_answer_that_began_is_never_repeated() {
    let (router, dyno) = start();
    let mut client = router.connect();
    client.send(get("/"));
    let mut conn = dyno.accept();
    conn.take_request();
    conn.send("HTTP/1.1 ");
    drop(conn);
    assert_eq!(client.take_answer().verdict(), (503, "H18"));
    assert!(dyno.is_idle());
}

#[test]
fn close_of_a_client_is_honoured() {
    let (router, dyno) = start();
    let mut client = router.connect();
    client.send("GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n");
    let mut conn = dyno.accept();
    conn.take_request();
    conn.send(OK);
    let answer = client.take_answer();
    assert_eq!(answer.head.get("connection"), Some("close"));
    assert_eq!(client.take_end(), End::Closed);
    // It was the client's wish for its own connection: the dyno's is kept.
    let mut next = router.connect();
    next.send(get("/"));
    conn.take_request();
}

#[test]
fn close_of_a_dyno_is_honoured_and_the_client_stays() {
    let (router, dyno) = start();
    let mut client = router.connect();
    for _ in 0..2 {
        client.send(get("/"));
        let mut conn = dyno.accept();
        conn.take_request();
        conn.send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok");
        let answer = client.take_answer();
        assert_eq!(answer.head.get("connection"), None);
        conn.take_end();
    }
}

#[test]
fn a_fault_of_a_dyno_leaves_the_clients_connection_open() {
    let (router, dyno) = start();
    let mut client = router.connect();
    client.send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 2\r\n\r\nhi");
    let mut conn = dyno.accept();
    conn.take_request();
    drop(conn);
    assert_eq!(client.take_answer().verdict(), (503, "H13"));
    client.send(get("/next"));
    let mut conn = dyno.accept();
    assert_eq!(conn.take_request().head.line, "GET /next HTTP/1.1");
    conn.send(OK);
    assert_eq!(client.take_answer().text(), "ok");
}

#[test]
fn a_client_that_ends_its_side_after_its_request_has_left() {
    let (router, dyno) = start();
    let mut client = router.connect();
    client.send(get("/"));
    let mut conn = dyno.accept();
    conn.take_request();
    client.shut_write();
    conn.take_end();
    router.log.wait_for("sock=client at=warning code=H27");
}

#[test]
fn a_connection_without_a_request_leaves_no_line_in_the_log() {
    let (router, dyno) = start();
    drop(router.connect());
    let mut client = router.connect();
    client.send("\r\n");
    client.shut_write();
    assert_eq!(client.take_end(), End::Closed);
    first_exchange(&router, &dyno);
    router.log.wait_for("path=\"/first\"");
    assert_eq!(router.log.all().len(), 1);
}

#[test]
fn kept_connections_of_a_removed_dyno_are_closed() {
    let (router, dyno) = start();
    let (_client, mut conn) = first_exchange(&router, &dyno);
    router.delete("/v1/apps/one/dynos/web.1");
    conn.take_end();
}

#[test]
fn a_new_release_does_not_inherit_connections() {
    let (router, dyno) = start();
    let (mut client, mut old) = first_exchange(&router, &dyno);
    let body = serde_json::json!({"addr": dyno.addr, "release": "v2"});
    router.write("PUT", "/v1/apps/one/dynos/web.1", body);
    client.send(get("/new"));
    let mut conn = dyno.accept();
    assert_eq!(conn.take_request().head.line, "GET /new HTTP/1.1");
    old.take_end();
}

#[test]
fn a_large_body_to_a_dyno_that_closed_is_a_fault_and_not_a_part_of_it() {
    let (router, dyno) = start();
    let (mut client, mut conn) = first_exchange(&router, &dyno);
    client.send("PUT / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 300000\r\n\r\n");
    conn.take_head();
    client.send([b'x'; 100_000]);
    conn.take(50_000);
    conn.reset();
    let _ = client.try_send(&[b'x'; 200_000]);
    let answer = client.take_answer();
    assert_eq!(answer.status(), 503, "{answer:?}");
    assert_eq!(answer.head.get("connection"), Some("close"));
    assert!(dyno.is_idle());
}
