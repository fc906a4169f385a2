//! [`AttributeList`]: the attributes of one span, event, link, resource or scope, with distinct keys.
//!
//! The list is scratch: it is cleared and filled again for each owner, so in steady state it does not allocate.

use std::borrow::Cow;

use daytwo_storage::batch::{AttributeKey, AttributeValue};
use daytwo_storage::schema::anomaly;

use super::Limits;
use super::keys::{KeyNumber, KeyTable, OWNED_MAX};
use super::text::{self, push_json_key, push_json_value, push_number};

/// Attributes in the order of first appearance; where a key comes again the later value wins.
#[derive(Debug)]
pub(super) struct AttributeList<'a> {
    entries: Vec<(KeyNumber, AttributeValue<'a>)>,
    keys: KeyTable<'a>,
    entries_max: usize,
    /// Attributes left out because of the limit.
    pub(super) cut: u32,
}

impl<'a> AttributeList<'a> {
    pub(super) fn new(limits: &Limits) -> Self {
        let entries_max = limits.items_max.min(OWNED_MAX);
        Self { entries: Vec::new(), keys: KeyTable::new(limits.key_seed), entries_max, cut: 0 }
    }

    pub(super) fn clear(&mut self) {
        self.entries.clear();
        self.keys.next_owner();
        self.cut = 0;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Keys and values, in order.
    #[inline]
    pub(super) fn iter(&self) -> impl Iterator<Item = (&AttributeKey<'a>, &AttributeValue<'a>)> {
        self.entries.iter().filter_map(|(number, value)| Some((self.keys.key(*number)?, value)))
    }

    /// As [`push`](Self::push), with the key as its bytes came.
    #[inline]
    pub(super) fn push_bytes(
        &mut self,
        key: &'a [u8],
        value: AttributeValue<'a>,
        limits: &Limits,
        anomalies: &mut i64,
    ) {
        // Known keys are whole and valid, so one with the same bytes is as well.
        match self.keys.find(key) {
            Some(number) => self.put(number, value, anomalies),
            None => self.push(text::from_utf8(key, limits.value_bytes_max, anomalies), value, anomalies),
        }
    }

    /// Adds an attribute, replaces the one of the same key, or counts it as cut when the list is full.
    pub(super) fn push(&mut self, key: Cow<'a, str>, value: AttributeValue<'a>, anomalies: &mut i64) {
        match self.keys.find(key.as_bytes()) {
            Some(number) => self.put(number, value, anomalies),
            None if self.entries.len() >= self.entries_max => self.leave_out(anomalies),
            None => {
                let number = self.keys.add(key);
                self.put(number, value, anomalies);
            }
        }
    }

    #[inline]
    fn put(&mut self, number: KeyNumber, value: AttributeValue<'a>, anomalies: &mut i64) {
        let end = self.entries.len();
        match self.keys.place(number, end) {
            None if end < self.entries_max => self.entries.push((number, value)),
            None => self.leave_out(anomalies),
            Some(place) => self.replace(place, value, anomalies),
        }
    }

    #[cold]
    fn replace(&mut self, place: usize, value: AttributeValue<'a>, anomalies: &mut i64) {
        match self.entries.get_mut(place) {
            Some(entry) => {
                *anomalies |= anomaly::DUPLICATE_KEY;
                entry.1 = value;
            }
            // It came before, when the list was full already.
            None => self.leave_out(anomalies),
        }
    }

    #[cold]
    fn leave_out(&mut self, anomalies: &mut i64) {
        *anomalies |= anomaly::COUNT_CUT;
        self.cut = self.cut.saturating_add(1);
    }

    /// Takes the non-empty text under `key` out of the list.
    pub(super) fn take_text(&mut self, key: &str) -> Option<Cow<'a, str>> {
        let is_text = |value: &AttributeValue<'a>| matches!(value, AttributeValue::Text(text) if !text.is_empty());
        let index = self.iter().position(|(found, value)| found.text() == key && is_text(value))?;
        // Where the keys are is stale from here on; `clear` comes before the next `push`.
        match self.entries.remove(index).1 {
            AttributeValue::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The non-empty text under `key`, which stays in the list.
    pub(super) fn text(&self, key: &str) -> Option<Cow<'a, str>> {
        self.iter().find(|(found, _)| found.text() == key).and_then(|(_, value)| match value {
            AttributeValue::Text(text) if !text.is_empty() => Some(text.clone()),
            _ => None,
        })
    }

    /// Appends the attributes as a JSON object, with the count of dropped ones under `$dropped_attributes_count`.
    pub(super) fn push_json_object(&self, out: &mut String, dropped: u32) {
        out.push('{');
        let mut separator = "";
        for (key, value) in self.iter() {
            out.push_str(separator);
            push_json_key(out, key.text());
            push_json_value(out, value);
            separator = ",";
        }
        if dropped > 0 {
            push_number(out, format_args!("{separator}\"$dropped_attributes_count\":{dropped}"));
        }
        out.push('}');
    }
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
                list.push(key.into(), AttributeValue::Integer(number), &mut anomalies);
            }
            let kept: Vec<_> = list.iter().map(|(key, value)| (key.text(), value.clone())).collect();
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
            list.push(key.as_str().into(), AttributeValue::Empty, &mut anomalies);
        }
        let distinct: std::collections::HashSet<_> = keys.iter().collect();
        assert_eq!((list.iter().count(), list.cut), (distinct.len(), 0));
    }
}
