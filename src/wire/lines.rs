//! Header lines that go on as they came: those that lie side by side are copied by one copy.
//!
//! Invariants: what is written is what [`line`] would write of each, in order; a line that came in
//! another form (white space around its value, or none) is written anew.

use std::ops::Range;

use super::{
    head::{Field, Span},
    rewrite::line,
};

/// Lines of a head on their way into the outgoing buffer; those that wait are written by
/// [`Lines::flush`].
#[derive(Debug)]
pub struct Lines<'a> {
    head: &'a [u8],
    /// What of the head waits to be copied.
    run: Range<usize>,
}

impl<'a> Lines<'a> {
    /// Those of `head`, of which none goes on yet.
    pub fn of(head: &'a [u8]) -> Lines<'a> {
        Lines { head, run: 0..0 }
    }

    /// Lets a line go on; answers where its value will be, behind what `out` holds.
    pub fn keep(&mut self, field: &Field, out: &mut Vec<u8>) -> Span {
        let (name, value) = (field.name.range(), field.value.range());
        let end = value.end + 2;
        let is_plain = self.head.get(name.end..value.start) == Some(b": ")
            && self.head.get(value.end..end) == Some(b"\r\n");
        if !is_plain {
            self.flush(out);
            return line(out, &self.head[name], &self.head[value]);
        }
        if self.run.end != name.start {
            self.flush(out);
            self.run = name.start..end;
        }
        self.run.end = end;
        Span::new(out.len() + value.start - self.run.start, value.len())
    }

    /// Writes what waits.
    pub fn flush(&mut self, out: &mut Vec<u8>) {
        let run = std::mem::take(&mut self.run);
        out.extend_from_slice(&self.head[run]);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::head::{Fields, Finder, parse_request};

    /// What is written of the lines that `is_kept` picks, and by [`line`] alone.
    fn both(head: &str, is_kept: impl Fn(usize) -> bool) -> (String, String) {
        let len = Finder::default().find(head.as_bytes()).unwrap().unwrap();
        let (head, mut fields) = (&head.as_bytes()[..len], Fields::default());
        parse_request(head, &mut fields).unwrap();
        let (mut lines, mut out, mut one_by_one) = (Lines::of(head), vec![b'>'], vec![b'>']);
        let mut spans = Vec::new();
        for (at, field) in fields.iter().enumerate() {
            if is_kept(at) {
                let span = lines.keep(field, &mut out);
                spans.push((span, field.value.of(head)));
                line(&mut one_by_one, field.name.of(head), field.value.of(head));
            }
        }
        lines.flush(&mut out);
        spans.iter().for_each(|(span, value)| assert_eq!(span.of(&out), *value));
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (text(out), text(one_by_one))
    }

    #[test]
    fn lines_of_every_form_come_out_in_one() {
        let head =
            "GET / HTTP/1.1\r\nHost: a.test\r\nA:b\r\nC:  d \r\nE:\r\nF: \r\nG: h\r\nI: j\r\n\r\n";
        let (out, one_by_one) = both(head, |_| true);
        assert_eq!(out, one_by_one);
        assert_eq!(out, ">Host: a.test\r\nA: b\r\nC: d\r\nE: \r\nF: \r\nG: h\r\nI: j\r\n");
    }

    const LINE: &str = "[A-Za-z-]{1,9}:[ \t]{0,2}[!-~]{0,9}[ \t]{0,2}\r\n";

    proptest! {
        #[test]
        fn whatever_is_left_out_the_rest_is_as_line_by_line(
            lines in proptest::collection::vec(LINE, 0..9),
            kept: u16,
        ) {
            let head = format!("GET / HTTP/1.1\r\n{}\r\n", lines.concat());
            let (out, one_by_one) = both(&head, |at| kept >> at & 1 == 1);
            prop_assert_eq!(out, one_by_one);
        }
    }
}
