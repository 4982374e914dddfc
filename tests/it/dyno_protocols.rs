//! What dynos are spoken to in: HTTP/2, and the PROXY protocol before either version.
//!
//! Node's own HTTP/2 server is the dyno where it is about what passes; one that plays frame by
//! frame where it is about what breaks. Invariant: one worker, so that who shares a connection is
//! certain.

pub mod frames;
mod tunnels;

use std::time::Duration;

use h2::Reason;
use serde_json::{Value, json};

use crate::harness::{
    Conn, Dyno, H2, Program, Router,
    frames::{
        END_STREAM,
        kind::{DATA, GOAWAY, RST_STREAM, WINDOW_UPDATE},
    },
    h2::get,
    program::{node, scripts},
    until,
};
use frames::Frames;

const GET: &str = "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";

fn router(settings: Value) -> Router {
    let router = Router::with(&[("HOSTLER_WORKERS", "1"), ("HOSTLER_HTTP_H2C", "true")]);
    router.write("PUT", "/v1/apps/one", json!({"settings": settings}));
    router
}

fn push(router: &Router, dynos: &[&str]) {
    router.write("PUT", "/v1/apps/one/routes/a.test", json!({}));
    for (at, addr) in dynos.iter().enumerate() {
        router.write("PUT", &format!("/v1/apps/one/dynos/web.{at}"), json!({"addr": addr}));
    }
}

/// A router, and Node's HTTP/2 server behind it.
fn with_node() -> (Router, Program) {
    let mut command = node();
    command.arg(scripts().join("dynos/http2.mjs"));
    let (router, dyno) = (router(json!({"dynos.protocol": "http2"})), Program::start(command));
    push(&router, &[&dyno.addr]);
    (router, dyno)
}

/// A router, and a dyno that plays HTTP/2 frame by frame.
fn with_frames() -> (Router, Dyno) {
    let (router, dyno) = (router(json!({"dynos.protocol": "http2"})), Dyno::new());
    push(&router, &[&dyno.addr]);
    (router, dyno)
}

fn echoed(client: &mut Conn, request: &str) -> Value {
    let answer = client.ask(request);
    assert_eq!(answer.status(), 200, "{answer:?}");
    serde_json::from_slice(&answer.body).unwrap()
}

#[test]
fn a_request_reaches_an_http2_dyno_with_its_fields_body_and_trailers() {
    let (router, _dyno) = with_node();
    let mut client = router.connect();
    let seen = echoed(
        &mut client,
        "POST /echo?a=<b> HTTP/1.1\r\nHost: A.test:80\r\nX-One: 1\r\nCookie: a=1\r\nCookie: b=2\r\n\
         TE: trailers\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1;x\r\n!\r\n0\r\n\
         X-Sum: 6\r\n\r\n",
    );
    let headers = &seen["headers"];
    assert_eq!(headers[":authority"], "A.test:80", "{seen}");
    assert_eq!(headers[":path"], "/echo?a=%3Cb%3E");
    assert_eq!((&headers[":scheme"], &headers["te"]), (&json!("http"), &json!("trailers")));
    assert_eq!((&headers["x-one"], &headers["cookie"]), (&json!("1"), &json!("a=1; b=2")));
    assert_eq!(headers["x-forwarded-proto"], "http");
    assert!(headers.get("transfer-encoding").is_none() && headers.get("host").is_none());
    assert_eq!((&seen["length"], &seen["trailers"]), (&json!(6), &json!({"x-sum": "6"})));
    let stated = "PUT /echo HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\n\r\nhello";
    let seen = echoed(&mut client, stated);
    assert_eq!((&seen["headers"]["content-length"], &seen["length"]), (&json!("5"), &json!(5)));
}

#[test]
fn an_answer_of_an_http2_dyno_passes_with_trailers_hints_and_lengths() {
    let (router, _dyno) = with_node();
    let mut client = router.connect();
    let answer = client.get("a.test", "/trailers");
    assert_eq!((answer.text(), answer.trailers), ("body".into(), vec!["x-sum: 42".to_owned()]));
    let answer = client.get("a.test", "/bare");
    assert_eq!((answer.head.get("grpc-status"), answer.head.length()), (Some("5"), Some(0)));
    client.send("GET /hints HTTP/1.1\r\nHost: a.test\r\n\r\n");
    let hints = client.take_head();
    assert_eq!((hints.status(), hints.get("link")), (103, Some("</a.css>")));
    assert_eq!(client.take_head().status(), 204);
    let answer = client.get("a.test", "/bytes?1000000");
    assert_eq!((answer.head.length(), answer.body.len()), (Some(1_000_000), 1_000_000));
    client.send("HEAD /bytes?7 HTTP/1.1\r\nHost: a.test\r\n\r\n");
    assert_eq!(client.take_head().length(), Some(7));
    // The client's connection went on all the time, and the dyno's is one.
    assert_eq!(client.get("a.test", "/counts").text(), "1 1");
    router.log.wait_for("path=\"/bare\"");
}

#[test]
fn many_exchanges_at_once_share_one_connection_to_an_http2_dyno() {
    let (router, _dyno) = with_node();
    let mut clients: Vec<Conn> = (0..20).map(|_| router.connect()).collect();
    for client in &mut clients {
        client.send("POST /stream HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n");
    }
    // Each of them has its answer's head before its request ends: all are under way.
    for client in &mut clients {
        assert_eq!(client.take_head().status(), 200);
    }
    for (at, client) in clients.iter_mut().enumerate().rev() {
        client.send(format!("3\r\n{at:03}\r\n"));
        assert_eq!(client.take_until(&format!("{at:03}\r\n")).len(), 8);
        client.send("0\r\n\r\n");
        assert_eq!(client.take_until("0\r\n\r\n"), b"0\r\n\r\n");
    }
    assert_eq!(router.get("a.test", "/counts").text(), "1 20");
    until("it is counted", || router.metric("hostler_dyno_connects_total") == 1.0);
}

#[test]
fn a_client_that_does_not_read_holds_back_its_own_stream_alone() {
    let (router, _dyno) = with_node();
    let mut slow = router.connect_small();
    slow.send("GET /bytes?50000000 HTTP/1.1\r\nHost: a.test\r\n\r\n");
    assert_eq!(slow.take_head().length(), Some(50_000_000));
    let before = router.resident();
    for _ in 0..20 {
        assert_eq!(router.get("a.test", "/bytes?300000").body.len(), 300_000);
    }
    assert_eq!(router.get("a.test", "/counts").text(), "1 2");
    let grown = router.resident().saturating_sub(before);
    assert!(grown < 20_000_000, "{grown} bytes: the answer is not held back");
}

#[test]
fn a_client_that_leaves_cancels_its_stream() {
    let (router, dyno) = with_frames();
    let mut client = router.connect();
    client.send(GET);
    let mut conn = Frames::accept(&dyno, &[]);
    let stream = conn.take_request();
    drop(client);
    let frame = conn.take();
    assert_eq!((frame.kind, frame.stream), (RST_STREAM, stream));
    assert_eq!(frame.payload, 8u32.to_be_bytes(), "CANCEL");
    router.log.wait_for("code=H27");
    // The connection goes on.
    let mut client = router.connect();
    client.send(GET);
    conn.serve("next");
    assert_eq!(client.take_answer().text(), "next");
}

#[test]
fn resets_pass_both_ways_where_both_sides_speak_http2() {
    let (router, dyno) = with_frames();
    let client = H2::connect(router.http);
    let mut call = client.begin(get("a.test", "/"), true);
    client.turn();
    let mut conn = Frames::accept(&dyno, &[]);
    let stream = conn.take_request();
    call.body.send_reset(Reason::CANCEL);
    client.turn();
    let frame = conn.take();
    assert_eq!((frame.kind, frame.stream), (RST_STREAM, stream));
    assert_eq!(frame.payload, 8u32.to_be_bytes(), "CANCEL");
    router.log.wait_for("code=H27");
    let mut call = client.begin(get("a.test", "/"), true);
    client.turn();
    let stream = conn.take_request();
    conn.answer(stream, 0, &[(":status", "200")]);
    conn.send(DATA, 0, stream, b"half");
    let (_, body) = client.head(&mut call).unwrap().into_parts();
    conn.break_off(stream, 2);
    assert_eq!(client.rest(body).unwrap_err().reason(), Some(Reason::INTERNAL_ERROR));
    router.log.wait_for("code=H18");
}

#[test]
fn what_a_dyno_has_not_processed_is_asked_again() {
    for goes_away in [false, true] {
        let (router, dyno) = with_frames();
        let mut client = router.connect();
        // Not idempotent: only what was not processed may be sent again.
        client.send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 0\r\n\r\n");
        let mut first = Frames::accept(&dyno, &[]);
        let stream = first.take_request();
        if goes_away {
            first.send(GOAWAY, 0, 0, &[0; 8]);
        } else {
            first.break_off(stream, 7);
        }
        let mut second = Frames::accept(&dyno, &[]);
        second.serve("again");
        assert_eq!(client.take_answer().text(), "again", "goes away: {goes_away}");
        until("it is counted", || router.metric("hostler_retries_total") == 1.0);
    }
}

#[test]
fn a_dyno_that_goes_away_ends_what_it_has_begun() {
    let (router, dyno) = with_frames();
    let mut client = router.connect();
    client.send(GET);
    let mut first = Frames::accept(&dyno, &[]);
    let stream = first.take_request();
    first.send(GOAWAY, 0, 0, &[&stream.to_be_bytes()[..], &[0; 4]].concat());
    // Once this is answered, what came before it was read.
    first.ping();
    let mut other = router.connect();
    other.send(GET);
    let mut second = Frames::accept(&dyno, &[]);
    second.serve("second");
    assert_eq!(other.take_answer().text(), "second");
    first.answer(stream, 0, &[(":status", "200")]);
    first.send(DATA, END_STREAM, stream, b"first");
    assert_eq!(client.take_answer().text(), "first");
}

#[test]
fn a_stream_that_breaks_is_a_fault_of_the_dyno() {
    let (router, dyno) = with_frames();
    let mut client = router.connect();
    client.send(GET.replace("GET", "POST"));
    let mut conn = Frames::accept(&dyno, &[]);
    let stream = conn.take_request();
    conn.break_off(stream, 2);
    assert_eq!(client.take_answer().verdict(), (503, "H18"));
    // In the middle of an answer the client is cut off.
    let mut client = router.connect();
    client.send(GET);
    let stream = conn.take_request();
    conn.answer(stream, 0, &[(":status", "200"), ("content-length", "9")]);
    conn.send(DATA, 0, stream, b"half");
    client.take_until("half");
    conn.break_off(stream, 2);
    client.take_end();
    router.log.wait_for_many("code=H18", 2);
    // A connection that ends in order before the answer has a code of its own.
    let mut client = router.connect();
    client.send(GET.replace("GET", "POST"));
    conn.take_request();
    conn.close();
    assert_eq!(client.take_answer().verdict(), (503, "H13"));
}

#[test]
fn an_answer_that_breaks_the_rules_is_502() {
    for fields in [
        &[(":status", "200"), ("connection", "close")][..],
        &[(":status", "200"), ("transfer-encoding", "chunked")],
        &[(":status", "200"), ("Upper", "case")],
        &[(":status", "200"), ("content-length", "5")],
        &[(":status", "200"), ("x-a", "b\r\nx-c: d")],
        &[(":status", "101")],
        &[("x-a", "b")],
    ] {
        let (router, dyno) = with_frames();
        let mut client = router.connect();
        client.send(GET);
        let mut conn = Frames::accept(&dyno, &[]);
        let stream = conn.take_request();
        conn.answer(stream, END_STREAM, fields);
        assert_eq!(client.take_answer().verdict(), (502, "H17"), "{fields:?}");
    }
}

#[test]
fn an_answer_of_another_length_than_it_says_is_cut_off() {
    for body in ["half", "more than nine"] {
        let (router, dyno) = with_frames();
        let mut client = router.connect();
        client.send(GET);
        let mut conn = Frames::accept(&dyno, &[]);
        let stream = conn.take_request();
        conn.answer(stream, 0, &[(":status", "200"), ("content-length", "9")]);
        client.take_until("\r\n\r\n");
        conn.send(DATA, END_STREAM, stream, body.as_bytes());
        // Whatever came of it, no client takes it for whole, and no byte is too many.
        let (rest, _) = client.take_all();
        assert!(rest.len() < 9 && body.as_bytes().starts_with(&rest), "{rest:?}");
        router.log.wait_for("code=H17");
    }
}

/// Node and Go end a stream in a frame of its own, and tell their app of a reset before it.
#[test]
fn an_answer_that_is_whole_is_not_cancelled_before_its_end() {
    let (router, dyno) = with_frames();
    let mut client = router.connect();
    client.send(GET);
    let mut conn = Frames::accept(&dyno, &[]);
    let first = conn.take_request();
    conn.answer(first, 0, &[(":status", "200"), ("content-length", "2")]);
    conn.send(DATA, 0, first, b"ok");
    assert_eq!(client.take_answer().text(), "ok");
    // A reset would come before the next request.
    client.send(GET);
    let second = conn.take_request();
    conn.send(DATA, END_STREAM, first, b"");
    conn.answer(second, END_STREAM, &[(":status", "204")]);
    assert_eq!(client.take_answer().status(), 204);
    // One that does not end is not for ever.
    client.send(GET);
    let third = conn.take_request();
    conn.answer(third, 0, &[(":status", "200"), ("content-length", "0")]);
    assert_eq!(client.take_answer().status(), 200);
    let reset = conn.take();
    assert_eq!((reset.kind, reset.stream), (RST_STREAM, third));
}

#[test]
fn a_dyno_that_speaks_no_http2_is_passed_over() {
    let (router, dyno) = with_frames();
    let mut client = router.connect();
    client.send(GET);
    let mut conn = dyno.accept();
    conn.take(24);
    conn.send("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(client.take_answer().verdict(), (502, "H17"));
    until("it is counted", || router.metric("hostler_dyno_connect_failures_total") == 1.0);
}

#[test]
fn no_more_streams_are_opened_than_the_dyno_allows() {
    let (router, dyno) = with_frames();
    let mut clients = [router.connect(), router.connect()];
    clients[0].send(GET);
    let mut first = Frames::accept(&dyno, &[(3, 1)]);
    let stream = first.take_request();
    clients[1].send(GET);
    let mut second = Frames::accept(&dyno, &[(3, 1)]);
    second.serve("second");
    assert_eq!(clients[1].take_answer().text(), "second");
    first.answer(stream, END_STREAM, &[(":status", "200")]);
    assert_eq!(clients[0].take_answer().status(), 200);
}

#[test]
fn a_dyno_that_takes_no_more_holds_back_its_client() {
    const WINDOW: usize = 65_535;
    let (router, dyno) = with_frames();
    let mut client = router.connect_small();
    let length = 50_000_000;
    client.send(format!("PUT / HTTP/1.1\r\nHost: a.test\r\nContent-Length: {length}\r\n\r\n"));
    let mut conn = Frames::accept(&dyno, &[]);
    let stream = conn.take().stream;
    let sent = client.send_until_blocked(&[b'x'; 65_536], length, Duration::from_millis(500));
    assert!(sent < length / 5, "{sent} bytes were taken from the client");
    let mut taken = 0;
    while taken < WINDOW {
        let frame = conn.take();
        assert_eq!((frame.kind, frame.stream), (DATA, stream));
        taken += frame.payload.len();
    }
    assert_eq!(taken, WINDOW);
    // With room for one more byte there is one more.
    for stream in [0, stream] {
        conn.send(WINDOW_UPDATE, 0, stream, &1u32.to_be_bytes());
    }
    assert_eq!(conn.take().payload, b"x");
    conn.answer(stream, END_STREAM, &[(":status", "413")]);
    assert_eq!(client.take_head().status(), 413);
}

#[test]
fn a_connection_on_which_a_dyno_fell_silent_gets_no_further_streams() {
    let (router, dyno) = with_frames();
    let settings = json!({"dynos.protocol": "http2", "timeouts.first_byte": "200ms"});
    router.write("PUT", "/v1/apps/one", json!({"settings": settings}));
    let mut client = router.connect();
    client.send(GET);
    let mut first = Frames::accept(&dyno, &[]);
    let stream = first.take_request();
    assert_eq!(client.take_answer().verdict(), (503, "H12"));
    let frame = first.take();
    assert_eq!((frame.kind, frame.stream), (RST_STREAM, stream));
    client.send(GET);
    let mut second = Frames::accept(&dyno, &[]);
    second.serve("second");
    assert_eq!(client.take_answer().text(), "second");
}

#[test]
fn a_connection_of_a_dyno_that_left_or_is_idle_ends() {
    let (router, dyno) = with_frames();
    let settings = json!({"dynos.protocol": "http2", "timeouts.pool_idle": "1s"});
    router.write("PUT", "/v1/apps/one", json!({"settings": settings}));
    let mut client = router.connect();
    client.send(GET);
    let mut conn = Frames::accept(&dyno, &[]);
    conn.serve("one");
    assert_eq!(client.take_answer().text(), "one");
    assert_eq!(conn.take().kind, GOAWAY);
    client.send(GET);
    let mut conn = Frames::accept(&dyno, &[]);
    let stream = conn.take_request();
    router.delete("/v1/apps/one/dynos/web.0");
    conn.answer(stream, END_STREAM, &[(":status", "204")]);
    assert_eq!(client.take_head().status(), 204);
    assert_eq!(conn.take().kind, GOAWAY);
}

/// What a dyno reads of a PROXY header for these two ends.
fn header(client: &Conn, router: &Router) -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x7f\0\0\x01\x7f\0\0\x01".to_vec();
    let port = client.socket().local_addr().unwrap().as_socket().unwrap().port();
    header.extend(port.to_be_bytes());
    header.extend(router.http.port().to_be_bytes());
    header
}

#[test]
fn a_dyno_is_told_of_the_client_before_each_request() {
    let (router, dyno) = (router(json!({"dynos.proxy_protocol": "v2"})), Dyno::new());
    push(&router, &[&dyno.addr]);
    let mut client = router.connect();
    for _ in 0..2 {
        client.send(GET);
        let mut conn = dyno.accept();
        assert_eq!(conn.take(28), header(&client, &router));
        let request = conn.take_request();
        assert_eq!(request.head.get("connection"), Some("close"));
        conn.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        assert_eq!(client.take_answer().text(), "ok");
        conn.take_end();
    }
}

#[test]
fn an_http2_dyno_is_told_of_the_client_on_a_connection_of_its_own() {
    let settings = json!({"dynos.proxy_protocol": "v2", "dynos.protocol": "http2"});
    let (router, dyno) = (router(settings), Dyno::new());
    push(&router, &[&dyno.addr]);
    for _ in 0..2 {
        let mut client = router.connect();
        client.send(GET);
        let mut conn = dyno.accept();
        assert_eq!(conn.take(28), header(&client, &router));
        let mut conn = Frames::begin(conn, &[]);
        conn.serve("ok");
        assert_eq!(client.take_answer().text(), "ok");
        assert_eq!(conn.take().kind, GOAWAY);
    }
}

#[test]
fn only_the_next_exchanges_meet_the_dyno_in_the_new_way() {
    let (router, dyno) = with_frames();
    let mut client = router.connect();
    client.send(GET);
    let mut conn = Frames::accept(&dyno, &[]);
    let stream = conn.take_request();
    router.write("PUT", "/v1/apps/one", json!({}));
    let mut other = router.connect();
    other.send(GET);
    let mut plain = dyno.accept();
    plain.take_request();
    plain.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(other.take_answer().status(), 200);
    conn.answer(stream, END_STREAM, &[(":status", "200")]);
    assert_eq!(client.take_answer().status(), 200);
}
