//! An app without dynos whose requests wake it: the webhook that is called, and those that wait.

use std::{
    io::{Read, Write},
    net::TcpListener,
};

use rustls::StreamOwned;
use serde_json::{Value, json};
use socket2::SockRef;

use crate::harness::{Authority, Conn, DEADLINE, Dyno, Named, Router, certs::Files, tls, until};

const GET: &str = "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";
const TAKEN: &str = "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n";

/// A router with an app that has no dynos, and who is told of its requests.
fn asleep(settings: &[(&str, Value)]) -> (Router, Dyno) {
    let (router, webhook) = (Router::start(), Dyno::new());
    router.app("one", "a.test", &[]);
    let url = format!("http://{}/wake", webhook.addr);
    let mut all = json!({ "wake.url": url });
    for (name, value) in settings {
        all[name] = value.clone();
    }
    router.write("PATCH", "/v1/apps/one", json!({ "settings": all }));
    (router, webhook)
}

fn ask(router: &Router, count: usize) -> Vec<Conn> {
    let mut clients: Vec<_> = (0..count).map(|_| router.connect()).collect();
    clients.iter_mut().for_each(|client| client.send(GET));
    let stats = || router.call("GET", "/v1/apps/one/stats", None).json;
    until("they wait", || stats()["waiting"] == count);
    clients
}

#[test]
fn the_first_request_wakes_the_app_once_and_all_are_served() {
    let (router, webhook) = asleep(&[]);
    let mut clients = ask(&router, 20);
    let mut call = webhook.accept();
    let asked = call.take_request();
    assert_eq!(asked.head.line, "POST /wake HTTP/1.1");
    assert_eq!(asked.head.get("content-type"), Some("application/json"));
    let told: Value = serde_json::from_str(&asked.text()).unwrap();
    assert_eq!(told["app"], "one", "{told}");
    call.send(TAKEN);
    let counted = || router.metric("hostler_wake_calls_total{result=\"ok\"}");
    until("the call is counted", || counted() == 1.0);
    let dyno = Named::start("one");
    router.write("PUT", "/v1/apps/one/dynos/web.1", json!({"addr": dyno.addr}));
    for client in &mut clients {
        assert_eq!(client.take_answer().status(), 200);
    }
    assert!(webhook.is_idle(), "it was called once");
    // It sleeps again: the next request wakes it again, however lately that was.
    router.delete("/v1/apps/one/dynos/web.1");
    let _clients = ask(&router, 2);
    webhook.accept().take_request();
    assert!(webhook.is_idle());
}

#[test]
fn a_webhook_that_fails_is_called_again_a_few_times_and_it_is_said() {
    let (router, webhook) = asleep(&[("wake.timeout", json!("4s"))]);
    let mut clients = ask(&router, 3);
    for _ in 0..3 {
        let mut call = webhook.accept();
        call.take_request();
        call.send("HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n");
    }
    for client in &mut clients {
        assert_eq!(client.take_answer().verdict(), (503, "H20"));
    }
    assert!(webhook.is_idle(), "no fourth time");
    let failed = || router.metric("hostler_wake_calls_total{result=\"failed\"}");
    until("the calls are counted", || failed() == 3.0);
    let line = router.said.wait_for("could not be woken (call 3 of 3)");
    assert!(line.contains("it answered 500"), "{line}");
}

#[test]
fn a_webhook_where_no_dyno_may_be_is_not_called() {
    let (router, webhook) = asleep(&[("wake.timeout", json!("3s"))]);
    let own = format!("http://{}/v1/table", router.control);
    router.write("PATCH", "/v1/apps/one", json!({"settings": {"wake.url": own}}));
    let mut clients = ask(&router, 1);
    let line = router.said.wait_for("could not be woken (call 1 of 3)");
    assert!(line.contains("is where this router itself listens"), "{line}");
    assert_eq!(clients[0].take_answer().verdict(), (503, "H20"));
    assert!(webhook.is_idle());
}

#[test]
fn a_webhook_by_https_is_told_nothing_before_it_has_proved_its_name() {
    let authority = Authority::new("webhooks");
    let [wrong, right] = [("wrong", "other.test"), ("right", "localhost")]
        .map(|(file, name)| authority.issue(file, &[name]));
    let router = Router::with(&[
        ("SSL_CERT_FILE", &authority.ca()),
        ("HOSTLER_DYNOS_NETWORKS", "127.0.0.0/8"),
    ]);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    SockRef::from(&listener).set_read_timeout(Some(DEADLINE)).unwrap();
    router.app("one", "a.test", &[]);
    let url = format!("https://localhost:{}/wake", listener.local_addr().unwrap().port());
    router.write("PATCH", "/v1/apps/one", json!({"settings": {"wake.url": url}}));
    let _clients = ask(&router, 1);
    let accept = |files: &Files| {
        let (socket, _) = listener.accept().expect("a call");
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        StreamOwned::new(tls::server(files, &[], 0), socket)
    };
    let mut bytes = [0; 1024];
    accept(&wrong).read(&mut bytes).expect_err("it leaves");
    router.said.wait_for("the app could not be woken (call 1 of 3)");
    let (mut call, mut asked) = (accept(&right), Vec::new());
    while !asked.ends_with(b"}") {
        let count = call.read(&mut bytes).unwrap();
        asked.extend_from_slice(&bytes[..count]);
    }
    let asked = String::from_utf8(asked).unwrap();
    assert!(asked.starts_with("POST /wake HTTP/1.1\r\nhost: localhost:"), "{asked}");
    assert!(asked.ends_with("{\"app\":\"one\",\"waiting\":1}"), "{asked}");
    call.write_all(TAKEN.as_bytes()).unwrap();
    let counted = || router.metric("hostler_wake_calls_total{result=\"ok\"}");
    until("the call is counted", || counted() == 1.0);
}

#[test]
fn without_a_webhook_or_with_dynos_that_crashed_nothing_waits() {
    let (router, webhook) = asleep(&[]);
    router.write("PUT", "/v1/apps/one/dynos/web.1", json!({"addr": webhook.addr}));
    router.set_state("one", "web.1", "crashed");
    assert_eq!(router.get("a.test", "/").verdict(), (503, "H10"));
    router.delete("/v1/apps/one/dynos/web.1");
    router.write("PATCH", "/v1/apps/one", json!({"settings": {"wake.url": ""}}));
    assert_eq!(router.get("a.test", "/").verdict(), (503, "H14"));
    assert!(webhook.is_idle());
}
