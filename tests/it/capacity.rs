//! Requests that wait for a place on a dyno: who goes when, who is turned away, and what ends a
//! wait.
//!
//! Invariant: who waits is counted by the router before the next step, so that the order in which
//! clients came is the one in which the test sent them.

use std::{
    future::poll_fn,
    net::TcpListener,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::harness::{
    Conn, Dyno, H2, Named, Router,
    h2::get,
    lines::{millis, steady},
    until,
};

/// An answer behind which the connection ends, so that each request comes on one of its own.
const DONE: &str = "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n";

/// How much a time may be off that the router measures in milliseconds.
const TICK: Duration = Duration::from_millis(2);

/// An app with one dyno that takes one exchange at a time.
struct Narrow {
    router: Router,
    dyno: Dyno,
    clients: Vec<Conn>,
}

impl Narrow {
    fn with(settings: serde_json::Value) -> Narrow {
        let (router, dyno) = (Router::with(&[("HOSTLER_HTTP_H2C", "true")]), Dyno::new());
        router.app("one", "a.test", &[&dyno.addr]);
        let narrow = Narrow { router, dyno, clients: Vec::new() };
        narrow.set(json!({"dynos.max_in_flight": 1}));
        narrow.set(settings);
        narrow
    }

    fn set(&self, settings: serde_json::Value) {
        self.router.write("PATCH", "/v1/apps/one", json!({ "settings": settings }));
    }

    /// A client asks for `/` and its number.
    fn ask(&mut self) {
        let mut client = self.router.connect();
        client.send(format!("GET /{} HTTP/1.1\r\nHost: a.test\r\n\r\n", self.clients.len()));
        self.clients.push(client);
    }

    fn waiting(&self) -> u64 {
        let told = self.router.call("GET", "/v1/apps/one/stats", None).json;
        told["waiting"].as_u64().unwrap_or_else(|| panic!("{told}"))
    }

    fn until_waiting(&self, count: u64) {
        until(&format!("{count} wait"), || self.waiting() == count);
    }

    /// One client has its request on the dyno, and `count` wait behind it.
    fn fill(&mut self, count: u64) -> Conn {
        self.ask();
        let mut conn = self.dyno.accept();
        assert_eq!(conn.take_request().head.line, "GET /0 HTTP/1.1");
        for waiting in 1..=count {
            self.ask();
            self.until_waiting(waiting);
        }
        assert!(self.dyno.is_idle(), "a second one is on the dyno");
        conn
    }

    /// The dyno answers; whose request comes next.
    fn next(&self, conn: &mut Conn) -> String {
        conn.send(DONE);
        *conn = self.dyno.accept();
        let line = conn.take_request().head.line;
        assert!(self.dyno.is_idle(), "a second one is on the dyno");
        line
    }

    fn order(&mut self, count: u64) -> Vec<String> {
        let mut conn = self.fill(count);
        let order = (0..count).map(|_| self.next(&mut conn)).collect();
        conn.send(DONE);
        for client in &mut self.clients {
            assert_eq!(client.take_answer().status(), 204);
        }
        order
    }
}

fn lines(numbers: &[u64]) -> Vec<String> {
    numbers.iter().map(|number| format!("GET /{number} HTTP/1.1")).collect()
}

#[test]
fn the_first_to_wait_is_the_first_to_go_and_the_wait_is_logged() {
    let mut narrow = Narrow::with(json!({"queue.lifo_after": "1h"}));
    assert_eq!(narrow.order(4), lines(&[1, 2, 3, 4]));
    let line = narrow.router.log.wait_for("path=\"/4\"");
    assert!(millis(&line, "queue").is_some_and(|ms| ms > 0), "{line}");
    let line = narrow.router.log.wait_for("path=\"/0\"");
    assert!(line.ends_with(" queue=0ms"), "{line}");
    let counted = || narrow.router.metric("hostler_queue_seconds_count");
    until("the waits are counted", || counted() == 5.0);
}

#[test]
fn under_overload_the_last_to_come_goes_first() {
    let mut narrow = Narrow::with(json!({"queue.lifo_after": "0s"}));
    assert_eq!(narrow.order(4), lines(&[4, 3, 2, 1]));
}

#[test]
fn once_the_line_has_stood_for_as_long_again_the_last_to_come_goes_first_until_it_is_empty() {
    const AFTER: Duration = Duration::from_millis(100);
    let mut narrow = Narrow::with(json!({"queue.lifo_after": "100ms"}));
    let passes = || {
        let began = Instant::now();
        until("the oldest has waited for that long", || began.elapsed() > AFTER + TICK);
    };
    let mut conn = narrow.fill(2);
    assert_eq!(narrow.next(&mut conn), "GET /1 HTTP/1.1", "nobody has waited for long");
    passes();
    // Who comes now sees that the oldest waits for too long, who comes later that it still does.
    narrow.ask();
    narrow.until_waiting(2);
    passes();
    narrow.ask();
    narrow.until_waiting(3);
    let order = [(); 3].map(|()| narrow.next(&mut conn));
    assert_eq!(order.to_vec(), lines(&[4, 3, 2]));
    for waiting in 1..=2 {
        narrow.ask();
        narrow.until_waiting(waiting);
    }
    assert_eq!([(); 2].map(|()| narrow.next(&mut conn)).to_vec(), lines(&[5, 6]));
}

#[test]
fn a_wait_is_told_apart_from_what_connecting_and_the_dyno_took() {
    let mut narrow = Narrow::with(json!({}));
    let mut conn = narrow.fill(0);
    let asked = Instant::now();
    narrow.ask();
    narrow.until_waiting(1);
    let seen = Instant::now();
    until("it has waited for a while", || seen.elapsed() > Duration::from_millis(150));
    let waited = seen.elapsed();
    assert_eq!(narrow.next(&mut conn), "GET /1 HTTP/1.1");
    conn.send(DONE);
    assert_eq!(narrow.clients[1].take_answer().status(), 204);
    let whole = asked.elapsed();
    let line = narrow.router.log.wait_for("path=\"/1\"");
    let [queue, connect, service] =
        ["queue", "connect", "service"].map(|part| millis(&line, part).expect("it is told"));
    let ms = |time: Duration| time.as_millis() as u64;
    assert!(queue >= ms(waited), "{line}, of {waited:?}");
    // Each may be told as a millisecond more than it was.
    assert!(queue + connect + service <= ms(whole) + 3, "{line}, of {whole:?}");
    let told = narrow.router.call("GET", "/v1/apps/one/stats", None).json;
    let longest = told["figures"]["recent"]["queue"]["p99_ms"].as_f64().unwrap();
    let range = ms(waited) as f64 * 15.0 / 16.0..=ms(whole) as f64 * 17.0 / 16.0;
    assert!(range.contains(&longest), "{longest} in {range:?}");
}

#[test]
fn who_finds_the_line_full_is_turned_away_at_once() {
    let mut narrow = Narrow::with(json!({"queue.max": 2}));
    let mut conn = narrow.fill(2);
    narrow.ask();
    assert_eq!(narrow.clients[3].take_answer().verdict(), (503, "H11"));
    let line = steady(&narrow.router.log.wait_for("code=H11"));
    assert!(line.contains(" dyno= connect= service= status=503 bytes="), "{line}");
    assert!(!line.contains("cause="), "{line}");
    // One goes, and there is room for one.
    assert_eq!(narrow.next(&mut conn), "GET /1 HTTP/1.1");
    narrow.ask();
    narrow.until_waiting(2);
}

#[test]
fn who_waited_for_as_long_as_it_may_is_told() {
    let mut narrow = Narrow::with(json!({"queue.timeout": "100ms"}));
    let _conn = narrow.fill(0);
    narrow.ask();
    assert_eq!(narrow.clients[1].take_answer().verdict(), (503, "H11"));
    let line =
        narrow.router.log.wait_for("code=H11 desc=\"Backlog too deep\" cause=\"queue timeout\"");
    assert!(millis(&line, "queue").is_some_and(|ms| ms >= 100), "{line}");
    assert_eq!(narrow.waiting(), 0);
}

#[test]
fn who_leaves_waits_no_longer_and_its_place_goes_on() {
    let mut narrow = Narrow::with(json!({}));
    let mut conn = narrow.fill(2);
    narrow.clients.remove(1).reset();
    narrow.until_waiting(1);
    assert_eq!(narrow.next(&mut conn), "GET /2 HTTP/1.1");
    let line = narrow.router.log.wait_for("path=\"/1\"");
    assert!(line.contains("code=H27") && line.contains(" dyno= "), "{line}");
    assert!(millis(&line, "queue").is_some(), "{line}");
}

#[test]
fn a_stream_that_is_reset_waits_no_longer_and_others_of_its_connection_go_on() {
    let mut narrow = Narrow::with(json!({}));
    let mut conn = narrow.fill(0);
    let client = H2::connect(narrow.router.http);
    let mut first = client.begin(get("a.test", "/first"), true);
    client.turn();
    narrow.until_waiting(1);
    let second = client.begin(get("a.test", "/second"), true);
    client.turn();
    narrow.until_waiting(2);
    first.body.send_reset(h2::Reason::CANCEL);
    client.turn();
    narrow.until_waiting(1);
    assert_eq!(narrow.next(&mut conn), "GET /second HTTP/1.1");
    conn.send(DONE);
    assert_eq!(client.answer(second).unwrap().head.status(), 204);
}

#[test]
fn a_place_is_free_before_the_client_has_the_last_of_the_answer_and_may_ask_again() {
    // As much as a client of HTTP/2 takes that says nothing of it.
    const WINDOW: usize = 65_535;
    let mut narrow = Narrow::with(json!({"queue.max": 0}));
    let client = H2::connect(narrow.router.http);
    let mut call = client.begin(get("a.test", "/slow"), true);
    client.turn();
    let mut conn = narrow.dyno.accept();
    conn.take_request();
    conn.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", WINDOW + 10));
    conn.send("x".repeat(WINDOW));
    let mut body = client.head(&mut call).unwrap().into_body();
    let mut taken = 0;
    while taken < WINDOW {
        taken += client.wait(poll_fn(|cx| body.poll_data(cx))).unwrap().unwrap().len();
    }
    narrow.ask();
    assert_eq!(narrow.clients[0].take_answer().verdict(), (503, "H11"), "the dyno is at work");
    conn.send("the rest.\n");
    let in_flight =
        || narrow.router.call("GET", "/v1/apps/one/stats", None).json["in_flight"].clone();
    until("the place is free", || in_flight() == 0);
    narrow.ask();
    let mut other = narrow.dyno.accept();
    other.take_request();
    other.send(DONE);
    assert_eq!(narrow.clients[1].take_answer().status(), 204);
    body.flow_control().release_capacity(WINDOW).unwrap();
    assert_eq!(client.rest(body).unwrap().0, b"the rest.\n");
    let line = narrow.router.log.wait_for("path=\"/slow\"");
    assert!(line.contains(" status=200 bytes=65545"), "{line}");
}

#[test]
fn a_place_is_free_before_the_client_is_told_of_a_fault() {
    let narrow = Narrow::with(json!({"queue.max": 0}));
    // It takes no byte of a body.
    let client = H2::with(narrow.router.http, h2::client::Builder::new().initial_window_size(0));
    let mut call = client.begin(get("a.test", "/"), true);
    client.turn();
    // Which is sent a second time.
    for _ in 0..2 {
        let mut conn = narrow.dyno.accept();
        conn.take_request();
        conn.reset();
    }
    assert_eq!(client.head(&mut call).unwrap().status(), 503);
    assert_eq!(narrow.router.call("GET", "/v1/apps/one/stats", None).json["in_flight"], 0);
    let told = narrow.router.log.all();
    assert!(!told.iter().any(|line| line.contains("code=")), "its page is still on its way");
}

/// A dyno that answers everything and notes how many requests it had at a time.
struct Counting {
    addr: String,
    most: Arc<AtomicUsize>,
}

impl Counting {
    fn start() -> Counting {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap().to_string();
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let counting = Counting { addr, most: most.clone() };
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (now, most) = (now.clone(), most.clone());
                thread::spawn(move || {
                    let mut conn = Conn::from(stream);
                    while conn.take_or_end(1).is_some() {
                        conn.take_until("\r\n\r\n");
                        most.fetch_max(now.fetch_add(1, SeqCst) + 1, SeqCst);
                        thread::yield_now();
                        now.fetch_sub(1, SeqCst);
                        if conn.try_send(b"HTTP/1.1 204 No Content\r\n\r\n").is_err() {
                            return;
                        }
                    }
                });
            }
        });
        counting
    }
}

#[test]
fn two_workers_never_have_more_on_a_dyno_than_it_may_have_and_forget_nobody() {
    let (router, dynos) = (Router::start(), [Counting::start(), Counting::start()]);
    router.app("one", "a.test", &[&dynos[0].addr, &dynos[1].addr]);
    let bounds = json!({"settings": {"dynos.max_in_flight": 1, "queue.lifo_after": "5ms"}});
    router.write("PATCH", "/v1/apps/one", bounds);
    thread::scope(|scope| {
        for _ in 0..12 {
            scope.spawn(|| {
                for _ in 0..100 {
                    // Another connection now and then, that another worker may accept.
                    let mut client = router.connect();
                    for _ in 0..5 {
                        assert_eq!(client.get("a.test", "/").status(), 204);
                    }
                }
            });
        }
    });
    let most = dynos.each_ref().map(|dyno| dyno.most.load(SeqCst));
    assert_eq!(most, [1, 1]);
    let told = router.call("GET", "/v1/apps/one/stats", None).json;
    assert_eq!((&told["waiting"], &told["in_flight"]), (&json!(0), &json!(0)), "{told}");
}

#[test]
fn the_bound_of_the_app_is_for_all_its_dynos() {
    let mut narrow = Narrow::with(json!({"dynos.max_in_flight": 0, "limits.in_flight": 1}));
    let other = json!({"addr": narrow.dyno.addr});
    narrow.router.write("PUT", "/v1/apps/one/dynos/web.2", other);
    let mut conn = narrow.fill(1);
    assert_eq!(narrow.next(&mut conn), "GET /1 HTTP/1.1");
}

#[test]
fn a_paused_app_holds_all_and_lets_them_go_together() {
    let (router, dyno) = (Router::start(), Named::start("one"));
    router.app("one", "a.test", &[&dyno.addr]);
    let pause = |on: bool| json!({"settings": {"queue.paused": on}});
    router.write("PATCH", "/v1/apps/one", pause(true));
    let mut clients: Vec<_> = (0..50).map(|_| router.connect()).collect();
    for client in &mut clients {
        client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    }
    let stats = || router.call("GET", "/v1/apps/one/stats", None).json;
    until("all wait", || stats()["waiting"] == 50);
    let told = router.call("POST", "/v1/explain", Some(json!({"host": "a.test"}))).json;
    assert_eq!(told["outcome"]["verdict"], "hold", "{told:#}");
    assert_eq!(dyno.requests(), 0);
    router.write("PATCH", "/v1/apps/one", pause(false));
    for client in &mut clients {
        assert_eq!(client.take_answer().status(), 200);
    }
    let short = json!({"settings": {"queue.paused": true, "queue.timeout": "50ms"}});
    router.write("PATCH", "/v1/apps/one", short);
    assert_eq!(router.get("a.test", "/").verdict(), (503, "H83"));
    let line = router.log.wait_for("code=H83");
    assert!(line.starts_with("at=info code=H83 desc=\"Planned Service Degradation\" "), "{line}");
}

#[test]
fn maintenance_answers_who_waits() {
    let mut narrow = Narrow::with(json!({}));
    let _conn = narrow.fill(1);
    narrow.router.write("PATCH", "/v1/apps/one", json!({"maintenance": true}));
    assert_eq!(narrow.clients[1].take_answer().verdict(), (503, "H80"));
}

#[test]
fn a_push_that_takes_the_awaited_dyno_away_or_brings_another_ends_the_wait() {
    let mut narrow = Narrow::with(json!({}));
    let mut conn = narrow.fill(2);
    let other = Named::start("other");
    narrow.router.write("PUT", "/v1/apps/one/dynos/web.2", json!({"addr": other.addr}));
    for at in [1, 2] {
        assert_eq!(narrow.clients[at].take_answer().head.get("x-dyno"), Some("other"));
    }
    narrow.router.delete("/v1/apps/one/dynos/web.2");
    narrow.ask();
    narrow.until_waiting(1);
    narrow.router.delete("/v1/apps/one/dynos/web.1");
    assert_eq!(narrow.clients[3].take_answer().verdict(), (503, "H14"));
    // What is under way is not cut.
    conn.send(DONE);
    assert_eq!(narrow.clients[0].take_answer().status(), 204);
}

#[test]
fn a_place_on_a_dyno_that_drains_is_nobodys() {
    let mut narrow = Narrow::with(json!({}));
    let mut conn = narrow.fill(1);
    narrow.router.set_state("one", "web.1", "draining");
    assert_eq!(narrow.clients[1].take_answer().verdict(), (503, "H14"));
    conn.send(DONE);
    assert_eq!(narrow.clients[0].take_answer().status(), 204);
    assert!(narrow.dyno.is_idle());
}

#[test]
fn a_bound_that_is_raised_lets_go_and_one_that_is_lowered_holds() {
    let mut narrow = Narrow::with(json!({}));
    let mut first = narrow.fill(2);
    narrow.set(json!({"dynos.max_in_flight": 2}));
    let mut second = narrow.dyno.accept();
    assert_eq!(second.take_request().head.line, "GET /1 HTTP/1.1");
    assert_eq!(narrow.waiting(), 1);
    narrow.set(json!({"dynos.max_in_flight": 1}));
    first.send(DONE);
    assert_eq!(narrow.clients[0].take_answer().status(), 204);
    // The place of the first is one too many.
    let told = || narrow.router.call("GET", "/v1/apps/one/stats", None).json["in_flight"].clone();
    until("it is given up", || told() == 1);
    assert!(narrow.dyno.is_idle() && narrow.waiting() == 1);
    assert_eq!(narrow.next(&mut second), "GET /2 HTTP/1.1");
}

#[test]
fn who_waits_when_the_router_drains_is_served_and_at_the_end_told() {
    let mut narrow = Narrow::with(json!({}));
    let mut conn = narrow.fill(2);
    narrow.router.terminate();
    narrow.router.said.wait_for("draining, for at most");
    assert_eq!(narrow.next(&mut conn), "GET /1 HTTP/1.1");
    // A second signal is the end of all patience.
    narrow.router.terminate();
    let answer = narrow.clients[2].take_answer();
    assert_eq!(answer.verdict(), (503, "H24"));
    assert!(narrow.router.wait().success());
}
