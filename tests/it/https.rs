//! TLS with clients: what real ones get, and what becomes of those that err.
//!
//! Invariants: certificates are made by the test that needs them; what is promised of TLS is shown
//! by programs that share no code with the router: curl, OpenSSL and Python.

mod agreed;
mod pushed;

use std::{
    io::Write,
    net::{SocketAddr, TcpStream},
    os::unix::fs::PermissionsExt,
    process::{Command, Stdio},
};

use hostler::error::Fault;
use rustix::process::Signal;

use crate::harness::{
    Authority, Conn, Dyno, Named, Router,
    certs::Files,
    program::{curl, python, run},
    until,
};

/// The faults that are shown here.
pub const SHOWN: &[Fault] = &[Fault::Misdirected, Fault::HttpsRedirect];

/// A router that takes HTTPS.
struct Https {
    router: Router,
    addr: SocketAddr,
}

impl Https {
    fn with(settings: &[(&str, &str)]) -> Https {
        let router = Router::with(&[&[("HOSTLER_HTTPS_LISTEN", "127.0.0.1:0")], settings].concat());
        let addr = router.https();
        Https { router, addr }
    }

    /// One whose default certificate is that.
    fn proven(files: &Files, more: &[(&str, &str)]) -> Https {
        let default = [
            ("HOSTLER_HTTPS_DEFAULT_CERT", files.cert.as_str()),
            ("HOSTLER_HTTPS_DEFAULT_KEY", files.key.as_str()),
        ];
        Https::with(&[&default, more].concat())
    }

    fn connect(&self) -> Conn {
        TcpStream::connect(self.addr).unwrap().into()
    }

    /// What curl gets of a URL of a host, which it looks for here.
    fn curl(&self, host: &str, arguments: &[&str]) -> String {
        String::from_utf8(run(self.curling(host, arguments))).unwrap()
    }

    fn curling(&self, host: &str, arguments: &[&str]) -> Command {
        let port = self.addr.port();
        let resolve = format!("{host}:{port}:127.0.0.1");
        let url = format!("https://{host}:{port}/");
        curl(&[&["--http1.1", "--resolve", &resolve], arguments, &[&url]].concat())
    }

    fn openssl(&self, arguments: &[&str], request: &str) -> String {
        let mut client = Command::new("openssl");
        let addr = self.addr.to_string();
        client.args(["s_client", "-connect", &addr, "-ign_eof"]).args(arguments);
        client.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut client = client.spawn().unwrap();
        client.stdin.take().unwrap().write_all(request.as_bytes()).unwrap();
        let output = client.wait_with_output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

impl Https {
    /// Waits until so many are counted.
    #[track_caller]
    fn counts(&self, metric: &str, count: u32) {
        until(metric, || self.router.metric(metric) == f64::from(count));
    }

    fn counts_failed(&self, reason: &str, count: u32) {
        let metric = format!("hostler_tls_handshakes_failed_total{{reason=\"{reason}\"}}");
        self.counts(&metric, count);
    }
}

const CLOSE: &str = "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n";

#[test]
fn the_dyno_is_told_of_tls() {
    let (authority, dyno) = (Authority::new("ours"), Dyno::new());
    let https = Https::proven(&authority.issue("a", &["a.test"]), &[]);
    https.router.app("blog", "a.test", &[&dyno.addr]);
    let ca = authority.ca();
    let client = std::thread::scope(|scope| {
        let client = scope.spawn(|| https.curl("a.test", &["--cacert", &ca]));
        let mut conn = dyno.accept();
        let request = conn.take_request();
        assert_eq!(request.head.get("X-Forwarded-Proto"), Some("https"));
        assert_eq!(request.head.get("X-Forwarded-Port"), Some(&*https.addr.port().to_string()));
        conn.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
        client.join().unwrap()
    });
    assert_eq!(client, "hi");
}

#[test]
fn a_host_that_the_certificate_does_not_cover_is_421() {
    let (authority, dyno) = (Authority::new("ours"), Named::start("one"));
    let https = Https::proven(&authority.issue("a", &["a.test", "*.a.test"]), &[]);
    https.router.app("blog", "a.test", &[&dyno.addr]);
    for host in ["b.a.test", "b.test", "c.b.a.test"] {
        https.router.write("PUT", &format!("/v1/apps/blog/routes/{host}"), serde_json::json!({}));
    }
    let ca = authority.ca();
    let status = |host: &str| {
        let header = format!("Host: {host}");
        let arguments = [
            "--cacert",
            &ca,
            "-A",
            "say \"b\"",
            "-H",
            &header,
            "-w",
            "%{http_code}",
            "-o",
            "/dev/null",
        ];
        https.curl("a.test", &arguments)
    };
    for (host, expected) in
        [("a.test", "200"), ("b.a.test", "200"), ("b.test", "421"), ("c.b.a.test", "421")]
    {
        assert_eq!(status(host), expected, "{host}");
    }
    let line = https.router.log.wait_for("host=b.test");
    assert!(line.contains("code=H31 desc=\"Misdirected Request\""), "{line}");
    assert!(line.contains(" agent=\"say \\\"b\\\"\""), "{line}");
    assert!(!https.router.log.wait_for("host=b.a.test").contains("agent="), "of others it is not");
    assert_eq!(
        https.router.get("b.test", "/").status(),
        200,
        "without TLS there is no certificate"
    );
}

#[test]
fn a_listener_without_a_certificate_makes_one_that_proves_nothing() {
    let dyno = Named::start("one");
    let data = tempfile::tempdir().unwrap();
    let settings = [("HOSTLER_HTTPS_LISTEN", "127.0.0.1:0")];
    let start = || {
        let router = Router::on(data.path(), &settings);
        let line = router.said.wait_for("https listens on ");
        Https { router, addr: line.rsplit(' ').next().unwrap().parse().unwrap() }
    };
    let https = start();
    let path = data.path().join("https-self-signed.pem");
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    https.router.said.wait_for("No client trusts it");
    https.router.app("blog", "a.test", &[&dyno.addr]);
    https.router.write("PUT", "/v1/apps/blog/routes/b.test", serde_json::json!({}));
    let shown = ["-k", "-w", "%{http_code}", "-o", "/dev/null"];
    assert_eq!(https.curl("a.test", &shown), "200");
    let other = https.curl("a.test", &[&shown[..], &["-H", "Host: b.test"]].concat());
    assert_eq!(other, "421", "the client asked for another name in its greeting");
    let nameless = https.openssl(&["-quiet", "-noservername"], CLOSE);
    assert!(nameless.starts_with("HTTP/1.1 200"), "{nameless}");
    let made = std::fs::read(&path).unwrap();
    drop(https);
    let again = start();
    assert_eq!(std::fs::read(&path).unwrap(), made);
    assert_eq!(again.curl("a.test", &shown), "200");
}

#[test]
fn http_without_tls_is_told_so() {
    let https = Https::with(&[]);
    let answer = https.connect().ask("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    assert_eq!(answer.status(), 400);
    assert!(answer.text().contains("https://"), "{}", answer.text());
    let mut other = https.connect();
    other.send(b"\x16\x03\x01\x00\x04\x01\x00\x00\x00");
    assert_eq!(other.take_all().0[..1], [21], "an alert");
    https.connect().send("a port is looked at");
    for reason in ["plain_http", "protocol", "not_tls"] {
        https.counts_failed(reason, 1);
    }
    assert!(https.router.log.all().is_empty(), "there was no request");
}

#[test]
fn a_handshake_that_stands_still_is_ended() {
    let https = Https::with(&[("HOSTLER_HTTPS_HANDSHAKE_TIMEOUT", "100ms")]);
    let mut silent = https.connect();
    let mut begun = https.connect();
    begun.send(b"\x16\x03\x01\x02\x00\x01");
    for conn in [&mut silent, &mut begun] {
        assert_eq!(conn.take_all().0, b"");
    }
    https.counts_failed("time_out", 2);
}

#[test]
fn handshakes_that_take_their_time_make_room_for_others() {
    let more = [
        ("HOSTLER_HTTPS_MAX_HANDSHAKES", "1"),
        ("HOSTLER_HTTPS_HANDSHAKE_TIMEOUT", "1h"),
        ("HOSTLER_WORKERS", "1"),
    ];
    let https = Https::with(&more);
    let mut stalled = https.connect();
    // It waits in the accept queue until the other one has gone.
    assert_eq!(https.curl("a.test", &["-k", "-w", "%{http_code}", "-o", "/dev/null"]), "404");
    stalled.take_end();
    https.counts_failed("crowded", 1);
}

/// Clients that come while the router is stopped are all in the accept queue when it goes on, and
/// none of their tasks has had its turn while it accepts.
#[test]
fn no_more_handshakes_than_there_may_be_are_begun_at_once() {
    let more = [
        ("HOSTLER_HTTPS_MAX_HANDSHAKES", "4"),
        ("HOSTLER_HTTPS_HANDSHAKE_TIMEOUT", "1h"),
        ("HOSTLER_WORKERS", "1"),
    ];
    let https = Https::with(&more);
    https.router.signal(Signal::STOP);
    let silent: Vec<Conn> = (0..40).map(|_| https.connect()).collect();
    https.router.signal(Signal::CONT);
    until("some have made room for others", || {
        let begun = https.router.metric("hostler_connections_accepted_total");
        let crowded = "hostler_tls_handshakes_failed_total{reason=\"crowded\"}";
        let ended = https.router.metric(crowded);
        assert!(begun - ended <= 4.0, "{begun} handshakes, of which {ended} have ended");
        ended >= 4.0
    });
    drop(silent);
}

#[test]
fn a_ticket_of_one_worker_is_taken_by_the_other() {
    let (authority, dyno) = (Authority::new("ours"), Named::start("one"));
    let https = Https::proven(&authority.issue("a", &["a.test"]), &[]);
    https.router.app("blog", "a.test", &[&dyno.addr]);
    let folder = tempfile::tempdir().unwrap();
    let ca = authority.ca();
    for version in ["-tls1_2", "-tls1_3"] {
        let session = folder.path().join(version).into_os_string().into_string().unwrap();
        let with = |how: &str| {
            let arguments = ["-CAfile", &ca, "-servername", "a.test", version, how, &session];
            https.openssl(&arguments, CLOSE)
        };
        let first = with("-sess_out");
        assert!(first.contains("New, TLSv1.") && first.contains("200 OK"), "{first}");
        // With two workers all of these meet the same one once in 512 runs.
        for _ in 0..10 {
            let again = with("-sess_in");
            assert!(again.contains("Reused, TLSv1.") && again.contains("200 OK"), "{again}");
        }
    }
    https.counts("hostler_tls_handshakes_total{kind=\"resumed\"}", 20);
}

#[test]
fn a_ticket_ends_when_the_authorities_of_clients_change() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).into_os_string().into_string().unwrap();
    let trust = |authorities: &[&Authority]| {
        let text = authorities.iter().map(|one| std::fs::read_to_string(one.ca()).unwrap());
        std::fs::write(path("new"), text.collect::<String>()).unwrap();
        std::fs::rename(path("new"), path("ca")).unwrap();
    };
    trust(&[&ours, &theirs]);
    let (ca, ci) = (path("ca"), theirs.issue("ci", &["ci"]));
    let settings =
        [("HOSTLER_HTTPS_CLIENT_CA", &*ca), ("HOSTLER_HTTPS_CLIENT_CERT_REQUIRED", "true")];
    let https = Https::proven(&ours.issue("a", &["a.test"]), &settings);
    let ask = |version: &str, how: &str| {
        let session = path(version);
        let proof = ["-cert", &ci.cert, "-key", &ci.key, "-servername", "a.test"];
        https.openssl(&[&proof[..], &[version, how, &session]].concat(), CLOSE)
    };
    for version in ["-tls1_2", "-tls1_3"] {
        let first = ask(version, "-sess_out");
        assert!(first.contains("New, TLSv1.") && first.contains("404 Not"), "{first}");
        let again = ask(version, "-sess_in");
        assert!(again.contains("Reused, TLSv1.") && again.contains("404 Not"), "{again}");
    }
    trust(&[&ours]);
    https.router.said.wait_for_many("https speaks TLS with", 2);
    for version in ["-tls1_2", "-tls1_3"] {
        let late = ask(version, "-sess_in");
        assert!(!late.contains("404 Not"), "{late}");
    }
    https.counts_failed("client_certificate", 2);
}

#[test]
fn large_bodies_pass_both_ways() {
    let (authority, dyno) = (Authority::new("ours"), Dyno::new());
    let https = Https::proven(&authority.issue("a", &["a.test"]), &[]);
    https.router.app("blog", "a.test", &[&dyno.addr]);
    let body: Vec<u8> =
        (0..10_000_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).into_os_string().into_string().unwrap();
    std::fs::write(path("up"), &body).unwrap();
    let (ca, up, down) = (authority.ca(), format!("@{}", path("up")), path("down"));
    for version in ["1.2", "1.3"] {
        let arguments = ["--cacert", &ca, "--tls-max", version, "--data-binary", &up, "-o", &down];
        std::thread::scope(|scope| {
            let client = scope
                .spawn(|| https.curl("a.test", &[&arguments[..], &["-H", "Expect:"]].concat()));
            let mut conn = dyno.accept();
            let request = conn.take_request();
            assert!(request.body == body, "what came is not what was sent");
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n", body.len());
            conn.send([head.as_bytes(), b"Connection: close\r\n\r\n", &body].concat());
            client.join().unwrap();
        });
        assert!(std::fs::read(&down).unwrap() == body, "what came back is not what was sent");
    }
}

#[test]
fn a_body_that_is_cut_is_not_taken_for_a_whole_one() {
    let (authority, dyno) = (Authority::new("ours"), Dyno::new());
    let https = Https::proven(&authority.issue("a", &["a.test"]), &[]);
    https.router.app("blog", "a.test", &[&dyno.addr]);
    // The socket below is closed without TLS's own word for it.
    let script = "import socket, ssl, sys\n\
                  trust = ssl.create_default_context(cafile=sys.argv[2])\n\
                  raw = socket.create_connection(('127.0.0.1', int(sys.argv[1])))\n\
                  tls = trust.wrap_socket(raw, server_hostname='a.test')\n\
                  tls.sendall(b'POST / HTTP/1.1\\r\\nHost: a.test\\r\\n'\n\
                  \x20           b'Transfer-Encoding: chunked\\r\\n\\r\\n3\\r\\nabc\\r\\n')\n\
                  sys.stdin.readline()\n\
                  socket.socket(fileno=tls.detach()).shutdown(socket.SHUT_WR)\n\
                  sys.stdin.readline()\n";
    let mut client = python();
    client.args(["-c", script, &https.addr.port().to_string(), &authority.ca()]);
    let mut client = client.stdin(Stdio::piped()).spawn().unwrap();
    let mut conn = dyno.accept();
    conn.take_until("abc\r\n");
    client.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
    conn.take_end();
    let line = https.router.log.wait_for("code=H27");
    assert!(line.contains("status=499"), "{line}");
    drop(client.stdin.take());
    client.wait().unwrap();
}

#[test]
fn the_dyno_is_told_whose_the_clients_certificate_is() {
    let (authority, stranger, dyno) =
        (Authority::new("ours"), Authority::new("another"), Dyno::new());
    let ca = authority.ca();
    let (ci, other) = (authority.issue("ci", &["ci"]), stranger.issue("ci", &["ci"]));
    let https = Https::proven(
        &authority.issue("a", &["a.test"]),
        &[("HOSTLER_HTTPS_CLIENT_CA", &ca), ("HOSTLER_HTTP_TRUSTED_NETWORKS", "127.0.0.0/8")],
    );
    https.router.app("blog", "a.test", &[&dyno.addr]);
    let forged = ["-H", "X-Client-Cert-Subject: CN=root", "-H", "x-client_cert-subject: CN=root"];
    let subjects = |arguments: &[&str], plain: bool| {
        std::thread::scope(|scope| {
            let arguments = [&["--cacert", &ca], &forged[..], arguments].concat();
            let mut client = https.curling("a.test", &arguments);
            if plain {
                let url = format!("http://{}/", https.router.http);
                client = curl(&[&forged[..], &["-H", "Host: a.test", &url]].concat());
            }
            let client = scope.spawn(|| run(client));
            let mut conn = dyno.accept();
            let request = conn.take_request();
            let subjects = request.head.all("X-Client-Cert-Subject");
            let subjects: Vec<String> = subjects.into_iter().map(str::to_owned).collect();
            assert!(request.head.all("x-client_cert-subject").is_empty());
            conn.send("HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
            client.join().unwrap();
            subjects
        })
    };
    assert_eq!(subjects(&["--cert", &ci.cert, "--key", &ci.key], false), ["CN=ci"]);
    assert!(subjects(&[], false).is_empty(), "a client may have none");
    assert!(subjects(&[], true).is_empty(), "without TLS nobody has one");
    let arguments = ["--cacert", &ca, "--cert", &other.cert, "--key", &other.key];
    let refused = https.curling("a.test", &arguments).output().unwrap();
    assert!(!refused.status.success(), "{refused:?}");
    https.counts_failed("client_certificate", 1);
}

#[test]
fn a_client_without_a_certificate_is_turned_away_where_one_is_required() {
    let authority = Authority::new("ours");
    let (ca, ci) = (authority.ca(), authority.issue("ci", &["ci"]));
    let settings =
        [("HOSTLER_HTTPS_CLIENT_CA", &*ca), ("HOSTLER_HTTPS_CLIENT_CERT_REQUIRED", "true")];
    let https = Https::proven(&authority.issue("a", &["a.test"]), &settings);
    for version in ["1.2", "1.3"] {
        let arguments = ["--cacert", &ca, "--tls-max", version, "-w", "%{http_code}"];
        let bare = https.curling("a.test", &arguments).output().unwrap();
        assert!(!bare.status.success() && bare.stdout == b"000", "{bare:?}");
        let more = ["--cert", &ci.cert, "--key", &ci.key, "-o", "/dev/null"];
        assert_eq!(https.curl("a.test", &[&arguments[..], &more].concat()), "404");
    }
    https.counts_failed("client_certificate", 2);
    assert_eq!(https.router.get("a.test", "/").status(), 404, "plain HTTP knows no certificates");
}

#[test]
fn plain_http_is_redirected_for_an_app_that_says_so() {
    let dyno = Named::start("one");
    let https = Https::with(&[
        ("HOSTLER_HTTPS_PUBLIC_PORT", "8443"),
        ("HOSTLER_HTTP_TRUSTED_NETWORKS", "127.0.0.0/8"),
    ]);
    https.router.app("blog", "a.test", &[&dyno.addr]);
    https.router.app("shop", "b.test", &[&dyno.addr]);
    let settings = serde_json::json!({"settings": {"https.redirect": true}});
    https.router.write("PATCH", "/v1/apps/blog", settings);
    let mut conn = https.router.connect();
    for (host, target, location) in [
        ("a.test", "/x?y=%20z", "https://a.test:8443/x?y=%20z"),
        ("A.test:8080", "/", "https://A.test:8443/"),
        ("a.test", "http://a.test/abs", "https://a.test:8443/abs"),
    ] {
        let answer = conn.ask(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        assert_eq!(answer.status(), 308);
        assert_eq!(answer.head.get("Location"), Some(location));
    }
    let line = https.router.log.wait_for("code=https_redirect");
    assert!(line.contains("at=info") && line.contains("status=308"), "{line}");
    assert_eq!(conn.get("b.test", "/").status(), 200, "the other app says nothing");
    let forwarded = "GET / HTTP/1.1\r\nHost: a.test\r\nX-Forwarded-Proto: https\r\n\r\n";
    assert_eq!(conn.ask(forwarded).status(), 200, "who is in front says that it came over TLS");
    let shown = ["-k", "-w", "%{http_code}", "-o", "/dev/null"];
    assert_eq!(https.curl("a.test", &shown), "200");
    assert_eq!(dyno.requests(), 3);
}

#[test]
fn browsers_are_told_to_keep_to_tls() {
    let dyno = Dyno::new();
    let https = Https::with(&[]);
    https.router.app("blog", "a.test", &[&dyno.addr]);
    let settings = serde_json::json!({"settings": {
        "https.hsts": "8760h", "https.hsts_subdomains": true, "https.hsts_preload": true,
    }});
    https.router.write("PATCH", "/v1/apps/blog", settings);
    let own = "Strict-Transport-Security: max-age=5\r\n";
    let heads = |lines: &str, plain: bool| {
        std::thread::scope(|scope| {
            let client = scope.spawn(|| match plain {
                true => {
                    let answer = https.router.get("a.test", "/");
                    answer.head.get("Strict-Transport-Security").map(str::to_owned)
                }
                false => {
                    let text = https.curl("a.test", &["-k", "-i"]).to_lowercase();
                    let mut values =
                        text.lines().filter_map(|l| l.strip_prefix("strict-transport-security: "));
                    let value = values.next().map(str::to_owned);
                    assert_eq!(values.next(), None);
                    value
                }
            });
            let mut conn = dyno.accept();
            conn.take_request();
            conn.send(format!("HTTP/1.1 204 No Content\r\n{lines}Connection: close\r\n\r\n"));
            client.join().unwrap()
        })
    };
    let said = heads("", false);
    assert_eq!(said.as_deref(), Some("max-age=31536000; includesubdomains; preload"));
    assert_eq!(heads(own, false).as_deref(), Some("max-age=5"), "the dyno's own wins");
    assert_eq!(heads("", true), None, "not without TLS");
    // A fault of the app is told of by the router, to whom the setting is known as well.
    https.router.write("PATCH", "/v1/apps/blog", serde_json::json!({"maintenance": true}));
    let page = https.curl("a.test", &["-k", "-i"]);
    assert!(page.contains("503") && page.contains("max-age=31536000; includeSubDomains"), "{page}");
    let plain = https.router.get("a.test", "/");
    assert_eq!(plain.head.get("Strict-Transport-Security"), None);
}
