//! The key of a request: what keeps it with one dyno, or with one release.
//!
//! Invariants: the same request has the same key in every router; one without the header or cookie
//! that is its app's key has none; nothing is kept of what the key is made of.

use std::{net::IpAddr, sync::Arc};

use crate::{balance::ring::hash, route::BalanceKey};

/// What of a request is its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyOf {
    /// Which part of it.
    pub key: BalanceKey,
    /// The name of the header or cookie, in lower case.
    pub name: Arc<str>,
}

/// A request, as far as a key may be made of it.
#[derive(Debug, Clone, Copy)]
pub struct Keyed<'a, H> {
    /// The address of the client, if it is known.
    pub client: Option<IpAddr>,
    /// The path without its query.
    pub path: &'a [u8],
    /// Its headers, each with its name.
    pub headers: H,
}

impl KeyOf {
    /// The key of a request, if it has one.
    pub fn of<'a>(
        &self,
        request: Keyed<'_, impl Iterator<Item = (&'a [u8], &'a [u8])>>,
    ) -> Option<u64> {
        let is_named = |name: &[u8]| name.eq_ignore_ascii_case(self.name.as_bytes());
        let mut headers = request.headers;
        match self.key {
            BalanceKey::Address => request.client.map(address),
            BalanceKey::Path => Some(hash(request.path)),
            BalanceKey::Header => {
                headers.find(|(name, _)| is_named(name)).map(|(_, value)| hash(value))
            }
            BalanceKey::Cookie => headers
                .filter(|(name, _)| name.eq_ignore_ascii_case(b"cookie"))
                .flat_map(|(_, value)| value.split(|b| *b == b';'))
                .filter_map(|pair| pair.split_at_checked(pair.iter().position(|b| *b == b'=')?))
                .find(|(name, _)| is_named(name.trim_ascii()))
                .map(|(_, value)| hash(value[1..].trim_ascii())),
        }
    }
}

/// The hash of a client's address; of IPv6 by what one customer has, its first 64 bits.
fn address(address: IpAddr) -> u64 {
    match address.to_canonical() {
        IpAddr::V4(address) => hash(&address.octets()),
        IpAddr::V6(address) => hash(&address.octets()[..8]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(key: BalanceKey, name: &str, headers: &[(&str, &str)]) -> Option<u64> {
        let headers = headers.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        let client = Some("10.0.0.1".parse().unwrap());
        KeyOf { key, name: name.into() }.of(Keyed { client, path: b"/a", headers })
    }

    #[test]
    fn a_cookie_is_found_among_others() {
        let of = |value: &str| key(BalanceKey::Cookie, "sid", &[("Cookie", value)]);
        assert_eq!(of("sid=7"), Some(hash(b"7")));
        assert_eq!(of("a=1; SID = 7 ;b=2"), Some(hash(b"7")));
        assert_eq!(of("xsid=7; sidx=7; sid"), None);
        let two = [("cookie", "a=1"), ("COOKIE", "sid=8=9")];
        assert_eq!(key(BalanceKey::Cookie, "sid", &two), Some(hash(b"8=9")));
    }

    #[test]
    fn a_request_without_its_key_has_none() {
        assert_eq!(key(BalanceKey::Header, "x-user", &[("x-users", "1")]), None);
        assert_eq!(key(BalanceKey::Header, "x-user", &[("X-User", "1")]), Some(hash(b"1")));
        assert_eq!(key(BalanceKey::Path, "", &[]), Some(hash(b"/a")));
        let nobody = Keyed { client: None, path: b"/", headers: std::iter::empty() };
        assert_eq!(KeyOf { key: BalanceKey::Address, name: "".into() }.of(nobody), None);
    }

    #[test]
    fn the_addresses_of_one_customer_are_one() {
        let of = |text: &str| address(text.parse().unwrap());
        assert_eq!(of("fd00::1"), of("fd00::2"));
        assert_eq!(of("::ffff:10.0.0.1"), of("10.0.0.1"));
        assert_ne!(of("10.0.0.1"), of("10.0.0.2"));
    }
}
