//! Clients that speak HTTP/2 in clear text, and dynos that speak HTTP/1.1.
//!
//! Invariant: each test says what the dyno saw as well as what the client got.

use h2::{Reason, ext::Protocol};
use hostler::error::Fault;
use http::HeaderMap;
use serde_json::json;

use crate::harness::{
    Dyno, End, H2, Named, Router,
    h2::{get, request},
    program::{curl, run},
};

/// The faults that are shown here.
pub const SHOWN: &[Fault] = &[Fault::StreamBroken];

/// A router that takes HTTP/2 in clear text, and an app with a scripted dyno.
fn start(settings: &[(&str, &str)]) -> (Router, Dyno) {
    let router = Router::with(&[&[("HOSTLER_HTTP_H2C", "true")], settings].concat());
    let dyno = Dyno::new();
    router.app("one", "a.test", &[&dyno.addr]);
    (router, dyno)
}

#[test]
fn a_request_and_its_answer_cross_over() {
    let (router, dyno) = start(&[]);
    let client = H2::connect(router.http);
    let fields = [("cookie", "a=1"), ("x-a", "1"), ("cookie", "b=2"), ("te", "trailers")];
    let call = client.begin(request("GET", "a.test", "/x?y=z", &fields), true);
    client.turn();
    let mut served = dyno.accept();
    let seen = served.take_request();
    assert_eq!(seen.head.line, "GET /x?y=z HTTP/1.1");
    assert_eq!(seen.head.get("host"), Some("a.test"));
    assert_eq!(seen.head.get("cookie"), Some("a=1; b=2"));
    assert_eq!(seen.head.get("x-forwarded-proto"), Some("http"));
    for gone in ["te", "connection", "content-length", "transfer-encoding"] {
        assert_eq!(seen.head.get(gone), None, "{gone}");
    }
    served.send(
        "HTTP/1.1 200 OK\r\nX-B: 1\r\nX-B: 2\r\nConnection: x-c\r\nX-C: 3\r\n\
         Keep-Alive: timeout=9\r\nContent-Length: 2\r\n\r\nhi",
    );
    let answer = client.answer(call).unwrap();
    assert_eq!((answer.head.status().as_u16(), answer.text()), (200, "hi"));
    assert_eq!(answer.head.headers().get_all("x-b").iter().count(), 2);
    for gone in ["x-c", "connection", "keep-alive", "transfer-encoding"] {
        assert_eq!(answer.get(gone), "", "{gone}");
    }
    let line = router.log.wait_for("path=\"/x?y=z\"");
    assert!(line.contains(" status=200 bytes=2 protocol=http2.0"), "{line}");
}

#[test]
fn streams_of_one_connection_are_exchanges_of_their_own() {
    let (router, dyno) = start(&[]);
    let client = H2::connect(router.http);
    let first = client.begin(get("a.test", "/1"), true);
    client.turn();
    let mut slow = dyno.accept();
    slow.take_request();
    // The second is answered while the first waits.
    let second = client.begin(get("a.test", "/2"), true);
    client.turn();
    let mut quick = dyno.accept();
    assert_eq!(quick.take_request().head.line, "GET /2 HTTP/1.1");
    quick.send("HTTP/1.1 204 No Content\r\n\r\n");
    assert_eq!(client.answer(second).unwrap().head.status(), 204);
    slow.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(client.answer(first).unwrap().head.status(), 200);
    assert_eq!(router.log.wait_for_many("protocol=http2.0", 2).len(), 2);
}

#[test]
fn bodies_and_trailers_pass_both_ways() {
    let (router, dyno) = start(&[]);
    let client = H2::connect(router.http);
    let fields = [("trailer", "x-sum")];
    let mut call = client.begin(request("POST", "a.test", "/", &fields), false);
    client.send(&mut call, b"hello ", false);
    client.send(&mut call, b"world", false);
    let mut trailers = HeaderMap::new();
    trailers.insert("x-sum", "1".parse().unwrap());
    call.body.send_trailers(trailers).unwrap();
    client.turn();
    let mut served = dyno.accept();
    let seen = served.take_request();
    assert!(seen.head.is_chunked());
    assert_eq!(seen.text(), "hello world");
    assert_eq!(seen.trailers, ["x-sum: 1"]);
    served.send(
        "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n\
         HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n3\r\ndef\r\n0\r\n\
         Grpc-Status: 0\r\nX-End: y\r\n\r\n",
    );
    let hint = client.interim(&mut call);
    assert_eq!((hint.status().as_u16(), &hint.headers()["link"]), (103, &"</a>".parse().unwrap()));
    let answer = client.answer(call).unwrap();
    assert_eq!(answer.text(), "abcdef");
    let trailers = answer.trailers.unwrap();
    assert_eq!(
        (&trailers["grpc-status"], &trailers["x-end"]),
        (&"0".parse().unwrap(), &"y".parse().unwrap())
    );
}

#[test]
fn a_stated_length_goes_on_as_it_is() {
    let (router, dyno) = start(&[]);
    let client = H2::connect(router.http);
    let mut call = client.begin(request("PUT", "a.test", "/", &[("content-length", "5")]), false);
    client.send(&mut call, b"hello", true);
    let mut served = dyno.accept();
    let seen = served.take_request();
    assert_eq!((seen.head.length(), seen.text().as_str()), (Some(5), "hello"));
    served.send("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil the end");
    drop(served);
    assert_eq!(client.answer(call).unwrap().text(), "until the end");
    // A POST of which nothing is said and nothing comes.
    let call = client.begin(request("POST", "a.test", "/", &[]), true);
    client.turn();
    let mut served = dyno.accept();
    assert_eq!(served.take_request().head.length(), Some(0));
    served.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(client.answer(call).unwrap().head.status(), 200);
}

#[test]
fn answers_without_a_body_end_with_their_head() {
    let (router, dyno) = start(&[]);
    let client = H2::connect(router.http);
    let mut served = None;
    for (method, answer, length) in [
        ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n", "7"),
        ("GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n", "7"),
        ("GET", "HTTP/1.1 204 No Content\r\n\r\n", ""),
        ("GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "0"),
    ] {
        let mut call = client.begin(request(method, "a.test", "/", &[]), true);
        client.turn();
        let served = served.get_or_insert_with(|| dyno.accept());
        served.take_request();
        served.send(answer);
        let (head, body) = client.head(&mut call).unwrap().into_parts();
        assert!(body.is_end_stream(), "{answer}");
        let stated = head.headers.get("content-length").map_or("", |v| v.to_str().unwrap());
        assert_eq!(stated, length, "{answer}");
    }
}

#[test]
fn a_length_that_lies_never_becomes_a_whole_request() {
    let (router, dyno) = start(&[]);
    let lies = [(&b"hell"[..], true), (b"hello!", false), (b"hello", false)];
    for (number, (sent, ended)) in lies.into_iter().enumerate() {
        let client = H2::connect(router.http);
        let stated = request("POST", "a.test", "/", &[("content-length", "5")]);
        let mut call = client.begin(stated, false);
        client.send(&mut call, sent, ended);
        if sent.len() == 5 {
            // What is too much comes later.
            client.send(&mut call, b"GET / HTTP/1.1\r\n\r\n", false);
        }
        assert_eq!(client.reset(&mut call), Reason::PROTOCOL_ERROR);
        // It may have been known before a dyno was chosen.
        router.log.wait_for_many("code=H33", number + 1);
        if dyno.has_caller() {
            let seen = String::from_utf8(dyno.accept().take_all().0).unwrap();
            let (head, body) = seen.split_once("\r\n\r\n").unwrap_or_default();
            assert!(seen.is_empty() || head.contains("\r\nContent-Length: 5"), "{seen}");
            assert!("hell".starts_with(body), "{seen}");
        }
    }
}

#[test]
fn a_slow_client_holds_back_the_dyno_and_a_slow_dyno_the_client() {
    let (router, dyno) = start(&[]);
    let client = H2::connect(router.http);
    let mut call = client.begin(get("a.test", "/"), true);
    client.turn();
    let mut served = dyno.accept();
    served.take_request();
    served.send("HTTP/1.1 200 OK\r\nContent-Length: 33554432\r\n\r\n");
    let (_, body) = client.head(&mut call).unwrap().into_parts();
    let most = 32 << 20;
    let silence = std::time::Duration::from_millis(300);
    let sent = served.send_until_blocked(&[b'd'; 65536], most, silence);
    assert!(sent < 16 << 20, "the router took {sent} bytes that the client has no window for");
    let rest = std::thread::spawn(move || {
        served.send(vec![b'd'; most - sent]);
        served
    });
    assert_eq!(client.rest(body).unwrap().0.len(), most);
    drop(rest.join().unwrap());
    // The other way around.
    let mut call = client.begin(request("POST", "a.test", "/", &[]), false);
    let sent = client.send_until_blocked(&mut call, most);
    assert!(sent < 16 << 20, "the router took {sent} bytes that the dyno does not read");
    let reader = std::thread::spawn(move || {
        let mut served = dyno.accept();
        let seen = served.take_request();
        served.send("HTTP/1.1 204 No Content\r\n\r\n");
        seen.body.len()
    });
    client.send(&mut call, &vec![b'u'; most - sent], true);
    assert_eq!(client.answer(call).unwrap().head.status(), 204);
    assert_eq!(reader.join().unwrap(), most);
}

#[test]
fn a_reset_cancels_the_exchange_with_the_dyno() {
    let (router, dyno) = start(&[]);
    let client = H2::connect(router.http);
    for before_answer in [true, false] {
        let mut call = client.begin(get("a.test", "/"), true);
        client.turn();
        let mut served = dyno.accept();
        served.take_request();
        if !before_answer {
            served.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
            client.head(&mut call).unwrap();
        }
        call.body.send_reset(Reason::CANCEL);
        client.turn();
        served.take_end();
    }
    let lines = router.log.wait_for_many("code=H27", 2);
    assert!(lines[0].contains(" status=499 "), "{lines:?}");
    // The connection goes on.
    assert_eq!(client.get("b.test", "/").verdict(), (404, "unknown_host"));
}

#[test]
fn a_dyno_that_breaks_off_is_a_fault_or_a_reset() {
    let (router, dyno) = start(&[]);
    let client = H2::connect(router.http);
    let call = client.begin(request("POST", "a.test", "/", &[]), true);
    client.turn();
    let mut served = dyno.accept();
    served.take_request();
    drop(served);
    assert_eq!(client.answer(call).unwrap().verdict(), (503, "H13"));
    let mut call = client.begin(get("a.test", "/"), true);
    client.turn();
    let mut served = dyno.accept();
    served.take_request();
    served.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
    let (_, body) = client.head(&mut call).unwrap().into_parts();
    drop(served);
    assert_eq!(client.rest(body).unwrap_err().reason(), Some(Reason::INTERNAL_ERROR));
    router.log.wait_for("code=H18");
}

#[test]
fn an_early_answer_is_delivered_and_the_upload_ended() {
    let (router, dyno) = start(&[]);
    let client = H2::connect(router.http);
    let mut call = client.begin(request("POST", "a.test", "/", &[]), false);
    client.send(&mut call, b"a", false);
    let mut served = dyno.accept();
    served.take_until("1\r\na\r\n");
    served.send("HTTP/1.1 413 Too Large\r\nContent-Length: 4\r\n\r\nmuch");
    let (head, body) = client.head(&mut call).unwrap().into_parts();
    assert_eq!(head.status, 413);
    assert_eq!(client.rest(body).unwrap().0, b"much");
    assert_eq!(client.reset(&mut call), Reason::NO_ERROR);
    assert!(matches!(served.take_end(), End::Closed | End::Reset));
}

#[test]
fn what_no_request_may_be_is_400_or_405_and_reaches_no_dyno() {
    let (router, dyno) = start(&[]);
    let client = H2::connect(router.http);
    let of = |request| client.answer(client.begin(request, true)).unwrap().verdict().0;
    for (name, value) in [("host", "b.test"), ("host", "a.test:80"), ("x-a", " b"), ("x-a", "b\t")]
    {
        assert_eq!(of(request("GET", "a.test", "/", &[(name, value)])), 400, "{name}: {value:?}");
    }
    assert_eq!(of(request("GET", "u:p@a.test", "/", &[])), 400);
    assert_eq!(of(request("TRACE", "a.test", "/t?q", &[])), 405);
    // The log says who asked for what.
    let line = router.log.wait_for("code=bad_request");
    assert!(line.contains("method=GET path=\"/\" host=a.test "), "{line}");
    assert!(line.contains(" status=400 ") && line.contains("protocol=http2.0"), "{line}");
    let line = router.log.wait_for("code=method_not_allowed");
    assert!(line.contains("method=TRACE path=\"/t?q\" host=a.test "), "{line}");
    assert!(dyno.is_idle());
    assert_eq!(of(get("b.test", "/")), 404);
}

#[test]
fn one_port_takes_both() {
    let (router, _dyno) = start(&[]);
    let named = Named::start("two");
    router.app("two", "b.test", &[&named.addr]);
    assert_eq!(router.get("b.test", "/").text(), "two GET / HTTP/1.1 0\n");
    // A method that begins as the preface does, and comes in pieces.
    let mut client = router.connect();
    client.send("P");
    client.send("RI /");
    client.send("x HTTP/1.1\r\nHost: b.test\r\n\r\n");
    assert_eq!(client.take_answer().text(), "two PRI /x HTTP/1.1 0\n");
    assert_eq!(H2::connect(router.http).get("b.test", "/").text(), "two GET / HTTP/1.1 0\n");
    let port = router.http.port();
    let url = format!("http://b.test:{port}/y");
    let resolve = format!("b.test:{port}:127.0.0.1");
    let version = "%{http_version} %{response_code}";
    let arguments = ["--http2-prior-knowledge", "--resolve", &resolve, "-w", version, &url];
    let text = String::from_utf8(run(curl(&arguments))).unwrap();
    assert_eq!(text, "two GET /y HTTP/1.1 0\n2 200");
}

#[test]
fn a_port_that_takes_http1_alone_refuses_the_preface() {
    let (router, dyno) = (Router::start(), Dyno::new());
    router.app("one", "a.test", &[&dyno.addr]);
    let mut client = router.connect();
    client.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    assert_eq!(client.take_answer().verdict(), (505, "version_not_supported"));
    assert!(dyno.is_idle());
}

#[test]
fn an_apps_connections_are_connections_and_not_streams() {
    let (router, dyno) = start(&[]);
    let settings = json!({"limits.app_connections": 1});
    router.write("PUT", "/v1/apps/one", json!({"settings": settings}));
    let client = H2::connect(router.http);
    let first = client.begin(get("a.test", "/1"), true);
    let second = client.begin(get("a.test", "/2"), true);
    client.turn();
    for _ in 0..2 {
        let mut served = dyno.accept();
        served.take_request();
        served.send("HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
    }
    assert_eq!(client.answer(first).unwrap().head.status(), 204);
    assert_eq!(client.answer(second).unwrap().head.status(), 204);
    let another = H2::connect(router.http);
    assert_eq!(another.get("a.test", "/").verdict(), (503, "H22"));
    drop(client);
}

#[test]
fn a_drain_says_so_and_lets_streams_end() {
    let (mut router, dyno) = start(&[]);
    let client = H2::connect(router.http);
    let idle = H2::connect(router.http);
    let call = client.begin(get("a.test", "/"), true);
    client.turn();
    let mut served = dyno.accept();
    served.take_request();
    router.terminate();
    // An idle connection is told to go, and goes.
    idle.end().unwrap();
    served.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
    assert_eq!(client.answer(call).unwrap().text(), "hi");
    client.end().unwrap();
    assert!(router.wait().success());
}

#[test]
fn a_websocket_is_an_extended_connect() {
    let (router, dyno) = start(&[]);
    let client = H2::connect(router.http);
    // The router's SETTINGS say that it knows this.
    client.get("b.test", "/");
    let connect = |protocol| {
        let fields = [("sec-websocket-version", "13"), ("sec-websocket-protocol", "chat")];
        let mut connect = request("CONNECT", "a.test", "/socket", &fields);
        connect.extensions_mut().insert(Protocol::from_static(protocol));
        connect
    };
    let mut call = client.begin(connect("websocket"), false);
    client.turn();
    let mut served = dyno.accept();
    let seen = served.take_head();
    assert_eq!(seen.line, "GET /socket HTTP/1.1");
    assert_eq!(seen.get("upgrade"), Some("websocket"));
    assert_eq!(seen.get("sec-websocket-protocol"), Some("chat"));
    let key = seen.get("sec-websocket-key").unwrap().to_owned();
    let accept = hostler::wire::h2::accept_key::of(key.as_bytes());
    served.send(format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Accept: {}\r\n\r\nhello",
        std::str::from_utf8(&accept).unwrap()
    ));
    let (head, body) = client.head(&mut call).unwrap().into_parts();
    assert_eq!(head.status, 200);
    assert_eq!(head.headers["sec-websocket-protocol"], "chat");
    for gone in ["sec-websocket-accept", "upgrade", "connection"] {
        assert_eq!(head.headers.get(gone), None, "{gone}");
    }
    client.send(&mut call, b"from the client", false);
    assert_eq!(served.take(15), b"from the client");
    client.send(&mut call, b"", true);
    assert_eq!(served.take_end(), End::Closed);
    served.send(" and bye");
    drop(served);
    assert_eq!(client.rest(body).unwrap().0, b"hello and bye");
    router.log.wait_for("path=\"/socket\"");
    // What proves nothing opens nothing.
    for (answer, status) in [
        ("HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", 502),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 502),
        ("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", 403),
    ] {
        let call = client.begin(connect("websocket"), false);
        client.turn();
        let mut served = dyno.accept();
        served.take_head();
        served.send(answer);
        assert_eq!(client.answer(call).unwrap().head.status(), status);
    }
    router.log.wait_for_many("code=H17", 2);
    let other = client.begin(connect("connect-udp"), false);
    assert_eq!(client.answer(other).unwrap().verdict(), (405, "method_not_allowed"));
}

#[test]
fn a_call_of_grpc_is_told_of_faults_in_its_own_words() {
    let (router, dyno) = start(&[]);
    let client = H2::connect(router.http);
    let call = |host, path| {
        let fields = [("content-type", "application/grpc+proto"), ("te", "trailers")];
        request("POST", host, path, &fields)
    };
    let told = |fields: &HeaderMap| {
        let of = |name: &str| fields[name].to_str().unwrap().to_owned();
        (of("grpc-status"), of("grpc-message"))
    };
    // Nothing came of it: an answer of trailers alone.
    let answer = client.answer(client.begin(call("b.test", "/x"), true)).unwrap();
    assert_eq!(answer.head.status(), 200);
    assert_eq!(answer.get("content-type"), "application/grpc");
    assert_eq!(told(answer.head.headers()), ("12".into(), "No such app (unknown_host)".into()));
    assert_eq!(answer.body, b"");
    router.log.wait_for("code=unknown_host");
    let begun = client.begin(call("a.test", "/y"), true);
    client.turn();
    let mut served = dyno.accept();
    served.take_request();
    drop(served);
    let answer = client.answer(begun).unwrap();
    assert_eq!(told(answer.head.headers()).0, "14");
    // In the middle of an answer: trailers, not a reset.
    let mut begun = client.begin(call("a.test", "/z"), true);
    client.turn();
    let mut served = dyno.accept();
    served.take_request();
    served.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
    let (_, body) = client.head(&mut begun).unwrap().into_parts();
    drop(served);
    let (data, trailers) = client.rest(body).unwrap();
    assert_eq!(data, b"abc");
    let why = "Server Request Interrupted (H18)".to_owned();
    assert_eq!(told(&trailers.unwrap()), ("14".to_owned(), why));
}
