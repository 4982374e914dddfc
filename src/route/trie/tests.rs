//! The trie against a plain list, with hashes that collide in all and in most of their bits.

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Item(u64, u32);

impl Entry for Item {
    fn hash(&self) -> u64 {
        self.0
    }
}

fn all(trie: &Trie<Item>) -> Vec<Item> {
    let mut items: Vec<Item> = trie.iter().cloned().collect();
    assert!(items.is_sorted_by_key(|item| item.0));
    items.sort();
    items
}

#[test]
fn a_node_is_a_cache_line() {
    assert_eq!(size_of::<Node<u64>>(), 64);
}

#[test]
fn entries_of_one_hash_are_all_kept() {
    let mut trie = Trie::default();
    (0..1000).for_each(|n| trie.insert(Item(u64::MAX, n)));
    trie.insert(Item(u64::MAX - 1, 0));
    assert_eq!(trie.at(u64::MAX).len(), 1000);
    assert_eq!(trie.at(u64::MAX - 1).len(), 1);
    assert!(trie.at(7).is_empty());
    assert_eq!(trie.find(u64::MAX, |item| item.1 == 999), Some(&Item(u64::MAX, 999)));
    for n in 0..1000 {
        assert!(trie.remove(u64::MAX, |item| item.1 == n));
    }
    assert_eq!(all(&trie), [Item(u64::MAX - 1, 0)]);
}

#[test]
fn a_trie_that_was_emptied_is_one_leaf() {
    let spread = |n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut trie = Trie::default();
    (0..20_000).for_each(|n| trie.insert(Item(spread(n), 0)));
    assert!(matches!(trie.root.0, Kind::Branch(_)));
    for n in 0..20_000 {
        assert_eq!(trie.at(spread(n)), [Item(spread(n), 0)]);
        assert!(trie.remove(spread(n), |_| true));
        assert!(!trie.remove(spread(n), |_| true));
    }
    assert!(matches!(&trie.root.0, Kind::Leaf(leaf) if leaf.entries.is_empty()));
}

/// Few distinct upper bits, and few distinct lower ones.
fn hash() -> impl Strategy<Value = u64> {
    let upper = prop_oneof![Just(0u64), Just(u64::MAX << 8), (0u64..40).prop_map(|n| n << 57)];
    (upper, 0u64..6).prop_map(|(upper, lower)| upper | lower)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn a_trie_agrees_with_a_list_and_clones_keep_theirs(
        edits in proptest::collection::vec((hash(), 0u32..4, any::<bool>(), 0u8..20), 0..400),
    ) {
        let mut trie = Trie::default();
        let mut model: Vec<Item> = Vec::new();
        let mut kept = Vec::new();
        for (hash, tag, add, keep) in edits {
            if keep == 0 {
                kept.push((trie.clone(), model.clone()));
            }
            let item = Item(hash, tag);
            if add {
                model.push(item.clone());
                trie.insert(item);
            } else {
                let at = model.iter().position(|m| *m == item);
                prop_assert_eq!(trie.remove(hash, |e| *e == item), at.is_some());
                if let Some(at) = at {
                    model.swap_remove(at);
                }
            }
            let same = model.iter().filter(|m| m.0 == hash).count();
            prop_assert_eq!(trie.at(hash).len(), same);
            let found = trie.find(hash, |e| e.1 == tag).cloned();
            prop_assert_eq!(found, model.contains(&Item(hash, tag)).then_some(Item(hash, tag)));
            prop_assert_eq!(trie.get_mut(hash, |e| e.1 == tag).is_some(),
                model.contains(&Item(hash, tag)));
        }
        kept.push((trie, model));
        for pair in kept.windows(2) {
            for (from, to) in [(0, 1), (1, 0)] {
                let ((before, mut was), (now, mut is)) = (pair[from].clone(), pair[to].clone());
                now.changed_since(&before, |item, is_now| {
                    let known = if is_now { &mut is } else { &mut was };
                    known.swap_remove(known.iter().position(|k| k == item).unwrap());
                });
                // What was passed over is in both.
                was.sort();
                is.sort();
                prop_assert_eq!(was, is);
            }
        }
        for (trie, mut model) in kept {
            model.sort();
            prop_assert_eq!(all(&trie), model);
        }
    }
}
