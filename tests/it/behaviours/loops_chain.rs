//! A router that fronts another: a supported set-up, in which the request id, the forwarding
//! headers and the word for a fault pass through both.
//!
//! Invariant: the inner trusts the outer's network where a test does not say otherwise, the outer's
//! app is marked as a router, and each has a name of its own.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::json;

use super::{GET, OK};
use crate::harness::{
    Conn, Dyno, Router, closed_port,
    lines::{millis, steady},
    pace::pause,
};

const ID: &str = "an-id-of-the-client-of-20-and-more";

/// Two routers in front of one dyno.
struct Chain {
    outer: Router,
    inner: Router,
    web: Dyno,
    client: Conn,
}

impl Chain {
    fn start() -> Chain {
        Chain::with(&[("HOSTLER_HTTP_TRUSTED_NETWORKS", "127.0.0.0/8")], true)
    }

    fn with(of_inner: &[(&str, &str)], marked: bool) -> Chain {
        let one = ("HOSTLER_WORKERS", "1");
        let inner = Router::with(&[&[one, ("HOSTLER_HTTP_VIA", "inner")], of_inner].concat());
        let outer = Router::with(&[one, ("HOSTLER_HTTP_VIA", "outer")]);
        let web = Dyno::new();
        inner.app("one", "a.test", &[&web.addr]);
        outer.app("front", "a.test", &[&inner.http.to_string()]);
        outer.write("PUT", "/v1/apps/front", json!({"router": marked}));
        let client = outer.connect();
        Chain { outer, inner, web, client }
    }

    /// An exchange through both.
    fn carries(&mut self) {
        self.client.send(GET);
        let mut dyno = self.web.accept();
        dyno.take_request();
        dyno.send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok");
        assert_eq!(self.client.take_answer().text(), "ok");
    }
}

#[test]
fn the_dyno_sees_the_client_through_both() {
    let mut chain = Chain::start();
    chain.client.send(format!("GET /x HTTP/1.1\r\nHost: a.test\r\nX-Request-Id: {ID}\r\n\r\n"));
    let head = chain.web.accept().take_request().head;
    assert_eq!(head.get("x-request-id"), Some(ID));
    assert_eq!(head.get("x-forwarded-for"), Some("127.0.0.1, 127.0.0.1"));
    assert_eq!(head.get("x-forwarded-proto"), Some("http"));
    let port = chain.outer.http.port().to_string();
    assert_eq!(head.get("x-forwarded-port"), Some(port.as_str()));
    assert_eq!(head.get("via"), Some("1.1 outer, 1.1 inner"));
}

#[test]
fn an_id_that_the_outer_made_is_the_inners_too() {
    let mut chain = Chain::start();
    chain.client.send(GET);
    let mut dyno = chain.web.accept();
    let head = dyno.take_request().head;
    let id = format!(" request_id={} ", head.get("x-request-id").unwrap());
    dyno.send(OK);
    assert_eq!(chain.client.take_answer().text(), "ok");
    chain.outer.log.wait_for(&id);
    chain.inner.log.wait_for(&id);
}

#[test]
fn an_inner_router_that_does_not_trust_says_what_it_sees_itself() {
    let mut chain = Chain::with(&[], true);
    chain.client.send(format!("GET /x HTTP/1.1\r\nHost: a.test\r\nX-Request-Id: {ID}\r\n\r\n"));
    let head = chain.web.accept().take_request().head;
    // An id is no claim, and the addresses are a list to which each adds its own.
    assert_eq!(head.get("x-request-id"), Some(ID));
    assert_eq!(head.get("x-forwarded-for"), Some("127.0.0.1, 127.0.0.1"));
    let port = chain.inner.http.port().to_string();
    assert_eq!(head.get("x-forwarded-port"), Some(port.as_str()));
}

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis().try_into().unwrap()
}

/// The start that the dyno sees of a request that the outer held for a while: before or after that?
fn start_is_the_outers(of_inner: &[(&str, &str)]) -> bool {
    let mut chain = Chain::with(of_inner, true);
    chain.outer.set_state("front", "web.1", "starting");
    chain.client.send(GET);
    // By then the outer has it.
    assert_eq!(chain.outer.get("no.test", "/").status(), 404);
    assert_eq!(chain.outer.get("no.test", "/").status(), 404);
    pause(Duration::from_millis(300));
    let middle = now_ms();
    pause(Duration::from_millis(300));
    chain.outer.set_state("front", "web.1", "up");
    let head = chain.web.accept().take_request().head;
    head.get("x-request-start").unwrap().parse::<u64>().unwrap() < middle
}

#[test]
fn the_start_of_a_request_is_when_the_outer_had_it_if_the_inner_trusts_it() {
    assert!(start_is_the_outers(&[("HOSTLER_HTTP_TRUSTED_NETWORKS", "127.0.0.0/8")]));
    assert!(!start_is_the_outers(&[]));
}

#[test]
fn the_client_sees_both_in_via() {
    let mut chain = Chain::start();
    chain.client.send(GET);
    let mut dyno = chain.web.accept();
    dyno.take_request();
    dyno.send("HTTP/1.1 200 OK\r\nHostler-Error: H99\r\nContent-Length: 2\r\n\r\nok");
    let answer = chain.client.take_answer();
    assert_eq!(answer.head.get("via"), Some("1.1 inner, 1.1 outer"));
    assert_eq!(answer.head.all("date").len(), 1);
    // The dyno's word for a fault is no router's: the inner takes it out.
    assert_eq!(answer.fault(), "");
}

#[test]
fn the_lines_of_both_tell_the_same_exchange() {
    let mut chain = Chain::start();
    chain.carries();
    let line = |fwd: &str| {
        format!(
            "at=info method=GET path=\"/\" host=a.test request_id=# fwd=\"{fwd}\" dyno=web.1 \
             connect=# service=# status=200 bytes=2 protocol=http1.1 tls=false tls_version= \
             queue=#"
        )
    };
    assert_eq!(steady(&chain.outer.log.wait_for("path=")), line("127.0.0.1"));
    assert_eq!(steady(&chain.inner.log.wait_for("path=")), line("127.0.0.1, 127.0.0.1"));
}

#[test]
fn a_fault_of_the_inner_is_told_by_a_marked_app_and_logged_by_the_inner_alone() {
    let mut chain = Chain::start();
    chain.inner.set_state("one", "web.1", "crashed");
    chain.client.send(GET);
    let answer = chain.client.take_answer();
    assert_eq!(answer.verdict(), (503, "H10"));
    assert!(answer.text().contains("App crashed"), "{answer:?}");
    let line = chain.inner.log.wait_for("code=H10");
    assert!(line.contains(" dyno= connect= service= status=503 bytes= "), "{line}");
    let line = chain.outer.log.wait_for("status=503");
    let end = format!(" status=503 bytes={} ", answer.body.len());
    assert!(line.starts_with("at=info method=GET ") && line.contains(&end), "{line}");
    assert!(line.contains(" dyno=web.1 "), "{line}");
    // It is an answer as any other: the connection goes on.
    chain.inner.set_state("one", "web.1", "up");
    chain.carries();
}

#[test]
fn a_fault_of_the_inner_is_not_told_by_an_app_that_is_not_marked() {
    let trusts = ("HOSTLER_HTTP_TRUSTED_NETWORKS", "127.0.0.0/8");
    let mut chain = Chain::with(&[trusts], false);
    chain.inner.set_state("one", "web.1", "crashed");
    chain.client.send(GET);
    let answer = chain.client.take_answer();
    assert_eq!(answer.verdict(), (503, ""));
    assert!(answer.text().contains("App crashed"), "{answer:?}");
}

#[test]
fn a_fault_of_the_outer_is_told_once_and_the_inner_knows_nothing() {
    let mut chain = Chain::start();
    let closed = closed_port();
    let body = json!({"addr": closed.addr});
    chain.outer.write("PUT", "/v1/apps/front/dynos/web.1", body);
    chain.client.send(GET);
    let answer = chain.client.take_answer();
    assert_eq!(answer.verdict(), (503, "H21"));
    assert_eq!(answer.head.get("via"), Some("1.1 outer"));
    assert!(chain.inner.log.all().is_empty());
}

#[test]
fn a_dyno_that_breaks_off_is_the_inners_fault_and_then_the_outers() {
    let mut chain = Chain::start();
    chain.client.send(GET);
    let mut dyno = chain.web.accept();
    dyno.take_request();
    dyno.send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello");
    drop(dyno);
    chain.client.take_until("hello");
    chain.client.take_end();
    // Each has seen its dyno break off.
    for router in [&chain.inner, &chain.outer] {
        let line = router.log.wait_for("sock=backend at=error code=H18");
        assert!(line.contains(" status=200 bytes=5 "), "{line}");
    }
}

#[test]
fn a_client_that_leaves_leaves_both() {
    let mut chain = Chain::start();
    chain.client.send(GET);
    let mut dyno = chain.web.accept();
    dyno.take_request();
    chain.client.reset();
    dyno.take_end();
    for router in [&chain.inner, &chain.outer] {
        let line = router.log.wait_for("sock=client at=warning code=H27");
        assert!(line.contains(" status=499 "), "{line}");
    }
}

#[test]
fn a_body_that_waits_for_100_passes_both() {
    let mut chain = Chain::start();
    chain.client.send(
        "POST / HTTP/1.1\r\nHost: a.test\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n",
    );
    let mut dyno = chain.web.accept();
    assert_eq!(dyno.take_head().get("expect"), None);
    assert_eq!(chain.client.take_head().status(), 100);
    chain.client.send("hello");
    assert_eq!(dyno.take(5), b"hello");
    dyno.send(OK);
    assert_eq!(chain.client.take_answer().text(), "ok");
}

#[test]
fn interim_answers_bodies_and_trailers_pass_both() {
    let mut chain = Chain::start();
    chain.client.send(
        "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n\
         5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n",
    );
    let mut dyno = chain.web.accept();
    let request = dyno.take_request();
    assert_eq!((request.text().as_str(), request.trailers), ("hello", vec!["X-Sum: 1".into()]));
    dyno.send("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n");
    let hints = chain.client.take_head();
    assert_eq!((hints.status(), hints.get("link")), (103, Some("</x>")));
    dyno.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    dyno.send("5\r\nworld\r\n0\r\nX-Sum: 2\r\n\r\n");
    let answer = chain.client.take_answer();
    assert_eq!((answer.text().as_str(), answer.trailers), ("world", vec!["X-Sum: 2".into()]));
}

#[test]
fn a_tunnel_goes_through_both() {
    let mut chain = Chain::start();
    chain.client.send(
        "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nearly",
    );
    let mut dyno = chain.web.accept();
    dyno.take_request();
    dyno.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nhi");
    assert_eq!(chain.client.take_head().status(), 101);
    assert_eq!(chain.client.take(2), b"hi");
    assert_eq!(dyno.take(5), b"early");
    chain.client.shut_write();
    dyno.take_end();
    dyno.send("last");
    assert_eq!(chain.client.take(4), b"last");
    drop(dyno);
    chain.client.take_end();
}

#[test]
fn a_request_that_is_lost_between_the_two_is_sent_again() {
    let mut chain = Chain::start();
    chain.carries();
    // The inner is another process at the same address by now; its connections are gone.
    let addr = chain.inner.http;
    let listen = addr.to_string();
    drop(std::mem::replace(&mut chain.inner, Router::start()));
    let restarted = Router::with(&[("HOSTLER_HTTP_LISTEN", &listen)]);
    restarted.app("one", "a.test", &[&chain.web.addr]);
    chain.inner = restarted;
    for _ in 0..3 {
        chain.carries();
    }
    let line = chain.outer.log.wait_for_many("status=200", 4).pop().unwrap();
    assert!(millis(&line, "service").is_some(), "{line}");
}
