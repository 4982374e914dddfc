//! A point in the table's past, as callers write it: a revision, or a time.
//!
//! A time is RFC 3339 (`2026-11-23T03:19:09Z`, with a fraction and an offset if need be) or
//! milliseconds since the Unix epoch. Whole numbers are both revisions and milliseconds: those from
//! [`FIRST_MS`] on are times. Invariants: nothing is guessed, a date that no calendar has is
//! refused; times before 1970 are refused.

use crate::control::store::At;

/// The first whole number that is a time, not a revision: 2001-09-09T01:46:40Z. At ten thousand
/// revisions a second a table gets there in three years, and then needs no times by number.
const FIRST_MS: u64 = 1_000_000_000_000;

/// How a point in the past is written.
pub(super) const FORMS: &str = "a revision, an RFC 3339 time (2026-11-23T03:19:09Z), or \
                                milliseconds since the Unix epoch";

/// Reads a revision or a time.
pub(super) fn parse(text: &str) -> Option<At> {
    if text.bytes().all(|b| b.is_ascii_digit()) {
        return text.parse().ok().map(of_number);
    }
    rfc_3339(text.as_bytes()).map(At::Time)
}

/// The revision or the time that a whole number is.
pub(super) fn of_number(number: u64) -> At {
    if number < FIRST_MS { At::Revision(number) } else { At::Time(number) }
}

fn rfc_3339(text: &[u8]) -> Option<u64> {
    let (date_time, rest) = text.split_at_checked(19)?;
    let form = b"dddd-dd-ddtdd:dd:dd";
    let fits = |(byte, form): (&u8, &u8)| match form {
        b'd' => byte.is_ascii_digit(),
        b't' => matches!(byte, b'T' | b't' | b' '),
        other => byte == other,
    };
    if !date_time.iter().zip(form).all(fits) {
        return None;
    }
    let (year, month, day) = (number(&text[..4]), number(&text[5..7]), number(&text[8..10]));
    let clock = [number(&text[11..13]), number(&text[14..16]), number(&text[17..19])];
    let [hour, minute, second] = clock;
    if !(1..=12).contains(&month) || !(1..=days_of(year, month)).contains(&day) {
        return None;
    }
    // 60 is a leap second: the one before it is meant, as clocks of Unix count.
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let (millis, zone) = fraction(rest)?;
    let seconds =
        days_since_1970(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second.min(59)
            - offset(zone)?;
    u64::try_from(seconds * 1000 + millis).ok()
}

fn number(digits: &[u8]) -> i64 {
    digits.iter().fold(0, |number, digit| number * 10 + i64::from(digit - b'0'))
}

/// Milliseconds, and what stands behind them.
fn fraction(rest: &[u8]) -> Option<(i64, &[u8])> {
    let Some(digits) = rest.strip_prefix(b".") else { return Some((0, rest)) };
    let length = digits.iter().take_while(|b| b.is_ascii_digit()).count();
    if !(1..=9).contains(&length) {
        return None;
    }
    let millis = (0..3).fold(0, |ms, i| {
        ms * 10 + digits[..length].get(i).map_or(0, |digit| i64::from(digit - b'0'))
    });
    Some((millis, &digits[length..]))
}

/// Seconds east of Greenwich. A plus that nobody escaped comes as a blank out of a query.
fn offset(zone: &[u8]) -> Option<i64> {
    match zone {
        [b'Z' | b'z'] => Some(0),
        [sign @ (b'+' | b'-' | b' '), digits @ ..] => {
            let [h1, h2, b':', m1, m2] = digits else { return None };
            if ![h1, h2, m1, m2].iter().all(|b| b.is_ascii_digit()) {
                return None;
            }
            let (hours, minutes) = (number(&[*h1, *h2]), number(&[*m1, *m2]));
            let seconds = hours * 3600 + minutes * 60;
            let within = hours <= 23 && minutes <= 59;
            within.then_some(if *sign == b'-' { -seconds } else { seconds })
        }
        _ => None,
    }
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_of(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let before = year - 1;
    let leap_days = before / 4 - before / 100 + before / 400;
    let months: i64 = (1..month).map(|month| days_of(year, month)).sum();
    // The days from the first of January of year 1 up to that of 1970.
    before * 365 + leap_days + months + day - 1 - 719_162
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_as_milliseconds() {
        for (text, ms) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2001-09-09T01:46:40Z", FIRST_MS),
            ("2000-02-29T23:59:59.999Z", 951_868_799_999),
            ("2026-11-23t03:19:09.5z", 1_795_403_949_500),
            ("2026-11-23T04:19:09.500999+01:00", 1_795_403_949_500),
            ("2026-11-23 04:19:09.5 01:00", 1_795_403_949_500),
            ("2026-11-22T21:49:09.5-05:30", 1_795_403_949_500),
            ("2016-12-31T23:59:60Z", 1_483_228_799_000),
        ] {
            assert_eq!(parse(text), Some(At::Time(ms)), "{text}");
        }
    }

    #[test]
    fn a_number_is_a_revision_up_to_where_times_begin() {
        assert_eq!(parse("0"), Some(At::Revision(0)));
        assert_eq!(parse("999999999999"), Some(At::Revision(FIRST_MS - 1)));
        assert_eq!(parse("1000000000000"), Some(At::Time(FIRST_MS)));
    }

    #[test]
    fn what_is_neither_is_refused() {
        for text in [
            "",
            "-1",
            "+1",
            "1.5",
            "now",
            "99999999999999999999999",
            "2026-11-23",
            "2026-11-23T03:19:09",
            "2026-13-01T00:00:00Z",
            "2026-02-29T00:00:00Z",
            "2026-11-31T00:00:00Z",
            "2026-11-00T00:00:00Z",
            "2026-11-23T24:00:00Z",
            "2026-11-23T03:60:00Z",
            "2026-11-23T03:19:61Z",
            "2026-11-23T03:19:09.Z",
            "2026-11-23T03:19:09Zx",
            "2026-11-23T03:19:09+1:00",
            "2026-11-23T03:19:09+24:00",
            "1969-12-31T23:59:59Z",
            "2026-11-23T03:19:09é",
            "2026é11-23T03:19:09Z",
        ] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }
}
