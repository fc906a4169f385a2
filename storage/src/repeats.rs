//! [`Repeats`]: spans that stand twice, word for word, because a client put them into another request before it sent them again.
//!
//! The request's hash does not find those, so the second ones are left out when files are written and merged. Span ids tell
//! where to look: only rows whose id stands in more than one place are compared, by the hash of all that they say. When a span was
//! received is not part of that. Equal ids with different content are different spans, and stay.

use std::collections::HashSet;

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{DataType, Int32Type, Int64Type};
use arrow::error::ArrowError;
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use crate::schema::col;

type Result<T> = std::result::Result<T, ArrowError>;

/// What was seen of the rows that may stand twice.
#[derive(Debug, Default)]
pub(crate) struct Repeats {
    /// Span ids, as numbers, of more than one row.
    suspects: HashSet<u64>,
    /// Contents of those rows, as far as they were seen.
    contents: HashSet<u128>,
    /// Rows that were seen before.
    found: u64,
}

impl Repeats {
    /// For rows with these span ids.
    pub(crate) fn among(mut ids: Vec<u64>) -> Self {
        ids.sort_unstable();
        let pairs = ids.windows(2).filter(|pair| pair.first() == pair.last());
        Self { suspects: pairs.filter_map(|pair| pair.first().copied()).collect(), ..Self::default() }
    }

    /// Whether no row can stand twice.
    pub(crate) fn is_empty(&self) -> bool {
        self.suspects.is_empty()
    }

    /// Whether a row with this span id may.
    pub(crate) fn suspects(&self, id: u64) -> bool {
        self.suspects.contains(&id)
    }

    /// How many rows were seen before.
    pub(crate) fn found(&self) -> u64 {
        self.found
    }

    /// The batch without the rows that were seen before, in it or in an earlier one.
    ///
    /// # Errors
    /// [`ArrowError::SchemaError`] when a column is missing or of another type.
    pub(crate) fn without(&mut self, batch: &RecordBatch) -> Result<RecordBatch> {
        if self.is_empty() {
            return Ok(batch.clone());
        }
        let fresh = self.fresh(batch)?;
        if fresh.iter().all(|fresh| *fresh) {
            return Ok(batch.clone());
        }
        filter_record_batch(batch, &BooleanArray::from(fresh))
    }

    /// Whether each row of a batch is seen for the first time.
    ///
    /// # Errors
    /// As [`Repeats::without`].
    pub(crate) fn fresh(&mut self, batch: &RecordBatch) -> Result<Vec<bool>> {
        let mut ids = Vec::with_capacity(batch.num_rows());
        span_ids(batch, &mut ids)?;
        ids.into_iter().enumerate().map(|(row, id)| self.is_fresh(batch, row, id)).collect()
    }

    fn is_fresh(&mut self, batch: &RecordBatch, row: usize, id: u64) -> Result<bool> {
        let fresh = !self.suspects(id) || self.contents.insert(content_of(batch, row)?);
        self.found += u64::from(!fresh);
        Ok(fresh)
    }
}

/// Adds the span ids of a batch, as numbers.
///
/// # Errors
/// [`ArrowError::SchemaError`] when it has none.
pub(crate) fn span_ids(batch: &RecordBatch, ids: &mut Vec<u64>) -> Result<()> {
    let column = batch.column_by_name(col::SPAN_ID).and_then(|column| column.as_binary_opt::<i32>());
    let column = column.ok_or_else(|| unfit("has no span ids"))?;
    // An id of another length can only come from another writer; its hash does as well.
    let number = |id: &[u8]| <[u8; 8]>::try_from(id).map_or_else(|_| xxh3_64(id), u64::from_le_bytes);
    ids.extend(column.iter().map(|id| id.map_or(0, number)));
    Ok(())
}

/// The hash of all that a row says.
fn content_of(batch: &RecordBatch, row: usize) -> Result<u128> {
    let mut hash = Xxh3::new();
    for (field, column) in batch.schema_ref().fields().iter().zip(batch.columns()) {
        if field.name() != col::RECEIVED {
            add(&mut hash, column.as_ref(), row)?;
        }
    }
    Ok(hash.digest128())
}

/// Adds a value: whether there is one, its length where that varies, and its bytes.
fn add(hash: &mut Xxh3, column: &dyn Array, row: usize) -> Result<()> {
    if let Some(dictionary) = column.as_dictionary_opt::<Int32Type>()
        && let Some(key) = dictionary.key(row)
    {
        return add(hash, dictionary.values().as_ref(), key);
    }
    hash.update(&[u8::from(column.is_valid(row))]);
    if column.is_null(row) {
        return Ok(());
    }
    match column.data_type() {
        DataType::Int32 => hash.update(&column.as_primitive::<Int32Type>().value(row).to_le_bytes()),
        DataType::Int64 => hash.update(&column.as_primitive::<Int64Type>().value(row).to_le_bytes()),
        DataType::Binary => add_bytes(hash, column.as_binary::<i32>().value(row)),
        DataType::Utf8 => add_bytes(hash, column.as_string::<i32>().value(row).as_bytes()),
        DataType::Map(..) => return add_entries(hash, column, row),
        _ => return Err(unfit("has a column of a type that spans do not have")),
    }
    Ok(())
}

fn add_bytes(hash: &mut Xxh3, bytes: &[u8]) {
    hash.update(&bytes.len().to_le_bytes());
    hash.update(bytes);
}

fn add_entries(hash: &mut Xxh3, column: &dyn Array, row: usize) -> Result<()> {
    let entries = column.as_map().value(row);
    hash.update(&entries.len().to_le_bytes());
    for entry in 0..entries.len() {
        for part in entries.columns() {
            add(hash, part.as_ref(), entry)?;
        }
    }
    Ok(())
}

fn unfit(what: &str) -> ArrowError {
    ArrowError::SchemaError(format!("a batch of spans {what}"))
}

#[cfg(test)]
mod tests;
