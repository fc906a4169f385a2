//! The attributes of spans: those with a column of their own, the rest in a map with their types beside it.

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

use arrow::array::builder::{Int64Builder, StringBuilder};
use arrow::array::{ArrayBuilder, ArrayRef, MapArray, StringArray, StructArray};
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Field};

use super::AttributeValue;
use super::absent::Absent;
use super::ahead::Ahead;
use super::footprint::Footprint;
use super::sparse::Sparse;
use crate::Result;
use crate::schema::{self, PROMOTED, PromotedType};

#[derive(Debug)]
enum PromotedColumn {
    Text(Sparse<StringBuilder>),
    Integer(Sparse<Int64Builder>),
}

impl PromotedColumn {
    fn new(kind: PromotedType) -> Self {
        match kind {
            PromotedType::Text => Self::Text(Sparse::new()),
            PromotedType::Integer => Self::Integer(Sparse::new()),
        }
    }

    /// Takes the value if it is of the column's type and the row has none yet.
    fn take(&mut self, row: usize, value: &AttributeValue<'_>, footprint: &mut Footprint) -> bool {
        match (self, value) {
            (Self::Text(column), AttributeValue::Text(text)) if !column.has(row) => column.set(row, text, footprint),
            (Self::Integer(column), AttributeValue::Integer(number)) if !column.has(row) => {
                column.set(row, *number, footprint);
            }
            _ => return false,
        }
        true
    }

    fn make_room(&mut self, times: usize) -> Result<()> {
        match self {
            Self::Text(column) => column.make_room(times),
            Self::Integer(column) => column.make_room(times),
        }
    }

    fn finish(self, rows: usize, absent: &Absent) -> ArrayRef {
        match self {
            Self::Text(column) => column.finish(rows, absent),
            Self::Integer(column) => column.finish(rows, absent),
        }
    }
}

/// Promoted keys by their length: few share one, so most attributes are told apart without comparing text.
static BY_LENGTH: LazyLock<Vec<Vec<usize>>> = LazyLock::new(|| {
    let longest = PROMOTED.iter().map(|promoted| promoted.key.len()).max().unwrap_or(0);
    let of_length = |length| {
        let numbered = PROMOTED.iter().enumerate();
        numbered.filter(|(_, promoted)| promoted.key.len() == length).map(|(index, _)| index).collect()
    };
    (0..=longest).map(of_length).collect()
});

/// The position of a key among the promoted ones.
fn promoted(key: &str) -> Option<usize> {
    let candidates = BY_LENGTH.get(key.len())?;
    candidates.iter().copied().find(|&index| PROMOTED.get(index).is_some_and(|promoted| promoted.key == key))
}

/// The key of a span attribute. Whether a column of its own awaits it is found out once, however many spans have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttributeKey<'a> {
    text: Cow<'a, str>,
    column: Option<usize>,
}

impl<'a> AttributeKey<'a> {
    /// A key as sent.
    pub fn new(text: Cow<'a, str>) -> Self {
        Self { column: promoted(&text), text }
    }

    /// The key as sent.
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl<'a> From<&'a str> for AttributeKey<'a> {
    fn from(text: &'a str) -> Self {
        Self::new(Cow::Borrowed(text))
    }
}

impl From<String> for AttributeKey<'_> {
    fn from(text: String) -> Self {
        Self::new(Cow::Owned(text))
    }
}

/// The columns that hold attributes.
#[derive(Debug)]
pub(super) struct AttributeColumns {
    promoted: Vec<PromotedColumn>,
    offsets: Vec<i32>,
    keys: StringBuilder,
    values: StringBuilder,
    types: Sparse<StringBuilder>,
    /// Scratch: a letter for each attribute of the current span's map, and a number's text.
    letters: String,
    number: String,
}

impl AttributeColumns {
    pub(super) fn new() -> Self {
        Self {
            promoted: PROMOTED.iter().map(|promoted| PromotedColumn::new(promoted.kind)).collect(),
            offsets: vec![0],
            keys: StringBuilder::new(),
            values: StringBuilder::new(),
            types: Sparse::new(),
            letters: String::new(),
            number: String::new(),
        }
    }

    /// Makes room for `times` as many spans.
    pub(super) fn make_room(&mut self, times: usize) -> Result<()> {
        self.promoted.iter_mut().try_for_each(|column| column.make_room(times))?;
        self.offsets.make_room(times)?;
        self.keys.make_room(times)?;
        self.values.make_room(times)?;
        self.types.make_room(times)
    }

    /// Appends the attributes of span `row`, one more than there are, and its start as sent where nothing else tells it.
    pub(super) fn append<'k>(
        &mut self,
        row: usize,
        attributes: impl IntoIterator<Item = (&'k AttributeKey<'k>, &'k AttributeValue<'k>)>,
        raw_start: Option<u64>,
        footprint: &mut Footprint,
    ) {
        self.letters.clear();
        for (key, value) in attributes {
            if !self.promote(row, key, value, footprint) {
                footprint.text(self.append_to_map(&key.text, value));
            }
        }
        if let Some(start) = raw_start {
            let (key, letter) = (schema::RAW_START_KEY, schema::RAW_START_LETTER);
            footprint.text(self.append_entry(key, letter, Some(&start.to_string())));
        }
        self.offsets.push(i32::try_from(self.keys.len()).unwrap_or(i32::MAX));
        if self.letters.bytes().any(|letter| letter != b's') {
            self.types.set(row, &self.letters, footprint);
        }
    }

    /// Puts the value in its own column, if it has one of that type that is still free.
    fn promote(
        &mut self,
        row: usize,
        key: &AttributeKey<'_>,
        value: &AttributeValue<'_>,
        footprint: &mut Footprint,
    ) -> bool {
        let column = key.column.and_then(|index| self.promoted.get_mut(index));
        column.is_some_and(|column| column.take(row, value, footprint))
    }

    /// Tells the bytes that they take.
    fn append_to_map(&mut self, key: &str, value: &AttributeValue<'_>) -> usize {
        let mut digits = itoa::Buffer::new();
        let mut number = std::mem::take(&mut self.number);
        number.clear();
        let (letter, text): (char, Option<&str>) = match value {
            AttributeValue::Text(text) => ('s', Some(text)),
            AttributeValue::Bytes(text) => ('x', Some(text)),
            AttributeValue::Json(text) => ('j', Some(text)),
            AttributeValue::Bool(true) => ('b', Some("true")),
            AttributeValue::Bool(false) => ('b', Some("false")),
            AttributeValue::Empty => ('n', None),
            AttributeValue::Integer(integer) => ('i', Some(digits.format(*integer))),
            AttributeValue::Double(double) => ('d', write_double(&mut number, *double)),
        };
        let bytes = self.append_entry(key, letter, text);
        self.number = number;
        bytes
    }

    fn append_entry(&mut self, key: &str, letter: char, text: Option<&str>) -> usize {
        self.keys.append_value(key);
        self.values.append_option(text);
        self.letters.push(letter);
        // And their offsets.
        key.len().saturating_add(text.map_or(0, str::len)).saturating_add(2 * size_of::<i32>())
    }

    /// The promoted columns, the map and the types.
    pub(super) fn finish(mut self, rows: usize, absent: &Absent) -> Result<Vec<ArrayRef>> {
        let mut columns: Vec<ArrayRef> = self.promoted.into_iter().map(|column| column.finish(rows, absent)).collect();
        columns.push(finish_map(self.offsets, self.keys.finish(), self.values.finish())?);
        columns.push(self.types.finish(rows, absent));
        Ok(columns)
    }
}

fn finish_map(offsets: Vec<i32>, keys: StringArray, values: StringArray) -> Result<ArrayRef> {
    let entries = StructArray::try_new(schema::attribute_entry_fields(), vec![Arc::new(keys), Arc::new(values)], None)?;
    let field = Arc::new(Field::new("key_value", DataType::Struct(schema::attribute_entry_fields()), false));
    let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
    Ok(Arc::new(MapArray::try_new(field, offsets, entries, None, false)?))
}

/// Writes a double the way protobuf JSON names the special values, and otherwise so that it reads back the same.
fn write_double(out: &mut String, number: f64) -> Option<&str> {
    use std::fmt::Write;
    let written = if number.is_nan() {
        out.write_str("NaN")
    } else if number.is_infinite() {
        out.write_str(if number > 0.0 { "Infinity" } else { "-Infinity" })
    } else {
        write!(out, "{number:?}")
    };
    written.ok().map(|()| out.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scenario: every promoted key, and keys that differ from one in a letter or the length.
    /// Guarantees: each is found at its place and nothing else is.
    #[test]
    fn promoted_keys_are_found() {
        for (index, one) in PROMOTED.iter().enumerate() {
            assert_eq!(promoted(one.key), Some(index));
            assert_eq!(promoted(&one.key.replace('.', "_")), None);
            assert_eq!(promoted(&format!("{}s", one.key)), None);
        }
        assert_eq!(promoted(""), None);
        assert_eq!(promoted(&"x".repeat(500)), None);
    }
}
