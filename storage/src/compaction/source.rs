//! An input of a merge: opened once, its content hash checked against the log, its footer and indexes read.

use std::fs::File;
use std::io::ErrorKind;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::bloom_filter::Sbbf;
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, RowGroupMetaData};
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use parquet::file::reader::ChunkReader;

use crate::damage::open_whole;
use crate::place::Place;
use crate::schema::memory_schema;
use crate::{DataFile, StorageError};

/// An input that is not what was written.
#[derive(Debug)]
pub(super) struct Unreadable {
    pub(super) path: String,
    pub(super) reason: String,
}

/// An input that is what was written.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) bytes: File,
    pub(super) arrow: ArrowReaderMetadata,
}

impl Source {
    /// Opens an input and reads all of it once. Every later read goes to the same open file.
    ///
    /// # Errors
    /// [`Opened::Unreadable`] when it is gone, or not what was written; [`Opened::Later`] when it cannot be read now.
    pub(super) fn open(place: &Place, file: &DataFile) -> Result<Self, Opened> {
        let unreadable = |reason: String| Opened::Unreadable(Unreadable { path: file.path.clone(), reason });
        let (bytes, _) = open_whole(place, file).map_err(|error| match error {
            StorageError::Corrupt { reason, .. } => unreadable(reason),
            StorageError::Io { source, .. } if source.kind() == ErrorKind::NotFound => {
                unreadable("the file is missing".to_owned())
            }
            error => Opened::Later(error),
        })?;
        let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Optional);
        let arrow = guarded(|| ArrowReaderMetadata::load(&bytes, options)).map_err(unreadable)?;
        Ok(Self { bytes, arrow })
    }

    /// Footer and page indexes.
    pub(super) fn metadata(&self) -> &ParquetMetaData {
        self.arrow.metadata()
    }

    /// Rows of its largest row group.
    pub(super) fn largest_row_group(&self) -> u64 {
        let rows = self.metadata().row_groups().iter().map(|group| u64::try_from(group.num_rows()).unwrap_or(0));
        rows.max().unwrap_or(0)
    }

    /// How to read it in the memory schema, so that what repeats for a whole resource stays a dictionary, which is decoded and encoded
    /// once a row group; `None` when its columns are of other types.
    pub(super) fn typed(&self) -> Option<ArrowReaderMetadata> {
        let options = ArrowReaderOptions::new().with_schema(memory_schema());
        ArrowReaderMetadata::try_new(Arc::clone(self.arrow.metadata()), options).ok()
    }

    /// The first row of a row group, or of the file, and how many there are.
    pub(super) fn range_of(&self, row_group: Option<usize>) -> (usize, usize) {
        let rows = |group: &RowGroupMetaData| usize::try_from(group.num_rows()).unwrap_or(0);
        let groups = self.metadata().row_groups();
        let first = groups.iter().take(row_group.unwrap_or(0)).map(rows).sum();
        let some = groups.iter().skip(row_group.unwrap_or(0)).take(row_group.map_or(usize::MAX, |_| 1));
        (first, some.map(rows).sum())
    }

    /// All its rows.
    pub(super) fn rows(&self) -> u64 {
        u64::try_from(self.metadata().file_metadata().num_rows()).unwrap_or(0)
    }
}

/// Why an input was not opened.
#[derive(Debug)]
pub(super) enum Opened {
    /// It is damaged.
    Unreadable(Unreadable),
    /// It may be readable another time.
    Later(StorageError),
}

/// What the writer of a column chunk said when it was done, taken back out of the file.
pub(super) fn closed_column<R: ChunkReader>(
    reader: &R,
    metadata: &ParquetMetaData,
    row_group: usize,
    column: usize,
) -> ParquetResult<ColumnCloseResult> {
    let group = metadata.row_group(row_group);
    let chunk = group.column(column);
    let index = metadata.column_index().and_then(|index| index.get(row_group)?.get(column)).cloned();
    let offsets = metadata.offset_index().and_then(|index| index.get(row_group)?.get(column)).cloned();
    Ok(ColumnCloseResult {
        bytes_written: positive(chunk.compressed_size())?,
        rows_written: positive(group.num_rows())?,
        metadata: chunk.clone(),
        bloom_filter: Sbbf::read_from_column_chunk(chunk, reader)?,
        column_index: index.filter(|index| !matches!(index, ColumnIndexMetaData::NONE)),
        offset_index: offsets,
    })
}

fn positive(number: i64) -> ParquetResult<u64> {
    u64::try_from(number).map_err(|_| ParquetError::General("a size below zero".to_owned()))
}

/// Runs code of parquet-rs that may panic on damaged bytes.
pub(super) fn guarded<T>(read: impl FnOnce() -> ParquetResult<T>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(read)) {
        Ok(read) => read.map_err(|error| error.to_string()),
        Err(_) => Err("reading it panicked".to_owned()),
    }
}
