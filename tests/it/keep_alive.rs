//! Connections to dynos that are kept: who uses them, and who does not.
//!
//! Invariant: a connection carries one exchange at a time, of the dyno that it was made to.

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
