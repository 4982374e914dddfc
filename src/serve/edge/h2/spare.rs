//! The page that a connection's reading buffer has touched and, while it waits, needs no more.
//!
//! The protocol reads into a buffer of 8 KiB from front to back, and takes a fresh one when that is
//! used up. So a connection that waits keeps a page for the few bytes that came last: 4.1 of 20.3
//! kB (`benches/versus`, `h2-idle`). To give it back costs 8 us, once a wait: the buffer, in which
//! nothing lies between two frames, is used up by a frame of a kind that nobody knows, which is
//! passed over (RFC 9113, section 5.5); then the pages of the fresh one go back to the kernel.
//! A host that is to be remembered, and came in plain letters instead of Huffman's code, holds the
//! buffer that it came in: then nothing is gained, and nothing lost.
//!
//! Invariants: only unused bytes are given back, and they stay mapped: they become zeros, and what
//! is written there later is as any other. `unsafe`, because no library offers that without.
#![allow(unsafe_code)]

use std::cell::Cell;

use tokio::io::ReadBuf;

/// The bytes of a frame's head.
const HEAD: usize = 9;
/// The longest frame that the protocol takes.
const LONGEST: usize = HEAD + (16 << 10);
/// A kind of frame that nobody knows, and nobody will (RFC 7540, section 11.2: for experiments).
const UNKNOWN: u8 = 0xff;

/// What becomes of a reading buffer.
#[derive(Debug, Default)]
pub struct Spare(Cell<Stage>);

/// How far it is.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Something came.
    #[default]
    Used,
    /// It is to be used up.
    Due,
    /// It is fresh.
    Fresh,
    /// It was given back.
    Given,
}

impl Spare {
    /// The connection waits: the next read is to give the buffer back.
    pub fn give(&self) {
        self.0.set(Stage::Due);
    }

    /// Something came.
    pub fn came(&self) {
        self.0.set(Stage::Used);
    }

    /// Has something come since the buffer was to be given back?
    pub fn is_used(&self) -> bool {
        self.0.get() == Stage::Used
    }

    /// Does what is due before a read; answers whether that is the read already.
    pub fn before(&self, buffer: &mut ReadBuf<'_>, is_between_frames: impl Fn() -> bool) -> bool {
        match self.0.get() {
            Stage::Used | Stage::Given => false,
            Stage::Due => {
                let is_filled = buffer.remaining() >= HEAD && is_between_frames();
                if is_filled && fill(buffer) {
                    self.0.set(Stage::Fresh);
                }
                is_filled
            }
            Stage::Fresh => {
                give_back(buffer);
                self.0.set(Stage::Given);
                false
            }
        }
    }
}

/// Puts a frame of no meaning into a buffer that has room for one; answers whether it is full.
fn fill(buffer: &mut ReadBuf<'_>) -> bool {
    let room = buffer.remaining();
    // What is left is to hold a frame too.
    let len = if room > LONGEST { LONGEST.min(room - HEAD) } else { room };
    buffer.initialize_unfilled_to(len);
    // Its payload is nothing to keep pages for, if somebody still holds the buffer.
    give_back(buffer);
    let [high, low] = ((len - HEAD) as u16).to_be_bytes();
    let head = [0, high, low, UNKNOWN, 0, 0, 0, 0, 0];
    buffer.initialize_unfilled_to(len)[..HEAD].copy_from_slice(&head);
    buffer.advance(len);
    len == room
}

/// Gives back the whole pages in which nothing stands that was read.
fn give_back(buffer: &mut ReadBuf<'_>) {
    // SAFETY: bytes of it that were initialised stay so, as zeros.
    let unused = unsafe { buffer.unfilled_mut() };
    let page = rustix::param::page_size();
    let skipped = unused.as_ptr().align_offset(page).min(unused.len());
    let pages = &mut unused[skipped..];
    let len = pages.len() / page * page;
    if len > 0 {
        // SAFETY: the pages lie within bytes that are ours alone, and whose values nobody relies
        // on. Where the kernel refuses, because they are locked, they stay as they are.
        unsafe { libc::madvise(pages.as_mut_ptr().cast(), len, libc::MADV_DONTNEED) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where a buffer begins in a page, and how long it is.
    const SHAPES: [(usize, usize); 6] =
        [(0, 8192), (0, 8192 - 733), (100, 8192), (0, 32768), (4000, 40960 - 1), (4090, 9)];

    fn pages() -> (Vec<u8>, usize) {
        let memory = vec![7; 16 * rustix::param::page_size()];
        let first = memory.as_ptr().align_offset(rustix::param::page_size());
        (memory, first)
    }

    #[test]
    fn a_buffer_is_used_up_by_whole_frames_of_no_meaning() {
        for (begin, len) in SHAPES.into_iter().chain((9..40).map(|more| (0, LONGEST - 20 + more))) {
            let (mut memory, first) = pages();
            let mut buffer = ReadBuf::new(&mut memory[first + begin..][..len]);
            let spare = Spare::default();
            spare.give();
            let mut frames = Vec::new();
            while spare.before(&mut buffer, || true) {
                frames.push(buffer.filled().len());
                assert!(frames.len() < 5);
            }
            assert_eq!(frames.last(), Some(&len), "{begin} {len}");
            let mut at = 0;
            for end in frames {
                let head = &buffer.filled()[at..at + HEAD];
                let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
                assert_eq!((head[3], &head[4..]), (UNKNOWN, &[0; 5][..]));
                assert!(length <= 16 << 10);
                assert_eq!(at + HEAD + length, end, "{begin} {len}");
                at = end;
            }
            // What lies around it is somebody else's.
            assert!(memory[..first + begin].iter().all(|byte| *byte == 7));
            assert!(memory[first + begin + len..].iter().all(|byte| *byte == 7));
        }
    }

    #[test]
    fn whole_pages_are_given_back_and_nothing_that_was_read() {
        let page = rustix::param::page_size();
        for (begin, read, len) in
            [(0, 0, 2), (0, 1, 2), (100, 0, 3), (page - 1, 1, 2), (1, 2 * page, 3), (5, 0, 1)]
        {
            let (mut memory, first) = pages();
            let len = len * page;
            let mut buffer = ReadBuf::new(&mut memory[first + begin..][..len]);
            buffer.put_slice(&vec![9; read]);
            give_back(&mut buffer);
            assert_eq!(buffer.filled(), vec![9; read]);
            let from = (begin + read).next_multiple_of(page);
            let to = (begin + len) / page * page;
            for (at, byte) in memory[first..].iter().enumerate() {
                let kept = if (begin..begin + read).contains(&at) { 9 } else { 7 };
                let expected = if (from..to).contains(&at) { 0 } else { kept };
                assert_eq!(*byte, expected, "{at} of {begin} {read} {len}");
            }
        }
    }

    #[test]
    fn nothing_is_put_between_the_parts_of_a_frame() {
        let mut memory = [0; 100];
        let mut buffer = ReadBuf::new(&mut memory);
        let spare = Spare::default();
        assert!(!spare.before(&mut buffer, || true) && spare.is_used());
        spare.give();
        assert!(!spare.before(&mut buffer, || false) && buffer.filled().is_empty());
        // What comes by then begins a new wait.
        spare.came();
        assert!(!spare.before(&mut buffer, || true) && spare.is_used());
    }
}
