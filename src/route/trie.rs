//! A persistent set of entries by their 64-bit hash: what the table's names and hosts stand in.
//!
//! A trie on the hash's upper bits with fat leaves: up to [`LEAF_MAX`] entries side by side, each
//! with a tag of eight bits in the branch above. All tags are compared at once and without a
//! branch, so a look-up of a cold entry among a million waits for little more than the entry's own
//! cache line, and the processor does not guess wrong on the way (`benches/lookup.rs`).
//! Invariants: cloning copies 64 bytes, an edit the depth of the trie and one leaf; nodes that no
//! other clone shares are edited in place; entries of equal hash stand together in one leaf,
//! however many they are; what makes an entry itself is its holder's matter.

use std::{iter, sync::Arc};

/// What stands in a trie.
pub(super) trait Entry: Clone {
    /// Spread evenly over all 64 bits, and keyed, so that nobody outside can choose it.
    fn hash(&self) -> u64;
}

const BITS: u32 = 5;
const FAN_OUT: usize = 1 << BITS;
/// The most entries of a leaf that can still be split, and the tags that a leaf has room for.
const LEAF_MAX: usize = 48;
/// A branch of leaves with no more entries than this becomes a leaf: half of what splits one, so
/// that an entry that comes and goes does not split and join each time.
const JOIN_MAX: usize = LEAF_MAX / 2;
/// How many bits of a hash the deepest branch passes over; the last bits are left to the tags.
const MAX_SHIFT: u32 = 45;

/// Entries by hash.
#[derive(Clone)]
pub(super) struct Trie<E> {
    root: Node<E>,
}

/// 64 bytes. Not aligned to 64: glibc 2.36 does not use the places of freed aligned blocks again,
/// and a table that grew by a thousand revisions held five times its memory (`benches/publish.rs`).
#[derive(Clone)]
struct Node<E>(Kind<E>);

#[derive(Clone)]
enum Kind<E> {
    Leaf(Leaf<E>),
    Branch(Arc<[Node<E>; FAN_OUT]>),
}

/// Entries, sorted by hash. The tags stand in the branch above, not beside the entries, so that all
/// of them together are small enough to stay in a cache.
#[derive(Clone)]
struct Leaf<E> {
    /// The [`tag`] of each of the first [`LEAF_MAX`] entries, eight to a word.
    tags: [u64; LEAF_MAX / 8],
    entries: Arc<[E]>,
}

impl<E> Default for Trie<E> {
    fn default() -> Self {
        let leaf = Leaf { tags: [0; LEAF_MAX / 8], entries: Arc::default() };
        Trie { root: Node(Kind::Leaf(leaf)) }
    }
}

impl<E: Entry> Trie<E> {
    /// A trie of entries that are sorted by hash: each leaf is made once.
    pub fn of_sorted(entries: &[E]) -> Trie<E> {
        Trie { root: Node::of_sorted(entries, 0) }
    }

    /// The first entry of that hash that `is_it`.
    pub fn find(&self, hash: u64, is_it: impl Fn(&E) -> bool) -> Option<&E> {
        let leaf = self.leaf(hash);
        let mut maybe = leaf.tagged(tag(hash));
        while maybe != 0 {
            let entry = &leaf.entries[maybe.trailing_zeros() as usize];
            if entry.hash() == hash && is_it(entry) {
                return Some(entry);
            }
            maybe &= maybe - 1;
        }
        let untagged = leaf.entries.get(LEAF_MAX..)?;
        untagged.iter().find(|entry| entry.hash() == hash && is_it(entry))
    }

    /// The entries of that hash.
    pub fn at(&self, hash: u64) -> &[E] {
        let entries = &self.leaf(hash).entries;
        let first = entries.partition_point(|e| e.hash() < hash);
        let same = entries[first..].iter().take_while(|e| e.hash() == hash).count();
        &entries[first..first + same]
    }

    fn leaf(&self, hash: u64) -> &Leaf<E> {
        let mut node = &self.root;
        let mut shift = 0;
        loop {
            match &node.0 {
                Kind::Leaf(leaf) => return leaf,
                Kind::Branch(children) => node = &children[digit(hash, shift)],
            }
            shift += BITS;
        }
    }

    /// Adds an entry beside those of its hash.
    pub fn insert(&mut self, entry: E) {
        self.root.insert(entry, 0);
    }

    /// The first entry of that hash that `is_it`, to be edited in place but for its hash.
    pub fn get_mut(&mut self, hash: u64, is_it: impl Fn(&E) -> bool) -> Option<&mut E> {
        let nth = self.at(hash).iter().position(is_it)?;
        let mut node = &mut self.root;
        let mut shift = 0;
        loop {
            match &mut node.0 {
                Kind::Leaf(leaf) => {
                    let first = leaf.entries.partition_point(|e| e.hash() < hash);
                    return Arc::make_mut(&mut leaf.entries).get_mut(first + nth);
                }
                Kind::Branch(children) => {
                    node = &mut Arc::make_mut(children)[digit(hash, shift)];
                }
            }
            shift += BITS;
        }
    }

    /// Takes out the first entry of that hash that `is_it`, and says whether there was one.
    pub fn remove(&mut self, hash: u64, is_it: impl Fn(&E) -> bool) -> bool {
        let nth = self.at(hash).iter().position(is_it);
        if let Some(nth) = nth {
            self.root.remove(hash, nth, 0);
        }
        nth.is_some()
    }

    /// Are both one, for certain? Looks at no entry.
    pub fn is_same(&self, other: &Trie<E>) -> bool {
        match (&self.root.0, &other.root.0) {
            (Kind::Leaf(one), Kind::Leaf(other)) => {
                let empty = one.entries.is_empty() && other.entries.is_empty();
                empty || Arc::ptr_eq(&one.entries, &other.entries)
            }
            (Kind::Branch(one), Kind::Branch(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }

    /// Calls `visit(entry, is_now)` for every entry that only one of both has, and few others,
    /// which come once of each: subtrees that both share are passed over.
    pub fn changed_since(&self, before: &Trie<E>, mut visit: impl FnMut(&E, bool)) {
        Node::compare(&before.root, &self.root, &mut visit);
    }

    /// Every entry, by hash.
    pub fn iter(&self) -> impl Iterator<Item = &E> {
        let mut open = vec![std::slice::from_ref(&self.root).iter()];
        let leaves = iter::from_fn(move || {
            while let Some(nodes) = open.last_mut() {
                match nodes.next() {
                    None => drop(open.pop()),
                    Some(Node(Kind::Leaf(leaf))) => return Some(leaf.entries.iter()),
                    Some(Node(Kind::Branch(children))) => open.push(children.iter()),
                }
            }
            None
        });
        leaves.flatten()
    }
}

impl<E: Entry> Node<E> {
    fn compare(before: &Node<E>, now: &Node<E>, visit: &mut impl FnMut(&E, bool)) {
        match (&before.0, &now.0) {
            (Kind::Leaf(before), Kind::Leaf(now)) => {
                if !Arc::ptr_eq(&before.entries, &now.entries) {
                    before.entries.iter().for_each(|entry| visit(entry, false));
                    now.entries.iter().for_each(|entry| visit(entry, true));
                }
            }
            (Kind::Branch(before), Kind::Branch(now)) => {
                if !Arc::ptr_eq(before, now) {
                    let pairs = before.iter().zip(&**now);
                    pairs.for_each(|(before, now)| Node::compare(before, now, visit));
                }
            }
            (Kind::Leaf(leaf), Kind::Branch(children)) => {
                leaf.entries.iter().for_each(|entry| visit(entry, false));
                children.iter().for_each(|child| child.each(&mut |entry| visit(entry, true)));
            }
            (Kind::Branch(children), Kind::Leaf(leaf)) => {
                children.iter().for_each(|child| child.each(&mut |entry| visit(entry, false)));
                leaf.entries.iter().for_each(|entry| visit(entry, true));
            }
        }
    }

    fn each(&self, visit: &mut dyn FnMut(&E)) {
        match &self.0 {
            Kind::Leaf(leaf) => leaf.entries.iter().for_each(visit),
            Kind::Branch(children) => children.iter().for_each(|child| child.each(visit)),
        }
    }

    fn insert(&mut self, entry: E, shift: u32) {
        match &mut self.0 {
            Kind::Branch(children) => {
                let at = digit(entry.hash(), shift);
                Arc::make_mut(children)[at].insert(entry, shift + BITS);
            }
            Kind::Leaf(leaf) => {
                let at = leaf.entries.partition_point(|e| e.hash() <= entry.hash());
                let (before, behind) = leaf.entries.split_at(at);
                let before = before.iter().cloned().chain(iter::once(entry));
                let entries: Arc<[E]> = before.chain(behind.iter().cloned()).collect();
                *self = if entries.len() > LEAF_MAX {
                    Node::of_sorted(&entries, shift)
                } else {
                    Node::leaf(entries)
                };
            }
        }
    }

    fn leaf(entries: Arc<[E]>) -> Node<E> {
        let mut tags = [0; LEAF_MAX / 8];
        for (at, entry) in entries.iter().enumerate().take(LEAF_MAX) {
            tags[at / 8] |= u64::from(tag(entry.hash())) << (at % 8 * 8);
        }
        Node(Kind::Leaf(Leaf { tags, entries }))
    }

    /// A node of these entries, sorted by hash.
    fn of_sorted(mut entries: &[E], shift: u32) -> Node<E> {
        if entries.len() <= LEAF_MAX || shift > MAX_SHIFT {
            return Node::leaf(entries.into());
        }
        let children = std::array::from_fn(|at| {
            let end = entries.partition_point(|e| digit(e.hash(), shift) <= at);
            let (own, rest) = entries.split_at(end);
            entries = rest;
            Node::of_sorted(own, shift + BITS)
        });
        Node(Kind::Branch(Arc::new(children)))
    }

    /// Takes out the `nth` of the entries of that hash.
    fn remove(&mut self, hash: u64, nth: usize, shift: u32) {
        match &mut self.0 {
            Kind::Leaf(leaf) => {
                let at = leaf.entries.partition_point(|e| e.hash() < hash) + nth;
                let rest = leaf.entries[..at].iter().chain(&leaf.entries[at + 1..]);
                *self = Node::leaf(rest.cloned().collect());
            }
            Kind::Branch(children) => {
                Arc::make_mut(children)[digit(hash, shift)].remove(hash, nth, shift + BITS);
                if let Some(leaf) = joined(children) {
                    *self = leaf;
                }
            }
        }
    }
}

impl<E> Leaf<E> {
    /// The places, as bits, of the entries that may have that tag: all that do, and few others.
    fn tagged(&self, tag: u8) -> u64 {
        const LOW: u64 = u64::from_ne_bytes([0x01; 8]);
        const HIGH: u64 = u64::from_ne_bytes([0x80; 8]);
        let mut places = 0;
        for (at, word) in self.tags.iter().enumerate() {
            let differs = word ^ (LOW * u64::from(tag));
            // The upper bit of each byte that is 0, and seldom of the byte above one.
            let same = differs.wrapping_sub(LOW) & !differs & HIGH;
            // The eight upper bits, moved side by side.
            places |= ((same >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56) << (at * 8);
        }
        places & (1u64 << self.entries.len().min(LEAF_MAX)).wrapping_sub(1)
    }
}

/// One leaf for all children of a branch, if that is no more than [`JOIN_MAX`] entries.
fn joined<E: Entry>(children: &[Node<E>; FAN_OUT]) -> Option<Node<E>> {
    let mut total = 0;
    for child in children {
        let Kind::Leaf(leaf) = &child.0 else { return None };
        total += leaf.entries.len();
        if total > JOIN_MAX {
            return None;
        }
    }
    let entries = children.iter().flat_map(|child| match &child.0 {
        Kind::Leaf(leaf) => &leaf.entries[..],
        Kind::Branch(_) => &[],
    });
    Some(Node::leaf(entries.cloned().collect()))
}

/// Bits of a hash that lead to no child, but for the last, which the holders give a meaning.
fn tag(hash: u64) -> u8 {
    (hash >> 1) as u8
}

/// Which child of a branch, `shift` bits down the hash, leads to it.
fn digit(hash: u64, shift: u32) -> usize {
    (hash >> (u64::BITS - BITS - shift)) as usize % FAN_OUT
}

#[cfg(test)]
mod tests;
