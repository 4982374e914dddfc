//! What a health check asks for and takes as good, as it is written.
//!
//! Invariants: as of all of [`super`]; each pattern describes what its reader takes, and nothing
//! else.

use super::{Wrong, wrong};

/// The most bytes of each of them.
pub const MAX_CHECK: usize = 100;
/// What [`path`] takes.
pub const PATH: &str = "^/[!-~]{0,99}$";
/// What [`host`] takes.
pub const HOST: &str = r"^[A-Za-z0-9.:_\[\]-]{0,100}$";
/// What [`statuses`] takes.
pub const STATUSES: &str = "^[1-5][0-9]{2}(-[1-5][0-9]{2})?$";
/// What [`excerpt`] takes.
pub const EXCERPT: &str = "^([!-~]([ -~]{0,98}[!-~])?)?$";
/// What [`grpc_name`] takes.
pub const GRPC_NAME: &str = "^[A-Za-z0-9._/-]{0,100}$";

/// Reads a path with its query.
pub fn path(text: &str) -> Result<String, Wrong> {
    let is_path = text.starts_with('/') && is_of(text, |b| b.is_ascii_graphic());
    kept(text, is_path, "a path", "/healthz")
}

/// Reads a host with its port, if it has one; empty is none.
pub fn host(text: &str) -> Result<String, Wrong> {
    let is_host = is_of(text, |b| b.is_ascii_alphanumeric() || b".:_[]-".contains(&b));
    kept(text, is_host, "a host", "www.example.com")
}

/// Reads a status, or the first and the last of several.
pub fn statuses(text: &str) -> Result<String, Wrong> {
    let status = |text: &str| {
        let is_status = text.len() == 3 && is_of(text, |b| b.is_ascii_digit());
        text.parse::<u16>().ok().filter(|status| is_status && (100..600).contains(status))
    };
    match text.split_once('-').map(|(first, last)| (status(first), status(last))) {
        None if status(text).is_some() => Ok(text.into()),
        Some((Some(one), Some(other))) => Ok(format!("{}-{}", one.min(other), one.max(other))),
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
            (path as Reader, &["/", "/healthz?x=1"][..], &["", "healthz", "/a b", "/é"][..]),
            (host, &["", "a.test:80", "[::1]"], &["a/b", "a b", "é"]),
            (statuses, &["200", "200-399", "100-599"], &["", "99", "600", "200-", "2e2", "+20"]),
            (excerpt, &["", "all is well", "{\"ok\":true}"], &[" x", "a\nb", "é"]),
            (grpc_name, &["", "shop.v1.Orders", "a/b"], &["a b", "é"]),
        ] {
            good.iter().for_each(|text| assert_eq!(read(text).as_deref(), Ok(*text)));
            bad.iter().for_each(|text| assert!(read(text).is_err(), "{text}"));
            assert!(read(&format!("/{}", "2".repeat(MAX_CHECK))).is_err());
        }
        assert_eq!(statuses("399-200").as_deref(), Ok("200-399"));
    }
}
