//! Active checks: each kind against a real dyno, who asks, and what waits for an answer.
//!
//! Invariant: a check is told from a request by its path, so that both are counted.

use serde_json::{Value, json};

use crate::harness::{
    Authority, Dyno, End, Named, Program, Router, closed_port,
    moody::{CHECK, Mood, Moody},
    program::{node, python, scripts},
    until,
};

/// The app "one" with checks that are quick, and these settings.
fn app(router: &Router, settings: Value, dynos: &[&str]) {
    let mut all = json!({
        "health.check": "http", "health.path": CHECK, "health.interval": "100ms",
        "health.failing_after": 2, "health.well_after": 2,
    });
    all.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
    router.write("PUT", "/v1/apps/one", json!({"settings": all}));
    router.write("PUT", "/v1/apps/one/routes/a.test", json!({}));
    for (at, addr) in dynos.iter().enumerate() {
        let path = format!("/v1/apps/one/dynos/web.{}", at + 1);
        router.write("PUT", &path, json!({"addr": addr}));
    }
}

fn passed_over(router: &Router) -> Vec<Value> {
    let told = router.call("POST", "/v1/explain", Some(json!({"host": "a.test", "path": "/"})));
    let dynos = told.json["dynos"].as_array().unwrap_or_else(|| panic!("{told:?}"));
    dynos.iter().map(|dyno| dyno["passed_over"].clone()).collect()
}

fn until_passed_over(router: &Router, expected: &[Value]) {
    until(&format!("they are passed over as {expected:?}"), || passed_over(router) == expected);
}

fn good(router: &Router) -> f64 {
    router.metric("hostler_probes_total{answer=\"good\"}")
}

#[test]
fn a_dyno_whose_checks_fail_gets_nothing_until_they_are_good_again() {
    let (router, dynos) = (Router::start(), ["ill", "well"].map(Moody::start));
    app(&router, json!({"health.host": "checks.test"}), &dynos.each_ref().map(|d| d.addr.as_str()));
    until("both are asked", || dynos.iter().all(|dyno| dyno.checks() > 1));
    let head = dynos[0].last_check();
    assert_eq!(head.line, "GET /healthz HTTP/1.1");
    assert_eq!(head.get("host"), Some("checks.test"));
    assert!(head.get("user-agent").unwrap().ends_with("(health check)"), "{head:?}");
    dynos[0].set_checks(Mood::Says(503));
    until_passed_over(&router, &[json!("failing"), Value::Null]);
    let said = router.said.wait_for("its checks fail: it answers 503, and 200-399 is good");
    assert!(said.contains("web.1"), "{said}");
    let before = dynos[0].requests();
    for _ in 0..20 {
        assert_eq!(router.get("a.test", "/").head.get("x-dyno"), Some("well"));
    }
    assert_eq!(dynos[0].requests(), before);
    dynos[0].set_checks(Mood::Well);
    until_passed_over(&router, &[Value::Null, Value::Null]);
    router.said.wait_for("its checks are good again");
    // Whoever is asked no more is as one that never was.
    dynos[0].set_checks(Mood::Leaves);
    until_passed_over(&router, &[json!("failing"), Value::Null]);
    router.write("PATCH", "/v1/apps/one", json!({"settings": {"health.check": "off"}}));
    assert_eq!(passed_over(&router), [Value::Null, Value::Null]);
}

#[test]
fn a_status_and_a_body_are_asked_for_as_the_app_says() {
    let (router, dyno) = (Router::start(), Moody::start("one"));
    dyno.set_checks(Mood::Says(204));
    app(&router, json!({"health.status": "204"}), &[&dyno.addr]);
    until("that is good", || good(&router) > 1.0);
    assert_eq!(passed_over(&router), [Value::Null]);
    dyno.set_checks(Mood::Well);
    router.said.wait_for("its checks fail: it answers 200, and 204 is good");
    let patch = |settings: Value| {
        router.write("PATCH", "/v1/apps/one", json!({ "settings": settings }));
    };
    patch(json!({"health.status": "200", "health.body": "one"}));
    router.said.wait_for("its checks are good again");
    patch(json!({"health.body": "two"}));
    router.said.wait_for("its checks fail: its body does not hold \"two\"");
}

/// A check that is not answered is the only one of its dyno, whatever the number of workers.
#[test]
fn a_dyno_is_asked_by_one_prober_however_many_workers_serve() {
    let router = Router::with(&[("HOSTLER_WORKERS", "2")]);
    let dyno = Moody::start("one");
    dyno.set_checks(Mood::Hangs);
    let settings = json!({"health.timeout": "60s", "health.failing_after": 1});
    app(&router, settings, &[&dyno.addr]);
    until("it is asked", || dyno.checks() == 1);
    for _ in 0..50 {
        assert_eq!(router.get("a.test", "/").status(), 200);
    }
    assert_eq!(dyno.checks(), 1);
    dyno.set_checks(Mood::Well);
    until("it is asked again", || good(&router) > 1.0);
}

#[test]
fn an_app_that_hangs_keeps_no_other_from_being_asked_and_late_checks_are_told() {
    let router = Router::with(&[("HOSTLER_HEALTH_MAX_PROBES", "4")]);
    let (hung, well) = (Moody::start("hung"), Moody::start("well"));
    hung.set_checks(Mood::Hangs);
    app(&router, json!({"health.timeout": "60s"}), &[hung.addr.as_str(); 8]);
    until("it is asked", || hung.checks() == 2);
    let settings =
        json!({"health.check": "http", "health.path": CHECK, "health.interval": "100ms"});
    router.write("PUT", "/v1/apps/two", json!({ "settings": settings }));
    router.write("PUT", "/v1/apps/two/dynos/web.1", json!({"addr": well.addr}));
    // That takes longer than a check may begin late.
    until("the other is asked as often as it wants", || well.checks() > 15);
    assert_eq!(hung.checks(), 2, "half of the slots are the most that one app has");
    assert_eq!(router.metric("hostler_probes_late_total"), 0.0);
    hung.set_checks(Mood::Well);
    let said = router.said.wait_for("checks of dynos are late");
    assert!(said.contains("app=\"one\"") && said.contains("late_s="), "{said}");
    until("all are asked", || hung.checks() > 10);
    assert!(router.metric("hostler_probes_late_total") >= 6.0);
}

#[test]
fn more_apps_that_hang_than_there_are_slots_leave_half_of_them_to_the_others() {
    let router = Router::with(&[("HOSTLER_HEALTH_MAX_PROBES", "2")]);
    let (hung, well) = (Moody::start("hung"), Moody::start("well"));
    hung.set_checks(Mood::Hangs);
    let add = |name: &str, addr: &str| {
        let settings = json!({
            "health.check": "http", "health.path": CHECK, "health.interval": "100ms",
            "health.timeout": "300ms",
        });
        router.write("PUT", &format!("/v1/apps/{name}"), json!({ "settings": settings }));
        router.write("PUT", &format!("/v1/apps/{name}/dynos/web.1"), json!({ "addr": addr }));
    };
    for name in ["a", "b", "c", "d"] {
        add(name, &hung.addr);
    }
    until("each was asked", || router.metric("hostler_probes_total{answer=\"bad\"}") >= 5.0);
    add("well", &well.addr);
    let before = hung.checks();
    until("they are asked again, each once more", || hung.checks() >= before + 4);
    // Without slots of its own it would be asked as often as each of them.
    assert!(well.checks() >= 4, "{}", well.checks());
}

#[test]
fn what_is_asked_ends_with_the_push_that_changes_it() {
    let (router, dyno) = (Router::start(), Dyno::new());
    app(&router, json!({"health.timeout": "60s"}), &[&dyno.addr]);
    let asked = |line: &str| {
        let mut conn = dyno.accept();
        assert_eq!(conn.take_request().head.line, line);
        conn
    };
    let patch = |settings: Value| {
        router.write("PATCH", "/v1/apps/one", json!({ "settings": settings }));
    };
    let mut first = asked("GET /healthz HTTP/1.1");
    patch(json!({"health.path": "/other"}));
    assert_eq!(first.take_end(), End::Closed, "it is asked otherwise");
    let mut second = asked("GET /other HTTP/1.1");
    router.set_state("one", "web.1", "draining");
    second.take_end();
    router.set_state("one", "web.1", "up");
    let mut third = asked("GET /other HTTP/1.1");
    patch(json!({"health.check": "off"}));
    third.take_end();
    patch(json!({"health.check": "http"}));
    let mut fourth = asked("GET /other HTTP/1.1");
    router.delete("/v1/apps/one/dynos/web.1");
    fourth.take_end();
    assert!(dyno.is_idle());
}

#[test]
fn a_new_dyno_gets_nothing_before_it_is_proven_where_the_app_asks_for_it() {
    let (router, dynos) = (Router::start(), ["old", "new"].map(Moody::start));
    let settings = json!({"health.proven_first": true, "health.failing_after": 1000});
    dynos.iter().for_each(|dyno| dyno.set_checks(Mood::Says(503)));
    app(&router, settings, &[&dynos[0].addr]);
    assert_eq!(passed_over(&router), ["unproven"]);
    // A request is held, as for a dyno that boots, and served by the first that is proven.
    let mut client = router.connect();
    client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    until("it is asked and not proven", || dynos[0].checks() > 2);
    assert!(!client.has_input() && dynos[0].requests() == 0);
    dynos[0].set_checks(Mood::Well);
    assert_eq!(client.take_answer().text(), "old\n");
    router.write("PUT", "/v1/apps/one/dynos/web.2", json!({"addr": dynos[1].addr}));
    until("the new one is asked", || dynos[1].checks() > 2);
    (0..20).for_each(|_| assert_eq!(router.get("a.test", "/").text(), "old\n"));
    dynos[1].set_checks(Mood::Well);
    until_passed_over(&router, &[Value::Null, Value::Null]);
    until("it gets some", || router.get("a.test", "/").text() == "new\n");
}

#[test]
fn a_dyno_that_must_prove_itself_does_not_come_in_by_failing() {
    let (router, dynos) = (Router::start(), ["one", "two"].map(Moody::start));
    dynos.iter().for_each(|dyno| dyno.set_checks(Mood::Says(503)));
    let own = json!({"health.proven_first": true, "health.failing_after": 1});
    app(&router, own, &dynos.each_ref().map(|dyno| dyno.addr.as_str()));
    until("both were found ill", || dynos.iter().all(|dyno| dyno.checks() > 3));
    // Those that fail would be let in, where no other is.
    assert_eq!(passed_over(&router), ["unproven", "unproven"]);
    let mut client = router.connect();
    client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    let before = dynos[0].checks();
    until("they are asked again", || dynos[0].checks() > before + 1);
    assert!(!client.has_input() && dynos.iter().all(|dyno| dyno.requests() == 0));
    dynos[1].set_checks(Mood::Well);
    assert_eq!(client.take_answer().text(), "two\n");
}

/// A dyno that never comes to its answer, until nobody reads it any more.
fn says_for_ever(dyno: &Dyno, what: &str) {
    let mut conn = dyno.accept();
    conn.take_request();
    while conn.try_send(what.repeat(1000).as_bytes()).is_ok() {}
}

#[test]
fn what_never_comes_to_an_answer_is_read_to_a_bound() {
    let (router, dyno) = (Router::start(), Dyno::new());
    // Longer than the test waits for what is said.
    app(&router, json!({"health.timeout": "60s", "health.failing_after": 1}), &[&dyno.addr]);
    says_for_ever(&dyno, "HTTP/1.1 100 Continue\r\n\r\n");
    let said = router.said.wait_for("its checks fail: no answer: ");
    assert!(said.contains("closed") || said.contains("incomplete"), "{said}");
}

#[test]
fn a_dyno_that_was_never_proven_is_not_when_checks_are_turned_off_and_on() {
    let (router, dyno) = (Router::start(), Moody::start("one"));
    dyno.set_checks(Mood::Says(503));
    let own = json!({"health.proven_first": true, "health.failing_after": 1000});
    app(&router, own, &[&dyno.addr]);
    until("it is asked", || dyno.checks() > 0);
    let patch = |check: &str| {
        let settings = json!({ "health.check": check });
        router.write("PATCH", "/v1/apps/one", json!({ "settings": settings }));
    };
    patch("off");
    assert_eq!(router.get("a.test", "/").text(), "one\n");
    let before = dyno.checks();
    patch("http");
    assert_eq!(passed_over(&router), ["unproven"]);
    until("it is asked again", || dyno.checks() > before + 1);
    assert_eq!((passed_over(&router), dyno.requests()), (vec![json!("unproven")], 1));
    dyno.set_checks(Mood::Well);
    until_passed_over(&router, &[Value::Null]);
}

#[test]
fn after_a_restart_a_dyno_that_is_up_counts_as_proven() {
    let (data, dyno) = (tempfile::tempdir().unwrap(), Moody::start("one"));
    let router = Router::on(data.path(), &[]);
    app(&router, json!({"health.proven_first": true, "health.timeout": "60s"}), &[&dyno.addr]);
    until("it is proven", || passed_over(&router) == [Value::Null]);
    router.kill();
    dyno.set_checks(Mood::Hangs);
    let router = Router::on(data.path(), &[]);
    assert_eq!(router.get("a.test", "/").text(), "one\n");
    assert_eq!(passed_over(&router), [Value::Null]);
}

#[test]
fn what_dynos_say_of_their_load_with_answers_to_checks_is_known_without_traffic() {
    let (router, dynos) = (Router::start(), ["busy", "idle", "silent"].map(Moody::start));
    dynos[0].say("endpoint-load-metrics: TEXT cpu_utilization=0.75");
    dynos[1].say("Endpoint-Load-Metrics: JSON {\"application_utilization\": 0}");
    let addrs = dynos.each_ref().map(|dyno| dyno.addr.as_str());
    app(&router, json!({"balance.reported_load": true}), &addrs);
    let of_dynos = |what: &str| {
        let asked = json!({"host": "a.test", "path": "/"});
        let told = router.call("POST", "/v1/explain", Some(asked)).json;
        told["dynos"].as_array().unwrap().iter().map(|dyno| dyno[what].clone()).collect::<Vec<_>>()
    };
    until("it is known", || of_dynos("load") == [json!(0.75), json!(0.0), Value::Null]);
    assert_eq!(of_dynos("effective_weight"), [json!(25.0), json!(100.0), json!(50.0)]);
    // An answer that is not good says it, too.
    dynos[0].say("endpoint-load-metrics: cpu_utilization=0.5");
    dynos[0].set_checks(Mood::Says(503));
    until("the news is known", || of_dynos("load")[0] == json!(0.5));
    let settings = json!({"balance.reported_load": false});
    router.write("PATCH", "/v1/apps/one", json!({ "settings": settings }));
    assert_eq!(of_dynos("load"), [Value::Null, Value::Null, Value::Null]);
    assert!(dynos.iter().all(|dyno| dyno.requests() == 0));
}

#[test]
fn a_connection_is_a_check_of_tcp() {
    let (router, port) = (Router::start(), closed_port());
    let well = Named::start("well");
    app(&router, json!({"health.check": "tcp"}), &[&port.addr, &well.addr]);
    until_passed_over(&router, &[json!("failing"), Value::Null]);
    router.said.wait_for("its checks fail: no connection: Connection refused");
    let dyno = port.open();
    until_passed_over(&router, &[Value::Null, Value::Null]);
    assert_eq!(dyno.accept().take_all().0, b"", "nothing is said");
}

#[test]
fn a_dyno_that_is_well_by_turns_stays_what_it_was() {
    let (router, dyno, other) = (Router::start(), Moody::start("one"), Named::start("other"));
    let settings = json!({"health.failing_after": 2, "health.interval": "100ms"});
    app(&router, settings, &[&dyno.addr, &other.addr]);
    until("it is proven", || dyno.checks() > 0);
    // Never two bad ones in a row.
    for turn in 0..6 {
        let before = dyno.checks();
        dyno.set_checks(if turn % 2 == 0 { Mood::Says(500) } else { Mood::Well });
        until("it is asked once more", || dyno.checks() > before);
        dyno.set_checks(Mood::Well);
        assert_eq!(passed_over(&router)[0], Value::Null);
        until("and once more", || dyno.checks() > before + 1);
    }
    let fails = |line: &String| line.contains("its checks fail");
    assert!(!router.said.all().iter().any(fails));
}

#[test]
fn a_grpc_server_says_itself_how_it_is() {
    let router = Router::start();
    let mut command = python();
    command.arg(scripts().join("dynos/grpc_status.py"));
    let dyno = Program::start(command);
    app(&router, json!({"health.check": "grpc"}), &[&dyno.addr]);
    until("that is good", || good(&router) > 1.0);
    let ask_about = |name: &str| {
        let settings = json!({"health.grpc_name": name});
        router.write("PATCH", "/v1/apps/one", json!({ "settings": settings }));
    };
    ask_about("ill");
    router.said.wait_for("its checks fail: it is NOT_SERVING");
    ask_about("well");
    router.said.wait_for("its checks are good again");
    ask_about("nobody");
    router.said.wait_for("its checks fail: grpc-status 5");
}

#[test]
fn checks_speak_tls_and_http2_as_requests_do() {
    let authority = Authority::new("dynos");
    let files = authority.issue("one", &["one.internal"]);
    let mut command = node();
    command.arg(scripts().join("dynos/http2.mjs"));
    command.env("KEY", &files.key).env("CERT", &files.cert);
    let (dyno, ca) = (Program::start(command), authority.ca());
    let router = Router::with(&[("HOSTLER_DYNOS_TLS_CA", &ca)]);
    for protocol in ["http1", "http2"] {
        let before = good(&router);
        let settings = json!({
            "dynos.tls": true, "dynos.protocol": protocol, "health.path": "/echo",
            "health.body": "one", "health.host": "one.test",
        });
        app(&router, settings, &[&dyno.addr]);
        until("that is good", || good(&router) > before + 1.0);
    }
    let settings = json!({"dynos.tls_name": "other.internal", "health.failing_after": 1});
    router.write("PATCH", "/v1/apps/one", json!({ "settings": settings }));
    router.said.wait_for("it does not prove itself as other.internal");
    until_passed_over(&router, &[Value::Null]);
}
