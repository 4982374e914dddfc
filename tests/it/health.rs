//! Passive health: dynos whose exchanges end badly are passed over, and come back.
//!
//! Invariant: a dyno is ill when its test says so, and until then it is well; what the router makes
//! of it is read from what clients get, what it says and what it explains.

use std::time::Instant;

use serde_json::{Value, json};

use crate::harness::{
    Dyno, Named, Router, closed_port,
    moody::{Mood, Moody},
    until,
};

const GET: &str = "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";

/// A router with one worker, so that an exchange is settled before the next begins, whose dynos are
/// out for long and of which all may be.
fn router(settings: &[(&str, &str)]) -> Router {
    let own = [
        ("HOSTLER_WORKERS", "1"),
        ("HOSTLER_HEALTH_EJECT_TIME", "1h"),
        ("HOSTLER_HEALTH_MAX_EJECT_TIME", "1h"),
        ("HOSTLER_HEALTH_MAX_EJECTED", "100"),
        ("HOSTLER_DYNOS_RETRY_BUDGET", "0"),
    ];
    Router::with(&[&own, settings].concat())
}

/// Something that explain tells of each dyno.
fn of_dynos(router: &Router, what: &str) -> Vec<Value> {
    let told = router.call("POST", "/v1/explain", Some(json!({"host": "a.test", "path": "/"})));
    let dynos = told.json["dynos"].as_array().unwrap_or_else(|| panic!("{told:?}"));
    dynos.iter().map(|dyno| dyno[what].clone()).collect()
}

/// Why each dyno of the app would be passed over now.
fn passed_over(router: &Router) -> Vec<Value> {
    of_dynos(router, "passed_over")
}

/// A dyno that is ill in that way is ejected by its fifth fault; then it is picked for want of
/// another, and once there is another it is not.
fn is_ejected(mood: Mood, settings: &[(&str, &str)], verdict: (u16, &str), last: &str) {
    let (router, ill) = (router(settings), Moody::start("ill"));
    ill.set(mood);
    router.app("one", "a.test", &[&ill.addr]);
    for _ in 0..5 {
        assert_eq!(router.get("a.test", "/").verdict(), verdict);
    }
    let said = router.said.wait_for("a dyno is ejected: faults in a row: 5");
    assert!(said.contains(&format!("the last {last}")) && said.contains("web.1"), "{said}");
    assert_eq!(router.get("a.test", "/").verdict(), verdict, "it is all there is");
    router.said.wait_for("so few of its dynos are fit that ill ones are picked too");
    until("panic is counted", || router.metric("hostler_apps_in_panic") == 1.0);
    let well = Named::start("well");
    router.write("PUT", "/v1/apps/one/dynos/web.2", json!({"addr": well.addr}));
    router.said.wait_for("enough of its dynos are fit again");
    let before = ill.requests();
    for _ in 0..30 {
        assert_eq!(router.get("a.test", "/").head.get("x-dyno"), Some("well"));
    }
    assert_eq!((ill.requests(), well.requests()), (before, 30));
    assert_eq!(passed_over(&router), [json!("ejected"), Value::Null]);
    assert_eq!(router.metric("hostler_dyno_ejections_total"), 1.0);
    assert_eq!(router.metric("hostler_apps_in_panic"), 0.0);
}

#[test]
fn a_dyno_that_answers_500_is_ejected_where_the_app_says_so() {
    let settings = [("HOSTLER_HEALTH_EJECT_ON", "5xx")];
    is_ejected(Mood::Says(500), &settings, (500, ""), "500");
}

#[test]
fn a_dyno_that_closes_without_an_answer_is_ejected() {
    is_ejected(Mood::Leaves, &[], (503, "H13"), "H13");
}

#[test]
fn a_dyno_that_hangs_is_ejected() {
    let settings = [("HOSTLER_TIMEOUTS_FIRST_BYTE", "50ms")];
    is_ejected(Mood::Hangs, &settings, (503, "H12"), "H12");
}

#[test]
fn a_kept_connection_that_is_reset_under_a_request_is_a_fault() {
    let (router, dyno) = (router(&[("HOSTLER_HEALTH_EJECT_FAULTS", "1")]), Dyno::new());
    router.app("one", "a.test", &[&dyno.addr]);
    let mut client = router.connect();
    client.send(GET);
    let mut conn = dyno.accept();
    conn.take_request();
    conn.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    assert_eq!(client.take_answer().text(), "ok");
    client.send(GET);
    conn.take_request();
    conn.reset();
    assert_eq!(client.take_answer().verdict(), (503, "H18"));
    router.said.wait_for("a dyno is ejected: faults in a row: 1, the last H18");
}

#[test]
fn answers_count_only_as_the_app_says_and_clients_that_leave_never() {
    let (router, dyno) = (router(&[("HOSTLER_HEALTH_EJECT_FAULTS", "2")]), Moody::start("one"));
    router.app("one", "a.test", &[&dyno.addr]);
    dyno.set(Mood::Says(503));
    for _ in 0..5 {
        assert_eq!(router.get("a.test", "/").status(), 503);
    }
    dyno.set(Mood::Hangs);
    for count in 6..11 {
        let mut client = router.connect();
        client.send(GET);
        until("the dyno has it", || dyno.requests() == count);
        drop(client);
    }
    router.log.wait_for_many("code=H27", 5);
    dyno.set(Mood::Well);
    assert_eq!(passed_over(&router), [Value::Null]);
    // What the app says of itself holds from the next exchange on.
    router.write("PATCH", "/v1/apps/one", json!({"settings": {"health.eject_on": "gateway"}}));
    dyno.set(Mood::Says(500));
    (0..3).for_each(|_| assert_eq!(router.get("a.test", "/").status(), 500));
    dyno.set(Mood::Says(502));
    (0..2).for_each(|_| assert_eq!(router.get("a.test", "/").status(), 502));
    router.said.wait_for("a dyno is ejected: faults in a row: 2, the last 502");
}

#[test]
fn an_ejected_dyno_comes_back_and_a_second_time_is_longer() {
    let settings = [
        ("HOSTLER_HEALTH_EJECT_TIME", "1s"),
        ("HOSTLER_HEALTH_RETURN_OVER", "1ms"),
        ("HOSTLER_HEALTH_EJECT_FAULTS", "1"),
    ];
    let (router, ill) = (router(&settings), Moody::start("ill"));
    ill.set(Mood::Leaves);
    router.app("one", "a.test", &[&ill.addr]);
    assert_eq!(router.get("a.test", "/").verdict(), (503, "H13"));
    router.said.wait_for("for_s=1");
    // While it is out its faults count nothing; once it is back the first one is enough.
    until("it is out again", || {
        assert_eq!(router.get("a.test", "/").verdict(), (503, "H13"));
        router.said.all().iter().any(|line| line.contains("time 2"))
    });
    let said = router.said.wait_for("time 2");
    assert!(said.contains("for_s=2"), "{said}");
    // Its time line, its count and the router's agree.
    let told = router.call("GET", "/v1/apps/one/stats", None).json["dynos"][0].clone();
    let is_ejection = |turn: &&Value| turn["what"] == "ejected";
    let listed = told["past"].as_array().unwrap().iter().filter(is_ejection).count();
    assert_eq!((listed, &told["ejections"]), (2, &json!(2)), "{told:#}");
    assert_eq!(router.metric("hostler_dyno_ejections_total"), 2.0);
    ill.set(Mood::Well);
    assert_eq!(router.get("a.test", "/").status(), 200);
}

#[test]
fn the_only_dyno_and_half_of_all_stay_whatever_they_do() {
    let settings = [("HOSTLER_HEALTH_MAX_EJECTED", "50"), ("HOSTLER_HEALTH_EJECT_FAULTS", "1")];
    let (router, dynos) = (router(&settings), ["1", "2", "3"].map(Moody::start));
    dynos.iter().for_each(|dyno| dyno.set(Mood::Leaves));
    router.app("one", "a.test", &dynos.each_ref().map(|dyno| dyno.addr.as_str()));
    for _ in 0..20 {
        assert_eq!(router.get("a.test", "/").verdict(), (503, "H13"));
    }
    let out = passed_over(&router).iter().filter(|bar| **bar == "ejected").count();
    assert_eq!(out, 1);
    assert_eq!(router.metric("hostler_dyno_ejections_total"), 1.0);
}

#[test]
fn a_new_dynos_share_rises_from_a_tenth_of_its_weight_to_all_of_it() {
    const REQUESTS: usize = 400;
    let router = router(&[("HOSTLER_BALANCE_ALGORITHM", "random")]);
    let (old, new) = (["1", "2", "3", "4"].map(Named::start), Named::start("new"));
    router.app("one", "a.test", &old.each_ref().map(|dyno| dyno.addr.as_str()));
    let slow_start = |time: &str| {
        let settings = json!({ "health.slow_start": time });
        router.write("PATCH", "/v1/apps/one", json!({ "settings": settings }));
    };
    slow_start("1h");
    router.write("PUT", "/v1/apps/one/dynos/web.5", json!({"addr": new.addr}));
    let came = Instant::now();
    let share = || {
        let (before, mut client) = (new.requests(), router.connect());
        (0..REQUESTS).for_each(|_| assert_eq!(client.get("a.test", "/").status(), 200));
        new.requests() - before
    };
    let weight = || of_dynos(&router, "effective_weight")[4].as_f64().unwrap();
    // One in 41: about 10, with a deviation of 3.
    let (few, first) = (share(), weight());
    assert!(few < 28 && (10.0..11.0).contains(&first), "{few} with {first}");
    // The same dyno, were it to take sixty times as long as it is in: it is further, and goes on.
    slow_start(&format!("{}ms", 60 * came.elapsed().as_millis()));
    let second = weight();
    assert!(second > first && second < 100.0, "{first} {second}");
    until("it has more", || weight() > second);
    slow_start("1ms");
    assert_eq!(weight(), 100.0);
    // One in 5: about 80, with a deviation of 8.
    let many = share();
    assert!(many > 35, "{many}");
}

#[test]
fn a_quarantine_is_twice_as_long_with_each_failed_connect_up_to_its_bound() {
    let settings = [
        ("HOSTLER_DYNOS_QUARANTINE", "100ms"),
        ("HOSTLER_HEALTH_MAX_QUARANTINE", "400ms"),
        ("HOSTLER_BALANCE_ALGORITHM", "round_robin"),
    ];
    let (router, closed, well) = (router(&settings), closed_port(), Named::start("well"));
    router.app("one", "a.test", &[&closed.addr, &well.addr]);
    until("four connects failed", || {
        assert_eq!(router.get("a.test", "/").status(), 200);
        of_dynos(&router, "failed_connects")[0] == 4
    });
    assert_eq!(passed_over(&router), [json!("quarantined"), Value::Null]);
    let told = router.call("GET", "/v1/apps/one/stats", None).json;
    let past = told["dynos"][0]["past"].as_array().unwrap();
    let ms = |turn: &Value, what: &str| turn[what].as_u64().unwrap();
    let spans: Vec<_> = past.iter().map(|one| ms(one, "until_ms") - ms(one, "at_ms")).collect();
    assert_eq!(spans, [100, 200, 400, 400], "{told:#}");
    let in_order = |two: &[Value]| ms(&two[0], "until_ms") <= ms(&two[1], "at_ms");
    assert!(past.windows(2).all(in_order), "none is tried while it is out: {told:#}");
}

#[test]
fn a_dyno_whose_success_rate_is_far_below_the_others_is_ejected() {
    let settings = [
        ("HOSTLER_HEALTH_EJECT_FAULTS", "0"),
        ("HOSTLER_HEALTH_EJECT_ON", "5xx"),
        ("HOSTLER_HEALTH_RATE_WINDOW", "500ms"),
        ("HOSTLER_HEALTH_RATE_REQUESTS", "3"),
        ("HOSTLER_BALANCE_ALGORITHM", "round_robin"),
    ];
    let (router, dynos) = (router(&settings), ["1", "2", "3", "4", "5", "6"].map(Moody::start));
    router.app("one", "a.test", &dynos.each_ref().map(|dyno| dyno.addr.as_str()));
    dynos[2].set(Mood::Says(500));
    let mut client = router.connect();
    until("it is ejected", || {
        (0..12).for_each(|_| drop(client.get("a.test", "/")));
        passed_over(&router)[2] == "ejected"
    });
    let said =
        router.said.wait_for("a dyno is ejected: 0.0 % of its requests went well, less than");
    assert!(said.contains("web.3"), "{said}");
    let before = dynos[2].requests();
    (0..12).for_each(|_| assert_eq!(client.get("a.test", "/").status(), 200));
    assert_eq!(dynos[2].requests(), before);
    let others = passed_over(&router).iter().filter(|bar| bar.is_null()).count();
    assert_eq!(others, 5);
}
