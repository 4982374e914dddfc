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
use hostler_fuzz::{
    cuts,
    strict::{FRAMING, HOP_BY_HOP, NOT_IN_TRAILERS, VOUCHED, field, is_twin},
};

const MAX_EXTENSIONS: usize = 16 << 10;
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
    /// The same with half of that data, so that the rest is looked at.
    HalfUnseen,
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
        2 => Sending::Unseen,
        _ => Sending::HalfUnseen,
    };
    let length = match flags >> 3 & 7 {
        small @ 0..=2 => u64::from(small),
        3 => wire.len() as u64 / 2,
        // To the last byte, one less, one more; and the longest that a head may state.
        4 => (wire.len() as u64).saturating_sub(1),
        5 => wire.len() as u64,
        6 => wire.len() as u64 + 1,
        _ => i64::MAX as u64,
    };
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
        let share = match sending {
            Sending::Unseen => end - begin,
            Sending::HalfUnseen => (end - begin) / 2,
            Sending::AtTheEnd | Sending::AtOnce => 0,
        };
        if buffer.is_empty() {
            let unseen = body.opaque().min(share as u64);
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
    // What all extensions of the body may still have.
    let mut left = MAX_EXTENSIONS;
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
        rest = &rest[extension(rest, &mut left)?..];
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

/// How long blanks and extensions are, less than what is left for them; nothing if they are too
/// long or malformed.
fn extension(rest: &[u8], left: &mut usize) -> Option<usize> {
    let blanks = rest.iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
    // The first blank, or else the semicolon, is what begins them.
    let mut counted = blanks.saturating_sub(1);
    let len = match rest.get(blanks) {
        None => blanks,
        Some(b';') => {
            let allowed = |b: &&u8| matches!(b, b'\t' | 0x20..=0x7e | 0x80..);
            let text = rest[blanks + 1..].iter().take_while(allowed).count();
            counted += text;
            blanks + 1 + text
        }
        Some(b'\r') if blanks == 0 => 0,
        Some(_) => return None,
    };
    *left = left.checked_sub(counted)?;
    Some(len)
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
            let known = HOP_BY_HOP.iter().chain(&VOUCHED).chain(&FRAMING).chain(NOT_IN_TRAILERS);
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
