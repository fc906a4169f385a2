//! [`KeyTable`]: the attribute keys of a request, each looked at once.
//!
//! Spans of one operation have the same keys in the same order, so the key that came after another one the last times is compared first, and a
//! key that is known needs neither hash nor UTF-8 check. Which keys an owner (a span, event, resource …) has already is a mark on the key.

use std::borrow::Cow;

use daytwo_storage::batch::AttributeKey;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Most attributes that an owner may have.
pub(super) const OWNED_MAX: usize = 1024;
/// Known keys beyond which the table begins anew with the next owner.
const KNOWN_MAX: usize = 1024;
/// Slots of the table, at least twice the keys that it ever has, so that a probe always ends soon.
const SLOTS: usize = 4096;
/// Stands for no key.
const NONE: u16 = u16::MAX;

/// A key by its number in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct KeyNumber(u16);

/// The keys that came after one, the latest first.
#[derive(Debug, Clone, Copy)]
struct Followers([u16; 2]);

/// What is known of a key.
#[derive(Debug)]
struct Mark {
    /// The owner that had it last, and where in its list.
    owner: u32,
    at: u32,
    after: Followers,
}

/// Keys of a request, and which of them the current owner has.
#[derive(Debug)]
pub(super) struct KeyTable<'a> {
    keys: Vec<AttributeKey<'a>>,
    /// As many as there are keys.
    marks: Vec<Mark>,
    /// Numbers of keys by their hash; empty until the first key comes.
    slots: Vec<u16>,
    seed: u64,
    owner: u32,
    /// The owner's key before.
    before: u16,
    /// The keys that owners begin with.
    first: Followers,
}

impl<'a> KeyTable<'a> {
    pub(super) fn new(seed: u64) -> Self {
        let first = Followers([NONE; 2]);
        Self { keys: Vec::new(), marks: Vec::new(), slots: Vec::new(), seed, owner: 0, before: NONE, first }
    }

    /// From here on keys are of another owner, who has none yet.
    pub(super) fn next_owner(&mut self) {
        self.before = NONE;
        self.owner = self.owner.wrapping_add(1);
        if self.keys.len() > KNOWN_MAX || self.owner == 0 {
            *self = Self { owner: 1, ..Self::new(self.seed) };
        }
    }

    /// The key of these bytes, if it is known.
    #[inline]
    pub(super) fn find(&mut self, bytes: &[u8]) -> Option<KeyNumber> {
        let Followers([latest, _]) = *self.followers();
        if self.is(latest, bytes) {
            self.before = latest;
            return Some(KeyNumber(latest));
        }
        self.find_other(bytes)
    }

    fn find_other(&mut self, bytes: &[u8]) -> Option<KeyNumber> {
        let Followers([_, other]) = *self.followers();
        let number = if self.is(other, bytes) { other } else { self.hashed(bytes)? };
        self.came(number);
        Some(KeyNumber(number))
    }

    /// Adds a key that is not known.
    pub(super) fn add(&mut self, text: Cow<'a, str>) -> KeyNumber {
        if self.slots.is_empty() {
            self.slots = vec![NONE; SLOTS];
        }
        let number = u16::try_from(self.keys.len()).unwrap_or(NONE);
        let free = self.probes(text.as_bytes()).find(|slot| self.slots.get(*slot) == Some(&NONE));
        if let Some(slot) = free.and_then(|slot| self.slots.get_mut(slot)) {
            *slot = number;
        }
        self.keys.push(AttributeKey::new(text));
        self.marks.push(Mark { owner: self.owner.wrapping_sub(1), at: 0, after: Followers([NONE; 2]) });
        self.came(number);
        KeyNumber(number)
    }

    /// The key, for its owner's list.
    #[inline]
    pub(super) fn key(&self, number: KeyNumber) -> Option<&AttributeKey<'a>> {
        self.keys.get(usize::from(number.0))
    }

    /// Where in its list the current owner has the key; if it has not, it has it at `at` from now on.
    #[inline]
    pub(super) fn place(&mut self, number: KeyNumber, at: usize) -> Option<usize> {
        let mark = self.marks.get_mut(usize::from(number.0))?;
        if mark.owner == self.owner {
            return usize::try_from(mark.at).ok();
        }
        (mark.owner, mark.at) = (self.owner, u32::try_from(at).unwrap_or(u32::MAX));
        None
    }

    #[inline]
    fn is(&self, number: u16, bytes: &[u8]) -> bool {
        self.keys.get(usize::from(number)).is_some_and(|key| key.text().as_bytes() == bytes)
    }

    #[inline]
    fn followers(&mut self) -> &mut Followers {
        match self.marks.get_mut(usize::from(self.before)) {
            Some(mark) => &mut mark.after,
            None => &mut self.first,
        }
    }

    fn came(&mut self, number: u16) {
        let followers = self.followers();
        *followers = Followers([number, followers.0[0]]);
        self.before = number;
    }

    fn hashed(&self, bytes: &[u8]) -> Option<u16> {
        let numbers = self.probes(bytes).map_while(|slot| self.slots.get(slot).copied().filter(|found| *found != NONE));
        numbers.into_iter().find(|number| self.is(*number, bytes))
    }

    /// Slots in which a key may be, in order. The whole key is hashed with a seed that clients do not know: with any part left out, or a
    /// known seed, a thousand keys could be made to meet in one slot, and each would be compared with all before it.
    fn probes(&self, bytes: &[u8]) -> impl Iterator<Item = usize> + use<> {
        let start = first_slot(bytes, self.seed);
        (start..SLOTS).chain(0..start)
    }
}

fn first_slot(key: &[u8], seed: u64) -> usize {
    usize::try_from(xxh3_64_with_seed(key, seed) >> 52).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The most keys that begin at one slot.
    fn longest_chain<'k>(keys: impl IntoIterator<Item = &'k String>, seed: u64) -> usize {
        let mut chains = vec![0; SLOTS];
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
            // A thousand keys in four thousand slots: more than a dozen in one is less likely than one in a billion.
            assert!(longest_chain(&chosen, seed) <= 12 && longest_chain(&alike, seed) <= 12, "{seed}");
        }
        assert!(longest_chain(&alike, 0) <= 12);
    }

    /// Scenario: owners with keys of three thousand, in orders that agree, alternate and never come again; more keys than the table
    /// may have.
    /// Guarantees: a known key is found by its bytes and only by them, an owner has what it was given and nothing of others, as a plain
    /// map says, and the table stays within its limit.
    #[test]
    fn agrees_with_a_map() {
        let all: Vec<String> = (0..3_000).map(|n| format!("{}{n}", "k".repeat(n % 20))).collect();
        let mut table = KeyTable::new(3);
        for owner in 0..600_usize {
            table.next_owner();
            let start = if owner % 3 == 0 { 0 } else { owner * 7 % 2_900 };
            let mut model = std::collections::HashMap::new();
            for (at, key) in all[start..start + 40].iter().chain(&all[..owner % 40]).enumerate() {
                let number = table.find(key.as_bytes());
                let number = number.unwrap_or_else(|| table.add(Cow::Borrowed(key.as_str())));
                assert_eq!(table.key(number).unwrap().text(), key);
                assert_eq!(table.place(number, at), model.get(key).copied(), "{key} of owner {owner}");
                model.entry(key).or_insert(at);
            }
            assert_eq!(table.find(b"nobody has this"), None);
            assert!(table.keys.len() <= KNOWN_MAX + OWNED_MAX);
        }
    }
}
