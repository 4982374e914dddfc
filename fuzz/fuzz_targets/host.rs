//! Hosts: two spellings of one host are equal, what is normalised stays as it is.
//!
//! Invariants that are tried: reading again what was read changes nothing; case, a trailing dot and
//! a port make no other host; what is equal sorts and hashes as equal; a pattern is read back.
#![no_main]

use std::{
    cmp::Ordering,
    hash::{BuildHasher, BuildHasherDefault, DefaultHasher},
};

use hostler::route::{
    Host, HostPattern,
    host::{MAX_HOST, MAX_LABEL},
};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut texts = data.splitn(2, |b| *b == b'\n');
    let one = texts.next().and_then(spellings);
    let other = texts.next().and_then(spellings);
    if let (Some(one), Some(other)) = (one, other) {
        let equal = one.as_str() == other.as_str();
        assert_eq!(one == other, equal);
        assert_eq!(one.cmp(&other) == Ordering::Equal, equal);
        let hash = |host: &Host| BuildHasherDefault::<DefaultHasher>::default().hash_one(host);
        assert!(!equal || hash(&one) == hash(&other));
    }
    if let Ok(text) = std::str::from_utf8(data) {
        pattern(text);
    }
});

fn spellings(text: &[u8]) -> Option<Host> {
    let (host, port) = Host::parse_with_port(text).ok()?;
    assert_eq!(Host::parse(text).as_ref(), Ok(&host));
    let normal = host.as_bytes();
    normalised(normal);
    assert_eq!(normal, host.as_str().as_bytes());
    assert_eq!(Host::parse_with_port(normal), Ok((host.clone(), None)));
    let upper = normal.to_ascii_uppercase();
    assert_eq!(Host::parse(&upper).as_ref(), Ok(&host));
    if !normal.starts_with(b"[") {
        let dotted = [normal, b"."].concat();
        assert_eq!(Host::parse(&dotted).as_ref(), Ok(&host));
    }
    if port.is_none() && !text.ends_with(b":") {
        let with_port = [text, b":8080"].concat();
        assert_eq!(Host::parse_with_port(&with_port), Ok((host.clone(), Some(8080))));
    }
    Some(host)
}

fn normalised(name: &[u8]) {
    assert!((1..=MAX_HOST).contains(&name.len()));
    if let Some(inner) = name.strip_prefix(b"[") {
        let inner = std::str::from_utf8(inner).unwrap().strip_suffix(']').unwrap();
        let addr: std::net::Ipv6Addr = inner.parse().unwrap();
        assert_eq!(addr.to_string(), inner);
        return;
    }
    for label in name.split(|b| *b == b'.') {
        assert!((1..=MAX_LABEL).contains(&label.len()));
        let allowed = |b: &u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_');
        assert!(label.iter().all(allowed));
    }
}

fn pattern(text: &str) {
    let Ok(pattern) = HostPattern::parse(text) else { return };
    assert_eq!(HostPattern::parse(&pattern.to_string()).as_ref(), Ok(&pattern));
    match pattern {
        HostPattern::Exact(host) => assert_eq!(Host::parse(text.as_bytes()), Ok(host)),
        HostPattern::Wildcard(suffix) => {
            // The pattern takes hosts below it only: at the least, its own text is none.
            assert!(text.starts_with("*."));
            assert_eq!(Host::parse(&text.as_bytes()[2..]), Ok(suffix));
            assert!(Host::parse(text.as_bytes()).is_err());
        }
    }
}
