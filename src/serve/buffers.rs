//! The buffers of one worker: taken when bytes are there, given back when they are gone.
//!
//! Invariants: a connection that waits holds none; a [`Buf`] goes home when it is dropped, unless
//! it grew beyond its size, as for a head that is larger than the common one; what the pool keeps
//! is bounded by [`KEPT_COMMON`] and [`KEPT_LARGE`].

use std::{
    cell::RefCell,
    ops::{Deref, DerefMut},
    rc::Rc,
};

/// The size of a common buffer, in bytes: holds nearly every head, and a small body with it.
pub const COMMON: usize = 16 << 10;
/// The size of a large buffer, in bytes: for bodies that come faster than a common one empties.
/// It fits a core's second-level cache, so that what was read is still there when it is written.
pub const LARGE: usize = 256 << 10;
/// The size of the memory in which a worker encrypts, in bytes: what goes out at once, eight
/// records of TLS and what else is to be said.
pub const WORKSPACE: usize = 8 * (16 << 10) + (5 << 10);
/// How many free common buffers a worker keeps: 8 MiB.
const KEPT_COMMON: usize = 512;
/// How many free large buffers a worker keeps: 4 MiB.
const KEPT_LARGE: usize = 16;

/// The free buffers of one worker.
#[derive(Debug, Default)]
pub struct Buffers {
    common: RefCell<Vec<Vec<u8>>>,
    large: RefCell<Vec<Vec<u8>>>,
    workspace: RefCell<Vec<u8>>,
}

impl Buffers {
    /// An empty buffer of [`COMMON`] bytes.
    pub fn common(self: &Rc<Self>) -> Buf {
        self.take(&self.common, COMMON)
    }

    /// An empty buffer of [`LARGE`] bytes.
    pub fn large(self: &Rc<Self>) -> Buf {
        self.take(&self.large, LARGE)
    }

    /// A buffer without room, that takes as much as it is told to: none of the pool.
    pub fn none(self: &Rc<Self>) -> Buf {
        Buf { bytes: Vec::new(), start: 0, home: self.clone() }
    }

    /// Memory of [`WORKSPACE`] bytes for one step, with whatever the step before left in it.
    pub fn with_workspace<R>(&self, step: impl FnOnce(&mut [u8]) -> R) -> R {
        let mut workspace = self.workspace.borrow_mut();
        workspace.resize(WORKSPACE, 0);
        step(&mut workspace)
    }

    fn take(self: &Rc<Self>, free: &RefCell<Vec<Vec<u8>>>, size: usize) -> Buf {
        let bytes = free.borrow_mut().pop().unwrap_or_else(|| Vec::with_capacity(size));
        Buf { bytes, start: 0, home: self.clone() }
    }

    fn put_back(&self, mut bytes: Vec<u8>) {
        let (free, kept) = match bytes.capacity() {
            COMMON => (&self.common, KEPT_COMMON),
            LARGE => (&self.large, KEPT_LARGE),
            _ => return,
        };
        let mut free = free.borrow_mut();
        if free.len() < kept {
            bytes.clear();
            free.push(bytes);
        }
    }
}

/// Bytes on their way: a buffer of the pool, whose first bytes may be gone already.
#[derive(Debug)]
pub struct Buf {
    bytes: Vec<u8>,
    start: usize,
    home: Rc<Buffers>,
}

impl Buf {
    /// The bytes that are still to go.
    pub fn pending(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    /// The same, to be changed where they lie.
    pub fn pending_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..]
    }

    /// Where in the buffer [`Buf::pending`] begins.
    pub fn start(&self) -> usize {
        self.start
    }

    /// Marks the first `count` pending bytes as gone.
    pub fn consume(&mut self, count: usize) {
        debug_assert!(self.start + count <= self.bytes.len());
        self.start += count;
        if self.start == self.bytes.len() {
            self.bytes.clear();
            self.start = 0;
        }
    }

    /// Is nothing pending?
    pub fn is_drained(&self) -> bool {
        self.start == self.bytes.len()
    }

    /// How many bytes can be added without growing.
    pub fn room(&self) -> usize {
        self.bytes.capacity() - self.bytes.len()
    }

    /// Moves the pending bytes to the front; answers by how much they moved.
    pub fn compact(&mut self) -> usize {
        let moved = self.start;
        if moved > 0 {
            self.bytes.copy_within(moved.., 0);
            self.bytes.truncate(self.bytes.len() - moved);
            self.start = 0;
        }
        moved
    }

    /// Lets go of the room behind the bytes: for a buffer that is kept over a long wait.
    pub fn shrink(&mut self) {
        let kept = Vec::from(self.bytes.as_slice());
        self.home.put_back(std::mem::replace(&mut self.bytes, kept));
    }

    /// Makes room for more than a common head, up to `limit` bytes in all.
    pub fn grow(&mut self, limit: usize) {
        let to = (self.bytes.capacity() * 4).min(limit);
        self.bytes.reserve_exact(to.saturating_sub(self.bytes.len()));
    }
}

impl Deref for Buf {
    type Target = Vec<u8>;
    fn deref(&self) -> &Vec<u8> {
        &self.bytes
    }
}

impl DerefMut for Buf {
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }
}

impl Drop for Buf {
    fn drop(&mut self) {
        self.home.put_back(std::mem::take(&mut self.bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_goes_home_unless_it_grew() {
        let pool = Rc::new(Buffers::default());
        drop(pool.common());
        assert_eq!(pool.common.borrow().len(), 1);
        let mut grown = pool.common();
        grown.grow(64 << 10);
        drop(grown);
        assert_eq!(pool.common.borrow().len(), 0);
    }

    #[test]
    fn consumed_bytes_are_not_pending() {
        let pool = Rc::new(Buffers::default());
        let mut buf = pool.common();
        buf.extend_from_slice(b"headbody");
        buf.consume(4);
        assert_eq!(buf.pending(), b"body");
        assert_eq!((buf.compact(), buf.pending()), (4, &b"body"[..]));
        buf.consume(4);
        assert!(buf.is_drained() && buf.room() == COMMON);
    }
}
