//! Columns that repeat for a whole resource or scope.

use std::sync::Arc;

use arrow::array::builder::StringBuilder;
use arrow::array::{ArrayRef, DictionaryArray, Int32Array, StringArray};
use arrow::datatypes::Int32Type;

use super::ahead::Ahead;
use crate::Result;

/// Columns that one resource or scope fills once and its spans refer to by number.
#[derive(Debug)]
pub(super) struct GroupColumns {
    values: Vec<StringBuilder>,
    groups: i32,
    keys: Vec<i32>,
}

impl GroupColumns {
    /// Columns of as many values.
    pub(super) fn new(columns: usize) -> Self {
        // Most requests hold one resource and a few scopes.
        let values = (0..columns).map(|_| StringBuilder::with_capacity(4, 64)).collect();
        Self { values, groups: 0, keys: Vec::new() }
    }

    /// Starts a resource or scope with these values; tells the bytes that they take.
    pub(super) fn begin<'a>(&mut self, row: impl IntoIterator<Item = Option<&'a str>>) -> usize {
        let mut bytes = 0_usize;
        for (builder, value) in self.values.iter_mut().zip(row) {
            builder.append_option(value);
            bytes = bytes.saturating_add(size_of::<i32>()).saturating_add(value.map_or(0, str::len));
        }
        self.groups = self.groups.saturating_add(1);
        bytes
    }

    /// Spans so far.
    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether none was begun yet.
    pub(super) fn is_empty(&self) -> bool {
        self.groups == 0
    }

    /// Gives a span to the resource or scope begun last.
    pub(super) fn append_span(&mut self) {
        self.keys.push(self.groups.saturating_sub(1));
    }

    /// Makes room for `times` as many spans.
    pub(super) fn make_room(&mut self, times: usize) -> Result<()> {
        self.keys.make_room(times)
    }

    /// Dictionaries that share one key buffer.
    pub(super) fn finish(mut self) -> Result<Vec<ArrayRef>> {
        self.keys.shrink_to_fit();
        let keys = Int32Array::from(self.keys);
        let dictionary = |values: StringArray| DictionaryArray::<Int32Type>::try_new(keys.clone(), Arc::new(values));
        let finished =
            self.values.into_iter().map(|mut builder| Ok(Arc::new(dictionary(builder.finish())?) as ArrayRef));
        finished.collect()
    }
}
