//! An opened Parquet data file: its footer, read once and kept; and the indexes that say where in it to look.
//!
//! Scans and lookups share these. Everything read from a file is untrusted: parquet-rs can panic on damaged
//! bytes, so each entry point here turns a panic into a [`Fault`] that names the file.

mod ahead;
mod cache;
mod indexes;
mod prints;
mod reader;
mod source;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::RecordBatch;
use daytwo_storage::DataFiles;
use daytwo_storage::schema::col;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder, RowSelection,
};
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};

pub(crate) use cache::FileCache;
pub(crate) use indexes::{IndexCache, Indexed, selection, within_row_groups};
pub(crate) use prints::RowGroupPrints;
pub(crate) use reader::{ReaderFactory, Suspects};
pub(crate) use source::{Reads, Source};

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
    /// Opens `path`, of `size_bytes`, and reads its footer and page index.
    fn open(files: &DataFiles, path: &str, size_bytes: u64) -> Result<Self, Fault> {
        let fault = |reason: String| Fault { path: path.to_owned(), reason };
        let reader = files.open(path, size_bytes).map_err(|error| fault(format!("cannot be opened: {error}")))?;
        let source = Source::new(reader);
        let arrow = guarded(|| read_footer(&source.with_end()?)).map_err(fault)?;
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

    /// A reader of these rows and columns that adds what it reads to `reads`. From a store everything that it will want is
    /// fetched first, with as few requests as pays.
    pub(crate) fn selecting_reader(
        &self,
        row_groups: Vec<usize>,
        selection: RowSelection,
        mask: ProjectionMask,
        reads: &Arc<Reads>,
    ) -> parquet::errors::Result<ParquetRecordBatchReaderBuilder<Source>> {
        let source = self.source.counting(reads);
        let source = if source.is_remote() {
            source.with_ahead(&ahead::wanted(self.metadata(), &row_groups, Some(&selection), &mask))?
        } else {
            source
        };
        let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(source, self.arrow.clone());
        Ok(reader.with_row_groups(row_groups).with_row_selection(selection).with_projection(mask))
    }

    /// A reader of one row group, which from a store is fetched first.
    pub(crate) fn whole_row_group(
        &self,
        row_group: usize,
        mask: ProjectionMask,
    ) -> parquet::errors::Result<ParquetRecordBatchReaderBuilder<Source>> {
        let source = self.source.with_row_group(self.metadata(), row_group, &mask)?;
        let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(source, self.arrow.clone());
        Ok(reader.with_row_groups(vec![row_group]).with_projection(mask))
    }

    /// Runs `read` over this file; an error or a panic of parquet-rs becomes a fault of this file.
    pub(crate) fn guarded<T>(&self, read: impl FnOnce() -> parquet::errors::Result<T>) -> Result<T, Fault> {
        guarded(read).map_err(|reason| Fault { path: self.path.clone(), reason })
    }

    /// Reads the whole file and throws the rows away: the way to learn whether it is sound.
    pub(crate) fn verify(&self) -> Result<(), Fault> {
        self.guarded(|| {
            for row_group in 0..self.metadata().num_row_groups() {
                for batch in self.whole_row_group(row_group, ProjectionMask::all())?.build()? {
                    let _: RecordBatch = batch.map_err(parquet::errors::ParquetError::from)?;
                }
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
        self.source.is_gone()
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
