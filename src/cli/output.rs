//! What commands print: aligned tables for people, JSON for machines.
//!
//! Invariants: every text ends with a newline; a cell holds no control character, so that what was
//! pushed cannot drive the terminal; a reader that goes away (`| head`) is no error.

use std::io::{self, Write};

use serde::Serialize;

use crate::api::Receipt;

/// Blanks between two columns.
const GAP: usize = 2;

/// Columns with a name each, as wide as what they hold; the last is not padded.
pub(super) fn table<const N: usize>(names: [&str; N], rows: &[[String; N]]) -> String {
    let names = names.map(String::from);
    let rows: Vec<_> = rows.iter().map(|row| row.each_ref().map(|cell| printable(cell))).collect();
    let all = || std::iter::once(&names).chain(&rows);
    let width = |column: usize| all().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; N] = std::array::from_fn(width);
    let mut text = String::new();
    for row in all() {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(widths) {
            line.push_str(cell);
            line.push_str(&" ".repeat(width - cell.chars().count() + GAP));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Milliseconds as people read them: three digits, and a unit.
pub(super) fn millis(ms: f64) -> String {
    let (number, unit) = match ms {
        ..1.0 => (ms * 1000.0, "us"),
        ..1000.0 => (ms, "ms"),
        _ => (ms / 1000.0, "s"),
    };
    let digits = if number >= 99.95 || unit == "us" { 0 } else { 1 };
    format!("{number:.digits$}{unit}")
}

/// JSON, indented.
pub(super) fn json(value: &impl Serialize) -> String {
    // What is printed are the push API's own types, which JSON can always express.
    let mut text = serde_json::to_string_pretty(value).expect("wire types are JSON");
    text.push('\n');
    text
}

/// What a write did: the receipt as JSON, or a sentence.
pub(super) fn receipt(as_json: bool, receipt: &Receipt, done: &str, already: &str) -> String {
    match (as_json, receipt.changed) {
        (true, _) => json(receipt),
        (false, true) => format!("{} (revision {})\n", printable(done), receipt.revision),
        (false, false) => format!("{}; nothing changed\n", printable(already)),
    }
}

/// The text without what could drive a terminal, or turn the order of what it shows around.
pub(super) fn printable(text: &str) -> String {
    let misleads = |c: char| {
        let turns = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}');
        c.is_control() || turns || matches!(c, '\u{2028}' | '\u{2029}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|c| if misleads(c) { '\u{fffd}' } else { c }).collect()
}

/// A time as RFC 3339 writes it, to the second.
pub(super) fn time(unix_ms: u64) -> String {
    let seconds = unix_ms / 1000;
    let (days, clock) = (seconds / 86_400, seconds % 86_400);
    // Years begin in March here, so that a leap day is the last of its year and each month begins
    // as many days behind the first as a line through all of them says; 719468 days lead from there
    // to 1970, and 400 years have 146097.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = era * 400 + year + u64::from(month <= 2);
    let (hour, minute, second) = (clock / 3600, clock / 60 % 60, clock % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// Prints a piece of something long on standard output.
pub(super) fn print_piece(piece: &[u8]) -> io::Result<()> {
    io::stdout().lock().write_all(piece)
}

/// Prints on standard output.
pub(super) fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        done => done,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_lines_end_without_blanks() {
        let rows = [["blog".into(), "2".into()], ["a-longer-name".into(), "".into()]];
        assert_eq!(
            table(["NAME", "DYNOS"], &rows),
            "NAME           DYNOS\nblog           2\na-longer-name\n"
        );
    }

    #[test]
    fn a_time_is_a_date_of_the_calendar() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399_999, "2000-02-28T23:59:59Z"),
            (951_782_400_000, "2000-02-29T00:00:00Z"),
            (951_868_800_000, "2000-03-01T00:00:00Z"),
            (1_735_689_599_000, "2024-12-31T23:59:59Z"),
            (1_795_403_949_500, "2026-11-23T03:19:09Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(time(ms), text);
        }
    }

    #[test]
    fn a_time_has_the_unit_that_suits_it() {
        for (ms, text) in [
            (0.0, "0us"),
            (0.024, "24us"),
            (1.0, "1.0ms"),
            (12.34, "12.3ms"),
            (999.9, "1000ms"),
            (30_500.0, "30.5s"),
            (600_000.0, "600s"),
        ] {
            assert_eq!(millis(ms), text);
        }
    }

    #[test]
    fn a_cell_cannot_drive_the_terminal() {
        let text = table(["A"], &[["\x1b[2J\n".into()]]);
        assert_eq!(text, "A\n\u{fffd}[2J\u{fffd}\n");
        assert_eq!(printable("a\u{202e}b\u{2028}é"), "a\u{fffd}b\u{fffd}é");
    }

    #[test]
    fn a_receipt_says_what_was_done_or_that_nothing_changed() {
        let of = |changed| Receipt {
            revision: 7,
            changed,
            digest: "0f".into(),
            counts: None,
            fleet: None,
        };
        let made = |changed| receipt(false, &of(changed), "done", "was so");
        assert_eq!(made(true), "done (revision 7)\n");
        assert_eq!(made(false), "was so; nothing changed\n");
        let text = receipt(true, &of(true), "", "");
        let fields = "\n  \"revision\": 7,\n  \"changed\": true,\n  \"digest\": \"0f\"\n";
        assert_eq!(text, format!("{{{fields}}}\n"));
    }
}
