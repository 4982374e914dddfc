//! Heads: what is accepted, a second strict reader reads alike, and so is what is written from it.
//!
//! Invariants that are tried: the end of a head does not depend on how its bytes were split; what
//! goes on has one Host, one framing, nothing for one hop alone, nothing that a client could have
//! put in the place of what the router vouches for, no line that was not there; and read again it
//! is the same message.
#![no_main]

use std::net::{IpAddr, Ipv4Addr};

use hostler::wire::{
    framing::Body,
    head::{Fields, Finder},
    request, response,
    rewrite::{self, Answer, Forward, Persistence},
};
use hostler_fuzz::{
    cuts, ours,
    strict::{Ends, HOP_BY_HOP, Head, VOUCHED, is_twin},
};

const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));
const DATE: &[u8] = b"Mon, 01 Jan 2024 00:00:00 GMT";

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let [flags, seed, bytes @ ..] = data else { return };
    let Some(len) = found(*seed, bytes) else { return };
    let flag = |bit: u8| flags & (1 << bit) != 0;
    if flag(0) { answer(&bytes[..len], flag) } else { ask(&bytes[..len], flag) }
});

/// The length of the head, after a look at whether it is found alike however the bytes come.
fn found(seed: u8, bytes: &[u8]) -> Option<usize> {
    let whole = Finder::default().find(bytes);
    let mut finder = Finder::default();
    let mut pieces = cuts(seed, bytes.len()).into_iter().chain([bytes.len()]);
    let split = pieces.find_map(|end| match finder.find(&bytes[..end]) {
        Ok(None) => None,
        verdict => Some(verdict),
    });
    assert_eq!(split.unwrap_or(Ok(None)), whole);
    whole.ok().flatten()
}

fn ends(body: &Body) -> Ends {
    match body {
        Body::Done => Ends::Nothing,
        Body::Length(length) => Ends::Length(*length),
        Body::Chunked(_) => Ends::Chunked,
        Body::Close => Ends::Close,
    }
}

fn ask(head: &[u8], flag: impl Fn(u8) -> bool) {
    let mut fields = Fields::default();
    let Ok(asked) = ours::request(head, &mut fields) else { return };
    let read = Head::read(head).expect("what is accepted is strictly well formed");
    let [method, raw, version] = read.request_line().expect("three words");
    assert_eq!(asked.method.of(head), method);
    assert_eq!(version, [b"HTTP/1.", &[b'0' + asked.minor][..]].concat());
    assert_eq!(read.only("host"), Some(asked.host.of(head)));
    assert_eq!(read.ends(Ends::Nothing), Some(ends(&asked.body)));
    let part = origin_form(raw);
    assert_eq!(asked.target.of(head), part);
    assert_eq!(asked.rootless, !part.starts_with(b"/") && part != b"*");

    let forward = Forward {
        remote: CLIENT,
        http2: false,
        proto: "https",
        port: 443,
        trusted: flag(1),
        expect: flag(2),
        close: flag(3),
        fresh_id: 7,
        start_ms: 1_700_000_000_000,
        via: "fuzz",
        own_cookie: None,
        client_subject: Some("CN=fuzz"),
    };
    let mut out = b"before".to_vec();
    let marks = rewrite::request(head, &fields, &asked, &forward, &mut out);
    let sent = Head::read(&out[6..]).expect("what goes on is strictly well formed");
    let whole_host = asked.target.is_empty() && asked.method.of(head) == b"OPTIONS";
    let slash: &[u8] = match asked.rootless {
        true if whole_host => b"*",
        true => b"/",
        false => b"",
    };
    let expected = [slash, part].concat();
    assert_eq!(sent.request_line(), Some([method, &expected[..], b"HTTP/1.1"]));
    assert_eq!(marks.method.of(&out), method);
    assert_eq!(marks.target.of(&out), expected);
    assert_eq!(marks.host.of(&out), asked.host.of(head));
    assert_eq!(sent.only("x-request-id"), Some(marks.request_id.of(&out)));
    assert_eq!(sent.only("x-forwarded-for"), Some(marks.forwarded_for.of(&out)));
    vouched(&read, &sent, forward.trusted);
    hop_by_hop(&sent, asked.upgrade.then(|| read.all("upgrade")), forward.close);
    assert_eq!(sent.ends(Ends::Nothing), Some(ends(&asked.body)));
    let mut kept = read.end_to_end(&[&VOUCHED[..], &REWRITTEN].concat());
    kept.retain(|(name, _)| !is_twin(name));
    assert_eq!(sent.end_to_end(&[&VOUCHED[..], &REWRITTEN].concat()), kept);
    rewritten(&read, &sent, &asked, &forward, method);

    let mut again = Fields::default();
    let second = ours::request(&out[6..], &mut again);
    // What the router adds can make a value longer than its bound, and then only that.
    if let Ok(second) = second {
        let out = &out[6..];
        assert_eq!((second.method.of(out), second.target.of(out)), (method, &expected[..]));
        assert_eq!(second.host.of(out), asked.host.of(head));
        assert_eq!(ends(&second.body), ends(&asked.body));
        assert_eq!(second.upgrade, asked.upgrade);
    } else {
        assert!(out.len() > ours::OF_REQUESTS.value, "{second:?}");
    }
}

/// The target less its fragment, scheme and authority.
fn origin_form(raw: &[u8]) -> &[u8] {
    let raw = raw.split(|b| *b == b'#').next().expect("a first part");
    if raw.starts_with(b"/") || raw == b"*" {
        return raw;
    }
    let colon = raw.windows(3).position(|w| w == b"://").expect("a scheme");
    let rest = &raw[colon + 3..];
    &rest[rest.iter().position(|b| matches!(b, b'/' | b'?')).unwrap_or(rest.len())..]
}

/// What the router vouches for is there once, and says what the router saw.
fn vouched(read: &Head, sent: &Head, trusted: bool) {
    let remote = CLIENT.to_string();
    let forwarded_for = sent.only("x-forwarded-for").expect("one X-Forwarded-For");
    assert!(forwarded_for.ends_with(remote.as_bytes()));
    let id = sent.only("x-request-id").expect("one X-Request-Id");
    assert!((20..=200).contains(&id.len()));
    assert!(sent.only("via").expect("one Via").ends_with(b" fuzz"));
    assert_eq!(sent.all("hostler-error"), [b""; 0]);
    assert_eq!(sent.only("x-client-cert-subject"), Some(&b"CN=fuzz"[..]));
    for (name, ours) in [
        ("x-forwarded-proto", &b"https"[..]),
        ("x-forwarded-port", b"443"),
        ("x-request-start", b"1700000000000"),
    ] {
        let theirs = read.all(name);
        let expected = if trusted && !theirs.is_empty() { theirs } else { vec![ours] };
        assert_eq!(sent.all(name), expected);
    }
    assert!(!sent.fields.iter().any(|(name, _)| is_twin(name)));
}

/// What is passed on with another value, or now and then.
const REWRITTEN: [&str; 2] = ["expect", "max-forwards"];

/// The expectation is the dyno's only if it is told of it; OPTIONS has a hop less to go.
fn rewritten(
    read: &Head,
    sent: &Head,
    asked: &request::Request,
    forward: &Forward<'_>,
    method: &[u8],
) {
    let expects = forward.expect && asked.expects_continue;
    let expected: &[&[u8]] = if expects { &[b"100-continue"] } else { &[] };
    assert_eq!(sent.all("expect"), expected);
    let hops = read.all("max-forwards");
    let number = |text: &[u8]| -> Option<u32> {
        let digits = text.iter().all(u8::is_ascii_digit);
        std::str::from_utf8(text).ok().filter(|_| digits)?.parse().ok()
    };
    match hops.first().copied().and_then(number).filter(|_| method == b"OPTIONS") {
        Some(hops) => {
            let less = hops.saturating_sub(1).to_string();
            assert_eq!(sent.all("max-forwards"), [less.as_bytes()]);
        }
        None if read.connection().iter().any(|named| named == "max-forwards") => {}
        None => assert_eq!(sent.all("max-forwards"), hops),
    }
}

/// Nothing for one hop alone goes on, but for an upgrade and the wish to close.
fn hop_by_hop(sent: &Head, upgrade: Option<Vec<&[u8]>>, close: bool) {
    for name in HOP_BY_HOP {
        let expected = match (name, &upgrade) {
            ("upgrade", Some(protocols)) => protocols.clone(),
            ("connection", Some(_)) => vec![&b"Upgrade"[..]],
            ("connection", None) if close => vec![&b"close"[..]],
            _ => Vec::new(),
        };
        assert_eq!(sent.all(name), expected, "{name}");
    }
}

fn answer(head: &[u8], flag: impl Fn(u8) -> bool) {
    let mut fields = Fields::default();
    let to_head = flag(1);
    let Some(answered) = ours::answer(head, &mut fields, to_head) else { return };
    let read = Head::read(head).expect("what is accepted is strictly well formed");
    let (_, status, reason) = read.status_line().expect("a status line");
    assert_eq!((answered.status, answered.reason.of(head)), (status, reason));
    assert!((100..1000).contains(&status));
    let bodiless = to_head || status < 200 || matches!(status, 204 | 304);
    let behind = if bodiless { Some(Ends::Nothing) } else { read.ends(Ends::Close) };
    assert_eq!(behind, Some(ends(&answered.body)));

    let chunked = flag(2);
    let closes = matches!(answered.body, Body::Close | Body::Chunked(_) if !chunked)
        || answered.body.ends_with_connection();
    let persistence = match (closes || flag(3), flag(4)) {
        (true, _) => Persistence::Close,
        (false, true) => Persistence::Stated,
        (false, false) => Persistence::Implied,
    };
    let keeps_fault = flag(5);
    let (date, via) = (DATE, "fuzz");
    let (hsts, own_cookie) = (None, None);
    let rest = Answer {
        persistence,
        date,
        via,
        chunked,
        to_head,
        keeps_fault,
        takes_load: false,
        hsts,
        own_cookie,
    };
    let mut out = Vec::new();
    rewrite::response(head, &fields, &answered, &rest, &mut out);
    if status == 100 {
        assert_eq!(out, b"HTTP/1.1 100 Continue\r\n\r\n");
        return;
    }
    let sent = Head::read(&out).expect("what goes on is strictly well formed");
    assert_eq!(sent.status_line(), Some((&b"HTTP/1.1"[..], status, reason)));
    let removed: &[&str] =
        if keeps_fault { &["via", "date"] } else { &["via", "date", "hostler-error"] };
    assert_eq!(sent.end_to_end(removed), read.end_to_end(removed));
    assert!(sent.only("via").expect("one Via").ends_with(b" fuzz"));
    assert!(keeps_fault || sent.all("hostler-error").is_empty());
    client_side(&read, &sent, &answered, &rest);
}

/// What the client understands of the connection and of the body.
fn client_side(read: &Head, sent: &Head, answered: &response::Response, rest: &Answer<'_>) {
    let status = answered.status;
    let connection: &[&str] = match (status, rest.persistence) {
        (101, _) => &["upgrade"],
        (..200, _) | (_, Persistence::Implied) => &[],
        (_, Persistence::Stated) => &["keep-alive"],
        (_, Persistence::Close) => &["close"],
    };
    assert_eq!(sent.connection(), connection);
    if status >= 200 {
        assert!(!sent.all("date").is_empty());
    }
    let lengths = sent.all("content-length");
    if status < 200 || status == 204 {
        assert!(lengths.is_empty() && sent.all("transfer-encoding").is_empty());
    } else if rest.to_head || status == 304 {
        // What a GET would have had, if the dyno said it.
        let number = |text: &&[u8]| std::str::from_utf8(text).ok()?.parse::<u64>().ok();
        let said = read.all("content-length");
        assert_eq!(lengths.first().map(number), said.first().map(number));
        assert!(lengths.len() <= 1 && sent.all("transfer-encoding").is_empty());
    } else {
        let expected = match ends(&answered.body) {
            Ends::Chunked if !rest.chunked => Ends::Close,
            ends => ends,
        };
        assert_eq!(sent.ends(Ends::Close), Some(expected));
    }
}
