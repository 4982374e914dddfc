//! Bodies: what goes on, and where the body ends, against a slow reading of all the bytes at once.
//!
//! Invariants that are tried: the verdict does not depend on how the bytes were split, on when what
//! is ready was sent, nor on whether data was looked at; nothing behind the end is taken; the data
//! that is counted is the data.
#![no_main]

use hostler::wire::{
    chunked::Chunked,
    framing::{Body, Coding},
};
use hostler_fuzz::{FRAMING, HOP_BY_HOP, VOUCHED, cuts, field, is_twin};

const MAX_EXTENSION: usize = 4096;
const MAX_TRAILER_SECTION: usize = 16 << 10;
const MAX_TRAILERS: usize = 64;

/// When what is ready is sent on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sending {
    /// Behind the last piece.
    AtTheEnd,
    /// Behind each piece.
    AtOnce,
    /// Behind each piece, and data that nothing waits before goes on without a look at it.
    Unseen,
}

/// What came of a body's bytes.
#[derive(Debug, Default, PartialEq, Eq)]
struct Passed {
    sent: Vec<u8>,
    data: u64,
    left: Vec<u8>,
    done: bool,
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let [flags, seed, wire @ ..] = data else { return };
    let coding = if flags & 1 == 0 { Coding::Keep } else { Coding::Strip };
    let sending = match flags >> 6 {
        0 => Sending::AtTheEnd,
        1 => Sending::AtOnce,
        _ => Sending::Unseen,
    };
    let length = u64::from(flags >> 3 & 7);
    let (body, expected) = match flags >> 1 & 3 {
        0 => (Body::length(length), Some(model_length(wire, length))),
        1 => (Body::Close, Some(Passed { done: false, ..model_length(wire, u64::MAX) })),
        _ => (Body::Chunked(Chunked::default()), model_chunked(wire, coding == Coding::Keep)),
    };
    let passed = pass(body, wire, &cuts(*seed, wire.len()), coding, sending);
    assert_eq!(passed, expected);
});

/// Feeds the bytes in pieces; nothing if they are refused.
fn pass(
    mut body: Body,
    wire: &[u8],
    cuts: &[usize],
    coding: Coding,
    sending: Sending,
) -> Option<Passed> {
    let mut passed = Passed::default();
    let (mut buffer, mut ready, mut begin) = (Vec::new(), 0, 0);
    for end in cuts.iter().copied().chain([wire.len()]) {
        if sending == Sending::Unseen && buffer.is_empty() {
            let unseen = body.opaque().min((end - begin) as u64);
            body.pass(unseen);
            passed.data += unseen;
            passed.sent.extend_from_slice(&wire[begin..begin + unseen as usize]);
            begin += unseen as usize;
        }
        buffer.extend_from_slice(&wire[begin..end]);
        begin = end;
        let accepted = body.accept(&mut buffer, ready, coding).ok()?;
        assert!((ready..=buffer.len()).contains(&accepted.ready));
        passed.data += accepted.data;
        ready = accepted.ready;
        if sending != Sending::AtTheEnd {
            passed.sent.extend(buffer.drain(..ready));
            ready = 0;
        }
    }
    passed.left = buffer.split_off(ready);
    passed.sent.append(&mut buffer);
    passed.done = body.is_done();
    Some(passed)
}

fn model_length(wire: &[u8], length: u64) -> Passed {
    let taken = wire.len().min(usize::try_from(length).unwrap_or(usize::MAX));
    Passed {
        sent: wire[..taken].to_vec(),
        data: taken as u64,
        left: wire[taken..].to_vec(),
        done: taken as u64 == length,
    }
}

/// Reads chunk by chunk (RFC 9112, section 7.1); nothing if the bytes break the coding.
fn model_chunked(wire: &[u8], keep: bool) -> Option<Passed> {
    let mut passed = Passed::default();
    let mut rest = wire;
    loop {
        let digits = rest.iter().take_while(|b| b.is_ascii_hexdigit()).count();
        let size = size(&rest[..digits])?;
        if keep {
            passed.sent.extend_from_slice(&rest[..digits]);
        }
        rest = &rest[digits..];
        if rest.is_empty() {
            return Some(passed);
        }
        if digits == 0 {
            return None;
        }
        rest = &rest[extension(rest)?..];
        rest = line_end(rest, keep, &mut passed.sent)?;
        if rest.is_empty() {
            return Some(passed);
        }
        if size == 0 {
            return model_trailers(rest, keep, passed);
        }
        let here = rest.len().min(usize::try_from(size).unwrap_or(usize::MAX));
        passed.sent.extend_from_slice(&rest[..here]);
        passed.data += here as u64;
        rest = &rest[here..];
        if rest.is_empty() {
            return Some(passed);
        }
        rest = line_end(rest, keep, &mut passed.sent)?;
    }
}

/// The size in at most 16 digits, and within 63 bits.
fn size(digits: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(digits).expect("digits are ASCII");
    let value = if text.is_empty() { 0 } else { u64::from_str_radix(text, 16).ok()? };
    (digits.len() <= 16 && value < 1 << 63).then_some(value)
}

/// How long blanks and extensions are; nothing if they are too long or malformed.
fn extension(rest: &[u8]) -> Option<usize> {
    let blanks = rest.iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
    match rest.get(blanks) {
        None => (blanks <= MAX_EXTENSION + 1).then_some(blanks),
        Some(b';') => {
            let allowed = |b: &&u8| matches!(b, b'\t' | 0x20..=0x7e | 0x80..);
            let text = rest[blanks + 1..].iter().take_while(allowed).count();
            // The first blank is what begins them.
            let counted = blanks.saturating_sub(1) + text;
            (counted <= MAX_EXTENSION).then_some(blanks + 1 + text)
        }
        Some(b'\r') if blanks == 0 => Some(0),
        Some(_) => None,
    }
}

/// CR LF, or as much of it as there is.
fn line_end<'a>(rest: &'a [u8], keep: bool, sent: &mut Vec<u8>) -> Option<&'a [u8]> {
    let len = rest.len().min(2);
    if rest[..len] != b"\r\n"[..len] {
        return None;
    }
    if keep {
        sent.extend_from_slice(&rest[..len]);
    }
    Some(&rest[len..])
}

fn model_trailers(rest: &[u8], keep: bool, mut passed: Passed) -> Option<Passed> {
    let mut begin = 0;
    let mut lines = Vec::new();
    let end = loop {
        let Some(lf) = rest[begin..].iter().position(|b| *b == b'\n') else {
            if rest.len() > MAX_TRAILER_SECTION {
                return None;
            }
            passed.left = rest.to_vec();
            return Some(passed);
        };
        let line = rest[begin..begin + lf].strip_suffix(b"\r")?;
        begin += lf + 1;
        if line.is_empty() {
            break begin;
        }
        lines.push(line);
    };
    let fields: Vec<_> = lines.iter().map(|line| field(line)).collect::<Option<_>>()?;
    if end > MAX_TRAILER_SECTION || fields.len() > MAX_TRAILERS {
        return None;
    }
    if keep {
        for (line, (name, value)) in lines.iter().zip(&fields) {
            let others = ["host", "expect", "date", "accept", "set-cookie"];
            let known = HOP_BY_HOP.iter().chain(&VOUCHED).chain(&FRAMING).chain(&others);
            if !is_twin(name) && !known.into_iter().any(|known| known == name) {
                passed.sent.extend_from_slice(&line[..name.len()]);
                passed.sent.extend_from_slice(b": ");
                passed.sent.extend_from_slice(value);
                passed.sent.extend_from_slice(b"\r\n");
            }
        }
        passed.sent.extend_from_slice(b"\r\n");
    }
    passed.left = rest[end..].to_vec();
    passed.done = true;
    Some(passed)
}
