//! What `GET /v1/apps/{app}/stats` and the metrics say of an app, beside what its clients and dynos
//! saw.
//!
//! Invariant: times are held against those that a client and a dyno measured around the router's
//! own: it took at least as long as the dyno, and at most as long as the client.

use std::{
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::harness::{Conn, Dyno, Named, Router, closed_port, until};

const GET: &str = "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";

fn stats(router: &Router, app: &str) -> Value {
    let reply = router.call("GET", &format!("/v1/apps/{app}/stats"), None);
    assert_eq!(reply.status(), 200, "{reply:?}");
    reply.json
}

/// The figures of an app once so many of its exchanges have ended: an exchange is counted a moment
/// behind its answer.
fn after(router: &Router, app: &str, exchanges: u64) -> Value {
    let mut told = Value::Null;
    until("all are counted", || {
        told = stats(router, app);
        told["figures"]["exchanges"].as_u64().is_some_and(|count| count >= exchanges)
    });
    assert_eq!(told["figures"]["exchanges"], exchanges, "{told:#}");
    told
}

fn sum(told: &Value, of: impl Fn(&Value) -> &Value) -> u64 {
    told["dynos"].as_array().unwrap().iter().filter_map(|dyno| of(&dyno["figures"]).as_u64()).sum()
}

#[test]
fn an_app_that_was_never_asked_for_has_no_figures() {
    let (router, dyno) = (Router::start(), Named::start("one"));
    router.app("one", "a.test", &[&dyno.addr]);
    let told = stats(&router, "one");
    assert!(told["figures"].is_null() && told["dynos"][0]["figures"].is_null(), "{told:#}");
    assert_eq!(router.get("a.test", "/").status(), 200);
    assert_eq!(after(&router, "one", 1)["dynos"][0]["figures"]["exchanges"], 1);
}

#[test]
fn every_exchange_counts_once_by_status_and_fault_and_on_its_dyno() {
    let router = Router::start();
    let dynos = ["one", "two"].map(Named::start);
    router.app("one", "a.test", &dynos.each_ref().map(|dyno| dyno.addr.as_str()));
    let mut clients = [(); 3].map(|()| router.connect());
    for i in 0..60 {
        assert_eq!(clients[i % 3].get("a.test", "/").status(), 200);
    }
    let told = after(&router, "one", 60);
    let figures = &told["figures"];
    assert_eq!(figures["statuses"], json!({"2xx": 60}));
    assert_eq!((&figures["faults"], &figures["retries"]), (&json!({}), &json!(0)));
    assert_eq!(figures["since_start"]["exchanges"], 60);
    assert_eq!(sum(&told, |figures| &figures["exchanges"]), 60);
    for (at, dyno) in dynos.iter().enumerate() {
        let count = told["dynos"][at]["figures"]["exchanges"].as_u64().unwrap_or(0);
        assert_eq!(count, dyno.requests() as u64);
    }
    for (series, value) in [
        ("hostler_app_seconds_count{app=\"one\",part=\"total\"}", 60.0),
        ("hostler_app_seconds_bucket{app=\"one\",part=\"dyno\",le=\"+Inf\"}", 60.0),
        ("hostler_app_in_flight{app=\"one\"}", 0.0),
    ] {
        until(series, || router.metric(series) == value);
    }
    let on = |dyno: &str| {
        let labels = format!("{{app=\"one\",dyno=\"{dyno}\",status=\"2xx\"}}");
        router.metric(&format!("hostler_dyno_exchanges_total{labels}"))
    };
    assert_eq!(on("web.1") + on("web.2"), 60.0);
    // What comes to no dyno is the app's.
    for state in ["starting", "crashed"] {
        router.set_state("one", "web.1", "crashed");
        router.set_state("one", "web.2", state);
        if state == "crashed" {
            assert_eq!(router.get("a.test", "/").verdict(), (503, "H10"));
        }
    }
    router.write("PATCH", "/v1/apps/one", json!({"maintenance": true}));
    assert_eq!(router.get("a.test", "/").verdict(), (503, "H80"));
    let told = after(&router, "one", 62);
    assert_eq!(told["figures"]["statuses"], json!({"2xx": 60, "5xx": 2}));
    assert_eq!(told["figures"]["faults"], json!({"H10": 1, "H80": 1}));
    assert_eq!(sum(&told, |figures| &figures["exchanges"]), 60);
    assert_eq!(told["figures"]["since_start"]["exchanges"], 60, "they took no dyno's time");
    // Nor is anything lost with a dyno that goes.
    router.delete("/v1/apps/one/dynos/web.1");
    assert_eq!(after(&router, "one", 62)["figures"]["since_start"]["exchanges"], 60);
}

#[test]
fn an_attempt_that_failed_is_told_of_its_dyno() {
    let router = Router::with(&[("HOSTLER_DYNOS_QUARANTINE", "1h")]);
    let (closed, named) = (closed_port(), Named::start("one"));
    router.app("one", "a.test", &[&closed.addr]);
    assert_eq!(router.get("a.test", "/").verdict(), (503, "H21"));
    assert_eq!(after(&router, "one", 1)["figures"]["faults"], json!({"H21": 1}));
    router.delete("/v1/apps/one/dynos/web.1");
    router.write("PUT", "/v1/apps/one/dynos/web.1", json!({"addr": closed.addr, "weight": 1000}));
    router.write("PUT", "/v1/apps/one/dynos/web.2", json!({"addr": named.addr, "weight": 1}));
    let mut asked = 1;
    until("the dyno that refuses is tried", || {
        asked += 1;
        assert_eq!(router.get("a.test", "/").status(), 200);
        stats(&router, "one")["dynos"][0]["failed_connects"] != 0
    });
    let told = after(&router, "one", asked);
    let refusing = &told["dynos"][0]["figures"];
    assert_eq!((&refusing["exchanges"], &refusing["retries"]), (&json!(0), &json!(1)));
    assert_eq!(refusing["faults"], json!({"H21": 1}));
    let past = told["dynos"][0]["past"].as_array().unwrap();
    assert_eq!((past.len(), &past[0]["what"]), (1, &json!("quarantined")), "{told:#}");
    assert!(past[0]["until_ms"].as_u64() > past[0]["at_ms"].as_u64(), "{told:#}");
    assert_eq!(told["figures"]["faults"], json!({"H21": 1}), "its client saw none");
    assert_eq!(told["figures"]["statuses"], json!({"2xx": asked - 1, "5xx": 1}));
}

/// Answers requests, each after a time of its own; tells how long it held them.
fn slow(dyno: Dyno, times: Vec<Duration>) -> thread::JoinHandle<Vec<Duration>> {
    thread::spawn(move || {
        let mut conn = dyno.accept();
        let hold = |time: Duration| {
            conn.take_request();
            let (began, (_sender, never)) = (Instant::now(), mpsc::sync_channel::<()>(0));
            assert!(never.recv_timeout(time).is_err());
            let held = began.elapsed();
            conn.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
            held
        };
        times.into_iter().map(hold).collect()
    })
}

#[test]
fn percentiles_are_those_that_the_client_saw() {
    let (router, dyno) = (Router::start(), Dyno::new());
    router.app("one", "a.test", &[&dyno.addr]);
    let times: Vec<_> = (0..40).map(|i| Duration::from_millis(1 + i * 7 % 40)).collect();
    let dyno = slow(dyno, times.clone());
    let mut client = router.connect();
    let ask = |client: &mut Conn| {
        let began = Instant::now();
        client.send(GET);
        assert_eq!(client.take_answer().status(), 200);
        began.elapsed()
    };
    let mut seen: Vec<_> = times.iter().map(|_| ask(&mut client)).collect();
    let mut held = dyno.join().unwrap();
    seen.sort_unstable();
    held.sort_unstable();
    let told = after(&router, "one", 40);
    for figures in [&told["figures"], &told["dynos"][0]["figures"]] {
        for times in [&figures["recent"], &figures["since_start"]] {
            for (share, name) in [(0.5, "p50_ms"), (0.9, "p90_ms"), (0.99, "p99_ms")] {
                let rank = (share * 40.0_f64).ceil() as usize - 1;
                let [least, most] = [&held, &seen].map(|all| all[rank].as_secs_f64() * 1000.0);
                let [total, dyno] = ["total", "dyno"].map(|p| times[p][name].as_f64().unwrap());
                let range = least * 15.0 / 16.0..=most * 17.0 / 16.0;
                assert!(range.contains(&total), "{name}: {total} in {range:?}");
                assert!((least * 15.0 / 16.0..=total).contains(&dyno), "{name}: {dyno} {total}");
            }
            assert_eq!(times["queue"]["p99_ms"], 0.0, "nobody waited for a dyno");
        }
    }
    let window = told["figures"]["recent"]["window_s"].as_f64().unwrap();
    assert!((0.0..=60.0).contains(&window), "{window}");
}

#[test]
fn figures_are_as_many_as_there_may_be() {
    let router = Router::with(&[("HOSTLER_METRICS_MAX_FIGURES", "2")]);
    let dynos = ["one", "two"].map(Named::start);
    router.app("one", "a.test", &[&dynos[0].addr]);
    router.app("two", "b.test", &[&dynos[1].addr]);
    assert_eq!(router.get("a.test", "/").status(), 200);
    assert_eq!(after(&router, "one", 1)["dynos"][0]["figures"]["exchanges"], 1);
    assert_eq!(router.get("b.test", "/").status(), 200);
    until("the other exchange has ended", || stats(&router, "two")["in_flight"] == 0);
    let two = stats(&router, "two");
    assert!(two["figures"].is_null() && two["dynos"][0]["figures"].is_null(), "{two:#}");
    // A dyno that goes makes room for one that comes.
    router.delete("/v1/apps/one");
    until("there is room", || {
        assert_eq!(router.get("b.test", "/").status(), 200);
        !stats(&router, "two")["figures"].is_null()
    });
}
