//! Clients that come back to the dyno that they had, by the router's cookie.
//!
//! Invariant: a dyno is known by the name that it answers with, never by what the cookie says.

use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use crate::harness::{
    Answer, Dyno, H2, Named, Router, closed_port,
    program::{curl, python, run, scripts},
    until,
};

const NAMES: [&str; 4] = ["one", "two", "three", "four"];
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n";

/// App `one` with the host `a.test`, these dynos, and affinity with these settings beside.
fn sticky(router: &Router, dynos: &[&str], settings: Value) {
    router.app("one", "a.test", dynos);
    set(router, settings);
}

fn set(router: &Router, mut settings: Value) {
    settings["affinity.enabled"] = true.into();
    router.write("PATCH", "/v1/apps/one", json!({"settings": settings}));
}

fn start() -> (Router, [Named; 4]) {
    let (router, dynos) = (Router::start(), NAMES.map(Named::start));
    sticky(&router, &dynos.each_ref().map(|dyno| dyno.addr.as_str()), json!({}));
    (router, dynos)
}

/// What the router answers to a request with these header lines, on a connection of its own.
fn ask(router: &Router, lines: &str) -> Answer {
    let mut client = router.connect();
    client.send(format!("GET / HTTP/1.1\r\nHost: a.test\r\n{lines}\r\n"));
    client.take_answer()
}

fn with(router: &Router, cookie: &str) -> Answer {
    ask(router, &format!("Cookie: theme=dark; {cookie}\r\n"))
}

/// The cookie that an answer sets, as a client sends it back.
fn cookie(answer: &Answer) -> Option<String> {
    let line = answer.head.get("set-cookie")?;
    Some(line.split(';').next().unwrap().to_owned())
}

fn dyno(answer: &Answer) -> String {
    assert_eq!(answer.status(), 200, "{answer:?}");
    answer.head.get("x-dyno").unwrap().to_owned()
}

#[test]
fn a_client_stays_with_its_dyno_over_connections_workers_and_starts() {
    let data = tempfile::tempdir().unwrap();
    let dynos = NAMES.map(Named::start);
    let router = Router::on(data.path(), &[]);
    sticky(&router, &dynos.each_ref().map(|dyno| dyno.addr.as_str()), json!({}));
    let first = ask(&router, "");
    let cookie = cookie(&first).unwrap();
    let stays = |router: &Router| {
        for _ in 0..40 {
            let next = with(router, &cookie);
            assert_eq!(dyno(&next), dyno(&first));
            assert_eq!(next.head.get("set-cookie"), None, "it is set once");
        }
    };
    stays(&router);
    // Others are not held to it.
    until("another client has another dyno", || dyno(&ask(&router, "")) != dyno(&first));
    let key = data.path().join("affinity.key");
    assert_eq!(std::fs::metadata(key).unwrap().permissions().mode() & 0o777, 0o600);
    router.kill();
    let router = Router::on(data.path(), &[]);
    stays(&router);
}

#[test]
fn routers_with_one_key_know_each_others_cookies() {
    let key = "00".repeat(32);
    let dynos = NAMES.map(Named::start);
    let routers = [(); 2].map(|()| Router::with(&[("HOSTLER_AFFINITY_KEY", &key)]));
    for router in &routers {
        sticky(router, &dynos.each_ref().map(|dyno| dyno.addr.as_str()), json!({}));
    }
    let first = ask(&routers[0], "");
    let next = with(&routers[1], &cookie(&first).unwrap());
    assert_eq!((dyno(&next), cookie(&next)), (dyno(&first), None));
    assert!(!routers[0].data_dir().join("affinity.key").exists());
}

#[test]
fn a_dyno_that_is_gone_or_unfit_is_replaced_for_good() {
    let (router, _dynos) = start();
    let mut held = cookie(&ask(&router, "")).unwrap();
    let named = |cookie: &str| {
        let told = json!({"host": "a.test", "headers": {"Cookie": cookie}});
        let told = router.call("POST", "/v1/explain", Some(told)).json;
        let affinity = &told["affinity"];
        (affinity["verdict"].as_str().unwrap().to_owned(), affinity["dyno"].clone())
    };
    for state in ["draining", "crashed", "starting", "removed"] {
        let (verdict, web) = named(&held);
        assert_eq!(verdict, "returns");
        let path = format!("/v1/apps/one/dynos/{}", web.as_str().unwrap());
        let body = router.call("GET", &path, None).json["addr"].clone();
        match state {
            "removed" => router.delete(&path),
            state => _ = router.write("PATCH", &path, json!({"state": state})),
        }
        assert_eq!(named(&held).0, if state == "removed" { "gone" } else { "unfit" });
        let next = with(&router, &held);
        let other = cookie(&next).expect("it is set anew");
        assert_ne!(named(&other).1, web);
        assert_eq!((dyno(&with(&router, &other)), cookie(&with(&router, &other))), {
            (dyno(&next), None)
        });
        held = other;
        router.write("PUT", &path, json!({"addr": body}));
    }
}

#[test]
fn clients_of_a_release_that_lost_its_share_get_another_dyno_for_good() {
    let (router, _dynos) = start();
    for at in [3, 4] {
        let path = format!("/v1/apps/one/dynos/web.{at}");
        router.write("PATCH", &path, json!({"release": "v2"}));
    }
    for at in [1, 2] {
        let path = format!("/v1/apps/one/dynos/web.{at}");
        router.write("PATCH", &path, json!({"release": "v1"}));
    }
    let of_v2 = |answer: &Answer| ["three", "four"].contains(&dyno(answer).as_str());
    for without in ["v1=100,v2=0", "v1=100"] {
        set(&router, json!({"balance.releases": "v1=50,v2=50"}));
        let mut first = ask(&router, "");
        until("a client comes to v2", || {
            first = ask(&router, "");
            of_v2(&first)
        });
        let held = cookie(&first).unwrap();
        assert_eq!(dyno(&with(&router, &held)), dyno(&first));
        set(&router, json!({"balance.releases": without}));
        let told = json!({"host": "a.test", "headers": {"Cookie": held}});
        let told = router.call("POST", "/v1/explain", Some(told)).json;
        let affinity = &told["affinity"];
        assert_eq!([&affinity["verdict"], &affinity["passed_over"]], ["unfit", "shareless"]);
        assert_eq!(told["app"]["dynos"]["shareless"], 2, "{told:#}");
        let next = with(&router, &held);
        assert!(!of_v2(&next), "{without}: {next:?}");
        let other = cookie(&next).expect("it is set anew");
        // It is not called back by what it had.
        set(&router, json!({"balance.releases": "v1=50,v2=50"}));
        assert_eq!((dyno(&with(&router, &other)), cookie(&with(&router, &other))), {
            (dyno(&next), None)
        });
        // Where nothing that has a share can serve, a client stays with what serves it.
        set(&router, json!({"balance.releases": without}));
        ["web.1", "web.2"].iter().for_each(|web| router.set_state("one", web, "crashed"));
        let (first, again) = (with(&router, &held), with(&router, &held));
        assert!(of_v2(&first) && dyno(&again) == dyno(&first), "{first:?}");
        assert_eq!(cookie(&again), None);
        ["web.1", "web.2"].iter().for_each(|web| router.set_state("one", web, "up"));
    }
}

#[test]
fn a_dyno_that_refuses_is_replaced_and_the_request_served() {
    let (closed, named) = (closed_port(), Named::start("other"));
    let router = Router::with(&[("HOSTLER_DYNOS_QUARANTINE", "1h")]);
    sticky(&router, &[&closed.addr], json!({}));
    let dyno_one = closed.open();
    let mut client = router.connect();
    client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    let mut conn = dyno_one.accept();
    conn.take_request();
    conn.send(format!("{OK}ok"));
    let held = cookie(&client.take_answer()).unwrap();
    router.write("PUT", "/v1/apps/one/dynos/web.2", json!({"addr": named.addr}));
    drop((conn, dyno_one));
    let next = with(&router, &held);
    assert_eq!(dyno(&next), "other");
    let other = cookie(&next).expect("it is set anew");
    assert_eq!(cookie(&with(&router, &other)), None);
}

#[test]
fn a_dyno_that_is_full_is_spared_and_not_given_up() {
    // One worker, so that the dyno's connection is kept for whoever comes next.
    let router = Router::with(&[("HOSTLER_WORKERS", "1")]);
    let dynos = [Dyno::new(), Dyno::new()];
    let settings = json!({"dynos.max_in_flight": 1});
    sticky(&router, &[&dynos[0].addr], settings);
    let mut client = router.connect();
    client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    let mut conn = dynos[0].accept();
    conn.take_request();
    conn.send(format!("{OK}ok"));
    let held = cookie(&client.take_answer()).unwrap();
    let request = format!("GET / HTTP/1.1\r\nHost: a.test\r\nCookie: {held}\r\n\r\n");
    client.send(&request);
    conn.take_request();
    router.write("PUT", "/v1/apps/one/dynos/web.2", json!({"addr": dynos[1].addr}));
    let mut second = router.connect();
    second.send(&request);
    let mut other = dynos[1].accept();
    other.take_request();
    other.send(format!("{OK}ok"));
    assert_eq!(cookie(&second.take_answer()), None, "the client keeps its dyno");
    conn.send(format!("{OK}ok"));
    assert_eq!(client.take_answer().text(), "ok");
    until("the place is free again", || {
        router.call("GET", "/v1/apps/one/stats", None).json["in_flight"] == 0
    });
    second.send(&request);
    let head = conn.take_request().head;
    assert!(head.line.starts_with("GET /"), "it comes back: {head:?}");
}

#[test]
fn a_cookie_that_does_not_count_is_as_good_as_none() {
    let (router, _dynos) = start();
    let held = cookie(&ask(&router, "")).unwrap();
    let (name, value) = held.split_once('=').unwrap();
    let two = Named::start("two");
    router.app("two", "b.test", &[&two.addr]);
    router.write("PATCH", "/v1/apps/two", json!({"settings": {"affinity.enabled": true}}));
    let mut client = router.connect();
    let foreign = cookie(&client.get("b.test", "/")).unwrap();
    let flipped = if value.starts_with('A') { "B" } else { "A" };
    let forged = [
        format!("{name}="),
        format!("{name}=web.1"),
        format!("{name}={}", &value[..39]),
        format!("{name}={value}A"),
        format!("{name}={flipped}{}", &value[1..]),
        format!("{name}={}", "~".repeat(40)),
        foreign,
    ];
    for cookie_line in &forged {
        let answer = with(&router, cookie_line);
        assert!(NAMES.contains(&dyno(&answer).as_str()));
        assert!(cookie(&answer).is_some(), "{cookie_line}");
    }
    // One that counts is found behind those that do not.
    assert_eq!(cookie(&with(&router, &format!("{}; {held}", forged[1]))), None);
}

#[test]
fn a_cookie_lasts_as_long_as_the_app_says() {
    let (router, _dynos) = start();
    set(&router, json!({"affinity.age": "1h"}));
    let first = ask(&router, "");
    assert!(first.head.get("set-cookie").unwrap().contains("; Max-Age=3600;"), "{first:?}");
    let held = cookie(&first).unwrap();
    assert_eq!(cookie(&with(&router, &held)), None);
    set(&router, json!({"affinity.age": "1s"}));
    let verdict = || {
        let told = json!({"host": "a.test", "headers": {"Cookie": held}});
        let told = router.call("POST", "/v1/explain", Some(told)).json;
        told["affinity"]["verdict"].as_str().unwrap().to_owned()
    };
    until("it is over", || verdict() == "none");
    assert!(cookie(&with(&router, &held)).is_some());
    // A long life has a beginning, too: in its second half it is set anew, for the same dyno.
    set(&router, json!({"affinity.age": "3s"}));
    let second = ask(&router, "");
    let held = cookie(&second).unwrap();
    let mut next = with(&router, &held);
    until("half of it is over", || {
        next = with(&router, &held);
        cookie(&next).is_some()
    });
    assert_eq!(dyno(&next), dyno(&second));
}

#[test]
fn what_is_said_of_the_cookie_is_the_apps_to_set() {
    let router = Router::with(&[("HOSTLER_HTTP_TRUSTED_NETWORKS", "127.0.0.0/8")]);
    let named = Named::start("one");
    sticky(&router, &[&named.addr], json!({}));
    let tls = "X-Forwarded-Proto: https\r\n";
    for (settings, lines, said) in [
        (json!({}), "", "; Path=/; HttpOnly; SameSite=Lax"),
        (json!({}), tls, "; Path=/; Secure; HttpOnly; SameSite=Lax"),
        (json!({"affinity.secure": "always"}), "", "; Path=/; Secure; HttpOnly; SameSite=Lax"),
        (json!({"affinity.secure": "never"}), tls, "; Path=/; HttpOnly; SameSite=Lax"),
        (json!({"affinity.http_only": false}), "", "; Path=/; SameSite=Lax"),
        (json!({"affinity.same_site": "strict"}), "", "; Path=/; HttpOnly; SameSite=Strict"),
        (json!({"affinity.same_site": "off"}), "", "; Path=/; HttpOnly"),
        (json!({"affinity.same_site": "none"}), tls, "; Path=/; Secure; HttpOnly; SameSite=None"),
        (json!({"affinity.same_site": "none"}), "", "; Path=/; HttpOnly"),
        (json!({"affinity.path": "/shop"}), "", "; Path=/shop; HttpOnly; SameSite=Lax"),
    ] {
        let all = json!({"affinity.secure": "auto", "affinity.http_only": true});
        set(&router, all);
        router.write("PUT", "/v1/apps/one", json!({}));
        set(&router, settings.clone());
        let answer = ask(&router, lines);
        let line = answer.head.get("set-cookie").unwrap();
        let (pair, rest) = line.split_at(line.find(';').unwrap());
        assert_eq!(rest, said, "{settings}");
        assert_eq!((pair.len(), pair.starts_with("hostler-affinity=")), (17 + 40, true));
    }
    set(&router, json!({"affinity.cookie": "dyno"}));
    assert!(cookie(&ask(&router, "")).unwrap().starts_with("dyno="));
    router.write("PUT", "/v1/apps/one", json!({}));
    assert_eq!(cookie(&ask(&router, "")), None, "without affinity there is none");
}

#[test]
fn the_cookie_is_between_client_and_router() {
    let (router, dyno) = (Router::start(), Dyno::new());
    sticky(&router, &[&dyno.addr], json!({}));
    let mut client = router.connect();
    client.send(
        "GET / HTTP/1.1\r\nHost: a.test\r\nCookie: a=1; hostler-affinity=x;b=2\r\n\
         cookie: hostler-affinity=y\r\n\r\n",
    );
    let mut conn = dyno.accept();
    assert_eq!(conn.take_request().head.all("cookie"), ["a=1; b=2"]);
    conn.send(
        "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nSet-Cookie: a=3\r\n\
         Set-Cookie: hostler-affinity=z; Path=/\r\nContent-Length: 0\r\n\r\n",
    );
    assert_eq!(client.take_head().all("set-cookie").len(), 0, "an interim answer sets nothing");
    let answer = client.take_answer();
    let [theirs, ours] = answer.head.all("set-cookie")[..] else { panic!("{answer:?}") };
    assert!(theirs == "a=3" && ours.starts_with("hostler-affinity=") && !ours.contains("=z"));
    // A fault of the router's own has none.
    router.set_state("one", "web.1", "crashed");
    assert_eq!((cookie(&ask(&router, "")), ask(&router, "").fault()), (None, "H10"));
}

#[test]
fn the_cookie_goes_with_http2_and_with_a_websocket() {
    let (router, dyno) = (Router::with(&[("HOSTLER_HTTP_H2C", "true")]), Dyno::new());
    sticky(&router, &[&dyno.addr], json!({}));
    let mut client = router.connect();
    client.send(
        "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    );
    let mut conn = dyno.accept();
    conn.take_request();
    conn.send("HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    let head = client.take_head();
    let held = head.get("set-cookie").expect("it is set with the 101").split(';').next().unwrap();

    let h2 = H2::connect(router.http);
    // In HTTP/2 cookies may come in crumbs (RFC 9113, section 8.2.3).
    let request = |cookies: &[&str]| {
        let mut request = http::Request::get("http://a.test/");
        for cookie in cookies {
            request = request.header("cookie", *cookie);
        }
        request.body(()).unwrap()
    };
    for (cookies, is_set) in [(&["a=1"][..], true), (&["a=1", held], false)] {
        let call = h2.begin(request(cookies), true);
        h2.turn();
        let mut conn = dyno.accept();
        assert_eq!(conn.take_request().head.all("cookie"), ["a=1"]);
        conn.send(format!("{OK}ok").replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n"));
        let answer = h2.answer(call).unwrap();
        assert_eq!(answer.get("set-cookie").starts_with("hostler-affinity="), is_set);
    }
}

#[test]
fn curl_and_httpx_keep_the_cookie_and_their_dyno() {
    let (router, dynos) = start();
    let jar = tempfile::NamedTempFile::new().unwrap();
    let jar = jar.path().to_str().unwrap();
    let port = router.http.port();
    let (resolve, url) = (format!("a.test:{port}:127.0.0.1"), format!("http://a.test:{port}/"));
    let mut seen = Vec::new();
    for _ in 0..10 {
        let command = curl(&["--fail", "-c", jar, "-b", jar, "--resolve", &resolve, &url, &url]);
        let text = String::from_utf8(run(command)).unwrap();
        seen.extend(text.lines().map(|line| line.split(' ').next().unwrap().to_owned()));
    }
    assert_eq!(seen.len(), 20);
    assert!(seen.iter().all(|name| *name == seen[0]), "{seen:?}");

    let mut command = python();
    command.arg(scripts().join("clients/httpx_affinity.py")).arg(port.to_string());
    assert_eq!(run(command), b"ok\n");
    let requests: usize = dynos.iter().map(Named::requests).sum();
    assert_eq!(requests, 20 + 30 + 30);
}
