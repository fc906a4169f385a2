//! A data file's bytes as the Parquet reader asks for them, some of them fetched ahead.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use daytwo_storage::DataReader;
use parquet::arrow::ProjectionMask;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::reader::{ChunkReader, Length};

use super::ahead;

/// Read at once from the end of a file in a store: the footer and the page indexes of most.
const END_BYTES: u64 = 256 << 10;

/// What was read for one question.
#[derive(Debug, Default)]
pub(crate) struct Reads {
    bytes: AtomicU64,
    requests: AtomicU64,
}

impl Reads {
    pub(crate) fn add(&self, bytes: u64, requests: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.requests.fetch_add(requests, Ordering::Relaxed);
    }

    /// Bytes of data files.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Requests to a store, or reads of files.
    pub(crate) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }
}

/// A file's bytes, read by position so that any number of readers share one descriptor.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    reader: DataReader,
    reads: Arc<Reads>,
    /// Parts that were fetched already, with where they begin.
    ahead: Arc<Vec<(u64, Bytes)>>,
}

impl Source {
    pub(crate) fn new(reader: DataReader) -> Self {
        Self { reader, reads: Arc::default(), ahead: Arc::default() }
    }

    /// The same file, read on the account of `reads`.
    pub(crate) fn counting(&self, reads: &Arc<Reads>) -> Self {
        Self { reader: self.reader.clone(), reads: Arc::clone(reads), ahead: Arc::default() }
    }

    /// Whether each read is a request to a store.
    pub(crate) fn is_remote(&self) -> bool {
        self.reader.is_remote()
    }

    /// Whether the file has been removed from the disk.
    pub(crate) fn is_gone(&self) -> bool {
        self.reader.is_gone()
    }

    /// The same file; of one in a store, with its end, which is fetched unless it was kept beside the index.
    pub(crate) fn with_end(&self) -> std::io::Result<Self> {
        if !self.is_remote() {
            return Ok(self.clone());
        }
        let size = self.reader.size();
        if let Some(end) = self.reader.kept_end() {
            return Ok(self.having(vec![(size.saturating_sub(end.len() as u64), end)]));
        }
        self.with_ahead(std::slice::from_ref(&(size.saturating_sub(END_BYTES)..size)))
    }

    /// The same file; of one in a store, with the columns of a row group fetched.
    pub(crate) fn with_row_group(
        &self,
        metadata: &ParquetMetaData,
        row_group: usize,
        mask: &ProjectionMask,
    ) -> std::io::Result<Self> {
        if !self.is_remote() {
            return Ok(self.clone());
        }
        self.with_ahead(&ahead::wanted(metadata, &[row_group], None, mask))
    }

    /// The same file with these ranges fetched.
    pub(crate) fn with_ahead(&self, ranges: &[Range<u64>]) -> std::io::Result<Self> {
        let bytes = self.all(ranges)?;
        Ok(self.having(ranges.iter().map(|range| range.start).zip(bytes).collect()))
    }

    fn having(&self, ahead: Vec<(u64, Bytes)>) -> Self {
        Self { reader: self.reader.clone(), reads: Arc::clone(&self.reads), ahead: Arc::new(ahead) }
    }

    /// Several ranges: one read each of a file, as few requests as pays to a store.
    pub(crate) fn all(&self, ranges: &[Range<u64>]) -> std::io::Result<Vec<Bytes>> {
        let (read, cost) = self.reader.read_ranges(ranges)?;
        self.reads.add(cost.bytes, cost.requests);
        Ok(read)
    }

    /// The `length` bytes from `start`.
    pub(crate) fn bytes_at(&self, start: u64, length: usize) -> std::io::Result<Bytes> {
        let fetched = self.ahead.iter().find_map(|(begin, bytes)| {
            let from = usize::try_from(start.checked_sub(*begin)?).ok()?;
            let to = from.checked_add(length).filter(|to| *to <= bytes.len())?;
            Some(bytes.slice(from..to))
        });
        if let Some(fetched) = fetched {
            return Ok(fetched);
        }
        let bytes = self.reader.read_at(start, length)?;
        self.reads.add(length as u64, 1);
        Ok(bytes)
    }
}

impl Length for Source {
    fn len(&self) -> u64 {
        self.reader.size()
    }
}

impl ChunkReader for Source {
    type T = std::io::BufReader<Cursor>;

    fn get_read(&self, start: u64) -> parquet::errors::Result<Self::T> {
        Ok(std::io::BufReader::new(Cursor { source: self.clone(), at: start }))
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
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
        let fetched = self.source.ahead.iter().find_map(|(begin, bytes)| {
            let from = usize::try_from(self.at.checked_sub(*begin)?).ok()?;
            bytes.get(from..).filter(|rest| !rest.is_empty())
        });
        let read = match fetched {
            Some(rest) => {
                let length = rest.len().min(buffer.len());
                buffer.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
                length
            }
            None => {
                let read = self.source.reader.read_some(buffer, self.at)?;
                self.source.reads.add(read as u64, 1);
                read
            }
        };
        self.at = self.at.saturating_add(read as u64);
        Ok(read)
    }
}
