//! Slots against a plain map, and what clones share.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn from_model(model: &BTreeMap<u32, u32>) -> Vec<(Slot, u32)> {
    model.iter().map(|(slot, value)| (Slot(*slot), *value)).collect()
}

fn all(slots: &Slots<u32>) -> Vec<(Slot, u32)> {
    slots.iter().map(|(slot, value)| (slot, *value)).collect()
}

#[test]
fn the_last_slot_can_be_filled() {
    let mut slots = Slots::default();
    slots.set(Slot(0), Some(7));
    slots.set(Slot(MAX_SLOTS - 1), Some(8));
    assert_eq!(all(&slots), [(Slot(0), 7), (Slot(MAX_SLOTS - 1), 8)]);
    assert_eq!(slots.get(Slot(MAX_SLOTS)), None);
    assert_eq!(slots.get(Slot(u32::MAX)), None);
}

#[test]
fn emptying_what_is_empty_changes_nothing() {
    let mut slots = Slots::default();
    slots.set(Slot(5), Some(1));
    let before = slots.clone();
    slots.set(Slot(6), None);
    slots.set(Slot(100_000), None);
    assert!(slots.get_mut(Slot(7)).is_none());
    let mut visited = 0;
    slots.changed_since(&before, |_, _, _| visited += 1);
    assert_eq!(visited, 0);
}

#[test]
fn one_change_visits_one_leaf() {
    let mut slots = Slots::default();
    (0..100_000).for_each(|at| slots.set(Slot(at), Some(at)));
    let before = slots.clone();
    *slots.get_mut(Slot(70_000)).unwrap() = 1;
    let mut visited = Vec::new();
    slots.changed_since(&before, |slot, old, new| visited.push((slot, old.copied(), new.copied())));
    assert!(visited.len() <= FAN_OUT, "{} visits", visited.len());
    assert!(visited.contains(&(Slot(70_000), Some(70_000), Some(1))));
    assert_eq!(before.get(Slot(70_000)), Some(&70_000));
}

#[test]
fn an_unshared_value_is_edited_where_it_is() {
    let mut slots = Slots::default();
    slots.set(Slot(9), Some(1));
    let place = std::ptr::from_ref(slots.get(Slot(9)).unwrap());
    slots.set(Slot(9), Some(2));
    assert!(std::ptr::eq(place, slots.get(Slot(9)).unwrap()));
}

/// A slot to set and what to; and whether to keep a clone first.
fn edits() -> impl Strategy<Value = Vec<(u32, Option<u32>, bool)>> {
    let slot = prop_oneof![0u32..70, 4090u32..4100, 262_140u32..262_150];
    proptest::collection::vec((slot, proptest::option::of(0u32..5), any::<bool>()), 0..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn slots_agree_with_a_map_and_clones_keep_theirs(edits in edits()) {
        let mut slots = Slots::default();
        let mut model = BTreeMap::new();
        let mut kept = Vec::new();
        for (slot, value, keep) in edits {
            if keep {
                kept.push((Slots::<u32>::clone(&slots), from_model(&model)));
            }
            slots.set(Slot(slot), value);
            match value {
                Some(value) => drop(model.insert(slot, value)),
                None => drop(model.remove(&slot)),
            }
            prop_assert_eq!(slots.get(Slot(slot)), value.as_ref());
        }
        let expected = from_model(&model);
        prop_assert_eq!(all(&slots), expected.clone());
        for (old, values) in kept {
            prop_assert_eq!(&all(&old), &values);
            let mut seen = Vec::new();
            slots.changed_since(&old, |slot, before, now| {
                assert_eq!((before, now), (old.get(slot), slots.get(slot)));
                seen.push(slot);
            });
            prop_assert!(seen.is_sorted_by(|a, b| a < b), "in order, each once");
            let differs = |slot: &Slot| old.get(*slot) != slots.get(*slot);
            let filled = values.iter().chain(&expected).map(|(slot, _)| *slot);
            prop_assert!(filled.filter(differs).all(|slot| seen.contains(&slot)));
            let mut back = 0;
            old.changed_since(&slots, |_, _, _| back += 1);
            prop_assert_eq!(back, seen.len());
        }
    }
}
