//! Moves batches from the buffer to files.
//!
//! Order is what makes it safe: Parquet files on disk under their names, then one Delta commit that names them and the
//! watermark they reach, then the buffer gives the batches up, then WAL segments go. A crash between any two leaves
//! either files that no commit names, which the next open removes, or a WAL whose requests the watermark covers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::RecordBatch;

use crate::buffer::{Buffered, Pending};
use crate::committer::{Committer, remove_uncommitted};
use crate::failpoint::{Point, hit};
use crate::index::Indexes;
use crate::parquet::writer::{self, NewFile};
use crate::partition::{self, FileName};
use crate::place::Place;
use crate::repeats::{Repeats, span_ids};
use crate::table::{Purpose, Table, Transaction};
use crate::{Result, StorageError};

/// The one that flushes.
#[derive(Debug)]
pub(crate) struct Flusher {
    pub(crate) committer: Arc<Committer>,
    pub(crate) flushes: AtomicU64,
    pub(crate) failures: AtomicU64,
    /// Spans left out, since the same flush held them already.
    pub(crate) repeats: AtomicU64,
}

impl Flusher {
    /// A flusher that has flushed nothing yet.
    pub(crate) fn new(committer: Arc<Committer>) -> Self {
        Self { committer, flushes: AtomicU64::new(0), failures: AtomicU64::new(0), repeats: AtomicU64::new(0) }
    }

    /// Writes and commits everything that waits.
    ///
    /// # Errors
    /// What kept a file or the commit from being written; the batches stay in the buffer and in the WAL.
    pub(crate) async fn flush(&self) -> Result<()> {
        let mut table = self.committer.lock().await?;
        let pending = self.committer.buffer.pending();
        if pending.batches.is_empty() {
            return Ok(());
        }
        let outcome = self.write_and_commit(&mut table, pending).await;
        let counter = if outcome.is_ok() { &self.flushes } else { &self.failures };
        counter.fetch_add(1, Ordering::Relaxed);
        outcome
    }

    async fn write_and_commit(&self, table: &mut Table, pending: Pending) -> Result<()> {
        let watermark = Some(pending.watermark);
        hit(Point::FlushBegin)?;
        let (adds, repeats) = self.write_files(table.place().clone(), pending).await?;
        let transaction = Transaction { purpose: Purpose::Flush, adds, removes: Vec::new(), watermark };
        self.committer.commit(table, &transaction).await?;
        self.repeats.fetch_add(repeats, Ordering::Relaxed);
        Ok(())
    }

    async fn write_files(&self, place: Place, pending: Pending) -> Result<(Vec<NewFile>, u64)> {
        let indexes = self.committer.keeper.indexes().clone();
        let write = move || write_partitions(&place, &indexes, &pending.batches);
        tokio::task::spawn_blocking(write).await.map_err(|error| stopped(&error))?
    }
}

pub(crate) fn stopped(error: &tokio::task::JoinError) -> StorageError {
    StorageError::ReadOnly { reason: format!("a background task ended: {error}") }
}

/// One file for each hour of reception, without the spans that stand in an earlier batch; and how many those are.
fn write_partitions(place: &Place, indexes: &Indexes, batches: &[Buffered]) -> Result<(Vec<NewFile>, u64)> {
    let mut hours: BTreeMap<String, Vec<&Buffered>> = BTreeMap::new();
    for buffered in batches {
        hours.entry(partition::received_hour(buffered.received)).or_default().push(buffered);
    }
    let mut repeats = repeats_among(batches)?;
    let mut new = Vec::with_capacity(hours.len());
    for (hour, batches) in hours {
        match write_partition(place, indexes, &hour, &batches, &mut repeats) {
            Ok(file) => new.extend(file),
            Err(error) => {
                remove_uncommitted(place, indexes, &new);
                return Err(error);
            }
        }
    }
    Ok((new, repeats.found()))
}

fn repeats_among(batches: &[Buffered]) -> Result<Repeats> {
    let mut ids = Vec::with_capacity(batches.iter().map(|buffered| buffered.batch.len()).sum());
    for buffered in batches {
        span_ids(buffered.batch.record_batch(), &mut ids)?;
    }
    Ok(Repeats::among(ids))
}

/// `None` when all its spans were found in an earlier hour.
fn write_partition(
    place: &Place,
    indexes: &Indexes,
    hour: &str,
    batches: &[&Buffered],
    repeats: &mut Repeats,
) -> Result<Option<NewFile>> {
    let first_seq = batches.first().map_or(0, |buffered| buffered.seq);
    let last_seq = batches.last().map_or(0, |buffered| buffered.seq);
    let distinct = batches.iter().map(|buffered| repeats.without(buffered.batch.record_batch()));
    let distinct = distinct.collect::<std::result::Result<Vec<RecordBatch>, _>>()?;
    if distinct.iter().all(|batch| batch.num_rows() == 0) {
        return Ok(None);
    }
    let path = FileName { merged: false, first_seq, last_seq }.path(hour, rand::random());
    let (new, index) = writer::write(place, &path, hour, &distinct)?;
    // The spans are what counts: an index that cannot be written now is made from the file later.
    if let Err(error) = indexes.write(&new, index) {
        tracing::warn!(path = %new.file.path, %error, "a file is committed without its index");
    }
    Ok(Some(new))
}
