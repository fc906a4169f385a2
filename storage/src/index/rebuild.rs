//! A sidecar made from the data file alone: row group by row group, then merged, so that memory holds one at a time.

use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::cast;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};

use super::builder::Builder;
use super::merge::{self, Input};
use super::parts::Source;
use super::tail::{Identity, Tail};
use super::{BLOCK_ROWS, Indexes};
use crate::damage::open_whole;
use crate::parquet::end::end_of;
use crate::place::Place;
use crate::schema::memory_schema;
use crate::{DataFile, Result, StorageError};

impl Indexes {
    /// Makes the sidecar of a committed data file anew.
    ///
    /// # Errors
    /// As [`Indexes::write`]; [`StorageError::Corrupt`], [`StorageError::Parquet`] when the data file cannot be read,
    /// or is not what was written.
    pub(crate) fn rebuild(&self, place: &Place, file: &DataFile) -> Result<()> {
        let path = place.dir().join(&file.path);
        let (bytes, hash) = open_whole(place, file)?;
        let identity = Identity { content_hash: hash, size_bytes: file.size_bytes };
        let read = std::panic::catch_unwind(|| row_groups(&bytes, identity));
        let parts = read.unwrap_or_else(|_| Err(damaged(&path, "reading it failed")))?;
        let end = end_of(&bytes, &path)?;
        self.put(&file.path, &end, |to, temporary| merge::merge(&parts, identity, to, temporary))
    }
}

fn damaged(path: &Path, reason: &str) -> StorageError {
    StorageError::Corrupt { path: path.to_owned(), reason: reason.to_owned() }
}

/// A sidecar in memory for each row group.
fn row_groups(file: &std::fs::File, identity: Identity) -> Result<Vec<Input>> {
    let metadata = ArrowReaderMetadata::load(file, ArrowReaderOptions::new())?;
    let typed = ArrowReaderOptions::new().with_schema(memory_schema());
    // Dictionaries come as such when the file has our types; another engine's file is cast.
    let metadata = ArrowReaderMetadata::try_new(Arc::clone(metadata.metadata()), typed).unwrap_or(metadata);
    let mut parts = Vec::new();
    for row_group in 0..metadata.metadata().num_row_groups() {
        let file = file.try_clone().map_err(|source| crate::fs::io_error("read", Path::new("data file"), source))?;
        let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata.clone());
        let reader = reader.with_row_groups(vec![row_group]).with_batch_size(BLOCK_ROWS as usize).build()?;
        let mut builder = Builder::default();
        for batch in reader {
            builder.push(&in_memory_types(&batch?)?)?;
        }
        let bytes = builder.finish(identity, Vec::new());
        let bytes = bytes.map_err(|source| crate::fs::io_error("write", Path::new("memory"), source))?;
        let source = Source::Memory(bytes);
        parts.push(Input { tail: Tail::open(&source)?.0, source });
    }
    Ok(parts)
}

fn in_memory_types(batch: &RecordBatch) -> Result<RecordBatch> {
    let schema = memory_schema();
    let columns = schema.fields().iter().map(|field| match batch.column_by_name(field.name()) {
        Some(column) if column.data_type() == field.data_type() => Ok(Arc::clone(column)),
        Some(column) => cast(column, field.data_type()),
        // A column that this file's version of the schema did not have.
        None => Ok(arrow::array::new_null_array(field.data_type(), batch.num_rows())),
    });
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    let nullable = schema.fields().iter().map(|field| field.as_ref().clone().with_nullable(true));
    let schema = arrow::datatypes::Schema::new(nullable.collect::<Vec<_>>());
    Ok(RecordBatch::try_new(Arc::new(schema), columns)?)
}
