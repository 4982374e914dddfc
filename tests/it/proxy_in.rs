//! The PROXY protocol from balancers: whose connection it is, and who may say so.
//!
//! Headers are written by hand, by curl, and by HAProxy. Invariants: what comes behind a header is
//! served to its last byte; a connection without a right one gets no answer at all.

use std::{
    os::unix::net::UnixStream,
    process::{Child, Command},
};

use serde_json::json;

use crate::harness::{
    Conn, Dyno, Named, Router,
    program::{curl, python, run},
    until,
};

const GET: &str = "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// A router that takes headers from one address, with an app of this dyno.
fn router(more: &[(&str, &str)], dyno: &str) -> Router {
    let mut env =
        vec![("HOSTLER_HTTP_PROXY_PROTOCOL", "true"), ("HOSTLER_HTTP_PROXY_FROM", "127.0.0.1")];
    env.extend(more);
    let router = Router::with(&env);
    router.app("one", "a.test", &[dyno]);
    router
}

/// Version 2: command and family, and what is behind.
fn binary(command: u8, family: u8, behind: &[u8]) -> Vec<u8> {
    let signature: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
    let length = (behind.len() as u16).to_be_bytes();
    [signature, &[command, family], &length, behind].concat()
}

/// 203.0.113.7:5555 to 198.51.100.2:8443, and more to tell.
fn v2() -> Vec<u8> {
    let addresses = [203, 0, 113, 7, 198, 51, 100, 2, 0x15, 0xb3, 0x20, 0xfb];
    let told = [0x01, 0, 2, b'h', b'2', 0x05, 0, 3, 1, 2, 3];
    binary(0x21, 0x11, &[&addresses[..], &told].concat())
}

const V1: &[u8] = b"PROXY TCP4 203.0.113.7 198.51.100.2 5555 8443\r\n";

fn turned_away(router: &Router, reason: &str) -> f64 {
    router.metric(&format!("hostler_connections_turned_away_total{{reason=\"{reason}\"}}"))
}

#[test]
fn client_and_port_are_those_of_the_header() {
    let dyno = Dyno::new();
    let router = router(&[("HOSTLER_WORKERS", "1")], &dyno.addr);
    let mut kept = None;
    for (header, fwd, port) in [
        (V1.to_vec(), "203.0.113.7", "8443".to_owned()),
        (v2(), "203.0.113.7", "8443".to_owned()),
        (b"PROXY TCP6 2001:db8::7 2001:db8::1 1 443\r\n".to_vec(), "2001:db8::7", "443".to_owned()),
        // A balancer that speaks for itself, or of nothing that has an address.
        (binary(0x20, 0x00, &[]), "127.0.0.1", router.http.port().to_string()),
        (binary(0x21, 0x31, &[0; 216]), "127.0.0.1", router.http.port().to_string()),
        (b"PROXY UNKNOWN\r\n".to_vec(), "127.0.0.1", router.http.port().to_string()),
    ] {
        // Behind it in one segment, two requests; then the header in as many as it has bytes.
        for in_pieces in [false, true] {
            let mut client = router.connect();
            if in_pieces {
                header.iter().for_each(|byte| client.send([*byte]));
                client.send([GET, GET].concat());
            } else {
                client.send([&header, GET.as_bytes(), GET.as_bytes()].concat());
            }
            for _ in 0..2 {
                let mut conn = kept.take().unwrap_or_else(|| dyno.accept());
                let request = conn.take_request();
                assert_eq!(request.head.get("x-forwarded-for"), Some(fwd), "{request:?}");
                assert_eq!(request.head.get("x-forwarded-port"), Some(&*port), "{request:?}");
                conn.send(OK);
                assert_eq!(client.take_answer().text(), "ok");
                kept = Some(conn);
            }
        }
        router.log.wait_for(&format!(" fwd=\"{fwd}\" "));
    }
}

#[test]
fn a_connection_without_a_right_header_gets_no_answer() {
    let dyno = Dyno::new();
    let router = router(&[("HOSTLER_TIMEOUTS_PROXY_HEADER", "300ms")], &dyno.addr);
    let malformed = [b"PROXY TCP4 1.2.3.4\r\n", GET.as_bytes()].concat();
    let long = [b"PROXY UNKNOWN ", &[b'x'; 100][..], GET.as_bytes()].concat();
    let mut lies = [v2(), GET.into()].concat();
    // A checksum that is not right.
    lies.splice(28..28, [0x03, 0, 4, 1, 2, 3, 4]);
    lies[15] += 7;
    for (sent, reason, count) in [
        (GET.as_bytes(), "proxy_missing", 1.0),
        (b"\x16\x03\x01\x02\x00", "proxy_missing", 2.0),
        (&malformed, "proxy_malformed", 1.0),
        (&long, "proxy_malformed", 2.0),
        (&lies, "proxy_malformed", 3.0),
        (&V1[..20], "proxy_timeout", 1.0),
        (&v2()[..20], "proxy_timeout", 2.0),
        (b"", "proxy_timeout", 3.0),
    ] {
        let mut client = router.connect();
        client.send(sent);
        let (got, _) = client.take_all();
        assert!(got.is_empty(), "{:?}", String::from_utf8_lossy(&got));
        until("it is counted", || turned_away(&router, reason) == count);
    }
    router.said.wait_for("a connection from 127.0.0.1 is closed: it begins with no PROXY header");
    // A balancer that only looks whether the port is open is not counted.
    let client = router.connect();
    client.shut_write();
    let mut client = client;
    client.take_end();
    assert_eq!(turned_away(&router, "proxy_timeout"), 3.0);
    assert!(dyno.is_idle());
}

/// A worker once asked again and again for the rest of a header that could not come any more.
#[test]
fn a_header_that_is_cut_short_ends_its_connection_at_once() {
    let dyno = Dyno::new();
    let router = router(&[("HOSTLER_TIMEOUTS_PROXY_HEADER", "1h")], &dyno.addr);
    let v2 = v2();
    for (part, count) in [(&V1[..20], 1.0), (&v2[..5], 2.0), (&v2[..20], 3.0)] {
        for waits in [false, true] {
            let mut client = router.connect();
            let (first, rest) = part.split_at(if waits { 3 } else { 0 });
            client.send(first);
            client.send(rest);
            client.shut_write();
            assert!(client.take_all().0.is_empty());
        }
        until("it is counted", || turned_away(&router, "proxy_timeout") == 2.0 * count);
    }
    // What is whole is served, though its client sends no more.
    let mut client = router.connect();
    client.send([V1, b"GET / HTTP/1.1\r\nHost: no.test\r\n\r\n"].concat());
    assert_eq!(client.take_answer().status(), 404);
    assert!(dyno.is_idle());
}

#[test]
fn a_header_from_another_network_is_not_read() {
    let dyno = Dyno::new();
    let router = router(&[], &dyno.addr);
    let mut client = router.connect_from("127.0.0.2");
    let _ = client.try_send(&[V1, GET.as_bytes()].concat());
    assert!(client.take_all().0.is_empty());
    until("it is counted", || turned_away(&router, "proxy_network") == 1.0);
    router.said.wait_for("a connection from 127.0.0.2 is closed: its network is not in");
    assert!(dyno.is_idle());
}

#[test]
fn connections_are_counted_by_the_address_of_the_header() {
    let dyno = Named::start("one");
    let router = router(&[("HOSTLER_HTTP_MAX_CONNECTIONS_PER_ADDRESS", "1")], &dyno.addr);
    let connect = |client: &str| {
        let mut conn = router.connect();
        conn.send(format!("PROXY TCP4 {client} 198.51.100.2 1 2\r\n{GET}"));
        conn
    };
    let mut first = connect("203.0.113.7");
    assert_eq!(first.take_answer().status(), 200);
    assert!(connect("203.0.113.7").take_all().0.is_empty());
    assert_eq!(connect("203.0.113.8").take_answer().status(), 200);
    until("it is counted", || turned_away(&router, "address") == 1.0);
}

#[test]
fn an_address_of_ipv6_counts_by_what_one_customer_gets() {
    let dyno = Named::start("one");
    let router = router(&[("HOSTLER_HTTP_MAX_CONNECTIONS_PER_ADDRESS", "3")], &dyno.addr);
    let settings = json!({"settings": {"limits.rate_per_address": 2, "limits.rate_window": "1h"}});
    router.write("PUT", "/v1/apps/one", settings);
    let connect = |client: &str| {
        let mut conn = router.connect();
        conn.send(format!("PROXY TCP6 {client} 2001:db8::ffff 1 2\r\n{GET}"));
        conn
    };
    let mut held = Vec::new();
    for (client, status) in [
        ("2001:db8:0:1::1", 200),
        ("2001:db8:0:1:ffff:ffff:ffff:ffff", 200),
        ("2001:db8:0:1:8000::", 429),
        ("2001:db8:0:2::1", 200),
        ("::ffff:203.0.113.7", 200),
    ] {
        let mut conn = connect(client);
        assert_eq!(conn.take_answer().status(), status, "{client}");
        held.push(conn);
    }
    assert!(connect("2001:db8:0:1::2").take_all().0.is_empty(), "a fourth connection");
    until("it is counted", || turned_away(&router, "address") == 1.0);
}

#[test]
fn connections_that_wait_when_the_router_is_told_to_end_are_served() {
    let dyno = Named::start("one");
    let mut router = router(&[], &dyno.addr);
    let mut clients: Vec<Conn> = (0..50).map(|_| router.connect()).collect();
    let (begun, header) = V1.split_at(20);
    for (at, client) in clients.iter_mut().enumerate() {
        client.send(if at % 2 == 0 { begun.to_vec() } else { [V1, GET.as_bytes()].concat() });
    }
    router.terminate();
    router.said.wait_for("draining");
    for client in clients.iter_mut().step_by(2) {
        client.send([header, GET.as_bytes()].concat());
    }
    for client in &mut clients {
        assert_eq!(client.take_answer().status(), 200);
    }
    assert!(router.wait().success());
}

#[test]
fn curl_sends_a_header_that_is_read() {
    let dyno = Named::start("one");
    let router = router(&[], &dyno.addr);
    let url = format!("http://{}/from-curl", router.http);
    let ask = |more: &[&str]| curl(&[&["-H", "Host: a.test", &url], more].concat());
    assert_eq!(run(ask(&["--haproxy-protocol"])), b"one GET /from-curl HTTP/1.1 0\n");
    router.log.wait_for(" path=\"/from-curl\" host=a.test ");
    assert!(!ask(&[]).status().unwrap().success(), "without a header it is let in");
}

/// A router that takes headers from balancers that pass on TLS, and the port that it does so on.
fn https_router(dyno: &str) -> (Router, u16) {
    let env = [("HOSTLER_HTTPS_LISTEN", "127.0.0.1:0"), ("HOSTLER_HTTPS_PROXY_PROTOCOL", "true")];
    let router = router(&env, dyno);
    let line = router.said.wait_for("https listens on ");
    (router, line.rsplit(':').next().unwrap().parse().unwrap())
}

#[test]
fn a_header_comes_before_the_handshake() {
    let dyno = Named::start("one");
    let (router, port) = https_router(&dyno.addr);
    let (resolve, url) = (format!("a.test:{port}:127.0.0.1"), format!("https://a.test:{port}/x"));
    let ask = |more: &[&str]| curl(&[&["-k", "--resolve", &resolve, &url], more].concat());
    for version in ["--http1.1", "--http2"] {
        let got = run(ask(&["--haproxy-protocol", version]));
        assert_eq!(String::from_utf8(got).unwrap(), "one GET /x HTTP/1.1 0\n", "{version}");
    }
    assert!(!ask(&[]).status().unwrap().success(), "without a header it is let in");
    until("it is counted", || turned_away(&router, "proxy_missing") == 1.0);
}

#[test]
fn a_dyno_that_takes_headers_is_told_what_the_balancer_told_over_tls_too() {
    let dyno = Dyno::new();
    let (router, port) = https_router(&dyno.addr);
    let settings = json!({"settings": {"dynos.proxy_protocol": "v2"}});
    router.write("PUT", "/v1/apps/one", settings);
    let script = "import socket, ssl, sys\n\
                  anybody = ssl._create_unverified_context()\n\
                  raw = socket.create_connection(('127.0.0.1', int(sys.argv[1])))\n\
                  raw.sendall(sys.argv[2].encode())\n\
                  tls = anybody.wrap_socket(raw, server_hostname='a.test')\n\
                  tls.sendall(sys.argv[3].encode())\n\
                  print(tls.recv(12).decode())\n";
    let mut client = python();
    client.args(["-c", script, &port.to_string(), str::from_utf8(V1).unwrap(), GET]);
    std::thread::scope(|scope| {
        let client = scope.spawn(|| run(client));
        let mut conn = dyno.accept();
        let addresses = [203, 0, 113, 7, 198, 51, 100, 2, 0x15, 0xb3, 0x20, 0xfb];
        assert_eq!(conn.take(28), binary(0x21, 0x11, &addresses));
        let request = conn.take_request();
        for (header, value) in [
            ("x-forwarded-for", "203.0.113.7"),
            ("x-forwarded-port", "8443"),
            ("x-forwarded-proto", "https"),
        ] {
            assert_eq!(request.head.get(header), Some(value), "{request:?}");
        }
        conn.send(OK);
        assert_eq!(client.join().unwrap(), b"HTTP/1.1 200\n");
    });
    let line = router.log.wait_for(" fwd=\"203.0.113.7\" ");
    assert!(line.contains(" tls=true "), "{line}");
}

/// A program that ends with this.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn haproxy_in_front_tells_the_client_in_both_versions() {
    let dyno = Dyno::new();
    let router = router(&[("HOSTLER_WORKERS", "1")], &dyno.addr);
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = (dir.path().join("1"), dir.path().join("2"));
    // Clients come by a socket, where HAProxy itself takes a header that says who they are.
    let listen = |name: &str, socket: &std::path::Path, send: &str| {
        let (socket, router) = (socket.display(), router.http);
        format!(
            "listen {name}\n  mode tcp\n  bind unix@{socket} accept-proxy\n  \
             server router {router} {send}\n"
        )
    };
    let config = [
        "global\n  maxconn 50\ndefaults\n  timeout connect 10s\n  timeout client 30s\n  \
         timeout server 30s\n"
            .to_owned(),
        listen("v1", &one, "send-proxy"),
        listen("v2", &two, "send-proxy-v2 proxy-v2-options crc32c,unique-id"),
    ];
    let file = dir.path().join("haproxy.cfg");
    std::fs::write(&file, config.concat()).unwrap();
    let mut command = Command::new("/usr/sbin/haproxy");
    let _haproxy = Ended(command.args(["-db", "-f"]).arg(&file).spawn().expect("it is installed"));
    until("HAProxy listens", || UnixStream::connect(&two).is_ok() && one.exists());
    let mut kept = None;
    for socket in [&one, &two] {
        let mut client = Conn::from(UnixStream::connect(socket).unwrap());
        client.send([V1, GET.as_bytes()].concat());
        let mut conn = kept.take().unwrap_or_else(|| dyno.accept());
        let request = conn.take_request();
        assert_eq!(request.head.get("x-forwarded-for"), Some("203.0.113.7"), "{request:?}");
        assert_eq!(request.head.get("x-forwarded-port"), Some("8443"), "{request:?}");
        conn.send(OK);
        assert_eq!(client.take_answer().text(), "ok");
        kept = Some(conn);
    }
    let refused = ["proxy_missing", "proxy_malformed"].map(|why| turned_away(&router, why));
    assert_eq!(refused, [0.0, 0.0]);
}
