//! Attacks on HTTP/2, from their published descriptions, and requests that no message may be.
//!
//! Invariant: each test says what the dyno saw as well as what the client got: no byte of an attack
//! reaches a dyno as a request, or as a second one.

use crate::harness::{
    Conn, Dyno, Named, Router,
    frames::{END_HEADERS, END_STREAM, Frames, PREFACE, block, frame, get, kind},
    until,
};

const PROTOCOL_ERROR: u32 = 1;
const REFUSED_STREAM: u32 = 7;
const ENHANCE_YOUR_CALM: u32 = 11;

const POST: [(&str, &str); 4] =
    [(":method", "POST"), (":scheme", "http"), (":authority", "a.test"), (":path", "/")];

fn start(settings: &[(&str, &str)]) -> Router {
    Router::with(&[&[("HOSTLER_HTTP_H2C", "true")], settings].concat())
}

fn with_dyno(settings: &[(&str, &str)]) -> (Router, Dyno) {
    let (router, dyno) = (start(settings), Dyno::new());
    router.app("one", "a.test", &[&dyno.addr]);
    (router, dyno)
}

/// Sends what `make` makes for the streams 1, 3, 5 and on, until the router has enough of it.
fn flood(router: &Router, client: &mut Frames, label: &str, make: impl Fn(u32) -> Vec<u8>) {
    for number in 0..3000 {
        if !client.try_send(&make(number * 2 + 1)) {
            break;
        }
    }
    let goaway = client.wait_for(kind::GOAWAY);
    assert_eq!(goaway.code(), ENHANCE_YOUR_CALM, "{label}");
    let metric = format!("hostler_http2_abuse_total{{kind=\"{label}\"}}");
    until(label, || router.metric(&metric) == 1.0);
}

#[test]
fn floods_of_frames_are_cut_off() {
    let (router, dyno) = with_dyno(&[]);
    let cases: [(&str, Vec<u8>); 5] = [
        ("settings", frame(kind::SETTINGS, 0, 0, b"")),
        ("ping", frame(kind::PING, 0, 0, b"12345678")),
        ("priority", frame(kind::PRIORITY, 0, 1, &[0, 0, 0, 0, 16])),
        ("window_update", frame(kind::WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1])),
        ("unknown", frame(0x42, 0, 0, b"x")),
    ];
    for (label, bytes) in cases {
        flood(&router, &mut Frames::connect(router.http), label, |_| bytes.clone());
    }
    let mut client = Frames::connect(router.http);
    flood(&router, &mut client, "empty_headers", |stream| {
        frame(kind::HEADERS, END_HEADERS, stream, b"")
    });
    // CVE-2024-27316: a block of fields that has no end.
    let mut client = Frames::connect(router.http);
    client.send(kind::HEADERS, END_STREAM, 1, &block(&get("a.test")));
    flood(&router, &mut client, "continuation", |_| {
        frame(kind::CONTINUATION, 0, 1, &block(&[("x-a", "b")]))
    });
    assert!(dyno.is_idle());
}

/// CVE-2019-9511: an answer that is asked for byte by byte.
#[test]
fn a_window_of_a_byte_at_a_time_is_cut_off() {
    let (router, dyno) = with_dyno(&[]);
    let mut client = Frames::with(router.connect(), &[(4, 0)]);
    client.ask(1, true, &get("a.test"));
    let mut served = dyno.accept();
    served.take_request();
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 20000\r\n\r\n";
    served.send([head.as_bytes(), &[b'd'; 20000]].concat());
    assert_eq!(client.status(), 200);
    let one = frame(kind::WINDOW_UPDATE, 0, 1, &[0, 0, 0, 1]);
    let (mut got, mut code) = (0, None);
    while code.is_none() && got < 20000 && client.try_send(&one) {
        let frame = client.next().expect("data, or the end is told");
        match frame.kind {
            kind::DATA => got += frame.payload.len(),
            kind::GOAWAY => code = Some(frame.code()),
            _ => {}
        }
    }
    assert_eq!(code, Some(ENHANCE_YOUR_CALM), "after {got} bytes");
    router.log.wait_for("code=H33");
}

#[test]
fn a_body_of_empty_frames_is_cut_off() {
    let (router, dyno) = with_dyno(&[]);
    let mut client = Frames::connect(router.http);
    client.ask(1, false, &POST);
    // The dyno sees the beginning of one request, which never comes to its end.
    let mut served = dyno.accept();
    assert_eq!(served.take_head().line, "POST / HTTP/1.1");
    flood(&router, &mut client, "empty_data", |_| frame(kind::DATA, 0, 1, b""));
    assert_eq!(served.take_all().0, b"");
    router.log.wait_for("code=H33");
    assert!(dyno.is_idle());
}

/// CVE-2023-44487.
#[test]
fn requests_that_are_taken_back_at_once_are_cut_off() {
    let (router, dyno) = (start(&[]), Named::start("one"));
    router.app("one", "a.test", &[&dyno.addr]);
    let mut client = Frames::connect(router.http);
    let head = block(&get("a.test"));
    flood(&router, &mut client, "reset", |stream| {
        let head = frame(kind::HEADERS, END_HEADERS | END_STREAM, stream, &head);
        [head, frame(kind::RST_STREAM, 0, stream, &[0, 0, 0, 8])].concat()
    });
    assert!(dyno.requests() <= 300, "the dyno saw {}", dyno.requests());
    // Whoever is answered may take back as much as was answered.
    let mut client = Frames::connect(router.http);
    for number in 0..600 {
        let stream = number * 4 + 1;
        client.ask(stream, true, &get("a.test"));
        while client.next().expect("an answer").flags & END_STREAM == 0 {}
        client.ask(stream + 2, true, &get("b.test"));
        client.send(kind::RST_STREAM, 0, stream + 2, &[0, 0, 0, 8]);
    }
    client.ask(2401, true, &get("a.test"));
    assert_eq!(client.status(), 200);
}

#[test]
fn a_bomb_of_fields_is_431_or_the_end() {
    let (router, dyno) = with_dyno(&[]);
    // One field of 3,900 bytes that is remembered, and then named by a byte each time.
    let bomb = |times: usize| {
        let value = "b".repeat(120);
        let mut bomb = block(&get("a.test"));
        let values = value.repeat(32);
        bomb.extend([0x40, 1, b'x', 0x7f]);
        let len = values.len() - 127;
        bomb.extend([(len & 0x7f) as u8 | 0x80, (len >> 7) as u8]);
        bomb.extend_from_slice(values.as_bytes());
        bomb.extend(std::iter::repeat_n(0xbe, times));
        bomb
    };
    let mut client = Frames::connect(router.http);
    client.send(kind::HEADERS, END_HEADERS | END_STREAM, 1, &bomb(30));
    assert_eq!(client.status(), 431);
    client.send(kind::HEADERS, END_HEADERS | END_STREAM, 3, &bomb(8000));
    assert_eq!(client.wait_for(kind::GOAWAY).code(), ENHANCE_YOUR_CALM);
    let metric = "hostler_http2_abuse_total{kind=\"excess\"}";
    until(metric, || router.metric(metric) == 1.0);
    assert!(dyno.is_idle());
}

#[test]
fn malformed_requests_without_end_are_cut_off() {
    let (router, dyno) = with_dyno(&[]);
    let mut client = Frames::connect(router.http);
    let malformed = block(&[&get("a.test")[..], &[("connection", "close")]].concat());
    flood(&router, &mut client, "excess", |stream| {
        frame(kind::HEADERS, END_HEADERS | END_STREAM, stream, &malformed)
    });
    assert!(dyno.is_idle());
}

/// How the router takes a request that breaks the rules: by an answer, or as an error.
fn verdict(client: &mut Frames) -> &'static str {
    loop {
        let frame = client.next().expect("a verdict");
        let error = match frame.kind {
            kind::HEADERS => return "answer",
            kind::RST_STREAM => "reset",
            kind::GOAWAY => "goaway",
            _ => continue,
        };
        assert_eq!(frame.code(), PROTOCOL_ERROR);
        return error;
    }
}

#[test]
fn what_may_be_no_request_reaches_no_dyno() {
    let (router, dyno) = with_dyno(&[]);
    let plain = get("a.test");
    let with = |name: &'static str, value: &'static str| [&plain[..], &[(name, value)]].concat();
    let without =
        |name: &str| plain.iter().copied().filter(|(other, _)| *other != name).collect::<Vec<_>>();
    let other = |name: &'static str, value: &'static str| {
        plain.map(|(n, v)| (n, if n == name { value } else { v })).to_vec()
    };
    let fields_first = [&[("x-a", "b")], &plain[..]].concat();
    let cases = [
        ("reset", with("connection", "close")),
        ("reset", with("transfer-encoding", "chunked")),
        ("reset", with("keep-alive", "timeout=5")),
        ("reset", with("proxy-connection", "close")),
        ("reset", with("upgrade", "h2c")),
        ("reset", with("te", "trailers, chunked")),
        ("goaway", with("X-A", "b")),
        ("goaway", with("x a", "b")),
        ("goaway", with("x-a:", "b")),
        ("goaway", with("x-a\r\nx-b", "b")),
        ("goaway", with("x-a", "b\r\nx-b: c")),
        ("goaway", with("x-a", "b\nc")),
        ("goaway", with("x-a", "b\0c")),
        ("answer", with("x-a", " b")),
        ("answer", with("x-a", "b ")),
        ("answer", with("host", "b.test")),
        ("reset", with(":path", "/twice")),
        ("goaway", with(":unknown", "x")),
        ("reset", with(":status", "200")),
        ("reset", fields_first),
        ("reset", without(":method")),
        ("reset", without(":scheme")),
        ("reset", without(":path")),
        ("answer", without(":authority")),
        ("reset", other(":path", "x")),
        ("reset", other(":path", "")),
        ("reset", other(":path", "/ HTTP/1.1\r\nX: y")),
        ("reset", other(":path", "/a b")),
        ("goaway", other(":method", "GET /x HTTP/1.1\r\n")),
        ("reset", other(":method", "CONNECT")),
        ("answer", other(":method", "TRACE")),
        ("reset", other(":authority", "a.test\r\nx: y")),
        ("reset", other(":authority", "a.test/x")),
        ("answer", other(":authority", "u@a.test")),
        ("answer", other(":scheme", "ftp")),
        ("reset", other(":scheme", "http\r\nx: y")),
        ("reset", with("content-length", "1")),
        ("reset", with("content-length", "+0")),
        ("answer", [with("content-length", "0"), vec![("content-length", "0")]].concat()),
    ];
    let mut others = Vec::new();
    for (expected, fields) in cases {
        let mut client = Frames::connect(router.http);
        client.ask(1, true, &fields);
        let found = verdict(&mut client);
        if found != expected {
            others.push((found, expected, fields));
        }
    }
    assert!(others.is_empty(), "{others:#?}");
    assert!(dyno.is_idle());
}

/// They are forbidden too (RFC 9113, sections 8.1 and 8.3.1), but not seen by the router.
#[test]
fn a_fragment_and_pseudo_headers_among_trailers_reach_no_dyno() {
    let (router, dyno) = with_dyno(&[]);
    let mut client = Frames::connect(router.http);
    let mut fields = POST;
    fields[3] = (":path", "/x?y#z");
    client.ask(1, false, &fields);
    client.send(kind::DATA, 0, 1, b"body");
    client.ask(1, true, &[(":path", "/other"), ("x-sum", "1")]);
    let seen = dyno.accept().take_request();
    assert_eq!(seen.head.line, "POST /x?y HTTP/1.1");
    assert_eq!((seen.text().as_str(), &seen.trailers[..]), ("body", &["x-sum: 1".to_owned()][..]));
}

#[test]
fn streams_beyond_the_bound_are_refused_and_may_come_again() {
    let (router, dyno) = with_dyno(&[("HOSTLER_HTTP2_MAX_STREAMS", "1")]);
    let mut client = Frames::connect(router.http);
    client.ask(1, true, &get("a.test"));
    client.ask(3, true, &get("a.test"));
    let refused = client.wait_for(kind::RST_STREAM);
    assert_eq!((refused.stream, refused.code()), (3, REFUSED_STREAM));
    let mut served = dyno.accept();
    served.take_request();
    served.send("HTTP/1.1 204 No Content\r\n\r\n");
    assert_eq!(client.status(), 204);
    assert!(served.take_ready().is_empty() && dyno.is_idle());
}

#[test]
fn a_client_that_gives_no_window_or_sends_no_body_has_left() {
    let (router, dyno) = with_dyno(&[("HOSTLER_TIMEOUTS_IDLE", "300ms")]);
    let mut client = Frames::with(router.connect(), &[(4, 0)]);
    client.ask(1, true, &get("a.test"));
    let mut served = dyno.accept();
    served.take_request();
    served.send("HTTP/1.1 200 OK\r\nContent-Length: 33554432\r\n\r\n");
    assert_eq!(client.status(), 200);
    // The dyno is held back until its exchange is over.
    served.try_send(&vec![b'd'; 32 << 20]).unwrap_err();
    assert_eq!(client.wait_for(kind::RST_STREAM).stream, 1);
    router.log.wait_for_many("code=H28", 1);
    client.ask(3, false, &POST);
    assert!(dyno.accept().take_all().0.starts_with(b"POST / "));
    assert_eq!(client.wait_for(kind::RST_STREAM).stream, 3);
    router.log.wait_for_many("code=H28", 2);
}

#[test]
fn a_client_that_reads_nothing_at_all_has_left() {
    let (router, dyno) = with_dyno(&[("HOSTLER_TIMEOUTS_IDLE", "300ms")]);
    let mut client = Frames::with(router.connect_small(), &[(4, (1 << 31) - 1)]);
    client.send(kind::WINDOW_UPDATE, 0, 0, &[0x7f, 0, 0, 0]);
    client.ask(1, true, &get("a.test"));
    let mut served = dyno.accept();
    served.take_request();
    served.send("HTTP/1.1 200 OK\r\nContent-Length: 33554432\r\n\r\n");
    served.try_send(&vec![b'd'; 32 << 20]).unwrap_err();
    router.log.wait_for("code=H28");
    let metric = "hostler_http2_abuse_total{kind=\"stalled\"}";
    until(metric, || router.metric(metric) == 1.0);
    until("the connection is closed", || router.metric("hostler_connections_open") == 0.0);
}

#[test]
fn a_head_that_trickles_is_an_idle_connection() {
    let (router, dyno) = with_dyno(&[("HOSTLER_TIMEOUTS_KEEP_ALIVE", "300ms")]);
    // A head is no stream before its end, whatever comes of it.
    let mut client = Frames::connect(router.http);
    let head = frame(kind::HEADERS, END_STREAM, 1, &[0; 16_000]);
    assert!(client.try_send(&head[..20]));
    until("the router has had enough", || !client.try_send(&[0]));
    until("the connection is closed", || router.metric("hostler_connections_open") == 0.0);
    assert!(dyno.is_idle());
}

#[test]
fn a_head_that_does_not_end_is_cut_beside_a_stream_that_runs() {
    let (router, dyno) = with_dyno(&[("HOSTLER_TIMEOUTS_REQUEST_HEAD", "300ms")]);
    // The preface, and the preface without the SETTINGS behind it.
    for begin in [&PREFACE[..20], &[PREFACE, &[0, 16]].concat()] {
        let mut client = router.connect();
        client.send(begin);
        client.take_all();
    }
    let metric = "hostler_http2_abuse_total{kind=\"slow_head\"}";
    until(metric, || router.metric(metric) == 1.0);
    let head = block(&get("a.test"));
    for (number, begin) in [
        frame(kind::HEADERS, END_STREAM, 3, &head),
        frame(kind::HEADERS, END_STREAM | END_HEADERS, 3, &head)[..12].to_vec(),
    ]
    .into_iter()
    .enumerate()
    {
        let mut client = Frames::connect(router.http);
        client.ask(1, true, &get("a.test"));
        let mut served = dyno.accept();
        served.take_request();
        assert!(client.try_send(&begin));
        assert_eq!(client.wait_for(kind::GOAWAY).code(), ENHANCE_YOUR_CALM);
        router.log.wait_for_many("code=H33", number + 1);
        assert!(served.take_all().0.is_empty() && dyno.is_idle());
    }
    until(metric, || router.metric(metric) == 3.0);
}

/// CVE-2025-8671: the router is made to reset streams that it has asked a dyno for.
#[test]
fn streams_that_the_router_is_made_to_reset_are_cancelled_and_bounded() {
    let (router, dyno) = with_dyno(&[]);
    let mut client = Frames::connect(router.http);
    let overflow = [0x7f, 0xff, 0xff, 0xff];
    let mut goaway = None;
    for number in 0..200 {
        let stream = number * 2 + 1;
        client.ask(stream, true, &get("a.test"));
        let mut served = dyno.accept();
        served.take_request();
        client.send(kind::WINDOW_UPDATE, 0, stream, &overflow);
        // The dyno hears of it each time.
        assert!(served.take_all().0.is_empty());
        let end = std::iter::from_fn(|| client.next())
            .find(|frame| [kind::RST_STREAM, kind::GOAWAY].contains(&frame.kind))
            .unwrap();
        if end.kind == kind::GOAWAY {
            goaway = Some((number, end.code()));
            break;
        }
    }
    assert_eq!(goaway, Some((128, ENHANCE_YOUR_CALM)));
    router.log.wait_for_many("code=H33", 129);
}

#[test]
fn who_sends_or_takes_too_slowly_is_cut() {
    let (router, dyno) = with_dyno(&[("HOSTLER_LIMITS_MIN_BODY_RATE", "100KiB")]);
    let mut client = Frames::with(router.connect(), &[(4, 0)]);
    client.ask(1, true, &get("a.test"));
    let mut answers = dyno.accept();
    answers.take_request();
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n";
    answers.send([head.as_bytes(), &[b'd'; 65536]].concat());
    assert_eq!(client.status(), 200);
    client.ask(3, false, &POST);
    client.send(kind::WINDOW_UPDATE, 0, 3, &[0, 1, 0, 0]);
    let mut asked = dyno.accept();
    asked.take_head();
    let (mut slow, mut turns) = (true, 0);
    until("the router has had enough of both", || {
        turns += 1;
        // Slowly enough to be no flood of updates.
        if slow && turns % 8 == 0 {
            client.send(kind::WINDOW_UPDATE, 0, 1, &[0, 0, 0, 1]);
            client.send(kind::DATA, 0, 3, &[b'u'; 10]);
        }
        let is_cut = |line: &&String| {
            line.contains("code=client_too_slow") || line.contains("code=slow_reader")
        };
        let cut = router.log.all().iter().filter(is_cut).count();
        // Of a stream that is gone nothing more need be said.
        slow = cut == 0;
        cut == 2
    });
    assert_eq!(client.status(), 408);
    router.log.wait_for("status=408 ");
    let (seen, _) = asked.take_all();
    assert!(!seen.ends_with(b"0\r\n\r\n"), "a cut passes for the end");
    answers.take_all();
}

#[test]
fn an_idle_connection_is_told_to_go() {
    let (router, _dyno) = with_dyno(&[("HOSTLER_TIMEOUTS_KEEP_ALIVE", "200ms")]);
    let mut client = Frames::connect(router.http);
    let rest = client.rest();
    let goaway = rest.iter().find(|frame| frame.kind == kind::GOAWAY).unwrap();
    assert_eq!(goaway.code(), 0);
}

/// A router that drains while its dyno has the client's first request.
fn draining() -> (Router, Dyno, Frames, Conn) {
    let (router, dyno) = with_dyno(&[]);
    let mut client = Frames::connect(router.http);
    client.ask(1, true, &get("a.test"));
    let mut first = dyno.accept();
    first.take_request();
    router.terminate();
    (router, dyno, client, first)
}

#[test]
fn no_request_is_lost_to_a_drain() {
    let (mut router, dyno, mut client, mut first) = draining();
    // The first word names no stream: what is under way to the router is still served.
    let goaway = client.wait_for(kind::GOAWAY);
    assert_eq!(goaway.payload[..4], [0x7f, 0xff, 0xff, 0xff]);
    client.ask(3, true, &get("a.test"));
    let ping = client.wait_for(kind::PING);
    client.send(kind::PING, 1, 0, &ping.payload);
    let goaway = client.wait_for(kind::GOAWAY);
    assert_eq!(goaway.payload[..4], [0, 0, 0, 3]);
    let mut second = dyno.accept();
    second.take_request();
    for served in [&mut first, &mut second] {
        served.send("HTTP/1.1 204 No Content\r\n\r\n");
    }
    let ended = client.rest().iter().filter(|frame| frame.flags & END_STREAM != 0).count();
    assert_eq!(ended, 2);
    assert!(router.wait().success());
}

#[test]
fn who_does_not_say_that_it_heard_of_the_drain_asks_in_vain() {
    let (mut router, dyno, mut client, mut first) = draining();
    client.wait_for(kind::GOAWAY);
    // The PING behind it is never answered.
    let goaway = client.wait_for(kind::GOAWAY);
    assert_eq!(goaway.payload[..4], [0, 0, 0, 1]);
    client.ask(3, true, &get("a.test"));
    first.send("HTTP/1.1 204 No Content\r\n\r\n");
    let ended: Vec<_> =
        client.rest().into_iter().filter(|frame| frame.flags & END_STREAM != 0).collect();
    assert_eq!(ended.iter().map(|frame| frame.stream).collect::<Vec<_>>(), [1]);
    assert!(router.wait().success() && dyno.is_idle());
}
