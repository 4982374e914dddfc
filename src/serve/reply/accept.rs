//! What the client would like to read: the Accept headers (RFC 9110, sections 12.4.2 and 12.5.1).
//!
//! Of the ranges that take a form the most specific says its weight; the form with the highest
//! weight is written, among equals the one whose range is listed first. A weight of 0 excludes.
//! Any type that is `json` or ends with `+json` asks for JSON, and XHTML for a page: their readers
//! would rather have those than text.
//! Invariants: an answer always has a form: where no range takes one, the first that none excludes;
//! what breaks the grammar says nothing, and nothing makes this panic.

use std::cmp::Reverse;

use crate::wire::{connection::is_tchar, head::Fields, name::Name};

/// What the client would like to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// Plain text: for clients that say nothing, or anything.
    #[default]
    Text,
    /// A page.
    Html,
    /// JSON.
    Json,
}

/// Every form, the first before the others where the client likes them all the same.
const FORMATS: [Format; 3] = [Format::Text, Format::Html, Format::Json];

/// A weight in thousandths: that of a range without one.
const FULL: u16 = 1000;

/// How closely a range takes a form; the greater is the more specific.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fit {
    /// `*/*`
    Any,
    /// `text/*`
    Type,
    /// `text/html;level=1`: named, though with a parameter that what we write does not have.
    Near,
    /// `text/html`
    Exact,
}

/// What the ranges that were read so far say of one form.
#[derive(Debug, Clone, Copy)]
struct Ruling {
    fit: Fit,
    weight: u16,
    /// Where in the list the range stands.
    at: usize,
}

impl Format {
    /// Reads the Accept headers of a head.
    pub fn accepted(head: &[u8], fields: &Fields) -> Format {
        let mut rulings = [None::<Ruling>; FORMATS.len()];
        let lines = fields.of_kind(Name::Accept).map(|field| field.value.of(head));
        for (at, item) in lines.flat_map(|line| Parts { rest: Some(line), mark: b',' }).enumerate()
        {
            let Some(range) = Range::read(item) else { continue };
            for (format, ruling) in FORMATS.iter().zip(&mut rulings) {
                let Some(fit) = range.fit(*format) else { continue };
                let new = Ruling { fit, weight: range.weight, at };
                // Of two that are as specific, the kinder and then the first.
                if ruling.is_none_or(|old| (old.fit, old.weight) < (new.fit, new.weight)) {
                    *ruling = Some(new);
                }
            }
        }
        choose(&rulings)
    }
}

fn choose(rulings: &[Option<Ruling>; FORMATS.len()]) -> Format {
    let liked = FORMATS.iter().zip(rulings).filter_map(|(format, ruling)| {
        let ruling = ruling.filter(|ruling| ruling.weight > 0)?;
        Some((format, (Reverse(ruling.weight), ruling.at)))
    });
    // The first of the least: the order of the forms decides what the list leaves open.
    if let Some((format, _)) = liked.min_by_key(|(_, rank)| *rank) {
        return *format;
    }
    // Nothing will do. An answer that was not asked for says more than none (RFC 9110, 12.4.1).
    let unmentioned = FORMATS.iter().zip(rulings).find(|(_, ruling)| ruling.is_none());
    unmentioned.map_or(Format::Text, |(format, _)| *format)
}

/// One media range with its weight.
struct Range<'a> {
    kind: &'a [u8],
    subtype: &'a [u8],
    /// It has parameters that what we write does not have.
    narrowed: bool,
    weight: u16,
}

impl<'a> Range<'a> {
    /// Reads an item of the list; nothing if it breaks the grammar.
    fn read(item: &'a [u8]) -> Option<Range<'a>> {
        let mut parts = Parts { rest: Some(item), mark: b';' }.map(trim);
        let name = parts.next()?;
        let slash = memchr::memchr(b'/', name)?;
        let (kind, subtype) = (&name[..slash], &name[slash + 1..]);
        if !is_token(kind) || !is_token(subtype) || (kind == b"*" && subtype != b"*") {
            return None;
        }
        let mut range = Range { kind, subtype, narrowed: false, weight: FULL };
        for parameter in parts.filter(|parameter| !parameter.is_empty()) {
            let equals = memchr::memchr(b'=', parameter)?;
            let (name, value) = (&parameter[..equals], &parameter[equals + 1..]);
            if name.eq_ignore_ascii_case(b"q") {
                range.weight = weight(value)?;
                // The weight comes last: what follows it says nothing of the type.
                break;
            }
            let bare = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\""));
            let is_ours = name.eq_ignore_ascii_case(b"charset")
                && bare.unwrap_or(value).eq_ignore_ascii_case(b"utf-8");
            range.narrowed |= !is_ours;
        }
        Some(range)
    }

    /// How closely this range takes a form; nothing if it does not.
    fn fit(&self, format: Format) -> Option<Fit> {
        let kind: &[u8] = if format == Format::Json { b"application" } else { b"text" };
        if self.kind == b"*" {
            return Some(Fit::Any);
        }
        if self.subtype == b"*" {
            return self.kind.eq_ignore_ascii_case(kind).then_some(Fit::Type);
        }
        let is = |kind: &[u8], subtype: &[u8]| {
            self.kind.eq_ignore_ascii_case(kind) && self.subtype.eq_ignore_ascii_case(subtype)
        };
        let named = match format {
            Format::Text => is(kind, b"plain"),
            Format::Html => is(kind, b"html") || is(b"application", b"xhtml+xml"),
            Format::Json => {
                self.subtype.eq_ignore_ascii_case(b"json") || ends_with(self.subtype, b"+json")
            }
        };
        named.then_some(if self.narrowed { Fit::Near } else { Fit::Exact })
    }
}

/// A weight in thousandths: 0 to 1 with at most three digits behind the point.
fn weight(text: &[u8]) -> Option<u16> {
    let (whole, rest) = text.split_first()?;
    let digits = match rest {
        [] => rest,
        [b'.', digits @ ..] if digits.len() <= 3 => digits,
        _ => return None,
    };
    if !matches!(whole, b'0' | b'1') || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let thousandth = |at| digits.get(at).map_or(0, |digit| u16::from(digit - b'0'));
    let sum = thousandth(0) * 100 + thousandth(1) * 10 + thousandth(2);
    let weight = if *whole == b'1' { FULL + sum } else { sum };
    (weight <= FULL).then_some(weight)
}

fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|b| is_tchar(*b))
}

fn ends_with(text: &[u8], end: &[u8]) -> bool {
    let from = text.len().checked_sub(end.len());
    from.is_some_and(|from| text[from..].eq_ignore_ascii_case(end))
}

fn trim(text: &[u8]) -> &[u8] {
    text.trim_ascii()
}

/// The parts of a list, or of an item of it; a mark within quotes parts nothing.
struct Parts<'a> {
    rest: Option<&'a [u8]>,
    mark: u8,
}

impl<'a> Iterator for Parts<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = self.rest.take()?;
        let (mut quoted, mut escaped) = (false, false);
        for (at, byte) in rest.iter().enumerate() {
            match byte {
                _ if escaped => escaped = false,
                b'\\' if quoted => escaped = true,
                b'"' => quoted = !quoted,
                mark if *mark == self.mark && !quoted => {
                    self.rest = Some(&rest[at + 1..]);
                    return Some(&rest[..at]);
                }
                _ => {}
            }
        }
        Some(rest)
    }
}

#[cfg(test)]
mod tests;
