//! `POST /v1/explain` and `hostler explain` beside what a real request then gets.
//!
//! Invariant: every explanation is held against an exchange with the same router, not against what
//! this file thinks of the rules.

use serde_json::{Value, json};

use crate::harness::{
    Dyno, Named, Router, closed_port,
    program::run,
    router::{TOKEN, command},
    until,
};

const GET: &str = "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";

fn explain(router: &Router, question: Value) -> Value {
    let reply = router.call("POST", "/v1/explain", Some(question));
    assert_eq!(reply.status(), 200, "{reply:?}");
    reply.json
}

/// The explanation of a GET, once a real one got what it says: the fault, or an answer of a dyno
/// that it calls a candidate and gives a chance.
fn confirmed(router: &Router, host: &str, path: &str) -> Value {
    let told = explain(router, json!({"host": host, "path": path}));
    let answer = router.get(host, path);
    let outcome = &told["outcome"];
    match outcome["verdict"].as_str().unwrap() {
        "dyno" => {
            let name = answer.head.get("x-dyno").unwrap_or_else(|| panic!("{told:#} {answer:?}"));
            let dynos = told["dynos"].as_array().unwrap();
            let it = dynos.iter().find(|dyno| dyno["release"] == name).unwrap();
            assert!(it["passed_over"].is_null(), "{told:#} {answer:?}");
            assert!(it["chance"].as_f64().unwrap() > 0.0, "{told:#} {answer:?}");
            assert!(outcome["dyno"].is_null() || outcome["dyno"] == it["name"], "{told:#}");
        }
        "fault" => agrees(outcome, &answer),
        "hold" => agrees(&outcome["then"], &answer),
        other => panic!("{other}"),
    }
    told
}

fn agrees(fault: &Value, answer: &crate::harness::Answer) {
    let told = (fault["status"].as_u64().unwrap() as u16, fault["code"].as_str().unwrap());
    assert_eq!(told, answer.verdict(), "{fault:#}");
    assert!(!fault["description"].as_str().unwrap().is_empty());
}

/// An app of its own dyno, whose release is its name.
fn app(router: &Router, name: &'static str, routes: &[&str]) -> Named {
    let dyno = Named::start(name);
    router.write("PUT", &format!("/v1/apps/{name}"), json!({}));
    for route in routes {
        router.write("PUT", &format!("/v1/apps/{name}/routes/{route}"), json!({}));
    }
    let body = json!({"addr": dyno.addr, "release": name});
    router.write("PUT", &format!("/v1/apps/{name}/dynos/web.1"), body);
    dyno
}

fn verdict(told: &Value) -> &str {
    told["outcome"]["verdict"].as_str().unwrap()
}

#[test]
fn the_rules_lead_to_the_app_that_answers() {
    let router = Router::start();
    let _dynos = [
        app(&router, "exact", &["www.a.test?path=/shop", "www.a.test?path=/shop/cart"]),
        app(&router, "deep", &["*.b.a.test", "*.a.test?path=/x/%252Fy"]),
        app(&router, "wide", &["*.a.test", "*.test"]),
    ];
    for (host, path, owner) in [
        ("www.a.test", "/shop", "exact"),
        ("WWW.a.test.:80", "/shop/cart/1?q=/", "exact"),
        ("www.a.test", "/shopping", "wide"),
        ("www.a.test", "/x/../%73hop/", "exact"),
        ("www.a.test", "/x/%2fy/z", "deep"),
        ("www.a.test", "/x//y", "wide"),
        ("c.b.a.test", "/", "deep"),
        ("x.c.b.a.test", "/", "deep"),
        ("b.a.test", "/", "wide"),
        ("a.test", "/", "wide"),
    ] {
        let told = confirmed(&router, host, path);
        assert_eq!(told["app"]["name"], owner, "{told:#}");
        assert_eq!(told["outcome"], json!({"verdict": "dyno", "dyno": "web.1"}), "{told:#}");
        let (last, before) = told["rules"].as_array().unwrap().split_last().unwrap();
        assert_eq!((&last["app"], &last["matched"]), (&json!(owner), &json!(true)), "{told:#}");
        assert!(before.iter().all(|rule| rule["matched"] == false), "{told:#}");
    }
    for (host, path) in [("no.where", "/"), ("test", "/"), ("10.0.0.1", "/"), ("[::1]", "/x")] {
        let told = confirmed(&router, host, path);
        assert_eq!(told["outcome"]["code"], "unknown_host", "{told:#}");
        assert!(told["app"].is_null() && told["dynos"] == json!([]), "{told:#}");
    }

    let told = explain(&router, json!({"host": "WWW.A.test:8080", "path": "/./x/%2fy%41?q#f"}));
    assert_eq!((&told["host"], &told["path"]), (&json!("www.a.test"), &json!("/x/%2FyA")));
    let rule = |host, path: Value, app: Value, matched| {
        let names = json!({"host": host, "path": path, "app": app});
        let mut rule = names.as_object().unwrap().clone();
        rule.insert("matched".into(), json!(matched));
        Value::Object(rule)
    };
    let expected = [
        rule("www.a.test", json!("/shop/cart"), json!("exact"), false),
        rule("www.a.test", json!("/shop"), json!("exact"), false),
        rule("*.a.test", json!("/x/%2Fy"), json!("deep"), false),
        rule("*.a.test", json!("/"), json!("wide"), true),
    ];
    assert_eq!(told["rules"], json!(expected), "{told:#}");
    let told = explain(&router, json!({"host": "x.b.none"}));
    let none = |host| rule(host, Value::Null, Value::Null, false);
    assert_eq!(told["rules"], json!([none("x.b.none"), none("*.b.none"), none("*.none")]));
}

#[test]
fn what_the_app_says_of_itself_comes_before_its_dynos() {
    let router = Router::start();
    let _dyno = app(&router, "one", &["a.test"]);
    let settings = json!({"timeouts.connect_total": "1s", "limits.app_connections": 1});
    for (patch, code) in [
        (json!({"maintenance": true, "blank": true}), "H80"),
        (json!({"maintenance": false}), "H81"),
        (json!({"blank": false, "router": true, "settings": settings}), ""),
    ] {
        router.write("PATCH", "/v1/apps/one", patch.clone());
        let told = confirmed(&router, "a.test", "/");
        assert_eq!(told["outcome"]["code"].as_str().unwrap_or_default(), code, "{told:#}");
        for (name, value) in patch.as_object().unwrap() {
            assert_eq!(told["app"][name], *value, "{told:#}");
        }
    }
    // The connection of the request before may still be counted; then this one is.
    until("no connection is counted", || {
        explain(&router, json!({"host": "a.test"}))["app"]["connections"] == 0
    });
    let mut stays = router.connect();
    assert_eq!(stays.get("a.test", "/").status(), 200);
    let told = confirmed(&router, "a.test", "/");
    assert_eq!(told["outcome"]["code"], "H22", "{told:#}");
    let method = json!({"host": "a.test", "method": "TRACE"});
    agrees(
        &explain(&router, method)["outcome"],
        &router.connect().ask("TRACE / HTTP/1.1\r\nHost: a.test\r\n\r\n"),
    );
}

#[test]
fn dynos_that_are_not_up_are_passed_over_with_their_state() {
    let times = ["HOSTLER_TIMEOUTS_CONNECT", "HOSTLER_TIMEOUTS_CONNECT_TOTAL"];
    let router = Router::with(&times.map(|name| (name, "200ms")));
    router.app("one", "a.test", &[]);
    assert_eq!(confirmed(&router, "a.test", "/")["outcome"]["code"], "H14");
    let dyno = app(&router, "two", &["b.test"]);
    for (state, expected, code) in
        [("starting", "hold", "H20"), ("crashed", "fault", "H10"), ("draining", "fault", "H14")]
    {
        router.set_state("two", "web.1", state);
        let told = confirmed(&router, "b.test", "/");
        assert_eq!(verdict(&told), expected, "{told:#}");
        let fault = if expected == "hold" { &told["outcome"]["then"] } else { &told["outcome"] };
        assert_eq!(fault["code"], code, "{told:#}");
        assert_eq!(told["dynos"][0]["passed_over"], state, "{told:#}");
        assert_eq!(told["app"]["dynos"][state], 1, "{told:#}");
        assert!(told["dynos"][0]["chance"].is_null(), "{told:#}");
        if expected == "hold" {
            assert_eq!(told["outcome"]["at_most_ms"], 200, "{told:#}");
        }
    }
    // Beside one that is up all of them are only told.
    for (name, state) in [("web.2", "starting"), ("web.3", "crashed"), ("web.4", "up")] {
        let body = json!({"addr": dyno.addr, "release": "two", "state": state});
        router.write("PUT", &format!("/v1/apps/two/dynos/{name}"), body);
    }
    let told = explain(&router, json!({"host": "b.test"}));
    assert_eq!(told["outcome"], json!({"verdict": "dyno", "dyno": "web.4"}), "{told:#}");
    let counts = json!({"candidates": 1, "starting": 1, "draining": 1, "crashed": 1,
        "quarantined": 0, "ejected": 0, "failing": 0, "unproven": 0, "shareless": 0, "full": 0});
    assert_eq!(told["app"]["dynos"], counts, "{told:#}");
}

#[test]
fn a_failed_connect_shows_until_its_quarantine_ends() {
    let router = Router::with(&[("HOSTLER_DYNOS_QUARANTINE", "1h")]);
    let (closed, named) = (closed_port(), Named::start("two"));
    router.app("one", "a.test", &[&closed.addr]);
    router.write("PATCH", "/v1/apps/one", json!({"settings": {"timeouts.connect_total": "300ms"}}));
    let told = explain(&router, json!({"host": "a.test"}));
    assert_eq!(told["outcome"], json!({"verdict": "dyno", "dyno": "web.1"}), "{told:#}");
    assert_eq!(router.get("a.test", "/").verdict(), (503, "H21"));

    let told = confirmed(&router, "a.test", "/");
    assert_eq!((verdict(&told), &told["outcome"]["then"]["code"]), ("hold", &json!("H34")));
    assert_eq!(told["outcome"]["at_most_ms"], 300, "{told:#}");
    let dyno = &told["dynos"][0];
    assert_eq!(
        (&dyno["passed_over"], &dyno["failed_connects"]),
        (&json!("quarantined"), &json!(1))
    );
    let left = dyno["quarantined_for_ms"].as_u64().unwrap();
    assert!((1..=3_600_000).contains(&left), "{told:#}");

    router.write("PUT", "/v1/apps/one/dynos/web.2", json!({"addr": named.addr, "release": "two"}));
    let told = confirmed(&router, "a.test", "/");
    assert_eq!(told["outcome"], json!({"verdict": "dyno", "dyno": "web.2"}), "{told:#}");
    assert_eq!(told["dynos"][0]["chance"], 0.0, "{told:#}");
}

#[test]
fn load_and_weight_tell_which_of_two_wins() {
    let router = Router::with(&[("HOSTLER_WORKERS", "1")]);
    let (light, heavy) = (Dyno::new(), Named::start("heavy"));
    router.app("one", "a.test", &[&light.addr]);
    let mut busy = router.connect();
    busy.send(GET);
    let mut conn = light.accept();
    conn.take_request();
    let dyno = json!({"addr": heavy.addr, "release": "heavy", "weight": 100});
    router.write("PUT", "/v1/apps/one/dynos/web.2", dyno);
    let algorithm = |algorithm: &str| {
        let settings = json!({"balance.algorithm": algorithm});
        router.write("PATCH", "/v1/apps/one", json!({ "settings": settings }));
    };
    // Alone by what is in flight.
    algorithm("least_request");
    let told = explain(&router, json!({"host": "a.test"}));
    assert_eq!(told["dynos"][0]["in_flight"], 1, "{told:#}");
    assert_eq!(told["app"]["in_flight"], 1, "{told:#}");
    for _ in 0..5 {
        let told = confirmed(&router, "a.test", "/");
        assert_eq!(told["outcome"]["dyno"], "web.2", "{told:#}");
        until("it is settled", || {
            explain(&router, json!({"host": "a.test"}))["app"]["in_flight"] == 1
        });
    }
    // By weight alone it is one of two draws of three; and one exchange more for each is too many.
    router.write("PATCH", "/v1/apps/one/dynos/web.1", json!({"weight": 200}));
    algorithm("random");
    let told = explain(&router, json!({"host": "a.test"}));
    assert_eq!(told["outcome"], json!({"verdict": "dyno", "dyno": null}), "{told:#}");
    assert_eq!(
        (&told["dynos"][0]["chance"], &told["dynos"][1]["chance"]),
        (&json!(2.0 / 3.0), &json!(1.0 / 3.0))
    );
    router.set_state("one", "web.2", "draining");
    let bounds = json!({"dynos.max_in_flight": 1, "queue.max": 0});
    router.write("PATCH", "/v1/apps/one", json!({ "settings": bounds }));
    assert_eq!(confirmed(&router, "a.test", "/")["outcome"]["code"], "H11");
}

#[test]
fn a_question_that_no_request_could_be_is_refused_by_field() {
    let router = Router::start();
    for (question, fields) in [
        (json!({}), &["host"][..]),
        (json!({"host": "a b"}), &["host"]),
        (json!({"host": "*.a.test"}), &["host"]),
        (json!({"host": ["a.test"], "path": "x", "hots": 1}), &["host", "path", "hots"]),
        (json!({"host": "a.test", "path": "/a b"}), &["path"]),
        (json!({"host": "a.test", "path": "*"}), &["path"]),
        (json!({"host": "a.test", "path": format!("/{}", "x".repeat(8192))}), &["path"]),
        (json!({"host": "a.test", "method": "G T"}), &["method"]),
        (json!({"host": "a.test", "method": "G".repeat(65)}), &["method"]),
        (json!({"host": "a.test", "headers": {"a b": "x"}}), &["headers"]),
        (json!({"host": "a.test", "headers": {"a": "x\r\ny"}}), &["headers"]),
        (json!({"host": "a.test", "headers": ["a"]}), &["headers"]),
        (json!({"host": "a.test", "client": "a.test"}), &["client"]),
    ] {
        let reply = router.call("POST", "/v1/explain", Some(question.clone()));
        assert_eq!(reply.status(), 422, "{question} {reply:?}");
        let named: Vec<_> = reply.mistakes().into_iter().map(|(_, field)| field).collect();
        assert_eq!(named, fields, "{question}");
    }
    assert_eq!(router.get("a b", "/").status(), 400);
    for body in [Some(json!([])), Some(json!("a.test")), None] {
        assert_eq!(router.call("POST", "/v1/explain", body).status(), 400);
    }
    let whole = json!({"host": "a.test", "path": null, "method": "OPTIONS",
        "headers": {"X-A": "ä"}, "client": "::1"});
    assert_eq!(explain(&router, whole)["outcome"]["code"], "unknown_host");
    let star = json!({"host": "a.test", "path": "*", "method": "OPTIONS"});
    assert_eq!(explain(&router, star)["path"], "*");
}

#[test]
fn long_lists_are_cut_and_the_rest_counted() {
    let router = Router::start();
    let named = app(&router, "one", &["a.test"]);
    let path = |n: usize| format!("/apps/one/routes/a.test?path=/{n}");
    let dyno = |n: usize| format!("/apps/one/dynos/web.{n}");
    let (paths, dynos): (Vec<_>, Vec<_>) =
        ((0..150).map(path).collect(), (2..=250).map(dyno).collect());
    let body = json!({"addr": named.addr, "release": "one"});
    let routes = paths.iter().map(|path| ("PUT", path.as_str(), json!({})));
    let dynos = dynos.iter().map(|path| ("PUT", path.as_str(), body.clone()));
    let ops: Vec<_> = routes.chain(dynos).collect();
    assert_eq!(router.transact(&ops).status(), 200);
    let told = confirmed(&router, "a.test", "/");
    let length = |list: &str| told[list].as_array().unwrap().len();
    assert_eq!((length("rules"), &told["rules_omitted"]), (101, &json!(50)), "{told:#}");
    assert_eq!(told["rules"][100]["matched"], true);
    assert_eq!((length("dynos"), &told["dynos_omitted"]), (100, &json!(150)), "{told:#}");
    assert_eq!(told["app"]["dynos"]["candidates"], 250);
    assert_eq!(told["outcome"], json!({"verdict": "dyno", "dyno": null}));
}

#[test]
fn the_command_tells_people_what_the_call_tells_programs() {
    let router = Router::start();
    let _dyno = app(&router, "one", &["a.test?path=/shop", "*.test"]);
    let ask = |line: &[&str]| {
        let mut command = command(line);
        command.env("HOSTLER_URL", format!("http://{}", router.control));
        command.env("HOSTLER_TOKEN", TOKEN);
        String::from_utf8(run(command)).unwrap()
    };
    let text = ask(&["explain", "https://A.test:443/x/../blog?q"]);
    for part in ["GET a.test/blog at revision 4", "/shop", "*.test", "App one", "web.1", "100%"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(text.ends_with("\nGoes to web.1\n"), "{text}");
    let text = ask(&["explain", "no.where", "/x", "--header", "X-A: b", "--client", "::1"]);
    assert!(text.contains("unknown_host No such app (404)"), "{text}");
    let told: Value =
        serde_json::from_str(&ask(&["explain", "a.test", "/shop", "--json"])).unwrap();
    assert_eq!(told, explain(&router, json!({"host": "a.test", "path": "/shop"})));
}
