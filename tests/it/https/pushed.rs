//! Certificates that are pushed: each name meets its own, at once, and connections go on.

use serde_json::json;

use super::{CLOSE, Https};
use crate::harness::{
    Authority, Named,
    certs::Files,
    program::{python, run},
};

impl Https {
    fn push(&self, name: &str, files: &Files) {
        let text = |path: &str| std::fs::read_to_string(path).unwrap();
        let body = json!({"chain": text(&files.cert), "key": text(&files.key)});
        self.router.write("PUT", &format!("/v1/certs/{name}"), body);
    }

    /// What OpenSSL tells of a handshake for a name.
    fn meet(&self, name: &str, more: &[&str]) -> String {
        let arguments = [&["-servername", name, "-showcerts"], more].concat();
        self.openssl(&arguments, CLOSE)
    }
}

fn app(https: &Https, hosts: &[&str]) -> Named {
    let dyno = Named::start("one");
    https.router.app("blog", hosts[0], &[&dyno.addr]);
    for host in &hosts[1..] {
        https.router.write("PUT", &format!("/v1/apps/blog/routes/{host}"), json!({}));
    }
    dyno
}

#[test]
fn each_name_meets_its_own_certificate() {
    let https = Https::with(&[]);
    let _dyno = app(&https, &["a.test", "b.a.test", "c.a.test"]);
    let authority = Authority::new("ours");
    https.push("own", &authority.issue("own", &["a.test", "c.a.test"]));
    https.push("wild", &authority.issue("wild", &["*.a.test"]));
    let ca = authority.ca();
    for (host, name) in [("a.test", "own"), ("b.a.test", "wild"), ("c.a.test", "own")] {
        let met = https.meet(host, &["-CAfile", &ca, "-verify_return_error"]);
        assert!(met.contains(&format!("subject=CN = {name}\n")), "{host}: {met}");
        let status = ["--cacert", &ca, "-w", "%{http_code}", "-o", "/dev/null"];
        assert_eq!(https.curl(host, &status), "200", "{host}");
    }
    assert!(https.meet("d.test", &[]).contains("subject=CN = hostler.invalid\n"));
}

#[test]
fn a_certificate_is_swapped_while_connections_are_kept() {
    let https = Https::with(&[]);
    let _dyno = app(&https, &["a.test"]);
    let authority = Authority::new("ours");
    https.push("a", &authority.issue("first", &["a.test"]));
    let script = "import socket, ssl, sys\n\
                  trust = ssl.create_default_context(cafile=sys.argv[2])\n\
                  def connect():\n\
                  \x20   raw = socket.create_connection(('127.0.0.1', int(sys.argv[1])))\n\
                  \x20   return trust.wrap_socket(raw, server_hostname='a.test')\n\
                  def name(tls):\n\
                  \x20   return tls.getpeercert()['subject'][0][0][1]\n\
                  def status(tls):\n\
                  \x20   tls.sendall(b'GET / HTTP/1.1\\r\\nHost: a.test\\r\\n\\r\\n')\n\
                  \x20   seen = b''\n\
                  \x20   while b'one GET' not in seen: seen += tls.recv(4096)\n\
                  \x20   return seen[9:12].decode()\n\
                  kept = connect()\n\
                  print(status(kept), name(kept), flush=True)\n\
                  sys.stdin.readline()\n\
                  print(status(kept), name(connect()), flush=True)\n";
    let mut client = python();
    client.args(["-c", script, &https.addr.port().to_string(), &authority.ca()]);
    client.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
    let mut client = client.spawn().unwrap();
    let lines = crate::harness::lines::Lines::of(client.stdout.take().unwrap());
    assert_eq!(lines.wait_for("200"), "200 first");
    https.push("a", &authority.issue("second", &["a.test"]));
    drop(client.stdin.take());
    assert_eq!(lines.wait_for("second"), "200 second");
    client.wait().unwrap();
    https.router.delete("/v1/certs/a");
    assert!(https.meet("a.test", &[]).contains("subject=CN = hostler.invalid\n"));
}

#[test]
fn a_certificate_that_is_pushed_ahead_is_not_met_before_it_begins() {
    let authority = Authority::new("ours");
    let https = Https::proven(&authority.issue("default", &["c.test"]), &[]);
    for host in ["a.test", "b.test", "c.test"] {
        https.push(&format!("{host}-next"), &authority.issue_within("next", &[host], (2900, 2999)));
    }
    https.push("a", &authority.issue_within("now", &["a.test"], (2000, 2890)));
    let met = |host: &str| https.meet(host, &["-CAfile", &authority.ca()]);
    for (host, subject) in [("a.test", "now"), ("b.test", "next"), ("c.test", "default")] {
        let met = met(host);
        assert!(met.contains(&format!("subject=CN = {subject}\n")), "{host}: {met}");
    }
    assert!(met("a.test").contains("Verify return code: 0 (ok)"));
}

#[test]
fn the_client_gets_the_kind_of_key_that_it_can_check() {
    let https = Https::with(&[]);
    let folder = tempfile::tempdir().unwrap();
    for (name, kind) in
        [("rsa", &["rsa:2048"][..]), ("ec", &["ec", "-pkeyopt", "ec_paramgen_curve:P-256"])]
    {
        let path = |end: &str| folder.path().join(format!("{name}{end}")).display().to_string();
        let (cert, key, subject) = (path(".pem"), path(".key"), format!("/CN={name}"));
        let mut openssl = std::process::Command::new("openssl");
        openssl.args(["req", "-x509", "-nodes", "-days", "30", "-subj", &subject, "-newkey"]);
        openssl.args(kind).args(["-addext", "subjectAltName=DNS:a.test"]);
        run({
            openssl.args(["-keyout", &key, "-out", &cert]);
            openssl
        });
        https.push(name, &Files { cert, key });
    }
    for (more, name) in [
        (&["-tls1_3"][..], "ec"),
        (&["-tls1_3", "-sigalgs", "rsa_pss_rsae_sha256"], "rsa"),
        (&["-tls1_2"], "ec"),
        (&["-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256"], "rsa"),
    ] {
        let met = https.meet("a.test", more);
        assert!(met.contains(&format!("subject=CN = {name}\n")), "{more:?}: {met}");
    }
    https.router.delete("/v1/certs/ec");
    assert!(https.meet("a.test", &[]).contains("subject=CN = rsa\n"));
}

#[test]
fn a_connection_serves_the_names_of_its_certificate_and_no_others() {
    let https = Https::with(&[]);
    let _dyno = app(&https, &["a.test", "b.test", "c.test", "d.test"]);
    let authority = Authority::new("ours");
    https.push("ab", &authority.issue("ab", &["a.test", "b.test"]));
    https.push("c", &authority.issue("c", &["c.test"]));
    let ask = |name: &[&str], host: &str| {
        let request = CLOSE.replace("a.test", host);
        let seen = https.openssl(&[&["-quiet"], name].concat(), &request);
        seen.lines().next().unwrap_or_default().split(' ').nth(1).unwrap_or_default().to_owned()
    };
    for (name, host, status) in [
        (&["-servername", "a.test"][..], "a.test", "200"),
        (&["-servername", "a.test"], "b.test", "200"),
        (&["-servername", "a.test"], "c.test", "421"),
        (&["-servername", "a.test"], "d.test", "421"),
        // Over the certificate that proves nothing.
        (&["-servername", "d.test"], "d.test", "200"),
        (&["-servername", "d.test"], "a.test", "421"),
        (&["-noservername"], "d.test", "200"),
        (&["-noservername"], "c.test", "421"),
    ] {
        assert_eq!(ask(name, host), status, "{name:?} {host}");
    }
}
