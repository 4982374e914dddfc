//! The push API over TLS: to real clients, to clients that err, and to what is no client at all.
//!
//! Invariants: certificates are made by the test that needs them; what is promised of TLS is shown
//! by programs that share no code with the router: curl, OpenSSL and Python.

use std::{fs, process::Output};

use serde_json::{Value, json};

use crate::harness::{
    Authority, Conn, Named, Router,
    certs::Files,
    program::{curl, python, run},
    router::{TOKEN, command, serve},
    until,
};

/// Names of the machine that the tests run on.
const HERE: &[&str] = &["127.0.0.1", "localhost"];

/// A router whose control listener has that certificate.
fn start(files: &Files, more: &[(&str, &str)]) -> Router {
    let tls = [
        ("HOSTLER_CONTROL_TLS_CERT", files.cert.as_str()),
        ("HOSTLER_CONTROL_TLS_KEY", files.key.as_str()),
    ];
    Router::with(&[&tls, more].concat())
}

fn url(router: &Router, path: &str) -> String {
    format!("https://{}{path}", router.control)
}

/// What curl gets, which trusts the authority and proves itself as `more` says.
fn ask(router: &Router, ca: &str, more: &[&str], path: &str) -> std::process::Command {
    let bearer = format!("Authorization: Bearer {TOKEN}");
    curl(&[&["--cacert", ca, "-H", &bearer], more, &[&url(router, path)]].concat())
}

fn json_of(command: std::process::Command) -> Value {
    serde_json::from_slice(&run(command)).unwrap()
}

/// A client command.
fn hostler(url: &str, arguments: &[&str]) -> Output {
    command(arguments).env("HOSTLER_URL", url).env("HOSTLER_TOKEN", TOKEN).output().unwrap()
}

/// The message of a client command that does not reach the push API.
fn unreached(url: &str, arguments: &[&str]) -> String {
    let output = hostler(url, arguments);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn curl_and_python_push_a_route_over_tls() {
    let (authority, dyno) = (Authority::new("ours"), Named::start("one"));
    let router = start(&authority.issue("router", HERE), &[]);
    let put = |path: &str, body: Value| {
        let body = body.to_string();
        let more = ["-X", "PUT", "-H", "Content-Type: application/json", "-d", &body];
        json_of(ask(&router, &authority.ca(), &more, path))
    };
    put("/v1/apps/blog", json!({}));
    put("/v1/apps/blog/routes/a.test", json!({}));
    let receipt = put("/v1/apps/blog/dynos/web.1", json!({"addr": dyno.addr}));
    assert_eq!(receipt["revision"], 3);
    assert_eq!(router.get("a.test", "/").status(), 200);

    // One connection for three calls, and HTTP/1.1 agreed on where HTTP/2 is offered too.
    let shown = ["-o", "/dev/null", "-w", "%{http_version} %{http_code} %{num_connects},"];
    let paths = "/v1/apps/blog?x=[1-3]";
    let seen = run(ask(&router, &authority.ca(), &shown, paths));
    assert_eq!(String::from_utf8(seen).unwrap(), "1.1 400 1,1.1 400 0,1.1 400 0,");

    let script = "import httpx, ssl, sys\n\
                  url, ca, token = sys.argv[1:]\n\
                  trust = ssl.create_default_context(cafile=ca)\n\
                  with httpx.Client(verify=trust, trust_env=False) as client:\n\
                  \x20   headers = {'Authorization': f'Bearer {token}'}\n\
                  \x20   for _ in range(2):\n\
                  \x20       answer = client.get(url, headers=headers)\n\
                  \x20   print(answer.status_code, answer.json()['name'])\n";
    let mut client = python();
    client.args(["-c", script, &url(&router, "/v1/apps/blog"), &authority.ca(), TOKEN]);
    assert_eq!(String::from_utf8(run(client)).unwrap(), "200 blog\n");
}

#[test]
fn tls_1_2_and_1_3_are_spoken_and_nothing_older() {
    let authority = Authority::new("ours");
    let router = start(&authority.issue("router", HERE), &[]);
    let addr = router.control.to_string();
    let ca = authority.ca();
    let hello = |version: &str| {
        let mut client = std::process::Command::new("openssl");
        client.args(["s_client", "-connect", &addr, "-CAfile", &ca, "-verify_return_error"]);
        // OpenSSL itself would not offer what is too old.
        client.args([version, "-cipher", "DEFAULT:@SECLEVEL=0", "-brief"]);
        let output = client.stdin(std::process::Stdio::null()).output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    for (version, name) in [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")] {
        let (done, said) = hello(version);
        assert!(done && said.contains(&format!("Protocol version: {name}")), "{said}");
        assert!(said.contains("Verification: OK"), "{said}");
    }
    for version in ["-tls1", "-tls1_1"] {
        let (done, said) = hello(version);
        assert!(!done && said.contains(" alert "), "{version}: {said}");
    }
    assert_eq!(failed_handshakes(&router, &ca), 2.0);
}

fn failed_handshakes(router: &Router, ca: &str) -> f64 {
    let text = String::from_utf8(run(ask(router, ca, &[], "/metrics"))).unwrap();
    let name = "hostler_control_handshakes_failed_total ";
    text.lines().find_map(|line| line.strip_prefix(name)).unwrap().parse().unwrap()
}

#[test]
fn client_commands_work_over_tls() {
    let (authority, dyno) = (Authority::new("ours"), Named::start("one"));
    // What the commands read stands in the router's environment, too.
    let ca = authority.ca();
    let router = start(&authority.issue("router", HERE), &[("HOSTLER_CA", &ca)]);
    let url = url(&router, "");
    for arguments in [
        &["apps", "create", "blog"][..],
        &["domains", "add", "blog", "a.test"],
        &["dynos", "add", "blog", "web.1", &dyno.addr],
        &["diff", "1"],
        &["history"],
        &["table", "export"],
        &["tokens"],
    ] {
        let output = hostler(&url, &[arguments, &["--ca", &ca]].concat());
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        assert!(!output.stdout.is_empty(), "{arguments:?}");
    }
    assert_eq!(router.get("a.test", "/").status(), 200);
    let by_variable = command(&["apps"])
        .envs([("HOSTLER_URL", &url), ("HOSTLER_CA", &ca)])
        .env("HOSTLER_TOKEN", TOKEN)
        .output()
        .unwrap();
    assert!(String::from_utf8(by_variable.stdout).unwrap().contains("blog"));
}

#[test]
fn a_client_command_says_what_is_wrong_with_tls() {
    let ours = Authority::new("ours");
    let router = start(&ours.issue("router", HERE), &[]);
    let https = url(&router, "");
    // One that is renewed with a new key keeps its name, too.
    for other in [Authority::new("foreign"), Authority::new("ours")] {
        let text = unreached(&https, &["apps", "--ca", &other.ca()]);
        assert!(text.contains("not of an authority that is trusted"), "{text}");
        assert!(text.contains("--ca") && text.contains("HOSTLER_CA"), "{text}");
    }

    let elsewhere = start(&ours.issue("elsewhere", &["hub.test", "10.0.0.1"]), &[]);
    let text = unreached(&url(&elsewhere, ""), &["apps", "--ca", &ours.ca()]);
    assert!(text.contains("is for hub.test, 10.0.0.1, not for"), "{text}");

    let past = start(&ours.issue_until("past", HERE, 2001), &[]);
    let said = past.said.wait_for("no client will trust the certificate");
    assert!(said.contains("it ended on Mon, 01 Jan 2001 00:00:00 GMT"), "{said}");
    let text = unreached(&url(&past, ""), &["apps", "--ca", &ours.ca()]);
    assert!(text.contains("has ended (Mon, 01 Jan 2001 00:00:00 GMT)"), "{text}");

    let http = format!("http://{}", router.control);
    let output = hostler(&http, &["apps"]);
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(1) && text.contains("https://"), "{text}");
    let plain = Router::start();
    let text = unreached(&url(&plain, ""), &["apps", "--ca", &ours.ca()]);
    assert!(text.contains("what came is not TLS") && text.contains("http://"), "{text}");

    for (arguments, part) in [
        (&["--ca", "/nowhere.pem"][..], "/nowhere.pem cannot be read"),
        (&["--client-cert", &ours.ca()], "both --client-cert and --client-key"),
    ] {
        let output = hostler(&https, &[&["apps"], arguments].concat());
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(2) && text.contains(part), "{text}");
    }
    let output = hostler(&http, &["apps", "--ca", &ours.ca()]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}

#[test]
fn a_clients_certificate_is_asked_for_checked_and_told_in_the_history() {
    let (ours, foreign) = (Authority::new("ours"), Authority::new("foreign"));
    let (files, ca) = (ours.issue("router", HERE), ours.ca());
    let ci = ours.issue("ci", &["ci.test"]);
    let router = start(&files, &[("HOSTLER_CONTROL_TLS_CLIENT_CA", &ca)]);
    let proved = ["--cert", &ci.cert, "--key", &ci.key];
    let put = ["-X", "PUT", "-H", "Content-Type: application/json", "-d", "{}"];
    json_of(ask(&router, &ca, &[&put[..], &proved].concat(), "/v1/apps/one"));
    // It is optional, but not a false one.
    json_of(ask(&router, &ca, &put, "/v1/apps/two"));
    let history = json_of(ask(&router, &ca, &[], "/v1/history"));
    assert_eq!(history["items"][1]["address"], "127.0.0.1 (CN=ci)");
    assert_eq!(history["items"][0]["address"], "127.0.0.1");
    let arguments = |files: &Files| {
        ["apps", "--ca", &ca, "--client-cert", &files.cert, "--client-key", &files.key]
            .map(str::to_owned)
    };
    let run = |url: &str, files: &Files| {
        let arguments = arguments(files);
        hostler(url, &arguments.each_ref().map(String::as_str))
    };
    for other in [foreign, Authority::new("ours")] {
        let refused = run(&url(&router, ""), &other.issue("stranger", &["ci.test"]));
        let text = String::from_utf8(refused.stderr).unwrap();
        assert_eq!(refused.status.code(), Some(3), "{text}");
        assert!(text.contains("does not take our certificate"), "{text}");
        assert!(text.contains("control.tls_client_ca"), "{text}");
    }
    let past = ours.issue_until("past", &["ci.test"], 2001);
    let refused = run(&url(&router, ""), &past);
    let text = String::from_utf8(refused.stderr).unwrap();
    assert!(text.contains("it has ended or not begun"), "{text}");

    let required = ("HOSTLER_CONTROL_TLS_CLIENT_REQUIRED", "true");
    let router = start(&files, &[("HOSTLER_CONTROL_TLS_CLIENT_CA", &ca), required]);
    let text = unreached(&url(&router, ""), &["apps", "--ca", &ca]);
    assert!(text.contains("clients that prove themselves with a certificate"), "{text}");
    assert!(text.contains("HOSTLER_CLIENT_CERT"), "{text}");
    let output = run(&url(&router, ""), &ci);
    assert!(output.status.success(), "{output:?}");
    // The same without TLS 1.3, where the client learns it within the handshake.
    let older = ["--tls-max", "1.2", "-o", "/dev/null"];
    let mut without = ask(&router, &ca, &older, "/healthz");
    assert!(!without.output().unwrap().status.success());
    json_of(ask(&router, &ca, &[&["--tls-max", "1.2"], &proved[..]].concat(), "/v1/apps"));
}

#[test]
fn what_does_not_speak_tls_is_told_or_closed_and_holds_up_nobody() {
    let authority = Authority::new("ours");
    let (router, ca) = (start(&authority.issue("router", HERE), &[]), authority.ca());
    let mut silent: Vec<Conn> = (0..200).map(|_| router.connect_control()).collect();
    let mut plain = router.connect_control();
    let answer = plain.ask("GET /v1/apps HTTP/1.1\r\nHost: hub.test\r\n\r\n");
    assert_eq!(answer.status(), 400);
    assert_eq!(answer.head.get("content-type"), Some("application/problem+json"));
    let problem: Value = serde_json::from_slice(&answer.body).unwrap();
    assert!(problem["detail"].as_str().unwrap().contains("https://"), "{problem}");
    plain.take_end();
    for garbage in [&b"\0\0\0\0"[..], b"\x16garbage that is no hello", b"\x16\x03\x01\xff\xff"] {
        let mut conn = router.connect_control();
        conn.send(garbage);
        conn.shut_write();
        // An alert may come, then the end.
        conn.take_all();
    }
    // A hello that stops half way, and one that never begins, end with the handshake's time.
    let mut halved = router.connect_control();
    halved.send(b"\x16\x03\x01\x01\x00\x01");
    json_of(ask(&router, &ca, &[], "/v1/apps"));
    halved.take_all();
    silent[0].take_all();
    drop(silent);
    json_of(ask(&router, &ca, &[], "/v1/apps"));
    until("each is counted", || failed_handshakes(&router, &ca) >= 6.0);
}

#[test]
fn handshakes_that_stand_still_hold_up_nobody() {
    let authority = Authority::new("ours");
    let (router, ca) = (start(&authority.issue("router", HERE), &[]), authority.ca());
    let halved: Vec<Conn> = (0..300)
        .map(|_| {
            let mut conn = router.connect_control();
            conn.send(b"\x16\x03\x01\x01\x00\x01");
            conn
        })
        .collect();
    run(curl(&["--cacert", &ca, &url(&router, "/healthz")]));
    assert!(!halved.iter().any(Conn::has_input), "it is answered while all of them stand");
}

#[test]
fn renewed_files_are_taken_and_broken_ones_are_not() {
    let (authority, next) = (Authority::new("ours"), Authority::new("next"));
    let files = authority.issue("router", HERE);
    let router = start(&files, &[]);
    let served = |by: &Authority| {
        ask(&router, &by.ca(), &["-o", "/dev/null"], "/healthz").output().unwrap().status.success()
    };
    assert!(served(&authority) && !served(&next));
    fs::write(&files.key, "no key\n").unwrap();
    let said = router.said.wait_for("old certificate stays");
    assert!(said.contains(&files.key) && said.contains("no private key"), "{said}");
    assert!(served(&authority));
    // A connection that is open goes on.
    let renewed = next.issue("renewed", HERE);
    fs::rename(&renewed.key, &files.key).unwrap();
    fs::rename(&renewed.cert, &files.cert).unwrap();
    router.said.wait_for_many("control speaks TLS with", 2);
    assert!(served(&next) && !served(&authority));
}

#[test]
fn an_rsa_key_of_either_form_is_taken() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).into_os_string().into_string().unwrap();
    let openssl = |arguments: &[&str]| {
        let mut command = std::process::Command::new("openssl");
        command.args(arguments);
        run(command);
    };
    let (cert, key, old) = (path("cert.pem"), path("new.key"), path("old.key"));
    let names = "subjectAltName=IP:127.0.0.1";
    let request = ["req", "-x509", "-newkey", "rsa:2048", "-noenc", "-subj", "/CN=router"];
    openssl(&[&request[..], &["-addext", names, "-keyout", &key, "-out", &cert]].concat());
    openssl(&["rsa", "-in", &key, "-traditional", "-out", &old]);
    assert!(fs::read_to_string(&old).unwrap().contains("BEGIN RSA PRIVATE KEY"));
    for key in [key, old] {
        let files = Files { cert: cert.clone(), key };
        json_of(ask(&start(&files, &[]), &cert, &[], "/v1/apps"));
    }
}

#[test]
fn a_start_without_a_usable_certificate_says_why() {
    let authority = Authority::new("ours");
    let (one, other) = (authority.issue("one", HERE), authority.issue("other", HERE));
    let dir = tempfile::tempdir().unwrap();
    let refused = |code: i32, settings: &[(&str, &str)]| {
        let output = serve(dir.path(), settings).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let (cert, key) = ("HOSTLER_CONTROL_TLS_CERT", "HOSTLER_CONTROL_TLS_KEY");
    let text = refused(2, &[(cert, &one.cert)]);
    assert!(text.contains("control.tls_key is not given"), "{text}");
    let text = refused(2, &[("HOSTLER_CONTROL_TLS_CLIENT_CA", &one.cert)]);
    assert!(text.contains("control.tls_cert"), "{text}");
    let required = ("HOSTLER_CONTROL_TLS_CLIENT_REQUIRED", "true");
    let text = refused(2, &[(cert, &one.cert), (key, &one.key), required]);
    assert!(text.contains("control.tls_client_ca"), "{text}");
    let text = refused(1, &[(cert, &one.cert), (key, &other.key)]);
    assert!(text.contains(&other.key) && text.contains("not that of the first"), "{text}");
    let text = refused(1, &[(cert, "/nowhere.pem"), (key, &one.key)]);
    assert!(text.contains("/nowhere.pem cannot be read"), "{text}");
    assert!(!dir.path().join("lock").exists(), "nothing was touched");
}

#[test]
fn off_loopback_tls_needs_no_leave_and_ends_in_order() {
    let authority = Authority::new("ours");
    let any = ("HOSTLER_CONTROL_LISTEN", "0.0.0.0:0");
    let mut router = start(&authority.issue("router", HERE), &[any]);
    let port = router.control.port();
    let here = format!("https://127.0.0.1:{port}/readyz");
    let ready = json_of(curl(&["--cacert", &authority.ca(), &here]));
    assert_eq!(ready["ready"], true);
    // A kept connection does not hold up the end.
    let mut kept = std::process::Command::new("openssl");
    let addr = format!("127.0.0.1:{port}");
    kept.args(["s_client", "-connect", &addr, "-CAfile", &authority.ca(), "-quiet"]);
    kept.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
    let mut kept = kept.stderr(std::process::Stdio::null()).spawn().unwrap();
    let said = crate::harness::lines::Lines::of(kept.stdout.take().unwrap());
    let request = b"GET /healthz HTTP/1.1\r\nHost: hub.test\r\n\r\n";
    std::io::Write::write_all(kept.stdin.as_mut().unwrap(), request).unwrap();
    said.wait_for("HTTP/1.1 200 OK");
    router.terminate();
    assert!(router.wait().success());
    said.wait_for_end();
    // It ends with the connection.
    kept.wait().unwrap();
}
