//! How SQL scans read data files: through the shared cache, off the reactor, and leaving a trace of which files
//! were being read, so that a failed query can tell which of them is damaged.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::ParquetFileReaderFactory;
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, MetricBuilder};
use futures::FutureExt;
use futures::future::BoxFuture;
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;

use super::{Fault, FileCache, OpenFile};

/// The files that each partition of a query opened last: where to look when the query fails.
#[derive(Debug, Default)]
pub(crate) struct Suspects(Mutex<BTreeMap<usize, Vec<String>>>);

/// A partition opens the next file while it still reads the one before.
const SUSPECTS_PER_PARTITION: usize = 3;

impl Suspects {
    fn add(&self, partition: usize, path: &str) {
        let mut partitions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let opened = partitions.entry(partition).or_default();
        if opened.last().is_none_or(|last| last != path) {
            opened.push(path.to_owned());
        }
        if opened.len() > SUSPECTS_PER_PARTITION {
            opened.remove(0);
        }
    }

    /// Their paths, each once.
    pub(crate) fn paths(&self) -> Vec<String> {
        let partitions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut paths: Vec<String> = partitions.values().flatten().cloned().collect();
        paths.sort_unstable();
        paths.dedup();
        paths
    }
}

/// Makes the readers of one query.
#[derive(Debug)]
pub(crate) struct ReaderFactory {
    table_dir: PathBuf,
    cache: Arc<FileCache>,
    suspects: Arc<Suspects>,
    bytes_read: Arc<AtomicU64>,
}

impl ReaderFactory {
    /// Readers of files below `table_dir`, which add the bytes they read to `bytes_read`.
    pub(crate) fn new(
        table_dir: PathBuf,
        cache: Arc<FileCache>,
        suspects: Arc<Suspects>,
        bytes_read: Arc<AtomicU64>,
    ) -> Self {
        Self { table_dir, cache, suspects, bytes_read }
    }
}

impl ParquetFileReaderFactory for ReaderFactory {
    fn create_reader(
        &self,
        partition_index: usize,
        partitioned_file: PartitionedFile,
        _metadata_size_hint: Option<usize>,
        metrics: &ExecutionPlanMetricsSet,
    ) -> datafusion::error::Result<Box<dyn AsyncFileReader + Send>> {
        let path = partitioned_file.object_meta.location.to_string();
        self.suspects.add(partition_index, &path);
        let bytes_scanned = MetricBuilder::new(metrics).counter("bytes_scanned", partition_index);
        let opening = Opening { table_dir: self.table_dir.clone(), path, cache: Arc::clone(&self.cache) };
        let bytes_read = Arc::clone(&self.bytes_read);
        Ok(Box::new(CachedReader { opening, opened: None, bytes_scanned, bytes_read }))
    }
}

#[derive(Debug, Clone)]
struct Opening {
    table_dir: PathBuf,
    path: String,
    cache: Arc<FileCache>,
}

/// Reads one file for one partition.
struct CachedReader {
    opening: Opening,
    opened: Option<Arc<OpenFile>>,
    bytes_scanned: datafusion::physical_plan::metrics::Count,
    bytes_read: Arc<AtomicU64>,
}

impl CachedReader {
    async fn file(&mut self) -> Result<Arc<OpenFile>, ParquetError> {
        if let Some(file) = &self.opened {
            return Ok(Arc::clone(file));
        }
        let Opening { table_dir, path, cache } = self.opening.clone();
        let file = off_the_reactor(move || cache.open(&table_dir, &path).map_err(external)).await?;
        self.opened = Some(Arc::clone(&file));
        Ok(file)
    }
}

fn external(fault: Fault) -> ParquetError {
    ParquetError::External(Box::new(fault))
}

async fn off_the_reactor<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, ParquetError> + Send + 'static,
) -> Result<T, ParquetError> {
    let read = tokio::task::spawn_blocking(read).await;
    read.map_err(|error| ParquetError::General(error.to_string()))?
}

impl AsyncFileReader for CachedReader {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, parquet::errors::Result<Bytes>> {
        async move {
            let mut all = self.get_byte_ranges(vec![range]).await?;
            all.pop().ok_or_else(|| ParquetError::General("no bytes were read".to_owned()))
        }
        .boxed()
    }

    fn get_byte_ranges(&mut self, ranges: Vec<Range<u64>>) -> BoxFuture<'_, parquet::errors::Result<Vec<Bytes>>> {
        async move {
            let file = self.file().await?;
            let bytes = off_the_reactor(move || ranges.into_iter().map(|range| read(&file, range)).collect()).await;
            let bytes: Vec<Bytes> = bytes?;
            let read = bytes.iter().map(Bytes::len).sum();
            self.bytes_scanned.add(read);
            self.bytes_read.fetch_add(read as u64, Ordering::Relaxed);
            Ok(bytes)
        }
        .boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        _options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, parquet::errors::Result<Arc<ParquetMetaData>>> {
        async move { Ok(Arc::clone(self.file().await?.metadata())) }.boxed()
    }
}

fn read(file: &OpenFile, range: Range<u64>) -> Result<Bytes, ParquetError> {
    let length = usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(usize::MAX);
    file.source()
        .bytes_at(range.start, length)
        .map_err(|error| external(Fault { path: file.path().to_owned(), reason: format!("cannot be read: {error}") }))
}
