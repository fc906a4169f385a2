//! The fields of a map, taken out one by one: every fault is noted with its line, and what nobody asked for is one.

use std::cell::RefCell;

use super::yaml::{At, Node, Text};

/// Faults of one document: line (0 where unknown) and reason.
#[derive(Debug, Default)]
pub(super) struct Faults(RefCell<Vec<(u64, String)>>);

impl Faults {
    pub(super) fn add(&self, line: u64, message: impl Into<String>) {
        self.0.borrow_mut().push((line, message.into()));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }

    pub(super) fn into_inner(self) -> Vec<(u64, String)> {
        self.0.into_inner()
    }
}

/// A map that is being read.
pub(super) struct Fields<'f> {
    /// Its name in messages, such as `spec`.
    what: String,
    line: u64,
    entries: Vec<(Text, At<Node>)>,
    asked: Vec<&'static str>,
    faults: &'f Faults,
}

impl<'f> Fields<'f> {
    /// The fields of `node`, which must be a map.
    pub(super) fn of(node: At<Node>, what: &str, faults: &'f Faults) -> Option<Self> {
        match node.value {
            Node::Map(entries) => {
                Some(Self { what: what.to_owned(), line: node.line, entries, asked: Vec::new(), faults })
            }
            other => {
                faults.add(node.line, format!("{what} must be a map of fields, not {}", other.what()));
                None
            }
        }
    }

    pub(super) fn line(&self) -> u64 {
        self.line
    }

    pub(super) fn fault(&self, line: u64, message: impl Into<String>) {
        self.faults.add(line, message);
    }

    /// Takes a field out; one that is empty counts as absent.
    pub(super) fn take(&mut self, key: &'static str) -> Option<At<Node>> {
        self.asked.push(key);
        let at = self.entries.iter().position(|(name, _)| name.value == key)?;
        let (_, value) = self.entries.remove(at);
        (value.value != Node::Null).then_some(value)
    }

    /// As [`Fields::take`], and a fault when it is absent.
    pub(super) fn need(&mut self, key: &'static str, how: &str) -> Option<At<Node>> {
        let value = self.take(key);
        if value.is_none() {
            let how = if how.is_empty() { String::new() } else { format!("; {how}") };
            self.faults.add(self.line, format!("{}.{key} is missing{how}", self.what));
        }
        value
    }

    fn wrong(&self, key: &str, value: &At<Node>, wanted: &str) {
        self.faults.add(value.line, format!("{}.{key} must be {wanted}, not {}", self.what, value.value.what()));
    }

    fn as_text(&self, key: &str, value: At<Node>) -> Option<Text> {
        match value.value {
            Node::Text(text) if !text.is_empty() => Some(At { value: text, line: value.line }),
            Node::Text(_) => {
                self.faults.add(value.line, format!("{}.{key} is empty", self.what));
                None
            }
            Node::Whole(_) | Node::Real(_) | Node::Flag(_) => {
                self.wrong(key, &value, "a text in quotes");
                None
            }
            _ => {
                self.wrong(key, &value, "a text");
                None
            }
        }
    }

    pub(super) fn text(&mut self, key: &'static str) -> Option<Text> {
        let value = self.take(key)?;
        self.as_text(key, value)
    }

    /// A list of texts; a fault for each item that is none.
    pub(super) fn texts(&mut self, key: &'static str) -> Option<At<Vec<Text>>> {
        let list = self.list(key)?;
        let texts = list.value.into_iter().filter_map(|item| self.as_text(key, item)).collect();
        Some(At { value: texts, line: list.line })
    }

    pub(super) fn need_text(&mut self, key: &'static str, how: &str) -> Option<Text> {
        let value = self.need(key, how)?;
        self.as_text(key, value)
    }

    pub(super) fn number(&mut self, key: &'static str) -> Option<At<f64>> {
        let value = self.take(key)?;
        self.as_number(key, value)
    }

    /// A value taken out before, as a number.
    pub(super) fn as_number(&self, key: &str, value: At<Node>) -> Option<At<f64>> {
        #[expect(clippy::cast_precision_loss, reason = "a limit or a share, far below 2^53")]
        let number = match value.value {
            Node::Whole(number) => number as f64,
            Node::Real(number) if number.is_finite() => number,
            _ => {
                self.wrong(key, &value, "a number");
                return None;
            }
        };
        Some(At { value: number, line: value.line })
    }

    pub(super) fn flag(&mut self, key: &'static str) -> Option<At<bool>> {
        let value = self.take(key)?;
        if let Node::Flag(flag) = value.value {
            return Some(At { value: flag, line: value.line });
        }
        self.wrong(key, &value, "true or false");
        None
    }

    pub(super) fn list(&mut self, key: &'static str) -> Option<At<Vec<At<Node>>>> {
        let value = self.take(key)?;
        let line = value.line;
        if let Node::List(list) = value.value {
            return Some(At { value: list, line });
        }
        self.wrong(key, &value, "a list");
        None
    }

    /// A map whose fields are free.
    pub(super) fn free(&mut self, key: &'static str) -> Option<At<Node>> {
        let value = self.take(key)?;
        if matches!(value.value, Node::Map(_)) {
            return Some(value);
        }
        self.wrong(key, &value, "a map of fields");
        None
    }

    /// The fields of a field.
    pub(super) fn inner(&mut self, key: &'static str) -> Option<Self> {
        let value = self.take(key)?;
        Self::of(value, key, self.faults)
    }

    /// As [`Fields::inner`], and a fault when it is absent.
    pub(super) fn need_inner(&mut self, key: &'static str, how: &str) -> Option<Self> {
        let value = self.need(key, how)?;
        Self::of(value, key, self.faults)
    }

    /// The fields of one item of a list of this map.
    pub(super) fn item(&self, item: At<Node>, what: &str) -> Option<Self> {
        Self::of(item, what, self.faults)
    }

    /// Ends reading: what is left is a fault each.
    pub(super) fn end(self) {
        for (key, _) in &self.entries {
            let known = self.asked.join(", ");
            self.faults.add(key.line, format!("unknown field `{}` of {}; it has {known}", key.value, self.what));
        }
    }
}
