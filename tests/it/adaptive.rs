//! How many exchanges a dyno may have, where the router finds that out (`dynos.adaptive`).
//!
//! Invariant: the dyno here is as slow as the number of requests that it has, as one with a single
//! thread is, so that only fewer at once make it quicker.

use std::{
    net::TcpListener,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
        mpsc,
    },
    thread,
    time::Duration,
};

use serde_json::{Value, json};

use crate::harness::{Conn, Named, Router, until};

/// How long a request takes that is alone.
const EACH: Duration = Duration::from_millis(3);
/// What every dyno is let have at first.
const FIRST: u64 = 20;

/// A dyno with one thread.
struct Single {
    addr: String,
    /// The most requests that it had at a time.
    most: Arc<AtomicUsize>,
}

impl Single {
    fn start() -> Single {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap().to_string();
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (single, turn) = (Single { addr, most: most.clone() }, Arc::new(Mutex::new(())));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (now, most, turn) = (now.clone(), most.clone(), turn.clone());
                thread::spawn(move || {
                    let mut conn = Conn::from(stream);
                    while conn.take_or_end(1).is_some() {
                        conn.take_until("\r\n\r\n");
                        most.fetch_max(now.fetch_add(1, SeqCst) + 1, SeqCst);
                        {
                            let _held = turn.lock().unwrap();
                            let (_sender, never) = mpsc::sync_channel::<()>(0);
                            assert!(never.recv_timeout(EACH).is_err());
                        }
                        now.fetch_sub(1, SeqCst);
                        if conn.try_send(b"HTTP/1.1 204 No Content\r\n\r\n").is_err() {
                            return;
                        }
                    }
                });
            }
        });
        single
    }
}

fn stats(router: &Router) -> Value {
    router.call("GET", "/v1/apps/one/stats", None).json
}

fn limit(router: &Router) -> u64 {
    stats(router)["dynos"][0]["limit"].as_u64().unwrap_or(FIRST)
}

#[test]
fn a_dyno_that_slows_down_gets_fewer_at_once_and_the_rest_waits_or_goes_to_another() {
    let (router, single) = (Router::start(), Single::start());
    router.app("one", "a.test", &[&single.addr]);
    router.write("PATCH", "/v1/apps/one", json!({"settings": {"dynos.adaptive": true}}));
    // Alone, each shows what an answer takes: for longer than the first windows of its average.
    let mut client = router.connect();
    (0..400).for_each(|_| assert_eq!(client.get("a.test", "/").status(), 204));
    assert_eq!(limit(&router), FIRST, "a limit that nobody comes near says nothing");
    let quick = Named::start("quick");
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..32 {
            scope.spawn(|| {
                let mut client = router.connect();
                while !done.load(SeqCst) {
                    assert!(matches!(client.get("a.test", "/").status(), 200 | 204));
                }
            });
        }
        let ends = Ends(&done);
        until("it gets fewer", || limit(&router) < FIRST / 2);
        single.most.store(0, SeqCst);
        let explain = || router.call("POST", "/v1/explain", Some(json!({"host": "a.test"}))).json;
        until("the rest waits", || {
            let told = explain();
            told["dynos"][0]["passed_over"] == "full" && told["outcome"]["verdict"] == "hold"
        });
        assert!(stats(&router)["waiting"].as_u64() >= Some(32 - FIRST), "{:#}", stats(&router));
        router.write("PUT", "/v1/apps/one/dynos/web.2", json!({"addr": quick.addr}));
        until("it goes to another", || quick.requests() >= 100);
        until("nobody waits", || stats(&router)["waiting"] == 0);
        let most = single.most.load(SeqCst) as u64;
        assert!(most < FIRST * 3 / 4, "{most} at a time");
        drop(ends);
    });
    until("all is settled", || stats(&router)["in_flight"] == 0);
}

/// Ends the load, also where an assertion fails.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}
