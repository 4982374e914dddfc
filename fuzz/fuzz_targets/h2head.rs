//! Heads of HTTP/2: what becomes text of HTTP/1.1 is one message that says the same.
//!
//! The input is a head as it stands behind the fields' compression: names and values, parted by
//! NUL, put together as the `h2` crate does. Invariants that are tried: the text of a request, of
//! an answer and of trailers is strictly well formed, or refused; it has one Host, which is
//! the authority, one framing, no field of the connection but what was put there, and every other
//! field once, in its place; what the router's own rules then take, and have turned into HTTP/2
//! again, is what came.
#![no_main]

use bytes::Bytes;
use hostler::wire::{
    framing::Body,
    h2::{
        answer::Answer,
        from_dyno::{self, Framing},
        request::{self, Asks, Length},
        to_dyno::{Asked, Way},
        trailers,
    },
    head::{Fields, Finder},
};
use hostler_fuzz::{
    ours,
    strict::{Ends, Head},
};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode,
    request::Parts,
    uri::{Authority, PathAndQuery, Scheme},
};

const KEY: [u8; 24] = *b"dGhlIHNhbXBsZSBub25jZQ==";

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let [flags, bytes @ ..] = data else { return };
    let flag = |bit: u8| flags & (1 << bit) != 0;
    let texts: Vec<&[u8]> = bytes.split(|b| *b == 0).collect();
    match (flag(0), flag(1)) {
        (false, false) => drop(ask(&texts, flag)),
        (false, true) => drop(told(&texts, flag)),
        (true, _) => trailing(&texts),
    }
});

/// Names and values in turn, as far as HTTP/2 has them.
fn fields(texts: &[&[u8]]) -> Option<HeaderMap> {
    let mut map = HeaderMap::new();
    for pair in texts.chunks_exact(2) {
        let name = HeaderName::from_lowercase(pair[0]).ok()?;
        map.try_append(name, HeaderValue::from_bytes(pair[1]).ok()?).ok()?;
    }
    Some(map)
}

/// The strict reading of a text. There is none where a name is no token, since the `http` crate
/// lets `"` pass in one; then it is the router's own rules that must refuse it.
fn read(text: &[u8]) -> Option<Head> {
    let head = Head::read(text);
    assert!(head.is_some() || text.contains(&b'"'), "strictly well formed");
    head
}

/// A request: its method, scheme, authority (none, if that is empty) and path are the first texts.
fn parts(texts: &[&[u8]]) -> Option<Parts> {
    let [method, scheme, authority, path, rest @ ..] = texts else { return None };
    let mut uri = http::uri::Parts::default();
    let scheme = Scheme::try_from(*scheme).ok()?;
    if !authority.is_empty() {
        let authority = Bytes::copy_from_slice(authority);
        uri.authority = Some(Authority::from_maybe_shared(authority).ok()?);
        uri.scheme = Some(scheme);
    }
    let path = Some(Bytes::copy_from_slice(path)).filter(|path| !path.is_empty())?;
    uri.path_and_query = Some(PathAndQuery::from_maybe_shared(path).ok()?);
    let mut message = Request::builder().method(*method).uri(uri).body(()).ok()?;
    *message.headers_mut() = fields(rest)?;
    Some(message.into_parts().0)
}

/// The fields that neither frame nor are joined, in the order of the map.
fn plain(map: &HeaderMap, but: &[&str]) -> Vec<(String, Vec<u8>)> {
    let stays = |name: &HeaderName| !but.contains(&name.as_str());
    let fields = map.iter().filter(|(name, _)| stays(name));
    fields.map(|(name, value)| (name.as_str().into(), value.as_bytes().to_vec())).collect()
}

fn ask(texts: &[&[u8]], flag: impl Fn(u8) -> bool) -> Option<()> {
    let parts = parts(texts)?;
    let (ended, socket) = (flag(2), flag(3));
    let asks = if socket { Asks::Socket(KEY) } else { Asks::Answer };
    let length = request::judge(&parts, asks, ended).ok()?;
    let mut text = Vec::new();
    request::write(&parts, asks, length, &mut text);
    assert!(text.len() <= request::text_len(&parts));
    assert_eq!(Finder::default().find(&text), Ok(Some(text.len())));

    let Some(read) = read(&text) else {
        assert!(ours::request(&text, &mut Fields::default()).is_err());
        return None;
    };
    let [method, target, version] = read.request_line().expect("three words");
    assert_eq!(version, b"HTTP/1.1");
    let asked = if socket { &Method::GET } else { &parts.method };
    assert_eq!(method, asked.as_str().as_bytes());
    assert!(socket || !matches!(method, b"CONNECT" | b"TRACE"));
    assert_eq!(target, parts.uri.path_and_query()?.as_str().as_bytes());
    let authority = parts.uri.authority().map(|authority| authority.as_str().as_bytes());
    let host = authority.or_else(|| parts.headers.get("host").map(|host| host.as_bytes()));
    assert_eq!(read.only("host"), Some(host.expect("a host")));
    let ends = match length {
        Length::None | Length::Stated(0) => Ends::Nothing,
        Length::Stated(length) => Ends::Length(length),
        Length::Unknown => Ends::Chunked,
    };
    assert_eq!(read.ends(Ends::Nothing), Some(ends));
    assert!(!ended || !matches!(length, Length::Unknown | Length::Stated(1..)));
    let switch: &[&[u8]] = if socket { &[b"websocket"] } else { &[] };
    assert_eq!(read.all("upgrade"), switch);
    assert_eq!(read.connection(), if socket { &["upgrade"][..] } else { &[] });
    for name in ["keep-alive", "proxy-connection"] {
        assert!(read.all(name).is_empty());
    }

    let crumbs = parts.headers.get_all("cookie").iter().map(|crumb| crumb.as_bytes());
    let crumbs: Vec<&[u8]> = crumbs.filter(|crumb| !crumb.is_empty()).collect();
    let joined = (!crumbs.is_empty()).then(|| crumbs.join(&b"; "[..]));
    assert_eq!(read.all("cookie"), joined.iter().collect::<Vec<_>>());
    let made: &[&str] = if socket { &["connection", "upgrade", "sec-websocket-key"] } else { &[] };
    let apart = [&["host", "content-length", "transfer-encoding", "cookie"], made].concat();
    let mut left = read.fields.clone();
    left.retain(|(name, _)| !apart.contains(&name.as_str()));
    assert_eq!(left, plain(&parts.headers, &apart));
    again(&text, &parts, socket);
    Some(())
}

/// What the router's own rules take of the text is the request that came, for a dyno of HTTP/2 too.
fn again(text: &[u8], parts: &Parts, socket: bool) {
    let mut fields = Fields::default();
    let Ok(asked) = ours::request(text, &mut fields) else { return };
    assert_eq!(asked.upgrade, socket);
    let way = Way { is_secure: true, extended: true };
    let Ok(asked) = Asked::read(text, &mut fields, way) else { return };
    assert_eq!((asked.message.method(), asked.socket.is_some()), (&parts.method, socket));
    let host = parts.uri.authority().map(Authority::as_str);
    assert!(host.is_none_or(|host| asked.message.uri().authority().unwrap() == host));
    let known = ["host", "cookie", "te", "sec-websocket-key"];
    let hops = ["proxy-authorization", "content-length"];
    let apart = [&known[..], &hops].concat();
    assert_eq!(plain(asked.message.headers(), &apart), plain(&parts.headers, &apart));
}

/// An answer: its status is the first text.
fn told(texts: &[&[u8]], flag: impl Fn(u8) -> bool) -> Option<()> {
    let [status, rest @ ..] = texts else { return None };
    let (status, map) = (StatusCode::from_bytes(status).ok()?, fields(rest)?);
    let mut text = Vec::new();
    if status.is_informational() {
        from_dyno::interim(status, &map, &mut text).ok()?;
        read(&text)?.status_line().expect("a status line");
        return Some(());
    }
    let asked = from_dyno::Asked { is_head: flag(2), socket: flag(3).then_some(&KEY) };
    let ended = flag(4);
    let framing = from_dyno::head(status, &map, asked, ended, &mut text).ok()?;
    let Some(read) = read(&text) else {
        assert!(ours::answer(&text, &mut Fields::default(), asked.is_head).is_none());
        return None;
    };
    let switched = framing == Framing::Tunnel;
    let (version, number, _) = read.status_line().expect("a status line");
    assert_eq!((version, switched), (&b"HTTP/1.1"[..], flag(3) && status.is_success()));
    assert_eq!(number, if switched { 101 } else { status.as_u16() });
    assert_eq!(read.connection(), [if switched { "upgrade" } else { "close" }]);
    let ends = match framing {
        Framing::Tunnel => None,
        Framing::None | Framing::Stated if asked.is_head => None,
        Framing::None => read.ends(Ends::Nothing).filter(|ends| *ends != Ends::Length(0)),
        Framing::Stated => Some(read.ends(Ends::Close).expect("one framing")),
        Framing::Chunked => Some(read.ends(Ends::Close).expect("one framing")),
    };
    assert_eq!(matches!(ends, Some(Ends::Chunked)), framing == Framing::Chunked);
    if let Some(answered) = ours::answer(&text, &mut Fields::default(), asked.is_head) {
        assert!(!matches!(answered.body, Body::Close) || switched);
    }
    let made =
        ["connection", "upgrade", "sec-websocket-accept", "content-length", "transfer-encoding"];
    let mut left = read.fields.clone();
    left.retain(|(name, _)| !made.contains(&name.as_str()));
    assert_eq!(left, plain(&map, &made));
    if let Ok(answer) = Answer::read(&text, &mut Fields::default(), asked.is_head) {
        assert_eq!(answer.status.as_u16(), number);
        assert_eq!(plain(&answer.fields, &made), plain(&map, &made));
    }
    Some(())
}

fn trailing(texts: &[&[u8]]) {
    let Some(map) = fields(texts) else { return };
    let mut text = Vec::new();
    trailers::write(Some(&map), &mut text);
    let section = text.strip_prefix(b"0\r\n").expect("the last chunk");
    let head = [b"first\r\n", section].concat();
    let Some(read) = read(&head) else {
        assert_eq!(trailers::read(section, &mut Fields::default()), None);
        return;
    };
    let bare = |value: &[u8]| value.trim_ascii() == value;
    if map.values().all(|value| bare(value.as_bytes())) {
        assert_eq!(read.fields, plain(&map, &[]));
    }
}
