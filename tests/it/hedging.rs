//! A request whose dyno is slow to answer, and the second dyno that gets it too: who serves it,
//! what becomes of the other, and which requests only ever go to one.
//!
//! Invariants: all requests have one key, so that it is certain which dyno gets them first; what is
//! not sent is waited for by a request of another app that came later, is hedged as late, and went
//! to its second dyno.

mod bounds;

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::{
    dyno_protocols::frames::Frames,
    harness::{
        Conn, Dyno, H2, Router, closed_port,
        frames::{END_STREAM, kind},
        h2::get,
        until,
    },
};

const GET: &str = "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
/// What ends the connection, too.
const DONE: &str = "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n";
const AFTER: &str = "20ms";

/// An app with two dynos.
struct Rig {
    router: Router,
    /// Gets every request first.
    slow: Dyno,
    /// What it is called.
    name: &'static str,
    quick: Dyno,
    witness: [Dyno; 2],
}

impl Rig {
    /// With these settings of the app beside those of its hedges.
    fn with(settings: Value) -> Rig {
        let rig = Rig::start(&[("HOSTLER_DYNOS_HEDGE_AFTER", AFTER)]);
        rig.set(settings);
        rig
    }

    fn start(settings: &[(&str, &str)]) -> Rig {
        let common = [("HOSTLER_WORKERS", "1"), ("HOSTLER_HTTP_H2C", "true")];
        let router = Router::with(&[&common, settings].concat());
        let (one, two, witness) = (Dyno::new(), Dyno::new(), [(); 2].map(|()| Dyno::new()));
        router.app("one", "a.test", &[&one.addr, &two.addr]);
        router.app("witness", "b.test", &witness.each_ref().map(|dyno| dyno.addr.as_str()));
        // One key: that of the client's address.
        let keyed = json!({"balance.algorithm": "hash", "balance.bound": 0});
        let mut rig = Rig { router, slow: one, name: "web.1", quick: two, witness };
        rig.set(keyed);
        rig.set(json!({"dynos.hedge_after": "0s"}));
        let mut client = rig.router.connect();
        client.send(GET);
        until("one of them is asked", || rig.slow.has_caller() || rig.quick.has_caller());
        if rig.quick.has_caller() {
            (rig.slow, rig.quick) = (rig.quick, rig.slow);
            rig.name = "web.2";
        }
        let mut dyno = rig.slow.accept();
        dyno.take_request();
        dyno.send(DONE);
        assert_eq!(client.take_answer().status(), 204);
        rig.set(json!({"dynos.hedge_after": null}));
        rig
    }

    fn set(&self, settings: Value) {
        self.router.write("PATCH", "/v1/apps/one", json!({ "settings": settings }));
    }

    /// A client asks, and the first dyno has it: their ends.
    fn ask(&self, request: &str) -> (Conn, Conn) {
        let mut client = self.router.connect();
        client.send(request);
        (client, take(&self.slow))
    }

    /// The second has it too.
    fn hedged(&self) -> (Conn, Conn, Conn) {
        let (client, slow) = self.ask(GET);
        (client, slow, take(&self.quick))
    }

    /// What comes to be sent to a second dyno only now came later than all that was asked before.
    fn outwait(&self) {
        let mut client = self.router.connect();
        client.send("GET / HTTP/1.1\r\nHost: b.test\r\n\r\n");
        let mut conns = self.witness.each_ref().map(take);
        conns[0].send(DONE);
        assert_eq!(client.take_answer().status(), 204);
        conns[1].take_end();
    }

    /// The request goes to one dyno alone.
    fn is_not_hedged(&self, request: &str) {
        let (mut client, mut slow) = self.ask(request);
        self.outwait();
        assert!(self.quick.is_idle(), "it was hedged: {request}");
        slow.send(DONE);
        assert_eq!(client.take_head().status(), 204);
        self.is_settled();
    }

    /// Nothing is in flight.
    fn is_settled(&self) {
        until("nothing is in flight", || {
            let told = self.stats();
            let dynos = told["dynos"].as_array().unwrap();
            let count = |of: &Value| of["in_flight"].as_u64().unwrap();
            count(&told) == 0 && dynos.iter().all(|dyno| count(dyno) == 0)
        });
    }

    fn stats(&self) -> Value {
        self.router.call("GET", "/v1/apps/one/stats", None).json
    }

    /// How many were sent, and how many served.
    fn is_counted(&self, [sent, won]: [u64; 2]) {
        let counted = |name: &str, count: u64| self.router.metric(name) == count as f64;
        until("it is in the metrics", || {
            counted("hostler_hedges_total", sent)
                && counted("hostler_hedges_won_total", won)
                && counted("hostler_app_hedges_total{app=\"one\"}", sent)
                && counted("hostler_app_hedges_won_total{app=\"one\"}", won)
        });
        let told = self.stats();
        let is_slow = |dyno: &&Value| dyno["name"] == self.name;
        let slow = told["dynos"].as_array().unwrap().iter().find(is_slow).unwrap();
        for figures in [&told["figures"], &slow["figures"]] {
            let counts = [&figures["hedges"], &figures["hedges_won"]];
            assert_eq!(counts, [&json!(sent), &json!(won)], "{told:#}");
        }
        assert_eq!(self.router.metric("hostler_retries_total"), 0.0);
    }

    fn only_the_witness_is_counted(&self) {
        assert_eq!(self.router.metric("hostler_app_hedges_total{app=\"one\"}"), 0.0);
        until("those of the other are", || self.router.metric("hostler_hedges_total") >= 1.0);
    }

    fn other_name(&self) -> &'static str {
        if self.name == "web.1" { "web.2" } else { "web.1" }
    }
}

fn take(dyno: &Dyno) -> Conn {
    let mut conn = dyno.accept();
    conn.take_request();
    conn
}

#[test]
fn the_quicker_second_dyno_serves_and_the_first_is_broken_off() {
    let rig = Rig::with(json!({}));
    let (mut client, mut slow, mut quick) = rig.hedged();
    assert_eq!(rig.stats()["in_flight"], 2);
    quick.send(OK);
    assert_eq!(client.take_answer().text(), "ok");
    slow.take_end();
    rig.is_settled();
    let line = rig.router.log.wait_for("hedge=won");
    assert!(line.contains(&format!(" dyno={} ", rig.other_name())), "{line}");
    assert!(line.starts_with("at=info ") && line.contains(" status=200 bytes=2 "), "{line}");
    rig.is_counted([1, 1]);
    // It says nothing ill of the slow one.
    let told = rig.stats();
    assert!(told["dynos"].as_array().unwrap().iter().all(|dyno| dyno["past"] == json!([])));
    assert_eq!(told["figures"]["faults"], json!({}));
    // Both connections that are there go on.
    client.send(GET);
    let mut slow = take(&rig.slow);
    quick.take_request();
    slow.send(OK);
    assert_eq!(client.take_answer().text(), "ok");
}

#[test]
fn the_first_dyno_serves_if_it_answers_first_after_all() {
    let rig = Rig::with(json!({}));
    let (mut client, mut slow, mut quick) = rig.hedged();
    slow.send(OK);
    assert_eq!(client.take_answer().text(), "ok");
    quick.take_end();
    rig.is_settled();
    let line = rig.router.log.wait_for("hedge=lost");
    assert!(line.contains(&format!(" dyno={} ", rig.name)), "{line}");
    rig.is_counted([1, 0]);
    client.send(GET);
    slow.take_request();
}

#[test]
fn the_place_of_who_lost_is_free_before_the_client_has_anything() {
    let rig = Rig::with(json!({}));
    for second_wins in [true, false] {
        let (mut client, slow, quick) = rig.hedged();
        let (mut won, mut lost) = if second_wins { (quick, slow) } else { (slow, quick) };
        won.send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n");
        assert_eq!(client.take_head().status(), 200);
        assert_eq!(rig.stats()["in_flight"], 1);
        lost.take_end();
        won.send("ok");
        assert_eq!(client.take(2), b"ok");
        rig.is_settled();
    }
}

#[test]
fn a_dyno_that_lost_does_not_look_quick() {
    let rig = Rig::with(json!({}));
    let latency = |name: &str| {
        let told = rig.stats();
        let dynos = told["dynos"].as_array().unwrap().clone();
        dynos.iter().find(|dyno| dyno["name"] == name).unwrap()["latency_ms"]
            .as_f64()
            .unwrap_or(0.0)
    };
    let before = latency(rig.name);
    let (mut client, slow, mut quick) = rig.hedged();
    quick.send(DONE);
    assert_eq!(client.take_answer().status(), 204);
    drop(slow);
    rig.is_settled();
    // It was waited for as long as a hedge takes to be sent, at least.
    let after = latency(rig.name);
    assert!(after > before && after > 1.0, "{before} {after}");
}

#[test]
fn a_small_body_and_a_head_alone_go_to_both() {
    let rig = Rig::with(json!({}));
    let put = "PUT / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\n\r\nhello";
    let (mut client, mut slow) = rig.ask(put);
    let mut quick = rig.quick.accept();
    assert_eq!(quick.take_request().text(), "hello");
    quick.send(DONE);
    assert_eq!(client.take_answer().status(), 204);
    slow.take_end();
    let (mut client, mut slow) = rig.ask("HEAD / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    let mut quick = take(&rig.quick);
    quick.send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n");
    let head = client.take_head();
    assert_eq!((head.status(), head.length()), (200, Some(9)));
    slow.take_end();
    rig.is_settled();
}

#[test]
fn a_client_that_leaves_ends_both() {
    let rig = Rig::with(json!({}));
    let (client, mut slow, mut quick) = rig.hedged();
    client.reset();
    slow.take_end();
    quick.take_end();
    rig.is_settled();
    let line = rig.router.log.wait_for("code=H27");
    assert!(line.ends_with(" hedge=lost"), "{line}");
    rig.is_counted([1, 0]);
}

#[test]
fn if_one_breaks_the_other_goes_on_alone() {
    let rig = Rig::with(json!({}));
    let (mut client, slow, mut quick) = rig.hedged();
    slow.reset();
    until("its place is free", || rig.stats()["in_flight"] == 1);
    quick.send(OK);
    assert_eq!(client.take_answer().text(), "ok");
    rig.router.log.wait_for("hedge=won");
    let (mut client, mut slow) = rig.ask(GET);
    quick.take_request();
    drop(quick);
    until("its place is free", || rig.stats()["in_flight"] == 1);
    slow.send(OK);
    assert_eq!(client.take_answer().text(), "ok");
    rig.router.log.wait_for("hedge=lost");
    rig.is_settled();
    rig.is_counted([2, 1]);
    // Each is told of the dyno that it was, and no client saw one.
    let told = rig.stats();
    let faults = |name: &str| {
        let dynos = told["dynos"].as_array().unwrap();
        dynos.iter().find(|dyno| dyno["name"] == name).unwrap()["figures"]["faults"].clone()
    };
    assert_eq!(faults(rig.name), json!({"H18": 1}));
    assert_eq!(faults(rig.other_name()), json!({"H13": 1}));
    assert_eq!(told["figures"]["faults"], json!({}));
}

#[test]
fn if_both_break_it_is_not_sent_a_third_time() {
    let rig = Rig::with(json!({}));
    for second_is_last in [false, true] {
        let (mut client, slow, quick) = rig.hedged();
        let (first, last) = if second_is_last { (slow, quick) } else { (quick, slow) };
        first.reset();
        until("one place is free", || rig.stats()["in_flight"] == 1);
        drop(last);
        assert_eq!(client.take_answer().verdict(), (503, "H13"));
        assert!(rig.slow.is_idle() && rig.quick.is_idle());
        rig.is_settled();
    }
    rig.is_counted([2, 0]);
    rig.router.log.wait_for_many("hedge=lost", 2);
}

#[test]
fn a_second_dyno_that_closes_late_is_at_fault_on_a_kept_connection_too() {
    let rig = Rig::with(json!({"health.eject_faults": 1}));
    let (mut client, mut slow, mut quick) = rig.hedged();
    quick.send(OK);
    assert_eq!(client.take_answer().text(), "ok");
    slow.take_end();
    client.send(GET);
    let mut slow = take(&rig.slow);
    quick.take_request();
    // Longer than a close and a request take to meet.
    std::thread::sleep(Duration::from_millis(100));
    drop(quick);
    rig.router.said.wait_for("a dyno is ejected: faults in a row: 1, the last H13");
    slow.send(OK);
    assert_eq!(client.take_answer().text(), "ok");
}

#[test]
fn a_second_dyno_that_refuses_changes_nothing() {
    let rig = Rig::with(json!({"dynos.quarantine": "1h"}));
    let closed = closed_port();
    let other = format!("/v1/apps/one/dynos/{}", rig.other_name());
    rig.router.write("PUT", &other, json!({"addr": closed.addr}));
    let (mut client, mut slow) = rig.ask(GET);
    until("it refused", || rig.router.metric("hostler_dyno_connect_failures_total") == 1.0);
    until("its place is free", || rig.stats()["in_flight"] == 1);
    slow.send(DONE);
    assert_eq!(client.take_answer().status(), 204);
    // In quarantine it is not asked for more.
    rig.is_not_hedged(GET);
    assert_eq!(rig.router.metric("hostler_dyno_connect_failures_total"), 1.0);
    let lines = rig.router.log.wait_for_many("host=a.test", 3);
    assert!(lines.iter().all(|line| !line.contains("hedge=")), "{lines:?}");
}

#[test]
fn a_bad_answer_of_the_second_counts_only_if_the_first_has_none() {
    const BAD: &str = "HTTP/1.1 503 Busy\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbusy";
    const LIMITED: &str = "HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n\r\n";
    const SWITCH: &str = "HTTP/1.1 101 On\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n";
    let rig = Rig::with(json!({}));
    for bad in [BAD, LIMITED, SWITCH] {
        let (mut client, mut slow, mut quick) = rig.hedged();
        quick.send(bad);
        rig.outwait();
        assert!(!client.has_input(), "{:?}", client.take_answer());
        slow.send(DONE);
        assert_eq!(client.take_answer().status(), 204);
        quick.take_end();
    }
    let (mut client, slow, mut quick) = rig.hedged();
    quick.send(BAD);
    rig.outwait();
    slow.reset();
    let answer = client.take_answer();
    assert_eq!((answer.status(), answer.text()), (503, "busy".into()));
    rig.is_settled();
}

#[test]
fn the_time_for_a_first_byte_is_that_of_both() {
    let rig = Rig::with(json!({"timeouts.first_byte": "200ms"}));
    let (mut client, mut slow, mut quick) = rig.hedged();
    assert_eq!(client.take_answer().verdict(), (503, "H12"));
    slow.take_end();
    quick.take_end();
    rig.is_settled();
    let line = rig.router.log.wait_for("code=H12");
    assert!(line.contains(&format!(" dyno={} ", rig.name)), "{line}");
}

#[test]
fn a_second_dyno_that_goes_on_alone_has_what_is_left_of_that_time() {
    let rig = Rig::with(json!({"timeouts.first_byte": "1s"}));
    let began = Instant::now();
    let (mut client, slow, mut quick) = rig.hedged();
    std::thread::sleep(Duration::from_millis(800));
    slow.reset();
    assert_eq!(client.take_answer().verdict(), (503, "H12"));
    let took = began.elapsed();
    assert!((1_000..1_600).contains(&took.as_millis()), "{took:?}");
    quick.take_end();
    rig.is_settled();
    let line = rig.router.log.wait_for("code=H12");
    assert!(line.contains(&format!(" dyno={} ", rig.other_name())), "{line}");
    assert!(line.ends_with(" hedge=lost"), "{line}");
    rig.is_counted([1, 0]);
}

#[test]
fn the_end_of_a_drain_ends_both() {
    let settings = [("HOSTLER_DYNOS_HEDGE_AFTER", AFTER), ("HOSTLER_DRAIN_DEADLINE", "100ms")];
    let mut rig = Rig::start(&settings);
    let (_client, mut slow, mut quick) = rig.hedged();
    rig.router.terminate();
    slow.take_end();
    quick.take_end();
    assert!(rig.router.wait().success());
    let line = rig.router.log.wait_for("code=H24");
    assert!(line.ends_with(" hedge=lost"), "{line}");
}

#[test]
fn clients_of_http2_are_hedged_for_and_their_reset_ends_both() {
    let rig = Rig::with(json!({}));
    let client = H2::connect(rig.router.http);
    let call = client.begin(get("a.test", "/"), true);
    client.turn();
    let (mut slow, mut quick) = (take(&rig.slow), take(&rig.quick));
    quick.send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok");
    assert_eq!(client.answer(call).unwrap().text(), "ok");
    slow.take_end();
    let mut call = client.begin(get("a.test", "/"), true);
    client.turn();
    let (mut slow, mut quick) = (take(&rig.slow), take(&rig.quick));
    call.body.send_reset(h2::Reason::CANCEL);
    client.turn();
    slow.take_end();
    quick.take_end();
    rig.is_settled();
    rig.is_counted([2, 1]);
}

#[test]
fn a_stream_of_http2_that_lost_is_reset_and_its_connection_goes_on() {
    let rig = Rig::with(json!({"dynos.protocol": "http2"}));
    let mut client = rig.router.connect();
    client.send(GET);
    let mut slow = Frames::accept(&rig.slow, &[]);
    let lost = slow.take_request();
    let mut quick = Frames::accept(&rig.quick, &[]);
    quick.serve("quick");
    assert_eq!(client.take_answer().text(), "quick");
    let frame = slow.take();
    assert_eq!((frame.kind, frame.stream), (kind::RST_STREAM, lost));
    assert_eq!(frame.payload, 8u32.to_be_bytes(), "CANCEL");
    client.send(GET);
    let stream = slow.take_request();
    let lost = quick.take_request();
    slow.answer(stream, END_STREAM, &[(":status", "204")]);
    assert_eq!(client.take_answer().status(), 204);
    let frame = quick.take();
    assert_eq!((frame.kind, frame.stream), (kind::RST_STREAM, lost));
    rig.is_settled();
    rig.is_counted([2, 1]);
}
