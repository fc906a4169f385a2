//! Which rows of a row group belong to a trace, for a file whose index is missing.
//!
//! 32 bits of every row's trace id, decoded once and kept, say in which rows a trace is. 4 bytes a row, and a pass over
//! a row group of 1 M rows takes a fraction of a millisecond. A row that matches by chance (one in 4 billion)
//! is dropped after its id is read.

use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{Array, AsArray};
use arrow::datatypes::DataType;
use daytwo_storage::TraceId;
use daytwo_storage::schema::col;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{RowSelection, RowSelector};
use parquet::errors::{ParquetError, Result};

use super::OpenFile;

/// What is known of a row group's trace ids. Filled on first need.
#[derive(Debug, Default)]
pub(crate) struct RowGroupPrints {
    prints: Mutex<Option<Arc<[u32]>>>,
}

impl RowGroupPrints {
    /// The rows that hold spans of any of `traces`, at most `rows_max`; `None` when there is none.
    pub(crate) fn rows_of(
        &self,
        file: &OpenFile,
        row_group: usize,
        traces: &[TraceId],
        rows_max: usize,
    ) -> Result<Option<RowSelection>> {
        let prints = self.prints(file, row_group)?;
        let wanted: Vec<u32> = traces.iter().map(|trace| print_of(trace.as_bytes())).collect();
        let rows = prints.iter().enumerate();
        let selection = match wanted.as_slice() {
            // The common case apart, so that the pass over all rows compares numbers and nothing else.
            [only] => select(rows.filter_map(|(row, print)| (print == only).then_some(row)).take(rows_max)),
            many => select(rows.filter_map(|(row, print)| many.contains(print).then_some(row)).take(rows_max)),
        };
        Ok((!selection.is_empty()).then(|| RowSelection::from(selection)))
    }

    fn prints(&self, file: &OpenFile, row_group: usize) -> Result<Arc<[u32]>> {
        let kept = self.prints.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(prints) = kept {
            return Ok(prints);
        }
        let prints: Arc<[u32]> = read_prints(file, row_group)?.into();
        *self.prints.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&prints));
        Ok(prints)
    }

    /// Frees them.
    pub(crate) fn forget(&self) {
        *self.prints.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Bytes of memory.
    pub(crate) fn memory_bytes(&self) -> u64 {
        let prints = self.prints.lock().unwrap_or_else(PoisonError::into_inner);
        prints.as_ref().map_or(0, |prints| size_of_val(prints.as_ref()) as u64)
    }
}

/// Consecutive selectors that keep exactly `rows`, which ascend.
fn select(rows: impl Iterator<Item = usize>) -> Vec<RowSelector> {
    let mut selection: Vec<RowSelector> = Vec::new();
    let mut next = 0_usize;
    for row in rows {
        match selection.last_mut() {
            Some(last) if row == next && !last.skip => last.row_count = last.row_count.saturating_add(1),
            _ => {
                let gap = row.saturating_sub(next);
                if gap > 0 {
                    selection.push(RowSelector::skip(gap));
                }
                selection.push(RowSelector::select(1));
            }
        }
        next = row.saturating_add(1);
    }
    selection
}

/// 32 bits of a trace id. All four words count, since some SDKs fill only one half with random bits.
fn print_of(id: &[u8]) -> u32 {
    id.chunks_exact(4).fold(0_u32, |print, word| {
        let word = word.try_into().map_or(0, u32::from_le_bytes);
        (print.rotate_left(5) ^ word).wrapping_mul(0x9E37_79B1)
    })
}

fn trace_column(file: &OpenFile) -> Result<usize> {
    let columns = file.metadata().file_metadata().schema_descr().columns();
    let found = columns.iter().position(|column| column.path().string() == col::TRACE_ID);
    found.ok_or_else(|| ParquetError::General("has no trace_id column".to_owned()))
}

fn read_prints(file: &OpenFile, row_group: usize) -> Result<Vec<u32>> {
    let mask = ProjectionMask::leaves(file.metadata().file_metadata().schema_descr(), [trace_column(file)?]);
    let reader = file.whole_row_group(row_group, mask)?.build()?;
    let rows = usize::try_from(file.metadata().row_group(row_group).num_rows()).unwrap_or(0);
    // The footer is untrusted: it may say more rows than there are, so it is a hint up to 4 M rows.
    let mut prints = Vec::with_capacity(rows.min(4 << 20));
    for batch in reader {
        let batch = batch.map_err(ParquetError::from)?;
        let ids = batch.column(0);
        match ids.data_type() {
            DataType::BinaryView => prints.extend((0..ids.len()).map(|row| print_of(ids.as_binary_view().value(row)))),
            DataType::Binary => prints.extend((0..ids.len()).map(|row| print_of(ids.as_binary::<i32>().value(row)))),
            other => return Err(ParquetError::General(format!("trace_id has type {other}"))),
        }
    }
    Ok(prints)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scenario: rows at the start, in a run, and far apart.
    /// Guarantees: the selectors keep exactly these rows.
    #[test]
    fn selectors_keep_exactly_the_rows() {
        let kept = |rows: &[usize]| {
            let mut at = 0;
            let mut kept = Vec::new();
            for selector in select(rows.iter().copied()) {
                if !selector.skip {
                    kept.extend(at..at + selector.row_count);
                }
                at += selector.row_count;
            }
            kept
        };
        for rows in [&[][..], &[0], &[0, 1, 2], &[5], &[3, 4, 9, 10, 11, 40]] {
            assert_eq!(kept(rows), rows);
        }
    }

    /// Scenario: ids that differ in one word only.
    /// Guarantees: their prints differ, whichever word it is.
    #[test]
    fn every_word_of_an_id_counts() {
        let mut prints = std::collections::HashSet::new();
        for word in 0..4 {
            for value in 1..=200_u8 {
                let mut id = [0_u8; 16];
                id[word * 4 + 2] = value;
                prints.insert(print_of(&id));
            }
        }
        assert_eq!(prints.len(), 800);
    }
}
