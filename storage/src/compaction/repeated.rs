//! Which rows of the inputs stay: those that stand, word for word, in an earlier place are left out.
//!
//! As a rule nothing repeats, and this costs one look at the span ids.

use arrow::array::BooleanBufferBuilder;
use arrow::buffer::BooleanBuffer;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReaderBuilder, RowSelection};
use parquet::errors::Result as ParquetResult;

use super::source::Source;
use crate::repeats::{Repeats, span_ids};
use crate::schema::col;

/// Rows decoded at a time.
const BATCH_ROWS: usize = 8192;

/// The rows of an input that stay; `None` when all do.
pub(super) type Kept = Option<BooleanBuffer>;

/// How many rows of an input go.
pub(super) fn gone(kept: &Kept) -> u64 {
    kept.as_ref().map_or(0, |kept| (kept.len() - kept.count_set_bits()) as u64)
}

/// The rows that stay of each input.
///
/// # Errors
/// When an input cannot be read.
pub(super) fn kept(sources: &[Source]) -> ParquetResult<Vec<Kept>> {
    let mut ids = Vec::with_capacity(sources.iter().map(|source| usize::try_from(source.rows()).unwrap_or(0)).sum());
    for source in sources {
        add_ids(source, &mut ids)?;
    }
    let mut repeats = Repeats::among(ids);
    if repeats.is_empty() {
        return Ok(vec![None; sources.len()]);
    }
    sources.iter().map(|source| kept_of(source, &mut repeats)).collect()
}

fn add_ids(source: &Source, ids: &mut Vec<u64>) -> ParquetResult<()> {
    let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(source.bytes.try_clone()?, source.arrow.clone());
    let mask = ProjectionMask::columns(reader.parquet_schema(), [col::SPAN_ID]);
    for batch in reader.with_projection(mask).with_batch_size(BATCH_ROWS).build()? {
        span_ids(&batch?, ids)?;
    }
    Ok(())
}

fn kept_of(source: &Source, repeats: &mut Repeats) -> ParquetResult<Kept> {
    let mut ids = Vec::new();
    add_ids(source, &mut ids)?;
    let suspect = BooleanBuffer::collect_bool(ids.len(), |row| ids.get(row).is_some_and(|id| repeats.suspects(*id)));
    // Rows of a version from before, with columns of other types, are not compared.
    let (true, Some(typed)) = (suspect.count_set_bits() > 0, source.typed()) else {
        return Ok(None);
    };
    let mut kept = BooleanBufferBuilder::new(ids.len());
    kept.append_n(ids.len(), true);
    let mut rows = suspect.set_indices();
    let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(source.bytes.try_clone()?, typed);
    let reader = reader.with_row_selection(RowSelection::from_boolean_buffer(suspect.clone()));
    for batch in reader.with_batch_size(BATCH_ROWS).build()? {
        // In this order: a zip asks the first one first, and then no row is lost at the end of a batch.
        for (fresh, row) in repeats.fresh(&batch?)?.into_iter().zip(&mut rows) {
            kept.set_bit(row, fresh);
        }
    }
    let kept = kept.finish();
    Ok((kept.count_set_bits() < kept.len()).then_some(kept))
}
