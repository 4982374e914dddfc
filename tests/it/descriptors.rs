//! Open files: what takes them, and what happens when none is left.
//!
//! Invariant: whoever is served already is served on, and so is the control listener.

use std::process::Command;

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};

use crate::harness::{
    Conn, Dyno, Named, Router,
    router::{self, TOKEN},
    until,
};

/// The router's own answer to a host of nobody's: whoever gets it has a connection.
fn is_connected(client: &mut Conn) -> bool {
    client.get("no.test", "/").status() == 404
}

#[test]
fn a_full_descriptor_table_pauses_accepting_and_says_so() {
    let router = Router::with(&[("HOSTLER_WORKERS", "1")]);
    let mut before = router.connect();
    assert!(is_connected(&mut before));
    let pid = Pid::from_raw(router.pid().cast_signed());
    // What is open stays open; nothing is opened beside it.
    let limit = Rlimit { current: Some(3), ..getrlimit(Resource::Nofile) };
    // The control listener has its connection before.
    let mut control = router.connect_control();
    let ask = "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n";
    assert_eq!(control.ask(ask).status(), 200);
    let limit = prlimit(pid, Resource::Nofile, limit).unwrap();
    let mut waiting = router.connect();
    waiting.send("GET / HTTP/1.1\r\nHost: no.test\r\n\r\n");
    router.said.wait_for("accepting pauses for 100ms: ");
    assert!(is_connected(&mut before), "who is there is served");
    assert_eq!(control.ask(ask).status(), 200, "and so is the control listener");
    // A flood of nobody's making: it says so now and then.
    let _waits = router.connect_control();
    router.said.wait_for(NOBODY);
    assert!(!waiting.has_input());
    // They go on to try as often as that, and do not say it each time.
    let before = pauses(&mut control);
    until("they have tried again", || pauses(&mut control) >= before + 4.0);
    for line in ["accepting pauses for 100ms: ", NOBODY] {
        assert_eq!(router.said.all().iter().filter(|said| said.contains(line)).count(), 1);
    }
    prlimit(pid, Resource::Nofile, limit).unwrap();
    assert_eq!(waiting.take_answer().status(), 404);
    until("it is counted", || {
        router.metric("hostler_accept_pauses_total{reason=\"descriptors\"}") >= 1.0
    });
}

/// How often accepting has paused, by a connection that is there.
fn pauses(control: &mut Conn) -> f64 {
    let ask = format!("GET /metrics HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {TOKEN}\r\n\r\n");
    let page = control.ask(ask).text();
    let name = "hostler_accept_pauses_total{reason=\"descriptors\"} ";
    page.lines().find_map(|line| line.strip_prefix(name)).unwrap().parse().unwrap()
}

const NOBODY: &str = "the control listener accepts nobody for 100ms: ";

/// Bodies that waited for slow readers once took all files for their pipes.
#[test]
fn pipes_for_large_bodies_leave_files_for_whoever_comes() {
    let dir = tempfile::tempdir().unwrap();
    let serve = router::serve(dir.path(), &[("HOSTLER_WORKERS", "1")]);
    let mut limited = Command::new("sh");
    limited.args(["-c", "ulimit -n 256 && exec \"$@\"", "sh"]);
    let router = Router::by(router::through(limited, &serve));
    let (dyno, other) = (Dyno::new(), Named::start("two"));
    router.app("one", "a.test", &[&dyno.addr]);
    router.app("two", "b.test", &[&other.addr]);
    let body = vec![b'x'; 1 << 20];
    let slow: Vec<_> = (0..60)
        .map(|_| {
            let mut client = router.connect_small();
            client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
            let mut conn = dyno.accept();
            conn.take_request();
            conn.send("HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n");
            let silence = std::time::Duration::from_millis(20);
            conn.send_until_blocked(&body, 50 << 20, silence);
            (client, conn)
        })
        .collect();
    until("all pipes are in use", || router.metric("hostler_pipes_short_total") > 0.0);
    assert_eq!(router.get("b.test", "/").status(), 200);
    assert_eq!(router.call("GET", "/readyz", None).status(), 200);
    let files = std::fs::read_dir(format!("/proc/{}/fd", router.pid())).unwrap().count();
    assert!(files < 240, "{files}");
    drop(slow);
}
