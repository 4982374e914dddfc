//! Hostile bytes into fields of a log line: nothing breaks out of its field or its line.
//!
//! A quoted field is a JSON string in both formats, which readers of logfmt also take. Quotes,
//! backslashes and controls (C1 and DEL too: terminals obey them) are escaped; a byte that is not
//! UTF-8 becomes the text `\xNN`. Invariants: the output is UTF-8 without controls; a field that is
//! longer than its bound is cut there and ends in `...`; clean fields cost one pass and one copy.

/// What stands at the end of a field that was cut.
const CUT: &[u8] = b"...";

/// Bytes that cannot stand in a quoted field as they are, or that need a closer look (non-ASCII).
#[inline]
fn needs_escape(byte: u8) -> bool {
    !matches!(byte, 0x20..0x7f) || byte == b'"' || byte == b'\\'
}

/// Bytes that make a bare field ambiguous, so that it is quoted.
#[inline]
fn needs_quotes(byte: u8) -> bool {
    needs_escape(byte) || byte == b' ' || byte == b'='
}

// A fold without an early exit: the compiler makes vector code of it, and nearly every field is
// clean, so that an exit would seldom be taken.
#[inline]
fn any(bytes: &[u8], bad: impl Fn(u8) -> bool) -> bool {
    bytes.iter().fold(false, |found, byte| found | bad(*byte))
}

/// Appends a field in quotes, at most `max` bytes of it.
#[inline]
pub(super) fn quoted(out: &mut Vec<u8>, bytes: &[u8], max: usize) {
    out.push(b'"');
    let kept = &bytes[..bytes.len().min(max)];
    if any(kept, needs_escape) {
        escaped(out, kept)
    } else {
        out.extend_from_slice(kept)
    }
    if kept.len() < bytes.len() {
        out.extend_from_slice(CUT);
    }
    out.push(b'"');
}

/// Appends a field as it is, or in quotes where it needs them.
#[inline]
pub(super) fn bare(out: &mut Vec<u8>, bytes: &[u8], max: usize) {
    if bytes.len() > max || any(bytes, needs_quotes) {
        quoted(out, bytes, max);
    } else {
        out.extend_from_slice(bytes);
    }
}

#[cold]
fn escaped(out: &mut Vec<u8>, bytes: &[u8]) {
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '"' => out.extend_from_slice(b"\\\""),
                '\\' => out.extend_from_slice(b"\\\\"),
                '\n' => out.extend_from_slice(b"\\n"),
                '\r' => out.extend_from_slice(b"\\r"),
                '\t' => out.extend_from_slice(b"\\t"),
                c if is_unprintable(c) => {
                    let code = c as u32;
                    out.extend_from_slice(b"\\u");
                    hex(out, (code >> 8) as u8);
                    hex(out, code as u8);
                }
                c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        for byte in chunk.invalid() {
            out.extend_from_slice(b"\\\\x");
            hex(out, *byte);
        }
    }
}

/// Controls, and the characters that split lines or turn the direction of text; all below U+10000.
fn is_unprintable(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn hex(out: &mut Vec<u8>, byte: u8) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.push(DIGITS[usize::from(byte >> 4)]);
    out.push(DIGITS[usize::from(byte & 15)]);
}

/// Appends a number in decimal.
#[inline]
pub(super) fn number(out: &mut Vec<u8>, mut value: u64) {
    // Most of what a line tells: times in milliseconds.
    if value < 10 {
        return out.push(b'0' + value as u8);
    }
    // u64::MAX has 20 digits.
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn quoted_text(bytes: &[u8], max: usize) -> String {
        let mut out = Vec::new();
        quoted(&mut out, bytes, max);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn quotes_backslashes_and_line_ends_are_escaped() {
        assert_eq!(quoted_text(b"a\"b\\c\r\nd\te", 99), r#""a\"b\\c\r\nd\te""#);
    }

    #[test]
    fn terminal_controls_are_escaped() {
        assert_eq!(quoted_text("\x1b[2J\x7f\u{9b}\u{202e}".as_bytes(), 99), {
            r#""\u001b[2J\u007f\u009b\u202e""#
        });
    }

    #[test]
    fn bytes_that_are_not_text_are_shown_as_hex() {
        assert_eq!(quoted_text(b"a\xffb\xc3", 99), r#""a\\xffb\\xc3""#);
        assert_eq!(quoted_text("ä€".as_bytes(), 99), "\"ä€\"");
    }

    #[test]
    fn a_long_field_is_cut_and_marked() {
        assert_eq!(quoted_text(b"abcdef", 3), "\"abc...\"");
        assert_eq!(quoted_text(b"abc", 3), "\"abc\"");
    }

    #[test]
    fn a_bare_field_is_quoted_only_where_it_must_be() {
        for (bytes, text) in
            [("a.test", "a.test"), ("", ""), ("a b", "\"a b\""), ("a=b", "\"a=b\"")]
        {
            let mut out = Vec::new();
            bare(&mut out, bytes.as_bytes(), 99);
            assert_eq!(out, text.as_bytes());
        }
    }

    #[test]
    fn numbers_are_decimal() {
        for value in [0, 7, 10, 65535, u64::MAX] {
            let mut out = Vec::new();
            number(&mut out, value);
            assert_eq!(out, value.to_string().as_bytes());
        }
    }

    proptest! {
        #[test]
        fn every_field_is_one_json_string(bytes: Vec<u8>, max in 0usize..64) {
            let text = quoted_text(&bytes, max);
            prop_assert!(!text.chars().any(char::is_control));
            let read: String = serde_json::from_str(&text).unwrap();
            if let (Ok(original), true) = (std::str::from_utf8(&bytes), bytes.len() <= max) {
                prop_assert_eq!(read, original);
            }
        }
    }
}
