//! The cookie that the router has with a client, among those that are between client and dyno
//! (RFC 6265): it is read from the requests and taken out of them, and set in answers.
//!
//! Invariants: pure; total on any bytes; other cookies go on as they were, in order.

use super::{
    head::{Fields, Span},
    name::Name,
    rewrite::number,
};

/// The values of the cookies of this name in a request, in order.
pub fn values<'a>(
    head: &'a [u8],
    fields: &'a Fields,
    name: &'a [u8],
) -> impl Iterator<Item = &'a [u8]> {
    fields.of_kind(Name::Cookie).flat_map(move |field| in_line(field.value.of(head), name))
}

/// The values of the cookies of this name in a `Cookie` line, in order.
pub fn in_line<'a>(line: &'a [u8], name: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    pairs(line).filter_map(move |pair| value(pair, name))
}

/// Writes a `Cookie` line without the cookies of this name; nothing, if there are no others.
pub fn write_without(head: &[u8], field: (Span, Span), name: &[u8], out: &mut Vec<u8>) {
    let (of_field, line) = (field.0.of(head), field.1.of(head));
    let mut others = pairs(line).filter(|pair| value(pair, name).is_none());
    let Some(first) = others.next() else { return };
    out.extend_from_slice(of_field);
    out.extend_from_slice(b": ");
    out.extend_from_slice(first);
    for pair in others {
        out.extend_from_slice(b"; ");
        out.extend_from_slice(pair);
    }
    out.extend_from_slice(b"\r\n");
}

/// The router's own cookie, in an answer.
#[derive(Debug, Clone, Copy)]
pub struct OwnCookie<'a> {
    /// Its name.
    pub name: &'a str,
    /// As what it is set, if it is.
    pub set: Option<SetCookie<'a>>,
}

/// What a cookie is set to.
#[derive(Debug, Clone, Copy)]
pub struct SetCookie<'a> {
    /// Its value.
    pub value: &'a [u8],
    /// The paths that it is for.
    pub path: &'a str,
    /// How long it lasts, in seconds; none: as long as the browser's session.
    pub max_age_s: Option<u64>,
    /// It is for HTTPS alone.
    pub secure: bool,
    /// It is hidden from scripts.
    pub http_only: bool,
    /// With which requests from other sites it goes along; none: nothing is said.
    pub same_site: Option<&'a str>,
}

impl OwnCookie<'_> {
    /// Does this, the value of a `Set-Cookie` line, set it?
    pub fn is_set_by(&self, line: &[u8]) -> bool {
        pairs(line).next().is_some_and(|pair| value(pair, self.name.as_bytes()).is_some())
    }

    /// Writes the line that sets it, if it is set.
    pub fn write(&self, out: &mut Vec<u8>) {
        let Some(set) = self.set else { return };
        out.extend_from_slice(b"Set-Cookie: ");
        out.extend_from_slice(self.name.as_bytes());
        out.push(b'=');
        out.extend_from_slice(set.value);
        out.extend_from_slice(b"; Path=");
        out.extend_from_slice(set.path.as_bytes());
        if let Some(max_age_s) = set.max_age_s {
            out.extend_from_slice(b"; Max-Age=");
            number(out, max_age_s);
        }
        if set.secure {
            out.extend_from_slice(b"; Secure");
        }
        if set.http_only {
            out.extend_from_slice(b"; HttpOnly");
        }
        if let Some(same_site) = set.same_site {
            out.extend_from_slice(b"; SameSite=");
            out.extend_from_slice(same_site.as_bytes());
        }
        out.extend_from_slice(b"\r\n");
    }
}

fn pairs(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|b| *b == b';').map(<[u8]>::trim_ascii).filter(|pair| !pair.is_empty())
}

fn value<'a>(pair: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let rest = pair.strip_prefix(name)?.trim_ascii_start().strip_prefix(b"=")?.trim_ascii_start();
    // Some clients quote what they were sent bare.
    let unquoted = rest.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\""));
    Some(unquoted.unwrap_or(rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_found_by_its_whole_name() {
        for (line, found) in [
            ("a=1", &["1"][..]),
            ("b=2; a=1; a=3", &["1", "3"]),
            ("b=2;a=1;c", &["1"]),
            (" a = 1 ; b=2", &["1"]),
            ("a=\"1\"", &["1"]),
            ("a=", &[""]),
            ("a=1=2", &["1=2"]),
            ("aa=1; xa=2; A=3; a", &[]),
            ("", &[]),
            (";;=;", &[]),
            ("b=\"a=1\"", &[]),
        ] {
            let all: Vec<_> = in_line(line.as_bytes(), b"a").collect();
            assert_eq!(all, found.iter().map(|v| v.as_bytes()).collect::<Vec<_>>(), "{line}");
        }
    }

    #[test]
    fn the_others_are_left_as_they_were() {
        for (line, left) in [
            ("a=1", ""),
            ("b=2; a=1; c=\"x\"; a=4", "cookie: b=2; c=\"x\"\r\n"),
            ("aa=1;b", "cookie: aa=1; b\r\n"),
            ("", ""),
        ] {
            let (head, mut out) = (format!("cookie{line}"), Vec::new());
            let field = (Span::new(0, 6), Span::new(6, line.len()));
            write_without(head.as_bytes(), field, b"a", &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), left, "{line}");
        }
    }

    #[test]
    fn a_set_cookie_line_sets_its_first_pair() {
        let own = OwnCookie { name: "a", set: None };
        for (line, is_own) in
            [("a=1; Path=/", true), (" a=", true), ("b=1; a=2", false), ("", false)]
        {
            assert_eq!(own.is_set_by(line.as_bytes()), is_own, "{line}");
        }
    }

    #[test]
    fn a_cookie_says_what_is_to_be_said_of_it() {
        let least = SetCookie {
            value: b"v",
            path: "/",
            max_age_s: None,
            secure: false,
            http_only: false,
            same_site: None,
        };
        let full = SetCookie {
            path: "/shop",
            max_age_s: Some(60),
            secure: true,
            http_only: true,
            same_site: Some("Lax"),
            ..least
        };
        for (cookie, line) in [
            (least, "Set-Cookie: a=v; Path=/\r\n"),
            (full, "Set-Cookie: a=v; Path=/shop; Max-Age=60; Secure; HttpOnly; SameSite=Lax\r\n"),
        ] {
            let mut out = Vec::new();
            OwnCookie { name: "a", set: Some(cookie) }.write(&mut out);
            assert_eq!(String::from_utf8(out).unwrap(), line);
        }
    }
}
