//! Columns that most spans leave empty: a null costs nothing until a value comes after it.

use std::sync::Arc;

use arrow::array::builder::{Int64Builder, StringBuilder};
use arrow::array::{Array, ArrayRef};

use super::absent::Absent;
use super::ahead::Ahead;
use super::footprint::Footprint;
use crate::Result;

/// A builder that nulls can be appended to in bulk.
pub(super) trait NullableBuilder: Ahead {
    /// What it takes.
    type Value<'a>;
    /// Bytes that each row takes once there is a value, its text aside.
    const ROW_BYTES: usize;

    /// An empty one that has allocated nothing.
    fn empty() -> Self;
    /// Bytes of its text, if it is one.
    fn text_bytes(value: &Self::Value<'_>) -> usize;
    fn append_nulls(&mut self, nulls: usize);
    fn append_value(&mut self, value: Self::Value<'_>);
    fn finish(&mut self) -> ArrayRef;
}

impl NullableBuilder for StringBuilder {
    type Value<'a> = &'a str;
    const ROW_BYTES: usize = size_of::<i32>();

    fn empty() -> Self {
        Self::with_capacity(0, 0)
    }

    fn text_bytes(value: &&str) -> usize {
        value.len()
    }

    fn append_nulls(&mut self, nulls: usize) {
        self.append_nulls(nulls);
    }

    fn append_value(&mut self, value: &str) {
        self.append_value(value);
    }

    fn finish(&mut self) -> ArrayRef {
        Arc::new(self.finish())
    }
}

impl NullableBuilder for Int64Builder {
    type Value<'a> = i64;
    const ROW_BYTES: usize = size_of::<i64>();

    fn empty() -> Self {
        Self::with_capacity(0)
    }

    fn text_bytes(_value: &i64) -> usize {
        0
    }

    fn append_nulls(&mut self, nulls: usize) {
        self.append_nulls(nulls);
    }

    fn append_value(&mut self, value: i64) {
        self.append_value(value);
    }

    fn finish(&mut self) -> ArrayRef {
        Arc::new(self.finish())
    }
}

/// A column whose rows are null unless said otherwise.
#[derive(Debug)]
pub(super) struct Sparse<B> {
    builder: B,
    rows: usize,
}

impl<B: NullableBuilder> Sparse<B> {
    pub(super) fn new() -> Self {
        Self { builder: B::empty(), rows: 0 }
    }

    /// Makes room for `times` as many rows; a column that nobody has filled yet stays as it is.
    pub(super) fn make_room(&mut self, times: usize) -> Result<()> {
        if self.rows == 0 { Ok(()) } else { self.builder.make_room(times) }
    }

    /// Whether `row` has a value.
    pub(super) fn has(&self, row: usize) -> bool {
        self.rows > row
    }

    /// Gives `row`, which must have none and come after every row that has one, its value.
    pub(super) fn set(&mut self, row: usize, value: B::Value<'_>, footprint: &mut Footprint) {
        if self.rows == 0 {
            footprint.column(B::ROW_BYTES, row.saturating_add(1));
        }
        footprint.text(B::text_bytes(&value));
        self.pad(row);
        self.builder.append_value(value);
        self.rows = self.rows.saturating_add(1);
    }

    fn pad(&mut self, rows: usize) {
        let nulls = rows.saturating_sub(self.rows);
        if nulls > 0 {
            self.builder.append_nulls(nulls);
            self.rows = rows;
        }
    }

    /// The column of `rows` rows.
    pub(super) fn finish(mut self, rows: usize, absent: &Absent) -> ArrayRef {
        if self.rows == 0 {
            return absent.column(self.builder.finish().data_type());
        }
        self.pad(rows);
        self.builder.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::AsArray;
    use arrow::datatypes::Int64Type;

    /// Scenario: values in some rows, in none, and in the last one.
    /// Guarantees: every other row is null and there are as many rows as asked for.
    #[test]
    fn rows_without_a_value_are_null() {
        let mut numbers = Sparse::<Int64Builder>::new();
        let mut footprint = Footprint::new();
        numbers.set(0, 7, &mut footprint);
        numbers.set(3, 8, &mut footprint);
        assert!(numbers.has(3) && !numbers.has(4));
        let column = numbers.finish(5, &Absent::of(5));
        let found: Vec<Option<i64>> = column.as_primitive::<Int64Type>().iter().collect();
        assert_eq!(found, [Some(7), None, None, Some(8), None]);
        let none = Sparse::<StringBuilder>::new().finish(3, &Absent::of(3));
        assert_eq!((none.len(), none.null_count()), (3, 3));
        let mut last = Sparse::<StringBuilder>::new();
        last.set(1, "x", &mut footprint);
        assert_eq!(last.finish(2, &Absent::of(2)).as_string::<i32>().iter().collect::<Vec<_>>(), [None, Some("x")]);
    }
}
