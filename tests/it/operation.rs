//! Running it: how it ends, what it logs and counts, how it is set.
//!
//! Invariant: a router that is told to end does so by itself, with exit code 0.

use std::{collections::BTreeMap, fs};

use serde_json::{Value, json};

use crate::harness::{
    Conn, Dyno, End, Named, Router,
    frames::{block, frame, get},
    lines::steady,
    router::{command, serve},
    until,
};

const GET: &str = "GET /slow HTTP/1.1\r\nHost: a.test\r\n\r\n";

fn start(settings: &[(&str, &str)]) -> (Router, Dyno) {
    let (router, dyno) = (Router::with(settings), Dyno::new());
    router.app("one", "a.test", &[&dyno.addr]);
    (router, dyno)
}

/// A request that its dyno has and has not answered.
fn in_flight(router: &Router, dyno: &Dyno) -> (Conn, Conn) {
    let mut client = router.connect();
    client.send(GET);
    let mut conn = dyno.accept();
    conn.take_request();
    (client, conn)
}

fn is_refused(router: &Router) -> bool {
    std::net::TcpStream::connect(router.http).is_err()
}

#[test]
fn sigterm_lets_what_runs_finish_and_exits_with_0() {
    let (mut router, dyno) = start(&[]);
    let (mut client, mut conn) = in_flight(&router, &dyno);
    let mut idle = router.connect();
    assert_eq!(idle.get("no.test", "/").status(), 404);
    router.terminate();
    until("new connections are refused", || is_refused(&router));
    // Who waits for nothing is let go.
    assert_eq!(idle.take_end(), End::Closed);
    conn.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone");
    let answer = client.take_answer();
    assert_eq!(answer.text(), "done");
    assert_eq!(answer.head.get("connection"), Some("close"));
    assert_eq!(client.take_end(), End::Closed);
    assert!(router.wait().success());
    router.log.wait_for("path=\"/slow\"");
}

#[test]
fn a_body_that_is_on_its_way_is_finished_after_sigterm() {
    let (mut router, dyno) = start(&[]);
    let (mut client, mut conn) = in_flight(&router, &dyno);
    conn.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
    client.take_until("hello");
    router.terminate();
    until("new connections are refused", || is_refused(&router));
    conn.send("world");
    assert_eq!(client.take(5), b"world");
    assert!(router.wait().success());
}

#[test]
fn new_requests_are_served_in_the_grace_of_the_drain_while_readiness_fails() {
    let grace = [("HOSTLER_DRAIN_GRACE", "29s"), ("HOSTLER_DRAIN_DEADLINE", "30s")];
    let mut router = Router::with(&grace);
    let dyno = Named::start("one");
    router.app("one", "a.test", &[&dyno.addr]);
    router.terminate();
    let readiness = || router.call_with("", "GET", "/readyz", None);
    until("readiness fails", || readiness().status() == 503);
    assert_eq!(readiness().json, json!({"ready": false, "reasons": ["draining"]}));
    assert_eq!(router.get("a.test", "/").status(), 200);
    assert_eq!(router.call_with("", "GET", "/healthz", None).status(), 200);
    // A second signal ends it at once.
    router.terminate();
    assert!(router.wait().success());
}

#[test]
fn what_is_left_at_the_deadline_is_cut_and_the_exit_is_0() {
    let (mut router, dyno) = start(&[("HOSTLER_DRAIN_DEADLINE", "300ms")]);
    let (mut waiting, mut conn) = in_flight(&router, &dyno);
    let (mut cut, mut begun) = in_flight(&router, &dyno);
    begun.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
    cut.take_until("hello");
    router.terminate();
    assert_eq!(waiting.take_answer().verdict(), (503, "H24"));
    // Five of ten bytes: whoever counts knows that the answer was cut.
    cut.take_end();
    conn.take_end();
    assert!(router.wait().success());
    router.log.wait_for_many("at=error code=H24 desc=\"Forced close\"", 2);
}

#[test]
fn connections_in_the_accept_queue_are_served_at_the_end() {
    const HTTP2: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let first = [HTTP2, &frame(4, 0, 0, b""), &frame(1, 5, 1, &block(&get("a.test")))].concat();
    for h2c in ["false", "true"] {
        let (mut router, dyno) = (Router::with(&[("HOSTLER_HTTP_H2C", h2c)]), Named::start("one"));
        router.app("one", "a.test", &[&dyno.addr]);
        let pid = rustix::process::Pid::from_raw(router.pid().cast_signed()).unwrap();
        // So that all of them wait when it is told to end.
        rustix::process::kill_process(pid, rustix::process::Signal::STOP).unwrap();
        let speaks_http2 = |at: usize| h2c == "true" && at % 2 == 1;
        let mut clients: Vec<Conn> = (0..50).map(|_| router.connect()).collect();
        for (at, client) in clients.iter_mut().enumerate() {
            client.send(if speaks_http2(at) { &first } else { GET.as_bytes() });
        }
        router.terminate();
        rustix::process::kill_process(pid, rustix::process::Signal::CONT).unwrap();
        for (at, client) in clients.iter_mut().enumerate() {
            match speaks_http2(at) {
                true => drop(client.take_until("one GET / HTTP/1.1 0\n")),
                false => assert_eq!(client.take_answer().status(), 200),
            }
        }
        drop(clients);
        assert!(router.wait().success());
    }
}

#[test]
fn a_line_of_the_log_has_herokus_fields_in_their_order() {
    let (router, dyno) = (Router::start(), Named::start("one"));
    router.app("one", "a.test", &[&dyno.addr]);
    let mut client = router.connect();
    client.ask(
        "POST /a%20b?c=\"d\" HTTP/1.1\r\nHost: a.test\r\nX-Forwarded-For: 203.0.113.9\r\n\
         Content-Length: 2\r\n\r\nhi",
    );
    client.get("no.test", "/x");
    assert_eq!(
        steady(&router.log.wait_for("status=200")),
        "at=info method=POST path=\"/a%20b?c=\\\"d\\\"\" host=a.test request_id=# \
         fwd=\"203.0.113.9, 127.0.0.1\" dyno=web.1 connect=# service=# status=200 bytes=33 \
         protocol=http1.1 tls=false tls_version= queue=#"
    );
    assert_eq!(
        steady(&router.log.wait_for("status=404")),
        "at=error code=unknown_host desc=\"No such app\" method=GET path=\"/x\" host=no.test \
         request_id=# fwd=\"127.0.0.1\" dyno= connect= service= status=404 bytes= \
         protocol=http1.1 tls=false tls_version= queue="
    );
}

#[test]
fn a_log_in_json_has_one_object_a_line() {
    let router = Router::with(&[("HOSTLER_ACCESS_LOG", "json")]);
    let dyno = Named::start("one");
    router.app("one", "a.test", &[&dyno.addr]);
    router.get("a.test", "/x\"y\\z");
    router.get("no.test", "/");
    let lines = router.log.wait_for_many("{", 2);
    let parse = |line: &String| serde_json::from_str::<Value>(line).unwrap();
    let records: Vec<Value> = lines.iter().map(parse).collect();
    let by_status = |status: u16| records.iter().find(|r| r["status"] == status).unwrap();
    let served = by_status(200);
    assert_eq!((&served["app"], &served["dyno"]), (&json!("one"), &json!("web.1")));
    assert_eq!(served["path"], "/x\"y\\z");
    assert!(served["connect_ms"].is_u64() && served["service_ms"].is_u64(), "{served}");
    let fault = by_status(404);
    assert_eq!((&fault["code"], &fault["at"]), (&json!("unknown_host"), &json!("error")));
    assert!(fault["connect_ms"].is_null(), "{fault}");
}

#[test]
fn a_log_that_is_off_says_nothing() {
    let mut router = Router::with(&[("HOSTLER_ACCESS_LOG", "off")]);
    assert_eq!(router.get("no.test", "/").status(), 404);
    router.terminate();
    assert!(router.wait().success());
    assert_eq!(router.log.wait_for_end(), [""; 0]);
}

#[test]
fn series_of_apps_are_bounded() {
    let router = Router::with(&[("HOSTLER_METRICS_MAX_APPS", "2")]);
    let dyno = Named::start("one");
    for app in ["a", "b", "c", "d"] {
        router.app(app, &format!("{app}.test"), &[&dyno.addr]);
        assert_eq!(router.get(&format!("{app}.test"), "/").status(), 200);
    }
    router.get("no.test", "/");
    let series = |app: &str, status: &str| {
        router.metric(&format!("hostler_exchanges_total{{app=\"{app}\",status=\"{status}\"}}"))
    };
    // Each worker tells its counts by itself.
    let counted = || ["a", "b", "_other"].map(|app| series(app, "2xx"));
    until("all are counted", || counted() == [1.0, 1.0, 2.0]);
    assert_eq!((series("c", "2xx"), series("d", "2xx")), (0.0, 0.0));
    until("faults too", || series("_none", "4xx") == 1.0);
    assert_eq!(router.metric("hostler_faults_total{code=\"unknown_host\"}"), 1.0);
}

#[test]
fn check_tells_all_mistakes_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("hostler.toml");
    std::fs::write(&file, "[http]\nlisten = [\"here\"]\nlissen = []\n").unwrap();
    let output = command(&["check", "--timeouts-idle", "soon"])
        .env("HOSTLER_CONFIG", &file)
        .env("HOSTLER_WORKERS", "none")
        .env("HOSTLER_NO_SUCH", "1")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stderr).unwrap();
    for part in [
        "http.listen",
        "lissen",
        "HOSTLER_WORKERS",
        "HOSTLER_NO_SUCH",
        "--timeouts-idle",
        file.to_str().unwrap(),
    ] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    assert!(output.stdout.is_empty());
}

#[test]
fn a_flag_wins_over_the_environment_and_that_over_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("hostler.toml");
    std::fs::write(&file, "[http]\nvia = \"file\"\n[dynos]\nmax_attempts = 3\n").unwrap();
    let output = command(&["check", "--http-via", "flag"])
        .env("HOSTLER_CONFIG", &file)
        .env("HOSTLER_HTTP_VIA", "environment")
        .env("HOSTLER_TIMEOUTS_IDLE", "7s")
        .env("HOSTLER_ADMIN_TOKEN", "a-token-that-nobody-may-see")
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    for part in ["http.via = flag", "timeouts.idle = 7s", "dynos.max_attempts = 3"] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    assert!(!text.contains("nobody-may-see"), "{text}");
}

#[test]
fn serve_refuses_what_check_refuses() {
    let dir = tempfile::tempdir().unwrap();
    let output = serve(dir.path(), &[("HOSTLER_WORKERS", "0")]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains("HOSTLER_WORKERS"));
    assert!(!dir.path().join("lock").exists(), "nothing was touched");
}

#[test]
fn the_push_api_does_not_listen_in_the_clear_off_loopback() {
    let dir = tempfile::tempdir().unwrap();
    let output = serve(dir.path(), &[("HOSTLER_CONTROL_LISTEN", "0.0.0.0:0")]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("control.plaintext_off_loopback"), "{text}");
    let allowed = [
        ("HOSTLER_CONTROL_LISTEN", "0.0.0.0:0"),
        ("HOSTLER_CONTROL_PLAINTEXT_OFF_LOOPBACK", "true"),
    ];
    let router = Router::with(&allowed);
    assert!(router.control.ip().is_unspecified());
}

#[test]
fn a_wildcard_listener_takes_both_families_and_shows_mapped_addresses_as_ipv4() {
    let router = Router::with(&[("HOSTLER_HTTP_LISTEN", "[::]:0")]);
    let dyno = Dyno::new();
    router.app("one", "a.test", &[&dyno.addr]);
    let port = router.http.port();
    let mut client = Conn::from(std::net::TcpStream::connect(("127.0.0.1", port)).unwrap());
    client.send(GET);
    let head = dyno.accept().take_request().head;
    assert_eq!(head.get("x-forwarded-for"), Some("127.0.0.1"));
}

#[test]
fn more_connections_than_allowed_wait_until_there_is_room() {
    let router = Router::with(&[("HOSTLER_HTTP_MAX_CONNECTIONS", "1"), ("HOSTLER_WORKERS", "1")]);
    let mut first = router.connect();
    assert_eq!(first.get("no.test", "/").status(), 404);
    let mut second = router.connect();
    second.send("GET / HTTP/1.1\r\nHost: no.test\r\n\r\n");
    // The first is served on, the second not yet.
    assert_eq!(first.get("no.test", "/").status(), 404);
    assert!(!second.has_input());
    drop(first);
    assert_eq!(second.take_answer().status(), 404);
}

#[test]
fn the_threads_of_the_control_plane_give_way_to_the_workers() {
    let router = Router::start();
    router.ready();
    let tasks = fs::read_dir(format!("/proc/{}/task", router.pid())).unwrap();
    let niceness: BTreeMap<String, i32> = tasks
        .filter_map(|task| {
            // Some threads end soon.
            let stat = fs::read_to_string(task.ok()?.path().join("stat")).ok()?;
            let (named, rest) = stat.rsplit_once(')')?;
            // Field 19 (proc_pid_stat(5)); what follows the name begins with field 3.
            let niceness = rest.split_whitespace().nth(19 - 3)?.parse().ok()?;
            Some((named.split_once('(')?.1.to_owned(), niceness))
        })
        .collect();
    let workers = niceness["worker-0"];
    for name in ["control", "health", "hub", "notices"] {
        assert_eq!(niceness[name], (workers + 5).min(19), "{name} in {niceness:?}");
    }
}
