//! Decodes rows of inputs and encodes those that stay as one row group, in memory.

use std::sync::Arc;

use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder, RowSelection,
};
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData};

use super::repeated::Kept;
use super::source::Source;
use crate::index::Builder;
use crate::parquet::properties;
use crate::parquet::writer::Pieces;
use crate::schema::memory_schema;

/// Rows decoded at a time.
const BATCH_ROWS: usize = 8192;

/// Rows as a file of their own.
pub(super) struct Encoded {
    pub(super) bytes: Bytes,
    pub(super) metadata: Arc<ParquetMetaData>,
}

/// Rows to be encoded: all of an input, or one of its row groups.
pub(super) struct Rows<'a> {
    pub(super) source: &'a Source,
    pub(super) row_group: Option<usize>,
    pub(super) kept: &'a Kept,
}

impl Rows<'_> {
    /// `None` when the columns are of other types than today's.
    fn read(&self) -> ParquetResult<Option<ParquetRecordBatchReader>> {
        let Some(typed) = self.source.typed() else {
            return Ok(None);
        };
        let bytes = self.source.bytes.try_clone()?;
        let mut reader = ParquetRecordBatchReaderBuilder::new_with_metadata(bytes, typed).with_batch_size(BATCH_ROWS);
        if let Some(row_group) = self.row_group {
            reader = reader.with_row_groups(vec![row_group]);
        }
        if let Some(kept) = self.kept {
            let (first, rows) = self.source.range_of(self.row_group);
            reader = reader.with_row_selection(RowSelection::from_boolean_buffer(kept.slice(first, rows)));
        }
        reader.build().map(Some)
    }
}

/// Encodes these rows, one after another, and adds them to the index of the new file.
///
/// # Errors
/// When an input cannot be read; `None` when it has columns of other types than today's.
pub(super) fn encode(all: &[Rows<'_>], index: &mut Builder) -> ParquetResult<Option<Encoded>> {
    let mut writer = ArrowWriter::try_new_with_options(Vec::new(), memory_schema(), properties::options())?;
    let mut pieces = Pieces::default();
    for rows in all {
        let Some(reader) = rows.read()? else {
            return Ok(None);
        };
        for batch in reader {
            for (piece, begins_row_group) in pieces.of(&batch?) {
                if begins_row_group {
                    index.begin_row_group();
                }
                index.push(&piece).map_err(|error| ParquetError::External(Box::new(error)))?;
                writer.write(&piece)?;
            }
        }
    }
    let bytes = Bytes::from(writer.into_inner()?);
    let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Optional);
    let metadata = Arc::clone(ArrowReaderMetadata::load(&bytes, options)?.metadata());
    Ok(Some(Encoded { bytes, metadata }))
}
