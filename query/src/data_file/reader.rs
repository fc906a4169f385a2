//! How SQL scans read data files: through the shared cache, off the reactor, and leaving a trace of which files
//! were being read, so that a failed query can tell which of them is damaged.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::ParquetFileReaderFactory;
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, MetricBuilder};
use daytwo_storage::DataFiles;
use futures::FutureExt;
use futures::future::BoxFuture;
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;

use super::{Fault, FileCache, OpenFile, Reads};

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
    files: DataFiles,
    cache: Arc<FileCache>,
    suspects: Arc<Suspects>,
    reads: Arc<Reads>,
}

impl ReaderFactory {
    /// Readers of `files`, which add what they read to `reads`.
    pub(crate) fn new(files: DataFiles, cache: Arc<FileCache>, suspects: Arc<Suspects>, reads: Arc<Reads>) -> Self {
        Self { files, cache, suspects, reads }
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
        let size_bytes = partitioned_file.object_meta.size;
        let opening = Opening { files: self.files.clone(), path, size_bytes, cache: Arc::clone(&self.cache) };
        let reads = Arc::clone(&self.reads);
        Ok(Box::new(CachedReader { opening, opened: None, bytes_scanned, reads }))
    }
}

#[derive(Debug, Clone)]
struct Opening {
    files: DataFiles,
    path: String,
    size_bytes: u64,
    cache: Arc<FileCache>,
}

/// Reads one file for one partition.
struct CachedReader {
    opening: Opening,
    opened: Option<Arc<OpenFile>>,
    bytes_scanned: datafusion::physical_plan::metrics::Count,
    reads: Arc<Reads>,
}

impl CachedReader {
    async fn file(&mut self) -> Result<Arc<OpenFile>, ParquetError> {
        if let Some(file) = &self.opened {
            return Ok(Arc::clone(file));
        }
        let Opening { files, path, size_bytes, cache } = self.opening.clone();
        let file = off_the_reactor(move || cache.open(&files, &path, size_bytes).map_err(external)).await?;
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
            let reads = Arc::clone(&self.reads);
            let bytes = off_the_reactor(move || read(&file, &ranges, &reads)).await?;
            self.bytes_scanned.add(bytes.iter().map(Bytes::len).sum());
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

fn read(file: &OpenFile, ranges: &[Range<u64>], reads: &Arc<Reads>) -> Result<Vec<Bytes>, ParquetError> {
    let read = file.source().counting(reads).all(ranges);
    read.map_err(|error| external(Fault { path: file.path().to_owned(), reason: format!("cannot be read: {error}") }))
}
