//! Columns that no row of a batch fills: one array of nulls for all that have the same type. Batches of ordinary size share
//! theirs with all other batches, so that these columns take no memory.

use std::sync::{Arc, LazyLock};

use arrow::array::{Array, ArrayRef, Int64Array, StringArray, new_null_array};
use arrow::datatypes::DataType;

/// Rows of the arrays that all batches share, three quarters of a MiB in all.
const SHARED_ROWS: usize = 64 << 10;

static SHARED: LazyLock<Absent> = LazyLock::new(|| Absent::with_rows(SHARED_ROWS));

/// The absent columns of a batch.
#[derive(Debug, Clone)]
pub(super) struct Absent {
    texts: ArrayRef,
    numbers: ArrayRef,
}

impl Absent {
    /// Bytes of a row, where they are not shared.
    pub(super) const ROW_BYTES: usize = size_of::<i32>() + size_of::<i64>();

    /// Whether a batch of `rows` rows shares them with all others.
    pub(super) fn are_shared(rows: usize) -> bool {
        rows <= SHARED_ROWS
    }

    /// Those of a batch of `rows` rows.
    pub(super) fn of(rows: usize) -> Self {
        if !Self::are_shared(rows) {
            return Self::with_rows(rows);
        }
        Self { texts: SHARED.texts.slice(0, rows), numbers: SHARED.numbers.slice(0, rows) }
    }

    fn with_rows(rows: usize) -> Self {
        Self { texts: Arc::new(StringArray::new_null(rows)), numbers: Arc::new(Int64Array::new_null(rows)) }
    }

    /// A column of this type, which is one that spans may leave out.
    pub(super) fn column(&self, kind: &DataType) -> ArrayRef {
        match kind {
            DataType::Utf8 => Arc::clone(&self.texts),
            DataType::Int64 => Arc::clone(&self.numbers),
            _ => new_null_array(kind, self.texts.len()),
        }
    }
}

/// Whether the column is one that all batches share.
pub(super) fn is_shared(column: &dyn Array) -> bool {
    let nulls = |column: &dyn Array| column.nulls().map(|nulls| nulls.buffer().data_ptr());
    let own = nulls(column);
    own.is_some() && (own == nulls(&SHARED.texts) || own == nulls(&SHARED.numbers))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scenario: columns of both types, of few rows and of more than all batches share.
    /// Guarantees: each has as many nulls as asked for; only the small ones are shared by all, and an ordinary array of nulls is not taken for one.
    #[test]
    fn absent_columns_are_nulls_and_shared_up_to_a_size() {
        for kind in [DataType::Utf8, DataType::Int64] {
            for (rows, shared) in [(0, true), (1, true), (SHARED_ROWS, true), (SHARED_ROWS + 1, false)] {
                let column = Absent::of(rows).column(&kind);
                assert_eq!((column.data_type(), column.len(), column.null_count()), (&kind, rows, rows));
                assert_eq!(is_shared(&column), shared, "{kind} of {rows}");
            }
            assert!(!is_shared(&new_null_array(&kind, 5)));
        }
    }
}
