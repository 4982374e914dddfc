//! TLS to dynos: a dyno is asked nothing before it has proven that it is the app's.
//!
//! Node's own server is the dyno, over HTTP/1.1 and HTTP/2; where a dyno must not be asked, it says
//! how often it was. Invariant: certificates are of an authority that only the router under test is
//! told of.

use std::{
    io::Write,
    net::{Shutdown, TcpStream},
};

use hostler::error::Fault;
use rustls::ServerConnection;
use serde_json::{Value, json};

use crate::harness::{
    Authority, Conn, Dyno, End, Program, Router,
    certs::Files,
    program::{node, scripts},
    tls, until,
};

/// The faults that are shown here.
pub const SHOWN: &[Fault] = &[Fault::DynoCertificate];

fn dyno(files: &Files) -> Program {
    let mut command = node();
    command.arg(scripts().join("dynos/http2.mjs"));
    command.env("KEY", &files.key).env("CERT", &files.cert);
    Program::start(command)
}

/// A router that trusts the authority, and the app "one" with TLS and these settings.
fn router(authority: &Authority, settings: Value, dynos: &[&str]) -> Router {
    let ca = authority.ca();
    let router = Router::with(&[
        ("HOSTLER_WORKERS", "1"),
        ("HOSTLER_DYNOS_TLS", "true"),
        ("HOSTLER_DYNOS_TLS_CA", &ca),
    ]);
    router.write("PUT", "/v1/apps/one", json!({"settings": settings}));
    router.write("PUT", "/v1/apps/one/routes/a.test", json!({}));
    for (at, addr) in dynos.iter().enumerate() {
        router.write("PUT", &format!("/v1/apps/one/dynos/web.{at}"), json!({"addr": addr}));
    }
    router
}

fn seen(router: &Router, path: &str) -> Value {
    let answer = router.get("a.test", path);
    assert_eq!(answer.status(), 200, "{answer:?}");
    serde_json::from_slice(&answer.body).unwrap()
}

#[test]
fn a_dyno_with_the_apps_name_is_asked_by_either_protocol() {
    let authority = Authority::new("dynos");
    let dyno = dyno(&authority.issue("one", &["one.internal"]));
    let router = router(&authority, json!({}), &[&dyno.addr]);
    for _ in 0..2 {
        let seen = seen(&router, "/echo");
        assert_eq!(seen["servername"], "one.internal");
        assert_eq!(seen["headers"]["host"], "a.test");
    }
    until("the second has the kept connection", || {
        router.metric("hostler_dyno_reuses_total") == 1.0
            && router.metric("hostler_dyno_connects_total") == 1.0
    });
    router.write("PUT", "/v1/apps/one", json!({"settings": {"dynos.protocol": "http2"}}));
    for _ in 0..2 {
        let seen = seen(&router, "/echo");
        assert_eq!(seen["headers"][":scheme"], "https", "{seen}");
    }
    assert_eq!(router.get("a.test", "/counts").text(), "1 1");
    let mut client = router.connect();
    let body = "x".repeat(300_000);
    let length = body.len();
    let request = format!("PUT /echo HTTP/1.1\r\nHost: a.test\r\nContent-Length: {length}\r\n\r\n");
    let answer = client.ask(format!("{request}{body}"));
    assert!(answer.text().contains("\"length\":300000"), "{answer:?}");
    assert_eq!(client.get("a.test", "/bytes?3000000").body.len(), 3_000_000);
}

/// The push is right in all but that the address is another app's by now.
#[test]
fn an_address_that_is_another_apps_by_now_gets_no_byte_of_a_request() {
    let authority = Authority::new("dynos");
    let other = dyno(&authority.issue("two", &["two.internal", "*.one.internal", "a.test"]));
    for protocol in ["http1", "http2"] {
        let settings = json!({"dynos.protocol": protocol, "dynos.max_attempts": 1});
        let router = router(&authority, settings, &[&other.addr]);
        let mut client = router.connect();
        let answer = client.get("a.test", "/echo");
        assert_eq!(answer.verdict(), (502, "dyno_certificate"));
        let line = router.log.wait_for("code=dyno_certificate desc=\"Dyno not proven\"");
        assert!(line.contains("dyno=web.0") && line.contains("status=502"), "{line}");
        let said = router.said.wait_for("a dyno does not prove itself");
        assert!(said.contains("for two.internal, *.one.internal, a.test, not for"), "{said}");
        until("it is counted", || router.metric("hostler_dyno_certificate_failures_total") == 1.0);
        // It is passed over like one that refuses, and the client's connection goes on.
        router.write("PATCH", "/v1/apps/one", json!({"maintenance": true}));
        assert_eq!(client.get("a.test", "/").verdict(), (503, "H80"));
    }
}

#[test]
fn a_dyno_that_proves_itself_is_asked_in_place_of_one_that_does_not() {
    let authority = Authority::new("dynos");
    let right = dyno(&authority.issue("one", &["one.internal"]));
    let wrong = dyno(&authority.issue("two", &["two.internal"]));
    for protocol in ["http1", "http2"] {
        let settings = json!({"dynos.protocol": protocol});
        let router = router(&authority, settings, &[&wrong.addr, &right.addr]);
        for _ in 0..10 {
            seen(&router, "/echo");
        }
    }
}

#[test]
fn the_name_may_be_stated_and_a_kept_connection_is_for_its_name_alone() {
    let authority = Authority::new("dynos");
    let dyno = dyno(&authority.issue("two", &["two.example", "one.dynos.example"]));
    for protocol in ["http1", "http2"] {
        let named = |name: &str| json!({"dynos.protocol": protocol, "dynos.tls_name": name});
        let router = router(&authority, named("{app}.dynos.example"), &[&dyno.addr]);
        seen(&router, "/echo");
        router.write("PUT", "/v1/apps/one", json!({"settings": named("two.example")}));
        seen(&router, "/echo");
        let mut settings = named("three.example");
        settings["dynos.max_attempts"] = json!(1);
        router.write("PUT", "/v1/apps/one", json!({"settings": settings}));
        assert_eq!(router.get("a.test", "/echo").verdict(), (502, "dyno_certificate"));
    }
}

#[test]
fn whatever_is_wrong_with_a_certificate_is_told() {
    let authority = Authority::new("dynos");
    let strange = Authority::new("strange");
    for (files, why) in [
        (authority.issue_until("old", &["one.internal"], 2001), "has ended"),
        (strange.issue("one", &["one.internal"]), "not of an authority that is trusted"),
    ] {
        let dyno = dyno(&files);
        let router = router(&authority, json!({"dynos.max_attempts": 1}), &[&dyno.addr]);
        assert_eq!(router.get("a.test", "/").verdict(), (502, "dyno_certificate"), "{why}");
        let said = router.said.wait_for("a dyno does not prove itself");
        assert!(said.contains(why), "{said}");
    }
    // One that does not speak TLS.
    let dyno = Dyno::new();
    let router = router(&authority, json!({"dynos.max_attempts": 1}), &[&dyno.addr]);
    let mut client = router.connect();
    client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    let mut conn = dyno.accept();
    assert_eq!(conn.take(1), [22], "a handshake, not a request");
    conn.send("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(client.take_answer().verdict(), (502, "dyno_certificate"));
    assert!(router.said.wait_for("a dyno does not prove").contains("not TLS"));
}

/// Accepts one connection with TLS, by a server that speaks these protocols inside and gives so
/// many tickets.
fn shake_hands(
    dyno: &Dyno,
    files: &Files,
    protocols: &[&str],
    tickets: usize,
) -> (ServerConnection, TcpStream) {
    let mut session = tls::server(files, protocols, tickets);
    // It fails where no protocol is common to both; its alert is sent all the same.
    let mut conn = dyno.accept().into_tcp();
    while session.is_handshaking() && session.complete_io(&mut conn).is_ok() {}
    (session, conn)
}

/// Each is a record that brings the exchange no further.
#[test]
fn a_dyno_that_sends_records_without_data_and_no_end_of_them_is_broken_off() {
    let authority = Authority::new("dynos");
    let files = authority.issue("one", &["one.internal"]);
    for (tickets, expected) in [(100, (200, "")), (10_000, (503, "H18"))] {
        let dyno = Dyno::new();
        let router = router(&authority, json!({"dynos.max_attempts": 1}), &[&dyno.addr]);
        let mut client = router.connect();
        client.send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 0\r\n\r\n");
        let (mut session, mut conn) = shake_hands(&dyno, &files, &[], tickets);
        session.writer().write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
        while session.wants_write() && session.write_tls(&mut conn).is_ok() {}
        let answer = client.take_answer();
        if expected.0 == 200 {
            assert_eq!(answer.status(), 200, "{tickets}: {answer:?}");
        } else {
            assert_eq!(answer.verdict(), expected, "{tickets}");
        }
    }
}

/// Only TLS's own word makes an end of what ends with its connection.
#[test]
fn an_answer_without_a_length_that_is_cut_is_no_whole_one() {
    let authority = Authority::new("dynos");
    let files = authority.issue("one", &["one.internal"]);
    for says_so in [true, false] {
        let dyno = Dyno::new();
        let router = router(&authority, json!({}), &[&dyno.addr]);
        let mut client = router.connect();
        client.send("GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n");
        let (mut session, mut conn) = shake_hands(&dyno, &files, &[], 0);
        while session.process_new_packets().unwrap().plaintext_bytes_to_read() == 0 {
            session.read_tls(&mut conn).unwrap();
        }
        session.writer().write_all(b"HTTP/1.1 200 OK\r\n\r\nall that there is").unwrap();
        if says_so {
            session.send_close_notify();
        }
        while session.wants_write() {
            session.write_tls(&mut conn).unwrap();
        }
        conn.shutdown(Shutdown::Write).unwrap();
        let (answer, end) = client.take_all();
        let text = String::from_utf8_lossy(&answer);
        assert!(text.contains("all that there is"), "{text}");
        let ended = text.ends_with("\r\n0\r\n\r\n") || !text.contains("chunked");
        assert_eq!(ended && end == End::Closed, says_so, "{text} {end:?}");
        let code = if says_so { "at=info method=GET" } else { "code=H18" };
        router.log.wait_for(code);
    }
}

#[test]
fn a_dyno_that_is_right_but_speaks_no_http2_is_told_as_that() {
    let authority = Authority::new("dynos");
    let files = authority.issue("one", &["one.internal"]);
    for protocols in [&[][..], &["http/1.1"]] {
        let dyno = Dyno::new();
        let settings = json!({"dynos.protocol": "http2", "dynos.max_attempts": 1});
        let router = router(&authority, settings, &[&dyno.addr]);
        let mut client = router.connect();
        client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
        shake_hands(&dyno, &files, protocols, 0);
        assert_eq!(client.take_answer().verdict(), (502, "H17"), "{protocols:?}");
        assert_eq!(router.metric("hostler_dyno_certificate_failures_total"), 0.0);
    }
}

#[test]
fn a_dyno_that_is_met_again_is_spared_the_proof() {
    let authority = Authority::new("dynos");
    let dyno = dyno(&authority.issue("one", &["one.internal"]));
    let router = router(&authority, json!({"dynos.max_requests": 1}), &[&dyno.addr]);
    assert_eq!(seen(&router, "/")["resumed"], false);
    assert_eq!(seen(&router, "/")["resumed"], true);
}

#[test]
fn a_request_goes_to_a_second_dyno_too_once_that_has_proven_itself() {
    let authority = Authority::new("dynos");
    let files = authority.issue("one", &["one.internal"]);
    let dynos = [(); 2].map(|()| Dyno::new());
    let hedged = json!({"dynos.hedge_after": "20ms"});
    let router = router(&authority, hedged, &dynos.each_ref().map(|dyno| dyno.addr.as_str()));
    let mut client = router.connect();
    client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    until("one is asked", || dynos.iter().any(Dyno::has_caller));
    let [one, other] = &dynos;
    let (slow, quick) = if one.has_caller() { (one, other) } else { (other, one) };
    // Its time begins with the request, which is behind the handshake.
    let (_session, slow) = shake_hands(slow, &files, &[], 0);
    let (mut session, mut conn) = shake_hands(quick, &files, &[], 0);
    session.writer().write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").unwrap();
    while session.wants_write() {
        session.write_tls(&mut conn).unwrap();
    }
    assert_eq!(client.take_answer().text(), "ok");
    Conn::from(slow).take_all();
    router.log.wait_for("hedge=won");
}

#[test]
fn an_authority_that_cannot_be_read_is_told_at_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let settings = [("HOSTLER_DYNOS_TLS_CA", "/nowhere/ca.pem")];
    let output = crate::harness::router::serve(dir.path(), &settings).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("dynos.tls_ca: "), "{said}");
}
