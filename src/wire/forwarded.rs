//! Whose request it is, where those in between say whose they passed on.
//!
//! Invariants: what a sender says is believed only if the sender is; the first address from the end
//! that is nobody's who is believed is the client's; what cannot be read ends the search.

use std::net::{IpAddr, SocketAddr};

use super::{
    head::{Field, Fields},
    name::Name,
};

/// The address of the client behind a connection from `remote`.
pub fn client(
    head: &[u8],
    fields: &Fields,
    remote: IpAddr,
    is_believed: impl Fn(IpAddr) -> bool,
) -> IpAddr {
    let mut client = remote;
    if !is_believed(remote) {
        return client;
    }
    let lines: Vec<&Field> = fields.of_kind(Name::ForwardedFor).collect();
    for said in lines.iter().rev().flat_map(|line| line.value.of(head).rsplit(|b| *b == b',')) {
        let Some(address) = address(said.trim_ascii()) else { break };
        client = address;
        if !is_believed(address) {
            break;
        }
    }
    client
}

/// An address, with a port or without.
fn address(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?;
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let read = bare.parse::<IpAddr>().or_else(|_| text.parse().map(|with: SocketAddr| with.ip()));
    read.ok().map(|address| address.to_canonical())
}

/// The value of a header, if the head has exactly one line of it; its name in lower case.
pub fn only<'a>(head: &'a [u8], fields: &Fields, name: &str) -> Option<&'a [u8]> {
    let is_it = |field: &&Field| field.name.of(head).eq_ignore_ascii_case(name.as_bytes());
    let mut lines = fields.iter().filter(is_it);
    let line = lines.next()?;
    lines.next().is_none().then(|| line.value.of(head))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::head::parse_request;

    fn parsed(lines: &str) -> (Vec<u8>, Fields) {
        let head = format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n").into_bytes();
        let mut fields = Fields::default();
        parse_request(&head, &mut fields).unwrap();
        (head, fields)
    }

    fn found(remote: &str, lines: &str) -> String {
        let (head, fields) = parsed(lines);
        let is_believed = |ip: IpAddr| ip.to_string().starts_with("10.");
        client(&head, &fields, remote.parse().unwrap(), is_believed).to_string()
    }

    #[test]
    fn only_a_sender_that_is_believed_speaks_for_another() {
        let lines = "X-Forwarded-For: 192.0.2.1\r\n";
        assert_eq!(found("192.0.2.9", lines), "192.0.2.9");
        assert_eq!(found("10.0.0.1", lines), "192.0.2.1");
        assert_eq!(found("10.0.0.1", ""), "10.0.0.1");
    }

    #[test]
    fn the_last_that_nobody_is_believed_for_is_the_client() {
        for (lines, client) in [
            ("X-Forwarded-For: 192.0.2.1, 192.0.2.2\r\n", "192.0.2.2"),
            ("X-Forwarded-For: 192.0.2.1,192.0.2.2 , 10.9.9.9\r\n", "192.0.2.2"),
            ("X-Forwarded-For: 192.0.2.1\r\nx-forwarded-for: 10.0.0.2\r\n", "192.0.2.1"),
            ("X-Forwarded-For: 10.0.0.3, 10.0.0.2\r\n", "10.0.0.3"),
            ("X-Forwarded-For: 192.0.2.1, unknown\r\n", "10.0.0.1"),
            ("X-Forwarded-For: 192.0.2.1, _x, 10.0.0.2\r\n", "10.0.0.2"),
            ("X-Forwarded-For: 192.0.2.1,\r\n", "10.0.0.1"),
            ("X-Forwarded-For:\r\n", "10.0.0.1"),
            ("X-Forwarded-For: 192.0.2.1:1234\r\n", "192.0.2.1"),
            ("X-Forwarded-For: [2001:db8::1]:1234\r\n", "2001:db8::1"),
            ("X-Forwarded-For: [2001:db8::1]\r\n", "2001:db8::1"),
            ("X-Forwarded-For: 2001:db8::1\r\n", "2001:db8::1"),
            ("X-Forwarded-For: ::ffff:192.0.2.1\r\n", "192.0.2.1"),
        ] {
            assert_eq!(found("10.0.0.1", lines), client, "{lines}");
        }
    }

    #[test]
    fn one_line_has_a_value_and_two_have_none() {
        let (head, fields) = parsed("X-Key: a\r\nOther: b\r\nTwice: c\r\ntwice: c\r\n");
        assert_eq!(only(&head, &fields, "x-key"), Some(&b"a"[..]));
        assert_eq!(only(&head, &fields, "twice"), None);
        assert_eq!(only(&head, &fields, "x-none"), None);
    }
}
