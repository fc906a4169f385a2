//! [`FileIndex`]: an opened sidecar, which says where in its data file to look.

use super::catalogue::Catalogue;
use super::parts::Source;
use super::table::Run;
use super::tail::{BLOCK_ROWS, Bounds, Tail};
use super::term::{Term, key_of};
use crate::{DataFile, Result, TraceId};

/// Keys of some traces, made once for any number of files.
#[derive(Debug, Clone)]
pub struct TraceKeys(Vec<u64>);

impl TraceKeys {
    /// The keys of `traces`.
    pub fn of(traces: &[TraceId]) -> Self {
        let mut keys: Vec<u64> = traces.iter().map(key_of).collect();
        keys.sort_unstable();
        keys.dedup();
        Self(keys)
    }
}

/// A block of rows: what a search reads or skips as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    /// Its number in the file.
    pub number: u32,
    /// Its first row, counted from the begin of the file.
    pub first_row: u32,
    /// Its rows.
    pub rows: u32,
    /// Bounds of their start times and durations.
    pub bounds: Bounds,
}

/// What was found in a sidecar.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// Rows of the file, or blocks of rows; ascending.
    pub runs: Vec<Run>,
    /// Bytes of the sidecar that were read for it.
    pub bytes_read: u64,
}

/// The sidecar of one data file: its directory in memory, the rest on disk.
#[derive(Debug)]
pub struct FileIndex {
    source: Source,
    tail: Tail,
    opened_bytes: u64,
}

impl FileIndex {
    pub(super) fn open(source: Source, file: &DataFile) -> Result<Self> {
        let (tail, opened_bytes) = Tail::read(&source, file)?;
        Ok(Self { source, tail, opened_bytes })
    }

    /// Rows of each row group of the data file.
    pub fn row_groups(&self) -> &[u32] {
        &self.tail.row_groups
    }

    /// Whether the file may hold spans of any of the traces; `false` is certain. Reads nothing.
    pub fn may_hold(&self, traces: &TraceKeys) -> bool {
        traces.0.iter().any(|&key| self.tail.filter.may_hold(key))
    }

    /// The rows of the traces, and now and then a row of another one.
    ///
    /// # Errors
    /// [`crate::StorageError::Io`], [`crate::StorageError::Corrupt`]: ask the data file.
    pub fn rows_of(&self, traces: &TraceKeys) -> Result<Found> {
        let keys: Vec<u64> = traces.0.iter().copied().filter(|&key| self.tail.filter.may_hold(key)).collect();
        let mut runs = Vec::new();
        let bytes_read = self.tail.traces.find(&self.source, &keys, |_, run| runs.push(run))?;
        runs.sort_unstable();
        Ok(Found { runs: joined(&runs), bytes_read })
    }

    /// The blocks whose rows may have all of the terms; the others have no such row.
    ///
    /// # Errors
    /// As [`FileIndex::rows_of`].
    pub fn blocks_with(&self, terms: &[Term]) -> Result<Found> {
        let mut keys: Vec<u64> = terms.iter().map(|term| u64::from(term.0)).collect();
        keys.sort_unstable();
        keys.dedup();
        let mut found: Vec<(u64, Run)> = Vec::new();
        let bytes_read = self.tail.terms.find(&self.source, &keys, |key, run| found.push((key, run)))?;
        let blocks = u32::try_from(self.tail.bounds.len()).unwrap_or(u32::MAX);
        let mut all = vec![Run { start: 0, length: blocks }];
        for key in keys {
            let mine = found.iter().filter(|(of, _)| *of == key).map(|(_, run)| *run);
            let mut mine: Vec<Run> = mine.chain(self.tail.crowded.iter().copied()).collect();
            mine.sort_unstable();
            all = common(&all, &joined(&mine));
        }
        Ok(Found { runs: all, bytes_read })
    }

    /// The blocks of the file, in order.
    pub fn blocks(&self) -> impl Iterator<Item = Block> {
        let mut first_row = 0_u32;
        let rows = self.tail.row_groups.iter().flat_map(|&rows| {
            (0..rows.div_ceil(BLOCK_ROWS)).map(move |block| BLOCK_ROWS.min(rows - block * BLOCK_ROWS))
        });
        (0..).zip(rows).zip(&self.tail.bounds).map(move |((number, rows), bounds)| {
            let block = Block { number, first_row, rows, bounds: *bounds };
            first_row = first_row.saturating_add(rows);
            block
        })
    }

    /// The names in the file.
    ///
    /// # Errors
    /// As [`FileIndex::rows_of`].
    pub fn catalogue(&self) -> Result<Catalogue> {
        let bytes = self.source.read(self.tail.catalogue)?;
        Catalogue::from_bytes(&bytes).ok_or_else(|| self.source.damaged("the catalogue makes no sense"))
    }

    /// Bytes of the sidecar that opening it read.
    pub fn opened_bytes(&self) -> u64 {
        self.opened_bytes
    }

    /// Bytes of memory that it takes.
    pub fn memory_bytes(&self) -> u64 {
        let tail = &self.tail;
        let bytes = size_of::<Self>()
            + tail.traces.memory_bytes()
            + tail.terms.memory_bytes()
            + tail.filter.memory_bytes()
            + tail.bounds.capacity() * size_of::<Bounds>()
            + tail.row_groups.capacity() * size_of::<u32>()
            + tail.crowded.capacity() * size_of::<Run>();
        bytes as u64
    }

    /// Bytes of its parts: trace table, term table, catalogue, all that is kept in memory.
    pub fn sizes(&self) -> [u64; 4] {
        let tail = &self.tail;
        [tail.traces.bytes(), tail.terms.bytes(), u64::from(tail.catalogue.length), self.opened_bytes]
    }
}

/// Ascending runs, those that touch made one.
fn joined(runs: &[Run]) -> Vec<Run> {
    let mut all = Vec::with_capacity(runs.len());
    runs.iter().for_each(|run| super::builder::push_run(&mut all, *run));
    all
}

/// What is in both.
fn common(a: &[Run], b: &[Run]) -> Vec<Run> {
    let (mut a, mut b) = (a.iter().peekable(), b.iter().peekable());
    let mut all = Vec::new();
    while let (Some(left), Some(right)) = (a.peek(), b.peek()) {
        let (start, end) = (left.start.max(right.start), left.end().min(right.end()));
        if start < end {
            all.push(Run { start, length: end - start });
        }
        if left.end() <= right.end() {
            a.next();
        } else {
            b.next();
        }
    }
    all
}
