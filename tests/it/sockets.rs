//! Dynos that listen on a socket of the file system.

use crate::harness::{Dyno, Router};

#[test]
fn a_dyno_on_a_socket_serves_like_one_on_a_port() {
    let sockets = tempfile::tempdir().unwrap();
    let router = Router::with(&[("HOSTLER_DYNOS_SOCKET_DIRS", sockets.path().to_str().unwrap())]);
    let dyno = Dyno::unix(&sockets.path().join("web.1"));
    router.app("one", "a.test", &[&dyno.addr]);
    let mut client = router.connect();
    client.send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\n\r\nhello");
    let mut conn = dyno.accept();
    assert_eq!(conn.take_request().text(), "hello");
    conn.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    assert_eq!(client.take_answer().text(), "ok");
    client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    assert_eq!(conn.take_request().head.line, "GET / HTTP/1.1");
}
