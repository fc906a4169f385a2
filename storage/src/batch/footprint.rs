//! What the spans of a growing batch take in memory: a column that no span fills takes nothing, however many there are.

use std::sync::LazyLock;

use arrow::array::{Array, ArrayData, ArrayRef};
use arrow::datatypes::{DataType, Field};

use super::absent::{self, Absent};
use crate::schema;

/// Bits that a row takes in the columns that every batch has, its texts and its parent aside.
static ROW_BITS: LazyLock<usize> = LazyLock::new(|| {
    let schema = schema::memory_schema();
    let (ids, keys) = (16 + 8, 4 + 4);
    let others: usize = schema.fields().iter().map(|field| width(field)).sum();
    others.saturating_add(8 * (ids + keys))
});

/// Bits of a row of a column that is always there.
fn width(field: &Field) -> usize {
    match field.data_type() {
        // Resources share one buffer of keys, and scopes another.
        DataType::Dictionary(..) => 0,
        // Of a parent, whether there is one.
        DataType::Binary => 33,
        // Those are absent until a span fills them.
        _ if field.is_nullable() => 0,
        DataType::Int64 => 64,
        _ => 32,
    }
}

/// Bytes that the spans so far take as arrays, from below: growing arrays may hold as much again ahead.
#[derive(Debug)]
pub(super) struct Footprint {
    rows: usize,
    bits: usize,
    row_bits: usize,
}

impl Footprint {
    pub(super) fn new() -> Self {
        Self { rows: 0, bits: 0, row_bits: *ROW_BITS }
    }

    pub(super) fn bytes(&self) -> usize {
        let absent = if Absent::are_shared(self.rows) { 0 } else { self.rows.saturating_mul(Absent::ROW_BYTES) };
        (self.bits / 8).saturating_add(absent)
    }

    /// One more row.
    pub(super) fn row(&mut self) {
        self.rows = self.rows.saturating_add(1);
        self.bits = self.bits.saturating_add(self.row_bits);
    }

    /// So many bytes of text.
    pub(super) fn text(&mut self, bytes: usize) {
        self.bits = self.bits.saturating_add(bytes.saturating_mul(8));
    }

    /// A column whose values take so many bytes, and a bit each, got its first one after `rows` rows.
    pub(super) fn column(&mut self, value_bytes: usize, rows: usize) {
        let bits = value_bytes.saturating_mul(8).saturating_add(1);
        self.row_bits = self.row_bits.saturating_add(bits);
        self.bits = self.bits.saturating_add(bits.saturating_mul(rows));
    }
}

/// Bytes that finished columns hold: buffers that several share count once, those that all batches share not at all.
pub(super) fn held(columns: &[ArrayRef]) -> usize {
    let (mut buffers, mut bytes) = (Vec::with_capacity(columns.len().saturating_mul(2)), size_of_val(columns));
    for column in columns.iter().filter(|column| !absent::is_shared(column)) {
        collect(&column.to_data(), &mut buffers);
        let beside = column.get_array_memory_size().saturating_sub(column.get_buffer_memory_size());
        bytes = bytes.saturating_add(beside);
    }
    buffers.sort_unstable();
    buffers.dedup();
    buffers.iter().fold(bytes, |sum, (_, bytes)| sum.saturating_add(*bytes))
}

fn collect(data: &ArrayData, buffers: &mut Vec<(usize, usize)>) {
    let nulls = data.nulls().map(|nulls| nulls.buffer());
    buffers
        .extend(data.buffers().iter().chain(nulls).map(|buffer| (buffer.data_ptr().addr().get(), buffer.capacity())));
    data.child_data().iter().for_each(|child| collect(child, buffers));
}
