//! Writes one data file: streamed, hashed on the way, on disk under its name before anybody hears of it.

use std::io;
use std::path::Path;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use bytes::Bytes;
use parquet::arrow::ArrowWriter;

use super::output::Output;
use super::properties::{self, PAGE_ROWS, ROW_GROUP_ROWS};
use crate::fs::io_error;
use crate::index::Builder;
use crate::place::Place;
use crate::schema::{col, memory_schema};
use crate::{DataFile, Result};

/// Bounds of a column.
pub(crate) type Range = Option<(i64, i64)>;

/// A file that is on disk and not committed yet.
#[derive(Debug, Clone)]
pub(crate) struct NewFile {
    /// As it will stand in the list of files.
    pub(crate) file: DataFile,
    /// xxh3-128 of its bytes.
    pub(crate) content_hash: u128,
    /// Its end, if it is in a store.
    pub(crate) end: Bytes,
    /// Bounds of the time of reception.
    pub(crate) received_range: Range,
    /// Bounds of the duration.
    pub(crate) duration_range: Range,
}

/// Writes the batches to `path` below the table's folder, and gathers their sidecar on the way.
///
/// # Errors
/// [`crate::StorageError::Io`], [`crate::StorageError::DiskFull`], [`crate::StorageError::Parquet`]; what was written until then
/// is removed, since a disk that ran full needs the room.
pub(crate) fn write(place: &Place, path: &str, hour: &str, batches: &[RecordBatch]) -> Result<(NewFile, Builder)> {
    let written = try_write(place, path, hour, batches);
    if written.is_err() {
        place.discard(path);
    }
    written
}

fn try_write(place: &Place, path: &str, hour: &str, batches: &[RecordBatch]) -> Result<(NewFile, Builder)> {
    let target = place.dir().join(path);
    let output = Output::create(place, path)?;
    let mut writer = ArrowWriter::try_new_with_options(output, memory_schema(), properties::options())?;
    let mut ranges = Ranges::default();
    let mut pieces = Pieces::default();
    let mut index = Builder::default();
    for batch in batches {
        ranges.add(batch);
        for (piece, begins_row_group) in pieces.of(batch) {
            if begins_row_group {
                index.begin_row_group();
            }
            index.push(&piece)?;
            writer.write(&piece).map_err(|error| disk_full(error, &target))?;
        }
    }
    let output = writer.into_inner().map_err(|error| disk_full(error, &target))?;
    let published = output.publish()?;
    let content_hash = published.content_hash;
    let file = DataFile {
        path: path.to_owned(),
        size_bytes: published.bytes,
        rows: batches.iter().map(|batch| batch.num_rows() as u64).sum(),
        start_range: ranges.start,
        received_hour: hour.to_owned(),
        content_hash: Some(content_hash),
    };
    let (received_range, duration_range) = (ranges.received, ranges.duration);
    let new = NewFile { file, content_hash, end: published.end, received_range, duration_range };
    Ok((new, index))
}

/// Cuts batches where a page ends, so that pages of all columns begin at the same rows: the blocks of the index.
#[derive(Debug, Default)]
pub(crate) struct Pieces {
    rows: usize,
}

impl Pieces {
    /// The pieces of the next batch; whether each begins a row group.
    pub(crate) fn of(&mut self, batch: &RecordBatch) -> Vec<(RecordBatch, bool)> {
        let mut pieces = Vec::new();
        let mut at = 0;
        while at < batch.num_rows() {
            let room = PAGE_ROWS - self.rows % PAGE_ROWS;
            let piece = batch.slice(at, room.min(batch.num_rows() - at));
            at += piece.num_rows();
            pieces.push((piece.clone(), self.rows.is_multiple_of(ROW_GROUP_ROWS)));
            self.rows += piece.num_rows();
        }
        pieces
    }
}

/// Parquet wraps I/O errors; a full disk must stay recognisable.
pub(crate) fn disk_full(error: parquet::errors::ParquetError, path: &Path) -> crate::StorageError {
    if let parquet::errors::ParquetError::External(source) = &error
        && let Some(source) = source.downcast_ref::<io::Error>()
    {
        return io_error("write", path, io::Error::new(source.kind(), source.to_string()));
    }
    error.into()
}

/// Bounds of the columns that the log tells.
#[derive(Debug, Default)]
pub(crate) struct Ranges {
    pub(crate) start: Range,
    pub(crate) received: Range,
    pub(crate) duration: Range,
}

impl Ranges {
    /// Widens them by the rows of a batch.
    pub(crate) fn add(&mut self, batch: &RecordBatch) {
        widen(&mut self.start, batch, col::START);
        widen(&mut self.received, batch, col::RECEIVED);
        widen(&mut self.duration, batch, col::DURATION);
    }
}

fn widen(range: &mut Range, batch: &RecordBatch, name: &str) {
    let Some(column) = batch.column_by_name(name) else {
        return;
    };
    let numbers = column.as_primitive::<Int64Type>();
    if let (Some(least), Some(most)) = (arrow::compute::min(numbers), arrow::compute::max(numbers)) {
        let (low, high) = range.unwrap_or((least, most));
        *range = Some((low.min(least), high.max(most)));
    }
}
