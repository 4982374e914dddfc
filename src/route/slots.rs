//! A persistent array: an app's values by its slot, with structure shared between revisions.
//!
//! A slot is a small number that an app keeps as long as it is in the table. The hosts of the table
//! name slots, so a change of an app touches its slot and none of its hosts.
//! A radix tree of fan-out 64, as high as the largest slot needs. Invariants: cloning costs one
//! pointer and setting one slot the height of the tree, not its size; nodes that no other clone
//! shares are edited in place; every leaf is at height 0.

use std::sync::Arc;

/// The number of an app in one table; another app may get it once the first is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(pub u32);

/// The most apps a table may have.
pub const MAX_SLOTS: u32 = 1 << 24;

const BITS: u32 = 6;
const FAN_OUT: usize = 1 << BITS;

/// Values by slot.
#[derive(Debug, Clone)]
pub struct Slots<T> {
    root: Option<Arc<Node<T>>>,
    height: u32,
}

#[derive(Debug, Clone)]
#[allow(clippy::large_enum_variant, reason = "what slots hold is about as large as a pointer")]
enum Node<T> {
    Branch([Option<Arc<Node<T>>>; FAN_OUT]),
    Leaf([Option<T>; FAN_OUT]),
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Slots { root: None, height: 0 }
    }
}

impl<T: Clone> Slots<T> {
    /// The value in a slot.
    pub fn get(&self, slot: Slot) -> Option<&T> {
        if !fits(slot, self.height) {
            return None;
        }
        let mut node = self.root.as_deref()?;
        let mut height = self.height;
        loop {
            match node {
                Node::Leaf(values) => return values[digit(slot, 0)].as_ref(),
                Node::Branch(children) => {
                    node = children[digit(slot, height)].as_deref()?;
                    height -= 1;
                }
            }
        }
    }

    /// The value in a slot, to be edited in place; other clones keep theirs.
    pub fn get_mut(&mut self, slot: Slot) -> Option<&mut T> {
        // A look first: an empty slot must not cost a copy of the way to it.
        self.get(slot)?;
        let mut height = self.height;
        let mut node = Arc::make_mut(self.root.as_mut()?);
        loop {
            match node {
                Node::Leaf(values) => return values[digit(slot, 0)].as_mut(),
                Node::Branch(children) => {
                    node = Arc::make_mut(children[digit(slot, height)].as_mut()?);
                    height -= 1;
                }
            }
        }
    }

    /// Puts a value into a slot, or empties it.
    ///
    /// # Panics
    /// If the slot is not below [`MAX_SLOTS`].
    pub fn set(&mut self, slot: Slot, value: Option<T>) {
        assert!(slot.0 < MAX_SLOTS);
        if value.is_none() && self.get(slot).is_none() {
            return;
        }
        while !fits(slot, self.height) {
            if let Some(root) = self.root.take() {
                let mut children = empty();
                children[0] = Some(root);
                self.root = Some(Arc::new(Node::Branch(children)));
            }
            self.height += 1;
        }
        let mut height = self.height;
        let mut place = &mut self.root;
        loop {
            let node = place.get_or_insert_with(|| Arc::new(Node::new(height)));
            match Arc::make_mut(node) {
                Node::Leaf(values) => {
                    values[digit(slot, 0)] = value;
                    return;
                }
                Node::Branch(children) => {
                    place = &mut children[digit(slot, height)];
                    height -= 1;
                }
            }
        }
    }

    /// Every filled slot, in order.
    pub fn iter(&self) -> impl Iterator<Item = (Slot, &T)> {
        Iter { open: Vec::from_iter(self.root.as_deref().map(|root| (root, 0, self.height, 0))) }
    }

    /// Calls `visit(slot, before, now)` for every slot whose value may differ from `before`'s: all
    /// of those that do, and few others; subtrees that both share are passed over.
    pub fn changed_since(
        &self,
        before: &Slots<T>,
        mut visit: impl FnMut(Slot, Option<&T>, Option<&T>),
    ) {
        let before = Tree { node: before.root.as_ref(), height: before.height };
        let now = Tree { node: self.root.as_ref(), height: self.height };
        compare(before, now, 0, &mut visit);
    }
}

/// Does a tree of that height reach the slot?
fn fits(slot: Slot, height: u32) -> bool {
    slot.0.checked_shr(BITS * (height + 1)).unwrap_or(0) == 0
}

/// Where a node of that height keeps the slot.
fn digit(slot: Slot, height: u32) -> usize {
    (slot.0 >> (BITS * height)) as usize % FAN_OUT
}

fn empty<V>() -> [Option<V>; FAN_OUT] {
    std::array::from_fn(|_| None)
}

impl<T> Node<T> {
    fn new(height: u32) -> Node<T> {
        if height == 0 { Node::Leaf(empty()) } else { Node::Branch(empty()) }
    }
}

/// The nodes on the way to the next slot: each with its first slot, its height, and its next place.
struct Iter<'a, T> {
    open: Vec<(&'a Node<T>, u32, u32, usize)>,
}

impl<'a, T> Iterator for Iter<'a, T> {
    type Item = (Slot, &'a T);

    fn next(&mut self) -> Option<(Slot, &'a T)> {
        while let Some((node, first, height, next)) = self.open.last_mut() {
            if *next == FAN_OUT {
                self.open.pop();
                continue;
            }
            let at = *next;
            *next += 1;
            let slot = *first + ((at as u32) << (BITS * *height));
            match *node {
                Node::Leaf(values) => {
                    if let Some(value) = &values[at] {
                        return Some((Slot(slot), value));
                    }
                }
                Node::Branch(children) => {
                    if let Some(child) = &children[at] {
                        let below = *height - 1;
                        self.open.push((child, slot, below, 0));
                    }
                }
            }
        }
        None
    }
}

/// A subtree, or nothing, that is as high as `height` says.
struct Tree<'a, T> {
    node: Option<&'a Arc<Node<T>>>,
    height: u32,
}

impl<T> Clone for Tree<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Tree<'_, T> {}

impl<'a, T> Tree<'a, T> {
    /// What stands at a place of a node of that height; a lower tree is that node's first child.
    fn child(self, at: usize, height: u32) -> Tree<'a, T> {
        if self.height < height {
            return Tree { node: self.node.filter(|_| at == 0), ..self };
        }
        let node = match self.node.map(|node| &**node) {
            Some(Node::Branch(children)) => children[at].as_ref(),
            _ => None,
        };
        Tree { node, height: height - 1 }
    }

    fn value(self, at: usize) -> Option<&'a T> {
        match &**self.node? {
            Node::Leaf(values) => values[at].as_ref(),
            Node::Branch(_) => None,
        }
    }
}

/// Visits the slots of two trees, both of which begin at `first`.
fn compare<T>(
    before: Tree<'_, T>,
    now: Tree<'_, T>,
    first: u32,
    visit: &mut impl FnMut(Slot, Option<&T>, Option<&T>),
) {
    match (before.node, now.node) {
        (None, None) => return,
        (Some(before), Some(now)) if Arc::ptr_eq(before, now) => return,
        _ => {}
    }
    let height = before.height.max(now.height);
    for at in 0..FAN_OUT {
        let slot = first + ((at as u32) << (BITS * height));
        if height > 0 {
            compare(before.child(at, height), now.child(at, height), slot, visit);
            continue;
        }
        let (before, now) = (before.value(at), now.value(at));
        if before.is_some() || now.is_some() {
            visit(Slot(slot), before, now);
        }
    }
}

#[cfg(test)]
mod tests;
