//! The routers as the hub knows them: their acks, their lag, and what an app does in this one.

use std::process::Output;

use hostler::api::{Access, AckBody, Client};
use serde_json::{Value, json};

use crate::harness::{
    Dyno, Router, closed_port,
    followed::Stream,
    router::{TOKEN, command},
    until,
};

fn routers(router: &Router) -> Vec<Value> {
    let reply = router.call("GET", "/v1/routers", None);
    assert_eq!(reply.status(), 200, "{reply:?}");
    reply.json["items"].as_array().unwrap().clone()
}

fn ack(router: &Router, id: &str, body: Value) -> Value {
    let reply = router.call("POST", &format!("/v1/routers/{id}/ack"), Some(body));
    assert_eq!(reply.status(), 200, "{reply:?}");
    reply.json
}

/// A router with an app, at revision 1.
fn with_app() -> Router {
    let router = Router::start();
    router.app("one", "a.test", &["10.0.0.1:5000"]);
    router
}

fn weigh(router: &Router, weight: u64) -> u64 {
    router.write("PATCH", "/v1/apps/one/dynos/web.1", json!({ "weight": weight }))
}

#[test]
fn the_local_router_serves_what_is_published() {
    let router = with_app();
    let local = &routers(&router)[0];
    assert_eq!(
        (&local["id"], &local["live"], &local["revision"]),
        (&json!("local"), &json!(true), &json!(1))
    );
    assert_eq!(
        (&local["workers"], &local["lag"], &local["digest_ok"]),
        (&json!(2), &json!(0), &json!(true))
    );
    weigh(&router, 7);
    let digest = router.call("GET", "/v1/revision", None).json["digest"].clone();
    let local = &routers(&router)[0];
    assert_eq!((&local["revision"], &local["digest"]), (&json!(2), &digest));
}

#[test]
fn an_ack_says_how_far_a_router_is() {
    let router = with_app();
    let digest = router.call("GET", "/v1/revision", None).json["digest"].clone();
    let body = json!({"revision": 1, "digest": digest, "workers": 4, "version": "9.9.9"});
    let told = ack(&router, "r2", body);
    assert_eq!(told, json!({"revision": 1, "lag": 0, "digest_ok": true}));
    (2..5).for_each(|weight| _ = weigh(&router, weight));
    let items = routers(&router);
    let r2 = &items[1];
    let expected = json!({
        "id": "r2", "live": true, "revision": 1, "digest": digest, "digest_ok": true, "lag": 3,
        "workers": 4, "version": "9.9.9", "address": "127.0.0.1",
        "behind_ms": r2["behind_ms"], "age_ms": r2["age_ms"],
    });
    assert_eq!(*r2, expected);
    assert!(r2["age_ms"].as_u64().unwrap() >= r2["behind_ms"].as_u64().unwrap(), "{r2}");
    until("it is behind", || routers(&router)[1]["behind_ms"].as_u64() > Some(0));
    assert_eq!(
        ack(&router, "r2", json!({"revision": 4})),
        json!({"revision": 4, "lag": 0, "digest_ok": null})
    );
    let r2 = &routers(&router)[1];
    assert_eq!(
        (&r2["lag"], &r2["behind_ms"], &r2["workers"]),
        (&json!(0), &json!(0), &json!(null))
    );
}

#[test]
fn a_digest_that_is_another_tables_is_said() {
    let router = with_app();
    weigh(&router, 7);
    let wrong = "ab".repeat(32);
    let told = ack(&router, "r2", json!({"revision": 1, "digest": wrong}));
    assert_eq!(told, json!({"revision": 2, "lag": 1, "digest_ok": false}));
    assert_eq!(routers(&router)[1]["digest_ok"], json!(false));
    let line = router.said.wait_for("another table");
    assert!(line.contains("r2") && line.contains(&wrong), "{line}");
}

#[test]
fn an_ack_that_cannot_be_is_refused_with_every_mistake() {
    let router = with_app();
    let refused = |id: &str, body: Value| {
        let reply = router.call("POST", &format!("/v1/routers/{id}/ack"), Some(body));
        (reply.status(), reply.mistakes().into_iter().map(|(_, field)| field).collect::<Vec<_>>())
    };
    let of = |fields: &[&str]| (422, fields.iter().map(|f| (*f).to_owned()).collect::<Vec<_>>());
    assert_eq!(refused("r2", json!({"revision": 2})), of(&["revision"]));
    assert_eq!(refused("local", json!({"revision": 1})), of(&["router"]));
    assert_eq!(refused("a%20b", json!({"revision": 1})), of(&["router"]));
    assert_eq!(refused(&"x".repeat(64), json!({"revision": 1})), of(&["router"]));
    assert_eq!(
        refused("r2", json!({"digest": "x", "version": ""})),
        of(&["digest", "version", "revision"])
    );
    assert_eq!(
        refused("r2", json!({"revision": -1, "workers": "2", "x": 1})),
        of(&["revision", "workers", "x"])
    );
    assert_eq!(refused("r2", json!([1])), (400, vec!["body".into()]));
    assert_eq!(routers(&router).len(), 1, "what was refused left no trace");
}

#[test]
fn who_follows_the_feed_by_name_is_live_and_serves_nothing_until_it_says_so() {
    let router = with_app();
    let lines = format!("Authorization: Bearer {TOKEN}\r\n");
    let mut stream = Stream::open(router.control, "?router=r3&from=1", &lines);
    assert_eq!(stream.next().unwrap().name, "heartbeat");
    let r3 = &routers(&router)[1];
    assert_eq!(
        (&r3["id"], &r3["live"], &r3["revision"]),
        (&json!("r3"), &json!(true), &json!(null))
    );
    assert_eq!(Stream::open(router.control, "?router=local", &lines).status(), 422);
}

#[test]
fn the_client_and_the_command_tell_of_the_routers() {
    let router = with_app();
    let url = format!("http://{}", router.control);
    let client = Client::new(Access::new(&url, TOKEN).unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let body = AckBody { revision: 0, workers: Some(8), ..AckBody::default() };
        let told = client.ack("r2", &body).await.unwrap();
        assert_eq!((told.revision, told.lag), (1, 1));
        assert_eq!(client.routers().await.unwrap().items[1].lag, Some(1));
    });
    let run = |arguments: &[&str]| -> Output {
        let mut command = command(arguments);
        command.env("HOSTLER_URL", &url).env("HOSTLER_TOKEN", TOKEN).output().unwrap()
    };
    let text = String::from_utf8(run(&["routers"]).stdout).unwrap();
    let words = |line: &str| line.split_whitespace().map(String::from).collect::<Vec<_>>();
    let lines: Vec<_> = text.lines().map(words).collect();
    assert_eq!(lines[0][..3], ["ROUTER", "REVISION", "LAG"], "{text}");
    assert_eq!((&lines[1][0], &lines[1][2]), (&"local".into(), &"0".into()), "{text}");
    assert_eq!((&lines[2][0], &lines[2][2]), (&"r2".into(), &"1".into()), "{text}");
    let json: Value = serde_json::from_slice(&run(&["routers", "--json"]).stdout).unwrap();
    assert_eq!(json["items"][1]["id"], "r2");
}

#[test]
fn a_token_speaks_for_its_routers_and_for_no_other() {
    let router = with_app();
    let token = |name: &str| {
        let body = json!({"name": name, "scopes": ["read"]});
        let made = router.call("POST", "/v1/tokens", Some(body)).json;
        format!("Authorization: Bearer {}\r\n", made["token"].as_str().unwrap())
    };
    let (edge, other) = (token("edge"), token("other"));
    let ack_as = |lines: &str, id: &str| {
        let path = format!("/v1/routers/{id}/ack");
        router.call_with(lines, "POST", &path, Some(json!({"revision": 1})))
    };
    assert_eq!(ack_as(&edge, "r2").status(), 200);
    let refused = ack_as(&other, "r2");
    assert_eq!((refused.status(), refused.mistakes()), (409, vec![(None, "router".into())]));
    assert_eq!(Stream::open(router.control, "?router=r2", &other).status(), 409);
    ack(&router, "r2", json!({"revision": 1}));
    assert_eq!(ack_as(&edge, "r2").status(), 200, "the admin's word takes nobody's place");
    // However many it makes up, there is room for those of others.
    let made_up = (0..65).map(|i| ack_as(&other, &format!("junk-{i}")).status());
    let taken = made_up.filter(|status| *status == 200).count();
    assert_eq!(taken, 64);
    assert_eq!(ack_as(&edge, "r3").status(), 200);
}

#[test]
fn an_apps_figures_are_those_of_its_exchanges() {
    let (router, dyno) = (Router::start(), Dyno::new());
    router.app("one", "a.test", &[&dyno.addr]);
    let stats = || router.call("GET", "/v1/apps/one/stats", None).json;
    let mut client = router.connect();
    client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    let mut conn = dyno.accept();
    conn.take_request();
    let running = stats();
    assert_eq!(
        running,
        json!({
            "app": "one", "revision": 1, "in_flight": 1, "waiting": 0, "connections": 1, "begun": 1,
            "shadow": null, "figures": null,
            "dynos": [{
                "name": "web.1", "addr": dyno.addr, "release": "", "state": "up", "in_flight": 1,
                "failed_connects": 0, "quarantine_ms": 0, "ejected_ms": 0, "ejections": 0,
                "latency_ms": null, "limit": null, "past": [], "figures": null,
            }],
        })
    );
    conn.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    client.take_answer();
    until("it has ended", || stats()["in_flight"] == 0);
    // Nobody listens there: the dyno is passed over for a while.
    let closed = closed_port();
    router.write("PATCH", "/v1/apps/one/dynos/web.1", json!({"addr": closed.addr}));
    assert_eq!(router.get("a.test", "/").fault(), "H21");
    let failed = stats();
    assert!(failed["dynos"][0]["failed_connects"].as_u64() > Some(0), "{failed}");
    assert!(failed["dynos"][0]["quarantine_ms"].as_u64() > Some(0), "{failed}");
    assert_eq!((&failed["begun"], &failed["revision"]), (&json!(2), &json!(2)));
    assert_eq!(router.call("GET", "/v1/apps/two/stats", None).status(), 404);
}
