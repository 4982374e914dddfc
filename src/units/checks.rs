//! What a health check asks for and takes as good, as it is written.
//!
//! Invariants: as of all of [`super`]; each pattern describes what its reader takes, and nothing
//! else.

use super::{Wrong, place::escaped, wrong};

/// The most bytes of each of them.
pub const MAX_CHECK: usize = 100;
/// What [`path`] takes.
pub const PATH: &str = "^/([A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})*$";
/// What [`statuses`] takes, as long as the first is not above the last.
pub const STATUSES: &str = "^[1-5][0-9]{2}(-[1-5][0-9]{2})?$";
/// What [`excerpt`] takes.
pub const EXCERPT: &str = "^([!-~]([ -~]{0,98}[!-~])?)?$";
/// What [`grpc_name`] takes.
pub const GRPC_NAME: &str = "^[A-Za-z0-9._/-]{0,100}$";

/// Reads a path with its query: what a request may ask for (RFC 9112, section 3.2.1).
pub fn path(text: &str) -> Result<String, Wrong> {
    short(text)?;
    if !text.starts_with('/') {
        return wrong(format!("{text:?} does not begin with a slash"), "write it as in /healthz");
    }
    let is_escape = |at: usize| {
        let digits = text.as_bytes().get(at + 1..at + 3);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/?-._~!$&'()*+,;=:@".contains(c);
    let is_fit = |(at, c): &(usize, char)| is_plain(*c) || (*c == '%' && is_escape(*at));
    match text.char_indices().find(|place| !is_fit(place)) {
        None => Ok(text.into()),
        Some((_, odd)) => {
            let what = format!("{text:?} is nothing to ask for: {odd:?} stands there");
            wrong(what, format!("write it as {}", escaped(odd)))
        }
    }
}

/// Reads a status, or the first and the last of several.
pub fn statuses(text: &str) -> Result<String, Wrong> {
    let status = |text: &str| {
        let is_status = text.len() == 3 && text.bytes().all(|b| b.is_ascii_digit());
        text.parse::<u16>().ok().filter(|status| is_status && (100..600).contains(status))
    };
    match text.split_once('-').map(|(first, last)| (status(first), status(last))) {
        None if status(text).is_some() => Ok(text.into()),
        Some((Some(first), Some(last))) if first <= last => Ok(text.into()),
        Some((Some(first), Some(last))) => {
            let what = format!("the first status is above the last: {first}-{last}");
            wrong(what, format!("write {last}-{first}"))
        }
        _ => wrong(
            format!("{text:?} is neither a status nor the first and the last of several"),
            "write one from 100 to 599, or two with a hyphen, as in 200-399",
        ),
    }
}

/// Reads a part of a body; empty is none.
pub fn excerpt(text: &str) -> Result<String, Wrong> {
    if text.trim() != text {
        return wrong(format!("{text:?} has a space at its end"), "write it without");
    }
    of(text, |b| matches!(b, b' '..=b'~'), "printable ASCII characters")
}

/// Reads the name that a gRPC server knows a part of itself by; empty is the whole.
pub fn grpc_name(text: &str) -> Result<String, Wrong> {
    let is_fit = |b: u8| b.is_ascii_alphanumeric() || b"._/-".contains(&b);
    of(text, is_fit, "letters, digits, '.', '_', '/' and '-'")
}

/// Is it short enough?
pub(super) fn short(text: &str) -> Result<(), Wrong> {
    if text.len() <= MAX_CHECK {
        return Ok(());
    }
    wrong("its text is too long", format!("write at most {MAX_CHECK} characters"))
}

fn of(text: &str, is_fit: impl Fn(u8) -> bool, of_what: &str) -> Result<String, Wrong> {
    short(text)?;
    match text.chars().find(|c| !u8::try_from(*c).is_ok_and(&is_fit)) {
        None => Ok(text.into()),
        Some(odd) => wrong(format!("{odd:?} stands in {text:?}"), format!("write {of_what} alone")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_check_asks_for_is_read_or_refused() {
        type Reader = fn(&str) -> Result<String, Wrong>;
        for (read, good, bad) in [
            (
                path as Reader,
                &["/", "/healthz?x=1", "/a%20b", "/~!$&'()*+,;=:@-._?/"][..],
                &["", "healthz", "/a b", "/é", "/a#b", "/<", "/%2", "/%zz", "/a%"][..],
            ),
            (
                statuses,
                &["200", "200-399", "100-599", "200-200"],
                &["", "99", "600", "200-", "2e2", "+20", "399-200"],
            ),
            (excerpt, &["", "all is well", "{\"ok\":true}"], &[" x", "a\nb", "é"]),
            (grpc_name, &["", "shop.v1.Orders", "a/b"], &["a b", "é"]),
        ] {
            good.iter().for_each(|text| assert_eq!(read(text).as_deref(), Ok(*text)));
            bad.iter().for_each(|text| assert!(read(text).is_err(), "{text}"));
            assert!(read(&format!("/{}", "2".repeat(MAX_CHECK))).is_err());
        }
        let told = |wrong: Wrong| format!("{}; {}", wrong.what, wrong.remedy);
        for (read, text, said) in [
            (
                path as Reader,
                "healthz",
                "\"healthz\" does not begin with a slash; write it as in /healthz",
            ),
            (path, "/a b", "\"/a b\" is nothing to ask for: ' ' stands there; write it as %20"),
            (path, "/é", "\"/é\" is nothing to ask for: 'é' stands there; write it as %C3%A9"),
            (
                statuses,
                "2xx",
                "\"2xx\" is neither a status nor the first and the last of several; write one \
                 from 100 to 599, or two with a hyphen, as in 200-399",
            ),
            (statuses, "200-100", "the first status is above the last: 200-100; write 100-200"),
            (excerpt, "a\tb", "'\\t' stands in \"a\\tb\"; write printable ASCII characters alone"),
            (
                grpc_name,
                "a b",
                "' ' stands in \"a b\"; write letters, digits, '.', '_', '/' and '-' alone",
            ),
        ] {
            assert_eq!(told(read(text).unwrap_err()), said);
        }
    }
}
