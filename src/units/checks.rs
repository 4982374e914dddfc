//! What a health check asks for and takes as good, as it is written.
//!
//! Invariants: as of all of [`super`]; each pattern describes what its reader takes, and nothing
//! else.

use super::{Wrong, wrong};

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
    let is_path = text.starts_with('/') && is_of(text, |b| b.is_ascii_graphic());
    let path = kept(text, is_path, "a path", "/healthz")?;
    let bytes = path.as_bytes();
    let is_escape = |at: usize| {
        let digits = bytes.get(at + 1..at + 3);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"/?-._~!$&'()*+,;=:@".contains(&b);
    let is_fit = |at: usize| is_plain(bytes[at]) || (bytes[at] == b'%' && is_escape(at));
    match (0..bytes.len()).find(|at| !is_fit(*at)).map(|at| bytes[at]) {
        None => Ok(path),
        Some(odd) => {
            let what =
                format!("{text:?} is nothing to ask for: {:?} stands there", char::from(odd));
            wrong(what, format!("write it as %{odd:02X}"))
        }
    }
}

/// Reads a status, or the first and the last of several.
pub fn statuses(text: &str) -> Result<String, Wrong> {
    let status = |text: &str| {
        let is_status = text.len() == 3 && is_of(text, |b| b.is_ascii_digit());
        text.parse::<u16>().ok().filter(|status| is_status && (100..600).contains(status))
    };
    match text.split_once('-').map(|(first, last)| (status(first), status(last))) {
        None if status(text).is_some() => Ok(text.into()),
        Some((Some(first), Some(last))) if first <= last => Ok(text.into()),
        Some((Some(first), Some(last))) => {
            let what = format!("the first status is above the last: {first}-{last}");
            wrong(what, format!("write {last}-{first}"))
        }
        _ => kept(text, false, "a status, or two with a hyphen", "200-399"),
    }
}

/// Reads a part of a body; empty is none.
pub fn excerpt(text: &str) -> Result<String, Wrong> {
    let is_one = is_of(text, |b| matches!(b, b' '..=b'~')) && text.trim() == text;
    kept(text, is_one, "a text of printable ASCII characters", "ok")
}

/// Reads the name that a gRPC server knows a part of itself by; empty is the whole.
pub fn grpc_name(text: &str) -> Result<String, Wrong> {
    let is_name = is_of(text, |b| b.is_ascii_alphanumeric() || b"._/-".contains(&b));
    kept(text, is_name, "a name", "shop.v1.Orders")
}

fn is_of(text: &str, is_fit: impl Fn(u8) -> bool) -> bool {
    text.len() <= MAX_CHECK && text.bytes().all(is_fit)
}

fn kept(text: &str, is_fit: bool, what: &str, example: &str) -> Result<String, Wrong> {
    if is_fit {
        return Ok(text.into());
    }
    let remedy = format!("write at most {MAX_CHECK} characters, as in {example}");
    wrong(format!("{text:?} is not {what}"), remedy)
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
        assert_eq!(
            told(statuses("200-100").unwrap_err()),
            "the first status is above the last: 200-100; write 100-200"
        );
        assert_eq!(
            told(path("/a#b").unwrap_err()),
            "\"/a#b\" is nothing to ask for: '#' stands there; write it as %23"
        );
    }
}
