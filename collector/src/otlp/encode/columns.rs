//! [`Columns`]: the cells of a span batch, whichever way its strings are held.

use std::collections::HashMap;

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, Int64Array, RecordBatch, StringArray};
use arrow::buffer::OffsetBuffer;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use daytwo_storage::schema::{self, col};

use super::EncodeError;

/// Typed access to a batch with the span table's columns.
#[derive(Debug)]
pub(super) struct Columns {
    texts: HashMap<&'static str, StringArray>,
    numbers: HashMap<&'static str, Int64Array>,
    ids: HashMap<&'static str, BinaryArray>,
    offsets: OffsetBuffer<i32>,
    keys: StringArray,
    values: StringArray,
}

impl Columns {
    pub(super) fn new(batch: &RecordBatch) -> Result<Self, EncodeError> {
        let (keys, values, offsets) = attributes(batch).ok_or(EncodeError::Column(col::ATTRIBUTES))?;
        let (texts, numbers, ids) = (HashMap::new(), HashMap::new(), HashMap::new());
        let mut columns = Self { texts, numbers, ids, offsets, keys, values };
        for &name in names() {
            columns.add(name, batch).ok_or(EncodeError::Column(name))?;
        }
        Ok(columns)
    }

    fn add(&mut self, name: &'static str, batch: &RecordBatch) -> Option<()> {
        let array = batch.column_by_name(name)?;
        let schema = schema::file_schema();
        let as_stored = |kind: &DataType| cast(array, kind).ok();
        match schema.field_with_name(name).ok()?.data_type() {
            DataType::Utf8 => drop(self.texts.insert(name, text(&as_stored(&DataType::Utf8)?))),
            DataType::Binary => {
                drop(self.ids.insert(name, as_stored(&DataType::Binary)?.as_binary_opt::<i32>()?.clone()));
            }
            DataType::Int32 | DataType::Int64 => {
                drop(self.numbers.insert(name, as_stored(&DataType::Int64)?.as_primitive_opt::<Int64Type>()?.clone()));
            }
            _ => {}
        }
        Some(())
    }

    pub(super) fn text(&self, row: usize, column: &str) -> Option<&str> {
        let array = self.texts.get(column)?;
        array.is_valid(row).then(|| array.value(row))
    }

    pub(super) fn text_or_empty(&self, row: usize, column: &str) -> String {
        self.text(row, column).unwrap_or_default().to_owned()
    }

    pub(super) fn number(&self, row: usize, column: &str) -> Option<i64> {
        let array = self.numbers.get(column)?;
        array.is_valid(row).then(|| array.value(row))
    }

    /// The bytes of an id; none where it is null.
    pub(super) fn id(&self, row: usize, column: &str) -> Vec<u8> {
        let array = self.ids.get(column).filter(|array| array.is_valid(row));
        array.map(|array| array.value(row).to_vec()).unwrap_or_default()
    }

    /// Whether the row has the same texts in these columns as the one before it.
    pub(super) fn repeats(&self, row: usize, columns: &[&str]) -> bool {
        columns.iter().all(|column| self.text(row, column) == self.text(row.saturating_sub(1), column))
    }

    /// Keys and texts of the row's attributes without a column of their own.
    pub(super) fn attributes(&self, row: usize) -> impl Iterator<Item = (&str, Option<&str>)> {
        let bound = |row: usize| self.offsets.get(row).and_then(|&at| usize::try_from(at).ok()).unwrap_or(0);
        let entries = bound(row)..bound(row.saturating_add(1));
        entries.map(|at| (self.keys.value(at), self.values.is_valid(at).then(|| self.values.value(at))))
    }
}

/// All columns but the map, which has its own way.
fn names() -> &'static [&'static str] {
    static NAMES: std::sync::LazyLock<Vec<&'static str>> = std::sync::LazyLock::new(|| {
        let fixed = [
            &[col::TRACE_ID, col::SPAN_ID, col::PARENT_SPAN_ID, col::TRACE_STATE, col::FLAGS, col::NAME, col::KIND][..],
            &[col::START, col::DURATION, col::RAW_END, col::STATUS_CODE, col::STATUS_MESSAGE, col::ATTRIBUTE_TYPES],
            &[col::EVENTS, col::LINKS, col::DROPPED_ATTRIBUTES_COUNT, col::DROPPED_EVENTS_COUNT],
            &[col::DROPPED_LINKS_COUNT],
            super::RESOURCE,
            super::SCOPE,
        ];
        fixed.concat().into_iter().chain(schema::PROMOTED.iter().map(|promoted| promoted.column)).collect()
    });
    &NAMES
}

fn text(array: &ArrayRef) -> StringArray {
    array.as_string::<i32>().clone()
}

fn attributes(batch: &RecordBatch) -> Option<(StringArray, StringArray, OffsetBuffer<i32>)> {
    let map = batch.column_by_name(col::ATTRIBUTES)?.as_map_opt()?;
    let plain = |array: &ArrayRef| Some(text(&cast(array, &DataType::Utf8).ok()?));
    Some((plain(map.keys())?, plain(map.values())?, map.offsets().clone()))
}
