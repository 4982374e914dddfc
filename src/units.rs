//! Values as written into values as meant: durations, sizes, counts, switches, lists, networks.
//!
//! The settings file and the push API write them alike; the ranges of what both of them hold stand
//! here too. Invariants: pure; of the other parts only the reader of hosts is known; every reader
//! answers with a [`Wrong`] that says what is wrong and what a right value looks like; a bound is
//! part of the reading, so that no value beyond it goes on.

pub mod checks;
pub mod place;

use std::{fmt::Display, net::IpAddr, ops::RangeInclusive, time::Duration};

/// Why a value is refused, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub remedy: String,
}

/// A refusal.
pub fn wrong<T>(what: impl Into<String>, remedy: impl Into<String>) -> Result<T, Wrong> {
    Err(Wrong { what: what.into(), remedy: remedy.into() })
}

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// From a millisecond to a day: no time-out of 0, none that is for ever.
pub const TIME: RangeInclusive<Duration> = ms(1)..=ms(24 * 3_600_000);
/// For waits that may be none at all.
pub const TIME_OR_NONE: RangeInclusive<Duration> = ms(0)..=ms(24 * 3_600_000);
/// Between two checks of a dyno.
pub const CHECK_EVERY: RangeInclusive<Duration> = ms(100)..=ms(3_600_000);
/// For an answer to a check: whoever takes longer is not well, and holds a slot that others need.
pub const CHECK_TIME: RangeInclusive<Duration> = ms(1)..=ms(60_000);
/// Windows over which requests are counted.
pub const RATE_WINDOW: RangeInclusive<Duration> = ms(100)..=ms(3_600_000);
/// For promises: up to ten years, or none.
pub const TIME_OR_AGES: RangeInclusive<Duration> = ms(0)..=ms(10 * 365 * 24 * 3_600_000);
/// Parts of a head. The upper bound keeps offsets into a head within 32 bits and a buffer sane.
pub const PART: RangeInclusive<usize> = 64..=16 << 20;
/// Names of methods: from the seven letters of OPTIONS.
pub const METHOD: RangeInclusive<usize> = 7..=8 << 10;
/// Counts of headers: no more than the parser has room for.
pub const HEADERS: RangeInclusive<usize> = 1..=1000;
/// Bytes a second; 0 is no bound.
pub const RATE: RangeInclusive<usize> = 0..=1 << 30;
/// Counts whose 0 is no bound.
pub const COUNT_OR_NONE: RangeInclusive<u32> = 0..=1_000_000;
/// Counts of attempts, the first among them.
pub const ATTEMPTS: RangeInclusive<u32> = 1..=1000;
/// Ages of cookies: browsers keep none for longer than 400 days.
pub const COOKIE_AGE: RangeInclusive<Duration> = ms(0)..=ms(400 * 24 * 3_600_000);
/// Parts of a hundred.
pub const PERCENT: RangeInclusive<u32> = 0..=100;

/// Percent of the mean; 0 is no bound.
pub const BOUND: RangeInclusive<u32> = 0..=100_000;

/// The most entries of a list.
pub const MAX_LIST: usize = 256;

const DURATION_UNITS: [(&str, u64); 4] = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000)];
const SIZE_UNITS: [(&str, u64); 4] =
    [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("", 1)];

/// Reads `250ms`, `5s`, `2m`, `1h`.
pub fn duration(text: &str, range: &RangeInclusive<Duration>) -> Result<Duration, Wrong> {
    let remedy = || {
        let (from, to) = (show_duration(*range.start()), show_duration(*range.end()));
        format!("write a whole number and ms, s, m or h, from {from} to {to}")
    };
    match with_unit(text, &DURATION_UNITS).map(Duration::from_millis) {
        Some(value) if range.contains(&value) => Ok(value),
        Some(_) => wrong(format!("{text} is out of range"), remedy()),
        None => wrong(format!("{text:?} is not a duration"), remedy()),
    }
}

/// A duration as [`duration`] reads it.
pub fn show_duration(value: Duration) -> String {
    let millis = u64::try_from(value.as_millis()).unwrap_or(u64::MAX);
    let exact = |(_, unit): &&(&str, u64)| millis >= *unit && millis.is_multiple_of(*unit);
    match DURATION_UNITS.iter().rev().find(exact) {
        Some((name, unit)) => format!("{}{name}", millis / unit),
        None => format!("{millis}ms"),
    }
}

/// A duration in the one form in which programs are told it: whole seconds, else milliseconds.
pub fn in_seconds(value: Duration) -> String {
    match value.subsec_nanos() {
        0 => format!("{}s", value.as_secs()),
        _ => format!("{}ms", value.as_millis()),
    }
}

/// Reads `8KiB`, `1MiB`, or a number of bytes.
pub fn size(text: &str, range: &RangeInclusive<usize>) -> Result<usize, Wrong> {
    let remedy = || {
        let (from, to) = (range.start(), range.end());
        format!(
            "write a number of bytes, or a number and KiB, MiB or GiB, from {from} to {to} bytes"
        )
    };
    match with_unit(text, &SIZE_UNITS).and_then(|bytes| usize::try_from(bytes).ok()) {
        Some(value) if range.contains(&value) => Ok(value),
        Some(_) => wrong(format!("{text} is out of range"), remedy()),
        None => wrong(format!("{text:?} is not a size"), remedy()),
    }
}

/// A size as [`size`] reads it, in the largest unit of which it is a whole number.
pub fn show_size(bytes: u64) -> String {
    let exact = |(_, unit): &&(&str, u64)| bytes > 0 && bytes.is_multiple_of(*unit);
    match SIZE_UNITS[..2].iter().rev().find(exact) {
        Some((name, unit)) => format!("{}{name}", bytes / unit),
        None => bytes.to_string(),
    }
}

fn with_unit(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit.trim_start())?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

/// Reads a whole number.
pub fn count<N>(text: &str, range: &RangeInclusive<N>) -> Result<N, Wrong>
where
    N: PartialOrd + Display + TryFrom<u64>,
{
    let remedy = format!("write a whole number from {} to {}", range.start(), range.end());
    let Some(number) = with_unit(text, &[("", 1)]) else {
        return wrong(format!("{text:?} is not a whole number"), remedy);
    };
    match N::try_from(number) {
        Ok(value) if range.contains(&value) => Ok(value),
        _ => wrong(format!("{text} is out of range"), remedy),
    }
}

/// Shares of releases, as a pattern: `v1=90,v2=10`.
pub const RELEASES: &str = concat!(
    r"^([!-+\-.-<>-~]{1,63}=(1000|[0-9]{1,3})",
    r"(,[!-+\-.-<>-~]{1,63}=(1000|[0-9]{1,3})){0,7})?$",
);
/// The most releases that are told apart.
pub const MAX_RELEASES: usize = 8;
/// The largest share of a release.
pub const MAX_SHARE: u32 = 1000;
/// The most bytes of all of them.
pub const MAX_RELEASES_TEXT: usize = 100;

/// Reads what [`RELEASES`] describes, each release once and one of them with a share; answers it
/// sorted.
pub fn releases(text: &str) -> Result<String, Wrong> {
    let remedy = || {
        format!(
            "write at most {MAX_RELEASES} releases, each with a share from 0 to {MAX_SHARE}, as \
             in v1=90,v2=10"
        )
    };
    let share = |part: &str| {
        let (release, share) = part.split_once('=')?;
        let (release, share) = (release.trim(), share.trim());
        let is_plain = |b: u8| b.is_ascii_graphic() && !matches!(b, b',' | b'=');
        let is_release = (1..=63).contains(&release.len()) && release.bytes().all(is_plain);
        let share: u32 = share.parse().ok().filter(|share| *share <= MAX_SHARE)?;
        is_release.then(|| (release.to_owned(), share))
    };
    let parts = text.split(',').filter(|_| !text.trim().is_empty());
    let shares: Option<Vec<_>> = parts.map(share).collect();
    let is_short = text.len() <= MAX_RELEASES_TEXT;
    let Some(mut shares) = shares.filter(|of| of.len() <= MAX_RELEASES && is_short) else {
        return wrong(format!("{text:?} are no shares of releases"), remedy());
    };
    shares.sort();
    if shares.windows(2).any(|pair| pair[0].0 == pair[1].0) {
        return wrong("a release stands there twice", remedy());
    }
    if !shares.is_empty() && shares.iter().all(|(_, share)| *share == 0) {
        return wrong("no release has a share", "give one of them more than 0");
    }
    let shown: Vec<_> = shares.iter().map(|(of, share)| format!("{of}={share}")).collect();
    Ok(shown.join(","))
}

/// A name that dynos prove themselves by, as a pattern: a DNS name whose first label may stand for
/// the app's name.
pub const TLS_NAME: &str = concat!(
    r"^(\{app\}|[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)",
    r"(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$",
);
/// Its most bytes: with the longest name of an app it is still one that DNS can hold.
pub const MAX_TLS_NAME: usize = 100;

/// Reads what [`TLS_NAME`] describes.
pub fn tls_name(text: &str) -> Result<String, Wrong> {
    let is_label = |label: &str| {
        let bytes = label.as_bytes();
        (1..=63).contains(&bytes.len())
            && bytes.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-')
            && bytes[0] != b'-'
            && bytes[bytes.len() - 1] != b'-'
    };
    let mut labels = text.split('.');
    let first = labels.next().is_some_and(|label| label == "{app}" || is_label(label));
    if text.len() <= MAX_TLS_NAME && first && labels.all(is_label) {
        return Ok(text.to_owned());
    }
    wrong(
        format!("{text:?} is no name that a certificate could have"),
        format!(
            "write a DNS name of at most {MAX_TLS_NAME} characters; its first label may be {{app}}"
        ),
    )
}

/// Reads `true` or `false`.
pub fn boolean(text: &str) -> Result<bool, Wrong> {
    text.parse().or_else(|_| wrong(format!("{text:?} is neither"), "write true or false"))
}

/// Reads a list: entries between commas; an empty text is an empty list.
pub fn list<T: PartialEq>(
    text: &str,
    entry: impl Fn(&str) -> Result<T, Wrong>,
) -> Result<Vec<T>, Wrong> {
    let mut entries = Vec::new();
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let value = entry(part)?;
        if entries.contains(&value) {
            return wrong(format!("{part} stands there twice"), "write it once");
        }
        entries.push(value);
        if entries.len() > MAX_LIST {
            return wrong(
                format!("more than {MAX_LIST} entries"),
                format!("write at most {MAX_LIST}"),
            );
        }
    }
    Ok(entries)
}

/// Reads `10.0.0.0/8`, `fd00::/8`, or an address alone.
pub fn network(text: &str) -> Result<(IpAddr, u8), Wrong> {
    let (address, length) = text.split_once('/').map_or((text, None), |(a, l)| (a, Some(l)));
    let Ok(address) = address.parse::<IpAddr>() else {
        return wrong(
            format!("{text:?} is not a network"),
            "write address/length, as in 10.0.0.0/8",
        );
    };
    let bits = if address.is_ipv4() { 32 } else { 128 };
    let Some(length) = length.map_or(Some(bits), |l| l.parse().ok().filter(|l| *l <= bits)) else {
        return wrong(
            format!("{text} has no length from 0 to {bits}"),
            "write it behind the slash",
        );
    };
    let first = first_of_network(address, length);
    if first != address {
        return wrong(
            format!("{text} has bits behind its length"),
            format!("write {first}/{length}, or {address}/{bits} for that address alone"),
        );
    }
    Ok((address, length))
}

fn first_of_network(address: IpAddr, length: u8) -> IpAddr {
    // A shift by all bits, for length 0, leaves nothing.
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0);
            IpAddr::V4((u32::from(v4) & mask).into())
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0);
            IpAddr::V6((u128::from(v6) & mask).into())
        }
    }
}

/// Reads networks between commas, sorted, so that one set has one form.
pub fn networks(text: &str) -> Result<Vec<(IpAddr, u8)>, Wrong> {
    let mut networks = list(text, network)?;
    networks.sort_unstable();
    Ok(networks)
}

/// What [`header`] takes.
pub const HEADER: &str = "^[!#$%&'*+.^_`|~0-9A-Za-z-]{0,64}$";
/// The longest name of a header that is taken for a client's.
pub const MAX_HEADER: usize = 64;

/// Reads the name of a header (RFC 9110, section 5.1) in lower case; empty is none.
pub fn header(text: &str) -> Result<String, Wrong> {
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if text.len() <= MAX_HEADER && text.bytes().all(token) {
        return Ok(text.to_ascii_lowercase());
    }
    wrong(
        format!("{text:?} is not the name of a header"),
        format!("write at most {MAX_HEADER} letters, digits and hyphens, as in X-Api-Key"),
    )
}

/// What [`cookie_name`] takes.
pub const COOKIE_NAME: &str = "^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}$";
/// The longest name of a cookie that the router sets.
pub const MAX_COOKIE_NAME: usize = 64;

/// Reads the name of a cookie: a token (RFC 6265, section 4.1.1).
pub fn cookie_name(text: &str) -> Result<String, Wrong> {
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if (1..=MAX_COOKIE_NAME).contains(&text.len()) && text.bytes().all(token) {
        return Ok(text.to_owned());
    }
    wrong(
        format!("{text:?} is not the name of a cookie"),
        format!("write 1 to {MAX_COOKIE_NAME} letters, digits, hyphens and underscores"),
    )
}

/// What [`cookie_path`] takes.
pub const COOKIE_PATH: &str = "^/[!-:<-~]{0,99}$";
/// The longest path of a cookie that the router sets.
pub const MAX_COOKIE_PATH: usize = 100;

/// Reads the path of a cookie (RFC 6265, section 4.1.1).
pub fn cookie_path(text: &str) -> Result<String, Wrong> {
    let is_of_path = |b: u8| matches!(b, b'!'..=b'~') && b != b';';
    if text.starts_with('/') && text.len() <= MAX_COOKIE_PATH && text.bytes().all(is_of_path) {
        return Ok(text.to_owned());
    }
    wrong(
        format!("{text:?} is not the path of a cookie"),
        format!("write / and at most {} visible characters but ;", MAX_COOKIE_PATH - 1),
    )
}

/// A network as [`network`] reads it.
pub fn show_network((address, length): (IpAddr, u8)) -> String {
    format!("{address}/{length}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_of_releases_have_one_form() {
        assert_eq!(releases("v2=10, v-1 = 90"), Ok("v-1=90,v2=10".into()));
        assert_eq!(releases(" "), Ok(String::new()));
        let many = (0..9).map(|n| format!("v{n}=1")).collect::<Vec<_>>().join(",");
        for text in ["v1", "v1=", "=1", "v1=1001", "v1=1,", "v1=-1", "a b=1", "v1=1=2", &many] {
            assert!(releases(text).is_err(), "{text}");
        }
        assert_eq!(releases("v1=0").unwrap_err().what, "no release has a share");
        assert_eq!(releases("v1=1,v1=2").unwrap_err().what, "a release stands there twice");
    }

    #[test]
    fn a_count_is_digits_alone_and_never_wraps() {
        assert_eq!(count("10", &ATTEMPTS), Ok(10_u32));
        assert_eq!(count("1000", &HEADERS), Ok(1000_usize));
        for text in ["4294967297", "18446744073709551617", "0", "1001", "+5", "-1", "1.0", "", "5s"]
        {
            assert!(count::<u32>(text, &ATTEMPTS).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_shown_reads_back() {
        for ms in [1, 250, 1000, 1500, 60_000, 90_000, 3_600_000, 86_400_000] {
            let value = Duration::from_millis(ms);
            assert_eq!(duration(&show_duration(value), &TIME), Ok(value));
            assert_eq!(duration(&in_seconds(value), &TIME), Ok(value));
        }
        for (bytes, shown) in [
            (0, "0"),
            (1000, "1000"),
            (1024, "1KiB"),
            (8193, "8193"),
            (512 << 10, "512KiB"),
            (1 << 20, "1MiB"),
            (16 << 20, "16MiB"),
        ] {
            assert_eq!(show_size(bytes), shown);
            assert_eq!(size(shown, &(0..=1 << 30)), Ok(bytes as usize));
        }
        assert_eq!(in_seconds(Duration::from_secs(120)), "120s");
        assert_eq!(in_seconds(Duration::ZERO), "0s");
        assert_eq!(in_seconds(Duration::from_millis(1250)), "1250ms");
    }
}
