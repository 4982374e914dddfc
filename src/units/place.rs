//! Where something is, as it is written: a host with its port, and a URL that can be called.
//!
//! A host is one that a request may ask for, and is read by who reads those ([`Host`]). Invariants:
//! as of all of [`super`]; beyond that it is written plainly, in ASCII and without a dot at its
//! end, and begins with no hyphen, which is rather a mistake; each pattern describes what its
//! reader takes, and nothing else.

use super::{Wrong, checks::short, wrong};
use crate::route::{Host, HostError};

/// The longest URL of a webhook.
pub const MAX_URL: usize = 800;
/// The longest path of it, with its slash.
const MAX_URL_PATH: usize = 501;

/// A name and each of its labels, as a pattern.
macro_rules! name {
    () => {
        r"[A-Za-z0-9_][A-Za-z0-9_-]{0,62}(\.[A-Za-z0-9_-]{1,63})*"
    };
}

/// 16 bits of an IPv6 address, those with a colon, and its last 32 bits (RFC 3986, section 3.2.2).
macro_rules! h {
    () => {
        "[0-9A-Fa-f]{1,4}"
    };
}
macro_rules! hs {
    () => {
        concat!("(", h!(), ":)")
    };
}
macro_rules! end {
    () => {
        concat!("(", h!(), ":", h!(), "|", byte!(), r"(\.", byte!(), "){3})")
    };
}
macro_rules! byte {
    () => {
        "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
    };
}
#[rustfmt::skip]
macro_rules! v6 {
    () => {
        concat!(
            r"\[(", hs!(), "{6}", end!(),
            "|::", hs!(), "{5}", end!(),
            "|(", h!(), ")?::", hs!(), "{4}", end!(),
            "|(", hs!(), "{0,1}", h!(), ")?::", hs!(), "{3}", end!(),
            "|(", hs!(), "{0,2}", h!(), ")?::", hs!(), "{2}", end!(),
            "|(", hs!(), "{0,3}", h!(), ")?::", hs!(), end!(),
            "|(", hs!(), "{0,4}", h!(), ")?::", end!(),
            "|(", hs!(), "{0,5}", h!(), ")?::", h!(),
            "|(", hs!(), "{0,6}", h!(), r")?::)\]",
        )
    };
}

/// A port with its colon, as a pattern.
macro_rules! port {
    () => {
        concat!(
            ":([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]",
            "|6553[0-5])",
        )
    };
}

/// What [`host`] takes.
pub const HOST: &str = concat!("^((", name!(), "|", v6!(), ")(", port!(), ")?)?$");

/// What [`url`] takes. No name has more than 253 characters.
pub const URL: &str = concat!(
    "^(https?://(?![^:/]{254})(",
    name!(),
    "|",
    v6!(),
    ")(",
    port!(),
    ")?(/[!$-~]{0,500})?)?$",
);

/// Reads a host with its port, if it has one; empty is none.
pub fn host(text: &str) -> Result<String, Wrong> {
    short(text)?;
    if text.contains('/') {
        return wrong(format!("{text:?} is more than a host"), "write the host alone");
    }
    if !text.is_empty() {
        judge(text)?;
    }
    Ok(text.into())
}

/// Reads where a webhook is; empty is nowhere.
pub fn url(text: &str) -> Result<String, Wrong> {
    const REMEDY: &str = "write it as in https://platform.internal:8443/wake";
    if text.is_empty() {
        return Ok(String::new());
    }
    let Some(rest) = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://")) else {
        return wrong(format!("{text:?} begins with neither http:// nor https://"), REMEDY);
    };
    let (place, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    if place.contains('@') {
        return wrong(format!("{text:?} names a user"), "write it without one");
    }
    judge(place)?;
    if path.len() > MAX_URL_PATH {
        return wrong("its path is too long", format!("write at most {MAX_URL_PATH} characters"));
    }
    let is_fit = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '#');
    match path.chars().find(|c| !is_fit(*c)) {
        None => Ok(text.into()),
        Some('#') => wrong(format!("{text:?} has a fragment"), "write it without #"),
        Some(odd) => {
            wrong(format!("{odd:?} stands in the path"), format!("write it as {}", escaped(odd)))
        }
    }
}

/// A character as a path has it.
pub(super) fn escaped(odd: char) -> String {
    let mut bytes = [0; 4];
    odd.encode_utf8(&mut bytes).bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// Is that a host with its port, if it has one?
fn judge(text: &str) -> Result<(), Wrong> {
    const REMEDY: &str = "write one as in www.example.com, 10.0.0.1:8080 or [fd00::1]";
    let (host, port) = match Host::parse_with_port(text.as_bytes()) {
        Ok((_, Some(0))) | Err(HostError::Port) => {
            return wrong(format!("the port of {text:?} is no number from 1 to 65535"), REMEDY);
        }
        Err(error) => return wrong(format!("{text:?}: {error}"), REMEDY),
        Ok(read) => read,
    };
    if text.starts_with('-') {
        return wrong(format!("{text:?} begins with a hyphen"), REMEDY);
    }
    let port = port.map_or_else(String::new, |port| format!(":{port}"));
    let is_plain = match text.rsplit_once(']') {
        Some((_, behind)) => behind == port,
        None => text.eq_ignore_ascii_case(&format!("{host}{port}")),
    };
    if !is_plain {
        return wrong(format!("{text:?} is another spelling"), format!("write {host}{port}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::{prelude::*, string::string_regex};

    use super::*;
    use crate::units::checks::MAX_CHECK;

    #[test]
    fn a_host_is_one_that_a_request_may_ask_for() {
        let long = format!("{}.test", "a".repeat(63));
        for text in
            ["", "a.test", "A_b.test:65535", "10.0.0.1:80", "[::1]", "[1::2:10.0.0.1]:80", &long]
        {
            assert_eq!(host(text), Ok(text.into()));
        }
        let label = format!("{}.test", "a".repeat(64));
        for (text, what, remedy) in [
            ("a..b", "\"a..b\": not a host: letters,", "write one as in www.example.com"),
            (".a", "not a host", ""),
            ("http://a.test", "is more than a host", "write the host alone"),
            ("a b", "not a host", ""),
            ("[::g]", "not a host", ""),
            ("[:::]", "not a host", ""),
            ("::1", "the port of \"::1\"", "write one as in"),
            ("*.a.test", "a wildcard is", ""),
            (&label, "the host is too long: at most 253 bytes, 63 a label", ""),
            ("-", "\"-\" begins with a hyphen", ""),
            ("a:70000", "the port of \"a:70000\" is no number from 1 to 65535", ""),
            ("a:0", "the port of", ""),
            ("a:x", "the port of", ""),
            (":80", "the host is empty", ""),
            ("a:080", "\"a:080\" is another spelling", "write a:80"),
            ("a:", "is another spelling", "write a"),
            ("[::1]:", "is another spelling", "write [::1]"),
            ("a.test.", "is another spelling", "write a.test"),
            ("bücher.test", "is another spelling", "write xn--bcher-kva.test"),
        ] {
            let told = host(text).unwrap_err();
            assert!(
                told.what.contains(what) && told.remedy.starts_with(remedy),
                "{text}: {told:?}"
            );
        }
    }

    #[test]
    fn a_url_is_one_that_can_be_called() {
        for text in ["", "http://a_b", "https://a.test:8443/wake?x=1", "http://[::1]:80/"] {
            assert_eq!(url(text), Ok(text.into()));
        }
        let long = format!("http://a/{}", "x".repeat(MAX_URL_PATH));
        for (text, what, remedy) in [
            ("a.test/wake", "begins with neither http:// nor https://", "write it as in https://"),
            ("http://", "the host is empty", "write one as in"),
            ("http://a..b/", "\"a..b\": not a host", ""),
            ("http://-a/", "begins with a hyphen", ""),
            ("http://a:70000/", "no number from 1 to 65535", ""),
            ("http://[::::]/", "\"[::::]\": not a host", ""),
            ("http://u:p@a/", "names a user", "write it without one"),
            ("http://a/#top", "has a fragment", ""),
            ("http://a/a b", "' ' stands in the path", "write it as %20"),
            ("http://a/é", "'é' stands in the path", "write it as %C3%A9"),
            (&long, "its path is too long", "write at most 501"),
        ] {
            let told = url(text).unwrap_err();
            assert!(
                told.what.contains(what) && told.remedy.starts_with(remedy),
                "{text}: {told:?}"
            );
        }
    }

    /// Texts of a pattern, which the maker of texts knows without what it looks for before and
    /// behind them.
    fn of(pattern: &str) -> impl Strategy<Value = String> {
        let bare = pattern.trim_start_matches('^').trim_end_matches('$');
        string_regex(&bare.replace("(?![^:/]{254})", "")).unwrap()
    }

    proptest! {
        #[test]
        fn what_the_patterns_describe_is_read(place in of(HOST), address in of(URL)) {
            if place.len() <= MAX_CHECK {
                prop_assert_eq!(host(&place), Ok(place));
            }
            if address.split('/').nth(2).is_none_or(|place| place.len() <= 253) {
                prop_assert_eq!(url(&address), Ok(address));
            }
        }
    }
}
