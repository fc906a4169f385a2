//! An opened Parquet data file: its footer, read once and kept; and the indexes that say where in it to look.
//!
//! Scans and lookups share these. Everything read from a file is untrusted: parquet-rs can panic on damaged
//! bytes, so each entry point here turns a panic into a [`Fault`] that names the file.

mod cache;
mod indexes;
mod prints;
mod reader;

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::RecordBatch;
use daytwo_storage::schema::col;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};

pub(crate) use cache::FileCache;
pub(crate) use indexes::{IndexCache, Indexed, selection, within_row_groups};
pub(crate) use prints::RowGroupPrints;
pub(crate) use reader::{ReaderFactory, Suspects};

use crate::spans;

/// A data file that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {reason}")]
pub(crate) struct Fault {
    /// The file, below the table's folder.
    pub(crate) path: String,
    /// What is wrong with it.
    pub(crate) reason: String,
}

/// A data file with what was learnt about it. Immutable once committed, so nothing here grows stale.
#[derive(Debug)]
pub(crate) struct OpenFile {
    path: String,
    source: Source,
    arrow: ArrowReaderMetadata,
    footer_bytes: u64,
    row_groups: Vec<RowGroupPrints>,
    last_used: AtomicU64,
}

impl OpenFile {
    /// Opens `path` below `table_dir` and reads its footer and page index.
    fn open(table_dir: &Path, path: &str) -> Result<Self, Fault> {
        let fault = |reason: String| Fault { path: path.to_owned(), reason };
        let file = File::open(table_dir.join(path)).map_err(|error| fault(format!("cannot be opened: {error}")))?;
        let source = Source { file: Arc::new(file), read: Arc::default() };
        let arrow = guarded(|| read_footer(&source)).map_err(fault)?;
        let footer_bytes = arrow.metadata().memory_size() as u64;
        let row_groups = (0..arrow.metadata().num_row_groups()).map(|_| RowGroupPrints::default()).collect();
        Ok(Self { path: path.to_owned(), source, arrow, footer_bytes, row_groups, last_used: AtomicU64::new(0) })
    }

    /// The file, below the table's folder.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// Where its bytes come from.
    pub(crate) fn source(&self) -> &Source {
        &self.source
    }

    /// Footer and page index.
    pub(crate) fn metadata(&self) -> &Arc<ParquetMetaData> {
        self.arrow.metadata()
    }

    /// What is known of each row group's trace ids, for a file without an index.
    pub(crate) fn row_groups(&self) -> &[RowGroupPrints] {
        &self.row_groups
    }

    /// A reader of the file in the columns of SQL.
    pub(crate) fn reader(&self) -> ParquetRecordBatchReaderBuilder<Source> {
        self.counting_reader(&Arc::default())
    }

    /// A reader that adds the bytes it reads to `read`.
    pub(crate) fn counting_reader(&self, read: &Arc<AtomicU64>) -> ParquetRecordBatchReaderBuilder<Source> {
        let source = Source { file: Arc::clone(&self.source.file), read: Arc::clone(read) };
        ParquetRecordBatchReaderBuilder::new_with_metadata(source, self.arrow.clone())
    }

    /// Runs `read` over this file; an error or a panic of parquet-rs becomes a fault of this file.
    pub(crate) fn guarded<T>(&self, read: impl FnOnce() -> parquet::errors::Result<T>) -> Result<T, Fault> {
        guarded(read).map_err(|reason| Fault { path: self.path.clone(), reason })
    }

    /// Reads the whole file and throws the rows away: the way to learn whether it is sound.
    pub(crate) fn verify(&self) -> Result<(), Fault> {
        self.guarded(|| {
            let reader = self.reader().build()?;
            for batch in reader {
                let _: RecordBatch = batch.map_err(parquet::errors::ParquetError::from)?;
            }
            Ok(())
        })
    }

    /// Bytes of memory that the footer and what stands in for an index hold.
    fn memory_bytes(&self) -> u64 {
        let prints: u64 = self.row_groups.iter().map(RowGroupPrints::memory_bytes).sum();
        self.footer_bytes.saturating_add(prints)
    }

    /// Whether the file has been removed from the disk.
    fn is_gone(&self) -> bool {
        self.source.file.metadata().is_ok_and(|metadata| std::os::unix::fs::MetadataExt::nlink(&metadata) == 0)
    }

    fn touch(&self, tick: u64) {
        self.last_used.store(tick, Ordering::Relaxed);
    }

    fn last_used(&self) -> u64 {
        self.last_used.load(Ordering::Relaxed)
    }
}

fn read_footer(source: &Source) -> parquet::errors::Result<ArrowReaderMetadata> {
    let footer = ParquetMetaDataReader::new().with_page_index_policy(PageIndexPolicy::Optional);
    let footer = Arc::new(footer.parse_and_finish(source)?);
    let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Optional);
    let typed = options.clone().with_schema(spans::file_schema());
    // A file of another schema version is read in its own types and cast afterwards.
    let arrow = ArrowReaderMetadata::try_new(Arc::clone(&footer), typed);
    let arrow = arrow.or_else(|_| ArrowReaderMetadata::try_new(footer, options))?;
    if arrow.schema().column_with_name(col::TRACE_ID).is_none() {
        return Err(parquet::errors::ParquetError::General("has no trace_id column".to_owned()));
    }
    Ok(arrow)
}

/// Runs code of parquet-rs that may panic on damaged bytes.
pub(crate) fn guarded<T>(read: impl FnOnce() -> parquet::errors::Result<T>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(read)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(error.to_string()),
        Err(panic) => Err(panic_text(panic.as_ref())),
    }
}

/// The message of a panic.
pub(crate) fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    format!("reading it failed: {}", text.unwrap_or_else(|| "panic".to_owned()))
}

/// A file's bytes, read by position so that any number of readers share one descriptor.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    file: Arc<File>,
    /// Bytes read through this handle.
    read: Arc<AtomicU64>,
}

impl Source {
    /// The `length` bytes from `start`.
    pub(crate) fn bytes_at(&self, start: u64, length: usize) -> std::io::Result<bytes::Bytes> {
        let end = start.checked_add(length as u64);
        if end.is_none_or(|end| end > parquet::file::reader::Length::len(self)) {
            return Err(std::io::Error::new(std::io::ErrorKind::UnexpectedEof, "the file is shorter than it says"));
        }
        let mut buffer = vec![0_u8; length];
        self.file.read_exact_at(&mut buffer, start)?;
        self.read.fetch_add(length as u64, Ordering::Relaxed);
        Ok(buffer.into())
    }
}

impl parquet::file::reader::Length for Source {
    fn len(&self) -> u64 {
        self.file.metadata().map_or(0, |metadata| metadata.len())
    }
}

impl parquet::file::reader::ChunkReader for Source {
    type T = std::io::BufReader<Cursor>;

    fn get_read(&self, start: u64) -> parquet::errors::Result<Self::T> {
        Ok(std::io::BufReader::new(Cursor { source: self.clone(), at: start }))
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<bytes::Bytes> {
        Ok(self.bytes_at(start, length)?)
    }
}

/// A reader with a position of its own over a shared descriptor.
#[derive(Debug)]
pub(crate) struct Cursor {
    source: Source,
    at: u64,
}

impl std::io::Read for Cursor {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.source.file.read_at(buffer, self.at)?;
        self.source.read.fetch_add(read as u64, Ordering::Relaxed);
        self.at = self.at.saturating_add(read as u64);
        Ok(read)
    }
}
