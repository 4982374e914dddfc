//! Exchanges that end in every way at once, on dynos that come and go: each gives back its place.
//!
//! The plan of a storm follows from a seed, which is printed. Invariants: the router under test is
//! a debug build, which ends when a place is given back twice; a place that is not given back is
//! seen in the counts, which have to be 0 once the storm is over.

use std::thread;

use fastrand::Rng;
use serde_json::{Value, json};

use crate::{
    harness::{Conn, H2, Program, Router, h2::request, until},
    ill::dyno,
};

const SEEDS: [u64; 3] = [1, 2, 3];

/// What the app has of its own in the storm of a seed: nothing, a second dyno for what is slow, or
/// all else that there is (who comes back to a dyno has no second one).
fn of_storm(seed: u64) -> Value {
    match seed {
        1 => json!({}),
        2 => json!({"dynos.hedge_after": "5ms"}),
        _ => json!({
            "dynos.hedge_after": null, "dynos.max_in_flight": 2, "dynos.adaptive": true,
            "limits.in_flight": 5, "queue.max": 3, "queue.timeout": "50ms",
            "queue.lifo_after": "10ms", "affinity.enabled": true,
            "balance.algorithm": "round_robin", "balance.shadow": "one_at_a_time",
            "balance.releases": "1=50,2=50", "balance.sticky": true,
            "balance.reported_load": true, "health.slow_start": "1s",
        }),
    }
}

const CLIENTS: usize = 6;
/// What each client does in a storm, one after the other.
const STEPS: usize = 40;
/// What is pushed meanwhile.
const PUSHES: usize = 60;

/// What a client does with one exchange.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// Takes the answer.
    Stays,
    /// Resets its connection once the request is sent.
    Leaves,
    /// Goes in the middle of a body that the router streams.
    LeavesUploading,
    /// Sends something through a tunnel, and goes.
    Tunnels,
    /// Asks over HTTP/2, and stays.
    Streams,
    /// Asks over HTTP/2, and resets the stream, or ends the connection with it.
    LeavesStream(bool),
}

/// As which kind a dyno answers; the last is its own.
const KINDS: [&str; 8] = ["sound", "slow:20", "fails", "hangs", "resets", "cuts", "slow:200", ""];

fn random_step(rng: &mut Rng) -> Step {
    match rng.u8(..10) {
        0..4 => Step::Stays,
        4..6 => Step::Leaves,
        6 => Step::LeavesUploading,
        7 => Step::Tunnels,
        8 => Step::Streams,
        _ => Step::LeavesStream(rng.bool()),
    }
}

fn take(router: &Router, step: Step, rng: &mut Rng) {
    let kind = *rng.choice(&KINDS).expect("there are some");
    let method = if rng.bool() { "GET" } else { "POST" };
    let head = format!("{method} /{kind} HTTP/1.1\r\nHost: a.test\r\n");
    let mut conn = router.connect();
    match step {
        Step::Stays => {
            conn.send(format!("{head}Connection: close\r\n\r\n"));
            // Whole, cut or a page of the router's: to its end.
            conn.take_all();
        }
        Step::Leaves => {
            conn.send(format!("{head}\r\n"));
            conn.reset();
        }
        Step::LeavesUploading => {
            conn.send(format!("{head}Content-Length: 1000000\r\n\r\n"));
            // A dyno that is done early may have ended it.
            let _ = conn.try_send(&[b'x'; 100_000]);
            conn.reset();
        }
        Step::Tunnels => tunnel(conn),
        Step::Streams | Step::LeavesStream(_) => {
            let h2 = H2::connect(router.http);
            let call = h2.begin(request(method, "a.test", &format!("/{kind}"), &[]), true);
            h2.turn();
            match step {
                Step::LeavesStream(true) => {
                    drop(call);
                    h2.turn();
                }
                Step::LeavesStream(false) => drop(h2),
                // Also a stream that is reset has ended.
                _ => drop(h2.answer(call)),
            }
        }
    }
}

fn tunnel(mut conn: Conn) {
    conn.send(
        "GET /upgrades HTTP/1.1\r\nHost: a.test\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n",
    );
    let head = conn.take_head();
    if head.line.starts_with("HTTP/1.1 101") {
        conn.send("hello");
        assert_eq!(conn.take(5), b"hello");
    }
}

/// Dynos come, go, drain and are replaced while they are at work.
fn push(router: &Router, dynos: &[Program], rng: &mut Rng) {
    for release in 0..PUSHES {
        let at = rng.usize(..dynos.len());
        let path = format!("/v1/apps/one/dynos/web.{}", at + 1);
        let addr = &dynos[at].addr;
        match rng.u8(..4) {
            0 => router.write("PUT", &path, json!({"addr": addr, "state": "draining"})),
            1 => router.write("PUT", &path, json!({"addr": addr, "release": release.to_string()})),
            2 => {
                router.call("DELETE", &path, None);
                router.write("PUT", &path, json!({"addr": addr}))
            }
            _ => router.write("PUT", &path, json!({"addr": addr, "weight": rng.u16(1..=1000)})),
        };
    }
}

/// Exchanges in flight, of the app and of each dyno.
fn in_flight(router: &Router) -> Vec<u64> {
    let asked = json!({"host": "a.test", "path": "/"});
    let told = router.call("POST", "/v1/explain", Some(asked)).json;
    let dynos = told["dynos"].as_array().unwrap();
    let counts = [&told["app"]].into_iter().chain(dynos).map(|of| &of["in_flight"]);
    counts.map(|count| count.as_u64().unwrap_or_else(|| panic!("{told:#}"))).collect()
}

#[test]
fn every_exchange_gives_its_place_back_whatever_way_it_ends() {
    let settings = [("HOSTLER_TIMEOUTS_FIRST_BYTE", "100ms"), ("HOSTLER_HTTP_H2C", "true")];
    let router = Router::with(&settings);
    let dynos = ["sound", "slow:60", "slow:60"].map(dyno);
    router.app("one", "a.test", &dynos.each_ref().map(|dyno| dyno.addr.as_str()));
    for seed in SEEDS {
        println!("seed {seed}");
        router.write("PATCH", "/v1/apps/one", json!({"settings": of_storm(seed)}));
        thread::scope(|scope| {
            for client in 0..CLIENTS {
                let router = &router;
                scope.spawn(move || {
                    let mut rng = Rng::with_seed(seed << 32 | client as u64);
                    for _ in 0..STEPS {
                        let step = random_step(&mut rng);
                        take(router, step, &mut rng);
                    }
                });
            }
            push(&router, &dynos, &mut Rng::with_seed(seed));
        });
        until("all is given back", || in_flight(&router).iter().all(|count| *count == 0));
    }
    let hedges = ["hostler_hedges_total", "hostler_hedges_won_total"].map(|of| router.metric(of));
    println!("{hedges:?} hedges");
    assert!(hedges[0] > 0.0);
    for at in 1..=dynos.len() {
        router.set_state("one", &format!("web.{at}"), "up");
    }
    // A router that gave back twice would have ended.
    let is_served = || router.get("a.test", "/sound").status() == 200;
    until("it serves as before", is_served);
}
