//! A router that carries as much as it may: it turns away what is new at once, keeps what it has,
//! and says so.
//!
//! Invariant: what is promised of the control listener is asked while the overload lasts.

use serde_json::json;

use crate::harness::{
    Conn, Dyno, H2, Named, Router,
    program::python,
    router::{serve, through},
    until,
};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const GET: &str = "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";

fn begin(router: &Router, dyno: &Dyno) -> (Conn, Conn) {
    let mut client = router.connect();
    client.send(GET);
    let mut conn = dyno.accept();
    conn.take_request();
    (client, conn)
}

fn ready(router: &Router) -> (u16, String) {
    let reply = router.call("GET", "/readyz", None);
    (reply.status(), reply.json["reasons"].to_string())
}

fn is_overloaded(router: &Router, cause: &str) -> bool {
    router.metric(&format!("hostler_overloaded{{cause=\"{cause}\"}}")) == 1.0
}

#[test]
fn with_as_many_exchanges_as_there_may_be_new_ones_are_turned_away_until_some_end() {
    let router = Router::with(&[("HOSTLER_LIMITS_EXCHANGES", "3")]);
    let dyno = Dyno::new();
    router.app("one", "a.test", &[&dyno.addr]);
    let mut held: Vec<_> = (0..3).map(|_| begin(&router, &dyno)).collect();
    until("they are counted", || router.metric("hostler_exchanges_open") == 3.0);
    let mut client = router.connect();
    let answer = client.ask(GET);
    assert_eq!(answer.verdict(), (503, "overloaded"), "{answer:?}");
    assert_eq!(answer.head.get("retry-after"), Some("1"));
    until("it is said", || {
        assert_eq!(client.ask(GET).verdict(), (503, "overloaded"));
        is_overloaded(&router, "exchanges") && ready(&router).0 == 503
    });
    let (_, reasons) = ready(&router);
    assert!(reasons.contains("3 exchanges are in flight, as limits.exchanges allows"), "{reasons}");
    router.said.wait_for("overloaded: 3 exchanges are in flight");
    // Pushes go on, and so do the exchanges.
    router.write("PUT", "/v1/apps/two", json!({}));
    assert!(dyno.is_idle());
    for (client, conn) in &mut held {
        conn.send(OK);
        assert_eq!(client.take_answer().text(), "ok");
    }
    until("the overload is over", || ready(&router).0 == 200);
    router.said.wait_for("over: overloaded: 3 exchanges are in flight");
    assert!(!is_overloaded(&router, "exchanges"));
    // Their connections to the dyno are kept: one of them takes the next.
    client.send(GET);
    until("the dyno hears of it", || {
        held.iter().any(|(_, conn)| conn.has_input()) || !dyno.is_idle()
    });
}

#[test]
fn with_more_memory_than_it_may_have_nothing_begins_until_it_has_less() {
    // More than the router keeps of what it was told, whatever the table is then.
    const ROOM: usize = 80 << 20;
    let resident = Router::start().resident();
    let bound = (resident + ROOM).to_string();
    // Whatever waits does for as long as the pushes take.
    let waits = ["HOSTLER_TIMEOUTS_FIRST_BYTE", "HOSTLER_TIMEOUTS_KEEP_ALIVE"];
    let [first_byte, keep_alive] = waits.map(|name| (name, "10m"));
    let settings = [("HOSTLER_LIMITS_MEMORY", &bound[..]), first_byte, keep_alive];
    let router = Router::with(&settings);
    let (dyno, other) = (Dyno::new(), Named::start("two"));
    router.app("one", "a.test", &[&dyno.addr]);
    router.app("two", "b.test", &[&other.addr]);
    let (mut held, mut conn) = begin(&router, &dyno);
    assert_eq!(router.get("b.test", "/").status(), 200);
    // The table alone is more than there is room for.
    let page = "x".repeat(64 << 10);
    let rounds = ROOM * 5 / 4 / page.len() / 50;
    push(&router, rounds, "PUT", &json!({"pages": {"error": {"html": page}}}));
    until("memory is short", || is_overloaded(&router, "memory"));
    assert_eq!(router.get("b.test", "/").verdict(), (503, "overloaded"));
    // Nor does a head get more memory that does not come whole.
    let answer = router.connect().ask("GET / HTTP/1.1\r\nHost: b.te");
    assert_eq!(answer.verdict(), (503, "overloaded"));
    assert_eq!(answer.head.get("retry-after"), Some("1"));
    let (status, reasons) = ready(&router);
    assert!(status == 503 && reasons.contains("bytes of limits.memory"), "{reasons}");
    router.said.wait_for("overloaded: the process has more than");
    assert!(router.metric("hostler_resident_memory_bytes") > resident as f64);
    conn.send(OK);
    assert_eq!(held.take_answer().text(), "ok");
    let (answered, before) = (router.call("GET", "/v1/revision", None).status(), other.requests());
    assert_eq!((answered, before), (200, 1));
    let mut idle = pile_up(&router);
    assert!(is_overloaded(&router, "memory"), "it lasts as long as the table");
    push(&router, rounds, "DELETE", &json!(null));
    until("what was freed is given back", || ready(&router).0 == 200);
    assert!(!is_overloaded(&router, "memory"));
    router.said.wait_for("over: overloaded: the process has more than");
    assert!(idle.iter_mut().all(|client| client.get("b.test", "/").status() == 200));
}

/// More connections than are accepted while memory is short.
fn pile_up(router: &Router) -> Vec<Conn> {
    let idle = (0..300).map(|_| router.connect()).collect();
    let metric = "hostler_accept_pauses_total{reason=\"memory\"}";
    until("accepting pauses", || router.metric(metric) > 0.0);
    assert!(router.metric("hostler_connections_open") <= 2.0 * 64.0);
    router.said.wait_for("the process has more than limits.memory");
    idle
}

/// Does the same to 50 apps, so many times.
fn push(router: &Router, rounds: usize, method: &str, body: &serde_json::Value) {
    for round in 0..rounds {
        let path = |i: usize| format!("/apps/p{round}-{i}");
        let op = |i| json!({"method": method, "path": path(i), "body": body});
        let ops: Vec<_> = (0..50).map(op).collect();
        let reply = router.call("POST", "/v1/transactions", Some(json!({"ops": ops})));
        assert_eq!(reply.status(), 200, "pushes go on");
    }
}

#[test]
fn where_memory_is_short_a_connection_ends_with_its_answer() {
    let settings = [("HOSTLER_LIMITS_MEMORY", "1"), ("HOSTLER_HTTP_H2C", "true")];
    let (router, dyno) = (Router::with(&settings), Dyno::new());
    router.app("one", "a.test", &[&dyno.addr]);
    until("memory is short", || is_overloaded(&router, "memory"));
    let answer = router.connect().ask(GET);
    assert_eq!(answer.verdict(), (503, "overloaded"));
    assert_eq!(answer.head.get("connection"), Some("close"));
    // GOAWAY says it over HTTP/2.
    let client = H2::connect(router.http);
    assert_eq!(client.get("a.test", "/").head.status().as_u16(), 503);
    client.end().unwrap();
}

/// Holds a thread of the router by ptrace for as long as somebody writes to a FIFO. The tracer is
/// its child and allowed by it, so that it may wherever ptrace is there.
const HOLD: &str = r#"
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long] * 4
SEIZE, INTERRUPT, DETACH, WALL, DEATH_SIGNAL, ALLOW = 0x4206, 0x4207, 17, 0x40000000, 1, 0x59616D61
router = os.getpid()
os.mkfifo(sys.argv[1])
tracer = os.fork()
if tracer != 0:
    libc.prctl(ALLOW, tracer, 0, 0, 0)
    os.execv(sys.argv[2], sys.argv[2:])
libc.prctl(DEATH_SIGNAL, 9, 0, 0, 0)
os.dup2(os.open(os.devnull, os.O_RDWR), 1)
fifo = open(sys.argv[1])
tasks = f"/proc/{router}/task"
name = lambda task: open(f"{tasks}/{task}/comm").read().strip()
held = next(int(task) for task in os.listdir(tasks) if name(task) == "worker-0")
for request in (SEIZE, INTERRUPT):
    if libc.ptrace(request, held, 0, 0) != 0:
        sys.exit(f"ptrace: {os.strerror(ctypes.get_errno())}")
os.dup2(1, 2)
os.waitpid(held, WALL)
fifo.read()
libc.ptrace(DETACH, held, 0, 0)
os._exit(0)
"#;

#[test]
fn a_worker_that_stands_still_is_named_until_it_turns() {
    let dir = tempfile::tempdir().unwrap();
    let fifo = dir.path().join("held");
    let mut holding = python();
    holding.args(["-c", HOLD]).arg(&fifo);
    let settings = [("HOSTLER_TIMEOUTS_WORKER_STALL", "500ms")];
    let router = Router::by(through(holding, &serve(&dir.path().join("data"), &settings)));
    assert_eq!((router.ready().status(), router.metric("hostler_workers_stalled")), (200, 0.0));
    let held = std::fs::OpenOptions::new().write(true).open(fifo).unwrap();
    until("it is seen", || ready(&router).0 == 503);
    let (_, reasons) = ready(&router);
    assert!(reasons.contains("worker-0 has stood still"), "{reasons}");
    assert_eq!(router.metric("hostler_workers_stalled"), 1.0);
    // The other one serves, and so does the control listener.
    router.write("PUT", "/v1/apps/one", json!({}));
    drop(held);
    until("it turns", || ready(&router) == (200, "[]".to_owned()));
    router.said.wait_for("over: worker-0 has stood still");
    assert_eq!(router.metric("hostler_workers_stalled"), 0.0);
    assert_eq!(router.get("no.test", "/").status(), 404);
}
