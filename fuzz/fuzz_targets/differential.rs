//! Whole messages: what is accepted, hyper reads alike, and so it reads what goes on.
//!
//! Invariants that are tried: of a request and of an answer hyper sees the same first line, the
//! same headers in the same order, the same body and trailers, and the same end of the connection;
//! of what goes on it sees the message that was meant, framed by our verdict, with nothing in it
//! for one hop alone. Where the two differ by design, a constant below says so and why.
#![no_main]

use hostler::{
    route::Host,
    wire::{
        framing::{Body, Coding},
        head::{Fields, Finder},
        request::Request,
        response::Response,
        rewrite::{self, Answer, Forward, Persistence},
    },
};
use hostler_fuzz::{
    ours,
    second::{self, Content},
    strict::{FRAMING, HOP_BY_HOP, Head, NOT_IN_TRAILERS, VOUCHED, is_twin},
};
use http::{HeaderMap, Version};

/// Bytes that `http::Uri` refuses in a path and in a query: RFC 3986 wants them escaped. We pass
/// them on as they came, since clients send them; a path means nothing to framing.
const UNESCAPED_IN_PATH: &[u8] = b"<>`";
const UNESCAPED_IN_QUERY: &[u8] = b"\"<>";
/// Hyper bounds the extensions of all chunks of a body as we do, but counts them otherwise.
const EXTENSIONS_OF_HYPER: usize = 16 << 10;
/// Headers that hyper writes anew when it repeats them, so that it does not tell their case.
const WRITTEN_BY_HYPER: [&str; 4] =
    ["connection", "content-length", "transfer-encoding", "trailer"];
/// Interim answers that are looked at before the final one.
const MAX_INTERIM: usize = 8;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let [flags, wire @ ..] = data else { return };
    let flag = |bit: u8| flags & (1 << bit) != 0;
    if flag(0) { answer(wire, flag) } else { ask(wire, flag) }
});

/// A body as we read it, in one piece.
struct Ours {
    data: Vec<u8>,
    is_whole: bool,
    is_refused: bool,
}

fn read(mut body: Body, rest: &[u8], coding: Coding) -> Ours {
    let mut buffer = rest.to_vec();
    match body.accept(&mut buffer, 0, coding) {
        Ok(accepted) => {
            buffer.truncate(accepted.ready);
            Ours { data: buffer, is_whole: body.is_done(), is_refused: false }
        }
        Err(_) => Ours { data: Vec::new(), is_whole: false, is_refused: true },
    }
}

/// Names in lower case with their values, those of one name together where the first stands: more
/// of the order hyper does not tell.
fn grouped<'a>(fields: impl Iterator<Item = (String, &'a [u8])>) -> Vec<(String, Vec<Vec<u8>>)> {
    let mut groups: Vec<(String, Vec<Vec<u8>>)> = Vec::new();
    for (name, value) in fields {
        match groups.iter_mut().find(|(known, _)| *known == name) {
            Some((_, values)) => values.push(value.to_vec()),
            None => groups.push((name, vec![value.to_vec()])),
        }
    }
    groups
}

fn of_hyper(headers: &HeaderMap) -> Vec<(String, Vec<Vec<u8>>)> {
    let values = |name| headers.get_all(name).iter().map(|v| v.as_bytes().to_vec()).collect();
    headers.keys().map(|name| (name.as_str().to_owned(), values(name))).collect()
}

fn of_ours(head: &[u8], fields: &Fields) -> Vec<(String, Vec<Vec<u8>>)> {
    grouped(fields.iter().map(|field| {
        let name = String::from_utf8_lossy(field.name.of(head)).to_ascii_lowercase();
        (name, field.value.of(head))
    }))
}

fn of_strict(head: &Head) -> Vec<(String, Vec<Vec<u8>>)> {
    grouped(head.fields.iter().map(|(name, value)| (name.clone(), value.as_slice())))
}

/// The same data, and the end at the same place.
fn same_body(ours: &Ours, theirs: Option<&Content>, wire: &[u8]) {
    if ours.is_refused {
        // Hyper is kinder here and there; nothing that it reads goes on.
        return;
    }
    if ours.is_whole && theirs.is_none() && wire.len() > EXTENSIONS_OF_HYPER {
        return;
    }
    assert_eq!(theirs.is_some(), ours.is_whole, "is the body whole?");
    if let Some(theirs) = theirs {
        assert_eq!(theirs.data, ours.data);
    }
}

fn ask(wire: &[u8], flag: impl Fn(u8) -> bool) {
    let Ok(Some(len)) = Finder::default().find(wire) else { return };
    let (head, rest) = wire.split_at(len);
    let mut fields = Fields::default();
    let Ok(asked) = ours::request(head, &mut fields) else { return };
    let default_port = asked.authority.map_or(80, |authority| authority.default_port);
    let authority = asked.authority.map(|authority| authority.text.of(head));
    if !is_one_host(asked.host.of(head), authority, default_port) {
        return;
    }
    let target = [
        match asked.rootless {
            true if asked.target.is_empty() && asked.method.of(head) == b"OPTIONS" => &b"*"[..],
            true => b"/",
            false => b"",
        },
        asked.target.of(head),
    ]
    .concat();
    let theirs = second::request(wire);
    let refuses = refused_by_uri(&target) || authority.is_some_and(|a| !a.is_ascii());
    assert_eq!(theirs.is_none(), refuses, "does hyper refuse it?");
    let Some(theirs) = theirs else { return };
    let body = read(asked.body.clone(), rest, Coding::Strip);
    assert_eq!(theirs.method.as_str().as_bytes(), asked.method.of(head));
    let version = if asked.minor == 1 { Version::HTTP_11 } else { Version::HTTP_10 };
    assert_eq!(theirs.version, version);
    if target != b"*" {
        let read = theirs.uri.path_and_query().expect("a path").as_str();
        let read = if read.starts_with('?') { format!("/{read}") } else { read.to_owned() };
        assert_eq!(read.as_bytes(), target);
    }
    assert_eq!(theirs.uri.authority().map(|a| a.as_str().as_bytes()), authority);
    assert_eq!(of_hyper(&theirs.headers), of_ours(head, &fields));
    same_body(&body, theirs.content.as_ref(), wire);
    if theirs.content.is_some() {
        assert_eq!(theirs.keeps_alive, asked.keeps_alive());
        same_case(head, &fields, &theirs.names);
    }
    let forward = Forward {
        remote: [192, 0, 2, 7].into(),
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
    let mut out = Vec::new();
    rewrite::request(head, &fields, &asked, &forward, &mut out);
    pass_request(out, rest, &asked, &forward, &target, theirs.content.as_ref(), head);
}

/// The router's own rule for the host: one that is well formed, and no other in the target.
fn is_one_host(host: &[u8], authority: Option<&[u8]>, default_port: u16) -> bool {
    let Ok((host, port)) = Host::parse_with_port(host) else { return false };
    authority.is_none_or(|authority| {
        Host::parse_with_port(authority).is_ok_and(|(named, named_port)| {
            named == host && named_port.unwrap_or(default_port) == port.unwrap_or(default_port)
        })
    })
}

fn refused_by_uri(target: &[u8]) -> bool {
    let query = target.iter().position(|b| *b == b'?').unwrap_or(target.len());
    target[..query].iter().any(|b| UNESCAPED_IN_PATH.contains(b))
        || target[query..].iter().any(|b| UNESCAPED_IN_QUERY.contains(b))
}

/// Hyper repeats each name with its case.
fn same_case(head: &[u8], fields: &Fields, names: &[String]) {
    let of_theirs = |name: &str| -> Vec<String> {
        names.iter().filter(|known| known.eq_ignore_ascii_case(name)).cloned().collect()
    };
    for field in fields.iter() {
        let name = String::from_utf8_lossy(field.name.of(head)).into_owned();
        if WRITTEN_BY_HYPER.iter().any(|own| name.eq_ignore_ascii_case(own)) {
            continue;
        }
        let ours: Vec<String> = fields
            .iter()
            .map(|field| String::from_utf8_lossy(field.name.of(head)).into_owned())
            .filter(|known| known.eq_ignore_ascii_case(&name))
            .collect();
        assert_eq!(of_theirs(&name), ours);
    }
}

/// What goes on is read as what was meant.
fn pass_request(
    mut out: Vec<u8>,
    rest: &[u8],
    asked: &Request,
    forward: &Forward<'_>,
    target: &[u8],
    content: Option<&Content>,
    head: &[u8],
) {
    let sent = Head::read(&out).expect("what goes on is strictly well formed");
    let kept = read(asked.body.clone(), rest, Coding::Keep);
    out.extend_from_slice(&kept.data);
    let theirs = second::request(&out).expect("hyper accepts what goes on");
    assert_eq!(theirs.method.as_str().as_bytes(), asked.method.of(head));
    assert_eq!(theirs.version, Version::HTTP_11);
    if theirs.content.is_some() {
        assert_eq!(theirs.keeps_alive, asked.upgrade || !forward.close);
    }
    assert_eq!(theirs.uri.to_string().as_bytes(), target);
    assert_eq!(of_hyper(&theirs.headers), of_strict(&sent));
    for name in HOP_BY_HOP.iter().filter(|name| !matches!(**name, "upgrade" | "connection")) {
        assert!(!theirs.headers.contains_key(*name), "{name}");
    }
    for name in VOUCHED.iter().filter(|name| **name != "hostler-error") {
        let count = theirs.headers.get_all(*name).iter().count();
        let is_kept = forward.trusted
            && matches!(*name, "x-forwarded-proto" | "x-forwarded-port" | "x-request-start");
        assert!(count == 1 || (is_kept && count > 0), "{name}");
    }
    assert_eq!(theirs.headers.get_all("host").iter().count(), 1);
    if !kept.is_refused {
        same_content(head, content, kept.is_whole, theirs.content.as_ref());
    }
}

/// The body that went on is the one that came, its trailers less those that do not pass and those
/// that the `Connection` of its head names.
fn same_content(head: &[u8], came: Option<&Content>, is_whole: bool, went: Option<&Content>) {
    assert!(went.is_some() == is_whole, "is the body that went on whole?");
    let named = Head::read(head).expect("what is accepted is strictly well formed").connection();
    if let (Some(came), Some(went)) = (came, went) {
        assert_eq!(went.data, came.data);
        let passes = |name: &str| {
            let known = HOP_BY_HOP.iter().chain(&VOUCHED).chain(&FRAMING).chain(NOT_IN_TRAILERS);
            let named = named.iter().any(|named| named.eq_ignore_ascii_case(name));
            !named && !is_twin(name) && !known.into_iter().any(|known| *known == name)
        };
        let mut expected = of_hyper(&came.trailers);
        expected.retain(|(name, _)| passes(name));
        assert_eq!(of_hyper(&went.trailers), expected);
    }
}

fn answer(wire: &[u8], flag: impl Fn(u8) -> bool) {
    let to_head = flag(1);
    let mut interim = Vec::new();
    let mut at = 0;
    let mut fields = Fields::default();
    let (answered, len) = loop {
        let Ok(Some(len)) = Finder::default().find(&wire[at..]) else { return };
        let head = &wire[at..at + len];
        let Some(answered) = ours::answer(head, &mut fields, to_head) else { return };
        if !answered.is_interim() {
            break (answered, len);
        }
        if interim.len() == MAX_INTERIM {
            return;
        }
        interim.push((answered.status, of_ours(head, &fields)));
        at += len;
    };
    let (head, rest) = (&wire[at..at + len], &wire[at + len..]);
    let theirs = second::answer(wire, to_head).expect("hyper accepts what we accept");
    let heard = theirs.interim.iter().map(|(status, h)| (status.as_u16(), of_hyper(h)));
    assert_eq!(heard.collect::<Vec<_>>(), interim);
    assert_eq!(theirs.status.as_u16(), answered.status);
    assert_eq!(theirs.version == Version::HTTP_11, answered.minor == 1);
    same_reason(answered.reason.of(head), &theirs);
    assert_eq!(of_hyper(&theirs.headers), of_ours(head, &fields));
    if answered.status == 101 {
        // What follows is another protocol.
        return;
    }
    let mut body = read(answered.body.clone(), rest, Coding::Strip);
    body.is_whole |= answered.body.ends_with_connection();
    same_body(&body, theirs.content.as_ref(), wire);
    pass_answer(head, rest, &fields, &answered, flag, theirs.content.as_ref());
}

/// Hyper tells a reason only if it is not the registered one, and none that has obs-text.
fn same_reason(ours: &[u8], theirs: &second::Answered) {
    let registered = theirs.status.canonical_reason().unwrap_or_default();
    let theirs = theirs.reason.as_deref().unwrap_or(registered.as_bytes());
    if ours.is_ascii() {
        assert_eq!(theirs, ours);
    }
}

fn pass_answer(
    head: &[u8],
    rest: &[u8],
    fields: &Fields,
    answered: &Response,
    flag: impl Fn(u8) -> bool,
    content: Option<&Content>,
) {
    let (to_head, chunked) = (flag(1), flag(2));
    let is_chunked = matches!(answered.body, Body::Chunked(_));
    let until_close = answered.body.ends_with_connection() || (is_chunked && !chunked);
    let persistence = match (until_close || flag(3), flag(4)) {
        (true, _) => Persistence::Close,
        (false, true) => Persistence::Stated,
        (false, false) => Persistence::Implied,
    };
    let date = b"Mon, 01 Jan 2024 00:00:00 GMT";
    let (via, keeps_fault) = ("fuzz", flag(5));
    let (hsts, own_cookie) = (None, None);
    let rules = Answer {
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
    rewrite::response(head, fields, answered, &rules, &mut out);
    let sent = Head::read(&out).expect("what goes on is strictly well formed");
    let coding = if chunked { Coding::Keep } else { Coding::Strip };
    let passed = read(answered.body.clone(), rest, coding);
    out.extend_from_slice(&passed.data);
    let theirs = second::answer(&out, to_head).expect("hyper accepts what goes on");
    assert_eq!((theirs.status.as_u16(), theirs.version), (answered.status, Version::HTTP_11));
    assert_eq!(of_hyper(&theirs.headers), of_strict(&sent));
    for name in HOP_BY_HOP.iter().filter(|name| **name != "connection") {
        assert!(!theirs.headers.contains_key(*name), "{name}");
    }
    if passed.is_refused {
        return;
    }
    if until_close {
        let read = theirs.content.expect("the end of the connection ends it");
        assert_eq!(read.data, passed.data);
    } else {
        same_content(head, content, passed.is_whole, theirs.content.as_ref());
    }
}
