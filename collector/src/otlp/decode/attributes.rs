//! [`AttributeList`]: the attributes of one span, event, link, resource or scope, with distinct keys.
//!
//! The list is scratch: it is cleared and filled again for each owner, so in steady state it does not allocate.

use std::borrow::Cow;

use daytwo_storage::batch::AttributeValue;
use daytwo_storage::schema::anomaly;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::Limits;
use super::text::{push_json_key, push_json_value, push_number};

/// Key and value.
pub(super) type Attribute<'a> = (Cow<'a, str>, AttributeValue<'a>);

/// Attributes in the order of first appearance; where a key comes again the later value wins.
#[derive(Debug)]
pub(super) struct AttributeList<'a> {
    entries: Vec<Attribute<'a>>,
    keys: KeyIndex,
    /// Attributes left out because of the limit.
    pub(super) cut: u32,
}

impl<'a> AttributeList<'a> {
    pub(super) fn new(limits: &Limits) -> Self {
        Self { entries: Vec::new(), keys: KeyIndex::new(limits.key_seed), cut: 0 }
    }

    pub(super) fn clear(&mut self) {
        self.entries.clear();
        self.keys.clear();
        self.cut = 0;
    }

    pub(super) fn entries(&self) -> &[Attribute<'a>] {
        &self.entries
    }

    /// Adds an attribute, replaces the one of the same key, or counts it as cut when the list is full.
    pub(super) fn push(&mut self, key: Cow<'a, str>, value: AttributeValue<'a>, limits: &Limits, anomalies: &mut i64) {
        let found = self.keys.find_or_insert(&key, &self.entries);
        if let Found::At(index) = found {
            *anomalies |= anomaly::DUPLICATE_KEY;
            if let Some(entry) = self.entries.get_mut(index) {
                entry.1 = value;
            }
        } else if self.entries.len() >= limits.items_max.min(KeyIndex::ENTRIES_MAX) {
            *anomalies |= anomaly::COUNT_CUT;
            self.cut = self.cut.saturating_add(1);
        } else {
            if let Found::Free(slot) = found {
                self.keys.occupy(slot, self.entries.len());
            }
            self.entries.push((key, value));
        }
    }

    /// Takes the non-empty text under `key` out of the list.
    pub(super) fn take_text(&mut self, key: &str) -> Option<Cow<'a, str>> {
        let is_it = |entry: &Attribute<'a>| {
            entry.0 == key && matches!(&entry.1, AttributeValue::Text(text) if !text.is_empty())
        };
        let index = self.entries.iter().position(is_it)?;
        // The index of keys is stale from here on; `clear` comes before the next `push`.
        match self.entries.remove(index).1 {
            AttributeValue::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The non-empty text under `key`, which stays in the list.
    pub(super) fn text(&self, key: &str) -> Option<Cow<'a, str>> {
        self.entries.iter().find(|entry| entry.0 == key).and_then(|entry| match &entry.1 {
            AttributeValue::Text(text) if !text.is_empty() => Some(text.clone()),
            _ => None,
        })
    }

    /// Appends the attributes as a JSON object, with the count of dropped ones under `$dropped_attributes_count`.
    pub(super) fn push_json_object(&self, out: &mut String, dropped: u32) {
        out.push('{');
        let mut separator = "";
        for (key, value) in &self.entries {
            out.push_str(separator);
            push_json_key(out, key);
            push_json_value(out, value);
            separator = ",";
        }
        if dropped > 0 {
            push_number(out, format_args!("{separator}\"$dropped_attributes_count\":{dropped}"));
        }
        out.push('}');
    }
}

enum Found {
    At(usize),
    Free(usize),
    Nowhere,
}

/// An open-addressed table from key to entry. A slot counts only if it carries the current generation, so clearing is one addition.
#[derive(Debug)]
struct KeyIndex {
    slots: Vec<(u32, u32)>,
    generation: u32,
    seed: u64,
}

impl KeyIndex {
    const SLOTS: usize = 2048;
    /// Half the slots, so that a probe always ends soon.
    const ENTRIES_MAX: usize = 1024;

    fn new(seed: u64) -> Self {
        Self { slots: vec![(0, 0); Self::SLOTS], generation: 1, seed }
    }

    fn clear(&mut self) {
        self.generation = self.generation.checked_add(1).unwrap_or_else(|| {
            self.slots.fill((0, 0));
            1
        });
    }

    fn find_or_insert(&self, key: &str, entries: &[Attribute<'_>]) -> Found {
        let start = first_slot(key.as_bytes(), self.seed);
        let probes = (start..Self::SLOTS).chain(0..start);
        for slot in probes {
            match self.slots.get(slot) {
                Some(&(generation, index)) if generation == self.generation => {
                    let index = usize::try_from(index).unwrap_or(usize::MAX);
                    if entries.get(index).is_some_and(|entry| entry.0 == key) {
                        return Found::At(index);
                    }
                }
                _ => return Found::Free(slot),
            }
        }
        Found::Nowhere
    }

    fn occupy(&mut self, slot: usize, index: usize) {
        if let Some(entry) = self.slots.get_mut(slot) {
            *entry = (self.generation, u32::try_from(index).unwrap_or(u32::MAX));
        }
    }
}

/// Hashes the whole key with a seed that clients do not know: with any part left out, or a known seed, a thousand keys could be
/// made to meet in one slot, and each would be compared with all before it.
#[inline]
fn first_slot(key: &[u8], seed: u64) -> usize {
    usize::try_from(xxh3_64_with_seed(key, seed) >> 53).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scenario: keys with repetitions, more of them than the limit, in a list used twice.
    /// Guarantees: the last value wins, the first position stays, the rest is counted, and nothing leaks into the next use.
    #[test]
    fn last_value_wins_and_the_rest_is_counted() {
        let limits = Limits { items_max: 3, ..Limits::default() };
        let mut list = AttributeList::new(&limits);
        for _ in 0..2 {
            let mut anomalies = 0;
            list.clear();
            for (key, number) in [("a", 1), ("b", 2), ("a", 3), ("c", 4), ("d", 5), ("b", 6), ("e", 7)] {
                list.push(key.into(), AttributeValue::Integer(number), &limits, &mut anomalies);
            }
            let kept: Vec<_> = list.entries().iter().map(|(key, value)| (key.as_ref(), value.clone())).collect();
            let number = AttributeValue::Integer;
            assert_eq!(kept, [("a", number(3)), ("b", number(6)), ("c", number(4))]);
            assert_eq!(list.cut, 2);
            assert_eq!(anomalies, anomaly::DUPLICATE_KEY | anomaly::COUNT_CUT);
        }
    }

    /// Scenario: 1,024 keys of all lengths, each added twice.
    /// Guarantees: the index agrees with a plain set.
    #[test]
    fn index_agrees_with_a_set() {
        let keys: Vec<String> = (0..1024).map(|n| format!("{}{n}", "k".repeat(n % 20))).collect();
        let (mut list, mut anomalies) = (AttributeList::new(&Limits::default()), 0);
        for key in keys.iter().chain(&keys) {
            list.push(key.as_str().into(), AttributeValue::Empty, &Limits::default(), &mut anomalies);
        }
        let distinct: std::collections::HashSet<_> = keys.iter().collect();
        assert_eq!((list.entries().len(), list.cut), (distinct.len(), 0));
    }

    /// The most keys that begin at one slot.
    fn longest_chain<'k>(keys: impl IntoIterator<Item = &'k String>, seed: u64) -> usize {
        let mut chains = vec![0; KeyIndex::SLOTS];
        keys.into_iter().for_each(|key| chains[first_slot(key.as_bytes(), seed)] += 1);
        chains.into_iter().max().unwrap()
    }

    /// Scenario: a thousand keys that are alike in length and at both ends; as many that meet in one slot under the seed 0.
    /// Guarantees: the first are spread under any seed, the second under any other.
    #[test]
    fn chosen_keys_do_not_meet() {
        let alike: Vec<String> = (0..1024).map(|n| format!("semantic.{n:08}.convention")).collect();
        let meets = |key: &String| first_slot(key.as_bytes(), 0) == 7;
        let chosen: Vec<String> = (0..).map(|n: u32| format!("key.{n}")).filter(meets).take(1024).collect();
        assert_eq!(longest_chain(&chosen, 0), 1024);
        for seed in [1, 0x5EED, u64::MAX] {
            // A thousand keys in two thousand slots: more than a dozen in one is less likely than one in a billion.
            assert!(longest_chain(&chosen, seed) <= 12 && longest_chain(&alike, seed) <= 12, "{seed}");
        }
        assert!(longest_chain(&alike, 0) <= 12);
    }
}
